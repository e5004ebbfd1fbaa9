"""Disease progression of 442 diabetes patients from ten measurements: a small real regression."""

from typing import Any

import numpy as np

from ascribe.checks import flag

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask

CARD = Card(
    title="Diabetes progression",
    description=(
        "442 patients, ten measurements each (age, sex, body mass index, blood pressure and six blood serum values); "
        "the target is a measure of disease progression one year later, from 25 to 346."
    ),
    source=(
        "Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression, Annals of Statistics 32, 2004; read from "
        "scikit-learn (Pedregosa et al., JMLR 12, 2011)."
    ),
    license="Published with the paper without stated terms; scikit-learn's copy is distributed under BSD-3-Clause",
    url="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    task="regression",
    size="442 patients, 10 features",
)


def diabetes(*, seed: int = 0, standardize: Option = True) -> Dataset:
    """Inputs `(examples, 10)`, standardized per feature on the training rows; targets `(examples, 1)`, standardized.

    `standardize=False` leaves the inputs in their measured units.

    **Raises:** `UserError` on a bad option.
    """
    standardize = ask(flag, "standardize", standardize, True)
    from sklearn.datasets import load_diabetes  # noqa: PLC0415  (imported here because it is slow)

    # scaled=False: the scaled version was standardized over all rows, test rows included.
    bunch: Any = load_diabetes(scaled=False)
    inputs, targets = (np.asarray(bunch[name], dtype=np.float64) for name in ("data", "target"))
    names = tuple(map(str, bunch["feature_names"]))
    return Assembly("diabetes", "regression", inputs, targets[:, None], seed, CARD, standardize, feature_names=names).divided()
