"""The learned learning rate: its gradient is autodiff's, it finds the best rate of a bowl, and whole runs learn with it."""

import dataclasses
import doctest
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe import datasets, networks, train
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, KolenPollack, RelaxedIdentity
from ascribe.setup import described
from ascribe.training import Specification, hypergradient, optimizers

from . import tiny

INNER = {
    "sgd": optax.sgd,
    "momentum": optimizers.OPTIMIZERS["momentum"],
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
    "adadelta": optimizers.OPTIMIZERS["adadelta"],
}
RATE = 0.1


@pytest.fixture(scope="module")
def problem():
    """The loss of a small MLP on fixed data, as a function of the network, and the network."""
    network, dataset = tiny.mlp(3, output_activation="identity").initialize(jr.key(0)), tiny.data("regression", 3)
    x, t = (jnp.asarray(a, float) for a in (dataset.train.inputs, dataset.train.targets))
    return lambda network: jnp.mean((network(x) - t) ** 2), network


class Moment(NamedTuple):
    """Before an update: the weights, the optimizer's state, the gradient there. All arrays have an axis of updates."""

    weights: Any
    state: Any
    gradient: Any


def descent(factory, loss, steps):
    """A function of the first rate and weights that tells what was so before every one of the updates."""

    def run(rate, weights):
        made = factory(rate)

        def step(carry, _):
            weights, state = carry
            gradient = jax.grad(loss)(weights)
            with jax.numpy_dtype_promotion("standard"):  # Adam raises floats to integer powers, as in `loop.step`
                updates, new = made.update(gradient, state, weights)
            return (optax.apply_updates(weights, updates), new), Moment(weights, state, gradient)

        return jax.lax.scan(step, (weights, made.init(weights)), length=steps)[1]

    return run


def moments(factory, loss, weights, steps, rate=RATE):
    return jax.device_get(jax.jit(descent(factory, loss, steps))(jnp.asarray(rate), weights))


def at(update, tree):
    return jax.tree.map(lambda leaf: leaf[update], tree)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@pytest.mark.parametrize("inner", list(INNER))
def test_the_hypergradient_is_that_of_autodiff_through_the_last_update(problem, inner):
    """∂/∂α L(θ + α u) by `jax.grad`, with u that of the inner optimizer at rate 1, held fixed."""
    loss, network = problem
    step, updates = 0.25, 3
    found = moments(hypergradient(INNER[inner], step=step, normalized=False), loss, network, updates + 2)
    slope = jax.jit(jax.grad(lambda alpha, p, u: loss(jax.tree.map(lambda p, u: p + alpha * u, p, u))))
    for update in range(1, updates + 1):
        before, used, moved = (at(place, found) for place in (update - 1, update, update + 1))
        rate, direction = used.state.learning_rate, used.state.direction
        np.testing.assert_allclose(flat(used.weights), flat(before.weights) + rate * flat(direction), rtol=1e-13)
        wanted = slope(rate, before.weights, direction)
        np.testing.assert_allclose((rate - moved.state.learning_rate) / step, wanted, rtol=1e-11)


def test_under_adadelta_it_is_the_central_difference_of_the_loss_after_the_step(problem):
    """The direction written out in NumPy from the gradients alone, and the loss at two rates beside the one that was used."""
    loss, network = problem
    step, rho, epsilon, h = 0.25, 0.9, 1e-6, 1e-5
    made = dataclasses.replace(optimizers.OPTIMIZERS["hypergradient-adadelta"], step=step, normalized=False)
    found = moments(made, loss, network, 5)
    squares, moved = 0.0, 0.0
    for update in range(4):
        g = flat(at(update, found.gradient))
        squares = rho * squares + (1 - rho) * g**2
        u = -g * np.sqrt(moved + epsilon) / np.sqrt(squares + epsilon)
        moved = rho * moved + (1 - rho) * u**2
        np.testing.assert_allclose(flat(at(update + 1, found.state.direction)), u, rtol=1e-9, atol=1e-14)
        rate = found.state.learning_rate[update + 1]  # the one that this update used
        weights, direction = at(update, found.weights), at(update + 1, found.state.direction)
        after = lambda rate, weights=weights, u=direction: loss(jax.tree.map(lambda w, u: w + rate * u, weights, u))
        slope = (after(rate + h) - after(rate - h)) / (2 * h)
        assert slope < 0  # a larger step would have been better
        if update < 3:
            np.testing.assert_allclose((rate - found.state.learning_rate[update + 2]) / step, slope, rtol=1e-6)


