"""What can be redone of "Solving Deeper Multilayer Perceptrons" (lecture of January 24, 2020): threshold units (2), and the
perceptron algorithm.

Its plots are pictures without numbers, so the checks are of its equations and of its truth tables; the data are ours.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import Perceptron

from ascribe import networks, rules
from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color, line_chart, panel_title, stacked
from ascribe.charts.maps import square_picture
from ascribe.charts.theme import BLUE, GRAY, GREEN, INK, diverging, themed
from ascribe.networks import Network

from .base import Listener, Result, apart, at_most, same

TWO_CLASSES = ("#0f3f78", "#8a4200")
LOW, HIGH = -0.3, 1.3


def threshold_units(listener: Listener) -> Result:
    """The truth tables of equation 2's three units, and of xor by two layers of such units; the threshold in its two forms,
    0 or 1 and, as the lecture goes on with, −1 or +1."""
    units = {
        "or(u, v)": (networks.or_unit(), (1, 1), -0.5, lambda u, v: u or v),
        "and(u, v)": (networks.and_unit(), (1, 1), -1.5, lambda u, v: u and v),
        "not(u)": (networks.not_unit(), (-1,), 0.5, lambda u, v: not u),
        "xor(u, v)": (networks.xor_network(), None, None, lambda u, v: u != v),
    }
    pairs = np.array([(u, v) for u in (0, 1) for v in (0, 1)])
    checks, panels = [], []
    for name, (unit, weights, bias, function) in units.items():
        inputs = pairs if weights is None or len(weights) == 2 else np.array([[0], [1]])
        expected = " ".join(str(int(function(*row, *([0] * (2 - len(row)))))) for row in inputs)
        got = " ".join(str(int(value)) for value in _outputs(unit, inputs))
        if weights is None:
            what = f"{name} by two layers of them (weights ours), of 00, 01, 10, 11"
        else:
            what = f"{name}, of {'00, 01, 10, 11' if len(weights) == 2 else '0, 1'}"
            linear = unit["linear1"]
            found = [float(w) for w in np.asarray(linear.weight)[0]]
            shown = lambda w, b: f"w = {', '.join(f'{x:g}' for x in w)}; b = {b:g}"
            checks.append(same(f"{name}, the unit", shown(weights, bias), shown(found, float(linear.bias[0]))))
        checks.append(same(what, expected, got))
        panels.append(_map(name, unit, [int(function(u, v)) for u, v in pairs], pairs, first=not panels))
    for name, bias in (("or(u, v)", -0.5), ("and(u, v)", -1.5)):
        signed = networks.threshold_unit([1, 1], bias, signed=True)
        expected = " ".join(f"{2 * int(units[name][3](*row)) - 1:+d}" for row in pairs.tolist())
        got = " ".join(f"{int(value):+d}" for value in _outputs(signed, pairs))
        checks.append(same(f"{name} with the responses ±1, of 00, 01, 10, 11", expected, got))
    for what, signed in (("0 or 1", False), ("−1 or +1", True)):
        edge = networks.threshold_unit([1, 1], -1, signed=signed)
        checks.append(
            same(f"{what}: it is 1 with ≥, for u + v − 1 at 01, exactly on the line", 1, int(_outputs(edge, [[0, 1]])[0]))
        )
    figure = themed(
        alt.concat(*panels, columns=4, spacing=24),
        "Boolean functions by threshold units",
        "Orange: the unit answers 1. Dots: the truth table. not(u) does not look at v; xor takes two layers of units.",
    )
    return Result(tuple(checks), {"decision_maps": figure, "thresholds": _thresholds()})


def _thresholds() -> Any:
    """σ of (2) and σ with the responses ±1, over z."""
    z = np.linspace(-2.0, 2.0, 401)
    names = {"0 or 1, (2)": "threshold", "−1 or +1": "sign"}
    values = {name: np.asarray(networks.ACTIVATIONS[of].function(jnp.asarray(z))) for name, of in names.items()}
    x = alt.X("x:Q", title="z = w · x + b", axis=alt.Axis(tickCount=5))
    y = alt.Y("y:Q", title="σ(z)", axis=alt.Axis(tickCount=5), scale=alt.Scale(domain=[-1.1, 1.1], nice=False))
    colors = dict(zip(names, (INK, GREEN), strict=True))
    dashes = alt.Scale(domain=list(names), range=[[1, 0], [7, 4]])
    lines = line_chart(stacked(z, values), colors, x, y, strokeWidth=2.4, interpolate="step-after")
    chart = lines.encode(strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=None))
    return themed(chart.properties(width=380, height=220), "The threshold, two versions", "Both are 1 at z = 0.")


def _outputs(network: Network, inputs: Any) -> np.ndarray:
    """The network's one output of every row, (rows,)."""
    return np.asarray(network(jnp.asarray(inputs, float)))[:, 0]


