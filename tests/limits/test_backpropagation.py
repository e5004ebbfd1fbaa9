"""Backpropagation through the tape is `jax.grad` of a loss that is written out here, layer by layer."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe.networks import (
    ACTIVATIONS,
    Activation,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    Network,
    convolve,
    mlp,
    record,
)
from ascribe.rules import Backpropagation, Batch, backward_sweep

from ..cases import (
    IMAGE,
    assert_active,
    assert_close,
    credit_of,
    examples,
    shake,
    small_lenet,
    small_mlp,
    to_float32,
)

RTOL = 1e-12

WRITTEN = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + jnp.exp(-z)),
    "arctan": jnp.arctan,
    "tanh": lambda z: (jnp.exp(z) - jnp.exp(-z)) / (jnp.exp(z) + jnp.exp(-z)),
    "threshold": lambda z: jnp.where(z < 0, 0.0, 1.0),
    "sign": lambda z: jnp.where(z < 0, -1.0, 1.0),
    "relu": lambda z: jnp.maximum(z, 0.0),
    "clipped-relu": lambda z: jnp.clip(z, 0.0, 10.0),
    "leaky-relu": lambda z: jnp.maximum(z, 0.0) + 0.01 * jnp.minimum(z, 0.0),
    "softplus": lambda z: jnp.log(1 + jnp.exp(z)),
    "gelu": lambda z: z * (1 + jax.scipy.special.erf(z / jnp.sqrt(2.0))) / 2,
    "lif-rate": lambda z: 1 / (0.1 + jnp.log1p(1 / (0.02 * jnp.logaddexp(z / 0.02, 0.0)))),
    "softmax": lambda z: jnp.exp(z) / jnp.sum(jnp.exp(z), axis=-1, keepdims=True),
    "one-hot": lambda z: jnp.where(z == jnp.max(z, axis=-1, keepdims=True), 1.0, 0.0),
}
FLAT = ("threshold", "sign", "one-hot")

# loss, output activation in the network, units, output activation in the written loss
HEADS = [
    ("squared-error", None, 3, "identity"),
    ("squared-error", "identity", 3, "identity"),
    ("squared-error", "logistic", 3, "logistic"),
    ("squared-error", "tanh", 3, "tanh"),
    ("squared-error", "arctan", 3, "arctan"),
    ("squared-error", "softplus", 3, "softplus"),
    ("squared-error", "softmax", 3, "softmax"),
    ("squared-error", None, 1, "identity"),
    ("squared-error", "logistic", 1, "logistic"),
    ("bernoulli-cross-entropy", None, 3, "logistic"),
    ("bernoulli-cross-entropy", "logistic", 3, "logistic"),
    ("bernoulli-cross-entropy", None, 1, "logistic"),
    ("bernoulli-cross-entropy", "logistic", 1, "logistic"),
    ("categorical-cross-entropy", None, 3, "softmax"),
    ("categorical-cross-entropy", "softmax", 3, "softmax"),
]
WRITTEN_LOSS = {
    "squared-error": lambda y, t: jnp.mean(jnp.sum((y - t) ** 2, axis=1)) / 2,
    "bernoulli-cross-entropy": lambda y, t: -jnp.mean(jnp.sum(t * jnp.log(y) + (1 - t) * jnp.log(1 - y), axis=1)),
    "categorical-cross-entropy": lambda y, t: -jnp.mean(jnp.sum(t * jnp.log(y), axis=1)),
}
OPTAX_LOSS = {
    "squared-error": lambda z, t: jnp.mean(jnp.sum(optax.l2_loss(z, t), axis=1)),
    "bernoulli-cross-entropy": lambda z, t: jnp.mean(jnp.sum(optax.sigmoid_binary_cross_entropy(z, t), axis=1)),
    "categorical-cross-entropy": lambda z, t: jnp.mean(optax.softmax_cross_entropy(z, t)),
}


def numbers(batch, outputs):
    """Targets as an array `(batch, outputs)`."""
    if batch.loss.name == "squared-error":
        return batch.targets
    if outputs == 1:
        return batch.targets.reshape(-1, 1).astype(float)
    return jnp.eye(outputs)[batch.targets]


def parameters(layers):
    return [(layer.weight, layer.bias) for layer in layers if layer.synaptic]


def dense(x, weight, bias):
    z = jnp.einsum("ni,oi->no", x, weight)
    return z if bias is None else z + jnp.broadcast_to(bias, z.shape)


def conv(x, weight, bias, padding=0):
    z = jax.lax.conv_general_dilated(x, weight, (1, 1), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return z if bias is None else z + jnp.broadcast_to(bias, z.shape)


def largest(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def average(x):
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") / 4


def assert_is_the_gradient(written_loss, network, batch, credit):
    """`written_loss(parameters)` has the credit's value and gradient; returns the written gradient."""
    value, gradient = jax.value_and_grad(written_loss)(parameters(network.layers))
    np.testing.assert_allclose(credit.loss, value, rtol=RTOL)
    assert_close(parameters(credit.gradients.layers), gradient, RTOL)
    return gradient


