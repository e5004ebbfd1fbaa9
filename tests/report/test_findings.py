"""The sentences at the top of a page: each says what the scores bear out, and nothing else."""

import re

import numpy as np
import pytest
from sklearn import metrics

from ascribe.report.findings import constant_score, findings
from ascribe.statistics import hidden_credit

from .stand_in import RULES, diverge, make_comparison, with_controls


def with_scores(**scores):
    """A comparison in which the rules, with _ for each space of their names, have these scores, a number a seed."""
    names, seeds = [name.replace("_", " ") for name in scores], range(len(next(iter(scores.values()))))
    comparison = make_comparison(rules=names, seeds=seeds, tuned=False, epochs=2, layers=1)
    for name, values in scores.items():
        comparison.runs[name.replace("_", " ")].scores["test_accuracy"] = np.asarray(values, float)
    labels = comparison.data.test.targets
    labels[:] = 0
    labels[:50] = 1  # of 200
    comparison.data.train.targets[:] = np.arange(300) % 3 == 0
    return comparison


SEEDS = np.array([0.01, -0.01, 0.005, 0.0, -0.005])


def test_the_best_the_constant_answer_and_the_differences_are_told():
    best, constant, against = findings(
        with_scores(
            backpropagation=0.95 + SEEDS,
            feedback_alignment=0.9 + SEEDS + 0.1 * SEEDS[::-1],
            sign_symmetry=0.96 - SEEDS,
            perturbation=0.752 + SEEDS,
        )
    )
    assert best.startswith("sign symmetry has the highest mean test accuracy: 96.00 ± 0.98 % over 5 seeds.")
    assert constant == (
        "Always naming the most common class would give 75.0 %: 3 of 4 rules are better; for perturbation that is not shown."
    )
    assert against == (
        "Against backpropagation, seed by seed: 2 rules are worse: feedback alignment (−5.0 points) and perturbation "
        "(−19.8 points); for sign symmetry no difference is shown."
    )


def test_a_difference_is_claimed_only_where_it_holds_for_all_rules_at_once():
    """1.6 standard deviations is beyond the 95 % half width of these five differences for one rule (2.776/√5), and within
    that for four rules (4.600/√5: the t quantile at 1 - 0.05/8)."""
    deviation = SEEDS.std(ddof=1)
    shift = 1.6 * deviation
    one = with_scores(backpropagation=0.8 + 0 * SEEDS, perturbation=0.8 + shift + SEEDS)
    assert "1 rule is better: perturbation" in findings(one)[2]
    four = {f"rule_{number}": 0.8 + shift + SEEDS for number in range(4)}
    said = findings(with_scores(backpropagation=0.8 + 0 * SEEDS, **four))[2]
    assert "no difference is shown for rule 0, rule 1, rule 2 and rule 3" in said


def test_what_is_lower_is_better_in_regression():
    comparison = make_comparison("regression", (1,), 1, rules=RULES[:2], tuned=False, epochs=2, layers=1)
    comparison.data.target_scale = np.array([10.0])
    comparison.runs[RULES[0]].scores["test_rmse"] = 1.0 + SEEDS
    comparison.runs[RULES[1]].scores["test_rmse"] = 2.0 + SEEDS
    targets = comparison.data.test.targets.astype(float)
    error = 10.0 * np.sqrt(np.mean((targets - comparison.data.train.targets.astype(float).mean(axis=0)) ** 2))
    assert constant_score(comparison)[1] == pytest.approx(error, rel=1e-6)
    best, constant, against = findings(comparison)
    assert best.startswith("backpropagation has the lowest mean test RMSE: 1.0000 ± 0.0098 over 5 seeds.")
    assert constant.endswith(f"would give {error:.3g}: every rule is better.")
    assert "1 rule is worse: feedback alignment (+1.000)" in against
    comparison.data.target_scale = np.array([1e7])  # as many digits as the means have
    assert f"would give {1e6 * error:.0f}: " in findings(comparison)[1]


def test_data_that_was_not_kept_leaves_guessing_and_numbers_nothing():
    for task, words in (("classification", "Guessing the class would give 25.0 %"), ("regression", "")):
        comparison = make_comparison(task, (2,), 4, rules=RULES[:2], tuned=False, epochs=2, layers=1)
        for split in (comparison.data.train, comparison.data.test):
            split.inputs, split.targets = split.inputs[:0], split.targets[:0]
        assert (words in " ".join(findings(comparison))) and (constant_score(comparison) is None) == (not words)


