"""What the names in a rule's terms stand for: layers, sites and activations inside layers, and patterns of their names."""

import difflib
import fnmatch
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ascribe.errors import UserError, names_in_words
from ascribe.networks import Activation, Network, activations
from ascribe.types import Elementwise


def activation_of(network: Network, name: str) -> str:
    """The name of the activation layer that `name` stands for: itself, or the one that follows a synaptic layer.

    **Raises:** `UserError` where there is none, or it is the output's.

    >>> from ascribe.networks import mlp
    >>> activation_of(mlp([2, 3, 1]), "linear1")
    'relu1'
    """
    if any(one.name == name for one in network.activations):
        return name
    if name in network.synaptic and name not in network.names:
        above = [one.name for one in network.activations if one.name.rpartition("/")[0] == name]
        if not above:
            raise UserError(f"no activation follows the site {name}: its derivative cannot be replaced.")
        if len(above) > 1:
            raise UserError(f"several activations follow the site {name}: name one of {names_in_words(above)}.")
        return above[0]
    i, layers = network.index(name), network.templates
    if layers[i].synaptic:
        above = itertools.takewhile(lambda j: not layers[j].synaptic, range(i + 1, len(layers)))
        i = next((j for j in above if isinstance(layers[j], Activation)), i)
        if layers[i].synaptic:
            raise UserError(f"no activation follows layer {name}: its derivative cannot be replaced.")
    if not isinstance(layers[i], Activation):
        raise UserError(f"layer {name} is no activation: a derivative g(z) belongs to an activation layer.")
    if i == len(layers) - 1:
        raise UserError(f"layer {network.names[i]} is the output: replace its derivative by `output_derivative`.")
    return network.names[i]


def slope_of(network: Network, name: str) -> Elementwise:
    """The exact derivative σ'(z) of an activation: a layer, or one inside a layer."""
    if name not in network.names:
        return network[name].derivative
    layer: Any = network.templates[network.index(name)]
    return activations.get(layer.function).derivative


def hidden_activations(network: Network) -> tuple[str, ...]:
    """The names of the activation layers whose derivative can be replaced: all but the output's."""
    network.check_located()
    inner: dict[int, list[str]] = {}
    for one in network.activations:
        if one.last and one.layer == len(network.names) - 1:
            continue
        inner.setdefault(one.layer, []).append(one.name)
    found: list[str] = []
    for number, (name, layer) in enumerate(zip(network.names, network.templates, strict=True)):
        function = layer.function if isinstance(layer, Activation) and number < len(network.names) - 1 else None
        own = [name] if function is not None and activations.get(function).elementwise else []
        found += own or inner.get(number, [])
    return tuple(found)


def matched(part: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A mapping whose patterns are replaced by the names that they match. A name that is written out comes before a pattern."""
    found: dict[str, Any] = {}
    for pattern, value in part.items():
        if not set(str(pattern)) & set("*?["):
            continue
        fitting_names = fnmatch.filter(names, pattern)
        if not fitting_names:
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3)
            raise UserError(
                f"the pattern {pattern!r} matches none of {names_in_words(names)}{f': is {near[0]} meant?' if near else '.'}"
            )
        found |= dict.fromkeys(fitting_names, value)
    return found | {name: value for name, value in part.items() if not set(str(name)) & set("*?[")}
