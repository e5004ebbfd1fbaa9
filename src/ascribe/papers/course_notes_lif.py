"""What can be redone of "Neural networks" (course notes), section 1.4: the leaky integrate-and-fire neuron."""

import math
from typing import Any

import altair as alt
import numpy as np

from ascribe import neurons
from ascribe.charts.inline import inline
from ascribe.charts.lines import line_chart, stacked
from ascribe.charts.theme import BLUE, GRAY, GREEN, INK, RED, themed
from ascribe.neurons import LIF, HodgkinHuxley, pictures

from .base import FLOAT32, ROUNDING, Listener, Result, above, alike, apart, at_most, close, largest, same
from .course_notes_channels import FASTER, MS, PARTS, experiment

ZOOM, ZOOMED = (0.72, 0.73), 1.79696
"""Where the notes look closer, in s, and the spike there, ms after 0.72 s."""
LIF_REST, LIF_THRESHOLD = -70.0, -55.0
TAU_M, TAU_REF = 0.02, 0.002
RATES = {
    **{1.01: 10.604183, 1.05: 15.900666, 1.1: 20.016852, 1.2: 26.430421, 1.5: 41.714907, 2.0: 63.040002},
    **{3.0: 98.918796, 5.0: 154.729995, 10.0: 243.474262, 20.0: 330.483913, 100.0: 454.337550},
}
"""v_in to Hz, by the closed form."""
WEAK = (-1.0, 0.0, 0.5, 1.0)


def lif_beside_spike(listener: Listener) -> Result:
    """Sections 1.3 and 1.4: a leaky integrate-and-fire neuron beside one spike of the experiment, between 0.72 and 0.73 s.

    The input is 30 µA/cm² there. That both fire equally often and that their spikes meet is chosen, by the resistance of the
    LIF neuron and by its time axis, and is not checked; where the spike is, how short it is, and what the LIF neuron does
    between two spikes are.
    """
    found = experiment(HodgkinHuxley.rest_minus_70())
    spikes, drive = found.spikes.times, PARTS[4][1]
    interval = 1.0 / FASTER[drive]
    v_in = 1.0 / (1.0 - math.exp(-(interval - TAU_REF) / TAU_M))
    cell = LIF(TAU_M, TAU_REF, V_L=LIF_REST, V_th=LIF_THRESHOLD, R=v_in * (LIF_THRESHOLD - LIF_REST) / drive)
    simple = neurons.simulate(cell, drive, 0.1, dt=2.5e-5)
    inside = spikes[(spikes >= ZOOM[0]) & (spikes <= ZOOM[1])]
    spike = float(inside[0]) if len(inside) else math.nan
    own, after = (float(time) for time in simple.spikes.times[3:5])
    chosen = (found.t > ZOOM[0] - 1e-6) & (found.t < ZOOM[1] + 1e-6)
    t, V = found.t[chosen], found.V[chosen]
    at = simple.t - own + spike
    beside = (at >= ZOOM[0]) & (at <= ZOOM[1])
    silent = (simple.t > own) & (simple.t < own + TAU_REF)
    rising = (simple.t > own + TAU_REF) & (simple.t < after)
    written = -np.expm1(-(simple.t[rising] - own - TAU_REF) / TAU_M) * v_in * (LIF_THRESHOLD - LIF_REST) + LIF_REST
    middle = 0.5 * (float(np.max(V)) + LIF_REST)
    half = float(t[1] - t[0]) * int(np.count_nonzero(middle < V))
    checks = [
        same("spikes of the Hodgkin–Huxley neuron between 0.72 and 0.73 s", 1, len(inside)),
        close("that spike, ms after 0.72 s", ZOOMED, MS * (spike - ZOOM[0]), 2e-2),
        above("its largest V, which models the spike itself", 0.0, largest(V)),
        at_most("its width at half its height, ms: within τ_ref", MS * TAU_REF, MS * half),
        at_most(
            "the LIF neuron between two spikes: largest difference from the solution of its equation, mV",
            1e-3,
            apart(simple.V[rising], written),
        ),
        close("V of the LIF neuron while it is refractory", LIF_REST, float(np.mean(simple.V[silent])), 1e-4),
        at_most(
            "the resistance by G, inverted by hand, and by LIF.inverse_rate: largest relative difference",
            1e-5,
            abs(float(LIF(TAU_M, TAU_REF).inverse_rate(1.0 / interval)) / v_in - 1.0),
        ),
    ]
    names = ["Hodgkin–Huxley", "leaky integrate-and-fire"]
    rows = {
        "t": [MS * (value - ZOOM[0]) for value in (*t, *at[beside])],
        "V": [*V, *simple.V[beside]],
        "kind": [names[0]] * len(t) + [names[1]] * int(beside.sum()),
    }
    x = alt.X("t:Q", title="time after 0.72 s (ms)", scale=alt.Scale(domain=[0, 10], nice=False))
    lines = line_chart(rows, dict(zip(names, (INK, BLUE), strict=True)), x, alt.Y("V:Q", title="V (mV)"))
    mark = {"t": [MS * (spike - ZOOM[0])], "V": [LIF_THRESHOLD], "top": [float(np.max(V))], "text": ["spike recorded"]}
    marks = alt.Chart(inline(mark)).encode(x=x, y="V:Q")
    chart = alt.layer(
        marks.mark_rule(color=BLUE, strokeDash=[4, 3], strokeWidth=1.5).encode(y2="top:Q"),
        marks.mark_text(align="right", dx=-8, dy=6, color=BLUE, fontSize=12).encode(y="top:Q", text="text:N"),
        lines,
    ).properties(width=560, height=320)
    subtitle = f"{drive:g} µA/cm², every {MS * interval:.2f} ms; the LIF neuron's resistance and time are chosen to meet it"
    return Result(tuple(checks), {"spike": themed(chart, "A spike, and the model without one", subtitle)})


