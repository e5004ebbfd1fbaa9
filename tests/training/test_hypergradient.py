"""The learned learning rate: its gradient is autodiff's, it finds the best rate of a bowl, and whole runs learn with it."""

import doctest
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe import datasets, networks, train
from ascribe.errors import UserError
from ascribe.rules import Backpropagation, KolenPollack, RelaxedIdentity
from ascribe.training import Specification, hypergradient, optimizers

from . import tiny

INNER = {
    "sgd": optax.sgd,
    "momentum": optimizers.OPTIMIZERS["momentum"],
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
}
RATE = 0.1


@pytest.fixture(scope="module")
def problem():
    """The loss of a small MLP on fixed data, as a function of the network, and the network."""
    network, dataset = tiny.mlp(3, output_activation="identity").initialize(jr.key(0)), tiny.data("regression", 3)
    x, t = (jnp.asarray(a, float) for a in (dataset.train.inputs, dataset.train.targets))
    return lambda network: jnp.mean((network(x) - t) ** 2), network


def descend(made, loss, weights, steps):
    """The weights and the optimizer's state after so many steps."""
    state = made.init(weights)
    with jax.numpy_dtype_promotion("standard"):  # Adam raises floats to integer powers, as in `loop.step`
        for _ in range(steps):
            updates, state = made.update(jax.grad(loss)(weights), state, weights)
            weights = optax.apply_updates(weights, updates)
    return weights, state


@pytest.mark.parametrize("inner", list(INNER))
@pytest.mark.parametrize("steps", [1, 3])
def test_the_hypergradient_is_that_of_autodiff_through_the_last_update(problem, inner, steps):
    """∂/∂α L(θ + α u) by `jax.grad`, with u that of the inner optimizer at rate 1, held fixed."""
    loss, network = problem
    step = 0.25
    made = hypergradient(INNER[inner], step=step, normalized=False)(jnp.asarray(RATE))
    before, _ = descend(made, loss, network, steps - 1)
    after, state = descend(made, loss, network, steps)
    used = state.learning_rate
    for p, q, u in zip(*map(jax.tree.leaves, (before, after, state.direction)), strict=True):
        np.testing.assert_allclose(q, p + used * u, rtol=1e-13)
    with jax.numpy_dtype_promotion("standard"):
        _, moved = made.update(jax.grad(loss)(after), state, after)
    wanted = jax.grad(lambda alpha: loss(jax.tree.map(lambda p, u: p + alpha * u, before, state.direction)))(used)
    np.testing.assert_allclose((used - moved.learning_rate) / step, wanted, rtol=1e-12)


def test_for_sgd_it_is_the_derivative_of_the_loss_after_the_step(problem):
    """∂/∂α L(θ - α ∇L(θ)), the gradient written out."""
    loss, network = problem
    made = hypergradient(optax.sgd, step=0.25, normalized=False)(jnp.asarray(RATE))
    after, state = descend(made, loss, network, 1)
    _, moved = made.update(jax.grad(loss)(after), state, after)

    def stepped(alpha):
        return loss(jax.tree.map(lambda p, g: p - alpha * g, network, jax.grad(loss)(network)))

    wanted = jax.grad(stepped)(jnp.asarray(RATE))
    assert wanted < 0  # a larger step would have been better
    np.testing.assert_allclose((RATE - moved.learning_rate) / 0.25, wanted, rtol=1e-12)


def test_the_normalized_rule_written_out(problem):
    loss, network = problem
    made = hypergradient(optax.sgd, step=0.3)(jnp.asarray(RATE))
    after, state = descend(made, loss, network, 1)
    _, moved = made.update(jax.grad(loss)(after), state, after)
    flat = lambda tree: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])
    u, g = -flat(jax.grad(loss)(network)), flat(jax.grad(loss)(after))
    cosine = g @ u / np.linalg.norm(g) / np.linalg.norm(u)
    np.testing.assert_allclose(moved.learning_rate, RATE * np.exp(-0.3 * cosine), rtol=1e-13)
    # To first order it is the multiplicative rule of the source.
    small = hypergradient(optax.sgd, step=1e-5)(jnp.asarray(RATE))
    _, moved = small.update(jax.grad(loss)(after), state, after)
    np.testing.assert_allclose(moved.learning_rate / RATE - 1, -1e-5 * cosine, rtol=1e-5)


