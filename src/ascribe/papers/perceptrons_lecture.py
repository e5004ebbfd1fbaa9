"""What can be redone of "Solving Deeper Multilayer Perceptrons" (lecture of January 24, 2020).

Its plots are pictures without numbers, so the checks are of its equations and of its truth tables; the data are ours.

How it is read, and where it slips: docs/documents/lecture.md.
"""

import time
from collections.abc import Sequence
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from sklearn.linear_model import Perceptron

from ascribe import losses, networks, rules
from ascribe.autodiff import by_hand
from ascribe.charts.inline import inline
from ascribe.charts.png import data_uri
from ascribe.charts.theme import GRAY, INK, diverging, themed
from ascribe.networks import Network
from ascribe.rules import Backpropagation, Batch, Credit

from .base import Check, Listener, Result, at_most, same

TWO_CLASSES = ("#0f3f78", "#8a4200")
LOW, HIGH = -0.3, 1.3
WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)
DECADES = [10.0**power for power in range(-12, 6)]
"""The ticks of logarithmic axes."""
TOLERANCE = 1e-6
RATE, MOST_STEPS = 4.0, 20_000


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
            same(
                f"{what}: it is 1 with ≥, for u + v − 1 at 01, exactly on the line", 1, int(_outputs(edge, [[0, 1]])[0])
            )
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
    rows = {"z": list(z) * 2, "y": [], "kind": []}
    for name, function in names.items():
        rows["y"] += np.asarray(networks.ACTIVATIONS[function].function(jnp.asarray(z))).tolist()
        rows["kind"] += [name] * len(z)
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=list(names), range=[INK, "#009e73"]),
        legend=alt.Legend(orient="bottom"),
    )
    line = alt.Chart(inline(rows)).mark_line(strokeWidth=2.4, interpolate="step-after")
    chart = line.encode(
        x=alt.X("z:Q", title="z = w · x + b", axis=alt.Axis(tickCount=5)),
        y=alt.Y("y:Q", title="σ(z)", axis=alt.Axis(tickCount=5), scale=alt.Scale(domain=[-1.1, 1.1], nice=False)),
        color=color,
        strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(domain=list(names), range=[[1, 0], [7, 4]]), legend=None),
    )
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
    corners = {"x": LOW, "x2": HIGH, "y": LOW, "y2": HIGH, "url": data_uri(picture)}

    def axis(kind: Any, field: str, title: str, shown: bool) -> Any:
        scale = alt.Scale(domain=[LOW, HIGH], nice=False, zero=False)
        return kind(
            f"{field}:Q",
            title=title if shown else None,
            scale=scale,
            axis=alt.Axis(values=[0, 1], grid=False, domain=False, labels=shown, ticks=shown, format="d"),
        )

    image = alt.Chart(alt.Data(values=[corners])).mark_image(aspect=False)
    image = image.encode(
        x=axis(alt.X, "x", "u", True), x2="x2:Q", y=axis(alt.Y, "y", "v", first), y2="y2:Q", url="url:N"
    )
    table = inline({"u": pairs[:, 0], "v": pairs[:, 1], "answer": [str(label) for label in labels]})
    points = alt.Chart(table).encode(x=axis(alt.X, "u", "u", True), y=axis(alt.Y, "v", "v", first))
    dots = points.mark_point(filled=True, size=330, opacity=1.0, stroke="white", strokeWidth=1.5).encode(
        color=alt.Color("answer:N", scale=alt.Scale(domain=["0", "1"], range=list(TWO_CLASSES)), legend=None)
    )
    texts = points.mark_text(color="white", fontSize=12, fontWeight=600).encode(text="answer:N")
    title = alt.TitleParams(name, anchor="middle", fontSize=14, offset=6)
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
    apart = float(np.max(np.abs(weights - np.array([*theirs.coef_[0], *theirs.intercept_]))))
    adrift = float(np.max(np.abs(weights - rows[found.mistakes].sum(axis=0))))
    checks = (
        same("2. while some y (w · x) ≤ 0: points on the wrong side at the end", 0, int(np.sum(rows @ weights <= 0))),
        same(
            "f(x) = σ(w · x + b), ±1: answers that are not the label", 0, int(np.sum(found.predict(inputs) != labels))
        ),
        same(
            "the answers that there are",
            "−1, 1",
            ", ".join(str(y) for y in np.unique(found.predict(inputs))).replace("-", "−"),
        ),
        at_most("1., 2. start at w = 0, add y x at every step: distance of w to that sum", 1e-9, adrift),
        at_most("steps taken, of (R/γ)² that no order of the points exceeds (Novikoff)", bound, totals[-1]),
        at_most("distance of w and b to those of scikit-learn's Perceptron, same order", 1e-9, apart),
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
        return kind(
            f"{field}:Q", title=title, scale=alt.Scale(domain=[-1.1, 1.1], nice=False), axis=alt.Axis(tickCount=5)
        )

    x, y = axis(alt.X, "x1", "x1"), axis(alt.Y, "x2", "x2")
    dots = alt.Chart(inline({"x1": inputs[:, 0], "x2": inputs[:, 1], "label": names})).mark_point(
        filled=True, size=42, opacity=0.85
    )
    color = alt.Color(
        "label:N",
        title=None,
        scale=alt.Scale(domain=["y = −1", "y = +1"], range=list(TWO_CLASSES)),
        legend=alt.Legend(orient="bottom", direction="horizontal"),
    )
    border = alt.Chart(line).mark_line(color=INK, strokeWidth=2.5, clip=True).encode(x=x, y=y)
    title = alt.TitleParams("The points and w · x + b = 0", anchor="middle", fontSize=13)
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
        axis=alt.Axis(values=DECADES[12:], format="d"),
    )
    base = alt.Chart(inline({"passes": list(range(1, passes + 1)), "steps": totals})).encode(x=x, y=y)
    limit = alt.Chart(alt.Data(values=[{"steps": bound, "passes": 1, "text": f"at most (R/γ)² = {bound:.0f}"}]))
    line = base.mark_line(color="#0072b2", strokeWidth=2.4)
    layers = alt.layer(
        line,
        base.mark_point(filled=True, size=50, color="#0072b2", opacity=1.0),
        limit.mark_rule(color=GRAY, strokeDash=[5, 4], strokeWidth=2).encode(y=y),
        limit.mark_text(align="left", dx=8, dy=-12, fontSize=13, color=GRAY).encode(x=x, y=y, text="text:N"),
    )
    title = alt.TitleParams("Steps, and the most that there can be", anchor="middle", fontSize=13)
    return layers.properties(width=400, height=340, title=title)


