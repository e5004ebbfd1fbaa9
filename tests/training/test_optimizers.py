"""Named optimizers beside their published updates, in NumPy, on a trajectory of given gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ascribe.training.optimizers import factory

GRADIENTS = np.random.default_rng(0).normal(size=(12, 3))
START = np.array([1.0, -2.0, 0.5])


def moved(name, gradients, rate):
    """The parameters after each step."""
    optimizer = factory(name)(jnp.asarray(rate))

    def step(carry, gradient):
        parameters, state = carry
        updates, state = optimizer.update(gradient, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
        return (parameters, state), parameters

    start = jnp.asarray(START)
    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam counts its steps in int32
        return np.asarray(jax.lax.scan(step, (start, optimizer.init(start)), jnp.asarray(gradients))[1])


def adadelta(gradients, rate, rho=0.9, eps=1e-6):
    """Zeiler (2012), algorithm 1."""
    x, squares, moves = START, 0.0, 0.0
    for g in gradients:
        squares = rho * squares + (1 - rho) * g**2
        by = -np.sqrt(moves + eps) / np.sqrt(squares + eps) * g
        moves = rho * moves + (1 - rho) * by**2
        x = x + rate * by
        yield x


def adamw(gradients, rate, decay=1e-4):
    """Loshchilov & Hutter (2019), algorithm 2, with the rate on the decay too."""
    x, m, v = START, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        x = x - rate * (m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8) + decay * x)
        yield x


@pytest.mark.parametrize(("name", "reference"), [("adadelta", adadelta), ("adamw", adamw)])
def test_steps_are_those_of_the_publication(name, reference):
    found = moved(name, GRADIENTS, 0.3)
    np.testing.assert_allclose(found, np.stack([*reference(GRADIENTS, 0.3)]), rtol=1e-9)


def test_rprop_halves_its_steps_down_to_a_millionth_where_signs_alternate():
    """Riedmiller & Braun (1993): a step of 0.1 is halved at every change of sign, and no smaller than 1e-6."""
    signs = np.where(np.arange(60) % 2 == 0, 1.0, -1.0)[:, None] * np.ones(3)
    steps = np.abs(np.diff(moved("rprop", signs, 0.1), axis=0)).max(axis=1)
    steps = steps[steps > 0]
    assert steps.max() <= 0.1
    np.testing.assert_allclose(steps.min(), 1e-6, rtol=1e-6)
