"""What can be redone of "Neural networks" (course notes), chapter 1, with the neurons of `ascribe.neurons`.

The text has no parameters of the Hodgkin–Huxley model. Those of the squid axon stand in, all voltages 5 mV lower, so that
it rests at −70 mV as the notes say. Reference values that are not in the notes come from SciPy's DOP853, tolerance 1e-9 or
less.

How it is read, and where it slips: docs/documents/course-notes.md.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import neurons
from ascribe.charts.inline import inline
from ascribe.charts.theme import GRAY, INK, themed
from ascribe.networks import activations as table
from ascribe.networks.activations import LEAK
from ascribe.neurons import (
    LIF,
    SYNAPSES,
    Connection,
    HodgkinHuxley,
    PostSynapticFilter,
    SpikeTrain,
    SpikingNetwork,
    pictures,
)
from ascribe.neurons.hodgkin_huxley import State

from .base import Check, Listener, Result, at_most, close, same

MS = 1000.0
ROUNDING = 1e-12
FLOAT32 = 1e-6
"""What float32, JAX's default, leaves of a relative precision after a few operations."""
POWERS = 1e-5
"""What it leaves of the rates, which are made of high powers of one exponential."""

REST = {"n": 0.317732, "m": 0.052955, "h": 0.595994}
LOWER = 5.0
"""mV by which all voltages are lower than the squid axon's."""

PARTS = (
    # s, µA/cm², spikes, the first of them in ms, the last interval in ms, mV at the end
    (0.2, -18.18, 0, None, None, -119.98699),
    (0.2, 0.0, 1, 7.57988, None, -69.99638),
    (0.2, 3.0, 1, 4.52721, None, -67.84364),
    (0.1, 10.0, 7, 2.09709, 14.63621, None),
    (0.1, 30.0, 10, 1.15915, 10.12707, None),
    (0.2, 60.0, 25, 0.97651, 8.03523, None),
)
"""The experiment: from a negative current to the largest that the notes print, 0.6, read as µA/mm²: 60 µA/cm²."""
RAMPS = {"40 ms": (0.04, 1), "80 ms": (0.08, 0)}
PRINTED = {"0.1": (10.0, 68.32370), "0.6": (60.0, 124.452)}
FASTER = {10.0: 68.32370, 20.0: 86.470, 30.0: 98.745, 40.0: 108.608, 50.0: 117.036, 60.0: 124.452}

ZOOM, ZOOMED = (0.72, 0.73), 1.79696
"""Where the notes look closer, in s, and the spike there, ms after 0.72 s."""
LIF_REST, LIF_THRESHOLD = -70.0, -55.0

FUNCTIONS = {
    "logistic": ("logistic", lambda z: 1.0 / (1.0 + np.exp(-z))),
    "arctan": ("arctan", np.arctan),
    "tanh": ("hyperbolic tangent", np.tanh),
    "threshold": ("threshold", lambda z: np.where(z < 0, 0.0, 1.0)),
    "sign": ("threshold, ±1", lambda z: np.where(z < 0, -1.0, 1.0)),
    "relu": ("ReLU", lambda z: np.maximum(z, 0.0)),
    "leaky-relu": ("leaky ReLU", lambda z: np.where(z < 0, LEAK * z, z)),
    "leaky-relu:slope=0.2": ("leaky ReLU of slope 0.2", lambda z: np.where(z < 0, 0.2 * z, z)),
}
"""Name in `ascribe.networks`, name in the checks, and the notes' formula."""
PANELS = {
    "logistic": ("logistic",),
    "arctan": ("arctan",),
    "hyperbolic tangent": ("tanh",),
    "threshold, two versions": ("threshold", "sign"),
    "ReLU and leaky ReLU": ("relu", "leaky-relu:slope=0.2"),
}
"""What the figure has: a function, or two of them, the second in other colors."""

TAU_M, TAU_REF, TAU_S = 0.02, 0.002, 0.005
RATES = {
    **{1.01: 10.604183, 1.05: 15.900666, 1.1: 20.016852, 1.2: 26.430421, 1.5: 41.714907, 2.0: 63.040002},
    **{3.0: 98.918796, 5.0: 154.729995, 10.0: 243.474262, 20.0: 330.483913, 100.0: 454.337550},
}
"""v_in to Hz, by the closed form."""

WEAK = (-1.0, 0.0, 0.5, 1.0)

