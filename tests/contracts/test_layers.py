"""What every layer keeps, read from the table of layers; then what each one computes, beside NumPy and SciPy."""

import functools
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.test_util import check_grads

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import (
    GRU,
    LAYERS,
    Activation,
    Attention,
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    MaxPool2d,
    Network,
    Patches,
    Residual,
    Shift,
    Subsample,
    convolve,
    initializers,
    record,
)
from ascribe.networks.layer import inner_layers

from ..cases import assert_identical, shake
from ..later import Later

signal = Later("scipy.signal")

# class name: the arguments, all of them unlike their defaults, and the input's shape
CASES = {
    "Linear": ({"fan_in": 5, "fan_out": 3, "bias": True, "initializer": "glorot-normal"}, (4, 5)),
    "Conv2d": (
        {
            "channels": 2,
            "fan_out": 3,
            "kernel": 3,
            "stride": 2,
            "padding": 1,
            "bias": True,
            "initializer": "lecun-uniform",
        },
        (4, 7, 6, 2),
    ),
    "MaxPool2d": ({"window": 3}, (4, 7, 6, 2)),
    "AveragePool2d": ({"window": 3}, (4, 7, 6, 2)),
    "Flatten": ({}, (4, 3, 2, 2)),
    "Dropout": ({"rate": 0.25}, (4, 6)),
    "BatchNorm": ({"channels": 3, "momentum": 0.8, "epsilon": 0.01}, (4, 5, 3)),
    "Activation": ({"function": "softplus"}, (4, 6)),
    "Shift": ({"offset": 0.25}, (4, 6)),
    "LayerNorm": ({"features": 3, "epsilon": 0.01}, (4, 5, 3)),
    "RMSNorm": ({"epsilon": 0.01}, (4, 5, 3)),
    "LabelGoodness": (
        {
            "layers": [
                {"layer": "Linear", "fan_in": 3, "fan_out": 4, "bias": True, "initializer": "glorot-normal"},
                {"layer": "Activation", "function": "tanh"},
                {"layer": "RMSNorm", "epsilon": 0.01},
                {"layer": "Linear", "fan_in": 4, "fan_out": 2, "bias": True, "initializer": "lecun-normal"},
            ],
            "outputs": 3,
            "label_shape": [4],
            "beside": True,
        },
        (5, 3),
    ),
    "GlobalAveragePool": ({}, (4, 3, 2, 2)),
    "Equilibrium": (
        {
            "layers": [
                {"layer": "Linear", "fan_in": 3, "fan_out": 4, "bias": True, "initializer": "glorot-normal"},
                {"layer": "Activation", "function": "tanh"},
                {"layer": "Linear", "fan_in": 4, "fan_out": 2, "bias": True, "initializer": "lecun-normal"},
            ],
            "steps": 3,
        },
        (4, 3),
    ),
    "Subsample": ({"stride": 3, "added": 2}, (4, 7, 6, 2)),
    "Patches": ({"rows": 2, "columns": 3}, (4, 4, 6, 2)),
    "LastStep": ({}, (4, 3, 2)),
    "Embedding": (
        {"features": 3, "width": 4, "length": 5, "bias": True, "initializer": "glorot-normal"},
        (4, 5, 3),
    ),
    "Attention": (
        {"width": 4, "heads": 2, "causal": True, "bias": True, "initializer": "lecun-normal"},
        (4, 5, 4),
    ),
    "TransformerBlock": (
        {
            "width": 4,
            "heads": 2,
            "hidden": 3,
            "causal": True,
            "activation": "tanh",
            "bias": True,
            "initializer": "lecun-normal",
        },
        (4, 5, 4),
    ),
    "MixerBlock": (
        {
            "patches": 5,
            "width": 4,
            "patches_hidden": 3,
            "channels_hidden": 6,
            "activation": "tanh",
            "bias": True,
            "initializer": "glorot-normal",
        },
        (4, 5, 4),
    ),
    "GRU": ({"features": 3, "units": 2, "bias": True, "initializer": "glorot-normal"}, (4, 5, 3)),
    "Residual": (
        {
            "branch": [
                {"layer": "Linear", "fan_in": 3, "fan_out": 2, "bias": True, "initializer": "glorot-normal"},
                {"layer": "BatchNorm", "channels": 2, "momentum": 0.8, "epsilon": 0.01},
                {"layer": "Dropout", "rate": 0.25},
            ],
            "shortcut": [{"layer": "Linear", "fan_in": 3, "fan_out": 2, "bias": True, "initializer": "he-normal"}],
            "scale": 0.5,
        },
        (4, 3),
    ),
    "Block": ({"model": "Perceptron", "options": {"outputs": 3}, "shape": [6]}, (4, 6)),
}
HEAD = {"layer": "Linear", "fan_in": 1, "fan_out": 1}


