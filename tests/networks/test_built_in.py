"""The networks that are built in: what they compute, how many parameters they have, how they begin, and that they learn."""

import itertools
import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Linear, MixerBlock, TransformerBlock, check_input, record
from ascribe.networks.layer import inner_layers
from ascribe.rules import backward_sweep

from ..cases import assert_identical, examples, shake

EXACT = {"rtol": 1e-12, "atol": 1e-12}
IMAGE = (8, 8, 1)
SMALL = {
    "resnet/8x2": IMAGE,
    "resnet/8x2:normalization=no": (7, 8, 3),
    "vit/1x8": IMAGE,
    "mixer/2x6:patch=4": IMAGE,
    "transformer/2x8:causal=yes": (5, 3),
    "transformer/1x6": IMAGE,
    "gru/4": (5, 3),
    "gru/3": IMAGE,
}
each = pytest.mark.parametrize("text", list(SMALL))


def small(text, **options):
    return networks.build(text, input_shape=SMALL[text], outputs=3, **options)


def shapes_of(make):
    return jax.eval_shape(make)


def normalized(layer, x):
    """Layer normalization, written."""
    centered = x - x.mean(axis=-1, keepdims=True)
    scale, shift = np.asarray(layer.scale), np.asarray(layer.shift)
    return scale * centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + 1e-5) + shift


def dense(layer, x):
    return x @ np.asarray(layer.weight).T + np.asarray(layer.bias)


# Their parts, written


def test_a_transformer_block_is_two_normalized_parts_that_are_added():
    block = shake(TransformerBlock(4, 2, activation="tanh", key=jr.key(0)), jr.key(1))
    x = jr.normal(jr.key(2), (3, 5, 4))
    a = np.asarray(x) + np.asarray(block.attention(jnp.asarray(normalized(block.norm1, np.asarray(x))))[0])
    expected = a + dense(block.down, np.tanh(dense(block.up, normalized(block.norm2, a))))
    np.testing.assert_allclose(block(x)[0], expected, **EXACT)
    assert block.up.fan_out == 16


def test_a_mixer_block_mixes_the_patches_and_then_the_channels():
    block = shake(MixerBlock(5, 4, activation="tanh", key=jr.key(0)), jr.key(1))
    x = np.asarray(jr.normal(jr.key(2), (3, 5, 4)))
    across = normalized(block.norm1, x).transpose(0, 2, 1)
    a = x + dense(block.patches_down, np.tanh(dense(block.patches_up, across))).transpose(0, 2, 1)
    expected = a + dense(block.channels_down, np.tanh(dense(block.channels_up, normalized(block.norm2, a))))
    np.testing.assert_allclose(block(jnp.asarray(x))[0], expected, **EXACT)
    assert (block.patches_up.fan_out, block.channels_up.fan_out) == (2, 16)


@pytest.mark.parametrize("block", [TransformerBlock, MixerBlock])
def test_a_block_without_weights_is_the_identity(block):
    x = jr.normal(jr.key(2), (3, 4, 4))
    assert_identical(block(4, 4, initializer="zeros")(x)[0], x)


# How large they are


@pytest.mark.parametrize(("depth", "parameters"), [(20, 269_722), (32, 464_154), (56, 853_018), (110, 1_727_962)])
def test_residual_networks_have_the_published_number_of_parameters(depth, parameters):
    """He et al. (2016), table 6, in millions: 0.27, 0.46, 0.85, 1.7. Written: three stages of 2n convolutions without biases,
    each with a scale and a shift a channel."""
    n, channels = (depth - 2) // 6, (16, 32, 64)
    pairs = [(3, 16)] + [(16, 16)] * 2 * n
    for below, above in itertools.pairwise(channels):
        pairs += [(below, above)] + [(above, above)] * (2 * n - 1)
    written = sum(9 * below * above + 2 * above for below, above in pairs) + 64 * 10 + 10
    network = shapes_of(lambda: networks.resnet(depth=depth))
    assert network.parameters == written == parameters
    with_weights = [one for layer in network.layers for one in (layer, *inner_layers(layer)) if one.synaptic]
    assert len(with_weights) == depth


