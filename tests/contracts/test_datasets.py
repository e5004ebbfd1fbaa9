"""What every registered data set promises, whichever it is."""

import json
import os
from functools import cache
from typing import Any

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import cifar10, downloads, fashion_mnist, mnist

# The large sets are tested on a part, which is chosen before anything becomes float32.
SMALL: dict[str, dict[str, Any]] = {
    "mnist": {"samples": 500, "test_samples": 100},
    "mnist-rows": {"samples": 500, "test_samples": 100},
    "fashion-mnist": {"samples": 500, "test_samples": 100},
    "cifar10": {"samples": 500, "test_samples": 100},
}
FOLDERS = {
    "mnist": [(mnist.FOLDER, mnist.FILES)],
    "mnist-rows": [(mnist.FOLDER, mnist.FILES)],
    "fashion-mnist": [(fashion_mnist.FOLDER, fashion_mnist.FILES)],
    "cifar10": [(cifar10.PYTHON_FOLDER, cifar10.PYTHON_FILES), (cifar10.BINARY_FOLDER, cifar10.BINARY_FILES)],
}

EVERY = [pytest.param(name, marks=[pytest.mark.data] if name in FOLDERS else []) for name in datasets.names()]


@cache
def loaded(name: str, seed: int) -> datasets.Dataset:
    return datasets.load(name, seed=seed, **SMALL.get(name, {}))


def dataset(name: str, seed: int = 0) -> datasets.Dataset:
    """The data set, or a skip where its files would have to be downloaded."""
    if name in FOLDERS:
        if not os.environ.get("ASCRIBE_DATA"):
            pytest.skip("ASCRIBE_DATA is not set")
        if not any(downloads.available(folder, expected) for folder, expected in FOLDERS[name]):
            pytest.skip(f"ASCRIBE_DATA has no {name}")
    return loaded(name, seed)


@pytest.mark.parametrize("name", EVERY)
def test_arrays_have_the_promised_types_and_shapes(name):
    data = dataset(name)
    assert data.name == name
    for split in (data.train, data.validation, data.test):
        assert len(split) > 0
        assert split.inputs.dtype == np.float32
        assert split.inputs.shape == (len(split), *data.input_shape)
        assert np.isfinite(split.inputs).all()
        assert len(split.targets) == len(split)
        if data.task == "regression":
            assert split.targets.dtype == np.float32
            assert split.targets.shape == (len(split), data.outputs)
            assert np.isfinite(split.targets).all()
        else:
            assert split.targets.dtype == np.int32
            assert split.targets.shape == (len(split),)
            assert set(np.unique(split.targets)) == set(range(data.classes))
    assert data.features == int(np.prod(data.input_shape))


@pytest.mark.parametrize("name", EVERY)
def test_task_says_how_many_outputs(name):
    data = dataset(name)
    if data.task == "binary":
        assert (data.classes, data.outputs, len(data.class_names)) == (2, 1, 2)
    elif data.task == "classification":
        assert data.classes == data.outputs == len(data.class_names) > 2
    else:
        assert data.classes == 0 and data.class_names == ()
        assert data.target_mean is not None and data.target_mean.shape == (data.outputs,)
        assert data.target_scale is not None and data.target_scale.shape == (data.outputs,)
        assert (data.target_scale > 0).all()


@pytest.mark.parametrize("name", EVERY)
def test_same_seed_gives_the_same_bits_and_another_seed_another_split(name):
    first = dataset(name)
    again = datasets.load(name, seed=0, **SMALL.get(name, {}))
    other = dataset(name, seed=1)
    assert again.checksum == first.checksum
    assert other.checksum != first.checksum
    assert not np.array_equal(other.train.inputs, first.train.inputs)
    assert [len(split) for _, split in other.splits] == [len(split) for _, split in first.splits]


@pytest.mark.parametrize("name", EVERY)
def test_no_example_is_in_two_splits(name):
    data = dataset(name)
    rows = np.concatenate([split.inputs.reshape(len(split), -1) for _, split in data.splits])
    assert len(np.unique(rows, axis=0)) == len(rows)


@pytest.mark.parametrize("name", EVERY)
def test_flat_inputs_are_the_same_values_as_vectors(name):
    data = dataset(name)
    flat = data.flat()
    assert flat.input_shape == (data.features,)
    assert np.array_equal(flat.test.inputs, data.test.inputs.reshape(len(data.test), -1))
    assert np.array_equal(flat.test.targets, data.test.targets)
    assert (flat.card, flat.task, flat.class_names) == (data.card, data.task, data.class_names)


@pytest.mark.parametrize("name", EVERY)
def test_summary_survives_json(name):
    data = dataset(name)
    summary = data.summary()
    assert json.loads(json.dumps(summary)) == summary
    assert summary["sizes"] == {"train": len(data.train), "validation": len(data.validation), "test": len(data.test)}
    assert summary["checksum"] == data.checksum and len(data.checksum) == 64


def test_cards_are_complete_without_loading():
    cards = datasets.cards()
    assert list(cards) == datasets.names()
    for name, card in cards.items():
        for field in ("title", "description", "source", "license", "task", "size"):
            assert getattr(card, field).strip(), (name, field)
        assert card.url == "" or card.url.startswith("http"), name


@pytest.mark.parametrize("name", EVERY)
def test_card_says_the_task_and_the_size(name):
    data = dataset(name)
    assert data.card.task == data.task
    assert data.summary()["size"] == data.card.size != ""
    if name not in SMALL:
        assert data.card.size.startswith(f"{sum(len(split) for _, split in data.splits):,} ")
    shape = data.input_shape[:-1] if data.input_shape[-1] == 1 and len(data.input_shape) == 3 else data.input_shape
    wanted = " × ".join(map(str, shape)) if len(shape) > 1 else f"{data.features} feature"
    assert wanted in data.card.size


@pytest.mark.parametrize("name", EVERY)
def test_request_is_what_load_was_called_with(name):
    data = dataset(name, seed=1)
    assert data.request == {"data": name, "seed": 1, **SMALL.get(name, {})}
    assert data.summary()["request"] == data.request == data.flat().request


@pytest.mark.parametrize("name", EVERY)
def test_prepare_leads_from_raw_inputs_to_the_stored_ones(name):
    data = dataset(name)
    stored = data.test.inputs[:20]
    raw = stored.astype(np.float64)
    if data.input_mean is not None:
        raw = raw * data.input_scale + data.input_mean
    for version, rows in ((data, raw), (data.flat(), raw.reshape(len(raw), -1))):
        prepared = version.prepare(rows)
        assert prepared.dtype == np.float32
        np.testing.assert_allclose(prepared, stored.reshape(prepared.shape), rtol=1e-6, atol=1e-6)
        assert np.shape(version.input_mean) in ((), version.input_shape, version.input_shape[-1:])


@pytest.mark.parametrize("name", ["diabetes", "digits", "mnist", "cifar10"])
@pytest.mark.data
def test_real_data_are_standardized_on_the_training_part(name):
    data = dataset(name)
    axes = (0,) if len(data.input_shape) == 1 else (0, 1, 2)
    train = data.train.inputs.astype(np.float64)
    assert train.mean(axis=axes) == pytest.approx(0.0, abs=1e-5)
    assert train.std(axis=axes) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(data.test.inputs.astype(np.float64).mean(axis=axes)).max() > 1e-4
