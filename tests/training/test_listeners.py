"""What a listener hears adds up to the curves, and costs nothing where nobody asks."""

import numpy as np
import pytest

from ascribe import compare, training
from ascribe.rules import Backpropagation, KolenPollack
from ascribe.training import Epochs, Listeners, Specification

from . import tiny


class Ears:
    """Remembers everything."""

    def __init__(self):
        self.progress, self.news, self.runs = [], [], []

    def __call__(self, progress):
        self.progress.append(progress)

    def epochs(self, epochs):
        self.news.append(epochs)

    def finished(self, runs):
        self.runs.append(runs)


def joined(news, name):
    return np.concatenate([epochs.curves[name] for epochs in news], axis=1)


def test_the_new_columns_side_by_side_are_the_curves():
    ears = Ears()
    runs = tiny.trained("kolen-pollack", seeds=[4, 2], listener=ears)
    assert len(ears.news) > 1
    assert (ears.news[0].start, ears.news[0].stop, ears.news[-1].stop) == (0, 1, tiny.EPOCHS)
    for one in ears.news:
        assert (one.rule, one.phase, one.total) == ("kolen-pollack", "training", tiny.EPOCHS)
        assert one.seeds == (4, 2) and one.learning_rates == (0.1,) * 2 and one.hyperparameters == ({},) * 2
        assert set(one.curves) == set(runs.curves)
    for name, curve in runs.curves.items():
        np.testing.assert_array_equal(joined(ears.news, name), curve, err_msg=name)
    assert ears.runs == [runs]
    assert ears.progress[-1].done == ears.progress[-1].total


def test_every_shard_of_a_comparison_is_told_with_what_sets_its_runs_apart():
    ears = Ears()
    given = tiny.WORLD | {"network": tiny.mlp(), "tune": 2, "tune_seeds": 2, "learning_rate": None}
    rules = {"one": Backpropagation(), "two": KolenPollack()}
    found = compare(tiny.data(), rules=rules, search={"two.decay": (1e-4, 1e-2)}, listener=ears, **given)
    assert ears.runs == list(found.runs.values())
    tuning = [one for one in ears.news if one.phase == "tuning" and one.rule == "two" and one.start == 0]
    rates = [rate for one in tuning for rate in one.learning_rates]
    np.testing.assert_array_equal(rates, np.repeat(found.tuning["two"].learning_rates, 2))
    decays = [one["decay"] for shard in tuning for one in shard.hyperparameters]
    np.testing.assert_array_equal(decays, np.repeat(found.tuning["two"].hyperparameters["decay"], 2))
    for name, runs in found.runs.items():
        news = [one for one in ears.news if (one.rule, one.phase) == (name, "training")]
        assert {one.seeds for one in news} == {runs.seeds}
        np.testing.assert_array_equal(joined(news, "validation_loss"), runs.curves["validation_loss"])


def test_repeats_that_fill_up_a_shard_are_not_told():
    experiment = tiny.experiment(tiny.mlp(), tiny.data(), Backpropagation(), 2)
    ears = Ears()
    trained = experiment.train([Specification(seed, 0.1) for seed in (0, 1, 2)], listener=ears)
    last = [one for one in ears.news if one.seeds == (2,)]
    np.testing.assert_array_equal(joined(last, "train_loss"), trained.curves["train_loss"][2:])


def test_nothing_is_fetched_where_nobody_asks():
    ears = Ears()
    tiny.trained(listener=ears)
    assert all("curves" not in vars(one) for one in ears.news)
    assert ears.news[0].curves is ears.news[0].curves  # and once where somebody does


def test_columns_of_several_devices_come_in_the_order_of_the_runs():
    """Two devices share the runs of every test (`conftest.py`)."""
    assert training.devices.count() == 2
    ears = Ears()
    runs = tiny.trained(seeds=[9, 1, 5, 3], listener=ears)
    np.testing.assert_array_equal(joined(ears.news, "train_loss"), runs.curves["train_loss"])
    assert len(np.unique(runs.curves["train_loss"][:, -1])) == 4


def test_several_listeners_hear_the_same_and_functions_hear_what_they_did_before():
    first, second, said = Ears(), Ears(), []
    both = Listeners(first, said.append, second)
    runs = tiny.trained(listener=both)
    assert first.news == second.news and first.progress == second.progress == said
    assert first.runs == second.runs == [runs]
    assert all(isinstance(one, Epochs) for one in first.news)


def test_a_listener_may_have_one_ear_only():
    class Last:
        def __call__(self, progress):
            pass

        def finished(self, runs):
            self.runs = runs

    last = Last()
    runs = tiny.trained(listener=last)
    assert last.runs is runs


@pytest.mark.parametrize("name", ["Epochs", "Listener", "Listeners", "Progress"])
def test_names_for_those_who_write_listeners(name):
    assert hasattr(training, name)
