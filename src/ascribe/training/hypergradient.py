"""A learning rate learned as one more weight, by backpropagation through the last update.

The step `θ_t = θ_{t-1} + α u_{t-1}` makes the rate α a weight of the next loss, whose gradient costs one inner product:

    ∂L(θ_t)/∂α = g_t · u_{t-1},    g_t = ∇L(θ_t)

`u` is the direction of any optimizer that is linear in its rate, its own at rate 1 (SGD: `u = -g`; Adadelta, whose averages
E[g²] and E[u²] know nothing of the rate: `u = -g √(E[u²] + ε) / √(E[g²] + ε)`); what it remembers (momentum, moments)
counts as constant. Every update moves first α by its gradient, then the weights by `α u_t`:

- `normalized=True`:  α ← α · exp(-step · cos(g_t, u_{t-1})).   Gradient descent on ln α, with the gradient divided by
  `α ‖g‖ ‖u‖`: no scale of loss or weights matters, and α stays positive. To first order in `step` this is the
  multiplicative rule α ← α · (1 - step · cos) of the source; the exponential makes k steps up and k steps down cancel.
- `normalized=False`: α ← α - step · (g_t · u_{t-1}).   The additive rule; `step` has the unit of α²/loss, and α may become
  negative.

Sources: Baydin, Cornish, Martínez Rubio, Schmidt & Wood (2018), Online learning rate adaptation with hypergradient descent,
arXiv:1703.04782, sec. 2: hypergradient, additive and multiplicative rule, eq. (?); the closing idea of "Function changes in the
Backpropagation equation is equivalent to an implicit learning rate", section 3.2.2.  Bib key: baydin2018online
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ascribe.checks import real
from ascribe.errors import UserError, shown
from ascribe.types import Array, PyTree


class HypergradientState(NamedTuple):
    """`learning_rate`: α, a scalar, as the last update used it; `direction`: u of the last update, in the weights' own tree,
    zeros before the first; `inner`: the state of the optimizer inside.

    `optax.tree.get(state, "learning_rate")` finds α in a state of states.
    """

    learning_rate: Array
    direction: PyTree
    inner: PyTree


def hypergradient(inner: Any, *, step: Any = 0.05, normalized: Any = True) -> "Hypergradient":
    """An optimizer factory, as `ascribe.train` takes it, whose learning rate is only where α begins.

    **Arguments:**

    - `inner`: a factory of an optimizer whose update is its rate times something without the rate: `optax.sgd`,
      `optax.adam`, a schedule of it, … (Rprop, whose rate is a first step size, is none.)
    - `step`: how far α moves, finite and not negative; without a unit if `normalized` (α changes by at most a factor of
      `exp(step)` in an update), else in units of α²/loss.
    - `normalized`: the multiplicative rule (the default), or the additive one.

    Raises `UserError` for an `inner` that makes no optimizer, and for a `step` that is no such number.

    Limit: with `step=0` it is `inner`. On `L = λ/2 ‖θ‖²` the normalized rule takes SGD's α to the best rate 1/λ,
    where it stays within a factor of `exp(step)`. NaN stays NaN: a run that breaks is seen to.

    It looks one step ahead only: on noisy batches, where consecutive gradients agree little, it settles at smaller rates than
    the best constant one (short-horizon bias; Wu et al. 2018, arXiv:1803.02021).

    >>> import jax.numpy as jnp, optax
    >>> optimizer = hypergradient(optax.sgd)(jnp.asarray(0.5))
    >>> weight, state = jnp.asarray(3.0), optimizer.init(jnp.asarray(3.0))
    >>> for _ in range(60):
    ...     moved, state = optimizer.update(0.1 * weight, state, weight)  # the loss is 0.05 weight²: the best rate is 10
    ...     weight = weight + moved
    >>> round(float(state.learning_rate), 1)
    9.6
    """
    if not callable(inner):
        raise UserError(f"`inner` of hypergradient is a factory of optimizers, as `optax.sgd` is; got {inner!r}.")
    number = real(step)
    if number is None or not 0 <= number < math.inf:
        raise UserError(f"`step` of hypergradient is a finite number, zero or more; got {shown(step)}.")
    if not isinstance(normalized, bool):
        raise UserError(f"`normalized` of hypergradient is True or False; got {normalized!r}.")
    return Hypergradient(inner, float(number), normalized)  # pyright: ignore[reportArgumentType]


@dataclasses.dataclass(frozen=True, repr=False)
class Hypergradient:
    """The factory that `hypergradient` makes. Equal ones share their compiled program."""

    inner: Callable[[Array], optax.GradientTransformation]
    step: float
    normalized: bool

    def __repr__(self) -> str:
        inner = getattr(self.inner, "__name__", repr(self.inner))
        return f"hypergradient({inner}, step={self.step}, normalized={self.normalized})"

    def __call__(self, learning_rate: Array) -> optax.GradientTransformationExtraArgs:
        start = jnp.asarray(learning_rate, float if isinstance(learning_rate, int) else None)
        made = self.inner(jnp.ones_like(start))
        if not isinstance(made, optax.GradientTransformation):
            raise UserError(f"`inner` of hypergradient makes an Optax transformation of a rate; it made {type(made).__name__}.")
        direct = optax.with_extra_args_support(made)

        def init(params: PyTree) -> HypergradientState:
            return HypergradientState(start, jax.tree.map(jnp.zeros_like, params), direct.init(params))

        def update(
            updates: PyTree, state: HypergradientState, params: PyTree = None, **more: Any
        ) -> tuple[PyTree, HypergradientState]:
            rate = self._moved(state.learning_rate, updates, state.direction)
            direction, inner = direct.update(updates, state.inner, params, **more)
            direction = jax.tree.map(lambda u, g: u.astype(g.dtype), direction, updates)
            moves = jax.tree.map(lambda u: rate.astype(u.dtype) * u, direction)
            return moves, HypergradientState(rate, direction, inner)

        return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]

    def _moved(self, rate: Array, gradients: PyTree, direction: PyTree) -> Array:
        slope = inner_product(gradients, direction, rate.dtype)
        if not self.normalized:
            return rate - self.step * slope
        length = lambda tree: jnp.sqrt(inner_product(tree, tree, rate.dtype))
        sizes = length(gradients) * length(direction)
        # Without a direction (at the first update, or with no gradient) α stays; NaN is not zero, and comes through.
        cosine = jnp.where(sizes == 0, 0.0, slope / jnp.where(sizes == 0, 1.0, sizes))
        return rate * jnp.exp(-self.step * cosine)


def inner_product(gradients: PyTree, direction: PyTree, dtype: Any) -> Array:
    """`g · u`, over all leaves of two trees of one structure: with `g` the gradient after a step of `α u`, ∂L/∂α."""
    products = jax.tree.map(lambda g, u: jnp.sum(g * u).astype(dtype), gradients, direction)
    return sum(jax.tree.leaves(products), start=jnp.zeros((), dtype))
