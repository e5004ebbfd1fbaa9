"""Which classes are taken for which, and the scores that count every class alike, however many examples it has.

Arrays are JAX's, inside a compiled program, or NumPy's, where nothing is to be compiled for one look at a test split.
"""

import jax.numpy as jnp
import numpy as np

from ascribe.types import AnyArray, AnyScalar, Int


def confusion_matrix(
    labels: Int[AnyArray, " batch"], predicted: Int[AnyArray, " batch"], classes: int
) -> Int[AnyArray, "classes classes"]:
    """How many examples of each class (rows) were taken for each class (columns), as `sklearn.metrics.confusion_matrix`.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    cells, count = labels * classes + predicted, classes**2
    if isinstance(cells, np.ndarray):
        return np.bincount(cells, minlength=count).reshape(classes, classes)
    return jnp.bincount(cells, length=count).reshape(classes, classes)


def balanced_accuracy(confusion: Int[AnyArray, "classes classes"]) -> AnyScalar:
    """The mean over classes of the share of their examples that are right (recall), over the classes that have examples.

    Accuracy, where all classes have as many. As `sklearn.metrics.balanced_accuracy_score`; NaN without examples. Source:
    Brodersen et al. (2010), doi:10.1109/ICPR.2010.764.

    >>> round(float(balanced_accuracy(np.array([[9, 1], [1, 1]]))), 6)  # recalls of 0.9 and 0.5
    0.7
    """
    right, true, _ = _counts(confusion)
    return _mean_ratio(right, true)


def macro_f1(confusion: Int[AnyArray, "classes classes"]) -> AnyScalar:
    """The mean over classes of F1 = 2 right / (true + predicted), the harmonic mean of precision and recall, over the classes
    that have examples or predictions. As `sklearn.metrics.f1_score(average="macro")`; NaN without examples."""
    right, true, predicted = _counts(confusion)
    return _mean_ratio(2 * right, true + predicted)


OF_CONFUSION = {"balanced_accuracy": balanced_accuracy, "macro_f1": macro_f1}
"""What is computed of the confusion matrix, by its name in `ascribe.measures`."""


def _counts(confusion: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray]:
    """Of each class: examples that are right, that are of it, that were taken for it."""
    numbers = confusion.astype(jnp.zeros(()).dtype)
    return numbers.diagonal(), numbers.sum(axis=1), numbers.sum(axis=0)


def _mean_ratio(above: AnyArray, below: AnyArray) -> AnyScalar:
    """The mean of above / below where there is something below; NaN where there is nothing anywhere."""
    ratios = above / below.clip(min=1)  # 0 where there is nothing
    with np.errstate(invalid="ignore"):
        return ratios.sum() / (below > 0).sum().astype(ratios.dtype)
