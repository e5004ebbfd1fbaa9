"""The input current, as it may be given: a number, one for each neuron, segments, or a function of time."""

from typing import Any

import numpy as np

from ascribe.checks import real_numbers
from ascribe.errors import UserError, shown

from .quantities import numbers

LARGEST = 2**28
"""Numbers of a table of currents, about a gigabyte in float32."""

JUST = 1e-9
"""Of the duration: how long before its end a function is asked for the last time."""


class Current:
    """`constant`: an array that holds all the time, or None. `at(t)`: the current at times `(k,)`, as `(k, …)`.

    Segments are tuples; what is an array of lists could be either, and is refused where it has two columns. A function is
    called with one time, to see whether it gives a number or an array of one for each neuron; never with a time at or after
    `duration`, but with one just before.

    **Raises:** `UserError` for what is none of them, and for currents that are not finite.
    """

    def __init__(self, given: Any, unit: str, duration: float):
        self.given, self.unit, self.duration = given, unit, duration
        self.constant: np.ndarray | None = None
        self.values: np.ndarray | None = None
        if callable(given):
            self.one = self._single(0.0).shape
            return
        pairs = isinstance(given, (list, tuple)) and len(given) > 0
        if pairs and all(isinstance(part, (list, tuple)) and len(part) == 2 for part in given):
            if not all(isinstance(part, tuple) for part in given):
                raise UserError(
                    "a list of lists of two numbers could be segments, or an array of neurons: try tuples "
                    "[(seconds, current), …] for segments, or numpy.array(…) for the neurons."
                )
            lasting = numbers("the durations of segments", [part[0] for part in given], "seconds")
            if np.any(lasting <= 0):
                raise UserError(f"a segment (duration, current) lasts longer than 0 seconds; got {lasting.min():g}.")
            self.ends = np.cumsum(lasting)
            parts = [numbers("the current", part[1], unit) for part in given]
            try:
                self.values = np.stack(np.broadcast_arrays(*parts))
            except ValueError:
                raise UserError(
                    f"all segments have currents for the same neurons; got shapes {', '.join(str(p.shape) for p in parts)}."
                ) from None
            return
        self.constant = numbers("the current", given, unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the current at one time."""
        if self.constant is not None:
            return self.constant.shape
        return self.values.shape[1:] if self.values is not None else self.one

    def at(self, t: np.ndarray) -> np.ndarray:
        """The current at each of the times, seconds; after the last segment 0 (at its very end, still its own)."""
        if self.constant is not None:
            return np.broadcast_to(self.constant, (len(t), *self.constant.shape))
        if self.values is not None:
            edges = np.append(self.ends[:-1] * (1 - 1e-12), self.ends[-1] * (1 + 1e-12))
            place = np.searchsorted(edges, t, side="right")
            padded = np.concatenate([self.values, np.zeros_like(self.values[:1])])
            return padded[np.minimum(place, len(self.values))]
        t = np.minimum(t, self.duration * (1.0 - JUST))
        found = self._called(t)
        if not np.all(np.isfinite(found)):
            bad = t[~np.isfinite(found).reshape(len(t), -1).all(axis=1)][0]
            raise UserError(
                f"the current has to be finite, in {self.unit}; the function gave {self.given(float(bad))} at {bad:g} s."
            )
        return found

    def _called(self, t: np.ndarray) -> np.ndarray:
        if self.one == ():
            try:
                found = real_numbers(self.given(t))
                if (
                    found is not None
                    and found.shape == t.shape
                    and all(np.isclose(found[k], self._single(t[k])) for k in (0, len(t) // 2, -1))
                ):
                    return found
            except Exception:  # whatever a function of a number does with an array
                pass
        rows = [self._single(one) for one in t]
        if other := [(when, row.shape) for when, row in zip(t, rows, strict=True) if row.shape != self.one]:
            raise UserError(
                f"the current is a number, or one for each neuron, at all times alike; the function gave the shape {self.one} "
                f"at 0 s and {other[0][1]} at {other[0][0]:g} s."
            )
        return np.stack(rows)

    def _single(self, t: float) -> np.ndarray:
        wanted = "the current is a function of the time in seconds that returns a number, or one for each neuron; it"
        try:
            given = self.given(float(t))
        except Exception as error:
            raise UserError(f"{wanted} failed with {type(error).__name__}: {error}.") from error
        found = real_numbers(given)
        if found is None:
            raise UserError(f"{wanted} gave {shown(given)} at {t:g} s.")
        return found

    def table(self, steps: int, dt: float, places: tuple[float, ...]) -> np.ndarray:
        """The current in every step, at `places` within it (0 its start, 1 its end): `(steps, places, …)`."""
        numbers_of_it = steps * len(places) * int(np.prod(self.shape, dtype=np.int64))
        if numbers_of_it > LARGEST:
            raise UserError(
                f"a current of {numbers_of_it:,} numbers does not fit into memory: take a larger dt, or fewer neurons."
            )
        if self.values is not None:  # what jumps at the edge of a step is what it is inside
            places = tuple(min(max(place, 1e-6), 1 - 1e-6) for place in places)
        t = (np.arange(steps)[:, None] + np.array(places)[None, :]) * dt
        found = self.at(t.ravel())
        return found.reshape(steps, len(places), *found.shape[1:])
