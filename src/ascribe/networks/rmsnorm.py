"""Normalization by the root mean square of an example."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import positive
from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer


class RMSNorm(AbstractLayer):
    """y = x / √(mean x² + ε), the mean over all units of an example: its length goes, its direction stays (Zhang & Sennrich
    2019, equation 4, without the learned gain). It has no parameters and no state. For x of mean 0 and ε → 0 it is `LayerNorm`
    before its gain.
    """

    epsilon: float = eqx.field(static=True)
    kind: ClassVar[str] = "rmsnorm"

    def __init__(self, *, epsilon: float = 1e-8, key: Key | None = None):
        self.epsilon = positive("epsilon", epsilon)

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        squares = jnp.mean(x * x, axis=tuple(range(1, x.ndim)), keepdims=True)
        return x / jnp.sqrt(squares + self.epsilon), state

    def config(self) -> dict[str, Any]:
        return {"epsilon": self.epsilon}
