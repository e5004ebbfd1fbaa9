"""What a rule asks of an experiment (encoded inputs, another network, settings of its own) is honored, and said."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import compare, networks, rules, train
from ascribe.datasets import Split
from ascribe.errors import UserError
from ascribe.experiments.plan import Budget, Request, ask
from ascribe.measures import MEASURED
from ascribe.rules import AbstractRule, Backpropagation, Batch
from ascribe.training import Setup, honor, network_for
from ascribe.training.batches import epoch_indices
from ascribe.training.loop import PROBE
from ascribe.training.seeds import streams

from ..cases import IMAGE, assert_identical, small_lenet
from ..store.case import plain
from . import tiny

SEEDS = (0, 5)
GIVEN = Setup(optimizer="adam", learning_rate=0.1, batch_size=tiny.BATCH)
SHORT = tiny.WORLD | {"seeds": SEEDS}
ENCODED = "inputs encoded by the rule (split-signs, constant-one)"
CHANGED = "network changed by the rule"
EXACT = "backpropagation's own gradients in every layer"


def heads(notes):
    """The notes without what comes after the colon."""
    return tuple(note.partition(": ")[0] for note in notes)


def names(transforms):
    return [transform.name for transform in transforms]


def not_negative(data):
    parts = {name: Split(np.abs(split.inputs), split.targets) for name, split in data.splits}
    return dataclasses.replace(data, **parts)


class Narrow(AbstractRule):
    """Backpropagation on a network of its own, from inputs with a constant."""

    def encoding(self, data):
        return ("constant-one",)

    def adapt(self, network, data):
        return networks.mlp([data.features, 2, data.outputs], activation="tanh", bias=False)

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)


# The encoding


def test_a_rule_that_asks_for_nothing_gets_the_experiment_as_it_is():
    network, data = tiny.mlp(), tiny.data()
    recipe = honor(Backpropagation(), "backpropagation", network, data, GIVEN)
    assert recipe.source is network and recipe.data is data
    assert (recipe.encoding, recipe.forced, recipe.notes) == ((), (), ())
    assert (recipe.setup.optimizer, recipe.setup.learning_rate, recipe.setup.batch_size) == ("adam", 0.1, tiny.BATCH)


def test_what_the_rule_asks_for_is_what_one_would_do_by_hand():
    """On encoded data and with the adapted network the same rule asks for nothing more, and trains the same numbers."""
    data, network, rule = tiny.data(), tiny.mlp(), Narrow()
    runs = train(network, data, rule, **SHORT)
    encoded = data.encode("constant-one")
    by_hand = train(rule.adapt(network, encoded), encoded, rule, **SHORT)
    assert (by_hand.notes, by_hand.encoding) == ((EXACT,), ())
    assert heads(runs.notes) == ("inputs encoded by the rule (constant-one)", CHANGED, EXACT)
    assert names(runs.encoding) == ["constant-one"]
    assert runs.data is data
    for curve, values in by_hand.curves.items():
        np.testing.assert_array_equal(runs.curves[curve], values)
    for score, values in by_hand.scores.items():
        np.testing.assert_array_equal(runs.scores[score], values)
    raw, wanted = data.test.inputs, encoded.test.inputs
    np.testing.assert_array_equal(runs.outputs(raw), by_hand.outputs(wanted))
    np.testing.assert_array_equal(runs.predict(raw), by_hand.predict(wanted))
    np.testing.assert_array_equal(runs.probabilities(raw), by_hand.probabilities(wanted))
    np.testing.assert_allclose(np.mean(runs.predict(raw) == data.test.targets, axis=1), runs.test_accuracy)


def test_images_are_encoded_as_vectors():
    data = tiny.data(shape=(1, 2, 1))
    recipe = honor(Narrow(), "narrow", tiny.mlp(), data, GIVEN)
    assert recipe.data.input_shape == (3,)
    runs, images = train(tiny.mlp(), data, Narrow(), **SHORT), data.test.inputs
    np.testing.assert_array_equal(runs.predict(images), runs.predict(images.reshape(len(images), 2)))


@pytest.mark.parametrize(
    ("data", "added", "features"),
    [
        (tiny.data(), ["split-signs", "constant-one"], 5),
        (not_negative(tiny.data()), ["constant-one"], 3),
        (tiny.data().encode("unit-interval"), ["constant-one"], 3),
        (tiny.data().encode("split-signs"), ["constant-one"], 5),
        (tiny.data().encode("split-signs", "constant-one"), [], 5),
    ],
    ids=["both signs", "not negative", "unit interval", "split before", "encoded before"],
)
def test_only_what_is_missing_is_encoded(data, added, features):
    recipe = honor(rules.get("forward-pass"), "forward-pass", tiny.mlp(), data, GIVEN)
    assert names(recipe.encoding) == added
    assert recipe.data.input_shape == (features,)
    assert bool((recipe.data.train.inputs >= 0).all())
    assert names(recipe.data.transforms) == names(data.transforms) + added
    note = f"inputs encoded by the rule ({', '.join(added)})"
    assert heads(recipe.notes) == ((note, CHANGED) if added else (CHANGED,))


def test_a_rule_with_an_encoding_and_one_without_are_compared_on_one_data_set():
    data = tiny.data()
    options = {"network": tiny.mlp(), **SHORT}
    both = compare(data, rules={"first": Narrow(), "second": "backpropagation"}, **options)
    alone = compare(data, rules=["backpropagation"], **options).runs["backpropagation"]
    for curve, values in alone.curves.items():
        np.testing.assert_array_equal(both.runs["second"].curves[curve], values)
    assert names(both.runs["first"].encoding) == ["constant-one"]
    assert both.runs["second"].encoding == both.runs["second"].notes == ()
    assert both.data is data


def test_two_encodings_of_one_shape_are_two_data_sets():
    data = tiny.data()
    both = {name: rules.ForwardPass(transforms=names) for name, names in (("bare", ()), ("unit", ("unit-interval",)))}
    options = {"network": tiny.mlp(), **SHORT}
    together = compare(data, rules=both, **options)
    for name, rule in both.items():
        alone = compare(data, rules={name: rule}, **options)
        np.testing.assert_array_equal(together.runs[name].train_loss, alone.runs[name].train_loss)
    assert np.any(together.runs["bare"].train_loss != together.runs["unit"].train_loss)


def test_a_saved_and_loaded_run_predicts_the_same_from_raw_inputs(tmp_path, monkeypatch):
    plain(monkeypatch)
    data = tiny.data()
    comparison = compare(data, rules=["forward-pass"], network="3", **SHORT)
    comparison.save(tmp_path / "record")
    saved = comparison.runs["forward-pass"]
    loaded = ascribe.load(tmp_path / "record").runs["forward-pass"]
    assert names(loaded.encoding) == ["split-signs", "constant-one"]
    assert heads(loaded.notes) == heads(saved.notes) == (ENCODED, CHANGED)
    assert loaded.data.input_shape == data.input_shape
    np.testing.assert_array_equal(loaded.outputs(data.test.inputs), saved.outputs(data.test.inputs))
    np.testing.assert_array_equal(loaded.predict(data.test.inputs), saved.predict(data.test.inputs))


# The network


def test_an_adapted_template_is_drawn_anew_for_every_seed():
    source = honor(rules.get("forward-pass"), "forward-pass", tiny.mlp(), tiny.data(), GIVEN).source
    assert str(source) == "linear1 3×5 → relu1 → linear2 1×3"
    first, second = (source.initialize(jr.key(seed)) for seed in SEEDS)
    assert not np.array_equal(first["linear2"].weight, second["linear2"].weight)


def test_a_factory_whose_layers_are_all_replaced_is_the_template():
    """Its networks are drawn as the adapted template's are, seed by seed."""
    rule, data = rules.get("forward-pass"), tiny.data()
    factory = lambda key: networks.mlp([2, 3, 1], activation="tanh", key=key)
    adapted = honor(rule, "forward-pass", factory, data, GIVEN)
    template = honor(rule, "forward-pass", tiny.mlp(), data, GIVEN)
    assert heads(adapted.notes) == heads(template.notes) == (ENCODED, CHANGED)
    for seed in SEEDS:
        assert_identical(adapted.source(jr.key(seed)), template.source.initialize(jr.key(seed)))