@networks.register_layer
class Perceptron(eqx.Module):
    """A model of another library, which a block is made of."""

    linear: eqx.nn.Linear

    def __init__(self, outputs, key):
        self.linear = eqx.nn.Linear(6, outputs, key=key)

    def __call__(self, x):
        return jnp.tanh(self.linear(x))


each_layer = pytest.mark.parametrize("name", list(LAYERS))


@functools.cache
def made(name):
    """A layer with noise on its parameters, and an input; no two entries of it are equal."""
    x = np.random.default_rng(1).permutation(np.linspace(-2, 2, np.prod(CASES[name][1]))).reshape(CASES[name][1])
    return shake(built(name), jr.key(2), 0.1), jnp.asarray(x)


def built(name):
    """The layer as its arguments describe it."""
    return networks.from_config([{"layer": name, **CASES[name][0]}, HEAD]).layers[0]


def test_every_layer_has_a_case():
    assert set(CASES) == set(LAYERS)


@each_layer
def test_config_is_what_the_layer_was_built_with(name):
    layer, _ = made(name)
    structure = Network([layer, Linear(1, 1)]).config()
    assert structure[0] == {"layer": name, **CASES[name][0]}
    again = jax.eval_shape(lambda: networks.from_config(json.loads(json.dumps(structure))))
    assert again.config() == structure


@each_layer
def test_a_network_survives_the_trip_through_its_config(name):
    layer, _ = made(name)
    network = Network([layer, made("Linear")[0]])
    copy = jax.eval_shape(lambda: networks.from_config(json.loads(json.dumps(network.config()))))
    assert jax.tree.structure(copy) == jax.tree.structure(network)
    assert copy.names == network.names
    assert jax.tree.map(lambda leaf: leaf.shape, copy) == jax.tree.map(lambda leaf: leaf.shape, network)


@each_layer
def test_initialize_draws_other_numbers_into_the_same_structure(name):
    layer, _ = made(name)
    initialize = eqx.filter_jit(layer.initialize)
    fresh, other = initialize(jr.key(5)), initialize(jr.key(6))
    assert jax.tree.structure(fresh) == jax.tree.structure(layer)
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, layer)
    pairs = zip(*([one, *inner_layers(one)] for one in (fresh, other)), strict=True)
    synaptic = [pair for pair in pairs if pair[0].synaptic]
    for one, apart in synaptic:
        assert np.all(np.asarray(one.weight) != apart.weight)
        assert not np.any(one.bias)
    weights = [np.ravel(one.weight)[:4] for one, _ in synaptic]
    assert not any(np.any(a == b) for i, a in enumerate(weights) for b in weights[:i])
    if name == "Block":
        assert all(np.all(one != two) for one, two in zip(*map(jax.tree.leaves, (fresh, other)), strict=True))
    elif not synaptic and jax.tree.leaves(layer):
        assert_identical(fresh, built(name))


@each_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [False, True])
def test_the_batch_axis_and_the_precision_are_kept(name, training, dtype):
    layer, x = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), made(name))
    state = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, dtype), made(name)[0].initial_state())
    y, after = jax.eval_shape(lambda layer, x, s: layer(x, s, key=jr.key(3), training=training), layer, x, state)
    assert (y.shape[0], y.dtype) == (x.shape[0], x.dtype)
    assert jax.tree.structure(after) == jax.tree.structure(state)


