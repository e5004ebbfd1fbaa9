"""`compare(folds=K)`: each fold is the comparison on its data, and all of them together are one table."""

import dataclasses

import jax
import numpy as np
import pytest

from ascribe import compare, datasets, load
from ascribe.errors import UserError
from ascribe.experiments.compare import preview
from ascribe.experiments.merging import merge
from ascribe.statistics import corrected_interval, corrected_t_test, holm
from ascribe.store import Store
from ascribe.store.model import Model
from ascribe.training.runs import of_folds

from ..store.case import FOLDS, OPTIONS, RULES, data, in_folds, plain

BACKPROPAGATION, ALIGNMENT = RULES


@pytest.fixture(scope="session")
def folded():
    return in_folds()


def same(one, other):
    """Whether two comparisons have the same numbers, bit for bit."""
    assert list(one.runs) == list(other.runs)
    for rule, runs in one.runs.items():
        theirs = other.runs[rule]
        assert (runs.seeds, runs.folds, runs.notes) == (theirs.seeds, theirs.folds, theirs.notes)
        np.testing.assert_array_equal(runs.learning_rates, theirs.learning_rates)
        for name, values in {**runs.curves, **runs.scores}.items():
            np.testing.assert_array_equal(values, getattr(theirs, name), err_msg=f"{rule} {name}")


def test_a_fold_is_the_comparison_on_its_data_and_compiles_nothing_more(folded):
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **about: compiled.append(event) if "backend_compile" in event else None
    )
    parts = datasets.folds(data(), FOLDS)
    alone = compare(parts[1], rules=list(RULES), **OPTIONS)
    assert not compiled
    same(folded.folds[1], alone)
    for rule in RULES:
        np.testing.assert_array_equal(folded.folds[1].tuning[rule].scores, alone.tuning[rule].scores)
    assert [fold.data.checksum for fold in folded.folds] == [part.checksum for part in parts]


def test_the_runs_of_all_folds_are_those_of_each_in_turn(folded):
    runs = folded.runs[ALIGNMENT]
    each = [fold.runs[ALIGNMENT] for fold in folded.folds]
    assert runs.seeds == (0, 1) * FOLDS and runs.folds == (1, 1, 2, 2, 3, 3)
    for name in ("test_accuracy", "train_loss"):
        np.testing.assert_array_equal(getattr(runs, name), np.concatenate([getattr(one, name) for one in each]))
    np.testing.assert_array_equal(folded.confusion_matrix(ALIGNMENT).sum(), 2 * 60)  # two seeds test each example once
    assert folded.configuration["folds"] == FOLDS and folded.configuration["data"]["fold"] == [1, FOLDS]
    assert runs.seconds == pytest.approx(sum(one.seconds for one in each))


def test_the_table_and_the_statistics_are_over_folds(folded):
    own, other = ([fold.runs[rule].test_accuracy.mean() for fold in folded.folds] for rule in (ALIGNMENT, BACKPROPAGATION))
    row = {row.rule: row for row in folded.table()}[ALIGNMENT]
    ratio = 20 / 40
    assert row.folds == pytest.approx(own) and row.seeds == 2 * FOLDS
    assert (row.mean, row.half_width) == pytest.approx(tuple(map(float, corrected_interval(np.array(own), ratio))))
    apart = np.subtract(own, other)
    assert (row.difference, row.difference_half_width) == pytest.approx(tuple(map(float, corrected_interval(apart, ratio))))
    statistics = {one.rule: one for one in folded.statistics()}[ALIGNMENT]
    p_value = corrected_t_test(apart, test_to_train=ratio)
    assert (statistics.p_value, statistics.adjusted_p_value) == pytest.approx((p_value, holm([p_value])[0]))
    assert statistics.cohens_d is None and statistics.seeds_needed is None and statistics.folds == FOLDS


def test_networks_belong_to_their_fold(folded):
    rows = np.zeros((2, 2))
    for ask in ("predict", "outputs", "probabilities"):
        with pytest.raises(UserError, match=r"take those of one, as in comparison.folds\[0\]"):
            getattr(folded.runs[ALIGNMENT], ask)(rows)
    with pytest.raises(UserError, match="a model is of one run"):
        Model.of(folded.runs[ALIGNMENT], seed=0)
    assert folded.folds[2].runs[ALIGNMENT].predict(rows).shape == (2, 2)
    assert Model.of(folded.folds[2].runs[ALIGNMENT], seed=0).predict(rows).shape == (2,)


def test_what_is_noted_in_some_folds_tells_in_which(folded):
    parts = [fold.runs[ALIGNMENT] for fold in folded.folds]
    notes = [("always", "once"), ("always",), ("always",)]
    chosen = [{"scale": 0.5}, {"scale": 2.0}, {"scale": 2.0}]
    given = [
        dataclasses.replace(part, notes=some, hyperparameters=numbers)
        for part, some, numbers in zip(parts, notes, chosen, strict=True)
    ]
    joined = of_folds(given)
    assert joined.notes == ("always", "once (fold 1)", "scale = 0.5 (fold 1)", "scale = 2 (folds 2, 3)")
    assert joined.hyperparameters == {}


