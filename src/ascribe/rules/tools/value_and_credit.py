"""A rule in anybody's training loop, with the manners of `jax.value_and_grad`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses
from ascribe.checks import explained
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Network, check_input
from ascribe.rules import registry
from ascribe.rules.base import AbstractRule, Batch, Credit, Trainables, network_of
from ascribe.types import PyTree, Scalar


def _array(part: Any) -> Any:
    """As it is if it is JAX's; else NumPy's, whose whole numbers are not cut to 32 bits before they are looked at."""
    try:
        return part if isinstance(part, jax.Array) else np.asarray(part)
    except jax.errors.TracerArrayConversionError:
        return jnp.asarray(part)


@explained
def as_batch(network: Network, batch: Any, loss: str | losses.Loss | None = None) -> Batch:
    """A `Batch` from itself, from a pair (inputs, targets), or of all training examples of a `Dataset`. Without `loss`, integer
    targets mean a cross entropy (Bernoulli for one output, categorical for several) and other numbers the squared error.
    Inputs take the weights' type.

    **Raises:** `UserError` for what is no batch of that network, and for targets that the loss is not made for (`Loss.check`).
    """
    if isinstance(batch, Batch):
        network = network.located(batch.inputs.shape[1:])
        batch = batch if loss is None else dataclasses.replace(batch, loss=losses.get(loss))
        batch.loss.check(batch.targets, network.outputs)
        return batch
    if isinstance(batch, Dataset):
        data = batch.flat() if network.first.wants_vectors else batch
        batch = data.train.inputs, data.train.targets
    try:
        inputs, targets = (_array(part) for part in batch)
    except (TypeError, ValueError) as error:
        raise UserError("a batch is an ascribe.Batch or a pair (inputs, targets) of arrays.") from error
    if not (inputs.ndim and targets.ndim):
        raise UserError("a batch is an ascribe.Batch or a pair (inputs, targets) of arrays, one row an example.")
    if len(inputs) != len(targets):
        raise UserError(f"a batch has one target an example; got {len(inputs)} inputs and {len(targets)} targets.")
    for name, part in (("inputs", inputs), ("targets", targets)):
        if part.dtype != bool and not any(jnp.issubdtype(part.dtype, kind) for kind in (jnp.integer, jnp.floating)):
            raise UserError(f"the {name} of a batch are real numbers, rows of one length; got {part.dtype}.")
    check_input(network, inputs.shape[1:])
    network = network.located(inputs.shape[1:])
    dtype = network.dtype
    inputs = jnp.asarray(inputs, dtype)
    labels = not jnp.issubdtype(targets.dtype, jnp.floating)
    if labels and targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    task = "classification" if labels else "regression"
    chosen = losses.default_for(task, network.outputs) if loss is None else losses.get(loss)
    chosen.check(targets, network.outputs)
    targets = jnp.asarray(targets, jnp.int32 if labels else None)
    return Batch(inputs, targets, chosen)


def value_and_credit(
    rule: AbstractRule | type[AbstractRule] | str, loss: str | losses.Loss | None = None
) -> Callable[..., tuple[Scalar, Credit]]:
    """A rule, or the one of that name, as `jax.value_and_grad` of a loss, for any training loop.

    `value_and_credit(rule)(network, state, batch, key=key)` returns `(loss, credit)`; `credit.gradients` has the tree of
    the first argument and goes to any Optax optimizer; `credit.state` and `credit.network_state` go into the next call
    (the latter as `dataclasses.replace(batch, network_state=…)`). The first argument is the network, or
    `rule.trainables(network, data, key=key)` for a rule that trains more than the network; `state` is
    `rule.init(network, data, key=key)`, with all training examples as one batch, `data = as_batch(network, dataset)`; `batch`
    is a `Batch` or a pair (inputs, targets).

    **Raises:** `UserError` where the rule trains more than the bare network that was given.
    """
    made = registry.made(rule)

    def credited(trainables: Any, state: PyTree, batch: Any, *, key: Any = None) -> tuple[Scalar, Credit]:
        network = network_of(trainables)
        batch = as_batch(network, batch, loss)
        if isinstance(trainables, Network):
            own = eqx.filter_eval_shape(lambda n: made.trainables(n, batch, key=jr.key(0)), network)
            if isinstance(own, Trainables):
                raise UserError(
                    f"{type(made).__name__} trains more than the network: "
                    f"pass rule.trainables(network, data, key=key) in its place."
                )
        credit = made(trainables, state, batch, key=key)
        return credit.loss, credit

    return credited
