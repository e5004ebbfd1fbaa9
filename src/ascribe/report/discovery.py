"""The page of a search for a b-function: what was tried, what was found, and what it is worth on fresh seeds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.bands import RATIO_FOR_LOG, SHORT, ValueAxis, band_panel, least_of, log_worthy, one_curve
from ascribe.charts.inline import ROW_LABEL, RULE_LABEL, inline, numbered
from ascribe.charts.lines import kind_color, panel_title
from ascribe.charts.theme import BLUE, GRAY, INK, joined, legend_selection, many_colors, rule_colors, themed
from ascribe.files import write_whole
from ascribe.measures import AREA, measure_of
from ascribe.statistics import band, interval

from . import series
from .document import figure, render, rule_filter
from .figures import Drawing, specification, write_figure
from .table import format_number

COLUMNS = ("setting", "rule", "rate", "loss area", "difference", "test score", "difference", "diverged")
Z = np.linspace(-4.0, 4.0, 161, dtype=np.float32)
SHOWN = 120
BASELINE = "backpropagation"


def cells(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The table's rows as texts, for a terminal and for the page."""
    return [
        (
            row["setting"],
            row["rule"],
            format_number(row["learning_rate"]),
            _with_interval(row["area"], row["area_interval"]),
            "" if row["rule"] == BASELINE else _difference(row["area_difference"], row["area_difference_interval"]),
            _score(row, "score"),
            "" if row["rule"] == BASELINE else _score(row, "score_difference", signed=True),
            f"{row['diverged']} of {row['seeds']}",
        )
        for row in rows
    ]


def findings(discovery: Any) -> list[str]:
    """What came out, in sentences; each difference is paired by seed, with its 95 % interval."""
    runs = {name: one for part in discovery.comparisons["as searched"] for name, one in part.runs.items()}
    areas = {name: np.asarray(one.scores[AREA]) for name, one in runs.items()}
    found = areas["found g"]
    sentences = [
        f"{len(discovery.evaluations)} b-functions were tried in place of the derivative in {discovery.space.layer}, each on "
        f"{discovery.evaluations.areas.shape[1]} seeds; {int(discovery.evaluations.diverged.any(axis=1).sum())} of them "
        f"diverged on some seed. What follows is measured on {len(found)} fresh seeds: the area under the training loss; "
        f"less is faster."
    ]
    questions = (
        (BASELINE, "Against backpropagation at the same rate"),
        ("c·σ', tuned c", f"Against a larger scale alone (c = {discovery.factor:.3g}), so what the shape adds"),
        ("noise of g's size", "Against backpropagation with noise of the same size"),
        ("found g, 0 where σ' = 0", "Against the same g without its credit where σ' = 0"),
        ("backpropagation, rate tuned for area", "Against backpropagation at a rate tuned for the same area"),
        ("backpropagation, tuned rate", "Against backpropagation at a rate tuned by validation"),
        ("backpropagation, learned rate", "Against backpropagation with a learned rate (hypergradient)"),
    )
    for name, question in questions:
        if name in areas:
            sentences.append(f"{question}, the found g's area differs by {_verdict(found - areas[name])}.")
    both = (("rate tuned for area", "rates tuned for the area"), ("tuned rate", "rates tuned by validation"))
    for name, words in both:
        tuned = areas.get(f"found g, {name}"), areas.get(f"{BASELINE}, {name}")
        if tuned[0] is not None and tuned[1] is not None:
            sentences.append(f"Both at their own {words}, the difference is {_verdict(tuned[0] - tuned[1])}.")
    if discovery.touched:
        sentences.append(
            f"The best ω lies at the end of what was searched (|{'|, |'.join(discovery.touched)}| = "
            f"{discovery.space.bound:g}): a larger bound may find a better g."
        )
    return sentences


def _verdict(differences: np.ndarray) -> str:
    """A difference of areas, paired by seed, and what it says."""
    mean, half = map(float, interval(differences))
    verdict = "no difference is shown" if not abs(mean) > half else "faster" if mean < 0 else "slower"
    return f"{_difference(mean, half)}: {verdict}"


def figures(discovery: Any) -> dict[str, Any]:
    """Figure name to Altair chart, in reading order."""
    made = {"b_functions": tried, "differences": differences, "loss_curves": curves}
    made |= {"convergence": convergence, "surrogate": surrogate}
    return {name: make(discovery) for name, make in made.items()}


