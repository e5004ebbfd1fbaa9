"""Losses: the value and the error that it sends into the network, side by side.

A loss has a *link*, the output activation it is made for. Where the network's output activation is that link (or the
network has none and returns logits), value and error are computed from the preactivation z^L in a stable form and the
error is δ^L = (y - t) / batch for all three. Source: "Neural networks" (course notes), section 2.3; "Solving Deeper Multilayer
Perceptrons", equations 6, 8 and 17.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ascribe.checks import unknown
from ascribe.errors import UserError
from ascribe.types import Array, Float, Scalar


@dataclasses.dataclass(frozen=True)
class Loss:
    """E = mean over the batch of L(y, t).

    `value(y, t)`: L of every example, `(batch,)`, from activations; `cost_gradient(y, t)`: ∇_a L of every example,
    `(batch, outputs)`, the first b-function; `value_from_logits(z, t)`: the same L at y = link(z), stable for large |z|.
    In these three, targets `t` are `(batch, outputs)` numbers; `encode` makes them from labels. The methods take labels
    too.

    >>> y, t = jnp.array([[3.0, 5.0], [1.0, 2.0]]), jnp.array([[0.0, 1.0], [0.0, 2.0]])
    >>> SQUARED_ERROR.value(y, t).tolist(), SQUARED_ERROR.cost_gradient(y, t).tolist()
    ([12.5, 0.5], [[3.0, 4.0], [1.0, 0.0]])
    """

    name: str
    link: str
    value: Callable[[Array, Array], Array]
    cost_gradient: Callable[[Array, Array], Array]
    value_from_logits: Callable[[Array, Array], Array]

    def __repr__(self) -> str:
        return f"<loss {self.name}>"

    def encode(self, targets: Array, outputs: int, dtype: jnp.dtype) -> Float[Array, "batch outputs"]:
        """Labels `(batch,)` become one-hot rows, or one column of 0 and 1 for a single output; numbers stay."""
        if not jnp.issubdtype(targets.dtype, jnp.floating):
            if targets.ndim != 1:
                raise UserError(f"labels have the shape (batch,), one whole number an example; got {targets.shape}.")
            if outputs == 1:
                return targets[:, None].astype(dtype)
            return jax.nn.one_hot(targets, outputs, dtype=dtype)
        if targets.ndim == 1:
            targets = targets[:, None]
        if targets.shape[1] != outputs:
            raise UserError(f"the targets have {targets.shape[1]} columns but the network has {outputs} outputs.")
        return targets.astype(dtype)

    def check(self, targets: Array | np.ndarray, outputs: int) -> None:
        """**Raises:** `UserError` for labels that do not count from 0 to the last of the classes, and for numbers beyond 0 and
        1 where the loss takes probabilities. Inside a program, where there are no numbers yet, nothing is checked."""
        labels = not jnp.issubdtype(targets.dtype, jnp.floating)
        if isinstance(targets, Tracer) or not targets.size or (self.link == "identity" and not (labels and outputs > 1)):
            return
        found, last = np.asarray(targets), outputs - 1 if labels and outputs > 1 else 1
        if 0 <= found.min() <= found.max() <= last:
            return
        few = ", ".join(f"{one:g}" for one in np.unique(found)[:5])
        if labels:
            raise UserError(
                f"labels count from 0 to {last} where a network has {outputs} output{'s' * (outputs > 1)} and the loss is "
                f"{self.name}; got {few}: number the classes by numpy.unique(labels, return_inverse=True)[1]."
            )
        raise UserError(
            f"the loss {self.name} takes probabilities, from 0 to 1, or whole numbers as labels; got {few}: for other numbers "
            f"take squared-error."
        )

    def values(self, z: Float[Array, "batch outputs"], targets: Array) -> Float[Array, " batch"]:
        """L of every example from the preactivation of the link."""
        if self.link == "softmax" and targets.ndim == 1 and jnp.issubdtype(targets.dtype, jnp.integer):
            # Without building one-hot rows.
            shifted = z - jax.lax.stop_gradient(jnp.max(z, axis=1, keepdims=True))
            of_labels = jnp.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
            return jax.nn.logsumexp(shifted, axis=1) - of_labels
        return self.value_from_logits(z, self.encode(targets, z.shape[1], z.dtype))

    def mean_and_error(self, z: Float[Array, "batch outputs"], targets: Array) -> tuple[Scalar, Array]:
        """E, and ∂E/∂z = (link(z) - t) / batch, from the preactivation of the link."""
        return jax.value_and_grad(lambda z: jnp.mean(self.values(z, targets)))(z)


def _half_square(y: Array, t: Array) -> Array:
    return 0.5 * jnp.sum((y - t) ** 2, axis=-1)


def _bernoulli(y: Array, t: Array) -> Array:
    return -jnp.sum(jax.scipy.special.xlogy(t, y) + jax.scipy.special.xlog1py(1 - t, -y), axis=-1)


def _times(t: Array, x: Array) -> Array:
    """t x, 0 where t is 0: an infinite x of no weight adds nothing."""
    return t * jnp.where(t == 0, 0.0, x)


def _over(t: Array, y: Array) -> Array:
    """t / y, 0 where t is 0."""
    return t / jnp.where(t == 0, 1.0, y)


def _bernoulli_from_logits(z: Array, t: Array) -> Array:
    return jnp.sum(_times(t, jax.nn.softplus(-z)) + _times(1 - t, jax.nn.softplus(z)), axis=-1)


def _categorical(y: Array, t: Array) -> Array:
    return -jnp.sum(jax.scipy.special.xlogy(t, y), axis=-1)


def _categorical_from_logits(z: Array, t: Array) -> Array:
    return -jnp.sum(_times(t, jax.nn.log_softmax(z, axis=-1)), axis=-1)


SQUARED_ERROR = Loss("squared-error", "identity", _half_square, lambda y, t: y - t, _half_square)
"""½‖y - t‖²; ∇_a = y - t."""

_bernoulli_gradient = lambda y, t: _over(1 - t, 1 - y) - _over(t, y)
BERNOULLI_CROSS_ENTROPY = Loss("bernoulli-cross-entropy", "logistic", _bernoulli, _bernoulli_gradient, _bernoulli_from_logits)
"""-(t ln y + (1 - t) ln(1 - y)); ∇_a = (y - t) / (y(1 - y)). Several outputs are independent labels: their sum."""

CATEGORICAL_CROSS_ENTROPY = Loss(
    "categorical-cross-entropy", "softmax", _categorical, lambda y, t: -_over(t, y), _categorical_from_logits
)
"""-Σ_k t_k ln y_k; ∇_a = -t / y."""

LOSSES = {loss.name: loss for loss in (SQUARED_ERROR, BERNOULLI_CROSS_ENTROPY, CATEGORICAL_CROSS_ENTROPY)}
"""Every registered loss, by its name."""


def get(name: str | Loss) -> Loss:
    """The loss of that name; a `UserError` names the known ones."""
    if isinstance(name, Loss):
        if LOSSES.get(name.name) is not name:
            raise UserError(f"the loss {name.name!r} is not registered: add it to ascribe.losses.LOSSES by its name first.")
        return name
    if not isinstance(name, str) or name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return LOSSES[name]


def default_for(task: str, outputs: int) -> Loss:
    """Regression: squared error. One output: Bernoulli cross entropy. Several: categorical cross entropy.

    >>> default_for("classification", 10)
    <loss categorical-cross-entropy>
    """
    if task == "regression":
        return SQUARED_ERROR
    return BERNOULLI_CROSS_ENTROPY if outputs == 1 else CATEGORICAL_CROSS_ENTROPY
