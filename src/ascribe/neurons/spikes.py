"""Spike trains: when which neuron fired, as a sum of Dirac deltas a(t) = Σ_p δ(t − t_p).

Source: "Neural networks" (course notes), section 1.6.
"""

from typing import Any

import numpy as np

from ascribe.checks import at_least, whole
from ascribe.errors import UserError, shown
from ascribe.memory import check_room

from .quantities import UNHEARD_OF, check_steps, counted, numbers, single, whole_numbers, whole_steps

SPIKE = 64
"""Bytes that a spike takes while it is drawn: its time and its neuron, and both again in order."""

STOPPED = 2.0
"""A neuron that has been silent for more than this many of its last intervals has stopped firing."""


class SpikeTrain:
    """The spikes of `size` neurons within `duration` seconds.

    `times`: float64, seconds, ascending; `neurons`: the number of the neuron of each, from 0. Spikes of one neuron only may
    come without `neurons`.

    **Raises:** `UserError` for times out of order, outside of 0 … `duration` or not finite, and for neurons that there are
    not.
    """

    def __init__(self, times: Any, neurons: Any = None, *, duration: Any, size: int | None = None):
        self.times = numbers("the times of spikes", times, "seconds")
        self.duration = single("duration", duration, "seconds")
        if self.times.ndim != 1:
            raise UserError(f"the times of spikes are a list of numbers; got the shape {self.times.shape}.")
        if neurons is None:
            neurons, size = np.zeros(len(self.times), np.int64), 1 if size is None else size
        given = whole_numbers(neurons)
        if given is None or given.shape != self.times.shape:
            raise UserError(
                f"every spike has the whole number of its neuron; got {len(self.times)} times and the neurons {shown(neurons)}."
            )
        lowest, highest = (int(given.min()), int(given.max())) if len(given) else (0, -1)
        self.size = highest + 1 if size is None else at_least(0, "size", size)
        check_room(f"the spikes of {shown(self.size)} neurons", 8 * self.size, "choose fewer")
        if len(self.times):
            back = np.flatnonzero(np.diff(self.times) < 0)
            if len(back):
                raise UserError(
                    f"spikes come in the order of their times; the one at {self.times[back[0] + 1]:g} s "
                    f"comes after one at {self.times[back[0]]:g} s: sort them."
                )
            if self.times[0] < 0 or self.times[-1] > self.duration:
                raise UserError(
                    f"spikes lie between 0 and the duration of {self.duration:g} s; got {self.times[0]:g} to "
                    f"{self.times[-1]:g} s."
                )
            if lowest < 0 or highest >= self.size:
                raise UserError(f"neurons are numbered from 0 to {self.size - 1}; got {lowest} to {highest}.")
        self.neurons = given.astype(np.int64)  # what is counted with them would overflow in fewer bits

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'spike')} of {counted(self.size, 'neuron')} in {self.duration:g} s>"

    def of(self, neuron: int = 0) -> np.ndarray:
        """The times of one neuron, seconds."""
        return self.times[self.neurons == self.numbered(neuron)]

    def numbered(self, neuron: Any) -> int:
        """The number of a neuron that there is.

        **Raises:** `UserError` for anything else.
        """
        number = whole(neuron)
        if number is None or not 0 <= number < self.size:
            raise UserError(f"neurons are numbered from 0 to {self.size - 1}; got {shown(neuron)}.")
        return number

    def counts(self) -> np.ndarray:
        """How many spikes each neuron has, `(size,)`."""
        return np.bincount(self.neurons, minlength=self.size)

    def rates(self) -> np.ndarray:
        """Spikes per second, over the whole duration, `(size,)`."""
        return self.counts() / self.duration

    def intervals(self, neuron: int = 0) -> np.ndarray:
        """The interspike intervals of one neuron, seconds."""
        return np.diff(self.of(neuron))

    def steady_rates(self) -> np.ndarray:
        """1 / the last interspike interval, Hz, `(size,)`; 0 for a neuron that has not fired twice, or has stopped: it has
        been silent for longer than twice that interval."""
        order = np.lexsort((self.times, self.neurons))
        times, ends = self.times[order], np.cumsum(self.counts())
        rates, several = np.zeros(self.size), self.counts() >= 2
        last = ends[several] - 1
        interval = times[last] - times[last - 1]
        going = self.duration - times[last] <= STOPPED * interval
        rates[several] = np.where(going, 1.0 / np.where(interval > 0, interval, np.inf), 0.0)
        return rates

    def raster(self, dt: Any) -> np.ndarray:
        """How many spikes of each neuron fall into each step of `dt` seconds, `(steps, size)`: from k·dt, which is in step
        k, to before (k + 1)·dt; one at the very end of the duration falls into the last step."""
        width = single("dt", dt, "seconds")
        check_steps("a raster", self.duration, width, 8 * self.size)
        steps = max(1, -int(whole_steps(-self.duration, width)))
        place = np.minimum(whole_steps(self.times, width), steps - 1)
        counts = np.bincount(place * self.size + self.neurons, minlength=steps * self.size)
        return counts.reshape(steps, self.size)


def poisson_spikes(rates: Any, duration: Any, *, seed: int = 0) -> SpikeTrain:
    """Spikes that do not know of each other: their number is Poisson with mean rate × duration, their times uniform.

    **Arguments:** `rates`: Hz, one for each neuron, or a number for one; `duration`: seconds.

    **Raises:** `UserError` for rates below 0, a duration or a seed that is none, and for more spikes than fit into memory.
    """
    rates = np.atleast_1d(numbers("rates", rates, "Hz"))
    length, seed = single("duration", duration, "seconds"), at_least(0, "seed", seed)
    if rates.ndim != 1 or np.any(rates < 0):
        raise UserError(f"rates are numbers of at least 0, one for each neuron; got {shown(rates)}.")
    expected = min(sum(rates.tolist()) * length, UNHEARD_OF)
    check_room(f"about {expected:,.4g} spikes", int(SPIKE * expected), "choose lower rates, or a shorter duration")
    draw = np.random.default_rng(seed)
    counts = draw.poisson(rates * length)
    times = draw.uniform(0.0, length, counts.sum())
    order = np.argsort(times)
    return SpikeTrain(times[order], np.repeat(np.arange(len(rates)), counts)[order], duration=length, size=len(rates))