def lif(listener: Listener) -> Result:
    """Section 1.4: the LIF neuron, and the claim that v_in (1 − e^{−t/τ_m}) solves its equation."""
    cell, v_in = LIF(TAU_M, TAU_REF), 1.5
    found = neurons.simulate(cell, v_in, 0.2)
    rise = -TAU_M * math.log(1.0 - 1.0 / v_in)
    before = found.t < rise
    t, width = np.linspace(1e-4, 0.1, 1000), 1e-6
    v = lambda t: cell.subthreshold(t, v_in)
    residual = TAU_M * (v(t + width) - v(t - width)) / (2 * width) - (v_in - v(t))
    first = float(found.spikes.times[0])
    silent = (found.t > first) & (found.t < first + TAU_REF)
    weak = neurons.simulate(cell, np.array([0.5, 0.9, 1.0]), 0.4)
    units = LIF.membrane(1.0, 0.05, LIF_REST, LIF_THRESHOLD, TAU_REF)  # µF/cm², mS/cm²: τ_m = 20 ms
    scaled = neurons.simulate(units, v_in * 0.05 * (LIF_THRESHOLD - LIF_REST), 0.2)
    checks = [
        at_most(
            "the claim's v(t) against the simulation, before the first spike",
            1e-5,
            apart(found.V[before], v(found.t[before])),
        ),
        at_most("the claim solves τ_m dv/dt = v_in − v: largest residual", 1e-8, largest(np.abs(residual))),
        close("and v(0) = 0", 0.0, float(v(0.0)), 0.0),
        close("first spike, ms: −τ_m ln(1 − 1/v_in)", MS * rise, MS * first, 1e-4),
        close("interspike interval, ms: τ_ref more", MS * (rise + TAU_REF), MS * float(found.spikes.intervals()[-1]), 1e-4),
        close("largest |v| while refractory", 0.0, largest(np.abs(found.V[silent])), 0.0),
        same("spikes for v_in = 0.5, 0.9 and 1", 0, len(weak.spikes)),
        close("v after 20 τ_m for v_in = 0.9: it approaches v_in", 0.9, float(weak.V[-1, 1]), 1e-5),
        same("spikes in 0.2 s with V in mV, V_L = −70 and V_th = −55: as many", len(found.spikes), len(scaled.spikes)),
        at_most("and at the same times: largest difference in ms", 1e-3, MS * apart(scaled.spikes.times, found.spikes.times)),
        alike(
            "and v = (V − V_L) / (V_th − V_L)",
            1e-4,
            (scaled.V[before] - LIF_REST) / (LIF_THRESHOLD - LIF_REST),
            found.V[before],
        ),
    ]
    t = np.linspace(0.0, 0.1, 201)
    inputs = (0.8, 1.2, 1.5, 2.0)
    colors = {f"v_in = {value:g}": color for value, color in zip(inputs, (GRAY, BLUE, RED, GREEN), strict=True)}
    curves = {name: cell.subthreshold(t, value) for name, value in zip(colors, inputs, strict=True)}
    axis = alt.X("x:Q", title="time (s)", scale=alt.Scale(domain=[0, 0.1], nice=False))
    threshold = alt.Chart(inline({"y": [1.0]})).mark_rule(color=INK, strokeDash=[4, 4]).encode(y="y:Q")
    lines = line_chart(stacked(t, curves), colors, axis, "v, if nothing happens at the threshold")
    claim = alt.layer(lines, threshold)
    return Result(
        tuple(checks),
        {
            "trace": pictures.traces(found),
            "claim": themed(
                claim.properties(width=520, height=300),
                "v approaches v_in",
                "v_in (1 − exp(−t/τ_m)), τ_m = 0.02 s; dashed: the threshold, which v_in has to exceed for a spike",
            ),
        },
    )


