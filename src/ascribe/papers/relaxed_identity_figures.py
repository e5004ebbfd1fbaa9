"""Figures of relaxed activation identity: landscapes of several networks, and losses over the steps."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
from scipy.special import expit

from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color, line_chart, panel_title
from ascribe.charts.maps import doubled, picture, square_picture
from ascribe.charts.theme import BLUE, RED, rgb, themed

from .relaxed_identity_runs import EDGE, Found, moons

DECADES = [10.0**power for power in range(-20, 60)]
"""The ticks of logarithmic axes."""
COLORS = {"relaxed objective E": BLUE, "loss of the forward pass": RED}
TITLE = {"fontWeight": 500, "offset": 3}
"""How the titles of panels look here."""
_POINTS = ("#0f3f78", "#8a4200")
_DISAGREEMENT = "#5b3a8e"


def pairs_apart(labels: np.ndarray) -> np.ndarray:
    """The share of pairs of seeds that predict different classes at each point, `(points,)`; its mean is `disagreement`."""
    seeds = len(labels)
    share = np.mean(labels, axis=0)
    return 2.0 * share * (1.0 - share) * seeds / (seeds - 1)


def landscapes(found: Sequence[Found], title: str, *more: str) -> Any:
    """For every row the mean probability over its seeds with the training points, and beside it where seeds disagree."""
    split = moons().train
    names = ["upper", "lower"]
    points = inline({"x1": split.inputs[:, 0], "x2": split.inputs[:, 1], "label": [names[label] for label in split.targets]})
    panels = []
    for one in found:
        known = np.isfinite(one.logits).all(axis=0)
        side = math.isqrt(np.size(known))
        mean = np.where(known, expit(np.where(np.isfinite(one.logits), one.logits, 0.0)).mean(axis=0), np.nan)
        both = np.stack([1.0 - mean, mean], axis=-1).reshape(side, side, 2)
        apart = np.where(known, pairs_apart(one.logits > 0), np.nan).reshape(side, side, 1)
        dots = alt.Chart(points).mark_point(filled=True, size=16, opacity=1.0, stroke="white", strokeWidth=0.5)
        dots = dots.encode(
            x=_axis(alt.X, "x1"),
            y=_axis(alt.Y, "x2"),
            color=kind_color(dict(zip(names, _POINTS, strict=True)), "label", symbolType="circle").title("Training points"),
        )
        large = alt.layer(_image(picture(_finer(both), _POINTS)), dots).properties(width=205, height=205)
        small = _image(_shade(_finer(apart)), labels=False).properties(width=96, height=96)
        small = small.properties(title=panel_title(f"apart: {_percent(one.row['disagreement'])}", **TITLE, fontSize=11))
        score = f"test {_percent(one.row['test'])}" if np.isfinite(one.row["test"]) else "no seed stayed finite"
        title_lines = alt.TitleParams(
            one.setting.name,
            subtitle=f"{one.setting.steps:,} steps, {score}",
            anchor="start",
            fontSize=13,
            subtitleFontSize=12,
            offset=4,
        )
        panels.append(alt.hconcat(large, small, spacing=10).properties(title=title_lines))
    return themed(
        alt.concat(*panels, columns=3, spacing=20),
        title,
        "Large: probability of the lower moon over [−3, 3]², mean of the seeds; blue 0, orange 1, the dark line one half.",
        "Small: where seeds predict different classes, darker for more pairs of seeds, and the share of all pairs and points.",
        " ".join(("Gray: not finite.", *more)),
    )


def _axis(kind: Any, field: str, *, labels: bool = True) -> Any:
    scale = alt.Scale(domain=[-EDGE, EDGE], nice=False)
    axis = alt.Axis(values=[-3, 0, 3], grid=False, domain=False, labels=labels, ticks=labels, format="d")
    return kind(f"{field}:Q", title=None, scale=scale, axis=axis)


def _image(colored: np.ndarray, *, labels: bool = True) -> Any:
    x, y = (_axis(kind, field, labels=labels) for kind, field in ((alt.X, "x"), (alt.Y, "y")))
    return square_picture(colored, -EDGE, EDGE, x, y)


def _finer(field: np.ndarray) -> np.ndarray:
    """Three points between every two."""
    return doubled(doubled(field))


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _shade(shares: np.ndarray) -> np.ndarray:
    """Shares (height, width, 1), 0 to the most there can be, as RGB: white to violet; gray where they are unknown."""
    known = np.isfinite(shares)
    full = np.clip(np.where(known, shares, 0.0) / 0.6, 0.0, 1.0)
    ground = rgb("#f1f1f3")
    return np.where(known, np.round(ground + full * (rgb(_DISAGREEMENT) - ground)), 150.0).astype(np.uint8)


def curves(found: Sequence[Found]) -> Any:
    """E, and the loss of the plain forward pass on the same points, over the steps of every seed."""
    panels = []
    names = dict(zip(COLORS, ("train_loss", "validation_loss"), strict=True))
    ends = [one.runs.curves[name][one.runs.curves[name] > 0] for one in found for name in names.values()]
    domain = [10.0 ** np.floor(np.log10(min(map(np.min, ends)))), 10.0 ** np.ceil(np.log10(max(map(np.max, ends))))]
    for one in found:
        steps = one.setting.steps
        shown = np.unique(np.round(np.geomspace(1, steps, 160)).astype(int)) - 1
        columns: dict[str, list] = {"step": [], "value": [], "kind": [], "seed": []}
        for kind, name in names.items():
            for seed, series in enumerate(one.runs.curves[name]):
                columns["step"] += list(shown + 1)
                columns["value"] += [value if value > 0 else None for value in series[shown]]
                columns["kind"] += [kind] * len(shown)
                columns["seed"] += [f"seed {seed}"] * len(shown)
        log = alt.Scale(type="log", nice=False)
        x = alt.X("step:Q", title="Step", scale=log, axis=alt.Axis(format="d", values=DECADES[20:]))
        scale = alt.Scale(type="log", domain=domain, nice=False)
        y = alt.Y("value:Q", title="Loss", scale=scale, axis=alt.Axis(format="~e", values=DECADES))
        lines = line_chart(columns, COLORS, x, y, strokeWidth=1.4, opacity=0.75).encode(detail="seed:N")
        panels.append(lines.properties(width=400, height=260, title=panel_title(one.setting.name, **TITLE, fontSize=14)))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "A low objective is not the network's loss",
        "What RAI minimizes, and what the plain forward pass is worth on the same training points, before consolidation.",
    )
