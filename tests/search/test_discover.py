"""The search for a b-function: its objective, its continuation, its one compiled program."""

import dataclasses
import math

import jax
import numpy as np
import pytest

from ascribe import datasets, networks, search
from ascribe.errors import UserError
from ascribe.experiments.discover import _other_data, _searched
from ascribe.rules import BFunction, MetaNetwork
from ascribe.search import Evaluations, Objective, Space
from ascribe.search.discover import best_few, chance_loss, random_points
from ascribe.store import Store
from ascribe.training.keeping import About, Kept

from ..training import tiny

SEEDS = (7, 9)
SPACE = Space("tanh1", bound=2.0)


def objective(rule=None, place=None, dimensions=SPACE.dimensions, **options):
    changes = {name: options.pop(name) for name in ("learning_rate", "epochs") if name in options}
    rule = SPACE.rule() if rule is None else rule
    recipe = tiny.recipe(tiny.mlp(), tiny.data(), rule, name="b-function", **changes)
    place = SPACE.place if place is None else place
    return Objective(recipe, place, dimensions=dimensions, seeds=SEEDS, batch=2, **options)


def bowl(points):
    """A cheap objective: the squared distance to a corner, as if two seeds had said so."""
    areas = np.repeat(((points - 0.2) ** 2).sum(axis=1)[:, None], 2, axis=1)
    return Evaluations(points, np.repeat(areas[:, :, None], 3, axis=2).astype(np.float32) / 3, areas)


EMPTY = Evaluations(np.zeros((0, 3)), np.zeros((0, 2, 3), np.float32), np.zeros((0, 2)))


def test_a_space_is_a_box_of_omega_around_zero():
    points = np.array([[0.0] * 4, [0.5] * 4, [1.0] * 4])
    np.testing.assert_allclose(SPACE.omega(points), [[-2.0] * 4, [0.0] * 4, [2.0] * 4])
    assert Space("relu1", hidden=3).dimensions == 10
    rule = SPACE.rule(points[2])
    np.testing.assert_allclose(rule.derivative["tanh1"].omega, 2.0)


def test_a_point_at_a_side_of_the_box_touches_it():
    assert SPACE.touched(np.array([0.5, 0.995, 0.2, 0.0])) == ("c", "d")
    assert SPACE.touched(np.array([0.02, 0.5, 0.97, 0.5])) == ()
    assert Space("relu1", hidden=2).touched(np.array([0.5, 1.0, 0.5, 0.5, 0.0, 0.5, 0.5])) == ("w2", "v1")


def test_the_best_few_are_other_functions_and_not_other_numbers():
    """ω = (w, c, v, d): what differs in c alone is one function where v = 0, and neighbors of an optimum are one too."""
    points = np.full((6, 4), 0.5)
    points[:3, 3] = (0.9, 0.92, 0.9)  # d = 1.6, 1.68, 1.6
    points[2, 1] = 0.1
    points[3, 3], points[4], points[5, 3] = 0.6, (0.9, 0.5, 0.9, 0.5), 0.2
    tried = dataclasses.replace(bowl(points), areas=np.arange(12.0).reshape(6, 2))
    assert best_few(SPACE, tried, 3) == (0, 3, 4)
    assert best_few(SPACE, tried, 9) == (0, 3, 4, 5)
    assert best_few(SPACE, tried.first(3), 3) == (0,)


def test_a_candidate_may_be_a_learning_rate():
    """The area of backpropagation at two rates, each that of a run by itself."""
    rates = np.array([[0.02], [0.5]])
    ours = objective(BFunction(), lambda point: (), dimensions=1, rate=lambda point: float(point[0]))
    for rate, found in zip(rates, ours(rates).areas, strict=True):
        alone = tiny.trained(BFunction(), seeds=SEEDS, learning_rate=float(rate[0]))
        np.testing.assert_allclose(found, alone.train_loss.sum(axis=1), rtol=1e-6)


