"""What can be redone of "Neural networks" (course notes), section 3.1: gradient ascent and descent on surfaces, and the
derivative by central differences.

The figure with the weights of the network of 3.1.2 is not part of the text, so a network of ours stands in: logistic units, two
inputs, two hidden units, one output, searched for until it had every number that the section prints. That it has them is no
finding; how its differences converge is.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import autodiff as ad
from ascribe import losses, networks
from ascribe.charts.contours import contours
from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color, panel_title
from ascribe.charts.theme import BLUE, GRAY, INK, RED, themed
from ascribe.networks import Network
from ascribe.rules import Batch, FiniteDifferences

from .base import ROUNDING, Check, Listener, Result, at_most, close, printed, same

THETA, STEP = -0.509, 0.1
SLIP = "0.300 (printed: 0.302, a slip)"
INPUTS, TARGET = (1.0, 0.5), 1.0
HIDDEN = ((THETA, 0.3), (0.8, 0.2)), (0.1, 0.7)
OUTPUT = ((0.17, 0.4),), (-1.25,)
STEPS = np.geomspace(1e-7, 1.0, 43)
SMOOTH = slice(24, 42)
"""Which steps have an error that is all truncation, those from 1e-3 to 0.7: below them rounding begins."""

RATE = 0.02
WAVE_STARTS = ((0.38, 0.25), (0.42, 0.82), (0.5, 0.3), (0.56, 0.75), (0.62, 0.22), (0.66, 0.6))
HILL_STARTS = ((0.1, 0.2), (0.15, 0.85), (0.4, 0.15), (0.85, 0.85), (0.7, 0.2), (0.95, 0.65))
HIGH, LOW, SPREAD = (0.3, 0.55), (0.75, 0.45), 0.15
"""The two hills: where each alone would have its top, and how wide they are; the second is 0.6 times as high."""


@dataclass(frozen=True)
class Surface:
    """E(a, b) as an expression of two Vars, as a function of arrays, and its gradient by hand."""

    title: str
    expression: Callable[[Any, Any], Any]
    height: Callable[[Any, Any], Any]
    slope: Callable[[float, float], tuple[float, float]]


def _hill(a: Any, b: Any, top: tuple[float, float], exp: Any) -> Any:
    return exp(((a - top[0]) ** 2 + (b - top[1]) ** 2) * (-0.5 / SPREAD**2))


def _hills_slope(a: float, b: float) -> tuple[float, float]:
    high, low = _hill(a, b, HIGH, np.exp), 0.6 * _hill(a, b, LOW, np.exp)
    along = lambda i, x: (high * (HIGH[i] - x) + low * (LOW[i] - x)) / SPREAD**2
    return along(0, a), along(1, b)


WAVE = Surface(
    "sin(2πa) sin(πb)",
    lambda a, b: ad.sin(2 * np.pi * a) * ad.sin(np.pi * b),
    lambda a, b: np.sin(2 * np.pi * a) * np.sin(np.pi * b),
    lambda a, b: (
        2 * np.pi * np.cos(2 * np.pi * a) * np.sin(np.pi * b),
        np.pi * np.sin(2 * np.pi * a) * np.cos(np.pi * b),
    ),
)
HILLS = Surface(
    "two hills, one of them lower",
    lambda a, b: _hill(a, b, HIGH, ad.exp) + 0.6 * _hill(a, b, LOW, ad.exp),
    lambda a, b: _hill(a, b, HIGH, np.exp) + 0.6 * _hill(a, b, LOW, np.exp),
    _hills_slope,
)


def gradient_ascent(listener: Listener) -> Result:
    """Section 3.1.1: uphill and downhill on the surface whose picture the notes show, the (2, 1) wave sin(2πa) sin(πb), until
    convergence; and uphill on two hills, where the start decides whether the top is the highest one.

    The wave's maximum is 1 at (1/4, 1/2), its minimum −1 at (3/4, 1/2). The hills' tops are those of SciPy, from the gradient
    written by hand, and so is every step: (a, b) ± k ∇E.
    """
    from scipy.optimize import root  # noqa: PLC0415 - importing it is slow

    up, down = _paths(WAVE, WAVE_STARTS, True), _paths(WAVE, WAVE_STARTS, False)
    checks = [
        *_path_checks("ascent", WAVE, up, (0.25, 0.5), True),
        *_path_checks("descent", WAVE, down, (0.75, 0.5), False),
    ]
    tops = [tuple(root(lambda p: HILLS.slope(*p), top, tol=1e-14).x) for top in (HIGH, LOW)]
    heights = [float(HILLS.height(*top)) for top in tops]
    climbs = _paths(HILLS, HILL_STARTS, True)
    lower = [path[0][0] > 0.5 for path in climbs]
    for which, top in enumerate(tops):
        chosen = [path for path, low in zip(climbs, lower, strict=True) if low == bool(which)]
        name = "ascent of two hills" if which == 0 else "ascent of two hills, the lower one"
        checks += _path_checks(name, HILLS, chosen, top, True)
    ends = [float(HILLS.height(*path[-1])) for path, low in zip(climbs, lower, strict=True) if low]
    checks += [
        close("the height of the lower top", heights[1], max(ends), 1e-9),
        Check(
            "it is a local maximum that is not the global one: its height, and that of the other",
            "lower",
            f"{max(ends):.4f}, {heights[0]:.4f}",
            max(ends) < heights[0] - 0.1,
        ),
        same("starts that end there", 3, sum(abs(end - heights[1]) < 1e-9 for end in ends)),
    ]
    panels = [
        _surface(WAVE, [("ascent", up), ("descent", down)]),
        _surface(HILLS, [("ascent", [path for path, low in zip(climbs, lower, strict=True) if not low]),
                         ("ascent, to the lower top", [path for path, low in zip(climbs, lower, strict=True) if low])]),
    ]  # fmt: skip
    chart = themed(
        alt.hconcat(*panels, spacing=36).resolve_scale(color="independent"),
        "Uphill and downhill",
        "From the dots along the gradient until it is 0. Right: half of the starts end at a top that is not the highest.",
    )
    return Result(tuple(checks), {"paths": chart})


def _paths(surface: Surface, starts: Any, maximize: bool) -> list[list[tuple[float, float]]]:
    """Algorithm 1 from every start, on one graph."""
    a, b = ad.Var(0.0, name="a"), ad.Var(0.0, name="b")
    expression, found = surface.expression(a, b), []
    for start in starts:
        a.value, b.value = start
        path = ad.minimize(expression, [a, b], ad.GradientDescent(RATE), tolerance=1e-8, maximize=maximize)
        found.append([(float(x), float(y)) for x, y in path])
    return found


def _path_checks(name: str, surface: Surface, paths: Any, top: tuple[float, float], up: bool) -> list[Check]:
    sign, worst, checks = 1.0 if up else -1.0, 0.0, []
    for path in paths:
        away = float(np.hypot(path[-1][0] - top[0], path[-1][1] - top[1]))
        place = f"({path[0][0]:g}, {path[0][1]:g})"
        where = f"({top[0]:.3g}, {top[1]:.3g})"
        checks.append(at_most(f"{name} from {place}: distance from {where} after {len(path) - 1} steps", 1e-6, away))
        for before, after in itertools.pairwise(path):
            slope = surface.slope(*before)
            worst = max(worst, *(abs(x + sign * RATE * s - y) for x, s, y in zip(before, slope, after, strict=True)))
    heights = [np.array([surface.height(*point) for point in path]) for path in paths]
    right = all(np.all(sign * np.diff(of) >= -ROUNDING) for of in heights)
    checks += [
        at_most(f"{name}: every step is {'' if up else '−'}k ∇E by hand, largest difference", ROUNDING, worst),
        same(f"{name}: every step goes {'up' if up else 'down'}", "yes", "yes" if right else "no"),
    ]
    return checks


def _surface(surface: Surface, kinds: list[tuple[str, Any]]) -> Any:
    """Lines of equal height, and every path on them."""
    grid = np.linspace(0.0, 1.0, 101)
    field = surface.height(grid[None, :], grid[:, None])
    found = contours(field, np.linspace(field.min(), field.max(), 15)[1:-1])
    place: Callable[[np.ndarray], np.ndarray] = lambda index: np.interp(index, np.arange(len(grid)), grid)
    ends = {"level": found[:, 0]} | {name: place(found[:, i]) for name, i in (("a", 1), ("b", 2), ("a2", 3), ("b2", 4))}
    rows = [
        {"a": x, "b": y, "path": f"{kind} {number}", "step": step, "kind": kind}
        for kind, paths in kinds
        for number, path in enumerate(paths)
        for step, (x, y) in enumerate(path)
    ]
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
    colors = kind_color(dict(zip((kind for kind, _ in kinds), (RED, BLUE), strict=True)))
    paths = alt.Chart(inline(rows)).encode(x=x, y=y, color=colors, detail="path:N", order="step:Q")
    starts = alt.Chart(inline([row for row in rows if row["step"] == 0]))
    return alt.layer(
        lines,
        paths.mark_line(strokeWidth=2),
        starts.mark_point(filled=True, color=INK, size=36, opacity=1.0).encode(x=x, y=y),
    ).properties(width=340, height=340, title=panel_title(surface.title))


def finite_differences(listener: Listener) -> Result:
    """The printed numbers among themselves and of a network of ours, and the order 2 in which central differences converge."""
    with jax.enable_x64(True):
        network = _network()
        output, error = jax.jit(lambda theta: _output(network, theta)), jax.jit(lambda theta: _error(network, theta))
        y = {theta: float(output(theta)) for theta in (THETA, THETA + STEP, THETA - STEP)}
        exact = float(jax.grad(error)(THETA))
        quotient = lambda step: float(error(THETA + step) - error(THETA - step)) / (2 * step)
        errors, at_step = np.array([abs(quotient(step) - exact) for step in STEPS]), quotient(STEP)
        small = quotient(1e-3)
        by_rule = _by_rule(network)
    slope = float(np.polyfit(np.log(STEPS[SMOOTH]), np.log(errors[SMOOTH]), 1)[0])
    checks = _printed_alone()
    for theta, text, printed_y, printed_error in (
        (THETA, "−0.509", "0.301", "1.201"),
        (THETA + STEP, "−0.409", "0.302", "1.198"),
        (THETA - STEP, "−0.609", "0.300", "1.204"),
    ):
        check = printed(f"y({text}) of our network, which was searched to have it", printed_y, y[theta])
        checks.append(check if theta >= THETA else replace(check, expected=SLIP))
        checks.append(
            printed(f"E({text}) of our network, which was searched to have it", printed_error, -float(np.log(y[theta])))
        )
    checks += [
        printed("∂E/∂θ1 of our network, by central differences, Δ = 0.1", "-0.0292", at_step),
        printed("the same of our network, from the rule finite-differences", "-0.0292", by_rule),
        close("∂E/∂θ1 of our network, by backpropagation, and by central differences of Δ = 0.001", exact, small, 1e-8),
        same("θ1 ← θ1 − k ∂E/∂θ1 makes θ1 of our network", "larger", "larger" if exact < 0 else "smaller"),
        close("order in which the error falls with Δ, float64", 2.0, slope, 0.02),
    ]
    table = [{"step": float(step), "error": float(error)} for step, error in zip(STEPS, errors, strict=True)]
    return Result(tuple(checks), {"convergence": _figure(errors, slope)}, {"convergence": table})


def _printed_alone() -> list[Check]:
    """What follows from the printed numbers without any network: t = 1, so that E = −ln y."""
    quotient = (1.198 - 1.204) / (2 * STEP)
    return [
        printed("E = −ln y at the printed y(−0.509) = 0.301", "1.201", -float(np.log(0.301))),
        # A printed y stands for an interval, and −ln of it for one that must meet that of the printed E.
        _meets("E = −ln y at the printed y(−0.409) = 0.302", 0.302, "1.198"),
        replace(printed("y = exp(−E) at the printed E(−0.609) = 1.204", "0.300", float(np.exp(-1.204))), expected=SLIP),
        Check(
            "∂E/∂θ1 of the printed E's, whose rounding leaves ± 0.005",
            "-0.0292",
            f"{quotient:.4f}",
            abs(quotient + 0.0292) <= 0.005,
        ),
    ]


def _meets(statement: str, y: float, error: str) -> Check:
    low, high = -float(np.log(y + 0.0005)), -float(np.log(y - 0.0005))
    passed = low <= float(error) + 0.0005 and high >= float(error) - 0.0005
    return Check(statement, error, f"{low:.4f} to {high:.4f}", passed)


def _network() -> Network:
    """The network of ours, in float64; θ1 is the weight from the first input to the first hidden unit."""
    network = networks.mlp([2, 2, 1], activation="logistic", output_activation="logistic")
    arrays = tuple(jnp.asarray(values, float) for layer in (HIDDEN, OUTPUT) for values in layer)
    leaves = lambda n: (n["linear1"].weight, n["linear1"].bias, n["linear2"].weight, n["linear2"].bias)
    return eqx.tree_at(leaves, network, arrays)


def _output(network: Network, theta: Any) -> Any:
    """y for another θ1."""
    weight = network["linear1"].weight.at[0, 0].set(theta)
    return eqx.tree_at(lambda n: n["linear1"].weight, network, weight)(jnp.asarray([INPUTS]))[0, 0]


def _error(network: Network, theta: Any) -> Any:
    """E(θ1), the Bernoulli cross entropy."""
    y = _output(network, theta)
    return losses.BERNOULLI_CROSS_ENTROPY.value(y[None, None], jnp.full((1, 1), TARGET))[0]


def _by_rule(network: Network) -> float:
    """∂E/∂θ1 as the rule that does this for every weight has it."""
    batch = Batch(jnp.asarray([INPUTS]), jnp.asarray([[TARGET]]), losses.BERNOULLI_CROSS_ENTROPY)
    return float(FiniteDifferences(step=jnp.asarray(STEP))(network, None, batch).gradients["linear1"].weight[0, 0])


def _figure(errors: np.ndarray, slope: float) -> Any:
    """The error over Δ, both axes logarithmic, with a line of slope 2 and the section's Δ."""
    shown = errors > 0  # an error of exactly nothing has no logarithm
    ticks = [10.0**power for power in range(-14, 1)]
    scale = lambda low, high: alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X("step:Q", title="Δ", scale=scale(STEPS[0], STEPS[-1]), axis=alt.Axis(format="~e", values=ticks))
    y = alt.Y(
        "error:Q",
        title="|central difference − derivative|",
        scale=scale(1e-13, 1e-2),
        axis=alt.Axis(format="~e", values=ticks[1:]),
    )
    points = alt.Chart(inline({"step": STEPS[shown], "error": errors[shown]})).encode(x=x, y=y)
    place = int(np.argmin(np.abs(STEPS - 1e-2)))
    ends = np.array([3e-6, 1.0])
    line = alt.Chart(inline({"step": ends, "error": errors[place] * (ends / STEPS[place]) ** 2}))
    note = {"step": 3e-4, "error": 4 * errors[place] * (3e-4 / STEPS[place]) ** 2, "text": "slope 2"}
    marked = alt.Chart(alt.Data(values=[{"step": STEP, "error": 1e-13, "text": "Δ of the notes"}]))
    chart = alt.layer(
        line.mark_line(color=GRAY, strokeDash=[6, 4], strokeWidth=2, clip=True).encode(x=x, y=y),
        marked.mark_rule(color=RED, strokeWidth=1.6).encode(x=x),
        marked.mark_text(align="right", dx=-6, dy=-12, fontSize=13, color=RED).encode(x=x, y=y, text="text:N"),
        points.mark_line(color=BLUE, strokeWidth=1.4, opacity=0.6),
        points.mark_point(color=BLUE, filled=True, size=38, opacity=1.0),
        alt.Chart(alt.Data(values=[note])).mark_text(align="right", fontSize=13, color=INK).encode(x=x, y=y, text="text:N"),
    ).properties(width=520, height=360)
    return themed(
        chart,
        "How central differences converge",
        f"∂E/∂θ1 of a small logistic network, float64: fitted slope {slope:.3f}; below Δ ≈ 1e-5 rounding takes over.",
    )
