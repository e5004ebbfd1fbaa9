"""Every writer writes whole or not at all, no path is a traceback, and no cell of a table is a formula."""

import csv
import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ascribe
from ascribe import report
from ascribe.autodiff import Var, graph
from ascribe.errors import UserError
from ascribe.files import csv_text, guarded, path_of, short, write_whole
from ascribe.neurons.pictures import save
from ascribe.papers import results
from ascribe.store import Store, record
from ascribe.training.keeping import Kept

from .later import Later
from .store.case import about

alt = Later("altair")

LONG, FAR, NUL = "x" * 300, "x/" * 2500, "a\0b"
IMPOSSIBLE = {"below a file": "/dev/null/x", "a long name": LONG, "a long path": FAR, "a NUL": NUL}


def sentence(error):
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 1000
    return text


@pytest.mark.parametrize("path", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_file_that_cannot_be_is_told(path):
    with pytest.raises(UserError, match=r"cannot be written: .*; choose") as told:
        write_whole(Path(path), b"")
    sentence(told)


def test_a_disk_that_is_read_only_is_told(tmp_path, monkeypatch):
    (tmp_path / "f").write_bytes(b"before")

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        for name in ("open", "unlink", "replace"):
            patch.setattr(Path, name, refuse)
        with pytest.raises(UserError, match=r"f' cannot be written: Read-only file system; choose") as told:
            write_whole(tmp_path / "f", b"after")
    sentence(told)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"before"}


def test_the_longest_name_that_can_be_is_written(tmp_path):
    """The file beside it, which takes its place, must not have a longer one."""
    name = "x" * 255
    write_whole(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]


WRITERS = {
    "a graph": lambda path: graph(Var(1.0)).save(f"{path}.svg"),
    "a picture": lambda path: save(alt.Chart(alt.Data(values=[])).mark_point(), f"{path}.svg"),
    "a figure": lambda path: report.write_figure(path, "<svg xmlns='http://www.w3.org/2000/svg'/>"),
}


@pytest.mark.parametrize("path", [LONG, "/dev/null/x"], ids=["a long name", "below a file"])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_writer_tells_it(write, path):
    with pytest.raises(UserError) as told:
        write(path)
    sentence(told)


@pytest.mark.parametrize("given", [b"x", None, 5, ["x"]], ids=repr)
def test_what_is_no_path_is_told(given):
    with pytest.raises(UserError, match=f"a store is named by a path, .*; got {type(given).__name__}") as told:
        path_of(given, "a store")
    sentence(told)


@pytest.mark.parametrize("given", [FAR, NUL, LONG, "\ud800", f"sqlite:///{NUL}"], ids=lambda one: repr(one)[1:9])
@pytest.mark.parametrize("opened", [ascribe.load, ascribe.load_model, Store], ids=["load", "load_model", "Store"])
def test_a_path_that_no_file_can_have_is_told(tmp_path, monkeypatch, opened, given):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="named by a path") as told:
        opened(given)
    sentence(told)
    assert os.listdir(tmp_path) == []


def test_a_path_is_one_whatever_is_there(tmp_path):
    for place in (tmp_path, tmp_path / "nothing", "/dev/null/x"):
        assert path_of(place, "a store") == Path(place)
        assert path_of(str(place), "a store") == Path(place)
    with pytest.raises(UserError, match=r"a store is named by a path; got an empty text: write \."):
        path_of("", "a store")


# --- CSV ----------------------------------------------------------------------------------------------------------

FORMULAS = ["=HYPERLINK(1)", "+x", "-x", "@SUM(1)", "\tx", "\rx", "'=x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_like_a_formula_is_guarded(text):
    assert guarded(text) == f"'{text}"
    assert csv_text([[text, "a=b"]], end="\n").replace('"', "") == f"'{text},a=b\n"


@pytest.mark.parametrize("value", ["-1.5", "+3", "-inf", -1.5, -1, None, "", "a", "1-2", np.float32(-2)])
def test_numbers_and_other_texts_are_not(value):
    assert guarded(value) is value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.1), "0.1"),
        (float(np.float32(0.1)), "0.1"),
        (0.1, "0.1"),
        (1 / 3, repr(1 / 3)),
        (-1e300, "-1e+300"),
        (float(np.float32(1 / 3)), "0.33333334"),
        (float(np.float32(3e-5)), "3e-05"),
        (-2.0, "-2.0"),
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (7, "7"),
        (True, "True"),
        ({"a": [float(np.float32(0.7)), None, "0.70000001"]}, "{'a': [0.7, None, '0.70000001']}"),
    ],
)
def test_a_number_has_no_more_digits_than_it_needs(value, expected):
    assert str(short(value)) == expected


def test_no_number_in_float32_is_changed():
    numbers = np.random.default_rng(0).integers(0, 2**31, 2000, np.uint32).view(np.float32)
    numbers = numbers[np.isfinite(numbers)]
    np.testing.assert_array_equal(np.asarray(short(list(numbers)), np.float32), numbers)


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return [cell for row in csv.reader(file) for cell in row]


def test_tables_have_no_formulas(tmp_path):
    """In names of rules, and in those of columns."""
    runs = SimpleNamespace(
        scores={"@score": np.array([-0.5])},
        hyperparameters={"=leaf": -2.0},
        seeds=(0,),
        rule_settings={"class": "=1+1", "scale": 0.5, "strict": True},
        curves={"train_loss": np.ones((1, 7))},
        diverged=np.array([False]),
        diverged_at=np.array([-1]),
        learning_rates=np.array([0.1]),
    )
    record._save_table(SimpleNamespace(runs={"=1+1": runs}, controls={}, tuning={}, folds=()), tmp_path / "runs.csv")
    assert cells(tmp_path / "runs.csv") == [
        *("rule", "seed", "learning_rate", "tuned", "hyperparameter:=leaf", "hyperparameter:scale"),
        *("epochs", "status", "diverged_at", "'@score"),
        *("'=1+1", "0", "0.1", "False", "-2.0", "0.5", "7", "finished", "-1", "-0.5"),
    ]
    results._write_table([{"=a": "=b", "c": -1}, {"=a": "d"}], tmp_path / "table.csv")
    assert cells(tmp_path / "table.csv") == ["'=a", "c", "'=b", "-1", "d", ""]


def test_an_export_has_none_either(tmp_path):
    pandas = pytest.importorskip("pandas")
    store = Store(tmp_path)
    kept = Kept({"train_loss": -np.ones(1)}, -1, [], {"+s": -0.5}, 1.0)
    store.finish({"a": (about(rule="=1+1", epochs=1, hyperparameters={}), kept)})
    store.score({"a": {"+s": -0.5}})
    store.export(tmp_path / "x.csv")
    row = pandas.read_csv(tmp_path / "x.csv").iloc[0]
    assert (row["rule"], row["'+s"], row["train_loss"]) == ("'=1+1", -0.5, -1.0)
    store.export(tmp_path / "x.json")  # which no spreadsheet opens
    assert pandas.read_json(tmp_path / "x.json")["rule"][0] == "=1+1"
