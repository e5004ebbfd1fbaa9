"""The loop that relaxations share, and how far from rest it is."""

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.rules.relaxation import relaxed, unrest


def half(state):
    return {name: (value + 6) / 2 for name, value in state.items()}


def test_a_relaxation_takes_its_steps_and_tells_how_far_it_is_from_rest():
    start = {"a": jnp.asarray([2.0, 6.0]), "b": jnp.asarray([[-2.0]])}
    found = jax.jit(lambda state: (relaxed(half, state, 3), unrest(half, state), unrest(half, relaxed(half, state, 60))))(start)
    np.testing.assert_allclose(found[0]["a"], [5.5, 6.0])
    np.testing.assert_allclose(found[0]["b"], [[5.0]])
    np.testing.assert_allclose(found[1], np.sqrt((2**2 + 4**2) / (2**2 + 6**2 + 2**2)))
    assert float(found[2]) < 1e-15
    assert float(unrest(lambda state: state, {"a": jnp.zeros(3)})) == 0.0
