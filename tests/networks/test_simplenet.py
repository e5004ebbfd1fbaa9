"""SimpleNet: its shape beside the published one, its gradient beside `jax.grad`, its statistics beside NumPy."""

import importlib
import importlib.util

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import losses, networks
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.networks import BatchNorm, Conv2d, Dropout, MaxPool2d, Network, check_input, record, simplenet
from ascribe.rules import Backpropagation, Batch
from ascribe.training import devices
from ascribe.training.evaluate import Examples, evaluate

CHANNELS = [64, 128, 128, 128, 128, 128, 256, 256, 256, 512, 2048, 256, 256]
LOSS = losses.get("categorical-cross-entropy")
SMALL = (2, 2, 1)


def thin(shape=SMALL, outputs=3, dropout=0.0):
    """As thin as it gets, 4 channels but for 8, 32 and again 4; weights of He's size, scales near 1."""
    network = jax.eval_shape(lambda: simplenet(shape, outputs, width=1 / 64, dropout=dropout))
    draw = np.random.default_rng(1).normal
    leaves, structure = jax.tree.flatten(network)
    size = lambda shape: np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
    return structure.unflatten(
        [jnp.asarray((len(leaf.shape) == 1) + draw(scale=size(leaf.shape), size=leaf.shape)) for leaf in leaves]
    )


def batch_of(shape, count=6, outputs=3):
    keys = jr.split(jr.key(3))
    return Batch(jr.normal(keys[0], (count, *shape)), jr.randint(keys[1], (count,), 0, outputs), LOSS)


def of_kind(network, kind):
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_the_numbers_of_weights_are_the_published_ones():
    network = jax.eval_shape(simplenet)
    weights = [layer.weight.shape for layer in network.layers if layer.synaptic]
    assert [shape[-1] for shape in weights[:-1]] == CHANNELS
    assert [shape[0] for shape in weights[:-1]] == [3] * 10 + [1, 1, 3]
    assert weights[-1] == (10, 256)
    count = sum(int(np.prod(shape)) for shape in weights)
    assert count == 5_484_736  # the published 5.48 M: weights alone
    assert network.parameters == count + sum(CHANNELS) + 10 + 2 * sum(CHANNELS)


def test_every_convolution_is_normalized_and_dropout_follows_all_but_the_last():
    network = jax.eval_shape(simplenet)
    names = [name.rstrip("0123456789") for name in network.names]
    places = [i for i, name in enumerate(names) if name == "conv"]
    assert [names[i : i + 3] for i in places] == [["conv", "batchnorm", "relu"]] * 13
    pooled = [number for number, i in enumerate(places, start=1) if names[i + 3] == "maxpool"]
    dropped = [number for number, i in enumerate(places, start=1) if "dropout" in names[i + 3 : i + 5]]
    assert pooled == [4, 7, 9, 12, 13]
    assert dropped == list(range(1, 13))
    assert {layer.rate for layer in of_kind(network, Dropout)} == {0.2}
    assert {layer.momentum for layer in of_kind(network, BatchNorm)} == {0.95}
    assert names[-2:] == ["flatten", "linear"]


@pytest.mark.parametrize(
    ("shape", "windows", "fan_in"),
    [
        ((32, 32, 3), [2, 2, 2, 2, 2], 4),
        ((28, 28, 1), [2, 2, 2, 2], 4),
        ((8, 8, 1), [2, 2, 2], 4),
        ((1, 1, 2), [], 4),
        ((64, 64, 3), [2, 2, 2, 2, 4], 4),
        ((64, 32, 3), [2, 2, 2, 2, 2], 8),
    ],
)
def test_images_are_pooled_while_they_have_two_pixels(shape, windows, fan_in):
    def thinnest():
        network = simplenet(shape, 5, width=1 / 64)
        assert check_input(network, shape) == (5,)
        return network

    network = jax.eval_shape(thinnest)
    assert [layer.window for layer in of_kind(network, MaxPool2d)] == windows
    assert network.last.weight.shape == (5, fan_in)


def test_widths_are_rounded_up_and_four_at_least():
    for width, expected in (
        (1 / 8, [8, 16, 32, 64, 256]),
        (1 / 100, [4, 4, 4, 6, 21]),
        (1.5, [96, 192, 384, 768, 3072]),
    ):
        network = jax.eval_shape(lambda width=width: simplenet(width=width, outputs=7))
        found = [layer.weight.shape[-1] for layer in of_kind(network, Conv2d)]
        assert found == [dict(zip([64, 128, 256, 512, 2048], expected, strict=True))[full] for full in CHANNELS]
        assert network.outputs == 7
        assert bool(of_kind(network, Dropout)) == (width >= 1)


