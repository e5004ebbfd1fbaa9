"""What the statistics read of a comparison: the seam to the side that trains, so that no JAX is needed here."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Runs(Protocol):
    """One rule, trained once a seed. Arrays start with the seeds axis; NaN marks what a diverged run never reached."""

    @property
    def curves(self) -> Mapping[str, np.ndarray]:
        """`train_loss`, `validation_accuracy`, `gradient_angle/linear1` ...: (seeds, epochs) each."""
        ...

    @property
    def scores(self) -> Mapping[str, np.ndarray]:
        """`test_loss`, `test_accuracy` or `test_rmse` ...: (seeds,) each."""
        ...

    @property
    def seeds(self) -> Sequence[int]: ...
    @property
    def folds(self) -> Sequence[int]:
        """Of cross-validation, the fold of every run; none where the data were divided once."""
        ...

    @property
    def diverged(self) -> np.ndarray: ...


@runtime_checkable
class Tuning(Protocol):
    """The candidates that were tried for one rule."""

    @property
    def scores(self) -> np.ndarray:
        """(candidates, seeds) validation score, higher is better; not finite where a run diverged."""
        ...


@runtime_checkable
class Comparison(Protocol):
    """A finished comparison of learning rules on one data set. `data` is an `ascribe` data set."""

    @property
    def configuration(self) -> Mapping[str, Any]:
        """`score`: the measure that it chose by; the task's main one where there is none."""
        ...

    @property
    def controls(self) -> Mapping[str, Runs]:
        """What was trained beside the rules, for them to be above; no rules."""
        ...

    @property
    def data(self) -> Any: ...
    @property
    def reference(self) -> str | None: ...
    @property
    def runs(self) -> Mapping[str, Runs]: ...
    @property
    def tuning(self) -> Mapping[str, Tuning] | None: ...
