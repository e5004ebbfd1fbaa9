"""The post-synaptic current: what one spike does to the next neuron, h(t) = tⁿ e^{−t/τ_s} / (n! τ_s^{n+1}), t ≥ 0.

Its area is 1. A spike train filtered by it is the sum of one h for each spike, s(t) = Σ_p h(t − t_p).

Source: "Neural networks" (course notes), section 1.6.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from ascribe.checks import at_least, explained
from ascribe.errors import UserError

from .quantities import Numbers, check_steps, numbers, seconds, single, whole_steps
from .spikes import SpikeTrain

HIGHEST = 100
"""n; beyond it t^n has no floating-point number long before h is over."""
OVER = 800.0
"""t/τ_s after which e^{−t/τ_s} is 0 in float64."""
SYNAPSES = {"AMPA": 0.010, "NMDA": 0.300}
"""τ_s in seconds of a fast and of a slow synapse, by the receptors that they are known for."""


@dataclasses.dataclass(frozen=True)
class PostSynapticFilter:
    """`tau_s`: τ_s in seconds; `order`: n, 0 for a jump and exponential decay, more for a rounder rise.

    **Raises:** `UserError` for a τ_s that is not between 0 and 1 s, or an order that is no whole number from 0 to 100.
    """

    tau_s: Any = 0.005
    order: Any = 0

    def __post_init__(self) -> None:
        tau_s = seconds("tau_s", self.tau_s)
        if tau_s.ndim:
            raise UserError(f"a filter has one time constant; got {tau_s.size} for tau_s.")
        object.__setattr__(self, "tau_s", float(tau_s))
        object.__setattr__(self, "order", at_least(0, "order", self.order, most=HIGHEST))

    def impulse_response(self, t: Any) -> Numbers:
        """h(t), per second; 0 for t < 0."""
        t = numbers("t", t, "seconds")
        u = np.clip(t / self.tau_s, 0.0, OVER)
        h = u**self.order * np.exp(-u) / (math.factorial(self.order) * self.tau_s)
        return np.where(t >= 0, h, 0.0)[()]

    @explained
    def filter(self, spikes: SpikeTrain, dt: Any, *, weights: Any = 1.0) -> np.ndarray:
        """s at t = 0, dt, 2 dt, … up to the duration, for every neuron: `(samples, size)` in float64, exact for spikes
        at any time.

        A cascade of n + 1 first-order filters: x_k(t) = Σ_p ((t − t_p)/τ_s)^k e^{−(t − t_p)/τ_s} / (k! τ_s) for k = 0 … n.
        Over a step it is multiplied by T_ij = (dt/τ_s)^{i−j} e^{−dt/τ_s} / (i−j)!, i ≥ j, and a spike within the step adds
        what it has become by the step's end. Output: x_n. The cost does not depend on the number of spikes that came
        before.

        `weights`: what a spike of each neuron is multiplied by, a number or `(size,)`.

        **Raises:** `UserError` for weights of another shape, and for more samples than fit into memory.
        """
        from scipy.signal import lfilter  # noqa: PLC0415 - takes a second to import

        dt = single("dt", dt, "seconds")
        each = numbers("weights", weights, "whatever the output is in")
        if each.shape not in ((), (1,), (spikes.size,)):
            raise UserError(
                f"`weights` is one number, or one for each of the {spikes.size} neurons; got the shape {each.shape}."
            )
        weights = np.broadcast_to(each, (spikes.size,))
        check_steps("a filtered train", spikes.duration, dt, 16 * (self.order + 1) * spikes.size)
        steps = int(whole_steps(spikes.duration, dt))
        end = -whole_steps(-spikes.times, dt)  # the first sample at or after the spike
        heard = end <= steps
        end, neurons = end[heard], spikes.neurons[heard]
        age = np.maximum(end * dt - spikes.times[heard], 0.0) / self.tau_s
        added = np.zeros((steps + 1, spikes.size, self.order + 1))
        for k in range(self.order + 1):
            part = weights[neurons] * age**k * np.exp(-age) / (math.factorial(k) * self.tau_s)
            np.add.at(added[:, :, k], (end, neurons), part)
        ratio = dt / self.tau_s
        states: list[np.ndarray] = []
        for k in range(self.order + 1):
            arriving = added[:, :, k]
            for j, below in enumerate(states):
                arriving[1:] += ratio ** (k - j) / math.factorial(k - j) * math.exp(-ratio) * below[:-1]
            states.append(np.asarray(lfilter([1.0], [1.0, -math.exp(-ratio)], arriving, axis=0)))
        return states[-1]
