"""What can be redone of "Neural networks" (course notes), section 1.6: what a spike injects."""

import math

import numpy as np

from ascribe import neurons
from ascribe.neurons import SYNAPSES, PostSynapticFilter, SpikeTrain, pictures

from .base import ROUNDING, Listener, Result, apart, at_most, close, largest
from .course_notes_channels import MS

FILTERS = tuple((order, tau_s) for tau_s in SYNAPSES.values() for order in (0, 1, 3))
TAU_S = 0.005
SYNAPSE = {tau_s: name for name, tau_s in SYNAPSES.items()}


def post_synaptic_currents(listener: Listener) -> Result:
    """Section 1.6: the filters h(t) = tⁿ e^{−t/τ_s} / (n! τ_s^{n+1}), each of area 1, of a fast synapse, AMPA-like with
    τ_s = 10 ms, and of a slow one, NMDA-like with 300 ms."""
    from scipy.integrate import quad  # noqa: PLC0415 - importing it is slow

    kinds = [PostSynapticFilter(tau_s, order) for order, tau_s in FILTERS]
    checks, table = [], []
    for kind in kinds:
        n, tau_s = kind.order, kind.tau_s
        name = f"{SYNAPSE[tau_s]}-like, n = {n}, τ_s = {MS * tau_s:g} ms"
        t = np.linspace(0.0, 80 * tau_s, 160_001)
        h = kind.impulse_response(t)
        area = quad(kind.impulse_response, 0.0, 80 * tau_s, points=[n * tau_s, 10 * tau_s], epsabs=1e-12)[0]
        written = t**n * np.exp(-t / tau_s) / (math.factorial(n) * tau_s ** (n + 1))
        checks += [
            close(f"{name}: area", 1.0, area, 1e-10),
            close(f"{name}: maximum, ms: n τ_s", MS * n * tau_s, MS * float(t[np.argmax(h)]), 1e-6),
            at_most(f"{name}: largest relative difference from the formula", ROUNDING, apart(h, written) / largest(h)),
        ]
        table.append({"n": n, "tau_s": tau_s, "area": area, "maximum_at_s": n * tau_s, "maximum_per_s": largest(h)})
    fast, slow = (1 - math.exp(-0.03 / tau_s) for tau_s in SYNAPSES.values())
    for kind, share in ((kinds[0], fast), (kinds[3], slow)):
        early = quad(kind.impulse_response, 0.0, 0.03, epsabs=1e-12)[0]
        checks.append(
            close(
                f"{SYNAPSE[kind.tau_s]}-like, n = 0: the share that has come after 30 ms, 1 − e^(−30 ms/τ_s)",
                share,
                early,
                1e-9,
            )
        )
    simple, t = kinds[0], np.linspace(1e-4, 0.05, 500)
    width = 1e-7
    slope = (simple.impulse_response(t + width) - simple.impulse_response(t - width)) / (2 * width)
    residual = np.abs(simple.tau_s * slope + simple.impulse_response(t)) * simple.tau_s
    checks += [
        close(
            "h before the spike, at −1 ms: the largest",
            0.0,
            max(float(kind.impulse_response(-0.001)) for kind in kinds),
            0.0,
        ),
        close("n = 0: τ_s h(0)", 1.0, simple.tau_s * float(simple.impulse_response(0.0)), ROUNDING),
        at_most("n = 0 solves τ_s ds/dt = −s: largest residual, relative to s(0)", 1e-7, largest(residual)),
    ]
    return Result(tuple(checks), {"filters": pictures.filters(kinds)}, {"filters": table})


def spike_train(listener: Listener) -> Result:
    """Section 1.6: a spike train, and its sum of post-synaptic currents.

    A table has what is left of the precision if the spikes are put on the grid first and the train is then convolved.
    """
    spikes = neurons.poisson_spikes(40.0, 0.5, seed=3)
    checks, table = [], []
    for order, dt in ((0, 1e-3), (1, 1e-3), (3, 1e-3), (0, 1e-4), (1, 1e-4), (3, 1e-4)):
        kind = PostSynapticFilter(TAU_S, order)
        s = kind.filter(spikes, dt)[:, 0]
        t = np.arange(len(s)) * dt
        explicit = kind.impulse_response(t[:, None] - spikes.times[None, :]).sum(axis=1)
        off = apart(s, explicit) / largest(explicit)
        checks.append(at_most(f"n = {order}, dt = {MS * dt:g} ms: largest difference from the sum, relative", ROUNDING, off))
        binned = np.convolve(spikes.raster(dt)[:, 0], kind.impulse_response(t))[: len(t)]
        error = float(np.linalg.norm(binned - explicit) / np.linalg.norm(explicit))
        table.append({"n": order, "dt": dt, "largest_error": off, "error_of_spikes_on_the_grid": error})
    kind = PostSynapticFilter(TAU_S, 1)
    longer = SpikeTrain(spikes.times, duration=1.0)
    area = float(np.trapezoid(kind.filter(longer, 1e-5)[:, 0], dx=1e-5))
    checks.append(close("area of the sum: the number of spikes", float(len(spikes)), area, 1e-4 * len(spikes)))
    three = SpikeTrain([0.01, 0.03, 0.04], duration=0.1)
    total, t = PostSynapticFilter(TAU_S).filter(three, 1e-3)[:, 0], np.arange(101) * 1e-3
    each = sum(PostSynapticFilter(TAU_S).impulse_response(t - arrival) for arrival in three.times)
    checks.append(at_most("three spikes at 10, 30 and 40 ms: the same, relative", ROUNDING, apart(total, each) * TAU_S))
    return Result(tuple(checks), {"filtered": pictures.filtered(spikes, kind)}, {"precision": table})
