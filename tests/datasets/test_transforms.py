"""Transforms of inputs: what each one computes, that it sees the training part only, and how it goes with the rest."""

import dataclasses
import json
import os
import sys

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import TRANSFORMS, Dataset, Split, Transform
from ascribe.datasets.base import short_settings
from ascribe.datasets.transforms import fit
from ascribe.errors import UserError

from ..later import Later

preprocessing = Later("sklearn.preprocessing")

ALL = ("unit-interval", "split-signs", "constant-one")
SHAPES = [(4,), (3, 2), (3, 4, 2), (2, 1, 2, 3)]


def made(shape, counts=(40, 10, 20), seed=0, names=()) -> Dataset:
    """A data set of such examples, the last axis on scales of its own, the first feature of which is constant."""
    generator = np.random.default_rng(seed)
    scales = 10.0 ** np.arange(shape[-1])

    def split(count):
        inputs = generator.normal(size=(count, *shape)) * scales
        inputs[..., 0] = 5.0
        return Split(inputs, np.arange(count) % 2)

    parts = [split(count) for count in counts]
    return Dataset("made", "binary", *parts, class_names=("no", "yes"), feature_names=names)


def reference(name, train, rows):
    """The transform in plain NumPy, in float64."""
    if name == "split-signs":
        return np.concatenate([np.where(rows > 0, rows, 0.0), np.where(rows < 0, -rows, 0.0)], axis=-1)
    if name == "constant-one":
        return np.concatenate([rows, np.ones((*rows.shape[:-1], 1))], axis=-1)
    columns = train.reshape(-1, 1) if train.ndim == 3 else train.reshape(-1, train.shape[-1])
    low, high = columns.min(axis=0).astype(float), columns.max(axis=0).astype(float)
    return np.clip((rows - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)


def one_sentence(caught):
    text = str(caught.value)
    return text.endswith(".") and "\n" not in text and ". " not in text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ALL)
def test_each_is_what_its_equation_says(name, shape):
    data = made(shape)
    encoded = data.encode(name)
    (transform,) = encoded.transforms
    for (_, before), (_, after) in zip(data.splits, encoded.splits, strict=True):
        wanted = reference(name, data.train.inputs, before.inputs.astype(float))
        assert after.inputs.dtype == np.float32
        assert after.inputs.shape[1:] == encoded.input_shape == transform.output_shape
        np.testing.assert_allclose(after.inputs, wanted, rtol=1e-7, atol=1e-12)
        assert np.array_equal(after.targets, before.targets)
    assert encoded.original is data and (transform.name, transform.input_shape) == (name, shape)
    assert (encoded.name, encoded.task, encoded.class_names) == (data.name, data.task, data.class_names)


def test_the_unit_interval_is_that_of_scikit_learn():
    data = datasets.load("diabetes")
    scaler = preprocessing.MinMaxScaler(clip=True).fit(data.train.inputs.astype(float))
    for (_, before), (_, after) in zip(data.splits, data.encode("unit-interval").splits, strict=True):
        np.testing.assert_allclose(after.inputs, scaler.transform(before.inputs.astype(float)), rtol=0, atol=1e-7)


def test_the_unit_interval_is_reached_by_training_and_never_left():
    data = made((4,), counts=(30, 30, 300))
    low, high = data.train.inputs.min(axis=0), data.train.inputs.max(axis=0)
    outside = (data.test.inputs < low) | (data.test.inputs > high)
    assert outside[:, 1:].any()
    encoded = data.encode("unit-interval")
    assert encoded.train.inputs[:, 1:].min(axis=0).tolist() == [0.0] * 3
    assert encoded.train.inputs[:, 1:].max(axis=0).tolist() == [1.0] * 3
    assert not encoded.train.inputs[:, 0].any()  # the constant feature
    assert set(encoded.test.inputs[outside]) == {0.0, 1.0}


@pytest.mark.parametrize("value", [0.1, -7.0, 3e38])
def test_extreme_values_stay_finite(value):
    inputs = np.array([[value, value, 0.0], [value, -value, 1e-45]], np.float32)
    with np.errstate(all="raise"):
        found = fit("unit-interval", inputs)(inputs)
    wanted = [[0, value > 0, 0], [0, value < 0, 1]]
    np.testing.assert_array_equal(found, np.asarray(wanted, float))


def test_split_signs_loses_nothing():
    data = made((3, 4, 2))
    inputs = data.train.inputs.copy()
    inputs[0] = -0.0
    inputs[1] = 0.0
    found = fit("split-signs", inputs)(inputs)
    positive, negative = found[..., :2], found[..., 2:]
    assert np.array_equal(positive - negative, inputs)
    assert not (positive * negative).any() and not np.signbit(found).any()


