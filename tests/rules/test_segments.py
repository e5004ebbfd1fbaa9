"""Auxiliary activations and what they differ by from the layer below."""

import jax
import numpy as np

from ascribe.networks import mlp
from ascribe.rules import RelaxedIdentity


def test_auxiliaries_are_found_again_from_their_residuals():
    """`laid` undoes `residuals`, which are e_t = z_t - f(z_{t-1}), with that sign."""
    network = mlp([2, 4, 4, 1], activation="tanh", key=jax.random.key(0))
    segments = RelaxedIdentity().segments(network)

    @jax.jit
    def there_and_back(x, noise):
        z = jax.tree.map(lambda one: one + noise[None], segments.grouped(segments.in_turn(network, x)[:-1]))
        residuals = segments.residuals(network, x, z)
        return z, residuals, segments.laid(network, x, residuals)

    x, noise = jax.random.normal(jax.random.key(1), (5, 2)), jax.random.normal(jax.random.key(2), (5, 4))
    z, residuals, again = there_and_back(x, noise)
    jax.tree.map(lambda ours, theirs: np.testing.assert_allclose(ours, theirs, atol=1e-6), again, z)
    np.testing.assert_allclose(residuals["linear1"][0], noise, atol=1e-6)  # the input below it is what it is
