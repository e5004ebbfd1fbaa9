"""The projection that sequences begin with, and their learned positions."""

from typing import Any, ClassVar

import jax.random as jr

from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .layer import AbstractLayer, check_sequence, size_of
from .linear import Linear

SPREAD = 0.02
"""Standard deviation of the positions at the start."""


class Embedding(AbstractLayer):
    """y_t = W x_t + b + p_t: the same projection of every step, with a learned vector of its position, `(batch, time,
    features)` to `(batch, time, width)` (Dosovitskiy et al. 2021, equation 1, without the class token).

    `projection`: W and b; `position`: p, `(length, width)`, normal with the standard deviation 0.02 at the start; None without
    a `length`, for a network that does not ask where a step is, or knows it otherwise.
    """

    projection: Linear
    position: Float[Array, "length width"] | None
    kind: ClassVar[str] = "embedding"

    def __init__(
        self,
        features: int,
        width: int,
        *,
        length: int | None = None,
        bias: bool = True,
        initializer: str = "lecun-normal",
        key: Key | None = None,
    ):
        features, width = size_of("features", "Embedding", features), size_of("width", "Embedding", width)
        own, other = jr.split(initializers.own_key(key))
        self.projection = Linear(features, width, bias=bias, initializer=initializer, key=own)
        self.position = None
        if length is not None:
            steps = size_of("length", "Embedding", length)
            initializers.check_parameters(steps * width)
            self.position = SPREAD * jr.normal(other, (steps, width))

    def __call__(
        self,
        x: Float[Array, "batch time features"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch time width"], PyTree]:
        y = self.projection(x)[0]
        return (y if self.position is None else y + self.position[None]), state

    def config(self) -> dict[str, Any]:
        return {
            "features": self.projection.fan_in,
            "width": self.projection.fan_out,
            "length": None if self.position is None else self.position.shape[-2],
            "bias": self.projection.bias is not None,
            "initializer": self.projection.initializer,
        }

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape, self.projection.fan_in)
        if self.position is not None and shape[0] != self.position.shape[-2]:
            raise UserError(
                f"layer {name} has learned positions for {self.position.shape[-2]} steps but gets the shape {shape}: build the "
                f"network for the data, or leave `length` out."
            )