def tuning_curve(listener: Listener) -> Result:
    """Section 1.4, "LIF Firing Rate": simulated rates on the closed form G, with the notes' typical values of τ_ref and
    τ_m."""
    cell = LIF(TAU_M, TAU_REF)
    found = neurons.tuning_curve(cell, list(RATES))
    closed = np.array([1.0 / (TAU_REF - TAU_M * math.log(1.0 - 1.0 / v_in)) for v_in in RATES])
    weak = neurons.tuning_curve(cell, WEAK)
    checks = [
        at_most("simulated against G: largest relative difference", FLOAT32, apart(found.rates / closed, 1.0)),
        alike("G against its reference values, Hz", 1e-6, closed, np.array(list(RATES.values()))),
        at_most("LIF.rate against G: largest relative difference", ROUNDING, apart(cell.rate(list(RATES)) / closed, 1.0)),
        same(
            "rates for v_in = −1, 0, 0.5 and 1, simulated, Hz",
            "0, 0, 0, 0",
            ", ".join(f"{rate:g}" for rate in weak.rates),
        ),
        same(
            "and by the closed form, Hz",
            "0, 0, 0, 0",
            ", ".join(f"{rate:g}" for rate in np.atleast_1d(cell.rate(WEAK))),
        ),
        close("G(10⁹), Hz: the asymptote 1/τ_ref", 1.0 / TAU_REF, float(cell.rate(1e9)), 1e-4),
        at_most(
            "G back and forth: largest relative difference in v_in",
            ROUNDING,
            apart(cell.inverse_rate(closed) / np.array(list(RATES)), 1.0),
        ),
    ]
    table = [
        {"v_in": v_in, "simulated_Hz": float(rate), "closed_form_Hz": float(exact)}
        for v_in, rate, exact in zip(RATES, found.rates, closed, strict=True)
    ]
    drawn = neurons.tuning_curve(
        cell,
        np.concatenate([np.linspace(0.0, 1.0, 5), [1.001, 1.01, 1.03], np.arange(1.1, 2.05, 0.1), np.arange(2.5, 10.1, 0.5)]),
    )
    return Result(tuple(checks), {"tuning": pictures.tuning(drawn), "asymptote": _asymptote(cell)}, {"rates": table})


def _asymptote(cell: LIF) -> Any:
    """G over five decades of v_in, and 1/τ_ref."""
    v_in = np.geomspace(0.5, 5e4, 600)
    x = alt.X(
        "x:Q",
        title="constant input current v_in (thresholds)",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=[10**power for power in range(5)], format="~s"),
    )
    y = alt.Y("y:Q", title="rate (Hz)")
    line = alt.Chart(inline({"x": v_in, "y": np.asarray(cell.rate(v_in))})).mark_line(color=BLUE, strokeWidth=2)
    limit = alt.Chart(inline({"y": [1.0 / TAU_REF]})).mark_rule(color=GRAY, strokeDash=[5, 4])
    chart = alt.layer(limit.encode(y=y), line.encode(x=x, y=y)).properties(width=520, height=240)
    return themed(chart, "The tuning curve, far out", "dashed: 1/τ_ref, which the rate approaches as v_in grows")