def test_vision_networks_of_the_published_sizes_have_the_published_number_of_parameters():
    """torchvision's vit_b_16, without its class token and the token's position; Tolstikhin et al. (2021), table 1, in millions:
    59 (B/16), 18 (S/16)."""
    image = (224, 224, 3)
    base = {"depth": 12, "width": 768, "patch": 16}
    assert shapes_of(lambda: networks.vit(image, 1000, heads=12, **base)).parameters == 86_567_656 - 2 * 768
    assert shapes_of(lambda: networks.mixer(image, 1000, **base)).parameters // 10**6 == 59
    assert shapes_of(lambda: networks.mixer(image, 1000, depth=8, width=512, patch=16)).parameters // 10**6 == 18


@pytest.mark.parametrize(
    ("text", "shape", "parameters"),
    [
        ("vit/2x8", (8, 8, 1), (4 * 8 + 8) + 16 * 8 + 2 * (12 * 64 + 9 * 8 + 4 * 8) + 2 * 8 + 3 * 9),
        ("mixer/2x8", (8, 8, 1), (4 * 8 + 8) + 2 * (2 * 16 * 4 + 4 + 16 + 8 * 64 + 5 * 8 + 4 * 8) + 2 * 8 + 3 * 9),
        ("transformer/2x8", (12, 5), (5 * 8 + 8) + 12 * 8 + 2 * (12 * 64 + 9 * 8 + 4 * 8) + 2 * 8 + 3 * 9),
        ("gru/8", (12, 5), 3 * 8 * (5 + 8 + 2) + 3 * 9),
        ("gru/8", (12, 5, 2), 3 * 8 * (10 + 8 + 2) + 3 * 9),
        ("resnet/8x4:normalization=no", (8, 8, 1), 36 + 4 + 2 * 148 + 296 + 584 + 1168 + 2320 + 3 * 17),
    ],
)
def test_the_parameters_by_formula(text, shape, parameters):
    network = shapes_of(lambda: networks.build(text, input_shape=shape, outputs=3))
    assert network.parameters == parameters


# How they are built


@each
def test_a_network_takes_its_inputs_and_survives_the_trip_through_its_config(text):
    network = shapes_of(lambda: small(text))
    assert check_input(network, SMALL[text]) == (3,)
    copy = shapes_of(lambda: networks.from_config(json.loads(json.dumps(network.config()))))
    assert copy.names == network.names and jax.tree.structure(copy) == jax.tree.structure(network)
    assert isinstance(network.last, Linear) and not network.first.wants_vectors


@each
def test_activation_and_biases_are_those_that_were_asked_for(text):
    network = shapes_of(lambda: small(text, activation="softplus", bias=False))
    inside = [one for layer in network.layers for one in (layer, *inner_layers(layer))]
    assert all(one.bias is None for one in inside if one.synaptic)
    functions = {getattr(one, "function", getattr(one, "activation", None)) for one in inside} - {None}
    assert functions == (set() if text.startswith("gru") else {"softplus"})


def test_blocks_are_one_layer_each():
    assert shapes_of(lambda: small("vit/1x8")).names == (
        *("patches1", "embedding1", "block1", "layernorm1", "globalaveragepool1", "linear1"),
    )
    assert shapes_of(lambda: small("transformer/2x8:causal=yes")).names == (
        *("embedding1", "block1", "block2", "layernorm1", "laststep1", "linear1"),
    )
    resnet = shapes_of(lambda: small("resnet/8x2")).names
    assert resnet[:3] == ("conv1", "batchnorm1", "relu1") and resnet[-2:] == ("globalaveragepool1", "linear1")
    assert resnet[3:-2] == ("residual1", "relu2", "residual2", "relu3", "residual3", "relu4")


def test_a_network_knows_of_the_convolutions_inside_its_layers():
    """Which several seeds at once would slow down."""
    inside = networks.Network([networks.Residual([networks.Conv2d(1, 1, 3, padding=1)]), Linear(1, 1)])
    assert inside.convolutional and shapes_of(lambda: small("resnet/8x2")).convolutional
    assert not shapes_of(lambda: small("vit/1x8")).convolutional


