"""The loss over a plane through one layer's weights, with the path that every rule takes on it."""

import textwrap
from collections.abc import Mapping
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.contours import contours
from ascribe.charts.inline import ROW_LABEL, RULE_LABEL, inline, to_csv
from ascribe.charts.maps import doubled
from ascribe.charts.png import data_uri
from ascribe.charts.theme import INK, legend_selection, rgb, rule_color, rule_colors, rule_dash, themed

from .base import Comparison, LossLandscape
from .statement import listed

# Low loss is nearly white, so that the paths, which end there, and near-black among them, stand out; high loss is a
# blue-gray that is paler than every color of a rule.
_RAMP = ("#fdfcf8", "#eef0ee", "#dbe2e6", "#c3cfd9", "#a9bacb", "#8fa4ba")
_LINE = "#6f8499"
SIDE = 470
"""Pixels of the longer side."""
RATIO_FOR_LOG = 5.0
LEVELS = 12
WORDS = 92
"""Characters of a line of the subtitle, about as wide as the picture with its scale."""
_CROSS = "M-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0L-1,-.6Z"


def loss_surface(comparison: Comparison) -> Any:
    """The figure of a comparison's loss landscape; None where it has none."""
    landscape = getattr(comparison, "landscape", None)
    return None if landscape is None else surface_chart(landscape, rule_colors(comparison.runs))


def surface_chart(landscape: LossLandscape, colors: Mapping[str, str] | None = None) -> Any:
    """The surface as shades with lines of equal loss, and every rule's path with its start and end.

    `colors`: of the rules, by default as `rule_colors` gives them. Both axes have the same scale.
    """
    given = rule_colors(landscape.trajectories) if colors is None else colors
    colors = {rule: given[rule] for rule in landscape.trajectories}
    low, high = landscape.axes[:, 0], landscape.axes[:, -1]
    sides = SIDE * (high - low) / np.max(high - low)
    x, y = (_axis(landscape, kind, place) for place, kind in enumerate((alt.X, alt.Y)))
    surface = np.asarray(landscape.surface, np.float64)
    finite = surface[np.isfinite(surface)]
    bottom, top = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    top = top if top > bottom else bottom + 1.0
    log = top > RATIO_FOR_LOG * bottom > 0.0
    steps = (np.geomspace if log else np.linspace)(bottom, top, LEVELS + 1)

    corners = {"x": low[0], "x2": high[0], "y": low[1], "y2": high[1]}
    corners = {name: float(value) for name, value in corners.items()}
    shades = _shades(surface, bottom, top, log)
    image = alt.Chart(alt.Data(values=[corners | {"url": data_uri(shades)}])).mark_image(aspect=False, aria=False)
    image = image.encode(x=x("x"), x2="x2:Q", y=y("y"), y2="y2:Q", url="url:N")
    layers = [image, _lines(landscape, surface, steps[1:-1], x, y), _scale(corners, (bottom, top), log, x, y)]
    selection = legend_selection()
    paths = _paths(landscape, colors, selection, x, y)
    chart = alt.layer(*layers, alt.layer(*paths).add_params(selection)).resolve_scale(
        color="independent", strokeDash="independent"
    )
    chart = chart.properties(width=round(sides[0]), height=round(sides[1]), datasets={"surface": _table(landscape, surface)})
    return themed(chart, f"Loss surface of {landscape.layer}", *_subtitle(landscape))


def _axis(landscape: LossLandscape, kind: Any, place: int) -> Any:
    """The maker of an x or y encoding."""
    word = ("first", "second")[place]
    percent = 100 * float(landscape.shares[place])
    share = f"{percent:.0f} % of variance" if percent >= 1 else f"{percent:.1g} % of variance"
    named = f"{word} principal component" if landscape.kind == "principal" else f"{word} chosen direction"
    title = f"{named[0].upper()}{named[1:]} ({share})"
    ends = [float(landscape.axes[place][0]), float(landscape.axes[place][-1])]
    axis = alt.Axis(tickCount=6, grid=False, labelOverlap=True)
    scale = alt.Scale(domain=ends, nice=False, zero=False)
    return lambda field: kind(f"{field}:Q", title=title, scale=scale, axis=axis)


