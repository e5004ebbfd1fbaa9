"""What can be redone of "Neural networks" (course notes), chapter 4, with the expression graphs of
`ascribe.autodiff`: it takes NumPy alone.
"""

import math
from typing import Any

import altair as alt
import numpy as np

from ascribe import autodiff as ad
from ascribe.charts.inline import inline
from ascribe.charts.lines import line_chart, stacked
from ascribe.charts.theme import BLUE, INK, RED, themed

from .base import ROUNDING, Check, Listener, Result, alike, apart, at_most, close, largest, same

XOR_INPUTS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR_TARGETS = np.array([[0.0], [1.0], [1.0], [0.0]])
XOR_RATE, XOR_EPOCHS = 1.0, 300


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
    x.value = 0.5
    asked = float(f.creator.evaluate()) if f.creator else math.nan  # f's own value is still the old one
    checks.append(close("Op.evaluate asks its arguments: f.creator.evaluate() at x = 0.5", np.sin(0.5) + 0.25, asked, ROUNDING))
    f.evaluate()
    f.zero_grad()
    if f.creator:
        f.creator.backward(2.0)
    checks.append(close("Op.backward(2): x.grad = 2 (cos(x) + y)", 2.0 * (np.cos(0.5) + 0.5), float(x.grad), ROUNDING))
    made = [v.creator.operator.name for v in (f, a, b) if v.creator]
    checks.append(same("creators of f, a and b", "add, sin, multiply", ", ".join(made)))
    x.value, y.value = 2.0, 3.0
    f.evaluate()
    f.zero_grad()
    f.backward()
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
    rows = stacked(at, {"f": curve.value, "∂f/∂x": points.grad})
    chart = line_chart(rows, {"f": INK, "∂f/∂x": RED}, "x", None).properties(width=520, height=300)
    subtitle = "both read off one graph, at 161 numbers at once"
    return Result(tuple(checks), {"chain": themed(chart, "exp(sin(x²)) and its derivative", subtitle)})


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
    checks.append(at_most("largest error against central differences, first and second order", 1e-6, max(checked.errors)))
    found = {"by A: s times B transposed": a.grad, "by B: A transposed times s": b.grad}
    cells = [
        {"row": str(row + 1), "column": str(column + 1), "value": value, "name": name}
        for name, matrix in found.items()
        for (row, column), value in np.ndenumerate(matrix)
    ]
    limit = max(largest(np.abs(matrix)) for matrix in found.values())
    color = alt.Color("value:Q", title=None, scale=alt.Scale(scheme="blueorange", domain=[-1.6 * limit, 1.6 * limit]))
    place = alt.Chart().encode(x=alt.X("column:N", title="column", axis=alt.Axis(labelAngle=0)), y=alt.Y("row:N", title="row"))
    chart = (
        alt.layer(
            place.mark_rect().encode(color=color),
            place.mark_text(fontSize=12, color=INK).encode(text=alt.Text("value:Q", format=".2f")),
            data=inline(cells),
        )
        .properties(width=200, height=150)
        .facet(column=alt.Column("name:N", title=None, sort=list(found)))
        .resolve_scale(x="independent", y="independent")
    )
    return Result(
        tuple(checks), {"matrices": themed(chart, "The gradients of a matrix product", "Each in its operand's shape.")}
    )


def small_network(listener: Listener) -> Result:
    """Section 4.2.2: the small network E = d(c(b(a(X))), T) with a(X) = X, b(x) = x·W, c = σ and d the mean of ½ ‖y − T‖²: its
    forward pass, its backward pass, one step, and algorithm 1 until convergence. The targets are those of a known W."""
    draw = np.random.default_rng(4).standard_normal
    X, known = draw((12, 3)), draw((3, 2))
    sigma = lambda z: 1.0 / (1.0 + np.exp(-z))
    T = sigma(X @ known)
    layer = ad.Dense(3, 2, seed=3, bias=False)
    net = ad.Network(lambda x: x, layer, ad.logistic)
    W, kappa = layer.weights, 2.0
    y = net(ad.Var(X, name="X"))
    E = ad.squared_error(y, T)
    y.name, E.name = "y", "E"
    start = np.array(W.value)
    output = sigma(X @ start)
    error, slope = 0.5 * ((output - T) ** 2).sum() / len(X), X.T @ ((output - T) * output * (1.0 - output)) / len(X)
    E.backward()
    first = np.array(W.grad)
    E.zero_grad()
    E.backward()
    checks = [
        _equal("y = c(b(a(X))) is σ(X W)", output, np.asarray(y.value)),
        close("E = d(y, T), the mean of ½ ‖y − T‖²", float(error), float(E.value), ROUNDING),
        _equal("E.backward(): ∇_W E is Xᵀ ((y − T) ⊙ y ⊙ (1 − y)) / N", slope, first),
        _equal("E.zero_grad(), E.backward(): the same again, not twice as much", slope, np.asarray(W.grad)),
    ]
    ad.GradientDescent(kappa).step([W])
    checks.append(_equal(f"W ← W − κ ∇_W E, κ = {kappa:g}", start - kappa * slope, np.asarray(W.value)))
    path = ad.minimize(E, [W], ad.GradientDescent(20.0), tolerance=1e-9)
    away = apart(path[-1][0], known)
    checks.append(at_most(f"algorithm 1, {len(path) - 1} steps: distance of W from the W of the targets", 1e-6, away))
    W.value = start
    E.evaluate()
    E.zero_grad()
    E.backward()
    return Result(tuple(checks), drawings={"small_network": ad.graph(E).svg()})


