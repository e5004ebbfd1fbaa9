"""The theorem of "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 2:
where a replaced term is a learning rate, and where it is none.

Equations 3 and 4 (g in place of σ'), the text after them (the noise that travels down; units where σ' = 0) and equation 5
(feedback alignment), each computed with the rule and again from what the equation says, in double precision.
"""

from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from ascribe import datasets, networks
from ascribe.charts.inline import inline
from ascribe.charts.lines import kind_color
from ascribe.charts.theme import BLUE, GRAY, INK, RED, themed
from ascribe.metrics import implicit_rate as rate_of
from ascribe.metrics import zero_slope_share
from ascribe.networks import Network, activations, record
from ascribe.rules import B_FUNCTIONS, AbstractRule, Backpropagation, Batch, BFunction, as_batch
from ascribe.rules.terms import layer_errors, output_error

from .base import Check, Listener, Result, above, at_most, close

HIDDEN = (16, 14, 12)
EXAMPLES = 256
FACTOR, RATE, STEPS = 1.7, 0.2, 25
"""c of g = c·σ', the learning rate, and how many full batches are learned from."""
G = {"tanh": "arctan", "relu": "logistic"}
"""What stands in place of the derivative, by the activation whose derivative it is."""
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
FEEDBACK_STEPS = 400


def implicit_rate(listener: Listener) -> Result:
    """Equations 3 to 5 on a network of three hidden layers and images of digits."""
    with jax.enable_x64(True):
        data = datasets.load("digits")
        images, labels = data.train.inputs[:EXAMPLES].reshape(EXAMPLES, -1), data.train.targets[:EXAMPLES]
        made = {name: networks.mlp([data.features, *HIDDEN, data.classes], activation=name, key=jr.key(0)) for name in G}
        batch = as_batch(made["tanh"], (images, labels))
        singles, cloud = single_examples(made, batch)
        lower, below = layers_below(made["tanh"], batch)
        shares = batches(made, batch)
        fed, feedback = feedback_rates(made["tanh"], batch)
        checks = (*constant_factor(made["tanh"], batch), *singles, *lower, *batch_checks(shares), *fed)
    return Result(
        checks,
        {"rates_of_units": unit_figure(cloud), "batches": batch_figure(shares)},
        {"layers": below, "batches": shares, "feedback": feedback},
    )


def constant_factor(network: Network, batch: Batch) -> list[Check]:
    """With g = c·σ' in one layer and gradient descent, c is the rate of that layer and of all below it, and of none above;
    in every layer, the lowest gets c of each. Adam divides it out again."""
    checks = []
    names = network.synaptic
    for place in (1, 2, 3, "hidden"):
        powers = [int(i < place) for i in range(len(names))] if isinstance(place, int) else [3, 2, 1, 0]
        rule = BFunction({"hidden" if place == "hidden" else f"tanh{place}": "exact"}, scale=FACTOR)
        ours = descend(network, rule, batch, optax.sgd(RATE))
        rates = dict(zip(names, [FACTOR**power for power in powers], strict=True))
        theirs = descend(network, Backpropagation(), batch, optax.sgd(RATE), rates)
        where = f"layer {place}" if place != "hidden" else "all hidden layers"
        told = ", ".join("c" if power == 1 else f"c^{power}" if power else "1" for power in powers)
        what = f"g = c·σ' in {where} is a rate times {told} in layers 1 to 4: largest difference of a weight"
        checks.append(at_most(what, 1e-12, difference(ours, theirs)))
    adam = optax.adam(0.01)
    ours, plain = (descend(network, BFunction("exact", scale=c), batch, adam) for c in (FACTOR, 1.0))
    faster = descend(network, BFunction("exact"), batch, optax.adam(0.01 * FACTOR))
    share = difference(ours, plain) / difference(faster, plain)
    what = "under Adam, which divides by the gradient's size, g = c·σ' is no rate: what it changes, of what the rate c changes"
    return [*checks, at_most(what, 0.01, share)]


