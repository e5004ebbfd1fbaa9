"""The contract of a rule, on one screen.

A rule answers one question: given a network and a batch, which way should each trainable number move? The answer points
uphill, so that any Optax optimizer descends it.
"""

import dataclasses
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ascribe.errors import UserError, shown
from ascribe.losses import Loss
from ascribe.networks import Network
from ascribe.types import Array, Key, PyTree, Scalar


def hyperparameter(default: float, interval: str = "(-inf, inf)") -> Any:
    """An array field for a number that can be swept: 2, 2.0 and a NumPy 2.0 become the same kind of leaf, so that none of
    them compiles once more. A number outside `interval` (as in `"[0, 1)"`; the field's metadata has it) is refused where it
    enters."""
    low, high = (float(end) for end in interval[1:-1].split(","))

    def convert(value: Any) -> Array:
        try:
            if isinstance(value, bool | np.bool_):
                raise TypeError
            array = jnp.asarray(value, float)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"a number in {interval} is wanted; got {shown(value)}.") from error
        if array.ndim == 0 and not isinstance(array, Tracer):
            number = float(array)
            above = number > low or (interval[0] == "[" and number == low)
            below = number < high or (interval[-1] == "]" and number == high)
            if not (above and below):
                raise UserError(f"a number in {interval} is wanted; got {number:g}.")
        return array

    return eqx.field(converter=convert, default=default, metadata={"interval": interval})


class Batch(eqx.Module):
    """What a rule is asked about.

    `inputs`: `(batch, …)`; `targets`: labels `(batch,)` or numbers `(batch, outputs)`; `loss`: what judges the outputs;
    `indices`: `(batch,)`, which training examples these are; `network_state`: the normalization statistics that the
    forward pass starts from (None: the initial ones).
    """

    inputs: Array
    targets: Array
    loss: Loss = eqx.field(static=True)
    indices: Array | None = None
    network_state: PyTree = None


class Trainables(eqx.Module):
    """A network and what is trained beside it, each part under a label that may have its own optimizer.

    `auxiliary`: activations of training examples, arrays `(layers, examples, …)`: the loop hands the rule the rows of the
    batch's examples only, and leaves all others as they are. `feedback`: learned feedback weights. A rule that trains nothing
    but the network uses the bare `Network` instead.
    """

    network: Network
    auxiliary: PyTree = None
    feedback: PyTree = None


class Credit(eqx.Module):
    """A rule's answer: the `loss` before the step, `gradients` in the trainables' own tree (uphill), the rule's new
    `state` and the network's new `network_state` (normalization statistics)."""

    loss: Scalar
    gradients: PyTree
    state: PyTree = None
    network_state: PyTree = None


class AbstractRule(eqx.Module):
    """A learning rule. Numbers that may be swept are fields made by `hyperparameter(default)`: arrays, so that a new value
    does not recompile. What changes the program (a kind, a depth) is `eqx.field(static=True)`.

    Only `__call__` must be written. The class attributes describe the rule: `tasks` it can do, and `forced` settings,
    `{"optimizer": …, "learning_rate": …, "batch_size": …}` (an optimizer for `auxiliary` or `feedback` alone is a mapping).
    `encoding` and `adapt` say what inputs and what network it needs. `ascribe.train` and `ascribe.compare` honor all of them,
    and flag such a rule in its `notes`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "classification", "regression")
    forced: ClassVar[Mapping[str, Any]] = {}

    def encoding(self, data: Any) -> tuple[str, ...]:
        """The transforms (`datasets.TRANSFORMS`) that the inputs of this `Dataset` need before the rule can use them."""
        return ()

    def adapt(self, network: Network, data: Any) -> Network:
        """The network that the rule needs in place of the experiment's, for a `Dataset` in its encoding. A `UserError`
        where there is none: `compare` without a list of rules then leaves this one out, and says why."""
        return network

    def trainables(self, network: Network, data: Any, *, key: Key) -> Network | Trainables:
        """What is trained: the network itself, or `Trainables` with more beside it."""
        return network

    def init(self, network: Network, data: Any, *, key: Key) -> PyTree:
        """The rule's state before the first step, such as fixed feedback weights. `data` is the training data (a
        `Dataset`, or all of it as one `Batch`)."""
        return None

    @abstractmethod
    def __call__(self, trainables: Any, state: PyTree, batch: Batch, *, key: Key) -> Credit:
        """The credit of every trainable number for one batch."""

    def after_update(self, trainables: Any, state: PyTree) -> tuple[Any, PyTree]:
        """What the rule does to the trainables after the optimizer's step, such as a decoupled decay."""
        return trainables, state

    def after_epoch(self, trainables: Any, state: PyTree, data: Batch, *, epoch: Array) -> tuple[Any, PyTree]:
        """What the rule does between two epochs, such as a refit; after the last one there is `finish`. `data` holds all
        training examples; `epoch` is the one that ended, from 0, and traced."""
        return trainables, state

    def metrics(self, trainables: Any, state: PyTree, batch: Batch, *, before: Any, after: Any) -> dict[str, Array]:
        """Numbers of the rule's own, measured after every epoch on the probe batch; each name becomes a curve, and names
        like `activated_share/relu1` one panel of a figure. `before`: the trainables when the epoch began; `after`: what
        one more step, on the probe batch, would make of them."""
        return {}

    def notes(self, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """What the table should say of finished runs, from their curves, `(runs, epochs)` each, the rule's own among them."""
        return ()

    def finish(self, trainables: Any, state: PyTree, data: Batch) -> Network:
        """The network that prediction uses, made once after the last epoch: other numbers in the structure of the one that was
        trained (`adapt` chooses another structure, before training). `data` holds all training examples."""
        return network_of(trainables)

    def feedback(self, trainables: Any, state: PyTree) -> dict[str, Array]:
        """The weights that carry the error back in place of W, by layer name, in W's shape; empty if there are none."""
        return {}

    def __repr__(self) -> str:
        """With the values of single numbers."""

        def told(leaf: Any) -> Any:
            known = eqx.is_inexact_array(leaf) and not leaf.ndim and not isinstance(leaf, Tracer)
            return float(str(np.asarray(leaf))) if known else leaf  # the shortest digits of its type

        pairs = [(field.name, jax.tree.map(told, getattr(self, field.name))) for field in dataclasses.fields(self)]
        return f"{type(self).__name__}({', '.join(f'{name}={eqx.tree_pformat(value, width=10**6)}' for name, value in pairs)})"

    def _repr_html_(self) -> str:
        from . import registry  # noqa: PLC0415 - which imports this class

        return registry.to_html(self)


def network_of(trainables: Any) -> Network:
    """The network inside a rule's trainables."""
    return trainables if isinstance(trainables, Network) else trainables.network


def example_shape(data: Any) -> tuple[int, ...]:
    """The shape of one training example of a `Dataset` or a `Batch`."""
    inputs = data.train.inputs if hasattr(data, "train") else data.inputs
    return tuple(inputs.shape[1:])
