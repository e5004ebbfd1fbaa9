"""The README's code runs: its rule file, its Python, its command lines (and those of docs/comparisons.md), shrunken to a few
epochs and seeds."""

import re
import shlex
from pathlib import Path

import jax
import pytest

import ascribe
from ascribe.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/comparisons.md")]
BLOCKS = [block for page in PAGES for block in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)]
PYTHON = [text for language, text in BLOCKS if language == "python"]
MEASUREMENTS = "length,width,species\n" + "".join(f"{i},{i % 7},{'ab'[i > 20]}\n" for i in range(40))
COMMANDS = [
    line.split("#")[0].strip()
    for language, text in BLOCKS
    if language == "bash"
    for line in text.splitlines()
    if line.startswith("ascribe ")
]
# As many runs side by side everywhere: the same shapes share a program.
DISCOVERY = [
    *("--network", "4", "--evaluations", "4", "--batch", "2", "--seeds", "1", "--epochs", "1", "--fresh-seeds", "2"),
    *("--tune", "1", "--transfer", "none", "--no-random-search"),
]
SMALL = ["--seeds", "2", "--epochs", "2"]
TUNED, UNTUNED = ["--tune", "2", "--tune-seeds", "1"], ["--tune", "0"]


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "measurements.csv").write_text(MEASUREMENTS, encoding="utf-8")
    (tmp_path / "alice.txt").write_text("Alice was beginning to get very tired of sitting. " * 8, encoding="utf-8")
    for text in PYTHON:
        if text.startswith("# my_rule.py"):
            (tmp_path / "my_rule.py").write_text(text, encoding="utf-8")


@pytest.fixture
def shrunken(monkeypatch):
    train, compare = ascribe.train, ascribe.compare
    monkeypatch.setattr(ascribe, "train", lambda *a, **k: train(*a, **{**k, "epochs": 2}), raising=False)
    small = {"epochs": 2, "seeds": 2, "tune": 2, "tune_seeds": 1, "network": "4"}
    monkeypatch.setattr(ascribe, "compare", lambda *a, **k: compare(*a, **{**k, **small}), raising=False)


def test_readme_has_what_these_tests_run():
    assert len(PYTHON) == 2
    assert len(COMMANDS) >= 9


def test_a_rule_of_your_own_takes_at_most_twenty_lines():
    (rule,) = [text for text in PYTHON if text.startswith("# my_rule.py")]
    assert len([line for line in rule.splitlines() if line.strip()]) <= 20


@pytest.mark.slow
@pytest.mark.parametrize("text", [t for t in PYTHON if not t.startswith("# my_rule.py")], ids=["library"])
def test_python_runs(text, shrunken, few_figures):
    with jax.numpy_dtype_promotion("standard"):  # as users have it; Optax's Adam asks for it
        exec(compile(text, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(command, capsys, few_figures, as_installed):
    arguments = shlex.split(command)[1:]
    if arguments[0] == "compare":
        arguments += SMALL + (UNTUNED if "--landscape" in arguments else TUNED)  # a path is another program
        if "--network" not in arguments:
            arguments += ["--network", "4"]
        if "--rules" not in arguments:
            arguments += ["--rules", "backprop,feedback-alignment"]  # all rules: the main job's own test
    if arguments[0] == "discover":
        arguments += DISCOVERY
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip()
