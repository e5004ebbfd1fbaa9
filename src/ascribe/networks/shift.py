"""A constant offset."""

import sys
from typing import Any, ClassVar

import equinox as eqx

from ascribe.checks import real
from ascribe.errors import UserError, shown
from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer


class Shift(AbstractLayer):
    """y = x + `offset`, the same fixed number for every unit ("Binary Classifier Forward-Pass Optimization", equation 11,
    with the offset -0.001 after the last layer: an output that is never exactly 0)."""

    offset: float = eqx.field(static=True)
    kind: ClassVar[str] = "shift"

    def __init__(self, offset: float = -0.001, *, key: Key | None = None):
        number = real(offset)
        if number is None or not abs(number) <= sys.float_info.max:
            raise UserError(f"`offset` of Shift is a finite number; got {shown(offset)}.")
        self.offset = float(number)

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        return x + self.offset, state

    def config(self) -> dict[str, Any]:
        return {"offset": self.offset}

    @property
    def repeats(self) -> bool:
        return True
