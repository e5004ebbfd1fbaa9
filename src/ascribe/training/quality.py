"""The credit of independent batches, for estimates of its quality at the weights of one moment (`moments.py` says how)."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.memory import check_room
from ascribe.networks import Network
from ascribe.setup import Setup
from ascribe.types import Array

from . import loop
from .batches import one_batch
from .examples import examples_of, flatten_for
from .moments import TOTAL, Moments, minus, moments, products
from .recipe import Recipe
from .seeds import streams


class Units(NamedTuple):
    """Of independent vectors x_i with the mean x̄: `length` ‖x̄‖², `along` (x_i - x̄)·x̄ and `squares` ‖x_i - x̄‖², `(units,)`
    each."""

    length: Any
    along: Any
    squares: Any


class CreditUnits(NamedTuple):
    """Of one layer, what is known of the mean credits of independent batches, of their references, and of the differences;
    `within`: the sums of squares of each batch's credits about their mean, `(batches,)`."""

    credit: Units
    reference: Units
    difference: Units
    within: Any


def credit_units(recipe: Recipe, seed: int, *, as_given: bool, batches: int, draws: int) -> dict[str, CreditUnits]:
    """What is known of the credit in so many independent batches, with so many draws of the rule's randomness in each, by layer
    and in total. `as_given`: with the weights that the recipe's network has, in place of those of the seed.

    **Raises:** `UserError` where memory does not hold the means.
    """
    number, setup = jnp.asarray(seed, jnp.uint32), recipe.setup.compiled()
    network: Any = recipe.source if as_given else loop.new_network(recipe.source, number)
    size = 2 * batches * network.parameters * network.dtype.itemsize
    check_room(f"two gradients for each of {batches} batches", size, "choose fewer batches")
    flat = flatten_for(network, recipe.data)
    data = loop.Data(examples_of(flat, "train"), examples_of(flat, "validation"))
    run = loop.Run(recipe.rule, jnp.asarray(setup.learning_rate), number)
    found = jax.device_get(_means_of(setup, run, network, data, batches, draws))
    return {layer: found[layer] for layer in (TOTAL, *network.synaptic)}


@eqx.filter_jit
def _means_of(setup: Setup, run: Any, network: Network, data: Any, batches: int, draws: int) -> dict[str, CreditUnits]:
    state = loop.initialize(setup, network, run, data, curves=())
    key = streams(run.seed).batches

    def of_batch(number: Array) -> Moments:
        batch, own = jr.split(jr.fold_in(key, number))
        indices = one_batch(batch, data.train.inputs.shape[0], setup.batch_size)
        return moments(lambda draw: loop.both_credits(setup, run, state, data, indices, jr.fold_in(own, draw)), draws)

    found = jax.lax.map(of_batch, jnp.arange(batches))
    credit, reference, difference = map(_units, (found.credit, found.reference, minus(found.credit, found.reference)))
    within = found.squares["credit"]
    return {layer: CreditUnits(credit[layer], reference[layer], difference[layer], within[layer]) for layer in within}


def _units(vectors: Network) -> dict[str, Units]:
    """What is known of vectors side by side, with a leading axis of them on every array."""
    mean = jax.tree.map(lambda leaf: leaf[0] + jnp.mean(leaf - leaf[0][None], axis=0), vectors)
    apart = jax.tree.map(lambda leaf, mean: leaf - mean[None], vectors, mean)
    length = products(mean, mean)
    along, squares = jax.lax.map(lambda one: (products(one, mean), products(one, one)), apart)
    return {layer: Units(length[layer], along[layer], squares[layer]) for layer in length}
