"""Dropout."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import share
from ascribe.errors import UserError
from ascribe.types import Array, Key, PyTree

from .layer import AbstractLayer


class Dropout(AbstractLayer):
    """In training each unit is silenced with probability `rate` and the rest are scaled by 1/(1 - rate), so that the
    expected activation stays; outside training, the identity (Srivastava et al. 2014)."""

    rate: float = eqx.field(static=True)
    kind: ClassVar[str] = "dropout"

    def __init__(self, rate: float = 0.5, *, key: Key | None = None):
        self.rate = share("`rate` of Dropout", rate, zero=True)

    def __call__(
        self, x: Array, state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Array, PyTree]:
        if not training or self.rate == 0:
            return x, state
        if key is None:
            raise UserError("Dropout in training needs randomness: pass `key=jax.random.key(0)` to the forward pass.")
        keep = jr.bernoulli(key, 1 - self.rate, x.shape)
        return jnp.where(keep, x / (1 - self.rate), jnp.zeros_like(x)), state

    def config(self) -> dict[str, Any]:
        return {"rate": self.rate}