FILTERS = tuple((order, tau_s) for tau_s in SYNAPSES.values() for order in (0, 1, 3))
SYNAPSE = {tau_s: name for name, tau_s in SYNAPSES.items()}
WEIGHT = 0.021
NEURONS, PROBABILITY = 300, 0.1
INHIBITS = np.arange(NEURONS) % 5 == 4
SHORT, COARSE = 0.1, 5e-4
EXCITE, INHIBIT = 0.0005, -0.002


# 1.3: ion channels


def channels(listener: Listener) -> Result:
    """The gates of section 1.3: steady states n_∞, m_∞, h_∞ and time constants over the voltage."""
    model, squid = HodgkinHuxley.rest_minus_70(), HodgkinHuxley.squid()
    V = np.linspace(-120.0, 60.0, 721)
    gates = jax.jit(lambda model, V: model.gates(V))
    steady, tau = (_columns(found) for found in gates(model, V))
    others = [_columns(found) for found in gates(squid, V + LOWER)]
    expected_steady, expected_tau = _gates(V + LOWER)
    defined = np.isfinite(expected_steady["n"]) & np.isfinite(expected_steady["m"])  # 0/0 at −60 and −45 mV
    rest = model.resting_state()
    alpha = _columns(jax.jit(lambda V: squid.rates(V)[0])(jnp.asarray([-55.0, -40.0])))
    checks = [
        close("rest: V in mV", -69.99638, float(rest.V), 1e-3),
        *(close(f"rest: {name}", value, float(getattr(rest, name)), 1e-5) for name, value in REST.items()),
        *(
            at_most(
                f"{name}_∞ against the formula: largest difference",
                POWERS,
                _apart(steady[name][defined], formula[defined]),
            )
            for name, formula in expected_steady.items()
        ),
        *(
            at_most(
                f"τ_{name} against the formula: largest relative difference",
                POWERS,
                _apart((tau[name] / formula)[defined], 1.0),
            )
            for name, formula in expected_tau.items()
        ),
        *(
            at_most(f"{name}_∞ at {voltage} mV: distance from {limit}", 0.03, abs(float(steady[name][place]) - limit))
            for voltage, place, limits in (("−120", 0, (0, 0, 1)), ("60", -1, (1, 1, 0)))
            for name, limit in zip("nmh", limits, strict=True)
        ),
        close("α_n of the squid axon at −55 mV, where its formula is 0/0, per ms", 0.1, float(alpha["n"][0]), FLOAT32),
        close("α_m of the squid axon at −40 mV, where its formula is 0/0, per ms", 1.0, float(alpha["m"][1]), FLOAT32),
        same("voltages where the formula is 0/0", 2, int(np.sum(~defined))),
        same(
            "voltages where the model is not finite",
            0,
            int(sum(np.sum(~np.isfinite(x)) for x in (*steady.values(), *tau.values()))),
        ),
        at_most(
            "m is the fastest: largest τ_m / min(τ_n, τ_h)", 0.5, _largest(tau["m"] / np.minimum(tau["n"], tau["h"]))
        ),
        at_most(
            "the gates are the squid axon's, 5 mV lower: largest difference",
            3e-6,
            max(_apart(a[name], b[name]) for a, b in zip((steady, tau), others, strict=True) for name in "nmh"),
        ),
        at_most("dx/dt is (x_∞ − x) / τ_x: largest relative difference", 1e-5, _gate_equation(model, V[defined])),
    ]
    colors = dict(zip("nmh", (pictures.BLUE, pictures.RED, pictures.GREEN), strict=True))
    axis = alt.X("x:Q", title="V (mV)", scale=alt.Scale(domain=[-120, 60], nice=False))
    at_rest = alt.Chart(inline({"x": [float(rest.V)]})).mark_rule(color=GRAY, strokeDash=[4, 4]).encode(x=axis)
    panels = [
        alt.layer(at_rest, _lines(V, columns, colors, axis, title)).properties(width=360, height=260)
        for columns, title in (
            (steady, "steady state"),
            ({name: MS * values for name, values in tau.items()}, "time constant (ms)"),
        )
    ]
    chart = themed(
        alt.hconcat(*panels, spacing=32),
        "The gates of the ion channels",
        "n opens potassium channels, m opens sodium channels, h closes them; dashed: the resting potential",
    )
    table = [
        {"V_mV": float(v)}
        | {f"{x}_steady": float(steady[x][i]) for x in "nmh"}
        | {f"tau_{x}_s": float(tau[x][i]) for x in "nmh"}
        for i, v in enumerate(V)
        if i % 40 == 0
    ]
    return Result(tuple(checks), {"gates": chart}, {"gates": table})


