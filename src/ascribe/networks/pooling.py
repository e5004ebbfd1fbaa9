"""Pooling over non-overlapping windows of channels-last images."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ascribe.arguments import whole
from ascribe.errors import UserError, shown
from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer, check_image


def _windows(x: Array, window: int) -> Array:
    """`(batch, rows, window, columns, window, channels)`; a border that does not fill a window is left out."""
    batch, height, width, channels = x.shape
    rows, columns = height // window, width // window
    return x[:, : rows * window, : columns * window, :].reshape(batch, rows, window, columns, window, channels)


def _check(window: object, name: str) -> int:
    pixels = whole(window)
    if pixels is None or pixels < 1:
        raise UserError(f"`window` of {name} is a positive number of pixels; got {shown(window)}.")
    return pixels


class MaxPool2d(AbstractLayer):
    """The largest value of each window × window square. By reshape and max: inside `lax.scan` on a CPU this is much
    faster than a windowed reduction, and its gradient needs no scatter. Tied maxima share the gradient equally."""

    window: int = eqx.field(static=True)
    kind: ClassVar[str] = "maxpool"

    def __init__(self, window: int = 2, *, key: Key | None = None):
        self.window = _check(window, "MaxPool2d")

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch rows columns channels"], PyTree]:
        return _reduce(x, self.window, jnp.max), state

    def config(self) -> dict[str, Any]:
        return {"window": self.window}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)


class AveragePool2d(AbstractLayer):
    """The mean of each window × window square."""

    window: int = eqx.field(static=True)
    kind: ClassVar[str] = "averagepool"

    def __init__(self, window: int = 2, *, key: Key | None = None):
        self.window = _check(window, "AveragePool2d")

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch rows columns channels"], PyTree]:
        return _reduce(x, self.window, jnp.mean), state

    def config(self) -> dict[str, Any]:
        return {"window": self.window}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)


def _reduce(x: Array, window: int, reduction: Callable[..., Array]) -> Array:
    return reduction(_windows(x, window), axis=(2, 4))