def _shades(surface: np.ndarray, bottom: float, top: float, log: bool) -> np.ndarray:
    """The surface as pixels, top row first, four times as fine as the grid; darker gray where it is not finite."""
    values = (np.log if log else np.asarray)(surface)
    low, high = np.log([bottom, top]) if log else (bottom, top)
    field = doubled(doubled(((values - low) / (high - low))[::-1, :, None]))[..., 0]
    known = np.isfinite(field)
    anchors = np.stack([rgb(color) for color in _RAMP])
    places = np.linspace(0.0, 1.0, len(anchors))
    level = np.where(known, field, 0.0)
    colored = np.stack([np.interp(level, places, channel) for channel in anchors.T], axis=-1)
    return np.round(np.where(known[..., None], colored, 205.0)).astype(np.uint8)


def _table(landscape: LossLandscape, surface: np.ndarray) -> str:
    """The surface as CSV, a row a point; not drawn from, but offered for download."""
    x, y = np.meshgrid(*landscape.axes)
    return to_csv({"x": x.ravel(), "y": y.ravel(), "loss": surface.ravel()})


def _lines(landscape: LossLandscape, surface: np.ndarray, levels: np.ndarray, x: Any, y: Any) -> alt.Chart:
    """Lines of equal loss."""
    found = contours(surface, levels)
    place = lambda axis, fraction: np.interp(fraction, np.arange(len(axis)), axis)
    columns, rows = landscape.axes
    ends = {"x": place(columns, found[:, 1]), "y": place(rows, found[:, 2])}
    ends |= {"x2": place(columns, found[:, 3]), "y2": place(rows, found[:, 4])}
    return (
        alt.Chart(inline(ends))
        .mark_rule(color=_LINE, strokeWidth=0.8, opacity=0.75, strokeCap="round")
        .encode(x=x("x"), y=y("y"), x2="x2:Q", y2="y2:Q")
    )


def _scale(corners: Mapping[str, float], ends: tuple[float, float], log: bool, x: Any, y: Any) -> alt.Chart:
    """Invisible marks whose color scale is that of the picture: they bring its legend."""
    stops = (np.geomspace if log else np.linspace)(*ends, len(_RAMP))
    scale = alt.Scale(type="log" if log else "linear", domain=stops.tolist(), range=list(_RAMP), nice=False)
    legend = alt.Legend(title="Training loss", orient="right", gradientLength=180, format="~g" if log else "~r", tickCount=5)
    rows = [{"x": corners["x"], "y": corners["y"], "loss": end} for end in ends]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_point(opacity=0.0, size=1)
        .encode(x=x("x"), y=y("y"), color=alt.Color("loss:Q", scale=scale, legend=legend))
    )


