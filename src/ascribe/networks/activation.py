"""The layer that applies an activation function."""

from typing import Any, ClassVar

import equinox as eqx

from ascribe.types import Array, Float, Key, PyTree

from . import activations
from .layer import AbstractLayer


class Activation(AbstractLayer):
    """h = f(z), with f named in `activations.ACTIVATIONS`, or `leaky-relu:slope=0.2`. Its derivative is the term that
    b-functions replace."""

    function: str = eqx.field(static=True)
    kind: ClassVar[str] = "activation"

    def __init__(self, function: str, *, key: Key | None = None):
        self.function = activations.get(function).name

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        return activations.get(self.function).function(x), state

    def config(self) -> dict[str, Any]:
        return {"function": self.function}

    @property
    def repeats(self) -> bool:
        return True
