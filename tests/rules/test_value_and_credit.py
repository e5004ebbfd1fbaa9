"""The two ways in for people with their own training loop."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import ascribe
from ascribe import losses, networks, rules, training
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.metrics import predicted_labels
from ascribe.rules import as_batch, value_and_credit, verify

from ..cases import (
    EXACT,
    applied,
    assert_close,
    cells,
    credit_of,
    examples,
    last_layer_tolerance,
    small_mlp,
    upper_weights,
)
from ..training import tiny


def labeled():
    return examples((4,), "categorical-cross-entropy")


def labeled_pair():
    return labeled().inputs, labeled().targets


# value_and_credit


def test_a_batch_and_a_pair_get_the_same_credit():
    rule = rules.FeedbackAlignment()
    state = rule.init(small_mlp(), labeled(), key=jr.key(0))
    expected = credit_of(rule, small_mlp(), state, labeled())
    credited = eqx.filter_jit(value_and_credit(rule))
    pair = labeled_pair()
    for given in (labeled(), pair, list(pair), tuple(np.asarray(part) for part in pair)):
        value, credit = credited(small_mlp(), state, given)
        assert_close((value, credit), (expected.loss, expected), 1e-14)


def test_it_has_the_manners_of_value_and_grad():
    def loss(network):
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(network(labeled().inputs), labeled().targets))

    value, gradients = jax.value_and_grad(loss)(small_mlp())
    ours, credit = value_and_credit(rules.Backpropagation())(small_mlp(), None, labeled_pair())
    np.testing.assert_allclose(ours, value, rtol=1e-12)
    assert_close(credit.gradients, gradients, 1e-12)


@pytest.mark.parametrize(
    ("targets", "outputs", "loss", "expected"),
    [
        (np.array([0, 1, 2, 0, 1]), 3, None, "categorical-cross-entropy"),
        (np.array([0, 1, 1, 0, 1]), 1, None, "bernoulli-cross-entropy"),
        (np.array([[0], [1], [2], [0], [1]]), 3, None, "categorical-cross-entropy"),
        (np.linspace(0, 1, 5), 1, None, "squared-error"),
        (np.ones((5, 3)), 3, None, "squared-error"),
        (np.array([0, 1, 2, 0, 1]), 3, "squared-error", "squared-error"),
        (np.ones((5, 3)), 3, losses.BERNOULLI_CROSS_ENTROPY, "bernoulli-cross-entropy"),
    ],
)
def test_the_targets_choose_the_loss_unless_one_is_named(targets, outputs, loss, expected):
    batch = as_batch(small_mlp(outputs=outputs), (labeled().inputs, targets), loss)
    assert batch.loss.name == expected
    credit = jax.eval_shape(rules.Backpropagation(), small_mlp(outputs=outputs), None, batch)
    assert credit.loss.shape == ()


def test_a_named_loss_replaces_that_of_a_batch():
    squared = value_and_credit(rules.Backpropagation(), "squared-error")(small_mlp(), None, labeled())[0]
    expected = 0.5 * np.mean(np.sum((np.asarray(small_mlp()(labeled().inputs)) - np.eye(3)[labeled().targets]) ** 2, axis=1))
    np.testing.assert_allclose(squared, expected, rtol=1e-12)
    assert as_batch(small_mlp(), labeled()).loss is labeled().loss


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda x, t: 3.0, "a batch is an ascribe.Batch or a pair"),
        (lambda x, t: (x,), "a batch is an ascribe.Batch or a pair"),
        (lambda x, t: (x, t, t), "a batch is an ascribe.Batch or a pair"),
        (lambda x, t: (x, np.asarray(t)[:4]), "got 5 inputs and 4 targets"),
        (lambda x, t: (x, [0, 1, 2, 3, 1]), "labels count from 0 to 2 where a network has 3 outputs .* got 0, 1, 2, 3"),
        (
            lambda x, t: (x, [2, 1, 2, -1, 1]),
            "labels count from 0 to 2 .* got -1, 1, 2: number the classes by numpy.unique",
        ),
        (lambda x, t: (x, np.array([0, 1, 2, 2**32, 1])), "labels count from 0 to 2 .* got 0, 1, 2, 4.29497e"),
        (lambda x, t: (x, ["a", "b", "a", "b", "b"]), "the targets of a batch are real numbers, .* got <U1"),
        (lambda x, t: (x, np.array(t) * 1j), "the targets of a batch are real numbers, .* got complex128"),
        (lambda x, t: dataclasses.replace(labeled(), targets=labeled().targets - 1), "labels count from 0 to 2"),
    ],
)
def test_what_is_no_batch_is_refused(given, sentence):
    with pytest.raises(UserError, match=sentence):
        value_and_credit(rules.Backpropagation())(small_mlp(), None, given(*labeled_pair()))


LABELS_OF_ONE_OUTPUT = {
    "-1 and 1": ([-1, 1, 1, -1, 1], None, "labels count from 0 to 1 where a network has 1 output and .* got -1, 1"),
    "1 and 2": ([1, 2, 2, 1, 1], None, "labels count from 0 to 1"),
    "in floats": (
        [-1.0, 1.0, 1.0, -1.0, 1.0],
        "bernoulli-cross-entropy",
        "takes probabilities, from 0 to 1, .* got -1, 1",
    ),
    "nothing known": (
        [0.0, 1.0, np.nan, 0.5, 1.0],
        "bernoulli-cross-entropy",
        "takes probabilities, .* got 0, 0.5, 1, nan",
    ),
}


@pytest.mark.parametrize(("targets", "loss", "sentence"), LABELS_OF_ONE_OUTPUT.values(), ids=list(LABELS_OF_ONE_OUTPUT))
def test_targets_that_the_loss_is_not_made_for_are_refused(targets, loss, sentence):
    """The cross entropy of -1 would be below 0, which no logarithm of a probability is."""
    network, batch = small_mlp(outputs=1), (labeled().inputs, np.array(targets))
    for ask in (
        lambda: value_and_credit(rules.Backpropagation(), loss)(network, None, batch),
        lambda: verify(rules.Backpropagation(), network, batch, loss=loss),
        lambda: rules.check_gradients("backpropagation", network, batch, loss=loss),
    ):
        with pytest.raises(UserError, match=sentence):
            ask()
    assert as_batch(network, batch, "squared-error").loss.name == "squared-error"  # where they are only numbers
    inside = jax.eval_shape(lambda x, t: value_and_credit(rules.Backpropagation())(network, None, (x, t))[0], *labeled_pair())
    assert inside.shape == ()


def test_kolen_pollack_refuses_the_bare_network_and_takes_its_trainables():
    rule = rules.KolenPollack()
    with pytest.raises(UserError, match=r"KolenPollack trains more than the network: pass rule\.trainables"):
        value_and_credit(rule)(small_mlp(), None, labeled_pair())
    trainables = rule.trainables(small_mlp(), labeled(), key=jr.key(0))
    _, credit = value_and_credit(rule)(trainables, None, labeled_pair())
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)


FAST = ("backpropagation", "kolen-pollack")
"""Rules that stand for all of them among the fast tests: one without a state and one with trainables of its own."""


READOUT = ("softhebb", "hebbian")
"""Rules whose last layer alone is told an error."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in rules.default_names()],
)
def test_a_rule_of_each_kind_learns_in_a_plain_optax_loop(name):
    """Two classes that a line separates. After a hundred epochs the loss of a rule that is about errors is below a fifth
    of where it began, or below a third where only the readout is; of the others, the networks are right on more than three
    quarters."""
    rule = rules.get(name)
    inputs = np.asarray(jr.normal(jr.key(0), (64, 4)))
    split = Split(inputs, (inputs[:, 0] + inputs[:, 1] > 0).astype(int))
    task = "classification" if "classification" in rule.tasks else "binary"
    data = Dataset("line", task, split, split, split, class_names=("below", "above"))
    network = networks.mlp([4, 16, 16, data.outputs], activation="tanh")
    asked = training.Setup(optimizer="sgd", learning_rate=0.5, batch_size=64)
    recipe = training.honor(rule, name, network, data, asked)
    setup = recipe.setup
    factory = training.optimizers.factory(setup.optimizer)
    optimizer = training.optimizers.transformation(factory, jnp.asarray(setup.learning_rate))
    parts = setup.optimizer if isinstance(setup.optimizer, dict) else {"network": setup.optimizer}
    assert parts["network"] == "sgd"
    everything = as_batch(recipe.source, (recipe.data.train.inputs, split.targets))

    @jax.jit
    def begin(key):
        network = recipe.source.initialize(key)
        trainables = rule.trainables(network, everything, key=key)
        return trainables, rule.init(network, everything, key=key), optimizer.init(trainables)

    @jax.jit
    def step(trainables, state, memory, pair, key):
        value, credit = value_and_credit(rule)(trainables, state, pair, key=key)
        updates, memory = optimizer.update(credit.gradients, memory, trainables)
        return value, *rule.after_update(optax.apply_updates(trainables, updates), credit.state), memory

    @jax.jit
    def predict(trainables, state):
        return predicted_labels(rule.finish(trainables, state, everything)(everything.inputs))

    trainables, state, memory = begin(jr.key(1))
    rows = [np.asarray(part) for part in (everything.inputs, everything.targets)]
    curve, size = [], setup.batch_size
    for key in jr.split(jr.key(3), 100):
        for start in range(0, 64, size):
            pair = tuple(part[start : start + size] for part in rows)
            value, trainables, state, memory = step(trainables, state, memory, pair, key)
            curve.append(value)
    if last_layer_tolerance(name) is not None:
        assert float(curve[-1]) < (1 / 3 if name in READOUT else 0.2) * float(curve[0])
    assert np.mean(np.asarray(predict(trainables, state)) == rows[1]) > 0.75