@pytest.mark.parametrize("part", ["validation", "test"])
@pytest.mark.parametrize("shape", [(4,), (3, 4, 2)])
def test_it_is_fitted_on_the_training_part_alone(shape, part):
    data = made(shape)
    split = getattr(data, part)
    changed = dataclasses.replace(data, **{part: Split(1000.0 * split.inputs - 77.0, split.targets)})
    before, after = data.encode(*ALL), changed.encode(*ALL)
    assert [one.settings() for one in before.transforms] == [one.settings() for one in after.transforms]
    assert before.train.inputs.tobytes() == after.train.inputs.tobytes()
    assert not np.array_equal(getattr(before, part).inputs, getattr(after, part).inputs)
    doubled = dataclasses.replace(data, train=Split(2.0 * data.train.inputs, data.train.targets))
    assert doubled.encode(*ALL).transforms[0].settings() != before.transforms[0].settings()


def test_images_have_one_range_a_channel():
    data = made((3, 4, 2))
    (transform,) = data.encode("unit-interval").transforms
    pixels = data.train.inputs.reshape(-1, 2)
    assert transform.minimum is not None and transform.scale is not None
    assert np.array_equal(transform.minimum, pixels.min(axis=0))
    assert transform.scale.tolist() == [1.0, float(pixels[:, 1].max()) - float(pixels[:, 1].min())]
    assert fit("unit-interval", made((3, 2)).train.inputs).settings()["minimum"] == [made((3, 2)).train.inputs.min()]


def test_many_rows_are_transformed_like_few():
    data = made((3,), counts=(9000, 10, 10))
    transform = fit("unit-interval", data.train.inputs)
    rows = transform(data.train.inputs)
    assert np.array_equal(rows[5000:5010], transform(data.train.inputs[5000:5010]))
    assert transform(data.train.inputs[:0]).shape == (0, 3)


@pytest.mark.parametrize(("name", "gaps"), [("unit-interval", [1]), ("split-signs", [1, 5]), ("constant-one", [1])])
def test_a_gap_in_new_rows_stays_one(name, gaps):
    transform = fit(name, made((4,)).train.inputs)
    assert np.flatnonzero(np.isnan(transform([[1.0, np.nan, 2.0, -3.0]])[0])).tolist() == gaps


def test_features_keep_names():
    data = made((2,), names=("a", "b"))
    assert data.encode("unit-interval").feature_names == ("a", "b")
    assert data.encode("split-signs").feature_names == ("a+", "b+", "a-", "b-")
    assert data.encode("split-signs", "constant-one").feature_names == ("a+", "b+", "a-", "b-", "one")
    assert made((2,)).encode(*ALL).feature_names == ()


def test_names_are_done_in_their_order_and_once():
    data = made((4,))
    once = data.encode("split-signs", "constant-one")
    assert once.input_shape == (9,) and data.encode("constant-one", "split-signs").input_shape == (10,)
    assert once.encode("split-signs", "constant-one") is once
    assert data.encode("split-signs", "split-signs").checksum == data.encode("split-signs").checksum
    again = data.encode("unit-interval", "constant-one", "unit-interval", "constant-one")
    assert [one.name for one in again.transforms] == ["unit-interval", "constant-one"]
    assert data.encode() is data
    step = data.encode("unit-interval").encode("split-signs").encode("constant-one")
    assert step.checksum == data.encode(*ALL).checksum and step.original is data


def test_a_fitted_transform_is_applied_as_it_is():
    data, other = made((4,)), made((4,), seed=1)
    encoded = other.encode(*data.encode(*ALL).transforms)
    wanted = other.test.inputs
    for transform in data.encode(*ALL).transforms:
        wanted = transform(wanted)
    assert np.array_equal(encoded.test.inputs, wanted)
    assert encoded.checksum != other.encode(*ALL).checksum


def test_ones_are_not_made_zeros():
    with pytest.raises(UserError, match="unit-interval,constant-one") as caught:
        made((4,)).encode("constant-one", "unit-interval")
    assert one_sentence(caught)


def test_the_checksum_is_that_of_the_encoded_inputs():
    data = made((4,))
    checksums = [data.checksum, *(data.encode(name).checksum for name in ALL), data.encode(*ALL).checksum]
    assert len(set(checksums)) == len(checksums)
    assert data.encode(*ALL).original.checksum == data.checksum  # type: ignore[union-attr]
    assert data.encode(*ALL).checksum == made((4,)).encode(*ALL).checksum