def test_options_reach_the_layers():
    network = jax.eval_shape(lambda: simplenet(SMALL, 2, width=0.01, bias=False, dropout=0.1, activation="tanh"))
    assert all(layer.bias is None and layer.initializer == "glorot-normal" for layer in of_kind(network, Conv2d))
    assert {layer.rate for layer in of_kind(network, Dropout)} == {0.1}
    assert "tanh13" in network.names
    assert of_kind(jax.eval_shape(lambda: simplenet(dropout=0.0)), Dropout) == []


@pytest.mark.parametrize("text", ["simplenet", "SimpleNet", "simplenet/8"])
def test_it_has_a_name_on_the_command_line(text):
    network = jax.eval_shape(lambda: networks.build(text, input_shape=(32, 32, 3), outputs=4))
    wanted = jax.eval_shape(lambda: simplenet(outputs=4, width=1 / 8 if "8" in text else 1.0))
    assert network.config() == wanted.config()
    assert jax.tree.map(jnp.shape, network) == jax.tree.map(jnp.shape, wanted)


@pytest.mark.parametrize("text", ["simplenet/0", "simplenet/", "simplenet/x", "simplenet/8/2", "simplenets"])
def test_other_names_are_refused_in_a_sentence_that_lists_them(text):
    with pytest.raises(UserError, match=r"unknown network .*lenet.*simplenet/8.*\.$"):
        networks.build(text, input_shape=SMALL, outputs=4)


@pytest.mark.parametrize("shape", [(64,), (8, 8), (8, 8, 0), (2, 8, 8, 1)])
def test_inputs_that_are_no_images_are_refused(shape):
    with pytest.raises(UserError, match=r"^SimpleNet takes images .*\.$"):
        simplenet(shape)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_a_width_is_a_positive_number(width):
    with pytest.raises(UserError, match=r"^`width` of SimpleNet is a positive number"):
        simplenet(width=width)


def test_a_bad_dropout_rate_is_refused():
    with pytest.raises(UserError, match="`rate` of Dropout"):
        simplenet(SMALL, width=0.01, dropout=1.0)


@pytest.fixture(scope="module")
def step():
    """A step of training of the last four blocks, which have layers of every kind, with dropout: the network, its inputs, the
    credit, and value and gradient of the loss by `jax.grad`, with the tape."""
    module = importlib.import_module("ascribe.networks.simplenet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCKS", module.BLOCKS[-4:])
        network = thin(dropout=0.2)
    batch = batch_of(SMALL)

    @jax.jit
    def both(network, inputs, targets, key):
        batch = Batch(inputs, targets, LOSS)

        def loss(network):
            tape, state = record(network, inputs, key=key, training=True)
            return LOSS.mean_and_error(tape.output, targets)[0], (state, tape)

        expected = jax.value_and_grad(loss, has_aux=True)(network)
        return network, inputs, Backpropagation()(network, None, batch, key=key), expected

    return both(network, batch.inputs, batch.targets, jr.key(5))


