"""What can be redone of "Neural networks" (course notes), section 2.2: universal approximation."""

import itertools
from typing import Any

import altair as alt
import numpy as np

from ascribe import autodiff as ad
from ascribe.charts.lines import line_chart, panel_title, stacked
from ascribe.charts.maps import square_picture
from ascribe.charts.theme import BLUE, GREEN, INK, RED, diverging, many_colors, themed

from .base import ROUNDING, Check, Listener, Result, apart, at_most, close, same

EPSILONS = (0.8, 0.4, 0.2, 0.1, 0.05, 0.025, 0.0125)
SHOWN = (0.4, 0.1)
LIPSCHITZ = 2 * np.pi + 2.0
STEEP = (10.0, 40.0, 160.0)
"""w on its way to infinity."""
PLACE, LENGTH, AWAY = 0.3, 0.4, 0.05
"""b and δ of the step and the piece that are shown, and how far from b the step's limit is measured."""
HILL, HILL_LIPSCHITZ = 4.0, 1.72
"""exp(−4 ‖x − 0.4‖²), and a bound of its slopes: the largest is √8 e^(−1/2) = 1.7156."""
INPUTS = {1: (0.8, 0.4, 0.2, 0.1, 0.05), 2: (0.8, 0.4, 0.2, 0.1), 3: (0.8, 0.4)}
"""ε for each number of inputs."""


def universal_approximation(listener: Listener) -> Result:
    """Section 2.2: steps and pieces as limits; sin(2πx) + x² to any ε by a network built, not trained, with any sigmoid; a
    function of two inputs; how N grows as ε shrinks, and with the number of inputs.

    For several inputs the construction is ours (`ascribe.autodiff.approximate_cube`): the notes' proof is for one.
    """
    f = lambda x: np.sin(2 * np.pi * x) + x**2
    at = np.random.default_rng(0).uniform(0.0, 1.0, 100_000)
    checks, table = _limits(), []
    for epsilon in EPSILONS:
        built = ad.approximate(f, (0.0, 1.0), epsilon, lipschitz=LIPSCHITZ)
        worst = apart(built(at), f(at))
        table.append(_row(1, "logistic", epsilon, built, worst))
        checks.append(_within(f"ε = {epsilon:g}, {built.hidden} hidden units", 100_000, epsilon, built, worst))
    growth = np.polyfit(np.log([row["epsilon"] for row in table]), np.log([row["hidden_units"] for row in table]), 1)[0]
    checks.append(close("one input: N grows as ε to the power", -1.0, float(growth), 0.05))
    for sigmoid in ("tanh", "arctan"):
        built = ad.approximate(f, (0.0, 1.0), SHOWN[1], lipschitz=LIPSCHITZ, sigmoid=sigmoid)
        plain = _sum_of_units(built, at[:2000, None], sigmoid)
        worst = apart(plain, f(at[:2000]))
        table.append(_row(1, sigmoid, SHOWN[1], built, worst))
        checks.append(_within(f"ε = {SHOWN[1]:g}, {sigmoid} scaled to 0 … 1, unit by unit", 2000, SHOWN[1], built, worst))
    by_inputs = _several_inputs(checks)
    figures = {
        "steps": _steps(),
        "approximation": _approximation(f),
        "two_inputs": _two_inputs(by_inputs[2][0]),
        "growth": _growth({n: found for n, (_, found) in by_inputs.items()}),
    }
    return Result(tuple(checks), figures, {"growth": table + [row for _, found in by_inputs.values() for row in found]})


