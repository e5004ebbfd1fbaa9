"""What can be redone of "Neural networks" (course notes), section 2.3: losses, and the outputs that they go with."""

from collections.abc import Callable
from typing import Any

import altair as alt
import jax
import numpy as np

from ascribe import autodiff as ad
from ascribe import losses
from ascribe.charts.lines import line_chart, stacked
from ascribe.charts.theme import BLUE, RED, themed

from .base import ROUNDING, Check, Listener, Result, alike, apart, at_most, close

WIDTH = 1e-6
"""Of central differences, whose error is then 1e-9 or less for numbers of size 1."""
PROBABILITIES, CLASS = (0.2, 0.1, 0.4, 0.3), 2
"""The notes' y, and the class that is observed, counted from 0."""


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
        _agreeing("2.3.1: L = ½ ‖y − t‖² of y = (1, −2, 0.5), t = (0, 1, 0.5)", 5.0, found[0], ad.squared_error(y[0], t[0])),
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
        alike("2.3.3: y = [0.2, 0.1, 0.4, 0.3] is the softmax of ln y + 7", ROUNDING, ad.softmax(np.log(y) + 7.0), y),
        close("the likelihood of the third class, Π y_k^t_k", 0.4, float(np.exp(-values[0])), ROUNDING),
        _agreeing("L = −ln 0.4", -np.log(0.4), *values, labels[0]),
        at_most(
            "∂L/∂y = [0, 0, −2.5, 0]: largest difference",
            ROUNDING,
            max(apart(found, [0, 0, -2.5, 0]) for found in (of_y.grad, slope)),
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
            at_most(f"{name}: (y − t) / N against central differences", 1e-8, apart(expected, central)),
            at_most(
                f"{name}: ∂E/∂z of both families against (y − t) / N",
                ROUNDING,
                max(apart(found, expected) for found in (of_z.grad, tape)),
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
    panels, colors = [], dict(zip(rows, (BLUE, RED), strict=True))
    for key, title in (("L", "L"), ("slope", "|∂L/∂z|")):
        columns = stacked(z, {name: of[key] for name, of in rows.items()})
        y = alt.Y("y:Q", title=title, scale=alt.Scale(domain=[0, 4 if key == "L" else 1.05], nice=False))
        lines = line_chart(columns, colors, "input current z of the output", y, strokeWidth=2.2, clip=True)
        panels.append(lines.properties(width=310, height=240))
    return themed(
        alt.hconcat(*panels, spacing=36),
        "Why the cross entropy goes with the logistic",
        "One output y = σ(z), target 1: far on the wrong side the squared error has no slope left, the cross entropy has 1.",
    )