def vectorization(listener: Listener) -> Result:
    """a_j = σ(Σ_k w_jk a_k + b_j) unit by unit, as (1) reads, and as one product: equal, and how much faster."""
    generator = np.random.default_rng(0)
    rows, apart = [], 0.0
    for width in WIDTHS:
        w, b = generator.normal(size=(width, width)) / np.sqrt(width), generator.normal(size=width)
        a = generator.uniform(size=width)
        # As lists, so that the loop is not held up by taking single numbers out of arrays.
        plain = w.tolist(), b.tolist(), a.tolist()
        loop, product = _unit_by_unit(*plain), _at_once(w, b, a)
        ours = [of([w.T], [b], a, "logistic") for of in (by_hand.forward_by_unit, by_hand.forward)]
        apart = max(apart, *(float(np.max(np.abs(np.array(one) - product))) for one in (loop, *ours)))
        slow, fast = _seconds(_unit_by_unit, *plain), _seconds(_at_once, w, b, a)
        rows.append({"width": width, "loop_seconds": slow, "product_seconds": fast})
    times = rows[-1]["loop_seconds"] / rows[-1]["product_seconds"]
    checks = (
        at_most(
            "largest difference between the two, and from those of ascribe.autodiff, over all widths (float64)",
            1e-12,
            apart,
        ),
        Check(f"times faster, {WIDTHS[-1]} units a layer", "faster", f"{times:.0f} ×", times > 1.0),
    )
    figure = themed(
        _times(rows),
        "Vectorization",
        "One layer, a = σ(W a + b), of as many units as inputs: the best of several runs in Python and NumPy.",
    )
    return Result(checks, {"times": figure}, {"times": rows})


def _unit_by_unit(w: list[list[float]], b: list[float], a: list[float]) -> list[float]:
    activations = []
    for j in range(len(b)):
        z = b[j]
        for k in range(len(a)):
            z += w[j][k] * a[k]
        activations.append(1.0 / (1.0 + float(np.exp(-z))))
    return activations


def _at_once(w: np.ndarray, b: np.ndarray, a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-(w @ a + b)))


def _seconds(function: Any, *arguments: Any) -> float:
    """The least of some times of one call; short calls are repeated until they fill a millisecond."""
    began = time.perf_counter()
    function(*arguments)
    count = max(1, int(1e-3 / max(time.perf_counter() - began, 1e-7)))
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            function(*arguments)
        best = min(best, (time.perf_counter() - began) / count)
    return best