def test_for_sgd_it_is_the_derivative_of_the_loss_after_the_step(problem):
    """∂/∂α L(θ - α ∇L(θ)), the gradient written out."""
    loss, network = problem
    rates = moments(hypergradient(optax.sgd, step=0.25, normalized=False), loss, network, 3).state.learning_rate

    def stepped(alpha):
        return loss(jax.tree.map(lambda p, g: p - alpha * g, network, jax.grad(loss)(network)))

    wanted = jax.jit(jax.grad(stepped))(jnp.asarray(RATE))
    assert wanted < 0  # a larger step would have been better
    np.testing.assert_allclose((RATE - rates[2]) / 0.25, wanted, rtol=1e-12)


def test_the_normalized_rule_written_out(problem):
    """To first order it is the multiplicative rule of the source."""
    for step, tolerance in ((0.3, 1e-13), (1e-5, 1e-5)):
        found = moments(hypergradient(optax.sgd, step=step), *problem, 3)
        u, g = -flat(at(0, found.gradient)), flat(at(1, found.gradient))
        cosine = g @ u / np.linalg.norm(g) / np.linalg.norm(u)
        wanted = np.exp(-step * cosine) if step == 0.3 else 1 - step * cosine
        np.testing.assert_allclose(found.state.learning_rate[2] / RATE - 1, wanted - 1, rtol=tolerance)


def test_the_normalized_rule_knows_no_scale(problem):
    """A loss 1000 times larger with a rate 1000 times smaller: the same weights, step by step."""
    loss, network = problem
    one = moments(hypergradient(optax.sgd), loss, network, 20)
    other = moments(hypergradient(optax.sgd), lambda network: 1000 * loss(network), network, 20, RATE / 1000)
    np.testing.assert_allclose(flat(one.weights), flat(other.weights), rtol=1e-9)


@pytest.mark.parametrize("curvature", [0.02, 1.0, 50.0])
@pytest.mark.parametrize("start", [0.01, 5.0])
def test_on_a_bowl_the_rate_finds_the_best_one(curvature, start):
    """L = λ/2 ‖θ‖², whose best rate is 1/λ: SGD is there in one step. From a rate too small or too large by `start`."""
    step = 0.05
    bowl = lambda theta: curvature / 2 * jnp.sum(theta**2)
    found = moments(hypergradient(optax.sgd, step=step), bowl, jnp.asarray([3.0, -1.0, 2.0]), 131, start / curvature)
    rates = found.state.learning_rate[1:] * curvature
    near = np.abs(np.log(rates)) <= step + 1e-12
    arrived = int(np.argmax(near))
    # ln α moves by `step` in every update, straight to the best rate; there it stays.
    assert arrived == pytest.approx(abs(np.log(start)) / step, abs=2)
    assert near[arrived:].all()
    assert np.linalg.norm(found.weights[-1]) < 1e-6


def test_the_additive_rule_finds_it_too():
    made = hypergradient(optax.sgd, step=0.02, normalized=False)
    found = moments(made, lambda theta: jnp.sum(theta**2), jnp.asarray([3.0, -1.0]), 101, 0.01)
    assert 0.3 < found.state.learning_rate[-1] < 0.7  # 1/λ = 0.5; with the gradient gone it stops moving


@pytest.mark.parametrize("inner", list(INNER))
@pytest.mark.parametrize("normalized", [True, False])
def test_with_step_zero_it_is_the_optimizer_inside(problem, inner, normalized):
    """To rounding: XLA fuses two programs differently."""
    ours = moments(hypergradient(INNER[inner], step=0, normalized=normalized), *problem, 5, 0.03)
    plain = moments(INNER[inner], *problem, 5, 0.03)
    np.testing.assert_allclose(flat(ours.weights), flat(plain.weights), rtol=1e-13)


@pytest.mark.slow
def test_with_step_zero_whole_runs_are_those_of_the_optimizer_inside():
    """To rounding: XLA fuses two programs differently."""
    plain, ours = (tiny.trained(optimizer=one) for one in ("adam", hypergradient(optax.adam, step=0)))
    np.testing.assert_allclose(ours.train_loss, plain.train_loss, rtol=1e-13)
    for a, b in zip(jax.tree.leaves(ours.networks), jax.tree.leaves(plain.networks), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_rate_can_be_read_from_the_state_of_a_run():
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), tiny.Constant(), 2, optimizer=hypergradient(optax.sgd))
    trained = experiment.train([Specification(0, 0.1), Specification(1, 0.4)], "training")
    shared, _ = tiny.final_states(trained).optimizer_state
    # One gradient throughout, so every update but the first raises the rate by the same factor.
    wanted = np.asarray([0.1, 0.4]) * np.exp(0.05 * (tiny.EPOCHS * tiny.STEPS - 1))
    np.testing.assert_allclose(shared.learning_rate, wanted, rtol=1e-12)
    np.testing.assert_array_equal(optax.tree.get(shared, "learning_rate"), shared.learning_rate)


