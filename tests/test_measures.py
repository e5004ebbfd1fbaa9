"""The table of scores: which way is better, what every score and curve of a run is, and that nothing else guesses."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import losses, measures, statistics
from ascribe.errors import UserError
from ascribe.report.table import rows
from ascribe.training.evaluate import CONFUSION, Examples, evaluate
from ascribe.training.runs import area_scores

from .later import Later
from .report.stand_in import make_comparison
from .training import tiny

metrics = Later("sklearn.metrics")
SOURCE = Path(ascribe.__file__).parent
TASKS = {"binary": 1, "classification": 3, "regression": 2}


def measured(task, also=None):
    """The names that `evaluate` gives to what it measures on a task, by default all that it can, and their shapes; nothing is
    computed."""
    outputs = TASKS[task]
    test, loss = tiny.data(task, outputs).test, losses.default_for(task, outputs)

    def scores():
        targets = jnp.asarray(test.targets, jnp.int32 if task != "regression" else jnp.float64)
        examples = Examples(jnp.asarray(test.inputs, jnp.float64), targets, jnp.ones(outputs))
        network = tiny.mlp(outputs)
        wanted = measures.measures_of(task) if also is None else also
        return evaluate(network, network.initial_state(), examples, loss, also=wanted)

    return jax.eval_shape(scores)


@pytest.mark.parametrize("task", TASKS)
def test_every_score_of_a_task_is_in_the_table(task):
    found = measured(task)
    assert {shape.shape for shape in found.values()} == {()}
    assert set(found) == set(measures.measures_of(task))
    for name in found:
        score = measures.score_name("test", name)
        assert measures.measure_of(score) == measures.measure_of(measures.before_finish(score))
        assert measures.measure_of(score).name == name
        assert score.startswith(measures.MEASURED)
    every = [measures.score_name("validation", name) for name in found]
    assert measures.main_among(every, "validation") == measures.measure_for(task)
    assert measures.main_score(task) == measures.score_name("test", measures.measure_for(task).name)
    assert measures.main_score(task, "validation") in every


@pytest.mark.parametrize("task", TASKS)
def test_what_nobody_asks_for_is_not_measured(task):
    assert set(measured(task, ())) == ({"loss", "rmse", "r2"} if task == "regression" else {"loss", "accuracy"})
    one = measured(task, ("auc", CONFUSION))
    assert set(one) - set(measured(task, ())) == (set() if task == "regression" else {"auc", CONFUSION})
    classes = {"binary": 2, "classification": 3}.get(task)
    assert classes is None or one[CONFUSION].shape == (classes, classes)


@pytest.mark.parametrize("task", TASKS)
def test_a_measure_is_chosen_by_its_name(task):
    known = measures.measures_of(task)
    assert measures.measure_for(task) is measures.MEASURES[known[0]]
    for name in known:
        assert measures.measure_for(task, name) is measures.MEASURES[name]
        assert measures.measure_for(task, name.replace("_", "-")) is measures.MEASURES[name]
        assert measures.main_score(task, "validation", name) == f"validation_{name}"
    others = set(measures.MEASURES) - set(known)
    for wrong in (*others, "test_loss", "", "brier", 3, ("loss",)):
        with pytest.raises(UserError, match="one of " + ", ".join(known)):
            measures.measure_for(task, wrong)


def test_what_a_whole_curve_says_is_in_the_table():
    assert list(area_scores({"train_loss": np.ones((2, 3))})) == [measures.AREA]
    assert measures.measure_of(measures.AREA).name == measures.AREA
    assert measures.AREA.startswith(measures.MEASURED)


def test_the_better_prediction_is_worth_more():
    """Of two predictions, the second nearer to the truth in each of the measures as they are defined."""
    truth, errors = np.asarray([0.0, 1.0, 2.0]), (np.asarray([0.5, -0.5, 0.5]), np.asarray([0.1, -0.1, 0.1]))
    values = {
        "accuracy": [np.mean(np.round(truth + error + 0.1) == truth) for error in errors],
        "rmse": [np.sqrt(np.mean(error**2)) for error in errors],
        "r2": [1.0 - np.sum(error**2) / np.sum((truth - truth.mean()) ** 2) for error in errors],
        "loss": [0.5 * np.mean(error**2) for error in errors],
        **{name: class_scores(name) for name in measures.CLASS_MEASURES if name not in ("accuracy", "loss")},
        measures.AREA: [np.trapezoid(0.5 * np.asarray([1.0, np.mean(error**2)])) for error in errors],
    }
    assert set(values) == set(measures.MEASURES)
    for name, (worse, better) in values.items():
        measure = measures.measure_of(name)
        assert measure.worth(better) > measure.worth(worse), name
        np.testing.assert_array_equal(measure.worth(np.asarray([better])), [measure.worth(better)])
        assert measure.higher_is_better is bool(better > worse)
    assert {name for name, one in measures.MEASURES.items() if one.percent} == set(measures.CLASS_MEASURES[:4])


def class_scores(name):
    """The score of two predictions of five examples, the second nearer to the truth, by scikit-learn."""
    labels, found = np.asarray([0, 0, 0, 1, 1]), []
    for second in (np.asarray([0.2, 0.6, 0.3, 0.4, 0.9]), np.asarray([0.1, 0.3, 0.2, 0.6, 0.9])):
        values = {
            "balanced_accuracy": lambda p: metrics.balanced_accuracy_score(labels, p > 0.5),
            "macro_f1": lambda p: metrics.f1_score(labels, p > 0.5, average="macro"),
            "auc": lambda p: metrics.roc_auc_score(labels, p),
            "log_loss": lambda p: metrics.log_loss(labels, p),
        }
        found.append(values[name](second))
    return found


@pytest.mark.parametrize("name", ["test_brier", "brier", "test_", "", "testaccuracy", "test_test_loss", "gradient_loss"])
def test_a_score_that_the_table_has_not_is_refused(name):
    for question in (measures.measure_of, measures.title_of):
        with pytest.raises(UserError) as caught:
            question(name)
        sentence = str(caught.value)
        assert repr(name) in sentence
        assert all(known in sentence for known in measures.MEASURES)


def test_statistics_guess_no_direction():
    comparison = make_comparison()
    for runs in comparison.runs.values():
        runs.scores["test_brier"] = 1.0 - runs.scores["test_accuracy"]
    sentence = "it is known which way is better; got 'test_brier': take accuracy, .* or loss, as in test_loss"
    with pytest.raises(UserError, match=sentence):
        statistics.summarize(comparison, score="test_brier")
    with pytest.raises(UserError, match=sentence):
        statistics.ranks_over([comparison, comparison], score="test_brier")


def test_before_a_rule_s_finish_a_score_is_what_it_is_after_it():
    """The same numbers under both names are judged alike."""
    comparison = make_comparison()
    for runs in comparison.runs.values():
        runs.scores["test_accuracy_before_finish"] = runs.scores["test_accuracy"]
    after, before = (
        statistics.summarize(comparison, score=score) for score in ("test_accuracy", "test_accuracy_before_finish")
    )
    for ours, theirs in zip(after, before, strict=True):
        assert vars(ours) == vars(theirs) | {"score": "test_accuracy"}


def test_titles_name_the_split_and_the_measure():
    titles = {
        "test_accuracy": "Test accuracy",
        "validation_rmse": "Validation RMSE",
        "test_r2": "Test R²",
        "train_loss": "Training loss",
        "test_rmse_before_finish": "Test RMSE before finish",
        measures.AREA: "Area under the training loss",
    }
    assert {score: measures.title_of(score) for score in titles} == titles


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_table_puts_the_better_rule_first(task):
    comparison = make_comparison(task=task)
    table = rows(comparison)
    means = np.asarray([row.mean for row in table])
    assert np.all(np.diff(means) >= 0.0 if task == "regression" else np.diff(means) <= 0.0)
    assert table[0].score == measures.main_score(task)
    assert len(np.unique(means)) == len(means)


def test_no_other_file_decides_by_a_score_s_name():
    """`train_loss` and its like are read where they are meant, whatever the task; the names of the others depend on it.
    Papers are experiments on data that they know, `metrics` and `evaluate` measure, and scikit-learn's own scores are the
    estimators'."""
    judged = [name for name in measures.MEASURES if name != "loss"]
    names = {measures.score_name(split, name) for split in measures.SPLITS for name in judged}
    names |= {*judged, *(measures.before_finish(name) for name in names), measures.before_finish("")}
    free = ("measures.py", "training/evaluate.py", "estimators.py")
    texts = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
    assert {"accuracy", "rmse"} <= set(literals(texts["training/evaluate.py"]))
    found = {
        name: names & set(literals(path))
        for name, path in texts.items()
        if name not in free and not name.startswith(("papers/", "metrics/"))
    }
    assert {name: literal for name, literal in found.items() if literal} == {}


def literals(path):
    """Every text of a file as it stands between quotation marks, the pieces of formatted ones too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))


def test_layers_at_the_floor_are_told_with_their_share_of_epochs():
    """A gradient of zero, which is NaN there, is not lost in rounding."""
    curves = {
        "gradient_over_floor/low": np.array([[0.5, 1.0, 7.0, np.nan], [np.nan, 0.0, 3.0, 9.0]]),
        "gradient_over_floor/high": np.array([[2.0, 3.0], [4.0, 5.0]]),
        "gradient_over_floor/dead": np.full((2, 3), np.nan),
        "gradient_angle/other": np.zeros((2, 3)),
    }
    assert measures.not_measurable(curves) == {"low": 0.5}
