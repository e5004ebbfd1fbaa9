"""What can be redone of "Neural networks" (course notes), chapters 1.5, 2.2, 3.1.1 and 4, with the expression graphs of
`ascribe.autodiff`: it takes NumPy alone."""

from collections.abc import Callable
from typing import Any

import altair as alt
import numpy as np

from ascribe import autodiff as ad
from ascribe.report.contours import contours
from ascribe.report.inline import inline
from ascribe.report.theme import GRAY, INK, many_colors, themed

from .base import Check, Listener, Result, at_most, close, same

SCORES = (0.6, 3.4, -1.2, 0.05)
PRINTED_SOFTMAX = ("0.06", "0.9", "0.009", "0.031")
ROUNDING = 1e-12
STARTS = ((0.38, 0.25), (0.42, 0.82), (0.5, 0.3), (0.56, 0.75), (0.62, 0.22), (0.66, 0.6))
EPSILONS = (0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.0125)
SHOWN = (0.4, 0.1)
LIPSCHITZ = 2 * np.pi + 2.0
XOR_INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR_TARGETS = np.array([[0.0], [1.0], [1.0], [0.0]])


def softmax_and_one_hot(listener: Listener) -> Result:
    """The two examples of section 1.5. The printed values are near, not rounded: the first is 0.0550, the fourth 0.0317."""
    x = ad.Var(SCORES)
    y, hot = ad.softmax(x), ad.one_hot(x)
    checks = []
    for number, (expected, got) in enumerate(zip(PRINTED_SOFTMAX, y.value, strict=True), 1):
        unit = 10.0 ** -len(expected.partition(".")[2])
        passed = bool(abs(got - float(expected)) <= unit)
        checks.append(
            Check(f"softmax{SCORES}, entry {number}, to its last printed digit", expected, f"{got:.4f}", passed)
        )
    checks.append(close("their sum", 1.0, float(ad.sum(y).value), ROUNDING))
    checks.append(same("one-hot of the same", "[0, 1, 0, 0]", str([int(value) for value in hot.value])))
    names = [f"{score:g}" for score in SCORES]
    rows = {"x": names * 2, "value": [*y.value, *hot.value], "kind": ["softmax"] * 4 + ["one-hot"] * 4}
    chart = (
        alt.Chart(inline(rows))
        .mark_bar()
        .encode(
            x=alt.X("x:N", sort=names, title="x", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("kind:N", sort=["softmax", "one-hot"]),
            y=alt.Y("value:Q", title="output"),
            color=alt.Color("kind:N", title=None, scale=alt.Scale(range=["#0072b2", "#d55e00"])),
        )
        .properties(width=380, height=240)
    )
    return Result(tuple(checks), {"softmax": themed(chart, "Softmax and one-hot", "of the four numbers of the notes")})


def expression_graph(listener: Listener) -> Result:
    """f = sin(x) + x·y of section 4.1: evaluated, differentiated, drawn."""
    x, y = ad.Var(2.0, name="x"), ad.Var(3.0, name="y")
    a = ad.sin(x)
    b = x * y
    f = a + b
    a.name, b.name, f.name = "a", "b", "f"
    f.backward()
    checks = [
        close("f.evaluate() at x = 2, y = 3", float(np.sin(2.0) + 6.0), float(f.evaluate()), ROUNDING),
        close("x.grad = cos(x) + y", float(np.cos(2.0) + 3.0), float(x.grad), ROUNDING),
        close("y.grad = x", 2.0, float(y.grad), ROUNDING),
        close("a.grad and b.grad, 1 each: their sum", 2.0, float(a.grad + b.grad), ROUNDING),
    ]
    x.value, y.value = -1.0, 0.5
    checks.append(close("the same graph at x = −1, y = 0.5", float(np.sin(-1.0) - 0.5), float(f.evaluate()), ROUNDING))
    made = [v.creator.operator.name for v in (f, a, b) if v.creator]
    checks.append(same("creators of f, a and b", "add, sin, multiply", ", ".join(made)))
    x.value, y.value = 2.0, 3.0
    f.evaluate()
    return Result(tuple(checks), drawings={"expression_graph": ad.graph(f).svg()})


def chain_rule(listener: Listener) -> Result:
    """f = F(G(H(x))) with H = x², G = sin, F = exp, of section 4.1.2: the derivative at every Var on the way."""
    x = ad.Var(0.7, name="x")
    h = x * x
    g = ad.sin(h)
    f = ad.exp(g)
    f.backward()
    f_slope, g_slope, h_slope = np.exp(np.sin(0.49)), np.cos(0.49), 1.4
    checks = [
        close("f.grad = ∂f/∂f", 1.0, float(f.grad), 0.0),
        close("g.grad = F'(g)", f_slope, float(g.grad), ROUNDING),
        close("h.grad = F'(g) G'(h)", f_slope * g_slope, float(h.grad), ROUNDING),
        close("x.grad = F'(g) G'(h) H'(x)", f_slope * g_slope * h_slope, float(x.grad), ROUNDING),
    ]
    at = np.linspace(-2.0, 2.0, 161)
    points = ad.Var(at)
    curve = ad.exp(ad.sin(points * points))
    ad.sum(curve).backward()
    rows = {"x": [*at, *at], "y": [*curve.value, *points.grad], "kind": ["f"] * len(at) + ["∂f/∂x"] * len(at)}
    chart = _lines(
        rows, "exp(sin(x²)) and its derivative", "both read off one graph, at 161 numbers at once", ["f", "∂f/∂x"]
    )
    return Result(tuple(checks), {"chain": chart})


def matrix_gradients(listener: Listener) -> Result:
    """Section 4.2.3: for a scalar L of y = A + B and of y = A·B, with s = ∇_y L: s, s; s·Bᵀ, Aᵀ·s."""
    draw = np.random.default_rng(0).standard_normal
    checks = []
    a, b, s = ad.Var(draw((3, 4))), ad.Var(draw((3, 4))), draw((3, 4))
    ad.sum((a + b) * s).backward()
    checks += [_equal("∇_A L of A + B is s", s, a.grad), _equal("∇_B L of A + B is s", s, b.grad)]
    a, b, s = ad.Var(draw((3, 4))), ad.Var(draw((4, 2))), draw((3, 2))
    ad.sum((a @ b) * s).backward()
    checks += [
        _equal("∇_A L of A·B is s·Bᵀ", s @ b.value.T, a.grad),
        _equal("∇_B L of A·B is Aᵀ·s", a.value.T @ s, b.grad),
    ]
    checked = ad.check_gradients(lambda a, b: a @ b + ad.sum(a), a.value, b.value)
    checks.append(
        at_most("largest error against central differences, first and second order", 1e-6, max(checked.errors))
    )
    cells = {"row": [], "column": [], "value": [], "name": []}
    for name, matrix in (("by A: s times B transposed", a.grad), ("by B: A transposed times s", b.grad)):
        for (row, column), value in np.ndenumerate(matrix):
            for key, cell in zip(cells, (str(row + 1), str(column + 1), value, name), strict=True):
                cells[key].append(cell)
    limit = float(np.max(np.abs(cells["value"])))
    color = alt.Color("value:Q", title=None, scale=alt.Scale(scheme="blueorange", domain=[-1.6 * limit, 1.6 * limit]))
    place = alt.Chart().encode(
        x=alt.X("column:N", title="column", axis=alt.Axis(labelAngle=0)), y=alt.Y("row:N", title="row")
    )
    chart = (
        alt.layer(
            place.mark_rect().encode(color=color),
            place.mark_text(fontSize=12, color=INK).encode(text=alt.Text("value:Q", format=".2f")),
            data=inline(cells),
        )
        .properties(width=200, height=150)
        .facet(
            column=alt.Column("name:N", title=None, sort=["by A: s times B transposed", "by B: A transposed times s"])
        )
        .resolve_scale(x="independent", y="independent")
    )
    return Result(
        tuple(checks), {"matrices": themed(chart, "The gradients of a matrix product", "Each in its operand's shape.")}
    )


def gradient_ascent(listener: Listener) -> Result:
    """Section 3.1.1: uphill and downhill on the surface whose picture the notes show, the (2, 1) wave sin(2πa) sin(πb), until
    convergence. Its maximum is 1 at (1/4, 1/2), its minimum −1 at (3/4, 1/2)."""
    a, b = ad.Var(0.0, name="a"), ad.Var(0.0, name="b")
    surface = ad.sin(2 * np.pi * a) * ad.sin(np.pi * b)
    checks, rows = [], {"a": [], "b": [], "path": [], "step": [], "kind": []}
    for maximize, kind, top in ((True, "ascent", 0.25), (False, "descent", 0.75)):
        for number, start in enumerate(STARTS):
            a.value, b.value = start
            path = ad.minimize(surface, [a, b], ad.GradientDescent(0.02), tolerance=1e-8, maximize=maximize)
            heights = np.array([np.sin(2 * np.pi * x) * np.sin(np.pi * y) for x, y in path])
            away = float(np.hypot(path[-1][0] - top, path[-1][1] - 0.5))
            checks.append(
                at_most(f"{kind} from {start}: distance from ({top}, 0.5) after {len(path) - 1} steps", 1e-6, away)
            )
            right = "yes" if _monotone(heights, maximize) else "no"
            checks.append(same(f"{kind} from {start}: every step goes {'up' if maximize else 'down'}", "yes", right))
            for step, (x, y) in enumerate(path):
                for key, cell in zip(rows, (x, y, f"{kind} {number}", step, kind), strict=True):
                    rows[key].append(cell)
    return Result(tuple(checks), {"paths": _surface(rows)})


def xor_by_graph(listener: Listener) -> Result:
    """Section 4.2.2: xor, learned by algorithm 2."""
    net = ad.Network(ad.Dense(2, 8, seed=1), ad.tanh, ad.Dense(8, 1, seed=2))
    costs = ad.train(net, ad.logistic_cross_entropy, XOR_INPUTS, XOR_TARGETS, optimizer=ad.Adam(0.05), epochs=300)
    learned = ad.logistic(net(XOR_INPUTS)).value[:, 0]
    checks = [
        same(f"xor({int(u)}, {int(v)})", int(t), round(float(y)))
        for (u, v), (t,), y in zip(XOR_INPUTS, XOR_TARGETS, learned, strict=True)
    ]
    checks.append(at_most("cross entropy after 300 epochs", 0.02, costs[-1]))
    rows = {"epoch": list(range(1, len(costs) + 1)), "cost": costs}
    chart = (
        alt.Chart(inline(rows))
        .mark_line(color="#0072b2", strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q", title="epoch"), y=alt.Y("cost:Q", title="cross entropy", scale=alt.Scale(type="log"))
        )
        .properties(width=420, height=260)
    )
    return Result(
        tuple(checks), {"cost": themed(chart, "XOR, learned by the graph", "2-8-1, tanh, Adam at 0.05, full batches")}
    )


def _equal(statement: str, expected: np.ndarray, got: np.ndarray) -> Check:
    return at_most(f"{statement}: largest difference", ROUNDING, float(np.max(np.abs(expected - got))))


def _monotone(heights: np.ndarray, up: bool) -> bool:
    return bool(np.all((np.diff(heights) if up else -np.diff(heights)) >= -ROUNDING))


def _lines(rows: dict[str, Any], title: str, subtitle: str, names: list[str]) -> Any:
    colors = alt.Scale(domain=names, range=[INK, *many_colors(len(names) - 1)])
    chart = (
        alt.Chart(inline(rows))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("x:Q", title="x"),
            y=alt.Y("y:Q", title=None),
            color=alt.Color("kind:N", title=None, scale=colors, legend=alt.Legend(orient="bottom")),
        )
        .properties(width=520, height=300)
    )
    return themed(chart, title, subtitle)