def xor_by_graph(listener: Listener) -> Result:
    """Section 4.2.2: xor, learned by algorithm 2 as it is written, θ ← θ − κ ∇E with full batches; the same written out in
    NumPy, from the same weights, and by Adam, which is not the notes'."""
    learned, costs = _xor(ad.GradientDescent(XOR_RATE), XOR_EPOCHS)
    _, quicker = _xor(ad.Adam(0.05), XOR_EPOCHS)
    written = _xor_written()
    checks = [
        same(f"xor({int(u)}, {int(v)})", int(t), round(float(y)))
        for (u, v), (t,), y in zip(XOR_INPUTS, XOR_TARGETS, learned, strict=True)
    ]
    checks += [
        alike("the cost of every epoch against gradient descent written out", 1e-9, costs, written),
        at_most(f"cross entropy after {XOR_EPOCHS} epochs", 0.02, costs[-1]),
    ]
    names = [f"gradient descent, κ = {XOR_RATE:g}", "Adam, 0.05"]
    rows = stacked(range(1, len(costs) + 1), dict(zip(names, (costs, quicker), strict=True)))
    ticks = alt.Axis(values=[1, 0.1, 0.01, 0.001, 0.0001])
    y = alt.Y("y:Q", title="cross entropy", scale=alt.Scale(type="log"), axis=ticks)
    colors = dict(zip(names, (BLUE, "#9aa3b0"), strict=True))
    chart = line_chart(rows, colors, "epoch", y).properties(width=420, height=260)
    return Result(tuple(checks), {"cost": themed(chart, "XOR, learned by the graph", "2-8-1, tanh, full batches")})


def _xor_net() -> ad.Network:
    return ad.Network(ad.Dense(2, 8, seed=1), ad.tanh, ad.Dense(8, 1, seed=2))


def _xor(optimizer: Any, epochs: int) -> tuple[np.ndarray, list[float]]:
    """The four outputs, and the cost of every epoch."""
    net = _xor_net()
    costs = ad.train(net, ad.logistic_cross_entropy, XOR_INPUTS, XOR_TARGETS, optimizer=optimizer, epochs=epochs)
    return ad.logistic(net(XOR_INPUTS)).value[:, 0], costs


def _xor_written() -> np.ndarray:
    """The costs of gradient descent, every derivative by hand."""
    W, a, M, b = (np.array(p.value) for p in _xor_net().parameters)
    costs = []
    for _ in range(XOR_EPOCHS):
        h = np.tanh(XOR_INPUTS @ W + a)
        y = 1.0 / (1.0 + np.exp(-(h @ M + b)))
        costs.append(-np.mean(XOR_TARGETS * np.log(y) + (1.0 - XOR_TARGETS) * np.log(1.0 - y)))
        beta = (y - XOR_TARGETS) / len(y)
        alpha = (1.0 - h**2) * (beta @ M.T)
        M, b = M - XOR_RATE * h.T @ beta, b - XOR_RATE * beta.sum(axis=0)
        W, a = W - XOR_RATE * XOR_INPUTS.T @ alpha, a - XOR_RATE * alpha.sum(axis=0)
    return np.array(costs)


def _equal(statement: str, expected: np.ndarray, got: np.ndarray) -> Check:
    return alike(f"{statement}", ROUNDING, expected, got)
