"""The dense synaptic layer."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import flag
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .layer import size_of
from .synaptic import AbstractSynapticLayer


class Linear(AbstractSynapticLayer):
    """z = W x + b for each example ("Solving Deeper Multilayer Perceptrons", equation 1), or for each vector of the last axis.

    `weight`: `(fan_out, fan_in)`; `bias`: `(fan_out,)`, zero at the start, or None. On a batch (rows are examples, as in
    the course notes' row-vector convention) this is z = x Wᵀ + b. Of sequences `(batch, time, fan_in)` every step is
    multiplied by the same W; a network that begins with this layer takes each example as one vector.
    """

    weight: Float[Array, "fan_out fan_in"]
    bias: Float[Array, " fan_out"] | None
    initializer: str = eqx.field(static=True)

    kind: ClassVar[str] = "linear"
    dense: ClassVar[bool] = True
    wants_vectors: ClassVar[bool] = True

    def __init__(self, fan_in: int, fan_out: int, *, bias: bool = True, initializer: str = "he-normal", key: Key | None = None):
        fan_in, fan_out = size_of("fan_in", "Linear", fan_in), size_of("fan_out", "Linear", fan_out)
        self.initializer = initializers.check(initializer)
        key = initializers.own_key(key)
        self.weight = initializers.draw(initializer, key, (fan_out, fan_in), in_axis=1, out_axis=0)
        self.bias = jnp.zeros(fan_out) if flag("bias", bias) else None

    def __call__(
        self,
        x: Float[Array, "batch ... fan_in"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch ... fan_out"], PyTree]:
        z = x @ self.weight.T
        return (z if self.bias is None else z + self.bias[(None,) * (x.ndim - 1)]), state

    def config(self) -> dict[str, Any]:
        return {
            "fan_in": self.fan_in,
            "fan_out": self.fan_out,
            "bias": self.bias is not None,
            "initializer": self.initializer,
        }

    @property
    def fan_in(self) -> int:
        return self.weight.shape[-1]

    @property
    def fan_out(self) -> int:
        return self.weight.shape[-2]

    @property
    def outputs(self) -> int:
        return self.fan_out

    @property
    def repeats(self) -> bool:
        return self.fan_in == self.fan_out

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        if shape[-1:] != (self.fan_in,):
            raise UserError(
                f"layer {name} takes {self.fan_in} numbers an example but gets the shape {shape}: "
                f"build the network for the data, or add Flatten() before it."
            )

    def design_matrix(self, x: Float[Array, "batch ... fan_in"]) -> Float[Array, "equations fan_in"]:
        return x.reshape(-1, self.fan_in)

    def weight_of(self, matrix: Float[Array, "fan_out fan_in"]) -> Float[Array, "fan_out fan_in"]:
        return matrix
