"""What a rule needs to know: for every layer, what its credit is made of, read from the rule's own program."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.jaxprs import Variable
from ascribe.losses import Loss
from ascribe.networks import Network
from ascribe.rules import AbstractRule, as_batch, hooks, made, name_of
from ascribe.types import Key

from .perturbed import others, perturbed
from .program import program
from .sources import Label
from .table import Table

SOURCES: dict[str, str] = {
    "own input": "the activations that enter the layer",
    "own preactivation": "z of the layer itself, or what follows from it alone, such as its own activation",
    "own weights": "the layer's weight, other than by its own forward product",
    "weights above": "weights of other layers, other than by their own forward products",
    "signs above": "of the weights of other layers the signs alone",
    "fixed feedback": "weights of the rule's own that it never changes, which lead to this layer first",
    "fixed feedback above": "those that lead to layers further up first",
    "learned feedback": "weights of the rule's own that learn, which lead to this layer first",
    "learned feedback above": "those that lead to layers further up first",
    "output error": "a function of the network's output and the target together, such as y - t, or the loss",
    "target": "the target where no output was compared with it",
    "other examples": "of the credit for one example: other examples of its batch",
    "other activations": "activations of layers that are neither the layer's input nor its own",
    "second pass": "a forward product that is made again, with other data or other weights",
    "memory": "what the rule keeps of earlier steps, other than feedback",
    "example state": "what the rule keeps for each training example",
}
"""Everything that a layer's credit may need, with what it means."""

LOCAL = {"own input", "own preactivation", "own weights", "fixed feedback", "learned feedback", "output error", "target"}
"""What is there at a layer's synapses, or is brought to them by feedback that leads to this layer first."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What the credit of every layer with weights is made of, beside what flowed through the forward pass.

    - `layers`: by layer or site, from the input upwards: the sources (names of `SOURCES`) that the rule's program has;
    - `checked`: by layer, for every source that it has not: whether the layer's credit stayed the same to the bit when that
      source alone was perturbed;
    - `kept`: the same for what the rule itself changes or once made (`learned feedback`, `memory`, `example state`, `fixed
      feedback`), as far as its credit reads that: a rule that copies weights into its feedback is found here;
    - `backwards`: whether credit comes back from later steps of a loop, as through time.
    """

    rule: str
    layers: Mapping[str, frozenset[str]]
    checked: Mapping[str, Mapping[str, bool]]
    kept: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    backwards: bool = False

    @property
    def consistent(self) -> bool:
        """Whether every "no" of the program is one of the numbers too."""
        return all(all(found.values()) for found in self.checked.values())

    def anywhere(self, *sources: str) -> bool:
        """Whether some layer, or what the rule keeps for it, needs one of these sources."""
        return any(not found.isdisjoint(sources) for found in (*self.layers.values(), *self.kept.values()))

    @property
    def properties(self) -> dict[str, str]:
        """These needs in the words of the literature, each with `yes` or `no`, of all layers together:

        - `weight transport` (Grossberg 1987; Lillicrap et al. 2016): weights of other layers are read, in the credit or by
          what the rule keeps; `signs only` where it is their signs;
        - `update locking` (Jaderberg et al. 2017): a layer below the last waits until the layers above it have computed
          forwards: it needs the output error, activations above it, or another pass;
        - `backward locking` (the same): it also waits for what comes back through the layers above: it needs their weights,
          their signs, or feedback that leads to them;
        - `global error`: a layer below the last needs the output error;
        - `separate phases` (Bengio et al. 2015): a pass is made again, or activations are held while an error comes back
          through other layers (as under backward locking);
        - `local in space`: every layer's credit is made at the layer: of its input, its own values and weights, feedback that
          leads to it first, and an error or a target that is broadcast;
        - `local in time`: nothing of another pass, of other examples, of steps before, or of later steps of a loop is needed.
        """
        below = list(self.layers.values())[:-1]
        hidden = lambda *sources: any(not found.isdisjoint(sources) for found in below)
        back = ("weights above", "signs above", "fixed feedback above", "learned feedback above")
        words = {True: "yes", False: "no"}
        transport = "signs only" if self.anywhere("signs above") else "no"
        in_time = ("second pass", "other examples", "memory", "example state")
        return {
            "weight transport": "yes" if self.anywhere("weights above") else transport,
            "update locking": words[hidden("output error", "other activations", "second pass", *back)],
            "backward locking": words[hidden(*back)],
            "global error": words[hidden("output error")],
            "separate phases": words[hidden(*back) or self.anywhere("second pass")],
            "local in space": words[all(found - {*in_time} <= LOCAL for found in self.layers.values())],
            "local in time": words[not (self.anywhere(*in_time) or self.backwards)],
        }

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        order = list(SOURCES)
        told = lambda found: sorted(found, key=order.index)
        return {
            "rule": self.rule,
            "layers": {name: told(found) for name, found in self.layers.items()},
            "checked": {name: dict(found) for name, found in self.checked.items()},
            "kept": {name: told(found) for name, found in self.kept.items()},
            "backwards": self.backwards,
            "properties": self.properties,
        }

    def __str__(self) -> str:
        lines = [self.rule]
        for name, found in self.layers.items():
            lines.append(f"  {name}: {', '.join(one for one in SOURCES if one in found) or 'nothing'}")
            lines += [f"    contradicted by numbers: {one}" for one, same in self.checked[name].items() if not same]
        lines += [f"  {name} is made of {', '.join(sorted(found))}" for name, found in self.kept.items() if found]
        lines += [f"  {name}: {answer}" for name, answer in self.properties.items()]
        return "\n".join(lines)


