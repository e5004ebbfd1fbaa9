"""A rule's own way to predict: everything that answers new inputs goes through it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.estimators import CreditClassifier
from ascribe.networks import BatchNorm, LabelGoodness, Linear, Network
from ascribe.rules import Backpropagation, ForwardForward, network_of
from ascribe.store.model import Model, load_model

from . import tiny


class Reversed(Backpropagation):
    """Answers the opposite of what the network says."""

    def predictor(self, trainables, state):
        layers = list(trainables.layers)
        last = layers[-1]
        negative = Linear(last.weight.shape[1], last.weight.shape[0])
        return Network([*layers[:-1], _with(negative, -last.weight, -last.bias)])


class Chain(Backpropagation):
    """Its predictor keeps statistics, which nobody has measured."""

    def predictor(self, trainables, state):
        return Network([*trainables.layers, BatchNorm(1)])


class Number(Backpropagation):
    def predictor(self, trainables, state):
        return jnp.zeros(3)


def _with(layer, weight, bias):
    return eqx.tree_at(lambda one: (one.weight, one.bias), layer, (weight, bias))


@pytest.fixture(scope="module")
def runs():
    return tiny.trained(ForwardForward())


def goodness_of_both(network, row, inputs):
    """By the layers of one run's network, one after another."""
    layer = network.first
    found = []
    for label in range(2):
        x, code = jnp.asarray(inputs, float), np.eye(2)[label] - 0.5
        total = 0.0
        for i, inner in enumerate(layer.layers.values()):
            if inner.kind == "rmsnorm":
                total = total + np.sum(np.square(x), axis=1)
            x = jnp.asarray(x)
            own = inner if not hasattr(inner, "weight") else _with(inner, inner.weight[row], inner.bias[row])
            x = np.asarray(own(x)[0]) + (code @ np.asarray(layer.labels[row]) if i == 0 else 0)
        found.append(total + np.sum(np.square(x), axis=1))
    return found


def test_scores_predictions_and_curves_are_those_of_the_goodness(runs):
    test, validation = runs.data.test, runs.data.validation
    assert isinstance(runs.network.first, LabelGoodness)
    for row in range(2):
        low, high = goodness_of_both(runs.networks, row, test.inputs)
        np.testing.assert_allclose(runs.outputs(test.inputs)[row, :, 0], high - low, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(runs.predict(test.inputs)[row], high > low)
        np.testing.assert_allclose(runs.test_accuracy[row], np.mean((high > low) == test.targets), rtol=1e-12)
        low, high = goodness_of_both(runs.networks, row, validation.inputs)
        accuracy = np.mean((high > low) == validation.targets)
        np.testing.assert_allclose(runs.validation_accuracy[row, -1], accuracy, rtol=1e-12)
    assert any("goodness1" in note for note in runs.notes)


def test_a_model_in_a_file_answers_the_same(runs, tmp_path):
    model = Model.of(runs, seed=runs.seeds[1])
    again = load_model(model.save(tmp_path / "goodness.safetensors"))
    rows = runs.data.test.inputs
    np.testing.assert_array_equal(again.predict(rows), runs.predict(rows)[1])


def test_rules_that_do_not_ask_for_it_answer_by_the_forward_pass():
    rule = Backpropagation()
    network = tiny.mlp()
    assert not rule.predicts
    assert rule.predictor(network, None) is network_of(network)
    assert ForwardForward().predicts


def test_another_predictor_of_the_same_structure_has_the_trained_statistics():
    plain, turned = tiny.trained(Backpropagation()), tiny.trained(Reversed())
    rows = plain.data.test.inputs
    np.testing.assert_array_equal(turned.outputs(rows), -plain.outputs(rows))
    np.testing.assert_allclose(turned.test_accuracy, 1 - plain.test_accuracy, rtol=1e-12)
    np.testing.assert_array_equal(turned.train_loss, plain.train_loss)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Chain(), "keeps no statistics; it returned linear1"),
        (Number(), "returns the network that answers new inputs; it returned"),
    ],
)
def test_what_cannot_answer_is_refused_before_anything_is_compiled(rule, words):
    with pytest.raises(UserError, match=words):
        tiny.trained(rule)


def test_an_estimator_answers_by_it_and_goes_on(runs):
    data = tiny.data()
    options = {"network": "3", "activation": "tanh", "epochs": 2, "batch_size": 8, "validation_fraction": None}
    one = CreditClassifier("forward-forward", **options, random_state=0).fit(data.train.inputs, data.train.targets)
    assert isinstance(one.network_.first, LabelGoodness)
    low, high = goodness_of_both(_lifted(one.network_), 0, data.test.inputs)
    np.testing.assert_array_equal(one.predict(data.test.inputs), (high > low).astype(int))
    before = np.asarray(one.network_.first.labels)
    one.partial_fit(data.train.inputs, data.train.targets)
    assert not np.array_equal(before, one.network_.first.labels)


def _lifted(network):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], network)
