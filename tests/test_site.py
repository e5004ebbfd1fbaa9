"""The documentation site: nothing public is missing from it, and it asks no other host for anything.

The last test builds it, where the extra `docs` is installed.
"""

import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ascribe
from ascribe import datasets, networks, rules

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def pages():
    """tools/pages.py, which makes what docs/ has not."""
    specification = importlib.util.spec_from_file_location("pages", ROOT / "tools" / "pages.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(pages):
    return pages.pages()


def test_public_names_are_what_a_module_offers(pages):
    assert set(pages.public_names("")) - {"annotations"} == set(dir(ascribe)) - {"__version__"}
    for module in pages.public_modules():
        face = importlib.import_module(f"ascribe.{module}")
        assert all(hasattr(face, name) for name in pages.public_names(module)), module
    assert {"FeedbackAlignment", "hyperparameter", "meta_network"} <= set(pages.public_names("rules"))
    assert {"CreditClassifier", "CreditRegressor"} <= set(pages.public_names("estimators"))


def test_every_public_name_is_in_the_api(pages, made):
    for module in pages.public_modules():
        text = made[f"api/{module}.md"]
        for name in pages.public_names(module):
            assert f"::: {pages.place_of(module, name)}\n" in text, f"ascribe.{module}.{name}"
    for name in dir(ascribe):
        assert f"[`ascribe.{name}`]" in made["api/index.md"] or name == "__version__"


def test_every_public_function_class_and_module_has_a_docstring(pages):
    """Constants have theirs behind them, where a program cannot see it; the strict build does."""
    for module in ("", *pages.public_modules()):
        face = importlib.import_module(f"ascribe.{module}".rstrip("."))
        assert inspect.getdoc(face)
        for name in pages.public_names(module):
            thing = getattr(face, name)
            if inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing):
                assert thing.__doc__, f"ascribe.{module}.{name} has no docstring"


@pytest.mark.parametrize("name", rules.registry.TABLE)
def test_every_rule_has_a_page_with_its_equations_source_and_limit(name, made):
    own = (ROOT / "docs" / "rules" / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall("^## (.*)", made[f"rules/{name}.md"], re.MULTILINE)
    known = "When it is something known"
    assert headings == ["The equations", "What it needs", known, "The card", "Hyper-parameters", "The class"]
    assert f"](cards/{name}.svg)" in made[f"rules/{name}.md"] and f"](cards/{name}.html)" in made[f"rules/{name}.md"]
    assert own.startswith(f"# `{name}`\n") and "| Source | " in made[f"rules/{name}.md"]
    assert f"({name}.md)" in made["rules/index.md"]


def test_a_rules_numbers_have_their_defaults_and_ranges(made):
    assert "| `decay` | `0.001` | `[0, 1)` |" in made["rules/kolen-pollack.md"]
    assert "| `kind` | `'fixed-random'` |" in made["rules/sign-symmetry-fixed-random.md"]
    assert "| `hidden_weight` | `100.0` | `[0, inf)` |" in made["rules/relaxed-identity.md"]
    assert "| `relax_output` | `True` |" in made["rules/relaxed-identity-as-published.md"]
    for name in ("forward-pass", "relaxed-identity"):
        assert "| Source | ours, after: " in made[f"rules/{name}.md"]
        assert "ours" not in made[f"rules/{name}-as-published.md"].partition("| Source |")[2].partition("\n")[0]


def test_every_document_and_its_entries_are_listed(made):
    from ascribe import papers

    index = made["documents/index.md"]
    for path in (ROOT / "docs" / "documents").glob("*.md"):
        assert f"]({path.name})" in index
    for name, entry in papers.TABLE.items():
        listed = any(entry.source.startswith(title) for title in re.findall(r"^\| \[(.*?)\]", index, re.MULTILINE))
        assert (f"`{name}`" in index) == listed


def test_a_rule_without_a_page_of_its_own_gets_one(pages, monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    page = pages.rule_pages()["rules/perceptron.md"]
    assert page.startswith("# `perceptron`\n\nOn each mistake") and "Novikoff" in page


def test_every_data_set_transform_network_layer_and_activation_has_its_entry(made):
    for name in datasets.names():
        assert f"## `{name}`" in made["datasets.md"]
    ready = ("mlp", "lenet", "simplenet", "resnet", "vit", "mixer", "transformer", "gru")
    for name in (*networks.LAYERS, *networks.ACTIVATIONS, *networks.initializers.names(), *ready):
        assert f"`{name}`" in made["networks.md"]
    for name in datasets.TRANSFORMS:
        assert f"`{name}`" in made["datasets.md"]


def test_every_command_shows_its_help(made):
    from ascribe.cli import COMMANDS

    for command in COMMANDS:
        assert f"## `ascribe {command}`" in made["command-line.md"]
        assert f"Usage: ascribe {command}" in made["command-line.md"]


def test_links_into_the_api_lead_to_an_entry(made):
    for page, text in made.items():
        for module, name in re.findall(r"\]\((?:\.\./)?api/(\w+)\.md#([\w.]+)\)", text):
            entry = f"::: {name}\n"
            assert entry in made[f"api/{module}.md"], f"{page}: {name}"


def test_every_lesson_of_the_playground_stands_in_its_page_as_it_is():
    text = (ROOT / "docs" / "playground.md").read_text(encoding="utf-8")
    lessons = json.loads((ROOT / "src/ascribe/playground/page/lessons.json").read_text(encoding="utf-8"))
    sections = re.findall(r"^### (.*?)\n\n(.*?)\n\n\*(.*?)\*$", text, re.MULTILINE | re.DOTALL)
    numbered = enumerate(lessons, 1)
    assert sections == [(f"{k}. {one['title']}", " ".join(one["text"]), one["question"]) for k, one in numbered]


LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *ROOT.glob("docs/**/*.md")], ids=str)
def test_links_hold_when_a_page_is_read_in_the_repository(page):
    path = ROOT / page
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in LINK.findall(text):
        assert link.startswith("http") or (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="needs the extra `docs`")
def test_the_site_builds_strictly_and_asks_no_other_host(pages, tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    draft = {**os.environ, "ASCRIBE_SITE": "draft"}
    done = subprocess.run(command, cwd=ROOT, env=draft, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for module in pages.public_modules():
        html = (tmp_path / "api" / f"{module}.html").read_text(encoding="utf-8")
        for name in pages.public_names(module):
            assert f'id="{pages.place_of(module, name)}"' in html, f"ascribe.{module}.{name}"
    frame = r'<iframe class="playground" src="play.html#[^"]*compact=yes" title="[^"]+" loading="lazy">'
    assert re.search(frame, (tmp_path / "index.html").read_text(encoding="utf-8"))
    assert 'id="page-data"' in (tmp_path / "play.html").read_text(encoding="utf-8")
    lessons = re.findall(r'href="play.html#lesson=', (tmp_path / "playground.html").read_text(encoding="utf-8"))
    assert len(lessons) == 9
    for path in tmp_path.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert "arithmatex" not in html, f"{path.name}: a formula is still TeX"
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", html):
            assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", tag), f"{path.name}: {tag}"
