"""The contract that every layer keeps. A layer knows nothing of rules, losses or optimizers."""

import inspect
import sys
from abc import abstractmethod
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.random as jr
from jax import export

from ascribe.checks import at_least
from ascribe.errors import UserError, shown
from ascribe.types import Array, Float, Key, PyTree

OWN = "own."
"""How the names of users' layers begin that are called like one of this package."""


class AbstractLayer(eqx.Module):
    """A function of a batch, with its parameters as array leaves and its structure as static fields.

    What a layer says of itself, so that no other file asks for its class:

    - `kind`: the word that names it inside a network (`linear1`, `linear2`, …), by default its class's name;
    - `synaptic`: it has weights that carry signals between units (`AbstractSynapticLayer`);
    - `dense`: its `weight` is a matrix `(fan_out, fan_in)`, and z = W x + b;
    - `wants_vectors`: it takes examples of one axis, so that images and sequences become vectors before a network that begins
      with it;
    - `convolutional`: its kernel meets many places of an image, and several networks at once (`vmap`) make a grouped
      convolution of it, which is slow;
    - `repeats`: equal ones in a row may be stored as one `Stack`: it has neither state nor randomness and keeps the shape of
      what passes; its weight, if it has one, is a matrix.
    """

    kind: ClassVar[str]
    synaptic: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    wants_vectors: ClassVar[bool] = False
    convolutional: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not hasattr(cls, "kind") and not cls.__name__.lstrip("_").startswith("Abstract"):
            cls.kind = cls.__name__.lower()

    @abstractmethod
    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        """**Arguments:** `x`: `(batch, …)`; `state`: normalization statistics (None for most layers); `key`: randomness,
        used by dropout only; `training`: whether batch statistics and dropout are in force.

        **Returns:** the output `(batch, …)` and the new state.
        """

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain JSON values: `type(layer)(**config, key=key)` has the same structure. Values may
        be layers too, alone or in lists and dicts, for a layer that is made of others. A constructor that draws nothing need
        not take a `key`; one that takes it is given one, for every seed and where a record or a model is loaded."""

    def initialize(self, key: Key) -> "AbstractLayer":
        """The same layer with fresh parameters, and so every layer in it."""
        layer = lambda one: isinstance(one, AbstractLayer)
        parts, structure = jax.tree.flatten(self.config(), is_leaf=lambda one: one is None or layer(one))
        fresh = [one.initialize(jr.fold_in(key, i)) if layer(one) else one for i, one in enumerate(parts)]
        return built(type(self), jax.tree.unflatten(structure, fresh), key)

    def initial_state(self) -> PyTree:
        """Normalization statistics before any example was seen; None for a layer that has none."""
        return None

    @property
    def repeats(self) -> bool:
        """Whether equal ones in a row may be stored as one."""
        return False

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """A `UserError` where examples of this shape are known not to be accepted; `name`: the layer's, for the sentence."""

    def workspace(self, outputs: int) -> int:
        """How many numbers a forward pass keeps beside the layer's input and its `outputs` numbers of output."""
        return 0


def built(kind: Any, options: dict[str, Any], key: Key) -> Any:
    """A layer of a class and the arguments that `config` gave, with a `key` where its constructor takes one.

    **Raises:** `UserError` where these are not the constructor's arguments.
    """
    arguments = {**options, "key": key} if takes_key(kind) else options
    try:
        inspect.signature(kind).bind(**arguments)
    except TypeError as error:
        raise UserError(
            f"the layer {kind.__name__} is built anew from what its `config` returns, here {shown(options)}: {error}; return "
            f"the constructor's arguments there, by name."
        ) from error
    return kind(**arguments)


def takes_key(build: Any) -> bool:
    """Whether a layer's constructor takes a `key`."""
    parameters = inspect.signature(build).parameters.values()
    return any(one.name == "key" or one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)


def inner_layers(layer: AbstractLayer) -> list[AbstractLayer]:
    """The layers inside a layer, and inside those."""
    inside = lambda one: one is not layer and isinstance(one, AbstractLayer)
    own = [one for one in jax.tree.leaves(layer, is_leaf=inside) if inside(one)]
    return [found for one in own for found in (one, *inner_layers(one))]


def layer_name(kind: type[AbstractLayer]) -> str:
    """The name of a layer's class in a structure: another one than every layer of this package has."""
    ours = getattr(sys.modules["ascribe.networks"], kind.__name__, kind)
    return kind.__name__ if ours is kind else OWN + kind.__name__


def check_image(name: str, shape: tuple[int, ...]) -> None:
    """A `UserError` where examples of this shape are no images."""
    if len(shape) != 3:
        raise UserError(
            f"layer {name} takes images (height, width, channels) but gets the shape {shape}: "
            f"use an MLP for data without images."
        )


def check_sequence(name: str, shape: tuple[int, ...], features: int | None = None) -> None:
    """A `UserError` where examples of this shape are no sequences, of vectors of so many `features`."""
    if len(shape) != 2:
        raise UserError(
            f"layer {name} takes sequences (time, features) but gets the shape {shape}: use an MLP for data without an order, "
            f"or put Patches() before it to read images."
        )
    if features is not None:
        check_last_axis(name, shape, features)


def check_last_axis(name: str, shape: tuple[int, ...], features: int) -> None:
    """A `UserError` where the last axis of such an example has not so many `features`."""
    if shape[-1:] != (features,):
        raise UserError(f"layer {name} takes vectors of {features} features but gets the shape {shape}.")


def size_of(name: str, kind: str, value: Any) -> int:
    """The positive number that an option of a layer was given, or the symbol of a size that is left open (`jax.export`); a
    `UserError` for anything else."""
    return cast(int, value) if export.is_symbolic_dim(value) else at_least(1, f"`{name}` of {kind}", value)