def check_mlp(hidden, head, bias=True):
    loss, output_activation, outputs, written_output = head
    network = small_mlp(hidden, output_activation, outputs, bias)
    batch = examples((4,), loss, outputs)
    t = numbers(batch, outputs)

    def written(layers):
        x = batch.inputs
        for layer in layers[:-1]:
            x = WRITTEN[hidden](dense(x, *layer))
        return WRITTEN_LOSS[loss](WRITTEN[written_output](dense(x, *layers[-1])), t)

    gradient = assert_is_the_gradient(written, network, batch, Backpropagation()(network, None, batch))
    if hidden in FLAT:
        assert_active(gradient[-1])
        assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves(gradient[:-1]))
    else:
        assert_active(gradient)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head[0]}-{head[1]}-{head[2]}")
@pytest.mark.parametrize("hidden", list(ACTIVATIONS))
def test_mlp_gradient_is_that_of_the_written_loss(hidden, head):
    check_mlp(hidden, head)


@pytest.mark.parametrize("hidden", list(ACTIVATIONS))
@pytest.mark.parametrize("head", [HEADS[0], HEADS[9], HEADS[13]], ids=lambda head: head[0])
def test_mlp_gradient_without_biases(hidden, head):
    check_mlp(hidden, head, bias=False)


def test_every_activation_is_written_out_here():
    assert set(WRITTEN) == set(ACTIVATIONS)


@pytest.mark.parametrize("output", ["threshold", "one-hot"])
def test_an_output_without_slope_teaches_nothing(output):
    network, batch = small_mlp("tanh", output), examples((4,), "squared-error")
    gradients = Backpropagation()(network, None, batch).gradients
    assert all(bool(jnp.all(leaf == 0)) for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("head", HEADS, ids=lambda head: f"{head[0]}-{head[1]}-{head[2]}")
def test_a_single_synaptic_layer(head):
    loss, output_activation, outputs, written_output = head
    network = small_mlp("tanh", output_activation, outputs, hidden=())
    batch = examples((4,), loss, outputs)
    t = numbers(batch, outputs)

    def written(layers):
        return WRITTEN_LOSS[loss](WRITTEN[written_output](dense(batch.inputs, *layers[0])), t)

    assert_is_the_gradient(written, network, batch, Backpropagation()(network, None, batch))


@pytest.mark.parametrize("hidden", ["tanh", "relu", "softplus"])
@pytest.mark.parametrize("loss", OPTAX_LOSS)
def test_lenet_gradient_is_that_of_the_written_loss(loss, hidden):
    network, batch = small_lenet(hidden), examples(IMAGE, loss)
    t = numbers(batch, 3)
    f = WRITTEN[hidden]

    @jax.jit
    def written(layers):
        conv1, conv2, linear1, linear2, linear3 = layers
        x = largest(f(conv(batch.inputs, *conv1, padding=2)))
        x = largest(f(conv(x, *conv2)))
        x = x.reshape(len(x), -1)
        return OPTAX_LOSS[loss](dense(f(dense(f(dense(x, *linear1)), *linear2)), *linear3), t)

    gradient = assert_is_the_gradient(written, network, batch, jax.jit(Backpropagation())(network, None, batch))
    assert_active(gradient)


@pytest.mark.parametrize("loss", OPTAX_LOSS)
def test_average_pooling_normalization_and_dropout_are_differentiated_exactly(loss):
    """The written loss takes the dropout masks from the recorded pass and everything else from its own formulas."""
    keys = jr.split(jr.key(3), 3)
    network = Network(
        [
            Conv2d(1, 2, 5, padding=2, key=keys[0]),
            BatchNorm(2),
            Activation("tanh"),
            AveragePool2d(2),
            Dropout(0.3),
            Flatten(),
            Linear(72, 6, key=keys[1]),
            BatchNorm(6),
            Activation("softplus"),
            Dropout(0.5),
            Linear(6, 3, key=keys[2]),
        ]
    )
    network, batch = shake(network, jr.key(4), 0.2), examples(IMAGE, loss)
    t, key = numbers(batch, 3), jr.key(5)
    tape, _ = record(network, batch.inputs, key=key)
    masks = [(tape.outputs(i) != 0).astype(float) for i in (4, 9)]
    assert all(0 < float(jnp.mean(mask)) < 1 for mask in masks)

    def normalize(x, scale, shift):
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axis=axes, keepdims=True)
        variance = jnp.mean((x - mean) ** 2, axis=axes, keepdims=True)
        normal = (x - mean) / jnp.sqrt(variance + 1e-5)
        return jnp.broadcast_to(scale, x.shape) * normal + jnp.broadcast_to(shift, x.shape)

    @jax.jit
    def written(layers):
        conv1, norm1, linear1, norm2, linear2 = layers
        x = jnp.tanh(normalize(conv(batch.inputs, *conv1, padding=2), *norm1))
        x = average(x) * masks[0] / 0.7
        x = normalize(dense(x.reshape(len(x), -1), *linear1), *norm2)
        return OPTAX_LOSS[loss](dense(WRITTEN["softplus"](x) * masks[1] / 0.5, *linear2), t)

    def trained(layers):
        return [tuple(jax.tree.leaves(layer)) for layer in layers if jax.tree.leaves(layer)]

    credit = jax.jit(lambda n: Backpropagation()(n, None, batch, key=key))(network)
    value, gradient = jax.value_and_grad(written)(trained(network.layers))
    np.testing.assert_allclose(credit.loss, value, rtol=RTOL)
    # A bias below a normalization has no effect: its gradient is rounding, and compared on the weights' scale.
    for ours, theirs in zip(trained(credit.gradients.layers), gradient, strict=True):
        size = max(float(jnp.max(jnp.abs(leaf))) for leaf in theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=RTOL * size)
    assert_active(gradient[0][0])