def test_runs_side_by_side_are_runs_alone(problem):
    (loss, network), factory, rates = problem, hypergradient(optax.adam), jnp.asarray([0.01, 0.1, 0.5])
    together = jax.jit(jax.vmap(descent(factory, loss, 6), (0, None)))(rates, network)
    alone = jax.jit(descent(factory, loss, 6))
    for i, rate in enumerate(rates):
        for ours, theirs in zip(jax.tree.leaves(at(i, together)), jax.tree.leaves(alone(rate, network)), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)


TRACES = []


class Counted(Backpropagation):
    """Counts its traces in a list of the module, which is no part of what the rule does."""

    def __call__(self, network, state, batch, *, key):
        TRACES.append("traced")
        return Backpropagation()(network, state, batch, key=key)


def test_a_new_rate_does_not_recompile():
    compiled = []

    def run(rate):
        # The factory is made anew: equal factories share their program.
        return tiny.trained(Counted(), optimizer=hypergradient(optax.sgd, step=0.07), learning_rate=rate)

    first, before = run(0.1), len(TRACES)
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    second = run(0.2)
    assert (len(TRACES), compiled) == (before + 1, [])  # what the rule returns is asked by its shapes
    assert np.all(first.train_loss != second.train_loss)


@pytest.mark.parametrize("normalized", [True, False])
def test_nan_and_infinity_are_not_hidden(normalized):
    @jax.jit
    def updates(bad):
        made = hypergradient(optax.sgd, normalized=normalized)(jnp.asarray(0.1))
        _, state = made.update(jnp.ones(2), made.init(jnp.zeros(2)))
        first, state = made.update(jnp.stack([bad, 1.0]), state)
        second, state = made.update(jnp.asarray([0.0, 1.0]), state)  # a healthy gradient does not heal it
        return first, second, state.learning_rate

    for bad in (jnp.nan, jnp.inf):
        first, second, rate = updates(jnp.asarray(bad))
        assert not np.isfinite(first[0]) and not np.isfinite(second).all() and not np.isfinite(rate)


def test_without_a_gradient_the_rate_stays():
    found = moments(hypergradient(optax.sgd), lambda weights: 0.0 * jnp.sum(weights), jnp.ones(2), 4)
    np.testing.assert_array_equal(found.weights, 1)
    np.testing.assert_array_equal(found.state.learning_rate, RATE)


def test_a_diverged_run_is_recorded_and_its_neighbors_learn_on():
    optimizer = "hypergradient-sgd"
    experiment = tiny.experiment(tiny.mlp(), tiny.data("regression"), tiny.Breaks(), 3, optimizer=optimizer)
    never = (("after", 1e9), ("stumble", 1e9))
    specifications = [
        Specification(0, 0.1, never),
        Specification(1, 0.1, (("after", 4.0), ("stumble", 1e9))),
        Specification(2, 1e200, never),
    ]
    trained = experiment.train(specifications, "training")
    np.testing.assert_array_equal(trained.runs(specifications, tiny.data("regression")).diverged_at, [-1, 1, 0])
    rates = tiny.final_states(trained).optimizer_state[0].learning_rate
    np.testing.assert_array_equal(np.isfinite(rates), [True, False, False])