def test_training_with_a_factory_is_training_with_the_template():
    template = tiny.mlp()
    by_factory = train(template.initialize, tiny.data(), Narrow(), **SHORT)
    by_template = train(template, tiny.data(), Narrow(), **SHORT)
    assert not np.array_equal(by_factory.train_loss[0], by_factory.train_loss[1])
    np.testing.assert_array_equal(by_factory.train_loss, by_template.train_loss)
    assert_identical(by_factory.networks, by_template.networks)


def test_what_a_rule_leaves_of_a_factory_s_network_stays_as_it_was_drawn():
    """Only the layer that the encoding made wider is drawn anew."""
    factory = lambda key: jax.tree.map(lambda leaf: leaf + 10, networks.mlp([2, 3, 1], bias=False, key=key))
    source = honor(rules.get("forward-pass"), "forward-pass", factory, tiny.data(), GIVEN).source
    for seed in SEEDS:
        network = source(jr.key(seed))
        np.testing.assert_array_equal(network["linear2"].weight, factory(jr.key(seed))["linear2"].weight)
        assert network["linear1"].weight.shape == (3, 5)
        assert bool(jnp.all(jnp.abs(network["linear1"].weight) < 5))
    first, second = (source(jr.key(seed))["linear1"].weight for seed in SEEDS)
    assert not np.array_equal(first, second)


