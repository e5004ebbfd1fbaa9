"""What can be redone of "Neural networks" (course notes), chapter 2: kinds of learning, universal approximation, losses.

The chapter prints a handful of numbers; the data are ours, and references come from closed forms and from other packages.

How it is read, and where it slips: docs/documents/course-notes.md.
"""

import itertools
from collections.abc import Callable
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import autodiff as ad
from ascribe import losses
from ascribe.charts.inline import inline
from ascribe.charts.theme import GRAY, INK, diverging, many_colors, themed

from .base import Check, Listener, Result, at_most, close, same

ROUNDING = 1e-12
WIDTH = 1e-6
"""Of central differences, whose error is then 1e-9 or less for numbers of size 1."""
BLUE, RED, GREEN = "#0072b2", "#d55e00", "#009e73"

DIGITS = {7: "000000100", 0: "1000000000", 6: "0000001000", 5: "0000010000", 4: "0000100000", 9: "0000000001"}
"""The images whose targets the notes print, and these: that of the 7 has nine digits."""
SPREAD, SHIFT = 1.1, 1.3
"""Two classes of one number each, normal around −`SHIFT` and `SHIFT`."""

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

PROBABILITIES, CLASS = (0.2, 0.1, 0.4, 0.3), 2
"""The notes' y, and the class that is observed, counted from 0."""


# 2.1: regression and classification