def test_the_places_of_weights_have_readable_names():
    paths = {
        text: [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(layer)]
        for text, layer in (
            ("vit/1x8", shapes_of(lambda: small("vit/1x8"))["block1"]),
            ("mixer/2x6:patch=4", shapes_of(lambda: small("mixer/2x6:patch=4"))["block2"]),
            ("resnet/8x2", shapes_of(lambda: small("resnet/8x2"))["residual2"]),
            ("gru/4", shapes_of(lambda: small("gru/4"))["gru1"]),
        )
    }
    assert {"attention/query/weight", "attention/output/weight", "up/weight", "down/weight"} < set(paths["vit/1x8"])
    assert {"patches_up/weight", "channels_down/weight"} < set(paths["mixer/2x6:patch=4"])
    assert {"branch/conv1/weight", "branch/batchnorm2/scale"} < set(paths["resnet/8x2"])
    assert paths["gru/4"] == ["input/weight", "input/bias", "hidden/weight", "hidden/bias"]


@pytest.mark.parametrize(("shape", "side"), [((8, 8), 2), ((28, 28), 4), ((32, 32), 4), ((12, 18), 2), ((96, 96), 12)])
def test_the_side_of_patches_that_nobody_told(shape, side):
    network = shapes_of(lambda: networks.vit((*shape, 1), depth=1, width=4))
    assert network.first.config() == {"rows": side, "columns": side}


def test_rows_of_an_image_are_the_steps_of_a_sequence():
    network = small("gru/3", key=jr.key(0))
    x = jr.normal(jr.key(1), (2, *IMAGE))
    rows = networks.Network(network.layers[1:])
    assert_identical(network(x), rows(x.reshape(2, 8, 8)))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: networks.resnet((4,), 2), r"resnet takes images \(height, width, channels\); got the shape \(4,\)"),
        (lambda: networks.resnet(depth=10), r"`depth` of resnet is 6n \+ 2, such as 8, 14 or 20.*got 10"),
        (lambda: networks.resnet(depth=2), "`depth` of resnet .*got 2"),
        (lambda: networks.resnet(width=0), "`width` of resnet is a positive integer; got 0"),
        (lambda: networks.vit((9, 7, 1)), "images of 9 × 7 pixels cannot be cut .*say their side by `patch`"),
        (lambda: networks.vit(patch=5), "`patch` of vit divides both sides of the image, 32 × 32 pixels; got 5"),
        (lambda: networks.vit((6, 5), 2), "vit takes images"),
        (lambda: networks.mixer(depth=0), "`depth` of mixer is a positive integer; got 0"),
        (lambda: networks.transformer((3, 4, 5, 6), 2), "transformer reads sequences"),
        (
            lambda: networks.transformer((3, 0), 2),
            r"transformer reads sequences \(time, features\), and images row by row",
        ),
        (lambda: networks.transformer((3, 4), 2, depth=1001), "`depth` of transformer is 1,000 at most; got 1001"),
        (lambda: networks.transformer((3, 4), 2, width=6, heads=4), "`heads` of Attention divides its width 6; got 4"),
        (lambda: networks.gru((3,), 2), r"gru reads sequences .* got the shape \(3,\)"),
        (lambda: networks.gru((3, 4), 2, units=10**12), "memory does not hold a network"),
        (lambda: networks.transformer((3, 4), 2, width=10**9), "memory does not hold a network"),
        (lambda: networks.resnet(width=10**9), "memory does not hold a network"),
        (lambda: networks.mixer(width=10**9), "memory does not hold a network"),
    ],
)
def test_what_cannot_be_built_is_refused(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("resnet", "'resnet' is no network: write its depth, or depth x width behind a slash, as in resnet/8"),
        ("vit/4x", "'vit/4x' is no network: write its depth x width behind a slash, as in vit/4x64"),
        ("gru/4x4", "'gru/4x4' is no network: write its units behind a slash, as in gru/64"),
        (
            "vit/1x8:pach=2",
            "unknown option of vit/1x8 'pach': did you mean 'patch', or choose one of patch, heads, init",
        ),
        ("vit/1x8:patch", "the option patch of vit/1x8 needs a value, as in vit/1x8:patch=VALUE"),
        ("vit/1x8:", "unknown option of vit/1x8 ''"),
        ("vit/1x8:initializer=he", "unknown initializer 'he'"),
    ],
)
def test_a_text_with_a_mistake_is_told_which(text, sentence):
    with pytest.raises(UserError, match=sentence):
        networks.build(text, input_shape=IMAGE, outputs=3)


