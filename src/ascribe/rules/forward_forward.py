"""The forward-forward algorithm: every layer learns, from two forward passes, to tell right labels from wrong ones.

Source: Hinton (2022), "The forward-forward algorithm: some preliminary investigations", arXiv:2212.13345, equations 1 and 2,
sections 2 and 3.3.
"""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import one_of
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import AbstractLayer, Activation, Dropout, LabelGoodness, Network, RMSNorm
from ascribe.types import Array, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter
from .terms import output_loss

LABELS = ("beside", "in-input")
PREDICTIONS = ("goodness", "readout")


class ForwardForward(AbstractRule[Trainables, None]):
    """Every hidden layer l descends its own loss of the goodness G_l = ‖h_l‖², with no error from above:

        softplus(θ n_l - G_l⁺) + softplus(G_l⁻ - θ n_l),

    mean over the batch, with h_l⁺ of the example told its right label, h_l⁻ of the same example told a wrong one, drawn anew
    for every step, and n_l units. What goes on to the next layer is divided by its root mean square (`RMSNorm`, which `adapt`
    puts in front of every layer with weights but the first), so that it does not tell the goodness. The last layer is a readout
    of the last hidden one, told no label; it learns by its own gradient.

    It predicts the label with the largest Σ_l G_l, for which it runs the network once for each label, or with
    `prediction="readout"` by the network's forward pass. Beside Hinton's, G_l counts from the first hidden layer on; he leaves
    that out, and takes wrong labels that a forward pass thinks likely.

    There is no limit in which it is backpropagation: a hidden layer's gradient is `jax.grad` of its own loss.

    **Arguments:** `threshold`: θ, the goodness of a unit that counts as neither; positive; bounded activations want it below 1;
    `scale`: the standard deviation of what a label adds to a preactivation at the start, or the size of a label in the input;
    positive; `labels`: `"beside"` the example, with weights of their own that learn, or `"in-input"`, added to its first
    numbers (of the paper's images the first pixels, which are black); `prediction`: `"goodness"` or `"readout"`.

    **Raises:** `UserError` for regression, normalization by batches, dropout, and more labels than inputs to put them in.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "classification")
    labels: str = eqx.field(static=True, default="beside")
    prediction: str = eqx.field(static=True, default="goodness")
    threshold: Scalar = hyperparameter(1.0, "(0, inf)")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __post_init__(self) -> None:
        one_of("labels", self.labels, LABELS)
        one_of("prediction", self.prediction, PREDICTIONS)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network with an `RMSNorm` in front of every layer with weights but the first."""
        layers: list[AbstractLayer] = []
        for name, layer in zip(network.names, network.layers, strict=True):
            is_dropout = lambda one: isinstance(one, Dropout)
            if any(map(is_dropout, jax.tree.leaves(layer, is_leaf=is_dropout))):
                raise UserError(f"forward-forward knows no dropout: leave {name} out of the network.")
            if jax.tree.leaves(layer.initial_state()):
                raise UserError(
                    f"forward-forward knows no layer that keeps statistics, such as batch normalization: leave {name} out of "
                    f"the network."
                )
            inner = name in network.units[1:] and not isinstance(layers[-1], RMSNorm)
            layers += [RMSNorm(), layer] if inner else [layer]
        if self.labels == "in-input" and data.features < max(network.outputs, 2):
            raise UserError(
                f"forward-forward puts {max(network.outputs, 2)} labels into the first inputs, and there are {data.features}: "
                f"use labels='beside'."
            )
        return Network(layers) if len(layers) > len(network.layers) else network

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Trainables:
        if self.labels == "in-input" or not self._hidden(network):
            return Trainables(network)
        example = jax.ShapeDtypeStruct((1, *data.inputs.shape[1:]), network.dtype)
        first = Network(network.layers[: network.index(network.units[0]) + 1])
        shape = (max(network.outputs, 2), *eqx.filter_eval_shape(first, example).shape[1:])
        drawn = self.scale.astype(network.dtype) * jr.normal(key, shape, network.dtype)
        return Trainables(network, feedback={"labels": drawn})

    def __call__(self, trainables: Trainables, state: None, batch: Batch, *, key: Key) -> Credit:
        def objective(both: tuple[Network, Any]) -> tuple[Scalar, Scalar]:
            network, own = both
            features, losses = self._stages(network, own, batch, key)
            loss = output_loss(network, self._readout(network, features), batch)
            return loss + losses, loss

        (_, loss), (gradient, own) = jax.value_and_grad(objective, has_aux=True)((trainables.network, trainables.feedback))
        return Credit(loss, Trainables(gradient, feedback=own), state, batch.network_state)

    def predictor(self, trainables: Trainables, state: None) -> Network:
        """A network of one layer, `LabelGoodness`; the trained one with `prediction="readout"`, or without hidden layers."""
        network = trainables.network
        asked = None if self.prediction == "readout" else self._told(network, trainables.feedback)
        return network if asked is None else Network([asked])

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        """Of the last layer alone, which is the readout."""
        last = network.units[-1]
        ours = self(self.trainables(network, batch, key=key), None, batch, key=key).gradients.network[last]
        return LimitingCase(
            "the layer is the last one, which reads out", "backpropagation", ours, exact(network, batch, key=key)[last]
        )

    def _hidden(self, network: Network) -> list[AbstractLayer]:
        """The layers below the readout and what normalizes its input."""
        end = network.index(network.units[-1]) if len(network.units) > 1 else 1
        return list(network.layers[: end - 1])

    def _told(self, network: Network, own: Any) -> LabelGoodness | None:
        """The hidden layers, which can be told a label; None without any."""
        hidden, count = self._hidden(network), max(network.outputs, 2)
        if not hidden:
            return None
        beside = self.labels == "beside"
        labels = own["labels"] if beside else self.scale.astype(network.dtype) * jnp.eye(count, dtype=network.dtype)
        layer = LabelGoodness(hidden, network.outputs, label_shape=labels.shape[1:], beside=beside)
        return eqx.tree_at(lambda one: one.labels, layer, labels)

    def _stages(self, network: Network, own: Any, batch: Batch, key: Key) -> tuple[Array, Scalar]:
        """What the readout sees, and the sum of the hidden layers' losses. Of each example with its right label, with a wrong
        one and with none, by three passes."""
        layer, x = self._told(network, own), batch.inputs.astype(network.dtype)
        total = jnp.zeros((), x.dtype)
        if layer is None:
            return x, total
        count, size = len(layer.labels), x.shape[0]
        right = batch.targets.reshape(size).astype(jnp.int32)
        wrong = (right + jr.randint(key, (size,), 1, count, right.dtype)) % count
        passes = [layer.activities(x, labels, apart=True) for labels in (right, wrong, None)]
        for right_h, wrong_h in zip(*passes[:2], strict=True):
            middle = self.threshold.astype(x.dtype) * right_h[0].size
            right_loss = jax.nn.softplus(middle - layer.goodness(right_h))
            wrong_loss = jax.nn.softplus(layer.goodness(wrong_h) - middle)
            total = total + jnp.mean(right_loss + wrong_loss)
        return jax.lax.stop_gradient(passes[2][-1]), total

    def _readout(self, network: Network, features: Array) -> Array:
        """The last preactivation, of what leaves the hidden layers."""
        top = len(network.layers) - isinstance(network.last, Activation)
        for layer in network.layers[len(self._hidden(network)) : top]:
            features, _ = layer(features, layer.initial_state(), training=True)
        return features
