"""What can be redone of "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization": sections 3
and 5.

What it says of the output's loss alone, of higher dimensions and of mini-batches.
"""

import itertools
from typing import Any

import altair as alt
import numpy as np

from ascribe import datasets, training
from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color
from ascribe.charts.theme import BLUE, GRAY, themed
from ascribe.datasets import Dataset, Split
from ascribe.rules import Backpropagation, RelaxedIdentity

from . import relaxed_identity_runs as runs
from .base import Check, Listener, Result, above, at_least, at_most, less, more, same
from .relaxed_identity_figures import landscapes
from .relaxed_identity_gradients import gradient_norms
from .relaxed_identity_runs import Decayed, Observed, Setting

STEPS = 300
"""Of every row but those in mini-batches."""
DIMENSIONS = (2, 10)
"""Of the inputs whose seeds are compared: the two of the moons, and more that say nothing."""
SPREAD = 0.5
"""Standard deviation of the inputs that say nothing."""
BATCHES: dict[str, Any] = {"optimizer": "adam", "learning_rate": 3e-3, "batch_size": 32, "epochs": 40}
"""Of the runs in mini-batches, every rule alike."""
EARLY_STEPS = (0, 2, 4)
"""After how many steps gradients are looked at with the output's loss alone, which is soon 0 to rounding."""


def output_alone(listener: Listener) -> Result:
    """Section 3: with the output's loss alone (β = 0) only the last layer learns, and the network does not generalize."""
    alone: Any = {"hidden_weight": 0.0}
    settings = [
        Setting("the output's loss alone", Observed(consolidate="never", **alone), STEPS, runs.PUBLISHED, "relu"),
        Setting("with the hidden losses", Observed(consolidate="never"), STEPS, runs.PUBLISHED, "relu"),
    ]
    found = runs.trained(settings, runs.SHALLOW, listener, seeds=runs.FEW_SEEDS)
    rows = {one.setting.name: one.row for one in found}
    norms = gradient_norms(RelaxedIdentity(**alone), runs.PUBLISHED, runs.SHALLOW, EARLY_STEPS, activation="relu")
    table = [
        {"steps": steps, "layer": layer, "norm": float(norm)}
        for (_, steps), layers in norms
        for layer, norm in enumerate(layers, start=1)
    ]
    figures = {"landscapes": landscapes(found, f"Moons, {tuple(runs.SHALLOW)}, ReLU: section 3")}
    checks = tuple(output_checks(rows, table, runs.straight_line(runs.moons())))
    return Result(checks, figures, {"rows": list(rows.values()), "gradients": table})


def output_checks(rows: dict[str, dict[str, Any]], norms: list[dict[str, Any]], line: float) -> list[Check]:
    """Which layers have a gradient, what happens to the output's loss, and what the forward pass makes of fresh points."""
    alone, both = rows["the output's loss alone"], rows["with the hidden losses"]
    top = max(row["layer"] for row in norms)
    lower, upper = ([row["norm"] for row in norms if (row["layer"] == top) == kind] for kind in (False, True))
    said = f"half of a straight line's errors, {line:.4f}"
    return [
        same("the output's loss alone: largest gradient below the last layer", 0.0, max(lower)),
        above("the output's loss alone: least gradient of the last layer", 0.0, min(upper)),
        at_most("the output's loss alone: that loss, at the auxiliaries, in the end", 0.01, alone["objective"]),
        Check(
            "it does not generalize: test accuracy of the forward pass",
            f"less than {runs.trains(line):.4f} ({said})",
            f"{alone['test']:.4f}",
            bool(alone["test"] < runs.trains(line)),
        ),
        at_least("with the hidden losses, as many steps: test accuracy", said, round(runs.trains(line), 4), both["test"]),
    ]


def dimensions(listener: Listener) -> Result:
    """Section 5: how far seeds disagree in two and in more dimensions, RAI as published and backpropagation, each with weight
    decay and without."""
    decay: Any = runs.DECAY
    kinds = {
        "backpropagation": Backpropagation(),
        "backpropagation, weight decay": Decayed(),
        "RAI as published": Observed(relax_output=True, consolidate="never"),
        "RAI as published, weight decay": Observed(relax_output=True, consolidate="never", weight_decay=decay),
    }
    rows = []
    for inputs in DIMENSIONS:
        data, sizes = wider_moons(inputs), [inputs, *runs.SHALLOW[1:]]
        points = np.random.default_rng(0).uniform(-runs.EDGE, runs.EDGE, (2000, inputs)).astype(np.float32)
        settings = [Setting(name, rule, STEPS, runs.PUBLISHED, "relu") for name, rule in kinds.items()]
        for one in runs.trained(settings, sizes, listener, seeds=runs.FEW_SEEDS, data=data, points=points):
            seen = one.runs.predict(data.test.inputs)
            row = {"inputs": inputs, "rule": one.setting.name, "steps": one.setting.steps, "test": one.row["test"]}
            rows.append({**row, "everywhere": one.row["disagreement"], "test_points": runs.disagreement(seen)})
    return Result(tuple(dimension_checks(rows)), {"disagreement": dimension_figure(rows)}, {"rows": rows})


def wider_moons(inputs: int) -> Dataset:
    """`moons()` with further inputs that say nothing of the class."""
    rng = np.random.default_rng(1)

    def wider(split: Split) -> Split:
        noise = SPREAD * rng.normal(size=(len(split), inputs - 2))
        return Split(np.hstack([split.inputs, noise]).astype(np.float32), split.targets)

    plain = runs.moons()
    train, test = wider(plain.train), wider(plain.test)
    return Dataset("moons", "binary", train, train, test, class_names=plain.class_names)