def _limits() -> list[Check]:
    """σ(w(x − b)) as w grows, and the piece of two such steps."""
    checks = []
    for w in STEEP:
        beside = np.array([PLACE - AWAY, PLACE + AWAY])
        off = apart(ad.heaviside(beside, PLACE, w), ad.heaviside(beside, PLACE))
        expected = 1.0 / (1.0 + np.exp(w * AWAY))
        checks.append(
            close(
                f"w = {w:g}: |σ(w(x − b)) − H(x; b)| at {AWAY:g} from b, 1/(1 + e^{w * AWAY:g})",
                expected,
                off,
                ROUNDING,
            )
        )
    beside = [PLACE - 1e-9, PLACE + 1e-9]
    checks.append(
        same("w → ∞: H(x; b) just below b, just above", "0, 1", ", ".join(f"{ad.heaviside(x, PLACE):g}" for x in beside))
    )
    x = np.linspace(-1.0, 2.0, 30_001)
    inside = (x > PLACE + 1e-9) & (x < PLACE + LENGTH - 1e-9)
    outside = (x < PLACE - 1e-9) | (x > PLACE + LENGTH + 1e-9)
    limit = ad.piece(x, PLACE, LENGTH)
    checks.append(
        same(
            "P(x; b, δ) between b and b + δ, and outside",
            "1 to 1, 0 to 0",
            f"{limit[inside].min():g} to {limit[inside].max():g}, {limit[outside].min():g} to {limit[outside].max():g}",
        )
    )
    area = float(np.trapezoid(ad.piece(x, PLACE, LENGTH, STEEP[1]), x))
    checks.append(close(f"the area under P is δ for every w, here {STEEP[1]:g}", LENGTH, area, 1e-6))
    return checks


def _within(what: str, count: int, epsilon: float, built: Any, worst: float) -> Check:
    """Passes where the largest error is within the certified bound, and that below ε."""
    return Check(
        f"{what}: largest error at {count:,} points, and the certified bound",
        f"below {epsilon:g}",
        f"{worst:.4f}, {built.error_bound:.4f}",
        bool(worst <= built.error_bound < epsilon),
    )


def _row(inputs: int, sigmoid: str, epsilon: float, built: Any, worst: float) -> dict[str, Any]:
    return {
        "inputs": inputs,
        "sigmoid": sigmoid,
        "epsilon": epsilon,
        "hidden_units": built.hidden,
        "bound": built.error_bound,
        "largest_error": worst,
    }


def _sum_of_units(built: Any, x: np.ndarray, sigmoid: str) -> np.ndarray:
    """Σ_j α_j σ(w_j · x + θ_j), written out."""
    sigma = {
        "logistic": lambda z: 0.5 + 0.5 * np.tanh(0.5 * z),
        "tanh": lambda z: 0.5 + 0.5 * np.tanh(z),
        "arctan": lambda z: 0.5 + np.arctan(z) / np.pi,
    }[sigmoid]
    weights = built.hidden_weights.reshape(built.hidden, -1)
    return sigma(x @ weights.T + built.hidden_biases) @ built.output_weights


def _hill(x: np.ndarray) -> np.ndarray:
    return np.exp(-HILL * ((x - 0.4) ** 2).sum(axis=-1))


def _several_inputs(checks: list[Check]) -> dict[int, tuple[Any, list[dict[str, Any]]]]:
    """For each number of inputs the network of the smallest ε but one input's, and a row for each ε; adds the checks."""
    found = {}
    for inputs, epsilons in INPUTS.items():
        rows, built = [], None
        at = np.random.default_rng(inputs).uniform(size=(20_000 if inputs < 3 else 5_000, inputs))
        for epsilon in epsilons:
            built = ad.approximate_cube(_hill, inputs, epsilon, lipschitz=HILL_LIPSCHITZ)
            worst = apart(built(at), _hill(at))
            rows.append(_row(inputs, "logistic", epsilon, built, worst))
            if inputs > 1:
                what = f"{inputs} inputs, ε = {epsilon:g}, {built.hidden:,} hidden units"
                checks.append(_within(what, len(at), epsilon, built, worst))
        found[inputs] = built, rows
    small = ad.approximate_cube(_hill, 2, INPUTS[2][1], lipschitz=HILL_LIPSCHITZ)
    at = np.random.default_rng(7).uniform(size=(500, 2))
    off = apart(_sum_of_units(small, at, "logistic"), small(at))
    checks.append(at_most("2 inputs: the sum over all units of one hidden layer is the same, largest difference", 1e-7, off))
    counts = [next(row["hidden_units"] for row in rows if row["epsilon"] == 0.4) for _, rows in found.values()]
    factors = [after / before for before, after in itertools.pairwise(counts)]
    checks.append(
        Check(
            f"ε = 0.4, 1, 2 and 3 inputs, N = {', '.join(f'{count:,}' for count in counts)}: each input multiplies N by",
            "10 or more: exponential",
            ", ".join(f"{factor:.0f}" for factor in factors),
            min(factors) >= 10,
        )
    )
    return found


