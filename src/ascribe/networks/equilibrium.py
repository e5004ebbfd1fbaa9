"""A network whose layers are connected in both directions, up by W and down by Wᵀ, and settle."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import at_least
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree, Scalar

from . import activations
from .activation import Activation
from .in_turn import named, shape_after
from .layer import AbstractLayer
from .pooling import MaxPool2d

FALLING = ("gelu",)
"""Elementwise activations that fall somewhere."""

States = tuple[Array, ...]
"""The states of all levels, `(batch, …)` each, from the lowest to the output."""


class Level(NamedTuple):
    """One weight, with what leads to it and what pools its product, `below`, and the activation after that."""

    below: tuple[AbstractLayer, ...]
    activation: Activation | None = None

    def drive(self, x: Array) -> Array:
        """What comes from the level below, before the activation."""
        for layer in self.below:
            x, _ = layer(x)
        return x

    def state(self, drive: Array) -> Array:
        """What is made of a drive."""
        return drive if self.activation is None else self.activation(drive)[0]


def levels_of(layers: Mapping[str, AbstractLayer]) -> tuple[Level, ...]:
    """The levels of layers one after another. Maximum pooling after an activation is taken before it, which is the same where
    the activation nowhere falls.

    **Raises:** `UserError` for layers with other weights than one matrix or kernel, and for activations that couple units, that
    fall below a pooling, or that end the layers.
    """
    found: list[Level] = []
    below: list[AbstractLayer] = []

    def close(activation: Activation | None = None) -> None:
        found.append(Level(tuple(below), activation))
        below.clear()

    for name, layer in layers.items():
        if jax.tree.leaves(layer) and not layer.synaptic:
            raise UserError(
                f"an equilibrium sends states down through the same weights as up, one matrix or kernel a layer: {name} has "
                f"others; use a network of Linear and Conv2d layers."
            )
        if layer.synaptic and any(one.synaptic for one in below):
            close()
        if isinstance(layer, Activation) and any(one.synaptic for one in below):
            if not activations.get(layer.function).elementwise:
                raise UserError(
                    f"in an equilibrium every unit settles by itself; {name} couples them: take another activation."
                )
            close(layer)
        elif isinstance(layer, MaxPool2d) and found and found[-1].activation is not None and not below:
            if found[-1].activation.function in FALLING:
                raise UserError(
                    f"an equilibrium pools before the activation, which is the same where that nowhere falls; "
                    f"{found[-1].activation.function} does: put {name} below it, or take another activation."
                )
            found[-1] = found[-1]._replace(below=(*found[-1].below, layer))
        else:
            below.append(layer)
    if not any(one.synaptic for one in below):
        raise UserError("an equilibrium has linear outputs: let its layers end in one with weights.")
    close()
    return tuple(found)


def forward_states(levels: Sequence[Level], x: Array) -> States:
    """Every level's state in a plain forward pass."""
    states = []
    for level in levels:
        x = level.state(level.drive(x))
        states.append(x)
    return tuple(states)


def settling(
    levels: Sequence[Level], x: Array, scale: Scalar, pulled: Callable[[Array, Array], Array] | None = None
) -> Callable[[States], States]:
    """One step of all levels at once, s_l ← σ(W_l s_{l-1} + b_l + κ W_{l+1}ᵀ s_{l+1}), of inputs that are held. `pulled(drive,
    output)`: what the output becomes in place of its drive."""
    lowest, *higher = levels
    held = lowest.drive(x)

    def drives(states: States) -> States:
        return held, *(level.drive(one) for level, one in zip(higher, states, strict=True))

    def step(states: States) -> States:
        (*hidden, output), pull = jax.vjp(drives, states[:-1])
        (back,) = pull(states)
        made = [
            level.state(drive + scale.astype(drive.dtype) * one)
            for level, drive, one in zip(levels, hidden, back, strict=False)
        ]
        return *made, output if pulled is None else pulled(output, states[-1])

    return step


class Equilibrium(AbstractLayer):
    """The output at which layers come to rest that are connected in both directions (Scellier & Bengio 2017,
    arXiv:1602.05179, in the discrete form of Ernoult et al. 2019, arXiv:1905.13633):

        s_l ← σ(W_l s_{l-1} + b_l + κ W_{l+1}ᵀ s_{l+1}),    s_L ← W_L s_{L-1} + b_L,

    all at once, `steps` times from the forward pass. `layers`: dense and convolutional ones with elementwise activations, the
    last one linear; `feedback_scale`: κ, `()`. With 0 steps, and where κ → 0, it is the layers one after another.
    """

    layers: "OrderedDict[str, AbstractLayer]"
    feedback_scale: Float[Array, ""]
    steps: int = eqx.field(static=True)
    kind: ClassVar[str] = "equilibrium"

    def __init__(self, layers: Sequence[AbstractLayer], steps: int = 20, *, key: Key | None = None):
        self.layers = named("`layers` of Equilibrium", layers)
        levels_of(self.layers)
        self.feedback_scale = jnp.ones(())
        self.steps = at_least(0, "`steps` of Equilibrium", steps)

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        levels = levels_of(self.layers)
        step = settling(levels, x, self.feedback_scale)
        start = forward_states(levels, x)
        return jax.lax.scan(lambda states, _: (step(states), None), start, None, length=self.steps)[0][-1], state

    def config(self) -> dict[str, Any]:
        return {"layers": [*self.layers.values()], "steps": self.steps}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        for inner, layer in self.layers.items():
            shape = shape_after(f"{name}/{inner}", layer, shape, self.feedback_scale.dtype)

    def workspace(self, outputs: int) -> int:
        return sum(layer.workspace(outputs) for layer in self.layers.values())