def test_the_normalized_rule_knows_no_scale(problem):
    """A loss 1000 times larger with a rate 1000 times smaller: the same weights, step by step."""
    loss, network = problem
    one, _ = descend(hypergradient(optax.sgd)(jnp.asarray(RATE)), loss, network, 20)
    larger = lambda network: 1000 * loss(network)
    other, _ = descend(hypergradient(optax.sgd)(jnp.asarray(RATE / 1000)), larger, network, 20)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


@pytest.mark.parametrize("curvature", [0.02, 1.0, 50.0])
@pytest.mark.parametrize("start", [0.01, 5.0])
def test_on_a_bowl_the_rate_finds_the_best_one(curvature, start):
    """L = λ/2 ‖θ‖², whose best rate is 1/λ: SGD is there in one step. From a rate too small or too large by `start`."""
    step = 0.05
    made = hypergradient(optax.sgd, step=step)(jnp.asarray(start / curvature))
    bowl = lambda theta: curvature / 2 * jnp.sum(theta**2)
    theta, rates = jnp.asarray([3.0, -1.0, 2.0]), []
    state = made.init(theta)
    for _ in range(130):
        updates, state = made.update(jax.grad(bowl)(theta), state, theta)
        theta = theta + updates
        rates.append(float(state.learning_rate) * curvature)
    near = np.abs(np.log(rates)) <= step + 1e-12
    arrived = int(np.argmax(near))
    # ln α moves by `step` in every update, straight to the best rate; there it stays.
    assert arrived == pytest.approx(abs(np.log(start)) / step, abs=2)
    assert near[arrived:].all()
    assert np.linalg.norm(theta) < 1e-6


def test_the_additive_rule_finds_it_too():
    made = hypergradient(optax.sgd, step=0.02, normalized=False)(jnp.asarray(0.01))
    _, state = descend(made, lambda theta: jnp.sum(theta**2), jnp.asarray([3.0, -1.0]), 100)
    assert 0.3 < state.learning_rate < 0.7  # 1/λ = 0.5; with the gradient gone it stops moving


@pytest.mark.parametrize("inner", list(INNER))
@pytest.mark.parametrize("normalized", [True, False])
def test_with_step_zero_it_is_the_optimizer_inside_to_the_bit(problem, inner, normalized):
    rate = jnp.asarray(0.03)
    ours, _ = descend(hypergradient(INNER[inner], step=0, normalized=normalized)(rate), *problem, 4)
    plain, _ = descend(INNER[inner](rate), *problem, 4)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_array_equal(a, b)


def test_with_step_zero_whole_runs_are_those_of_the_optimizer_inside():
    """To rounding: XLA fuses two programs differently."""
    options = {"epochs": 3, "batch_size": tiny.BATCH, "seeds": 2, "learning_rate": 0.03, "diagnostics": False}
    plain, ours = (
        train(tiny.mlp(), tiny.data(), "backpropagation", optimizer=optimizer, **options)
        for optimizer in ("adam", hypergradient(optax.adam, step=0))
    )
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
    loss, network = problem
    rates = jnp.asarray([0.01, 0.1, 0.5])

    def run(rate):
        weights, state = descend(hypergradient(optax.adam)(rate), loss, network, 5)
        return loss(weights), state.learning_rate

    together = jax.jit(jax.vmap(run))(rates)
    alone = [run(rate) for rate in rates]
    np.testing.assert_allclose(np.array(together).T, np.array(alone), rtol=1e-10)


