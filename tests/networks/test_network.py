"""Networks as a whole: names, sizes, the tape, and what a text on the command line becomes."""

import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import (
    Activation,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Network,
    check_input,
    record,
)

from ..cases import IMAGE, assert_identical, small_lenet, small_mlp

LENET = ("conv1", "tanh1", "maxpool1", "conv2", "tanh2", "maxpool2", "flatten1")
LENET += ("linear1", "tanh3", "linear2", "tanh4", "linear3")


def test_layers_are_named_by_kind_and_count_from_the_input_up():
    network = Network([Conv2d(1, 2, 3), Activation("relu"), Flatten(), Linear(8, 3), Activation("relu"), Linear(3, 2)])
    assert network.names == ("conv1", "relu1", "flatten1", "linear1", "relu2", "linear2")
    assert network.synaptic == ("conv1", "linear1", "linear2")
    assert list(network.weights) == ["conv1", "linear1", "linear2"]
    assert network["linear2"] is network.layers[5]
    assert str(network) == "conv1 3×3×1×2 → relu1 → flatten1 → linear1 3×8 → relu2 → linear2 2×3"
    with pytest.raises(UserError, match="no layer 'linear3': its layers are conv1, relu1, flatten1"):
        network["linear3"]


def test_a_network_without_weights_is_refused():
    with pytest.raises(UserError, match="at least one layer with weights"):
        Network([Flatten(), Activation("relu")])


def test_an_mlp_computes_its_definition():
    network = small_mlp("tanh", "logistic")
    x = np.asarray(jr.normal(jr.key(0), (3, 4)))
    a = x
    for name in network.synaptic:
        a = a @ np.asarray(network[name].weight).T + np.asarray(network[name].bias)
        a = np.tanh(a) if name != "linear3" else 1 / (1 + np.exp(-a))
    np.testing.assert_allclose(network(jnp.asarray(x)), a, rtol=1e-12)


def test_an_mlp_has_the_sizes_and_the_law_of_its_activation():
    network = networks.mlp([2, 64, 32, 1])
    assert [layer.weight.shape for layer in network.layers[::2]] == [(64, 2), (32, 64), (1, 32)]
    assert network.outputs == 1
    assert network.parameters == 2 * 64 + 64 + 64 * 32 + 32 + 32 + 1
    assert {layer.initializer for layer in network.layers[::2]} == {"he-normal"}
    assert networks.mlp([2, 3, 1], activation="leaky-relu").layers[0].initializer == "he-normal"
    assert networks.mlp([2, 3, 1], activation="tanh").layers[0].initializer == "glorot-normal"
    assert networks.mlp([2, 3, 1], activation="tanh", initializer="zeros").layers[0].initializer == "zeros"
    assert networks.mlp([2, 3, 1], output_activation="logistic").names[-1] == "logistic1"
    assert all(layer.bias is None for layer in networks.mlp([2, 3, 1], bias=False).layers[::2])


@pytest.mark.parametrize("sizes", [[], [3], [3, 0], [3, -1, 2], [True, 2]])
def test_sizes_that_make_no_mlp_are_refused(sizes):
    with pytest.raises(UserError, match="at least two positive integers, input first"):
        networks.mlp(sizes)


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [((28, 28, 1), 61706), ((32, 32, 3), 62006)],
    ids=["MNIST", "CIFAR-10"],
)
def test_lenet_has_the_published_number_of_parameters(shape, parameters):
    """LeCun et al. (1998) with all connections: 156 + 2416 + 48120 + 10164 + 850, and 300 more for three colors."""
    network = jax.eval_shape(lambda: networks.lenet(shape))
    assert network.parameters == parameters
    assert network["linear1"].weight.shape == (120, 400)
    assert jax.eval_shape(lambda: networks.lenet(shape)(jnp.zeros((2, *shape)))).shape == (2, 10)


def test_lenet_takes_small_images_and_refuses_smaller_ones():
    network = small_lenet()  # which is kept for other tests: never made inside a function that is traced
    assert jax.eval_shape(lambda: network(jnp.zeros((2, *IMAGE)))).shape == (2, 3)
    for shape in [(11, 12, 1), (12, 11, 1), (12, 12), (12, 12, 0)]:
        with pytest.raises(UserError, match="12 × 12 pixels or more; got the shape"):
            networks.lenet(shape)


@pytest.mark.parametrize(
    ("text", "shape", "names", "first"),
    [
        ("64x32", (4,), ("linear1", "tanh1", "linear2", "tanh2", "linear3"), (64, 4)),
        (" 7 ", (4,), ("linear1", "tanh1", "linear2"), (7, 4)),
        ("7X5", (4,), ("linear1", "tanh1", "linear2", "tanh2", "linear3"), (7, 4)),
        ("linear", (4,), ("linear1",), (3, 4)),
        ("64", (2, 5, 1), ("linear1", "tanh1", "linear2"), (64, 10)),
        ("LeNet", (12, 12, 2), LENET, (5, 5, 2, 6)),
    ],
)
def test_a_short_text_becomes_a_network(text, shape, names, first):
    build = lambda: networks.build(text, input_shape=shape, outputs=3, activation="tanh", key=jr.key(0))
    network = jax.eval_shape(build)
    assert network.names == names
    assert network[network.synaptic[0]].weight.shape == first
    assert network.outputs == 3


@pytest.mark.parametrize("text", ["", "0", "64x", "x64", "64x0", "64,64", "densenet", "-3", "6.5"])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="write the hidden layers' sizes as 64x64, or `linear`, or `lenet`"):
        networks.build(text, input_shape=(4,), outputs=2)


