"""Pooling: over non-overlapping windows of channels-last images, and over all places."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer, check_image, size_of


def _windows(x: Array, window: int) -> Array:
    """`(batch, rows, window, columns, window, channels)`; a border that does not fill a window is left out."""
    batch, height, width, channels = x.shape
    rows, columns = height // window, width // window
    return x[:, : rows * window, : columns * window, :].reshape(batch, rows, window, columns, window, channels)


class _AbstractPool2d(AbstractLayer):
    """One number for each window × window square: the `reduction` of what is in it."""

    window: int = eqx.field(static=True)
    reduction: eqx.AbstractClassVar[Callable[..., Array]]

    def __init__(self, window: int = 2, *, key: Key | None = None):
        self.window = size_of("window", type(self).__name__, window)

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch rows columns channels"], PyTree]:
        return type(self).reduction(_windows(x, self.window), axis=(2, 4)), state

    def config(self) -> dict[str, Any]:
        return {"window": self.window}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)


class MaxPool2d(_AbstractPool2d):
    """The largest value of each window × window square. By reshape and max: inside `lax.scan` on a CPU this is much
    faster than a windowed reduction, and its gradient needs no scatter. Tied maxima share the gradient equally."""

    kind: ClassVar[str] = "maxpool"
    reduction: ClassVar[Callable[..., Array]] = staticmethod(jnp.max)


class AveragePool2d(_AbstractPool2d):
    """The mean of each window × window square."""

    kind: ClassVar[str] = "averagepool"
    reduction: ClassVar[Callable[..., Array]] = staticmethod(jnp.mean)


class GlobalAveragePool(AbstractLayer):
    """The mean over all axes but the batch's and the last: over the pixels of an image, the steps of a sequence: `(batch, …,
    channels)` to `(batch, channels)` (Lin, Chen & Yan 2014, section 3.2)."""

    kind: ClassVar[str] = "globalaveragepool"

    def __init__(self, *, key: Key | None = None):
        pass

    def __call__(
        self,
        x: Float[Array, "batch ... channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch channels"], PyTree]:
        return jnp.mean(x, axis=tuple(range(1, x.ndim - 1))), state

    def config(self) -> dict[str, Any]:
        return {}
