"""Sign symmetry: the feedback has the weights' signs, not their sizes.

Source: Liao, Leibo & Poggio (2016), arXiv:1510.05067, section 3; the three kinds as named in BioTorch (Sanfiz &
Akrout 2021, arXiv:2108.13446), whose magnitudes |M| are a modification of theirs.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import one_of
from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .feedback_matrices import random_feedback
from .terms import Terms, backward_sweep

MAGNITUDES = 2**31 - 1
"""The stream of the magnitudes: far from the small numbers under which a forward pass draws from the same key."""

KINDS = ("uniform", "batch-random", "fixed-random")


class SignSymmetry(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l) with B = sign(W) ⊙ |M|; with |M| = |W|, `Backpropagation`.

    **Arguments:** `kind`: where the magnitudes |M| come from: `"uniform"`, all equal to `scale`·√(2/(fan_in + fan_out))
    (Glorot's standard deviation); `"fixed-random"`, drawn once; `"batch-random"`, drawn anew for every batch, both
    normal with standard deviation `scale`/√fan_in. `scale` is positive.
    """

    kind: str = eqx.field(static=True, default="uniform")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __post_init__(self) -> None:
        one_of("`kind` of SignSymmetry", self.kind, KINDS)

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Array]:
        """The magnitudes |M|, by layer name; of the batch-random kind, those of the latest batch."""
        if self.kind == "uniform":
            return {name: self._uniform(network, name) for name in network.transported}
        return {name: jnp.abs(m) for name, m in random_feedback(network, self.scale, key=key).items()}

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        if self.kind == "batch-random":
            if key is None:
                raise UserError("batch-random sign symmetry draws new magnitudes for every batch: pass `key=`.")
            # The forward pass keeps the key itself, so that dropout silences the same units as under every other rule.
            state = self.init(network, batch, key=jr.fold_in(key, MAGNITUDES))
        return backward_sweep(network, state, batch, Terms(feedback=self.feedback(network, state)), key=key)

    def feedback(self, trainables: Network, state: dict[str, Array]) -> dict[str, Array]:
        return {name: jnp.sign(trainables[name].weight) * magnitude for name, magnitude in state.items()}

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """On weights of the sizes that the magnitudes have, and of their own signs."""
        state = self.init(network, batch, key=key)
        sizes = self(network, state, batch, key=key).state
        weights = [jnp.sign(network[name].weight) * size for name, size in sizes.items()]
        same = eqx.tree_at(lambda n: [n[name].weight for name in sizes], network, weights) if sizes else network
        ours = self(same, state, batch, key=key).gradients
        return LimitingCase("|W| = |M|", "backpropagation", ours, exact(same, batch, key=key))

    def _uniform(self, network: Network, name: str) -> Array:
        layer, weight = network[name], network[name].weight
        size = jnp.sqrt(jnp.asarray(2 / (layer.fan_in + layer.fan_out), weight.dtype))
        return jnp.full(weight.shape, self.scale.astype(weight.dtype) * size)
