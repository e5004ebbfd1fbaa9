"""What a report reads of a comparison: the seam between the measuring side and the showing side.

The report is written against these protocols, so it imports neither JAX nor the classes that satisfy them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ascribe import statistics


@runtime_checkable
class Runs(statistics.Runs, Protocol):
    """One rule, trained once a seed: what the statistics read of it, and more."""

    @property
    def learning_rates(self) -> np.ndarray: ...
    @property
    def hyperparameters(self) -> Mapping[str, float]: ...
    @property
    def seconds(self) -> float: ...
    @property
    def notes(self) -> Sequence[str]: ...

    @property
    def confusion(self) -> np.ndarray | None:
        """(seeds, classes, classes): test examples of each class (rows) by what they were taken for (columns)."""
        ...

    def probabilities(self, inputs: np.ndarray, /) -> np.ndarray:
        """(n, *shape) to class probabilities (seeds, n, classes); for classification tasks only."""
        ...

    def predict(self, inputs: np.ndarray, /) -> np.ndarray:
        """(n, *shape) to labels (seeds, n), or to values (seeds, n, outputs) in the targets' unit."""
        ...


def with_networks(comparison: "Comparison") -> "dict[str, Runs]":
    """The runs whose networks can be asked: all but those of a record whose layers are not known here."""
    return {rule: runs for rule, runs in comparison.runs.items() if getattr(runs, "built", True)}


@runtime_checkable
class Tuning(statistics.Tuning, Protocol):
    """The candidates that were tried for one rule, and the one that was taken."""

    @property
    def learning_rates(self) -> np.ndarray: ...
    @property
    def chosen(self) -> int: ...
    @property
    def hyperparameters(self) -> Mapping[str, np.ndarray]: ...


@runtime_checkable
class LossLandscape(Protocol):
    """The loss over a plane through one layer's weights, and the path of every rule on it."""

    @property
    def layer(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def kind(self) -> str:
        """`"principal"` or `"chosen"`: what the two directions are."""
        ...

    @property
    def examples(self) -> int: ...
    @property
    def training_examples(self) -> int: ...
    @property
    def trajectories(self) -> Mapping[str, np.ndarray]:
        """(steps, 2) each, from the common start."""
        ...

    @property
    def losses(self) -> Mapping[str, np.ndarray]:
        """(steps,) each."""
        ...

    @property
    def axes(self) -> np.ndarray:
        """(2, points): the coordinates of the surface's columns and rows, ascending."""
        ...

    @property
    def surface(self) -> np.ndarray:
        """(points, points): a row for each of `axes[1]`; NaN where it is not finite."""
        ...

    @property
    def shares(self) -> np.ndarray:
        """(2,): of the paths' variance, along each direction."""
        ...

    @property
    def explained(self) -> float: ...
    @property
    def shown(self) -> Mapping[str, int]:
        """How many steps of each path belong into the picture; after them, its loss is far above that of the surface."""
        ...

    @property
    def diverged_at(self) -> Mapping[str, int]: ...
    @property
    def left_out(self) -> Mapping[str, str]: ...
    @property
    def notes(self) -> Sequence[str]: ...


@runtime_checkable
class Comparison(statistics.Comparison, Protocol):
    """A finished comparison of learning rules on one data set. `data` is an `ascribe` data set."""

    @property
    def configuration(self) -> Mapping[str, Any]: ...
    @property
    def runs(self) -> Mapping[str, Runs]: ...
    @property
    def controls(self) -> Mapping[str, Runs]:
        """What was trained beside the rules, for them to be above."""
        ...

    @property
    def tuning(self) -> Mapping[str, Tuning] | None: ...
    @property
    def landscape(self) -> LossLandscape | None: ...
    @property
    def folds(self) -> "Sequence[Comparison]":
        """Of cross-validation, that on every fold."""
        ...

    @property
    def descriptions(self) -> Mapping[str, str]:
        """One line on what each rule is; empty where nothing is known."""
        ...
