"""The loop does what a hand-written one does, step by step, and a run that breaks does not touch its neighbors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, Batch, GradientNoise, KolenPollack
from ascribe.training import Specification, loop, optimizers
from ascribe.training.batches import epoch_indices
from ascribe.training.keeping import Kept
from ascribe.training.seeds import streams

from . import tiny

SEEDS = (0, 5)
RATE = 0.3


def seed_array(seed):
    return jnp.asarray(seed, jnp.uint32)


class NumpySGD:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, i, gradient):
        return -self.rate * gradient


class NumpyAdam:
    def __init__(self, rate):
        self.rate, self.moments = rate, {}

    def __call__(self, i, gradient):
        m, v, t = self.moments.get(i, (0.0, 0.0, 0))
        m, v, t = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2, t + 1
        self.moments[i] = (m, v, t)
        return -self.rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def numpy_training(network, dataset, seed, optimizer, link):
    """Backpropagation written out in NumPy: the mean loss of every epoch, and the parameters w1, b1, w2, b2."""
    keys = streams(seed_array(seed))
    start = network.initialize(keys.network)
    layers = [start[name] for name in start.synaptic]
    parameters = [np.asarray(a) for layer in layers for a in (layer.weight, layer.bias)]
    x = dataset.train.inputs.astype(np.float64)
    t = dataset.train.targets.reshape(len(x), -1).astype(np.float64)
    curve = []
    for epoch in range(tiny.EPOCHS):
        losses = []
        for indices in np.asarray(epoch_indices(jr.fold_in(keys.batches, epoch), len(x), tiny.BATCH)):
            w1, b1, w2, b2 = parameters
            loss, (dw1, dw2), (db1, db2) = tiny.numpy_backpropagation((w1, w2), (b1, b2), x[indices], t[indices], link)
            losses.append(loss)
            gradients = (dw1, db1, dw2, db2)
            parameters = [p + optimizer(i, g) for i, (p, g) in enumerate(zip(parameters, gradients, strict=True))]
        curve.append(np.mean(losses))
    return curve, parameters


@pytest.mark.parametrize(
    ("task", "outputs", "link", "optimizer", "by_hand"),
    [("binary", 1, "logistic", "adam", NumpyAdam), ("regression", 2, "identity", "sgd", NumpySGD)],
)
def test_training_is_the_numpy_loop(task, outputs, link, optimizer, by_hand):
    dataset, network = tiny.data(task, outputs), tiny.mlp(outputs)
    runs = tiny.trained(dataset=dataset, network=network, optimizer=optimizer, learning_rate=RATE, seeds=SEEDS)
    for i, seed in enumerate(SEEDS):
        curve, parameters = numpy_training(network, dataset, seed, by_hand(RATE), link)
        np.testing.assert_allclose(runs.train_loss[i], curve, rtol=1e-10)
        for ours, theirs in zip(jax.tree.leaves(runs.networks), parameters, strict=True):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def breaking():
    """Six runs of one program: once with four broken by a gradient, a rate, a loss, a last step, and once all healthy."""
    data = tiny.data("regression")
    experiment = tiny.experiment(tiny.mlp(), data, tiny.Breaks(), 6)

    def shard(after, rate, stumble, last):
        breaks = lambda after=1e9, stumble=1e9: (("after", after), ("stumble", stumble))
        specifications = [
            Specification(0, 0.1, breaks()),
            Specification(1, 0.1, breaks(after=after)),
            Specification(2, rate, breaks()),
            Specification(3, 0.1, breaks(stumble=stumble)),
            Specification(4, 0.1, breaks()),
            Specification(5, 0.1, breaks(after=last)),
        ]
        trained = experiment.train(specifications, "training")
        return trained, trained.runs(specifications, data)

    return shard(4.0, 1e200, 7.0, 5.0), shard(1e9, 0.1, 1e9, 1e9)


BROKEN = [False, True, True, True, False, True]
WHOLE = [0, 4]


def test_divergence_is_marked_with_its_epoch(breaking):
    # Steps 4 and 7 are in the epochs 1 and 2 of three steps; a rate of 1e200 overflows in the second step, in epoch 0.
    np.testing.assert_array_equal(breaking[0][1].diverged_at, [-1, 4 // tiny.STEPS, 0, 7 // tiny.STEPS, -1, 1])
    np.testing.assert_array_equal(breaking[0][1].diverged, BROKEN)
    np.testing.assert_array_equal(breaking[1][1].diverged_at, [-1] * 6)


def test_a_run_that_breaks_in_the_last_step_of_an_epoch_shows_it_on_validation(breaking):
    """The training losses of that epoch are those before each step, and finite."""
    runs, epoch = breaking[0][1], 5 // tiny.STEPS
    assert np.isfinite(runs.train_loss[5, epoch]) and not np.isfinite(runs.validation_loss[5, epoch])
    assert runs.diverged_at[5] == epoch


def test_a_diverged_run_scores_nan_and_no_other_does(breaking):
    for name, score in breaking[0][1].scores.items():
        np.testing.assert_array_equal(np.isnan(score), BROKEN, err_msg=name)
    for score in breaking[1][1].scores.values():
        assert np.all(np.isfinite(score))
    # The run whose loss stumbled has a healthy network in the end, and still does not count.
    assert all(np.all(np.isfinite(leaf[3])) for leaf in jax.tree.leaves(breaking[0][1].networks))


def test_a_run_that_diverged_in_its_first_epoch_scores_nan_too():
    """Although its network, and so what is kept of its scores, may be finite."""
    data, network = tiny.data("regression"), tiny.mlp()
    experiment = tiny.experiment(network, data, tiny.Still(), 2)
    leaves = jax.tree.leaves((network, network.initial_state(), None))
    curves = {"train_loss": np.ones(tiny.EPOCHS)}
    parts = [Kept(curves, diverged_at, leaves, {"test_rmse": 0.5}, 1.0) for diverged_at in (0, -1)]
    specifications = [Specification(seed, 0.1) for seed in range(2)]
    runs = experiment.runs(specifications, parts, data)
    assert runs.scores.keys() > {"test_rmse"}
    for name, score in runs.scores.items():
        np.testing.assert_array_equal(np.isnan(score), [True, False], err_msg=name)


def test_a_diverged_run_keeps_its_curve_up_to_there(breaking):
    for run, epochs in ((1, 4 // tiny.STEPS), (3, 7 // tiny.STEPS)):
        broken, healthy = (runs.train_loss[run] for _, runs in breaking)
        np.testing.assert_array_equal(broken[:epochs], healthy[:epochs])
        assert not np.isfinite(broken[epochs:]).all()


def test_the_neighbors_of_a_diverged_run_are_bit_identical(breaking):
    (broken, broken_runs), (healthy, healthy_runs) = breaking
    for name, curve in broken.curves.items():
        np.testing.assert_array_equal(curve[WHOLE], healthy.curves[name][WHOLE], err_msg=name)
    for name, score in broken_runs.scores.items():
        np.testing.assert_array_equal(score[WHOLE], healthy_runs.scores[name][WHOLE], err_msg=name)
    ours, theirs = (jax.tree.leaves(runs.networks) for runs in (broken_runs, healthy_runs))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one[WHOLE], other[WHOLE])


class Hooked(AbstractRule):
    """Its own step moves nothing; afterwards it halves the weights and counts; at the end it sets the last bias."""

    def init(self, network, data, *, key):
        return jnp.asarray(0)

    def __call__(self, network, state, batch, *, key):
        return tiny.Still()(network, state, batch, key=key)

    def after_update(self, trainables, state):
        return jax.tree.map(lambda leaf: leaf / 2, trainables), state + 1

    def finish(self, network, state, data):
        bias = jnp.full(1, 1000 * state + data.inputs.shape[0], float)
        return eqx.tree_at(lambda n: n["linear2"].bias, network, bias)


@pytest.mark.parametrize(("batch_size", "probe"), [(8, 12), (20, 20), (100, tiny.TRAIN)])
def test_gradients_are_compared_on_a_batch_and_no_fewer_examples_than_tell_a_direction(batch_size, probe, monkeypatch):
    monkeypatch.setattr(loop, "PROBE", 12)
    settings, _, data = tiny.looped(tiny.mlp(), tiny.data(), Backpropagation(), batch_size=batch_size)
    assert loop._probe_size(settings, data) == probe


def test_the_hooks_of_a_rule_are_called_and_the_finished_network_is_tested():
    dataset = tiny.data()
    runs, steps = tiny.trained(Hooked(), dataset, seeds=SEEDS), tiny.EPOCHS * tiny.STEPS
    for i, seed in enumerate(SEEDS):
        start = tiny.mlp().initialize(streams(seed_array(seed)).network)
        for name in start.synaptic:
            np.testing.assert_allclose(runs.networks[name].weight[i], start[name].weight / 2**steps, rtol=1e-14)
    np.testing.assert_array_equal(runs.networks["linear2"].bias, [[1000 * steps + tiny.TRAIN]] * 2)
    # With such a bias every answer is "yes".
    np.testing.assert_array_equal(runs.test_accuracy, [np.mean(dataset.test.targets == 1)] * 2)
    assert runs.rule == "Hooked"


def moved(runs):
    """How far every number went from its start, `(seeds, numbers)`."""
    found = []
    for i, seed in enumerate(runs.seeds):
        start = runs.network.initialize(streams(seed_array(seed)).network)
        ends = jax.tree.leaves(runs.networks)
        found.append(np.concatenate([np.ravel(e[i] - s) for e, s in zip(ends, jax.tree.leaves(start), strict=True)]))
    return np.array(found)


def test_a_schedule_is_an_optimizer():
    schedule = lambda rate: optax.sgd(optax.exponential_decay(rate, 2, 0.5))
    runs = tiny.trained(tiny.Constant(), optimizer=schedule, learning_rate=0.25, seeds=SEEDS)
    wanted = -0.25 * sum(0.5 ** (step / 2) for step in range(tiny.EPOCHS * tiny.STEPS))
    np.testing.assert_allclose(moved(runs), wanted, rtol=1e-7)  # Optax counts its steps in float32
    np.testing.assert_array_equal(runs.learning_rates, [0.25, 0.25])


def test_parts_have_the_optimizers_of_their_labels():
    """Kolen-Pollack with Adam for the network and SGD for the feedback, against both written out, in full batches."""
    dataset, network, rule, rate = tiny.data(), tiny.mlp(), KolenPollack(decay=0.01), 0.1
    optimizer = {"network": "adam", "feedback": "sgd"}
    experiment = tiny.experiment(network, dataset, rule, 1, optimizer=optimizer, batch_size=1000)
    found = experiment.train([Specification(4, rate)], "training", keep=False)
    trained = tiny.final_states(found).trainables

    keys = streams(seed_array(4))
    x, t = jnp.asarray(dataset.train.inputs, float), jnp.asarray(dataset.train.targets)
    everything = Batch(x, t, experiment.recipe.loss)
    current = rule.trainables(network.initialize(keys.network), everything, key=jr.split(keys.rule, 3)[0])
    feedback, adam = np.asarray(current.feedback["linear2"]), NumpyAdam(rate)
    numbers = [np.asarray(leaf) for leaf in jax.tree.leaves(current.network)]
    x_, t_ = np.asarray(x), np.asarray(t)[:, None]
    for epoch in range(tiny.EPOCHS):
        w1, b1, w2, b2 = numbers
        hidden = np.tanh(x_ @ w1.T + b1)
        z = hidden @ w2.T + b2
        loss = np.mean(np.log1p(np.exp(z)) - t_ * z)  # the one before the step
        np.testing.assert_allclose(found.curves["train_loss"][0, epoch], loss, rtol=1e-12)
        delta2 = (1 / (1 + np.exp(-z)) - t_) / len(x_)
        delta1 = (delta2 @ feedback) * (1 - hidden**2)
        gradients = [delta1.T @ x_, delta1.sum(0), delta2.T @ hidden, delta2.sum(0)]
        numbers = [n + adam(i, g) for i, (n, g) in enumerate(zip(numbers, gradients, strict=True))]
        feedback = 0.99 * (feedback - rate * gradients[2])
        numbers[2] = 0.99 * numbers[2]
    np.testing.assert_allclose(trained.feedback["linear2"][0], feedback, rtol=1e-10)
    for ours, theirs in zip(jax.tree.leaves(trained.network), numbers, strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", list(optimizers.OPTIMIZERS))
def test_every_optimizer_by_name_descends_a_bowl(optimizer):
    start, (low, high) = np.asarray([1.0, -2.0]), optimizers.search_range(optimizer)

    @jax.jit
    def descend(rate, x):
        made = optimizers.transformation(optimizers.factory(optimizer), rate)
        state = made.init(x)
        for _ in range(3):
            updates, state = made.update(x, state, x)
            x = optax.apply_updates(x, updates)
        return x

    with jax.numpy_dtype_promotion("standard"):
        assert np.all(np.abs(descend(np.sqrt(low * high), start)) < np.abs(start))


def test_momentum_is_a_sum_of_all_gradients_each_step_nine_tenths_of_before():
    """Polyak's: m ← 0.9 m + g, θ ← θ - α m."""
    optimizer, m = optimizers.OPTIMIZERS["momentum"](jnp.asarray(0.1)), 0.0
    state = optimizer.init(jnp.asarray(0.0))
    for gradient in (1.0, -3.0, 0.0, 2.0):
        step, state = optimizer.update(jnp.asarray(gradient), state)
        m = 0.9 * m + gradient
        np.testing.assert_allclose(step, -0.1 * m, rtol=1e-14)


