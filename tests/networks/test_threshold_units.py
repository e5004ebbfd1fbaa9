"""Boolean functions as networks: truth tables, and the one that a single unit cannot have."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.networks import Network, and_unit, from_config, not_unit, or_unit, threshold_unit, xor_network

from ..cases import to_float32

PAIRS = np.array(list(itertools.product((0.0, 1.0), repeat=2)))
EXCLUSIVE = {(0, 1, 1, 0), (1, 0, 0, 1)}
TABLES = {
    "or": (or_unit, lambda u, v: u or v),
    "and": (and_unit, lambda u, v: u and v),
    "xor": (xor_network, lambda u, v: u != v),
}


def test_a_unit_is_its_equation():
    weights, bias = np.array([0.5, -2.0, 1.0]), 0.25
    unit = threshold_unit(weights.tolist(), bias)
    x = np.random.default_rng(0).normal(size=(200, 3))
    np.testing.assert_array_equal(unit(jnp.asarray(x))[:, 0], (x @ weights + bias >= 0).astype(float))
    assert unit.names == ("linear1", "threshold1")


def test_a_unit_is_on_at_zero():
    for signed in (False, True):
        assert threshold_unit([1, -1], 0, signed=signed)(jnp.ones((1, 2))) == 1


def test_a_signed_unit_answers_with_plus_and_minus_one():
    """The perceptron's f(x) = σ(w·x + b), σ = ±1: 2f - 1 of the unit that answers with 0 and 1."""
    x = np.random.default_rng(0).normal(size=(50, 2))
    unit = threshold_unit([0.5, -2.0], 0.25, signed=True)
    np.testing.assert_array_equal(unit(jnp.asarray(x))[:, 0], np.where(x @ [0.5, -2.0] + 0.25 >= 0, 1.0, -1.0))
    assert unit.names == ("linear1", "sign1")


@pytest.mark.parametrize("name", list(TABLES))
def test_the_truth_table_of_two_inputs(name):
    build, function = TABLES[name]
    expected = [[float(function(bool(u), bool(v)))] for u, v in PAIRS]
    np.testing.assert_array_equal(build()(jnp.asarray(PAIRS)), expected)


def test_the_truth_table_of_not():
    np.testing.assert_array_equal(not_unit()(jnp.array([[0.0], [1.0]])), [[1.0], [0.0]])


@pytest.mark.parametrize(
    ("build", "weights", "bias"), [(or_unit, [1, 1], -0.5), (and_unit, [1, 1], -1.5), (not_unit, [-1], 0.5)]
)
def test_the_weights_are_the_lecture_s(build, weights, bias):
    linear = build()["linear1"]
    assert linear.weight.tolist() == [weights]
    assert linear.bias.tolist() == [bias]


def weights_for(outputs):
    """w₁, w₂, b of a unit with these outputs on `PAIRS`, by linear programming, or None where there is none. Any unit
    can be scaled and its bias raised a little, so that its z is >= 1 or <= -1 on these four."""
    from scipy.optimize import linprog

    sides = np.where(np.array(outputs) == 1, 1.0, -1.0)
    rows = np.column_stack([PAIRS, np.ones(4)]) * sides[:, None]
    found = linprog(np.zeros(3), A_ub=-rows, b_ub=-np.ones(4), bounds=(None, None))
    return found.x if found.status == 0 else None


def test_one_unit_has_every_function_of_two_inputs_but_xor_and_its_complement():
    for outputs in itertools.product((0, 1), repeat=4):
        found = weights_for(outputs)
        assert (found is None) == (outputs in EXCLUSIVE), outputs
        if found is not None:
            unit = threshold_unit(found[:2].tolist(), float(found[2]))
            np.testing.assert_array_equal(unit(jnp.asarray(PAIRS))[:, 0], outputs)


def test_no_unit_has_xor_because_its_four_inequalities_add_up_to_a_contradiction():
    """With z(u, v) = w₁u + w₂v + b: z(0, 1) + z(1, 0) = z(0, 0) + z(1, 1), and the left is >= 0, the right < 0."""
    ones = np.column_stack([PAIRS, np.ones(4)])
    np.testing.assert_array_equal(ones[1] + ones[2], ones[0] + ones[3])


def test_they_are_networks_like_any_other():
    network = xor_network()
    assert network.names == ("linear1", "threshold1", "linear2", "threshold2")
    assert from_config(network.config()).names == network.names
    pairs = jnp.asarray(PAIRS, jnp.float32)
    output = jax.jit(lambda n, x: n(x))(to_float32(network), pairs)
    assert output.dtype == jnp.float32
    assert output.tolist() == [[0], [1], [1], [0]]
    assert isinstance(network, Network)


@pytest.mark.parametrize(
    ("weights", "bias"),
    [
        ([], 0),
        ([1, "a"], 0),
        ([1, [2]], 0),
        ([1, np.nan], 0),
        ([1, 2], np.inf),
        ([1, 2], None),
        ([[1], [2]], 0),
        (3, 0),
    ],
)
def test_other_weights_are_refused_in_a_sentence(weights, bias):
    with pytest.raises(UserError, match=r"^a threshold unit takes .*; got .*\.$"):
        threshold_unit(weights, bias)
