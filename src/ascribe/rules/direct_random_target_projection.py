"""Direct random target projection: hidden layers learn from the target, and from no error at all.

Source: Frenkel, Lefebvre & Bol (2021), "Learning without feedback: fixed random learning signals allow for feedforward training
of deep neural networks", doi:10.3389/fnins.2021.629892, and its code, ChFrenkel/DirectRandomTargetProjection.
"""

from functools import partial

import equinox as eqx

from ascribe.checks import one_of
from ascribe.datasets import Dataset
from ascribe.networks import Network
from ascribe.types import Array, Float, Key, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .direct_feedback import CUTS, check_points, random_direct_feedback
from .terms import Terms, backward_sweep, onto_tape, sweep_down


class DirectRandomTargetProjection(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B_l t) ⊙ σ'(z^l) for the hidden layers, with fixed random B_l and the target t: a one-hot label, for one output
    the label itself, 0 or 1, and in regression the numbers. The last layer has its exact δ^L = y - t. No hidden layer waits for
    the output, so that each can learn as soon as the example has passed it.

    The target stands for the error's sign, which for one-hot labels and outputs between 0 and 1 is 2t - 1 up to its own sign:
    B is as often positive as negative, so that B t and -B t are the same rule. As in the authors' code the gradient is
    +(B_l t) ⊙ σ'(z^l), and the optimizer goes down it.

    It is `DirectFeedbackAlignment` with t in place of the error in B_l δ^L, and equals that where the error is t.

    **Arguments:** `cuts`: as in `DirectFeedbackAlignment`; `scale`: standard deviation of B_l in units of 1/√outputs; positive.
    """

    cuts: str = eqx.field(static=True, default="micro")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __post_init__(self) -> None:
        one_of("`cuts` of DirectRandomTargetProjection", self.cuts, CUTS)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where the target can be brought to all points."""
        check_points(network, self.cuts)
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Float[Array, "outputs ..."]]:
        return random_direct_feedback(network, data.inputs.shape[1:], self.scale, cuts=self.cuts, key=key)

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        terms = Terms(direct=state, broadcast=partial(_target, batch))
        return backward_sweep(network, state, batch, terms, key=key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the hidden layers, against a sweep of direct feedback alignment that begins with the target."""
        own, terms = network.located(batch.inputs.shape[1:]), Terms(direct=self.init(network, batch, key=key))
        if not terms.direct:
            return None
        tape, _ = onto_tape(own, batch, terms, key=key)
        target = batch.loss.encode(batch.targets, network.outputs, network.dtype) / len(batch.inputs)
        theirs = sweep_down(own, tape, target, terms).like(network)
        ours = self(network, dict(terms.direct), batch, key=key).gradients
        below = network.names[: network.index(network.units[-1])]
        hidden = lambda gradients: [gradients[name] for name in below]
        return LimitingCase("e = t, in the layers below the last", "direct feedback alignment", hidden(ours), hidden(theirs))


def _target(batch: Batch, delta: Array) -> Array:
    """The targets as numbers, each with the share of its example in the mean."""
    return batch.loss.encode(batch.targets, delta.shape[1], delta.dtype) / delta.shape[0]
