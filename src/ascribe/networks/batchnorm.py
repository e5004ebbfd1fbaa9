"""Batch normalization with explicit statistics."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import not_negative, share
from ascribe.types import Array, Float, Key, PyTree

from .initializers import check_parameters
from .layer import AbstractLayer, size_of


class BatchNorm(AbstractLayer):
    """y = scale · (x - μ) / √(v + ε) + shift, per channel (Ioffe & Szegedy 2015).

    In training μ and v are the batch's mean and (biased) variance over every axis but the last, and the running
    statistics `state = (mean, variance)`, each `(channels,)`, move by 1 - `momentum` of the way to them; outside
    training the running statistics are used. They are returned, never stored in the layer.
    """

    scale: Float[Array, " channels"]
    shift: Float[Array, " channels"]
    momentum: float = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)
    kind: ClassVar[str] = "batchnorm"

    def __init__(self, channels: int, *, momentum: float = 0.9, epsilon: float = 1e-5, key: Key | None = None):
        channels = size_of("channels", "BatchNorm", channels)
        check_parameters(2 * channels)
        self.scale, self.shift = jnp.ones(channels), jnp.zeros(channels)
        self.momentum = share("`momentum` of BatchNorm", momentum, zero=True)
        self.epsilon = not_negative("`epsilon` of BatchNorm", epsilon)

    def __call__(
        self,
        x: Float[Array, "batch ... channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch ... channels"], PyTree]:
        mean, variance = self.initial_state() if state is None else state
        if training:
            axes = tuple(range(x.ndim - 1))
            batch_mean, batch_variance = jnp.mean(x, axis=axes), jnp.var(x, axis=axes)
            m = self.momentum
            state = (m * mean + (1 - m) * batch_mean, m * variance + (1 - m) * batch_variance)
            mean, variance = batch_mean, batch_variance
        gain = self.scale / jnp.sqrt(variance + self.epsilon)
        offset = self.shift - mean * gain
        broadcast = (None,) * (x.ndim - 1)
        return x * gain[broadcast] + offset[broadcast], state

    def initial_state(self) -> PyTree:
        return jnp.zeros_like(self.scale), jnp.ones_like(self.scale)

    def config(self) -> dict[str, Any]:
        return {"channels": self.scale.shape[-1], "momentum": self.momentum, "epsilon": self.epsilon}
