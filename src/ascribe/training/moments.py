"""How good an estimate of the gradient a rule's credit is: its bias, and its signal-to-noise ratio.

The credit c of one step is a random vector: it depends on the batch and on what the rule draws. g is backpropagation's
gradient of the same batch, with the same dropout. Everything is made of sums of squares about a mean, so that squared norms and
variances are unbiased for any number n of draws:

    ‖E c‖²      ‖c̄‖² - V/n,  c̄ the mean of n independent draws of c
    tr Cov c    V = Σ ‖c_i - c̄‖² / (n - 1)
    SNR         ‖E c‖² / tr Cov c
    bias        ‖E (c - g)‖ / ‖E g‖, both norms as above

Backpropagation has the bias 0, and on the full batch, without dropout, the variance 0.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ascribe.metrics import by_layer
from ascribe.networks import Network
from ascribe.types import Array, Scalar

TOTAL = "total"
"""What stands in the place of a layer's name for all parameters together."""
FAMILIES = ("credit", "reference", "difference")

ByLayer = dict[str, Array]


class Moments(NamedTuple):
    """The mean credit and reference of some draws, and by family and layer the sums of squares about the mean."""

    credit: Network
    reference: Network
    squares: dict[str, ByLayer]


def moments(draw: Callable[[Array], tuple[Network, Network]], count: int) -> Moments:
    """Of the credits and references `draw(0)`, `draw(1)`, …, one at a time (Welford 1962): they take the memory of a few
    gradients, and what never varies has sums of exactly 0."""
    like: Any = jax.eval_shape(draw, jax.ShapeDtypeStruct((), jnp.arange(1).dtype))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), like)

    def step(number: Array, carry: Any) -> Any:
        means, squares = carry
        drawn = draw(number)
        before = minus(drawn, means)
        means = jax.tree.map(lambda mean, one: mean + one / (number + 1).astype(one.dtype), means, before)
        after = minus(drawn, means)
        pairs = (*zip(before, after, strict=True), (minus(*before), minus(*after)))
        new = {family: products(*pair) for family, pair in zip(FAMILIES, pairs, strict=True)}
        return means, jax.tree.map(jnp.add, squares, new)

    nothing = dict.fromkeys(FAMILIES, jax.tree.map(jnp.zeros_like, products(*zeros)))
    (credit, reference), squares = jax.lax.fori_loop(0, count, step, (zeros, nothing))
    return Moments(credit, reference, squares)


def snr_and_bias(found: Moments, count: int) -> ByLayer:
    """`credit_snr` and `credit_bias` from so many independent draws, in total and by layer. A credit that never varies has an
    infinite SNR; the bias is NaN where the reference is drowned in what differs between batches."""
    means = (found.credit, found.reference, minus(found.credit, found.reference))
    lengths = [products(mean, mean) for mean in means]
    curves: ByLayer = {}
    for layer in lengths[0]:
        variances = [found.squares[family][layer] / (count - 1) for family in FAMILIES]
        signal, reference, error = (
            length[layer] - variance / count for length, variance in zip(lengths, variances, strict=True)
        )
        name = "" if layer == TOTAL else f"/{layer}"
        curves[f"credit_snr{name}"] = signal / variances[0]
        bias = jnp.sqrt(jnp.maximum(error, jnp.zeros_like(error)) / jnp.abs(reference))
        curves[f"credit_bias{name}"] = jnp.where(reference > 0, bias, jnp.full_like(bias, jnp.nan))
    return curves


def products(a: Network, b: Network) -> ByLayer:
    """The inner product of two gradients, in total and by layer."""

    def inner(a: Any, b: Any) -> Scalar:
        leaves = jax.tree.leaves(b)
        pairs = zip(jax.tree.leaves(a), leaves, strict=True)
        return sum((jnp.vdot(x, y) for x, y in pairs), start=jnp.zeros((), leaves[0].dtype))

    return {TOTAL: inner(a, b), **by_layer(inner, a, b)}


def minus(a: Any, b: Any) -> Any:
    """The difference of two trees."""
    return jax.tree.map(jnp.subtract, a, b)
