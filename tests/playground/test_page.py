"""The page is one file: what is in it, its content security policy, and what of its data a browser could run."""

import base64
import gzip
import hashlib
import html
import json
import re

import pytest

from ascribe.playground.page import LARGEST, SCRIPTS, page

from .stand_in import ENGINE, page_data

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">{{ policy }}"


@pytest.fixture(scope="module")
def engine():
    return ENGINE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def written(engine):
    return page(page_data(HOSTILE), engine, title=HOSTILE)


def policy_of(text):
    return html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1])


def data_of(text):
    form, inside = re.search(
        r'<script id="page-data" type="application/json" data-form="(\w+)">([^<]*)</script>', text
    ).groups()
    return form, json.loads(inside if form == "json" else gzip.decompress(base64.b64decode(inside)))


def test_the_policy_names_every_script_and_the_style_by_its_hash_and_allows_nothing_else(written):
    policy = dict(part.split(" ", 1) for part in policy_of(written).split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "unsafe" not in str(policy) and "http" not in str(policy)
    bodies = re.findall(r"<script>(.*?)</script>", written, flags=re.DOTALL)
    assert len(bodies) == len(SCRIPTS) + 1
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" for body in bodies]
    assert policy["script-src"].split() == hashes
    style = re.search(r"<style>(.*?)</style>", written, flags=re.DOTALL)[1]
    assert policy["style-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


def test_nothing_is_fetched_and_nothing_is_made_into_a_program(written):
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", written)
    assert not re.search(
        r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\bon\w+=\"",
        written.replace(html.escape(HOSTILE), ""),
    )
    assert "import(" not in written and "fetch(" not in written and "XMLHttpRequest" not in written


def test_hostile_names_are_text_in_the_page(written):
    assert f"<title>{html.escape(HOSTILE)}</title>" in written
    form, data = data_of(written)
    assert form == "json" and HOSTILE in data["rules"]
    assert written.count("<script>") == len(SCRIPTS) + 1


def test_large_data_are_packed_and_the_same(engine):
    noise = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(2000)]
    text = page(page_data(programs=noise), engine)
    form, data = data_of(text)
    assert (form, data["programs"]) == ("gzip", noise)
    assert len(text) < len(page(page_data(), engine)) + sum(map(len, noise))
    assert len(text) <= LARGEST


def test_rules_have_colors_and_dashes_and_the_control_its_own(written):
    _, data = data_of(written)
    theme = data["theme"]
    assert set(theme["colors"]) == set(theme["dashes"]) == set(data["rules"])
    looks = [(theme["colors"][name], tuple(theme["dashes"][name])) for name in data["rules"]]
    assert len(set(looks)) == len(looks)
    assert (theme["colors"]["backpropagation"], theme["dashes"]["backpropagation"]) == ("#1f2328", [])
    assert theme["colors"]["frozen"] == "#6b7280" and theme["dashes"]["frozen"]


def test_a_lesson_has_three_sentences_and_a_question(written):
    _, data = data_of(written)
    assert len(data["lessons"]) == 9 and len({one["id"] for one in data["lessons"]}) == 9
    for lesson in data["lessons"]:
        assert len(lesson["text"]) == 3 and all(re.search(r"[.)]$", one) for one in lesson["text"])
        assert lesson["question"].endswith("?")
