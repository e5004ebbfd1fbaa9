"""A spiking network that can be differentiated: the threshold's derivative, 0 everywhere but at 1, is replaced by another
function.

That is a b-function once more: a spike is z = H(v − 1) on the way forward, and δ_v = g((v − 1) · steepness) · steepness ·
δ_z on the way back. All neurons hear each other through the dense matrix W, since what cannot be said in advance (who
fires) cannot be left out.

Sources: "Neural networks" (course notes), section 1.7; "Function changes in the Backpropagation equation is equivalent to
an implicit learning rate", section 2; Neftci, Mostafa & Zenke (2019) for spiking networks.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from ascribe.checks import explained
from ascribe.errors import UserError, shown
from ascribe.networks import activations
from ascribe.types import Array, Callable, Elementwise

from .network import SpikingNetwork
from .quantities import positive, single


def spike(derivative: Elementwise) -> Elementwise:
    """H(x), 1 where x ≥ 0, with `derivative` in place of its own."""

    @jax.custom_jvp
    def fires(x: Array) -> Array:
        return (x >= 0).astype(x.dtype)

    @fires.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (dx,) = primals, tangents
        return fires(x), derivative(x) * dx

    return fires


@explained
def surrogate_spikes(
    network: SpikingNetwork,
    currents: Any,
    dt: Any = 1e-4,
    *,
    derivative: str | Elementwise = "logistic",
    steepness: float = 10.0,
) -> Array:
    """The spikes of every step, differentiable with respect to the network's parameters and the currents.

    **Arguments:** `currents`: v_in for each step, `(steps, neurons)`, in the network's precision or a higher
    one; `dt`: seconds; `derivative`: g, the name of an
    activation of `ascribe.networks` whose derivative is taken, or a function; `steepness`: how narrow g is around the
    threshold.

    **Returns:** 0 and 1, `(steps, neurons)`: those of `simulate(…, method="grid")`.

    **Raises:** `UserError` for currents of another shape, or that are no real numbers, and unknown names.
    """
    count = network.shape[0]
    try:
        given = jnp.asarray(currents)
    except (TypeError, ValueError, OverflowError):
        given = jnp.zeros(0, complex)
    if jnp.issubdtype(given.dtype, jnp.complexfloating):
        raise UserError(f"currents are real numbers of the shape (steps, {count}); got {shown(currents)}.")
    if given.ndim != 2 or given.shape[1:] != network.shape:
        raise UserError(f"currents have the shape (steps, {count}); got {given.shape}.")
    with jax.numpy_dtype_promotion("standard"):
        dtype = jnp.result_type(given, *jax.tree.leaves(network))
    positive("steepness", steepness, "1 / thresholds")
    g: Callable[[Array], Array] = activations.get(derivative).derivative if isinstance(derivative, str) else derivative
    fire = spike(lambda x: steepness * g(steepness * x))
    dt = single("dt", dt, "seconds")
    if not isinstance(network.neurons.tau_ref, Tracer):
        network.check(dt)
    width = jnp.asarray(dt, dtype)
    matrix = network.connection.matrix().astype(dtype) / network.tau_s
    decay = jnp.exp(-width / network.tau_s)
    growth, kernel = jnp.expm1(-width / network.neurons.tau_m), network.response(width, network.neurons.tau_m)

    def step(state: Any, J: Array) -> tuple[Any, Array]:
        gap, wait, s = state
        a = network.excess(J)
        free = (wait <= 0.5 * width).astype(dtype)
        gap = 1.0 - free + free * (gap + (gap + a) * growth - s * kernel)
        z = free * fire(-gap)
        s = s * decay + jnp.einsum("ij,j->i", matrix, z, precision=jax.lax.Precision.HIGHEST)
        wait = jnp.where(z > 0, network.neurons.tau_ref, wait - width)
        return (gap + z * (1.0 - gap), wait, s), z

    still = jnp.zeros(network.shape, dtype)
    return jax.lax.scan(step, (still + 1.0, still, still), given.astype(dtype))[1]
