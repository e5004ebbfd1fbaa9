"""The containers: splits, data sets, checksums, and the front door `load`."""

import json
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


LABELS = np.array([0, 1])


def part(targets=LABELS, inputs=None):
    return Split(np.arange(12.0).reshape(2, 3, 2) if inputs is None else inputs, targets)


def all_of(split, **changes):
    return {"train": split, "validation": split, "test": split, **changes}


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (all_of(part(np.array([5, 6]))), "labels that count from 0 to 1, one a class name; got 5, 6 in train"),
        (all_of(part(np.array([-5, -4]))), "labels that count from 0 to 1, one a class name; got -5, -4 in train"),
        (all_of(part(np.array([0.5, 1.5]))), "labels that count from 0 to 1, one a class name; got 0.5, 1.5 in train"),
        ({"test": part(np.array([0, 2]))}, "labels that count from 0 to 1, one a class name; got 0, 2 in test"),
        ({"task": "classification", "class_names": (), "train": part(LABELS - 1)}, "count from 0; got -1, 0 in train"),
        ({"task": "classification", "class_names": ("a",)}, "count from 0 to 0, one a class name; got 0, 1 in train"),
        *[({"class_names": tuple("abc"[:count])}, f"two class names; got {count}") for count in (0, 1, 3)],
        ({"task": "ranking"}, "`task` is one of binary, classification, regression; got 'ranking'"),
        ({"test": Split(np.zeros((0, 3, 2)), np.zeros(0, int))}, "examples in all three splits; got none in test"),
        ({"test": part(inputs=np.zeros((2, 3)))}, r"got \(3,\) and \(\) in test"),
        ({"train": part(np.zeros((2, 1)))}, r"got \(3, 2\) and \(1,\) in train"),
        ({"task": "regression", "test": part(np.zeros((2, 1)))}, r"got \(3, 2\) and \(1,\) in test"),
        ({"test": part(inputs=np.ma.masked_all((2, 3, 2)))}, "finite numbers; got some in test that are missing"),
        ({"test": part(inputs=np.full((2, 3, 2), np.nan))}, "finite numbers; got some in test that are missing"),
        ({"train": part(inputs=np.full((2, 3, 2), -np.inf))}, "finite numbers; got some in train that are missing"),
        (
            all_of(part(np.array([1.0, np.inf])), task="regression"),
            "finite numbers; got some in train that are missing",
        ),
        ({"train": (np.zeros((2, 2)), LABELS)}, r"the train part of small is a Split\(inputs, targets\); got tuple"),
    ],
)
def test_a_data_set_refuses_what_does_not_belong_to_its_task(changes, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        small(**changes)
    assert str(caught.value).endswith(".")


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("inputs", "targets", "sentence"),
    [
        (
            np.zeros((2, 2), complex),
            LABELS,
            "inputs that are real numbers, rows of one length; got complex numbers",
        ),
        (
            np.zeros((2, 2)),
            LABELS * 1j,
            "targets that are real numbers, rows of one length; got complex numbers",
        ),
        (
            [[1.0], [1.0, 2.0]],
            LABELS,
            "inputs that are real numbers, rows of one length; got no array of numbers",
        ),
        (None, LABELS, "inputs that are real numbers"),
        (np.zeros((2, 2)), ["no", "yes"], "targets that are real numbers"),
        (np.zeros((2, 2)), np.array([0, 2**33]), "labels of a split fit into 32 bits; got 0 to 8589934592"),
    ],
)
def test_a_split_is_made_of_real_numbers(inputs, targets, sentence):
    with pytest.raises(UserError, match=sentence):
        Split(inputs, targets)


def test_a_data_set_without_any_examples_is_a_description():
    nothing = Split(np.zeros((0, 3, 2)), np.zeros(0, int))
    assert small(**all_of(nothing)).outputs == 1
    assert small(**all_of(part(np.array([0.0, 1.0])))).classes == 2  # whole numbers, however they are stored


def test_shapes_and_outputs():
    data = small()
    assert (data.input_shape, data.features, data.outputs, data.classes) == ((3, 2), 6, 1, 2)
    assert data.flat().input_shape == (6,)
    assert small(task="classification", class_names=()).classes == 2
    values = Split(np.zeros((4, 1)), np.zeros((4, 3)))
    assert small(task="regression", train=values, validation=values, test=values).outputs == 3


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


def test_bool_labels_are_integers():
    split = Split(np.zeros((3, 2)), np.array([True, False, True]))
    assert split.targets.dtype == np.int32 and split.targets.tolist() == [1, 0, 1]


def test_prepare_without_statistics_is_the_identity():
    data = small()
    raw = np.arange(12.0).reshape(2, 3, 2)
    assert data.input_mean is None and data.summary()["input_mean"] is None
    assert np.array_equal(data.prepare(raw), raw) and data.prepare(raw.tolist()).dtype == np.float32
    moons = datasets.load("moons")
    assert moons.input_mean is None
    assert np.array_equal(moons.prepare(moons.test.inputs), moons.test.inputs)


