"""The relaxation that several rules share: activities of a batch that move towards an equilibrium before the weights get their
credit, with the weights held fixed."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ascribe.types import Scalar

Activities = TypeVar("Activities")


def relaxed(step: Callable[[Activities], Activities], start: Activities, steps: int) -> Activities:
    """What the activities are after so many steps from `start`, by one compiled loop. `step` moves all of them at once."""
    return jax.lax.scan(lambda activities, _: (step(activities), None), start, None, length=steps)[0]


def unrest(step: Callable[[Activities], Activities], activities: Activities) -> Scalar:
    """How far activities are from an equilibrium: the norm of what one more step adds to them, over their own."""
    squares = lambda tree: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))
    moved: Any = squares(jax.tree.map(jnp.subtract, step(activities), activities))
    size: Any = squares(activities)
    return jnp.sqrt(moved / jnp.where(size > 0, size, 1))