def test_normalization_statistics_travel_with_the_batch():
    network = networks.Network([networks.Linear(4, 3, key=jr.key(0)), networks.BatchNorm(3)])
    once, credit = value_and_credit(rules.Backpropagation())(network, None, labeled())
    again = dataclasses.replace(labeled(), network_state=credit.network_state)
    twice, second = value_and_credit(rules.Backpropagation())(network, None, again)
    np.testing.assert_allclose(once, twice, rtol=1e-14)
    np.testing.assert_allclose(second.network_state[1][0], 1.9 * np.asarray(credit.network_state[1][0]), rtol=1e-12)


def test_the_front_door_has_both():
    assert ascribe.value_and_credit is value_and_credit
    assert ascribe.verify is verify


# verify


@pytest.mark.parametrize("cell", [cell for cell in cells("mlp") if cell[0] != "backpropagation"], ids="-".join)
def test_every_rule_is_active_and_one_that_changes_the_way_back_below_the_last_layer_only(cell):
    rule, network, batch, _ = applied(*cell)
    found = verify(rule, network, batch)
    assert found
    if last_layer_tolerance(cell[0]) != EXACT:
        return
    assert found.differs == network.synaptic[:-1]
    assert list(found.angles) == list(found.norm_ratios) == ["total", *network.synaptic]
    assert all(0 < found.angles[name] < 180 for name in ("total", *found.differs))
    np.testing.assert_allclose(found.angles[network.synaptic[-1]], 0, atol=1e-9)
    np.testing.assert_allclose(found.norm_ratios[network.synaptic[-1]], 1, rtol=1e-9)


