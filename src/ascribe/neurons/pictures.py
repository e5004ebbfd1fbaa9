"""The pictures of the wing, as Altair charts: traces, gates, tuning curves, filters, rasters."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color
from ascribe.charts.theme import BLUE, GRAY, GREEN, INK, RED, many_colors, themed
from ascribe.errors import UserError
from ascribe.files import path_of, write_whole

from .connection import Connection
from .filters import PostSynapticFilter
from .hodgkin_huxley import HodgkinHuxley
from .lif import LIF
from .quantities import counted
from .spikes import SpikeTrain

if TYPE_CHECKING:  # which draw themselves with this module
    from .recording import Recording
    from .tuning import TuningCurve

WIDTH = 640
POINTS = 3000
"""More samples than this are drawn as the least and the largest of each of half as many groups: no peak is lost."""

ROWS = 200
"""Neurons that a raster shows, at most."""

MANY = 160
"""More spikes than this, four pixels each, are not drawn one by one."""

BAND = 0.35
"""Opacity of the bands that are drawn then."""

KINDS = {"excites": BLUE, "inhibits": RED, "does neither, or both": GRAY}


def traces(recording: "Recording", neuron: int = 0) -> Any:
    """V with a mark for each spike and the threshold of a LIF neuron, the gates or the synaptic current where they were
    recorded, and the input, over time. Where single spikes would run into each other, bands from the lowest to the highest
    value stand for the lines."""
    neuron, count = recording.spikes.numbered(neuron), recording.spikes.size
    model, panels = recording.model, []
    one = lambda values: _one(values, recording.shape, neuron)
    spikes = len(recording.spikes.of(neuron))
    many = spikes > MANY
    legend: list[str] = []
    if "V" in recording.traces:
        panels.append(_voltage(recording, one(recording["V"]), neuron, many))
        legend += ["red: spikes"] if spikes > 0 and not many else []
        legend += [] if isinstance(model, HodgkinHuxley) else ["dashed: the threshold"]
    gates = [name for name in ("n", "m", "h") if name in recording.traces]
    if gates:
        rows = {_gate(name): one(recording[name]) for name in gates}
        panels.append(_several(recording.t, rows, "open fraction", [0, 1], labels=False, band=many))
    if "s" in recording.traces:
        title = ["synaptic current", "s (thresholds)"]
        panels.append((_band if many else _line)(recording.t, one(recording["s"]), title, GREEN, 100))
    title = ["input current", _input(model)]
    panels.append(_line(recording.t, one(recording.current), title, GRAY, 100, last=True))
    rate = float(np.ravel(recording.rates())[neuron])
    which = f"neuron {neuron} of {count}, " if count > 1 else ""
    ending = f", {rate:.4g} Hz at the end" if rate else ""
    chart = alt.vconcat(*panels, spacing=8).resolve_scale(x="shared")
    said = [f"{which}{counted(spikes, 'spike')} in {recording.duration:g} s{ending}"]
    if many and len(panels) > 1:
        said.append("too many to tell apart: bands from the lowest to the highest value; a shorter duration shows each")
    if legend:
        said[0] += f" ({'; '.join(legend)})"
    return themed(chart, _title(model), *said)


def phase_plane(recording: "Recording", first: str = "n", second: str = "h", neuron: int = 0) -> Any:
    """One trace against another: the path of a Hodgkin–Huxley neuron through its gates, colored by V."""
    neuron = recording.spikes.numbered(neuron)
    one = lambda name: _one(recording[name], recording.shape, neuron)
    rows = {"x": one(first), "y": one(second), "V": one("V"), "t": recording.t}
    line = alt.Chart(inline(rows)).encode(
        x=alt.X("x:Q", title=_gate(first), scale=alt.Scale(zero=False)),
        y=alt.Y("y:Q", title=_gate(second), scale=alt.Scale(zero=False)),
        order="t:Q",
    )
    chart = alt.layer(
        line.mark_line(color="#c9ced6", strokeWidth=1),
        line.mark_point(filled=True, size=14, opacity=0.9).encode(
            color=alt.Color("V:Q", title=recording.model.voltage_title, scale=alt.Scale(scheme="blueorange"))
        ),
    ).properties(width=380, height=340)
    return themed(chart, f"{_title(recording.model)}: phase plane", f"{second} against {first}, {recording.duration:g} s")


def tuning(curve: "TuningCurve") -> Any:
    """The simulated rates as points, on the closed form where there is one."""
    rows = {"current": curve.currents, "rate": curve.rates}
    x = alt.X("current:Q", title=f"constant input current {_input(curve.model)}", scale=alt.Scale(zero=False, nice=False))
    layers = []
    if curve.analytic is not None:
        at = np.linspace(curve.currents.min(), curve.currents.max(), 801)
        line = {"current": at, "rate": np.atleast_1d(curve.model.rate(curve.model.drive(at)))}
        layers.append(
            alt.Chart(inline(line)).mark_line(strokeWidth=2, color=BLUE).encode(x=x, y=alt.Y("rate:Q", title="rate (Hz)"))
        )
        points = alt.Chart(inline(rows)).mark_point(size=42, color=RED, strokeWidth=1.8, opacity=1.0)
        subtitle = "points: simulated; line: 1 / (τ_ref − τ_m ln(1 − 1/v_in))"
    else:
        layers.append(alt.Chart(inline(rows)).mark_line(strokeWidth=1.5, color=BLUE).encode(x=x, y="rate:Q"))
        points = alt.Chart(inline(rows)).mark_point(filled=True, size=28, color=BLUE, opacity=1.0)
        subtitle = "1 / the last interspike interval, from rest"
    layers.append(points.encode(x=x, y=alt.Y("rate:Q", title="rate (Hz)")))
    chart = alt.layer(*layers).properties(width=520, height=320)
    return themed(chart, f"{_title(curve.model)}: tuning curve", subtitle)


def filters(kinds: list[PostSynapticFilter], until: float | None = None) -> Any:
    """h(t) of each, the area under each being 1: in one panel, or, where some are more than five times as slow as others,
    in one with axes of its own for each time constant."""
    slowness = sorted({f.tau_s for f in kinds})
    groups = [kinds]
    if until is None and slowness[-1] > 5.0 * slowness[0]:
        groups = [[f for f in kinds if f.tau_s == tau_s] for tau_s in slowness]
    panels = []
    for group in groups:
        end = until or 1.2 * max(f.tau_s * (f.order + 4) for f in group)
        t = np.concatenate([[-0.05 * end, -1e-9 * end], np.linspace(0.0, end, 600)])
        names = [f"n = {f.order}, τ_s = {1000 * f.tau_s:g} ms" for f in group]
        columns = {name: np.asarray(f.impulse_response(t)) for name, f in zip(names, group, strict=True)}
        panels.append(_several(t, columns, "h(t) (1/s)", None, height=280).properties(width=WIDTH / len(groups)))
    return themed(
        alt.hconcat(*panels, spacing=36).resolve_scale(color="independent") if len(panels) > 1 else panels[0],
        "Post-synaptic currents",
        "what one spike at t = 0 injects; the area under each is 1",
    )


def filtered(spikes: SpikeTrain, kind: PostSynapticFilter, neuron: int = 0, dt: float = 2e-4) -> Any:
    """A spike train, one h for each spike, and their sum."""
    times = spikes.of(neuron)
    one = SpikeTrain(times, duration=spikes.duration)
    total = kind.filter(one, dt)[:, 0]
    t = np.arange(len(total)) * dt
    each = {"t": [], "y": [], "spike": []}
    for number, arrival in enumerate(times):
        after = t[t >= arrival]
        each["t"] += list(after)
        each["y"] += list(np.asarray(kind.impulse_response(after - arrival)))
        each["spike"] += [str(number)] * len(after)
    x, time = (_time(np.array([0.0, spikes.duration]), labels=labels) for labels in (False, True))
    ticks = (
        alt.Chart(inline({"t": times}))
        .mark_tick(color=INK, thickness=1.5, size=24, orient="vertical")
        .encode(x=x)
        .properties(width=WIDTH, height=34)
    )
    y = alt.Y("y:Q", title="current (1/s)")
    sums = alt.layer(
        alt.Chart(inline(each)).mark_line(color=GRAY, strokeWidth=1, opacity=0.7).encode(x=time, y=y, detail="spike:N"),
        alt.Chart(inline({"t": t, "y": total})).mark_line(color=BLUE, strokeWidth=2).encode(x=time, y=y),
    ).properties(width=WIDTH, height=220)
    return themed(
        alt.vconcat(ticks, sums, spacing=4),
        "A spike train, filtered",
        f"gray: one post-synaptic current for each of {counted(len(times), 'spike')}; blue: their sum (n = {kind.order}, "
        f"τ_s = {1000 * kind.tau_s:g} ms)",
    )


def raster(spikes: SpikeTrain, bins: int = 100, connection: Connection | None = None) -> Any:
    """A mark for each spike, a row for each neuron (of many, for 200 evenly among them), the mean rate over time below.

    `connection`: theirs, by whose weights those that excite and those that inhibit are told apart.
    """
    shown = min(spikes.size, ROWS)
    drawn = np.linspace(0, spikes.size - 1, shown).round().astype(int)
    inside = np.isin(spikes.neurons, drawn)
    rows: dict[str, Any] = {"t": spikes.times[inside], "neuron": spikes.neurons[inside]}
    color: dict[str, Any] = {}
    if connection is not None:
        kinds = _kinds(connection, spikes.size)
        rows["kind"] = kinds[spikes.neurons[inside]]
        color = {"color": kind_color({kind: one for kind, one in KINDS.items() if kind in kinds[drawn]})}
    x, time = (_time(np.array([0.0, spikes.duration]), labels=labels) for labels in (False, True))
    marks = (
        alt.Chart(inline(rows))
        .mark_tick(color=INK, opacity=1.0, thickness=1.2, size=max(2.0, min(40.0, 300 / shown - 1)), orient="vertical")
        .encode(
            x=x,
            y=alt.Y(
                "neuron:Q",
                title="neuron",
                scale=alt.Scale(domain=[spikes.size - 0.5, -0.5], nice=False),
                axis=alt.Axis(values=list(range(0, spikes.size, max(1, -(-spikes.size // 10)))), format="d"),
            ),
            **color,
        )
        .properties(width=WIDTH, height=300)
    )
    width = spikes.duration / bins
    counts = spikes.raster(width).sum(axis=1)[:bins]
    rates = counts / (width * spikes.size)
    over = {"t": np.arange(bins + 1) * width, "rate": np.append(rates, rates[-1])}  # from each edge to the next
    below = (
        alt.Chart(inline(over))
        .mark_area(color=BLUE, opacity=0.35, line={"color": BLUE, "strokeWidth": 1.5}, interpolate="step-after")
        .encode(x=time, y=alt.Y("rate:Q", title="mean rate (Hz)"))
        .properties(width=WIDTH, height=90)
    )
    some = f"rows for {shown} of " if shown < spikes.size else ""
    return themed(
        alt.vconcat(marks, below, spacing=6),
        "Who fires when",
        f"{some}{counted(spikes.size, 'neuron')}, {counted(len(spikes), 'spike')}, "
        f"{len(spikes) / spikes.duration / spikes.size:.3g} Hz on average",
    )


def save(chart: Any, path: str | Path) -> Path:
    """Writes a PNG (two pixels a unit) or SVG file, whole or not at all, and makes the folder that it lies in.

    **Raises:** `UserError` for another ending, and where it cannot be written.
    """
    path = path_of(path, "a picture")
    if path.suffix not in (".png", ".svg"):
        raise UserError(f"a picture is saved as .png or .svg; got {path.name!r}.")
    data = _drawn(chart, path.suffix[1:])
    write_whole(path, data if isinstance(data, bytes) else data.encode("utf-8"), parents=True)
    return path


def svg(chart: Any) -> str:
    """The text of an SVG file, as notebooks show it."""
    return _drawn(chart, "svg")


def _drawn(chart: Any, kind: str) -> Any:
    buffer: Any = io.BytesIO() if kind == "png" else io.StringIO()
    with alt.theme.enable("none"), alt.data_transformers.enable("default", max_rows=None):
        chart.save(buffer, format=kind, scale_factor=2 if kind == "png" else 1)
    return buffer.getvalue()


def _title(model: Any) -> str:
    names = {"HodgkinHuxley": "Hodgkin–Huxley neuron", "LIF": "Leaky integrate-and-fire neuron"}
    return names.get(type(model).__name__, "Network of spiking neurons")


def _input(model: Any) -> str:
    """The symbol of the input current and its unit, where that is known."""
    if isinstance(model, HodgkinHuxley):
        return f"J_in ({model.input_unit})"
    cell = model if isinstance(model, LIF) else model.neurons
    return "v_in (thresholds)" if cell.normalized and bool(np.all(np.asarray(cell.R) == 1)) else "J_in"


def _gate(name: str) -> str:
    what = {"n": "potassium activation n", "m": "sodium activation m", "h": "sodium inactivation h"}
    return what.get(name, name)


def _kinds(connection: Connection, size: int) -> np.ndarray:
    """Of every neuron, what its weights make it."""
    if connection.pre != size:
        raise UserError(f"the connection is of {connection.pre} neurons, and the spikes are of {size}.")
    weights = np.asarray(connection.weights)
    up, down = (weights > 0).any(axis=1), (weights < 0).any(axis=1)
    excites, inhibits, neither = KINDS
    return np.where(up & ~down, excites, np.where(down & ~up, inhibits, neither))


def _one(values: np.ndarray, shape: tuple[int, ...], neuron: int) -> np.ndarray:
    """One neuron's row of values over time."""
    missing = (1,) * (len(shape) - values.ndim + 1)
    full = np.broadcast_to(values.reshape(len(values), *missing, *values.shape[1:]), (len(values), *shape))
    return full.reshape(len(values), -1)[:, neuron]