def supervised_learning(listener: Listener) -> Result:
    """Section 2.1: regression beside classification, both by algorithm 1 of section 4.2.1, and the targets of digits.

    What is learned is compared with what is known without learning: the line of least squares, and scikit-learn's logistic
    regression.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - importing it is slow

    generator = np.random.default_rng(0)
    x = generator.uniform(-1.0, 1.0, (60, 1))
    t = 0.5 + 2.0 * x + 0.4 * generator.standard_normal(x.shape)
    line, offset = _fitted(ad.squared_error, x, t)
    exact = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), t, rcond=None)[0][:, 0]
    labels = np.repeat([0.0, 1.0], 40)[:, None]
    points = np.where(labels == 1, SHIFT, -SHIFT) + SPREAD * generator.standard_normal(labels.shape)
    slope, bias = _fitted(ad.logistic_cross_entropy, points, labels)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(points, labels[:, 0])
    y = 1.0 / (1.0 + np.exp(-(slope * points + bias)))
    encoded = losses.CATEGORICAL_CROSS_ENTROPY.encode(jnp.asarray(list(DIGITS)), 10, jnp.dtype("float32"))
    tasks = {"regression": 1, "binary": 1, "classification": 10}
    checks = [
        close("regression, linear output, squared error: the slope of least squares", float(exact[0]), line, 1e-6),
        close("and its offset", float(exact[1]), offset, 1e-6),
        close(
            "classification, logistic output, cross entropy: scikit-learn's slope",
            float(theirs.coef_[0, 0]),
            slope,
            1e-4,
        ),
        close("and its offset", float(theirs.intercept_[0]), bias, 1e-4),
        close("outputs of the classifier: their mean is that of the targets", 0.5, float(y.mean()), 1e-6),
        same(
            "the loss for regression, two classes, ten classes",
            "squared-error, bernoulli-cross-entropy, categorical-cross-entropy",
            ", ".join(losses.default_for(task, outputs).name for task, outputs in tasks.items()),
        ),
    ]
    for (digit, printed), row in zip(DIGITS.items(), np.asarray(encoded), strict=True):
        got = "".join(str(int(value)) for value in row)
        check = same(f"the one-hot target of a {digit}", printed, got)
        if len(printed) != 10:
            check = Check(check.statement, f"0000000100 (printed: {printed}, a slip)", got, got == "0000000100")
        checks.append(check)
    figures = {
        "tasks": _tasks(x, t, (line, offset), points, labels, (slope, bias)),
        "targets": _targets(np.asarray(encoded)),
    }
    return Result(tuple(checks), figures)


def _fitted(cost: Callable[[Any, Any], Any], x: np.ndarray, t: np.ndarray) -> tuple[float, float]:
    """w and b of x w + b at the least cost, by gradient descent until convergence."""
    w, b = ad.Var(np.zeros((1, 1))), ad.Var(np.zeros(1))
    path = ad.minimize(cost(ad.affine(x, w, b), t), [w, b], ad.GradientDescent(0.5), tolerance=1e-9)
    return float(path[-1][0][0, 0]), float(path[-1][1][0])


def _tasks(x: Any, t: Any, line: Any, points: Any, labels: Any, curve: Any) -> Any:
    names = {0.0: "t = 0", 1.0: "t = 1"}
    ends = np.array([-1.0, 1.0])
    dots = alt.Chart(inline({"x": x[:, 0], "t": t[:, 0]})).mark_point(filled=True, size=34, color=GRAY, opacity=0.9)
    fitted = alt.Chart(inline({"x": ends, "t": line[0] * ends + line[1]})).mark_line(color=BLUE, strokeWidth=2.5)
    axes = {"x": alt.X("x:Q", title="x"), "y": alt.Y("t:Q", title="target t, output y")}
    one = alt.layer(dots.encode(**axes), fitted.encode(**axes)).properties(
        width=320, height=270, title=alt.TitleParams("Regression: y = w x + b", anchor="middle", fontSize=13)
    )
    at = np.linspace(-4.5, 4.5, 201)
    rows = {"x": points[:, 0], "t": labels[:, 0], "kind": [names[float(label)] for label in labels[:, 0]]}
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=list(names.values()), range=[BLUE, RED]),
        legend=alt.Legend(orient="bottom"),
    )
    ticks = alt.Chart(inline(rows)).mark_tick(orient="vertical", thickness=1.6, size=18).encode(**axes, color=color)
    logistic = alt.Chart(inline({"x": at, "t": 1.0 / (1.0 + np.exp(-(curve[0] * at + curve[1])))})).mark_line(
        color=INK, strokeWidth=2.5
    )
    other = alt.layer(ticks, logistic.encode(**axes)).properties(
        width=320, height=270, title=alt.TitleParams("Classification: y = σ(w x + b)", anchor="middle", fontSize=13)
    )
    return themed(
        alt.hconcat(one, other, spacing=36),
        "Two kinds of supervised learning",
        "Targets that are any numbers, and targets that are one of two classes; the line and the curve are learned.",
    )


def _targets(encoded: np.ndarray) -> Any:
    """An image of each printed digit, of the data set that needs no download, beside its target."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - importing it is slow

    bunch: Any = load_digits()
    pixels: dict[str, list[Any]] = {"x": [], "y": [], "value": [], "digit": []}
    cells: dict[str, list[Any]] = {"class": [], "value": [], "digit": []}
    names = [str(digit) for digit in DIGITS]
    for digit, row in zip(DIGITS, encoded, strict=True):
        image = bunch["images"][int(np.flatnonzero(bunch["target"] == digit)[0])]
        for (y, x), value in np.ndenumerate(image):
            for key, cell in zip(pixels, (str(x), str(y), float(value), str(digit)), strict=True):
                pixels[key].append(cell)
        for number, value in enumerate(row):
            for key, cell in zip(cells, (str(number), int(value), str(digit)), strict=True):
                cells[key].append(cell)
    column = alt.Column("digit:N", title=None, sort=names, header=alt.Header(labels=False))
    shade = alt.Color("value:Q", legend=None, scale=alt.Scale(range=["#ffffff", INK]))
    images = (
        alt.Chart(inline(pixels))
        .mark_rect()
        .encode(x=alt.X("x:O", axis=None), y=alt.Y("y:O", axis=None), color=shade)
        .properties(width=104, height=104)
        .facet(column=column, spacing=14, bounds="flush")
    )
    place = alt.Chart().encode(x=alt.X("class:N", title="class", axis=alt.Axis(labelAngle=0)))
    bars = (
        alt.layer(
            place.mark_rect(stroke="white").encode(
                color=alt.Color("value:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=["#e6e9ee", BLUE]))
            ),
            place.mark_text(fontSize=9).encode(
                text="value:Q", color=alt.condition("datum.value > 0", alt.value("white"), alt.value(GRAY))
            ),
            data=inline(cells),
        )
        .properties(width=104, height=18)
        .facet(column=column, spacing=14, bounds="flush")
    )
    return themed(
        alt.vconcat(images, bars, spacing=4).resolve_scale(color="independent"),
        "Digits and their one-hot targets",
        "The digits that the notes show, 8 × 8 pixels (the images of scikit-learn), and the targets of their classes.",
    )


# 2.2: universal approximation


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
        worst = float(np.max(np.abs(built(at) - f(at))))
        table.append(_row(1, "logistic", epsilon, built, worst))
        checks.append(_within(f"ε = {epsilon:g}, {built.hidden} hidden units", 100_000, epsilon, built, worst))
    growth = np.polyfit(np.log([row["epsilon"] for row in table]), np.log([row["hidden_units"] for row in table]), 1)[0]
    checks.append(close("one input: N grows as ε to the power", -1.0, float(growth), 0.05))
    for sigmoid in ("tanh", "arctan"):
        built = ad.approximate(f, (0.0, 1.0), SHOWN[1], lipschitz=LIPSCHITZ, sigmoid=sigmoid)
        plain = _sum_of_units(built, at[:2000, None], sigmoid)
        worst = float(np.max(np.abs(plain - f(at[:2000]))))
        table.append(_row(1, sigmoid, SHOWN[1], built, worst))
        checks.append(
            _within(f"ε = {SHOWN[1]:g}, {sigmoid} scaled to 0 … 1, unit by unit", 2000, SHOWN[1], built, worst)
        )
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
        apart = max(
            abs(float(ad.heaviside(x, PLACE, w)) - float(ad.heaviside(x, PLACE))) for x in (PLACE - AWAY, PLACE + AWAY)
        )
        expected = 1.0 / (1.0 + np.exp(w * AWAY))
        checks.append(
            close(
                f"w = {w:g}: |σ(w(x − b)) − H(x; b)| at {AWAY:g} from b, 1/(1 + e^{w * AWAY:g})",
                expected,
                apart,
                ROUNDING,
            )
        )
    beside = [PLACE - 1e-9, PLACE + 1e-9]
    checks.append(
        same(
            "w → ∞: H(x; b) just below b, just above", "0, 1", ", ".join(f"{ad.heaviside(x, PLACE):g}" for x in beside)
        )
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
            worst = float(np.max(np.abs(built(at) - _hill(at))))
            rows.append(_row(inputs, "logistic", epsilon, built, worst))
            if inputs > 1:
                what = f"{inputs} inputs, ε = {epsilon:g}, {built.hidden:,} hidden units"
                checks.append(_within(what, len(at), epsilon, built, worst))
        found[inputs] = built, rows
    small = ad.approximate_cube(_hill, 2, INPUTS[2][1], lipschitz=HILL_LIPSCHITZ)
    at = np.random.default_rng(7).uniform(size=(500, 2))
    off = float(np.max(np.abs(_sum_of_units(small, at, "logistic") - small(at))))
    checks.append(
        at_most("2 inputs: the sum over all units of one hidden layer is the same, largest difference", 1e-7, off)
    )
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
    names = [f"w = {w:g}" for w in STEEP] + ["w → ∞"]
    ws = [*STEEP, np.inf]
    panels = []
    for title, function in (
        (f"H(x; b), b = {PLACE:g}", lambda w: ad.heaviside(x, PLACE, w)),
        (f"P(x; b, δ), δ = {LENGTH:g}", lambda w: ad.piece(x, PLACE, LENGTH, w)),
    ):
        rows = {"x": list(x) * len(ws), "y": [], "kind": []}
        for name, w in zip(names, ws, strict=True):
            rows["y"] += list(function(w))
            rows["kind"] += [name] * len(x)
        colors = alt.Scale(domain=names, range=[BLUE, GREEN, RED, INK])
        panels.append(
            alt.Chart(inline(rows))
            .mark_line(strokeWidth=2)
            .encode(
                x=alt.X("x:Q", title="x"),
                y=alt.Y("y:Q", title=None),
                color=alt.Color("kind:N", title=None, scale=colors, legend=alt.Legend(orient="bottom")),
            )
            .properties(width=320, height=240, title=alt.TitleParams(title, anchor="middle", fontSize=13))
        )
    return themed(
        alt.hconcat(*panels, spacing=36),
        "A step, and a piece of two steps",
        "σ(w(x − b)) of the logistic σ as w grows, and the difference of two of them, which is 1 on one piece",
    )


def _approximation(f: Any) -> Any:
    x = np.linspace(0.0, 1.0, 1201)
    rows = {"x": list(x), "y": list(f(x)), "kind": ["f"] * len(x)}
    names = ["f"]
    for epsilon in SHOWN:
        built = ad.approximate(f, (0.0, 1.0), epsilon, lipschitz=LIPSCHITZ)
        names.append(f"ε = {epsilon:g}, N = {built.hidden}")
        rows = {"x": [*rows["x"], *x], "y": [*rows["y"], *built(x)], "kind": [*rows["kind"], *[names[-1]] * len(x)]}
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
    return themed(chart, "A sigmoid network, built", "sin(2πx) + x² on [0, 1], each certified to stay within its ε")


def _two_inputs(fine: Any) -> Any:
    """f and two networks over the square."""
    from ascribe.charts.png import data_uri  # noqa: PLC0415 - beside the one use

    places = (np.arange(120) + 0.5) / 120
    grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1)
    coarse = ad.approximate_cube(_hill, 2, 0.8, lipschitz=HILL_LIPSCHITZ)
    panels = []
    for title, values in (
        ("f", _hill(grid)),
        *((f"ε = {built.epsilon:g}, N = {built.hidden:,}", built(grid)) for built in (coarse, fine)),
    ):
        picture = np.round(diverging(np.clip(0.5 + 0.5 * values, 0.0, 1.0))).astype(np.uint8)
        corners = {"x": 0, "x2": 1, "y": 0, "y2": 1, "url": data_uri(picture)}
        axis = alt.Axis(values=[0, 0.5, 1], grid=False)
        scale = alt.Scale(domain=[0, 1], nice=False)
        panels.append(
            alt.Chart(alt.Data(values=[corners]))
            .mark_image(aspect=False)
            .encode(
                x=alt.X("x:Q", title="x₁", scale=scale, axis=axis),
                x2="x2:Q",
                y=alt.Y("y:Q", title="x₂", scale=scale, axis=axis),
                y2="y2:Q",
                url="url:N",
            )
            .properties(width=200, height=200, title=alt.TitleParams(title, anchor="middle", fontSize=13))
        )
    return themed(
        alt.hconcat(*panels, spacing=26),
        "Two inputs, one hidden layer",
        "A hill, and networks within ε of it: steps along many directions at once; the darker, the higher.",
    )


def _growth(found: dict[int, list[dict[str, Any]]]) -> Any:
    rows = {"epsilon": [], "units": [], "kind": []}
    names = [f"{inputs} input{'s' * (inputs > 1)}" for inputs in found]
    for name, of in zip(names, found.values(), strict=True):
        rows["epsilon"] += [row["epsilon"] for row in of]
        rows["units"] += [row["hidden_units"] for row in of]
        rows["kind"] += [name] * len(of)
    base = alt.Chart(inline(rows)).encode(
        x=alt.X(
            "epsilon:Q",
            title="ε",
            scale=alt.Scale(type="log", domain=[0.04, 1.0], nice=False, reverse=True),
            axis=alt.Axis(values=[0.05, 0.1, 0.2, 0.4, 0.8]),
        ),
        y=alt.Y(
            "units:Q",
            title="hidden units N",
            scale=alt.Scale(type="log"),
            axis=alt.Axis(values=[10**power for power in range(7)], format="~s"),
        ),
        color=alt.Color(
            "kind:N",
            title=None,
            scale=alt.Scale(domain=names, range=[BLUE, RED, GREEN]),
            legend=alt.Legend(orient="bottom"),
        ),
    )
    chart = alt.layer(base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=50, opacity=1.0))
    return themed(
        chart.properties(width=520, height=300),
        "How many hidden units",
        "exp(−4 ‖x − 0.4‖²) within ε on the unit cube, by the same construction",
    )


