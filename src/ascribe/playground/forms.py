"""The programs of one rule, each traced from the very functions that `ascribe.train` runs: how a run begins
(`loop.initialize`), the rule's credit (`hooks.credit`), what it does after the optimizer's step, and what the network answers.

A program is traced once for all batch sizes, and for all widths of as many hidden layers: their sizes are symbols (`b`, `n`,
`h1`, `h2`, …), and so is the number of inputs. A rule of a user's file may look at the sizes of its layers, so its programs are
traced for every architecture; one that also looks at the number of its inputs, or at the size of its batch, gets programs for
two inputs, or for `BATCHES`.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import export

from ascribe import training
from ascribe.datasets import Dataset, as_dataset
from ascribe.metrics import class_probabilities
from ascribe.networks import Activation, Network, record
from ascribe.rules import AbstractRule, Backpropagation, Batch, Trainables, hooks, network_of
from ascribe.setup import Setup
from ascribe.training import evaluate, loop
from ascribe.types import Array, Key, PyTree

from .emitter import emit, size

BATCHES = (1, 8, 16, 32, 64)
"""Batch sizes for a rule that cannot be traced for any."""
MOST = 512
"""Examples that a page has at most: rules that keep activations of every example compute them at once up to here."""
STAND_INS = (23, 29, 31, 37, 41, 43)
"""Widths in place of those of the hidden layers, for their places to be found again in every shape."""
FEATURES = 5
"""The same for the inputs."""
Program = dict[str, Any]


@functools.cache
def symbols() -> tuple[Any, ...]:
    """The sizes that programs leave open: of a batch, of all examples, inputs, and widths from the lowest hidden layer up. They
    are the same for all programs, for what JAX has traced once it has not to trace again."""
    names = ["b", "e", "n", *(f"h{k + 1}" for k in range(len(STAND_INS)))]
    return tuple(export.symbolic_shape(",".join(names), constraints=[f"{name} <= {MOST}" for name in names]))


def struct(*shape: Any, dtype: Any = None) -> jax.ShapeDtypeStruct:
    """An array of that shape, of floats by default."""
    return jax.ShapeDtypeStruct(shape, jnp.zeros(()).dtype if dtype is None else dtype)


def stand_in(features: int = FEATURES) -> Dataset:
    """Data for two classes that have nothing but their shape."""
    rows = np.random.default_rng(0).standard_normal((40, features))
    return as_dataset((rows, np.arange(40) % 2))


@dataclasses.dataclass(frozen=True)
class Asked:
    """A rule as `ascribe.train` would have it for one architecture: the network is one of shapes alone."""

    name: str
    rule: AbstractRule
    recipe: training.Recipe
    network: Network


def ask(name: str, rule: AbstractRule, widths: Sequence[int], activation: str, data: Dataset) -> Asked:
    """What the rule makes of a network with these hidden layers, and of the settings; nothing is computed.

    **Raises:** `UserError` where the rule has no such network.
    """
    setup = Setup(learning_rate=1.0, batch_size=1, diagnostics=False)
    found: list[training.Recipe] = []

    def made() -> Network:
        source = training.network_for("x".join(map(str, widths)) or "linear", data, activation)
        found.append(training.complete(training.honor(rule, name, source, data, setup)))
        return training.template_of(found[0].source)

    network = jax.eval_shape(made)
    return Asked(name, training.with_array_leaves(rule), found[0], network)


class Form:
    """A rule with a network of one depth and activation: its programs for any batch, inputs and widths, or for those that are
    meant.

    **Arguments:** `open`: numbers of inputs and of units, in the network of `asked`, that stand in for any number, with their
    symbols; `batch`: the one batch size that the programs are for, where they are not for all.
    """

    def __init__(self, asked: Asked, open: Mapping[int, Any], *, batch: int | None = None):
        self.asked, self.open = asked, open
        own, inputs = symbols(), asked.recipe.data.input_shape[0]
        self.batch: Any = own[0] if batch is None else batch
        self.examples: Any = own[1]
        self.inputs: Any = open.get(inputs, inputs)
        self.arrays, self.rest = eqx.partition(asked.rule, eqx.is_array)
        self.network: Network = self.sized(asked.network)
        self.whose = f"the rule {asked.name}"
        self.key = jax.eval_shape(lambda: jr.key(0))
        self.started, (self.trainables, self.state, self.statistics) = self._begun()

    def sized(self, tree: PyTree) -> PyTree:
        """A tree of shapes, with symbols in place of the stand-ins."""
        named = lambda leaf: tuple(self.open.get(one, one) for one in leaf.shape)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(named(leaf), leaf.dtype), tree)

    def rule(self, arrays: Any) -> AbstractRule:
        """The rule with these numbers."""
        return eqx.combine(arrays, self.rest)

    def batch_of(self, x: Array, y: Array, statistics: PyTree) -> Batch:
        """Examples as the batch of a step."""
        whole = loop.all_examples(self.asked.recipe.setup, self.data(x, y))
        return dataclasses.replace(whole, network_state=statistics)

    def data(self, x: Array, y: Array) -> loop.Data:
        """Examples as the training data of a run."""
        examples = training.Examples(x, y, jnp.ones(1))
        return loop.Data(examples, examples)

    def emitted(self, function: Callable[..., PyTree], *arguments: PyTree) -> tuple[Program, Any]:
        """A program, and what it returns."""
        with hooks.blamed(self.asked.name, self.asked.rule):
            return emit(function, *arguments, whose=self.whose)

    def _begun(self) -> tuple[Program, tuple[Any, Any, Any]]:
        """What a run begins with: of the rule's numbers, the network, the seed and all examples, the trainables, the rule's
        state and the network's; and the shapes of these."""

        def begun(arrays: Any, network: Network, seed: Array, x: Array, y: Array) -> Any:
            run = loop.Run(self.rule(arrays), jnp.ones(()), seed)
            state = loop.initialize(self.asked.recipe.setup, network, run, self.data(x, y), curves=())
            return state.trainables, state.rule_state, state.network_state

        x, y = struct(self.examples, self.inputs), struct(self.examples, dtype=jnp.int32)
        return self.emitted(begun, self.arrays, self.network, struct(dtype=jnp.uint32), x, y)

    @property
    def changing(self) -> tuple[Any, Any, Any, Any]:
        """The shapes of the rule's numbers, and of all that changes in a run."""
        return self.arrays, self.trainables_of_batch, self.state, self.statistics

    @property
    def trainables_of_batch(self) -> Any:
        """Of activations of every example, those of a batch."""
        if not isinstance(self.trainables, Trainables):
            return self.trainables
        rows = lambda leaf: jax.ShapeDtypeStruct((leaf.shape[0], self.batch, *leaf.shape[2:]), leaf.dtype)
        return dataclasses.replace(self.trainables, auxiliary=jax.tree.map(rows, self.trainables.auxiliary))

    @property
    def examples_of_batch(self) -> tuple[Any, Any]:
        """Inputs and targets of a batch."""
        return struct(self.batch, self.inputs), struct(self.batch, dtype=jnp.int32)

    def credit(self) -> Program:
        """Of all that changes, a batch and a key: the loss, the gradients, the rule's state and the network's."""

        def credit(arrays: Any, trainables: Any, state: Any, statistics: Any, x: Array, y: Array, key: Key) -> Any:
            found = hooks.credit(self.rule(arrays), trainables, state, self.batch_of(x, y, statistics), key=key)
            after = statistics if found.network_state is None else found.network_state
            return found.loss, found.gradients, found.state, after

        return self.emitted(credit, *self.changing, *self.examples_of_batch, self.key)[0]

    def after_update(self) -> Program | None:
        """What the rule does after the optimizer's step; None where it does nothing."""
        if type(self.asked.rule).after_update is AbstractRule.after_update:
            return None
        after = lambda arrays, *both: hooks.after_update(self.rule(arrays), *both)
        return self.emitted(after, self.arrays, self.trainables_of_batch, self.state)[0]

    def after_epoch(self) -> Program | None:
        """What the rule does between two epochs, of all examples; None where it does nothing."""
        if not self.asked.rule.acts_between_epochs:
            return None

        def after(arrays: Any, trainables: Any, state: Any, x: Array, y: Array, epoch: Array) -> Any:
            return hooks.after_epoch(self.rule(arrays), trainables, state, self.batch_of(x, y, None), epoch=epoch)

        x, y = struct(self.examples, self.inputs), struct(self.examples, dtype=jnp.int32)
        return self.emitted(after, self.arrays, self.trainables, self.state, x, y, struct(dtype=jnp.int32))[0]

    def own(self, credit: Any = None) -> dict[str, Any]:
        """The programs that the rule has for itself; `credit`: in place of its credit's."""
        return {
            "begins": self.started,
            "credit": self.credit() if credit is None else credit,
            "after_update": self.after_update(),
            "after_epoch": self.after_epoch(),
        }

    def answers(self) -> Program:
        """Of all that changes and a batch: the loss, how many answers are right, and the probabilities of class 1."""
        loss = self.asked.recipe.loss

        def answers(arrays: Any, trainables: Any, state: Any, statistics: Any, x: Array, y: Array) -> Any:
            network, own = loop.answering(self.rule(arrays), trainables, state, statistics, self.data(x, y))
            sums, outputs = evaluate.judged_part(network, own, x, y, jnp.ones(y.shape, bool), loss)
            return sums.loss, sums.correct, class_probabilities(outputs, link=evaluate.link(network, loss))[:, 1]

        return self.emitted(answers, *self.changing, *self.examples_of_batch)[0]

    def backpropagation(self) -> Program:
        """Of the network and a batch: the exact gradient, with the step's own dropout."""

        def gradient(network: Network, statistics: Any, x: Array, y: Array, key: Key) -> Any:
            return Backpropagation()(network, None, self.batch_of(x, y, statistics), key=key).gradients

        return self.emitted(gradient, self.trained, self.statistics, *self.examples_of_batch, self.key)[0]

    def activity(self) -> Program:
        """Of the network and inputs: the activations of every hidden layer, `(batch, units)`."""
        hidden = self.hidden

        def activity(network: Network, statistics: Any, x: Array) -> list[Array]:
            tape, _ = record(network, x, statistics, training=False)
            after = [*tape.inputs[1:], tape.output]
            return [after[network.index(name)] for name in hidden]

        return self.emitted(activity, self.trained, self.statistics, self.examples_of_batch[0])[0]

    @property
    def trained(self) -> Network:
        """The network among the trainables."""
        return network_of(self.trainables)

    @property
    def hidden(self) -> list[str]:
        """The names of the hidden activations."""
        pairs = zip(self.trained.names, self.trained.layers, strict=True)
        return [name for name, layer in list(pairs)[:-1] if isinstance(layer, Activation)]

    def initial_network(self) -> Program:
        """Of the seed: the network that the rule meets."""
        new = lambda seed: loop.new_network(self.network, seed)
        return self.emitted(new, struct(dtype=jnp.uint32))[0]

    def layout(self) -> dict[str, Any]:
        """Where everything is among the leaves of what changes."""
        numbers = lambda tree, start=0: jax.tree.unflatten(
            jax.tree.structure(tree), range(start, start + len(jax.tree.leaves(tree)))
        )
        trainables, state = numbers(self.trainables), numbers(self.state)
        network = network_of(trainables)
        layers = [self._layer(name, network) for name in self.trained.synaptic]
        labels = ["network"] * len(jax.tree.leaves(self.trainables))
        if isinstance(trainables, Trainables):
            for label in ("auxiliary", "feedback"):
                for leaf in jax.tree.leaves(getattr(trainables, label)):
                    labels[leaf] = label
        return {
            "trainables": [_told(leaf) for leaf in jax.tree.leaves(self.trainables)],
            "labels": labels,
            "state": [_told(leaf) for leaf in jax.tree.leaves(self.state)],
            "statistics": [_told(leaf) for leaf in jax.tree.leaves(self.statistics)],
            "network": jax.tree.leaves(network),
            "layers": layers,
            "hidden": self.hidden,
            "feedback": self._feedback(trainables, state),
        }

    def _layer(self, name: str, network: Network) -> dict[str, Any]:
        layer = network[name]
        return {"name": name, "weight": layer.weight, "bias": getattr(layer, "bias", None)}

    def _feedback(self, trainables: Any, state: Any) -> list[dict[str, Any]]:
        """The weights that carry the error back: those that `feedback` names, where they are kept as they are, and all other
        matrices that the rule keeps beside the network, but for copies of the network itself."""
        found: dict[tuple[str, int], str] = {}
        carried: dict[str, Any] = {}
        try:
            carried = dict(self.asked.rule.feedback(trainables, state))
        except Exception:  # it computes them, of numbers that are not here: there is none to be drawn
            carried = {}
        whole = lambda node: isinstance(node, Network)
        copies = {leaf for node in jax.tree.leaves(state, is_leaf=whole) if whole(node) for leaf in jax.tree.leaves(node)}
        both = {"trainables": (trainables, self.trainables), "state": (state, self.state)}
        for place, (numbers, shapes) in both.items():
            pairs = zip(jax.tree_util.tree_leaves_with_path(numbers), jax.tree.leaves(shapes), strict=True)
            for (path, number), shape in pairs:
                matrix = len(shape.shape) == 2 and jnp.issubdtype(shape.dtype, jnp.floating)
                inside = place == "trainables" and number in jax.tree.leaves(network_of(trainables))
                rows = place == "trainables" and "auxiliary" in str(path[0])
                copy = place == "state" and number in copies
                if matrix and not inside and not rows and not copy:
                    keys = [one.key for one in path if isinstance(one, jax.tree_util.DictKey)]  # the last names a layer
                    found[place, number] = str(keys[-1]) if keys else jax.tree_util.keystr(path, simple=True, separator=".")
        for layer, number in carried.items():
            places = [key for key in found if isinstance(number, int) and key[1] == number]
            if len(places) == 1:
                found[places[0]] = layer
        return [{"name": name, "of": place, "leaf": number} for (place, number), name in found.items()]


def _told(leaf: Any) -> list[Any]:
    shape = [*leaf.shape, 2] if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf.shape
    letter = {"f": "f", "i": "i", "u": "u", "b": "b"}.get(getattr(leaf.dtype, "kind", "u"), "u")
    return [letter, [size(one) for one in shape]]
