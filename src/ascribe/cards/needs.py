"""What a rule needs to know: for every layer, what its credit is made of, read from the rule's own program."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ascribe.losses import Loss
from ascribe.networks import Network
from ascribe.rules import AbstractRule
from ascribe.types import Key

SOURCES: dict[str, str] = {
    "own input": "the activations that enter the layer",
    "own preactivation": "z of the layer itself, or what follows from it alone, such as its own activation",
    "own weights": "the layer's weight, other than by its own forward product",
    "weights above": "weights of other layers, other than by their own forward products: weight transport",
    "signs above": "of the weights of other layers their signs alone",
    "fixed feedback": "weights of the rule's own that it never changes, up to the layer that they lead to",
    "fixed feedback above": "those that lead to layers further up",
    "learned feedback": "weights of the rule's own that learn, up to the layer that they lead to",
    "learned feedback above": "those that lead to layers further up",
    "output error": "a function of the network's output and the target together, such as y - t, or the loss",
    "target": "the target where no output was compared with it",
    "other examples": "of the credit for one example: other examples of its batch",
    "other activations": "activations of layers that are neither the layer's input nor its own",
    "second pass": "a forward product of weights and data that is made again, with other data or other weights",
    "memory": "what the rule keeps of earlier steps, other than feedback",
    "example state": "what is kept for each training example",
}
"""Everything that a layer's credit may need, with what it means."""


@dataclasses.dataclass(frozen=True)
class Needs:
    """What the credit of every layer with weights is made of.

    - `layers`: by layer or site, from the input upwards, the sources (names of `SOURCES`) that the program has;
    - `checked`: by layer, for every source that it has not: whether the layer's credit was bit-identical after that source
      alone was perturbed;
    - `kept`: the same sources for what the rule changes beside the network: `learned feedback`, `memory`, `example state`.
    """

    rule: str
    layers: Mapping[str, frozenset[str]]
    checked: Mapping[str, Mapping[str, bool]]
    kept: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    @property
    def consistent(self) -> bool:
        """Whether every "no" of the program is one of the numbers too."""
        return all(all(found.values()) for found in self.checked.values())

    @property
    def properties(self) -> dict[str, str]:
        """What the literature calls these needs: `weight transport`, `update locking`, `backward locking`, `global error`,
        `separate phases`, `local in space`, `local in time`; each with `yes` or `no` (of weight transport also
        `signs only`)."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        raise NotImplementedError


def needs(
    rule: AbstractRule | type[AbstractRule] | str,
    network: Network,
    batch: Any,
    *,
    loss: str | Loss | None = None,
    key: Key | None = None,
) -> Needs:
    """What the rule's credit for every layer depends on, beside what flows through the forward pass.

    **Arguments:** `rule`: a rule, its class or name; `network`: as the rule adapts it (`rule.adapt`); `batch`: an
    `ascribe.Batch`, a pair (inputs, targets), or a `Dataset`, in the rule's encoding; `loss`: as in `ascribe.verify`.
    """
    raise NotImplementedError