@pytest.mark.parametrize("standardize", [True, False])
def test_prepare_takes_the_digits_of_scikit_learn(standardize):
    from sklearn.datasets import load_digits

    raw = np.asarray(load_digits()["images"])[..., None]  # type: ignore[index]
    data = datasets.load("digits", standardize=standardize)
    for version, rows in ((data, raw), (data.flat(), raw.reshape(len(raw), 64))):
        prepared = version.prepare(rows)
        stored = np.concatenate([split.inputs for _, split in version.splits])
        # Which image is which: by their whole numbers from 0 to 16, which no rounding confuses.
        whole = np.rint(stored * version.input_scale + version.input_mean)
        here, there = (np.lexsort(pixels.reshape(len(pixels), -1).T) for pixels in (rows, whole))
        assert np.array_equal(rows[here], whole[there])
        np.testing.assert_allclose(prepared[here], stored[there], rtol=1e-6, atol=1e-6)


def test_flat_repeats_the_statistics_of_channels():
    mean, scale = np.array([1.0, 2.0]), np.array([2.0, 4.0])
    data = small(input_mean=mean, input_scale=scale)
    raw = np.random.default_rng(0).normal(size=(5, 3, 2))
    assert data.flat().input_mean.tolist() == [1.0, 2.0] * 3
    assert np.array_equal(data.flat().prepare(raw.reshape(5, 6)), data.prepare(raw).reshape(5, 6))
    assert small(input_mean=np.array([3.0]), input_scale=np.array(2.0)).flat().input_mean.shape == ()


def test_summary_lists_statistics_up_to_ten_thousand():
    assert small(input_mean=np.array(3.0)).summary()["input_mean"] == [3.0]
    assert small(input_mean=np.zeros(10_000)).summary()["input_mean"] == [0.0] * 10_000
    assert small(input_mean=np.zeros(10_001)).summary()["input_mean"] is None


@pytest.mark.parametrize(
    ("inputs", "fragment"),
    [
        (np.zeros((4, 6)), "(rows, 3, 2); got the shape (4, 6)"),
        (np.zeros((3, 2)), "(rows, 3, 2); got the shape (3, 2)"),
        (1.0, "got the shape ()"),
        ([["a", "b"]], "no array of numbers"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        (None, "got the shape ()"),
    ],
)
def test_prepare_refuses_other_shapes_in_one_sentence(inputs, fragment):
    with pytest.raises(UserError) as caught:
        small().prepare(inputs)
    text = str(caught.value)
    assert fragment in text
    assert text.endswith(".") and "\n" not in text and ". " not in text


def test_request_holds_plain_values():
    data = datasets.load("digits", seed=np.int64(2), classes=(np.int64(3), "8"), samples=np.int32(60), standardize=False)
    assert data.request == {"data": "digits", "seed": 2, "classes": [3, "8"], "samples": 60, "standardize": False}
    assert json.loads(json.dumps(data.summary())) == data.summary()
    assert small().request == {} == small().summary()["request"]


@pytest.mark.parametrize(
    ("name", "options", "fragment"),
    [
        ("mnits", {}, "did you mean 'mnist', or list them with `ascribe datasets`"),
        ("MOONS", {}, "did you mean 'moons'"),
        ("qqqqqq", {}, "unknown data set 'qqqqqq': list them with `ascribe datasets`"),
        ("", {}, "unknown data set ''"),
        (7, {}, "a name, a path, a data frame or a pair (inputs, targets); got 7"),
        (None, {}, "a name, a path, a data frame or a pair (inputs, targets); got None"),
        ("moons", {"sample": 9}, "no option 'sample': did you mean samples? It has samples, noise"),
        ("moons", {"name_or_path": 9}, "no option 'name_or_path'"),
        ("moons", {"seed": -1}, "`seed` is an integer that is not negative; got -1"),
        ("moons", {"seed": 1.5}, "`seed` is an integer that is not negative"),
        ("moons", {"seed": True}, "`seed` is an integer that is not negative"),
        ("moons", {"samples": 0}, "`samples` is an integer of at least 10; got 0"),
        ("moons", {"samples": -5}, "got -5"),
        ("moons", {"samples": 9}, "`samples` is at least 10, to be split into train, validation and test"),
        ("moons", {"samples": 100.0}, "`samples` is an integer"),
        ("moons", {"samples": "100"}, "`samples` is an integer"),
        ("moons", {"noise": -0.1}, "`noise` is a finite number that is not negative; got -0.1"),
        ("xor", {"noise": float("nan")}, "`noise` is a finite number"),
        ("sine", {"noise": "much"}, "`noise` is a finite number"),
        ("moons", {"standardize": "yes"}, "`standardize` is True or False"),
        ("gaussians", {"dimensions": 0}, "`dimensions` is a positive integer"),
        ("spirals", {"classes": 1}, "`classes` is an integer of at least 2"),
        ("spirals", {"classes": 50, "samples": 100}, "`samples` is at least 150"),
        ("spirals", {"turns": 0}, "`turns` is a positive number"),
        ("spirals", {"turns": 1e6}, "at most 100, turns"),
        ("digits", {"classes": (3,)}, "`classes` is a list of at least two of 0, 1, 2"),
        ("digits", {"classes": (3, 3)}, "each class once"),
        ("digits", {"classes": (3, 10)}, "got 10"),
        ("digits", {"classes": (3, True)}, "got True"),
        ("digits", {"classes": (3, "cat")}, "got 'cat'"),
        ("digits", {"classes": 3}, "at least two"),
        ("digits", {"samples": 5000}, "`samples` is at most 1527"),
        ("digits", {"samples": 20}, "`samples` is an integer of at least 40"),
        ("digits", {"test_samples": 0}, "`test_samples` is an integer of at least 10"),
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