def needs(
    rule: AbstractRule | type[AbstractRule] | str,
    network: Network,
    batch: Any,
    *,
    loss: str | Loss | None = None,
    key: Key | None = None,
    check: bool = True,
) -> Needs:
    """What the rule's credit for every layer depends on, beside what flows through the forward pass.

    The rule's step is traced for seven examples and read from its inputs to its credit. The forward pass is cut at every
    layer: what a layer's product makes, and the signal that it multiplies, are sources of their own, and what they are made of
    is not told. Feedback *leads to a layer first* where it reaches no credit of a layer that this one feeds.

    **Arguments:** `rule`: a rule, its class or its name; `network`: as the rule wants it (`rule.adapt`); `batch`: an
    `ascribe.Batch`, a pair (inputs, targets), or a `Dataset`, in the rule's encoding; `loss`: as in `ascribe.verify`; `key`:
    the step's randomness; `check`: whether every "no" is checked by numbers, which compiles one program.

    **Limits:** what stands in the program counts, also where the numbers do not use it (0·W). Only weights count as weights
    that matrix products or convolutions carry signals through: neither biases nor scales of normalization. Any function of
    output and target together is "output error". A forward pass inside `lax.cond` or `lax.while_loop` is not cut, and shows as
    all that it is made of. The steps of a loop are one source. Where a rule's program for another number of examples differs
    by more than that number, `other examples` is said. Nothing is known of what a rule keeps outside of its state, or does
    between epochs. In the check, what a rule keeps has random numbers.
    """
    own = made(rule)
    batch = as_batch(network, batch, loss)
    with hooks.blamed(name_of(own), own):
        table = Table(program(own, network, batch, jr.key(0) if key is None else key))
    layers = {name: table.sources(name) for name in table.layers}
    checked = _checked(table, layers) if check else {name: {} for name in layers}
    backwards = any(("later",) in one.labels for one in table.credits.values())
    return Needs(name_of(own), layers, checked, table.of_kept(), backwards)


def _checked(table: Table, layers: Mapping[str, frozenset[str]]) -> dict[str, dict[str, bool]]:
    """For every layer and source that it has not: whether its credit stays the same to the bit."""
    check = _Check(table)
    found: dict[str, dict[str, bool]] = {}
    for number, (name, own) in enumerate(layers.items()):
        without = [source for source in SOURCES if source not in own and source != "other examples"]
        # Most often all of them at once leave the credit as it was; only where they do not, each is asked for alone.
        same = check.stays(number, without)
        found[name] = {source: same or check.stays(number, [source]) for source in without}
        if "other examples" not in own:
            found[name]["other examples"] = check.examples_stay
    return {name: {source: own[source] for source in SOURCES if source in own} for name, own in found.items()}


class _Check:
    """The compiled program that sources are perturbed in."""

    def __init__(self, table: Table):
        self.table, step = table, table.program.step
        self.leaves = [
            one if jnp.issubdtype(one.dtype, jax.dtypes.prng_key) else np.asarray(one)
            for one in jax.tree.leaves(table.program.given)
        ]
        self.sources: dict[Label, int] = {}
        held = {variable: self.sources.setdefault(label, len(self.sources)) for variable, label in table.reading.cut.items()}
        at_the_top = {one for equation in step.equations for one in equation.outputs} | set(step.inputs)
        self.observed: list[Variable] = [
            one for one in table.reading.summed if one in at_the_top and table.axes.get(one, -1) >= 0
        ]
        self.run = perturbed(step, held, table.axes, self.observed)
        self.before, self.rows = self._run(self.leaves, ())

    def _run(self, leaves: list[Any], labels: Any, spared: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
        strengths = np.zeros(max(1, len(self.sources)))
        strengths[[self.sources[label] for label in labels if label in self.sources]] = 1
        outputs, rows = self.run(self.leaves, leaves, strengths, np.asarray(spared))
        count = len(self.table.layers)
        return [np.asarray(one) for one in outputs[:count]], [np.asarray(one) for one in rows]

    def stays(self, number: int, sources: list[str]) -> bool:
        """Whether a layer's credit is bit-identical when these sources are perturbed."""
        table, name = self.table, self.table.layers[number]
        leaves, labels = list(self.leaves), set()
        weights = {"own weights", "weights above"} & {*sources}
        for other, leaf in table.places.items():
            kind = table.source(name, ("weight", other))
            if kind in weights:
                leaves[leaf] = _scaled(leaves[leaf])
            if kind == "weights above" and {"signs above", "weights above"} <= {*sources}:
                leaves[leaf] = -leaves[leaf]
        for label, leaf in table.leaves.items():
            if label[0] != "weight" and table.source(name, label) in sources:
                leaves[leaf] = others(leaves[leaf])
        used = table.values(table.credits[name].labels)
        for label in self.sources:
            if table.source(name, label) in sources:
                labels.add(label)
            own_pass = label[0] == "value" and label[1] not in table.first_pass and label[1] not in table.last
            if "second pass" in sources and own_pass and label[1] not in used:
                labels.add(label)
        after, _ = self._run(leaves, labels)
        return np.array_equal(self.before[number], after[number], equal_nan=True)

    @functools.cached_property
    def examples_stay(self) -> bool:
        """Whether what the first example adds to the sums over examples is bit-identical when all other examples are others."""
        leaves = list(self.leaves)
        for label, leaf in self.table.leaves.items():
            if label[0] in ("data", "target", "example state"):
                axis = 1 if label[0] == "example state" else 0
                leaves[leaf] = others(leaves[leaf], axis=axis)
        _, rows = self._run(leaves, self.sources, spared=1)
        return all(np.array_equal(one, other, equal_nan=True) for one, other in zip(self.rows, rows, strict=True))


def _scaled(weight: Any) -> Any:
    """A weight with other sizes and the same signs."""
    return weight * (1 + others(np.zeros_like(weight)) / 2)
