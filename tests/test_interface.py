"""The names and shapes that users build on."""

import importlib

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

import ascribe
from ascribe import report

from .store import case
from .store.case import OPTIONS, RULES, comparison, plain

SEEDS, EPOCHS = OPTIONS["seeds"], OPTIONS["epochs"]


@pytest.fixture(scope="module")
def data():
    return case.data()


@pytest.fixture(scope="module")
def network():
    return ascribe.networks.mlp([2, 4, 1], activation="relu", key=jr.key(0))


@pytest.fixture(scope="module")
def runs(data, network):
    rule = ascribe.rules.FeedbackAlignment()
    return ascribe.train(network, data, rule, optimizer="adam", learning_rate=1e-3, epochs=EPOCHS, batch_size=32, seeds=SEEDS)


@pytest.mark.parametrize("name", [name for name in dir(ascribe) if not name.startswith("_")])
def test_every_public_name_is_there(name):
    found = getattr(ascribe, name)
    assert found is getattr(ascribe, name)
    assert name in dir(ascribe)


def test_arrays_of_one_s_own_are_one_argument():
    wanted = r"^compare\(data, …\): too many positional arguments.*, and arrays of your own as one, \(inputs, targets\)\.$"
    with pytest.raises(TypeError, match=wanted):
        ascribe.compare(*[np.zeros((4, 2))] * 9)
    with pytest.raises(TypeError, match=r"^train\(network, data, rule, …\): missing a required argument: 'rule'\.$"):
        ascribe.train("moons", "8x8")


def test_a_star_imports_every_public_name():
    assert set(ascribe.__all__) == set(dir(ascribe)) - {"__version__"}


def test_another_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="nosuch"):
        ascribe.nosuch  # noqa: B018


def test_the_version_is_a_release_number():
    assert [part.isdecimal() for part in ascribe.__version__.split(".")[:2]] == [True, True]


def test_a_data_set_is_loaded_by_name():
    data = ascribe.datasets.load("moons", samples=1000, noise=0.1, seed=0)
    assert (len(data.train), len(data.validation), len(data.test)) == (700, 150, 150)
    assert data.input_shape == (2,)
    assert data.task == "binary"


def test_a_network_is_called_on_a_batch():
    network = ascribe.networks.mlp([2, 64, 64, 2], activation="relu", key=jr.key(0))
    assert network(jnp.ones((5, 2))).shape == (5, 2)
    assert network.outputs == 2
    assert network.parameters == (2 * 64 + 64) + (64 * 64 + 64) + (64 * 2 + 2)


def test_a_rule_is_had_by_class_and_by_name():
    assert isinstance(ascribe.rules.get("feedback-alignment"), ascribe.rules.FeedbackAlignment)
    assert isinstance(ascribe.rules.get("backprop"), ascribe.rules.Backpropagation)
    wanted = {
        "backpropagation",
        "feedback-alignment",
        "direct-feedback-alignment",
        "sign-symmetry",
        "sign-symmetry-batch-random",
        "sign-symmetry-fixed-random",
        "kolen-pollack",
    }
    assert wanted <= set(ascribe.rules.names())


def test_runs_have_curves_and_scores_by_name(runs):
    for curve in (runs.train_loss, runs.validation_loss, runs.validation_accuracy, runs.gradient_angle):
        assert curve.shape == (SEEDS, EPOCHS)
    for score in (runs.test_accuracy, runs.test_loss, runs.area_under_train_loss):
        assert score.shape == (SEEDS,)
    assert runs.curves["gradient_angle/linear1"].shape == (SEEDS, EPOCHS)
    assert runs.curves["feedback_angle/linear2"].shape == (SEEDS, EPOCHS)
    assert runs.seeds == tuple(range(SEEDS))
    assert not runs.diverged.any()
    np.testing.assert_allclose(runs.area_under_train_loss, runs.train_loss.sum(axis=1), rtol=1e-12)


def test_runs_without_such_a_curve_say_which_ones_there_are(runs):
    with pytest.raises(AttributeError, match=r"test_rmse.*train_loss.*test_accuracy"):
        runs.test_rmse  # noqa: B018


def test_runs_predict(runs, data):
    predicted = runs.predict(data.test.inputs)
    assert predicted.shape == (SEEDS, len(data.test))
    np.testing.assert_allclose(runs.test_accuracy, np.mean(predicted == data.test.targets[None], axis=1), rtol=1e-12)


def test_a_network_may_be_a_factory_and_a_rule_a_name(data):
    factory = lambda key: ascribe.networks.mlp([2, 4, 1], activation="relu", key=key)
    options = {"epochs": EPOCHS, "seeds": SEEDS}
    made = ascribe.train(factory, data, "backprop", **options)
    again = ascribe.train(factory, data, ascribe.rules.Backpropagation(), **options)
    assert made.train_loss.shape == (SEEDS, EPOCHS)
    np.testing.assert_array_equal(made.train_loss, again.train_loss)


def test_a_comparison_has_a_page(tmp_path):
    page = comparison().report(tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    assert "feedback-alignment" in page.read_text(encoding="utf-8")


def test_a_comparison_has_a_table_a_frame_and_a_record(tmp_path, monkeypatch):
    found = comparison()
    rows = found.table()
    assert {row.rule for row in rows} == set(RULES)
    assert [row.mean for row in rows] == sorted((row.mean for row in rows), reverse=True)
    assert found.reference == "backpropagation"

    frame = found.to_frame()
    assert len(frame) == len(RULES) * OPTIONS["seeds"]
    assert {"rule", "seed", "learning_rate", "status", "test_accuracy"} <= set(frame.columns)
    for name, runs in found.runs.items():
        np.testing.assert_array_equal(frame[frame["rule"] == name]["test_accuracy"], runs.test_accuracy)
    assert set(frame["status"]) == {"finished"}

    plain(monkeypatch)
    found.save(tmp_path / "record")
    loaded = ascribe.load(tmp_path / "record")
    assert isinstance(loaded, ascribe.Comparison)
    assert loaded.table() == rows
    assert report.write_page(loaded, tmp_path / "again.html").is_file()


def test_a_comparison_without_pandas_says_what_to_install(monkeypatch):
    monkeypatch.setitem(importlib.sys.modules, "pandas", None)
    with pytest.raises(ascribe.UserError, match=r"ascribe-learning\[tables\]"):
        comparison().to_frame()


def test_value_and_credit_trains_in_a_loop_of_one_s_own(data, network):
    """Ten lines of Optax lower the loss, with the manners of `jax.value_and_grad`."""
    rule = ascribe.rules.Backpropagation()
    batch = (jnp.asarray(data.train.inputs, float), jnp.asarray(data.train.targets))
    credited = ascribe.value_and_credit(rule)
    optimizer = optax.sgd(0.5)

    @jax.jit
    def step(network, state, moments):
        loss, credit = credited(network, state, batch, key=jr.key(0))
        assert jax.tree.structure(credit.gradients) == jax.tree.structure(network)
        updates, moments = optimizer.update(credit.gradients, moments)
        return loss, optax.apply_updates(network, updates), credit.state, moments

    state = rule.init(network, ascribe.rules.as_batch(network, data), key=jr.key(0))
    moments, losses = optimizer.init(network), []
    for _ in range(5):
        loss, network, state, moments = step(network, state, moments)
        losses.append(float(loss))
    assert losses == sorted(losses, reverse=True)


def test_a_user_error_is_a_value_error():
    assert issubclass(ascribe.UserError, ValueError)
    with pytest.raises(ascribe.UserError):
        ascribe.rules.get("nosuch")
