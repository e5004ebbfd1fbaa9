"""The credit of independent batches, for estimates of its quality at the weights of one moment (`moments.py` says how).

A program makes the credit of one batch, and its means and sums are taken outside of it, in double precision: XLA compiles
neither loops nor sums.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.memory import check_room
from ascribe.metrics import by_layer, gradient_alignment
from ascribe.networks import Network, Stack
from ascribe.rules import gradient_and_terms, network_of
from ascribe.setup import Setup

from . import loop
from .batches import one_batch
from .examples import examples_of, flatten_for
from .moments import TOTAL
from .recipe import Recipe
from .seeds import streams


class Units(NamedTuple):
    """Of independent vectors x_i with the mean x̄: `length` ‖x̄‖², `along` (x_i - x̄)·x̄ and `squares` ‖x_i - x̄‖², `(units,)`
    each (inside this file, of every segment)."""

    length: Any
    along: np.ndarray
    squares: np.ndarray


class CreditUnits(NamedTuple):
    """Of one layer, what is known of the mean credits of independent batches, of their references, and of the differences;
    `within`: the sums of squares of each batch's credits about their mean, `(batches,)`; `angle`, `norm_ratio`: of the first
    credit to its reference, NaN where they are not measurable."""

    credit: Units
    reference: Units
    difference: Units
    within: np.ndarray
    angle: float
    norm_ratio: float


def credit_units(recipe: Recipe, seed: int, *, as_given: bool, batches: int, draws: int) -> dict[str, CreditUnits]:
    """What is known of the credit in so many independent batches, with so many draws of the rule's randomness in each, by layer
    and in total. `as_given`: with the weights that the recipe's network has, in place of those of the seed.

    **Raises:** `UserError` where memory does not hold the means.
    """
    number, setup = jnp.asarray(seed, jnp.uint32), recipe.setup.compiled()
    network: Any = recipe.source if as_given else loop.new_network(recipe.source, number)
    size = 3 * batches * network.parameters * np.dtype(np.float64).itemsize
    check_room(f"three gradients for each of {batches} batches", size, "choose fewer batches")
    flat = flatten_for(network, recipe.data)
    data = loop.Data(examples_of(flat, "train"), examples_of(flat, "validation"))
    run = loop.Run(recipe.rule, jnp.asarray(setup.learning_rate), number)
    drawn = _drawn(setup, run, network, data)
    alignment, sums = gradient_alignment(*(_apart(network, leaves) for leaves in drawn(0, 0))), _Sums(network)
    means = np.zeros((batches, 2, sums.size))
    within = []
    for batch in range(batches):
        mean, squares = means[batch], np.zeros(sums.size)
        for draw in range(draws):  # Welford 1962: what never varies has sums of exactly 0
            one = np.stack([_vector(leaves) for leaves in drawn(batch, draw)[:2]])
            before = one - mean
            mean += before / (draw + 1)
            squares += before[0] * (one[0] - mean[0])
        within.append(sums(squares))
    units = [_units(rows, sums) for rows in (means[:, 0], means[:, 1], means[:, 0] - means[:, 1])]
    found = {}
    for layer in (TOTAL, *network.synaptic):
        suffix = "" if layer == TOTAL else f"/{layer}"
        credit, reference, difference = (Units._make(sums.of(layer, one) for one in family) for family in units)
        angle, ratio = (float(alignment[f"gradient_{what}{suffix}"]) for what in ("angle", "norm_ratio"))
        found[layer] = CreditUnits(credit, reference, difference, sums.of(layer, np.stack(within)), angle, ratio)
    return found


def _drawn(setup: Setup, run: loop.Run, network: Network, data: loop.Data) -> Callable[[int, int], list[Any]]:
    """A function of the numbers of a batch and of a draw: the leaves of the rule's credit, of backpropagation's with the same
    dropout, and of the terms that this one is summed from, as NumPy arrays."""

    def begin(run: loop.Run, data: loop.Data) -> loop.RunState:
        return loop.initialize(setup, network, run, data, curves=())

    def draw(leaves: list[Any], batch: Any, number: Any) -> list[Any]:
        run, data, state = rebuilt(leaves)
        chosen, own = jr.split(jr.fold_in(streams(run.seed).batches, batch))
        indices = one_batch(chosen, data.train.inputs.shape[0], setup.batch_size)
        given, key = loop.take(setup, data, indices, state.network_state), jr.fold_in(own, number)
        ours = loop.credit_of(run.rule, loop.of_batch(state, data, indices), given, key)
        theirs, terms = gradient_and_terms(network_of(state.trainables), given, key=key)
        return [jax.tree.leaves(one) for one in (network_of(ours.gradients), theirs.gradients, terms)]

    state = eqx.filter_jit(begin)(run, data)
    leaves, rebuilt = _arrays((run, data, state))  # flat, since it is called many times
    step = jax.jit(draw)
    return lambda batch, number: jax.device_get(step(leaves, batch, number))


def _arrays(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The arrays of a tree, and the function that puts it together again."""
    arrays, fixed = eqx.partition(tree, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    return leaves, lambda leaves: eqx.combine(jax.tree.unflatten(structure, leaves), fixed)


def _apart(network: Network, leaves: list[np.ndarray]) -> Network:
    """A gradient of the network, with every layer for itself."""
    return jax.tree.unflatten(jax.tree.structure(network), leaves).unstacked


def _vector(leaves: list[np.ndarray]) -> np.ndarray:
    """All numbers of a gradient, in double precision."""
    return np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in leaves])


class _Sums:
    """Sums over a vector that is as long as the parameters of a network, over each array of each of its layers:
    `(segments,)`."""

    def __init__(self, network: Network):
        self.starts: list[int] = []
        self.size, numbers = 0, []
        for part in network.parts:
            rows = part.count if isinstance(part, Stack) else 1
            for leaf in jax.tree.leaves(part):
                numbers.append(np.arange(len(self.starts), len(self.starts) + rows))
                self.starts += [self.size + row * (leaf.size // rows) for row in range(rows)]
                self.size += leaf.size
        segments = by_layer(lambda *found: np.hstack(jax.tree.leaves(found)), _apart(network, numbers))
        self.segments = {TOTAL: np.arange(len(self.starts)), **segments}

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        return np.add.reduceat(vector, self.starts)

    def of(self, layer: str, sums: np.ndarray) -> Any:
        """The sum over a layer, of sums over segments."""
        return sums[..., self.segments[layer]].sum(axis=-1)


def _units(rows: np.ndarray, sums: _Sums) -> Units:
    """What is known of vectors side by side, `(units, parameters)`, segment by segment."""
    mean = rows[0] + sum(row - rows[0] for row in rows) / len(rows)
    along = np.stack([sums((row - mean) * mean) for row in rows])
    squares = np.stack([sums((row - mean) ** 2) for row in rows])
    return Units(sums(mean * mean), along, squares)
