"""What a rule asks of an experiment, honored and flagged: forced settings, an encoding of the inputs, another network."""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.random as jr

from ascribe import networks
from ascribe.arguments import KindError, listed, whole
from ascribe.datasets import Dataset, Transform
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.rules import AbstractRule, hooks, registry
from ascribe.types import Key

from . import optimizers

FOREIGN = {"torch": "PyTorch", "flax": "Flax", "keras": "Keras", "haiku": "Haiku", "equinox": "Equinox"}
"""Packages whose modules are networks elsewhere."""
FORCIBLE = ("optimizer", "learning_rate", "batch_size")


@dataclasses.dataclass(frozen=True)
class Demands:
    """An experiment as one rule takes part in it: its network, its data in the rule's `encoding` (the transforms beyond
    those that the data had), its settings, and a note for everything that sets it apart."""

    source: Network | Callable[..., Network]
    data: Dataset
    encoding: tuple[Transform, ...]
    optimizer: Any
    learning_rate: float
    batch_size: int
    forced: tuple[str, ...]
    notes: tuple[str, ...]


def honor(
    rule: AbstractRule,
    name: str,
    source: Network | Callable[..., Network],
    data: Dataset,
    *,
    optimizer: Any,
    learning_rate: float,
    batch_size: int,
) -> Demands:
    """The rule's `forced`, `encoding` and `adapt` applied.

    **Raises:** `UserError` where the rule has no network for this experiment, or forces what belongs to the comparison.
    """
    settings = {"optimizer": optimizer, "learning_rate": learning_rate, "batch_size": batch_size}
    notes, forced = [], []
    names = hooks.encoding(rule, name, data)
    encoded = data.flat().encode(*names) if names else data
    template = made(source)
    encoding = encoded.transforms[len(data.transforms) :]
    if encoding:
        notes.append(f"inputs encoded by the rule ({', '.join(transform.name for transform in encoding)})")
    adapted = hooks.adapt(rule, name, template, encoded)
    if adapted.config() != template.config():
        notes.append(f"network changed by the rule: {adapted}")
        source = adapted if isinstance(source, Network) else _adapting(rule, name, source, encoded)
    for setting, value in rule.forced.items():
        if setting not in FORCIBLE:
            raise UserError(f"the rule {name} forces {setting!r}: it can force {', '.join(FORCIBLE)}.")
        if setting == "optimizer" and isinstance(value, Mapping) and "network" not in value:
            base = optimizer if isinstance(optimizer, Mapping) else {"network": optimizer}
            settings[setting] = {**base, **value}  # of parts that only this rule has: nothing sets it apart
            notes += [f"optimizer of {label} forced to {value[label]}" for label in value if label in base]
            continue
        if setting == "optimizer":
            optimizers.factory(value)
        settings[setting] = value
        forced.append(setting)
        notes.append(f"{setting} forced to {optimizers.describe(value)}")
    return Demands(source, encoded, encoding, **settings, forced=tuple(forced), notes=tuple(notes))


def _adapting(rule: AbstractRule, name: str, given: Callable[..., Network], data: Dataset) -> Callable[..., Network]:
    """The factory whose networks the rule has adapted. What the rule left as it was stays as it was drawn; what it put in
    is drawn anew from the key, as in a template."""

    def factory(key: Key) -> Network:
        network = given(key)
        drawn = {id(leaf) for leaf in jax.tree.leaves(network)}
        adapted = hooks.adapt(rule, name, network, data)
        return jax.tree.map(lambda old, new: old if id(old) in drawn else new, adapted, adapted.initialize(key))

    return factory


@dataclasses.dataclass(frozen=True)
class NetworkOfFile:
    """A factory in a file of the user's, by its module (`rules/source_files.py`), whose name tells one source from another: so
    its two fields are what a run's key needs, and what another process does."""

    module: str
    name: str

    def __call__(self, key: Key) -> Network:
        return getattr(sys.modules[self.module], self.name)(key)


def network_for(
    network: str | Network | Callable[..., Network], data: Dataset, activation: str = "relu"
) -> Network | Callable[..., Network]:
    """The network of a text for these data: hidden layers as `"64x64"`, or `"./my_network.py:make"`, a factory `key -> Network`
    or a network in a file, which is run; any other network as it is."""
    if not isinstance(network, str):
        return network
    if ".py" in network:
        module, name = registry.network_of_file(network)
        value = getattr(sys.modules[module], name)
        return made(value) if isinstance(value, Network) or not callable(value) else NetworkOfFile(module, name)
    return networks.build(network, input_shape=data.input_shape, outputs=data.outputs, activation=activation)


def made(source: Network | Callable[..., Network]) -> Network:
    """A network of the source: itself, or what the factory makes."""
    if isinstance(source, Network):
        return source
    if not callable(source):
        sizes = listed(source) or [source]
        known = all((whole(size) or 0) > 0 for size in sizes)
        text, hidden = "x".join(map(str, sizes)), "hidden layer" if len(sizes) == 1 else "hidden layers"
        hint = f': write "{text}" for {hidden} of these sizes' if known else ""
        raise UserError(
            f"a network is a text as in '64x64', an ascribe Network or a factory key -> Network; got {shown(source)}{hint}."
        )
    packages = {kind.__module__.partition(".")[0] for kind in inspect.getmro(type(source))}
    package = next((told for name, told in FOREIGN.items() if name in packages), None)
    try:
        template = source(jr.key(0))
    except Exception as error:
        if package is not None:
            raise UserError(_foreign(package, source)) from error
        if isinstance(source, NetworkOfFile) and not isinstance(error, UserError | TypeError):
            file = sys.modules[source.module].__file__ or ""
            line = hooks.line_in(file, error)
            at = "" if line is None else f" in {file}, line {line}"
            raise UserError(f"the network factory {source.name} failed{at}: {hooks.reason(error)}.") from error
        if not isinstance(error, TypeError | KindError):
            raise
        raise UserError(
            f"a network factory takes a key alone, as in lambda key: mlp([2, 64, 1], key=key): {error}."
        ) from error
    if not isinstance(template, Network):
        if package is not None:
            raise UserError(_foreign(package, source))
        raise UserError(f"a network factory returns an ascribe Network; got {type(template).__name__}.")
    return template


def _foreign(package: str, module: Any) -> str:
    return (
        f"a network is made of ascribe's layers; got the {package} module {type(module).__name__}: build it anew, as in "
        f"ascribe.networks.mlp([64, 32, 10]), with layers of your own where it needs them (ascribe.networks.AbstractLayer)."
    )