def test_a_factory_that_the_rule_leaves_alone_is_used_as_it_is():
    factory = lambda key: networks.mlp([2, 3, 1], key=key)
    recipe = honor(rules.get("finite-differences"), "finite-differences", factory, tiny.data(), GIVEN)
    assert recipe.source is factory
    assert recipe.notes == ()


# Who takes part


@pytest.mark.parametrize(
    ("network", "shape", "rule", "sentence"),
    [
        (lambda: small_lenet(outputs=1), IMAGE, "forward-pass", "defined for dense layers"),
        (lambda: networks.gru((3, 2), 1, units=2), (3, 2), "forward-pass", "defined for dense layers"),
        (lambda: networks.mlp([2, 250, 1]), (2,), "finite-differences", "this one has 1,001 and the limit is 1,000"),
    ],
    ids=["forward-pass", "forward-pass-gru", "finite-differences"],
)
def test_a_rule_that_the_network_does_not_suit_is_refused_with_the_reason(network, shape, rule, sentence):
    data, network = tiny.data(shape=shape), network()
    with pytest.raises(UserError, match=sentence):
        compare(data, rules=["backpropagation", rule], network=network, **SHORT)
    with pytest.raises(UserError, match=sentence):
        train(network, data, rule, **SHORT)


def test_where_no_rules_were_named_it_is_left_out_and_it_is_said_why(monkeypatch):
    monkeypatch.setattr(rules, "default_names", lambda: ["backpropagation", "finite-differences"])
    comparison = compare(tiny.data(), network=networks.mlp([2, 250, 1]), **SHORT)
    assert list(comparison.configuration["left_out"]) == ["finite-differences"]
    assert "the limit is 1,000" in comparison.configuration["left_out"]["finite-differences"]
    assert comparison.configuration["rules"] == list(comparison.runs) == ["backpropagation"]


def test_all_stands_for_every_rule_and_leaves_out_likewise(monkeypatch):
    monkeypatch.setattr(rules, "names", lambda: ["backpropagation", "relaxed-identity-as-published", "finite-differences"])
    request = Request("all", network=networks.mlp([2, 250, 1]), seeds=SEEDS)
    asked = ask(tiny.data(), request, GIVEN, Budget(0, 1, {}))
    assert list(asked.plans) == ["backpropagation", "relaxed-identity-as-published"]
    assert list(asked.left_out) == ["finite-differences"]
    assert asked.may_leave_out


def test_a_rule_whose_own_network_does_not_suit_the_loss_is_left_out(monkeypatch):
    monkeypatch.setattr(rules, "default_names", lambda: ["backpropagation", "perceptron"])
    options = {"network": tiny.mlp(2), "loss": "categorical-cross-entropy", **SHORT}
    comparison = compare(tiny.data(), **options)
    assert list(comparison.runs) == ["backpropagation"]
    assert "needs a network with 2 outputs; this one has 1" in comparison.configuration["left_out"]["perceptron"]
    with pytest.raises(UserError, match="2 outputs; this one has 3"):
        compare(tiny.data(), **(options | {"network": tiny.mlp(3)}))
    with pytest.raises(UserError, match="`epochs` is a positive integer"):
        compare(tiny.data(), **(options | {"epochs": 0}))


def test_a_comparison_of_named_rules_leaves_none_out():
    comparison = compare(tiny.data(), rules=["backpropagation"], network=tiny.mlp(), **SHORT)
    assert comparison.configuration["left_out"] == {}


# Forced settings


@pytest.mark.parametrize("setting", ["epochs", "network", "seeds"])
def test_what_belongs_to_the_comparison_cannot_be_forced(setting):
    rule = type("Demanding", (Narrow,), {"forced": {setting: 1}})()
    with pytest.raises(UserError, match=f"the rule demanding forces '{setting}': it can force optimizer, learning_rate"):
        honor(rule, "demanding", tiny.mlp(), tiny.data(), GIVEN)


