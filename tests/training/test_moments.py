"""Signal-to-noise ratio and bias from the draws themselves."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from ascribe.training.moments import moments, snr_and_bias

from . import tiny

DRAWS = 5


def squared_norm(x):
    """Of the expectation: the mean of x_i·x_j over i ≠ j."""
    products = x @ x.T
    return (products.sum() - np.trace(products)) / len(x) / (len(x) - 1)


def test_snr_and_bias_are_means_over_pairs_of_different_draws():
    network = tiny.mlp()
    flat, unravel = ravel_pytree(network)
    rng = np.random.default_rng(0)
    ours, theirs = (rng.normal(size=(DRAWS, flat.size)) + shift for shift in (1.5, 1.0))
    draw = lambda i: (unravel(jnp.asarray(ours)[i]), unravel(jnp.asarray(theirs)[i]))
    found = jax.jit(lambda: snr_and_bias(moments(draw, DRAWS), DRAWS))()
    first = sum(leaf.size for leaf in jax.tree.leaves(network["linear1"]))
    parts = {"": slice(None), "/linear1": slice(first), "/linear2": slice(first, None)}
    assert set(found) == {f"credit_{what}{name}" for what in ("snr", "bias") for name in parts}
    for name, part in parts.items():
        c, g = ours[:, part], theirs[:, part]
        variance = np.sum((c - c.mean(axis=0)) ** 2) / (DRAWS - 1)
        np.testing.assert_allclose(found[f"credit_snr{name}"], squared_norm(c) / variance, rtol=1e-10)
        bias = np.sqrt(max(squared_norm(c - g), 0.0) / squared_norm(g))
        np.testing.assert_allclose(found[f"credit_bias{name}"], bias, rtol=1e-10)
