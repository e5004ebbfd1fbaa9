"""Classification by goodness: the label with which hidden layers are most active."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.types import Array, Float, Int, Key, PyTree

from .in_turn import named, shape_after
from .layer import AbstractLayer, size_of
from .rmsnorm import RMSNorm


class LabelGoodness(AbstractLayer):
    """The goodness of every label, Σ_l ‖h_l‖²: hidden layers run once for each label, which is given to them beside the
    example (Hinton 2022, arXiv:2212.13345, section 3.3). h_l is what enters an `RMSNorm`, and the output of the last layer.

    `layers`: the hidden ones; `labels`: what each label adds, `(labels, …)`, `beside` the example to the output of the first
    layer with weights, else to the first numbers of the input. A label is told by its code, one-hot less its mean, so that no
    label adds zero.

    **Returns:** `(batch, labels)`, for a softmax to compare; with one `outputs`, the goodness of label 1 less that of label 0,
    `(batch, 1)`.
    """

    layers: "OrderedDict[str, AbstractLayer]"
    labels: Float[Array, "labels ..."]
    outputs: int = eqx.field(static=True)
    beside: bool = eqx.field(static=True)
    kind: ClassVar[str] = "goodness"

    def __init__(
        self,
        layers: Sequence[AbstractLayer],
        outputs: int,
        *,
        label_shape: Sequence[int],
        beside: bool = True,
        key: Key | None = None,
    ):
        self.layers = named("`layers` of LabelGoodness", layers)
        self.outputs = size_of("outputs", "LabelGoodness", outputs)
        self.labels = jnp.zeros((max(outputs, 2), *label_shape))
        self.beside = beside

    def __call__(
        self, x: Float[Array, "batch ..."], state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Float[Array, "batch outputs"], PyTree]:
        def with_label(label: Array) -> Float[Array, " batch"]:
            found = self.activities(x, jnp.broadcast_to(label, x.shape[0]))
            return sum(map(self.goodness, found[1:]), start=self.goodness(found[0]))

        found = jax.lax.map(with_label, jnp.arange(len(self.labels))).T
        return (found if self.outputs > 1 else found[:, 1:] - found[:, :1]), state

    def activities(
        self, x: Float[Array, "batch ..."], labels: Int[Array, " batch"] | None, *, apart: bool = False
    ) -> list[Array]:
        """h_l, `(batch, …)` each, from the lowest layer upwards, of examples that are told these labels, or none. `apart`:
        whether no gradient goes from one of them into the layers below."""
        told = None
        if labels is not None:
            count = len(self.labels)
            codes = jax.nn.one_hot(labels, count, dtype=x.dtype) - jnp.asarray(1 / count, x.dtype)
            told = jnp.tensordot(codes, self.labels, axes=1)
            if not self.beside:
                flat = x.reshape(x.shape[0], -1)
                x = flat.at[:, :count].add(told).reshape(x.shape)
        layers, found = [*self.layers.values()], []
        first = next(number for number, layer in enumerate(layers) if jax.tree.leaves(layer))
        for number, layer in enumerate(layers):
            if isinstance(layer, RMSNorm):
                found.append(x)
                x = jax.lax.stop_gradient(x) if apart else x
            x, _ = layer(x, layer.initial_state(), training=apart)
            x = x + told if told is not None and self.beside and number == first else x
        return [*found, x]

    @staticmethod
    def goodness(h: Float[Array, "batch ..."]) -> Float[Array, " batch"]:
        """‖h‖² of every example."""
        return jnp.sum(h * h, axis=tuple(range(1, h.ndim)))

    def initial_state(self) -> PyTree:
        return None

    def config(self) -> dict[str, Any]:
        own = {"outputs": self.outputs, "label_shape": [*self.labels.shape[1:]], "beside": self.beside}
        return {"layers": [*self.layers.values()], **own}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        for inner, layer in self.layers.items():
            shape = shape_after(f"{name}/{inner}", layer, shape, self.labels.dtype)

    def workspace(self, outputs: int) -> int:
        return sum(self.labels[0].size + layer.workspace(outputs) for layer in self.layers.values())