# 2.3: losses


def losses_with_their_outputs(listener: Listener) -> Result:
    """Section 2.3: each loss by its formula, with the notes' own example, and with the output that it goes with: then the
    derivative by the input current is (y − t) / N for all three.

    Both of the package's families are asked: `ascribe.losses`, on which rules learn, and those of `ascribe.autodiff`.
    """
    with jax.enable_x64(True):
        checks = [*_squared(), *_bernoulli(), *_categorical(), *_pairs()]
    return Result(tuple(checks), {"pairs": _pair_curves()})


def _jax(loss: losses.Loss, y: Any, t: Any) -> np.ndarray:
    return np.asarray(jax.jit(loss.value)(np.asarray(y, float), np.asarray(t, float)))


def _agreeing(statement: str, expected: float, *got: Any) -> Check:
    """Passes where each of the values, of one family of losses each, is the expected one."""
    worst = max(got, key=lambda value: abs(float(value) - expected))
    return close(statement, expected, float(worst), ROUNDING)


def _squared() -> list[Check]:
    y, t = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 1.0]]), np.array([[0.0, 1.0, 0.5], [2.0, 3.0, 0.0]])
    of_each = [5.0, 2.5]  # ½ (1 + 9 + 0), ½ (4 + 0 + 1)
    found = _jax(losses.SQUARED_ERROR, y, t)
    return [
        _agreeing(
            "2.3.1: L = ½ ‖y − t‖² of y = (1, −2, 0.5), t = (0, 1, 0.5)", 5.0, found[0], ad.squared_error(y[0], t[0])
        ),
        _agreeing("E of two examples: their mean", float(np.mean(of_each)), found.mean(), ad.squared_error(y, t)),
    ]


