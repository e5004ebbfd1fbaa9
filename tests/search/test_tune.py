"""Tuning chooses by validation alone, the same for every rule."""

import dataclasses

import numpy as np
import pytest

from ascribe import compare
from ascribe.datasets import Split
from ascribe.errors import UserError
from ascribe.experiments.plan import Budget
from ascribe.rules import AbstractRule, FeedbackAlignment
from ascribe.search import tune
from ascribe.search.tune import candidates
from ascribe.training import Kept, Setup, Trainer, check_seeds

from ..training import tiny

INFINITY = float("inf")


class Rehearsed(Trainer):
    """A trainer whose curves are written down: the validation accuracy and loss of every run's last epoch."""

    def __init__(self, accuracy, loss, diverged=None, name="accuracy", select="last", score=None):
        self.score, self.loss = np.asarray(accuracy, float), np.asarray(loss, float)
        self.broken = np.full(len(self.score), -1) if diverged is None else np.asarray(diverged)
        self.recipe = dataclasses.replace(tiny.recipe(tiny.mlp(), tiny.data()), setup=Setup(select=select, score=score))
        self.named, self.asked = name, []

    def train(self, specifications, phase, *, keep):
        assert not keep
        self.asked, self.phase = list(specifications), phase
        curves = {f"validation_{self.named}": self.score.reshape(len(specifications), -1)}
        if self.recipe.setup.score:
            curves |= {"validation_accuracy": np.linspace(0.1, 0.9, self.score.size).reshape(-1, 1)}
        curves["validation_loss"] = self.loss.reshape(len(specifications), -1)
        rows = ({name: curve[row] for name, curve in curves.items()} for row in range(len(specifications)))
        return [Kept(row, int(broken), None, None, 0.5) for row, broken in zip(rows, self.broken, strict=True)]


def chosen(experiment, count, seeds=(7,), ranges=None):
    return tune(experiment, count, ranges or {"learning_rate": (1e-3, 1e-1)}, seeds)


def test_every_candidate_is_tried_on_every_seed():
    experiment = Rehearsed([0.5] * 6, [1.0] * 6)
    found = chosen(experiment, 3, (7, 9))
    assert [(one.seed, one.learning_rate) for one in experiment.asked] == [
        (seed, rate) for rate in found.learning_rates for seed in (7, 9)
    ]
    assert experiment.phase == "tuning"
    assert found.scores.shape == found.losses.shape == (3, 2)
    assert found.seeds == (7, 9)


TABLE = {
    "the best score": ([0.5, 0.9, 0.7], [1, 1, 1], None, 1),
    "a tie is settled by the loss": ([0.5, 0.9, 0.9], [0.1, 2.0, 1.0], None, 2),
    "a full tie goes to the smallest rate": ([0.9, 0.9, 0.9], [1, 1, 1], None, 0),
    "a diverged candidate is not chosen, however good": ([0.5, 1.0, 0.6], [1, 0, 1], [-1, 2, -1], 2),
    "a candidate without a finite score that was not marked": ([0.5, np.nan, 0.6], [1, np.nan, 1], [-1, 0, -1], 2),
    "all diverged: the smallest rate": ([np.nan] * 3, [np.nan] * 3, [0, 0, 0], 0),
}


@pytest.mark.parametrize(("accuracy", "loss", "diverged", "wanted"), TABLE.values(), ids=TABLE)
def test_the_choice_of_a_candidate(accuracy, loss, diverged, wanted):
    found = chosen(Rehearsed(accuracy, loss, diverged), 3)
    assert found.chosen == wanted
    assert found.learning_rate == found.learning_rates[wanted]


def test_one_diverged_seed_rules_a_candidate_out():
    found = chosen(Rehearsed([0.9, 0.9, 0.4, 0.4], [1] * 4, [-1, 3, -1, -1]), 2, (7, 9))
    assert found.chosen == 1
    np.testing.assert_array_equal(found.scores, [[0.9, -INFINITY], [0.4, 0.4]])
    np.testing.assert_array_equal(found.losses, [[1, INFINITY], [1, 1]])


