"""The shortcut without weights of residual networks."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import at_least
from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer, check_image, size_of


class Subsample(AbstractLayer):
    """Every `stride`-th pixel of both axes, with `added` further channels of zeros: `(batch, height, width, channels)` to
    `(batch, ⌈height/stride⌉, ⌈width/stride⌉, channels + added)` (He et al. 2016, shortcut A). With `stride` 1 and `added` 0,
    the identity."""

    stride: int = eqx.field(static=True)
    added: int = eqx.field(static=True)
    kind: ClassVar[str] = "subsample"

    def __init__(self, stride: int = 2, added: int = 0, *, key: Key | None = None):
        self.stride = size_of("stride", "Subsample", stride)
        self.added = at_least(0, "added", added)

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch rows columns channels_and_added"], PyTree]:
        return jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), (0, self.added))), state

    def config(self) -> dict[str, Any]:
        return {"stride": self.stride, "added": self.added}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)
