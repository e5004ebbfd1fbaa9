"""Feedback alignment: fixed random weights carry the error back.

Source: Lillicrap, Cownden, Tweed & Akerman (2016), doi:10.1038/ncomms13276; "Function changes in the Backpropagation
equation is equivalent to an implicit learning rate", equation 5.
"""

from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .feedback_matrices import random_feedback, transported_weights
from .terms import Terms, backward_sweep


class FeedbackAlignment(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l) with fixed random B in W's shape; with B = W, `Backpropagation`.

    **Arguments:** `scale`: standard deviation of B in units of 1/√fan_in; positive.
    """

    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Array]:
        return random_feedback(network, self.scale, key=key)

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        return backward_sweep(network, state, batch, Terms(feedback=state), key=key)

    def feedback(self, trainables: Network, state: dict[str, Array]) -> dict[str, Array]:
        return state

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        ours = self(network, transported_weights(network), batch, key=key).gradients
        return LimitingCase("B = W", "backpropagation", ours, exact(network, batch, key=key))