@pytest.mark.parametrize(
    ("optimizer", "fragment"),
    [
        ("Adam", "unknown optimizer 'Adam': did you mean 'adam', or choose one of sgd"),
        ({"feedback": "sgd"}, "`network` always"),
        ({"network": "sgd", "head": "adam"}, "labels network, auxiliary, feedback"),
        ({"network": "sgd", "feedback": "adm"}, "unknown optimizer 'adm'"),
    ],
)
def test_an_optimizer_that_is_none_is_refused(optimizer, fragment):
    with pytest.raises(UserError, match=fragment):
        optimizers.factory(optimizer)


def test_rprop_steps_at_once_and_skips_the_step_after_a_change_of_sign():
    """Worked by hand: 0.1, then 1.2 times as far; the sign changes: half as far, skipped once, then taken."""
    optimizer = optimizers.OPTIMIZERS["rprop"](jnp.asarray(0.1))
    state, steps = optimizer.init(jnp.asarray(0.0)), []
    for gradient in (3.0, 0.01, -2.0, -1e-30, 0.0):
        step, state = optimizer.update(jnp.asarray(gradient), state)
        steps.append(float(step))
    assert steps == pytest.approx([-0.1, -0.12, 0.0, 0.06, 0.0])


def test_rprop_does_not_take_nan_for_no_gradient():
    optimizer = optimizers.OPTIMIZERS["rprop"](jnp.asarray(0.1))
    step, _ = optimizer.update(jnp.asarray([jnp.nan, 1.0]), optimizer.init(jnp.zeros(2)))
    np.testing.assert_array_equal(step, [np.nan, -0.1])


