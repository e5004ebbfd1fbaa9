"""JAX's search for NaNs finds those of the computation: nothing that trains or searches makes one as a mark."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import rules
from ascribe.rules import AbstractRule, Credit
from ascribe.training.loop import Curve

from . import tiny


@pytest.mark.parametrize(
    "rule", [tiny.Still(), *(pytest.param(name, marks=pytest.mark.slow) for name in rules.default_names())], ids=str
)
def test_training_is_the_same_under_the_search_for_nans(rule):
    """`Still` has no direction: its angles are no numbers, and NaN in the curves as without the search."""
    name = rule if isinstance(rule, str) else "still"
    several = name == "forward-pass-one-versus-rest"
    data = tiny.data("classification") if several else tiny.data()
    options = {"diagnostics": True, "epochs": 2, "seeds": 1}
    network = tiny.mlp(3 if several else 1)
    without = tiny.trained(rule, data, network, **options)
    with jax.debug_nans(True):
        within = tiny.trained(rule, data, network, **options)
    for label, curve in without.curves.items():
        np.testing.assert_array_equal(within.curves[label], curve, err_msg=label)
    assert np.isfinite(within.train_loss).all()
    if name == "still":
        assert np.isnan(within.curves["gradient_angle"]).all()


class Broken(AbstractRule):
    """Its gradients are logarithms of numbers below 0."""

    def __call__(self, network, state, batch, *, key):
        credit = rules.Backpropagation()(network, state, batch, key=key)
        gradients = jax.tree.map(lambda leaf: jnp.log(-1.0 - jnp.abs(leaf)), credit.gradients)
        return Credit(credit.loss, gradients, state, credit.network_state)


def test_a_rule_s_own_nan_is_still_found():
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        tiny.trained(Broken(), epochs=2, seeds=1)


def test_a_search_is_the_same_under_the_search_for_nans():
    x, y = np.array([[0.2], [0.2], [0.7], [0.9]]), np.array([1.0, 1.0, 0.5, 1e12])
    expected = ascribe.search.suggest(x, y, 2, seed=3, initial=4)
    with jax.debug_nans(True):
        np.testing.assert_array_equal(ascribe.search.suggest(x, y, 2, seed=3, initial=4), expected)


def test_a_curve_has_gaps_outside_of_programs_only():
    numbers = np.float32([0.5, np.nan, np.inf, -1.0])
    with jax.debug_nans(True):
        curve = Curve.of(numbers)
        moved = jax.jit(lambda curve: curve.at(jnp.asarray(3), curve.values[0] * 4.0))(curve)
    np.testing.assert_array_equal(curve.numbers(), numbers)
    np.testing.assert_array_equal(moved.numbers(), np.float32([0.5, np.nan, np.inf, 2.0]))
    assert moved.numbers().dtype == np.float32
