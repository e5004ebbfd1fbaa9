"""The parts of the entries on b-functions, on small networks; and that each of their checks can fail."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, report
from ascribe.experiments import discovery
from ascribe.papers import Result, b_functions, b_functions_rates, b_functions_zero_slope
from ascribe.rules import B_FUNCTIONS, BFunction, as_batch

rule_file = sys.modules[BFunction.__module__]


def failed(checks):
    return [check.statement for check in checks if not check.passed]


# (3), (4), (5)


@pytest.fixture
def small(monkeypatch):
    """Networks of two units a layer and four examples, of both activations."""
    monkeypatch.setattr(b_functions_rates, "STEPS", 3)
    monkeypatch.setattr(b_functions_rates, "FEEDBACK_STEPS", 3)
    made = {name: networks.mlp([3, 5, 4, 5, 3], activation=name, key=jr.key(2)) for name in b_functions_rates.G}
    x = jr.normal(jr.key(3), (4, 3))
    return made, as_batch(made["tanh"], (x, np.array([0, 1, 2, 1])))


@pytest.mark.slow
def test_a_replaced_derivative_is_a_rate_where_the_equations_say_so(small):
    made, batch = small
    assert failed(b_functions_rates.constant_factor(made["tanh"], batch)) == []
    assert failed(b_functions_rates.single_examples(made, batch)[0]) == []
    assert b_functions_rates.layers_below(made["tanh"], batch)[0][0].passed
    assert b_functions_rates.feedback_rates(made["tanh"], batch)[0][0].passed


@pytest.mark.slow
def test_a_derivative_that_is_a_thousandth_off_fails(small, monkeypatch):
    made, batch = small
    evaluate = rule_file.evaluate
    monkeypatch.setattr(rule_file, "evaluate", lambda g, z, **more: 1.001 * evaluate(g, z, **more))
    assert len(failed(b_functions_rates.single_examples(made, batch)[0])) == 2
    assert b_functions_rates.layers_below(made["tanh"], batch)[0][0].passed is False
    constant = failed(b_functions_rates.constant_factor(made["tanh"], batch))
    assert [what.split(" is")[0] for what in constant] == [
        *(f"g = c·σ' in layer {place}" for place in (1, 2, 3)),
        "g = c·σ' in all hidden layers",
    ]


@pytest.mark.slow
def test_feedback_other_than_b_fails(small, monkeypatch):
    made, batch = small
    init = BFunction.init
    shifted = lambda self, network, data, *, key: {
        name: b + 0.001 * jr.normal(jr.fold_in(key, len(data.targets)), b.shape)
        for name, b in init(self, network, data, key=key).items()
    }
    monkeypatch.setattr(BFunction, "init", shifted)
    assert failed(b_functions_rates.feedback_rates(made["tanh"], batch)[0])[0].startswith("(5)")


@pytest.mark.slow
def test_of_a_batch_the_best_rates_explain_what_least_squares_says(small, monkeypatch):
    made, batch = small
    monkeypatch.setattr(b_functions_rates, "SIZES", (1, 4))
    rows = [row for row in b_functions_rates.batches(made, batch) if row["g"] == "arctan' for tanh'"]
    network, rule = made["tanh"], BFunction({"tanh2": "arctan"})
    ours, theirs = (np.asarray(one(network, {}, batch).gradients["linear2"].weight) for one in (rule, BFunction()))
    rest = 0.0
    for mine, exact in zip(ours, theirs, strict=True):
        rest += np.linalg.lstsq(exact[:, None], mine, rcond=None)[1].sum()
    assert [row["batch"] for row in rows] == [1, 4]
    np.testing.assert_allclose([row["unexplained"] for row in rows], [0, np.sqrt(rest / (ours**2).sum())], atol=1e-12)


@pytest.mark.parametrize(("at_one", "at_32", "wrong"), [(0, 0.2, 0), (1e-9, 0.2, 1), (0, 0.001, 1), (np.nan, np.nan, 2)])
def test_the_theorem_holds_at_one_example_and_not_at_32(at_one, at_32, wrong):
    rows = [{"g": "g", "batch": size, "unexplained": rest} for size, rest in ((1, at_one), (32, at_32))]
    assert len(failed(b_functions_rates.batch_checks(rows))) == wrong


def test_credit_that_helps_contradicts_the_document_and_no_harm_at_all_does_too():
    rows = lambda *differences: [{"g": f"g{k}", "difference": d, "interval": 0.1} for k, d in enumerate(differences)]
    assert failed(b_functions_zero_slope.credit_checks(rows(0.5, 0.05, -0.05))) == []
    helped = b_functions_zero_slope.credit_checks(rows(0.5, -0.2))
    assert [check.passed for check in helped] == [True, False] and helped[1].got == "1 of 2 (g1)"
    assert [check.passed for check in b_functions_zero_slope.credit_checks(rows(0.05, np.nan))] == [False, True]


# Figure 1b


def test_one_of_several_functions_is_that_function_to_the_last_digit():
    z = jnp.linspace(-3.0, 3.0, 41)
    for number, name in enumerate(b_functions.DERIVATIVES):
        one = b_functions.one_of(b_functions.DERIVATIVES, number)
        np.testing.assert_array_equal(one(z), B_FUNCTIONS[name](z))
        first = b_functions.one_of(b_functions.DERIVATIVES, 0)
        assert jax.tree.structure(one) == jax.tree.structure(first)


def test_slopes_are_those_of_central_differences():
    network = networks.mlp([2, 3, 3, 1], activation="relu", bias=False, key=jr.key(1))
    x, t = np.asarray(jr.normal(jr.key(2), (5, 2))), np.array([0, 1, 1, 0, 1])
    first, weight, last = (np.asarray(network[f"linear{k}"].weight) for k in (1, 2, 3))

    def loss(weight):
        z = np.maximum(np.maximum(x @ first.T, 0) @ weight.T, 0) @ last.T
        return np.mean(np.logaddexp(0, z[:, 0]) - t * z[:, 0])

    h, gradient = 1e-6, np.zeros_like(weight)
    for place in np.ndindex(weight.shape):
        step = np.zeros_like(weight)
        step[place] = h
        gradient[place] = (loss(weight + step) - loss(weight - step)) / (2 * h)
    size, h = np.linalg.norm(gradient), 1e-3
    along = [loss(weight + k * h * gradient / size) for k in (-1, 0, 1)]
    many = jax.tree.map(lambda leaf: leaf[None], network)
    found = b_functions.slopes(many, as_batch(network, (x, t)))
    np.testing.assert_allclose(found["norm"], [size], rtol=1e-6)
    np.testing.assert_allclose(found["curvature"], [(along[0] - 2 * along[1] + along[2]) / h**2], rtol=1e-3)


FALLEN = {
    "share_of_seeds_whose_loss_fell": 1.0,
    "share_of_backpropagation_s_fall": 0.97,
    "gradient_left": 0.02,
    "least_curvature": 0.1,
    "angle_mean": 70.0,
    "angle_mean_interval": 3.0,
}


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"share_of_seeds_whose_loss_fell": 0.95}, 0),
        ({"share_of_backpropagation_s_fall": 0.89}, 1),
        ({"gradient_left": 0.2}, 2),
        ({"least_curvature": -0.1}, 2),
        ({"angle_mean": 88.0}, 3),
        *[({key: np.nan}, number) for number, key in enumerate(("gradient_left", "angle_mean"), 2)],
    ],
)
def test_one_function_that_does_otherwise_fails_its_check(changed, number):
    rows = [{"width": 8, "g": "tanh", **FALLEN}, {"width": 8, "g": "arctan", **FALLEN, **changed}]
    other = {"width": 64, "g": "tanh", **FALLEN, "gradient_left": 3.0}
    checks = b_functions.width_checks([*rows, other], 8)
    assert [check.passed for check in checks] == [place != number for place in range(4)]
    assert checks[number].got.startswith("1 of 2 (not arctan ")
    assert failed(b_functions.width_checks(rows[:1], 8)) == []


# Figure 2


def found(monkeypatch, *, touched=(), searched=2.0, **areas):
    """A finished search with these loss areas, each with an interval of 0.1 around its difference."""
    monkeypatch.setattr(report.discovery, "figures", lambda discovery: {})
    names = {
        "same": discovery.SAME,
        "a": discovery.FOUND,
        "b": discovery.OTHERS[0],
        "c": discovery.OTHERS[1],
        "rate": discovery.FOR_AREA,
        "learned": discovery.LEARNED,
    }
    areas = {"same": 8.0, "a": 2.0, "b": 3.0, "c": 3.5, "rate": 1.9, "learned": 5.0} | areas
    rows = [
        {
            "setting": discovery.SEARCHED,
            "rule": names[key],
            "area": area,
            "area_difference": area - areas["same"],
            "seeds": 9,
        }
        for key, area in areas.items()
        if area is not None
    ]
    rows = [row | {"area_difference_interval": 0.1} for row in rows]
    evaluations = lambda value: SimpleNamespace(values=np.array([9.0, value]))
    return SimpleNamespace(table=lambda: rows, touched=touched, evaluations=evaluations(searched), random=evaluations(2.5))


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, []),
        ({"a": 7.95}, ["loss area of A, found g"]),
        ({"b": 8.5}, ["loss area of found g, B"]),
        ({"c": None}, ["functions of their own among the best"]),
        ({"rate": 3.0}, ["what a rate learned for the same area gains"]),
        ({"rate": np.nan}, ["what a rate learned for the same area gains"]),
        ({"learned": 8.0}, ["loss area with a rate learned by backpropagation"]),
        ({"touched": ("v", "d")}, ["numbers of the best ω at the end of the box"]),
        ({"searched": 2.6}, ["best area of the search, against random search's"]),
    ],
)
def test_what_figure_2_claims_is_held_claim_by_claim(monkeypatch, changed, wrong):
    checks = b_functions.result_of(found(monkeypatch, **changed)).checks
    assert len(checks) == (7 if changed == {"c": None} else 8)
    statements = failed(checks)
    assert len(statements) == len(wrong)
    assert all(one.startswith(start) for one, start in zip(statements, wrong, strict=True))


def test_the_larger_sizes_are_for_whoever_asks():
    """Nothing is trained: what `discover` would be asked for."""
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(b_functions, "_figure_2", lambda search, listener: asked.append(search) or Result(()))
        for full in (False, True):
            b_functions.figure_2_mnist(print, full=full)
            b_functions.figure_2_cifar10(print, full=full)
    small_mnist, small_cifar10, mnist, cifar10 = asked
    assert (small_mnist.samples, mnist.samples, cifar10.samples) == (2000, None, None)
    assert cifar10.options["network"] == "simplenet" and small_cifar10.options["network"].startswith("simplenet/")
    assert small_mnist.options["layer"] == mnist.options["layer"]
