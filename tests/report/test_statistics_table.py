from ascribe.report.statistics_table import (
    format_p_value,
    statistics_caption,
    statistics_cells,
    statistics_lines,
    statistics_titles,
)
from ascribe.report.table import DASH
from ascribe.statistics import summarize

from .stand_in import RULES, diverge, make_comparison


def texts(row):
    return [cell.text for cell in statistics_cells(row)]


def test_cells_are_the_numbers_of_the_summary():
    comparison = make_comparison(seeds=range(10))
    diverge(comparison.runs["perturbation"], [0])
    rows = {row.rule: row for row in summarize(comparison)}
    row = rows["perturbation"]
    found = texts(row)
    assert found[0] == "9, 1 lost"
    assert found[1] == f"{100 * row.difference:+.2f} [{100 * row.low:+.2f}, {100 * row.high:+.2f}]".replace("-", "−")
    assert found[2] == f"{row.adjusted_p_value:.2g}"
    assert found[3] == f"{row.cohens_d:.2f} ({row.hedges_g:.2f})".replace("-", "−")
    assert found[4] == "0.00" and found[5] == str(row.seeds_needed)
    assert found[6].endswith(" of 9)") and found[8] == f"{DASH} (0 of 10)"
    assert [cell.value for cell in statistics_cells(row)][1] == row.difference
    reference = texts(rows["backpropagation"])
    assert reference[1] == "reference" and reference[2:6] == [DASH] * 4
    assert len(statistics_titles([row])) == len(found) + 1


def test_lines_follow_the_order_of_the_first_table():
    comparison = make_comparison()
    assert [row.rule for row in statistics_lines(comparison, RULES[::-1])] == list(RULES[::-1])
    comparison.reference = None
    assert statistics_lines(comparison, RULES) == []


def test_errors_have_the_decimals_of_their_interval():
    row = {row.rule: row for row in summarize(make_comparison("regression", (1,), 1))}["sign symmetry"]
    assert texts(row)[1] == f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]"


def test_titles_name_what_was_stated():
    titles = statistics_titles(summarize(make_comparison(), difference=0.02, target=0.9))
    assert {"Difference (points)", "Seeds for 2\u00a0points", "Epochs to 90.0\u00a0%"} <= set(titles)
    titles = statistics_titles(summarize(make_comparison("regression", (1,), 1), difference=0.02, target=0.9))
    assert {"Difference", "Seeds for 0.02", "Epochs to 0.9"} <= set(titles)


def test_the_caption_says_what_few_pairs_cannot_show():
    assert "with 5 pairs none is below 0.062" in statistics_caption(summarize(make_comparison()))
    assert "none is below" not in statistics_caption(summarize(make_comparison(seeds=range(20))))
    assert "Tuned grid" not in statistics_caption(summarize(make_comparison(tuned=False)))


def test_p_values_are_short():
    assert [format_p_value(value) for value in (None, 0.00001, 0.001953125, 0.5, 1.0)] == [
        DASH,
        "< 0.0001",
        "0.002",
        "0.5",
        "1",
    ]
