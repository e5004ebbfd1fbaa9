"""A comparison by a measure of one's own choosing: what is recorded, what decides, what is shown; beside scikit-learn."""

import dataclasses
import sys

import numpy as np
import pytest

import ascribe
from ascribe import statistics
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.measures import CLASS_MEASURES
from ascribe.store import Store
from ascribe.training.evaluate import CONFUSION, Answers, judged

from ..later import Later
from ..training import tiny

metrics = Later("sklearn.metrics")
RULES = ["backpropagation", "feedback-alignment"]
OPTIONS = tiny.WORLD | {"learning_rate": None, "rules": RULES, "tune": 2, "tune_seeds": 1, "network": tiny.mlp(3)}


def uneven():
    """Three classes, of which one is rare."""
    data = tiny.data("classification")
    rare = lambda split: Split(split.inputs, np.where(np.arange(len(split)) % 5 == 0, 2, split.targets % 2).astype(np.int32))
    parts = {name: rare(getattr(data, name)) for name in ("train", "validation", "test")}
    return Dataset("uneven", "classification", **parts, class_names=data.class_names)


@pytest.fixture(scope="module")
def found():
    return ascribe.compare(uneven(), score="macro-f1", **OPTIONS)


def by_scikit_learn(split, chances):
    """Every measure of classes, of probabilities."""
    truth, predicted, every = split.targets, chances.argmax(axis=1), range(chances.shape[1])
    return {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
        "auc": metrics.roc_auc_score(truth, chances, multi_class="ovr"),
        "log_loss": metrics.log_loss(truth, chances, labels=every),
        "loss": metrics.log_loss(truth, chances, labels=every),
    }


def test_every_test_score_is_scikit_learn_s(found):
    test = found.data.test
    for rule in RULES:
        runs = found.runs[rule]
        for row, chances in enumerate(runs.probabilities(test.inputs)):
            wanted = by_scikit_learn(test, chances)
            assert set(wanted) == set(CLASS_MEASURES)
            assert wanted["balanced_accuracy"] != wanted["accuracy"]
            for name, value in wanted.items():
                np.testing.assert_allclose(runs.scores[f"test_{name}"][row], value, rtol=1e-10, err_msg=name)


def test_the_chosen_measure_has_a_curve_and_the_others_have_none(found):
    validation = found.data.validation
    for runs in found.runs.values():
        names = {name for name in runs.curves if name.startswith("validation_")}
        assert names == {"validation_loss", "validation_accuracy", "validation_macro_f1"}
        for curve, chances in zip(runs.validation_macro_f1, runs.probabilities(validation.inputs), strict=True):
            np.testing.assert_allclose(curve[-1], by_scikit_learn(validation, chances)["macro_f1"], rtol=1e-10)


def test_it_decides_the_table_and_the_statistics_and_is_told(found):
    assert found.configuration["score"] == "macro_f1"
    assert {runs.score for runs in found.runs.values()} == {"macro_f1"}
    table = found.table()
    assert {row.score for row in table} == {"test_macro_f1"}
    assert table[0].mean >= table[1].mean
    assert {row.score for row in found.statistics()} == {"test_macro_f1"}
    assert statistics.main_score(found, "validation") == "validation_macro_f1"
    assert "test_macro_f1" in repr(found.runs[RULES[0]])
    assert "Validation macro F1" in found.runs[RULES[0]]._repr_html_()
    assert found.statistics(score="test_auc")[0].score == "test_auc"  # any other one on demand


def test_a_confusion_matrix_is_summed_over_the_seeds_that_finished(found):
    runs, test = found.runs[RULES[0]], found.data.test
    wanted = [metrics.confusion_matrix(test.targets, one, labels=range(3)) for one in runs.predict(test.inputs)]
    np.testing.assert_array_equal(runs.confusion, wanted)
    for name in (RULES[0], "bp"):
        np.testing.assert_array_equal(found.confusion_matrix(name), np.sum(wanted, axis=0))
    runs.diverged_at[1] = 2
    try:
        np.testing.assert_array_equal(found.confusion_matrix(RULES[0]), wanted[0])
    finally:
        runs.diverged_at[1] = -1
    with pytest.raises(UserError, match="take backpropagation, feedback-alignment"):
        found.confusion_matrix("perceptron")