def _surface(rows: dict[str, Any]) -> Any:
    """Lines of equal height, and every path on them."""
    grid = np.linspace(0.0, 1.0, 101)
    field = np.sin(2 * np.pi * grid)[None, :] * np.sin(np.pi * grid)[:, None]
    found = contours(field, np.linspace(-0.9, 0.9, 12))
    place: Callable[[np.ndarray], np.ndarray] = lambda index: np.interp(index, np.arange(len(grid)), grid)
    ends = {"level": found[:, 0]} | {name: place(found[:, i]) for name, i in (("a", 1), ("b", 2), ("a2", 3), ("b2", 4))}
    x = alt.X("a:Q", title="a", scale=alt.Scale(domain=[0, 1], nice=False))
    y = alt.Y("b:Q", title="b", scale=alt.Scale(domain=[0, 1], nice=False))
    lines = (
        alt.Chart(inline(ends))
        .mark_rule(strokeWidth=1, opacity=0.6)
        .encode(
            x=x,
            y=y,
            x2="a2:Q",
            y2="b2:Q",
            color=alt.condition("datum.level > 0", alt.value("#b07d00"), alt.value(GRAY)),
        )
    )
    colors = alt.Color(
        "kind:N", title=None, scale=alt.Scale(domain=["ascent", "descent"], range=["#d55e00", "#0072b2"])
    )
    paths = alt.Chart(inline(rows)).encode(x=x, y=y, color=colors, detail="path:N", order="step:Q")
    starts = alt.Chart(
        inline({key: [v for v, s in zip(column, rows["step"], strict=True) if s == 0] for key, column in rows.items()})
    )
    chart = alt.layer(
        lines,
        paths.mark_line(strokeWidth=2),
        starts.mark_point(filled=True, color=INK, size=36, opacity=1.0).encode(x=x, y=y),
    ).properties(width=420, height=420)
    return themed(
        chart, "Uphill and downhill", "sin(2πa) sin(πb): from the dots along the gradient, up and down, until it is 0"
    )