def _steps() -> Any:
    x = np.linspace(0.0, 1.0, 1001)
    ws = {**{f"w = {w:g}": w for w in STEEP}, "w → ∞": np.inf}
    colors = dict(zip(ws, (BLUE, GREEN, RED, INK), strict=True))
    panels = []
    for title, function in (
        (f"H(x; b), b = {PLACE:g}", lambda w: ad.heaviside(x, PLACE, w)),
        (f"P(x; b, δ), δ = {LENGTH:g}", lambda w: ad.piece(x, PLACE, LENGTH, w)),
    ):
        rows = stacked(x, {name: function(w) for name, w in ws.items()})
        panels.append(line_chart(rows, colors, "x", None).properties(width=320, height=240, title=panel_title(title)))
    return themed(
        alt.hconcat(*panels, spacing=36),
        "A step, and a piece of two steps",
        "σ(w(x − b)) of the logistic σ as w grows, and the difference of two of them, which is 1 on one piece",
    )


def _approximation(f: Any) -> Any:
    x = np.linspace(0.0, 1.0, 1201)
    curves = {"f": f(x)}
    for epsilon in SHOWN:
        built = ad.approximate(f, (0.0, 1.0), epsilon, lipschitz=LIPSCHITZ)
        curves[f"ε = {epsilon:g}, N = {built.hidden}"] = built(x)
    colors = dict(zip(curves, [INK, *many_colors(len(curves) - 1)], strict=True))
    chart = line_chart(stacked(x, curves), colors, "x", None).properties(width=520, height=300)
    return themed(chart, "A sigmoid network, built", "sin(2πx) + x² on [0, 1], each certified to stay within its ε")


def _two_inputs(fine: Any) -> Any:
    """f and two networks over the square."""
    places = (np.arange(120) + 0.5) / 120
    grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1)
    coarse = ad.approximate_cube(_hill, 2, 0.8, lipschitz=HILL_LIPSCHITZ)
    panels = []
    for title, values in (
        ("f", _hill(grid)),
        *((f"ε = {built.epsilon:g}, N = {built.hidden:,}", built(grid)) for built in (coarse, fine)),
    ):
        picture = np.round(diverging(np.clip(0.5 + 0.5 * values, 0.0, 1.0))).astype(np.uint8)
        axis = {"scale": alt.Scale(domain=[0, 1], nice=False), "axis": alt.Axis(values=[0, 0.5, 1], grid=False)}
        x, y = alt.X("x:Q", title="x₁", **axis), alt.Y("y:Q", title="x₂", **axis)
        panels.append(square_picture(picture, 0.0, 1.0, x, y).properties(width=200, height=200, title=panel_title(title)))
    return themed(
        alt.hconcat(*panels, spacing=26),
        "Two inputs, one hidden layer",
        "A hill, and networks within ε of it: steps along many directions at once; the darker, the higher.",
    )


def _growth(found: dict[int, list[dict[str, Any]]]) -> Any:
    names = [f"{inputs} input{'s' * (inputs > 1)}" for inputs in found]
    rows = [
        {"epsilon": row["epsilon"], "units": row["hidden_units"], "kind": name}
        for name, of in zip(names, found.values(), strict=True)
        for row in of
    ]
    scale = alt.Scale(type="log", domain=[0.04, 1.0], nice=False, reverse=True)
    x = alt.X("epsilon:Q", title="ε", scale=scale, axis=alt.Axis(values=[0.05, 0.1, 0.2, 0.4, 0.8]))
    powers = alt.Axis(values=[10**power for power in range(7)], format="~s")
    y = alt.Y("units:Q", title="hidden units N", scale=alt.Scale(type="log"), axis=powers)
    lines = line_chart(rows, dict(zip(names, (BLUE, RED, GREEN), strict=True)), x, y)
    chart = alt.layer(lines, lines.mark_point(filled=True, size=50, opacity=1.0))
    return themed(
        chart.properties(width=520, height=300),
        "How many hidden units",
        "exp(−4 ‖x − 0.4‖²) within ε on the unit cube, by the same construction",
    )
