"""Networks from the graph: algorithms 1 and 2, optimizers against Optax, and what they learn."""

import io
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import ascribe
from ascribe import datasets
from ascribe.autodiff import (
    Adam,
    Dense,
    GradientDescent,
    Momentum,
    Network,
    Var,
    logistic,
    logistic_cross_entropy,
    minimize,
    relu,
    softmax_cross_entropy,
    squared_error,
    tanh,
    train,
)
from ascribe.errors import UserError


def real_data(test):
    """Marks a test that reads MNIST: skipped where the folder is not named."""
    missing = pytest.mark.skipif(not os.environ.get("ASCRIBE_DATA"), reason="ASCRIBE_DATA is not set: no MNIST")
    return pytest.mark.data(missing(test))


XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])


@pytest.fixture(scope="module")
def mnist():
    return datasets.load("mnist", seed=0)


def accuracy(network, inputs, targets):
    z = network(inputs).value
    found = z.argmax(1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(int)
    return float((found == targets).mean())


@pytest.mark.parametrize("optimizer", [GradientDescent(5.0), Momentum(0.5), Adam(0.1)], ids=lambda o: type(o).__name__)
def test_xor_is_learned(optimizer):
    network = Network(Dense(2, 8, seed=1), tanh, Dense(8, 1, seed=2))
    losses = train(network, logistic_cross_entropy, *XOR, optimizer=optimizer, epochs=150)
    assert losses[-1] < 0.02
    np.testing.assert_array_equal(np.round(logistic(network(XOR[0])).value), XOR[1])


def test_moons_are_learned_in_mini_batches():
    data = datasets.load("moons", seed=0)
    train_x, train_t = data.train.inputs, data.train.targets
    network = Network(Dense(2, 32, seed=0), relu, Dense(32, 32, seed=1), relu, Dense(32, 1, seed=2))
    losses = train(
        network,
        logistic_cross_entropy,
        train_x.astype(np.float64),
        train_t[:, None].astype(np.float64),
        optimizer=Adam(0.01),
        epochs=15,
        batch_size=32,
    )
    assert losses[-1] < 0.5 * losses[0]
    assert accuracy(network, data.test.inputs, data.test.targets) >= 0.93


def test_a_regression_is_learned():
    x = np.linspace(-3.0, 3.0, 200)[:, None]
    network = Network(Dense(1, 32, seed=0), tanh, Dense(32, 1, seed=1))
    train(network, squared_error, x, np.sin(x), optimizer=Adam(0.05), epochs=150, batch_size=50)
    assert np.sqrt(np.mean((network(x).value - np.sin(x)) ** 2)) < 0.05


@real_data
@pytest.mark.slow
def test_mnist_is_learned(mnist):
    flat = lambda part: part.inputs.reshape(len(part.inputs), -1).astype(np.float32)
    one_hot = np.eye(10, dtype=np.float32)[mnist.train.targets]
    layers = [Dense(784, 128, seed=0, dtype=np.float32), relu, Dense(128, 10, seed=1, dtype=np.float32)]
    network = Network(*layers)
    train(network, softmax_cross_entropy, flat(mnist.train), one_hot, optimizer=Adam(2e-3), epochs=3, batch_size=128)
    assert network.parameters[0].dtype == np.float32
    assert accuracy(network, flat(mnist.test), mnist.test.targets) >= 0.97


@real_data
def test_the_gradients_of_a_batch_of_mnist_are_the_tape_s_and_those_of_jax(mnist):
    names, rule = ("linear1", "linear2", "linear3"), ascribe.rules.Backpropagation()
    x = mnist.train.inputs[:128].reshape(128, -1).astype(np.float64)
    labels = mnist.train.targets[:128]

    @jax.jit
    def references(x, labels):
        network = ascribe.networks.mlp([784, 64, 32, 10], activation="relu", key=jax.random.key(0))
        parameters = [(network[name].weight, network[name].bias) for name in names]

        def written(parameters):
            h = x
            for w, b in parameters[:-1]:
                h = jax.nn.relu(h @ w.T + b[None])
            w, b = parameters[-1]
            return -jnp.mean(jax.nn.log_softmax(h @ w.T + b[None])[jnp.arange(128), labels])

        state = rule.init(network, ascribe.rules.as_batch(network, (x, labels)), key=jax.random.key(1))
        _, tape = ascribe.value_and_credit(rule)(network, state, (x, labels))
        credit = [(tape.gradients[name].weight, tape.gradients[name].bias) for name in names]
        return parameters, credit, jax.grad(written)(parameters)

    parameters, credit, gradients = references(x, labels)
    h, ours = x, [(Var(np.asarray(w)), Var(np.asarray(b))) for w, b in parameters]
    for number, (w, b) in enumerate(ours):
        h = h @ w.T + b
        h = relu(h) if number < 2 else h
    softmax_cross_entropy(h, np.eye(10)[labels]).backward()
    for mine, *others in zip(ours, credit, gradients, strict=True):
        for variable, *both in zip(mine, *others, strict=True):
            assert np.abs(variable.grad).max() > 1e-3
            for one in both:
                np.testing.assert_allclose(variable.grad, one, rtol=0, atol=1e-10)


def test_the_graph_is_built_once_for_gradient_descent_until_convergence():
    x, y = Var(2.0), Var(-1.0)
    surface = (x - 1.0) ** 2 + 3.0 * (y + 0.5) ** 2
    path = minimize(surface, [x, y], GradientDescent(0.1))
    np.testing.assert_allclose(path[-1], [1.0, -0.5], atol=1e-6)
    assert path[0] == (2.0, -1.0)
    np.testing.assert_allclose(path[1], [2.0 - 0.1 * 2.0, -1.0 + 0.1 * 3.0])
    heights = [(a - 1.0) ** 2 + 3.0 * (b + 0.5) ** 2 for a, b in path]
    assert all(np.diff(heights) <= 0)


def test_ascent_goes_up():
    x = Var(0.3)
    path = minimize(4.0 - (x - 1.0) ** 2, [x], GradientDescent(0.1), maximize=True)
    np.testing.assert_allclose(path[-1], [1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (GradientDescent(0.1), optax.sgd(0.1)),
        (Momentum(0.05, 0.8), optax.sgd(0.05, 0.8)),
        (Adam(0.03), optax.adam(0.03)),
    ],
    ids=["gradient descent", "momentum", "Adam"],
)
def test_optimizers_are_optax_s(ours, theirs):
    v = Var([1.0, -2.0, 3.0])
    other, state = np.array([1.0, -2.0, 3.0]), theirs.init(np.array([1.0, -2.0, 3.0]))
    for number in range(20):
        gradient = np.random.default_rng(number).normal(size=3)
        v.zero_grad()
        v.backward(gradient)
        ours.step([v])
        with jax.numpy_dtype_promotion("standard"):
            update, state = theirs.update(gradient, state)
        other = other + np.asarray(update)
    np.testing.assert_allclose(v.value, other, rtol=1e-10)


def test_the_mean_cost_of_an_epoch_is_over_examples_not_over_batches():
    """Batches of two and of one: with parameters that stay, the mean is that of all three costs, whatever the order."""

    class Resting:
        def step(self, parameters):
            pass

    network = Network(layer := Dense(1, 1))
    layer.weights.value = [[0.0]]
    inputs, targets = np.ones((3, 1)), np.array([[1.0], [2.0], [6.0]])
    losses = train(network, squared_error, inputs, targets, optimizer=Resting(), epochs=2, batch_size=2)
    np.testing.assert_allclose(losses, [(0.5 + 2.0 + 18.0) / 3] * 2, rtol=1e-14)


def test_progress_is_a_line_an_epoch():
    said = io.StringIO()
    network = Network(Dense(2, 1))
    train(network, squared_error, *XOR, optimizer=GradientDescent(0.1), epochs=2, progress=said)
    lines = said.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2 of 2: cost 0.")


def test_what_diverges_ends():
    network = Network(Dense(2, 1))
    with np.errstate(over="ignore", invalid="ignore"):
        losses = train(network, squared_error, *XOR, optimizer=GradientDescent(1e200), epochs=50)
    assert len(losses) < 50
    assert not np.isfinite(losses[-1])


def test_one_seed_gives_one_network():
    def learned(seed):
        network = Network(Dense(2, 4, seed=seed), tanh, Dense(4, 1, seed=seed))
        train(network, squared_error, *XOR, optimizer=Adam(0.01), epochs=3, batch_size=2, seed=seed)
        return network(XOR[0]).value

    np.testing.assert_array_equal(learned(0), learned(0))
    assert not np.array_equal(learned(0), learned(1))


def test_a_layer_used_twice_is_one_layer():
    layer = Dense(2, 2)
    network = Network(layer, tanh, layer)
    assert network.parameters == layer.parameters
    assert len(Network(Dense(2, 2, bias=False)).parameters) == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Dense(0, 1), "1 input and 1 output at least; got 0 and 1"),
        (lambda: GradientDescent(0.0), "`rate` is a positive number; got 0.0"),
        (
            lambda: train(Network(), squared_error, [[1.0]], [[1.0], [2.0]], optimizer=Adam(), epochs=1),
            "got 1 inputs and 2 targets",
        ),
        (
            lambda: train(Network(), squared_error, [[1.0]], [[1.0]], optimizer=Adam(), epochs=0),
            "1 at least; got 0, 1 and 1",
        ),
        (lambda: minimize((x := Var(1.0)) * 1.0, [x], GradientDescent(1.0), limit=3), "not converged after 3 steps"),
        (
            lambda: minimize(Var(3.0) ** 2.0, [Var(1.0, name="w")], GradientDescent(0.1)),
            "does not depend on the Var 'w'",
        ),
        (
            lambda: minimize((x := Var([3.0, 1.0])) ** 2.0, [x], GradientDescent(0.1)),
            r"what is minimized is one number, and the Var that power created has the shape \(2,\)",
        ),
        (
            lambda: minimize((x := Var(1.0)) ** 2.0, [x], 0.1),
            r"has a method `step`, as GradientDescent\(0\.1\) has; got 0\.1",
        ),
        (lambda: minimize((x := Var(1.0)) ** 2.0, [x], GradientDescent), "has a method `step`"),
        (lambda: Var(2.0) ^ 2, r"a power is written x \*\* 2"),
        (lambda: Network(Dense(2, 3), "tanh"), r"(layers and functions, as in|is a function).*; got .*'tanh'"),
        (lambda: train(Network(Dense(1, 1)), squared_error, [[1.0]], [[1.0]], optimizer=0.1, epochs=1), "`step`"),
        (lambda: minimize((x := Var(9.0)) ** 4.0, [x], GradientDescent(9.0)), "after .* steps: take a smaller rate"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(wrong, sentence):
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(UserError, match=sentence):
        wrong()


def test_a_layer_is_drawn_within_glorot_s_bounds_and_takes_no_other_kind_of_number():
    layer = Dense(300, 200, dtype=np.float32)
    bound, drawn = np.sqrt(6 / 500), np.abs(layer.weights.value)
    assert 0.999 * bound < drawn.max() <= bound * (1 + 1e-6)
    assert layer.weights.value.dtype == np.float32
    assert np.all(layer.bias.value == 0)
    for wrong in (int, "float16", 2.5, None):
        with pytest.raises(UserError, match=r"`dtype` of a layer is numpy\.float32 or numpy\.float64; got"):
            Dense(2, 2, dtype=wrong)
    with pytest.raises(UserError, match="memory does not hold a layer of"):
        Dense(10**30, 10)
