"""A published table of test accuracies, redone: its rules on its network, equally tuned, each number beside the printed one."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import altair as alt

from ascribe import datasets
from ascribe.charts.inline import inline
from ascribe.charts.theme import BLUE, GRAY, themed
from ascribe.experiments.compare import compare
from ascribe.experiments.comparison import Comparison
from ascribe.papers.base import Check, Listener, Result, close
from ascribe.statistics import finished, interval

FROZEN = "frozen"
"""The control whose last layer alone is trained, as a row."""
APART = 2.0
"""Points of test accuracy from which on two printed numbers say which rule is better."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the table: what the paper calls it, the rule's name (or `FROZEN`), its printed test accuracy in percent."""

    label: str
    rule: str
    printed: float


@dataclasses.dataclass(frozen=True)
class Table:
    """What was published and how it is redone.

    `data`: its name; `settings`: of `ascribe.compare`, in the paper's size; `small`: what is smaller by default, and
    `examples`: how many training and test images are left then (None: all). In the paper's size a test accuracy may lie
    `margin` points from the printed one; in the smaller one no accuracy can be the paper's, and it is the distance from the
    first row that may lie `small_margin` points from the printed distance.
    """

    title: str
    data: str
    rows: tuple[Row, ...]
    settings: Mapping[str, Any]
    small: Mapping[str, Any]
    margin: float
    small_margin: float
    examples: tuple[int, int] | None = None


def redo(table: Table, listener: Listener, *, full: bool = False) -> Result:
    """All rows, tuned by validation on equal budgets, and tested on seeds of their own."""
    fewer = None if full or table.examples is None else dict(zip(("samples", "test_samples"), table.examples, strict=True))
    data = datasets.load(table.data, **(fewer or {}))
    settings = {**table.settings, **({} if full else table.small)}
    controls = tuple(row.rule for row in table.rows if row.rule == FROZEN)
    rules = {row.label: row.rule for row in table.rows if row.rule != FROZEN}
    comparison = compare(data, rules=rules, controls=controls, listener=listener, diagnostics=False, **settings)
    rows = [found(row, comparison) for row in table.rows]
    if full:
        checks = [close(f"{row['rule']}: test accuracy (%)", row["printed"], row["here"], table.margin) for row in rows]
    else:
        checks = [distance(row, rows[0], table.small_margin) for row in rows[1:]]
    return Result((*checks, order(rows)), {"accuracies": drawn(table.title, rows)}, {"accuracies": rows})


def distance(row: dict[str, Any], first: dict[str, Any], margin: float) -> Check:
    """By how many points a rule is above the first one, in print and here."""
    printed, here = (row[name] - first[name] for name in ("printed", "here"))
    return close(f"{row['rule']}: points above {first['rule']}", round(printed, 2), here, margin)


def found(row: Row, comparison: Comparison) -> dict[str, Any]:
    """What came out of a row: the mean over the seeds that finished, its 95 % interval, the chosen rate, the seeds lost."""
    runs = comparison.controls[row.rule] if row.rule == FROZEN else comparison.runs[row.label]
    mean, half = interval(100 * finished(runs.test_accuracy, runs.diverged))
    numbers = {"printed": row.printed, "here": float(mean), "interval": float(half)}
    return {"rule": row.label, **numbers, "rate": float(runs.learning_rates[0]), "diverged": int(runs.diverged.sum())}


def order(rows: list[dict[str, Any]]) -> Check:
    """Whether rules that are `APART` in print stand in the same order here."""
    pairs = [
        (one, other) if one["printed"] > other["printed"] else (other, one)
        for one, other in itertools.combinations(rows, 2)
        if abs(one["printed"] - other["printed"]) >= APART
    ]
    turned = [f"{low['rule']} above {high['rule']}" for high, low in pairs if not high["here"] > low["here"]]
    statement = f"rules that are {APART:g} points apart in print stand in that order"
    return Check(statement, f"{len(pairs)} pairs", ", ".join(turned) or f"{len(pairs)} pairs", not turned)


def drawn(title: str, rows: list[dict[str, Any]]) -> Any:
    """The printed number of every row and the one that came out, with its interval."""
    ends = [{"low": row["here"] - row["interval"], "high": row["here"] + row["interval"]} for row in rows]
    both = inline(
        {
            "rule": [row["rule"] for row in rows],
            **{name: [row[name] for row in rows] for name in ("printed", "here")},
            **{name: [one[name] for one in ends] for name in ("low", "high")},
        }
    )
    chart = alt.Chart(both).encode(y=alt.Y("rule:N", sort=[row["rule"] for row in rows], title=None))
    x = lambda name: alt.X(f"{name}:Q", title="Test accuracy (%)", scale=alt.Scale(zero=False))
    layers = (
        chart.mark_rule(color=BLUE, strokeWidth=2).encode(x=x("low"), x2="high:Q"),
        chart.mark_point(filled=True, size=70, color=BLUE, opacity=1).encode(x=x("here")),
        chart.mark_point(shape="diamond", size=90, color=GRAY, strokeWidth=2, opacity=1).encode(x=x("printed")),
    )
    chart = alt.layer(*layers).properties(width=420, height=28 * len(rows))
    return themed(chart, title, "filled: here, with its 95 % interval; open diamond: printed")
