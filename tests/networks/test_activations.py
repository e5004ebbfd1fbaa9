"""Activation functions beside their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.networks import ACTIVATIONS, activations
from ascribe.neurons import LIF

ELEMENTWISE = [name for name, row in ACTIVATIONS.items() if row.elementwise]
GRID = jnp.array([-30.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 30.0])
NOTES = jnp.array([0.6, 3.4, -1.2, 0.05])


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
    "relu": lambda z: np.maximum(z, 0),
    "clipped-relu": lambda z: np.clip(z, 0, 10),
    "leaky-relu": lambda z: np.where(z < 0, 0.01 * z, z),
    "softplus": lambda z: np.log1p(np.exp(z)),
    "lif-rate": lambda z: np.array([lif(float(x)) for x in z]),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_derivative_is_that_of_the_function(name):
    row = ACTIVATIONS[name]
    expected = jax.vmap(jax.grad(row.function))(GRID)
    np.testing.assert_allclose(row.derivative(GRID), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_function_is_its_formula(name):
    np.testing.assert_allclose(ACTIVATIONS[name].function(GRID), FORMULAS[name](np.asarray(GRID)), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "slope"),
    [("relu", 0), ("clipped-relu", 0), ("leaky-relu", 1), ("threshold", 0), ("logistic", 0.25), ("softplus", 0.5)],
)
def test_the_slope_at_zero(name, slope):
    assert float(ACTIVATIONS[name].derivative(jnp.zeros(()))) == slope


def test_the_clipped_relu_is_flat_from_its_ceiling_on():
    z = jnp.array([9.999, 10.0, 10.001])
    np.testing.assert_array_equal(ACTIVATIONS["clipped-relu"].function(z), [9.999, 10.0, 10.0])
    np.testing.assert_array_equal(ACTIVATIONS["clipped-relu"].derivative(z), [1.0, 0.0, 0.0])


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_and_derivatives_are_finite_far_out_and_keep_their_precision(name, precision):
    z = jnp.array([-1000.0, -100.0, 0.0, 100.0, 1000.0], precision)
    for part in (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative):
        assert part(z).dtype == z.dtype
        assert bool(jnp.all(jnp.isfinite(part(z))))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_a_row_says_whether_it_couples_the_units(name):
    row = ACTIVATIONS[name]
    alone = jnp.stack([row.function(NOTES[k : k + 1])[0] for k in range(4)])
    assert np.allclose(row.function(NOTES), alone, rtol=1e-14) == row.elementwise
    assert row.name == name


def test_the_rate_of_an_integrate_and_fire_neuron_is_its_tuning_curve():
    """τ_m G(1 + z) well above the threshold; at least σ/|z|-close to 0 below it."""
    z = np.array([0.5, 1.0, 3.0, 20.0])
    np.testing.assert_allclose(ACTIVATIONS["lif-rate"].function(jnp.asarray(z)), 0.02 * LIF().rate(1 + z), rtol=1e-9)
    assert float(ACTIVATIONS["lif-rate"].function(jnp.asarray(-1.0))) < 0.02
    slopes = ACTIVATIONS["lif-rate"].derivative(jnp.linspace(-1.0, 5.0, 10_001))
    assert 1.91 < float(slopes.max()) < 1.92


def test_softmax_and_one_hot_of_the_course_notes():
    """ "Neural networks" (course notes), section 1.5: z = (0.6, 3.4, -1.2, 0.05)."""
    y = ACTIVATIONS["softmax"].function(NOTES)
    np.testing.assert_allclose(y[:2], [0.06, 0.9], atol=1e-2)
    np.testing.assert_allclose(y[2:], [0.009, 0.0317], atol=1e-3)
    np.testing.assert_allclose(jnp.sum(y), 1, rtol=1e-14)
    np.testing.assert_array_equal(ACTIVATIONS["one-hot"].function(NOTES), [0, 1, 0, 0])


def test_softmax_s_derivative_is_the_diagonal_of_its_jacobian():
    row = ACTIVATIONS["softmax"]
    np.testing.assert_allclose(row.derivative(NOTES), np.diag(jax.jacobian(row.function)(NOTES)), rtol=1e-12)


def test_softmax_and_one_hot_act_on_the_last_axis():
    rows = jnp.stack([NOTES, -NOTES, 2 * NOTES])
    for name in ("softmax", "one-hot"):
        function = ACTIVATIONS[name].function
        np.testing.assert_allclose(function(rows), jnp.stack([function(row) for row in rows]), rtol=1e-15)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UserError, match="unknown activation 'sigmoid': choose one of identity, logistic, arctan"):
        activations.get("sigmoid")
