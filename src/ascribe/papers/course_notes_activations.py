"""What can be redone of "Neural networks" (course notes), section 1.5: activations of a neuron, softmax and one-hot."""

import math
from dataclasses import replace

import altair as alt
import jax.numpy as jnp
import numpy as np

from ascribe import autodiff as ad
from ascribe.charts.inline import inline
from ascribe.charts.lines import line_chart
from ascribe.charts.theme import BLUE, GREEN, INK, PURPLE, RED, themed
from ascribe.networks import activations as table
from ascribe.networks.activations import LEAK

from .base import FLOAT32, ROUNDING, Listener, Result, alike, apart, at_most, close, printed, same

FUNCTIONS = {
    "logistic": ("logistic", lambda z: 1.0 / (1.0 + np.exp(-z))),
    "arctan": ("arctan", np.arctan),
    "tanh": ("hyperbolic tangent", np.tanh),
    "threshold": ("threshold", lambda z: np.where(z < 0, 0.0, 1.0)),
    "sign": ("threshold, ±1", lambda z: np.where(z < 0, -1.0, 1.0)),
    "relu": ("ReLU", lambda z: np.maximum(z, 0.0)),
    "leaky-relu": ("leaky ReLU", lambda z: np.where(z < 0, LEAK * z, z)),
    "leaky-relu:slope=0.2": ("leaky ReLU of slope 0.2", lambda z: np.where(z < 0, 0.2 * z, z)),
}
"""Name in `ascribe.networks`, name in the checks, and the notes' formula."""
PANELS = {
    "logistic": ("logistic",),
    "arctan": ("arctan",),
    "hyperbolic tangent": ("tanh",),
    "threshold, two versions": ("threshold", "sign"),
    "ReLU and leaky ReLU": ("relu", "leaky-relu:slope=0.2"),
}
"""What the figure has: a function, or two of them, the second in other colors."""
SCORES = (0.6, 3.4, -1.2, 0.05)
PRINTED_SOFTMAX = (("0.055", "0.06"), ("0.9", "0.9"), ("0.009", "0.009"), ("0.032", "0.031"))
"""softmax of these, rounded, and as the notes print it: the first and the last are slips."""


def activations(listener: Listener) -> Result:
    """Section 1.5: every activation of a single neuron, and its derivative."""
    z, width = np.linspace(-4.0, 4.0, 401), 1e-5
    smooth = np.abs(z) > 1e-3  # some of the functions have no derivative at 0
    checks, found = [], {}
    for name, (title, formula) in FUNCTIONS.items():
        row, given = table.get(name), jnp.asarray(z)
        y, slope = (np.asarray(f(given), np.float64) for f in (row.function, row.derivative))
        central = (formula(z + width) - formula(z - width)) / (2 * width)
        # in float32 z itself is off by 1e-7
        checks.append(at_most(f"{title}: largest difference from the formula", FLOAT32, apart(y, formula(z))))
        checks.append(at_most(f"{title}: derivative against central differences", 2e-6, apart(slope[smooth], central[smooth])))
        found[name] = y, slope
    at = jnp.zeros(1)
    value = lambda name: float(table.get(name).function(at)[0])
    checks.append(same("threshold at 0", 1.0, value("threshold")))
    checks.append(same("threshold, ±1, at 0", 1.0, value("sign")))
    checks.append(same("logistic at 0", 0.5, value("logistic")))
    checks.append(same("ReLU at 0", 0.0, value("relu")))
    kinds = {"σ": INK, "σ'": RED, "the second σ": GREEN, "its σ'": PURPLE}
    rows = {"z": [], "y": [], "kind": [], "panel": []}
    for panel, names in PANELS.items():
        columns = [values for name in names for values in found[name]]
        for kind, values in zip(kinds, columns, strict=False):
            for key, column in zip(rows, (z, values, [kind] * len(z), [panel] * len(z)), strict=True):
                rows[key] += list(column)
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=list(kinds), range=[[1, 0], [1, 0], [6, 3], [6, 3]]), legend=None)
    x = alt.X("z:Q", title="z", axis=alt.Axis(tickCount=5))
    y = alt.Y("y:Q", title=None, axis=alt.Axis(tickCount=7), scale=alt.Scale(domain=[-1.5, 2], nice=False))
    chart = (
        line_chart(rows, kinds, x, y, clip=True)
        .encode(strokeDash=dash)
        .properties(width=170, height=190)
        .facet(facet=alt.Facet("panel:N", title=None, sort=list(PANELS)), columns=5, spacing=16)
    )
    subtitle = "σ(z) and its derivative; dashed: the threshold of ±1, and the leaky ReLU, here of slope 0.2 below 0"
    return Result(tuple(checks), {"activations": themed(chart, "Activation functions", subtitle)})


def softmax_and_one_hot(listener: Listener) -> Result:
    """The two examples of section 1.5: softmax by its formula, and beside the printed values, two of which are not rounded."""
    x = ad.Var(SCORES)
    y, hot = ad.softmax(x), ad.one_hot(x)
    total = math.fsum(math.exp(score) for score in SCORES)
    written = [math.exp(score) / total for score in SCORES]
    checks = [alike(f"softmax{SCORES} against e^z / Σ e^z", ROUNDING, y.value, written)]
    for number, ((rounded, shown), got) in enumerate(zip(PRINTED_SOFTMAX, y.value, strict=True), 1):
        check = printed(f"entry {number}, rounded", rounded, float(got))
        slip = f"{rounded} (printed: {shown}, a slip)"
        checks.append(check if shown == rounded else replace(check, expected=slip))
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
            color=alt.Color("kind:N", title=None, scale=alt.Scale(range=[BLUE, RED])),
        )
        .properties(width=380, height=240)
    )
    return Result(tuple(checks), {"softmax": themed(chart, "Softmax and one-hot", "of the four numbers of the notes")})