def descend(
    network: Network,
    rule: AbstractRule,
    batch: Batch,
    optimizer: optax.GradientTransformation,
    rates: dict[str, float] | None = None,
    state: Any = None,
    steps: int = STEPS,
) -> Network:
    """The network after some steps on one batch; `rates`: further factors of each layer's update."""

    def step(carry: Any, _: None) -> tuple[Any, None]:
        network, memory = carry
        gradients: Any = rule(network, state or {}, batch, key=jr.key(0)).gradients
        moves, memory = optimizer.update(gradients, memory, gradients)
        moved: Any = moves
        layers = []
        for name, layer in zip(moved.names, moved.layers, strict=True):
            factor = (rates or {}).get(name, 1.0)
            layers.append(jax.tree.map(lambda move, factor=factor: factor * move, layer))
        return (optax.apply_updates(network, moved.with_layers(layers)), memory), None

    start = (network, optimizer.init(network))  # pyright: ignore[reportArgumentType]
    with jax.numpy_dtype_promotion("standard"):  # Adam raises floats to integer powers
        return jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps)[0][0])(start)


def difference(one: Network, other: Network) -> float:
    """The largest difference of a weight or bias."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(float(jnp.max(jnp.abs(a - b))) for a, b in pairs)


def rows_of(network: Network, rule: BFunction, batch: Batch, layer: str) -> np.ndarray:
    """The gradient of W of that layer for every example alone, `(examples, units, inputs)`."""

    def one(image: jax.Array, label: jax.Array) -> jax.Array:
        single = Batch(image[None], label[None], batch.loss)
        return rule(network, rule.init(network, single, key=jr.key(1)), single).gradients[layer].weight

    return np.asarray(jax.jit(jax.vmap(one))(batch.inputs, batch.targets))


def deviation(ours: np.ndarray, rates: np.ndarray, theirs: np.ndarray) -> float:
    """How far the gradients are from `rates` (one for each example and unit) times the others, of their own size."""
    return float(np.max(np.abs(ours - rates[..., None] * theirs)) / np.max(np.abs(ours)))


def single_examples(made: dict[str, Network], batch: Batch) -> tuple[list[Check], list[dict[str, Any]]]:
    """β(z) = α g(z)/σ'(z), unit by unit, in the layer whose derivative is replaced; and the points of the figure."""
    checks, cloud = [], []
    for name, network in made.items():
        z = np.asarray(record(network, batch.inputs)[0].preactivations(network)["linear2"])
        g, slope = (np.asarray(f(jnp.asarray(z))) for f in (B_FUNCTIONS[G[name]], activations.get(name).derivative))
        rule = BFunction({f"{name}2": G[name]})
        ours, theirs = (rows_of(network, one, batch, "linear2") for one in (rule, BFunction()))
        rates, there = np.where(slope != 0, g / np.where(slope == 0, 1, slope), 0.0), slope != 0
        what = f"(3), (4): {G[name]}' for {name}', one example at a time: gradient against g(z)/σ'(z) times backpropagation's"
        if not there.all():
            what += ", units with σ' ≠ 0"
        checks.append(at_most(f"{what}, largest relative difference", 1e-12, deviation(ours * there[..., None], rates, theirs)))
        if not there.all():
            without = (np.abs(ours).max(2) > 0) & (np.abs(theirs).max(2) == 0)
            counted = float(zero_slope_share(jnp.asarray(g), jnp.asarray(slope)))
            what = f"{name}: share of units with σ' = 0 and g ≠ 0, where no rate stands for the credit"
            checks.append(Check(what, f"{counted:.4f}", f"{without.mean():.4f}", bool(without.mean() == counted > 0)))
        else:
            lower = ratio(rows_of(network, rule, batch, "linear1"), rows_of(network, BFunction(), batch, "linear1"))
            z1 = np.asarray(record(network, batch.inputs)[0].preactivations(network)["linear1"])
            pairs = (("layer 2, whose derivative is replaced", z, rates), ("layer 1, below it", z1, lower))
            for where, at, found in pairs:
                chosen = np.linspace(0, at.size - 1, 700).astype(int)
                cloud += [
                    {"layer": where, "z": float(a), "rate": float(b)}
                    for a, b in zip(at.ravel()[chosen], found.ravel()[chosen], strict=True)
                ]
    return checks, cloud