def test_a_record_has_every_fold(folded, tmp_path, monkeypatch):
    plain(monkeypatch)
    folded.save(tmp_path / "record")
    found = load(tmp_path / "record")
    same(folded, found)
    assert [fold.data.fold for fold in found.folds] == [(1, 3), (2, 3), (3, 3)]
    for one, other in zip(folded.folds, found.folds, strict=True):
        same(one, other)
        assert one.data.checksum == other.data.checksum
        rows = one.data.test.inputs
        np.testing.assert_array_equal(one.runs[ALIGNMENT].predict(rows), other.runs[ALIGNMENT].predict(rows))
    alone = load(tmp_path / "record" / "folds" / "2")
    same(alone, folded.folds[1])
    text = (tmp_path / "record" / "runs.csv").read_text().splitlines()
    assert text[0].startswith("rule,fold,seed,learning_rate,tuned,") and len(text) == 1 + 2 * FOLDS * len(RULES)
    assert text[3].startswith("backpropagation,2,0,")
    assert folded.to_frame()["fold"].tolist() == [1, 1, 2, 2, 3, 3] * 2


@pytest.mark.parametrize("file", ["folds/2/record.json", "folds/3/curves/backpropagation.npz", "folds/1/data.npz"])
def test_a_fold_that_is_damaged_or_missing_is_told(folded, tmp_path, monkeypatch, file):
    plain(monkeypatch)
    folded.save(tmp_path / "record")
    path = tmp_path / "record" / file
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(UserError, match="is damaged"):
        load(tmp_path / "record")
    path.unlink()
    with pytest.raises(UserError, match="is damaged"):
        load(tmp_path / "record")


def test_a_record_is_replaced_whole(folded, tmp_path, monkeypatch):
    plain(monkeypatch)
    folded.save(tmp_path / "record")
    folded.folds[0].save(tmp_path / "record", overwrite=True)
    assert not (tmp_path / "record" / "folds").exists()
    folded.save(tmp_path / "record", overwrite=True)
    same(load(tmp_path / "record"), folded)
    assert not (tmp_path / "record" / "parameters").exists()


def test_a_store_tells_folds_apart_and_trains_nothing_twice(folded, tmp_path):
    place = tmp_path / "runs.sqlite"
    first, heard = compare(data(), rules=list(RULES), folds=FOLDS, store=place, **OPTIONS), []
    same(first, folded)
    again = compare(data(), rules=list(RULES), folds=FOLDS, store=place, listener=heard.append, **OPTIONS)
    same(again, folded)
    assert not heard
    store = Store(place)
    one, _ = store.experiments()
    count = FOLDS * len(RULES) * (2 + 2)
    assert one["status"] == "finished" and one["runs"] == count
    table = store.table(one["id"])
    assert list(table[0])[3:6] == ["data", "fold", "network"]
    assert [row["fold"] for row in table] == [1] * 4 + [2] * 4 + [3] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert len({row["key"] for row in table}) == count
    compare(data(), rules=[BACKPROPAGATION], store=place, **OPTIONS)
    table = store.table()
    assert [row["fold"] for row in table[-4:]] == [None] * 4
    assert "fold" not in store.table(store.experiments()[0]["id"])[0]


def test_a_listener_hears_of_which_fold_it_is():
    class Hearing:
        def __init__(self):
            self.rules, self.finals = set(), []

        def __call__(self, progress):
            self.rules.add(progress.rule)

        def epochs(self, epochs):
            self.rules.add(epochs.rule)

        def finished(self, runs):
            self.finals.append((runs.rule, runs.seeds, runs.data.fold))

    hearing = Hearing()
    compare(data(), rules=[BACKPROPAGATION], folds=FOLDS, listener=hearing, **OPTIONS)
    names = [f"backpropagation, fold {fold}" for fold in (1, 2, 3)]
    assert hearing.rules == set(names)
    assert hearing.finals == [(name, (0, 1), (fold, FOLDS)) for fold, name in enumerate(names, 1)]


def test_a_preview_counts_the_runs_of_all_folds(folded):
    plan = preview(data(), rules=list(RULES), folds=FOLDS, **OPTIONS)
    assert plan["folds"] == [{name: len(split) for name, split in fold.data.splits} for fold in folded.folds]
    assert plan["runs"] == FOLDS * len(RULES) * (2 + 2)
    assert plan["rules"][ALIGNMENT]["tuning"] == 2 * FOLDS


def test_folds_are_merged_one_by_one(folded):
    alone = [_of_rules(folded, [rule]) for rule in RULES]
    merged = merge(*alone)
    same(merged, folded)
    assert merged.configuration["folds"] == FOLDS
    with pytest.raises(UserError, match="the same folds; these have 3 folds and none"):
        merge(folded, folded.folds[0])
    other = dataclasses.replace(
        folded.folds[0],
        runs={rule: dataclasses.replace(runs, optimizer="x") for rule, runs in folded.folds[0].runs.items()},
    )
    uneven = folded.of_folds([other, *folded.folds[1:]], folded.configuration)
    with pytest.raises(UserError, match="the same in some folds"):
        merge(folded, uneven)


def _of_rules(comparison, names):
    folds = [dataclasses.replace(fold, runs={name: fold.runs[name] for name in names}, tuning={}) for fold in comparison.folds]
    return comparison.of_folds(folds, comparison.configuration)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"folds": 1}, "`folds` is an integer of at least 2; got 1"),
        ({"folds": 31}, "from 2 to 30, .*; got 31"),
        ({"folds": 2, "landscape": "linear1"}, "`landscape` is drawn of one division"),
    ],
)
def test_folds_that_do_not_fit_are_refused(options, said):
    with pytest.raises(UserError, match=said):
        compare(data(), rules=[BACKPROPAGATION], **options)