def test_normalization_starts_from_the_statistics_in_the_batch_and_returns_new_ones():
    network = Network([Linear(4, 3, key=jr.key(0)), BatchNorm(3, momentum=0.8), Linear(3, 2, key=jr.key(1))])
    batch = examples((4,), "categorical-cross-entropy", outputs=2)
    started = (None, (jnp.full(3, 2.0), jnp.full(3, 5.0)), None)
    batch = Batch(batch.inputs, batch.targets, batch.loss, network_state=started)
    credit = Backpropagation()(network, None, batch)
    z = batch.inputs @ network.layers[0].weight.T
    np.testing.assert_allclose(credit.network_state[1][0], 0.8 * 2 + 0.2 * jnp.mean(z, axis=0), rtol=1e-12)
    np.testing.assert_allclose(credit.network_state[1][1], 0.8 * 5 + 0.2 * jnp.var(z, axis=0), rtol=1e-12)


def test_the_gradient_is_the_mean_over_the_batch():
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")
    single = [
        Backpropagation()(network, None, Batch(batch.inputs[i : i + 1], batch.targets[i : i + 1], batch.loss))
        for i in range(len(batch.inputs))
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *[credit.gradients for credit in single])
    assert_close(backward_sweep(network, None, batch).gradients, mean, RTOL)


def test_no_error_is_computed_below_the_lowest_layer():
    """It would be an array of the shape of the inputs, 6 · 7, which nothing else here is."""
    network, batch = mlp([7, 5, 4, 3], activation="tanh"), examples((7,), "categorical-cross-entropy", batch=6)
    sweep = lambda x: backward_sweep(network, None, dataclasses.replace(batch, inputs=x)).gradients
    loss = lambda x: jnp.mean(batch.loss.values(network(x), batch.targets))
    made = [len(re.findall(r":f64\[6,7\] = ", str(jax.make_jaxpr(f)(batch.inputs)))) for f in (sweep, jax.grad(loss))]
    assert made[0] == 0 < made[1]


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_two_forms_of_convolution_agree_with_their_gradients(stride, padding, getkey):
    x, weight = jr.normal(getkey(), (2, 9, 11, 3)), jr.normal(getkey(), (4, 3, 3, 5))

    def values_and_gradients(form):
        z, back = jax.vjp(lambda x, w: convolve(x, w, stride=stride, padding=padding, form=form), x, weight)
        return z, *back(jnp.cos(z))

    native = values_and_gradients("native")
    assert_active(native)
    assert_close(values_and_gradients("slices"), native, RTOL)


def test_float32_gradient_agrees_to_float32_rounding():
    network, batch = small_mlp("tanh"), examples((4,), "categorical-cross-entropy")
    gradients = credit_of(Backpropagation(), *to_float32((network, None, batch))).gradients
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}
    assert_close(gradients, credit_of(Backpropagation(), network, None, batch).gradients, 1e-5)