@pytest.mark.parametrize(
    ("rule", "optimizer", "labeled"),
    [
        (RelaxedIdentity(), "hypergradient-adam", False),
        (RelaxedIdentity(), "hypergradient-sgd", True),
        (KolenPollack(), "hypergradient-sgd", False),
        (KolenPollack(), "hypergradient-adam", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, AbstractRule) else str(value),
)
def test_what_is_trained_beside_the_network_works_with_it(rule, optimizer, labeled):
    """In batches: every example's auxiliaries have a rate of their own, learned with them."""
    chosen = {"network": optimizer, "feedback": "sgd"} if labeled else optimizer
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), rule, 2, optimizer=chosen)
    trained = experiment.train([Specification(0, 0.01), Specification(1, 0.01)], "training")
    np.testing.assert_array_equal(trained.diverged_at, -1)
    shared, rows = tiny.final_states(trained).optimizer_state
    label = shared.inner_states["network"].inner_state if labeled else shared
    assert label.learning_rate.shape == (2,)
    assert np.all(label.learning_rate != 0.01)
    if isinstance(rule, RelaxedIdentity):
        assert rows.learning_rate.shape == (2, tiny.TRAIN)
        seen = rows.learning_rate != 0.01  # two examples sit out in every epoch; all others were met twice or more
        assert seen.mean() > 0.8
    assert np.all(trained.curves["train_loss"][:, -1] < trained.curves["train_loss"][:, 0])


def test_float32_stays_float32():
    """And the state keeps its kind, so that a loop of steps is one program."""
    weights = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((1, 2), jnp.float32)}
    run = descent(hypergradient(optax.sgd), lambda w: jnp.sum(w["a"] ** 2) + jnp.sum(w["b"] ** 2), 3)
    found = jax.eval_shape(run, jnp.asarray(RATE, jnp.float32), weights)
    assert {leaf.dtype for leaf in jax.tree.leaves(found.state)} == {jnp.dtype("float32")}


def test_in_a_loop_the_rate_moves_in_every_step(problem):
    rates = moments(hypergradient(optax.adam), *problem, 10).state.learning_rate
    assert rates[0] == rates[1] == RATE  # the first update has no direction yet
    assert np.all(np.diff(rates[1:]) != 0)


MOONS = {"epochs": 20, "batch_size": 32, "seeds": 8, "diagnostics": False}


@pytest.mark.slow
@pytest.mark.parametrize(("inner", "rate", "share"), [("sgd", 0.01, 0.8), ("adam", 1e-4, 0.4)], ids=["sgd", "adam"])
def test_from_a_rate_a_hundred_times_too_small_it_learns_more_than_the_optimizer_inside(inner, rate, share):
    """On moons, 20 epochs; a fixed rate 100 times larger is a good one. Every seed ends lower, by a good part."""
    data, network = datasets.load("moons", seed=0), networks.mlp([2, 32, 1])
    plain, learned = (
        train(network, data, "backpropagation", optimizer=name, learning_rate=rate, **MOONS).train_loss[:, -1]
        for name in (inner, f"hypergradient-{inner}")
    )
    assert np.all(learned < share * plain)
    assert learned.mean() + 2 * learned.std() < plain.mean() - 2 * plain.std()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: hypergradient("sgd"), r"`inner` of hypergradient is a factory .* got 'sgd'"),
        (lambda: hypergradient(optax.sgd(0.1)), "`inner` of hypergradient is a factory"),
        (lambda: hypergradient(optax.sgd, step=-0.1), r"`step` of hypergradient is a finite number, .* got -0.1"),
        (lambda: hypergradient(optax.sgd, step=float("nan")), "got nan"),
        (lambda: hypergradient(optax.sgd, step=float("inf")), "got inf"),
        (lambda: hypergradient(optax.sgd, step="a"), "got 'a'"),
        (lambda: hypergradient(optax.sgd, step=True), "got True"),
        (lambda: hypergradient(optax.sgd, normalized="yes"), r"`normalized` of hypergradient is True or False"),
        (
            lambda: hypergradient(lambda rate: rate)(jnp.asarray(0.1)),
            "makes an Optax transformation of a rate; it made",
        ),
    ],
)
def test_wrong_inputs_meet_their_sentence(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_the_record_names_what_was_used():
    assert described(hypergradient(optax.sgd, step=0.1)) == "hypergradient(sgd, step=0.1, normalized=True)"
    assert described("hypergradient-adam") == "hypergradient-adam"


def test_the_example_in_the_documentation_is_true():
    assert doctest.testmod(sys.modules["ascribe.training.hypergradient"]) == (0, 5)


def test_the_loss_is_passed_on_to_an_optimizer_that_wants_it():
    seen = []

    def curious(rate):
        def update(updates, state, params=None, *, value):
            seen.append(value)
            return jax.tree.map(lambda g: -rate * g, updates), state

        return optax.GradientTransformationExtraArgs(lambda params: (), update)

    made = hypergradient(curious)(jnp.asarray(0.1))
    made.update(jnp.ones(2), made.init(jnp.zeros(2)), jnp.zeros(2), value=3.0)
    assert seen == [3.0]
