"""Connection weights: w_ij, what a spike of neuron j is worth to neuron i.

Source: "Neural networks" (course notes), section 1.7.
"""

from fractions import Fraction
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ascribe.checks import at_least, flag, share, whole
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.types import Array

from .quantities import leaf, numbers, whole_numbers


class Connection(eqx.Module):
    """W from `pre` neurons to `post` neurons: z = W x + b.

    `Connection(weights, bias)` takes W, `(post, pre)`, as it is written, w_ij from j to i; `Connection.sparse` lists the
    targets of each neuron. Both are stored by sender, so that a spike reads one row: `targets` and `weights` are `(pre,
    out)`, where unused places have the target `post` and the weight 0. `bias`: b, `(post,)`, or None.

    **Raises:** `UserError` for sizes that do not fit, targets that there are not, and weights that are not finite.
    """

    targets: Array
    weights: Array
    bias: Array | None
    post: int = eqx.field(static=True)

    def __init__(self, weights: Any, bias: Any = None):
        W = numbers("the weights", weights, "what a spike is worth")
        if W.ndim != 2 or not W.size:
            raise UserError(f"weights are a matrix (post, pre), w_ij from neuron j to neuron i; got the shape {W.shape}.")
        post, pre = W.shape
        self._set(np.broadcast_to(np.arange(post), (pre, post)), W.T, bias, post)

    @classmethod
    def sparse(cls, targets: Any, weights: Any, post: int, bias: Any = None) -> "Connection":
        """From the targets of every sender: `targets`, a list of arrays of whole numbers from 0 to `post` − 1, or `(pre,
        out)`; `weights`: alike, or one number for all."""
        post = at_least(1, "post", post)
        if post > MOST:
            raise UserError(f"`post` is {MOST:,} at most; got {shown(post)}.")
        found = [whole_numbers(row) for row in targets] if np.iterable(targets) else []
        rows = [row for row in found if row is not None and row.ndim == 1]
        if not rows or len(rows) < len(found):
            raise UserError(f"targets are one list of whole numbers for each sending neuron; got {shown(targets)}.")
        widths, of = [len(row) for row in rows], "what a spike is worth"
        if np.iterable(weights):
            values = [numbers("the weights", row, of) for row in weights]
        else:
            values = [np.full(width, numbers("the weights", weights, of)) for width in widths]
        if [row.shape for row in values] != [(width,) for width in widths]:
            raise UserError("every target has its weight: the lists of targets and weights differ in length.")
        table = np.full((len(rows), max(*widths, 1)), post, np.int32)
        filled = np.zeros(table.shape)
        for number, (row, value) in enumerate(zip(rows, values, strict=True)):
            if len(row) and (row.min() < 0 or row.max() >= post):
                raise UserError(f"targets are numbered from 0 to {post - 1}; neuron {number} has {row.min()} to {row.max()}.")
            table[number, : len(row)], filled[number, : len(row)] = row, value
        made = object.__new__(cls)
        made._set(table, filled, bias, post)
        return made

    def _set(self, targets: np.ndarray, weights: np.ndarray, bias: Any, post: int) -> None:
        b = None if bias is None else numbers("the bias", bias, "v_in")
        if b is not None and b.shape != (post,):
            raise UserError(f"the bias has one number for each of the {post} receiving neurons; got the shape {b.shape}.")
        for name, value in (
            ("targets", jnp.asarray(np.ascontiguousarray(targets), jnp.int32)),
            ("weights", leaf(np.ascontiguousarray(weights))),
            ("bias", None if b is None else leaf(b)),
            ("post", int(post)),
        ):
            object.__setattr__(self, name, value)

    @property
    def pre(self) -> int:
        """How many neurons send."""
        return self.targets.shape[0]

    def matrix(self) -> Array:
        """W, `(post, pre)`."""
        empty = jnp.zeros((self.pre, self.post), self.weights.dtype)
        return empty.at[jnp.arange(self.pre)[:, None], self.targets].add(self.weights, mode="drop").T

    def augmented(self) -> Array:
        """Ŵ = [W | b], `(post, pre + 1)`: the bias as the weights of one more neuron, which is always 1."""
        b = jnp.zeros(self.post, self.weights.dtype) if self.bias is None else self.bias
        return jnp.concatenate([self.matrix(), b[:, None]], axis=1)

    def __call__(self, x: Any) -> Array:
        """z = W x + b for activities x, `(…, pre)`; `(…, post)`."""
        try:
            x = jnp.asarray(x, self.weights.dtype)
            shape = x.shape
        except (TypeError, ValueError, OverflowError):
            shape = ()
        if shape[-1:] != (self.pre,):
            raise UserError(f"activities have the shape (…, {self.pre}), one for each sender; got {shown(x)}.")
        z = x @ self.matrix().T
        return z if self.bias is None else z + jnp.broadcast_to(self.bias, z.shape)


MOST = 2**31 - 1
"""Neurons that can be numbered."""

LISTED = 48
"""Bytes that a connection takes while it is drawn: its target and its weight, in lists, in a table, and as arrays of JAX."""


def check_populations(pre: Any, post: Any, probability: Any) -> tuple[int, int, float]:
    """The sizes and the probability as Python's numbers.

    **Raises:** `UserError` for what is no size or no probability, and for more connections than fit into memory.
    """
    senders, receivers = whole(pre), whole(post)
    if senders is None or receivers is None or senders < 1 or receivers < 1:
        raise UserError(f"both populations have 1 neuron at least; got {shown(pre)} and {shown(post)}.")
    chance = share("probability", probability, zero=True, one=True)
    size = int(LISTED * (senders * receivers * Fraction(chance) + senders + receivers))
    check_room(f"a connection of {shown(pre)} to {shown(post)} neurons", size, "choose fewer, or a lower probability")
    return senders, receivers, chance


def random_connection(pre: int, post: int, probability: float, weight: Any, *, seed: int = 0, own: bool = False) -> Connection:
    """Each of the pre × post connections is there with that probability, independently of the others.

    **Arguments:** `weight`: of all, or one for each sender, `(pre,)` (negative for those that inhibit); `own`: whether
    neuron i may be connected to neuron i. Equal sizes are taken for one population, connected to itself; for two of the
    same size: True.

    **Raises:** `UserError` for a probability that is none, or sizes below 1.
    """
    pre, post, probability = check_populations(pre, post, probability)
    draw, own = np.random.default_rng(at_least(0, "seed", seed, advice="try 0")), flag("own", own)
    each = numbers("the weight", weight, "what a spike is worth")
    if each.shape not in ((), (pre,)):
        raise UserError(f"`weight` is one number, or one for each of the {pre} senders; got the shape {each.shape}.")
    targets = []
    for number in range(pre):
        row = np.flatnonzero(draw.random(post, np.float32) < probability)
        targets.append(row[row != number] if pre == post and not own else row)
    values = np.broadcast_to(each, (pre,))
    return Connection.sparse(targets, [np.full(len(row), value) for row, value in zip(targets, values, strict=True)], post)
