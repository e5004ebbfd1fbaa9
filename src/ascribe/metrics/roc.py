"""The area under the receiver operating characteristic: whether examples of a class get a higher probability of it.

Arrays are JAX's, inside a compiled program, or NumPy's, where nothing is to be compiled for one look at a test split.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.types import Any, AnyArray, AnyScalar, Float, Int


def area_under_roc(probabilities: Float[AnyArray, "batch classes"], labels: Int[AnyArray, " batch"]) -> AnyScalar:
    """The probability that an example of a class ranks above one that is not of it, ties half.

    Of two classes: how the second one's probability ranks. Of more: each class against all others, and the mean over the
    classes that have examples and are not all that there is. One half where all probabilities are alike; NaN where all
    examples are of one class. As `sklearn.metrics.roc_auc_score(multi_class="ovr")`, which is NaN where a class is missing.
    Source: Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747.
    """
    classes = probabilities.shape[1]
    if classes == 2:
        return _area(probabilities[:, 1], labels == 1)
    if isinstance(probabilities, np.ndarray):
        areas = np.stack([_area(probabilities[:, one], labels == one) for one in range(classes)])
    else:
        columns = (probabilities.T, jnp.arange(classes, dtype=labels.dtype))
        areas = jax.lax.map(lambda column: _area(column[0], labels == column[1]), columns)
    there = _numpy(areas).isfinite(areas)
    with np.errstate(invalid="ignore"):
        return _numpy(areas).where(there, areas, 0).sum() / there.sum().astype(areas.dtype)


RANKED = {"auc": area_under_roc}
"""What is computed of all probabilities and the labels, by its name in `ascribe.measures`."""


def _area(values: Float[AnyArray, " batch"], positive: AnyArray) -> AnyScalar:
    xp = _numpy(values)
    others = xp.sort(xp.where(positive, xp.inf, values))
    # Twice the number of others below each value, and once that of those that are equal: whole numbers, so ties are exact.
    below = xp.searchsorted(others, values, side="left") + xp.searchsorted(others, values, side="right")
    below = xp.where(positive, below, 0).astype(xp.uint32)
    high, low = (part.sum().astype(values.dtype) for part in (below >> 12, below & 4095))  # one sum would overflow
    count = positive.sum().astype(values.dtype)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (high * 4096 + low) / (2 * count * (len(values) - count))


def _numpy(array: AnyArray) -> Any:
    """The functions for this kind of array."""
    return np if isinstance(array, np.ndarray) else jnp
