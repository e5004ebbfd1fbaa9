"""`ascribe reproduce`: exit codes, what goes to which stream, whole folders or nothing."""

import csv
import json
import os
import signal
from pathlib import Path

import pytest

from ascribe import papers
from ascribe.charts.theme import themed
from ascribe.cli import main
from ascribe.papers import Check, Entry, Result
from ascribe.papers import base as module
from ascribe.papers.results import format_got

from ..later import Later
from ..store.case import snapshot
from .test_main import IMPORTS, python

alt = Later("altair")

NAMES = ("good", "bad", "odd")


def figure():
    points = alt.Chart(alt.Data(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q")
    return themed(points, "A <figure>", "of one point")


def good(listener):
    return Result(
        (Check("a [statement] & more", "0.30", "0.30", True),), {"point": figure()}, {"numbers": [{"a": 1, "b": 2.5}]}
    )


def bad(listener):
    return Result((Check("holds", 1, 1, True), Check("does <not>", 2.0, float("nan"), False)), {"point": figure()})


def interrupted(listener):
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, with small entries in place of the real ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    entries = [Entry(name, f"the {name} one", "A document, (1)", "base", name, 0.1) for name in NAMES]
    for entry, function in zip(entries, (good, bad, interrupted), strict=True):
        monkeypatch.setattr(module, entry.name, function, raising=False)
    monkeypatch.setattr(papers, "TABLE", {entry.name: entry for entry in entries})
    return tmp_path


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_the_entries_are_listed(here, capsys, arguments):
    assert main(["reproduce", *arguments]) == 0
    out, err = capsys.readouterr()
    assert not err
    for entry in papers.TABLE.values():
        assert f"{entry.name} " in out
        assert entry.title in out
    assert "A document, (1)" in out
    assert main(["reproduce", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["entries"]
    assert [row["name"] for row in found] == list(NAMES)
    assert all(set(row) == {"name", "title", "source", "minutes"} for row in found)
    assert not list(here.iterdir())


def test_what_is_reproduced_is_exit_code_0_and_everything_is_written(here, capsys):
    assert main(["reproduce", "good"]) == 0
    out, err = capsys.readouterr()
    folder = Path("ascribe-runs") / "reproduce-good-001"
    assert "a [statement] & more" in out
    assert "reproduced" in out and "not reproduced" not in out
    assert "0.30" in out
    assert f"page: {folder / 'index.html'}" in out
    assert "good: some seconds" in err
    assert sorted(path.name for path in (here / folder / "good").iterdir()) == ["numbers.csv", "point.png", "point.svg"]
    assert (here / folder / "good" / "point.png").read_bytes().startswith(b"\x89PNG")
    with (here / folder / "good" / "numbers.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": "1", "b": "2.5"}]
    result = json.loads((here / folder / "result.json").read_text(encoding="utf-8"))
    assert result["passed"]
    assert result["command"] == "ascribe reproduce good"
    assert {"ascribe", "jax", "numpy"} <= set(result["versions"])
    (entry,) = result["entries"]
    assert entry["checks"] == [{"statement": "a [statement] & more", "expected": "0.30", "got": "0.30", "passed": True}]
    assert entry["source"] == "A document, (1)"
    assert entry["seconds"] >= 0
    for path in (*entry["figures"], *entry["tables"]):
        assert (here / folder / path).is_file()


def test_what_is_not_reproduced_is_exit_code_1_and_everything_is_written(here, capsys):
    assert main(["reproduce", "good", "bad", "good"]) == 1
    out, _ = capsys.readouterr()
    assert out.count("not reproduced") == 2 and "\nnot reproduced: bad\n" in out
    folder = here / "ascribe-runs" / "reproduce-several-001"
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert not result["passed"]
    assert [entry["passed"] for entry in result["entries"]] == [True, False]
    assert result["entries"][1]["checks"][1]["got"] == "nan"
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "does &lt;not&gt;" in page and "<not>" not in page
    assert "A &lt;figure&gt;" in page
    assert page.count("<figure ") == 2 and page.count("<script") == 1 and 'class="bad">not reproduced<' in page
    assert "2 of 3 checks are reproduced." in page and "Not reproduced: bad: does &lt;not&gt;." in page
    assert page.index("<figure ") < page.index("<table ")
    assert sorted(path.name for path in folder.iterdir()) == ["bad", "good", "index.html", "result.json"]


def test_json_is_one_object_on_standard_output_and_nothing_else(here, capsys):
    assert main(["reproduce", "bad", "--json", "--out", "there"]) == 1
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["passed"] is False
    assert found["out"] == "there"
    assert Path(found["page"]).is_file()
    assert [check["passed"] for check in found["entries"][0]["checks"]] == [True, False]
    assert "bad" in err


def test_default_folders_are_numbered(here):
    for number in (1, 2):
        assert main(["reproduce", "good"]) == 0
        assert (here / "ascribe-runs" / f"reproduce-good-{number:03d}" / "result.json").is_file()
    assert sorted(path.name for path in here.iterdir()) == ["ascribe-runs"]


@pytest.mark.parametrize("arguments", [["--all"], ["good", "odd"]])
@pytest.mark.parametrize("out", [[], ["--out", "there"]])
def test_an_interruption_is_exit_code_130_and_writes_nothing(here, capsys, arguments, out):
    before = snapshot(here)
    assert main(["reproduce", *arguments, *out]) == 130
    printed, err = capsys.readouterr()
    assert not printed
    assert "interrupted; nothing was written" in err
    assert snapshot(here) == before


def test_a_request_to_end_is_an_interruption(here, monkeypatch, capsys):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(module, "odd", lambda listener: os.kill(os.getpid(), signal.SIGTERM))
    assert main(["reproduce", "odd", "--out", "new"]) == 130
    assert capsys.readouterr().err.endswith("ascribe: interrupted; nothing was written.\n")
    assert not list(here.iterdir())
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_linked_folder_is_written_behind_the_link(here):
    (here / "link").symlink_to(here / "there")
    assert main(["reproduce", "good", "--out", "link"]) == 0
    assert main(["reproduce", "good", "--out", "link", "--overwrite"]) == 0
    assert (here / "link").is_symlink() and (here / "there" / "result.json").is_file()
    assert {path.name for path in here.iterdir()} == {"link", "there"}


def test_an_interruption_while_the_figures_are_drawn_writes_nothing(here, monkeypatch):
    from ascribe import report

    monkeypatch.setattr(report, "write_figure", interrupted)
    before = snapshot(here)
    monkeypatch.setattr(report, "write_figure", lambda *_: interrupted(None))
    assert main(["reproduce", "good"]) == 130
    assert snapshot(here) == before


def test_earlier_results_are_replaced_only_when_told_to(here, capsys):
    assert main(["reproduce", "good", "--out", "there"]) == 0
    before = snapshot(here)
    capsys.readouterr()
    assert main(["reproduce", "bad", "--out", "there"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert snapshot(here) == before
    assert main(["reproduce", "odd", "--out", "there", "--overwrite"]) == 130
    assert snapshot(here) == before
    assert main(["reproduce", "bad", "--out", "there", "--overwrite"]) == 1
    assert not (here / "there" / "good").exists()


def test_another_record_is_not_replaced(here, capsys):
    (here / "there").mkdir()
    (here / "there" / "record.json").write_text("{}")
    assert main(["reproduce", "good", "--out", "there", "--overwrite"]) == 2
    assert "choose an empty or new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["god"], "unknown entry 'god': did you mean 'good', or list them"),
        (["good", "nosuch"], "unknown entry 'nosuch': list them with `ascribe reproduce --list`."),
        (["good", "--all"], "give one of them"),
        (["--list", "--all"], "give one of them"),
        (["--out", "there"], "name what to redo, or give --all"),
        (["good", "--nosuch"], "See `ascribe reproduce --help`."),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(here, capsys, arguments, sentence):
    assert main(["reproduce", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("ascribe: ") and err.count("\n") == 1
    assert sentence in err
    assert not list(here.iterdir())


def test_the_list_needs_no_jax(here):
    lines = (["reproduce"], ["reproduce", "--help"], ["reproduce", "--list", "--json"])
    statements = [f"import ascribe.cli; assert ascribe.cli.main({arguments!r}) == 0" for arguments in lines]
    done = python("-c", IMPORTS, *statements, folder=here)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("expected", "got", "shown"),
    [
        ("-69.9964 ± 0.001", -69.99641234, "-69.9964"),
        ("21.97225 ± 0.0001", 21.9722457, "21.97225"),
        ("117 ± 20", 117.26, "117"),
        ("at most 0.001", 0.000123456, "0.0001235"),
        ("0 ± 0", 0.0, "0"),
        ("0.30", "0.30", "0.30"),
        (8, 8, "8"),
    ],
)
def test_a_number_has_the_digits_of_its_tolerance(expected, got, shown):
    assert format_got(expected, got) == shown


def test_an_expected_number_is_told_to_its_tolerance():
    assert module.close("x", 21.9722457734, 21.97, 1e-4).expected == "21.97225 ± 0.0001"
    assert module.close("x", 0.5, 0.5, 1e-4).expected == "0.5 ± 0.0001"