def ratio(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """The factor between the rows of gradients of single examples, `(examples, units)`: least squares, row by row."""
    return (ours * theirs).sum(2) / (theirs**2).sum(2)


def layers_below(network: Network, batch: Batch) -> tuple[list[Check], list[dict[str, Any]]]:
    """ε = g/σ' on its way down: below, a unit's factor is the mean of the ε above it, weighted with what each unit above
    sends to it; with weights of both signs, so that it may be any number."""
    rule = BFunction({"tanh3": G["tanh"]})
    tape = record(network, batch.inputs)[0]
    z = tape.preactivations(network)["linear3"]
    delta = output_error(network, tape, batch, rule.terms(network, {}))[1]
    exact = {name: np.asarray(d) for name, d in layer_errors(network, tape, delta, BFunction().terms(network, {})).items()}
    epsilon = np.asarray(rate_of(B_FUNCTIONS[G["tanh"]](z), activations.get("tanh").derivative(z)))
    w = np.asarray(network["linear3"].weight)
    expected = (exact["linear3"] * epsilon) @ w / (exact["linear3"] @ w)
    rows, found = [], {}
    for place, name in ((3, "linear3"), (2, "linear2"), (1, "linear1")):
        ours, theirs = (rows_of(network, one, batch, name) for one in (rule, BFunction()))
        found[name] = rates = ratio(ours, theirs)
        cosine = (ours * theirs).sum((1, 2)) / np.sqrt((ours**2).sum((1, 2)) * (theirs**2).sum((1, 2)))
        rows.append(
            {
                "layer": place,
                **_summary(rates),
                "angle_to_backpropagation": float(np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean()),
            }
        )
    ours, theirs = (rows_of(network, one, batch, "linear2") for one in (rule, BFunction()))
    checks = [
        at_most(
            "the layer below: its factor against the mean of ε above, weighted with W·δ, largest relative difference",
            1e-9,
            deviation(ours, expected, theirs),
        ),
        at_most("in the layer itself no factor is below 0: share", 0.0, rows[0]["share_of_negative_rates"]),
        above("below it some are: the step goes uphill there, share", 0.0, rows[1]["share_of_negative_rates"]),
    ]
    return checks, rows


def _summary(rates: np.ndarray) -> dict[str, float]:
    low, middle, high = map(float, np.quantile(rates, [0.1, 0.5, 0.9]))
    negative = float(np.mean(rates < 0))
    return {"rate_10_percent": low, "rate_median": middle, "rate_90_percent": high, "share_of_negative_rates": negative}


def batches(made: dict[str, Network], batch: Batch) -> list[dict[str, Any]]:
    """How much of the gradient of a whole batch no rate explains, whatever rate each unit is given: the rest after the best
    one, of the gradient's own size. A mean over the batches of a size that 256 examples have."""
    rows = []
    for name, network in made.items():
        rule = BFunction({f"{name}2": G[name]})
        ours, theirs = (rows_of(network, one, batch, "linear2") for one in (rule, BFunction()))
        for size in SIZES:
            a, b = (each.reshape(-1, size, *each.shape[1:]).mean(1) for each in (ours, theirs))
            square = (b**2).sum(2)
            best = (a * b).sum(2) / np.where(square == 0, 1, square)
            a = a * (square > 0)[..., None]  # where σ' = 0 in the whole batch no rate could scale the gradient
            rest = np.sqrt(((a - best[..., None] * b) ** 2).sum((1, 2)) / (a**2).sum((1, 2)))
            rows.append({"g": f"{G[name]}' for {name}'", "batch": size, "unexplained": float(rest.mean())})
    return rows


def batch_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Nothing is left over at one example; at 32 something is, so the theorem has ended."""
    checks = []
    for g in dict.fromkeys(row["g"] for row in rows):
        at = {row["batch"]: row["unexplained"] for row in rows if row["g"] == g}
        checks.append(at_most(f"{g}, batches of 1: share of the gradient that no rate of a unit explains", 1e-12, at[1]))
        checks.append(above(f"{g}, batches of 32: the same share (a sum of examples with a rate each)", 0.01, at[32]))
    return checks


def feedback_rates(network: Network, batch: Batch) -> tuple[list[Check], list[dict[str, Any]]]:
    """Bδ/(Wᵀδ) of B in place of the W above layer 2, for single examples: at the start, and after training with B."""
    rule = BFunction(transport={"linear3": "random"})
    state = rule.init(network, batch, key=jr.key(1))
    trained = descend(network, rule, batch, optax.sgd(RATE), state=state, steps=FEEDBACK_STEPS)
    rows, worst = [], 0.0
    for when, one in (("at the start", network), (f"after {FEEDBACK_STEPS} steps", trained)):
        tape = record(one, batch.inputs)[0]
        delta = output_error(one, tape, batch, rule.terms(one, state))[1]
        delta = np.asarray(layer_errors(one, tape, delta, BFunction().terms(one, {}))["linear3"])
        rates = np.asarray(rate_of(jnp.asarray(delta @ state["linear3"]), jnp.asarray(delta @ one["linear3"].weight)))
        ours, theirs = (rows_of(one, each, batch, "linear2") for each in (rule, BFunction()))
        worst = max(worst, deviation(ours, rates, theirs))
        w, b = (np.asarray(m).ravel() for m in (one["linear3"].weight, state["linear3"]))
        rows.append(
            {
                "when": when,
                **_summary(rates),
                "angle_between_B_and_W": float(np.degrees(np.arccos(w @ b / np.linalg.norm(w) / np.linalg.norm(b)))),
            }
        )
    start, end = (row["share_of_negative_rates"] for row in rows)
    what = "(5): B for W, one example at a time: gradient against Bδ/(Wᵀδ) times backpropagation's, largest relative difference"
    checks = [
        at_most(what, 1e-9, worst),
        close("share of negative rates at the start, where B knows nothing of W", 0.5, start, 0.15),
        Check("and after training with B, which turns W towards it", f"below {start:.3f}", end, end < start),
    ]
    return checks, rows


def unit_figure(cloud: list[dict[str, Any]]) -> Any:
    """Every unit's factor over its z, of single examples: a curve in the layer itself, a cloud below."""
    names = list(dict.fromkeys(row["layer"] for row in cloud))
    colors = dict(zip(names, (INK, RED), strict=True))
    color = kind_color(colors, "layer", symbolOpacity=1.0, symbolType="circle", labelLimit=320)
    low, high = np.quantile([row["rate"] for row in cloud], [0.02, 0.98])
    scale = alt.Scale(domain=[min(float(low), -0.5), float(high)], clamp=True, nice=False)
    chart = (
        alt.Chart(inline(cloud, "rates"))
        .mark_point(filled=True, size=14, opacity=0.6)
        .encode(
            x=alt.X("z:Q", title="z of the unit", scale=alt.Scale(nice=False)),
            y=alt.Y("rate:Q", title="factor of the unit's gradient", scale=scale),
            color=color,
        )
        .properties(width=620, height=340)
    )
    zero = alt.Chart(alt.Data(values=[{"y": 0}, {"y": 1}])).mark_rule(color=GRAY, strokeDash=[5, 4]).encode(y="y:Q")
    subtitle = (
        f"One example at a time, {G['tanh']}' in place of tanh' in layer 2: there the factor is g(z)/σ'(z), a function of z;",
        "below it is none, and may be negative. Points beyond the axis are drawn at its end.",
    )
    return themed(alt.layer(zero, chart), "The learning rate of every unit", *subtitle)


def batch_figure(rows: list[dict[str, Any]]) -> Any:
    """How much of a batch's gradient no rate explains, over the batch's size."""
    names = list(dict.fromkeys(row["g"] for row in rows))
    chart = (
        alt.Chart(inline(rows, "batches"))
        .mark_line(point=True, strokeWidth=2.4)
        .encode(
            x=alt.X("batch:Q", title="Examples in a batch", scale=alt.Scale(type="log", base=2, nice=False)),
            y=alt.Y("unexplained:Q", title="Share that no rate explains", axis=alt.Axis(format="%")),
            color=kind_color(dict(zip(names, (INK, BLUE), strict=True)), "g", symbolType="stroke", labelLimit=320),
        )
        .properties(width=620, height=300)
    )
    subtitle = "Of the gradient of layer 2, after every unit was given the rate that fits best: 0 for single examples only."
    return themed(chart, "Where the theorem ends: batches", subtitle)
