"""Class maps on the way: what networks of two features answer all over the plane, at a few epochs of their training."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.datasets import Dataset
from ascribe.datasets.region import has_class_map, plane, transformed
from ascribe.losses import Loss
from ascribe.metrics import class_probabilities
from ascribe.networks import Network
from ascribe.types import PyTree

from .devices import outputs_of_runs
from .evaluate import link

SIDE = 32
"""Points along each side of a map."""
MOST_CLASSES = 20
"""Classes up to which maps are kept on the way."""
STEPS = (1, 2, 5)


def mapped_epochs(epochs: int) -> list[int]:
    """The epochs before the last whose maps are kept: 0, which is before the first, then 1, 2, 5, 10, 20, 50, …"""
    powers = range(len(str(epochs)))
    return [0, *(number for power in powers for step in STEPS if (number := step * 10**power) < epochs)]


def points_of(data: Dataset) -> np.ndarray | None:
    """The points of a map, `(SIDE ** 2, features)`, as networks take them; None for data that have no class maps."""
    if not has_class_map(data) or data.classes > MOST_CLASSES:
        return None
    points = transformed(data, plane(data, SIDE).reshape(-1, 2))
    return points.reshape(len(points), -1)


def class_maps(network: Network, loss: Loss, networks: Network, states: PyTree, points: np.ndarray) -> np.ndarray:
    """The probabilities of all classes but the first, in 255ths.

    **Arguments:** `network`: the structure of the `networks`, which have a leading axis of runs on every array, as their
    normalization statistics `states` have; `points`: of `points_of`.

    **Returns:** `(runs, SIDE, SIDE, classes - 1)`, uint8, the first row at the top; 0 where a network answers NaN.
    """
    dtype = jax.tree.leaves(networks)[0].dtype
    outputs = outputs_of_runs(networks, states, jnp.asarray(points, dtype))
    last = link(network, loss)
    chances = np.asarray(jax.vmap(lambda one: class_probabilities(one, link=last))(outputs))[..., 1:]
    return np.round(255.0 * np.nan_to_num(chances)).astype(np.uint8).reshape(len(chances), SIDE, SIDE, -1)


def side_by_side(kept: Sequence[Mapping[int, np.ndarray]]) -> dict[int, np.ndarray]:
    """The maps of several runs, a leading axis of runs on every one, at the epochs that all of them have."""
    epochs = [epoch for epoch in kept[0] if all(epoch in one for one in kept)]
    return {epoch: np.stack([one[epoch] for one in kept]) for epoch in epochs}
