"""A constant offset."""

from typing import Any, ClassVar

import equinox as eqx

from ascribe.checks import finite
from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer


class Shift(AbstractLayer):
    """y = x + `offset`, the same fixed number for every unit ("Binary Classifier Forward-Pass Optimization", equation 11,
    with the offset -0.001 after the last layer: an output that is never exactly 0)."""

    offset: float = eqx.field(static=True)
    kind: ClassVar[str] = "shift"

    def __init__(self, offset: float = -0.001, *, key: Key | None = None):
        self.offset = finite("`offset` of Shift", offset)

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        return x + self.offset, state

    def config(self) -> dict[str, Any]:
        return {"offset": self.offset}

    @property
    def repeats(self) -> bool:
        return True
