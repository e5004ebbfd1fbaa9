import json
from dataclasses import asdict

import numpy as np
import pytest

from ascribe import statistics
from ascribe.errors import UserError
from ascribe.statistics import summarize

from ..report.stand_in import RULES, diverge, make_comparison


def by_rule(comparison, *arguments, **named):
    return {row.rule: row for row in summarize(comparison, *arguments, **named)}


def test_each_number_is_that_of_its_technique():
    comparison = make_comparison(seeds=range(10))
    runs = comparison.runs
    rows = by_rule(comparison)
    differences = {rule: runs[rule].scores["test_accuracy"] - runs[RULES[0]].scores["test_accuracy"] for rule in RULES[1:]}
    adjusted = statistics.holm([statistics.sign_flip_test(values) for values in differences.values()])
    for values, p_value, rule in zip(differences.values(), adjusted, RULES[1:], strict=True):
        row = rows[rule]
        assert (row.pairs, row.lost, row.score, row.reference) == (10, 0, "test_accuracy", RULES[0])
        assert row.difference == pytest.approx(values.mean())
        assert (row.low, row.high) == pytest.approx(statistics.bootstrap_interval(values), abs=1e-5)  # ties
        assert row.p_value == statistics.sign_flip_test(values) and row.adjusted_p_value == p_value
        assert row.cohens_d == pytest.approx(statistics.cohens_d(values))
        assert row.hedges_g == pytest.approx(statistics.hedges_g(values))
        assert row.superiority == statistics.superiority(values)
        assert row.stated_difference == 0.01
        assert row.seeds_needed == statistics.seeds_needed(0.01, values.std(ddof=1))
        assert row.grid == statistics.grid_summary(comparison.tuning[rule].scores)
        curve = runs[rule].curves["validation_accuracy"]
        assert row.area == pytest.approx(np.trapezoid(curve, axis=1).mean())
        assert row.target == pytest.approx(0.95 * runs[RULES[0]].curves["validation_accuracy"][:, -1].mean())
        epochs = statistics.epochs_to_target(curve, row.target)
        assert row.epochs_to_target == statistics.median_epochs(epochs)
        assert (row.reached, row.seeds) == (10 - epochs.count(None), 10)


def test_single_precision_decides_nothing():
    """Accuracies on 30 examples, as float32: what ties in exact arithmetic ties here."""
    comparison = make_comparison(seeds=range(6), rules=RULES[:2])
    own, other = np.array([27, 26, 28, 25, 29, 27]), np.array([25, 25, 29, 22, 28, 25])
    for rule, right in zip(RULES[:2], (other, own), strict=True):
        comparison.runs[rule].scores["test_accuracy"] = (right / 30.0).astype(np.float32)
    row = by_rule(comparison)[RULES[1]]
    assert row.p_value == statistics.sign_flip_test(own - other)
    assert (row.low, row.high) == pytest.approx(np.array(statistics.bootstrap_interval(own - other)) / 30.0, abs=1e-6)
    comparison.runs[RULES[1]].scores["test_accuracy"] = ((other + 1) / 30.0).astype(np.float32)
    row = by_rule(comparison)[RULES[1]]
    assert row.cohens_d is None and row.low == row.high and row.seeds_needed == 2


def test_the_reference_comes_first_and_differs_from_nobody():
    rows = summarize(make_comparison(), "perturbation")
    assert [row.rule for row in rows] == ["perturbation", *(rule for rule in RULES if rule != "perturbation")]
    first = rows[0]
    assert first.difference is first.low is first.p_value is first.adjusted_p_value is first.superiority is None
    assert first.cohens_d is first.hedges_g is first.seeds_needed is None
    assert first.area is not None and first.grid is not None and first.epochs_to_target is not None
    assert by_rule(make_comparison(), "perturbation")["backpropagation"].difference > 0.0


def test_diverged_seeds_are_counted_pair_by_pair():
    comparison = make_comparison(seeds=range(6))
    diverge(comparison.runs["perturbation"], [1])
    diverge(comparison.runs["backpropagation"], [1, 3])
    rows = by_rule(comparison)
    assert (rows["perturbation"].pairs, rows["perturbation"].lost) == (4, 2)
    assert (rows["backpropagation"].pairs, rows["backpropagation"].lost) == (4, 2)
    assert (rows["sign symmetry"].pairs, rows["sign symmetry"].lost) == (4, 2)