def test_every_forced_setting_is_used_and_noted():
    forced = {"optimizer": {"network": "sgd", "feedback": "adam"}, "learning_rate": 0.5, "batch_size": 3}
    rule = type("Demanding", (Backpropagation,), {"forced": forced})()
    recipe = honor(rule, "demanding", tiny.mlp(), tiny.data(), GIVEN)
    assert {name: getattr(recipe.setup, name) for name in forced} == forced
    assert recipe.forced == tuple(forced)
    assert recipe.notes[1:] == ("learning_rate forced to 0.5", "batch_size forced to 3")
    assert recipe.notes[0].startswith("optimizer forced to {'network': 'sgd'")


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "lion", {"network": "rmsprop", "feedback": "sgd"}])
def test_a_rule_that_wants_plain_steps_is_told_of_an_optimizer_that_rescales_them(optimizer):
    noted = lambda rule, optimizer: (
        honor(rules.get(rule), rule, tiny.mlp(), tiny.data(), dataclasses.replace(GIVEN, optimizer=optimizer)).notes
    )
    (note,) = noted("hebbian", optimizer)
    name = optimizer["network"] if isinstance(optimizer, dict) else optimizer
    assert note == f"its update is no gradient, and {name} divides it by its own size, number by number: sgd keeps it"
    assert noted("backpropagation", optimizer) == noted("softhebb", optimizer) == noted("hebbian", "momentum") == ()
    assert noted("hebbian", {"network": "sgd", "feedback": "adam"}) == ()


def test_the_perceptron_is_its_algorithm_in_the_loop_s_order_whatever_it_was_given():
    """Every mistake adds its example to the weights, one example a step: the weights are sums of rows, and end separating."""
    data = tiny.data(features=6)
    runs = train(
        networks.mlp([6, 4, 1]),
        data,
        "perceptron",
        seeds=SEEDS,
        optimizer="adam",
        learning_rate=0.1,
        batch_size=tiny.BATCH,
        epochs=60,
    )
    # Its batch is one example; its probe is not, so that its angle says something, until there are no mistakes.
    assert np.all(np.isfinite(runs.gradient_angle[:, :2])) and np.all(runs.gradient_angle[:, :2] > 0)
    forced = ("optimizer forced to sgd", "learning_rate forced to 1.0", "batch_size forced to 1")
    assert heads(runs.notes) == (CHANGED, *forced)
    assert runs.optimizer == "sgd"
    np.testing.assert_array_equal(runs.learning_rates, [1.0, 1.0])
    x, labels = data.train.inputs.astype(np.float64), data.train.targets
    rows = (2 * labels - 1)[:, None] * np.column_stack([x, np.ones(len(x))])
    for i, seed in enumerate(SEEDS):
        w, key = np.zeros(7), streams(jnp.asarray(seed, jnp.uint32)).batches
        for epoch in range(60):
            for n in np.asarray(epoch_indices(jr.fold_in(key, epoch), len(x), 1))[:, 0]:
                w = w if rows[n] @ w > 0 else w + rows[n]
        assert bool((rows @ w > 0).all())
        layer = runs.networks["linear1"]
        np.testing.assert_allclose(np.append(layer.weight[i, 0], layer.bias[i]), w, rtol=1e-10, atol=1e-12)


# The rule's own metrics

DECAY = 0.9


class Measuring(AbstractRule):
    """Backpropagation with a decay after the step, that counts its steps and tells where it was, is and would be."""

    def init(self, network, data, *, key):
        return jnp.asarray(0)

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        return dataclasses.replace(credit, state=state + 1)

    def after_update(self, trainables, state):
        return jax.tree.map(lambda leaf: DECAY * leaf, trainables), state

    def metrics(self, trainables, state, batch, *, before, after):
        weight = lambda network: network["linear1"].weight[0, 0]
        found = {"before": weight(before), "now": weight(trainables), "after": weight(after)}
        return {f"weight/{name}": value for name, value in found.items()} | {
            "steps": state,
            "first_input": batch.inputs[0, 0],
            "last_input": batch.inputs[-1, 0],
            "constant": 1.5,
        }


