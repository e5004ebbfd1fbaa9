"""Local errors: every hidden layer learns from a loss of its own, which nothing above it enters.

Source: Nøkland & Eidnes (2019), "Training Neural Networks with Local Error Signals", arXiv:1901.06656, section 2, and its
authors' code (anokland/local-loss).
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import at_least, one_of, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.networks import Activation, Conv2d, Linear, Network, record
from ascribe.types import Array, Float, Key, PyTree, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, hyperparameter
from .segments import ends_of
from .terms import output_loss

KINDS = ("prediction", "similarity", "both")

Heads = dict[str, dict[str, Any]]
"""What the hidden blocks have beside the network, by the names of their layers with weights: a `classifier` of the prediction
loss, a `projection` before the similarities."""


class LocalError(AbstractRule[Trainables, None]):
    """Layers that learn apart, each from an error of its own. A block is a layer with weights and what follows it up to the
    activation, h its output; no gradient passes from block to block. The last block learns by the experiment's loss, every
    other one by

        L = (1 - β) L_pred + β L_sim,   L_pred = loss(V h + c, t),   L_sim = mean over i, j of (S(P h) - S(t))²_ij

    with a classifier V, c and a projection P of the block's own, which learn from L too (`Trainables.feedback`), and S the
    similarities of the examples of a batch: the cosine of each two, the mean of an example's numbers subtracted. Targets t are
    one-hot, or numbers as they are.

    `kind`: `"prediction"` has L_pred alone and `"similarity"` L_sim alone, both without β. With one block the rule is
    `Backpropagation`, and with L_pred alone it is that in the last two layers where the upper hidden block's V is the last
    layer's W. A layer that is made of others is one block, with backpropagation inside.

    In images P is a 3 × 3 convolution, S is taken of each channel's standard deviation over the pixels (of four channels or
    more), and the classifier sees means over windows, so large that it has at most `head_inputs` inputs. Sequences are treated
    like images of one column, with one P for all steps.

    **Arguments:** `kind`; `similarity_weight`: β of `"both"`; `head_inputs`.
    """

    kind: str = eqx.field(static=True, default="both")
    head_inputs: int = eqx.field(static=True, default=4096, converter=plain)
    similarity_weight: Scalar = hyperparameter(0.99, "[0, 1]")

    def __check_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        at_least(1, "head_inputs", self.head_inputs)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where its targets have similarities."""
        if self.kind != "prediction" and data.task == "regression" and data.outputs == 1 and len(network.units) > 1:
            raise UserError(
                "the similarity of two targets is that of several numbers, and these targets are single ones: use "
                "kind='prediction'."
            )
        return network

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Trainables:
        """The network, and a classifier and a projection for every hidden block."""
        example = jax.ShapeDtypeStruct((1, *data.inputs.shape[1:]), network.dtype)
        inputs = eqx.filter_eval_shape(lambda network, x: record(network, x, key=jr.key(0))[0].inputs, network, example)
        ends = block_ends(network)
        keys = jr.split(key, max(len(ends), 1))
        heads = {
            name: self._head(inputs[end + 1].shape[1:], network.outputs, k)
            for k, (name, end) in zip(keys, ends.items(), strict=False)
        }
        return Trainables(network, feedback=jax.tree.map(lambda leaf: leaf.astype(network.dtype), heads))

    def _head(self, shape: tuple[int, ...], outputs: int, key: Key) -> dict[str, Any]:
        """As the source has them: the classifier begins at 0, the projection at PyTorch's law."""
        units, law = shape[-1], "pytorch-uniform"
        head: dict[str, Any] = {}
        if self.kind != "similarity":
            inputs = jax.eval_shape(lambda h: pooled(h, self.head_inputs), jax.ShapeDtypeStruct((1, *shape), float)).shape[1]
            head["classifier"] = Linear(inputs, outputs, initializer="zeros")
        if self.kind != "prediction":
            image = len(shape) == 3
            head["projection"] = (
                Conv2d(units, units, 3, padding=1, bias=False, initializer=law, key=key)
                if image
                else Linear(units, units, bias=False, initializer=law, key=key)
            )
        return head

    def __call__(self, trainables: Trainables, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        network = trainables.network
        before = network.initial_state() if batch.network_state is None else batch.network_state
        keys = (None,) * len(network.names) if key is None else tuple(jr.split(key, len(network.names)))
        ends = {end: name for name, end in block_ends(network).items()}

        def losses(layers: Any, heads: Heads) -> tuple[Scalar, tuple[Scalar, PyTree]]:
            x = below = batch.inputs
            local, after = jnp.zeros((), network.dtype), []
            for i, layer in enumerate(layers):
                below = x
                x, own = layer(x, before[i], key=keys[i], training=True)
                after.append(own)
                if i in ends:
                    local = local + self.local_loss(heads[ends[i]], x, batch, network.outputs)
                    x = jax.lax.stop_gradient(x)
            loss = output_loss(network, below if isinstance(network.last, Activation) else x, batch)
            return local + loss, (loss, tuple(after))

        gradients, (loss, after) = jax.grad(losses, argnums=(0, 1), has_aux=True)(network.layers, trainables.feedback)
        return Credit(loss, Trainables(network.with_layers(gradients[0]), feedback=gradients[1]), state, after)

    def local_loss(self, head: dict[str, Any], h: Float[Array, "batch ..."], batch: Batch, outputs: int) -> Scalar:
        """L of one block, from its output; `outputs`: of the network."""
        losses: dict[str, Scalar] = {}
        if "classifier" in head:
            z, _ = head["classifier"](pooled(h, self.head_inputs))
            losses["prediction"] = jnp.mean(batch.loss.values(z, batch.targets))
        if "projection" in head:
            # A single output of two classes is one number, which has no similarities: one-hot it is two.
            labels = not jnp.issubdtype(batch.targets.dtype, jnp.floating)
            t = batch.loss.encode(batch.targets, max(outputs, 2) if labels else outputs, h.dtype)
            own = similarities(spread(head["projection"](h)[0]))
            losses["similarity"] = jnp.mean((own - similarities(t)) ** 2)
        beta = self.similarity_weight.astype(h.dtype)
        return (1 - beta) * losses["prediction"] + beta * losses["similarity"] if self.kind == "both" else losses[self.kind]

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        ends, theirs = block_ends(network), exact(network, batch, key=key)
        rule = dataclasses.replace(self, kind="prediction")
        begun = rule.trainables(network, batch, key=key)
        if not ends:
            ours = rule(begun, None, batch, key=key).gradients.network
            return LimitingCase("the network is one block", "backpropagation", ours, theirs)
        below, last = list(ends)[-1], network.names[-1]
        direct = getattr(network.last, "dense", False) and ends[below] + 2 == len(network.names)
        if direct:
            layer: Any = network.last
            copied = {"classifier": layer}
            begun = Trainables(network, feedback={**begun.feedback, below: copied})
        ours = rule(begun, None, batch, key=key).gradients.network
        if not direct:
            return LimitingCase("", "backpropagation in the last layer", ours[network.units[-1]], theirs[network.units[-1]])
        condition = f"there is the prediction loss alone, and the classifier of {below} is the last layer"
        pair = lambda found: (found[below], found[last])
        return LimitingCase(condition, "backpropagation in the last two layers", pair(ours), pair(theirs))


def block_ends(network: Network) -> dict[str, int]:
    """The number of the layer that each hidden block ends with, by the name of its layer with weights."""
    return ends_of(network, after_activation=True, chosen=None)


def similarities(x: Float[Array, "batch numbers"]) -> Float[Array, "batch batch"]:
    """S: the cosine of every two examples, the mean of each one's numbers subtracted; 0 with one whose numbers are all
    equal."""
    centered = x - jnp.mean(x, axis=1, keepdims=True)
    unit = centered / (1e-8 + _root(jnp.sum(centered**2, axis=1, keepdims=True)))
    return unit @ unit.T


def spread(x: Float[Array, "batch ... channels"]) -> Float[Array, "batch numbers"]:
    """What similarities are taken of: of images (and sequences) the standard deviation of each channel over the places, where
    there are more than three channels; else all numbers."""
    count, channels = x.shape[0], x.shape[-1]
    places = x.reshape(count, -1, channels)
    if x.ndim == 2 or channels <= 3 or places.shape[1] == 1:
        return x.reshape(count, -1)
    return _root(jnp.var(places, axis=1, ddof=1))


def pooled(x: Float[Array, "batch ... channels"], limit: int) -> Float[Array, "batch numbers"]:
    """What a classifier is given: of images (and sequences) the means over windows of 1, 2, 4, … pixels, the smallest that
    leave no more than `limit` numbers, with zeros around what they do not divide."""
    if x.ndim == 2:
        return x
    count, *places, channels = x.shape
    x = x.reshape(count, places[0], -1, channels)
    sizes, kernel = x.shape[1:3], [1, 1]
    left = lambda: channels * -(-sizes[0] // kernel[0]) * -(-sizes[1] // kernel[1])
    while left() > limit and any(window < size for window, size in zip(kernel, sizes, strict=True)):
        for axis in (0, 1):
            if left() > limit and kernel[axis] < sizes[axis]:
                kernel[axis] *= 2
    if kernel == [1, 1]:
        return x.reshape(count, -1)
    rows, columns = (_windows(size, window) for size, window in zip(sizes, kernel, strict=True))
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (*rows[1:], 0), (*columns[1:], 0), (0, 0, 0)])
    return jnp.mean(x.reshape(count, rows[0], kernel[0], columns[0], kernel[1], channels), axis=(2, 4)).reshape(count, -1)


def _windows(size: int, window: int) -> tuple[int, int, int]:
    """How many windows there are along an axis, and the zeros before and after it; below 0, what is left out."""
    low = window * (-(-size // window) - size // window) // 2
    count = (size + 2 * low - window) // window + 1
    return count, low, count * window - size - low


def _root(squares: Array) -> Array:
    """The square root, whose slope at 0 is 0."""
    positive = squares > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)