def test_a_seed_that_diverged_never_arrives():
    comparison = make_comparison(seeds=range(5))
    before = by_rule(comparison)["backpropagation"]
    assert before.reached == 5
    runs = comparison.runs["backpropagation"]
    runs.diverged[:2] = True  # after the target: arrived, and lost again
    after = by_rule(comparison, target=before.target)["backpropagation"]
    assert (after.reached, after.seeds) == (3, 5)
    assert after.epochs_to_target >= before.epochs_to_target


def test_less_error_is_better():
    comparison = make_comparison("regression", (1,), 1)
    row = by_rule(comparison)["sign symmetry"]
    assert row.difference > 0.0 and row.superiority == 0.0 and row.cohens_d > 0.0
    reference = comparison.runs["backpropagation"]
    assert row.stated_difference == pytest.approx(0.05 * reference.scores["test_rmse"].mean())
    assert row.target == pytest.approx(1.05 * reference.curves["validation_rmse"][:, -1].mean())
    first = by_rule(comparison)["backpropagation"]
    epochs = statistics.epochs_to_target(reference.curves["validation_rmse"], first.target, higher_is_better=False)
    assert first.epochs_to_target == statistics.median_epochs(epochs) > 1


def test_the_stated_difference_is_positive_where_the_score_is_negative():
    comparison = make_comparison("regression")
    for runs in comparison.runs.values():
        runs.scores["test_r2"] = -runs.scores["test_rmse"]
    row = by_rule(comparison, score="test_r2")["sign symmetry"]
    reference = next(iter(comparison.runs.values())).scores["test_r2"]
    assert row.stated_difference == pytest.approx(-0.05 * reference.mean()) and row.stated_difference > 0


def test_settings_are_honored():
    comparison = make_comparison(seeds=range(10))
    row = by_rule(comparison, score="test_loss", level=0.9, difference=0.05, target=0.4)["sign symmetry"]
    assert (row.score, row.level, row.stated_difference, row.target) == ("test_loss", 0.9, 0.05, 0.4)
    wide = by_rule(comparison, score="test_loss", difference=0.05)["sign symmetry"]
    assert wide.high - wide.low > row.high - row.low and wide.seeds_needed >= row.seeds_needed
    assert by_rule(comparison, seed=1)["sign symmetry"].low != by_rule(comparison)["sign symmetry"].low
    assert by_rule(comparison) == by_rule(comparison)
    area = by_rule(comparison, score="area_under_train_loss")["sign symmetry"]
    assert area.difference is not None and area.area is area.target is area.epochs_to_target is None


@pytest.mark.parametrize("seeds", [(7,), (7, 8)])
def test_few_seeds_leave_gaps_and_no_errors(seeds):
    row = by_rule(make_comparison(seeds=seeds, tuned=False, epochs=1))["sign symmetry"]
    assert row.difference is not None and row.p_value == 2.0 / 2 ** len(seeds)
    assert (row.low is None) == (row.cohens_d is None) == (row.seeds_needed is None) == (len(seeds) == 1)
    assert row.hedges_g is row.grid is row.area is None


def test_a_rule_without_a_finished_seed_has_a_row():
    comparison = make_comparison()
    diverge(comparison.runs["perturbation"], range(5))
    rows = by_rule(comparison)
    row = rows["perturbation"]
    assert (row.pairs, row.lost, row.difference, row.p_value, row.area) == (0, 5, None, None, None)
    # It is no test, so Holm's correction is over the other four.
    assert rows["sign symmetry"].adjusted_p_value == pytest.approx(4 * rows["sign symmetry"].p_value)
    diverge(comparison.runs["backpropagation"], range(5))
    assert all(row.difference is None and row.target is None for row in summarize(comparison))


def test_rows_are_plain_json():
    comparison = make_comparison()
    diverge(comparison.runs["perturbation"], range(5))
    json.dumps([asdict(row) for row in summarize(comparison)], allow_nan=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(reference="none"), "a rule of the comparison; got 'none': take backpropagation, feedback"),
        (dict(score="test_f1"), "got 'test_f1': backpropagation has test_accuracy"),
        (dict(level=95.0), "`level` is a number between 0 and 1"),
        (dict(difference=-0.01), "`difference` is a positive number; got -0.01"),
        (dict(score="area_under_train_loss", target=1.0), "leave the target out"),
        (dict(target=float("nan")), "`target` is a finite number"),
        (dict(seed=-1), "`seed` is an integer"),
    ],
)
def test_bad_input_meets_its_sentence(arguments, message):
    with pytest.raises(UserError, match=message):
        summarize(make_comparison(), **arguments)
