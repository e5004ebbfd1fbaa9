import base64
import csv
import hashlib
import html
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from types import SimpleNamespace
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from ascribe.charts.theme import rgb, rule_colors
from ascribe.errors import UserError
from ascribe.files import guarded
from ascribe.report import figures, interval, page, rows, write_page
from ascribe.report.findings import findings
from ascribe.report.statement import facts, statement

from .stand_in import RULES, diverge, make_comparison

HOSTILE = (
    "backpropagation",
    "=cmd()|'/C calc'!A0",
    "<script>alert(1)</script>",
    "</script><img src=x onerror=a>{{ 7*7 }}'\"&<!--",
)
PLAIN = RULES[:4]
FEW = {"rules": RULES[:2], "epochs": 4, "layers": 1}  # drawing a panel takes a tenth of a second


class Elements(HTMLParser):
    """Start tags with their attributes, the text of every script, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text, self.inside = [], [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self.inside != "style":
            self.text += data


@pytest.fixture(scope="module")
def plain():
    comparison = make_comparison(rules=PLAIN, epochs=6)
    diverge(comparison.runs["perturbation"], [0])
    return comparison, page(comparison)


@pytest.fixture(scope="module")
def hostile():
    comparison = make_comparison(rules=HOSTILE, epochs=4, layers=1)
    comparison.data.name = "<b onclick=alert(4)>moons</b>"
    comparison.data.class_names = ("</script><b>", '"q"')
    comparison.data.card.url = "javascript:alert(5)"
    comparison.data.card.description = "</p><script>alert(6)</script>"
    comparison.configuration["note"] = "</pre><script>alert(3)</script>"
    comparison.configuration["bound"] = float("nan")
    comparison.configuration["array"] = np.arange(2)
    return comparison, page(comparison)


@pytest.fixture(params=["plain", "hostile"])
def either(request):
    return request.getfixturevalue(request.param)


def test_nothing_is_fetched(either):
    comparison, text = either
    for tag, attributes in Elements(text).tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            address = attributes.get(name, "")
            inside = {"a": ("#content", "data:text/csv;"), "image": ("data:image/png;",)}.get(tag, ())
            assert not address or address.startswith(inside) or address == comparison.data.card.url
        assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form")
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    assert "url(" not in style and "@import" not in style


def test_hostile_names_stay_text(hostile):
    comparison, text = hostile
    elements = Elements(text)
    assert len(elements.scripts) == 1
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert "b" not in {tag for tag, _ in elements.tags}
    for rule in HOSTILE:
        assert rule in elements.text
    assert "javascript:" not in text.partition("<script>")[0]
    assert "49" not in " ".join(sentence for sentence in statement(comparison))


def downloads(text):
    """Title of every table that the page offers, and its rows."""
    links = [attributes for tag, attributes in Elements(text).tags if tag == "a" and "download" in attributes]
    read = lambda link: csv.reader(io.StringIO(unquote(link["href"].partition(",")[2], errors="strict")))
    return {link["download"]: list(read(link)) for link in links}


def test_every_figure_has_its_values_as_a_download_and_as_a_table(either):
    comparison, text = either
    shapes = re.findall(r"<figure .*?</figure>", text, re.S)
    assert len(shapes) == len(figures(comparison))
    for shape in shapes:
        assert shape.count('<div class="plot') == shape.count('<details class="values">') == shape.count("<h2>") == 1
        assert shape.count('<div class="panel ') <= shape.count("<svg viewBox")
        assert 'download="' in shape and 'role="img"' in shape and "<figcaption>" in shape


def test_downloads_have_all_digits(plain):
    comparison, text = plain
    titles, *lines = downloads(text)["learning_curves-curves.csv"]
    assert titles == ["rule", "curve", "epoch", "mean", "low", "high"]
    for rule in PLAIN:
        got = [float(mean) for name, curve, _, mean, _, _ in lines if (name, curve) == (rule, "train_loss")]
        runs = comparison.runs[rule]
        np.testing.assert_array_equal(got, interval(runs.curves["train_loss"][~runs.diverged])[0])
    titles, *lines = downloads(text)["final_scores-scores.csv"]
    scores = [float(line[3]) for line in lines if line[:2] == [RULES[0], "seed"]]
    np.testing.assert_array_equal(scores, comparison.runs[RULES[0]].scores["test_accuracy"])


def test_no_spreadsheet_takes_a_name_for_a_formula(hostile):
    names = {line[0] for line in downloads(hostile[1])["learning_curves-curves.csv"][1:]}
    assert names == {*HOSTILE[:1], "'" + HOSTILE[1], *HOSTILE[2:]}
    assert guarded("-1.5") == "-1.5" and guarded("-a") == "'-a" and guarded("'a") == "''a" and guarded("") == ""


def pictures(text, figure):
    """The panels of one figure of a page."""
    shape = re.search(rf'<figure id="{figure}">.*?</figure>', text, re.S)[0]
    return [ElementTree.fromstring(one) for one in re.findall(r'<svg viewBox="[^"]*" width=.*?</svg>', shape, re.S)]


def test_marks_carry_the_rows_and_the_rules_of_their_table(plain):
    text = plain[1]
    lines = downloads(text)["learning_curves-curves.csv"][1:]
    marks = [mark for shape in pictures(text, "learning_curves") for mark in shape.iter("path") if "data-row" in mark.attrib]
    assert len(marks) == 2 * len(PLAIN)
    for mark in marks:
        first, count = int(mark.get("data-row")), len(re.findall("[ML]", mark.get("d")))
        shown = lines[first : first + count]
        assert {(name, curve) for name, curve, *_ in shown} == {(PLAIN[int(mark.get("data-rule"))], shown[0][1])}
        assert [int(line[2]) for line in shown] == list(range(1, 7))
    # The dots of a rule's seeds are one path; its bar and its mean are marks of their own.
    shape, narrow = pictures(text, "final_scores")
    dots = [mark.get("d").count("h0") for mark in shape.iter("path") if mark.get("data-rule") == "0"]
    assert sorted(dots) == [1, 1, 5]
    assert sum("class" in group.attrib for group in shape.iter("g")) == 0
    for one in (shape, narrow):
        assert [label.get("data-rule") for label in one.iter("text") if label.text == RULES[1]] == ["1"]
    assert float(narrow.get("width")) < 0.5 * float(shape.get("width"))


def test_filters_have_labels_and_groups(plain):
    elements, text = Elements(plain[1]), plain[1]
    boxes = [attributes for tag, attributes in elements.tags if tag == "input"]
    assert [box["data-name"] for box in boxes] == list(PLAIN)
    assert all(box["type"] == "checkbox" and "checked" in box for box in boxes)
    assert text.count("<label><input ") == len(boxes) and "<legend>Rules</legend>" in text
    assert re.search(r'<nav class="filters" aria-label="Filter" hidden>', text)
    rows_of_tables = [attributes for tag, attributes in elements.tags if tag == "tr" and "data-rule" in attributes]
    assert len(rows_of_tables) == 2 * len(PLAIN)


def test_landmarks_and_headings(plain):
    elements = Elements(plain[1])
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("main") == tags.count("h1") == 1 and ("html", {"lang": "en"}) in elements.tags
    headings = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1 and all(after <= before + 1 for before, after in pairwise(headings))
    names = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(names) == len(set(names))
    for tag, attributes in elements.tags:
        assert tag != "section" or "aria-label" in attributes or attributes["aria-labelledby"] in names
    assert re.search(r'<a class="skip" href="#content">', plain[1])


def test_style_for_the_dark_print_and_little_motion(plain):
    style = re.search(r"<style>(.*?)</style>", plain[1], re.S)[1]
    for words in (
        "prefers-color-scheme: dark",
        "@media print",
        "prefers-reduced-motion",
        ":focus-visible",
        "break-inside: avoid",
    ):
        assert words in style
    dark = re.search(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", style, re.S)[1]
    light = re.search(r":root \{(.*?)\}", style, re.S)[1]
    for mode in (light, dark):
        colors = dict(re.findall(r"--(\w+): (#\w{6})", mode))
        for name in ("ink", "soft", "accent", "bad"):
            for ground in ("paper", "back"):
                assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)


def contrast(one, other):
    """The ratio of WCAG 2.2."""

    def luminance(color):
        parts = rgb(color) / 255.0
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_several_data_sets_stand_on_one_page():
    parts = [
        make_comparison(**FEW | {"rules": RULES[:3], "tuned": False}),
        make_comparison("regression", (1,), 1, name="</script><i>sine", tuned=False, **FEW),
    ]
    text = page(parts)
    elements = Elements(text)
    boxes = [(attributes["name"], attributes["value"]) for tag, attributes in elements.tags if tag == "input"]
    assert boxes == [("data", "0"), ("data", "1"), *(("rules", str(number)) for number in range(3))]
    assert re.findall(r'class="part" data-set="(\d)"', text) == ["0", "1"]
    assert {"learning_curves-curves.csv", "data1-learning_curves-curves.csv"} & set(downloads(text)) == {
        "data1-learning_curves-curves.csv"
    }
    assert "Ranks over data sets" in elements.text and "i" not in {tag for tag, _ in elements.tags}
    names = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(names) == len(set(names))


def test_policy_allows_exactly_the_scripts_of_the_page(plain):
    elements = Elements(plain[1])
    policy = next(a["content"] for tag, a in elements.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none';")
    scripts = [body for kind, body in elements.scripts if kind is None]
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in scripts]
    assert len(digests) == 1 and re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "unsafe-eval" not in policy and "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "http" not in policy


def test_table_is_semantic_and_in_order(plain):
    comparison, text = plain
    elements = Elements(text)
    scopes = [attributes.get("scope") for tag, attributes in elements.tags if tag == "th"]
    assert scopes == ["col"] * 8 + ["row"] * len(PLAIN) + ["col"] * 10 + ["row"] * len(PLAIN)
    assert text.count("<caption>") == text.count("What the columns mean") == 1
    names = [a["data-value"] for tag, a in elements.tags if tag == "th" and a.get("scope") == "row"]
    assert names == 2 * [row.rule for row in rows(comparison)]
    assert "1 of 5" in elements.text


def test_statement_claims_what_holds():
    comparison = make_comparison()
    words = " ".join(statement(comparison))
    assert "same 5 seeds" in words and "budget was equal: 9 candidates a rule, 3 seeds each" in words
    assert "20 epochs in batches of 32 with sgd" in words and "300 examples to train" in words
    tuned = comparison.tuning["perturbation"]
    comparison.tuning["perturbation"] = SimpleNamespace(**{**vars(tuned), "scores": tuned.scores[:4]})
    comparison.runs["perturbation"].seeds = (5, 6, 7, 8, 9)
    words = " ".join(statement(comparison))
    assert "budgets of the rules differ" in words and "different sets of seeds" in words
    assert "Nothing was tuned" in " ".join(statement(make_comparison(tuned=False)))


def test_statement_says_when_rules_had_settings_of_their_own():
    sentence = "Where the notes say so, a rule ran with a network, inputs or settings of its own instead."
    comparison = make_comparison()
    comparison.runs["perturbation"].notes = ("tuned rate at the end of its range",)
    assert sentence not in " ".join(statement(comparison))
    for note in ("batch_size forced to 1", "network changed by the rule", "inputs encoded by the rule (constant-one)"):
        comparison.runs["perturbation"].notes = (note,)
        assert sentence in " ".join(statement(comparison))


def test_statement_says_that_a_rule_with_a_forced_rate_was_not_tuned():
    comparison = make_comparison()
    del comparison.tuning[next(iter(comparison.tuning))]
    words = " ".join(statement(comparison))
    assert "rules that force them were not tuned" in words and "budgets of the rules differ" not in words


def test_transforms_are_facts_by_their_names():
    transforms = [{"name": "unit-interval", "minimum": [0.0] * 3, "scale": [1.0] * 3}, {"name": "constant-one"}]
    comparison = make_comparison()
    assert "transforms" not in dict(facts(comparison))
    comparison.configuration["data"] = comparison.data.summary() | {"transforms": transforms}
    assert dict(facts(comparison))["transforms"] == "unit-interval, constant-one"


def test_caption_says_how_the_table_came_about(plain):
    caption = re.search(r"<caption>(.*?)</caption>", plain[1], re.S).group(1)
    assert "Seconds: wall time of the final runs including validation and diagnostics, without compiling" in caption
    assert "rules with such runs come after those without" in caption
    assert "come after" not in page(make_comparison(rules=RULES[:2], tuned=False), {})


def test_card_and_configuration_are_shown(plain):
    comparison, text = plain
    shown = Elements(text).text
    for words in (comparison.data.card.title, comparison.data.card.license, comparison.data.checksum, "0.10.0"):
        assert words in shown
    assert f'href="{comparison.data.card.url}"' in text


def test_page_size(plain):
    assert len(plain[1].encode()) < 300_000


def test_the_page_begins_with_what_came_out_then_pictures_then_tables(plain):
    comparison, text = plain
    words = [
        *findings(comparison),
        "Test score</h2>",
        "The rules</h2>",
        "Learning curves</h2>",
        "Result</h2>",
        "Statistics</h2>",
    ]
    words += ["How the rules were compared</h2>", "Data: "]
    places = [
        text.index(html.escape(word, quote=False).replace("'", "&#39;") if word in findings(comparison) else word)
        for word in words
    ]
    assert places == sorted(places)
    for rule in PLAIN:
        assert f"what {rule} does; A. Author (1999)" in text


def test_every_cell_of_a_wide_table_knows_its_column(plain):
    """On a phone a row is a card, in which each value stands beside its column's title."""
    for table in re.findall(r'<table class="cards.*?</table>', plain[1], re.S):
        titles = re.findall(r'<th scope="col"[^>]*><button type="button">(.*?)</button>', table)
        for line in re.findall(r"<tr data-rule.*?</tr>", table, re.S):
            assert re.findall(r'<td data-column="(.*?)"', line) == titles[1:]