@each_layer
def test_inference_is_deterministic_and_sees_each_example_alone(name):
    layer, x = made(name)
    state = layer.initial_state()

    @jax.jit
    def answers(layer, x):
        pieces = [layer(x[i : i + 1], state, training=False)[0] for i in range(len(x))]
        return (
            layer(x, state, key=jr.key(3), training=False),
            layer(x, state, training=False)[0],
            jnp.concatenate(pieces),
        )

    (y, after), again, alone = answers(layer, x)
    assert_identical(y, again)
    assert_identical(after, state)
    np.testing.assert_allclose(y, alone, rtol=1e-12, atol=1e-14)


@each_layer
def test_the_gradient_is_that_of_finite_differences(name):
    layer, x = made(name)
    output = jax.jit(lambda layer, x: layer(x, layer.initial_state(), key=jr.key(3), training=True)[0])
    check_grads(
        lambda *given: output(*jax.tree.map(jnp.asarray, given)),
        (layer, x),
        order=1,
        modes=["rev"],
        rtol=1e-6,
        atol=1e-6,
    )


@each_layer
def test_the_tape_can_replay_the_layer(name):
    layer, x = made(name)
    after = jax.eval_shape(lambda x: layer(x, layer.initial_state(), training=False)[0], x)
    network = Network([layer, Flatten(), Linear(int(np.prod(after.shape[1:])), 2)])

    @jax.jit
    def replayed(network, x):
        tape, _ = record(network, x, key=jr.key(7))
        again = [
            layer(tape.inputs[i], tape.state[i], key=tape.keys[i], training=True)[0] for i, layer in enumerate(network.layers)
        ]
        return again, [tape.outputs(i) for i in range(3)]

    assert_identical(*replayed(network, x))


# What each one computes


@pytest.mark.parametrize("form", ["native", "slices"])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 0), (2, 1), (3, 2)])
def test_convolution_is_scipy_s_correlation(stride, padding, form, getkey):
    x, weight = jr.normal(getkey(), (2, 8, 7, 3)), jr.normal(getkey(), (3, 3, 3, 4))
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    expected = np.stack(
        [
            [
                sum(signal.correlate2d(image[:, :, c], weight[:, :, c, k], mode="valid") for c in range(3))[::stride, ::stride]
                for k in range(4)
            ]
            for image in padded
        ]
    ).transpose(0, 2, 3, 1)
    z = convolve(x, weight, stride=stride, padding=padding, form=form)
    np.testing.assert_allclose(z, expected, rtol=1e-12, atol=1e-12)


def test_a_convolutional_layer_adds_its_bias_to_every_pixel():
    layer, x = made("Conv2d")
    z = convolve(x, layer.weight, stride=2, padding=1)
    np.testing.assert_array_equal(layer(x)[0], np.asarray(z) + np.asarray(layer.bias))