def test_record_and_merge_keep_them(found, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["ascribe.report.page"], "drawings", lambda comparison: {})
    found.save(tmp_path / "record")
    loaded = ascribe.load(tmp_path / "record")
    assert loaded.configuration["score"] == "macro_f1"
    assert [row.score for row in loaded.table()] == ["test_macro_f1"] * 2
    for rule in RULES:
        np.testing.assert_array_equal(loaded.runs[rule].confusion, found.runs[rule].confusion)
        assert loaded.runs[rule].score == "macro_f1"
    more = ascribe.compare(uneven(), score="macro-f1", **OPTIONS | {"seeds": [1, 5]})
    joined = ascribe.merge(loaded, more).runs[RULES[0]]
    if len(joined.seeds) == 3:  # where both were tuned to the same rate
        np.testing.assert_array_equal(joined.confusion[2], more.runs[RULES[0]].confusion[1])
    other = ascribe.compare(uneven(), **OPTIONS)
    both = ascribe.merge(loaded, other)
    assert both.configuration["score"] is None
    assert {row.score for row in both.table()} == {"test_accuracy"}


def test_what_is_kept_in_a_store_is_not_mistaken_for_another_measure_s(tmp_path):
    place = tmp_path / "runs.sqlite"
    small = OPTIONS | {"rules": RULES[:1]}
    plain = ascribe.compare(uneven(), store=place, **small)
    found = ascribe.compare(uneven(), store=place, score="macro_f1", **small)
    again = ascribe.compare(uneven(), store=place, score="macro_f1", **small)
    rows = Store(place).runs()
    assert len(rows) == 2 * (2 + 2)  # two candidates and two seeds, for each of the two measures
    assert not any("/" in name for row in rows for name in row["scores"] or {})
    assert "validation_macro_f1" not in plain.runs[RULES[0]].curves
    assert "validation_macro_f1" in found.runs[RULES[0]].curves
    np.testing.assert_array_equal(again.runs[RULES[0]].confusion, found.runs[RULES[0]].confusion)
    for name, values in found.runs[RULES[0]].scores.items():
        np.testing.assert_array_equal(again.runs[RULES[0]].scores[name], values, err_msg=name)


def test_many_classes_have_no_confusion_matrix(found, monkeypatch):
    monkeypatch.setattr(sys.modules["ascribe.training.results"], "MOST_CLASSES", 2)
    runs = tiny.trained(dataset=uneven(), network=tiny.mlp(3))
    assert runs.confusion is None
    comparison = dataclasses.replace(found, runs={RULES[0]: runs})
    with pytest.raises(UserError, match="no confusion matrix of backpropagation was kept: there is one of 2 to 20 classes"):
        comparison.confusion_matrix(RULES[0])
    assert "test_auc" not in runs.scores and "test_macro_f1" in runs.scores
    asked = tiny.trained(dataset=uneven(), network=tiny.mlp(3), score="auc")
    assert np.isfinite(asked.test_auc).all()


def test_a_run_without_a_finite_loss_has_no_score():
    """By NumPy and by JAX: every score is NaN, and the confusion matrix counts what the network still answers."""
    network, labels = tiny.mlp(3), np.asarray([0, 1, 2])
    answers = Answers(np.asarray([0, 1, 1]), np.full(3, 0.5), np.full((3, 3), 1 / 3))
    also = ("balanced_accuracy", "macro_f1", "auc", "log_loss", CONFUSION)
    for loss in (np.inf, np.nan):
        found = judged(answers, labels, network, np.float64(loss), also=also)
        assert found.pop(CONFUSION).sum() == 3
        assert len(found) == 4 and np.isnan(list(found.values())).all()


def test_a_split_of_one_class_has_no_ranks():
    data = uneven()
    alone = Split(data.validation.inputs, np.zeros_like(data.validation.targets))
    lonely = Dataset("lonely", "classification", data.train, alone, data.test, class_names=data.class_names)
    with pytest.raises(UserError, match="the validation split of lonely has one alone: choose another score"):
        ascribe.compare(lonely, score="auc", **OPTIONS)
    for score, advice in (("r2", "leave"), ("test_loss", "did you mean loss, or"), ("acuracy", "did you mean accuracy, or")):
        with pytest.raises(UserError, match=f"one of {', '.join(CLASS_MEASURES)}; got '{score}': {advice}"):
            ascribe.compare(data, score=score, **OPTIONS)
