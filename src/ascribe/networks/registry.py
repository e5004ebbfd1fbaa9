"""Layers by the names of their classes: those of this package, and those that a user has registered."""

import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax.random as jr
import numpy as np

from ascribe.checks import explained
from ascribe.errors import UserError, names_in_words, shown

from .block import models
from .foreign import LIBRARIES, blocks, code_of, library_of, name_of, register_model
from .layer import OWN, AbstractLayer, built, inner_layers, layer_name
from .network import Network

LAYERS: dict[str, type[AbstractLayer]] = {}
"""Every layer of this package by its class name, as `networks/__init__.py` has them: what `Network.config` writes and
`from_config` reads."""

_registered: dict[str, type[AbstractLayer]] = {}
Kind = TypeVar("Kind")


class UnknownLayerError(UserError):
    """A structure names a layer whose class is not known here."""

    def __init__(self, names: Iterable[str]):
        unknown = list(dict.fromkeys(names))
        super().__init__(
            f"no class is known here for the layer{'s' * (len(unknown) > 1)} {names_in_words(unknown)}: register it, as in "
            f"ascribe.networks.register_layer({unknown[0].removeprefix(OWN)}), or give its file to `ascribe report` or "
            f"`inspect` by --layers."
        )


def register_layer(kind: Kind) -> Kind:
    """Makes a layer class of yours known by its name, so that records and models with such layers can be loaded; as a call, or
    as a decorator of the class. A class of the same name that was registered before is replaced. A model of another library
    (`from_model`), a class of them, or a factory becomes known so too.

    **Raises:** `UserError` for what is neither a class derived from `AbstractLayer` nor such a model.
    """
    if not (inspect.isclass(kind) and issubclass(kind, AbstractLayer)):
        if library_of(kind) not in LIBRARIES and not inspect.isfunction(kind):
            raise UserError(f"a layer is a class that derives from ascribe.networks.AbstractLayer; got {shown(kind)}.")
        register_model(name_of(kind), kind)
        return kind
    if kind not in LAYERS.values():
        _registered[layer_name(kind)] = kind
    return kind


def register_layers_of(module: Any) -> list[str]:
    """Registers every layer class, and every class of another library's models or function that may return one, that a module
    defines; their names."""
    own = [one for one in vars(module).values() if getattr(one, "__module__", None) == module.__name__]
    found = [one for one in own if inspect.isclass(one) and (issubclass(one, AbstractLayer) or library_of(one) in LIBRARIES)]
    return [register_layer(one).__name__ for one in [*found, *filter(inspect.isfunction, own)]]


@explained
def from_config(config: list[dict]) -> Network:
    """The network that `Network.config()` described, with parameters of its initializers' laws.

    **Raises:** `UserError` where a layer's class is neither of this package nor registered (`register_layer`).
    """
    known = {**_registered, **LAYERS}
    unknown = [name for name in _names(config) if name not in known and name not in models]
    if unknown:
        raise UnknownLayerError(unknown)
    return Network(_made(entry, known) for entry in config)


def _made(value: Any, known: Mapping[str, type[AbstractLayer]]) -> Any:
    """A part of a structure: a layer where it names one, with the layers in it."""
    if isinstance(value, Mapping):
        parts = {name: _made(one, known) for name, one in value.items() if name != "layer"}
        return built(known[value["layer"]], parts, jr.key(0)) if "layer" in value else parts
    return [_made(one, known) for one in value] if isinstance(value, list) else value


def _names(value: Any) -> list[str]:
    """The names of the layers in a part of a structure, those of models among them."""
    if isinstance(value, Mapping):
        own = [value["layer"]] if "layer" in value else []
        own += [value["model"]] if own == ["Block"] else []
        return own + [name for one in value.values() for name in _names(one)]
    return [name for one in value for name in _names(one)] if isinstance(value, list) else []


def own_layers(config: list[dict]) -> list[str]:
    """The layers in a structure that are not of this package."""
    return [name for name in dict.fromkeys(_names(config)) if name not in LAYERS]


def layer_classes(network: Network) -> list[type[AbstractLayer]]:
    """The classes of a network's layers and of the layers inside them, each once."""
    return list(dict.fromkeys(type(one) for layer in network.templates for one in (layer, *inner_layers(layer))))


def sources(network: Network) -> dict[str, dict[str, str]]:
    """The source of every layer class that is not of this package, and of every model in a block, by its name: the file's name
    and its text, to be read. It is empty where nobody can tell."""
    found = {}
    made_of = {layer_name(kind): kind for kind in layer_classes(network) if LAYERS.get(kind.__name__) is not kind}
    for name, kind in (made_of | {block.adapter.name: code_of(block.adapter.source) for block in blocks(network)}).items():
        module = sys.modules.get(kind.__module__)
        kept, file = getattr(module, "__source__", None), Path(getattr(module, "__file__", None) or "")
        if kept is not None or file.is_file():
            text = (file.read_bytes() if kept is None else kept).decode(errors="replace")
        else:  # written at a prompt or in a notebook
            try:
                text = inspect.getsource(kind)
            except (OSError, TypeError):
                text = ""
        found[name] = {"file": file.name, "source": text}
    return found


class Unbuilt(NamedTuple):
    """A trained network whose layers are not known here: its structure, its text, the sources of its layers, and why. Its
    arrays are kept by name."""

    structure: list[dict[str, Any]]
    text: str
    sources: dict[str, dict[str, str]]
    reason: str

    def config(self) -> list[dict[str, Any]]:
        """The structure, as `Network.config` wrote it."""
        return self.structure

    def __str__(self) -> str:
        return self.text


Arrays = dict[str, np.ndarray]
"""The arrays of an `Unbuilt` network, by name."""
