"""A rule on a network and a batch: what a card looks at."""

import dataclasses
from typing import Any, TypedDict, Unpack

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from ascribe.checks import options
from ascribe.datasets import DataLike, Dataset, load
from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, Batch, hooks
from ascribe.setup import Setup
from ascribe.training import (
    Recipe,
    check_data,
    check_rule,
    complete,
    flatten_for,
    honor,
    named_rule,
    network_for,
    template_of,
)
from ascribe.types import Key

DATA: dict[str, tuple[str, dict[str, Any]]] = {
    "binary": ("moons", {}),
    "classification": ("spirals", {"classes": 3}),
    "regression": ("sine", {}),
}
"""What a card is made on where no data are named, by task: the first that the rule has."""
NETWORKS = ("64x64", "8x8", "4")
"""And the network: the first that the rule does not refuse."""


class Trained(TypedDict, total=False):
    """How a step that is looked at would be trained: the activation of a network in words, and settings of `train`."""

    activation: str
    batch_size: int
    optimizer: Any
    loss: Any


DEFAULTS = Trained(activation="relu", batch_size=32, optimizer="sgd", loss=None)


@dataclasses.dataclass(frozen=True)
class Case:
    """A rule with a network and a batch that it takes, as a training would have them: inputs in the rule's encoding, the
    network that it asks for, the settings that it forces.

    `name`: the rule's; `network`: with initial weights; `batch`: the first examples of the training split; `recipe`: all that
    a training would be made of; `data`, `asked`: the data and the network as they were given, before the rule's encoding and
    what it made of them.
    """

    name: str
    rule: AbstractRule
    network: Network
    batch: Batch
    recipe: Recipe
    data: Dataset
    asked: Network

    @property
    def setup(self) -> Setup:
        """How it would be trained."""
        return self.recipe.setup

    @property
    def drawn(self) -> Network:
        """The network as it was given, with initial weights."""
        return _initialized(self.asked, jr.key(0))

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Units of the hidden layers; None for a network that is no chain of dense layers."""
        return _sizes(self.network)

    @property
    def asked_sizes(self) -> tuple[int, ...] | None:
        """The same of the network that was asked for."""
        return _sizes(self.asked)

    @property
    def width(self) -> int:
        """Units of the widest hidden layer that was asked for; 0 where it is no chain of dense layers, or has none."""
        return max(self.asked_sizes or (), default=0)

    def of(self, rule: AbstractRule | None = None, network: Network | None = None) -> "Case":
        """The same with another rule, or another network."""
        rule, network = self.rule if rule is None else rule, self.network if network is None else network
        recipe = dataclasses.replace(self.recipe, rule=rule, source=network)
        return dataclasses.replace(self, rule=rule, network=network, recipe=recipe)

    @property
    def backpropagation(self) -> "Case":
        """Backpropagation on the same network and batch, by plain SGD."""
        case = self.of(Backpropagation())
        recipe = dataclasses.replace(case.recipe, setup=dataclasses.replace(self.setup, optimizer="sgd"))
        return dataclasses.replace(case, name="backpropagation", recipe=recipe)

    def chain_of(self, depth: int, width: int) -> "Case":
        """The rule on a chain of so many hidden layers of so many units each, for the same examples.

        **Raises:** `UserError` where the rule refuses that network.
        """
        text, data = "x".join([str(width)] * depth), self.data
        return case_of(self.rule, _empty(text, data, self._activation), data, like=self)

    @property
    def _activation(self) -> str:
        """That of the network's first activation layer."""
        found = (getattr(layer, "function", None) for layer in self.network.layers)
        return next((name for name in found if isinstance(name, str)), "relu")


@options(**DEFAULTS)
def case_of(
    rule: Any,
    network: Any = None,
    data: DataLike | None = None,
    *,
    seed: int = 0,
    like: Case | None = None,
    **trained: Unpack[Trained],
) -> Case:
    """What a card of a rule looks at.

    **Arguments:** as in `card`; `like`: a case whose name and settings this one has.

    **Raises:** `UserError` where rule, network, data and settings do not go together.
    """
    settings: dict[str, Any] = dict(trained)
    activation = settings.pop("activation")
    name, rule = named_rule(rule)
    if not isinstance(rule, AbstractRule):
        raise UserError(f"a rule is a name or an ascribe.rules.AbstractRule; got {type(rule).__name__}.")
    hooks.check_attributes(rule, name)
    if like is not None:
        name, setup = like.name, dataclasses.replace(like.setup)
    else:
        setup = Setup(**settings, epochs=1, diagnostics=False)
    chosen = _data_for(rule) if data is None else check_data(data)
    check_rule(rule, name, chosen)
    asked, recipe = _first_recipe(rule, name, network, chosen, activation, setup)
    own = _initialized(template_of(recipe.source), jr.key(seed))
    prepared = flatten_for(own, recipe.data)
    train, count = prepared.train, min(recipe.setup.batch_size, len(prepared.train))
    kind = own.dtype if chosen.task == "regression" else np.int32
    given = (train.inputs[:count].astype(own.dtype), train.targets[:count].astype(kind), np.arange(count))
    inputs, targets, indices = jax.device_put(given)
    batch = Batch(inputs, targets, recipe.loss, indices, own.initial_state())
    return Case(name, recipe.rule, own, batch, recipe, chosen, asked)


def _empty(text: str, data: Dataset, activation: str) -> Any:
    """The network of a text, without weights: one program draws them, not one for each array."""
    shapes = eqx.filter_eval_shape(lambda: network_for(text, data, activation))
    return jax.device_put(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))


@eqx.filter_jit
def _initialized(network: Network, key: Key) -> Network:
    """One program in place of many small ones."""
    return network.initialize(key)


def _data_for(rule: AbstractRule) -> Dataset:
    """Built-in data whose task the rule has."""
    name, options = next(data for task, data in DATA.items() if task in rule.tasks)
    return load(name, **options)


def _sizes(network: Network) -> tuple[int, ...] | None:
    layers: list[Any] = [layer for layer in network.layers if layer.synaptic]
    if network.composites or not layers or not all(layer.dense for layer in layers):
        return None
    return tuple(layer.outputs for layer in layers[:-1])


def _first_recipe(
    rule: AbstractRule, name: str, network: Any, data: Dataset, activation: str, setup: Setup
) -> tuple[Network, Recipe]:
    """The network that was named, without one the first of `NETWORKS` that the rule takes, and its recipe."""
    wanted = NETWORKS if network is None else (network,)
    for place, one in enumerate(wanted):
        try:
            named = isinstance(one, str) and ".py" not in one
            asked = _empty(one, data, activation) if named else network_for(one, data, activation)
            return template_of(asked), complete(honor(rule, name, asked, data, setup))
        except UserError:
            if place + 1 == len(wanted):
                raise
    raise AssertionError
