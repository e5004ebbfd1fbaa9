"""K-fold cross-validation: one data set as K, whose test parts together are all of its examples."""

from dataclasses import replace
from functools import partial

from ascribe.checks import at_least, explained
from ascribe.errors import UserError, option

from .base import Dataset
from .options import Option, ask
from .splits import Indices, fold_indices


@explained
def folds(data: Dataset, count: Option) -> list[Dataset]:
    """`count` data sets of the examples of `data`, each of which is in the test part of one.

    Classes are stratified; what is not tested is cut into train and validation in the proportion of `load`, and means, scales,
    transforms and the filling of gaps are fitted on the training part of each fold alone. The seed that cut `data` decides the
    folds. Sizes differ by one where `count` does not divide the number of examples. `sklearn.model_selection.StratifiedKFold`
    (for regression `KFold`) with `shuffle=True` deals out test parts of the same sizes.

    **Raises:** `UserError` for a `count` that is no whole number from 2 to the size of the smallest class, for data whose
    test part was decided elsewhere (published, given by the file or made by hand), and for data that were changed after
    they were loaded.

        >>> from ascribe.datasets import load
        >>> [(one.fold, len(one.test)) for one in folds(load("moons", samples=100), 3)]
        [((1, 3), 34), ((2, 3), 33), ((3, 3), 33)]
    """
    number = ask(partial(at_least, 2), "folds", count, 5)
    division = data.division
    if division is None:
        raise UserError(
            f"{option('folds')} divides all examples anew, and those of {data.name} came divided, with a test part of their "
            f"own: leave {option('folds')} out, or give the examples as one table, or as one pair of arrays."
        )
    if _rebuilt(data, division.rows).checksum != data.checksum:
        raise UserError(
            f"{option('folds')} divides examples as they were loaded, and those of {data.name} were changed since: give "
            f"what was changed as a pair of arrays (inputs, targets)."
        )
    cuts = fold_indices(division.examples, number, seed=division.seed, labels=division.labels)
    return [replace(_rebuilt(data, rows), fold=(place, number)) for place, rows in enumerate(cuts, 1)]


def _rebuilt(data: Dataset, rows: Indices) -> Dataset:
    """The data set of another cut, with the transforms of `data` fitted anew."""
    assert data.division is not None
    found = data.division.divided(rows=rows).encode(*(one.name for one in data.transforms), *data.augmentations)
    found = found if found.input_shape == data.input_shape else found.flat()
    return replace(found, name=data.name, request=data.request, understood=data.understood)
