"""Cutting and standardizing: disjoint, stratified, and blind to the test rows."""

import numpy as np
import pytest

from ascribe.datasets.assembly import Assembly
from ascribe.datasets.base import Card
from ascribe.datasets.splits import split_indices, standardization, stratified_subset
from ascribe.errors import UserError

CARD = Card("t", "d", "s", "l", "")


@pytest.mark.parametrize("count", [10, 37, 100, 1001])
@pytest.mark.parametrize("stratified", [False, True])
def test_every_row_is_in_exactly_one_split(count, stratified):
    labels = np.arange(count) % 3 if stratified else None
    rows = split_indices(count, seed=5, labels=labels)
    assert sorted(np.concatenate(rows)) == list(range(count))
    assert min(len(part) for part in rows) > 0


def test_sizes_are_exact_and_classes_keep_their_share():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    rows = split_indices(1000, seed=0, labels=labels)
    assert [len(part) for part in rows] == [700, 150, 150]
    assert [np.bincount(labels[part]).tolist() for part in rows] == [[420, 210, 70], [90, 45, 15], [90, 45, 15]]
    uneven = split_indices(60_000, seed=0, labels=np.random.default_rng(0).integers(0, 10, 60_000), validation=0.1, test=0.0)
    assert [len(part) for part in uneven] == [54_000, 6_000, 0]


def test_a_class_of_three_is_in_every_split():
    labels = np.array([0] * 40 + [1] * 3)
    assert all(1 in labels[part] for part in split_indices(43, seed=0, labels=labels))


def test_a_class_of_two_cannot_be():
    with pytest.raises(UserError, match="at least 3 examples, one per split; got one class with 2 of 42"):
        split_indices(42, seed=0, labels=np.array([0] * 40 + [1] * 2))


def test_the_seed_decides_and_nothing_else():
    first, again, other = (split_indices(50, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.train, other.train)


def test_stratified_subset_keeps_shares():
    labels = np.repeat([0, 1], [900, 100])
    rows = stratified_subset(labels, 50, seed=0)
    assert len(set(rows)) == 50 and np.bincount(labels[rows]).tolist() == [45, 5]
    assert not np.array_equal(rows, stratified_subset(labels, 50, seed=1))


def test_standardization_leaves_out_gaps_and_survives_constants_and_offsets():
    values = np.array([[1.0, 7.0, 1e9 + 1.0], [3.0, 7.0, 1e9 + 2.0], [np.nan, 7.0, 1e9 + 3.0]])
    mean, scale = standardization(values)
    assert mean == pytest.approx([2.0, 7.0, 1e9 + 2.0], abs=1e-12)
    assert scale == pytest.approx([1.0, 1.0, np.sqrt(2.0 / 3.0)], rel=1e-12)
    # 0.1 is no sum of powers of two: a naive mean would leave a scale of 1e-17 here.
    assert standardization(np.full((7, 1), 0.1))[1] == 1.0


def test_standardization_wants_a_value_in_every_column():
    with pytest.raises(UserError, match="got none in column 2"):
        standardization(np.array([[1.0, np.nan], [2.0, np.nan]]))


@pytest.mark.parametrize("shape", [(60, 4), (60, 3, 3, 1)])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_perturbing_held_out_rows_leaves_the_training_inputs_bit_identical(shape, split):
    generator = np.random.default_rng(0)
    inputs, targets = generator.standard_normal(shape), generator.standard_normal((60, 1))
    inputs[3, 0] = np.nan
    held_out = getattr(split_indices(60, seed=2), split)
    changed, changed_targets = inputs.copy(), targets.copy()
    changed[held_out] = 1000.0 * changed[held_out] + 5.0
    changed_targets[held_out] += 77.0
    before, after = (
        Assembly("x", "regression", values, answers, 2, CARD, standardize=True).divided()
        for values, answers in ((inputs, targets), (changed, changed_targets))
    )
    assert before.train.inputs.tobytes() == after.train.inputs.tobytes()
    assert before.train.targets.tobytes() == after.train.targets.tobytes()
    assert getattr(before, split).inputs.tobytes() != getattr(after, split).inputs.tobytes()


def test_image_shaped_inputs_share_one_scale_and_tables_do_not():
    inputs = np.random.default_rng(1).standard_normal((50, 2)) * [1.0, 100.0]
    names = ("even", "odd")
    table = Assembly("x", "binary", inputs, np.arange(50) % 2, 0, CARD, True, names).divided()
    image = Assembly("x", "binary", inputs[:, None], np.arange(50) % 2, 0, CARD, True, names).divided()
    assert table.train.inputs.std(axis=0) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert image.train.inputs.std() == pytest.approx(1.0, abs=1e-5)
    assert image.train.inputs[:, 0, 0].std() < 0.1
