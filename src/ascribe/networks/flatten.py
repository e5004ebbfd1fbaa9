"""From images to vectors."""

from typing import Any, ClassVar

from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer


class Flatten(AbstractLayer):
    """Every example as one vector: `(batch, …)` to `(batch, features)`."""

    kind: ClassVar[str] = "flatten"

    def __init__(self, *, key: Key | None = None):
        pass

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch features"], PyTree]:
        return x.reshape(x.shape[0], -1), state

    def config(self) -> dict[str, Any]:
        return {}
