"""How much each rule depends on its learning rate: the validation score of every candidate that was tried."""

from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.inline import ROW_LABEL, RULE_LABEL, inline, numbered
from ascribe.charts.theme import legend_selection, rule_color, rule_colors, rule_dash, themed
from ascribe.measures import measure_of, title_of
from ascribe.statistics import interval, main_score

from .base import Comparison


def learning_rate_sensitivity(comparison: Comparison) -> Any:
    """Validation score over learning rate (logarithmic), the chosen candidate ringed; None when nothing was tuned."""
    columns: dict[str, list] = {"rule": [], "learning_rate": [], "score": [], "low": [], "high": [], "chosen": []}
    columns |= {"failed": [], "others": []}
    for rule, tuning in ((rule, one) for rule, one in (comparison.tuning or {}).items() if rule in comparison.runs):
        mean, half_width = interval(tuning.scores, axis=1)
        failed = np.count_nonzero(~np.isfinite(tuning.scores), axis=1)
        for index in np.argsort(tuning.learning_rates, kind="stable"):
            rate = float(tuning.learning_rates[index])
            if not (np.isfinite(rate) and rate > 0.0):
                continue
            width = half_width[index] if np.isfinite(half_width[index]) else 0.0
            columns["rule"].append(rule)
            columns["learning_rate"].append(rate)
            columns["score"].append(float(mean[index]))
            columns["low"].append(float(mean[index] - width))
            columns["high"].append(float(mean[index] + width))
            columns["chosen"].append(int(index == tuning.chosen))
            columns["failed"].append(int(failed[index]))
            others = (f"{name} = {values[index]:.3g}" for name, values in tuning.hyperparameters.items())
            columns["others"].append("; ".join(others) or "none")
    scores = np.array(columns["score"])
    if not np.isfinite(scores).any():
        return None
    low, cut = _floor(scores[np.isfinite(scores)], np.array(columns["chosen"])[np.isfinite(scores)] == 1)
    lines = ["The chosen candidate of each rule is ringed; crosses on the floor diverged on every seed."]
    if cut:
        lines.append("Scores far below the rest are drawn at the floor too.")
    return themed(_chart(columns, low, comparison), "Sensitivity to the learning rate", *lines)


def _floor(scores: np.ndarray, chosen: np.ndarray) -> tuple[float, bool]:
    """Where the axis ends below, and whether that cuts scores off: a few runaway candidates must not squash it."""
    best, least, worst = scores.max(), scores.min(), scores[chosen].min() if chosen.any() else scores.max()
    reach = max(best - np.quantile(scores, 0.25), 2.0 * (best - worst))
    low = max(least, best - 4.0 * reach) if reach > 0.0 else least
    margin = 0.06 * (best - low) or 0.05
    return float(low - margin), bool(least < low)


def _chart(columns: dict[str, list], low: float, comparison: Comparison) -> Any:
    drawn = set(columns["rule"])
    colors = {rule: color for rule, color in rule_colors(comparison.runs).items() if rule in drawn}
    selection = legend_selection()
    score = main_score(comparison, "validation")
    percent = measure_of(score).percent
    # Tuning turns its scores so that higher is better: they are no longer those of an error.
    title = title_of(score) if measure_of(score).higher_is_better else "Validation score (higher is better)"
    scale = alt.Scale(domainMin=low, zero=False, nice=False, clamp=True)
    if percent:
        scale.domainMax = 1.0
    rates = np.log10(columns["learning_rate"])
    decades = range(int(np.floor(rates.min())), int(np.ceil(rates.max())) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in ((1.0,) if len(decades) > 4 else (1.0, 3.0))]
    axis = alt.Axis(format="~%" if percent else "~g", tickCount=6)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=title, scale=scale, axis=axis)

    tips = [
        alt.Tooltip("rule:N", title="Rule"),
        alt.Tooltip("learning_rate:Q", title="Learning rate", format=".3~g"),
        alt.Tooltip("score:Q", title=title, format=".2%" if percent else ".4~g"),
        alt.Tooltip("failed:Q", title="Seeds that diverged"),
        alt.Tooltip("others:N", title="Other hyperparameters"),
    ]
    # A candidate that failed on every seed has no score: it is drawn on the floor, as a cross.
    base = alt.Chart(inline(numbered(columns), "candidates"))
    base = base.transform_calculate(drawn=f"isValid(datum.score) ? datum.score : {low!r}").encode(
        x=alt.X(
            "learning_rate:Q",
            title="Learning rate",
            scale=alt.Scale(type="log", nice=False, padding=14),
            axis=alt.Axis(format="~g", values=ticks),
        ),
        color=rule_color(colors),
        opacity=alt.when(selection).then(alt.value(0.9)).otherwise(alt.value(0.05)),
    )
    faint = alt.when(selection).then(alt.value(0.35)).otherwise(alt.value(0.03))
    found, lost = base.transform_filter("isValid(datum.score)"), base.transform_filter("!isValid(datum.score)")
    layers = [
        found.mark_rule(strokeWidth=1.2, clip=True, description=RULE_LABEL).encode(y=y("low"), y2="high:Q", opacity=faint),
        found.mark_point(filled=True, size=45, description=ROW_LABEL).encode(y=y("drawn"), tooltip=tips),
        base.mark_point(shape="circle", size=190, strokeWidth=2.5, filled=False, description=ROW_LABEL)
        .encode(y=y("drawn"), tooltip=tips)
        .transform_filter("datum.chosen == 1"),
        lost.mark_point(shape="cross", angle=45, filled=True, size=55, description=ROW_LABEL).encode(
            y=y("drawn"), tooltip=tips
        ),
    ]
    if not any(tuning.hyperparameters for tuning in (comparison.tuning or {}).values()):
        # With other hyperparameters varied too, neighbors in learning rate are not neighbors, and no line joins them.
        layers.insert(
            0,
            found.mark_line(strokeWidth=1.6, description=RULE_LABEL).encode(y=y("drawn"), strokeDash=rule_dash(colors)),
        )
    return alt.layer(*layers).add_params(selection).properties(width=860, height=320)