def tried(discovery: Any) -> Any:
    """Every g that was tried, the better the darker; the best few thick, and what they replace dashed (figure 2a)."""
    evaluations, space = discovery.evaluations, discovery.space
    ranked = np.argsort(evaluations.values, kind="stable")
    places = np.unique(np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked))).round().astype(int))[::-1]
    rank = lambda place: {"number": int(ranked[place]), "rank": place / max(len(ranked) - 1, 1)}
    g = lambda number: space.g(evaluations.points[number], Z)
    faint = _columns([(g(ranked[place]), rank(place)) for place in places], slice(None, None, 4))  # the best drawn last
    few, letters = discovery.best, ("A, the found g", *"BC")
    names = [f"{letter}: area {evaluations.values[number]:.4g}" for letter, number in zip(letters, few, strict=False)]
    exact = f"σ' of {discovery.replaced}, which they replace"
    lines = [(g(number), {"which": name}) for name, number in zip(names, few, strict=True)]
    thick = _columns([*lines, (discovery.exact(Z), {"which": exact})])
    domain = [*names, exact]
    low, high = min(-0.2, *thick["g"]), max(1.2, *thick["g"])
    margin = 0.12 * (high - low)
    x = alt.X("z:Q", title="z", scale=alt.Scale(nice=False))
    y = lambda: alt.Y("g:Q", title="g(z)", scale=alt.Scale(domain=[low - margin, high + margin], nice=False))
    tried_ones = (
        alt.Chart(inline(faint, "tried"))
        .mark_line(strokeWidth=1.0, opacity=0.5, clip=True)
        .encode(
            x=x,
            y=y(),
            detail="number:N",
            color=alt.Color(
                "rank:Q",
                title="rank among those tried",
                scale=alt.Scale(range=["#2c7fb8", "#c7e9f0"], domain=[0, 1]),
                legend=alt.Legend(format="%", gradientLength=140, orient="right"),
            ),
        )
    )
    best = (
        alt.Chart(inline(numbered(thick), "best"))
        .mark_line(strokeWidth=3.2, clip=True, description=ROW_LABEL)
        .encode(
            x=x,
            y=y(),
            detail="which:N",
            stroke=alt.Stroke(
                "which:N",
                title=None,
                sort=domain,
                scale=alt.Scale(domain=domain, range=[*many_colors(len(names)), INK]),
                legend=alt.Legend(orient="bottom", columns=2, labelLimit=400),
            ),
            strokeDash=alt.StrokeDash(
                "which:N",
                sort=domain,
                legend=None,
                scale=alt.Scale(domain=domain, range=[[1, 0]] * len(names) + [[7, 5]]),
            ),
        )
    )
    chart = alt.layer(tried_ones, best).resolve_scale(color="independent").properties(width=620, height=360)
    return themed(
        chart,
        "The b-functions that were tried",
        f"In place of σ'(z) in {space.layer}: {len(evaluations)} candidates of one meta-network with {space.hidden} hidden "
        f"{'neuron' if space.hidden == 1 else 'neurons'} ({space.activation}), the better the stronger.",
    )


def _columns(lines: Sequence[tuple[np.ndarray, Mapping[str, Any]]], shown: slice = slice(None)) -> dict[str, list]:
    """The columns z and g of functions over `Z`, and beside them what each is labeled with."""
    z = Z[shown].tolist()
    columns: dict[str, list] = {"z": z * len(lines), "g": [value for g, _ in lines for value in g[shown].tolist()]}
    for key in lines[0][1]:
        columns[key] = [label[key] for _, label in lines for _ in z]
    return columns


def curves(discovery: Any) -> Any:
    """The training loss on fresh seeds, with bands (figure 2b), in every setting."""
    panels, colors, selection = [], _colors(discovery), legend_selection()
    rows: dict[str, list] = {name: [] for name in series.COLUMNS}
    for setting, parts in discovery.comparisons.items():
        for name, runs in ((name, one) for part in parts for name, one in part.runs.items()):
            curve = np.where(runs.diverged[:, None], np.nan, runs.curves["train_loss"])
            mean, half = interval(curve)
            series.add_band(rows, name, setting, range(len(mean)), mean, band(curve, half))
    columns = numbered(rows)
    data = inline(columns, "curves")
    for setting in discovery.comparisons:
        part = one_curve(columns, setting)
        axis = ValueAxis("Training loss", log=log_worthy(part["mean"]), least=least_of(part["mean"]))
        title = panel_title(setting, fontSize=14, offset=6)
        panels.append(band_panel(data, part, axis, colors, selection, width=330, height=260).properties(title=title))
    return themed(
        joined(panels, selection, columns=3),
        "Loss curves on fresh seeds",
        "Mean over the seeds that finished, with its 95 % interval; each epoch's mean training loss.",
    )