def test_building_refuses_an_unknown_activation_and_lenet_on_a_table():
    with pytest.raises(UserError, match="unknown activation 'rleu'"):
        networks.build("8", input_shape=(4,), outputs=2, activation="rleu")
    with pytest.raises(UserError, match="LeNet takes images"):
        networks.build("lenet", input_shape=(4,), outputs=2)


@pytest.mark.parametrize(
    ("network", "shape", "sentence"),
    [
        (lambda: Network([Linear(4, 2)]), (5,), r"layer linear1 takes 4 numbers an example but gets the shape \(5,\)"),
        (lambda: Network([Linear(4, 2)]), (2, 2), r"gets the shape \(2, 2\).*add Flatten"),
        (lambda: Network([Conv2d(1, 2, 3)]), (9,), r"layer conv1 takes images"),
        (lambda: Network([Conv2d(1, 2, 3)]), (9, 9, 3), r"layer conv1 takes 1 channels but gets the shape \(9, 9, 3\)"),
        (lambda: Network([Conv2d(1, 2, 3), MaxPool2d(4)]), (5, 5, 1), "too small for layer maxpool1"),
        (lambda: Network([MaxPool2d(2), Flatten(), Linear(3, 2)]), (4,), "layer maxpool1 takes images"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_both_shapes(network, shape, sentence):
    with pytest.raises(UserError, match=sentence):
        check_input(network(), shape)


def test_an_input_that_fits_gives_the_output_s_shape():
    assert check_input(small_lenet(), IMAGE) == (3,)
    assert check_input(Network([Linear(4, 3), BatchNorm(3), Activation("relu"), Dropout(0.5)]), (4,)) == (3,)


def test_an_image_too_small_for_the_kernel_is_refused():
    with pytest.raises(UserError, match="too small for layer conv1"):
        check_input(Network([Conv2d(1, 2, 5)]), (3, 3, 1))


def test_the_config_of_a_network_is_json_and_rebuilds_it():
    for network in (small_mlp("softplus", "softmax", bias=False), small_lenet()):
        copy = networks.from_config(json.loads(json.dumps(network.config())))
        assert jax.tree.structure(copy) == jax.tree.structure(network)
        assert copy.names == network.names


def test_initialize_draws_every_layer_with_its_own_key():
    network = jax.jit(lambda: networks.mlp([6, 6, 6, 6], key=jr.key(0)).initialize(jr.key(1)))()
    weights = [np.asarray(weight) for weight in network.weights.values()]
    assert not any(np.any(a == b) for i, a in enumerate(weights) for b in weights[:i])
    assert_identical(network, network.initialize(jr.key(1)))


def test_two_layers_of_a_new_network_do_not_share_their_numbers():
    for build in (
        lambda: networks.mlp([6, 6, 6, 6], key=jr.key(0)),
        lambda: networks.lenet(key=jr.key(0), hidden=(10, 10)),
    ):
        weights = [np.ravel(weight)[:10] for weight in jax.jit(build)().weights.values()]
        ratios = [np.std(a / b) for i, a in enumerate(weights) for b in weights[:i]]
        assert min(ratios) > 0.1


def test_stacked_networks_have_the_config_of_one():
    network = small_lenet()
    stacked = jax.eval_shape(lambda: jax.vmap(network.initialize)(jr.split(jr.key(0), 3)))
    assert stacked.config() == network.config()


# The tape


def test_the_tape_holds_every_layer_s_input_and_the_output():
    network, x = small_lenet(), jr.normal(jr.key(0), (2, *IMAGE))
    tape, state = record(network, x)
    assert len(tape.inputs) == len(network.layers)
    for i, layer in enumerate(network.layers):
        assert_identical(layer(tape.inputs[i])[0], tape.outputs(i))
    assert_identical(tape.output, network(x))
    assert_identical(tape.inputs[0], x)
    assert state == network.initial_state()
    z = tape.preactivations(network)
    assert list(z) == list(network.synaptic)
    assert_identical(jnp.tanh(z["conv1"]), tape.inputs[2])


def test_dropout_on_the_tape_needs_a_key_and_differs_between_layers_and_keys():
    network, x = Network([Dropout(0.5), Dropout(0.5), Linear(40, 2)]), jnp.ones((3, 40))
    with pytest.raises(UserError, match="Dropout in training needs randomness"):
        record(network, x)
    tape, _ = record(network, x, key=jr.key(0))
    first, second = tape.inputs[1] != 0, Network([Dropout(0.5), Linear(40, 2)])
    assert 0 < float(jnp.mean(tape.inputs[2] != 0)) < float(jnp.mean(first)) < 1
    assert bool(jnp.any(record(second, x, key=jr.key(1))[0].inputs[1] != tape.inputs[1]))
    assert_identical(record(network, x, key=jr.key(0))[0].output, tape.output)
    assert_identical(record(network, x, training=False)[0].output, network(x))


def test_inference_uses_the_statistics_it_is_given():
    network = Network([BatchNorm(2, epsilon=1.0), Linear(2, 2, initializer="orthogonal", key=jr.key(0))])
    x = jr.normal(jr.key(1), (5, 2))
    y = network(x, ((jnp.full(2, 3.0), jnp.full(2, 8.0)), None))
    np.testing.assert_allclose(y, (np.asarray(x) - 3) / 3 @ np.asarray(network["linear1"].weight).T, rtol=1e-12)
