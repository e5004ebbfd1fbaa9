"""Direct Kolen-Pollack: direct feedback that learns from the errors and activities that it lies between.

Source: Webster, Choi & Ahn (2021), "Learning the connections in direct feedback alignment"
(openreview.net/forum?id=zgGmAx9ZcY); as in the code of Bacho & Chu (2024), Florian-BACHO/FDFA.
"""

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import one_of
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Network
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter
from .direct_feedback import CUTS, random_direct_feedback
from .kolen_pollack import shrunk
from .terms import Terms, onto_tape, output_error, sweep_down


class DirectKolenPollack(AbstractRule[Trainables, None]):
    """δ^l = (B_l δ^L) ⊙ σ'(z^l), and B_lᵀ has the gradient δ^L (h^l)ᵀ, as if it were the weights of an output layer on h^l.
    After the optimizer's step both B and the W of the layers above the lowest shrink: W ← (1 - λ)W, B ← (1 - λ)B.

    With one hidden layer that is `KolenPollack`: B has the gradient of the last layer's W, and under SGD their difference
    decays exactly, by 1 - λ a step. With B = W there, the layer below learns as under `Backpropagation`.

    **Arguments:** `cuts`: as in `DirectFeedbackAlignment`; an error must meet the activity where it comes to, so that inside a
    layer made of others it cannot; `decay`: λ in [0, 1), a share per step, whatever the learning rate; `scale`: standard
    deviation of the initial B_l in units of 1/√outputs; positive.
    """

    cuts: str = eqx.field(static=True, default="micro")
    decay: Scalar = hyperparameter(1e-3, "[0, 1)")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __post_init__(self) -> None:
        one_of("`cuts` of DirectKolenPollack", self.cuts, CUTS)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where the error comes to signals between its layers alone."""
        cuts = () if network.inside is None else tuple(point.name for point in network.inside.cuts)
        inside = cuts if self.cuts == "macro" else [name for name in network.transported if name not in network.names]
        if inside:
            advice = "use" if cuts else "use cuts='macro', or"
            raise UserError(
                f"direct Kolen-Pollack learns feedback to signals between layers, and {inside[0]} is inside one: {advice} "
                f"direct-feedback-alignment."
            )
        return network

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Trainables:
        drawn = random_direct_feedback(network, data.inputs.shape[1:], self.scale, cuts=self.cuts, key=key)
        return Trainables(network, feedback=drawn)

    def __call__(self, trainables: Trainables, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        network, direct = trainables.network, trainables.feedback
        own, terms = network.located(batch.inputs.shape[1:]), Terms(direct=direct)
        tape, network_state = onto_tape(own, batch, terms, key=key)
        loss, delta = output_error(own, tape, batch, terms)
        gradients = sweep_down(own, tape, delta, terms).like(network)
        inputs = tape.inputs
        learned = {name: jnp.tensordot(delta, inputs[own.index(name)], axes=(0, 0)) for name in direct}
        return Credit(loss, Trainables(gradients, feedback=learned), state, network_state)

    def after_update(self, trainables: Trainables, state: None) -> tuple[Trainables, None]:
        return shrunk(trainables, self.decay, trainables.network.transported), state

    def feedback(self, trainables: Trainables, state: None) -> dict[str, Array]:
        """To the highest hidden layer alone, whose B stands in place of the last layer's W."""
        last, found = trainables.network.synaptic[-1], trainables.feedback
        fits = last in found and found[last].shape == trainables.network[last].weight.shape
        return {last: found[last]} if fits else {}

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the highest hidden layer, and of the feedback that leads to it."""
        hidden, last = network.synaptic[-2:-1], network.synaptic[-1]
        if not hidden or not getattr(network.last, "dense", False):
            return None
        begun = self.trainables(network, batch, key=key)
        same = Trainables(network, feedback=begun.feedback | {last: network.last.weight})
        ours, theirs = self(same, None, batch, key=key).gradients, exact(network, batch, key=key)
        condition = f"B = W of the last layer, in the layer below that, {hidden[0]}, and in that B"
        both = ours.network[hidden[0]], ours.feedback[last]
        return LimitingCase(condition, "backpropagation", both, (theirs[hidden[0]], theirs[last].weight))
