"""Records and stores that an earlier version wrote (0.1.0, before `training.Setup`): they are read as they were."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import ascribe
from ascribe.store import Store

EARLIER = Path(__file__).parent / "earlier"
"""Of moons (60 points, seed 0), two rules, network "4", two seeds, 3 epochs, tune 2, only linear2, best on validation; float32;
the record without its page and figures."""
SCALED = "feedback-alignment:scale=0.5"
LOSSES = [0.6803752183914185, 0.7643631100654602]


def test_a_record_is_read():
    found = ascribe.load(EARLIER / "record")
    assert list(found.runs) == ["backpropagation", SCALED]
    for name, runs in found.runs.items():
        assert runs.curves["train_loss"][:, -1].tolist() == LOSSES  # only the last layer is trained: both rules are the same
        assert np.allclose(runs.scores["test_accuracy"], [5 / 9, 4 / 9], atol=1e-6)
        assert (runs.seeds, runs.optimizer, runs.loss) == ((0, 1), "adam", "bernoulli-cross-entropy")
        assert found.tuning[name].learning_rate == 0.046415888336127774
    own = found.configuration
    assert (own["epochs"], own["batch_size"], own["select"], own["only"]) == (3, 16, "best-validation", "linear2")
    assert len(found.table()) == 2


def test_what_it_learned_is_trained_alike_today():
    found = ascribe.load(EARLIER / "record")
    settings = dict(epochs=3, batch_size=16, seeds=2, select="best-validation", only="linear2")
    rate = found.tuning["backpropagation"].learning_rate
    with jax.enable_x64(False):
        today = ascribe.train("4", found.data, "backpropagation", learning_rate=rate, **settings)
    assert np.allclose(today.curves["train_loss"][:, -1], LOSSES, rtol=1e-5)


def test_a_record_merges_with_itself(tmp_path):
    found = ascribe.load(EARLIER / "record")
    both = ascribe.merge(found, found)
    assert list(both.runs) == list(found.runs)
    assert both.runs[SCALED].seeds == (0, 1)


def test_a_store_is_read_and_its_runs_are_told_as_outdated(tmp_path):
    file = tmp_path / "store.sqlite"
    shutil.copy(EARLIER / "store.db", file)
    store = Store(file)
    try:
        runs = store.runs()
        assert len(runs) == 8  # two rules: two candidates on one seed, and two seeds
        assert {row["status"] for row in store.experiments()} == {"finished"}
    finally:
        store.close()
    given = dict(rules=["backpropagation", SCALED], network="4", seeds=2, tune=2, tune_seeds=1, epochs=3, batch_size=16)
    data = ascribe.datasets.load("moons", samples=60, seed=0)
    told = pytest.warns(UserWarning, match="the store has [1-9]\\d* of these runs as other code made them")
    with told, jax.enable_x64(False):
        again = ascribe.compare(data, store=file, select="best-validation", only="linear2", **given)
    assert np.allclose(again.runs["backpropagation"].curves["train_loss"][:, -1], LOSSES, rtol=1e-5)