def _colors(discovery: Any) -> dict[str, str]:
    """Every rule's color, backpropagation's near-black."""
    names = dict.fromkeys(name for parts in discovery.comparisons.values() for part in parts for name in part.runs)
    return rule_colors(names)


def _reach(columns: Mapping[str, list]) -> tuple[alt.Scale, alt.Axis]:
    """A linear scale of differences; where one is far beyond the others, because a rule nearly diverged, powers of ten on both
    sides of 0."""
    values = np.abs([value for name in ("difference", "low", "high") for value in columns[name]])
    values = values[np.isfinite(values) & (values > 0.0)]
    typical = float(np.median(values)) if len(values) else 1.0
    if not len(values) or values.max() < RATIO_FOR_LOG * typical:
        return alt.Scale(), alt.Axis(labelExpr=SHORT)
    first, last = int(np.floor(np.log10(typical))), int(np.ceil(np.log10(values.max())))
    powers = [10.0**power for power in range(first, last + 1, max(1, -(-(last - first) // 3)))]
    ticks = [*(-power for power in reversed(powers)), 0.0, *powers]
    return alt.Scale(type="symlog", constant=typical), alt.Axis(values=ticks, labelExpr=SHORT)


def differences(discovery: Any) -> Any:
    """How far each rule's area is from backpropagation's at the same rate, paired by seed."""
    rows = [row for row in discovery.table() if row["rule"] != BASELINE]
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    panels = []
    columns = {
        "rule": [row["rule"] for row in rows],
        "setting": [row["setting"] for row in rows],
        "difference": [row["area_difference"] for row in rows],
        "low": [row["area_difference"] - row["area_difference_interval"] for row in rows],
        "high": [row["area_difference"] + row["area_difference_interval"] for row in rows],
    }
    data = inline(numbered(columns), "differences")
    scale, ticks = _reach(columns)
    for setting in settings:
        here = [row["rule"] for row in rows if row["setting"] == setting]
        x = lambda field: alt.X(f"{field}:Q", title="Difference of the loss area (less is faster)", scale=scale, axis=ticks)
        y = alt.Y("rule:N", title=None, sort=here, axis=alt.Axis(labelLimit=260))
        base = alt.Chart(data).transform_filter(alt.FieldEqualPredicate(field="setting", equal=setting)).encode(y=y)
        zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color=INK, strokeDash=[5, 4]).encode(x="x:Q")
        title = panel_title(setting, fontSize=14, offset=6)
        panels.append(
            alt.layer(
                zero,
                base.mark_rule(strokeWidth=2.4, color=BLUE, description=RULE_LABEL).encode(x=x("low"), x2="high:Q"),
                base.mark_point(filled=True, size=90, opacity=1.0, color=BLUE, description=ROW_LABEL).encode(x=x("difference")),
            ).properties(width=620, height=alt.Step(30), title=title)
        )
    return themed(
        alt.vconcat(*panels, spacing=26),
        "What it is worth",
        "Difference to backpropagation at the same learning rate (dashed), paired by seed, with its 95 % interval.",
    )


def convergence(discovery: Any) -> Any:
    """The best area so far over evaluations, Bayesian against random search."""
    searches = {"Bayesian optimization": discovery.evaluations}
    if discovery.random is not None:
        searches["random search"] = discovery.random
    columns: dict[str, list] = {"search": [], "evaluation": [], "best": [], "value": []}
    for name, evaluations in searches.items():
        columns["search"] += [name] * len(evaluations)
        columns["evaluation"] += list(range(1, len(evaluations) + 1))
        columns["best"] += evaluations.best_so_far.tolist()
        columns["value"] += evaluations.values.tolist()
    colors = dict(zip(searches, (BLUE, GRAY), strict=False))
    color = kind_color(colors, "search", symbolType="stroke", symbolOpacity=1.0)
    low, high = min(columns["best"]), float(np.quantile(columns["value"], 0.9))
    scale = alt.Scale(domain=[low - 0.04 * (high - low), high], clamp=True, nice=False, zero=False)
    y = lambda field: alt.Y(f"{field}:Q", title="Loss area (mean over the search's seeds)", scale=scale)
    base = alt.Chart(inline(numbered(columns), "evaluations")).encode(
        x=alt.X("evaluation:Q", title="Evaluation", scale=alt.Scale(nice=False)), color=color
    )
    chart = alt.layer(
        base.mark_point(filled=True, size=16, opacity=0.3, description=ROW_LABEL).encode(y=y("value")),
        base.mark_line(interpolate="step-after", strokeWidth=2.6).encode(y=y("best")),
    ).properties(width=620, height=300)
    return themed(
        chart,
        "How the search converged",
        "Lines: the best so far. Points: each evaluation; those beyond the axis are drawn at its end.",
    )


def surrogate(discovery: Any) -> Any:
    """What the Gaussian process makes of each evaluation from all the others, against what was measured."""
    mean, deviation = discovery.predicted.T
    values = discovery.evaluations.values
    first = np.arange(len(values)) < discovery.configuration.get("initial", 16)
    columns = {
        "measured": values,
        "predicted": mean,
        "low": mean - deviation,
        "high": mean + deviation,
        "phase": ["spread evenly" if one else "chosen by the search" for one in first],
    }
    data = inline(numbered(columns), "predictions")
    ends = [float(min(values.min(), mean.min())), float(max(values.max(), mean.max()))]
    margin = 0.03 * (ends[1] - ends[0])
    scale = alt.Scale(domain=[ends[0] - margin, ends[1] + margin], nice=False, zero=False, clamp=True)
    x = alt.X("measured:Q", title="Measured loss area", scale=scale)
    y = lambda field: alt.Y(f"{field}:Q", title="Predicted from all the others", scale=scale)
    color = kind_color({"spread evenly": "#e69f00", "chosen by the search": BLUE}, "phase", symbolType="circle")
    base = alt.Chart(data).encode(x=x, color=color)
    line = alt.Chart(inline({"measured": ends, "predicted": ends})).mark_line(color=GRAY, strokeDash=[6, 4])
    chart = alt.layer(
        line.encode(x=x, y=y("predicted")),
        base.mark_rule(opacity=0.35).encode(y=y("low"), y2="high:Q"),
        base.mark_point(filled=True, size=34, opacity=0.9, description=ROW_LABEL).encode(y=y("predicted")),
    ).properties(width=420, height=420)
    share = float(np.mean(np.abs(values - mean) <= 2.0 * deviation))
    return themed(
        chart,
        "How well the Gaussian process knows the objective",
        f"Each evaluation predicted from all the others, ± one standard deviation; {share:.0%} lie within two.",
    )


def page(discovery: Any, drawn: Mapping[str, Drawing]) -> str:
    """The report as one HTML page that opens from disk: findings, table, drawings by name, configuration."""
    table = discovery.table()
    rules, colors = list(dict.fromkeys(row["rule"] for row in table)), _colors(discovery)
    about, *said = findings(discovery)
    numbers = list(range(len(rules)))
    return render(
        "discovery.html.jinja",
        title=f"A b-function learned on {discovery.data.name}",
        findings=said,
        about=about,
        rules=rule_filter({rule: colors[rule] for rule in rules}),
        columns=COLUMNS,
        rows=[{"cells": texts, "number": rules.index(row["rule"])} for row, texts in zip(table, cells(table), strict=True)],
        figures=[figure(name, drawing, rules, numbers) for name, drawing in drawn.items()],
        configuration=json.dumps(discovery.configuration, indent=2, ensure_ascii=False, allow_nan=False),
    )


def draw(discovery: Any, folder: Path) -> None:
    """The page as `index.html` and its figures in `figures/`, into `folder`.

    **Raises:** `UserError` where they cannot be written.
    """
    drawn = {name: Drawing(specification(chart)) for name, chart in figures(discovery).items()}
    for name, drawing in drawn.items():
        write_figure(folder / "figures" / name, drawing.svg)
    write_whole(folder / "index.html", page(discovery, drawn).encode("utf-8"))


def _with_interval(value: float, half: float) -> str:
    return f"{value:.4g} ± {half:.2g}" if np.isfinite(value) else "—"


def _difference(value: float, half: float) -> str:
    return f"{value:+.3g} ± {half:.2g}" if np.isfinite(value) else "—"


def _score(row: Mapping[str, Any], key: str, *, signed: bool = False) -> str:
    value, half = row[key], row[f"{key}_interval"]
    if not np.isfinite(value):
        return "—"
    if measure_of(row["score_name"]).percent:
        return f"{100 * value:{'+' if signed else ''}.2f} ± {100 * half:.2f} %"
    return f"{value:{'+' if signed else ''}.4g} ± {half:.2g}"
