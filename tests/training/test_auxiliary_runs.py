"""Rules that keep numbers for every training example, as whole runs: memory, scores before and after, restarts, notes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import losses
from ascribe.errors import UserError
from ascribe.networks import mlp
from ascribe.rules import Backpropagation, Batch, RelaxedIdentity, Trainables, hyperparameter, network_of
from ascribe.training import Setup, Specification, devices, honor, optimizers

from . import tiny

FULL = {"optimizer": "rprop", "batch_size": tiny.TRAIN, "diagnostics": True}


def test_a_run_that_does_not_fit_is_refused_and_a_comparison_of_all_rules_leaves_it_out(monkeypatch):
    network, dataset = tiny.mlp(), tiny.data()
    one = lambda rule: tiny.experiment(network, dataset, rule, 1)
    plain, relaxed = (one(rule).run_bytes for rule in (Backpropagation(), RelaxedIdentity()))
    assert relaxed - plain == 3 * 8 * tiny.TRAIN * 3  # one hidden layer of three units, float64, three times
    monkeypatch.setattr(devices, "available_memory", lambda: plain + relaxed)
    with pytest.raises(UserError, match=r"GiB for what it trains and keeps .* choose fewer training examples"):
        one(RelaxedIdentity())
    rules, options = {"plain": Backpropagation(), "relaxed": RelaxedIdentity()}, tiny.WORLD | {"network": network}
    with pytest.raises(UserError, match="one run of relaxed takes"):
        ascribe.compare(dataset, rules=rules, **options)
    monkeypatch.setattr(ascribe.rules, "default_names", lambda: ["backpropagation", "relaxed-identity"])
    comparison = ascribe.compare(dataset, **options)
    assert list(comparison.runs) == ["backpropagation"]
    assert "relaxed-identity takes" in comparison.configuration["left_out"]["relaxed-identity"]


@pytest.mark.slow
def test_few_runs_at_a_time_where_many_do_not_fit(monkeypatch):
    specifications = [Specification(seed, 0.1) for seed in range(4)]
    experiment = lambda: tiny.experiment(tiny.mlp(), tiny.data(), RelaxedIdentity(), 4, **FULL)
    together = experiment()
    monkeypatch.setattr(devices, "_memory", lambda: 0)
    shards = experiment()
    assert (together.width, shards.width) == (4, 2)  # one a device
    curves = [one.train(specifications, "training", keep=False).curves["train_loss"] for one in (together, shards)]
    np.testing.assert_allclose(*curves, rtol=1e-8)


def test_scores_before_and_after_the_last_pass():
    class Doubled(Backpropagation):
        def finish(self, trainables, state, data):
            return jax.tree.map(lambda leaf: 2 * leaf, network_of(trainables))

    plain, doubled = tiny.trained(), tiny.trained(Doubled())
    for name in ("test_accuracy", "test_loss"):
        np.testing.assert_array_equal(doubled.scores[f"{name}_before_finish"], plain.scores[name])
        assert f"{name}_before_finish" not in plain.scores
    assert np.all(doubled.test_loss != plain.test_loss)
    before = 100 * plain.test_accuracy.mean()
    changed = not np.array_equal(doubled.test_accuracy, plain.test_accuracy)
    assert (doubled.notes == (f"mean test accuracy before its last pass {before:.1f} %",)) == changed


def test_between_epochs_the_rule_acts_and_after_the_last_it_finishes():
    class Reset(Backpropagation):
        def after_epoch(self, trainables, state, data, *, epoch):
            assert data.inputs.shape[0] == tiny.TRAIN
            return jax.tree.map(lambda leaf: jnp.full_like(leaf, epoch), trainables), state

    runs = tiny.trained(Reset(), learning_rate=1e-9)
    for leaf in jax.tree.leaves(runs.networks):  # epoch 1 was the last but one
        np.testing.assert_allclose(leaf, 1, atol=1e-6)


def test_the_objective_and_the_forward_loss_stand_side_by_side():
    runs = tiny.trained(RelaxedIdentity(), **FULL)
    (said,) = [note for note in runs.notes if "forward loss" in note]
    objective, loss = (runs.curves[name][:, -1].mean() for name in ("relaxed_objective", "forward_loss"))
    assert said == f"relaxed objective {objective:.3g}, forward loss {loss:.3g} after the last epoch"
    assert {name for name in runs.curves if "residual" in name} == {"residual/linear1"}


@pytest.mark.slow
@pytest.mark.parametrize("coordinates", ["activation", "residual"])
def test_a_refit_after_every_epoch_leaves_a_network_whose_activations_are_the_auxiliaries(coordinates):
    network, dataset = mlp([64, 40, 40, 1], activation="tanh"), tiny.data(features=64)
    rule = RelaxedIdentity(consolidate=1, ridge=1e-9, coordinates=coordinates)
    runs = tiny.trained(rule, dataset, network, **FULL)
    assert np.all(runs.curves["residual/linear2"][:, -2] < 1e-9)
    assert np.all(runs.test_loss != runs.scores["test_loss_before_finish"])


def test_restarts_do_not_undo_what_the_last_pass_consolidates():
    """A period that divides the epochs would leave nothing to consolidate, if it came after the last epoch too."""
    runs = tiny.trained(RelaxedIdentity(period=tiny.EPOCHS))
    assert np.all(runs.test_loss != runs.scores["test_loss_before_finish"])


def test_consolidation_in_float32_survives_equal_columns():
    """A constant input beside the bias, and far more examples than the ridge outweighs."""
    inputs = np.concatenate([np.random.default_rng(0).normal(size=(6000, 2)), np.ones((6000, 2))], axis=1)
    network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), mlp([4, 8, 1]))
    rule, loss = RelaxedIdentity(), losses.get("bernoulli-cross-entropy")

    @jax.jit
    def finished(network, inputs, targets):
        batch = Batch(inputs, targets, loss)
        trainables = rule.trainables(network, batch, key=jax.random.key(0))
        moved = jax.tree.map(lambda z: z + 0.1 * jnp.sin(z), trainables.auxiliary)
        return rule.finish(Trainables(network, moved), None, batch)

    found = finished(network, inputs.astype(np.float32), (inputs[:, 0] > 0).astype(np.int32))
    for new, old in zip(jax.tree.leaves(found), jax.tree.leaves(network), strict=True):
        assert 0 < np.max(np.abs(np.asarray(new) - np.asarray(old))) < 1


def test_tuning_judges_the_finished_networks():
    """The rule forgets everything at the end where `scale` is below one: no rate that was tuned without that is right."""

    class Forgetful(Backpropagation):
        scale: Any = hyperparameter(1.0, "(0, inf)")

        def finish(self, trainables, state, data):
            return jax.tree.map(lambda leaf: jnp.where(self.scale < 1, 0.0 * leaf, leaf), network_of(trainables))

    search = {"learning_rate": (0.05, 0.5), "forgetful.scale": (0.1, 10.0)}
    settings = {"network": tiny.mlp(), "tune": 4, "tune_seeds": 2, "search": search, "learning_rate": None}
    tuning = ascribe.compare(tiny.data(), rules={"forgetful": Forgetful()}, **tiny.WORLD | settings).tuning["forgetful"]
    forgotten = tuning.hyperparameters["scale"] < 1
    assert forgotten.any() and not forgotten.all()
    np.testing.assert_allclose(tuning.losses[forgotten], np.log(2), rtol=1e-6)
    assert np.all(np.abs(tuning.losses[~forgotten] - np.log(2)) > 1e-6)


@pytest.mark.parametrize(("network", "options"), [(lambda: mlp([2, 1]), {}), (tiny.mlp, {"layers": ()})])
def test_a_network_without_a_relaxed_place_is_trained_by_backpropagation(network, options):
    network = network()
    ours = tiny.trained(RelaxedIdentity(consolidate="never", **options), network=network)
    theirs = tiny.trained(network=network)
    np.testing.assert_allclose(ours.test_loss, theirs.test_loss, rtol=1e-9)


def test_layers_of_a_stack_keep_their_axis_of_seeds():
    network = mlp([2, *[8] * 12, 1], activation="tanh")
    several = jax.jit(jax.vmap(network.initialize))(jax.random.split(jax.random.key(0), 3))
    alone = jax.tree.map(lambda leaf: leaf[1], several)
    for name in ("linear1", "linear2", "linear12", "linear13"):
        assert several[name].weight.shape == (3, *network[name].weight.shape)
        np.testing.assert_array_equal(several[name].weight[1], alone[name].weight)
        np.testing.assert_array_equal(several[name].bias[1], alone[name].bias)


def test_the_rule_s_own_step_is_merged_into_the_optimizer_without_a_note():
    rule = ascribe.rules.get("relaxed-identity")
    setup = Setup(learning_rate=0.1, batch_size=8, optimizer="adam")
    recipe = honor(rule, "relaxed-identity", tiny.mlp(), tiny.data(), setup)
    assert (recipe.setup.optimizer, recipe.forced, recipe.notes) == (
        {"network": "adam", "auxiliary": ("sgd", 1.0)},
        (),
        (),
    )
    made = dict(optimizers.factory(recipe.setup.optimizer))
    step, _ = made["auxiliary"](jnp.asarray(0.001)).update(jnp.asarray(3.0), made["auxiliary"](0.0).init(0.0))
    assert step == -3.0


def test_runs_with_a_large_state_go_in_turn_on_a_cpu():
    network = tiny.mlp()
    cpu = jax.default_backend() == "cpu"
    assert devices.one_after_another(network, devices.CACHED + 1) == cpu
    assert not devices.one_after_another(network, devices.CACHED)
