"""What can be redone of "Neural networks" (course notes), section 1.3, with the Hodgkin–Huxley neuron of `ascribe.neurons`.

The text has no parameters of the model. Those of the squid axon stand in, all voltages 5 mV lower, so that it rests at −70 mV
as the notes say. Reference values that are not in the notes come from SciPy's DOP853, tolerance 1e-9 or less.
"""

import math
from dataclasses import replace
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import neurons
from ascribe.charts.inline import inline
from ascribe.charts.lines import line_chart, stacked
from ascribe.charts.theme import BLUE, GRAY, GREEN, RED, themed
from ascribe.neurons import HodgkinHuxley, pictures
from ascribe.neurons.hodgkin_huxley import State

from .base import FLOAT32, Listener, Result, alike, apart, at_most, close, largest, same

MS = 1000.0
"""Milliseconds in a second."""
POWERS = 1e-5
"""What float32 leaves of the rates, which are made of high powers of one exponential."""
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
            alike(f"{name}_∞ against the formula", POWERS, steady[name][defined], formula[defined])
            for name, formula in expected_steady.items()
        ),
        *(
            at_most(
                f"τ_{name} against the formula: largest relative difference",
                POWERS,
                apart((tau[name] / formula)[defined], 1.0),
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
        at_most("m is the fastest: largest τ_m / min(τ_n, τ_h)", 0.5, largest(tau["m"] / np.minimum(tau["n"], tau["h"]))),
        at_most(
            "the gates are the squid axon's, 5 mV lower: largest difference",
            3e-6,
            max(apart(a[name], b[name]) for a, b in zip((steady, tau), others, strict=True) for name in "nmh"),
        ),
        at_most("dx/dt is (x_∞ − x) / τ_x: largest relative difference", 1e-5, _gate_equation(model, V[defined])),
    ]
    colors = dict(zip("nmh", (BLUE, RED, GREEN), strict=True))
    axis = alt.X("x:Q", title="V (mV)", scale=alt.Scale(domain=[-120, 60], nice=False))
    at_rest = alt.Chart(inline({"x": [float(rest.V)]})).mark_rule(color=GRAY, strokeDash=[4, 4]).encode(x=axis)
    panels = [
        alt.layer(at_rest, line_chart(stacked(V, columns), colors, axis, title)).properties(width=360, height=260)
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
    found = experiment(model)
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
        same("once it fires, more current makes it fire faster", "yes", "yes" if np.all(np.diff(firing) > 0) else "no")
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


def experiment(model: HodgkinHuxley) -> neurons.Recording:
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
        worst = max(worst, apart(np.asarray(getattr(slopes, name)), expected) / largest(np.abs(expected)))
    return worst


def _releases(found: dict[str, Any]) -> Any:
    """V around the end of the negative current."""
    names = (name if name == "at once" else f"over {name}" for name in found)
    colors = dict(zip(names, (BLUE, RED, GREEN), strict=True))
    rows = {"x": [], "y": [], "kind": []}
    for name, recording in zip(colors, found.values(), strict=True):
        inside = (recording.t >= 0.17) & (recording.t <= 0.35)
        step = max(1, int(np.sum(inside)) // 1500)
        rows["x"] += list(recording.t[inside][::step])
        rows["y"] += list(recording.V[inside][::step])
        rows["kind"] += [name] * len(recording.t[inside][::step])
    scale, ticks = alt.Scale(domain=[0.17, 0.35], nice=False), alt.Axis(tickCount=9)
    axis = alt.X("x:Q", title="time (s)", scale=scale, axis=ticks)
    chart = line_chart(rows, colors, axis, "V (mV)").properties(width=560, height=280)
    return themed(
        chart,
        "Releasing the neuron",
        "the negative current ends at 0.2 s, at once or in a ramp from there; over 80 ms there is no spike",
    )


def _columns(gates: Any) -> dict[str, np.ndarray]:
    return {name: np.asarray(values, np.float64) for name, values in gates._asdict().items()}
