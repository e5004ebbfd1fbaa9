"""Trained networks as safetensors: every array by its layer's name, the structure as JSON in the file's own header."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Network, Stack
from ascribe.types import PyTree


def save_parameters(path: Path, stacked: Network, states: PyTree, template: Network) -> None:
    """Writes the networks of all seeds; every array has a leading axis of seeds."""
    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in _named(stacked, states).items()}
    safetensors.numpy.save_file(tensors, path, {"network": json.dumps(template.config())})


def load_parameters(path: Path) -> tuple[Network, Network, PyTree]:
    """The structure, the stacked networks and their normalization statistics."""
    try:
        with safetensors.safe_open(path, "np") as file:
            template = networks.from_config(json.loads((file.metadata() or {})["network"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise UserError(f"the parameter file {str(path)!r} is damaged: {error}.") from error
    pair = (template, template.initial_state())
    wanted = _named(*pair)
    if set(wanted) != set(tensors):
        raise UserError(f"the parameter file {str(path)!r} does not fit its own network: it is damaged.")
    leaves = [tensors[name] for name in wanted]
    stacked, states = jax.tree.unflatten(jax.tree.structure(pair), leaves)
    return template, stacked, states


def _named(network: Network, states: PyTree) -> dict[str, Any]:
    """`linear1.weight`, `batchnorm1.state.0`, … in the order of the tree's leaves; the layers of a stack have one array
    together, with an axis of its own, `linear2 to linear100.weight`."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path((network, states)):
        keys = [_plain(key) for key in path]
        if keys[0] == 1:  # (1, i, number)
            found[f"{network.names[keys[1]]}.state.{'.'.join(map(str, keys[2:]))}"] = leaf
            continue
        part, first = network.parts[keys[2]], network.starts[keys[2]]  # (0, "parts", part, …, field)
        name = network.names[first]
        if isinstance(part, Stack):  # (0, "parts", part, "layers", i, field)
            period, first = len(part.layers), first + keys[4]
            name = f"{network.names[first]} to {network.names[first + period * (part.count - 1)]}"
        found[f"{name}.{keys[-1]}"] = leaf
    return found


def _plain(key: Any) -> Any:
    return getattr(key, "idx", getattr(key, "name", getattr(key, "key", None)))
