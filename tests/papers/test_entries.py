"""Every entry of the table runs, its checks come out as they are known to, and its figures can be drawn."""

import math
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import vl_convert

import ascribe
from ascribe import papers, report
from ascribe.errors import UserError
from ascribe.papers import Check, Entry, Result
from ascribe.papers.base import at_most, close, printed, same
from ascribe.report.figures import VEGA_LITE

ROOT = Path(__file__).parent.parent.parent
NOT_REPRODUCED: dict[str, list[str]] = {
    "forward-pass-natural": ["the trust region of (13) for the same weights"],
    "zero-slope-credit": ["functions that learn faster for it"],
}
"""By the entry's name, how the statements begin that a document makes and that do not come out here."""
LONG = ("zero-slope-credit", "relaxed-identity-dimensions")
"""Entries that train so much that the tests' unoptimized programs take five times as long as a user's."""


def reproduced(name, monkeypatch):
    """What the entry finds; of a long one in a process that compiles as a user's does."""
    if name not in LONG:
        return papers.reproduce(name)
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(papers.reproduce, name).result()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, entry in papers.TABLE.items() if entry.minutes < 0.5])
def test_an_entry_s_checks_come_out_as_known_and_its_figures_are_drawn(name, monkeypatch):
    found, known = reproduced(name, monkeypatch), NOT_REPRODUCED.get(name, [])
    assert found.checks
    missed = [check.statement for check in found.checks if not check.passed]
    assert len(missed) == len(known), missed
    assert all(statement.startswith(one) for statement, one in zip(missed, known, strict=True)), missed
    assert found.figures or found.drawings
    for chart in found.figures.values():
        drawing = report.specification(chart)
        assert drawing["title"]["text"]
        picture = vl_convert.vegalite_to_svg(drawing, vl_version=VEGA_LITE)
        assert picture.count("<path") + picture.count("<image") > 5
        for axis in ("NaN", "undefined", "Infinity"):
            assert f">{axis}<" not in picture
    for rows in found.tables.values():
        assert rows
        assert len({tuple(row) for row in rows}) == 1


def test_the_table_names_itself():
    for name, entry in papers.TABLE.items():
        assert name == entry.name
        assert entry.title and entry.source and entry.minutes > 0
    assert papers.names() == list(papers.TABLE)
    assert ascribe.papers is papers


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("perceptrn", "did you mean 'perceptron'"),
        ("qqqq", "list them with `ascribe reproduce --list`."),
        ("", "list them"),
    ],
)
def test_an_unknown_entry_is_a_sentence(name, hint):
    with pytest.raises(UserError) as caught:
        papers.reproduce(name)
    assert str(caught.value).startswith(f"unknown entry {name!r}: ")
    assert hint in str(caught.value)


def test_a_printed_number_is_met_to_its_digits():
    assert printed("", "0.301", 0.30149).passed
    assert not printed("", "0.301", 0.30151).passed
    assert printed("", "-0.0292", -0.029197).passed
    assert not printed("", "1", math.nan).passed
    assert printed("", "0.301", 0.3012345) == Check("", "0.301", "0.30123", True)


def test_checks_that_are_not_met_fail():
    assert not same("", 1, 2).passed
    assert same("", "a", "a").passed
    assert not close("", 2.0, 2.1, 0.05).passed
    assert close("", 2.0, 2.04, 0.05).passed
    assert not at_most("", 1.0, 1.1).passed
    for value in (math.nan, math.inf):
        assert not close("", 2.0, value, 0.05).passed
        assert not at_most("", 1.0, value).passed


def test_one_failing_check_fails_the_result():
    result = Result((same("", 1, 1), same("", 1, 2)))
    assert not result.passed
    assert [check.outcome for check in result.checks] == ["reproduced", "not reproduced"]
    assert repr(result) == "<1 of 2 checks reproduced; figures: none>"


def test_an_entry_finds_its_function_late(monkeypatch):
    entry = Entry("mine", "", "", "base", "mine", 0.1)
    heard = []
    monkeypatch.setattr(papers.base, "mine", lambda listener: listener("progress") or Result(()), raising=False)
    assert entry.run(heard.append) == Result(())
    assert heard == ["progress"]


def test_a_wrong_derivative_fails_the_sums(monkeypatch):
    """With feedback other than W, the sums of the layer below are not the rule's any more; those above are."""
    from ascribe import losses
    from ascribe.papers import perceptrons_lecture_backpropagation as lecture
    from ascribe.rules import Batch, Terms, backward_sweep

    def wrong(network, inputs, targets):
        terms = Terms(feedback={"linear2": 1.5 * network["linear2"].weight})
        return backward_sweep(network, None, Batch(inputs, targets, losses.SQUARED_ERROR), terms)

    monkeypatch.setattr(lecture, "_gradient", wrong)
    two = lecture._two_layers()
    assert two["upper"] < 1e-12
    assert two["lower"] > 1e-4


def test_the_network_of_ours_is_the_one_that_is_differentiated():
    """θ1 moves the output by what its derivative says, to first order."""
    from ascribe.papers import course_notes

    network = course_notes._network()
    np.testing.assert_array_equal(network["linear1"].weight[0, 0], course_notes.THETA)
    slope = (course_notes._output(network, -0.508) - course_notes._output(network, -0.51)) / 0.002
    np.testing.assert_allclose(-slope / course_notes._output(network, -0.509), -0.0292, atol=5e-5)