def test_backpropagation_is_not_active():
    found = verify(rules.Backpropagation(), small_mlp(), labeled_pair())
    assert not found
    assert found.differs == ()
    assert set(found.angles.values()) == {0.0}
    assert set(found.norm_ratios.values()) == {1.0}
    assert str(found).splitlines()[0] == "Backpropagation is backpropagation here"


class Started(rules.AbstractRule):
    """Backpropagation from weights of its own."""

    def trainables(self, network, data, *, key):
        return jax.tree.map(lambda leaf: 2 * leaf, network)

    def __call__(self, network, state, batch, *, key=None):
        return rules.backward_sweep(network, state, batch, key=key)


def test_the_gradients_are_compared_where_the_rule_begins():
    assert not verify(Started(), small_mlp(), labeled())


class Handed(rules.AbstractRule):
    """Feedback alignment with the weights: a rule that is not active."""

    def __call__(self, network, state, batch, *, key=None):
        credit = rules.FeedbackAlignment()(network, upper_weights(network), batch, key=key)
        return rules.Credit(credit.loss, credit.gradients, state)


def test_a_rule_in_its_exact_limit_is_not_active():
    assert not verify(Handed(), small_mlp(), labeled())


class Doubled(rules.AbstractRule):
    """Backpropagation at twice the size, below the last layer."""

    def __call__(self, network, state, batch, *, key=None):
        terms = rules.Terms(derivative={"linear2": lambda z: 2 * (1 - jnp.tanh(z) ** 2)})
        return rules.backward_sweep(network, state, batch, terms, key=key)


