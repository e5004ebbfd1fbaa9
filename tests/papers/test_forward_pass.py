"""The parts of the entry `forward-pass` that judge and draw; what it trains takes minutes."""

import itertools

import numpy as np
import pytest
import vl_convert

from ascribe import report
from ascribe.papers import forward_pass as module
from ascribe.report.figures import VEGA_LITE

LEARNED = {"both": 0.93, "neither": 0.92, "(8) alone": 0.5, "(13) alone": 0.6}


def rows(**changed):
    """The table of an experiment in which both and neither learn; `changed`: accuracies by `DATA_RULE_PAIR`."""
    found = []
    for data, rule, pair in itertools.product(module.DATA, module.RULE_2, module.PAIRS):
        accuracy = changed.get(f"{data}_{rule}_{pair}", LEARNED[pair])
        row = {"data": data, "rule": rule, "pair": pair, "accuracy": accuracy, "interval": 0.01}
        found.append(row | {"learning_rate": 0.01, "diverged": 0})
    return found


def failed(**changed):
    return [check.statement for check in module.learning_checks(rows(**changed)) if not check.passed]


def test_what_the_document_is_read_to_say_passes():
    assert failed() == []
    assert len(module.learning_checks(rows())) == 3 * len(module.DATA)


@pytest.mark.parametrize(
    ("place", "accuracy", "statement"),
    [
        ("gaussians_rule 2.2_both", 0.89, "gaussians: accuracy with (8) and (13)"),
        ("moons_rule 2.1_(8) alone", 0.88, "moons: what is lost with exactly one of them"),
        ("moons_rule 2_(13) alone", 0.88, "moons: what is lost with exactly one of them"),
        ("gaussians_rule 2_neither", 0.6, "gaussians: accuracy with neither"),
        *[(f"moons_{rule}_both", np.nan, "moons: accuracy with (8) and (13)") for rule in module.RULE_2],
        *[(f"moons_{rule}_(13) alone", np.nan, "moons: what is lost") for rule in module.RULE_2],
    ],
)
def test_one_combination_that_behaves_otherwise_fails_its_check(place, accuracy, statement):
    assert any(found.startswith(statement) for found in failed(**{place: accuracy}))


def test_the_ends_of_the_trust_region_are_reached_and_another_ratio_fails():
    exact = module.exact_ratios()
    assert all(check.passed for check in module.ratio_checks(exact))
    moved = [(scaling, layers, label, ratio + 1e-6) for scaling, layers, label, ratio in exact]
    assert not any(check.passed for check in module.ratio_checks(moved))


def test_the_measured_share_is_that_of_the_ratios_inside(monkeypatch):
    """Of 0 … 2 in even steps with λ = 0.1 and three layers: those from 0.729 to 1.331, (1.331 - 0.729)/2."""
    monkeypatch.setattr(module, "_ratios", lambda *_: np.linspace(0.0, 2.0, 10_001))
    found = {(row["natural"], row["scaling"]): row for row in module.measured_ratios()}
    assert len(found) == 2 * len(module.SCALINGS)
    row = found[False, 0.1]
    assert (row["low"], row["high"]) == pytest.approx((0.729, 1.331))
    assert row["inside"] == pytest.approx(0.301, abs=1e-3)
    assert (row["p05"], row["p50"], row["p95"]) == pytest.approx((0.1, 1.0, 1.9))
    assert picture(module.trust_region(list(found.values()))).count("<path") > 30


def test_every_combination_is_drawn():
    assert picture(module.combinations(rows())).count("<path") > 24


def picture(chart):
    return vl_convert.vegalite_to_svg(report.specification(chart), vl_version=VEGA_LITE)