def dimension_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """RAI's seeds disagree more than backpropagation's; more so in higher dimensions; and regularization helps each."""
    found = {(row["inputs"], row["rule"]): row["everywhere"] for row in rows}
    few, many = DIMENSIONS
    checks = [
        more(
            f"{inputs} inputs: RAI's seeds disagree, against backpropagation's",
            found[inputs, "backpropagation"],
            found[inputs, "RAI as published"],
        )
        for inputs in DIMENSIONS
    ]
    for rule in ("RAI as published", "backpropagation"):
        said = "section 5, worse in higher dimensions" if rule.startswith("RAI") else "beside it"
        checks.append(more(f"{said}: {rule}, {many} inputs, against {few}", found[few, rule], found[many, rule]))
    for rule, inputs in itertools.product(("RAI as published", "backpropagation"), DIMENSIONS):
        statement = f"regularization: {rule}, {inputs} inputs, seeds disagree with weight decay, against without"
        checks.append(less(statement, found[inputs, rule], found[inputs, f"{rule}, weight decay"]))
    return checks


def dimension_figure(rows: list[dict[str, Any]]) -> Any:
    """The share of pairs of seeds and points that disagree, for every rule and number of inputs."""
    names = list(dict.fromkeys(row["rule"] for row in rows))
    shown = {
        "rule": [row["rule"] for row in rows],
        "inputs": [f"{row['inputs']} inputs" for row in rows],
        "share": [row["everywhere"] for row in rows],
    }
    colors = {f"{inputs} inputs": color for inputs, color in zip(DIMENSIONS, ("#9ecae9", "#08519c"), strict=True)}
    bars = alt.Chart(inline(shown)).mark_bar()
    bars = bars.encode(
        y=alt.Y("rule:N", title=None, sort=names, axis=alt.Axis(labelLimit=240)),
        yOffset=alt.YOffset("inputs:N", sort=list(colors)),
        x=alt.X("share:Q", title="Seeds disagree on", axis=alt.Axis(format="~%")),
        color=kind_color(colors, "inputs", symbolType="square"),
    )
    return themed(
        bars.properties(width=480, height=260),
        "Where networks of other seeds see another class",
        f"Share of pairs of seeds and of 2,000 points of [−3, 3]ᵈ; the two moons, and inputs that say nothing (sd {SPREAD}).",
    )


def mini_batches(listener: Listener) -> Result:
    """Section 5: what becomes of RAI as published in mini-batches, and of `relaxed-identity`, which is one workaround."""
    data = datasets.load("moons", samples=400, noise=0.1)
    names = {
        "backpropagation": "backpropagation",
        "as published": "relaxed-identity-as-published",
        "as published, equation (4)": "relaxed-identity-as-published:relax_output=no",
        "ours": "relaxed-identity",
    }
    rows = []
    for label, name in names.items():
        told = lambda progress, label=label: listener(progress._replace(rule=label))
        own: dict[str, Any] = {"seeds": runs.FEW_SEEDS, "listener": told, "diagnostics": label == "ours"}
        its = training.train("32x32", data, name, **own, **BATCHES)
        accuracy = its.scores["test_accuracy"]
        angle = float(np.nanmean(its.curves["gradient_angle"])) if label == "ours" else None
        row = {"rule": label, "name": name, "test": float(accuracy.mean()), "worst": float(accuracy.min())}
        rows.append({**row, "angle": angle, "seconds": its.seconds / len(its.seeds)})
    return Result(tuple(batch_checks(rows)), {"scores": batch_figure(rows)}, {"rows": rows})


def batch_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """The document's "incompatible, at first glance", and what the workaround is worth and what it is."""
    found = {row["rule"]: row for row in rows}
    plain, ours = found["backpropagation"], found["ours"]
    checks = [
        less(
            f"section 5, incompatible with mini-batches: test accuracy, {name}, against backpropagation's less 0.05",
            plain["test"] - 0.05,
            found[name]["test"],
        )
        for name in ("as published", "as published, equation (4)")
    ]
    return [
        *checks,
        at_least(
            "a workaround (ours): test accuracy of relaxed-identity",
            "backpropagation's less 0.02",
            plain["test"] - 0.02,
            ours["test"],
        ),
        at_most("what it is (ours): mean angle of its direction to backpropagation's, degrees", 15.0, ours["angle"]),
    ]


def batch_figure(rows: list[dict[str, Any]]) -> Any:
    """Test accuracy of every rule, mean and worst of the seeds."""
    shown = {key: [row[key] for row in rows] for key in ("rule", "test", "worst")}
    x = lambda field: alt.X(f"{field}:Q", title="Test accuracy", scale=alt.Scale(domain=[0.0, 1.0]), axis=alt.Axis(format="~%"))
    base = alt.Chart(inline(shown)).encode(y=alt.Y("rule:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)))
    dots = base.mark_point(filled=True, size=110, opacity=1.0, color=BLUE).encode(x=x("test"))
    low = base.mark_tick(thickness=2, color=GRAY).encode(x=x("worst"))
    return themed(
        alt.layer(low, dots).properties(width=480, height=180),
        "Relaxed identity in mini-batches",
        f"The two moons, 32-32, batches of 32, Adam, {runs.FEW_SEEDS} seeds; the mean, and (gray) the worst of them.",
    )