def _map(name: str, unit: Network, labels: Sequence[int], pairs: np.ndarray, *, first: bool) -> Any:
    """One unit's answers over the square, with its truth table on top."""
    places = np.linspace(LOW, HIGH, 158)  # none of them on a border, where rounding would decide
    grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)
    inputs = unit["linear1"].weight.shape[1]
    field = _outputs(unit, grid[:, :inputs]).reshape(len(places), -1)
    picture = np.round(diverging(0.12 + 0.76 * field)).astype(np.uint8)

    def axis(kind: Any, field: str, title: str, shown: bool) -> Any:
        scale = alt.Scale(domain=[LOW, HIGH], nice=False, zero=False)
        return kind(
            f"{field}:Q",
            title=title if shown else None,
            scale=scale,
            axis=alt.Axis(values=[0, 1], grid=False, domain=False, labels=shown, ticks=shown, format="d"),
        )

    image = square_picture(picture, LOW, HIGH, axis(alt.X, "x", "u", True), axis(alt.Y, "y", "v", first))
    table = inline({"u": pairs[:, 0], "v": pairs[:, 1], "answer": [str(label) for label in labels]})
    points = alt.Chart(table).encode(x=axis(alt.X, "u", "u", True), y=axis(alt.Y, "v", "v", first))
    dots = points.mark_point(filled=True, size=330, opacity=1.0, stroke="white", strokeWidth=1.5).encode(
        color=alt.Color("answer:N", scale=alt.Scale(domain=["0", "1"], range=list(TWO_CLASSES)), legend=None)
    )
    texts = points.mark_text(color="white", fontSize=12, fontWeight=600).encode(text="answer:N")
    title = panel_title(name, fontSize=14, offset=6)
    return alt.layer(image, dots, texts).properties(width=200, height=200, title=title)


def perceptron(listener: Listener) -> Result:
    """The perceptron algorithm on points that a line separates: no mistake at the end, and never more than the bound."""
    inputs, labels = _separable_points()
    found = rules.perceptron_algorithm(inputs, labels)
    totals = []
    for passes in range(1, found.passes + 1):
        totals.append(len(rules.perceptron_algorithm(inputs, labels, passes=passes).mistakes))
    bound = rules.mistake_bound(inputs, labels)
    weights = np.array([*found.weights, found.bias])
    rows = labels[:, None] * np.column_stack([inputs, np.ones(len(inputs))])  # y (x, 1)
    settings: dict[str, Any] = {"shuffle": False, "tol": None, "max_iter": found.passes, "eta0": 1.0}
    theirs: Any = Perceptron(**settings).fit(inputs, labels)
    checks = (
        same("2. while some y (w · x) ≤ 0: points on the wrong side at the end", 0, int(np.sum(rows @ weights <= 0))),
        same("f(x) = σ(w · x + b), ±1: answers that are not the label", 0, int(np.sum(found.predict(inputs) != labels))),
        same(
            "the answers that there are",
            "−1, 1",
            ", ".join(str(y) for y in np.unique(found.predict(inputs))).replace("-", "−"),
        ),
        at_most(
            "1., 2. start at w = 0, add y x at every step: distance of w to that sum",
            1e-9,
            apart(weights, rows[found.mistakes].sum(axis=0)),
        ),
        at_most("steps taken, of (R/γ)² that no order of the points exceeds (Novikoff)", bound, totals[-1]),
        at_most(
            "distance of w and b to those of scikit-learn's Perceptron, same order",
            1e-9,
            apart(weights, [*theirs.coef_[0], *theirs.intercept_]),
        ),
    )
    figure = themed(
        alt.concat(_decision_line(inputs, labels, weights), _mistakes(totals, bound), spacing=40),
        "The perceptron algorithm",
        f"{len(labels)} points, from w = 0, in their order: {totals[-1]} steps in {found.passes} passes. R: length of the "
        "longest (x, 1); γ: the widest margin there is.",
    )
    return Result(checks, {"decision_line": figure})


