"""The contract of a layer with weights that carry signals between units: a dense one, a convolution, or one of your own."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx

from ascribe.errors import UserError
from ascribe.types import Array, Float

from .layer import AbstractLayer


class AbstractSynapticLayer(AbstractLayer):
    """A layer with an array `weight`, which a rule may replace by feedback B of the same shape on the way back, and a `bias`,
    which may be None.

    The counts hold for one layer, also where its arrays have axes in front (of runs, of the blocks of a `Stack`).
    `design_matrix` and `weight_of` are for rules that refit a layer in closed form; who leaves them out has a layer that all
    others train.
    """

    weight: eqx.AbstractVar[Array]
    bias: eqx.AbstractVar[Array | None]

    synaptic: ClassVar[bool] = True

    @property
    @abstractmethod
    def fan_in(self) -> int:
        """Inputs of one unit."""

    @property
    @abstractmethod
    def fan_out(self) -> int:
        """Units that one input reaches, counted as in `jax.nn.initializers`."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Units, of an image channels."""

    def design_matrix(self, x: Array) -> Float[Array, "equations fan_in"]:
        """A: what each unit sees of the inputs `(batch, …)`, one row for every example (and place), so that z = A Wᵀ + b.

        **Raises:** `UserError` by default: not every layer is one matrix for all its places.
        """
        raise UserError(
            f"a layer {type(self).__name__} cannot be refitted in closed form: choose a rule, or an option of the rule, that "
            f"trains it by gradients alone."
        )

    def weight_of(self, matrix: Float[Array, "fan_out fan_in"]) -> Array:
        """The matrix W of `design_matrix` in the shape of `weight`."""
        raise NotImplementedError
