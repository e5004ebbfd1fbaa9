"""How far two directions are apart: angles and norm ratios between gradients, and between weights and feedback.

A small plain gradient step along a rule's gradient lowers the loss as long as its angle to backpropagation's stays below 90°
(Lillicrap et al. 2016, figure 2).

All of it takes trees of JAX arrays, inside a program too, or of NumPy arrays, for which nothing is compiled.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.networks import Network, Stack
from ascribe.types import Array, PyTree, Scalar

from .layers import by_layer

Number = Scalar | np.floating[Any] | np.ndarray
"""A scalar of either kind of arrays."""
QUIET = np.errstate(all="ignore")
"""As JAX is: what has no number is NaN."""
FLOOR = 4.0
"""The floor of a gradient in units of ε times its terms: there its error, 0.02 to 1.3 of them, turns it by 0.3° to 19°."""


@QUIET
def angle(a: PyTree, b: PyTree) -> Number:
    """The angle in degrees between two trees of arrays, each read as one long vector; NaN where one of them is zero.

    By the half-angle formula 2·atan2(‖â - b̂‖, ‖â + b̂‖) of the unit vectors (Kahan 2006), which keeps its digits near 0°
    and 180°, where the arc cosine loses half of them.

    >>> round(float(angle(jnp.array([1.0, 0.0]), jnp.array([2.0, 2.0]))), 3)
    45.0
    """
    (_, unit_a), (_, unit_b) = _length_and_direction(a), _length_and_direction(b)
    difference, total = unit_a - unit_b, unit_a + unit_b
    xp = _numbers(total)
    return xp.degrees(2 * xp.arctan2(xp.sqrt(xp.vdot(difference, difference)), xp.sqrt(xp.vdot(total, total))))


@QUIET
def norm(tree: PyTree) -> Number:
    """The Euclidean norm of all numbers of a tree, scaled by the largest so that tiny gradients do not underflow."""
    return _length_and_direction(tree)[0]


def _length_and_direction(tree: PyTree) -> tuple[Number, Array | np.ndarray]:
    """The norm of a tree and its unit vector. One long vector, and few operations: they are compiled for every layer."""
    leaves = jax.tree.leaves(tree)
    xp = _numbers(leaves[0])
    vector = xp.concatenate([xp.ravel(leaf) for leaf in leaves])
    largest = xp.max(xp.abs(vector))
    vector = vector / xp.where(largest > 0, largest, xp.ones_like(largest))
    length = xp.sqrt(xp.vdot(vector, vector))
    return largest * length, vector / length


def _numbers(array: Any) -> Any:
    """The module that computes with it."""
    return np if isinstance(array, np.ndarray | np.generic) else jnp


@QUIET
def gradient_alignment(gradients: Network, reference: Network, terms: Network | None = None) -> dict[str, Any]:
    """The angle (degrees) and the norm ratio ‖gradient‖ / ‖reference‖ of two gradients of one network.

    **Arguments:** `gradients`, `reference`: networks, `unstacked` ones where their arrays are NumPy's; `terms`: a tree like the
    reference, whose norm in a layer is the size of the terms that the reference is summed from
    (`rules.gradient_and_terms`). A layer whose reference is at the floor of its arithmetic, ‖reference‖ ≤ 4 ε ‖terms‖, or
    underflows has neither angle nor ratio then: they are NaN, and those of all parameters are of the others.

    **Returns:** `gradient_angle` and `gradient_norm_ratio` over all parameters, and for every synaptic layer
    `gradient_angle/NAME` and `gradient_norm_ratio/NAME` over its weight and bias together (of a site inside a layer: over its
    weight); with `terms`, `gradient_over_floor/NAME` too, the norm of the reference in units of its floor: at most 1 where
    nothing is measurable, and NaN for a gradient of zero that is summed from zeros.
    """
    if terms is None:
        found = {"": _compared(gradients, reference), **by_layer(_compared, gradients, reference)}
    else:
        found = {"": _compared(*_measurable(gradients, reference, terms)), **by_layer(_judged, gradients, reference, terms)}
    return {
        f"gradient_{what}{'/' if name else ''}{name}": value for name, values in found.items() for what, value in values.items()
    }


def _compared(ours: PyTree, theirs: PyTree) -> dict[str, Any]:
    return {"angle": angle(ours, theirs), "norm_ratio": norm(ours) / norm(theirs)}


def _judged(ours: PyTree, theirs: PyTree, terms: PyTree) -> dict[str, Any]:
    over = _over_floor(theirs, terms)
    values, xp = _compared(ours, theirs), _numbers(over)
    return {
        **{what: xp.where(over <= 1, xp.full_like(one, xp.nan), one) for what, one in values.items()},
        "over_floor": over,
    }


def _over_floor(reference: PyTree, terms: PyTree) -> Number:
    """The norm in units of its floor, which is no smaller than what arithmetic can hold with all its digits."""
    size, of_terms = norm(reference), norm(terms)
    limits, xp = jnp.finfo(size.dtype), _numbers(size)
    least = xp.maximum(xp.full_like(size, limits.tiny / limits.eps), size * limits.eps**2)  # the quotient is finite
    floor = xp.maximum(FLOOR * _rounding(size.dtype) * of_terms, least)
    return xp.where((size == 0) & (of_terms == 0), xp.full_like(size, xp.nan), size / floor)


def _rounding(dtype: Any) -> float:
    """ε of the products: accelerators shorten the factors of single precision, unless JAX was told otherwise."""
    shortened = {"gpu": 2.0**-10, "tpu": 2.0**-7}.get(jax.default_backend())
    chosen = jax.config.jax_default_matmul_precision in (None, "default")  # pyright: ignore[reportAttributeAccessIssue]
    return shortened if shortened and chosen and dtype == jnp.float32 else float(jnp.finfo(dtype).eps)


def _measurable(gradients: Network, reference: Network, terms: Network) -> tuple[list[Any], list[Any]]:
    """The two gradients with zeros in the place of all layers whose reference is at its floor."""

    def kept(*trees: PyTree) -> tuple[PyTree, PyTree]:
        over = _over_floor(*trees[1:])
        xp = _numbers(over)
        return jax.tree.map(lambda leaf: xp.where(over <= 1, xp.zeros_like(leaf), leaf), trees[:2])

    found: list[Any] = []
    for number, parts in enumerate(zip(gradients.parts, reference.parts, terms.parts, strict=True)):
        same: Any = parts
        if isinstance(reference.parts[number], Stack):
            layers = zip(*(part.layers for part in same), strict=True)
            found += [jax.vmap(kept)(*layer) for layer in layers if jax.tree.leaves(layer)]
        elif reference.names[reference.starts[number]] in reference.composites:
            found += [kept(*leaf) for leaf in zip(*map(jax.tree.leaves, same), strict=True)]
        elif jax.tree.leaves(same):
            found.append(kept(*same))
    ours, theirs = zip(*found, strict=True)
    return list(ours), list(theirs)


def feedback_alignment(network: Network, feedback: dict[str, Array]) -> dict[str, Any]:
    """`feedback_angle/NAME`: the angle in degrees between a layer's weight W and the B that carries its error back."""
    return {f"feedback_angle/{name}": angle(network[name].weight, matrix) for name, matrix in feedback.items()}
