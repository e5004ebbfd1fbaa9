"""Kolen-Pollack: the feedback learns to be the weights.

Source: Kolen & Pollack (1994), doi:10.1109/ICNN.1994.374486; Akrout et al. (2019), arXiv:1904.05391, section 4
(equations 16 and 17).
"""

import equinox as eqx

from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter
from .feedback_matrices import random_feedback, transported_weights
from .terms import Terms, backward_sweep


class KolenPollack(AbstractRule[Trainables, None]):
    """δ^l = (B^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l); W and B get the same gradient, and after the optimizer's step both shrink:
    W ← (1 - λ)W, B ← (1 - λ)B. Under SGD the difference decays exactly, W_t - B_t = (1 - λ)^t (W_0 - B_0), so that the
    rule becomes `Backpropagation`; with B = W it is that from the start (with weight decay λ on the transported layers).

    **Arguments:** `decay`: λ in [0, 1), a share of the weight per step, whatever the learning rate; `scale`: standard
    deviation of the initial B in units of 1/√fan_in.
    """

    decay: Scalar = hyperparameter(1e-3, "[0, 1)")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Trainables:
        return Trainables(network, feedback=random_feedback(network, self.scale, key=key))

    def __call__(self, trainables: Trainables, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = backward_sweep(trainables.network, state, batch, Terms(feedback=trainables.feedback), key=key)
        same = {name: credit.gradients[name].weight for name in trainables.feedback}
        return Credit(credit.loss, Trainables(credit.gradients, feedback=same), state, credit.network_state)

    def after_update(self, trainables: Trainables, state: None) -> tuple[Trainables, None]:
        return shrunk(trainables, self.decay, tuple(trainables.feedback)), state

    def feedback(self, trainables: Trainables, state: None) -> dict[str, Array]:
        return trainables.feedback

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        same = Trainables(network, feedback=transported_weights(network))
        ours = self(same, None, batch, key=key).gradients.network
        return LimitingCase("B = W", "backpropagation", ours, exact(network, batch, key=key))


def shrunk(trainables: Trainables, decay: Scalar, names: tuple[str, ...]) -> Trainables:
    """All feedback, and the weights of these layers, less that share of them."""
    shrink = lambda weight: weight * (1 - decay).astype(weight.dtype)
    network = trainables.network
    if names:
        weights = [shrink(network[name].weight) for name in names]
        network = eqx.tree_at(lambda n: [n[name].weight for name in names], network, weights)
    return Trainables(network, trainables.auxiliary, {name: shrink(b) for name, b in trainables.feedback.items()})