def measured_by_hand(data, network, seed, rate, epochs):
    """The same curves from a loop in which nothing is hidden."""
    keys, rule = streams(jnp.asarray(seed, jnp.uint32)), Backpropagation()
    x, t = jnp.asarray(data.train.inputs, float), jnp.asarray(data.train.targets)
    loss = ascribe.losses.get("bernoulli-cross-entropy")

    @jax.jit
    def step(network, indices):
        gradients = rule(network, None, Batch(x[indices], t[indices], loss)).gradients
        return jax.tree.map(lambda w, g: DECAY * (w - rate * g), network, gradients)

    network, weight, rows = network.initialize(keys.network), lambda n: float(n["linear1"].weight[0, 0]), []
    for epoch in range(epochs):
        before = network
        for indices in epoch_indices(jr.fold_in(keys.batches, epoch), len(x), tiny.BATCH):
            network = step(network, indices)
        rows.append([weight(before), weight(network), weight(step(network, jnp.arange(min(PROBE, len(x)))))])
    return np.array(rows).T


@pytest.fixture(scope="module")
def measured():
    return tiny.trained(Measuring(), diagnostics=True, learning_rate=0.3, seeds=SEEDS)


def test_own_metrics_are_curves_with_the_values_of_a_loop_by_hand(measured):
    inputs, epochs = measured.data.train.inputs, tiny.EPOCHS
    for i, seed in enumerate(SEEDS):
        before, now, after = measured_by_hand(measured.data, measured.network, seed, 0.3, epochs)
        for name, wanted in (("before", before), ("now", now), ("after", after)):
            np.testing.assert_allclose(measured.curves[f"weight/{name}"][i], wanted, rtol=1e-10)
        np.testing.assert_array_equal(before[1:], now[:-1])  # the step that was tried was not taken
        np.testing.assert_allclose(measured.networks["linear1"].weight[i, 0, 0], now[-1], rtol=1e-10)
    np.testing.assert_array_equal(measured.curves["steps"], [[tiny.STEPS * (e + 1) for e in range(epochs)]] * 2)
    np.testing.assert_array_equal(measured.first_input, np.full((2, epochs), inputs[0, 0], float))
    last = min(PROBE, tiny.TRAIN) - 1
    np.testing.assert_array_equal(measured.last_input, np.full((2, epochs), inputs[last, 0], float))
    np.testing.assert_array_equal(measured.constant, np.full((2, epochs), 1.5))


def test_measuring_changes_nothing(measured):
    silent = type("Silent", (Measuring,), {"metrics": AbstractRule.metrics})()
    without = tiny.trained(silent, learning_rate=0.3, seeds=SEEDS)
    for ours, theirs in zip(jax.tree.leaves(measured.networks), jax.tree.leaves(without.networks), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    own = {name for name in measured.curves if not name.startswith(MEASURED)}
    assert own == {"weight/before", "weight/now", "weight/after", "steps", "first_input", "last_input", "constant"}


def with_metrics(found):
    return type("Mine", (Measuring,), {"metrics": lambda self, *_, **__: found})()


def test_without_diagnostics_nothing_is_measured():
    def refuse(*_, **__):
        raise AssertionError("measured")

    experiment = lambda **options: tiny.experiment(
        tiny.mlp(), tiny.data(), type("Refusing", (Measuring,), {"metrics": refuse})(), 2, **options
    )
    with pytest.raises(AssertionError, match="measured"):
        experiment(diagnostics=True)
    experiment()  # what is traced here is what is trained


@pytest.mark.parametrize("name", [f"{beginning}speed" for beginning in MEASURED])
def test_a_metric_with_the_name_of_another_curve_is_refused(name):
    sentence = f"a metric is one number under a name of its own; Mine gives '{name}'"
    with pytest.raises(UserError, match=sentence):
        tiny.trained(with_metrics({"fine": 0.0, name: jnp.asarray(1.0)}), diagnostics=True)


@pytest.mark.parametrize("value", [np.ones(2), np.ones((1, 1)), [1.0]])
def test_a_metric_that_is_no_single_number_is_refused(value):
    with pytest.raises(UserError, match="a metric is one number under a name of its own; Mine gives 'speeds'"):
        tiny.trained(with_metrics({"speeds": value if isinstance(value, list) else jnp.asarray(value)}), diagnostics=True)


class Odd(AbstractRule):
    """Returns what the contract does not know."""

    wrong: str = eqx.field(static=True, default="adapt")

    def adapt(self, network, data):
        return None if self.wrong == "adapt" else network

    def metrics(self, trainables, state, batch, *, before, after):
        return [1.0]

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)


@pytest.mark.parametrize(("wrong", "sentence"), [("adapt", "returns a Network"), ("metrics", "returns a dict")])
def test_a_hook_that_returns_something_else_is_told_so(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        tiny.trained(Odd(wrong), diagnostics=True)


def test_a_network_in_words_is_built_for_the_data():
    network = network_for("3", tiny.data(), "tanh")
    assert network.config() == tiny.mlp().config()
    assert network_for(network, tiny.data()) is network
