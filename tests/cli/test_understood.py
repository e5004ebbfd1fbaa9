"""What was understood of a file: told before training, printed as JSON, kept in the record, shown on the page."""

import json

import numpy as np
import pytest

import ascribe
from ascribe.cli import main
from ascribe.cli.data import spelled
from ascribe.errors import option

WORDS = "target: b<r> (guessed: the last column); task: binary (guessed: it holds 2 different texts)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table: an index without a name, a constant, a column with a gap, classes with odd names."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(4).normal(size=24).round(2)
    rows = [f"{i},{'' if i == 5 else value},7,{'[x]' if i % 2 else '<b>'}" for i, value in enumerate(values)]
    (tmp_path / "odd.csv").write_text("\n".join([",a,c,b<r>", *rows]))
    return tmp_path


def test_it_is_told_printed_kept_and_shown(folder, capsys):
    command = ["compare", "odd.csv", "--missing", "drop", "--rules", "backprop", "--network", "2", "--seeds", "2"]
    command += ["--tune", "0", "--learning-rate", "0.1", "--epochs", "1", "--out", "out", "--json"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    told = [line.partition("] ")[2] for line in err.splitlines()[:6]]
    assert told == [
        WORDS,
        "rows: 24, 1 of them left out",
        "classes: <b> (12), [x] (11)",
        "features: a, c",
        "left out: column1",
        "the same in every row: c",
    ]
    understood = json.loads(out)["configuration"]["data"]["understood"]
    assert (understood["target"], understood["target_chosen"]) == ("b<r>", "guessed: the last column")
    record = json.loads((folder / "out" / "record.json").read_text())
    assert record["data"]["understood"] == understood
    loaded = ascribe.load("out")
    assert loaded.data.understood.headline == WORDS
    page = (folder / "out" / "index.html").read_text()
    assert "What was understood of the table" in page and "Its target is b&lt;r&gt; (guessed: the last column)." in page
    assert "<td>feature</td><td>always 7" in page and "<b>" not in page.partition("What was understood")[2][:3000]

    loaded = ascribe.datasets.load("odd.csv", missing="drop")
    assert loaded.understood.settings() == understood


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["odd.csv"], "try --missing drop to leave those rows out or --missing mean to fill them"),
        (["odd.csv", "--target", "0"], "by its number from 1 to 4; got '0': try --target -1, the last column"),
        (["odd.csv", "--target", "a"], "--missing drop"),
        (["odd.csv", "--data-option", "skip=few"], "try --data-option skip=0"),
        (["odd.csv", "--missing", "drop", "--classes", "<b>,z"], "got 'z': choose among <b>, [x]"),
        (["odd.csv", "--missing", "drop", "--data-option", "header=no"], "--data-option header=yes"),
        (["moons", "--samples", "3"], "got 3: try --samples 10"),
        (["moons", "--data-seed", "-3"], "--data-seed is an integer that is not negative; got -3: try --data-seed 0"),
        (["moons", "--transform", "unit"], "unknown transform 'unit'"),
    ],
)
def test_sentences_spell_options_as_the_command_line_has_them(folder, capsys, arguments, sentence):
    assert main(["compare", *arguments]) == 2
    assert sentence in capsys.readouterr().err
    assert option("missing", "drop") == "`missing='drop'`"  # and afterwards Python's


def test_values_are_quoted_as_a_shell_wants_them():
    assert spelled("missing_words", "n. b.") == "--data-option 'missing_words=n. b.'"
    assert spelled("classes", ("big cat", 3)) == "--classes 'big cat,3'"
    assert spelled("header", False) == "--data-option header=no"
    assert spelled("separator", ";") == "--data-option 'separator=;'"


def test_a_text_is_told_kept_and_shown(folder, capsys):
    (folder / "song.txt").write_text("ten green <b>ottles, " * 12)
    command = ["compare", "text:song.txt", "--data-option", "window=3", "--samples", "100", "--out", "out", "--rules"]
    command += ["backprop", "--network", "2", "--seeds", "2", "--tune", "0", "--learning-rate", "0.1", "--epochs", "1"]
    assert main(command) == 0
    told = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()[:4]]
    assert told[:2] == [
        "target: the next character (after a window of 3); task: classification (one class a character)",
        "windows: 100",
    ]
    assert told[3] == "100 of 243 windows were chosen; --samples 243 takes all"
    loaded = ascribe.load("out")
    data = ascribe.datasets.load("text:song.txt", window=3, samples=100)
    assert loaded.data.understood.kind == "text" and loaded.data.checksum == data.checksum
    assert loaded.data.input_shape == (3, 13) and loaded.data.request == data.request
    answers = loaded.runs["backpropagation"].predict(data.test.inputs)
    np.testing.assert_array_equal(answers, loaded.runs["backpropagation"].predict(data.flat().test.inputs))
    page = (folder / "out" / "index.html").read_text()
    assert "What was understood of the text" in page and "Its target is the next character (after a window of 3)." in page
