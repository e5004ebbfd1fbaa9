"""The distribution's name and extras: what sentences and pages tell to install exists, and the citation agrees."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import ascribe
from ascribe.errors import DISTRIBUTION, how_to_install

ROOT = Path(__file__).parent.parent
SUFFIXES = {".py", ".md", ".toml", ".yml", ".cff", ".jinja", ".js", ".css"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
BARE = re.compile(r"(?<![-\w])ascribe\\?\[\w")
"""An extra of the distribution that is called `ascribe` on package indexes, which is another project's."""
EXTRA = re.compile(r"(?:ascribe-learning|['\"]\.)\\?\[([a-z,]+)\\?\]|extra `(\w+)`")
NAMES_AN_EXTRA = {"how_to_install": 0, "needed": 1}
"""The functions whose argument, and at which place, is an extra."""


def texts():
    files = [path for path in ROOT.iterdir() if path.suffix in SUFFIXES]
    for folder in ("src", "docs", "tests", "tools", "benchmarks"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(files)}


@pytest.fixture(scope="module")
def every():
    found = texts()
    assert {"pyproject.toml", "README.md", "docs/clusters.md", "src/ascribe/errors.py"} <= set(found)
    return found


def test_the_name_is_that_of_the_project_file():
    assert PROJECT["name"] == DISTRIBUTION
    assert how_to_install("tables") == "pip install 'ascribe-learning[tables]'"


def test_no_text_installs_an_extra_of_the_bare_name(every):
    assert BARE.search("pip install 'ascribe" + "[tables]'") and BARE.search(r'"ascribe' + r'\[tables\]"')
    assert not BARE.search(how_to_install("tables"))
    assert [(path, number) for path, number in found_in(every, BARE)] == []


def found_in(texts, pattern):
    for path, text in texts.items():
        for number, line in enumerate(text.splitlines(), start=1):
            if pattern.search(line):
                yield path, number


def test_every_extra_that_is_named_is_one_of_the_project_file(every):
    named = {"pyproject.toml": set()}
    for path, text in every.items():
        words = {word for pair in EXTRA.findall(text) for word in pair if word}
        named[path] = {extra for word in words for extra in word.split(",")}
        if path.startswith("src/"):
            named[path] |= set(arguments(text)) if path.endswith(".py") else set()
    assert {path: extras - EXTRAS for path, extras in named.items() if extras - EXTRAS} == {}
    assert named["docs/clusters.md"] >= {"cluster"} and named["pyproject.toml"] >= {"test", "docs"}
    assert named["src/ascribe/loggers/mlflow.py"] == {"mlflow"}
    assert named["src/ascribe/store/database.py"] >= {"postgresql"}


def arguments(text):
    """The extras that a module hands to the functions that say how they are installed."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in NAMES_AN_EXTRA:
            argument = node.args[NAMES_AN_EXTRA[node.func.id]]
            if isinstance(argument, ast.Constant):
                yield argument.value


def test_the_citation_agrees_with_the_project_file():
    """The file is YAML of top-level keys with a value each, a folded text and lists."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    values = dict(re.findall(r"^([a-z-]+): *(.*)$", text, re.MULTILINE))
    assert list(values) == [
        *("cff-version", "message", "type", "title", "abstract", "authors", "version", "license", "keywords")
    ]
    assert values["cff-version"] == "1.2.0" and values["type"] == "software"
    assert values["version"] == ascribe.__version__
    assert values["license"] == PROJECT["license"]
    keywords = re.findall(r"^  - (.*)$", text.partition("\nkeywords:\n")[2], re.MULTILINE)
    assert keywords == PROJECT["keywords"]
    authors = re.findall(r"^  - name: (.*)$", text, re.MULTILINE)
    assert authors == [author["name"] for author in PROJECT["authors"]]