def _times(rows: Sequence[dict[str, Any]]) -> Any:
    kinds = {"loop_seconds": "unit by unit, (1)", "product_seconds": "at once, σ(W a + b)"}
    columns: dict[str, list] = {"width": [], "milliseconds": [], "kind": []}
    for kind, name in kinds.items():
        columns["width"] += [row["width"] for row in rows]
        columns["milliseconds"] += [1000.0 * row[kind] for row in rows]
        columns["kind"] += [name] * len(rows)
    base = alt.Chart(inline(columns)).encode(
        x=alt.X(
            "width:Q",
            title="Units of the layer",
            scale=alt.Scale(type="log", base=2, nice=False),
            axis=alt.Axis(values=WIDTHS),
        ),
        y=alt.Y(
            "milliseconds:Q", title="Time (ms)", scale=alt.Scale(type="log"), axis=alt.Axis(format="~g", values=DECADES)
        ),
        color=alt.Color(
            "kind:N",
            title=None,
            scale=alt.Scale(domain=list(kinds.values()), range=["#d55e00", "#0072b2"]),
            legend=alt.Legend(orient="bottom", symbolType="stroke"),
        ),
    )
    return alt.layer(base.mark_line(strokeWidth=2.4), base.mark_point(filled=True, size=55, opacity=1.0)).properties(
        width=520, height=320
    )


def quadratic_backpropagation(listener: Listener) -> Result:
    """The derivatives (7)–(15), sum by sum, and (18)–(21), against the rule; and gradient descent (3) until convergence."""
    with jax.enable_x64(True):
        two, general = _two_layers(), _general()
        losses_seen, norms = _descend()
    steps = len(losses_seen) - 1
    rises = int(np.sum(np.diff(losses_seen) > 0))
    checks = (
        at_most("(11): ∂J/∂w of layer 2, sum by sum, to the rule's (float64)", 1e-12, two["upper"]),
        at_most("(12)–(15): ∂J/∂w of layer 1, sum by sum, to the rule's", 1e-12, two["lower"]),
        Check(
            "(10), (11) as printed, with a_k for a_j: largest distance to the rule's",
            "not 0 (a slip)",
            two["as_printed"],
            two["as_printed"] > 1e-3,
        ),
        at_most("(18)–(20): ∂J/∂w of all of 4 layers to the rule's", 1e-12, general["weights"]),
        at_most("(18), (19), (21): ∂J/∂b of all of 4 layers to the rule's", 1e-12, general["biases"]),
        at_most("the rule's gradient to jax.grad of (6)", 1e-12, general["autodiff"]),
        at_most(f"(3) until convergence: norm of the gradient after {steps:,} steps", TOLERANCE, float(norms[-1])),
        same("steps on which J rises", 0, rises),
    )
    figure = themed(
        alt.concat(_falling(losses_seen, "Cost J (6)"), _falling(norms, "Norm of ∂J/∂w", TOLERANCE), spacing=36),
        "Gradient descent until convergence",
        f"Sigmoid network 2-3-1 on xor with targets 0.1 and 0.9, η = {RATE:g}; it stops where the gradient's norm is "
        f"below {TOLERANCE:g}.",
    )
    return Result(checks, {"descent": figure})


def _sigmoid_network(sizes: Sequence[int], seed: int) -> Network:
    """Sigmoids in every layer, with random biases too, so that nothing vanishes by accident."""
    network = networks.mlp(sizes, activation="logistic", output_activation="logistic", initializer="zeros")
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.7 * generator.normal(size=leaf.shape)), network)


@eqx.filter_jit
def _gradient(network: Network, inputs: Any, targets: Any) -> Credit:
    """The rule's credit for J of (6), on the tape."""
    batch = Batch(inputs, targets, losses.SQUARED_ERROR)
    return Backpropagation()(network, None, batch)


def _two_layers() -> dict[str, float]:
    """Largest distances of the sums (7)–(15) for one example to the rule's gradient."""
    network = _sigmoid_network([4, 3, 3], 1)
    x, t = (np.random.default_rng(1).uniform(size=n) for n in (4, 3))
    layers = [network[name] for name in network.synaptic]
    (w1, b1), (w2, b2) = ((np.asarray(layer.weight), np.asarray(layer.bias)) for layer in layers)
    a1 = np.array(_unit_by_unit(w1.tolist(), b1.tolist(), x.tolist()))  # (4)
    a2 = np.array(_unit_by_unit(w2.tolist(), b2.tolist(), a1.tolist()))  # (5)
    inputs, hidden, outputs = len(x), len(a1), len(a2)
    upper, slip, lower = np.zeros_like(w2), np.zeros_like(w2), np.zeros_like(w1)
    for k in range(outputs):
        for j in range(hidden):
            upper[k, j] = -(t[k] - a2[k]) * a2[k] * (1 - a2[k]) * a1[j]  # (8), (9), and (10) with j
            slip[k, j] = -(t[k] - a2[k]) * a2[k] * (1 - a2[k]) * a1[k]  # as (11) is printed
    for j in range(hidden):
        through = sum(-(t[k] - a2[k]) * a2[k] * (1 - a2[k]) * w2[k, j] for k in range(outputs))  # (15)
        for i in range(inputs):
            lower[j, i] = through * a1[j] * (1 - a1[j]) * x[i]  # (12), (13), (14)
    rule = _gradient(network, jnp.asarray(x[None]), jnp.asarray(t[None])).gradients.weights
    first, second = (np.asarray(rule[name]) for name in network.synaptic)
    return {
        "upper": float(np.max(np.abs(upper - second))),
        "lower": float(np.max(np.abs(lower - first))),
        "as_printed": float(np.max(np.abs(slip - second))),
    }


