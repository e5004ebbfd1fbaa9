"""Learning from the forward pass alone: which neurons activated, the output, the label, and the weights themselves.

Source: "Binary Classifier Forward-Pass Optimization" (Lerman 2021), Definition 0.1 and equations 1-14.
"""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe.checks import flag
from ascribe.datasets import Dataset
from ascribe.datasets.transforms import transform_names
from ascribe.errors import UserError, shown
from ascribe.losses import BERNOULLI_CROSS_ENTROPY
from ascribe.networks import AbstractSynapticLayer, Activation, Linear, Network, Shift, Tape, mlp, record
from ascribe.types import Array, Key, Scalar

from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter

OFFSET = -0.001
"""What `stabilized` adds to the output (equation 11)."""

FLAGS = ("flip_label", "adaptive_rate", "error_scaled", "stabilized", "natural")
CHOICES = {"input_activation": ("always", "nonzero"), "inactive": ("all", "positive", "none")}


class ForwardPass(AbstractRule[Network, None]):
    """A pseudo-gradient for every weight from one forward pass; nothing travels back ("Binary Classifier Forward-Pass
    Optimization", Definition 0.1 and equations 1-14).

    A neuron *activated* if its output is not 0. For one example with the label y and the weight w_ij from neuron i of one
    layer to neuron j of the next:

        1.  i and j activated       Δw_ij = λ(1 - 2y)|w_ij|
        2.  i activated, j did not  Δw_ij = λ(2y - 1)|w_ij|
        3.  i did not activate      Δw_ij = 0

    The gradient is the mean of Δw over the batch, and any Optax optimizer descends it. With masks pre and post (0 or 1) and one
    coefficient c_n = λ_n(1 - 2y_n)/N an example, a layer's gradient is |W| ⊙ Σ_n c_n (post_n preᵀ_n - (1 - post_n) preᵀ_n):
    one matrix product, the layers independent of each other.

    **The options, in the order in which they are composed** (the document leaves it open; this is our reading). Per example:
    λ is `scaling`; (10) scales it; (9) adapts it, with the layer's own label; (13) divides it.

    - `error_scaled` (10): λ ← λ·min(E, 1/λ), E the loss of the example (cross entropy is unbounded, so it is capped);
    - `flip_label` (8): in the last layer y ← 1 - y where z^L < 0;
    - `adaptive_rate` (9): λ' = λ/((1 - y)λ + 1), so that a step down undoes a step up;
    - `natural` (13): λ' = λ/z^L, |z^L| bounded from below by `epsilon`, its sign kept (+ at 0);
    - `inactive`: rule 2 as it stands (`"all"`), 2.1 with relu(w) in place of |w| (`"positive"`), or 2.2, Δw = 0 (`"none"`);
    - `input_activation`: an input always counts as activated (`"always"`, the document), or only where it is not 0
      (`"nonzero"`, ours: with `"always"` all the weights from a neuron's inputs move alike);
    - `stabilized` (11, 12): the hidden layers become min(relu, 10), and 0.001 is taken off the output (the `Shift` layer);
      z^L in (8) and (13) is the one before it, and whether the output neuron activated is judged after it;
    - `sign_threshold` η (14): after the optimizer's step, w ← -sgn(w)η where |w| < η, with sgn(0) = +1; 0 switches it off.

    `scaling` λ is in (0, 1], `epsilon` positive. All numbers can be swept. `transforms` of the inputs (names of
    `datasets.TRANSFORMS`; `()` for none) take the place of those that `encoding` chooses.

    **(8) and (13) belong together**: 1/z^L turns the sign of the whole update where z^L < 0, and the flip turns the last
    layer's back. Then the hidden layers make the output larger where its sign is right and smaller where it is wrong, and the
    last layer moves it towards the label. With exactly one of them on, the examples with z^L < 0 push the wrong way, and
    little or nothing is learned. Both default to on. No other combination that we measured is better by more than noise
    (docs/forward-pass.md).

    **Needs** a bias-free network of dense layers with ReLU (or clipped ReLU) and one logit, and inputs that are not negative;
    `adapt` and `encoding` give `train` and `compare` both: inputs of either sign are split into relu(x) and relu(-x), and a
    constant 1 takes the place of the bias. There is no limit in which this is backpropagation. For non-negative weights,
    plain SGD at rate 1 and one example with y = 1, without (10), (13) and (14), one step multiplies F(x) by (1 + λ)^L exactly.

    **Raises:** `UserError` for other networks, options or targets.
    """

    input_activation: str = eqx.field(static=True, default="nonzero")
    inactive: str = eqx.field(static=True, default="positive")
    flip_label: bool = eqx.field(static=True, default=True)
    adaptive_rate: bool = eqx.field(static=True, default=False)
    error_scaled: bool = eqx.field(static=True, default=True)
    stabilized: bool = eqx.field(static=True, default=False)
    natural: bool = eqx.field(static=True, default=True)
    transforms: tuple[str, ...] | None = eqx.field(
        static=True, default=None, converter=lambda names: None if names is None else transform_names(names)
    )
    scaling: Scalar = hyperparameter(1.0, "(0, 1]")
    epsilon: Scalar = hyperparameter(1.0, "(0, inf)")
    sign_threshold: Scalar = hyperparameter(0.003, "[0, inf)")

    tasks: ClassVar[tuple[str, ...]] = ("binary",)

    def __check_init__(self) -> None:
        for name, known in CHOICES.items():
            if not isinstance(getattr(self, name), str | bool | None) or getattr(self, name) not in known:
                raise UserError(f"`{name}` is {' or '.join(known)}; got {shown(getattr(self, name))}.")
        for name in FLAGS:
            flag(name, getattr(self, name))

    def encoding(self, data: Dataset) -> tuple[str, ...]:
        """`transforms`; without them, signs split where there is a negative input, and a constant 1 for the bias."""
        if self.transforms is not None:
            return self.transforms
        negative = bool((data.train.inputs < 0).any())
        return ("split-signs", "constant-one") if negative else ("constant-one",)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The same hidden layers without biases, with ReLU, for the encoded inputs, and one logit."""
        return self._adapted(network, data, 1)

    def _adapted(self, network: Network, data: Dataset, times: int) -> Network:
        dense: list[Any] = [layer for layer in network.layers if layer.synaptic]
        if network.composites or not all(layer.dense for layer in dense):
            raise UserError(
                "the forward-pass rule is defined for dense layers: give it hidden layers as 64x64, or leave it out."
            )
        sizes = [data.features, *(times * layer.outputs for layer in dense[:-1]), data.outputs]
        kept = lambda i: sizes[i : i + 2] == [dense[i].fan_in, dense[i].fan_out] and dense[i].bias is None
        layers: list[Any] = []
        for i, layer in enumerate(dense):
            own = {"initializer": layer.initializer, "bias": False}
            layers += [layer if kept(i) else Linear(*sizes[i : i + 2], **own), Activation("relu")]
        made = Network(layers[:-1])
        return stabilize(made) if self.stabilized else made

    def __call__(self, network: Network, state: None, batch: Batch, *, key: Key | None = None) -> Credit:
        tape, names = self._forward(network, batch.inputs)
        t = batch.loss.encode(batch.targets, network.outputs, tape.output.dtype)
        loss = jnp.mean(batch.loss.values(tape.output, batch.targets))
        hidden, last = self._coefficients(_logits(tape, network), tape.output, t, batch)
        gradients: list[Any] = list(network.layers)
        for name in names:
            i, weight = network.index(name), network[name].weight
            c, width = (last, network.outputs) if name == names[-1] else (hidden, weight.shape[0])
            post = (tape.output if name == names[-1] else tape.outputs(i + 1)) != 0
            weighted = jnp.where(post, _spread(c, width, axis=1), 0)
            if name == names[0] and self.input_activation == "always":
                both, all_pre = jnp.sum(weighted, axis=0)[:, None], jnp.sum(c, axis=0)[:, None]
            else:
                pre = (tape.inputs[i] != 0).astype(weight.dtype)
                both, all_pre = weighted.T @ pre, c.T @ pre
            gradient = jnp.abs(weight) * both
            if self.inactive != "none":
                size = jnp.abs(weight) if self.inactive == "all" else jax.nn.relu(weight)
                gradient = gradient - size * (_spread(all_pre, width, axis=0) - both)
            gradients[i] = eqx.tree_at(lambda layer: layer.weight, gradients[i], gradient)
        return Credit(loss, network.with_layers(gradients), state)

    def _forward(self, network: Network, inputs: Array) -> tuple[Tape, tuple[str, ...]]:
        """The tape of the network, stabilized if that is wanted, and the names of its dense layers."""
        layer: Any
        for name, layer in zip(network.names, network.layers, strict=True):
            unknown = isinstance(layer, Activation) and layer.function not in ("relu", "clipped-relu")
            if unknown or not (layer.dense or isinstance(layer, Activation | Shift)):
                raise UserError(f"the forward-pass rule knows dense layers with ReLU between them; got the layer {name}.")
            if isinstance(layer, AbstractSynapticLayer) and layer.bias is not None:
                raise UserError(
                    f"the forward-pass rule knows no biases, and {name} has one: build the network with bias=False."
                )
        names, layers = network.synaptic, network.layers
        between = [isinstance(layers[i + 1], Activation) for i in map(network.index, names[:-1])]
        if not all(between) or isinstance(layers[-1], Activation):
            raise UserError("the forward-pass rule wants a ReLU after every dense layer but the last, and logits after that.")
        if self.tasks == ("binary",) and network.outputs != 1:
            raise UserError(
                f"the forward-pass rule learns one logit, and this network has {network.outputs}: "
                f"for several classes use forward-pass-one-versus-rest."
            )
        return record(stabilize(network) if self.stabilized else network, inputs)[0], names

    def _coefficients(self, z: Array, output: Array, t: Array, batch: Batch) -> tuple[Array, Array]:
        """c = λ(1 - 2y)/N of every example and output, `(batch, outputs)`: for the hidden layers, and for the last one."""
        errors = self._errors(output, t, batch)
        scaling, epsilon = self.scaling.astype(z.dtype), self.epsilon.astype(z.dtype)
        rate = scaling * (jnp.minimum(errors, 1 / scaling) if self.error_scaled else jnp.ones_like(z))
        size = jnp.maximum(jnp.abs(z), epsilon)
        divisor = jnp.where(z < 0, -size, size) if self.natural else jnp.ones_like(z)

        def coefficient(y: Array) -> Array:
            own = rate / ((1 - y) * rate + 1) if self.adaptive_rate else rate
            return own / divisor * (1 - 2 * y) / z.shape[0]

        flipped = jnp.where(z < 0, 1 - t, t) if self.flip_label else t
        return coefficient(t), coefficient(flipped)

    def _errors(self, output: Array, t: Array, batch: Batch) -> Array:
        """E of every example and output, `(batch, outputs)`."""
        return batch.loss.values(output, batch.targets)[:, None]

    def after_update(self, trainables: Network, state: None) -> tuple[Network, None]:
        def cross(weight: Array) -> Array:
            threshold = self.sign_threshold.astype(weight.dtype)
            return jnp.where(jnp.abs(weight) < threshold, jnp.where(weight < 0, threshold, -threshold), weight)

        return jax.tree.map(cross, trainables), state

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """One step of rate 1 on one example of class 1, where every weight is positive."""
        chain: list[Any] = [network[name] for name in network.synaptic]
        positive = mlp([*(layer.fan_in for layer in chain), 1], bias=False, key=key)
        positive = jax.tree.map(jnp.abs, positive)
        example = jnp.ones((1, chain[0].fan_in), network.dtype)
        one = Batch(example, jnp.ones(1, jnp.int32), BERNOULLI_CROSS_ENTROPY)
        plain = {"error_scaled": False, "natural": False, "stabilized": False, "adaptive_rate": False, "flip_label": False}
        rule = dataclasses.replace(self, **plain, scaling=0.1)
        step = rule(positive, None, one).gradients
        after = jax.tree.map(lambda weight, slope: weight - slope, positive, step)
        grown = jnp.asarray(1.1 ** len(chain), network.dtype).reshape(1, 1)
        condition = "no weight is negative, λ = 0.1 and none of (8) to (14) is in force, on one example of class 1"
        return LimitingCase(
            condition, "a step that multiplies the output by (1 + λ)^L", after(example) / positive(example), grown
        )

    def metrics(self, trainables: Network, state: None, batch: Batch, *, before: Network, after: Network) -> dict[str, Array]:
        """`activated_share/LAYER`: of the probe batch's neurons; `sign_changes`: the share of weights whose sign the epoch
        changed; `trust_region_ratio`: the median of F_new(x)/F_old(x) over the probe batch for one more step on it, and
        `trust_region_share` how many lie in [(1 - λ)^L, (1 + λ)^L] (the text after equation 13), both without the examples
        that silence the network, whose F_old is 0."""
        tape, names = self._forward(trainables, batch.inputs)
        dtype = tape.output.dtype
        found = {}
        for name in names[:-1]:
            activation = trainables.index(name) + 1
            share = jnp.mean((tape.outputs(activation) != 0).astype(dtype))
            found[f"activated_share/{trainables.names[activation]}"] = share
        signs = [jnp.ravel((trainables[name].weight < 0) != (before[name].weight < 0)) for name in names]
        found["sign_changes"] = jnp.mean(jnp.concatenate(signs).astype(dtype))
        old, new = _logits(tape, trainables), _logits(self._forward(after, batch.inputs)[0], after)
        known = old != 0
        ratio = jnp.where(known, new / old, jnp.nan)
        low, high = ((1 + sign * self.scaling.astype(dtype)) ** len(names) for sign in (-1, 1))
        found["trust_region_ratio"] = jnp.nanmedian(ratio)
        found["trust_region_share"] = jnp.mean(((ratio >= low) & (ratio <= high)).astype(dtype), where=known)
        return found


class ForwardPassOneVersusRest(ForwardPass):
    """`ForwardPass` for several classes: ours, not the document's.

    Every class has a network of its own that learns "this class or another": y_k = 1{t = k}, one logit z_k, and its Bernoulli
    cross entropy for E in (10). The largest logit wins. All of them are one dense network: of every hidden layer, block k (the
    k-th of as many equal parts as there are classes) belongs to class k, and weights between different blocks are 0, where
    they stay, because every Δw is a multiple of |w|. `adapt` makes the hidden layers that much wider, `trainables` draws
    the blocks.

    The k-th network is exactly a `ForwardPass` of its own on the labels y_k; with one output this is `ForwardPass`.
    """

    tasks: ClassVar[tuple[str, ...]] = ("classification",)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """As in `ForwardPass`, with the hidden layers of the network once for every class."""
        return self._adapted(network, data, data.outputs)

    def trainables(self, network: Network, data: Batch, *, key: Key) -> Network:
        """The same weights inside the blocks, as large as a network of one class draws them, and 0 between them."""
        return _blocks(network, network.outputs**0.5)

    def _errors(self, output: Array, t: Array, batch: Batch) -> Array:
        one_class = lambda z, y: BERNOULLI_CROSS_ENTROPY.value_from_logits(z[:, None], y[:, None])
        return jax.vmap(one_class, in_axes=1, out_axes=1)(output, t)

    def after_update(self, trainables: Network, state: None) -> tuple[Network, None]:
        moved, state = super().after_update(trainables, state)
        return _blocks(moved, 1.0), state

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the first block."""
        classes, chain = network.outputs, network.synaptic
        whole = self.trainables(network, batch, key=key)
        size = lambda name: (whole[name].weight.shape[0] // classes, whole[name].weight.shape[1] // classes)
        own = {name: size(name) if name != chain[0] else (size(name)[0], whole[name].weight.shape[1]) for name in chain}
        cut = lambda network: {name: network[name].weight[: own[name][0], : own[name][1]] for name in chain}
        alone = mlp([*(own[name][1] for name in chain), 1], bias=False, key=key)
        alone = eqx.tree_at(lambda n: [n[name].weight for name in chain], alone, list(cut(whole).values()))
        alone = stabilize(alone) if self.stabilized else alone
        first = Batch(batch.inputs, (batch.targets == 0).astype(jnp.int32), BERNOULLI_CROSS_ENTROPY)
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        theirs = ForwardPass(**options)(alone, None, first).gradients
        ours = cut(self(whole, None, batch, key=key).gradients)
        return LimitingCase("one block is taken alone, with the labels of its class", "forward-pass", ours, cut(theirs))


def _blocks(network: Network, scale: float) -> Network:
    """The network with 0 between the blocks of different classes, and what is inside them times `scale`; its first layer
    as it is, since every class sees all inputs."""
    classes = network.outputs

    def inside(weight: Array) -> Array:
        fan_out, fan_in = weight.shape
        if fan_out % classes or fan_in % classes:
            raise UserError(
                f"the hidden layers hold one block a class: their sizes are multiples of {classes}; got {weight.shape}."
            )
        rows, columns = jnp.arange(fan_out) * classes // fan_out, jnp.arange(fan_in) * classes // fan_in
        return jnp.where(rows[:, None] == columns[None, :], weight * scale, 0)

    layers: list[Any] = list(network.layers)
    for i in map(network.index, network.synaptic[1:]):
        layers[i] = eqx.tree_at(lambda layer: layer.weight, layers[i], inside(layers[i].weight))
    return network.with_layers(layers)


def _spread(values: Array, width: int, *, axis: int) -> Array:
    """One value an output as one a unit of its block; a single value stays one, and broadcasts."""
    outputs = values.shape[axis]
    if outputs == 1:
        return values
    if width % outputs:
        raise UserError(f"the hidden layers hold one block a class: their sizes are multiples of {outputs}; got {width}.")
    return jnp.repeat(values, width // outputs, axis=axis)


def _logits(tape: Tape, network: Network) -> Array:
    """z^L, `(batch, outputs)`: before the offset, if there is one."""
    return tape.outputs(network.index(network.synaptic[-1]))


def stabilize(network: Network) -> Network:
    """The network with clipped ReLUs and the offset after its last layer (equations 11 and 12), if it has not got them."""
    clip = lambda layer: Activation("clipped-relu") if isinstance(layer, Activation) else layer
    layers = [clip(layer) for layer in network.layers]
    if not isinstance(layers[-1], Shift):
        layers.append(Shift(OFFSET))
    return Network(layers)
