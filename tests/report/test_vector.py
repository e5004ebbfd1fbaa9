"""A drawing in a page: what is hostile or unknown stays out, what is alike is kept once."""

import re
from xml.etree import ElementTree

import pytest

from ascribe.charts.inline import ROW_LABEL, inline, numbered
from ascribe.charts.theme import themed
from ascribe.report import Drawing, specification
from ascribe.report.vector import embedded, width_of

from ..later import Later

alt = Later("altair")

RULES = ("a, row 3", "b\n<c>", "</svg><script>alert(1)</script>")


def drawing(*below, rules=RULES):
    names = [rule for rule in rules for _ in range(3)]
    columns = numbered({"rule": names, "x": [1, 2, 3] * len(rules), "y": range(len(names))})
    base = alt.Chart(inline(columns, "points")).encode(x="x:Q", y="y:Q", color="rule:N")
    layers = base.mark_line(clip=True, description=ROW_LABEL), base.mark_point(filled=True, description=ROW_LABEL)
    return Drawing(specification(themed(alt.layer(*layers), "Title", *below)))


@pytest.mark.parametrize("name", ["u\a", "\0", "\x1b[31m", "\ud800", "\uffff"])
def test_a_character_that_svg_cannot_hold_is_drawn_as_a_sign(name):
    """Native code draws, and would end the process."""
    picture = drawing(name, rules=(name, "b", "c")).svg
    assert re.search("[\u2400-\u241f\ufffd]", picture)
    assert ElementTree.fromstring(picture) is not None


def test_a_picture_grows_with_its_room_to_twice_its_size_and_a_fixed_one_hardly_shrinks():
    svg = drawing().svg
    assert width_of(svg) > 0
    plain, fixed = (
        ElementTree.fromstring(embedded(svg, name="f", rules=RULES, numbers=(0, 1, 2), fixed=fixed)) for fixed in (False, True)
    )
    assert plain.get("viewBox") == f"0 0 {plain.get('width')} {plain.get('height')}"
    assert plain.get("style") == f"max-width:{2 * width_of(svg):g}px"
    assert fixed.get("style") == f"{plain.get('style')};min-width:{0.85 * width_of(svg):g}px"


def test_marks_are_known_by_their_rows_and_rules():
    text = embedded(drawing().svg, name="f", rules=RULES, numbers=(4, 7, 9))
    marks = [mark for mark in ElementTree.fromstring(text).iter("path") if "data-row" in mark.attrib]
    assert [(mark.get("data-row"), mark.get("data-rule")) for mark in marks] == 2 * [("0", "4"), ("3", "7"), ("6", "9")]
    assert [mark.get("d").count("h0") for mark in marks] == [0, 0, 0, 3, 3, 3]
    assert len(re.findall("<clipPath", text)) == 1 and set(re.findall(r"url\(#([^)]*)\)", text)) == set(
        re.findall(r'<clipPath id="([^"]*)"', text)
    )


def test_hostile_names_and_elements_stay_out():
    inside = drawing().svg
    assert "<script" not in embedded(inside, name="f", rules=RULES, numbers=(0, 1, 2))
    hostile = '<script>1</script><foreignObject/><a href="x"/><image href="http://x"/>'
    hostile += '<g onclick="x" opacity=".5"><path d="M0,0"/></g>'
    text = embedded(inside.replace("<defs>", hostile + "<defs>"), name="f", rules=(), numbers=())
    assert '<g opacity=".5"><path d="M0,0" /></g>' in text
    for word in ("<script", "foreignObject", "<a", "onclick", "http"):
        assert word not in text
    assert embedded(inside.replace("<defs>", "<text>\x07</text><defs>"), name="f", rules=(), numbers=())
