"""Layer normalization."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import not_negative
from ascribe.types import Array, Float, Key, PyTree

from .initializers import check_parameters
from .layer import AbstractLayer, check_last_axis, size_of


class LayerNorm(AbstractLayer):
    """y = scale · (x - μ) / √(v + ε) + shift, with the mean μ and the (biased) variance v of each vector of the last axis, in
    training and outside (Ba, Kiros & Hinton 2016). It has no state.

    `scale`, `shift`: `(features,)`, ones and zeros at the start.
    """

    scale: Float[Array, " features"]
    shift: Float[Array, " features"]
    epsilon: float = eqx.field(static=True)
    kind: ClassVar[str] = "layernorm"

    def __init__(self, features: int, *, epsilon: float = 1e-5, key: Key | None = None):
        features = size_of("features", "LayerNorm", features)
        check_parameters(2 * features)
        self.scale, self.shift = jnp.ones(features), jnp.zeros(features)
        self.epsilon = not_negative("epsilon", epsilon)

    def __call__(
        self,
        x: Float[Array, "batch ... features"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch ... features"], PyTree]:
        centered = x - jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.mean(centered * centered, axis=-1, keepdims=True)
        broadcast = (None,) * (x.ndim - 1)
        return self.scale[broadcast] * centered / jnp.sqrt(variance + self.epsilon) + self.shift[broadcast], state

    def config(self) -> dict[str, Any]:
        return {"features": self.scale.shape[-1], "epsilon": self.epsilon}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_last_axis(name, shape, self.scale.shape[-1])
