"""Training one layer alone: all others stay as they were, whatever rule and optimizer do."""

import dataclasses
from typing import Any

import equinox as eqx
import jax

from ascribe.errors import UserError, names_in_words
from ascribe.networks import Network
from ascribe.networks.stack import Stack
from ascribe.rules import Trainables, network_of

ENDS = {"first": 0, "last": -1}
"""Words for the lowest and the highest layer with weights, where no layer has that name."""


def check_layer(setting: str, network: Network, name: Any) -> str:
    """The name of a layer with weights, or a `UserError` that lists those there are."""
    if not isinstance(name, str) or name not in network.synaptic:
        layers = names_in_words(network.synaptic)
        raise UserError(f"`{setting}` names one layer with weights of the network ({layers}); got {name!r}.")
    return name


def free_layer(network: Network, only: Any) -> str | None:
    """The name of the one layer that a setting `only` leaves free, or None where all are; a `UserError` where it is none."""
    if isinstance(only, str) and only in ENDS and only not in network.synaptic:
        return network.synaptic[ENDS[only]]
    return None if only is None else check_layer("only", network, only)


def one_layer(name: str, new: Network, old: Network) -> Network:
    """`old` with the layer `name` of `new`, or the weight of that name inside one. All other arrays are those of `old`, bit for
    bit."""
    if name not in old.names:
        return eqx.tree_at(lambda network: network[name].weight, old, new[name].weight)
    number, row, position = old.address(old.index(name))
    part, given = old.parts[number], new.parts[number]
    if isinstance(part, Stack) and isinstance(given, Stack):
        layers = list(part.layers)
        layers[position] = jax.tree.map(
            lambda kept, moved: kept.at[row].set(moved[row]), layers[position], given.layers[position]
        )
        given = Stack(tuple(layers), part.count)
    return eqx.tree_at(lambda network: network.parts, old, (*old.parts[:number], given, *old.parts[number + 1 :]))


def only_layer(name: str | None, new: Any, old: Any) -> Any:
    """Trainables after a step in which of the network only the layer `name` moved; what is trained beside it moved too.
    With `name=None` everything moved."""
    if name is None:
        return new
    network = one_layer(name, network_of(new), network_of(old))
    return dataclasses.replace(new, network=network) if isinstance(new, Trainables) else network