def hodgkin_huxley(listener: Listener) -> Result:
    """The experiment of section 1.3, 1 s: a current that is negative, zero, slightly positive, large, and larger.

    Where the negative current ends, h is larger and n smaller than at rest, and the neuron fires once without an input: the
    anode-break spike, 7.58 ms after the release (7.60 where V passes −20 mV). That is physics, and no error of the
    integration; a release over 80 ms does not fire. The printed currents 0.1 and 0.6 have no unit: in µA/mm², 10 and 60
    µA/cm², both make the neuron fire regularly, as the notes say; in µA/cm² neither would.
    """
    model = HodgkinHuxley.rest_minus_70()
    found = _experiment(model)
    checks, table, begin = [], [], 0.0
    for seconds, current, count, first, interval, end in PARTS:
        name = f"{current:g} µA/cm²".replace("-", "−")
        times = found.spikes.times[(found.spikes.times >= begin) & (found.spikes.times < begin + seconds)] - begin
        gaps = np.diff(times)
        here = [MS * float(part[place]) if len(part) else math.nan for part, place in ((times, 0), (gaps, -1))]
        begin += seconds
        V = float(found.V[np.searchsorted(found.t, begin - 1e-6) - 1])
        checks.append(same(f"{name}: spikes in {seconds:g} s", count, len(times)))
        if first is not None:
            what = "the anode-break spike, ms after the release" if current == 0 else "the first spike, ms"
            checks.append(close(f"{name}: {what}", first, here[0], 2e-2))
        if interval is not None:
            checks.append(close(f"{name}: last interval, ms", interval, here[1], 1e-3))
        if end is not None:
            checks.append(close(f"{name}: V at the end, mV", end, V, 1e-2))
        row = {"current_uA_cm2": current, "spikes": len(times), "first_spike_ms": here[0], "last_interval_ms": here[1]}
        table.append({key: value if math.isfinite(value) else None for key, value in row.items()} | {"end_mV": V})
    releases = {"at once": found}
    for name, (seconds, count) in RAMPS.items():
        releases[name] = neurons.simulate(
            model, lambda t, s=seconds: PARTS[0][1] * np.clip(1 - (t - PARTS[0][0]) / s, 0.0, 1.0), 0.4
        )
        checks.append(same(f"spikes when the negative current ends over {name}", count, len(releases[name].spikes)))

    small = [float(text) for text in PRINTED]
    curve = neurons.tuning_curve(model, np.concatenate([small, np.linspace(0.0, 60.0, 61)]))
    rate = dict(zip(curve.currents.tolist(), curve.rates.tolist(), strict=True))
    for text, (current, expected) in PRINTED.items():
        checks.append(close(f"rate at {text} µA/mm², Hz", expected, rate[current], 2e-5 * expected))
    silent = ", ".join(f"{rate[current]:g}" for current in small)
    checks.append(same("rates at 0.1 and 0.6 µA/cm², Hz", "0, 0", silent))
    off = max(abs(rate[current] / expected - 1.0) for current, expected in FASTER.items())
    checks.append(at_most("rates at 10, 20, … 60 µA/cm²: largest relative difference from the reference", 2e-5, off))
    curve = replace(curve, currents=curve.currents[2:], rates=curve.rates[2:])
    firing = curve.rates[curve.rates > 0]
    checks.append(
        same("once it fires, more current makes it fire faster", "yes", _yes(bool(np.all(np.diff(firing) > 0))))
    )

    path = neurons.simulate(model, 10.0, 0.05, record=model.traces, record_every=5)
    return Result(
        tuple(checks),
        {
            "voltage": pictures.traces(found),
            "phase_plane": pictures.phase_plane(path),
            "rates": pictures.tuning(curve),
            "release": _releases(releases),
        },
        {"currents": table},
    )