def test_one_seed_shows_no_difference_and_lost_runs_are_counted():
    comparison = make_comparison(rules=RULES[:2], seeds=(3,), tuned=False, epochs=2, layers=1)
    said = findings(comparison)
    assert len(said) == 2 and "± – %" not in said[0] and "no difference is shown for feedback alignment" in said[1]
    comparison = make_comparison(rules=RULES[:2], tuned=False, epochs=2, layers=1)
    diverge(comparison.runs[RULES[1]], [0, 1])
    assert findings(comparison)[-1] == "Runs diverged under feedback alignment (2 of 5)."
    for rule in RULES[:2]:
        diverge(comparison.runs[rule], range(5))
    assert findings(comparison) == ["Every run of every rule diverged: no score can be compared."]


def test_the_constant_answer_is_the_training_splits_class_though_the_test_split_has_another():
    comparison = with_scores(backpropagation=0.9 + SEEDS)
    assert constant_score(comparison)[1] == 0.75
    comparison.data.train.targets[:] = np.arange(300) % 3 > 0
    assert constant_score(comparison)[1] == 0.25


def score_of_a_constant(measure, task="classification", classes=3):
    """What `constant_score` says of that measure, with the training and the test targets."""
    comparison = make_comparison(task, (2,), classes, rules=RULES[:2], tuned=False, epochs=2, layers=1)
    comparison.configuration["score"] = measure
    data = comparison.data
    if task != "regression":
        data.train.targets[:] = np.arange(300) % 10 // 5  # 150 of each of two classes, the first by 10 more
        data.train.targets[5:10] = 0
        data.test.targets[:] = np.arange(200) % 4 // 2 + (np.arange(200) < 20)
    return constant_score(comparison), np.asarray(data.train.targets), np.asarray(data.test.targets)


@pytest.mark.parametrize("measure", ["accuracy", "balanced_accuracy", "macro_f1", "auc", "log_loss"])
def test_the_constant_answer_is_scored_by_the_measure_that_the_rules_are(measure):
    """As scikit-learn scores it, so that its number stands in no other unit than theirs."""
    found, seen, asked = score_of_a_constant(measure)
    shares = np.bincount(seen, minlength=3) / len(seen)
    named = np.full(len(asked), shares.argmax())
    expected = {
        "accuracy": lambda: metrics.accuracy_score(asked, named),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(asked, named),
        "macro_f1": lambda: metrics.f1_score(asked, named, average="macro"),
        "auc": lambda: metrics.roc_auc_score(asked, np.tile(shares, (len(asked), 1)), multi_class="ovr"),
        "log_loss": lambda: -np.mean(np.log(np.maximum(shares, np.finfo(np.float32).eps)[asked])),
    }[measure]()
    assert found is not None and found[1] == pytest.approx(expected, rel=1e-6)


def test_the_constant_answer_of_a_regression_is_scored_by_its_measure_and_any_loss_by_none():
    found, seen, asked = score_of_a_constant("r2", "regression", 1)
    assert found[1] == pytest.approx(metrics.r2_score(asked, np.full_like(asked, seen.mean(dtype=float))), rel=1e-4)
    assert score_of_a_constant("loss", "regression", 1)[0] is score_of_a_constant("loss")[0] is None


def test_a_network_that_names_one_class_always_is_not_better_than_the_constant_answer():
    above = np.full(5, np.nextafter(np.float32(17 / 18), np.float32(1)))  # as single precision rounds, it may lie above
    comparison = with_scores(backpropagation=above, perturbation=above)
    comparison.data.test.targets = (np.arange(18) == 0).astype(int)
    assert findings(comparison)[1] == "Always naming the most common class would give 94.4 %: no rule is shown to be better."


