"""What can be redone of "Binary Classifier Forward-Pass Optimization" (Lerman 2021).

The document states a rule with options, one bound, and what the options are for, and no results; so the checks are of the
bound, of what each option does, and of our reading of how they go together. Data and networks are ours.
"""

from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import datasets, networks
from ascribe.charts.inline import inline
from ascribe.charts.lines import panel_title
from ascribe.charts.theme import BLUE, GRAY, RED, themed
from ascribe.experiments.compare import compare
from ascribe.experiments.comparison import Comparison
from ascribe.rules import AbstractRule, ForwardPass, get
from ascribe.statistics import finished, interval

from .base import Check, Listener, Result, at_least
from .forward_pass_steps import SCALINGS, bare, ratios_of, regions

RULE_2 = {"rule 2": "all", "rule 2.1": "positive", "rule 2.2": "none"}
PAIRS = {"both": (True, True), "neither": (False, False), "(8) alone": (True, False), "(13) alone": (False, True)}
COLORS = (RED, BLUE, "#6b7280", "#b9bec6")
DATA: dict[str, dict[str, Any]] = {"gaussians": {"samples": 2000}, "moons": {"samples": 2000}}
SETTINGS: dict[str, Any] = {"seeds": 8, "epochs": 50, "tune": 5, "tune_seeds": 3, "diagnostics": False, "controls": ()}
SETTINGS |= {"search": {"learning_rate": (1e-4, 1e-1)}}
PUBLISHED = {
    "as published": "forward-pass-as-published",
    "as published, (10)": "forward-pass-as-published:error_scaled=yes",
}
"""The whole rule as the document states it, and with the rate that follows the error; ours is rule 2.1 with both of (8) and
(13)."""


def forward_pass(listener: Listener) -> Result:
    """All variants of rule 2 with (8) and (13) on and off, on two data sets; and the trust region, exact and measured."""
    found = {name: variants(name, listener) for name in DATA}
    rows = [row for name, comparison in found.items() for row in table(name, comparison)]
    pairs, whole = ([row for row in rows if (row["rule"] == "whole") == kind] for kind in (False, True))
    exact, measured = exact_ratios(), measured_ratios()
    checks = (*learning_checks(pairs), *published_checks(whole), *ratio_checks(exact))
    figures = {"combinations": combinations(pairs), "trust_region": trust_region(measured)}
    return Result(checks, figures, {"combinations": rows, "trust_region": measured})


def variants(name: str, listener: Listener) -> Comparison:
    """The twelve combinations on one data set, and the rule as published, all equally tuned."""
    rules: dict[str, AbstractRule] = {
        f"{rule}; {pair}": ForwardPass(inactive=inactive, flip_label=flip_label, natural=natural)
        for rule, inactive in RULE_2.items()
        for pair, (flip_label, natural) in PAIRS.items()
    }
    rules |= {f"whole; {label}": get(name) for label, name in PUBLISHED.items()}
    return compare(datasets.load(name, **DATA[name]), rules=rules, listener=listener, **SETTINGS)


def table(name: str, comparison: Comparison) -> list[dict[str, Any]]:
    """One row a combination: mean test accuracy with its 95 % interval, and the rate that tuning chose."""
    rows = []
    for label, runs in comparison.runs.items():
        rule, _, pair = label.partition("; ")
        mean, half = interval(finished(runs.scores["test_accuracy"], runs.diverged))
        row = {"data": name, "rule": rule, "pair": pair, "accuracy": float(mean), "interval": float(half)}
        rows.append(row | {"learning_rate": float(runs.learning_rates[0]), "diverged": int(runs.diverged.sum())})
    return rows


def learning_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Both of (8) and (13) learn, and so does neither; exactly one of them stays far behind, with any rule 2. A combination
    that always diverges (NaN) fails: NumPy's least and largest are NaN then, which Python's need not be."""
    checks = []
    for name in DATA:
        found = {(row["rule"], row["pair"]): row["accuracy"] for row in rows if row["data"] == name}
        both = {rule: found[rule, "both"] for rule in RULE_2}
        alone = {rule: np.max([found[rule, "(8) alone"], found[rule, "(13) alone"]]) for rule in RULE_2}
        least = 0.9 if name == "gaussians" else 0.8
        checks += [
            _at_least(f"{name}: accuracy with (8) and (13), least over the rules 2", least, np.min(list(both.values()))),
            _at_least(
                f"{name}: what is lost with exactly one of them, least over the rules 2",
                0.1,
                np.min([both[rule] - alone[rule] for rule in RULE_2]),
            ),
            _at_least(f"{name}: accuracy with neither, rule 2", 0.75, found["rule 2", "neither"]),
        ]
    return checks


def published_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """The whole rule as the document states it learns where a line is enough."""
    found = {(row["data"], row["pair"]): row["accuracy"] for row in rows}
    return [
        _at_least("gaussians: accuracy of the rule as published", 0.85, found["gaussians", "as published"]),
        _at_least("gaussians: the same with (10)", 0.85, found["gaussians", "as published, (10)"]),
    ]


def _at_least(statement: str, limit: float, got: float) -> Check:
    return at_least(statement, "our reading", limit, got, 3)


def exact_ratios() -> list[tuple[float, int, int, float]]:
    """λ, L, y and F_new/F_old for non-negative weights, one example, SGD at rate 1, (13) off: the case where it is exact."""
    found = []
    with jax.enable_x64(True):
        for scaling, layers, label in ((0.1, 2, 1), (0.1, 4, 1), (0.1, 4, 0), (0.5, 3, 1)):
            network = jax.tree.map(jnp.abs, networks.mlp([3, *[8] * (layers - 1), 1], bias=False, key=jr.key(0)))
            rule = bare(scaling, natural=False)
            found.append((scaling, layers, label, float(ratios_of(rule, network, np.ones((1, 3)), [label])[0])))
    return found


def ratio_checks(exact: list[tuple[float, int, int, float]]) -> list[Check]:
    """The ends of the document's interval, reached."""
    checks = []
    for scaling, layers, label, ratio in exact:
        expected = (1 + scaling if label else 1 - scaling) ** layers
        what = f"(1 {'+' if label else '−'} λ)^L, λ = {scaling:g}, L = {layers}, y = {label}"
        checks.append(
            Check(f"the trust region's end {what}", f"{expected:.9f}", f"{ratio:.9f}", bool(abs(ratio - expected) < 1e-9))
        )
    return checks


