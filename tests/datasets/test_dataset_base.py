"""The containers: splits, data sets, checksums, and the front door `load`."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import Card, Dataset, Split
from ascribe.errors import UserError


def small(**changes) -> Dataset:
    split = Split(np.arange(12.0).reshape(2, 3, 2), np.array([0, 1]))
    data = Dataset("small", "binary", split, split, split, class_names=("no", "yes"))
    return replace(data, **changes)


def test_split_keeps_float32_and_int32():
    split = Split(np.zeros((3, 2)), np.array([0, 1, 2], dtype=np.int64))
    assert (split.inputs.dtype, split.targets.dtype, len(split)) == (np.float32, np.int32, 3)
    assert Split(np.zeros((3, 2)), np.zeros((3, 1))).targets.dtype == np.float32


@pytest.mark.parametrize("targets", [np.zeros(2, dtype=int), np.zeros((4, 1)), np.array(1)])
def test_split_refuses_inputs_and_targets_of_different_length(targets):
    with pytest.raises(UserError, match="one target per example"):
        Split(np.zeros((3, 2)), targets)


def test_shapes_and_outputs():
    data = small()
    assert (data.input_shape, data.features, data.outputs, data.classes) == ((3, 2), 6, 1, 2)
    assert data.flat().input_shape == (6,)
    assert small(task="classification", class_names=()).classes == 2
    values = Split(np.zeros((4, 1)), np.zeros((4, 3)))
    assert small(task="regression", train=values).outputs == 3


def test_checksum_sees_values_shapes_and_splits_but_not_names():
    data = small()
    assert small(name="other", card=Card("a", "b", "c", "d", "e")).checksum == data.checksum
    assert data.flat().checksum != data.checksum
    changed = Split(data.test.inputs + np.float32(1e-6), data.test.targets)
    assert small(test=changed).checksum != small(train=changed).checksum != data.checksum


def test_checksum_does_not_depend_on_the_memory_layout():
    data = small()
    turned = Split(np.asfortranarray(data.train.inputs), data.train.targets)
    assert small(train=turned).checksum == data.checksum


@pytest.mark.parametrize(
    ("name", "options", "fragment"),
    [
        ("mnits", {}, "did you mean 'mnist', or list them with `ascribe datasets`"),
        ("MOONS", {}, "did you mean 'moons'"),
        ("qqqqqq", {}, "There is no data set 'qqqqqq'; list them with `ascribe datasets`"),
        ("", {}, "There is no data set ''"),
        (7, {}, "a name or a path, not 7"),
        (None, {}, "a name or a path, not None"),
        ("moons", {"sample": 9}, "no option 'sample'; its options are samples, noise, standardize"),
        ("moons", {"seed": -1}, "seed wants a whole number of at least 0, not -1"),
        ("moons", {"seed": 1.5}, "seed wants a whole number"),
        ("moons", {"seed": True}, "seed wants a whole number"),
        ("moons", {"samples": 0}, "samples wants a whole number of at least 10, not 0"),
        ("moons", {"samples": -5}, "not -5"),
        ("moons", {"samples": 9}, "too few to be split into train, validation and test"),
        ("moons", {"samples": 100.0}, "samples wants a whole number"),
        ("moons", {"samples": "100"}, "samples wants a whole number"),
        ("moons", {"noise": -0.1}, "noise wants a finite number of at least 0, not -0.1"),
        ("xor", {"noise": float("nan")}, "noise wants a finite number"),
        ("sine", {"noise": "much"}, "noise wants a finite number"),
        ("moons", {"standardize": "yes"}, "standardize wants True or False"),
        ("gaussians", {"dimensions": 0}, "dimensions wants a whole number of at least 1"),
        ("spirals", {"classes": 1}, "classes wants a whole number of at least 2"),
        ("spirals", {"classes": 50, "samples": 100}, "samples=100 is too few"),
        ("spirals", {"turns": 0}, "turns wants a finite number above 0"),
        ("spirals", {"turns": 1e6}, "at most 100 turns"),
        ("digits", {"classes": (3,)}, "classes wants at least two of 0, 1, 2"),
        ("digits", {"classes": (3, 3)}, "each class once"),
        ("digits", {"classes": (3, 10)}, "not 10"),
        ("digits", {"classes": (3, True)}, "not True"),
        ("digits", {"classes": (3, "cat")}, "not 'cat'"),
        ("digits", {"classes": 3}, "at least two"),
        ("digits", {"samples": 5000}, "samples wants at most 1527 examples"),
        ("digits", {"samples": 20}, "samples wants a whole number of at least 40"),
        ("digits", {"test_samples": 0}, "test_samples wants a whole number"),
    ],
)
def test_bad_input_is_one_sentence(name, options, fragment):
    with pytest.raises(UserError) as caught:
        datasets.load(name, **options)
    text = str(caught.value)
    assert fragment in text
    assert text.endswith(".") and "\n" not in text and ". " not in text


def test_what_counts_as_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("moons").write_text("a registered name wins over a file\n")
    Path("measurements").write_text("any existing file is a file\n")
    for name in ("data/x", "data\\x", "x.csv", "x.TSV", "x.txt", "x.npz", "x.parquet", "measurements", Path("x")):
        assert datasets.is_file(name), name
    for name in ("moons", "fashion-mnist", "nothing", "", "a" * 5000, "a\0b"):
        assert not datasets.is_file(name), name


def test_importing_and_cards_need_no_slow_package():
    code = (
        "import sys, ascribe.datasets as d; d.cards(); d.load('moons'); d.load('sine');"
        "print([m for m in ('jax', 'sklearn', 'pooch', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