# How they begin


@pytest.mark.parametrize(
    ("text", "shape", "variance"),
    [
        ("resnet/8x32", (8, 8, 16), lambda fan_in, fan_out: 2 / fan_in),
        ("vit/1x128", (8, 8, 16), lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("mixer/1x128", (16, 16, 64), lambda fan_in, fan_out: 1 / fan_in),
        ("gru/128", (4, 100), lambda fan_in, fan_out: 1 / fan_in),
    ],
)
def test_all_weights_begin_with_the_variance_of_their_law(text, shape, variance):
    """He et al. (2015); Glorot & Bengio (2010); LeCun et al. (1998). The last layers of the branches are no exception."""
    network = jax.jit(lambda key: networks.build(text, input_shape=shape, outputs=64, key=key))(jr.key(3))
    inside = [one for layer in network.layers for one in (layer, *inner_layers(layer)) if one.synaptic]
    for one in inside:
        spread = np.sqrt(variance(one.fan_in, one.fan_out) / np.asarray(one.weight).var())
        assert abs(spread - 1) < 4 / np.sqrt(2 * one.weight.size), one
        assert one.bias is None or not np.any(one.bias)


def test_without_normalization_what_passes_stays_of_its_size():
    """(1 + 2/L)^L < e²; without the factor 1/√L it would be 3^L. Each halving adds as many channels of zeros, so that sums over
    channels are what to look at."""
    network = networks.resnet((8, 8, 16), 2, depth=56, width=16, normalization=False, key=jr.key(0))
    tape, _ = jax.jit(record)(network, jr.normal(jr.key(1), (16, 8, 8, 16)))
    below, above = (tape.outputs(network.index(name)) for name in ("relu1", "relu28"))
    sizes = [np.mean(np.sum(np.square(one), axis=-1)) for one in (below, above)]
    assert 1 < sizes[1] / sizes[0] < np.e**2


# That they learn


@each
def test_backpropagation_is_the_gradient_of_the_loss(text):
    """Of the mean cross entropy, written, in training: batch statistics are in force."""
    network = small(text, activation="tanh", key=jr.key(0))
    batch = examples(SMALL[text], "categorical-cross-entropy")

    def loss(network):
        z = record(network, batch.inputs)[0].output
        return -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(len(z)), batch.targets])

    @jax.jit
    def both(network):
        return backward_sweep(network, None, batch).gradients, jax.grad(loss)(network)

    ours, theirs = map(jax.tree.leaves, both(network))
    largest = max(np.max(np.abs(leaf)) for leaf in theirs)
    assert np.mean([np.max(np.abs(leaf)) > 1e-6 * largest for leaf in theirs]) > 0.8
    assert max(np.max(np.abs(np.asarray(a) - b)) for a, b in zip(ours, theirs, strict=True)) <= 1e-12 * largest


@pytest.mark.parametrize("text", ["gru/8", *(pytest.param(one, marks=pytest.mark.slow) for one in ("vit/1x8", "resnet/8x4"))])
def test_they_learn_digits_and_are_kept(text, tmp_path):
    data = ascribe.datasets.load("digits", samples=400)
    settings = {"seeds": 2, "epochs": 3, "batch_size": 25, "learning_rate": 0.01, "diagnostics": False}
    runs = ascribe.train(text, data, "backpropagation", **settings)
    loss = runs.curves["train_loss"]
    assert np.all(loss[:, -1] < 0.95 * loss[:, 0])
    model = ascribe.Model.of(runs, seed=runs.seeds[1])
    again = ascribe.load_model(model.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(again.predict(data.test), runs.predict(data.test)[1])
