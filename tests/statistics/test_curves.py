import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.statistics import area_under_curve, epochs_to_target, median_epochs

CURVES = np.array([[0.5, 0.7, 0.9, 0.8], [0.9, 0.9, 0.9, 0.9], [0.5, np.nan, np.nan, np.nan], [0.1, 0.2, 0.3, 0.4]])


def test_the_area_is_that_of_trapezoids():
    epochs = np.arange(1.0, 5.0)
    # A straight line's is exact; a diverged run has none.
    np.testing.assert_allclose(area_under_curve([3.0 * epochs + 1.0]), [1.5 * (16 - 1) + 3.0])
    np.testing.assert_allclose(area_under_curve(CURVES), [0.6 + 0.8 + 0.85, 2.7, np.nan, 0.75])


def test_epochs_are_counted_from_1_and_none_never_arrived():
    assert epochs_to_target(CURVES, 0.9) == [3, 1, None, None]
    assert epochs_to_target(CURVES, 0.45, higher_is_better=False) == [None, None, None, 1]
    assert all(type(epoch) is int for epoch in epochs_to_target(CURVES, 0.1))
    assert epochs_to_target([[0.75, 0.5, 0.25]], 0.5, higher_is_better=False) == [2]  # what is just reached is reached
    assert epochs_to_target([[0.25, 0.5, 0.75]], 0.5) == [2]


def test_the_median_counts_who_never_arrived():
    assert median_epochs([3, 1, None]) == 3.0
    assert median_epochs([3, 1, 4, 2]) == 2.5
    assert median_epochs([3, 1, None, None]) is None
    assert median_epochs([None]) is None


def test_bad_input_meets_its_sentence():
    with pytest.raises(UserError, match="at least two epochs; got 1"):
        area_under_curve([[0.5], [0.6]])
    with pytest.raises(UserError, match="`target` is a finite number; got nan"):
        epochs_to_target(CURVES, float("nan"))
    with pytest.raises(UserError, match="one entry a run; got none"):
        median_epochs([])
