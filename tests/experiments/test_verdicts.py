"""What the data that are built in can show of hidden credit (docs/comparisons.md), on a smaller budget than there."""

import pytest

from ascribe import compare
from ascribe.report.findings import findings
from ascribe.statistics import hidden_credit

OPTIONS = {"seeds": 5, "tune": 3, "tune_seeds": 1, "search": {"learning_rate": (3e-3, 0.1)}, "diagnostics": False}


def compared(name):
    found = compare(name, rules=["backpropagation"], controls=("frozen", "linear"), **OPTIONS)
    means = {name: runs.test_accuracy.mean() for name, runs in (found.runs | found.controls).items()}
    return hidden_credit(found), means, " ".join(findings(found))


@pytest.mark.slow
def test_moons_show_hidden_credit():
    credit, means, said = compared("moons")
    assert credit.able is True and 0.06 < credit.low < credit.high < 0.14
    assert means["linear"] < 0.9 and "backpropagation is above both" in said


@pytest.mark.slow
def test_random_hidden_layers_are_enough_for_xor():
    credit, means, said = compared("xor")
    assert credit.able is False and means["frozen"] > 0.99 and means["linear"] < 0.65
    assert "cannot show hidden credit" in said and "Random hidden layers are enough" in said


@pytest.mark.slow
def test_gaussians_need_no_hidden_layers():
    credit, means, said = compared("gaussians")
    assert credit.able is False and means["linear"] > means["backpropagation"] - 0.01
    assert "cannot show hidden credit" in said and "take other data" in said


@pytest.mark.slow
def test_digits_are_above_frozen_layers_and_barely_above_none():
    credit, means, _ = compared("digits")
    assert credit.able is True and 0.02 < credit.difference < 0.08
    assert abs(means["backpropagation"] - means["linear"]) < 0.02
