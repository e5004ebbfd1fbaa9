import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from ascribe.report import figures, page, rows, write_page
from ascribe.report.statement import facts, statement

from .stand_in import RULES, diverge, make_comparison

HOSTILE = ("backpropagation", "<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", "{{ 7*7 }}'\"&<!--")


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
    comparison = make_comparison()
    diverge(comparison.runs["perturbation"], [0])
    return comparison, page(comparison)


@pytest.fixture(scope="module")
def hostile():
    comparison = make_comparison(rules=HOSTILE)
    comparison.data.name = "<b onclick=alert(4)>moons</b>"
    comparison.data.class_names = ("</script><b>", '"q"')
    comparison.data.card.url = "javascript:alert(5)"
    comparison.data.card.description = "</p><script>alert(6)</script>"
    comparison.configuration["note"] = "</pre><script>alert(3)</script>"
    comparison.configuration["bound"] = float("nan")
    comparison.configuration["array"] = np.arange(2)
    return comparison, page(comparison)


def test_nothing_is_fetched(plain, hostile):
    for comparison, text in (plain, hostile):
        for tag, attributes in Elements(text).tags:
            for name in ("src", "href", "srcset", "data", "action", "poster"):
                if attributes.get(name):
                    assert tag == "a" and attributes[name] == comparison.data.card.url
            assert tag not in ("link", "iframe", "img", "object", "embed", "base", "form")
        style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
        assert "url(" not in style and "@import" not in style


def test_hostile_names_stay_text(hostile):
    comparison, text = hostile
    elements = Elements(text)
    assert sum(kind is None for kind, _ in elements.scripts) == 2
    assert not any(name.startswith("on") for _, attributes in elements.tags for name in attributes)
    assert "b" not in {tag for tag, _ in elements.tags}
    for rule in HOSTILE:
        assert rule in elements.text
    assert "javascript:" not in text.split("<script>")[0]
    assert "49" not in " ".join(sentence for sentence in statement(comparison))


def test_specifications_survive_embedding(plain, hostile):
    for comparison, text in (plain, hostile):
        embedded = [json.loads(body) for kind, body in Elements(text).scripts if kind == "application/json"]
        assert len(embedded) == len(figures(comparison))
        rules = embedded[1]["concat"][0]["layer"][0]["encoding"]["color"]["scale"]["domain"]
        assert rules == list(comparison.runs)
        assert all(isinstance(table, str) for drawing in embedded for table in drawing["datasets"].values())


def test_policy_allows_exactly_the_scripts_of_the_page(plain):
    elements = Elements(plain[1])
    policy = next(a["content"] for tag, a in elements.tags if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none';")
    scripts = [body for kind, body in elements.scripts if kind is None]
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert "http" not in policy


def test_table_is_semantic_and_in_order(plain):
    comparison, text = plain
    elements = Elements(text)
    scopes = [attributes.get("scope") for tag, attributes in elements.tags if tag == "th"]
    assert scopes == ["col"] * 8 + ["row"] * len(RULES) + ["col"] * 10 + ["row"] * len(RULES)
    assert text.count("<caption>") == 2
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
    assert "come after" not in page(make_comparison(rules=RULES[:2], tuned=False))


def test_card_and_configuration_are_shown(plain):
    comparison, text = plain
    shown = Elements(text).text
    for words in (comparison.data.card.title, comparison.data.card.license, comparison.data.checksum, "0.10.0"):
        assert words in shown
    assert f'href="{comparison.data.card.url}"' in text


def test_page_size(plain):
    assert len(plain[1].encode()) < 1_500_000


def test_write_is_whole_or_not_at_all(tmp_path, plain, monkeypatch):
    target = tmp_path / "new" / "report.html"
    assert write_page(plain[0], target) == target
    assert target.read_text(encoding="utf-8") == plain[1]
    before = target.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_page(plain[0], target)
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["report.html"]


def test_a_page_has_the_rights_of_any_new_file(tmp_path, plain, monkeypatch):
    (tmp_path / "other").touch()
    # The mask belongs to the whole process: to change it, even for a moment, would change other threads' files.
    monkeypatch.setattr("os.umask", None)
    target = write_page(plain[0], tmp_path / "report.html")
    assert target.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_sparse_configuration_and_card():
    comparison = make_comparison(rules=("a", "b"), tuned=False)
    comparison.configuration, comparison.reference, comparison.tuning = {}, None, None
    comparison.data.card = SimpleNamespace(title="", description="", source="", license="", url=None)
    text = page(comparison)
    assert "the same network" in text and "reference</span>" not in text and "Statistics" not in Elements(text).text


@pytest.mark.parametrize("names", [dict(seeds=(7,)), dict(tuned=False, epochs=1), dict(rules=("a",))])
def test_few_runs_have_a_page(names):
    text = Elements(page(make_comparison(**names))).text
    assert "nan" not in text.replace("nanmean", "") and "Statistics" in text
