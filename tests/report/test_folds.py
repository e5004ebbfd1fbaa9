"""What the table, the page and its figures say of cross-validation: nothing as if runs of folds were independent."""

import re

import numpy as np
import pytest

from ascribe.report import rows, to_records, to_text
from ascribe.report.figures import figures, specification
from ascribe.report.page import page
from ascribe.report.series import series
from ascribe.statistics import corrected_interval

from .stand_in import RULES, in_folds, make_comparison

FOLDS, SEEDS = 3, 2


@pytest.fixture(scope="module")
def comparison():
    rules = RULES[:3]
    whole = in_folds(make_comparison(seeds=range(FOLDS * SEEDS), rules=rules, tuned=False), FOLDS)
    whole.folds = [make_comparison(seeds=range(SEEDS), rules=rules) for _ in range(FOLDS)]
    return whole


def test_a_row_has_every_fold_and_its_interval_is_corrected(comparison):
    for row in rows(comparison):
        means = comparison.runs[row.rule].scores["test_accuracy"].reshape(FOLDS, SEEDS).mean(axis=1)
        assert row.folds == pytest.approx(means)
        assert (row.mean, row.half_width) == pytest.approx(tuple(map(float, corrected_interval(means, 0.5))))
        assert (row.seeds, row.runs) == (6, "3 folds with 2 seeds each")
    assert [len(record["folds"]) for record in to_records(rows(comparison))] == [FOLDS] * 3
    caption = str(to_text(rows(comparison), RULES[0]).caption)
    assert "± 95 % over 3 folds (corrected resampled t)" in caption and "seeds" not in caption


def test_bands_of_curves_are_over_folds(comparison):
    columns = series(comparison, ["train_loss"])
    curve = comparison.runs[RULES[1]].curves["train_loss"].reshape(FOLDS, SEEDS, -1).mean(axis=1)
    mean, half_width = corrected_interval(curve, 0.5)
    place = columns["rule"].index(RULES[1])
    assert columns["mean"][place] == pytest.approx(mean[0])
    assert columns["high"][place] - columns["mean"][place] == pytest.approx(half_width[0])


def test_the_page_has_the_folds_and_nothing_that_is_for_independent_runs(comparison):
    text = page(comparison, {})
    assert "<h1>3 learning rules on two moons, in 3 folds</h1>" in text
    (table,) = re.findall(r'<section aria-labelledby="folds">.*?</section>', text, re.DOTALL)
    shown = [float(value) for value in re.findall(r'data-column="Fold \d"[^>]*>([\d.]+)<', table)]
    expected = [mean for row in rows(comparison) for mean in row.folds]
    np.testing.assert_allclose(shown, 100 * np.array(expected), atol=0.0051)
    words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
    for said in ("fold by fold", "Nadeau and Bengio", "corrected for the training examples", "in each of 3 folds"):
        assert said in words, said
    for wrong in ("BCa", "sign-flip", "d_z", "Student-t", "Seeds for"):
        assert wrong not in words, wrong
    assert 'id="folds"' not in page(make_comparison(rules=RULES[:2], seeds=range(3)), {})


def test_figures_show_folds_and_what_was_learned_in_the_first(comparison):
    charts = {name: str(specification(chart)) for name, chart in figures(comparison).items()}
    assert "What each rule learned in the first fold" in charts["landscapes"]
    assert "Small dots: folds" in charts["final_scores"]
    assert "Mean over folds, with its 95 % interval." in charts["learning_curves"]