ORDERS = {
    "encoded": lambda data: data.encode(*ALL),
    "encoded, then flat": lambda data: data.encode(*ALL).flat(),
    "flat, then encoded": lambda data: data.flat().encode(*ALL),
    "flat in between": lambda data: data.encode("unit-interval", "split-signs").flat().encode("constant-one").flat(),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("name", ["digits", "diabetes", "a file of colored images"])
def test_prepare_leads_from_raw_rows_to_the_stored_ones(name, order, tmp_path):
    if name not in datasets.names():
        images = np.random.default_rng(0).integers(0, 256, size=(60, 3, 4, 2))
        np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 2)
        name = str(tmp_path / "images.npz")
    data = datasets.load(name)
    encoded = order(data)
    assert encoded.original is not None
    for split in ("train", "test"):
        raw = getattr(data, split).inputs.astype(float) * data.input_scale + data.input_mean
        prepared = encoded.prepare(raw.reshape(len(raw), *encoded.original.input_shape))
        assert prepared.dtype == np.float32
        np.testing.assert_allclose(prepared, getattr(encoded, split).inputs, rtol=1e-6, atol=1e-6)
    with pytest.raises(UserError, match="are numbers of the shape") as caught:
        encoded.prepare(np.zeros((3, 7)))
    assert str(encoded.original.input_shape)[1:].rstrip(",)") in str(caught.value) and one_sentence(caught)


def test_flat_and_encode_in_every_order():
    data = made((3, 4, 2))
    shapes = {name: order(data).input_shape for name, order in ORDERS.items()}
    assert shapes == {
        "encoded": (3, 4, 5),
        "encoded, then flat": (60,),
        "flat, then encoded": (49,),
        "flat in between": (49,),
    }
    flat = data.encode("split-signs").flat()
    assert flat.original is data and flat.flat() is flat
    assert np.array_equal(flat.test.inputs, data.encode("split-signs").test.inputs.reshape(20, -1))
    other = data.flat().encode("split-signs")
    assert other.original is not None and other.original.input_shape == (24,)
    assert np.array_equal(np.sort(flat.test.inputs, axis=1), np.sort(other.test.inputs, axis=1))
    assert data.encode("constant-one").flat().encode("constant-one").input_shape == (36,)


@pytest.mark.parametrize("transforms", ["split-signs,constant-one", " split-signs , constant-one,", list, tuple])
def test_load_takes_names_and_records_them(transforms):
    names = ["split-signs", "constant-one"]
    transforms = transforms if isinstance(transforms, str) else transforms(names)
    data = datasets.load("moons", seed=3, samples=60, transforms=transforms)
    plain = datasets.load("moons", seed=3, samples=60)
    assert data.request == {"data": "moons", "seed": 3, "samples": 60, "transforms": names}
    assert data.checksum == plain.encode(*names).checksum and data.feature_names == ("x1+", "x2+", "x1-", "x2-", "one")
    assert data.original is not None
    assert (data.original.checksum, data.original.request) == (plain.checksum, plain.request)
    assert datasets.load("moons", transforms=None).transforms == datasets.load("moons", transforms=()).transforms == ()
    assert "inputs of shape (5,) after split-signs, constant-one, 42 train" in repr(data)


LARGE = {"samples": 500, "test_samples": 100}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.data] * (name in ("mnist", "mnist-rows", "cifar10"))) for name in datasets.names()],
)
def test_every_data_set_can_be_encoded(name):
    large = name in ("mnist", "mnist-rows", "fashion-mnist", "cifar10")
    if large and (not os.environ.get("ASCRIBE_DATA") or name == "fashion-mnist"):
        pytest.skip("needs its files")
    data = datasets.load(name, transforms=ALL, **(LARGE if large else {}))
    assert data.original is not None
    *others, last = data.original.input_shape
    assert data.input_shape == (*others, 2 * last + 1)
    for _, split in data.splits:
        assert split.inputs.min() >= 0.0 and split.inputs.max() == 1.0
    assert json.loads(json.dumps(data.summary())) == data.summary()


def test_a_file_can_be_encoded(tmp_path):
    rows = [f"{a:.3f},{b:.3f},{i % 2}" for i, (a, b) in enumerate(np.random.default_rng(0).normal(size=(40, 2)))]
    (tmp_path / "mine.csv").write_text("\n".join(["a,b,label", *rows]))
    data = datasets.load(tmp_path / "mine.csv", transforms="split-signs", standardize=False)
    assert data.feature_names == ("a+", "b+", "a-", "b-")
    assert data.request["transforms"] == ["split-signs"]
    np.testing.assert_array_equal(data.prepare([[1.0, -2.0]]), [[1.0, 0.0, 0.0, 2.0]])


