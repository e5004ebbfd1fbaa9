"""Cutting examples into train, validation and test, and statistics that see the training part only.

Every cut is decided by the data seed alone, never by the values of the inputs. Classification is stratified:
each class keeps its share in each split.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ascribe.checks import refusal
from ascribe.errors import UserError, option

VALIDATION_FRACTION = 0.15
TEST_FRACTION = 0.15

# Separate streams of random numbers for one seed: drawing more points must not change how they are cut.
_SPLIT_STREAM = 1
_SUBSET_STREAM = 2
_FOLD_STREAM = 3


class Indices(NamedTuple):
    """Row numbers of each split, int64, shuffled, without repetition or overlap."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


class Division(NamedTuple):
    """How all examples of a data set were divided, and how they are divided otherwise.

    `divided(rows=...)` is the data set of another cut, with every statistic from its own training rows; there are so many
    `examples`, with `labels` (None for regression), and `rows` is this cut, which was made with `seed`.
    """

    divided: Callable[..., Any]
    examples: int
    labels: np.ndarray | None
    rows: Indices
    seed: int


def _shares(sizes: list[int], fraction: float) -> list[int]:
    """How many rows each class gives to a split that takes `fraction` of all rows: at least one each.

    The fractional parts are rounded so that the sum is right (the largest remainders are rounded up).
    """
    if fraction == 0:
        return [0] * len(sizes)
    exact = [fraction * size for size in sizes]
    shares = [max(1, int(value)) for value in exact]
    left_over = round(sum(exact)) - sum(shares)
    by_remainder = sorted(range(len(sizes)), key=lambda group: shares[group] - exact[group])
    for group in by_remainder[: max(0, left_over)]:
        shares[group] += 1
    return shares


def split_indices(
    count: int,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    validation: float = VALIDATION_FRACTION,
    test: float = TEST_FRACTION,
) -> Indices:
    """Shuffle `count` rows and cut them into train, validation and test.

    `round(fraction * count)` rows go to validation and to test, of each class its share and never fewer than one;
    the rest is train. A fraction of 0 leaves that split empty.

    **Raises:** `UserError` if a class has too few members to be in every split.
    """
    generator = np.random.default_rng((seed, _SPLIT_STREAM))
    groups = [np.arange(count)] if labels is None else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    wanted = 1 + (validation > 0) + (test > 0)
    sizes = [len(group) for group in groups]
    for group, for_validation, for_test in zip(groups, _shares(sizes, validation), _shares(sizes, test), strict=True):
        if len(group) < wanted:
            raise UserError(
                f"every class has at least {wanted} examples, one per split; got one class with {len(group)} of {count}: "
                f"add examples or ask for more of them with {option('samples')}."
            )
        shuffled = generator.permutation(group)
        parts[2].append(shuffled[:for_test])
        parts[1].append(shuffled[for_test : for_test + for_validation])
        parts[0].append(shuffled[for_test + for_validation :])
    # Shuffled again, so that the classes do not lie one after the other.
    train_rows, validation_rows, test_rows = (generator.permutation(np.concatenate(part)) for part in parts)
    return Indices(train_rows, validation_rows, test_rows)


def fold_indices(count: int, folds: int, *, seed: int, labels: np.ndarray | None = None) -> list[Indices]:
    """The cuts of `folds`-fold cross-validation: each of `count` rows is in the test part of one fold.

    The rows are shuffled within each class and dealt to the folds in turn, one class after the other, so that neither the
    rows of a class nor all rows differ by more than one between the test parts of two folds. The rest of each fold is cut
    into train and validation in the proportion that `split_indices` has by default.

    **Raises:** `UserError` if a class has too few members to be in the test part of every fold and in both others.
    """
    generator = np.random.default_rng((seed, _FOLD_STREAM))
    groups = [np.arange(count)] if labels is None else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    size = min(len(group) for group in groups)
    allowed = [many for many in range(2, size + 1) if size - -(-size // many) >= 2]
    if folds not in allowed:
        owner = "the data" if labels is None else "the smallest class"
        several = f"a number from {allowed[0]} to {allowed[-1]}" if len(allowed) > 1 else "3"  # two of 3 remain
        several, advice = (several, "") if allowed else ("for more examples", "leave it out or add examples")
        wanted = f"{several}, so that every fold has an example of {owner} to test on, and two more to train and validate on"
        raise refusal(option("folds"), wanted, f"{folds} for {size} examples", advice)
    dealt = np.concatenate([generator.permutation(group) for group in groups])
    cuts = []
    for fold in range(folds):
        rest = np.sort(np.delete(dealt, np.s_[fold::folds]))
        own, share = None if labels is None else labels[rest], VALIDATION_FRACTION / (1.0 - TEST_FRACTION)
        inner = split_indices(len(rest), seed=seed, labels=own, validation=share, test=0.0)
        cuts.append(Indices(rest[inner.train], rest[inner.validation], generator.permutation(dealt[fold::folds])))
    return cuts


def stratified_subset(labels: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """`count` row numbers chosen at random, each class with its share; int64, ascending.

    Each row gets the key `(random rank within its class + 1/2) / class size`; the rows with the smallest keys are
    taken, which fills all classes at the same relative speed.
    """
    generator = np.random.default_rng((seed, _SUBSET_STREAM))
    keys = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        keys[members] = (generator.permutation(len(members)) + 0.5) / len(members)
    ties = generator.permutation(len(labels))
    return np.sort(np.lexsort((ties, keys))[:count])


def standardization(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column of the training rows, float64, missing values left out.

    A constant column gets the scale 1, so that it becomes zero instead of a division by zero.

    **Raises:** `UserError` if a column has no value at all in the training rows.
    """
    values = np.asarray(train, dtype=np.float64)
    present = np.isfinite(values)
    counts = present.sum(axis=0)
    if np.any(counts == 0):
        column = int(np.argmin(counts)) + 1
        raise UserError(
            f"every column has values in the training split; got none in column {column}: "
            f"leave that column out or try another seed."
        )
    # The mean is taken about the first present value: the plain sum of 1e9 + tiny would lose the tiny part,
    # and a constant column would get a scale of rounding errors instead of exactly zero.
    origin = values[np.argmax(present, axis=0), np.arange(values.shape[1])]
    centered = np.where(present, values - origin, 0.0)
    offset = centered.sum(axis=0) / counts
    deviations = np.where(present, centered - offset, 0.0)
    scale = np.sqrt((deviations**2).sum(axis=0) / counts)
    constant = np.all(centered == 0.0, axis=0) | (scale == 0.0)
    return origin + offset, np.where(constant, 1.0, scale)
