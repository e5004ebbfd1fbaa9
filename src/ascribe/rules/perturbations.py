"""What the rules have in common that try random directions: the draws, the differences of losses, the sums over directions.

A rule of this family evaluates the loss where something is moved along a direction v, and credits v with what the loss did.
With v of mean 0 and covariance I, E[(v · g) v] = g: its mean is the gradient g, and its variance grows with the number of
what is moved, tr Cov = (n + 1) ‖g‖² for n normal numbers, (n - 1) ‖g‖² for n signs: the least that any independent numbers of
mean 0 and variance 1 have, for E[v⁴] ≥ 1.
"""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree

from ascribe.checks import at_least, flag, one_of, plain
from ascribe.networks import Network, Tape, record
from ascribe.types import Array, Float, Key, PyTree, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .finite_differences import quadratic_case
from .terms import final_preactivation, output_losses


def signs(key: Key, shape: tuple[int, ...], dtype: Any) -> Array:
    """1 or -1, each with probability ½, by one random bit each: a word of the generator has 32 of them. (One word a number, as
    in `jax.random.rademacher`, costs as much as a layer's product, and a normal number several times that.)"""
    count = math.prod(shape)
    words = jr.bits(key, (-(-count // 32), 1), jnp.uint32)
    bits = (words >> jnp.arange(32, dtype=jnp.uint32)[None]) & 1
    first = jax.lax.slice_in_dim(bits.ravel(), 0, count)  # stands in the program for every count, where [:count] may not
    return 2 * first.reshape(shape).astype(dtype) - 1


DISTRIBUTIONS = {"rademacher": signs, "normal": jr.normal}


class Probe(NamedTuple):
    """One batch at one network, where directions are tried.

    `loss`, `network_state`: of the unmoved pass; `space`: a tree of the shapes that a direction has; `along`: what one
    direction gives, in its own tree; `gradients`: of the network, from the mean of that over directions.
    """

    loss: Scalar
    network_state: PyTree
    space: PyTree
    along: Callable[[PyTree], PyTree]
    gradients: Callable[[PyTree], Network] = lambda found: found


class AbstractPerturbation(AbstractRule[Network, PyTree]):
    """A rule whose credit is a mean over random directions.

    `directions`: how many are tried in each step, one after the other, so that they take the memory of one; the variance falls
    with their number. `distribution`: of each number of a direction, `"rademacher"` (1 or -1), which has the least variance and
    costs one random bit, or `"normal"`.
    """

    directions: int = eqx.field(static=True, default=1, converter=plain)
    distribution: str = eqx.field(static=True, default="rademacher")

    def __check_init__(self) -> None:
        at_least(1, "directions", self.directions)
        one_of("distribution", self.distribution, DISTRIBUTIONS)

    @abstractmethod
    def probe(self, network: Network, batch: Batch, *, key: Key | None = None) -> Probe:
        """The batch at this network; `key`: the randomness of its forward passes, the same for all of them."""

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        key = jr.key(0) if key is None else key
        at = self.probe(network, batch, key=key)  # the pass's randomness is that of every other rule
        keys = jr.split(jr.fold_in(key, 1), self.directions)
        total = summed(lambda k: at.along(drawn(at.space, self.distribution, key=k)), keys)
        mean = jax.tree.map(lambda one: one / self.directions, total)
        return Credit(at.loss, at.gradients(mean), state, at.network_state)

    def over(self, network: Network, batch: Batch, directions: PyTree, *, key: Key | None = None) -> Network:
        """The sum over given directions, with an axis of directions in front of every array: over an orthonormal basis it is
        the gradient (in the limit of small steps, where a rule takes steps)."""
        at = self.probe(network, batch, key=key)
        return at.gradients(summed(at.along, directions))

    def over_basis(self, network: Network, batch: Batch, *, key: Key | None = None) -> Network:
        """The sum over the standard basis: one number moved at a time."""
        return self.over(network, batch, basis(self.probe(network, batch, key=key).space), key=key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """Of one linear layer, which has few directions."""
        linear, own = quadratic_case(batch, key=key)
        ours = self.over_basis(linear, own, key=key)
        return LimitingCase("the directions are an orthonormal basis", "backpropagation", ours, exact(linear, own, key=key))


class AbstractStepPerturbation(AbstractPerturbation):
    """One whose slope is a quotient of a step σ, `size`: one-sided, or `antithetic`, a direction and its opposite."""

    antithetic: bool = eqx.field(static=True, default=False)
    size: Scalar = hyperparameter(1e-3, "(0, inf)")

    def __check_init__(self) -> None:
        flag("antithetic", self.antithetic)

    def slope(self, at: Callable[[Array], Array], before: Array) -> Array:
        """The slope of `at`: (E(σ) - E(0)) / σ, whose error is O(σ), or, antithetic, (E(σ) - E(-σ)) / 2σ, whose error is
        O(σ²)."""
        size = self.size.astype(before.dtype)
        return (at(size) - at(-size)) / (2 * size) if self.antithetic else (at(size) - before) / size

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """With a wide step, beside which rounding is small: any is exact, for the third derivative is 0."""
        wide = dataclasses.replace(self, antithetic=True, size=0.5)
        found = super(AbstractStepPerturbation, wide).limiting_case(network, batch, key=key)
        condition = f"{found.condition}, antithetic, of one linear layer under the squared error, for every σ"
        return dataclasses.replace(found, condition=condition)


def drawn(space: PyTree, distribution: str = "rademacher", *, key: Key) -> PyTree:
    """A direction: independent numbers of mean 0 and variance 1 in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(space)
    keys = jr.split(key, len(leaves))
    draw = DISTRIBUTIONS[distribution]
    return structure.unflatten([draw(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)])


def basis(space: PyTree) -> PyTree:
    """The standard basis of a tree's numbers, with an axis of directions in front of every array."""
    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), space))
    return jax.vmap(unravel)(jnp.eye(flat.size, dtype=flat.dtype))


def summed(one: Callable[[Any], PyTree], items: PyTree) -> PyTree:
    """Σ of `one(item)` over the leading axis of `items`, one after the other."""
    first, rest = (jax.tree.map(lambda leaf, i=i: leaf[i], items) for i in (0, slice(1, None)))
    if not len(jax.tree.leaves(rest)[0]):
        return one(first)
    add = lambda total, item: (jax.tree.map(jnp.add, total, one(item)), None)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(one, first))
    return jax.lax.scan(add, zeros, items)[0]


def losses_of(network: Network, batch: Batch, key: Key | None) -> tuple[Float[Array, " batch"], Tape, PyTree]:
    """One forward pass in training mode: the loss of every example, the tape, and the new normalization statistics."""
    tape, network_state = record(network, batch.inputs, batch.network_state, key=key)
    return output_losses(network, final_preactivation(network, tape, batch.loss)[1], batch), tape, network_state
