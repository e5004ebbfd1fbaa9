"""The card: made of one small network, in every form."""

import dataclasses
import importlib
import json
import xml.etree.ElementTree as ET

import pytest

import ascribe
from ascribe.cards.sections import scaled
from ascribe.errors import UserError
from ascribe.rules import Backpropagation

MODULE = importlib.import_module("ascribe.cards.card")


@pytest.fixture(scope="module")
def few():
    """Networks of two depths and widths, which are enough for what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODULE, "DEPTHS", (2, 3))
        patch.setattr(MODULE, "WIDTHS", (1, 2))
        patch.setattr(MODULE, "CHAIN_DEPTHS", (2, 4))
        yield


@pytest.fixture(scope="module")
def measured(few):
    return ascribe.card("feedback-alignment", "4x4", sections=("cost", "quality"), depths=(2, 3), timed=False)


@pytest.fixture(scope="module")
def found(measured):
    read = ascribe.card("feedback-alignment", "4x4", sections=("limit", "needs", "chain"))
    return dataclasses.replace(measured, needs=read.needs, chain=read.chain, limit=read.limit)


def test_a_card_has_cost_and_quality(measured):
    found = measured
    assert (found.rule, found.network, found.data, found.batch) == ("feedback-alignment", "4x4", "moons", 32)
    assert [(row.network, row.depth, row.width) for row in found.cost] == [("4x4", 2, 4), ("4x4x4", 3, 4), ("8x8", 2, 8)]
    assert found.cost[0].ours == ascribe.cards.cost("feedback-alignment", "4x4", "moons")
    assert found.cost[0].theirs == ascribe.cards.cost("backpropagation", "4x4", "moons")
    assert found.cost[0].ratio("operations") == found.cost[0].ours.operations / found.cost[0].theirs.operations
    assert found.cost[0].ratio("seconds") is None
    assert [one.depth for one in found.quality] == [2, 3]
    for one in found.quality:
        total, *hidden, last = one.angles.values()
        assert last < 0.01 and all(angle > 1 for angle in (*hidden, total))
    assert found.notes == () and found.limit is None


def test_a_card_has_what_is_read_from_the_rules_program(found):
    assert found.limit.holds and found.limit.condition == "B = W"
    assert found.needs.properties["weight transport"] == "no" and found.needs.consistent
    assert found.chain == {2: 3, 4: 5}


def test_backpropagation_is_one_times_itself_and_at_no_angle(few):
    found = ascribe.card("bp", "4x4", sections=("cost", "quality"), depths=(2, 3), timed=False)
    assert {row.ratio(name) for row in found.cost for name in ("operations", "bytes", "peak")} == {1.0}
    assert {angle for one in found.quality for angle in one.angles.values()} == {0.0}
    assert found.limit is None and found.needs is None and found.chain == {}


def test_what_a_rule_refuses_or_changes_is_in_the_notes(few):
    found = ascribe.card("perceptron", timed=False, sections=("cost", "quality", "chain"), depths=(2, 3))
    assert found.network == "without hidden layers" and found.quality == () and len(found.cost) == 1
    assert "batch_size forced to 1" in found.notes
    assert any(note.startswith("no angles on 2 x 64, 3 x 64: the rule has a network of its own") for note in found.notes)


def test_the_json_holds_everything_and_nothing_that_json_has_not(found):
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(told) == {field.name for field in dataclasses.fields(found)}
    assert told["cost"][0]["ours"]["operations"] == found.cost[0].ours.operations
    assert told["limit"]["holds"] is True and told["needs"]["properties"]["weight transport"] == "no"
    nan = dataclasses.replace(found.quality[0], angles={"linear1": float("nan")})
    assert dataclasses.replace(found, quality=(nan,)).to_json()["quality"][0]["angles"] == {"linear1": None}


def test_the_text_has_a_section_for_each_part(found):
    lines = str(found).split("\n")
    titles = ["WHAT IT NEEDS TO KNOW", "IN THE LITERATURE'S WORDS", "THE CHAIN", "WHAT IT COSTS", "HOW GOOD ITS CREDIT IS"]
    titles.append("HOW NOISY AND HOW BIASED IT IS")
    assert [line for line in lines if line.isupper()] == [*titles, "ITS LIMIT"]
    assert "Where B = W, it is backpropagation: checked on" in lines[-1]
    assert any(line.split() == ["fixed", "feedback", "yes", "yes", "no"] for line in lines)


def test_picture_and_page_hold_hostile_names_as_text(found):
    hostile = dataclasses.replace(found, rule="<script>alert(1)</script>&", about='a <b> & "c"')
    svg = hostile.svg()
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg") and "<script>" not in svg
    assert any(text.text == hostile.rule for text in root.iter("{http://www.w3.org/2000/svg}text"))
    page = hostile.html()
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert page.count("<svg") == 1 and "http-equiv" in page


def test_a_rule_without_a_docstring_is_told_by_its_name_alone():
    class Plain(Backpropagation):
        rate: float = 0.5

    assert Plain.__doc__ and Plain.__doc__.startswith("Plain(")  # by Python
    found = ascribe.card(Plain(), "3", sections=("limit",))
    assert found.about == "" and "0.5" not in str(found)


def test_a_card_is_saved_by_its_ending(found, tmp_path):
    for name in ("card.html", "card.svg", "card.json", "card.txt"):
        assert found.save(tmp_path / name).read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"saved as .html, .svg, .json, .txt; got 'card.png'"):
        found.save(tmp_path / "card.png")


def test_wrong_arguments_are_told(as_installed):
    with pytest.raises(UserError, match="`sections` is a list of some of needs, chain, cost, quality, limit; got 'cost'"):
        ascribe.card("fa", sections="cost")
    with pytest.raises(UserError, match="unknown rule 'nobody'"):
        ascribe.card("nobody")
    with pytest.raises(UserError, match="`timed` is True or False"):
        ascribe.card("fa", timed="no")
    with pytest.raises(UserError, match="unknown network"):
        ascribe.card("fa", "4y4")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 "), (999.6, "1 k"), (1234, "1.23 k"), (25.23e6, "25.2 M"), (3.1e-4, "310 µ"), (0.5, "500 m"), (7, "7 ")],
)
def test_numbers_are_told_in_three_digits(number, text):
    assert scaled(number) == text