def test_a_dense_layer_is_w_x_plus_b():
    layer, x = made("Linear")
    expected = [np.asarray(layer.weight) @ np.asarray(row) + np.asarray(layer.bias) for row in x]
    np.testing.assert_allclose(layer(x)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("made", [lambda: Linear(3, 2, bias=False), lambda: Conv2d(1, 2, 3, bias=False)])
def test_a_layer_without_bias_has_none(made):
    layer = jax.eval_shape(made)
    assert layer.bias is None
    assert len(jax.tree.leaves(layer)) == 1
    assert layer.config()["bias"] is False


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize(("layer", "reduction"), [(MaxPool2d, np.max), (AveragePool2d, np.mean)])
def test_pooling_is_the_loop_over_windows(layer, reduction, window, getkey):
    x = np.asarray(jr.normal(getkey(), (2, 7, 8, 3)))
    rows, columns = 7 // window, 8 // window
    expected = np.zeros((2, rows, columns, 3))
    for i in range(rows):
        for j in range(columns):
            square = x[:, i * window : (i + 1) * window, j * window : (j + 1) * window]
            expected[:, i, j] = reduction(square, axis=(1, 2))
    np.testing.assert_allclose(layer(window)(jnp.asarray(x))[0], expected, rtol=1e-14)


def test_tied_maxima_share_the_gradient():
    gradient = jax.grad(lambda x: jnp.sum(MaxPool2d(2)(x)[0]))(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient, np.full((1, 2, 2, 1), 0.25))


def test_normalization_uses_the_batch_in_training_and_the_statistics_outside():
    layer, x = made("BatchNorm")
    started = (jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0, 5.0, 6.0]))
    a = np.asarray(x).reshape(-1, 3)
    scale, shift = np.asarray(layer.scale), np.asarray(layer.shift)
    y, (mean, variance) = layer(x, started, training=True)
    expected = scale * (a - a.mean(axis=0)) / np.sqrt(a.var(axis=0) + 0.01) + shift
    np.testing.assert_allclose(y.reshape(-1, 3), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(mean, 0.8 * np.array([1, 2, 3]) + 0.2 * a.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, 0.8 * np.array([4, 5, 6]) + 0.2 * a.var(axis=0), rtol=1e-12)

    y, state = layer(x, started, training=False)
    expected = scale * (a - [1, 2, 3]) / np.sqrt(np.array([4, 5, 6]) + 0.01) + shift
    np.testing.assert_allclose(y.reshape(-1, 3), expected, rtol=1e-12, atol=1e-13)
    assert_identical(state, started)


def test_normalization_starts_at_mean_zero_and_variance_one():
    mean, variance = BatchNorm(2).initial_state()
    np.testing.assert_array_equal(mean, [0, 0])
    np.testing.assert_array_equal(variance, [1, 1])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_keeps_the_expected_activation(rate):
    y = np.asarray(Dropout(rate)(jnp.ones((200, 500)), key=jr.key(0), training=True)[0])
    np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - rate)], rtol=1e-12)
    deviation = np.sqrt(rate * (1 - rate) / y.size)
    assert abs(np.mean(y == 0) - rate) < 4 * deviation
    assert abs(np.mean(y) - 1) < 4 * deviation / (1 - rate)


def test_dropout_is_off_outside_training_and_at_rate_zero():
    x = jr.normal(jr.key(0), (3, 4))
    assert_identical(Dropout(0.5)(x)[0], x)
    assert_identical(Dropout(0.0)(x, training=True)[0], x)
    with pytest.raises(UserError, match=r"pass `key=jax\.random\.key\(0\)`"):
        Dropout(0.5)(x, training=True)


def test_a_shift_adds_the_same_number_everywhere_and_passes_the_error_on():
    y, pull = jax.vjp(lambda x: Shift(-0.5)(x)[0], jnp.array([[1.0, -2.0]]))
    np.testing.assert_array_equal(y, [[0.5, -2.5]])
    np.testing.assert_array_equal(pull(jnp.array([[3.0, 4.0]]))[0], [[3.0, 4.0]])


@pytest.mark.parametrize(
    ("law", "spread"),
    [
        ("he-normal", lambda fan_in, fan_out: np.sqrt(2 / fan_in)),
        ("he-uniform", lambda fan_in, fan_out: np.sqrt(2 / fan_in)),
        ("glorot-normal", lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out))),
        ("glorot-uniform", lambda fan_in, fan_out: np.sqrt(2 / (fan_in + fan_out))),
        ("lecun-normal", lambda fan_in, fan_out: np.sqrt(1 / fan_in)),
        ("lecun-uniform", lambda fan_in, fan_out: np.sqrt(1 / fan_in)),
        ("logistic-normal", lambda fan_in, fan_out: 4 / np.sqrt(fan_in)),
        ("pytorch-uniform", lambda fan_in, fan_out: np.sqrt(1 / (3 * fan_in))),
    ],
)
def test_the_initial_weights_have_the_law_s_spread(law, spread):
    """Standard deviations: He et al. (2015), Glorot & Bengio (2010), LeCun et al. (1998)."""
    dense = np.asarray(Linear(500, 200, initializer=law, key=jr.key(1)).weight)
    kernel = np.asarray(Conv2d(40, 120, 5, initializer=law, key=jr.key(2)).weight)
    for weight, fan_in, fan_out in ((dense, 500, 200), (kernel, 25 * 40, 25 * 120)):
        s = spread(fan_in, fan_out)
        np.testing.assert_allclose(weight.std(), s, rtol=0.015)
        assert abs(weight.mean()) < 4 * s / np.sqrt(weight.size)
        if law.endswith("uniform"):
            assert np.sqrt(3) * s * 0.999 < np.abs(weight).max() <= np.sqrt(3) * s


