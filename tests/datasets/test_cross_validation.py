"""K folds: every example is tested once, and nothing of a fold is fitted on what it tests."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from ascribe.datasets import Dataset, Split, folds, load
from ascribe.errors import UserError


def numbered(labels, width=1):
    """Examples whose first input is their number."""
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(len(labels), width + 1))
    inputs[:, 0] = np.arange(len(labels))
    return inputs, np.asarray(labels)


def rows(split, data):
    """The numbers of a split's examples."""
    return np.rint(split.inputs[:, 0] * data.input_scale[0] + data.input_mean[0]).astype(int)


LABELS = np.repeat([0, 1, 2], [31, 17, 9])


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_every_example_is_tested_once_and_classes_keep_their_shares(count):
    data = load(numbered(LABELS), task="classification")
    found = folds(data, count)
    assert [one.fold for one in found] == [(number, count) for number in range(1, count + 1)]
    tested = np.concatenate([rows(one.test, one) for one in found])
    assert sorted(tested) == list(range(len(LABELS)))
    theirs = StratifiedKFold(count, shuffle=True, random_state=0).split(LABELS, LABELS)
    sizes = sorted(len(test) for _, test in theirs)
    assert sorted(len(one.test) for one in found) == sizes
    for label in range(3):
        each = [int((one.test.targets == label).sum()) for one in found]
        assert max(each) - min(each) <= 1
    for one in found:
        parts = [rows(split, one) for _, split in one.splits]
        assert sorted(np.concatenate(parts)) == list(range(len(LABELS)))
        for part, (_, split) in zip(parts, one.splits, strict=True):
            np.testing.assert_array_equal(split.targets, LABELS[part])
            assert set(split.targets) == {0, 1, 2}


@pytest.mark.parametrize(("name", "options"), [("digits", {}), ("moons", {"samples": 61}), ("diabetes", {})])
def test_there_are_two_shapes_at_most(name, options):
    data = load(name, **options)
    found = folds(data, 5)
    every = sum(len(split) for _, split in data.splits)
    assert len({tuple(len(split) for _, split in one.splits) for one in found}) == (1 if every % 5 == 0 else 2)
    assert {sum(len(split) for _, split in one.splits) for one in found} == {every}
    kind = KFold if data.task == "regression" else StratifiedKFold
    targets = np.concatenate([split.targets for _, split in data.splits])
    theirs = kind(5, shuffle=True, random_state=0).split(targets, targets)
    assert sorted(len(one.test) for one in found) == sorted(len(test) for _, test in theirs)


def test_one_seed_gives_the_same_folds_and_another_one_others():
    first, again, other = (folds(load(numbered(LABELS), task="classification", seed=seed), 3) for seed in (1, 1, 2))
    assert [one.checksum for one in first] == [one.checksum for one in again]
    assert len({one.checksum for one in (*first, *other)}) == 6


def test_means_scales_and_gaps_are_those_of_the_folds_training_part():
    inputs, targets = numbered(np.zeros(40), width=2)
    inputs[::4, 1] = np.nan
    targets = inputs[:, 2] * 3.0 + 1.0
    data = load((inputs, targets), task="regression", missing="mean")
    for one in folds(data, 4):
        train = rows(one.train, one)
        mean, scale = np.nanmean(inputs[train], axis=0), np.nanstd(inputs[train], axis=0)
        np.testing.assert_allclose(one.input_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(one.input_scale, scale, rtol=1e-12)
        np.testing.assert_allclose(one.target_mean, targets[train].mean(), rtol=1e-12)
        np.testing.assert_allclose(one.target_scale, targets[train].std(), rtol=1e-12)
        for _, split in one.splits:
            own = rows(split, one)
            whole = np.where(np.isnan(inputs[own]), mean, inputs[own])
            np.testing.assert_allclose(split.inputs, (whole - mean) / scale, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("transform", [None, "unit-interval"])
def test_what_is_tested_changes_nothing_of_what_is_trained_on(transform):
    inputs, labels = numbered(LABELS)
    changed = inputs.copy()
    changed[4, 1] = 1e4
    before, after = (folds(load((some, labels), task="classification", transforms=transform), 3) for some in (inputs, changed))
    plain = [one.original or one for one in before]
    holding = [name for own in plain for name, split in own.splits if 4 in rows(split, own)]
    assert sorted(holding).count("test") == 1
    for one, other, part in zip(before, after, holding, strict=True):
        assert np.array_equal(one.train.inputs, other.train.inputs) == (part != "train")
        assert np.array_equal(one.input_mean, other.input_mean) == (part != "train")
        if part == "test":
            np.testing.assert_array_equal(one.validation.inputs, other.validation.inputs)


def test_digits_are_divided_anew_with_both_of_their_parts():
    data = load("digits", classes=(3, 8), samples=100, test_samples=20, transforms="split-signs")
    found = folds(data, 3)
    assert sum(len(one.test) for one in found) == 120
    assert found[0].input_shape == data.input_shape
    assert [one.name for one in found[0].transforms] == ["split-signs"]
    assert found[0].input_mean != found[1].input_mean
    assert found[0].request == data.request


def test_flat_data_have_flat_folds():
    assert folds(load("digits", samples=100, test_samples=30).flat(), 3)[1].input_shape == (64,)


@pytest.mark.parametrize("count", [0, 1, -3, True, 2.5, "5", None])
def test_a_number_of_folds_is_a_whole_one_from_two(count):
    with pytest.raises(UserError, match="`folds` is an integer of at least 2"):
        folds(load("moons", samples=60), count)


@pytest.mark.parametrize(
    ("sizes", "count", "said"),
    [
        ((20, 5), 6, "from 2 to 5, .*; got 6 for 5 examples"),
        ((20, 3), 2, "is 3, .*; got 2 for 3 examples"),
        ((20, 3), 4, "is 3, .*; got 4 for 3 examples"),
        ((30,), 31, "from 2 to 30, .*; got 31 for 30 examples"),
    ],
)
def test_more_folds_than_examples_of_a_class_are_refused(sizes, count, said):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    pair = numbered(labels) if len(sizes) > 1 else (numbered(labels)[0], np.linspace(0.0, 1.0, 30))
    data = load(pair, task="binary" if len(sizes) > 1 else "regression")
    with pytest.raises(UserError, match=said):
        folds(data, count)
    most = int(said.partition(",")[0].split()[-1])
    assert len(folds(data, most)) == most


def test_a_test_part_that_came_with_the_data_stays(tmp_path):
    made = load("moons", samples=60)
    by_hand = Dataset("mine", "binary", *(split for _, split in made.splits), class_names=("a", "b"))
    parts = {f"{axis}_{name}": value for name, split in made.splits for axis, value in _arrays(split)}
    np.savez(tmp_path / "parts.npz", **parts)
    for data in (by_hand, load(tmp_path / "parts.npz"), folds(made, 2)[0]):
        with pytest.raises(UserError, match="came divided, with a test part of their own"):
            folds(data, 2)


def _arrays(split):
    return ("x", split.inputs), ("y", split.targets)


def test_data_that_were_changed_are_refused():
    data = load("moons", samples=60)
    noisy = replace(data, train=Split(data.train.inputs, 1 - data.train.targets))
    with pytest.raises(UserError, match="were changed since"):
        folds(noisy, 3)
