"""The contract that every layer keeps. A layer knows nothing of rules, losses or optimizers."""

from abc import abstractmethod
from typing import Any, ClassVar

import equinox as eqx

from ascribe.arguments import whole
from ascribe.errors import UserError, shown
from ascribe.types import Array, Key, PyTree


class AbstractLayer(eqx.Module):
    """A function of a batch, with its parameters as array leaves and its structure as static fields.

    `kind` is the word that names the layer inside a network (`linear1`, `linear2`, …); `synaptic` says that the layer
    has weights that carry signals between units: there a rule may replace Wᵀ on the way back.
    """

    kind: ClassVar[str]
    synaptic: ClassVar[bool] = False

    @abstractmethod
    def __call__(
        self, x: Array, state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Array, PyTree]:
        """**Arguments:** `x`: `(batch, …)`; `state`: normalization statistics (None for most layers); `key`: randomness,
        used by dropout only; `training`: whether batch statistics and dropout are in force.

        **Returns:** the output `(batch, …)` and the new state.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values: `type(layer)(**config, key=key)` has the same structure."""

    def initialize(self, key: Key) -> "AbstractLayer":
        """The same layer with fresh parameters."""
        build: Any = type(self)
        return build(**self.config(), key=key)

    def initial_state(self) -> PyTree:
        """Normalization statistics before any example was seen; None for a layer that has none."""
        return None


def size_of(name: str, kind: str, value: Any) -> int:
    """The positive number that an option of a layer was given; a `UserError` for anything else."""
    size = whole(value)
    if size is None or size < 1:
        raise UserError(f"`{name}` of {kind} is a positive integer; got {shown(value)}.")
    return size
