"""The loss over a plane of one layer's weights: the plane, the paths, the surface, each against NumPy or by hand."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import networks
from ascribe.datasets import Split
from ascribe.errors import UserError
from ascribe.experiments import plane
from ascribe.experiments.landscape import landscape
from ascribe.rules import Backpropagation, FeedbackAlignment, RelaxedIdentity
from ascribe.training.seeds import streams

from ..training import tiny

OPTIONS = {"layer": "linear2", "seed": 3, "epochs": 6, "learning_rate": 0.05, "points": 9}
RULES = ["backpropagation", "feedback-alignment"]


@pytest.fixture(scope="module")
def data():
    return tiny.data("classification", 3)


@pytest.fixture(scope="module")
def network():
    return networks.mlp([2, 5, 4, 3], activation="tanh")


@pytest.fixture(scope="module")
def found(network, data):
    return landscape(network, data, RULES, **OPTIONS)


def start_of(network, seed):
    return network.initialize(streams(jnp.asarray(seed, jnp.uint32)).network)


def flat(layer):
    return np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(layer)])


def loss_at(network, data, layer, vector):
    """The mean cross entropy of the network with these weights in the layer, in NumPy."""
    h = np.asarray(data.train.inputs, float)
    for i, name in enumerate(network.synaptic):
        weight, bias = np.asarray(network[name].weight), np.asarray(network[name].bias)
        if name == layer:
            weight, bias = vector[: weight.size].reshape(weight.shape), vector[weight.size :]
        h = h @ weight.T + bias
        h = np.tanh(h) if i < len(network.synaptic) - 1 else h
    h = h - h.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(h).sum(axis=1)) - h[np.arange(len(h)), data.train.targets])


def test_a_landscape_has_the_shapes_that_it_says(found):
    assert found.rules == tuple(RULES)
    assert all(path.shape == (7, 2) for path in found.trajectories.values())
    assert all(values.shape == (7,) for values in found.losses.values())
    assert found.directions.shape == (2, 24) and found.origin.shape == (24,)
    assert found.axes.shape == (2, 9) and found.surface.shape == (9, 9) and np.isfinite(found.surface).all()
    assert found.learning_rates == dict.fromkeys(RULES, 0.05)
    assert 0.5 < found.explained <= 1.0 + 1e-12
    assert (found.examples, found.training_examples, found.batch_size) == (26, 26, 26)
    assert not found.left_out and not found.diverged_at and found.shown == dict.fromkeys(RULES, 7)
    assert "linear2" in repr(found) and len(repr(found)) < 100
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    for path in found.trajectories.values():
        assert (path >= found.axes[:, 0]).all() and (path <= found.axes[:, -1]).all()


def test_every_rule_starts_at_the_same_place_and_moves_only_there(found, network):
    start = found.coordinates(flat(start_of(network, 3)["linear2"]))
    for path in found.trajectories.values():
        np.testing.assert_allclose(path[0], start, atol=1e-10)
        assert np.abs(path[-1] - path[0]).max() > 0.05


def test_a_point_of_the_plane_is_its_own_projection(found):
    points = np.random.default_rng(0).normal(size=(5, 2))
    np.testing.assert_allclose(found.coordinates(found.weights(points)), points, atol=1e-12)


def test_paths_are_those_of_the_frozen_training_and_losses_those_of_numpy(found, network, data):
    rate = {"learning_rate": 0.05, "seeds": [3], "diagnostics": False, "batch_size": tiny.TRAIN}
    runs = ascribe.train(network, data, "feedback-alignment", epochs=6, only="linear2", **rate)
    end = flat(jax.tree.map(lambda leaf: leaf[0], runs.networks)["linear2"])
    np.testing.assert_allclose(found.trajectories["feedback-alignment"][-1], found.coordinates(end), atol=1e-10)
    start = start_of(network, 3)
    losses = found.losses["feedback-alignment"]
    np.testing.assert_allclose(losses[-1], loss_at(start, data, "linear2", end), rtol=1e-10)
    np.testing.assert_allclose(losses[:-1], runs.train_loss[0], rtol=1e-10)  # of a full batch before its step


def test_the_surface_is_the_loss_at_the_points_of_the_plane(found, network, data):
    start = start_of(network, 3)
    for row, column in ((0, 0), (2, 7), (8, 3)):
        vector = found.weights(np.array([found.axes[0][column], found.axes[1][row]]))
        assert found.surface[row, column] == pytest.approx(loss_at(start, data, "linear2", vector), rel=1e-10)


def test_chosen_directions_go_through_the_start(network, data):
    directions = np.random.default_rng(1).normal(size=(2, 24))
    found = landscape(network, data, [Backpropagation()], **OPTIONS, directions=directions)
    assert found.kind == "chosen"
    start = start_of(network, 3)["linear2"]
    np.testing.assert_allclose(found.origin, flat(start), atol=1e-12)
    np.testing.assert_allclose(found.trajectories["backpropagation"][0], [0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.directions[0], directions[0] / np.linalg.norm(directions[0]), rtol=1e-12)


def test_on_the_plane_the_surface_at_the_start_is_the_training_loss(network, data):
    """Of a rule that moves nothing, the start is the middle of the grid. Directions of the weight leave the bias alone."""
    directions = [np.eye(4, 5), np.eye(4, 5, 1)]
    found = landscape(network, data, {"still": tiny.Still()}, **OPTIONS, directions=directions)
    np.testing.assert_array_equal(found.directions[:, 20:], 0.0)
    assert found.surface[4, 4] == pytest.approx(found.losses["still"][0], rel=1e-10)
    start = start_of(network, 3)
    assert found.surface[4, 4] == pytest.approx(loss_at(start, data, "linear2", flat(start["linear2"])), rel=1e-10)


@pytest.mark.parametrize("shape", [(30, 7), (7, 30), (2, 5), (40, 2)])
def test_principal_directions_are_those_of_an_svd(shape):
    points = np.random.default_rng(2).normal(size=shape) * np.geomspace(1.0, 1e-3, shape[1])
    found = plane.principal_directions(points)
    _, s, vt = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    count = min(2, int(np.sum(s > 1e-9 * s[0])))
    np.testing.assert_allclose(np.abs(np.sum(found[:count] * vt[:count], axis=1)), 1.0, rtol=1e-9)
    np.testing.assert_allclose(plane.shares(points, found)[:count], (s**2 / np.sum(s**2))[:count], rtol=1e-9)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)
    assert (np.take_along_axis(found, np.abs(found).argmax(axis=1)[:, None], axis=1)[:count] > 0).all()


@pytest.mark.parametrize("points", [np.outer(np.arange(5.0), [3.0, 0.0, 4.0]), np.ones((4, 3)), np.ones((1, 3))])
def test_a_straight_path_gets_a_second_direction_always_the_same(points):
    found = plane.principal_directions(points)
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)
    np.testing.assert_array_equal(found, plane.principal_directions(points))
    if np.ptp(points):
        np.testing.assert_allclose(found[0], [0.6, 0.0, 0.8], atol=1e-12)
    axes = plane.axes((points - points.mean(axis=0)) @ found.T, 5, 0.1)
    assert (axes[:, -1] > axes[:, 0]).all()


def test_batch_normalization_takes_the_statistics_of_the_examples(data):
    layers = [networks.Linear(2, 4), networks.BatchNorm(4), networks.Activation("tanh"), networks.Linear(4, 3)]
    network = networks.Network(layers)
    found = landscape(network, data, ["backpropagation"], **OPTIONS | {"layer": "linear1"})
    start = start_of(network, 3)
    z = data.train.inputs @ np.asarray(start["linear1"].weight).T
    z = np.tanh((z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)) @ np.asarray(start["linear2"].weight).T
    loss = np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), data.train.targets])
    assert found.losses["backpropagation"][0] == pytest.approx(loss, rel=1e-6)


def test_a_path_that_meets_infinity_ends_before_it(network, data):
    rules = {"backpropagation": "backpropagation", "breaks": tiny.Breaks(after=3)}
    found = landscape(network, data, rules, **OPTIONS)
    assert found.diverged_at == {"breaks": 4}
    assert found.trajectories["breaks"].shape == (4, 2) and found.losses["breaks"].shape == (4,)
    np.testing.assert_allclose(found.trajectories["breaks"], found.trajectories["backpropagation"][:4], atol=1e-10)
    assert np.isfinite(found.surface).all()


def test_rules_of_another_space_are_left_out_with_the_reason(network, data):
    persistent = RelaxedIdentity(kind="persistent")
    rules = {"backpropagation": Backpropagation(), "relaxed": persistent, "weak": FeedbackAlignment(scale=0.1)}
    said = []
    rates = {"backpropagation": 0.1, "relaxed": 0.1, "weak": 0.2}
    found = landscape(network, data, rules, **OPTIONS | {"learning_rate": rates}, listener=said.append)
    assert found.rules == ("backpropagation", "weak") and found.learning_rates["weak"] == 0.2
    assert "activations" in found.left_out["relaxed"]
    phases = {(one.rule, one.phase) for one in said}
    assert {("weak", "landscape"), ("loss surface of linear2", "computing")} <= phases
    binary = tiny.data("binary")
    with pytest.raises(UserError, match=r"no rule has a path .*forward-pass: it needs inputs of its own"):
        landscape(tiny.mlp(), binary, ["forward-pass"], **OPTIONS)


def test_large_data_is_thinned_evenly_for_the_picture_and_not_for_training(network, data, monkeypatch):
    monkeypatch.setattr(sys.modules["ascribe.experiments.landscape"], "MOST_EXAMPLES", 6)
    found = landscape(network, data, ["backpropagation"], **OPTIONS)
    assert (found.examples, found.training_examples, found.batch_size) == (6, 26, 26)
    few = dataclasses.replace(data, train=Split(data.train.inputs[::5], data.train.targets[::5]))  # 0, 5, …, 25
    start = start_of(network, 3)
    wanted = loss_at(start, few, "linear2", flat(start["linear2"]))
    assert found.losses["backpropagation"][0] == pytest.approx(wanted, rel=1e-10)


WRONG = {
    "activation layer": ({"layer": "tanh1"}, r"`layer` names one layer with weights .*linear1, linear2, linear3"),
    "no rules": ({"rules": []}, "at least one rule"),
    "a rule alone": ({"rules": "backprop"}, "at least one rule"),
    "a rule twice": ({"rules": ["backprop", "backpropagation"]}, "named twice"),
    "rate missing": ({"learning_rate": {"sign-symmetry": 1.0}}, "it lacks backpropagation"),
    "rate of nobody": ({"learning_rate": {"backpropagation": 1.0, "me": 1.0}}, "'me'"),
    "negative rate": ({"learning_rate": -1.0}, "`learning_rate` is a positive number"),
    "few points": ({"points": 2}, "`points` is an integer of at least 3"),
    "negative margin": ({"margin": -0.1}, "`margin` is a finite number that is not negative"),
    "no epochs": ({"epochs": 0}, "`epochs` is a positive integer"),
    "seed": ({"seed": -1}, "seed is an integer"),
    "a word": ({"directions": "random"}, "`directions` is 'principal' or two arrays of 24 numbers"),
    "one direction": ({"directions": np.ones((1, 24))}, "`directions`"),
    "short directions": ({"directions": np.ones((2, 7))}, r"of the shape \(7,\)"),
    "ragged": ({"directions": [["a"], ["b"]]}, "`directions`"),
    "parallel": ({"directions": np.ones((2, 24))}, "parallel"),
    "zero": ({"directions": np.zeros((2, 24))}, "not zero"),
    "loss": ({"loss": "hinge"}, "unknown loss"),
}


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_input_gets_a_sentence(network, data, changes, sentence):
    options = {"rules": ["backpropagation"], **OPTIONS, **changes}
    with pytest.raises(UserError, match=sentence) as error:
        landscape(network, data, options.pop("rules"), **options)
    assert str(error.value).endswith(".")


def test_a_layer_of_one_number_has_no_plane(data):
    one = networks.Network([networks.Linear(1, 1, bias=False)])
    with pytest.raises(UserError, match="a plane needs two"):
        landscape(one, tiny.data("regression", features=1), ["backpropagation"], **OPTIONS | {"layer": "linear1"})


def test_it_is_a_public_name():
    assert ascribe.landscape is landscape
