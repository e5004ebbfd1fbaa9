"""Two ways in for people with their own training loop: `value_and_credit` and `verify`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe import losses
from ascribe.errors import UserError
from ascribe.metrics import gradient_alignment
from ascribe.networks import Network
from ascribe.types import Key, PyTree, Scalar

from .backpropagation import Backpropagation
from .base import AbstractRule, Batch, Credit, Trainables, network_of


def as_batch(network: Network, batch: Any, loss: str | losses.Loss | None = None) -> Batch:
    """A `Batch` from itself or from a pair (inputs, targets). Without `loss`, integer targets mean a cross entropy
    (Bernoulli for one output, categorical for several) and other numbers the squared error. Inputs take the weights' type."""
    if isinstance(batch, Batch):
        return batch if loss is None else dataclasses.replace(batch, loss=losses.get(loss))
    try:
        inputs, targets = (jnp.asarray(part) for part in batch)
    except (TypeError, ValueError) as error:
        raise UserError("a batch is an ascribe.Batch or a pair (inputs, targets) of arrays.") from error
    if len(inputs) != len(targets):
        raise UserError(f"a batch has one target an example; got {len(inputs)} inputs and {len(targets)} targets.")
    dtype = network.weights[network.synaptic[0]].dtype
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


@dataclasses.dataclass(frozen=True)
class Verification:
    """What `verify` found: whether the rule's gradient differs from backpropagation's, and per layer by how much.

    `angles` (degrees) and `norm_ratios` are by synaptic layer, `"total"` over all parameters. `differs` lists the layers,
    synaptic or not, of which some parameter's gradient is another one.
    """

    rule: str
    angles: dict[str, float]
    norm_ratios: dict[str, float]
    differs: tuple[str, ...]

    def __bool__(self) -> bool:
        """True where the rule is active: some layer's gradient is not backpropagation's."""
        return bool(self.differs)

    def __str__(self) -> str:
        lines = [
            f"{self.rule} "
            + (
                f"differs from backpropagation in {', '.join(self.differs)}"
                if self.differs
                else "is backpropagation here"
            )
        ]
        for name, degrees in self.angles.items():
            lines.append(f"  {name:>12}: angle {degrees:7.3f}°, norm ratio {self.norm_ratios[name]:.4g}")
        return "\n".join(lines)


def verify(
    rule: AbstractRule, network: Network, batch: Any, *, loss: str | losses.Loss | None = None, key: Key | None = None
) -> Verification:
    """Is the rule really active? Compares its gradient with backpropagation's on one batch, layer by layer.

    Two gradients count as the same when they agree to 1e-5 relative to the layer's largest entry (1e-10 in float64). The
    lowest layers of a rule that only changes the way back differ; its last layer never does.
    """
    key = jr.key(0) if key is None else key
    init_key, step_key = jr.split(key)
    batch = as_batch(network, batch, loss)
    trainables = rule.trainables(network, batch, key=init_key)
    state = rule.init(network, batch, key=init_key)
    ours = network_of(rule(trainables, state, batch, key=step_key).gradients)
    theirs = Backpropagation()(network, None, batch, key=step_key).gradients
    found = {name: float(value) for name, value in gradient_alignment(ours, theirs).items()}
    names = {"total": "", **{name: f"/{name}" for name in network.synaptic}}
    return Verification(
        type(rule).__name__,
        {name: found[f"gradient_angle{suffix}"] for name, suffix in names.items()},
        {name: found[f"gradient_norm_ratio{suffix}"] for name, suffix in names.items()},
        tuple(name for name in network.names if not _same(ours[name], theirs[name])),
    )


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two gradients of one layer agree, weight, bias and all."""
    pairs = list(zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    if not pairs:
        return True
    largest = max(float(jnp.max(jnp.abs(b))) for _, b in pairs)
    tolerance = (1e-10 if pairs[0][1].dtype == jnp.float64 else 1e-5) * largest
    return all(bool(jnp.all(jnp.abs(a - b) <= tolerance)) for a, b in pairs)
