"""Activation functions beside their derivatives."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.networks import ACTIVATIONS, activations, from_config, mlp
from ascribe.neurons import LIF

ELEMENTWISE = [name for name, row in ACTIVATIONS.items() if row.elementwise]
GRID = np.array([-30.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 30.0])
NOTES = np.array([0.6, 3.4, -1.2, 0.05])


def lif(z):
    """1 / (κ + ln(1 + 1/ρ)), ρ = σ ln(1 + e^{z/σ}); far below 0, ln ρ = ln σ + z/σ."""
    x = z / 0.02
    log_rho = np.log(0.02) + (x if x < -50 else np.log(np.logaddexp(x, 0.0)))
    return 1.0 / (0.1 + np.log1p(np.exp(log_rho)) - log_rho)


FORMULAS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "arctan": np.arctan,
    "tanh": np.tanh,
    "threshold": lambda z: np.heaviside(z, 1.0),
    "sign": lambda z: 2 * np.heaviside(z, 1.0) - 1,
    "relu": lambda z: np.maximum(z, 0),
    "clipped-relu": lambda z: np.clip(z, 0, 10),
    "leaky-relu": lambda z: np.where(z < 0, 0.01 * z, z),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "gelu": lambda z: np.array([x * math.erfc(-x / math.sqrt(2)) / 2 for x in z]),
    "lif-rate": lambda z: np.array([lif(float(x)) for x in z]),
}


def of_all(function, *arrays, names=tuple(ACTIVATIONS)):
    """function(row, *arrays) for the rows of the table, as one program."""
    return jax.jit(lambda *given: {name: function(ACTIVATIONS[name], *given) for name in names})(*arrays)


def test_the_derivative_is_that_of_the_function():
    both = lambda row, z: (row.derivative(z), jax.vmap(jax.grad(row.function))(z))
    for name, (found, expected) in of_all(both, GRID, names=ELEMENTWISE).items():
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15, err_msg=name)


def test_the_function_is_its_formula():
    for name, found in of_all(lambda row, z: row.function(z), GRID, names=ELEMENTWISE).items():
        np.testing.assert_allclose(found, FORMULAS[name](GRID), rtol=1e-12, err_msg=name)


def test_the_slope_at_zero():
    slopes = {
        "relu": 0,
        "clipped-relu": 0,
        "leaky-relu": 1,
        "threshold": 0,
        "sign": 0,
        "logistic": 0.25,
        "softplus": 0.5,
        "gelu": 0.5,
    }
    assert slopes == {name: float(y) for name, y in of_all(lambda row: row.derivative(jnp.zeros(())), names=slopes).items()}


def test_the_clipped_relu_is_flat_from_its_ceiling_on():
    z = np.array([9.999, 10.0, 10.001])
    both = of_all(lambda row, z: (row.function(z), row.derivative(z)), z, names=["clipped-relu"])
    np.testing.assert_array_equal(both["clipped-relu"], [[9.999, 10.0, 10.0], [1.0, 0.0, 0.0]])


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_and_derivatives_are_finite_far_out_and_keep_their_precision(precision):
    z = np.array([-1000.0, -100.0, 0.0, 100.0, 1000.0], precision)
    for name, parts in of_all(lambda row, z: (row.function(z), row.derivative(z)), z).items():
        for part in parts:
            assert part.dtype == z.dtype, name
            assert np.all(np.isfinite(part)), name


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_the_leaky_relu_of_another_slope(slope):
    """ReLU at 0, the identity at 1; its name says the number in one way."""
    row = activations.get(f"leaky-relu:slope={slope}")
    assert row.name == activations.get(f"leaky-relu:slope={slope:.3f}").name
    assert activations.get(row.name) is row
    y, found, expected = jax.jit(lambda z: (row.function(z), row.derivative(z), jax.vmap(jax.grad(row.function))(z)))(GRID)
    np.testing.assert_array_equal(y, np.where(GRID < 0, slope * GRID, GRID))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found, np.where(GRID < 0, slope, 1.0))


def test_a_network_takes_the_slope_and_keeps_it():
    network = mlp([2, 3, 1], activation="leaky-relu:slope=0.2")
    assert network.names == ("linear1", "leaky-relu1", "linear2")
    assert from_config(network.config())["leaky-relu1"].function == "leaky-relu:slope=0.2"


@pytest.mark.parametrize("option", ["slope=-0.1", "slope=1.5", "slope=nan", "slope=a", "slope", "leak=0.1", "0.1"])
def test_a_slope_that_is_none_is_told(option):
    with pytest.raises(UserError, match=rf"^leaky-relu takes a slope from 0 to 1, .*; got leaky-relu:{option}\.$"):
        activations.get(f"leaky-relu:{option}")


def test_a_row_says_whether_it_couples_the_units():
    alone = lambda row, z: jax.lax.map(lambda one: row.function(one[None])[0], z)
    for name, (together, one_by_one) in of_all(lambda row, z: (row.function(z), alone(row, z)), NOTES).items():
        assert np.allclose(together, one_by_one, rtol=1e-14) == ACTIVATIONS[name].elementwise, name
        assert ACTIVATIONS[name].name == name


def test_the_rate_of_an_integrate_and_fire_neuron_is_its_tuning_curve():
    """τ_m G(1 + z) well above the threshold; at least σ/|z|-close to 0 below it."""
    z = np.array([0.5, 1.0, 3.0, 20.0])
    both = of_all(lambda row, z, x: (row.function(z), row.derivative(x)), np.append(z, -1.0), np.linspace(-1.0, 5.0, 10_001))
    rates, slopes = both["lif-rate"]
    np.testing.assert_allclose(rates[:-1], 0.02 * LIF().rate(1 + z), rtol=1e-9)
    assert rates[-1] < 0.02
    assert 1.91 < slopes.max() < 1.92


def test_softmax_and_one_hot_of_the_course_notes():
    """ "Neural networks" (course notes), section 1.5: z = (0.6, 3.4, -1.2, 0.05)."""
    found = of_all(lambda row, z: row.function(z), NOTES)
    y = found["softmax"]
    np.testing.assert_allclose(y[:2], [0.06, 0.9], atol=1e-2)
    np.testing.assert_allclose(y[2:], [0.009, 0.0317], atol=1e-3)
    np.testing.assert_allclose(np.sum(y), 1, rtol=1e-14)
    np.testing.assert_array_equal(found["one-hot"], [0, 1, 0, 0])


def test_softmax_s_derivative_is_the_diagonal_of_its_jacobian():
    both = lambda row, z: (row.derivative(z), jax.jacobian(row.function)(z))
    derivative, jacobian = of_all(both, NOTES, names=["softmax"])["softmax"]
    np.testing.assert_allclose(derivative, np.diag(jacobian), rtol=1e-12)


def test_softmax_and_one_hot_act_on_the_last_axis():
    both = lambda row, z: (row.function(z), jax.lax.map(row.function, z))
    for together, one_by_one in of_all(both, np.stack([NOTES, -NOTES, 2 * NOTES]), names=["softmax", "one-hot"]).values():
        np.testing.assert_allclose(together, one_by_one, rtol=1e-15)


@pytest.mark.parametrize(("name", "called"), [("sigmoid", "logistic"), ("Leaky_ReLU", "leaky-relu"), ("linear", "identity")])
def test_what_other_libraries_call_a_function_is_told(name, called):
    with pytest.raises(UserError, match=f"unknown activation {name!r}: it is called {called} here; choose one of identity"):
        activations.get(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("sigmoidal", ""), ("tanh:slope=0.1", ""), ("leaky-relu:", "leaky-relu"), ("ReLU", "relu")]
)
def test_unknown_names_are_refused_with_the_known_ones(name, meant):
    said = f"did you mean {meant!r}, or " if meant else ""
    with pytest.raises(UserError, match=f"unknown activation {name!r}: {said}choose one of identity, logistic, arctan"):
        activations.get(name)