def lif_beside_spike(listener: Listener) -> Result:
    """Sections 1.3 and 1.4: a leaky integrate-and-fire neuron beside one spike of the experiment, between 0.72 and 0.73 s.

    The input is 30 µA/cm² there. That both fire equally often and that their spikes meet is chosen, by the resistance of the
    LIF neuron and by its time axis, and is not checked; where the spike is, how short it is, and what the LIF neuron does
    between two spikes are.
    """
    found = _experiment(HodgkinHuxley.rest_minus_70())
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
        Check("its largest V, which models the spike itself", "above 0", float(np.max(V)), bool(np.max(V) > 0)),
        at_most("its width at half its height, ms: within τ_ref", MS * TAU_REF, MS * half),
        at_most(
            "the LIF neuron between two spikes: largest difference from the solution of its equation, mV",
            1e-3,
            _apart(simple.V[rising], written),
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
        "t": [*t, *at[beside]],
        "V": [*V, *simple.V[beside]],
        "kind": [names[0]] * len(t) + [names[1]] * int(beside.sum()),
    }
    rows["t"] = [MS * (value - ZOOM[0]) for value in rows["t"]]
    x = alt.X("t:Q", title="time after 0.72 s (ms)", scale=alt.Scale(domain=[0, 10], nice=False))
    legend = alt.Legend(orient="bottom")
    color = alt.Color("kind:N", title=None, scale=alt.Scale(domain=names, range=[INK, pictures.BLUE]), legend=legend)
    lines = alt.Chart(inline(rows)).mark_line(strokeWidth=2).encode(x=x, y=alt.Y("V:Q", title="V (mV)"), color=color)
    mark = {
        "t": [MS * (spike - ZOOM[0])],
        "V": [LIF_THRESHOLD],
        "top": [float(np.max(V))],
        "text": ["spike recorded"],
    }
    marks = alt.Chart(inline(mark)).encode(x=x, y="V:Q")
    chart = alt.layer(
        marks.mark_rule(color=pictures.BLUE, strokeDash=[4, 3], strokeWidth=1.5).encode(y2="top:Q"),
        marks.mark_text(align="right", dx=-8, dy=6, color=pictures.BLUE, fontSize=12).encode(y="top:Q", text="text:N"),
        lines,
    ).properties(width=560, height=320)
    subtitle = (
        f"{drive:g} µA/cm², every {MS * interval:.2f} ms; the LIF neuron's resistance and time are chosen to meet it"
    )
    return Result(tuple(checks), {"spike": themed(chart, "A spike, and the model without one", subtitle)})