def test_what_rules_must_be_above_and_what_hidden_layers_are_worth_is_told():
    comparison = with_scores(
        backpropagation=0.95 + SEEDS, feedback_alignment=0.94 + SEEDS, sign_symmetry=0.8 + SEEDS, perturbation=0.85 + 3 * SEEDS
    )
    said = findings(with_controls(comparison, gain=0.1))  # 0.85 and 0.75, in step with backpropagation
    assert said[2].startswith("Beside the rules, frozen reaches 85.")
    assert said[2].endswith("2 of 4 rules are above both; for perturbation and sign symmetry that is not shown.")
    assert said[3].startswith("What hidden layers learn by backpropagation is worth +10.0 points over frozen ones, and +20.")
    told = said[3].split("(credit score with its 95 % interval): ")[1]
    credit = hidden_credit(comparison).scores["feedback alignment"]
    assert told.startswith(f"feedback alignment 0.90 ({credit.low:.2f} to {credit.high:.2f}), perturbation ")
    assert "sign symmetry −0.5" in told


def test_why_rules_with_a_credit_score_are_not_shown_above_the_controls_is_told():
    """Three seeds: enough for the gain of backpropagation, too few for three rules at once, and for an interval."""
    few = np.array([0.01, -0.01, 0.005])
    comparison = with_scores(backpropagation=0.95 + few, feedback_alignment=0.94 - few, sign_symmetry=0.6 + few)
    with_controls(comparison, gain=0.1)
    for name, shift in (("frozen", np.array([0.02, -0.02, 0.01])), ("linear", np.array([0.06, -0.02, 0.01]))):
        comparison.controls[name].scores["test_accuracy"] = 0.85 + shift
    said = findings(comparison)
    assert said[2].endswith(
        "no rule is shown to be above both. The means of backpropagation and feedback alignment are better, but the interval "
        "of such a difference (3 seeds, widened because 3 rules are asked) holds 0, too: more seeds would tell."
    )
    assert "(credit score; an estimate alone, as 3 seeds are too few for an interval): feedback alignment 0.86" in said[3]


def test_a_credit_score_that_the_seeds_do_not_bound_says_so():
    comparison = with_scores(
        backpropagation=0.95 + SEEDS, feedback_alignment=0.94 - SEEDS, sign_symmetry=[0.95, 0.94, 0.955, 0.95, 0.2]
    )
    told = " ".join(findings(with_controls(comparison, gain=0.1)))
    assert "sign symmetry −0.5" in told and told.count("(these seeds bound none)") == 1


def test_where_less_is_better_controls_are_told_as_what_the_error_is_lowered_by():
    comparison = make_comparison("regression", (1,), 1, rules=RULES[:2], tuned=False, epochs=2, layers=1)
    for rule, error in zip(RULES[:2], (1.0, 1.3), strict=True):
        comparison.runs[rule].scores["test_rmse"] = error + SEEDS
    with_controls(comparison, "test_rmse", gain=-0.5)  # 1.5 and 2.0, in step with backpropagation
    said = " ".join(findings(comparison))
    told = re.search(r"lowers the RMSE by ([0-9.]+) from that of frozen ones, and by ([0-9.]+) from that of none", said)
    assert [float(one) for one in told.groups()] == pytest.approx([0.5, 1.0], abs=0.02)
    assert "every rule is better than both." in said and "feedback alignment 0.4" in said


@pytest.mark.parametrize(("linear", "advice"), [(0.2, "fewer units"), (0.0, "take other data"), (-0.1, "take other data")])
def test_a_task_that_cannot_show_hidden_credit_is_told_with_the_reason_and_what_to_try(linear, advice):
    comparison = with_scores(backpropagation=0.95 + SEEDS, feedback_alignment=0.94 + SEEDS)
    with_controls(comparison, gain=1e-9)
    base = comparison.runs["backpropagation"].scores["test_accuracy"]
    comparison.controls["linear"].scores["test_accuracy"] = base - linear
    said = next(one for one in findings(comparison) if "cannot show" in one)
    assert "within noise (−0.0 points, from" in said or "within noise (+0.0 points, from" in said
    assert "no credit scores" in said and advice in said


def test_without_controls_nothing_is_said_of_them_and_where_one_was_left_out_why():
    comparison = with_scores(backpropagation=0.95 + SEEDS, feedback_alignment=0.94 + SEEDS)
    assert not any("credit" in one or "Beside" in one for one in findings(comparison))
    comparison.configuration["left_out"] = {"control frozen": "the network has no hidden layers"}
    assert "There are no credit scores: the network has no hidden layers." in findings(comparison)


def test_a_single_rule_is_said_to_be_above():
    said = findings(with_controls(with_scores(backpropagation=0.95 + SEEDS), names=("frozen",)))
    assert any(one.endswith("%: backpropagation is above it.") for one in said)