def _bernoulli() -> list[Check]:
    checks = []
    for t in (1.0, 0.0):
        likelihood = 0.7**t * 0.3 ** (1 - t)
        values = _jax(losses.BERNOULLI_CROSS_ENTROPY, [[0.7]], [[t]])[0], ad.cross_entropy([0.7], [t])
        checks.append(
            _agreeing(
                f"2.3.2: L of y = 0.7, t = {t:g}, −ln of the likelihood {likelihood:g}",
                -float(np.log(likelihood)),
                *values,
            )
        )
    y, t = np.array([[0.7], [0.2], [0.9]]), np.array([[1.0], [0.0], [0.0]])
    mean = -(np.log(0.7) + np.log(0.8) + np.log(0.1)) / 3
    values = _jax(losses.BERNOULLI_CROSS_ENTROPY, y, t).mean(), ad.cross_entropy(y, t)
    checks.append(_agreeing("E of three examples, with one minus", mean, *values))
    return checks


def _categorical() -> list[Check]:
    y, t = np.array(PROBABILITIES), np.eye(4)[CLASS]
    loss = losses.CATEGORICAL_CROSS_ENTROPY
    values = _jax(loss, y[None], t[None])[0], ad.categorical_cross_entropy(y, t)
    labels = np.asarray(jax.jit(loss.values)(np.log(y)[None], np.array([CLASS])))
    of_y = ad.Var(y)
    ad.categorical_cross_entropy(of_y, t).backward()
    slope = np.asarray(jax.jit(loss.cost_gradient)(y[None], t[None]))[0]
    checks = [
        at_most(
            "2.3.3: y = [0.2, 0.1, 0.4, 0.3] is the softmax of ln y + 7: largest difference",
            ROUNDING,
            float(np.max(np.abs(ad.softmax(np.log(y) + 7.0) - y))),
        ),
        close("the likelihood of the third class, Π y_k^t_k", 0.4, float(np.exp(-values[0])), ROUNDING),
        _agreeing("L = −ln 0.4", -np.log(0.4), *values, labels[0]),
        at_most(
            "∂L/∂y = [0, 0, −2.5, 0]: largest difference",
            ROUNDING,
            max(float(np.max(np.abs(found - [0, 0, -2.5, 0]))) for found in (of_y.grad, slope)),
        ),
    ]
    several, targets = np.array([y, y[::-1], np.roll(y, 1), y]), np.eye(4)
    mean = float(np.mean([-np.log(row @ target) for row, target in zip(several, targets, strict=True)]))
    values = _jax(loss, several, targets).mean(), ad.categorical_cross_entropy(several, targets)
    checks.append(_agreeing("E of four examples (printed with a minus too many, a slip)", mean, *values))
    return checks


