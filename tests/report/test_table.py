import io
import json

import numpy as np
import pytest
from rich.console import Console

from ascribe.report import control_rows, page, rows, to_records, to_text
from ascribe.report.class_maps import class_maps
from ascribe.report.curves import learning_curves
from ascribe.report.figures import specification
from ascribe.report.statement import statement
from ascribe.report.statistics_table import statistics_cells, statistics_lines
from ascribe.report.table import DASH, Row, format_score, to_html
from ascribe.statistics import hidden_credit, interval

from ..later import Later
from .stand_in import RULES, diverge, make_comparison, with_controls

stats = Later("scipy.stats")


def by_rule(comparison):
    return {row.rule: row for row in rows(comparison)}


def test_mean_and_interval_are_student_t():
    comparison = make_comparison()
    for rule, row in by_rule(comparison).items():
        values = comparison.runs[rule].scores["test_accuracy"]
        low, high = stats.t.interval(0.95, len(values) - 1, loc=values.mean(), scale=stats.sem(values))
        assert row.mean == pytest.approx(values.mean(), rel=1e-12)
        assert row.half_width == pytest.approx((high - low) / 2.0, rel=1e-9)


def test_difference_is_paired():
    comparison = make_comparison()
    row = by_rule(comparison)["feedback alignment"]
    runs = comparison.runs
    own, other = (runs[rule].scores["test_accuracy"] for rule in ("feedback alignment", "backpropagation"))
    difference = own - other
    expected = stats.t.ppf(0.975, 4) * difference.std(ddof=1) / np.sqrt(5.0)
    assert row.difference == pytest.approx(difference.mean(), rel=1e-12)
    assert row.difference_half_width == pytest.approx(expected, rel=1e-9)
    # The paired interval's ends are those of SciPy's paired t-test.
    paired = stats.ttest_rel(own, other).confidence_interval(0.95)
    assert (paired.high - paired.low) / 2.0 == pytest.approx(expected, rel=1e-9)


def test_the_reference_has_no_difference():
    row = by_rule(make_comparison())["backpropagation"]
    assert row.difference is None and row.difference_half_width is None
    comparison = make_comparison()
    comparison.reference = None
    assert all(row.difference is None for row in rows(comparison))


def test_diverged_seeds_leave_means_and_pairs():
    comparison = make_comparison()
    diverge(comparison.runs["feedback alignment"], [1])
    diverge(comparison.runs["backpropagation"], [3])
    row = by_rule(comparison)["feedback alignment"]
    own, other = (comparison.runs[rule].scores["test_accuracy"] for rule in ("feedback alignment", "backpropagation"))
    assert (row.diverged, row.seeds) == (1, 5)
    assert row.mean == pytest.approx(own[[0, 2, 3, 4]].mean())
    assert row.difference == pytest.approx((own - other)[[0, 2, 4]].mean())
    expected = stats.t.ppf(0.975, 2) * (own - other)[[0, 2, 4]].std(ddof=1) / np.sqrt(3.0)
    assert row.difference_half_width == pytest.approx(expected)


def test_a_flag_outweighs_a_finite_score():
    comparison = make_comparison()
    comparison.runs["perturbation"].diverged[0] = True
    row = by_rule(comparison)["perturbation"]
    assert row.diverged == 1
    assert row.mean == pytest.approx(comparison.runs["perturbation"].scores["test_accuracy"][1:].mean())
    assert row.area == pytest.approx(comparison.runs["perturbation"].scores["area_under_train_loss"][1:].mean())


def test_pairs_are_matched_by_seed_not_by_place():
    comparison = make_comparison()
    runs = comparison.runs["feedback alignment"]
    before = by_rule(comparison)["feedback alignment"].difference_half_width
    runs.seeds = runs.seeds[::-1]
    runs.scores["test_accuracy"] = runs.scores["test_accuracy"][::-1]
    assert by_rule(comparison)["feedback alignment"].difference_half_width == pytest.approx(before, rel=1e-12)
    runs.seeds = (0, 101, 102, 103, 104)
    assert by_rule(comparison)["feedback alignment"].difference_half_width is None


