"""The constructed network as layers gives the same numbers, and keeps the certificate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.autodiff import Sigmoid, approximate, approximate_cube
from ascribe.errors import UserError
from ascribe.networks import Network, from_config
from ascribe.networks.approximator import approximator

from ..cases import to_float32

CASES = {
    "sin": (np.sin, (0.0, 6.0), 0.01, {"lipschitz": 1.0}),
    "square root": (np.sqrt, (0.0, 1.0), 0.03, {"modulus": np.sqrt}),
    "steep": (lambda x: np.tanh(50 * x), (-1.0, 1.0), 0.1, {"lipschitz": 50.0}),
    "one piece": (np.cos, (0.0, 0.1), 0.5, {"lipschitz": 1.0}),
    "estimated": (np.sin, (0.0, 6.0), 0.01, {}),
}


@pytest.mark.parametrize("name", list(CASES))
def test_it_is_the_approximation(name):
    f, interval, epsilon, bound = CASES[name]
    g = approximate(f, interval, epsilon, **bound)
    network = approximator(g)
    assert isinstance(network, Network)
    assert network.names == ("linear1", "logistic1", "linear2")
    steps = (g.steps[1:, None] + np.array([-5.0, -1.0, 0.0, 0.3, 40.0]) / g.hidden_weights[0]).ravel()
    x = np.concatenate([np.random.default_rng(0).uniform(*interval, 500), interval, steps])
    output = np.asarray(jax.jit(lambda n, x: n(x))(network, x[:, None]))
    assert output.shape == (len(x), 1)
    assert output.dtype == np.float64
    np.testing.assert_allclose(output[:, 0], g(x), rtol=0, atol=1e-10)
    if g.certified:
        assert np.abs(output[:, 0] - f(x)).max() < g.error_bound


@pytest.mark.parametrize("sigmoid", ["tanh", "arctan"])
def test_another_sigmoid_becomes_its_own_layer(sigmoid):
    g = approximate(np.sin, (0.0, 6.0), 0.05, lipschitz=1.0, sigmoid=sigmoid)
    network = approximator(g)
    assert network.names == ("linear1", f"{sigmoid}1", "linear2")
    x = np.random.default_rng(0).uniform(0.0, 6.0, 300)
    output = np.asarray(jax.jit(lambda n, x: n(x))(network, x[:, None]))[:, 0]
    np.testing.assert_allclose(output, g(x), rtol=0, atol=1e-10)


def test_two_inputs():
    f = lambda x: np.cos(2.0 * x[:, 0]) * x[:, 1]
    g = approximate_cube(f, 2, 0.6, lipschitz=2.0)
    network = approximator(g)
    x = np.random.default_rng(0).uniform(size=(200, 2))
    output = np.asarray(jax.jit(lambda n, x: n(x))(network, x))[:, 0]
    np.testing.assert_allclose(output, g(x), rtol=0, atol=1e-9)
    assert np.abs(output - f(x)).max() < g.error_bound < 0.6


def test_a_sigmoid_that_no_layer_has_is_refused():
    own = Sigmoid("ramp", lambda z: np.clip(0.5 + z, 0.0, 1.0), 1.0, 0.0)
    with pytest.raises(UserError, match="makes layers of the sigmoids logistic, tanh, arctan; this approximation has 'ramp'"):
        approximator(approximate(np.sin, (0.0, 1.0), 0.1, lipschitz=1.0, sigmoid=own))


def test_its_weights_are_the_approximation_s():
    g = approximate(np.sin, (0.0, 3.0), 0.1, lipschitz=1.0)
    network = approximator(g)
    assert network["linear1"].weight.tolist() == g.hidden_weights[:, None].tolist()
    assert network["linear1"].bias.tolist() == g.hidden_biases.tolist()
    assert network["linear2"].weight.tolist() == [g.output_weights.tolist()]
    assert network["linear2"].bias is None
    assert network.parameters == 3 * g.hidden


def test_it_is_a_network_like_any_other():
    network = approximator(approximate(np.sin, (0.0, 3.0), 0.1, lipschitz=1.0))
    assert from_config(network.config()).names == network.names
    x = jnp.linspace(0.0, 3.0, 200, dtype=jnp.float32)[:, None]
    output = to_float32(network)(x)
    assert output.dtype == jnp.float32
    assert np.abs(output - np.sin(x)).max() < 0.11


def test_something_else_is_refused():
    with pytest.raises(UserError, match=r"^approximator\(\) takes what .* returns; got <ufunc 'sin'>\.$"):
        approximator(np.sin)