# 1.4: the leaky integrate-and-fire neuron


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
            _apart(found.V[before], v(found.t[before])),
        ),
        at_most("the claim solves τ_m dv/dt = v_in − v: largest residual", 1e-8, _largest(np.abs(residual))),
        close("and v(0) = 0", 0.0, float(v(0.0)), 0.0),
        close("first spike, ms: −τ_m ln(1 − 1/v_in)", MS * rise, MS * first, 1e-4),
        close(
            "interspike interval, ms: τ_ref more", MS * (rise + TAU_REF), MS * float(found.spikes.intervals()[-1]), 1e-4
        ),
        close("largest |v| while refractory", 0.0, _largest(np.abs(found.V[silent])), 0.0),
        same("spikes for v_in = 0.5, 0.9 and 1", 0, len(weak.spikes)),
        close("v after 20 τ_m for v_in = 0.9: it approaches v_in", 0.9, float(weak.V[-1, 1]), 1e-5),
        same("spikes in 0.2 s with V in mV, V_L = −70 and V_th = −55: as many", len(found.spikes), len(scaled.spikes)),
        at_most(
            "and at the same times: largest difference in ms",
            1e-3,
            MS * _apart(scaled.spikes.times, found.spikes.times),
        ),
        at_most(
            "and v = (V − V_L) / (V_th − V_L): largest difference",
            1e-4,
            _apart((scaled.V[before] - LIF_REST) / (LIF_THRESHOLD - LIF_REST), found.V[before]),
        ),
    ]
    t = np.linspace(0.0, 0.1, 201)
    inputs = (0.8, 1.2, 1.5, 2.0)
    colors = {f"v_in = {value:g}": color for value, color in zip(inputs, (GRAY, *_three()), strict=True)}
    curves = {name: cell.subthreshold(t, value) for name, value in zip(colors, inputs, strict=True)}
    axis = alt.X("x:Q", title="time (s)", scale=alt.Scale(domain=[0, 0.1], nice=False))
    threshold = alt.Chart(inline({"y": [1.0]})).mark_rule(color=INK, strokeDash=[4, 4]).encode(y="y:Q")
    claim = alt.layer(_lines(t, curves, colors, axis, "v, if nothing happens at the threshold"), threshold)
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
        at_most("simulated against G: largest relative difference", FLOAT32, _apart(found.rates / closed, 1.0)),
        at_most(
            "G against its reference values, Hz: largest difference",
            1e-6,
            _apart(closed, np.array(list(RATES.values()))),
        ),
        at_most(
            "LIF.rate against G: largest relative difference", ROUNDING, _apart(cell.rate(list(RATES)) / closed, 1.0)
        ),
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
            _apart(cell.inverse_rate(closed) / np.array(list(RATES)), 1.0),
        ),
    ]
    table = [
        {"v_in": v_in, "simulated_Hz": float(rate), "closed_form_Hz": float(exact)}
        for v_in, rate, exact in zip(RATES, found.rates, closed, strict=True)
    ]
    drawn = neurons.tuning_curve(
        cell,
        np.concatenate(
            [np.linspace(0.0, 1.0, 5), [1.001, 1.01, 1.03], np.arange(1.1, 2.05, 0.1), np.arange(2.5, 10.1, 0.5)]
        ),
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
    line = alt.Chart(inline({"x": v_in, "y": np.asarray(cell.rate(v_in))})).mark_line(
        color=pictures.BLUE, strokeWidth=2
    )
    limit = alt.Chart(inline({"y": [1.0 / TAU_REF]})).mark_rule(color=GRAY, strokeDash=[5, 4])
    chart = alt.layer(limit.encode(y=y), line.encode(x=x, y=y)).properties(width=520, height=240)
    return themed(chart, "The tuning curve, far out", "dashed: 1/τ_ref, which the rate approaches as v_in grows")


# 1.5: activations


def activations(listener: Listener) -> Result:
    """Section 1.5: every activation of a single neuron, and its derivative."""
    z, width = np.linspace(-4.0, 4.0, 401), 1e-5
    smooth = np.abs(z) > 1e-3  # some of the functions have no derivative at 0
    checks, found = [], {}
    for name, (title, formula) in FUNCTIONS.items():
        row, given = table.get(name), jnp.asarray(z)
        y, slope = (np.asarray(f(given), np.float64) for f in (row.function, row.derivative))
        central = (formula(z + width) - formula(z - width)) / (2 * width)
        # in float32 z itself is off by 1e-7
        checks.append(at_most(f"{title}: largest difference from the formula", FLOAT32, _apart(y, formula(z))))
        checks.append(
            at_most(f"{title}: derivative against central differences", 2e-6, _apart(slope[smooth], central[smooth]))
        )
        found[name] = y, slope
    at = jnp.zeros(1)
    value = lambda name: float(table.get(name).function(at)[0])
    checks.append(same("threshold at 0", 1.0, value("threshold")))
    checks.append(same("threshold, ±1, at 0", 1.0, value("sign")))
    checks.append(same("logistic at 0", 0.5, value("logistic")))
    checks.append(same("ReLU at 0", 0.0, value("relu")))
    kinds = {"σ": INK, "σ'": pictures.RED, "the second σ": pictures.GREEN, "its σ'": pictures.PURPLE}
    rows = {"z": [], "y": [], "kind": [], "panel": []}
    for panel, names in PANELS.items():
        columns = [values for name in names for values in found[name]]
        for kind, values in zip(kinds, columns, strict=False):
            for key, column in zip(rows, (z, values, [kind] * len(z), [panel] * len(z)), strict=True):
                rows[key] += list(column)
    kind = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
        legend=alt.Legend(orient="bottom"),
    )
    dash = alt.StrokeDash(
        "kind:N", scale=alt.Scale(domain=list(kinds), range=[[1, 0], [1, 0], [6, 3], [6, 3]]), legend=None
    )
    chart = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=2, clip=True)
        .encode(
            x=alt.X("z:Q", title="z", axis=alt.Axis(tickCount=5)),
            y=alt.Y("y:Q", title=None, axis=alt.Axis(tickCount=7), scale=alt.Scale(domain=[-1.5, 2], nice=False)),
            color=kind,
            strokeDash=dash,
        )
        .properties(width=170, height=190)
        .facet(facet=alt.Facet("panel:N", title=None, sort=list(PANELS)), columns=5, spacing=16)
    )
    subtitle = "σ(z) and its derivative; dashed: the threshold of ±1, and the leaky ReLU, here of slope 0.2 below 0"
    return Result(tuple(checks), {"activations": themed(chart, "Activation functions", subtitle)})


