"""The end of a sequence."""

from typing import Any, ClassVar

from ascribe.types import Array, Float, Key, PyTree

from .layer import AbstractLayer, check_sequence


class LastStep(AbstractLayer):
    """The last step of every sequence: `(batch, time, features)` to `(batch, features)`."""

    kind: ClassVar[str] = "laststep"

    def __init__(self, *, key: Key | None = None):
        pass

    def __call__(
        self,
        x: Float[Array, "batch time features"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch features"], PyTree]:
        return x[:, -1], state

    def config(self) -> dict[str, Any]:
        return {}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape)