def measured_ratios() -> list[dict[str, Any]]:
    """F_new(x)/F_old(x) of 400 examples x, each after one step of SGD at rate 1 on x alone, from He's initial weights of
    three layers: percentiles for (13) on and off and several λ, beside the document's interval."""
    data = datasets.load("gaussians", samples=2000).encode("split-signs", "constant-one")
    network = networks.mlp([data.features, 64, 64, 1], bias=False, key=jr.key(0))
    rows = []
    for natural in (True, False):
        for scaling in SCALINGS:
            rule = bare(scaling, natural=natural)
            ratios = ratios_of(rule, network, data.train.inputs[:400], data.train.targets[:400])
            low, high = (1 - scaling) ** 3, (1 + scaling) ** 3
            levels = {f"p{level:02}": float(np.percentile(ratios, level)) for level in (5, 25, 50, 75, 95)}
            inside = float(np.mean((ratios >= low - 1e-6) & (ratios <= high + 1e-6)))
            rows.append({"natural": natural, "scaling": scaling, **levels, "low": low, "high": high, "inside": inside})
    return rows


def combinations(rows: list[dict[str, Any]]) -> Any:
    """Test accuracy of every combination with its interval."""
    columns = {key: [row[key] for row in rows] for key in ("data", "rule", "pair", "accuracy")}
    columns["low"] = [max(row["accuracy"] - row["interval"], 0.0) for row in rows]
    columns["high"] = [min(row["accuracy"] + row["interval"], 1.0) for row in rows]
    panels = []
    for name in DATA:
        chosen = [i for i, row in enumerate(rows) if row["data"] == name]
        data = inline({key: [values[i] for i in chosen] for key, values in columns.items()})
        x = lambda field: alt.X(
            f"{field}:Q",
            title="Test accuracy",
            scale=alt.Scale(domain=[0.4, 1.0]),
            axis=alt.Axis(format="~%", tickCount=6),
        )
        base = alt.Chart(data).encode(
            y=alt.Y("rule:N", title=None, sort=list(RULE_2)),
            yOffset=alt.YOffset("pair:N", sort=list(PAIRS)),
            color=alt.Color(
                "pair:N",
                sort=list(PAIRS),
                scale=alt.Scale(domain=list(PAIRS), range=list(COLORS)),
                legend=alt.Legend(title="Of (8) and (13)", orient="bottom", symbolType="circle"),
            ),
        )
        chance = alt.Chart(alt.Data(values=[{"x": 0.5}])).mark_rule(color=GRAY, strokeDash=[5, 4]).encode(x=x("x"))
        bars = base.mark_rule(strokeWidth=2).encode(x=x("low"), x2="high:Q")
        dots = base.mark_point(filled=True, size=90, opacity=1.0).encode(x=x("accuracy"))
        title = panel_title(name, fontSize=14, offset=6)
        panels.append(alt.layer(chance, bars, dots).properties(width=400, height=240, title=title))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "Which combinations of the forward-pass rule learn",
        "The label flip (8) and the natural rate (13) belong together; rule 2 in its three variants.",
        f"Mean test accuracy of {SETTINGS['seeds']} seeds with its 95 % interval, every combination tuned alike.",
    )


def trust_region(rows: list[dict[str, Any]]) -> Any:
    """The measured distribution of F_new/F_old against the document's interval."""
    panels = {
        f"(13) {'on' if natural else 'off'}": [row for row in rows if row["natural"] == natural] for natural in (False, True)
    }
    return themed(
        regions(panels, "F after / F before", 4.0),
        "The trust region, measured",
        "Orange: the document's interval from (1 − λ)³ to (1 + λ)³. Blue: the middle half of 400 examples, each after one step",
        "of SGD at rate 1 on it alone, from He's initial weights; black: the 5th to the 95th percentile; white: the median.",
    )
