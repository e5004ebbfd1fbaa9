"""Where the numbers of a training lie: a mesh of devices with the axes `data` and `runs`.

Runs are divided over `runs`, and no number crosses between them. Where several devices train one run, they divide its batches
over `data`: each computes its examples' part of the loss, the statistics and the gradient, and the compiler inserts the
sums over all of them. A program means the same on every mesh, so that batch normalization, dropout and any rule are those of
one device, to rounding. Weights, optimizer states and the data themselves are on every device.
"""

import functools
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from ascribe import checks
from ascribe.errors import UserError, shown
from ascribe.types import PyTree

from .processes import joined

RUNS, EVERYWHERE = PartitionSpec("runs"), PartitionSpec()


def check_devices_per_run(value: Any) -> int:
    """A number that divides that of the devices, or a `UserError`."""
    count = checks.whole(value)
    if count is None or count < 1:
        raise UserError(f"`devices_per_run` is a positive integer; got {shown(value)}.")
    if jax.device_count() % count:
        raise UserError(
            f"`devices_per_run` divides the number of devices, which is {jax.device_count()}; got {shown(value)}: start more "
            f"processes, or choose another number."
        )
    return count


def mesh_for(runs: int, devices_per_run: int = 1) -> Mesh:
    """The devices that share this many runs: an axis `runs`, and before it an axis `data` where several devices train one run
    (neighbors, so that they are on one machine if it has as many). Of several processes, all take part."""
    groups = jax.device_count() // devices_per_run
    if not joined():
        groups = max(1, min(runs, groups))
    devices = np.asarray(jax.devices()[: groups * devices_per_run])
    if devices_per_run == 1:
        return Mesh(devices, ("runs",))
    return Mesh(devices.reshape(groups, devices_per_run).T, ("data", "runs"))


def put(array: Any, sharding: Sharding) -> jax.Array:
    """An array that every process has, on the devices of all."""
    if not joined():
        return jax.device_put(array, sharding)
    array = np.asarray(array)
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """The arrays of a tree on every device of the mesh."""
    return jax.tree.map(lambda leaf: put(leaf, NamedSharding(mesh, EVERYWHERE)), tree)


def spread(tree: PyTree, mesh: Mesh, axes: PartitionSpec) -> PyTree:
    """The arrays of a tree, the same in every process, where a program of all of them wants them. In one process the compiled
    program places them itself."""
    return jax.tree.map(lambda leaf: put(leaf, NamedSharding(mesh, axes)), tree) if joined() else tree


def whole(tree: PyTree) -> PyTree:
    """The arrays of a tree, all of each on this process; all processes ask for the same ones together."""
    if not joined():
        return tree
    apart = [leaf for leaf in jax.tree.leaves(tree) if not (leaf.is_fully_addressable or leaf.is_fully_replicated)]
    if apart:
        tree = _everywhere(NamedSharding(apart[0].sharding.mesh, EVERYWHERE))(tree)
    return jax.tree.map(lambda leaf: leaf if leaf.is_fully_addressable else leaf.addressable_data(0), tree)


@functools.cache
def _everywhere(sharding: NamedSharding) -> Any:
    return jax.jit(lambda tree: tree, out_shardings=sharding)


def split(tree: PyTree) -> PyTree:
    """Inside a compiled program: examples, the leading axis of every array, divided over `data`, where the program's mesh
    has that axis and they divide."""
    mesh = jax.sharding.get_abstract_mesh()
    count = dict(mesh.shape).get("data", 1)
    if count == 1:
        return tree
    data = PartitionSpec("data")
    return jax.tree.map(lambda leaf: leaf if leaf.shape[0] % count else jax.lax.with_sharding_constraint(leaf, data), tree)