def test_the_objective_is_the_area_under_the_training_loss_of_a_run_by_itself():
    points = np.array([[0.9, 0.5, 0.7, 0.6], [0.2, 0.4, 0.9, 0.8], [0.5, 0.5, 0.5, 0.75]])
    found = objective()(points)
    assert found.areas.shape == (3, 2)
    for i, point in enumerate(points):
        rule = BFunction({"tanh1": MetaNetwork(SPACE.omega(point))})
        alone = tiny.trained(rule, seeds=SEEDS)
        np.testing.assert_allclose(found.areas[i], alone.train_loss.sum(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.values, found.areas.mean(axis=1))
    assert found.best == int(np.argmin(found.values))


def test_a_candidate_that_diverges_is_a_finite_value_and_leaves_the_others_alone():
    place = lambda point: (("scale", float("inf") if point[0] > 0.5 else 1.0),)
    rule = BFunction({"tanh1": "exact"}, scale=1.0)
    ours = objective(rule, place, dimensions=1, learning_rate=1.0)
    found = ours(np.array([[0.0], [1.0]]))
    assert found.diverged[1].all()
    assert not found.diverged[0].any()
    assert np.isfinite(found.areas).all()
    limit = 2 * chance_loss(tiny.data(), ours.trainer.recipe.loss)
    assert (found.areas[1] > 1.5 * limit).all()
    assert (found.areas <= 3 * limit + 1e-12).all()
    alone = objective(rule, place, dimensions=1, learning_rate=1.0)(np.array([[0.0], [0.0]]))
    np.testing.assert_allclose(found.areas[0], alone.areas[0], rtol=1e-12)


def test_new_candidates_compile_nothing():
    ours, compiled = objective(), []
    ours(random_points(0, 0, 3, 4))
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    for seed in range(1, 4):
        ours(random_points(seed, 0, 3, 4))
    assert not compiled


def test_chance_loss_is_that_of_even_odds_and_of_the_mean():
    data = tiny.data()
    loss = objective().trainer.recipe.loss
    assert chance_loss(data, loss) == pytest.approx(math.log(2) if loss.link == "logistic" else math.log(data.classes))


@pytest.mark.parametrize("kind", [search.BAYESIAN, search.RANDOM])
@pytest.mark.parametrize("stop", [4, 18, 22])
def test_a_search_that_was_cut_goes_on_to_the_same_end(kind, stop):
    options = {"batch": 4, "kind": kind, "seed": 3}
    whole = search.search(bowl, EMPTY, evaluations=26, **options)
    rounds = []
    part = search.search(bowl, EMPTY, evaluations=stop, after_round=rounds.append, **options)
    kept = rounds[-2] if stop == 22 else part  # as if the last round's result had been lost
    if len(kept) % 4:  # a budget that ends inside a round is no cut
        kept = dataclasses.replace(kept, points=kept.points[:16], curves=kept.curves[:16], areas=kept.areas[:16])
    again = search.search(bowl, kept, evaluations=26, **options)
    np.testing.assert_array_equal(whole.points, again.points)
    np.testing.assert_array_equal(whole.areas, again.areas)
    assert len(whole) == 26


def test_random_points_are_one_sequence_and_no_point_comes_twice():
    whole = random_points(7, 0, 9, 2)
    np.testing.assert_array_equal(np.concatenate([random_points(7, start, 3, 2) for start in (0, 3, 6)]), whole)
    assert len(np.unique(whole, axis=0)) == 9


def test_the_best_so_far_is_the_least_mean_area():
    areas = np.array([[3.0, 5.0], [1.0, 2.0], [4.0, 9.0], [1.0, 1.0]])
    tried = search.Evaluations(np.zeros((4, 2)), np.zeros((4, 2, 1)), areas)
    np.testing.assert_array_equal(tried.values, [4.0, 1.5, 6.5, 1.0])
    np.testing.assert_array_equal(tried.best_so_far, [4.0, 1.5, 1.5, 1.0])
    assert tried.best == 3


def test_the_search_beats_chance_on_a_bowl():
    ours = [search.search(bowl, EMPTY, evaluations=40, batch=8, seed=s).values.min() for s in range(3)]
    theirs = [search.search(bowl, EMPTY, evaluations=40, batch=8, seed=s, kind="random").values.min() for s in range(3)]
    assert max(ours) < 0.2 * min(theirs)


def test_what_the_process_says_of_each_evaluation_from_the_others():
    tried = search.search(bowl, EMPTY, evaluations=24, batch=8)
    predicted = search.left_out(tried)
    process = search.fit(tried.points, tried.values)
    for i in (3, 20):
        rest = np.delete(np.arange(24), i)
        # The others' process with these hyper-parameters, whose standardization is that of all.
        y = (tried.values - process.center) / process.scale
        import sklearn.gaussian_process as gp

        kernel = gp.kernels.Matern(process.length_scales, nu=2.5)
        regressor = gp.GaussianProcessRegressor(kernel, alpha=float(process.noise), optimizer=None)
        regressor.fit(tried.points[rest], y[rest])
        mean, deviation = regressor.predict(tried.points[i : i + 1], return_std=True)
        wanted = process.center + process.scale * mean[0]
        np.testing.assert_allclose(predicted[i, 0], wanted, rtol=1e-4, atol=1e-4 * process.scale)
        with_noise = process.scale * np.sqrt(deviation[0] ** 2 + process.noise)
        np.testing.assert_allclose(predicted[i, 1], with_noise, rtol=1e-3)


def test_a_search_says_that_other_code_has_made_its_candidates(tmp_path):
    store = Store(tmp_path)
    ours = objective(keeper=store)
    run = About(ours.trainer.recipe.name, "searching", 7, 0.1, {}, 3, {**ours.trainer.identity.about, "source": "another"})
    store.finish({"a": (run, Kept({"train_loss": np.zeros(3)}, -1, None, None, 1.0))})
    go_on = lambda kind: _searched(ours, SPACE, kind, 0, 0, store, lambda *_: None)
    with pytest.warns(UserWarning, match="the store has 1 of these runs as other code made them"):
        assert len(go_on(search.BAYESIAN)) == 0
    assert len(go_on(search.RANDOM)) == 0  # once is enough


def test_wrong_settings_are_refused_before_anything_is_compiled():
    with pytest.raises(UserError, match="positive integer"):
        objective(epochs=0)
    with pytest.raises(UserError, match="no layer 'relu9'"):
        space = Space("relu9")
        objective(space.rule(), space.place)(np.full((1, 4), 0.5))
    with pytest.raises(UserError, match="hidden neurons"):
        Space("tanh1", hidden=0).rule()


@pytest.mark.parametrize(
    ("name", "vectors", "other"),
    [("moons", True, "digits"), ("xor", True, "moons"), ("parity", True, "moons"), ("parity", False, "digit-rows")],
)
def test_what_was_found_is_tried_on_other_data_of_the_same_kind(name, vectors, other):
    layers = [networks.Linear(10, 1, initializer="zeros")]
    template = networks.Network(layers if vectors else [networks.Flatten(), *layers])
    found = _other_data("auto", datasets.load(name, samples=20), template)
    assert found is not None and found.name == other
