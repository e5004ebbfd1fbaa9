"""The corrected resampled t-test: for scores of cross-validation, whose folds share training examples.

Two of K folds train on (K − 2) / (K − 1) of the same examples, so their scores are not independent, and an ordinary t-test
finds differences that are none. The variance of the mean of J differences d is taken to be

    (1 / J + n_test / n_train) · var(d)

with the unbiased variance var and J − 1 degrees of freedom. With n_test / n_train → 0 this is the paired t-test.

Source: Nadeau & Bengio (2003), "Inference for the generalization error", Machine Learning 52, 239–281,
doi:10.1023/A:1024068626366; for repeated folds Bouckaert & Frank (2004), doi:10.1007/978-3-540-24775-3_3.
"""

import numpy as np
from scipy.special import stdtr

from ascribe.checks import not_negative

from ._checks import Numbers, exponent, sample
from .base import Runs
from .means import LEVEL, interval


def corrected_interval(
    values: np.ndarray, test_to_train: float, axis: int = 0, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and half width of its two-sided corrected interval along `axis`, over the finite values only.

    **Arguments:** - `values`: any shape; `axis` counts the folds. - `test_to_train`: n_test / n_train, the examples that are
    tested over all others; 0 gives `interval`. - `level`: coverage, 0 to 1.

    **Returns:** `(mean, half_width)` as `interval` does.
    """
    test_to_train = not_negative("test_to_train", test_to_train)
    mean, half_width = interval(values, axis, level)
    count = np.isfinite(values).sum(axis=axis)
    return mean, np.asarray(half_width * np.sqrt(1.0 + count * test_to_train))


def corrected_t_test(differences: Numbers, *, test_to_train: float, rounding: float = 0.0) -> float:
    """Two-sided p-value of the mean of `differences` (folds,) between two rules, under the hypothesis that it is 0.

    **Arguments:** - `test_to_train`: n_test / n_train; 0 is the paired t-test. - `rounding`: the error of a single difference
    (`Pairs.rounding`), up to which a mean is none and a standard deviation is not smaller.

    **Raises:** `UserError` for fewer than two differences, or any that is not finite.
    """
    values = sample("differences", differences, least=2)
    shift = exponent(values)
    values, rounding = np.ldexp(values, -shift), float(np.ldexp(not_negative("rounding", rounding), -shift))
    mean, deviation = float(values.mean()), max(float(values.std(ddof=1)), rounding)
    if abs(mean) <= rounding:
        return 1.0
    if deviation == 0.0:
        return 0.0
    error = deviation * np.sqrt(1.0 / len(values) + not_negative("test_to_train", test_to_train))
    return float(2.0 * stdtr(len(values) - 1, -abs(mean) / error))


def resampled(runs: Runs, values: np.ndarray) -> tuple[np.ndarray, float]:
    """What intervals over runs are of, and n_test / n_train: one row of `values` (runs, ...) a seed, and 0; of runs of K folds
    one row a fold, the mean over its seeds, and 1 / (K − 1). What is not finite is left out, and NaN where nothing else is."""
    folds = np.asarray(runs.folds)
    if not len(folds):
        return values, 0.0
    each = [values[folds == fold] for fold in np.unique(folds)]
    return np.stack([interval(one)[0] for one in each]), ratio(len(each))


def ratio(folds: int) -> float:
    """n_test / n_train of K folds: each tests a K-th of all examples, and the rest is what a rule has to learn and to tune."""
    return 1.0 / (folds - 1)
