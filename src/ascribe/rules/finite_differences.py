"""Finite differences: each derivative from two evaluations of the loss.

Source: "Neural networks" (course notes), section 3.1.2.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ascribe.checks import at_least, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.losses import SQUARED_ERROR
from ascribe.networks import Network, mlp, record
from ascribe.types import Array, Key, PyTree, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .terms import Terms, output_error

MEMORY = 2**24
"""Bytes that the activations of all evaluations at once may take; on a CPU more of them are no faster."""


class FiniteDifferences(AbstractRule[Network, PyTree]):
    """∂E/∂θ_i ≈ (E(θ + Δ e_i) - E(θ - Δ e_i)) / 2Δ for every trainable number θ_i, all for one batch and one dropout mask.

    `step`: Δ. The truncation error Δ²/6 · ∂³E/∂θ_i³ falls with Δ², the rounding error ε E/Δ grows with 1/Δ; on numbers of
    order one their sum is least near ε^⅓, which is 0.005 in float32 (the default) and 6e-6 in float64. In float32 the
    default's relative error is about 1e-4 for smooth activations and up to 1e-2 for ReLU, where Δ crosses corners.
    `limit`: the most parameters a network may have, because one step evaluates it twice for each.

    The limit Δ → 0 is `Backpropagation`; where the loss is quadratic in each parameter (one linear layer, squared error)
    every Δ is exact. Threshold units have a slope here where Δ is wide enough to switch some of them.

    **Raises:** `UserError` for a network with more than `limit` parameters.
    """

    step: Scalar = hyperparameter(0.005, "(0, inf)")
    limit: int = eqx.field(static=True, default=1000, converter=plain)

    def __check_init__(self):
        at_least(1, "`limit` of FiniteDifferences", self.limit)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network itself, if it is small enough."""
        self._check_size(network)
        return network

    def _check_size(self, network: Network) -> None:
        count = network.parameters
        if count > self.limit:
            raise UserError(
                f"finite differences evaluate the network twice per parameter: this one has {count:,} and the limit is "
                f"{self.limit:,}; use a smaller network, or, in Python, FiniteDifferences(limit={-(-count // 1000) * 1000})."
            )

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        self._check_size(network)
        return _credit(network, state, batch, key, self.step)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """With a wide Δ, where rounding is small beside it."""
        linear, quadratic = quadratic_case(batch, key=key)
        wide = dataclasses.replace(self, step=0.5, limit=linear.parameters)
        ours = wide(linear, None, quadratic, key=key).gradients
        theirs = jax.grad(lambda network: loss_of(network, quadratic, key)[0])(linear)
        return LimitingCase("one linear layer has the squared error, for every Δ", "jax.grad of the loss", ours, theirs)


@eqx.filter_jit
def _credit(network: Network, state: PyTree, batch: Batch, key: Key | None, step: Scalar) -> Credit:
    loss, network_state = loss_of(network, batch, key)
    theta, unravel = ravel_pytree(network)
    delta = step.astype(theta.dtype)

    def quotient(i: Array) -> Scalar:
        above, below = (loss_of(unravel(theta.at[i].add(by)), batch, key)[0] for by in (delta, -delta))
        return (above - below) / (2 * delta)

    gradient = jax.lax.map(quotient, jnp.arange(theta.size), batch_size=_at_once(network, batch, key))
    return Credit(loss, unravel(gradient), state, network_state)


def loss_of(network: Network, batch: Batch, key: Key | None) -> tuple[Scalar, PyTree]:
    """E of one forward pass in training mode, as the backward sweep reports it, and the new normalization statistics."""
    tape, network_state = record(network, batch.inputs, batch.network_state, key=key)
    return output_error(network, tape, batch, Terms())[0], network_state


def quadratic_case(batch: Batch, *, key: Key) -> tuple[Network, Batch]:
    """A linear layer with one output for a batch's inputs, and the squared error: E is quadratic in the parameters."""
    inputs = jnp.reshape(batch.inputs, (len(batch.inputs), math.prod(batch.inputs.shape[1:])))
    targets = jnp.reshape(batch.targets, (len(inputs), -1))[:, :1].astype(inputs.dtype)
    return mlp([inputs.shape[1], 1], key=key), Batch(inputs, targets, SQUARED_ERROR)


def _at_once(network: Network, batch: Batch, key: Key | None) -> int:
    """How many parameters are perturbed at once, so that their evaluations' activations fit into `MEMORY`: every layer's
    input and output, its workspace, and the network itself, twice each."""

    def outputs(network: Network, batch: Batch, key: Key | None) -> tuple[Array, ...]:
        tape, _ = record(network, batch.inputs, batch.network_state, key=key)
        return (*tape.inputs, tape.output)

    values = eqx.filter_eval_shape(outputs, network, batch, key)
    rows = len(batch.inputs)
    # Of a batch that is rounded up to a power of two: batches of nearly one size are taken alike.
    size = lambda x: x.size // rows << (rows - 1).bit_length()
    numbers = network.parameters + sum(map(size, values))
    for layer, output in zip(network.layers, values[1:], strict=True):
        numbers += layer.workspace(size(output))
    bytes_each = 2 * numbers * values[-1].dtype.itemsize
    return min(max(1, MEMORY // bytes_each), network.parameters)
