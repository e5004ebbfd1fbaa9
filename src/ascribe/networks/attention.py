"""Self-attention."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import flag
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .layer import AbstractLayer, check_sequence, size_of
from .linear import Linear


class Attention(AbstractLayer):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2): with q = W_q x, k = W_k x and v = W_v x, divided into heads
    of d = width / heads numbers,

        y_t = W_o [Σ_s softmax_s(q_t · k_s / √d) v_s for every head, side by side]

    over all steps s, or, where `causal`, over s ≤ t. `(batch, time, width)` to the same shape; `query`, `key`, `value` and
    `output` are the projections, `(width, width)` each. Without positions it does not see the order of the steps: a permutation
    of them permutes the output. With one step alone, y = W_o W_v x.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    heads: int = eqx.field(static=True)
    causal: bool = eqx.field(static=True)
    kind: ClassVar[str] = "attention"

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool = False,
        bias: bool = True,
        initializer: str = "glorot-uniform",
        key: Key | None = None,
    ):
        width, self.heads = size_of("width", "Attention", width), size_of("heads", "Attention", heads)
        self.causal = flag("causal", causal)
        if width % self.heads:
            raise UserError(f"`heads` of Attention divides its width {width}; got {self.heads}.")
        self.query, self.key, self.value, self.output = (
            Linear(width, width, bias=bias, initializer=initializer, key=own) for own in jr.split(initializers.own_key(key), 4)
        )

    def __call__(
        self,
        x: Float[Array, "batch time width"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch time width"], PyTree]:
        q, k, v = (projection(x)[0].reshape(*x.shape[:2], self.heads, -1) for projection in (self.query, self.key, self.value))
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / math.sqrt(q.shape[-1])
        if self.causal:
            past = jnp.tril(jnp.ones(scores.shape[2:], bool))
            scores = jnp.where(past[None, None], scores, -jnp.inf)
        mixed = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), v)
        return self.output(mixed.reshape(x.shape))[0], state

    def config(self) -> dict[str, Any]:
        return {
            "width": self.query.fan_in,
            "heads": self.heads,
            "causal": self.causal,
            "bias": self.query.bias is not None,
            "initializer": self.query.initializer,
        }

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape, self.query.fan_in)

    def workspace(self, outputs: int) -> int:
        """Queries, keys, values and what is mixed of them; for every head the products of all pairs of steps, twice, as if
        there were as many steps as features."""
        return (4 + 2 * self.heads) * outputs
