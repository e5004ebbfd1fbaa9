"""Trained networks as safetensors: every array by its layer's name, the structure as JSON in the file's own header."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from ascribe import networks
from ascribe.errors import UserError, names_in_words
from ascribe.networks import Network, Stack, Unbuilt
from ascribe.networks.registry import Arrays, own_layers
from ascribe.types import PyTree


def save_parameters(path: Path, stacked: Network | Arrays, states: PyTree, template: Network | Unbuilt) -> None:
    """Writes the networks of all seeds; every array has a leading axis of seeds."""
    tensors = stacked if isinstance(stacked, dict) else tensors_of(stacked, states)
    safetensors.numpy.save_file(tensors, path, {"network": json.dumps(template.config())})


def load_parameters(path: Path, text: str = "", sources: Any = None) -> tuple[Any, Any, PyTree]:
    """The structure, the stacked networks and their normalization statistics; where a layer's class is not known, an `Unbuilt`
    network of that text and those sources, and its arrays by name. The code of a layer is never taken from a file."""
    try:
        with safetensors.safe_open(path, "np") as file:
            config = json.loads((file.metadata() or {})["network"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f"the parameter file {str(path)!r} is damaged: {error}.") from error
    try:
        # Abstract: a structure that asks for more numbers than the file has is refused before anything is allocated.
        stacked, states = filled(jax.eval_shape(lambda: with_state(networks.from_config(config))), tensors, runs=True)
        template = networks.from_config(config)
    except Exception as error:
        own = own_layers(config)
        if own:
            told = f"({type(error).__name__}: {error})"
            reason = f"{names_in_words(own)}, built from what `config` gave, make another network {told}."
            unknown = isinstance(error, networks.UnknownLayerError)
            return Unbuilt(config, text, sources or {}, str(error) if unknown else reason), tensors, ()
        if not isinstance(error, ValueError):
            raise
        raise UserError(f"the parameter file {str(path)!r} is damaged: {str(error).rstrip('.')}.") from error
    return template, stacked, states


def with_state(network: Network) -> tuple[Network, PyTree]:
    """A network and its initial normalization statistics, what `filled` fills."""
    return network, network.initial_state()


def tensors_of(network: Network, states: PyTree) -> dict[str, np.ndarray]:
    """Every array of a network, or of many with a leading axis, by its layer's name."""
    return {name: np.asarray(leaf, order="C") for name, leaf in _named(network, states).items()}


def filled(pair: PyTree, tensors: dict[str, np.ndarray], *, runs: bool = False) -> tuple[Network, PyTree]:
    """A network with these arrays and its normalization statistics, of the structure of `pair`, which may be abstract
    (`jax.eval_shape`); with `runs`, many networks with a leading axis on every array.

    **Raises:** `ValueError` where an array is missing, or has another shape or kind than the structure's.
    """
    wanted = _named(*pair)
    for name in [*wanted, *tensors]:
        if name not in tensors or name not in wanted:
            raise ValueError(f"{name} is {'missing' if name in wanted else 'no array of its network'}")
    leaves = [tensors[name] for name in wanted]
    front = leaves[0].shape[:1] if runs else ()
    for (name, leaf), found in zip(wanted.items(), leaves, strict=True):
        if found.shape != (*front, *leaf.shape) or found.dtype.kind != leaf.dtype.kind:
            expected = f"{leaf.dtype} of shape {(*front, *leaf.shape)}"
            raise ValueError(f"{name} is {found.dtype} of shape {found.shape} and not {expected}")
    network, states = jax.tree.unflatten(jax.tree.structure(pair), leaves)
    return network, states


def _named(network: Network, states: PyTree) -> dict[str, Any]:
    """`linear1.weight`, `batchnorm1.state.0`, … in the order of the tree's leaves; the layers of a stack have one array
    together, with an axis of its own, `linear2 to linear100.weight`."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path((network, states)):
        keys = [_plain(key) for key in path]
        if keys[0] == 1:  # (1, i, number)
            found[f"{network.names[keys[1]]}.state.{'.'.join(map(str, keys[2:]))}"] = leaf
            continue
        part, first, field = network.parts[keys[2]], network.starts[keys[2]], keys[3:]  # (0, "parts", part, *field)
        name = network.names[first]
        if isinstance(part, Stack):  # (0, "parts", part, "layers", i, *field)
            period, first, field = len(part.layers), first + keys[4], keys[5:]
            name = f"{network.names[first]} to {network.names[first + period * (part.count - 1)]}"
        found[".".join(map(str, (name, *field)))] = leaf
    return found


def _plain(key: Any) -> Any:
    return getattr(key, "idx", getattr(key, "name", getattr(key, "key", None)))