def test_a_new_rate_does_not_recompile():
    traces, compiled = [], []

    class Counted(Backpropagation):
        def __call__(self, network, state, batch, *, key):
            traces.append("traced")
            return Backpropagation()(network, state, batch, key=key)

    def run(rate):
        # The factory is made anew: equal factories share their program.
        optimizer = hypergradient(optax.sgd, step=0.07)
        options = {"epochs": 2, "batch_size": tiny.BATCH, "seeds": 2, "diagnostics": False}
        return train(tiny.mlp(), tiny.data(), Counted(), optimizer=optimizer, learning_rate=rate, **options)

    first, before = run(0.1), len(traces)
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    second = run(0.2)
    assert (len(traces), compiled) == (before, [])
    assert np.all(first.train_loss != second.train_loss)


@pytest.mark.parametrize("normalized", [True, False])
def test_nan_and_infinity_are_not_hidden(normalized):
    made = hypergradient(optax.sgd, normalized=normalized)(jnp.asarray(0.1))
    for bad in (jnp.nan, jnp.inf):
        _, state = made.update(jnp.ones(2), made.init(jnp.zeros(2)))
        updates, state = made.update(jnp.asarray([bad, 1.0]), state)
        assert not np.isfinite(updates[0])
        updates, state = made.update(jnp.asarray([0.0, 1.0]), state)  # a healthy gradient does not heal it
        assert not np.isfinite(state.learning_rate)
        assert not np.isfinite(updates).all()


def test_without_a_gradient_the_rate_stays():
    made = hypergradient(optax.sgd)(jnp.asarray(0.1))
    state = made.init(jnp.zeros(2))
    for _ in range(3):
        updates, state = made.update(jnp.zeros(2), state)
    np.testing.assert_array_equal(updates, 0)
    np.testing.assert_array_equal(state.learning_rate, 0.1)


def test_a_diverged_run_is_recorded_and_its_neighbors_learn_on():
    optimizer = "hypergradient-sgd"
    experiment = tiny.experiment(tiny.mlp(), tiny.data("regression"), tiny.Breaks(), 3, optimizer=optimizer, epochs=4)
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


@pytest.mark.parametrize("optimizer", ["hypergradient-sgd", "hypergradient-adam"])
@pytest.mark.parametrize("rule", [RelaxedIdentity(), KolenPollack()], ids=["relaxed-identity", "kolen-pollack"])
@pytest.mark.parametrize("labeled", [False, True])
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
    weights = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones((1, 2), jnp.float32)}
    made = hypergradient(optax.sgd)(jnp.asarray(0.1, jnp.float32))
    _, state = descend(made, lambda w: jnp.sum(w["a"] ** 2) + jnp.sum(w["b"] ** 2), weights, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(state)} == {jnp.dtype("float32")}


def test_a_loop_of_steps_is_one_program(problem):
    """The state keeps its kind, so that `lax.scan` can carry it."""
    loss, network = problem
    made = hypergradient(optax.adam)(jnp.asarray(RATE))

    def step(carry, _):
        weights, state = carry
        with jax.numpy_dtype_promotion("standard"):
            updates, state = made.update(jax.grad(loss)(weights), state, weights, value=0.0)
        return (optax.apply_updates(weights, updates), state), state.learning_rate

    (_, state), rates = eqx.filter_jit(jax.lax.scan)(step, (network, made.init(network)), length=10)
    assert rates[0] == RATE
    assert np.all(np.diff(rates) != 0)
    np.testing.assert_array_equal(state.learning_rate, rates[-1])


MOONS = {"epochs": 20, "batch_size": 32, "seeds": 8, "diagnostics": False}


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
    assert optimizers.describe(hypergradient(optax.sgd, step=0.1)) == "hypergradient(sgd, step=0.1, normalized=True)"
    assert optimizers.describe("hypergradient-adam") == "hypergradient-adam"


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
