"""What can be redone of "Neural networks" (course notes), section 2.1: regression and classification.

The data are ours; references come from closed forms and from scikit-learn.
"""

from collections.abc import Callable
from typing import Any

import altair as alt
import jax.numpy as jnp
import numpy as np

from ascribe import autodiff as ad
from ascribe import losses
from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color, panel_title
from ascribe.charts.theme import BLUE, GRAY, INK, RED, themed

from .base import Check, Listener, Result, close, same

DIGITS = {7: "000000100", 0: "1000000000", 6: "0000001000", 5: "0000010000", 4: "0000100000", 9: "0000000001"}
"""The images whose targets the notes print, and these: that of the 7 has nine digits."""
SPREAD, SHIFT = 1.1, 1.3
"""Two classes of one number each, normal around −`SHIFT` and `SHIFT`."""


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
        width=320, height=270, title=panel_title("Regression: y = w x + b")
    )
    at = np.linspace(-4.5, 4.5, 201)
    rows = {"x": points[:, 0], "t": labels[:, 0], "kind": [names[float(label)] for label in labels[:, 0]]}
    color = kind_color(dict(zip(names.values(), (BLUE, RED), strict=True)))
    ticks = alt.Chart(inline(rows)).mark_tick(orient="vertical", thickness=1.6, size=18).encode(**axes, color=color)
    logistic = alt.Chart(inline({"x": at, "t": 1.0 / (1.0 + np.exp(-(curve[0] * at + curve[1])))})).mark_line(
        color=INK, strokeWidth=2.5
    )
    other = alt.layer(ticks, logistic.encode(**axes)).properties(
        width=320, height=270, title=panel_title("Classification: y = σ(w x + b)")
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
    pixels, cells = [], []
    names = [str(digit) for digit in DIGITS]
    for digit, row in zip(DIGITS, encoded, strict=True):
        image = bunch["images"][int(np.flatnonzero(bunch["target"] == digit)[0])]
        for (y, x), value in np.ndenumerate(image):
            pixels.append({"x": str(x), "y": str(y), "value": float(value), "digit": str(digit)})
        for number, value in enumerate(row):
            cells.append({"class": str(number), "value": int(value), "digit": str(digit)})
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
