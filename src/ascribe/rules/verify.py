"""Is a rule really active? (Wrappers that silently did backpropagation have fooled people.)"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from ascribe import losses
from ascribe.metrics import gradient_alignment
from ascribe.networks import Network
from ascribe.types import Array, Key

from .backpropagation import Backpropagation
from .base import AbstractRule, Batch, network_of
from .value_and_credit import as_batch


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
    batch = as_batch(network, batch, loss)
    ours, theirs, alignment = _gradients(rule, network, batch, jr.key(0) if key is None else key)
    found = {name: float(value) for name, value in alignment.items()}
    names = {"total": "", **{name: f"/{name}" for name in network.synaptic}}
    return Verification(
        type(rule).__name__,
        {name: found[f"gradient_angle{suffix}"] for name, suffix in names.items()},
        {name: found[f"gradient_norm_ratio{suffix}"] for name, suffix in names.items()},
        tuple(name for name in network.names if not _same(ours[name], theirs[name])),
    )


@eqx.filter_jit
def _gradients(
    rule: AbstractRule, network: Network, batch: Batch, key: Key
) -> tuple[Network, Network, dict[str, Array]]:
    """The rule's gradient where it begins, backpropagation's there, and the angles and sizes between them."""
    init_key, step_key = jr.split(key)
    trainables = rule.trainables(network, batch, key=init_key)
    state = rule.init(network, batch, key=init_key)
    ours = network_of(rule(trainables, state, batch, key=step_key).gradients)
    theirs = Backpropagation()(network_of(trainables), None, batch, key=step_key).gradients
    return ours, theirs, gradient_alignment(ours, theirs)


def _same(ours: Any, theirs: Any) -> bool:
    """Whether two gradients of one layer agree, weight, bias and all."""
    pairs = list(zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    if not pairs:
        return True
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in pairs]
    tolerance = (1e-10 if pairs[0][1].dtype == np.float64 else 1e-5) * max(np.max(np.abs(b)) for _, b in pairs)
    return all(bool(np.all(np.abs(a - b) <= tolerance)) for a, b in pairs)
