"""A drawing in a page: the title is cut off exactly, what is hostile or unknown stays out, what is alike is kept once."""

import re
from xml.etree import ElementTree

import pytest

from ascribe.report import Drawing, specification
from ascribe.report.inline import ROW_LABEL, inline, numbered
from ascribe.report.theme import themed, title_height
from ascribe.report.vector import embedded

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


@pytest.mark.parametrize("below", [(), ("one line",), ("one line", "another")])
def test_the_title_is_cut_off_and_nothing_else(below):
    full = drawing(*below)
    bare = Drawing({key: value for key, value in full.specification.items() if key != "title"})
    heights = [float(re.search(r'height="([\d.]+)"', one.svg)[1]) for one in (full, bare)]
    assert heights[0] - heights[1] == title_height(len(below))
    text = embedded(full.svg, name="f", title_lines=len(below), rules=RULES, numbers=(0, 1, 2))
    assert "Title" not in text and "one line" not in text
    assert f'viewBox="0 {title_height(len(below))} ' in text


def test_marks_are_known_by_their_rows_and_rules():
    text = embedded(drawing().svg, name="f", title_lines=0, rules=RULES, numbers=(4, 7, 9))
    marks = [mark for mark in ElementTree.fromstring(text).iter("path") if "data-row" in mark.attrib]
    assert [(mark.get("data-row"), mark.get("data-rule")) for mark in marks] == 2 * [("0", "4"), ("3", "7"), ("6", "9")]
    assert [mark.get("d").count("h0") for mark in marks] == [0, 0, 0, 3, 3, 3]
    assert len(re.findall("<clipPath", text)) == 1 and set(re.findall(r"url\(#([^)]*)\)", text)) == set(
        re.findall(r'<clipPath id="([^"]*)"', text)
    )


def test_hostile_names_and_elements_stay_out():
    inside = drawing().svg
    assert "<script" not in embedded(inside, name="f", title_lines=0, rules=RULES, numbers=(0, 1, 2))
    hostile = '<script>1</script><foreignObject/><a href="x"/><image href="http://x"/>'
    hostile += '<g onclick="x" opacity=".5"><path d="M0,0"/></g>'
    text = embedded(inside.replace("<defs>", hostile + "<defs>"), name="f", title_lines=0, rules=(), numbers=())
    assert '<g opacity=".5"><path d="M0,0" /></g>' in text
    for word in ("<script", "foreignObject", "<a", "onclick", "http"):
        assert word not in text
    assert embedded(inside.replace("<defs>", "<text>\x07</text><defs>"), name="f", title_lines=0, rules=(), numbers=())