def _thinned(t: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = -(-len(t) * 2 // POINTS)
    if size < 3:
        return t, values
    keep = []
    for start in range(0, len(t), size):
        part = values[start : start + size]
        keep += sorted({start + int(np.argmin(part)), start + int(np.argmax(part))})
    chosen = sorted({0, *keep, len(t) - 1})
    return t[chosen], values[chosen]


def _time(t: np.ndarray, *, labels: bool = True) -> Any:
    domain = alt.Scale(domain=[float(t[0]), float(t[-1])], nice=False)
    axis = alt.Axis(tickCount=10) if labels else alt.Axis(tickCount=10, labels=False)
    return alt.X("t:Q", title="time (s)" if labels else None, scale=domain, axis=axis)


def _line(t: np.ndarray, values: np.ndarray, title: Any, color: str, height: int, *, last: bool = False) -> Any:
    at, drawn = _thinned(t, values)
    mark = alt.Chart(inline({"t": at, "y": drawn})).mark_line(
        color=color, strokeWidth=1.5, interpolate="step-after" if last else "linear"
    )
    y = alt.Y("y:Q", title=title, scale=alt.Scale(zero=last))
    return mark.encode(x=_time(t, labels=last), y=y).properties(width=WIDTH, height=height)


def _several(
    t: np.ndarray,
    columns: dict[str, np.ndarray],
    title: str,
    domain: Any,
    *,
    height: int = 110,
    labels: bool = True,
    band: bool = False,
) -> Any:
    rows: dict[str, list[Any]] = {}
    for name, values in columns.items():
        at, drawn = _thinned(t, values)
        part = _extremes(t, values) if band else {"t": at, "low": drawn}
        for key, cells in (part | {"kind": [name] * len(part["t"])}).items():
            rows.setdefault(key, []).extend(cells)
    color = kind_color(dict(zip(columns, [BLUE, RED, GREEN, *many_colors(12)[6:]], strict=False)))
    y = alt.Y("low:Q", title=title, scale=alt.Scale(domain=domain) if domain else alt.Undefined)
    marks = alt.Chart(inline(rows))
    if band:
        drawn = marks.mark_area(opacity=BAND, interpolate="step-after").encode(y=y.stack(None), y2="high:Q")
    else:
        drawn = marks.mark_line(strokeWidth=1.5).encode(y=y)
    return drawn.encode(x=_time(t, labels=labels), color=color).properties(width=WIDTH, height=height)


def _band(t: np.ndarray, values: np.ndarray, title: Any, color: str, height: int) -> Any:
    """From the lowest to the highest value over time."""
    rows = _extremes(t, values)
    area = alt.Chart(inline(rows)).mark_area(color=color, opacity=BAND, interpolate="step-after")
    return area.encode(
        x=_time(t, labels=False), y=alt.Y("low:Q", title=title, scale=alt.Scale(zero=False)), y2="high:Q"
    ).properties(width=WIDTH, height=height)


def _extremes(t: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    """The least and the largest value of each of half as many groups as a picture has columns, of 100 samples at least."""
    groups = max(1, min(WIDTH // 2, len(t) // 100))
    starts = np.linspace(0, len(t), groups, endpoint=False).astype(int)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return {"t": np.append(t[starts], t[-1]), "low": np.append(low, low[-1]), "high": np.append(high, high[-1])}


def _voltage(recording: "Recording", V: np.ndarray, neuron: int, many: bool) -> Any:
    model, times = recording.model, recording.spikes.of(neuron)
    x, layers = _time(recording.t, labels=False), []
    if isinstance(model, HodgkinHuxley):  # marks above the spikes
        finite = V[np.isfinite(V)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        place, tall = high + 0.08 * (high - low), 0.05 * (high - low)
    else:  # the spike itself, which the model leaves out, from the threshold up
        cell = model if isinstance(model, LIF) else model.neurons
        place, rest = (
            float(np.broadcast_to(np.asarray(values), recording.shape).ravel()[neuron]) for values in (cell.V_th, cell.V_L)
        )
        tall = 0.35 * (place - rest)
        rule = alt.Chart(inline({"y": [place]})).mark_rule(color=GRAY, strokeDash=[5, 4], strokeWidth=1.2)
        layers.append(rule.encode(y="y:Q"))
    title = ["voltage", model.voltage_title]
    layers.append((_band if many else _line)(recording.t, V, title, INK, 200))
    if len(times) and not many:
        rows = {"t": times, "y": np.full(len(times), place), "y2": np.full(len(times), place + tall)}
        marks = alt.Chart(inline(rows)).mark_rule(color=RED, strokeWidth=1.5)
        layers.append(marks.encode(x=x, y="y:Q", y2="y2:Q"))
    return alt.layer(*layers).properties(width=WIDTH, height=200)
