"""What can be redone of "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization".

The topic proposal's figures 2-5 are landscapes without numbers: of backpropagation and of relaxed activation identity (RAI), on
a network of four hidden layers and on one of a hundred. Redone with its author's data, networks and optimizer (Rprop, always
all points), but with fewer steps; beside them RAI with our changes, and what the plain forward pass makes of fresh points.
What it says of the output's loss alone, of higher dimensions and of mini-batches is measured by entries of their own.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import expit

from ascribe import datasets, losses, networks, rules, training
from ascribe.charts.inline import inline
from ascribe.charts.maps import doubled, picture
from ascribe.charts.png import data_uri
from ascribe.charts.theme import GRAY, rgb, themed
from ascribe.datasets import Dataset, Split
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, Batch, Credit, RelaxedIdentity
from ascribe.types import Array, Key, PyTree, Scalar

from .base import Check, Listener, Result, at_most, close, printed, same

SEEDS, FEW_SEEDS = 5, 3
SHALLOW, DEEP = [2, 42, 100, 100, 42, 1], [2, *[100] * 100, 1]
RATE = 0.1
STEPS = {"shallow": 1000, "shallow, ours": 500, "deep": 600, "backpropagation": 250, "ours": 250, "few": 10, "one": 1}
STEPS |= {"output alone": 300, "dimensions": 300}
"""Steps of each kind of row. The published runs have 10,000."""
FULL: dict[str, int] = dict.fromkeys(("backpropagation", "RAI as published", "RAI, ours"), 10_000)
"""Those of the deep network's main rows with --full."""
DIMENSIONS = (2, 10)
"""Of the inputs whose seeds are compared: the two of the moons, and more that say nothing."""
SPREAD = 0.5
"""Standard deviation of the inputs that say nothing."""
BATCHES: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 3e-3,
    "batch_size": 32,
    "epochs": 40,
    "seeds": FEW_SEEDS,
}
"""Of the runs in mini-batches, every rule alike."""
DECAY = 1e-5
RELU_RATE = {"backpropagation": 0.001, "RAI": 0.01}
"""Of the deep network of ReLUs, on which both diverge at 0.1."""
RELU_OPTIONS: dict[str, Any] = {"hidden_loss": "relative", "ridge": 0.01}
"""Found by trial, as are all of our settings; residuals that consolidation chases too closely grow from layer to layer."""
EARLY_STEPS = (0, 2, 4)
"""After how many steps gradients are looked at with the output's loss alone, which is soon 0 to rounding."""
GRADIENT_STEPS = (10, 100, 250)
"""After how many steps they are with all of it. News from the output goes down by one layer a step, so 100 reach the first."""
CONSTANT = (
    "With logistic units, each network of backpropagation says the same everywhere: some one class, some the other."
)
GRID, EDGE = 64, 3.0
"""Points of a landscape across, and its edge: the published ones are of [-3, 3]² too."""
PUBLISHED, GAIN_4, HE = "pytorch-uniform", "logistic-normal", "he-normal"
DECADES = [10.0**power for power in range(-20, 60)]
"""The ticks of logarithmic axes."""
COLORS = {"relaxed objective E": "#0072b2", "loss of the forward pass": "#d55e00"}
_POINTS = ("#0f3f78", "#8a4200")
_DISAGREEMENT = "#5b3a8e"


