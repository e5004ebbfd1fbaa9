"""Where σ' = 0: whether the credit that units get there from a g in place of σ' is harmful, as "Function changes in the
Backpropagation equation is equivalent to an implicit learning rate" expects (text after (4)).
"""

from typing import Any

import altair as alt
import numpy as np

from ascribe import datasets, report
from ascribe.charts.inline import inline
from ascribe.charts.theme import BLUE, INK, themed
from ascribe.rules import BFunction, MetaNetwork, WhereSlope
from ascribe.search import Objective, candidates
from ascribe.training import Setup, complete, honor, network_for

from .b_functions import one_of
from .base import Check, Listener, Result

DATA, LAYER = "digits", "relu2"
FOUND = (18.84, 15.26, 19.80, 21.81)
"""ω of a g that the search of figure 2 finds on these data (`b-functions-2-digits`)."""
DERIVATIVES = ("logistic", "tanh", "arctan", "leaky-relu", "softplus", "threshold", "identity")
TUNING_SEEDS, FRESH_SEEDS, RATES = (100_000, 100_001, 100_002), tuple(range(16)), 16
AT_ONCE = 48
TICKS = (-10, -3, -1, -0.3, -0.1, 0, 0.1, 0.3, 1, 3, 10)


def zero_slope_credit(listener: Listener) -> Result:
    """Digits, 64-64, a g in place of the ReLU's derivative in layer 2, with its credit where σ' = 0 and without, each at the
    rate that has the least loss area: whether that credit is harmful."""
    data = datasets.load(DATA)
    functions = {**{name: name for name in DERIVATIVES}, "found g": MetaNetwork(FOUND)}
    every = [one for g in functions.values() for one in (g, WhereSlope(g, "relu"))]
    rule = BFunction({LAYER: one_of(every, 0)})
    setup = Setup(optimizer="sgd", learning_rate=0.01, epochs=10, diagnostics=False)
    name, placed = "credit where σ' = 0", {}
    recipe = complete(honor(rule, name, network_for("64x64", data, "relu"), data, setup))

    def areas(points: np.ndarray, seeds: tuple[int, ...]) -> np.ndarray:
        """The loss areas of pairs (number of the function, rate), `(pairs, seeds)`."""
        place = lambda point: ((f"derivative.{LAYER}.choice", tuple(np.eye(len(every))[int(point[0])])),)
        rate = lambda point: float(point[1])
        own: Any = {"dimensions": 2, "rate": rate, "seeds": seeds, "batch": AT_ONCE // len(seeds)}
        return Objective(recipe, place, **own, listener=listener, placed=placed)(points).areas

    rates = candidates(RATES, {"learning_rate": (3e-3, 4.0)})["learning_rate"]
    grid = np.asarray([(number, rate) for number in range(len(every)) for rate in rates])
    chosen = areas(grid, TUNING_SEEDS).mean(1).reshape(len(every), RATES).argmin(1)
    found = areas(np.column_stack([np.arange(len(every)), rates[chosen]]), FRESH_SEEDS)
    rows = []
    for place, name in enumerate(functions):
        credit, without = found[2 * place], found[2 * place + 1]
        mean, half = (float(value) for value in report.interval(credit - without))
        rows.append(
            {
                "g": name,
                "rate": float(rates[chosen[2 * place]]),
                "area": float(credit.mean()),
                "rate_without_credit": float(rates[chosen[2 * place + 1]]),
                "area_without_credit": float(without.mean()),
                "difference": mean,
                "interval": half,
            }
        )
    return Result(credit_checks(rows), {"credit": credit_figure(rows)}, {"credit": rows})


def credit_checks(rows: list[dict[str, Any]]) -> tuple[Check, ...]:
    """It "can be harmful": some g is slower for it. And that g = 0 there is ideal: none is faster for it."""
    slower = [row["g"] for row in rows if row["difference"] > row["interval"]]
    faster = [row["g"] for row in rows if row["difference"] < -row["interval"]]
    told = lambda names: f"{len(names)} of {len(rows)}" + (f" ({', '.join(names)})" if names else "")
    return (
        Check(
            "functions that learn slower for their credit where σ' = 0 (it can be harmful)",
            "1 or more",
            told(slower),
            bool(slower),
        ),
        Check("functions that learn faster for it (0 is ideal there)", f"0 of {len(rows)}", told(faster), not faster),
    )


def credit_figure(rows: list[dict[str, Any]]) -> Any:
    """What the credit where σ' = 0 does to the loss area, function by function."""
    columns = {
        "g": [row["g"] for row in rows],
        "difference": [row["difference"] for row in rows],
        "low": [row["difference"] - row["interval"] for row in rows],
        "high": [row["difference"] + row["interval"] for row in rows],
    }
    title = "Loss area with the credit where σ' = 0, less that without"
    # One seed of one function may diverge; the others are told apart all the same.
    scale = alt.Scale(type="symlog", constant=0.1)
    x = lambda field: alt.X(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(values=TICKS))
    base = alt.Chart(inline(columns, "credit")).encode(y=alt.Y("g:N", title=None, sort=columns["g"]))
    zero = alt.Chart(alt.Data(values=[{"x": 0}])).mark_rule(color=INK, strokeDash=[5, 4]).encode(x="x:Q")
    chart = alt.layer(
        zero,
        base.mark_rule(strokeWidth=2.4, color=BLUE).encode(x=x("low"), x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1.0, color=BLUE).encode(x=x("difference")),
    ).properties(width=620, height=alt.Step(30))
    subtitle = (
        f"Digits, 64-64, {len(FRESH_SEEDS)} fresh seeds, paired, with 95 % intervals; each at its own best rate.",
        "Right of 0: the credit harms, as the document expects. Left of 0: it helps.",
    )
    return themed(chart, "Credit where the exact derivative is 0", *subtitle)
