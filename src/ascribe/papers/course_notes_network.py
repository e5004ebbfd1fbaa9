"""What can be redone of "Neural networks" (course notes), section 1.7: neurons that hear each other."""

import math
from typing import Any

import altair as alt
import numpy as np

from ascribe import neurons
from ascribe.charts.inline import inline
from ascribe.charts.theme import GREEN, INK, RED, themed
from ascribe.neurons import LIF, Connection, PostSynapticFilter, SpikeTrain, SpikingNetwork, pictures

from .base import FLOAT32, Check, Listener, Result, above, alike, apart, at_most, close, largest, same
from .course_notes_channels import MS
from .course_notes_lif import TAU_M, TAU_REF
from .course_notes_synapses import TAU_S

WEIGHT = 0.021
NEURONS, PROBABILITY = 300, 0.1
INHIBITS = np.arange(NEURONS) % 5 == 4
SHORT, COARSE = 0.1, 5e-4
EXCITE, INHIBIT = 0.0005, -0.002


def two_neurons(listener: Listener) -> Result:
    """Section 1.7: one LIF neuron drives another through a weight w. A spike adds w/τ_s to s, and injects w in all."""
    pair = SpikingNetwork(LIF(TAU_M, TAU_REF), Connection([[0.0, 0.0], [WEIGHT, 0.0]]), TAU_S)
    on, off = np.array([1.5, 0.0]), np.zeros(2)
    found = neurons.simulate(pair, [(0.4, on)], 0.4, record=("V", "s"))
    sent, heard = found.spikes.of(0), found.spikes.of(1)
    s = found["s"][:, 1].astype(np.float64)
    after = (found.t > sent[0]) & (found.t < sent[1])
    decay = lambda t: WEIGHT / TAU_S * np.exp(-(t - sent[0]) / TAU_S)
    passed = float(found.t[after][0] - sent[0])
    jump = float(s[after][0]) * math.exp(passed / TAU_S)  # just after the spike, which lies within a step
    rounder = WEIGHT / (TAU_M - TAU_S) * (np.exp(-(found.t - sent[0]) / TAU_M) - np.exp(-(found.t - sent[0]) / TAU_S))
    all_of_it = PostSynapticFilter(TAU_S).filter(SpikeTrain(sent, duration=0.4), found.dt)[:, 0] * WEIGHT
    size = min(len(all_of_it), len(s))

    once = neurons.simulate(pair, [(0.03, on), (0.37, off)], 0.4, record=("V", "s"))
    step = float(once.t[1] - once.t[0])
    area = float(np.trapezoid(once.V[:, 1].astype(np.float64), dx=step))
    flow = once["s"][:, 1].astype(np.float64)
    arrival = float(once.spikes.of(0)[0])
    started = int(np.argmax(flow > 0))
    # from the spike to the next sample, then the rest: each piece decays, so that its area is known
    injected = TAU_S * (
        flow[started] * math.expm1((once.t[started] - arrival) / TAU_S) - math.expm1(-step / TAU_S) * flow.sum()
    )

    draw = np.random.default_rng(0).standard_normal
    W, b, x = draw((3, 2)), draw(3), draw(2)
    between = Connection(W, b)
    column = np.asarray(between.augmented(), np.float64) @ np.append(x, 1.0)
    checks = [
        close("s jumps at the first spike by w/τ_s", WEIGHT / TAU_S, jump, 1e-4),
        alike("then decays with τ_s", 1e-4, s[after], decay(found.t[after])),
        close("s before the first spike", 0.0, largest(np.abs(s[found.t < sent[0]])), 0.0),
        alike("v of the second neuron after it, in closed form", 1e-5, found.V[after, 1], rounder[after]),
        alike("s is w times the filtered spike train", 1e-4, s[:size], all_of_it[:size]),
        same("spikes sent, with the input off after 30 ms", 1, len(once.spikes.of(0))),
        at_most("∫ s dt = w, relative difference", 1e-4, abs(injected / WEIGHT - 1.0)),
        at_most("∫ v dt of the second neuron = ∫ s dt = w, relative difference", 1e-4, abs(area / WEIGHT - 1.0)),
        Check(
            "the second neuron fires, but less often",
            "0 < fewer",
            f"{len(heard)} of {len(sent)}",
            0 < len(heard) < len(sent),
        ),
        alike("z = W x + b, two neurons to three", FLOAT32, np.asarray(between(x)), W @ x + b),
        alike("Ŵ [x; 1] is the same", FLOAT32, column, W @ x + b),
    ]
    panels = [
        _spiking(found.t, found.V[:, 0], sent, "first neuron, v", labels=False),
        _over_time(found.t, s, ["synaptic", "current s (v_in)"], GREEN, labels=False),
        _spiking(found.t, found.V[:, 1], heard, "second neuron, v", labels=True),
    ]
    subtitle = f"w = {WEIGHT:g}, τ_s = {MS * TAU_S:g} ms; the first neuron's input is 1.5, the second hears it; red: spikes"
    chart = themed(alt.vconcat(*panels, spacing=8), "One neuron drives another", subtitle)
    return Result(tuple(checks), {"pair": chart})


