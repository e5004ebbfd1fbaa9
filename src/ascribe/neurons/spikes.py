"""Spike trains: when which neuron fired, as a sum of Dirac deltas a(t) = Σ_p δ(t − t_p).

Source: "Neural networks" (course notes), section 1.6.
"""

from typing import Any

import numpy as np

from ascribe.arguments import explained
from ascribe.errors import UserError

from .quantities import counted, numbers, positive, whole_steps

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
        self.duration = float(positive("duration", duration, "seconds"))
        if self.times.ndim != 1:
            raise UserError(f"the times of spikes are a list of numbers; got the shape {self.times.shape}.")
        if neurons is None:
            neurons, size = np.zeros(len(self.times), np.int64), size or 1
        self.neurons = np.asarray(neurons) if np.size(neurons) else np.zeros(0, np.int64)
        if self.neurons.shape != self.times.shape or self.neurons.dtype.kind not in "iu":
            raise UserError(
                f"every spike has the whole number of its neuron; got {len(self.times)} times and neurons of shape "
                f"{self.neurons.shape}, {self.neurons.dtype}."
            )
        self.size = int(size if size is not None else self.neurons.max(initial=-1) + 1)
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
            if self.neurons.min() < 0 or self.neurons.max() >= self.size:
                raise UserError(
                    f"neurons are numbered from 0 to {self.size - 1}; got {self.neurons.min()} to {self.neurons.max()}."
                )

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'spike')} of {counted(self.size, 'neuron')} in {self.duration:g} s>"

    def of(self, neuron: int = 0) -> np.ndarray:
        """The times of one neuron, seconds."""
        if not 0 <= neuron < self.size:
            raise UserError(f"neurons are numbered from 0 to {self.size - 1}; got {neuron}.")
        return self.times[self.neurons == neuron]

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
        width = float(positive("dt", dt, "seconds"))
        steps = max(1, -int(whole_steps(-self.duration, width)))
        place = np.minimum(whole_steps(self.times, width), steps - 1)
        counts = np.bincount(place * self.size + self.neurons, minlength=steps * self.size)
        return counts.reshape(steps, self.size)


@explained
def poisson_spikes(rates: Any, duration: Any, *, seed: int = 0) -> SpikeTrain:
    """Spikes that do not know of each other: their number is Poisson with mean rate × duration, their times uniform.

    **Arguments:** `rates`: Hz, one for each neuron, or a number for one; `duration`: seconds.
    """
    rates = np.atleast_1d(numbers("rates", rates, "Hz"))
    length = float(positive("duration", duration, "seconds"))
    if rates.ndim != 1 or np.any(rates < 0):
        raise UserError(f"rates are numbers of at least 0, one for each neuron; got {rates!r}.")
    draw = np.random.default_rng(seed)
    counts = draw.poisson(rates * length)
    times = draw.uniform(0.0, length, counts.sum())
    order = np.argsort(times)
    return SpikeTrain(times[order], np.repeat(np.arange(len(rates)), counts)[order], duration=length, size=len(rates))