def test_the_gradient_is_jax_s(step):
    """In training: with the batch's statistics, and with dropout."""
    _, _, credit, ((value, (state, _)), expected) = step
    np.testing.assert_allclose(credit.loss, value, rtol=1e-12)
    # Relative to the largest of all: in front of a normalization, the gradient of a bias is zero to rounding.
    largest = max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(expected))
    assert largest > 1e-3
    for ours, theirs in zip(jax.tree.leaves(credit.gradients), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * largest)
    for ours, theirs in zip(jax.tree.leaves(credit.network_state), jax.tree.leaves(state), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def normalizations(network, tape):
    """Index, layer, and what it normalizes, for every batch normalization."""
    for i, layer in enumerate(network.layers):
        if isinstance(layer, BatchNorm):
            yield i, layer, np.asarray(tape.inputs[i])


def test_running_statistics_move_a_twentieth_of_the_way_in_one_step(step):
    network, _, credit, ((_, (_, tape)), _) = step
    found = list(normalizations(network, tape))
    assert len(found) == 4
    for i, layer, z in found:
        axes = (0, 1, 2)
        mean, variance = credit.network_state[i]
        np.testing.assert_allclose(mean, 0.05 * z.mean(axes), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(variance, 0.95 + 0.05 * z.var(axes), rtol=1e-12)
        scale, shift = np.asarray(layer.scale), np.asarray(layer.shift)
        y = (z - z.mean(axes)) / np.sqrt(z.var(axes) + 1e-5) * scale + shift
        np.testing.assert_allclose(tape.outputs(i), y, rtol=1e-9, atol=1e-9)


def test_inference_uses_the_running_statistics_and_no_dropout(step):
    network, inputs, credit, _ = step
    state = credit.network_state
    inferred = jax.jit(lambda network, x, state: (*record(network, x, state, training=False), network(x, state)))
    tape, after, output = inferred(network, inputs, state)
    for i, layer, z in normalizations(network, tape):
        mean, variance = (np.asarray(part) for part in state[i])
        y = (z - mean) / np.sqrt(variance + 1e-5) * np.asarray(layer.scale) + np.asarray(layer.shift)
        np.testing.assert_allclose(tape.outputs(i), y, rtol=1e-9, atol=1e-9)
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Dropout):
            np.testing.assert_array_equal(tape.outputs(i), tape.inputs[i])
    for ours, theirs in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(output, tape.output, rtol=1e-12)


def test_training_validation_and_prediction_share_the_statistics():
    """A whole training of one step on all examples, of the first block alone, which compiles faster: what is recorded, and
    what is predicted from it."""
    batch = batch_of(SMALL, count=24)
    inputs, targets = np.asarray(batch.inputs, np.float32), np.asarray(batch.targets)
    parts = [Split(inputs[part], targets[part]) for part in (slice(0, 12), slice(12, 18), slice(18, 24))]
    data = Dataset("noise", "classification", *parts, class_names=("a", "b", "c"))

    @jax.jit
    def first_block():
        layers = simplenet(SMALL, 3, width=1 / 64).layers
        return Network([*layers[:3], MaxPool2d(2), *layers[-2:]])

    template = first_block()
    options = dict(optimizer="sgd", learning_rate=0.1, epochs=1, batch_size=12, seeds=1, diagnostics=False)
    runs = ascribe.train(template, data, "backpropagation", **options)
    trained, state = jax.tree.map(lambda leaf: np.asarray(leaf)[0], (runs.networks, runs.states))

    @jax.jit
    def credit():
        start = template.initialize(jr.fold_in(jr.key(0), 0))
        whole = Batch(jnp.asarray(parts[0].inputs, float), jnp.asarray(targets[:12]), LOSS)
        return Backpropagation()(start, None, whole)

    @jax.jit
    def scores_and_outputs(network, state, examples):
        return evaluate(network, state, examples, LOSS), network(examples.inputs, state)

    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(credit().network_state), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    for recorded, split in ((runs.validation_loss[0, -1], data.validation), (runs.test_loss[0], data.test)):
        examples = Examples(jnp.asarray(split.inputs, float), jnp.asarray(split.targets), jnp.ones(3))
        scores, outputs = scores_and_outputs(trained, state, examples)
        np.testing.assert_allclose(recorded, scores["loss"], rtol=1e-9)
        np.testing.assert_allclose(runs.outputs(split.inputs)[0], outputs, rtol=1e-6)


def test_the_memory_of_its_runs_can_be_told():
    network = jax.jit(lambda: simplenet(SMALL, 3, width=1 / 64))()
    assert devices.one_after_another(network) == (jax.default_backend() == "cpu")
    assert devices.runs_that_fit(network, 10_000, SMALL, 32, in_turn=True) > 1


@pytest.mark.oracle
@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("training", [True, False])
def test_the_forward_pass_is_pytorch_s(training):
    """The same numbers in the layers of `torch.nn.functional`, channels first."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    shape = (16, 16, 3)
    network, x = thin(shape), batch_of(shape, count=3).inputs
    state = jax.jit(lambda *given: record(*given)[1])(network, x)
    y = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)
    for layer, own in zip(network.layers, state, strict=True):
        tensors = {name: torch.tensor(np.asarray(getattr(layer, name))) for name in ("weight", "bias") if layer.synaptic}
        if layer.kind == "conv":
            y = F.conv2d(y, tensors["weight"].permute(3, 2, 0, 1), tensors["bias"], padding=layer.padding)
        elif layer.kind == "batchnorm":
            mean, variance = (torch.tensor(np.asarray(part)) for part in own)
            scale, shift = (torch.tensor(np.asarray(part)) for part in (layer.scale, layer.shift))
            y = F.batch_norm(y, mean, variance, scale, shift, training=training, eps=1e-5)
        elif layer.kind == "maxpool":
            y = F.max_pool2d(y, layer.window)
        elif layer.kind == "flatten":
            y = y.flatten(1)  # one pixel is left, so that the order of axes does not matter
        elif layer.kind == "linear":
            y = F.linear(y, tensors["weight"], tensors["bias"])
        else:
            y = F.relu(y)
    ours = jax.jit(lambda *given: record(*given, training=training)[0].output)(network, x, state)
    np.testing.assert_allclose(ours, y.numpy(), rtol=1e-8, atol=1e-8)