def test_the_lowest_error_wins_in_regression():
    found = chosen(Rehearsed([3.0, 1.0, 2.0], [1, 1, 1], name="rmse"), 3)
    assert found.chosen == 1
    np.testing.assert_array_equal(found.scores.ravel(), [-3, -1, -2])


@pytest.mark.parametrize(("name", "wanted"), [("auc", 0), ("log_loss", 1)])
def test_the_chosen_measure_decides_in_its_own_direction(name, wanted):
    """The last candidate has the best accuracy, which says nothing here."""
    found = chosen(Rehearsed([3.0, 1.0, 2.0], [1, 1, 1], name=name, score=name), 3)
    assert found.chosen == wanted
    np.testing.assert_array_equal(found.scores.ravel(), np.asarray([3, 1, 2]) * (1 if wanted == 0 else -1))


def test_a_candidate_is_judged_at_the_epoch_that_is_tested():
    """Accuracies over three epochs: the first candidate was better once, the second one is better at the end."""
    curves = [[0.2, 0.9, 0.1], [0.2, 0.5, 0.6]]
    loss = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    assert chosen(Rehearsed(curves, loss, [-1, -1]), 2).chosen == 1
    assert chosen(Rehearsed(curves, loss, [-1, -1], select="best-validation"), 2).chosen == 0


@pytest.mark.parametrize(("best", "edge"), [(0, True), (1, False), (2, False), (3, True)])
def test_a_rate_at_an_end_of_its_range_is_noted(best, edge):
    accuracy = [0.5] * 4
    accuracy[best] = 0.6
    assert chosen(Rehearsed(accuracy, [1] * 4), 4).at_edge is edge


def test_a_rate_is_at_an_end_of_its_range_within_half_a_step_of_a_grid():
    """Where more is tuned than the rate, no candidate lies exactly there."""
    ranges = {"learning_rate": (1e-4, 1.0), "scale": (0.5, 2.0)}
    rates = candidates(5, ranges)["learning_rate"]
    half = 4 / (2 * 4)  # of four decades, in four steps
    ends = (np.log10(rates) < -4 + half) | (np.log10(rates) > -half)
    assert 0 < ends.sum() < 5
    assert rates.min() > 1e-4
    assert rates.max() < 1.0
    for i, at_end in enumerate(ends):
        assert chosen(Rehearsed(np.eye(5)[i], [1.0] * 5), 5, ranges=ranges).at_edge is bool(at_end)


def test_a_single_candidate_is_at_no_edge():
    assert chosen(Rehearsed([0.5], [1.0]), 1).at_edge is False
    assert chosen(Rehearsed([0.5, 0.4], [1.0, 1.0]), 2).at_edge is False  # a third of the range from its end


SETTINGS = tiny.WORLD | {"learning_rate": None}
TUNED = SETTINGS | {"rules": ["feedback-alignment"], "tune": 3, "tune_seeds": 1}
TUNED["search"] = {"learning_rate": (1e-2, 1.0), "feedback-alignment.scale": (0.5, 2.0)}


@pytest.fixture(scope="module")
def regression():
    return tiny.data("regression")


@pytest.fixture(scope="module")
def comparison(regression):
    return compare(regression, network=tiny.mlp(), **TUNED)


def test_the_test_split_has_no_say_in_tuning(comparison, regression):
    garbage = Split(regression.test.inputs, np.full_like(regression.test.targets, 1e6))
    poisoned = compare(dataclasses.replace(regression, test=garbage), network=tiny.mlp(), **TUNED)
    ours, theirs = comparison.tuning["feedback-alignment"], poisoned.tuning["feedback-alignment"]
    np.testing.assert_array_equal(ours.scores, theirs.scores)
    assert ours.chosen == theirs.chosen
    one, other = comparison.runs["feedback-alignment"], poisoned.runs["feedback-alignment"]
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve, other.curves[name], err_msg=name)
    assert np.all(other.test_rmse > 1e5 * one.test_rmse)
    assert np.all(np.isfinite(one.test_rmse))