def _paths(landscape: LossLandscape, colors: Mapping[str, str], selection: alt.Parameter, x: Any, y: Any) -> list[Any]:
    """Every path on a white edge, from the start (a ring that all share) to its end: a disc, or a cross where it leads away."""
    rows: list[dict[str, Any]] = []
    stride = _stride(landscape.epochs)
    # Later rows are drawn on top: backpropagation, which others may lie on, is the last.
    for rule in sorted(landscape.trajectories, key=lambda rule: rule == "backpropagation"):
        path = landscape.trajectories[rule]
        last = landscape.shown[rule] - 1
        for epoch in range(last + 1):
            end = "end" if last + 1 == len(path) and rule not in landscape.diverged_at else "away"
            mark = end if epoch == last else "" if epoch % stride else "dot"
            (across, up), loss = map(float, path[epoch]), float(landscape.losses[rule][epoch])
            rows.append({"rule": rule, "epoch": epoch, "x": across, "y": up, "loss": loss, "mark": mark, "row": len(rows)})
    shown = alt.when(selection).then(alt.value(1.0)).otherwise(alt.value(0.07))
    tips = [alt.Tooltip("rule:N", title="Rule"), alt.Tooltip("epoch:Q", title="Epoch")]
    tips.append(alt.Tooltip("loss:Q", title="Training loss", format=".4~g"))
    color = rule_color(colors)
    table = alt.Chart(inline(rows, "paths")).encode(x=x("x"), y=y("y"), opacity=shown)
    line = table.mark_line(clip=True, strokeJoin="round", strokeCap="round", description=RULE_LABEL).encode(order="epoch:Q")
    point = table.mark_point(clip=True, filled=True, opacity=1.0, description=ROW_LABEL).encode(color=color, tooltip=tips)
    layers = [
        line.encode(detail="rule:N", color=alt.value("white"), strokeWidth=alt.value(4.6)),
        line.encode(color=color, strokeWidth=alt.value(2.2), strokeDash=rule_dash(colors)),
    ]
    marks = {
        "dot": {"size": alt.value(34), "stroke": alt.value("white"), "strokeWidth": alt.value(0.9)},
        "end": {"size": alt.value(130), "stroke": alt.value("white"), "strokeWidth": alt.value(1.6)},
        "away": {"size": alt.value(150), "shape": alt.value(_CROSS), "strokeWidth": alt.value(0)},
    }
    for mark, look in marks.items():
        layers.append(point.encode(**look).transform_filter(f"datum.mark == '{mark}'"))
    start = next(iter(landscape.trajectories.values()))[0]
    origin = alt.Chart(alt.Data(values=[{"x": float(start[0]), "y": float(start[1])}])).encode(x=x("x"), y=y("y"))
    ring = origin.mark_point(size=130, filled=True, fill="white", stroke=INK, strokeWidth=2, opacity=1.0)
    left = start[0] < landscape.axes[0].mean()  # outside of where the paths run
    side: dict[str, Any] = {"align": "right", "dx": -11} if left else {"align": "left", "dx": 11}
    return [*layers, ring, origin.mark_text(text="start", fontSize=12, color=INK, fontWeight=600, **side)]


def _stride(epochs: int) -> int:
    """Epochs between two dots on a path: a round number that leaves at most twenty."""
    rounds = (step * 10**power for power in range(9) for step in (1, 2, 5))
    return next(step for step in rounds if epochs <= 20 * step)


def _subtitle(landscape: LossLandscape) -> list[str]:
    few = landscape.examples < landscape.training_examples
    examples = f"{landscape.examples:,} of {landscape.training_examples:,}" if few else f"all {landscape.examples:,}"
    stride = _stride(landscape.epochs)
    dots = "a dot after every epoch" if stride == 1 else f"a dot every {stride} epochs"
    words = [
        f"Only {landscape.layer} is trained, from one start (seed {landscape.seed}), for {landscape.epochs} epochs; {dots}.",
        f"The plane holds {100 * landscape.explained:.0f} % of the variance of the paths.",
        f"Loss of {examples} training examples.",
    ]
    together = "; ".join(listed(rules) for rules in _together(landscape))
    words += [f"On the same path: {together}."] if together else []
    words += [] if np.isfinite(landscape.surface).all() else ["Gray: the loss is not finite."]
    away = [
        rule
        for rule, path in landscape.trajectories.items()
        if landscape.shown[rule] < len(path) and rule not in landscape.diverged_at
    ]
    if away:
        words.append(f"A cross ends what leads away from here to losses far above the start's: {listed(away)}.")
    if landscape.diverged_at:
        ended = [f"{rule} in epoch {epoch}" for rule, epoch in landscape.diverged_at.items()]
        words.append(f"A cross ends what diverged: {listed(ended)}.")
    for why in dict.fromkeys(landscape.left_out.values()):
        rules = [rule for rule, reason in landscape.left_out.items() if reason == why]
        words.append(f"Without a path: {listed(rules)} ({why}).")
    return textwrap.wrap(" ".join([*words, *(f"{note}." for note in landscape.notes)]), WORDS, break_on_hyphens=False)


def _together(landscape: LossLandscape) -> list[list[str]]:
    """Groups of rules whose paths would hide one another, to a thousandth of the picture."""
    near = 1e-3 * float(np.max(landscape.axes[:, -1] - landscape.axes[:, 0]))
    groups: list[list[str]] = []
    for rule, path in landscape.trajectories.items():
        for group in groups:
            first = landscape.trajectories[group[0]]
            count = landscape.shown[group[0]]
            if count == landscape.shown[rule] and np.abs(first[:count] - path[:count]).max() < near:
                group.append(rule)
                break
        else:
            groups.append([rule])
    return [group for group in groups if len(group) > 1]