def _separable_points() -> tuple[np.ndarray, np.ndarray]:
    """Points of the square (points, 2) and their labels -1 and 1; none is near the line between the classes."""
    generator = np.random.default_rng(5)  # of those tried, one that takes many passes
    points = generator.uniform(-1.0, 1.0, (120, 2))
    distance = points @ np.array([0.8, 0.6]) - 0.25
    kept = np.abs(distance) > 0.06
    return points[kept], np.where(distance[kept] > 0, 1, -1)


def _decision_line(inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> Any:
    ends = np.array([-1.1, 1.1])
    line = inline({"x1": ends, "x2": -(weights[0] * ends + weights[2]) / weights[1]})
    names = ["y = +1" if label > 0 else "y = −1" for label in labels]

    def axis(kind: Any, field: str, title: str) -> Any:
        return kind(f"{field}:Q", title=title, scale=alt.Scale(domain=[-1.1, 1.1], nice=False), axis=alt.Axis(tickCount=5))

    x, y = axis(alt.X, "x1", "x1"), axis(alt.Y, "x2", "x2")
    dots = alt.Chart(inline({"x1": inputs[:, 0], "x2": inputs[:, 1], "label": names})).mark_point(
        filled=True, size=42, opacity=0.85
    )
    color = kind_color(dict(zip(("y = −1", "y = +1"), TWO_CLASSES, strict=True)), "label", direction="horizontal")
    border = alt.Chart(line).mark_line(color=INK, strokeWidth=2.5, clip=True).encode(x=x, y=y)
    title = panel_title("The points and w · x + b = 0")
    return alt.layer(dots.encode(x=x, y=y, color=color), border).properties(width=340, height=340, title=title)


def _mistakes(totals: Sequence[int], bound: float) -> Any:
    passes = len(totals)
    x = alt.X(
        "passes:Q",
        title="Passes over the points",
        scale=alt.Scale(domain=[1, passes], nice=False),
        axis=alt.Axis(values=list(range(1, passes + 1, 1 + passes // 10)), format="d"),
    )
    y = alt.Y(
        "steps:Q",
        title="Steps taken so far",
        scale=alt.Scale(type="log", domain=[1, 2.0 * bound], nice=False),
        axis=alt.Axis(values=[10.0**power for power in range(6)], format="d"),
    )
    base = alt.Chart(inline({"passes": list(range(1, passes + 1)), "steps": totals})).encode(x=x, y=y)
    limit = alt.Chart(alt.Data(values=[{"steps": bound, "passes": 1, "text": f"at most (R/γ)² = {bound:.0f}"}]))
    line = base.mark_line(color=BLUE, strokeWidth=2.4)
    layers = alt.layer(
        line,
        base.mark_point(filled=True, size=50, color=BLUE, opacity=1.0),
        limit.mark_rule(color=GRAY, strokeDash=[5, 4], strokeWidth=2).encode(y=y),
        limit.mark_text(align="left", dx=8, dy=-12, fontSize=13, color=GRAY).encode(x=x, y=y, text="text:N"),
    )
    title = panel_title("Steps, and the most that there can be")
    return layers.properties(width=400, height=340, title=title)
