"""From segments that learned apart to one network: each is refitted, in closed form, to what really arrives at it."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.networks import AbstractSynapticLayer, Network
from ascribe.types import Array, Float, Scalar

from .segments import CHUNK, Segments, in_chunks, through


def consolidated(
    network: Network,
    segments: Segments,
    inputs: Float[Array, "batch ..."],
    auxiliary: dict[str, Float[Array, "places batch ..."]],
    ridge: Scalar,
) -> Network:
    """One pass from the input upwards. In every segment the last synaptic layer is refitted: with A the activations that
    arrive at it from the layers refitted before (and a 1 for the bias), [W | b] changes by the smallest D in

        minimize ‖A (W + D)ᵀ - Z‖² + ridge·‖D‖²,

    both norms sums over examples and weights, Z what the layer should give: its auxiliaries, or, where there are none (after
    the activation, or at the end), what it gave to the auxiliaries below. Ours; with every auxiliary at its forward activation
    D is 0.

    **Arguments:** `inputs` and `auxiliary`: of all training examples.
    """
    own = []
    for stretch in segments.stretches:
        start = segments.of(auxiliary, stretch.first - 1, stretch.count) if stretch.first else inputs
        relaxed = stretch.first < len(segments.places) and segments.own[stretch.first]
        own.append((start, segments.of(auxiliary, stretch.first, stretch.count) if relaxed else None))

    def refit(layers: tuple[Any, ...], arriving: Array, own: tuple[Array, Array | None]) -> tuple[Array, Any]:
        taught, target = own
        synaptic = [i for i, layer in enumerate(layers) if layer.synaptic]
        if not synaptic:
            return _outputs(layers, arriving), layers
        last = synaptic[-1]
        taught, arriving = _outputs(layers[:last], taught), _outputs(layers[:last], arriving)
        wanted = _outputs(layers[last : last + 1], taught) if target is None else target
        new = refitted(layers[last], arriving, wanted, ridge)
        return _outputs((new, *layers[last + 1 :]), arriving), (*layers[:last], new, *layers[last + 1 :])

    parts: list[Any] = list(network.parts)
    for stretch, layers in zip(segments.stretches, segments.sweep(network, inputs, own, refit), strict=True):
        stretch.put(parts, layers)
    return eqx.tree_at(lambda n: n.parts, network, tuple(parts))


def _outputs(layers: tuple[Any, ...], x: Array) -> Array:
    """What the layers make of all examples."""
    return in_chunks(lambda x: through(layers, x), (x, 0), out=0) if layers else x


def refitted(
    layer: AbstractSynapticLayer, x: Float[Array, "batch ..."], wanted: Float[Array, "batch ..."], ridge: Scalar
) -> AbstractSynapticLayer:
    """The layer with the smallest change of its weights and biases that brings its output at `x` to `wanted`."""
    missing = wanted - _outputs((layer,), x)
    ridge = ridge.astype(missing.dtype)
    examples, size = x.shape[0], _rows(layer, x[:1]).shape[1]
    places = missing[:1].size // missing.shape[-1]
    if examples * places < size:  # fewer equations than unknowns: D = Rᵀ (A Aᵀ + ridge)⁻¹ A
        a, r = _rows(layer, x), missing.reshape(-1, missing.shape[-1])
        kernel = _regularized(a @ a.T, ridge)
        change = _solve(kernel, r).T @ a
    else:  # D = ((AᵀA + ridge)⁻¹ AᵀR)ᵀ, the products summed over chunks of examples
        gram, cross = _products(layer, x, missing)
        change = _solve(_regularized(gram, ridge), cross).T
    usable = jnp.all(jnp.isfinite(change))
    return jax.tree.map(lambda new, old: jnp.where(usable, new, old), _changed(layer, change), layer)


def _regularized(gram: Array, ridge: Scalar) -> Array:
    """The matrix plus the ridge, which is at least what rounding leaves of equal columns (a constant input, a saturated
    unit)."""
    least = jnp.finfo(gram.dtype).eps * jnp.trace(gram)
    return gram + jnp.maximum(ridge, least) * jnp.eye(gram.shape[0], dtype=gram.dtype)


@jax.custom_batching.sequential_vmap
def _solve(matrix: Array, right: Array) -> Array:
    """The solution of a linear system; of several runs side by side, one after the other. (The batched LAPACK call of two CPU
    devices at once can wait for itself forever, with JAX 0.10.)"""
    return jnp.linalg.solve(matrix, right)


def _rows(layer: AbstractSynapticLayer, x: Array) -> Float[Array, "equations unknowns"]:
    """A: one row for every example (and place), one column for every weight of a unit, and ones for its bias."""
    x = layer.design_matrix(x)
    return x if layer.bias is None else jnp.concatenate([x, jnp.ones((x.shape[0], 1), x.dtype)], axis=1)


def _products(layer: AbstractSynapticLayer, x: Array, missing: Array) -> tuple[Array, Array]:
    """AᵀA and AᵀR over all examples."""

    def of(x: Array, missing: Array) -> tuple[Array, Array]:
        a = _rows(layer, x)
        return a.T @ a, a.T @ missing.reshape(-1, missing.shape[-1])

    count = x.shape[0]
    whole = count // CHUNK * CHUNK
    total = of(x[whole:], missing[whole:])
    if whole:
        cut = lambda array: array[:whole].reshape(-1, CHUNK, *array.shape[1:])
        add = lambda sums, part: (jax.tree.map(jnp.add, sums, of(*part)), None)
        total, _ = jax.lax.scan(add, total, (cut(x), cut(missing)))
    return total


def _changed(layer: AbstractSynapticLayer, change: Float[Array, "fan_out unknowns"]) -> Any:
    """The layer with [W | b] changed."""
    bias = layer.bias
    if bias is not None:
        layer, change = eqx.tree_at(lambda one: one.bias, layer, bias + change[:, -1]), change[:, :-1]
    return eqx.tree_at(lambda one: one.weight, layer, layer.weight + layer.weight_of(change))
