"""The relaxation that several rules share: activities of a batch that move towards an equilibrium before the weights get their
credit, with the weights held fixed."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from ascribe.networks import Network
from ascribe.types import Array, Scalar

from .base import Batch
from .terms import output_loss

State = TypeVar("State")


def relaxed(step: Callable[[State], State], start: State, steps: int) -> State:
    """What `start` is after so many steps, by one compiled loop. `step` moves all activities at once."""
    return jax.lax.scan(lambda state, _: (step(state), None), start, None, length=steps)[0]


def unrest(step: Callable[[State], State], state: State) -> Scalar:
    """How far activities are from an equilibrium: the norm of what one more step adds to them, over their own."""
    squares = lambda tree: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree))
    moved: Any = squares(jax.tree.map(jnp.subtract, step(state), state))
    size: Any = squares(state)
    return jnp.sqrt(moved / jnp.where(size > 0, size, 1))


def error_of_outputs(network: Network, z: Array, batch: Batch) -> Array:
    """∂C/∂z of every example by itself, `(batch, outputs)`, at the last preactivation."""
    return jax.grad(lambda z: z.shape[0] * output_loss(network, z, batch))(z)
