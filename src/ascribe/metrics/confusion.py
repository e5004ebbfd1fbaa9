"""Which classes are taken for which, and the scores that count every class alike, however many examples it has."""

import jax.numpy as jnp

from ascribe.types import Array, Int, Scalar


def confusion_matrix(
    labels: Int[Array, " batch"], predicted: Int[Array, " batch"], classes: int
) -> Int[Array, "classes classes"]:
    """How many examples of each class (rows) were taken for each class (columns), as `sklearn.metrics.confusion_matrix`."""
    return jnp.zeros((classes, classes), jnp.int32).at[labels, predicted].add(1)


def balanced_accuracy(confusion: Int[Array, "classes classes"]) -> Scalar:
    """The mean over classes of the share of their examples that are right (recall), over the classes that have examples.

    Accuracy, where all classes have as many. As `sklearn.metrics.balanced_accuracy_score`; NaN without examples. Source:
    Brodersen et al. (2010), doi:10.1109/ICPR.2010.764.
    """
    right, true, _ = _counts(confusion)
    return _mean(right / jnp.maximum(true, 1), true > 0)


def macro_f1(confusion: Int[Array, "classes classes"]) -> Scalar:
    """The mean over classes of F1 = 2 right / (true + predicted), the harmonic mean of precision and recall, over the classes
    that have examples or predictions. As `sklearn.metrics.f1_score(average="macro")`; NaN without examples."""
    right, true, predicted = _counts(confusion)
    return _mean(2 * right / jnp.maximum(true + predicted, 1), true + predicted > 0)


def _counts(confusion: Array) -> tuple[Array, Array, Array]:
    """Of each class: examples that are right, that are of it, that were taken for it."""
    counts = (jnp.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0))
    right, true, predicted = (count.astype(jnp.zeros(()).dtype) for count in counts)
    return right, true, predicted


def _mean(values: Array, there: Array) -> Scalar:
    """The mean of the values that are there; NaN where none is."""
    return jnp.sum(jnp.where(there, values, 0)) / jnp.sum(there).astype(values.dtype)
