"""What keeps finished runs, and the state of those under way, so that nothing is computed twice and nothing is lost.

A run is known by its content (`identity.py`): rule, network, data, settings, seed, rate. What `ascribe.store` keeps under such
a key is taken from there instead of being trained; a run that was cut off goes on from its last checkpoint, to the same result.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from .landscape import LossLandscape


class Kept(NamedTuple):
    """A finished run. `curves`: `(epochs,)` each; `networks`: the leaves of what prediction uses, None where only the curves
    were wanted; `scores`: those on the test split, None where it was not looked at; `class_maps`: those of some epochs
    (`class_maps.py`), None where none were wanted."""

    curves: dict[str, np.ndarray]
    diverged_at: int
    networks: list[np.ndarray] | None
    scores: dict[str, float] | None
    seconds: float
    class_maps: dict[int, np.ndarray] | None = None


class Checkpoint(NamedTuple):
    """Runs under way, side by side: how many epochs they have been through, the leaves of their state, the seconds they
    took, and their class maps so far."""

    epoch: int
    leaves: list[np.ndarray]
    seconds: float = 0.0
    class_maps: dict[int, np.ndarray] | None = None


class About(NamedTuple):
    """What the store tells of a run beside its numbers; plain JSON values."""

    rule: str
    phase: str
    seed: int
    learning_rate: float
    hyperparameters: dict[str, Any]
    epochs: int
    context: dict[str, Any]


@runtime_checkable
class Checkpoints(Protocol):
    """Where the state of runs under way is kept. Keys are content hashes; a key of several runs side by side is that of their
    keys."""

    @property
    def keeps(self) -> bool:
        """Whether anything is kept; where not, nobody makes a key."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the work should end at the next occasion, with everything kept."""
        ...

    def checkpoint(self, key: str) -> Checkpoint | None:
        """The last state of these runs."""
        ...

    def save(self, key: str, checkpoint: Checkpoint) -> None:
        """Keeps the state of these runs instead of an earlier one."""
        ...

    def forget(self, key: str) -> None:
        """No state of these runs is kept any more."""
        ...

    def agreed(self, name: str, value: int) -> int:
        """The value under that name: this one where there is none yet."""
        ...


@runtime_checkable
class FinishedRuns(Protocol):
    """Where finished runs are kept."""

    def finished(self, keys: Sequence[str]) -> dict[str, Kept]:
        """Those of the runs that are finished."""
        ...

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None:
        """Keeps finished runs, all or none."""
        ...

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Keeps the test scores of finished runs."""
        ...

    def outdated(self, rule: str, epochs: int, context: Mapping[str, Any]) -> list[Any]:
        """The finished runs of a rule that are the same by all that is told of them but were made by other code: the seed, the
        learning rate and the hyper-parameters of each."""
        ...


@runtime_checkable
class Book(Protocol):
    """Where whole experiments are written down: a comparison or a search, the runs that it is made of, and its pictures."""

    @property
    def experiment(self) -> str | None:
        """The experiment that is under way."""
        ...

    def begin(self, name: str, *, command: str | None = None) -> Any:
        """A new experiment is under way."""
        ...

    def end(self, status: str, *, configuration: Any = None, keys: Any = None) -> None:
        """It has ended so."""
        ...

    def part(self, name: str) -> AbstractContextManager[Any]:
        """Rules of runs that begin inside are told by this name too."""
        ...

    def landscape(self, key: str) -> LossLandscape | None:
        """A loss landscape that is kept."""
        ...

    def keep_landscape(self, key: str, landscape: LossLandscape) -> None:
        """Keeps it."""
        ...

    def close(self) -> None:
        """Nothing is written any more."""
        ...


@runtime_checkable
class Keeper(Checkpoints, FinishedRuns, Book, Protocol):
    """All of it: `ascribe.store.Store`, what several processes share of one, or `NOTHING`."""


class Nothing:
    """A `Keeper` that keeps nothing."""

    keeps, stopping, experiment = False, False, None

    def checkpoint(self, key: str) -> None:
        return None

    def save(self, key: str, checkpoint: Checkpoint) -> None: ...

    def forget(self, key: str) -> None: ...

    def agreed(self, name: str, value: int) -> int:
        return value

    def finished(self, keys: Sequence[str]) -> dict[str, Kept]:
        return {}

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None: ...

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> None: ...

    def outdated(self, rule: str, epochs: int, context: Mapping[str, Any]) -> list[Any]:
        return []

    def begin(self, name: str, *, command: str | None = None) -> None: ...

    def end(self, status: str, *, configuration: Any = None, keys: Any = None) -> None: ...

    def part(self, name: str) -> AbstractContextManager[Any]:
        return nullcontext()

    def landscape(self, key: str) -> None:
        return None

    def keep_landscape(self, key: str, landscape: LossLandscape) -> None: ...

    def close(self) -> None: ...


NOTHING = Nothing()