def test_epochs_to_come_are_gaps_in_every_curve():
    settings, run, data = tiny.looped(tiny.mlp(), tiny.data(), Backpropagation())
    curves = jax.jit(lambda: loop.initialize(settings, tiny.mlp(), run, data).curves)()
    assert {"train_loss", "validation_loss"} <= set(curves)
    for name, curve in curves.items():
        np.testing.assert_array_equal(curve.numbers(), np.full(settings.epochs, np.nan), err_msg=name)


def test_the_quality_of_credit_along_training():
    """Of the gradient with normal noise of the size σ on each of p numbers: SNR (‖g‖² / (p σ²)), on all examples; no bias."""
    rule = GradientNoise(eta=1e-4, gamma=0.0)
    runs = tiny.trained(rule, quality=64, batch_size=tiny.TRAIN, learning_rate=1e-9)
    data, layers = tiny.data(), (runs.networks["linear1"], runs.networks["linear2"])
    weights, biases = ([np.asarray(getattr(layer, part)[0]) for layer in layers] for part in ("weight", "bias"))
    x, t = data.train.inputs, data.train.targets[:, None]
    _, *gradients = tiny.numpy_backpropagation(weights, biases, x, t, "logistic")
    for name, weight, bias in zip(("linear1", "linear2"), *gradients, strict=True):
        expected = (np.sum(weight**2) + np.sum(bias**2)) / (weight.size + bias.size) / 1e-4
        np.testing.assert_allclose(runs.curves[f"credit_snr/{name}"][0], expected, rtol=0.3)
        assert np.all(runs.curves[f"credit_bias/{name}"] < 0.2)
    assert np.isfinite(runs.credit_snr).all() and runs.credit_bias.shape == (2, tiny.EPOCHS)