def test_the_legend_is_text_and_has_the_look_of_the_lines(plain):
    shape = re.search(r'<figure id="learning_curves">.*?</figure>', plain[1], re.S)[0]
    legend = re.search(r'<ul class="legend".*?</ul>', shape, re.S)[0]
    colors = rule_colors(PLAIN)
    assert re.findall(r'data-rule="(\d)".*?stroke="(#\w+)".*?</svg>\s*(.*?)</button>', legend, re.S) == [
        (str(number), colors[rule], rule) for number, rule in enumerate(PLAIN)
    ]


def test_write_is_whole_or_not_at_all(tmp_path, plain, monkeypatch):
    target = tmp_path / "new" / "report.html"
    assert write_page(plain[0], target, {}) == target
    assert target.read_text(encoding="utf-8") == page(plain[0], {})
    before = target.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(UserError, match=r"report.html' cannot be written: disk full"):
        write_page(plain[0], target, {})
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_a_page_has_the_rights_of_any_new_file(tmp_path, plain, monkeypatch):
    (tmp_path / "other").touch()
    # The mask belongs to the whole process: to change it, even for a moment, would change other threads' files.
    monkeypatch.setattr("os.umask", None)
    target = write_page(plain[0], tmp_path / "report.html", {})
    assert target.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_sparse_configuration_and_card():
    comparison = make_comparison(**FEW | {"rules": ("a", "b")}, tuned=False)
    comparison.configuration, comparison.reference, comparison.tuning = {}, None, None
    comparison.data.card = SimpleNamespace(title="", description="", source="", license="", url=None)
    text = page(comparison)
    comparison.descriptions = {}
    text = page(comparison)
    assert "The rules</h2>" not in text
    assert "the same network" in text and "reference</span>" not in text and "Statistics" not in Elements(text).text


@pytest.mark.parametrize(
    "names",
    [
        {"seeds": (7,)},
        *(pytest.param(one, marks=pytest.mark.slow) for one in ({"tuned": False, "epochs": 1}, {"rules": ("a",)})),
    ],
)
def test_few_runs_have_a_page(names):
    text = Elements(page(make_comparison(**FEW | names))).text
    assert "nan" not in text.replace("nanmean", "") and "Statistics" in text
