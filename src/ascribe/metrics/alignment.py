"""How far two directions are apart: angles and norm ratios between gradients, and between weights and feedback.

A small plain gradient step along a rule's gradient lowers the loss as long as its angle to backpropagation's stays below 90°
(Lillicrap et al. 2016, figure 2).
"""

from typing import Any

import jax
import jax.numpy as jnp

from ascribe.networks import Network, Stack
from ascribe.types import Array, PyTree, Scalar


def angle(a: PyTree, b: PyTree) -> Scalar:
    """The angle in degrees between two trees of arrays, each read as one long vector; NaN where one of them is zero.

    By the half-angle formula 2·atan2(‖â - b̂‖, ‖â + b̂‖) of the unit vectors (Kahan 2006), which keeps its digits near 0°
    and 180°, where the arc cosine loses half of them.

    >>> round(float(angle(jnp.array([1.0, 0.0]), jnp.array([2.0, 2.0]))), 3)
    45.0
    """
    (_, unit_a), (_, unit_b) = _length_and_direction(a), _length_and_direction(b)
    difference, total = unit_a - unit_b, unit_a + unit_b
    return jnp.degrees(2 * jnp.arctan2(jnp.sqrt(jnp.vdot(difference, difference)), jnp.sqrt(jnp.vdot(total, total))))


def norm(tree: PyTree) -> Scalar:
    """The Euclidean norm of all numbers of a tree, scaled by the largest so that tiny gradients do not underflow."""
    return _length_and_direction(tree)[0]


def _length_and_direction(tree: PyTree) -> tuple[Scalar, Array]:
    """The norm of a tree and its unit vector. One long vector, and few operations: they are compiled for every layer."""
    vector = jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])
    largest = jnp.max(jnp.abs(vector))
    vector = vector / jnp.where(largest > 0, largest, jnp.ones_like(largest))
    length = jnp.sqrt(jnp.vdot(vector, vector))
    return largest * length, vector / length


def gradient_alignment(gradients: Network, reference: Network) -> dict[str, Array]:
    """The angle (degrees) and the norm ratio ‖gradient‖ / ‖reference‖ of two gradients of one network.

    **Returns:** `gradient_angle` and `gradient_norm_ratio` over all parameters, and for every synaptic layer
    `gradient_angle/NAME` and `gradient_norm_ratio/NAME` over its weight and bias together (of a site inside a layer: over its
    weight).
    """
    both = lambda ours, theirs: (angle(ours, theirs), norm(ours) / norm(theirs))
    found: dict[str, Array] = dict(zip(("gradient_angle", "gradient_norm_ratio"), both(gradients, reference), strict=True))
    ours: Any
    theirs: Any
    for number, (ours, theirs) in enumerate(zip(gradients.parts, reference.parts, strict=True)):
        names = reference.names[reference.starts[number] :]
        if not isinstance(theirs, Stack):
            pairs = [(names[0], both(ours, theirs))] if theirs.synaptic else []
            inner = [site for site in reference.sites if reference.names[site.layer] == names[0]]
            leaves = list(zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)) if inner else []
            pairs += [(site.name, both(*leaves[site.leaf])) for site in inner]
        else:  # all blocks at once
            pairs, period = [], len(theirs.layers)
            for i, layer in enumerate(theirs.layers):
                if layer.synaptic:
                    angles, ratios = jax.vmap(both)(ours.layers[i], layer)
                    pairs += [(names[i + period * row], (angles[row], ratios[row])) for row in range(theirs.count)]
        for name, (one, ratio) in pairs:
            found |= {f"gradient_angle/{name}": one, f"gradient_norm_ratio/{name}": ratio}
    return found


def feedback_alignment(network: Network, feedback: dict[str, Array]) -> dict[str, Array]:
    """`feedback_angle/NAME`: the angle in degrees between a layer's weight W and the B that carries its error back."""
    return {f"feedback_angle/{name}": angle(network[name].weight, matrix) for name, matrix in feedback.items()}
