"""Scores are what scikit-learn and NumPy say of the predictions on the test split."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses
from ascribe.errors import UserError
from ascribe.networks import Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear, Network
from ascribe.rules import AbstractRule, Credit
from ascribe.setup import Setup
from ascribe.training import devices
from ascribe.training import evaluate as evaluation
from ascribe.training.evaluate import Examples, evaluate
from ascribe.training.loop import Best, RunState, _better, conclude
from ascribe.training.seeds import streams

from ..later import Later
from . import tiny

sklearn_metrics = Later("sklearn.metrics")

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def regression():
    return tiny.trained(dataset=tiny.data("regression", 2), network=tiny.mlp(2))


def in_original_unit(dataset, split):
    return split.targets * dataset.target_scale + dataset.target_mean


def test_rmse_is_scikit_learn_s_in_the_target_s_unit(regression):
    truth = in_original_unit(regression.data, regression.data.test)
    for predicted, score in zip(regression.predict(regression.data.test.inputs), regression.test_rmse, strict=True):
        mean_squared = sklearn_metrics.mean_squared_error(truth, predicted, multioutput="uniform_average")
        np.testing.assert_allclose(score, np.sqrt(mean_squared), rtol=1e-10)


def test_r2_is_scikit_learn_s(regression):
    truth = in_original_unit(regression.data, regression.data.test)
    for predicted, score in zip(regression.predict(regression.data.test.inputs), regression.test_r2, strict=True):
        wanted = sklearn_metrics.r2_score(truth, predicted, multioutput="uniform_average")
        np.testing.assert_allclose(score, wanted, rtol=1e-9)


def test_the_last_validation_score_is_that_of_the_final_network(regression):
    truth = in_original_unit(regression.data, regression.data.validation)
    predicted = regression.predict(regression.data.validation.inputs)
    for one, curve in zip(predicted, regression.validation_rmse, strict=True):
        np.testing.assert_allclose(curve[-1], np.sqrt(np.mean((truth - one) ** 2)), rtol=1e-10)


def test_probabilities_are_for_classes(regression):
    with pytest.raises(UserError, match="`predict`"):
        regression.probabilities(regression.data.test.inputs)


def test_inputs_of_another_shape_are_refused_with_both_shapes(regression):
    with pytest.raises(UserError, match=r"\(examples, 2\); got \(4, 3\)"):
        regression.predict(np.zeros((4, 3)))


HEADS = {
    "one logit": ("binary", 1, None, None),
    "two logits": ("binary", 2, None, None),
    "explicit logistic output": ("binary", 1, "logistic", "bernoulli-cross-entropy"),
    "squared error on one output": ("binary", 1, None, "squared-error"),
    "squared error on three outputs": ("classification", 3, None, "squared-error"),
    "three independent labels": ("classification", 3, None, "bernoulli-cross-entropy"),
}


class Idle(AbstractRule):
    """Learns nothing, and compiles in no time."""

    def __call__(self, network, state, batch, *, key):
        return Credit(jnp.zeros(()), jax.tree.map(jnp.zeros_like, network), state)


@pytest.mark.parametrize(("task", "outputs", "function", "loss"), HEADS.values(), ids=HEADS)
def test_accuracy_is_the_share_of_right_predictions(task, outputs, function, loss):
    dataset = tiny.data(task)
    runs = tiny.trained(Idle(), dataset, tiny.mlp(outputs, output_activation=function), loss=loss)
    test = dataset.test
    x, classes = test.inputs.astype(float), len(dataset.class_names)
    predicted, probabilities = runs.predict(test.inputs), runs.probabilities(test.inputs)
    assert predicted.shape == (len(SEEDS), len(test))
    assert probabilities.shape == (len(SEEDS), len(test), classes)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-12)
    for i in range(len(SEEDS)):
        w1, b1, w2, b2 = (leaf[i] for leaf in jax.tree.leaves(runs.networks))
        z = np.tanh(x @ w1.T + b1) @ w2.T + b2
        limit = 0.5 if loss == "squared-error" else 0.0  # between the targets 0 and 1, or where the logistic is ½
        labels = (z[:, 0] > limit).astype(int) if outputs == 1 else np.argmax(z, axis=1)
        np.testing.assert_array_equal(predicted[i], labels)
        np.testing.assert_allclose(runs.test_accuracy[i], np.mean(labels == test.targets), rtol=1e-12)
    assert len(np.unique(predicted)) > 1


@pytest.mark.parametrize("loss", ["bernoulli-cross-entropy", "squared-error"])
def test_many_examples_are_evaluated_in_chunks_without_a_difference(loss, monkeypatch):
    network = tiny.mlp(1)
    input_key, target_key = jr.split(jr.key(0))
    count = 2 * evaluation.CHUNK + 77
    inputs = jr.normal(input_key, (count, 2))
    if loss == "squared-error":
        targets, names = jr.normal(target_key, (count, 1)), ("loss", "rmse", "r2")
    else:
        targets, names = jr.randint(target_key, (count,), 0, 2, jnp.int32), ("loss", "accuracy")
    examples = Examples(inputs, targets, jnp.full(1, 3.0))

    def scores(chunk):
        monkeypatch.setattr(evaluation, "CHUNK", chunk)
        both = lambda examples: (
            evaluate(network, network.initial_state(), examples, losses.get(loss)),
            network(inputs),
        )
        return jax.jit(both)(examples)

    (chunked, outputs), (whole, _) = scores(evaluation.CHUNK), scores(count)
    assert set(chunked) == set(whole) == set(names)
    for name in names:
        np.testing.assert_allclose(chunked[name], whole[name], rtol=1e-12, err_msg=name)

    z, t = np.asarray(outputs), np.asarray(targets).reshape(count, 1)
    if loss == "squared-error":
        np.testing.assert_allclose(chunked["loss"], 0.5 * np.mean((z - t) ** 2), rtol=1e-12)
        np.testing.assert_allclose(chunked["rmse"], 3 * np.sqrt(np.mean((z - t) ** 2)), rtol=1e-12)
        np.testing.assert_allclose(chunked["r2"], sklearn_metrics.r2_score(t, z), rtol=1e-10)
    else:
        np.testing.assert_allclose(chunked["loss"], np.mean(np.log1p(np.exp(z)) - t * z), rtol=1e-12)
        np.testing.assert_allclose(chunked["accuracy"], np.mean((z > 0) == t), rtol=1e-12)


@pytest.fixture(scope="module")
def normalized():
    """One full-batch step of a network with batch normalization and dropout."""
    layers = [Linear(2, 3), BatchNorm(3), Activation("tanh"), Dropout(0.5), Linear(3, 1)]
    return tiny.trained(network=Network(layers), epochs=1, batch_size=1000)


def test_the_running_statistics_move_towards_the_batch_s(normalized):
    x = normalized.data.train.inputs.astype(float)
    for i, seed in enumerate(SEEDS):
        start = normalized.network.initialize(streams(jnp.asarray(seed, jnp.uint32)).network)
        z = x @ np.asarray(start["linear1"].weight).T
        mean, variance = (array[i] for array in normalized.states[1])
        np.testing.assert_allclose(mean, 0.1 * z.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(variance, 0.9 + 0.1 * z.var(axis=0), rtol=1e-10)


def test_predictions_use_the_running_statistics_and_no_dropout(normalized):
    x = normalized.data.test.inputs.astype(float)
    outputs = normalized.outputs(normalized.data.test.inputs)
    for i in range(len(SEEDS)):
        n = jax.tree.map(lambda leaf, i=i: leaf[i], normalized.networks)
        mean, variance = (array[i] for array in normalized.states[1])
        z = x @ n["linear1"].weight.T + n["linear1"].bias
        z = n["batchnorm1"].scale * (z - mean) / np.sqrt(variance + 1e-5) + n["batchnorm1"].shift
        np.testing.assert_allclose(outputs[i], np.tanh(z) @ n["linear2"].weight.T + n["linear2"].bias, rtol=1e-10)
    accuracy = np.mean(normalized.predict(normalized.data.test.inputs) == normalized.data.test.targets[None], axis=1)
    np.testing.assert_allclose(normalized.test_accuracy, accuracy, rtol=1e-12)


def test_a_network_with_dropout_and_normalization_trains(normalized):
    for i, seed in enumerate(SEEDS):
        start = normalized.network.initialize(streams(jnp.asarray(seed, jnp.uint32)).network)
        for name in ("linear1", "linear2"):
            assert np.any(np.asarray(start[name].weight) != normalized.networks[name].weight[i])


@pytest.mark.slow
def test_convolutional_runs_in_turn_equal_those_at_once(monkeypatch):
    layers = [Conv2d(1, 2, 3), Activation("tanh"), Flatten(), Linear(2 * 2 * 2, 3)]
    dataset = tiny.data("classification", shape=(4, 4, 1))
    assert devices.one_after_another(Network(layers)) == (jax.default_backend() == "cpu")
    found = []
    for in_turn in (True, False):
        monkeypatch.setattr(devices, "one_after_another", lambda network, size=0, answer=in_turn: answer)
        found.append(tiny.trained(dataset=dataset, network=Network(layers)))
    for name in ("train_loss", "validation_loss", "test_loss"):
        np.testing.assert_allclose(getattr(found[0], name), getattr(found[1], name), rtol=1e-10, err_msg=name)
    for ours, theirs in zip(jax.tree.leaves(found[0].networks), jax.tree.leaves(found[1].networks), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)


def test_images_become_vectors_for_a_network_that_begins_dense():
    dataset = tiny.data("classification", shape=(2, 1, 1))
    runs = tiny.trained(dataset=dataset, network=tiny.mlp(3))
    predicted = runs.predict(dataset.test.inputs)
    np.testing.assert_allclose(runs.test_accuracy, np.mean(predicted == dataset.test.targets[None], axis=1), rtol=1e-12)
    np.testing.assert_array_equal(predicted, runs.predict(dataset.test.inputs.reshape(-1, 2)))


def test_the_best_epoch_on_validation_is_the_one_that_is_tested():
    dataset = tiny.data()
    rule, chosen = tiny.Spoils(good=4 * tiny.STEPS), {"optimizer": "adam", "epochs": 14, "select": "best-validation"}
    runs = tiny.trained(rule, dataset, **chosen)
    right = runs.predict(dataset.validation.inputs) == dataset.validation.targets[None]
    best = runs.validation_accuracy.max(axis=1)
    assert np.all(best > runs.validation_accuracy[:, -1])
    np.testing.assert_allclose(right.mean(axis=1), best, rtol=1e-12)
    # Of the epochs with that accuracy, the one with the lowest loss.
    z = runs.outputs(dataset.validation.inputs)[..., 0]
    loss = np.mean(np.log1p(np.exp(z)) - dataset.validation.targets * z, axis=1)
    tied = np.where(runs.validation_accuracy == best[:, None], runs.validation_loss, np.inf)
    np.testing.assert_allclose(loss, tied.min(axis=1), rtol=1e-10)
    np.testing.assert_allclose(
        runs.test_accuracy, np.mean(runs.predict(dataset.test.inputs) == dataset.test.targets[None], axis=1), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("score", "measure", "scores"),
    [
        (None, "accuracy", [0.6, 0.9, 0.9, 0.2]),
        (None, "rmse", [3.0, 1.0, 1.0, 2.0]),
        ("macro_f1", "macro_f1", [0.6, 0.9, 0.9, 0.2]),
        ("log_loss", "log_loss", [3.0, 1.0, 1.0, 2.0]),
    ],
    ids=["accuracy", "rmse", "chosen macro F1", "chosen log loss"],
)
def test_the_best_epoch_has_the_best_score_and_among_equals_the_lowest_loss(score, measure, scores):
    """Epochs 1 and 2 have the highest score, or the lowest error, and epoch 2 the lower loss of the two; where another measure
    than the task's was chosen, the accuracy, which is best in epoch 3, says nothing."""
    settings = Setup(loss=losses.SQUARED_ERROR, epochs=4, batch_size=1, score=score)
    values = {"validation_accuracy": jnp.asarray([0.1, 0.2, 0.3, 1.0])} if score else {}
    values |= {f"validation_{measure}": jnp.asarray(scores), "validation_loss": jnp.asarray([1.0, 5.0, 4.0, 0.5])}

    @jax.jit
    def best():
        low = jnp.asarray(-jnp.inf)
        kept = Best(jnp.asarray(-1), None, None, low, -low)
        for epoch in range(len(scores)):
            state = RunState(jnp.asarray(epoch), None, None, None, jnp.asarray(-1), {}, kept)
            kept = _better(settings, state, {name: value[epoch] for name, value in values.items()})
        return kept.trainables

    assert best() == 2


class Adds(tiny.Still):
    """In the end it adds its state to every number."""

    def finish(self, trainables, state, data):
        return jax.tree.map(lambda leaf: leaf + state, trainables)


@pytest.mark.parametrize("select", ["last", "best-validation"])
def test_weights_statistics_and_state_of_the_rule_are_concluded_of_one_epoch(select):
    network, number = tiny.mlp(), jnp.asarray
    numbered = lambda value: jax.tree.map(lambda leaf: jnp.full_like(leaf, value), network)
    best = Best(numbered(10.0), number(20.0), number(30.0), number(0.9), number(0.1))
    kept = best if select == "best-validation" else None
    state = RunState(numbered(1.0), number(2.0), number(3.0), None, number(-1), {}, kept)
    settings, run, data = tiny.looped(network, tiny.data(), Adds(), select=select)
    finished, statistics, before = jax.jit(lambda: conclude(settings, run, state, data))()
    scale = 10.0 if kept else 1.0
    assert {float(leaf.min()) for leaf in jax.tree.leaves(finished)} == {4.0 * scale}
    assert (float(statistics), {float(leaf.max()) for leaf in jax.tree.leaves(before)}) == (2.0 * scale, {scale})