def test_a_rule_without_a_finished_seed_comes_last():
    comparison = make_comparison()
    diverge(comparison.runs["backpropagation"], range(5))
    table = rows(comparison)
    assert table[-1].rule == "backpropagation"
    assert table[-1].mean is None and table[-1].half_width is None and table[-1].diverged == 5
    assert format_score(table[-1]) == (DASH, DASH)
    assert all(row.difference is None for row in table)
    means = [row.mean for row in table[:-1]]
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("arguments", [(), ("regression", (1,), 1)])
def test_survivors_do_not_outrank_rules_that_finished(arguments):
    comparison = make_comparison(*arguments)
    assert rows(comparison)[0].rule == "backpropagation"
    diverge(comparison.runs["backpropagation"], range(1, 5))
    diverge(comparison.runs["feedback alignment"], [2])
    diverge(comparison.runs["direct feedback alignment"], range(5))
    table = rows(comparison)
    assert [row.diverged for row in table] in ([0, 0, 0, 4, 1, 5], [0, 0, 0, 1, 4, 5])
    sign = 1.0 if arguments else -1.0
    for part in (table[:3], table[3:5]):
        assert [row.rule for row in part] == [row.rule for row in sorted(part, key=lambda row: sign * row.mean)]


def test_errors_rank_upwards():
    table = rows(make_comparison("regression", (1,), 1))
    assert table[0].score == "test_rmse"
    assert [row.mean for row in table] == sorted(row.mean for row in table)


def test_one_seed_has_no_interval():
    table = rows(make_comparison(seeds=(7,)))
    assert all(row.half_width is None for row in table)
    assert format_score(table[0])[0].endswith(f"± {DASH}")


@pytest.mark.parametrize("seeds", [2, 3])
def test_an_interval_is_told_of_three_seeds_at_least(seeds):
    comparison = make_comparison(rules=RULES[:2], seeds=range(seeds), epochs=2, layers=1, tuned=False)
    table, others = rows(comparison), statistics_lines(comparison, RULES[:2])
    assert all(row.half_width > 0.0 for row in table) and table[1].difference_half_width > 0.0  # records keep the numbers
    few = "too few seeds, fewer than 3"
    cells = [cell for row in table for cell in format_score(row) if "±" in cell]
    assert len(cells) == 3 and all(cell.endswith(f"± {DASH}") == (seeds == 2) for cell in cells)
    assert (few in printed(table, 200)) == (few in page(comparison)) == (seeds == 2)
    assert ("[" in statistics_cells(others[1])[1].text) == (seeds == 3)


def test_equal_seeds_have_a_zero_interval():
    mean, half_width = interval(np.full(4, 0.5))
    assert (mean, half_width) == (0.5, 0.0)


def test_interval_along_an_axis_with_holes():
    values = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.inf], [5.0, 4.0, 2.0]])
    mean, half_width = interval(values)
    np.testing.assert_allclose(mean, [3.0, 4.0, 2.0])
    np.testing.assert_allclose(half_width, [stats.t.ppf(0.975, 2) * 2.0 / np.sqrt(3.0), np.nan, 0.0])


def test_records_are_plain_json():
    comparison = make_comparison()
    comparison.runs["feedback alignment"].hyperparameters["scale"] = float("nan")
    diverge(comparison.runs["sign symmetry"], range(5))
    records = json.loads(json.dumps(to_records(rows(comparison)), allow_nan=False))
    assert records[-1]["mean"] is None and records[-1]["rule"] == "sign symmetry"
    assert {"rule", "score", "mean", "half_width", "difference", "learning_rate", "notes"} <= set(records[0])


def printed(table, width):
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(to_text(table, "backpropagation"))
    return buffer.getvalue()


def wide_row(rule, **values):
    usual = {"mean": 0.8949, "half_width": 0.1031, "difference": -0.3882, "difference_half_width": 0.3501}
    usual |= {"area": 0.795, "learning_rate": 0.00032, "seconds": 7.2, "diverged": 2, "seeds": 10, "pairs": 8}
    return Row(rule=rule, score="test_accuracy", hyperparameters={}, notes=(), **(usual | values))


