"""The networks that training is asked for: a text, a template, a factory, a file of the user's."""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import jax.random as jr

from ascribe import networks
from ascribe.checks import KindError, listed, whole
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.rules import hooks, registry
from ascribe.types import Key

from .examples import flatten_for
from .loop import NetworkSource

FOREIGN = {"torch": "PyTorch", "flax": "Flax", "keras": "Keras", "haiku": "Haiku", "equinox": "Equinox"}
"""Packages whose modules are networks elsewhere."""


@dataclasses.dataclass(frozen=True)
class NetworkOfFile:
    """A factory in a file of the user's, by its module (`rules/source_files.py`), whose name tells one source from another: so
    its two fields are what a run's key needs, and what another process does."""

    module: str
    name: str

    def __call__(self, key: Key) -> Network:
        return getattr(sys.modules[self.module], self.name)(key)


@dataclasses.dataclass(frozen=True)
class Located:
    """A factory whose networks know what their layers hold for inputs of this shape (`Network.located`)."""

    factory: Callable[[Key], Network]
    input_shape: tuple[int, ...]

    def __call__(self, key: Key) -> Network:
        return self.factory(key).located(self.input_shape)


def located(source: NetworkSource, data: Dataset) -> NetworkSource:
    """The source, with the sites inside its layers found for these data."""
    template = template_of(source)
    shape = flatten_for(template, data).input_shape
    if not template.composites or (template.inside is not None and template.inside.input_shape == shape):
        return source
    if isinstance(source, Network):
        return source.located(shape)
    return Located(source.factory if isinstance(source, Located) else source, shape)


def network_for(network: str | NetworkSource, data: Dataset, activation: str = "relu") -> NetworkSource:
    """The network of a text for these data: hidden layers as `"64x64"`, or `"./my_network.py:make"`, a factory `key -> Network`
    or a network in a file, which is run; any other network as it is. What its layers hold inside is found for these data."""
    return located(_source(network, data, activation), data)


def _source(network: str | NetworkSource, data: Dataset, activation: str) -> NetworkSource:
    if not isinstance(network, str):
        return network
    if ".py" in network:
        module, name = registry.network_of_file(network)
        value = getattr(sys.modules[module], name)
        return template_of(value) if isinstance(value, Network) or not callable(value) else NetworkOfFile(module, name)
    return networks.build(network, input_shape=data.input_shape, outputs=data.outputs, activation=activation)


def template_of(source: NetworkSource) -> Network:
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