def _pairs() -> list[Check]:
    """The derivative of each pair by z, of both families, against central differences of the formula and (y − t) / N."""
    generator = np.random.default_rng(0)
    z = generator.standard_normal((5, 4))
    numbers, bits, hot = (
        generator.standard_normal((5, 4)),
        np.round(generator.uniform(size=(5, 4))),
        np.eye(4)[[0, 3, 1, 1, 2]],
    )
    logistic, softmax = lambda z: 1.0 / (1.0 + np.exp(-z)), lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    pairs = (
        ("squared error with a linear output", losses.SQUARED_ERROR, ad.squared_error, lambda z: z, numbers,
         lambda y, t: 0.5 * ((y - t) ** 2).sum()),
        ("cross entropy with the logistic", losses.BERNOULLI_CROSS_ENTROPY, ad.logistic_cross_entropy, logistic, bits,
         lambda y, t: -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum()),
        ("categorical cross entropy with softmax", losses.CATEGORICAL_CROSS_ENTROPY, ad.softmax_cross_entropy, softmax, hot,
         lambda y, t: -(t * np.log(y)).sum()),
    )  # fmt: skip
    checks = []
    for name, loss, graph, output, t, formula in pairs:
        expected = (output(z) - t) / len(z)
        central = _central(lambda z, f=formula, o=output, t=t: f(o(z), t) / len(z), z)
        of_z = ad.Var(z)
        graph(of_z, t).backward()
        tape = np.asarray(jax.jit(loss.mean_and_error)(z, t)[1])
        checks += [
            at_most(
                f"{name}: (y − t) / N against central differences", 1e-8, float(np.max(np.abs(expected - central)))
            ),
            at_most(
                f"{name}: ∂E/∂z of both families against (y − t) / N",
                ROUNDING,
                max(float(np.max(np.abs(found - expected))) for found in (of_z.grad, tape)),
            ),
        ]
    far = ad.Var(np.array([[-20.0]]))
    ad.logistic_cross_entropy(far, np.ones((1, 1))).backward()
    other = ad.Var(np.array([[-20.0]]))
    ad.squared_error(ad.logistic(other), np.ones((1, 1))).backward()
    y = 1.0 / (1.0 + np.exp(20.0))
    checks += [
        close(
            "a wrong logistic output, z = −20 for t = 1: ∂L/∂z of the cross entropy",
            y - 1.0,
            float(far.grad[0, 0]),
            ROUNDING,
        ),
        close(
            "of the squared error, (y − t) y (1 − y): next to nothing",
            (y - 1.0) * y * (1.0 - y),
            float(other.grad[0, 0]),
            1e-18,
        ),
    ]
    return checks