# 1.6: synapses


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
            at_most(
                f"{name}: largest relative difference from the formula", ROUNDING, _apart(h, written) / _largest(h)
            ),
        ]
        table.append({"n": n, "tau_s": tau_s, "area": area, "maximum_at_s": n * tau_s, "maximum_per_s": _largest(h)})
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
        at_most("n = 0 solves τ_s ds/dt = −s: largest residual, relative to s(0)", 1e-7, _largest(residual)),
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
        off = _apart(s, explicit) / _largest(explicit)
        checks.append(
            at_most(f"n = {order}, dt = {MS * dt:g} ms: largest difference from the sum, relative", ROUNDING, off)
        )
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
    checks.append(
        at_most("three spikes at 10, 30 and 40 ms: the same, relative", ROUNDING, _apart(total, each) * TAU_S)
    )
    return Result(tuple(checks), {"filtered": pictures.filtered(spikes, kind)}, {"precision": table})


# 1.7: connections


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
        at_most("then decays with τ_s: largest difference", 1e-4, _apart(s[after], decay(found.t[after]))),
        close("s before the first spike", 0.0, _largest(np.abs(s[found.t < sent[0]])), 0.0),
        at_most(
            "v of the second neuron after it, in closed form: largest difference",
            1e-5,
            _apart(found.V[after, 1], rounder[after]),
        ),
        at_most("s is w times the filtered spike train: largest difference", 1e-4, _apart(s[:size], all_of_it[:size])),
        same("spikes sent, with the input off after 30 ms", 1, len(once.spikes.of(0))),
        at_most("∫ s dt = w, relative difference", 1e-4, abs(injected / WEIGHT - 1.0)),
        at_most("∫ v dt of the second neuron = ∫ s dt = w, relative difference", 1e-4, abs(area / WEIGHT - 1.0)),
        Check(
            "the second neuron fires, but less often",
            "0 < fewer",
            f"{len(heard)} of {len(sent)}",
            0 < len(heard) < len(sent),
        ),
        at_most(
            "z = W x + b, two neurons to three: largest difference", FLOAT32, _apart(np.asarray(between(x)), W @ x + b)
        ),
        at_most("Ŵ [x; 1] is the same: largest difference", FLOAT32, _apart(column, W @ x + b)),
    ]
    panels = [
        _spiking(found.t, found.V[:, 0], sent, "first neuron, v", labels=False),
        _over_time(found.t, s, ["synaptic", "current s (v_in)"], pictures.GREEN, labels=False),
        _spiking(found.t, found.V[:, 1], heard, "second neuron, v", labels=True),
    ]
    subtitle = (
        f"w = {WEIGHT:g}, τ_s = {MS * TAU_S:g} ms; the first neuron's input is 1.5, the second hears it; red: spikes"
    )
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
        neurons.simulate(network, driven, SHORT, dt=COARSE, method=method, record=()).spikes
        for method in ("exact", "grid")
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
            _apart(s[:size], found["s"][:size]) / _largest(np.abs(s)),
        ),
        at_most(
            "without connections: largest relative difference of the rates from G(v_in)",
            1e-5,
            _apart(alone / LIF(TAU_M, TAU_REF).rate(driven), 1.0),
        ),
        same("the first 0.1 s, in steps of 0.1 and of 0.5 ms: as many spikes", len(fine), len(coarse)),
        at_most("and at the same times: largest difference, ms", 0.01, MS * _moved(fine, coarse)),
        Check("with spikes on the grid of 0.5 ms: largest difference, ms", "above 0.1", MS * moved, MS * moved > 0.1),
    ]
    table = [
        {"kind": kind, "neurons": int(np.sum(kinds == kind)), "mean_rate_Hz": float(rates[kinds == kind].mean())}
        for kind in ("excites", "inhibits")
    ]
    return Result(
        tuple(checks), {"raster": pictures.raster(found.spikes, connection=network.connection)}, {"rates": table}
    )


# What they share


def _experiment(model: HodgkinHuxley) -> neurons.Recording:
    """The neuron under the currents of `PARTS`, one after the other."""
    segments = [row[:2] for row in PARTS]
    return neurons.simulate(model, segments, sum(row[0] for row in PARTS), record=model.traces)


