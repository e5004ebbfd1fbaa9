"""The area under the receiver operating characteristic: whether examples of a class get a higher probability of it."""

import jax
import jax.numpy as jnp

from ascribe.types import Array, Float, Int, Scalar


def area_under_roc(probabilities: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Scalar:
    """The probability that an example of a class ranks above one that is not of it, ties half.

    Of two classes: how the second one's probability ranks. Of more: each class against all others, and the mean over the
    classes that have examples and are not all that there is. One half where all probabilities are alike; NaN where all
    examples are of one class. As `sklearn.metrics.roc_auc_score(multi_class="ovr")`, which is NaN where a class is missing.
    Source: Hanley & McNeil (1982), doi:10.1148/radiology.143.1.7063747.
    """
    if probabilities.shape[1] == 2:
        return _area(probabilities[:, 1], labels == 1)
    columns = (probabilities.T, jnp.arange(probabilities.shape[1], dtype=labels.dtype))
    areas = jax.lax.map(lambda column: _area(column[0], labels == column[1]), columns)
    return jnp.nanmean(areas)


def _area(values: Float[Array, " batch"], positive: Array) -> Scalar:
    others = jnp.sort(jnp.where(positive, jnp.inf, values))
    # Twice the number of others below each value, and once that of those that are equal: whole numbers, so ties are exact.
    below = jnp.searchsorted(others, values, side="left") + jnp.searchsorted(others, values, side="right")
    below = jnp.where(positive, below, 0).astype(jnp.uint32)
    high, low = (jnp.sum(part).astype(values.dtype) for part in (below >> 12, below & 4095))  # one sum would overflow
    count = jnp.sum(positive).astype(values.dtype)
    return (high * 4096 + low) / (2 * count * (len(values) - count))