def _central(f: Callable[[np.ndarray], float], z: np.ndarray) -> np.ndarray:
    slopes = np.empty_like(z)
    for place in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[place] = WIDTH
        slopes[place] = (f(z + step) - f(z - step)) / (2 * WIDTH)
    return slopes


def _pair_curves() -> Any:
    """Loss and |∂L/∂z| over z for t = 1: the cross entropy and the squared error of a logistic output."""
    z = np.linspace(-8.0, 8.0, 321)
    rows: dict[str, dict[str, np.ndarray]] = {}
    for name, cost in (
        ("cross entropy", lambda v: ad.logistic_cross_entropy(v, np.ones((len(z), 1)))),
        ("squared error", lambda v: ad.squared_error(ad.logistic(v), np.ones((len(z), 1)))),
    ):
        v = ad.Var(z[:, None])
        (slope,) = ad.gradients(cost(v), [v], s=float(len(z)))
        each = [float(cost(ad.Var(np.full((len(z), 1), value))).value) for value in z]
        rows[name] = {"L": np.array(each), "slope": np.abs(slope[:, 0])}
    panels = []
    for key, title in (("L", "L"), ("slope", "|∂L/∂z|")):
        columns = {"z": [], "y": [], "kind": []}
        for name, of in rows.items():
            columns["z"] += list(z)
            columns["y"] += list(of[key])
            columns["kind"] += [name] * len(z)
        panels.append(
            alt.Chart(inline(columns))
            .mark_line(strokeWidth=2.2, clip=True)
            .encode(
                x=alt.X("z:Q", title="input current z of the output"),
                y=alt.Y("y:Q", title=title, scale=alt.Scale(domain=[0, 4 if key == "L" else 1.05], nice=False)),
                color=alt.Color(
                    "kind:N",
                    title=None,
                    scale=alt.Scale(domain=list(rows), range=[BLUE, RED]),
                    legend=alt.Legend(orient="bottom"),
                ),
            )
            .properties(width=310, height=240)
        )
    return themed(
        alt.hconcat(*panels, spacing=36),
        "Why the cross entropy goes with the logistic",
        "One output y = σ(z), target 1: far on the wrong side the squared error has no slope left, the cross entropy has 1.",
    )