@pytest.mark.parametrize(
    ("transforms", "fragment"),
    [
        (
            "split-sings",
            "unknown transform 'split-sings': did you mean 'split-signs', or choose one of unit-interval,",
        ),
        ("SPLIT-SIGNS", "did you mean 'split-signs'"),
        ("qqqqqq", "unknown transform 'qqqqqq': choose one of unit-interval, split-signs, constant-one, random-"),
        ("split-signs,constant-on", "did you mean 'constant-one'"),
        (["split-signs", 3], "unknown transform 3: choose one of"),
        (["split-signs,constant-one"], "unknown transform 'split-signs,constant-one'"),
        ("", "`transforms` is a name or a list of names; got '': try `transforms=('split-signs', 'constant-one')`."),
        (" , ", "got ' , '"),
        (7, "got 7"),
        (True, "got True"),
        ({"split-signs"}, "got {'split-signs'}"),
    ],
)
def test_wrong_names_get_one_sentence(transforms, fragment):
    with pytest.raises(UserError) as caught:
        datasets.load("nosuch", transforms=transforms)  # the names are looked at first
    assert fragment in str(caught.value) and one_sentence(caught)
    if isinstance(transforms, list):
        with pytest.raises(UserError, match="unknown transform"):
            made((4,)).encode(*transforms)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ALL)
def test_training_inputs_are_finite(name, value):
    inputs = made((4,)).train.inputs.copy()
    inputs[3, 1] = value
    with pytest.raises(UserError, match=f"training inputs of the transform {name} are finite") as caught:
        fit(name, inputs)
    assert one_sentence(caught)


def test_a_range_needs_examples():
    nothing = made((4,), counts=(0, 0, 0))
    with pytest.raises(UserError, match="unit-interval has training examples") as caught:
        nothing.encode("unit-interval")
    assert one_sentence(caught)
    assert nothing.encode("split-signs", "constant-one").input_shape == (9,)


@pytest.mark.parametrize("inputs", [np.zeros((3, 5)), np.zeros((3, 2, 4)), 1.0, [["a", "b"]], [[1.0], [1.0, 2.0]]])
def test_rows_of_another_shape_are_refused(inputs):
    transform = fit("split-signs", made((3, 4, 2)).train.inputs)
    with pytest.raises(UserError, match=r"are numbers of the shape \(rows, 3, 4, 2\)") as caught:
        transform(inputs)
    assert one_sentence(caught)
    assert transform(np.zeros((5, 24))).shape == (5, 3, 4, 4)
    assert fit("split-signs", np.zeros((1, 24)))(np.zeros((5, 3, 4, 2))).shape == (5, 48)


@pytest.mark.parametrize("shape", SHAPES)
def test_settings_are_plain_and_come_back_bit_for_bit(shape):
    encoded = made(shape).encode(*ALL)
    rows = made(shape, seed=1).test.inputs
    for transform in encoded.transforms:
        again = Transform.from_settings(json.loads(json.dumps(transform.settings(), allow_nan=False)))
        assert again.settings() == transform.settings()
        assert transform(rows).tobytes() == (rows := again(rows)).tobytes()
    assert fit("split-signs", rows).settings() == {"name": "split-signs", "input_shape": list(rows.shape[1:])}


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "unit-interval", "input_shape": [2]},
        {"name": "unit-interval", "input_shape": [2], "minimum": [0.0], "scale": [1.0]},
        {"name": "split-signs", "input_shape": [2], "minimum": [0.0, 0.0], "scale": [1.0, 1.0]},
        {"name": "split-signs", "input_shape": []},
        {"name": "nosuch", "input_shape": [2]},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings):
    with pytest.raises(ValueError, match=r"shape|axis|unknown transform"):
        Transform.from_settings(settings)


def test_the_summary_tells_of_the_transforms_and_of_what_was_before(monkeypatch):
    data = made((2,), names=("a", "b"))
    encoded = data.encode(*ALL)
    assert data.summary()["transforms"] == [] and data.summary()["original"] is None
    summary = encoded.summary()
    assert summary["transforms"] == [transform.settings() for transform in encoded.transforms]
    assert summary["original"] == {"input_shape": [2], "feature_names": ["a", "b"]}
    assert (summary["input_shape"], summary["features"]) == ([5], 5)
    monkeypatch.setattr(sys.modules["ascribe.datasets.base"], "LISTED", 1)
    assert short_settings(encoded.transforms[0]) == {"name": "unit-interval", "input_shape": [2]}


def test_every_transform_has_its_line():
    assert tuple(TRANSFORMS) == (*ALL, "random-crop", "random-flip")
    assert all(line and "\n" not in line for line in TRANSFORMS.values())