def test_verify_tells_sizes_from_directions():
    found = verify(Doubled(), small_mlp(), labeled())
    assert found.differs == ("linear1", "linear2")
    np.testing.assert_allclose([found.angles[name] for name in small_mlp().synaptic], 0, atol=1e-9)
    np.testing.assert_allclose([found.norm_ratios[name] for name in small_mlp().synaptic], [2, 2, 1], rtol=1e-12)


def test_the_report_names_every_layer_with_its_numbers():
    lines = str(verify(Doubled(), small_mlp(), labeled())).splitlines()
    assert lines[0] == "Doubled differs from backpropagation in linear1, linear2"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["total", "linear1", "linear2", "linear3"]
    assert "angle   0.000°, norm ratio 2" in lines[2]


def test_verify_works_in_float32_and_with_dropout():
    network = networks.Network([networks.Linear(4, 8, key=jr.key(0)), networks.Dropout(0.5), networks.Linear(8, 3)])
    network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), network)
    pair = (labeled().inputs.astype(jnp.float32), labeled().targets)
    assert not verify(rules.Backpropagation(), network, pair)
    assert verify(rules.FeedbackAlignment(), network, pair).differs == ("linear1",)


def test_verify_judges_by_the_named_loss():
    batch = examples((4,), "squared-error")
    found = verify(
        rules.FeedbackAlignment(),
        small_mlp(),
        (batch.inputs, jax.nn.sigmoid(batch.targets)),
        loss="bernoulli-cross-entropy",
    )
    assert found.differs == ("linear1", "linear2")


def test_inputs_of_another_width_are_refused():
    network = networks.mlp([3, 5, 1], key=jr.key(0))
    with pytest.raises(UserError, match="layer linear1 takes 3 numbers"):
        rules.value_and_credit(rules.Backpropagation())(network, None, (np.ones((4, 2)), np.array([0, 1, 0, 1])))


@pytest.mark.parametrize("shape", [None, (2, 3, 1)])
def test_all_training_examples_of_a_data_set_are_a_batch(shape):
    """In the shape that the network takes: images become vectors before a dense layer."""
    data = tiny.data(shape=shape)
    network = tiny.mlp(features=data.features)
    found = as_batch(network, data)
    rows = data.train.inputs.reshape(len(data.train), -1)
    expected = as_batch(network, (rows, data.train.targets))
    np.testing.assert_array_equal(found.inputs, expected.inputs)
    np.testing.assert_array_equal(found.targets, expected.targets)
    assert found.loss is expected.loss
