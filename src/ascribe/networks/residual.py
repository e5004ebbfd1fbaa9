"""The residual connection."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import finite
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from .in_turn import initial_states, named, run_in_turn, shape_after
from .layer import AbstractLayer


class Residual(AbstractLayer):
    """y = s(x) + `scale` · f(x): layers f whose output is added to what entered them (He et al. 2016, equations 1 and 2).

    `branch`: the layers of f, one after another; `shortcut`: those of s, by default none, so that s(x) = x: they are needed
    where f changes the shape (`Subsample`, or a `Conv2d` of 1 × 1 pixels). Inside, layers have the names that a `Network`
    gives them, so that the weight of the second convolution is `network["residual1"].branch["conv2"].weight`. The state is a
    tuple of the states of the branch's layers and one of the shortcut's; in training each layer has a key of its own.

    With `scale` 0 it is its shortcut. A `scale` of 1/√L in each of L residuals, whose branches keep the variance of what they
    get, multiplies it by (1 + 1/L)^L < e in all of them, without normalization (Hayou et al. 2021, "Stable ResNet").

    >>> from ascribe.networks import Activation, Linear, Network
    >>> print(Network([Linear(2, 8), Residual([Linear(8, 8), Activation("relu"), Linear(8, 8)]), Linear(8, 1)]))
    linear1 8×2 → residual1 → linear2 1×8

    **Raises:** `UserError` for what is no layer, and for a branch and a shortcut whose outputs differ in shape.
    """

    branch: "OrderedDict[str, AbstractLayer]"
    shortcut: "OrderedDict[str, AbstractLayer]"
    scale: float = eqx.field(static=True)
    kind: ClassVar[str] = "residual"

    def __init__(
        self,
        branch: Sequence[AbstractLayer],
        shortcut: Sequence[AbstractLayer] = (),
        *,
        scale: float = 1.0,
        key: Key | None = None,
    ):
        self.branch = named("`branch` of Residual", branch)
        self.shortcut = named("`shortcut` of Residual", shortcut)
        self.scale = finite("scale", scale)

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch ..."], PyTree]:
        own, beside = self.initial_state() if state is None else state
        keys = (None, None) if key is None else jr.split(key)
        f, own = run_in_turn(self.branch, x, own, key=keys[0], training=training)
        s, beside = run_in_turn(self.shortcut, x, beside, key=keys[1], training=training)
        if f.shape != s.shape:
            raise UserError(_apart("Residual", f.shape[1:], s.shape[1:]))
        return s + (f if self.scale == 1 else self.scale * f), (own, beside)

    def initial_state(self) -> PyTree:
        return initial_states(self.branch), initial_states(self.shortcut)

    def config(self) -> dict[str, Any]:
        return {"branch": [*self.branch.values()], "shortcut": [*self.shortcut.values()], "scale": self.scale}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        leaves = jax.tree.leaves(self)
        dtype = leaves[0].dtype if leaves else jnp.zeros(()).dtype
        ends = []
        for part, layers in (("branch", self.branch), ("shortcut", self.shortcut)):
            end = shape
            for inner, layer in layers.items():
                end = shape_after(f"{name}/{part}/{inner}", layer, end, dtype)
            ends.append(end)
        if ends[0] != ends[1]:
            raise UserError(_apart(f"layer {name}", *ends))

    def workspace(self, outputs: int) -> int:
        """Every inner layer's output and workspace, as if all had as many outputs as the last one."""
        layers = [*self.branch.values(), *self.shortcut.values()]
        return sum(outputs + layer.workspace(outputs) for layer in layers)


def _apart(whose: str, f: tuple[int, ...], s: tuple[int, ...]) -> str:
    return (
        f"the branch of {whose} gives the shape {f} and its shortcut {s}: both make the same of the input's shape, for which "
        f"`shortcut` takes layers too, such as Subsample."
    )