def test_terminal_table_fits_eighty_columns():
    table = [wide_row("backpropagation", diverged=0), wide_row("sign-symmetry-batch-random")]
    lines = [line.split() for line in printed(table, 80).splitlines()]
    cells = "89.49 ± 10.31 −38.82 ± 35.01 0.795 0.00032 7.2 2/10"
    assert ["sign-symmetry-batch-random", *cells.split()] in lines
    headers = [line for line in lines if line[:1] == ["Rule"]]
    assert headers == [["Rule", "(%)", "(points)", "area", "Rate", "(s)", "lost"]]


def test_terminal_table_never_cuts_a_cell():
    table = [wide_row("sign-symmetry-batch-random"), wide_row("x", difference=-0.0737, diverged=0, seconds=86400.0)]
    for width in range(40, 100):
        text = printed(table, width)
        assert "…" not in text
        assert all(len(line) <= width for line in text.splitlines())
        if width >= 70:
            assert "89.49 ± 10.31 −38.82 ± 35.01 0.795 0.00032" in text and "86400" in text


def test_terminal_table_shows_brackets_as_they_are():
    comparison = make_comparison(rules=("backpropagation", "[bold red]x[/]"))
    buffer = io.StringIO()
    Console(file=buffer, width=160).print(to_text(rows(comparison), comparison.reference))
    text = buffer.getvalue()
    assert "[bold red]x[/]" in text
    assert format_score(rows(comparison)[0])[0] in text
    assert "differences to backpropagation" in text


def test_the_comparison_s_own_score_is_in_the_table_the_curves_the_maps_and_the_words():
    comparison = make_comparison()
    for place, runs in enumerate(comparison.runs.values()):  # the other way round than the accuracy
        runs.scores["test_log_loss"] = 1.0 - 0.1 * place + 0.01 * runs.scores["test_accuracy"]
        runs.curves["validation_log_loss"] = runs.curves["validation_loss"]
    plain = rows(comparison)
    assert {row.score for row in plain} == {"test_accuracy"}
    comparison.configuration["score"] = "log_loss"
    table = rows(comparison)
    assert {row.score for row in table} == {"test_log_loss"}
    assert [row.rule for row in table] == [row.rule for row in plain][::-1]
    assert "validation_log_loss" in specification(learning_curves(comparison))["datasets"]["curves"]
    assert "its test log loss." in specification(class_maps(comparison))["title"]["subtitle"][1]
    assert "Validation log loss" in to_html(comparison)
    assert "chosen by validation log loss." in statement(comparison)[1]
    comparison.configuration["score"] = None  # as where several were merged
    assert "chosen by validation score." in statement(comparison)[1]


def test_controls_stand_below_the_rules_and_the_credit_score_beside_them():
    comparison = with_controls(make_comparison(rules=RULES[:3], epochs=4))
    table, controls = rows(comparison), control_rows(comparison)
    credit = hidden_credit(comparison).scores
    assert {row.rule: (row.credit_score, row.credit_score_low, row.credit_score_high) for row in table} == {
        rule: (one.value, one.low, one.high) for rule, one in credit.items()
    }
    assert [row.rule for row in controls] == ["frozen", "linear"] and controls[0].difference < 0
    assert all(row.credit_score is None for row in controls)
    buffer = io.StringIO()
    Console(file=buffer, width=90).print(to_text(table, RULES[0], controls))
    lines = [line.strip() for line in buffer.getvalue().splitlines()]
    firsts = [line.split("  ")[0] for line in lines]
    assert firsts.index("(frozen)") > max(lines.index(line) for line in lines if line.startswith(RULES[2]))
    assert "Credit:" in buffer.getvalue() and f" {credit[RULES[1]].value:.2f} " in buffer.getvalue()
    shown = to_html(comparison)
    assert "(frozen)" in shown and f">{credit[RULES[1]].value:.2f}<" in shown
    text = page(comparison)
    assert "Table of controls" in text and f"{credit[RULES[1]].value:.2f} [" in text
    assert "Dotted: frozen. Dash-dotted: linear." in text


def test_without_a_credit_score_there_is_no_column():
    comparison = with_controls(make_comparison(rules=RULES[:2], epochs=4), gain=0.0)
    buffer = io.StringIO()
    Console(file=buffer, width=90).print(to_text(rows(comparison), RULES[0], control_rows(comparison)))
    assert "Credit" not in buffer.getvalue() and "(linear)" in buffer.getvalue()
