"""A rule in anybody's training loop, with the manners of `jax.value_and_grad`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from ascribe import losses
from ascribe.arguments import explained
from ascribe.errors import UserError
from ascribe.networks import Network, check_input
from ascribe.types import PyTree, Scalar

from .base import AbstractRule, Batch, Credit, Trainables, network_of


@explained
def as_batch(network: Network, batch: Any, loss: str | losses.Loss | None = None) -> Batch:
    """A `Batch` from itself or from a pair (inputs, targets). Without `loss`, integer targets mean a cross entropy
    (Bernoulli for one output, categorical for several) and other numbers the squared error. Inputs take the weights' type."""
    if isinstance(batch, Batch):
        return batch if loss is None else dataclasses.replace(batch, loss=losses.get(loss))
    try:
        inputs, targets = (jnp.asarray(part) for part in batch)
    except (TypeError, ValueError) as error:
        raise UserError("a batch is an ascribe.Batch or a pair (inputs, targets) of arrays.") from error
    if not (inputs.ndim and targets.ndim):
        raise UserError("a batch is an ascribe.Batch or a pair (inputs, targets) of arrays, one row an example.")
    if len(inputs) != len(targets):
        raise UserError(f"a batch has one target an example; got {len(inputs)} inputs and {len(targets)} targets.")
    check_input(network, inputs.shape[1:])
    dtype = network.dtype
    inputs = inputs.astype(dtype)
    labels = not jnp.issubdtype(targets.dtype, jnp.floating)
    if labels and targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    targets = targets.astype(jnp.int32) if labels else targets
    task = "classification" if labels else "regression"
    chosen = losses.default_for(task, network.outputs) if loss is None else losses.get(loss)
    return Batch(inputs, targets, chosen)


def value_and_credit(rule: AbstractRule, loss: str | losses.Loss | None = None) -> Callable[..., tuple[Scalar, Credit]]:
    """A rule with the manners of `jax.value_and_grad`, for any training loop.

    `value_and_credit(rule)(network, state, batch, key=key)` returns `(loss, credit)`; `credit.gradients` has the tree of
    the first argument and goes to any Optax optimizer; `credit.state` and `credit.network_state` go into the next call
    (the latter as `dataclasses.replace(batch, network_state=…)`). The first argument is the network, or
    `rule.trainables(network, data, key=key)` for a rule that trains more than the network; `state` is
    `rule.init(network, data, key=key)`; `batch` is a `Batch` or a pair (inputs, targets).

    **Raises:** `UserError` where the rule trains more than the bare network that was given.
    """

    def credited(trainables: Any, state: PyTree, batch: Any, *, key: Any = None) -> tuple[Scalar, Credit]:
        network = network_of(trainables)
        batch = as_batch(network, batch, loss)
        if isinstance(trainables, Network):
            own = eqx.filter_eval_shape(lambda n: rule.trainables(n, batch, key=jr.key(0)), network)
            if isinstance(own, Trainables):
                raise UserError(
                    f"{type(rule).__name__} trains more than the network: "
                    f"pass rule.trainables(network, data, key=key) in its place."
                )
        credit = rule(trainables, state, batch, key=key)
        return credit.loss, credit

    return credited