class Observed(RelaxedIdentity):
    """`RelaxedIdentity` that reports E as its loss, instead of the forward pass's. The validation curves of `moons()`, which
    are of the training points, show that one: so both can be followed for the price of one, and no gradient is changed."""

    def __call__(self, trainables: Any, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = super().__call__(trainables, state, batch, key=key)
        return dataclasses.replace(credit, loss=self.objective(trainables.network, trainables.auxiliary, batch))


class Decayed(Backpropagation):
    """Backpropagation of the loss with λ/2 Σ ‖W‖² added, which is how RAI's objective is regularized."""

    weight_decay: Scalar = rules.hyperparameter(DECAY, "[0, inf)")

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = super().__call__(network, state, batch, key=key)

        def decayed(gradient: Array, weight: Array) -> Array:
            return gradient + self.weight_decay.astype(weight.dtype) * weight if weight.ndim > 1 else gradient

        return dataclasses.replace(credit, gradients=jax.tree.map(decayed, credit.gradients, network))


@dataclasses.dataclass(frozen=True)
class Setting:
    """A row of the table: what is trained, how, and for how many steps."""

    name: str
    rule: AbstractRule
    steps: int
    initializer: str
    activation: str
    learning_rate: float = RATE


@dataclasses.dataclass(frozen=True)
class Found:
    """What came out of a row: its runs, its logits on the grid `(seeds, GRID²)`, its line of the table."""

    setting: Setting
    runs: Any
    logits: np.ndarray
    row: dict[str, Any]


def moons() -> Dataset:
    """The document's 100 points, and 2,000 fresh ones to test on. Nothing is chosen on validation data here; that split holds
    the training points, so that its curves are those of the plain forward pass on them."""
    train, test = _split(100, 42), _split(2000, 7)
    names: dict[str, Any] = {"class_names": ("upper", "lower"), "feature_names": ("x1", "x2")}
    return Dataset("moons", "binary", train, train, test, **names)


def _split(count: int, seed: int) -> Split:
    from sklearn.datasets import make_moons  # noqa: PLC0415 - importing it is slow

    inputs, labels = make_moons(count, noise=0.1, random_state=seed)
    return Split(np.asarray(inputs), np.asarray(labels))


def shallow(listener: Listener) -> Result:
    """Figures 2 and 3: four hidden layers of ReLUs."""
    decay: Any = DECAY
    published = Observed(relax_output=True, consolidate="never")
    steps, ours = STEPS["shallow"], STEPS["shallow, ours"]
    settings = [
        Setting("backpropagation", Backpropagation(), steps, PUBLISHED, "relu"),
        Setting("RAI as published", published, steps, PUBLISHED, "relu"),
        Setting("RAI as published, consolidated", Observed(relax_output=True), steps, PUBLISHED, "relu"),
        Setting("RAI, ours", Observed(weight_decay=decay), ours, PUBLISHED, "relu"),
        Setting("RAI, ours, He's weights", Observed(weight_decay=decay), ours, HE, "relu"),
        Setting("RAI, ours, no weight decay", Observed(), ours, PUBLISHED, "relu"),
    ]
    found = trained(settings, SHALLOW, listener)
    rows = {one.setting.name: one.row for one in found}
    figures = {
        "landscapes": landscapes(found, f"Moons, {_sizes(SHALLOW)}, ReLU"),
        "curves": curves([found[1], found[3]]),
    }
    biases = bias_row(found[0].logits > 0, found[1].logits > 0)
    checks = (*shallow_checks(rows), *bias_checks(biases))
    return Result(checks, figures, {"rows": list(rows.values()), "inductive_biases": [biases]})


def shallow_checks(rows: dict[str, dict[str, Any]]) -> list[Check]:
    """What figures 2 and 3, section 5 and the published code's own runs say of the shallow network."""
    plain, published, ours = (rows[name] for name in ("backpropagation", "RAI as published", "RAI, ours"))
    after = f"after {published['steps']:,} steps"
    return [
        _at_least("figure 2: training accuracy of backpropagation", "separates the moons", 0.95, plain["train"]),
        _at_least("figure 3: training accuracy of RAI as published", "separates the moons", 0.95, published["train"]),
        _at_least("section 5, RAI generalizes: test accuracy as published", "like figure 2", 0.95, published["test"]),
        _at_least(f"the published code's test accuracy, {after}", "0.991, one seed", 0.98, published["test"]),
        close(f"the published code's E, {after}", 0.0028, published["objective"], 0.0005),
        _at_least("RAI, ours: test accuracy", "ours", 0.99, ours["test"]),
        Check(
            "section 5: seeds disagree more on the grid with RAI than with backpropagation",
            f"more than {plain['disagreement']:.3f}",
            f"{published['disagreement']:.3f}",
            bool(published["disagreement"] > plain["disagreement"]),
        ),
        less(
            "section 5, regularization is necessary: RAI (ours), seeds disagree with weight decay, against without",
            rows["RAI, ours, no weight decay"]["disagreement"],
            ours["disagreement"],
        ),
    ]


def less(statement: str, limit: float, got: float) -> Check:
    """Passes where `got` is below `limit`."""
    return Check(statement, f"less than {limit:.3f}", f"{got:.3f}", bool(got < limit))


def more(statement: str, limit: float, got: float) -> Check:
    """Passes where `got` is above `limit`."""
    return Check(statement, f"more than {limit:.3f}", f"{got:.3f}", bool(got > limit))


def bias_row(plain: np.ndarray, relaxed: np.ndarray) -> dict[str, float]:
    """Where the classes that two rules see differ, `(seeds, points)` each: between a network of the one and a network of the
    other, between two of the same rule, and between what most seeds of each see."""
    across = np.mean([np.mean(one != other) for one, other in itertools.product(plain, relaxed)])
    votes = np.mean(plain, axis=0) > 0.5, np.mean(relaxed, axis=0) > 0.5
    return {
        "across": float(across),
        "backpropagation": disagreement(plain),
        "RAI": disagreement(relaxed),
        "majorities": float(np.mean(votes[0] != votes[1])),
    }


def bias_checks(row: dict[str, float]) -> list[Check]:
    """Section 5: slightly different inductive biases. What most seeds of the two see is not the same, and is on three quarters
    of the landscape; two networks of different rules disagree little more than two of one rule do on average."""
    within = (row["backpropagation"] + row["RAI"]) / 2
    return [
        Check(
            "section 5, slightly different biases: where most seeds of RAI and most of backpropagation disagree",
            "above 0.01, below 0.25",
            f"{row['majorities']:.3f}",
            bool(0.01 < row["majorities"] < 0.25),
        ),
        at_most(
            f"the same, beside seeds: a network of each disagree on {row['across']:.3f}, less what two of one rule do",
            0.05,
            row["across"] - within,
        ),
    ]


def deep(listener: Listener, *, full: bool = False) -> Result:
    """Figures 4 and 5: a hundred hidden layers of logistic units; and of ReLUs, which the document leaves open. `full`: the
    10,000 steps of the published runs, for RAI as published, ours and backpropagation alike."""
    settings = deep_settings()
    if full:
        settings = [dataclasses.replace(one, steps=FULL.get(one.name, one.steps)) for one in settings]
    found = trained(settings, DEEP, listener, seeds=FEW_SEEDS)
    rows = {one.setting.name: one.row for one in found}
    norms = gradient_table(DEEP)
    figures = {
        "landscapes": landscapes(found[:6], f"Moons, {len(DEEP) - 2} hidden layers", CONSTANT),
        "gradients": gradients(norms),
        "curves": curves([found[2], found[3]]),
    }
    checks = (*deep_checks(rows, straight_line(moons()), full=full), *gradient_checks(norms))
    return Result(checks, figures, {"rows": list(rows.values()), "gradients": norms})


def deep_settings() -> list[Setting]:
    """The rows of the deep network: what is drawn, then the controls."""
    decay: Any = DECAY
    long, plain, ours, few, one = (STEPS[name] for name in ("deep", "backpropagation", "ours", "few", "one"))
    make = lambda name, rule, steps, initializer=GAIN_4: Setting(name, rule, steps, initializer, "logistic")
    return [
        make("backpropagation", Backpropagation(), plain, PUBLISHED),
        make("backpropagation, gain 4", Backpropagation(), plain),
        make("RAI as published", Observed(relax_output=True, consolidate="never"), long, PUBLISHED),
        make("RAI, ours", Observed(), ours),
        Setting("backpropagation, ReLU", Backpropagation(), plain, HE, "relu", RELU_RATE["backpropagation"]),
        Setting("RAI, ours, ReLU", Observed(weight_decay=decay, **RELU_OPTIONS), ours, HE, "relu", RELU_RATE["RAI"]),
        make(f"RAI, ours, {few} steps", Observed(), few),
        make(f"RAI, ours, {one} step", Observed(), one),
        make(f"labels as auxiliaries, {one} step", Observed(start="label"), one),
        make(f"noise as auxiliaries, {one} step", Observed(start="random"), one),
    ]


def straight_line(data: Dataset) -> float:
    """Test accuracy of logistic regression without a penalty, which sees no more than a straight line, on the same points."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - importing it is slow

    fitted = LogisticRegression(C=1e6).fit(data.train.inputs, data.train.targets)
    return float(fitted.score(data.test.inputs, data.test.targets))


def trains(line: float) -> float:
    """From which test accuracy on a network is trained: where it makes half of a straight line's errors."""
    return (1.0 + line) / 2


def deep_checks(rows: dict[str, dict[str, Any]], line: float, *, full: bool = False) -> list[Check]:
    """What figures 4 and 5 say, judged by a straight line's accuracy `line`; that a low E is not a low loss; that it is RAI's
    steps that do the work; ReLU."""
    plain, gain, published, ours = (
        rows[name] for name in ("backpropagation", "backpropagation, gain 4", "RAI as published", "RAI, ours")
    )
    relu = rows["RAI, ours, ReLU"]
    controls = [row["test"] for name, row in rows.items() if name.endswith((" step", " steps"))]
    after, limit, said = (
        f"after {published['steps']:,} steps",
        trains(line),
        f"half of a straight line's errors, {line:.4f}",
    )
    objective = (
        printed(f"RAI as published: E that its run prints, {after}", "0.0003", published["objective"])
        if full
        else at_most(f"RAI as published: E {after}", 0.02, published["objective"])
    )
    return [
        at_most("figure 4: test accuracy of backpropagation, best seed", 0.6, plain["best"]),
        printed("figure 4: the loss that its run prints", "0.6931", plain["loss"]),
        at_most("the same from weights of gain 4", 0.6, gain["best"]),
        objective,
        _at_least("figure 5, RAI trains it: test accuracy as published", said, round(limit, 4), published["test"]),
        _at_least("figure 5 with our changes: test accuracy", said, round(limit, 4), ours["test"]),
        Check(
            "E is not the network's loss: that of the forward pass, as published, over E",
            "at least 10",
            published["loss"] / published["objective"],
            bool(published["loss"] >= 10 * published["objective"]),
        ),
        _at_least("RAI, ours: test accuracy of the worst seed", "ours", 0.97, ours["worst"]),
        at_most("controls: test accuracy, best of those that hardly train", 0.9, float(np.max(controls))),
        at_most("open, ReLU at this depth (published: NaN): share of the grid not finite", 0.0, 1.0 - relu["finite"]),
    ]


def output_alone(listener: Listener) -> Result:
    """Section 3: with the output's loss alone (β = 0) only the last layer learns, and the network does not generalize."""
    alone: Any = {"hidden_weight": 0.0}
    steps = STEPS["output alone"]
    settings = [
        Setting("the output's loss alone", Observed(consolidate="never", **alone), steps, PUBLISHED, "relu"),
        Setting("with the hidden losses", Observed(consolidate="never"), steps, PUBLISHED, "relu"),
    ]
    found = trained(settings, SHALLOW, listener, seeds=FEW_SEEDS)
    rows = {one.setting.name: one.row for one in found}
    norms = gradient_norms(RelaxedIdentity(**alone), PUBLISHED, SHALLOW, EARLY_STEPS, activation="relu")
    table = [
        {"steps": steps, "layer": layer, "norm": float(norm)}
        for (_, steps), layers in norms
        for layer, norm in enumerate(layers, start=1)
    ]
    figures = {"landscapes": landscapes(found, f"Moons, {_sizes(SHALLOW)}, ReLU: section 3")}
    checks = tuple(output_checks(rows, table, straight_line(moons())))
    return Result(checks, figures, {"rows": list(rows.values()), "gradients": table})


def output_checks(rows: dict[str, dict[str, Any]], norms: list[dict[str, Any]], line: float) -> list[Check]:
    """Which layers have a gradient, what happens to the output's loss, and what the forward pass makes of fresh points."""
    alone, both = rows["the output's loss alone"], rows["with the hidden losses"]
    top = max(row["layer"] for row in norms)
    lower, upper = ([row["norm"] for row in norms if (row["layer"] == top) == kind] for kind in (False, True))
    said = f"half of a straight line's errors, {line:.4f}"
    return [
        same("the output's loss alone: largest gradient below the last layer", 0.0, max(lower)),
        Check("the output's loss alone: least gradient of the last layer", "above 0", min(upper), min(upper) > 0.0),
        at_most("the output's loss alone: that loss, at the auxiliaries, in the end", 0.01, alone["objective"]),
        Check(
            "it does not generalize: test accuracy of the forward pass",
            f"less than {trains(line):.4f} ({said})",
            f"{alone['test']:.4f}",
            bool(alone["test"] < trains(line)),
        ),
        _at_least("with the hidden losses, as many steps: test accuracy", said, round(trains(line), 4), both["test"]),
    ]


def dimensions(listener: Listener) -> Result:
    """Section 5: how far seeds disagree in two and in more dimensions, RAI as published and backpropagation, each with weight
    decay and without."""
    decay: Any = DECAY
    kinds = {
        "backpropagation": Backpropagation(),
        "backpropagation, weight decay": Decayed(),
        "RAI as published": Observed(relax_output=True, consolidate="never"),
        "RAI as published, weight decay": Observed(relax_output=True, consolidate="never", weight_decay=decay),
    }
    rows = []
    for inputs in DIMENSIONS:
        data, sizes = wider_moons(inputs), [inputs, *SHALLOW[1:]]
        points = np.random.default_rng(0).uniform(-EDGE, EDGE, (2000, inputs)).astype(np.float32)
        settings = [Setting(name, rule, STEPS["dimensions"], PUBLISHED, "relu") for name, rule in kinds.items()]
        for one in trained(settings, sizes, listener, seeds=FEW_SEEDS, data=data, points=points):
            seen = one.runs.predict(data.test.inputs)
            row = {"inputs": inputs, "rule": one.setting.name, "steps": one.setting.steps, "test": one.row["test"]}
            rows.append({**row, "everywhere": one.row["disagreement"], "test_points": disagreement(seen)})
    return Result(tuple(dimension_checks(rows)), {"disagreement": dimension_figure(rows)}, {"rows": rows})


def wider_moons(inputs: int) -> Dataset:
    """`moons()` with further inputs that say nothing of the class."""
    rng = np.random.default_rng(1)

    def wider(split: Split) -> Split:
        noise = SPREAD * rng.normal(size=(len(split), inputs - 2))
        return Split(np.hstack([split.inputs, noise]).astype(np.float32), split.targets)

    plain = moons()
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
    bars = alt.Chart(inline(shown)).mark_bar()
    bars = bars.encode(
        y=alt.Y("rule:N", title=None, sort=names, axis=alt.Axis(labelLimit=240)),
        yOffset=alt.YOffset("inputs:N", sort=[f"{inputs} inputs" for inputs in DIMENSIONS]),
        x=alt.X("share:Q", title="Seeds disagree on", axis=alt.Axis(format="~%")),
        color=alt.Color(
            "inputs:N",
            title=None,
            sort=[f"{inputs} inputs" for inputs in DIMENSIONS],
            scale=alt.Scale(range=["#9ecae9", "#08519c"]),
            legend=alt.Legend(orient="bottom", symbolType="square"),
        ),
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
        runs = training.train("32x32", data, name, listener=told, diagnostics=label == "ours", **BATCHES)
        accuracy = runs.scores["test_accuracy"]
        angle = float(np.nanmean(runs.curves["gradient_angle"])) if label == "ours" else None
        row = {"rule": label, "name": name, "test": float(accuracy.mean()), "worst": float(accuracy.min())}
        rows.append({**row, "angle": angle, "seconds": runs.seconds / len(runs.seeds)})
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
        _at_least(
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
    x = lambda field: alt.X(
        f"{field}:Q", title="Test accuracy", scale=alt.Scale(domain=[0.0, 1.0]), axis=alt.Axis(format="~%")
    )
    base = alt.Chart(inline(shown)).encode(y=alt.Y("rule:N", title=None, sort=None, axis=alt.Axis(labelLimit=240)))
    dots = base.mark_point(filled=True, size=110, opacity=1.0, color="#0072b2").encode(x=x("test"))
    low = base.mark_tick(thickness=2, color=GRAY).encode(x=x("worst"))
    return themed(
        alt.layer(low, dots).properties(width=480, height=180),
        "Relaxed identity in mini-batches",
        f"The two moons, 32-32, batches of 32, Adam, {FEW_SEEDS} seeds; the mean, and (gray) the worst of them.",
    )


def _at_least(statement: str, said: str, limit: float, got: float) -> Check:
    return Check(statement, f"at least {limit:g} ({said})", f"{got:.4f}", bool(got >= limit))


def _sizes(sizes: Sequence[int]) -> str:
    return f"({', '.join(map(str, sizes))})"


def trained(
    settings: Sequence[Setting],
    sizes: Sequence[int],
    listener: Listener,
    *,
    seeds: int | None = None,
    data: Dataset | None = None,
    points: np.ndarray | None = None,
) -> list[Found]:
    """Every row's runs, over `SEEDS` seeds on the moons and their landscape unless others are given, and their worth."""
    data, found = data or moons(), []
    grid = grid_points() if points is None else points
    for setting in settings:
        told = lambda progress, name=setting.name: listener(progress._replace(rule=name))
        network = networks.mlp(sizes, activation=setting.activation, initializer=setting.initializer)
        asked: dict[str, Any] = {"optimizer": "rprop", "learning_rate": setting.learning_rate, "diagnostics": False}
        asked |= {"epochs": setting.steps, "batch_size": len(data.train), "seeds": seeds or SEEDS, "listener": told}
        runs = training.train(network, data, setting.rule, **asked)
        logits = runs.outputs(grid)[:, :, 0]
        found.append(Found(setting, runs, logits, line(setting, runs, logits)))
    return found


def line(setting: Setting, runs: training.Runs, logits: np.ndarray) -> dict[str, Any]:
    """A row of the table. `…_before`: before consolidation; `train` and `loss` of the plain forward pass on the training
    points. Means over the seeds that stayed finite; all columns but `diverged` and `finite` are empty where none did."""
    data = runs.data
    test = runs.scores["test_accuracy"]
    before = runs.scores.get("test_accuracy_before_finish", test)
    right = np.mean(runs.predict(data.train.inputs) == data.train.targets, axis=1)
    z = jnp.asarray(runs.outputs(data.train.inputs))
    loss = jax.vmap(lambda z: jnp.mean(losses.BERNOULLI_CROSS_ENTROPY.values(z, jnp.asarray(data.train.targets))))(z)
    kept = ~runs.diverged & np.isfinite(test)
    last = lambda name: _mean(runs.curves[name][:, -1], kept)
    return {
        "rule": setting.name,
        "options": options(setting.rule),
        "activation": setting.activation,
        "initializer": setting.initializer,
        "learning_rate": setting.learning_rate,
        "steps": setting.steps,
        "test_before": _mean(before, kept),
        "worst_before": _mean(before, kept, np.min),
        "train_before": last("validation_accuracy"),
        "test": _mean(test, kept),
        "worst": _mean(test, kept, np.min),
        "best": _mean(test, kept, np.max),
        "train": _mean(right, kept),
        "objective": last("train_loss") if isinstance(setting.rule, Observed) else None,
        "loss_before": last("validation_loss"),
        "loss": _mean(np.asarray(loss), kept),
        "disagreement": disagreement(logits > 0),
        "finite": float(np.mean(np.isfinite(logits))),
        "diverged": int(np.sum(~kept)),
        "seconds": runs.seconds / len(runs.seeds),
    }


def options(rule: AbstractRule) -> str:
    """The fields of a rule that are not at their default."""
    default, own = (rules.settings(one) for one in (type(rule)(), rule))
    shown = lambda value: f"{value:g}" if isinstance(value, float) else str(value)
    return " ".join(f"{name}={shown(value)}" for name, value in own.items() if value != default[name])


def _mean(values: np.ndarray, kept: np.ndarray, of: Any = np.mean) -> float:
    """Over the runs that are kept; NaN where there are none."""
    return float(of(values[kept])) if kept.any() else float("nan")


def grid_points() -> np.ndarray:
    """The points of a landscape, `(GRID², 2)`, its top line first."""
    places = np.linspace(-EDGE, EDGE, GRID, dtype=np.float32)
    return np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)


def disagreement(labels: np.ndarray) -> float:
    """The share of points where two seeds predict different classes, `labels` `(seeds, points)`, mean over pairs of seeds."""
    pairs = itertools.combinations(labels, 2)
    return float(np.mean([np.mean(one != other) for one, other in pairs]))


def pairs_apart(labels: np.ndarray) -> np.ndarray:
    """The share of pairs of seeds that predict different classes at each point, `(points,)`; its mean is `disagreement`."""
    seeds = len(labels)
    share = np.mean(labels, axis=0)
    return 2.0 * share * (1.0 - share) * seeds / (seeds - 1)


def gradient_table(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """‖∂/∂W‖ of every layer, of backpropagation's loss at the initial weights and of E after some steps, both initializers."""
    rows = []
    for initializer in (PUBLISHED, GAIN_4):
        # Backpropagation's in float64: in the float32 of training, the least that is not 0 is 1e-45.
        with jax.enable_x64(True):
            found = gradient_norms(Backpropagation(), initializer, sizes, (0,))
        found += gradient_norms(RelaxedIdentity(), initializer, sizes, GRADIENT_STEPS)
        for (rule, steps), norms in found:
            for layer, norm in enumerate(norms, start=1):
                rows.append(
                    {"rule": rule, "steps": steps, "initializer": initializer, "layer": layer, "norm": float(norm)}
                )
    return rows


def gradient_norms(
    rule: Backpropagation | RelaxedIdentity,
    initializer: str,
    sizes: Sequence[int],
    stops: Sequence[int],
    activation: str = "logistic",
) -> list[tuple[tuple[str, int], np.ndarray]]:
    """‖∂/∂W‖ of every layer, from the input upwards, after so many steps of Rprop: one seed, in the precision JAX is in."""
    network = networks.mlp(sizes, activation=activation, initializer=initializer, key=jr.key(0))
    split = moons().train
    batch = Batch(
        jnp.asarray(split.inputs, network.dtype), jnp.asarray(split.targets, jnp.int32), losses.BERNOULLI_CROSS_ENTROPY
    )
    trainables: Any = rule.trainables(network, batch, key=jr.key(1))
    optimizer = training.optimizers.transformation(
        training.optimizers.factory("rprop"), jnp.asarray(RATE, network.dtype)
    )

    def step(_: Array, state: tuple[Any, Any]) -> tuple[Any, Any]:
        trainables, moments = state
        with jax.numpy_dtype_promotion("standard"):  # as in the training loop
            updates, moments = optimizer.update(rule(trainables, None, batch).gradients, moments, trainables)
        return jax.tree.map(jnp.add, trainables, updates), moments

    @jax.jit
    def advance(state: tuple[Any, Any], steps: Array) -> tuple[tuple[Any, Any], list[Array]]:
        trainables, moments = jax.lax.fori_loop(0, steps, step, state)
        return (trainables, moments), weight_norms(rules.network_of(rule(trainables, None, batch).gradients))

    state, found, done = (trainables, optimizer.init(trainables)), [], 0
    name = "backpropagation" if isinstance(rule, Backpropagation) else "RAI"
    for stop in stops:
        state, norms = advance(state, jnp.asarray(stop - done, jnp.int32))
        found.append(((name, stop), np.asarray(norms)))
        done = stop
    return found


def weight_norms(gradients: Network) -> list[Array]:
    """The norm of each layer's weights, here of their gradient."""
    return [jnp.sqrt(jnp.sum(weight**2)) for weight in gradients.weights.values()]


def gradient_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Sections 1 and 2: gradients are destroyed on their way down; RAI's, which do not travel, are not."""
    latest = max(row["steps"] for row in rows)

    def ratio(rule: str, initializer: str) -> float:
        steps = 0 if rule == "backpropagation" else latest
        chosen = {
            row["layer"]: row["norm"]
            for row in rows
            if (row["rule"], row["steps"], row["initializer"]) == (rule, steps, initializer)
        }
        return chosen[1] / largest if (largest := max(chosen.values())) else 0.0

    what, checks = "gradient of the first layer to the largest of all layers", []
    for initializer in (PUBLISHED, GAIN_4):
        statement = f"backpropagation, {initializer}: {what} (vanishes)"
        checks.append(at_most(statement, 1e-10, ratio("backpropagation", initializer)))
    for initializer in (PUBLISHED, GAIN_4):
        got = ratio("RAI", initializer)
        statement = f"RAI after {latest} steps, {initializer}: {what} (does not vanish)"
        checks.append(Check(statement, "at least 1e-06", got, bool(got >= 1e-6)))
    return checks


def landscapes(found: Sequence[Found], title: str, *more: str) -> Any:
    """For every row the mean probability over its seeds with the training points, and beside it where seeds disagree."""
    split = moons().train
    names = ["upper", "lower"]
    points = inline(
        {"x1": split.inputs[:, 0], "x2": split.inputs[:, 1], "label": [names[label] for label in split.targets]}
    )
    panels = []
    for one in found:
        known = np.isfinite(one.logits).all(axis=0)
        mean = np.where(known, expit(np.where(np.isfinite(one.logits), one.logits, 0.0)).mean(axis=0), np.nan)
        both = np.stack([1.0 - mean, mean], axis=-1).reshape(GRID, GRID, 2)
        apart = np.where(known, pairs_apart(one.logits > 0), np.nan).reshape(GRID, GRID, 1)
        dots = alt.Chart(points).mark_point(filled=True, size=16, opacity=1.0, stroke="white", strokeWidth=0.5)
        dots = dots.encode(
            x=_axis(alt.X, "x1"),
            y=_axis(alt.Y, "x2"),
            color=alt.Color(
                "label:N",
                title="Training points",
                scale=alt.Scale(domain=names, range=list(_POINTS)),
                sort=names,
                legend=alt.Legend(orient="bottom", symbolType="circle"),
            ),
        )
        large = alt.layer(_image(picture(_finer(both), _POINTS)), dots).properties(width=205, height=205)
        small = _image(_shade(_finer(apart)), labels=False).properties(width=96, height=96)
        small = small.properties(title=_title(f"apart: {_percent(one.row['disagreement'])}", 11))
        score = f"test {_percent(one.row['test'])}" if np.isfinite(one.row["test"]) else "no seed stayed finite"
        title_lines = alt.TitleParams(
            one.setting.name,
            subtitle=f"{one.setting.steps:,} steps, {score}",
            anchor="start",
            fontSize=13,
            subtitleFontSize=12,
            offset=4,
        )
        panels.append(alt.hconcat(large, small, spacing=10).properties(title=title_lines))
    return themed(
        alt.concat(*panels, columns=3, spacing=20),
        title,
        "Large: probability of the lower moon over [−3, 3]², mean of the seeds; blue 0, orange 1, the dark line one half.",
        "Small: where seeds predict different classes, darker for more pairs of seeds, and the share of all pairs and points.",
        " ".join(("Gray: not finite.", *more)),
    )


def _axis(kind: Any, field: str, *, labels: bool = True) -> Any:
    scale = alt.Scale(domain=[-EDGE, EDGE], nice=False)
    axis = alt.Axis(values=[-3, 0, 3], grid=False, domain=False, labels=labels, ticks=labels, format="d")
    return kind(f"{field}:Q", title=None, scale=scale, axis=axis)


def _image(colored: np.ndarray, *, labels: bool = True) -> Any:
    corners = {"x1": -EDGE, "x": EDGE, "x2": -EDGE, "y": EDGE, "url": data_uri(colored)}
    image = alt.Chart(alt.Data(values=[corners])).mark_image(aspect=False)
    x, y = (_axis(kind, field, labels=labels) for kind, field in ((alt.X, "x1"), (alt.Y, "x2")))
    return image.encode(x=x, x2="x:Q", y=y, y2="y:Q", url="url:N")


def _title(text: str, size: int) -> alt.TitleParams:
    return alt.TitleParams(text, anchor="middle", fontSize=size, fontWeight=500, offset=3)


def _finer(field: np.ndarray) -> np.ndarray:
    """Three points between every two."""
    return doubled(doubled(field))


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _shade(shares: np.ndarray) -> np.ndarray:
    """Shares (height, width, 1), 0 to the most there can be, as RGB: white to violet; gray where they are unknown."""
    known = np.isfinite(shares)
    full = np.clip(np.where(known, shares, 0.0) / 0.6, 0.0, 1.0)
    ground = rgb("#f1f1f3")
    return np.where(known, np.round(ground + full * (rgb(_DISAGREEMENT) - ground)), 150.0).astype(np.uint8)


def gradients(rows: list[dict[str, Any]]) -> Any:
    """The norms of `gradient_table`, layer by layer, one panel an initializer."""
    kinds = list(dict.fromkeys((row["rule"], row["steps"]) for row in rows))
    names = {kind: kind[0] if kind[0] == "backpropagation" else f"RAI after {kind[1]} steps" for kind in kinds}
    colors = ["#1f2328", "#9ecae9", "#4292c6", "#08519c"][: len(kinds)]
    positive = [row["norm"] for row in rows if row["norm"] > 0]
    low = 10.0 ** (np.floor(np.log10(min(positive)) / 10.0) * 10.0)
    panels = []
    for initializer in dict.fromkeys(row["initializer"] for row in rows):
        chosen = [row for row in rows if row["initializer"] == initializer]
        shown = {
            "layer": [row["layer"] for row in chosen],
            "norm": [row["norm"] if row["norm"] > 0 else None for row in chosen],
            "kind": [names[row["rule"], row["steps"]] for row in chosen],
        }
        y = alt.Y(
            "norm:Q",
            title="Norm of the gradient of W",
            scale=alt.Scale(type="log", domain=[low, 1e2], nice=False),
            axis=alt.Axis(format="~e", values=[10.0**power for power in range(-320, 10, 20)]),
        )
        lines = alt.Chart(inline(shown)).mark_line(strokeWidth=2.4)
        lines = lines.encode(
            x=alt.X("layer:Q", title="Layer", scale=alt.Scale(nice=False), axis=alt.Axis(format="d")),
            y=y,
            color=alt.Color(
                "kind:N",
                title=None,
                sort=list(names.values()),
                scale=alt.Scale(domain=list(names.values()), range=colors),
                legend=alt.Legend(orient="bottom", symbolType="stroke"),
            ),
        )
        limit = alt.Chart(alt.Data(values=[{"norm": 1.2e-38, "layer": 2, "text": "least normal float32"}]))
        parts = [lines]
        if low < 1e-38:
            parts += [
                limit.mark_rule(color=GRAY, strokeDash=[5, 4]).encode(y=y),
                limit.mark_text(align="left", dy=-9, color=GRAY, fontSize=12).encode(x="layer:Q", y=y, text="text:N"),
            ]
        panels.append(alt.layer(*parts).properties(width=400, height=280, title=_title(initializer, 14)))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "What reaches the lower layers",
        "Backpropagation's gradient at the initial weights (in float64), and that of RAI's objective after steps of Rprop.",
        "RAI starts with every gradient below the last segment at 0, and hears from above one layer a step.",
    )


def curves(found: Sequence[Found]) -> Any:
    """E, and the loss of the plain forward pass on the same points, over the steps of every seed."""
    panels = []
    names = dict(zip(COLORS, ("train_loss", "validation_loss"), strict=True))
    ends = [one.runs.curves[name][one.runs.curves[name] > 0] for one in found for name in names.values()]
    domain = [10.0 ** np.floor(np.log10(min(map(np.min, ends)))), 10.0 ** np.ceil(np.log10(max(map(np.max, ends))))]
    for one in found:
        steps = one.setting.steps
        shown = np.unique(np.round(np.geomspace(1, steps, 160)).astype(int)) - 1
        columns: dict[str, list] = {"step": [], "value": [], "kind": [], "seed": []}
        for kind, name in names.items():
            for seed, series in enumerate(one.runs.curves[name]):
                columns["step"] += list(shown + 1)
                columns["value"] += [value if value > 0 else None for value in series[shown]]
                columns["kind"] += [kind] * len(shown)
                columns["seed"] += [f"seed {seed}"] * len(shown)
        lines = alt.Chart(inline(columns)).mark_line(strokeWidth=1.4, opacity=0.75)
        lines = lines.encode(
            x=alt.X(
                "step:Q",
                title="Step",
                scale=alt.Scale(type="log", nice=False),
                axis=alt.Axis(format="d", values=DECADES[20:]),
            ),
            y=alt.Y(
                "value:Q",
                title="Loss",
                scale=alt.Scale(type="log", domain=domain, nice=False),
                axis=alt.Axis(format="~e", values=DECADES),
            ),
            detail="seed:N",
            color=alt.Color(
                "kind:N",
                title=None,
                sort=list(COLORS),
                scale=alt.Scale(domain=list(COLORS), range=list(COLORS.values())),
                legend=alt.Legend(orient="bottom", symbolType="stroke"),
            ),
        )
        panels.append(lines.properties(width=400, height=260, title=_title(one.setting.name, 14)))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "A low objective is not the network's loss",
        "What RAI minimizes, and what the plain forward pass is worth on the same training points, before consolidation.",
    )
