"""How far two directions are apart: angles and norm ratios between gradients, and between weights and feedback.

A rule's update descends the loss as long as its angle to backpropagation's gradient stays below 90°
(Lillicrap et al. 2016, figure 2).
"""

import jax
import jax.numpy as jnp

from ascribe.networks import Network
from ascribe.types import Array, PyTree, Scalar


def angle(a: PyTree, b: PyTree) -> Scalar:
    """The angle in degrees between two trees of arrays, each read as one long vector; NaN where one of them is zero.

    By the half-angle formula 2·atan2(‖â - b̂‖, ‖â + b̂‖) of the unit vectors (Kahan 2006), which keeps its digits near 0°
    and 180°, where the arc cosine loses half of them.
    """
    size_a, size_b = norm(a), norm(b)
    difference = norm(jax.tree.map(lambda x, y: x / size_a - y / size_b, a, b))
    total = norm(jax.tree.map(lambda x, y: x / size_a + y / size_b, a, b))
    return jnp.degrees(2 * jnp.arctan2(difference, total))


def norm(tree: PyTree) -> Scalar:
    """The Euclidean norm of all numbers of a tree, scaled by the largest so that tiny gradients do not underflow."""
    leaves = jax.tree.leaves(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf)) for leaf in leaves]))
    scale = jnp.where(largest > 0, largest, jnp.ones_like(largest))
    return scale * jnp.sqrt(sum(jnp.sum((leaf / scale) ** 2) for leaf in leaves))


def gradient_alignment(gradients: Network, reference: Network) -> dict[str, Array]:
    """The angle (degrees) and the norm ratio ‖gradient‖ / ‖reference‖ of two gradients of one network.

    **Returns:** `gradient_angle` and `gradient_norm_ratio` over all parameters, and for every synaptic layer
    `gradient_angle/NAME` and `gradient_norm_ratio/NAME` over its weight and bias together.
    """
    found = {"gradient_angle": angle(gradients, reference), "gradient_norm_ratio": norm(gradients) / norm(reference)}
    for name in reference.synaptic:
        ours, theirs = gradients[name], reference[name]
        found[f"gradient_angle/{name}"] = angle(ours, theirs)
        found[f"gradient_norm_ratio/{name}"] = norm(ours) / norm(theirs)
    return found


def feedback_alignment(network: Network, feedback: dict[str, Array]) -> dict[str, Array]:
    """`feedback_angle/NAME`: the angle in degrees between a layer's weight W and the B that carries its error back."""
    return {f"feedback_angle/{name}": angle(network[name].weight, matrix) for name, matrix in feedback.items()}
