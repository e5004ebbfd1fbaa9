"""What every reproduction is made of: an entry, and the checks and figures that come out of it."""

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ascribe.errors import UserError

Value = str | int | float
"""A number that a document states or that came out here, or what stands for it in a table."""
Listener = Callable[[Any], None]
"""Told how far an entry is, as a `training.Progress` (not named here, because the list of entries needs no JAX)."""

ROUNDING, FLOAT32 = 1e-12, 1e-6
"""What float64, and float32, JAX's default, leave of a relative precision after a few operations."""

NOT_REPRODUCED = "not reproduced"
"""What is said everywhere of a check that does not agree."""


def silent(progress: Any) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Check:
    """One statement, what the document says of it (`expected`), what came out here (`got`), and whether they agree."""

    statement: str
    expected: Value
    got: Value
    passed: bool

    @property
    def outcome(self) -> str:
        """In words: `reproduced` or `not reproduced`."""
        return "reproduced" if self.passed else NOT_REPRODUCED


@dataclass(frozen=True, repr=False)
class Result:
    """What an entry found: its checks, its figures (name to Altair chart), tables (name to rows) and drawings (name to SVG
    text) where there are some."""

    checks: tuple[Check, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    drawings: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def __repr__(self) -> str:
        good = sum(check.passed for check in self.checks)
        return f"<{good} of {len(self.checks)} checks reproduced; figures: {', '.join(self.figures) or 'none'}>"


@dataclass(frozen=True)
class Entry:
    """One figure, table or printed number of a source document, and the function that redoes it.

    `source`: the document's title and the place in it; `module` and `function`: where in `ascribe.papers` the experiment
    is, imported when it is run; `minutes`: about how long it takes on two cores.
    """

    name: str
    title: str
    source: str
    module: str
    function: str
    minutes: float
    full: bool = False

    def run(self, listener: Listener = silent, *, full: bool = False) -> Result:
        """Redoes it, in the document's own size with `full`.

        **Raises:** `UserError` where there is no other size than the one.
        """
        if full and not self.full:
            raise UserError(f"{self.name} has one size only: leave --full out.")
        module = importlib.import_module(f"{__package__}.{self.module}")
        return getattr(module, self.function)(listener, **({"full": True} if full else {}))


def decimals(tolerance: float) -> int:
    """How many decimals say where a number lies within its `tolerance` of another: those of two digits of the tolerance."""
    return min(max(1 - math.floor(math.log10(tolerance)), 0), 15) if tolerance > 0.0 else 15


def same(statement: str, expected: Value, got: Value) -> Check:
    """Passes where both are equal."""
    return Check(statement, expected, got, expected == got)


def printed(statement: str, expected: str, got: float) -> Check:
    """Passes where `got`, rounded to as many decimals as the printed number `expected` has, is that number."""
    decimals = len(expected.partition(".")[2])
    passed = math.isfinite(got) and round(got, decimals) == float(expected)
    return Check(statement, expected, f"{got:.{decimals + 2}f}", passed)


def close(statement: str, expected: float, got: float, tolerance: float) -> Check:
    """Passes where the two differ by no more than `tolerance`."""
    shown = f"{expected:g}"
    if abs(float(shown) - expected) > tolerance / 10:
        shown = f"{expected:.{decimals(tolerance)}f}"
    return Check(statement, f"{shown} ± {tolerance:g}", float(got), bool(abs(got - expected) <= tolerance))


def at_least(statement: str, said: str, limit: float, got: float, places: int = 4) -> Check:
    """Passes where `got` is no less than `limit`; `said`: whose limit that is."""
    return Check(statement, f"at least {limit:g} ({said})", f"{got:.{places}f}", bool(got >= limit))


def less(statement: str, limit: float, got: float) -> Check:
    """Passes where `got` is below `limit`."""
    return Check(statement, f"less than {limit:.3f}", f"{got:.3f}", bool(got < limit))


def more(statement: str, limit: float, got: float) -> Check:
    """Passes where `got` is above `limit`."""
    return Check(statement, f"more than {limit:.3f}", f"{got:.3f}", bool(got > limit))


def above(statement: str, limit: float, got: float) -> Check:
    """Passes where `got`, which is shown as it is, is above `limit`."""
    return Check(statement, f"above {limit:g}", got, bool(got > limit))


def alike(statement: str, limit: float, one: Any, other: Any) -> Check:
    """Passes where the largest difference between two arrays is no more than `limit`."""
    return at_most(f"{statement}: largest difference", limit, apart(one, other))


def largest(values: Any) -> float:
    """The largest of an array's numbers."""
    return float(np.max(values))


def apart(one: Any, other: Any) -> float:
    """The largest difference between two arrays."""
    return largest(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)))


def at_most(statement: str, limit: float, got: int | float) -> Check:
    """Passes where `got` is no more than `limit`."""
    return Check(statement, f"at most {limit:g}", got, bool(got <= limit))