def spiking_network(listener: Listener) -> Result:
    """Section 1.7: a network of LIF neurons, one in five of which inhibits; who fires when.

    Between arrivals the equations are solved in closed form, and spikes are found within the step, so that the size of the
    step does not matter but for rounding; with spikes on the grid it does.
    """
    network, driven = _network(), np.random.default_rng(1).uniform(1.1, 1.4, NEURONS)
    found = neurons.simulate(network, driven, 1.0, record=("s",))
    excited = neurons.simulate(_network(inhibit=0.0), driven, 1.0, record=("s",))
    kinds = np.where(INHIBITS, "inhibits", "excites")
    rates = found.spikes.rates()
    filtered = PostSynapticFilter(TAU_S).filter(found.spikes, found.dt)
    s = filtered @ np.asarray(network.connection.matrix(), np.float64).T
    size = min(len(s), len(found.t))

    silent = _network(excite=0.0, inhibit=0.0)
    alone = neurons.simulate(silent, driven, 1.0, record=("s",)).rates()
    fine = _until(found.spikes, SHORT)
    coarse, grid = (
        neurons.simulate(network, driven, SHORT, dt=COARSE, method=method, record=()).spikes for method in ("exact", "grid")
    )
    moved = _moved(fine, grid)
    slower = float(excited.spikes.rates().mean()), float(rates.mean())
    checks = [
        Check(
            "mean rate without inhibition and with it, Hz",
            "it slows them",
            f"{slower[0]:.4g}, {slower[1]:.4g}",
            slower[0] > slower[1] > 0,
        ),
        at_most(
            "s is the sum of w_ij times the filtered spikes: largest difference, of the largest",
            1e-4,
            apart(s[:size], found["s"][:size]) / largest(np.abs(s)),
        ),
        at_most(
            "without connections: largest relative difference of the rates from G(v_in)",
            1e-5,
            apart(alone / LIF(TAU_M, TAU_REF).rate(driven), 1.0),
        ),
        same("the first 0.1 s, in steps of 0.1 and of 0.5 ms: as many spikes", len(fine), len(coarse)),
        at_most("and at the same times: largest difference, ms", 0.01, MS * _moved(fine, coarse)),
        above("with spikes on the grid of 0.5 ms: largest difference, ms", 0.1, MS * moved),
    ]
    table = [
        {"kind": kind, "neurons": int(np.sum(kinds == kind)), "mean_rate_Hz": float(rates[kinds == kind].mean())}
        for kind in ("excites", "inhibits")
    ]
    return Result(tuple(checks), {"raster": pictures.raster(found.spikes, connection=network.connection)}, {"rates": table})


def _network(excite: float = EXCITE, inhibit: float = INHIBIT) -> SpikingNetwork:
    weights = np.where(INHIBITS, inhibit, excite)
    connection = neurons.random_connection(NEURONS, NEURONS, PROBABILITY, weights, seed=1)
    return SpikingNetwork(LIF(TAU_M, TAU_REF), connection, TAU_S)


def _until(spikes: SpikeTrain, time: float) -> SpikeTrain:
    early = spikes.times <= time
    return SpikeTrain(spikes.times[early], spikes.neurons[early], duration=time, size=spikes.size)


def _moved(one: SpikeTrain, other: SpikeTrain) -> float:
    """The largest difference between the spikes of the same number of the same neuron, seconds."""
    worst = 0.0
    for neuron in range(one.size):
        a, b = one.of(neuron), other.of(neuron)
        count = min(len(a), len(b))
        worst = max(worst, apart(a[:count], b[:count]) if count else 0.0)
    return worst


def _over_time(t: np.ndarray, values: np.ndarray, title: str | list[str], color: str, *, labels: bool) -> Any:
    x = alt.X(
        "t:Q",
        title="time (s)" if labels else None,
        scale=alt.Scale(domain=[float(t[0]), float(t[-1])], nice=False),
        axis=alt.Axis(tickCount=10, labels=labels),
    )
    line = alt.Chart(inline({"t": t, "y": values})).mark_line(color=color, strokeWidth=1.5)
    return line.encode(x=x, y=alt.Y("y:Q", title=title)).properties(width=pictures.WIDTH, height=120)


def _spiking(t: np.ndarray, v: np.ndarray, spikes: np.ndarray, title: str, *, labels: bool) -> Any:
    """v, and the spikes that the model leaves out, from the threshold up."""
    line = _over_time(t, v, title, INK, labels=labels)
    rows = {"t": list(spikes), "y": [1.0] * len(spikes), "y2": [1.35] * len(spikes)}
    marks = alt.Chart(inline(rows)).mark_rule(color=RED, strokeWidth=1.5).encode(x="t:Q", y="y:Q", y2="y2:Q")
    return alt.layer(line, marks).properties(width=pictures.WIDTH, height=120)