def _general() -> dict[str, float]:
    """Largest distances of (18)–(21), in matrices for one example, to the rule's gradient, and of that to `jax.grad`."""
    network = _sigmoid_network([4, 6, 5, 5, 3], 2)
    x, y = (np.random.default_rng(2).uniform(size=n) for n in (4, 3))
    layers = [network[name] for name in network.synaptic]
    w, b = [np.asarray(layer.weight) for layer in layers], [np.asarray(layer.bias) for layer in layers]
    a = [x]
    for weight, bias in zip(w, b, strict=True):
        a.append(_at_once(weight, bias, a[-1]))
    slopes = [activation * (1 - activation) for activation in a[1:]]
    delta = (a[-1] - y) * slopes[-1]  # (18), with the quadratic cost's a − y
    weights, biases = [], []
    for layer in reversed(range(len(w))):
        weights.insert(0, np.outer(delta, a[layer]))  # (20)
        biases.insert(0, delta)  # (21)
        if layer:
            delta = (w[layer].T @ delta) * slopes[layer - 1]  # (19)
    inputs, targets = jnp.asarray(x[None]), jnp.asarray(y[None])
    rule = _gradient(network, inputs, targets).gradients
    exact = jax.jit(jax.grad(lambda n: jnp.sum((targets - n(inputs)) ** 2) / 2))(network)
    distance = lambda ours, theirs: max(
        float(np.max(np.abs(np.asarray(o) - np.asarray(t)))) for o, t in zip(ours, theirs, strict=True)
    )
    return {
        "weights": distance(weights, rule.weights.values()),
        "biases": distance(biases, [rule[name].bias for name in rule.synaptic]),
        "autodiff": distance(jax.tree.leaves(rule), jax.tree.leaves(exact)),
    }


def _descend() -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent (3) with the rule's gradient until its norm is below the tolerance: J and the norm, a number a step."""
    inputs = jnp.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = jnp.asarray([[0.1], [0.9], [0.9], [0.1]])
    network = _sigmoid_network([2, 3, 1], 0)

    def measure(network: Network) -> tuple[Any, Any, Any]:
        credit = _gradient(network, inputs, targets)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(credit.gradients)))
        return credit.loss, norm, credit.gradients

    def step(state: Any) -> Any:
        count, network, seen, norms = state
        loss, norm, gradients = measure(network)
        moved = jax.tree.map(lambda w, g: w - RATE * g, network, gradients)  # (3)
        return count + 1, moved, seen.at[count].set(loss), norms.at[count].set(norm)

    def unfinished(state: Any) -> Any:
        count, _, _, norms = state
        return (count < MOST_STEPS) & ((count == 0) | (norms[count - 1] > TOLERANCE))

    empty = jnp.full(MOST_STEPS, jnp.nan)
    state = jnp.asarray(0), network, empty, empty
    count, _, seen, norms = jax.jit(lambda state: jax.lax.while_loop(unfinished, step, state))(state)
    return np.asarray(seen)[: int(count)], np.asarray(norms)[: int(count)]


def _falling(values: np.ndarray, title: str, limit: float | None = None) -> Any:
    """A curve over steps, both axes logarithmic, with at most some hundred points."""
    shown = np.unique(np.round(np.geomspace(1, len(values), 300)).astype(int)) - 1
    x = alt.X(
        "step:Q", title="Step", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="d", values=DECADES[12:])
    )
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format="~e", values=DECADES))
    line = alt.Chart(inline({"step": shown + 1, "value": values[shown]})).mark_line(color="#0072b2", strokeWidth=2.4)
    layers = [line.encode(x=x, y=y)]
    if limit is not None:
        layers.append(
            alt.Chart(alt.Data(values=[{"value": limit}])).mark_rule(color=GRAY, strokeDash=[5, 4]).encode(y=y)
        )
    return alt.layer(*layers).properties(width=400, height=300)
