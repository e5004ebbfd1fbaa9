"""The parts of the entry `forward-pass` that judge and draw; what it trains takes minutes."""

import itertools
from typing import Any, cast

import numpy as np
import pytest
import vl_convert

from ascribe import report
from ascribe.papers import forward_pass as module
from ascribe.papers import forward_pass_natural as natural_rate
from ascribe.papers import forward_pass_options, forward_pass_steps
from ascribe.report.figures import VEGA_LITE
from ascribe.rules import ForwardPass

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
    monkeypatch.setattr(module, "ratios_of", lambda *_: np.linspace(0.0, 2.0, 10_001))
    found = {(row["natural"], row["scaling"]): row for row in module.measured_ratios()}
    assert len(found) == 2 * len(forward_pass_steps.SCALINGS)
    row = found[False, 0.1]
    assert (row["low"], row["high"]) == pytest.approx((0.729, 1.331))
    assert row["inside"] == pytest.approx(0.301, abs=1e-3)
    assert (row["p05"], row["p50"], row["p95"]) == pytest.approx((0.1, 1.0, 1.9))
    assert picture(module.trust_region(list(found.values()))).count("<path") > 30


def whole(**changed):
    accuracies = {"as published": 0.9, "as published, (10)": 0.9} | changed
    return [{"data": data, "pair": pair, "accuracy": one} for data in module.DATA for pair, one in accuracies.items()]


def test_the_published_rule_has_to_learn_what_a_line_separates():
    assert all(check.passed for check in module.published_checks(whole()))
    for pair in ("as published", "as published, (10)"):
        missed = [check.statement for check in module.published_checks(whole(**{pair: 0.8})) if not check.passed]
        assert len(missed) == 1 and missed[0].startswith("gaussians: ")


def steps(**changed):
    """Of the natural rate: one step of each kind, with a second-order rest of λ/2."""
    found = []
    for natural, scaling, label in itertools.product((True, False), (1e-5, 1e-4), (0, 1)):
        step = (1 + scaling / 2) * (2 * label - 1) * (1.0 if natural else 3.0)
        key = f"{'on' if natural else 'off'}_{scaling:g}"
        row = {"natural": natural, "scaling": scaling, "label": label, "output": 3.0}
        found.append(row | {"step": changed.get(key, step)})
    return found


@pytest.mark.parametrize(
    ("changed", "statement"),
    [
        ({"on_1e-05": 1.0}, "(13), one sign"),
        ({"on_1e-05": 3.0}, "(13), one sign"),
        ({"on_0.0001": 1.0001}, "the same, order in λ"),
        ({"off_1e-05": 1.0}, "without (13)"),
        ({"on_1e-05": np.nan}, "(13), one sign"),
    ],
)
def test_another_step_of_the_output_fails(changed, statement):
    assert all(check.passed for check in natural_rate.natural_checks(steps()))
    missed = [check.statement for check in natural_rate.natural_checks(steps(**changed)) if not check.passed]
    assert any(found.startswith(statement) for found in missed)


def odds(scaling, least, largest, **more):
    low, high = (1 - scaling) ** 3, (1 + scaling) ** 3
    row = {"scaling": scaling, "least": least or low, "largest": largest or high, "low": low, "high": high}
    return row | {"towards": 1.0, "inside": 1.0, "median_step": 1.0} | more


def test_odds_that_leave_the_interval_are_told():
    good = [odds(scaling, None, None) for scaling in forward_pass_steps.SCALINGS]
    assert all(check.passed for check in natural_rate.odds_checks(good, good))
    assert not natural_rate.odds_checks([odds(0.02, 0.93, None), *good[1:]], good)[0].passed
    assert not natural_rate.odds_checks([odds(0.02, None, 1.08), *good[1:]], good)[0].passed
    for more in ({"towards": 0.9}, {"inside": 0.5}):
        missed = [check for check in natural_rate.odds_checks(good, [odds(0.02, None, None, **more)]) if not check.passed]
        assert len(missed) == 1


def test_the_natural_rate_without_the_sign_of_its_divisor_is_noticed(monkeypatch):
    """A mutation of the rule, in memory: λ/|z| in place of λ/z."""
    right, compiled = ForwardPass._coefficients, cast("Any", forward_pass_steps._after)
    monkeypatch.setattr(ForwardPass, "_coefficients", lambda self, z, *more: right(self, abs(z), *more))
    compiled.clear_cache()
    missed = [check.statement for check in natural_rate.natural_checks(natural_rate.natural_steps()) if not check.passed]
    compiled.clear_cache()
    assert missed and missed[0].startswith("(13), one sign")


def test_without_the_sign_change_no_weight_crosses_and_it_is_noticed(monkeypatch):
    assert [check.passed for check in forward_pass_options.sign_checks()] == [True, True]
    monkeypatch.setattr(ForwardPass, "after_update", lambda self, trainables, state: (trainables, state))
    assert [check.passed for check in forward_pass_options.sign_checks()] == [True, False]


def test_what_stops_an_explosion_is_noticed_where_it_does_not():
    def growth(hidden, rounding):
        return [
            {"stabilized": kind, "hidden": hidden[kind], "rounding": rounding[kind], "step": 1, "logit": 1.0}
            for kind in (False, True)
        ]

    good = {False: 1e9, True: 10.0}, {False: 100.0, True: 1e-3}
    assert all(check.passed for check in forward_pass_options.explosion_checks(growth(*good)))
    for i, (hidden, rounding) in enumerate(
        [({False: 10.0, True: 10.0}, good[1]), ({False: 1e9, True: 11.0}, good[1]), (good[0], {False: 1.0, True: 1.0})]
    ):
        assert [check.passed for check in forward_pass_options.explosion_checks(growth(hidden, rounding))].index(False) == i
    assert picture(forward_pass_options.growth_figure(growth(*good))).count("<path") > 8


def test_every_combination_is_drawn():
    assert picture(module.combinations(rows())).count("<path") > 24


def picture(chart):
    return vl_convert.vegalite_to_svg(report.specification(chart), vl_version=VEGA_LITE)