def test_a_number_of_the_rule_is_tuned_within_the_same_budget(comparison):
    tuning = comparison.tuning["feedback-alignment"]
    assert tuning.learning_rates.shape == tuning.hyperparameters["scale"].shape == (3,)
    assert np.all((tuning.hyperparameters["scale"] >= 0.5) & (tuning.hyperparameters["scale"] <= 2.0))
    assert tuning.chosen == np.argmax(tuning.scores.mean(axis=1))
    runs = comparison.runs["feedback-alignment"]
    assert runs.hyperparameters == {"scale": tuning.hyperparameters["scale"][tuning.chosen]}
    np.testing.assert_array_equal(runs.learning_rates, [tuning.learning_rate] * 2)


def test_the_final_runs_are_those_of_the_chosen_candidate(comparison, regression):
    tuned = comparison.runs["feedback-alignment"]
    rate, scale = tuned.learning_rates[0], tuned.hyperparameters["scale"]
    runs = tiny.trained(FeedbackAlignment(scale=scale), regression, learning_rate=rate)
    np.testing.assert_allclose(tuned.train_loss, runs.train_loss, rtol=1e-10)
    np.testing.assert_allclose(tuned.test_rmse, runs.test_rmse, rtol=1e-10)


def test_tuning_seeds_are_none_of_the_final_ones(comparison):
    assert not set(comparison.tuning["feedback-alignment"].seeds) & set(comparison.runs["feedback-alignment"].seeds)


@pytest.mark.parametrize("seeds", [(0, 1), (7, 100_001), (100_000,), (2**31 - 1,), (0, 1, 2**31 - 2)])
def test_tuning_seeds_are_none_of_the_final_ones_wherever_these_lie(seeds):
    found = Budget(1, 3, {}).seeds(seeds)
    assert len(set(found)) == 3 and not set(found) & set(seeds)
    assert check_seeds(found) == found


class Forced(AbstractRule):
    """The gradient one for every number, under settings that it insists on."""

    forced = {  # noqa: RUF012 - a class attribute of the contract
        "optimizer": "sgd",
        "learning_rate": 0.25,
        "batch_size": tiny.TRAIN,
    }

    def adapt(self, network, data):
        return tiny.mlp(activation="relu")

    def __call__(self, network, state, batch, *, key):
        return tiny.Constant()(network, state, batch, key=key)


def test_forced_settings_are_honored_and_flagged(regression):
    settings = SETTINGS | {"network": tiny.mlp(), "optimizer": "adam"}
    comparison = compare(regression, rules=[Forced()], tune=3, tune_seeds=1, **settings)
    runs = comparison.runs["Forced"]
    assert "Forced" not in comparison.tuning
    np.testing.assert_array_equal(runs.learning_rates, [0.25, 0.25])
    assert runs.optimizer == "sgd"
    assert runs.network.names == ("linear1", "relu1", "linear2")
    for setting in ("network", "optimizer", "learning_rate", "batch_size"):
        assert any(setting in note for note in runs.notes), setting
    # One step an epoch of 0.25 with plain SGD: the zero biases have gone down by 0.25 in each of the three epochs.
    np.testing.assert_allclose(runs.networks["linear1"].bias, -0.25 * tiny.EPOCHS, rtol=1e-12)


def test_a_rule_cannot_force_what_belongs_to_the_comparison(regression):
    demanding = type("Demanding", (tiny.Constant,), {"forced": {"epochs": 100}})
    with pytest.raises(UserError, match="Demanding forces 'epochs'"):
        compare(regression, rules=[demanding()], network=tiny.mlp(), **SETTINGS)