def _gates(V: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """x_∞ and τ_x in seconds of the squid axon, as the rates are usually written, one formula each."""
    with np.errstate(invalid="ignore"):
        alpha = {
            "n": 0.01 * (V + 55.0) / (1.0 - np.exp(-(V + 55.0) / 10.0)),
            "m": 0.1 * (V + 40.0) / (1.0 - np.exp(-(V + 40.0) / 10.0)),
            "h": 0.07 * np.exp(-(V + 65.0) / 20.0),
        }
    beta = {
        "n": 0.125 * np.exp(-(V + 65.0) / 80.0),
        "m": 4.0 * np.exp(-(V + 65.0) / 18.0),
        "h": 1.0 / (1.0 + np.exp(-(V + 35.0) / 10.0)),
    }
    total = {name: alpha[name] + beta[name] for name in "nmh"}
    return {name: alpha[name] / total[name] for name in "nmh"}, {name: 1.0 / (MS * total[name]) for name in "nmh"}


def _gate_equation(model: HodgkinHuxley, V: np.ndarray) -> float:
    """By how much the model's dx/dt differ from (x_∞ − x) / τ_x, of the largest, at random x."""
    draw = np.random.default_rng(0)
    x = {name: draw.uniform(size=len(V)) for name in "nmh"}
    state = State(*(jnp.asarray(column, model.C.dtype) for column in (V, *x.values())))
    slopes = jax.jit(lambda state: model.derivative(state, 0.0))(state)
    steady, tau = _gates(V + LOWER)
    worst = 0.0
    for name in "nmh":
        expected = (steady[name] - x[name]) / (MS * tau[name])
        worst = max(worst, _apart(np.asarray(getattr(slopes, name)), expected) / _largest(np.abs(expected)))
    return worst


def _releases(found: dict[str, Any]) -> Any:
    """V around the end of the negative current."""
    colors = dict(zip((f"over {name}" if name != "at once" else name for name in found), _three(), strict=True))
    rows = {"x": [], "y": [], "kind": []}
    for name, recording in zip(colors, found.values(), strict=True):
        inside = (recording.t >= 0.17) & (recording.t <= 0.35)
        step = max(1, int(np.sum(inside)) // 1500)
        rows["x"] += list(recording.t[inside][::step])
        rows["y"] += list(recording.V[inside][::step])
        rows["kind"] += [name] * len(recording.t[inside][::step])
    scale, ticks = alt.Scale(domain=[0.17, 0.35], nice=False), alt.Axis(tickCount=9)
    axis = alt.X("x:Q", title="time (s)", scale=scale, axis=ticks)
    chart = _colored(rows, colors, axis, "V (mV)").properties(width=560, height=280)
    return themed(
        chart,
        "Releasing the neuron",
        "the negative current ends at 0.2 s, at once or in a ramp from there; over 80 ms there is no spike",
    )


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
        worst = max(worst, _apart(a[:count], b[:count]) if count else 0.0)
    return worst


def _columns(gates: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(values, np.float64) for name, values in gates._asdict().items()}


def _apart(a: Any, b: Any) -> float:
    return _largest(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)))


def _largest(values: Any) -> float:
    return float(np.max(values))


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _three() -> tuple[str, str, str]:
    return pictures.BLUE, pictures.RED, pictures.GREEN


def _lines(x: np.ndarray, columns: Mapping[str, Any], colors: Mapping[str, str], axis: Any, title: str) -> Any:
    rows = {"x": list(x) * len(columns), "y": [], "kind": []}
    for name, values in columns.items():
        rows["y"] += list(values)
        rows["kind"] += [name] * len(x)
    return _colored(rows, colors, axis, title)


def _colored(rows: dict[str, Any], colors: Mapping[str, str], axis: Any, title: str) -> Any:
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    color = alt.Color("kind:N", title=None, sort=None, scale=scale, legend=alt.Legend(orient="bottom"))
    return alt.Chart(inline(rows)).mark_line(strokeWidth=2).encode(x=axis, y=alt.Y("y:Q", title=title), color=color)


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
    marks = alt.Chart(inline(rows)).mark_rule(color=pictures.RED, strokeWidth=1.5).encode(x="t:Q", y="y:Q", y2="y2:Q")
    return alt.layer(line, marks).properties(width=pictures.WIDTH, height=120)