@pytest.mark.parametrize(("fan_in", "fan_out"), [(6, 4), (4, 6), (5, 5)])
def test_orthogonal_weights_are_orthonormal(fan_in, fan_out):
    W = np.asarray(Linear(fan_in, fan_out, initializer="orthogonal", key=jr.key(0)).weight)
    gram = W @ W.T if fan_out <= fan_in else W.T @ W
    np.testing.assert_allclose(gram, np.eye(min(fan_in, fan_out)), atol=1e-12)


def test_orthogonal_kernels_are_orthonormal_over_the_receptive_field():
    W = np.asarray(Conv2d(2, 6, 3, initializer="orthogonal", key=jr.key(0)).weight).reshape(-1, 6)
    np.testing.assert_allclose(W.T @ W, np.eye(6), atol=1e-12)


def test_every_initializer_is_tested_here():
    tested = {f"{law}-{kind}" for law in ("he", "glorot", "lecun") for kind in ("normal", "uniform")}
    assert set(initializers.names()) == tested | {"logistic-normal", "pytorch-uniform", "orthogonal", "zeros"}
    assert not np.any(Linear(3, 2, initializer="zeros").weight)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: Linear(0, 2), "`fan_in` of Linear is a positive integer; got 0"),
        (lambda: Linear(2, -1), "`fan_out` of Linear is a positive integer; got -1"),
        (lambda: Linear(2, 2, initializer="he"), "unknown initializer 'he': choose one of he-normal"),
        (lambda: Conv2d(1, 1, 0), "`kernel` of Conv2d is a positive integer; got 0"),
        (lambda: Conv2d(1, 1, 3, stride=0), "`stride` of Conv2d"),
        (lambda: Conv2d(1, 1, 3, padding=-1), "`padding` of Conv2d is an integer that is not negative; got -1"),
        (lambda: MaxPool2d(0), "`window` of MaxPool2d is a positive integer; got 0"),
        (lambda: AveragePool2d(-2), "`window` of AveragePool2d"),
        (lambda: Dropout(1.0), r"`rate` of Dropout is a number from 0 to below 1; got 1.0"),
        (lambda: BatchNorm(0), "`channels` of BatchNorm is a positive integer; got 0"),
        (lambda: BatchNorm(2, momentum=1.0), r"`momentum` of BatchNorm is a number from 0 to below 1; got 1.0"),
        (lambda: LayerNorm(0), "`features` of LayerNorm is a positive integer; got 0"),
        (lambda: LayerNorm(2, epsilon=-1.0), "`epsilon` is a finite number that is not negative; got -1.0"),
        (lambda: Patches(0, 2), "`rows` of Patches is a positive integer; got 0"),
        (lambda: Subsample(2, -1), "`added` is an integer that is not negative; got -1"),
        (lambda: Attention(6, 4), "`heads` of Attention divides its width 6; got 4"),
        (lambda: GRU(2, True), "`units` of GRU is a positive integer; got True"),
        (lambda: Embedding(2, 3, length=0), "`length` of Embedding is a positive integer; got 0"),
        (lambda: Residual([], scale=float("inf")), "`scale` is a finite number; got inf"),
        (lambda: Shift(float("nan")), "`offset` of Shift is a finite number; got nan"),
        (lambda: Activation("rleu"), "unknown activation 'rleu': did you mean 'relu', or choose one of identity, logistic"),
    ],
)
def test_a_bad_argument_meets_its_sentence(build, sentence):
    with pytest.raises(UserError, match=sentence):
        build()
