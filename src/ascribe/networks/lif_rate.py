"""The firing rate of a leaky integrate-and-fire neuron as an activation function: a bridge from `ascribe.neurons`.

The tuning curve G(v_in) = 1 / (τ_ref + τ_m ln(1 + 1 / (v_in − 1))), v_in > 1, leaves 0 with an infinite slope. With
ρ(z) = σ ln(1 + e^{z/σ}) in place of v_in − 1 it is smooth everywhere:

    f(z) = τ_m G̃(1 + z) = 1 / (τ_ref / τ_m + ln(1 + 1/ρ(z)))        f'(z) = f(z)² logistic(z/σ) / (ρ(z) (1 + ρ(z)))

so that z = 0 is the threshold, and f counts spikes per membrane time constant. For z of several σ it is τ_m G(1 + z).

Sources: "Neural networks" (course notes), section 1.4; Hunsberger & Eliasmith (2015) for ρ, with their σ.
"""

import jax
import jax.numpy as jnp

from ascribe.types import Array

TAU_M, TAU_REF = 0.02, 0.002
"""Seconds: the typical values of the notes."""

SMOOTHING = 0.02
"""σ."""

FAR = -34.0
"""Below this x, ln(1 + e^x) is e^x in float64."""


def lif_rate(z: Array) -> Array:
    """f(z). It falls towards 0 as σ/|z| below the threshold."""
    x = z / SMOOTHING
    soft = jax.nn.softplus(jnp.maximum(x, FAR))
    log_soft = jnp.where(x < FAR, x, jnp.log(soft))
    return 1.0 / (TAU_REF / TAU_M + jnp.log1p(SMOOTHING * soft) - log_soft - jnp.log(jnp.full_like(z, SMOOTHING)))


def lif_rate_derivative(z: Array) -> Array:
    """f'(z): at most 1.92, just above the threshold."""
    x = z / SMOOTHING
    soft = jax.nn.softplus(jnp.maximum(x, FAR))
    ratio = jnp.where(x < FAR, 1.0, jax.nn.sigmoid(x) / soft)  # ρ'/ρ times σ
    return jnp.square(lif_rate(z)) * ratio / (SMOOTHING * (1.0 + SMOOTHING * soft))
