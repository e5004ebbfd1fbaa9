"""What a rule trains, as plain data: what an engine or a worker of a cluster is given.

`honor` applies what the rule asks for (another network, encoded inputs, settings of its own), and `complete` what the data and
the network decide (the loss, the measure, the size of the last batch), or says why they do not go together.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses
from ascribe.datasets import Dataset, Transform
from ascribe.errors import UserError
from ascribe.measures import Measure, measure_for
from ascribe.networks import Network, check_input, foreign
from ascribe.rules import AbstractRule, hooks
from ascribe.setup import Setup, described
from ascribe.types import Key

from . import optimizers
from .evaluate import RANKED
from .examples import flatten_for
from .freezing import free_layer
from .network_sources import NetworkSource, located, template_of

FORCIBLE = ("optimizer", "learning_rate", "batch_size")
"""What a rule can force of a `Setup`."""


@dataclasses.dataclass(frozen=True)
class Specification:
    """One run to be trained: its seed, its learning rate, and array leaves of the rule that are set for it by name: a field
    (`scale`), or a path (`derivative.relu2.omega`)."""

    seed: int
    learning_rate: float
    hyperparameters: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(frozen=True)
class Recipe:
    """An experiment as one rule takes part in it; everything that decides what its runs become, but for what a `Specification`
    says.

    `name`: that results have; `rule`: with its numbers as arrays; `data`: in the rule's `encoding` (the transforms beyond those
    that the data had); `setup`: with what the rule forces; `forced`: the names of that; `notes`: one for everything that sets
    the rule apart; `width`: runs at a time that are wanted; `mapped`: whether the class maps of some epochs of the final runs
    are kept (`class_maps.py`).
    """

    name: str
    rule: AbstractRule
    source: NetworkSource
    data: Dataset
    setup: Setup
    encoding: tuple[Transform, ...] = ()
    forced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    width: int = 1
    mapped: bool = False

    @property
    def loss(self) -> losses.Loss:
        """The loss; a `UserError` where the recipe is not complete."""
        if not isinstance(self.setup.loss, losses.Loss):
            raise UserError(f"a complete recipe is wanted; that of {self.name} names no loss yet: make it one by `complete`.")
        return self.setup.loss


def honor(rule: AbstractRule, name: str, source: NetworkSource, data: Dataset, setup: Setup) -> Recipe:
    """The rule's `forced`, `encoding` and `adapt` applied.

    **Raises:** `UserError` where the rule has no network for this experiment, or forces what belongs to the comparison.
    """
    notes: list[str] = []
    names = hooks.encoding(rule, name, data)
    encoded = data.flat().encode(*names) if names else data
    template = template_of(source)
    encoding = encoded.transforms[len(data.transforms) :]
    if encoding:
        notes.append(f"inputs encoded by the rule ({', '.join(transform.name for transform in encoding)})")
    adapted = hooks.adapt(rule, name, template, encoded)
    if adapted.config() != template.config():
        notes.append(f"network changed by the rule: {adapted}")
        source = adapted if isinstance(source, Network) else _adapting(rule, name, source, encoded)
    source = located(source, encoded)
    notes += [
        f"every seed starts from the weights that {block.adapter.name} came with (give its class, or a function of a key, for "
        f"weights of each seed's own)"
        for block in foreign.blocks(template)
        if not block.adapter.remade
    ]
    settings, forced = {}, []
    for setting, value in rule.forced.items():
        if setting not in FORCIBLE:
            raise UserError(f"the rule {name} forces {setting!r}: it can force {', '.join(FORCIBLE)}.")
        if setting == "optimizer" and isinstance(value, Mapping) and "network" not in value:
            base = setup.optimizer if isinstance(setup.optimizer, Mapping) else {"network": setup.optimizer}
            settings[setting] = {**base, **value}  # of parts that only this rule has: nothing sets it apart
            notes += [f"optimizer of {label} forced to {value[label]}" for label in value if label in base]
            continue
        if setting == "optimizer":
            optimizers.factory(value)
        settings[setting] = value
        forced.append(setting)
        notes.append(f"{setting} forced to {described(value)}")
    own = dataclasses.replace(setup, **settings)
    optimizer = own.optimizer["network"] if isinstance(own.optimizer, Mapping) else own.optimizer
    if rule.wants_plain_steps and optimizer in optimizers.RESCALING:
        notes.append(f"its update is no gradient, and {optimizer} divides it by its own size, number by number: sgd keeps it")
    return Recipe(name, with_array_leaves(rule), source, encoded, own, encoding, tuple(forced), tuple(notes))


def complete(recipe: Recipe) -> Recipe:
    """The recipe with the loss and the measure that are meant where none is named, the name of the one layer that is trained,
    batches that are no larger than the data, and what is done to images.

    **Raises:** `UserError` where data, network and settings do not go together.
    """
    setup, data, template = recipe.setup, recipe.data, template_of(recipe.source)
    measure = measure_for(data.task, setup.score)
    _check_classes(measure, data)
    only = free_layer(template, setup.only)
    loss = losses.default_for(data.task, template.outputs) if setup.loss is None else losses.get(setup.loss)
    shape = flatten_for(template, data).input_shape
    check_input(template, shape)
    _check_outputs(template, data, loss)
    if data.augmentations and len(shape) != 3:
        raise UserError(
            f"{data.augmentations[0]} needs images (height, width, channels), but layer {template.names[0]} gets them as "
            f"vectors: choose a convolutional network, such as lenet or simplenet/8, or leave it out."
        )
    optimizers.factory(setup.optimizer)
    images = {"augmentations": data.augmentations, "black": data.black} if data.augmentations else {}
    size = min(setup.batch_size, len(data.train))
    return dataclasses.replace(
        recipe, setup=dataclasses.replace(setup, loss=loss, score=measure.name, batch_size=size, only=only, **images)
    )


def _adapting(rule: AbstractRule, name: str, given: Callable[..., Network], data: Dataset) -> Callable[..., Network]:
    """The factory whose networks the rule has adapted. What the rule left as it was stays as it was drawn; what it put in
    is drawn anew from the key, as in a template."""

    def factory(key: Key) -> Network:
        network = given(key)
        drawn = {id(leaf) for leaf in jax.tree.leaves(network)}
        adapted = hooks.adapt(rule, name, network, data)
        return jax.tree.map(lambda old, new: old if id(old) in drawn else new, adapted, adapted.initialize(key))

    return factory


def with_array_leaves(rule: AbstractRule) -> AbstractRule:
    """The rule with its float fields as arrays, so that a new value does not recompile. (`astype` makes their type a firm
    one: to JAX, the array of a Python number and the array of a tuned value are different types otherwise.)"""

    def firm(leaf: Any) -> Any:
        if isinstance(leaf, float):
            leaf = jnp.asarray(leaf)
        return leaf.astype(leaf.dtype) if isinstance(leaf, jax.Array) else leaf

    return jax.tree.map(firm, rule)


def find_leaf(path: str) -> Callable[[Any], Any]:
    """What finds the leaf of that path: fields, and names in mappings, with dots between."""

    def find(tree: Any) -> Any:
        for part in path.split("."):
            tree = tree[part] if isinstance(tree, Mapping) else getattr(tree, part)
        return tree

    return find


def _check_classes(measure: Measure, data: Dataset) -> None:
    """A `UserError` where a split of one class alone has no such measure."""
    for name, split in data.splits if measure.name in RANKED else ():
        count = len(np.unique(split.targets))
        if len(split) and count < 2:
            raise UserError(
                f"the score {measure.name} ranks examples of several classes; the {name} split of {data.name} has one alone: "
                f"choose another score, or another split of the data."
            )


def _check_outputs(network: Network, data: Dataset, loss: losses.Loss) -> None:
    outputs = network.outputs
    if data.task == "regression" and loss.link != "identity":
        raise UserError(f"the loss {loss.name} is for classes but {data.name} is regression: use squared-error.")
    allowed = {data.outputs, data.classes} if data.task != "regression" else {data.outputs}
    if loss.link == "softmax":
        allowed -= {1}
    if loss.link == "logistic" and data.task == "binary":
        allowed = {1}
    if outputs not in allowed:
        wanted = " or ".join(map(str, sorted(allowed)))
        raise UserError(f"{data.name} with the loss {loss.name} needs a network with {wanted} outputs; this one has {outputs}.")
