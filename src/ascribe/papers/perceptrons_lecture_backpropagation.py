"""What can be redone of "Solving Deeper Multilayer Perceptrons" (lecture of January 24, 2020): a layer as one product (1), and
backpropagation for the quadratic cost (3)–(21).
"""

import time
from collections.abc import Sequence
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses, networks
from ascribe.autodiff import by_hand
from ascribe.charts.inline import inline
from ascribe.charts.lines import line_chart, stacked
from ascribe.charts.theme import BLUE, GRAY, RED, themed
from ascribe.networks import Network
from ascribe.rules import Backpropagation, Batch, Credit

from .base import Check, Listener, Result, apart, at_most, same

DECADES = [10.0**power for power in range(-12, 6)]
"""The ticks of logarithmic axes."""
WIDTHS = (4, 8, 16, 32, 64, 128, 256, 512)
TOLERANCE = 1e-6
RATE, MOST_STEPS = 4.0, 20_000


def vectorization(listener: Listener) -> Result:
    """a_j = σ(Σ_k w_jk a_k + b_j) unit by unit, as (1) reads, and as one product: equal, and how much faster."""
    generator = np.random.default_rng(0)
    rows, off = [], 0.0
    for width in WIDTHS:
        w, b = generator.normal(size=(width, width)) / np.sqrt(width), generator.normal(size=width)
        a = generator.uniform(size=width)
        # As lists, so that the loop is not held up by taking single numbers out of arrays.
        plain = w.tolist(), b.tolist(), a.tolist()
        loop, product = _unit_by_unit(*plain), _at_once(w, b, a)
        ours = [of([w.T], [b], a, "logistic") for of in (by_hand.forward_by_unit, by_hand.forward)]
        off = max(off, *(apart(one, product) for one in (loop, *ours)))
        slow, fast = _seconds(_unit_by_unit, *plain), _seconds(_at_once, w, b, a)
        rows.append({"width": width, "loop_seconds": slow, "product_seconds": fast})
    times = rows[-1]["loop_seconds"] / rows[-1]["product_seconds"]
    checks = (
        at_most(
            "largest difference between the two, and from those of ascribe.autodiff, over all widths (float64)",
            1e-12,
            off,
        ),
        Check(f"times faster, {WIDTHS[-1]} units a layer", "faster", f"{times:.0f} ×", times > 1.0),
    )
    figure = themed(
        _times(rows),
        "Vectorization",
        "One layer, a = σ(W a + b), of as many units as inputs: the best of several runs in Python and NumPy.",
    )
    return Result(checks, {"times": figure}, {"times": rows})


def _unit_by_unit(w: list[list[float]], b: list[float], a: list[float]) -> list[float]:
    activations = []
    for j in range(len(b)):
        z = b[j]
        for k in range(len(a)):
            z += w[j][k] * a[k]
        activations.append(1.0 / (1.0 + float(np.exp(-z))))
    return activations


def _at_once(w: np.ndarray, b: np.ndarray, a: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-(w @ a + b)))


def _seconds(function: Any, *arguments: Any) -> float:
    """The least of some times of one call; short calls are repeated until they fill a millisecond."""
    began = time.perf_counter()
    function(*arguments)
    count = max(1, int(1e-3 / max(time.perf_counter() - began, 1e-7)))
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            function(*arguments)
        best = min(best, (time.perf_counter() - began) / count)
    return best


def _times(rows: Sequence[dict[str, Any]]) -> Any:
    kinds = {"loop_seconds": "unit by unit, (1)", "product_seconds": "at once, σ(W a + b)"}
    columns = stacked(WIDTHS, {name: [1000.0 * row[kind] for row in rows] for kind, name in kinds.items()})
    scale, times = alt.Scale(type="log", base=2, nice=False), alt.Axis(format="~g", values=DECADES)
    x = alt.X("x:Q", title="Units of the layer", scale=scale, axis=alt.Axis(values=WIDTHS))
    y = alt.Y("y:Q", title="Time (ms)", scale=alt.Scale(type="log"), axis=times)
    lines = line_chart(columns, dict(zip(kinds.values(), (RED, BLUE), strict=True)), x, y, strokeWidth=2.4)
    return alt.layer(lines, lines.mark_point(filled=True, size=55, opacity=1.0)).properties(width=520, height=320)


def quadratic_backpropagation(listener: Listener) -> Result:
    """The derivatives (7)–(15), sum by sum, and (18)–(21), against the rule; and gradient descent (3) until convergence."""
    with jax.enable_x64(True):
        two, general = _two_layers(), _general()
        losses_seen, norms = _descend()
    steps = len(losses_seen) - 1
    rises = int(np.sum(np.diff(losses_seen) > 0))
    checks = (
        at_most("(11): ∂J/∂w of layer 2, sum by sum, to the rule's (float64)", 1e-12, two["upper"]),
        at_most("(12)–(15): ∂J/∂w of layer 1, sum by sum, to the rule's", 1e-12, two["lower"]),
        Check(
            "(10), (11) as printed, with a_k for a_j: largest distance to the rule's",
            "not 0 (a slip)",
            two["as_printed"],
            two["as_printed"] > 1e-3,
        ),
        at_most("(18)–(20): ∂J/∂w of all of 4 layers to the rule's", 1e-12, general["weights"]),
        at_most("(18), (19), (21): ∂J/∂b of all of 4 layers to the rule's", 1e-12, general["biases"]),
        at_most("the rule's gradient to jax.grad of (6)", 1e-12, general["autodiff"]),
        at_most(f"(3) until convergence: norm of the gradient after {steps:,} steps", TOLERANCE, float(norms[-1])),
        same("steps on which J rises", 0, rises),
    )
    figure = themed(
        alt.concat(_falling(losses_seen, "Cost J (6)"), _falling(norms, "Norm of ∂J/∂w", TOLERANCE), spacing=36),
        "Gradient descent until convergence",
        f"Sigmoid network 2-3-1 on xor with targets 0.1 and 0.9, η = {RATE:g}; it stops where the gradient's norm is "
        f"below {TOLERANCE:g}.",
    )
    return Result(checks, {"descent": figure})


def _sigmoid_network(sizes: Sequence[int], seed: int) -> Network:
    """Sigmoids in every layer, with random biases too, so that nothing vanishes by accident."""
    network = networks.mlp(sizes, activation="logistic", output_activation="logistic", initializer="zeros")
    generator = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.asarray(0.7 * generator.normal(size=leaf.shape)), network)


@eqx.filter_jit
def _gradient(network: Network, inputs: Any, targets: Any) -> Credit:
    """The rule's credit for J of (6), on the tape."""
    batch = Batch(inputs, targets, losses.SQUARED_ERROR)
    return Backpropagation()(network, None, batch)


def _two_layers() -> dict[str, float]:
    """Largest distances of the sums (7)–(15) for one example to the rule's gradient."""
    network = _sigmoid_network([4, 3, 3], 1)
    x, t = (np.random.default_rng(1).uniform(size=n) for n in (4, 3))
    layers = [network[name] for name in network.synaptic]
    weights, biases = [layer.weight for layer in layers], [layer.bias for layer in layers]
    found = by_hand.two_layer_by_index(weights, biases, x, t)
    (lower, upper), (_, delta) = found.weights, found.errors
    a1 = _unit_by_unit(weights[0].tolist(), biases[0].tolist(), x.tolist())  # (4)
    slip = np.array([[delta[k] * a1[k] for _ in a1] for k in range(len(delta))])  # (11) as it is printed
    rule = _gradient(network, jnp.asarray(x[None]), jnp.asarray(t[None])).gradients.weights
    first, second = (np.asarray(rule[name]) for name in network.synaptic)
    return {"upper": apart(upper, second), "lower": apart(lower, first), "as_printed": apart(slip, second)}


def _general() -> dict[str, float]:
    """Largest distances of (18)–(21), in matrices for one example, to the rule's gradient, and of that to `jax.grad`."""
    network = _sigmoid_network([4, 6, 5, 5, 3], 2)
    x, y = (np.random.default_rng(2).uniform(size=n) for n in (4, 3))
    layers = [network[name] for name in network.synaptic]
    w, b = [np.asarray(layer.weight) for layer in layers], [np.asarray(layer.bias) for layer in layers]
    a = [x]
    for weight, bias in zip(w, b, strict=True):
        a.append(_at_once(weight, bias, a[-1]))
    slopes = [activation * (1 - activation) for activation in a[1:]]
    delta = (a[-1] - y) * slopes[-1]  # (18), with the quadratic cost's a − y
    weights, biases = [], []
    for layer in reversed(range(len(w))):
        weights.insert(0, np.outer(delta, a[layer]))  # (20)
        biases.insert(0, delta)  # (21)
        if layer:
            delta = (w[layer].T @ delta) * slopes[layer - 1]  # (19)
    inputs, targets = jnp.asarray(x[None]), jnp.asarray(y[None])
    rule = _gradient(network, inputs, targets).gradients
    exact = jax.jit(jax.grad(lambda n: jnp.sum((targets - n(inputs)) ** 2) / 2))(network)
    distance = lambda ours, theirs: max(apart(o, t) for o, t in zip(ours, theirs, strict=True))
    return {
        "weights": distance(weights, rule.weights.values()),
        "biases": distance(biases, [rule[name].bias for name in rule.synaptic]),
        "autodiff": distance(jax.tree.leaves(rule), jax.tree.leaves(exact)),
    }


def _descend() -> tuple[np.ndarray, np.ndarray]:
    """Gradient descent (3) with the rule's gradient until its norm is below the tolerance: J and the norm, a number a step."""
    inputs = jnp.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = jnp.asarray([[0.1], [0.9], [0.9], [0.1]])
    network = _sigmoid_network([2, 3, 1], 0)

    def measure(network: Network) -> tuple[Any, Any, Any]:
        credit = _gradient(network, inputs, targets)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(credit.gradients)))
        return credit.loss, norm, credit.gradients

    def step(state: Any) -> Any:
        count, network, seen, norms = state
        loss, norm, gradients = measure(network)
        moved = jax.tree.map(lambda w, g: w - RATE * g, network, gradients)  # (3)
        return count + 1, moved, seen.at[count].set(loss), norms.at[count].set(norm)

    def unfinished(state: Any) -> Any:
        count, _, _, norms = state
        return (count < MOST_STEPS) & ((count == 0) | (norms[count - 1] > TOLERANCE))

    empty = jnp.full(MOST_STEPS, jnp.nan)
    state = jnp.asarray(0), network, empty, empty
    count, _, seen, norms = jax.jit(lambda state: jax.lax.while_loop(unfinished, step, state))(state)
    return np.asarray(seen)[: int(count)], np.asarray(norms)[: int(count)]


def _falling(values: np.ndarray, title: str, limit: float | None = None) -> Any:
    """A curve over steps, both axes logarithmic, with at most some hundred points."""
    shown = np.unique(np.round(np.geomspace(1, len(values), 300)).astype(int)) - 1
    x = alt.X("step:Q", title="Step", scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format="d", values=DECADES[12:]))
    y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format="~e", values=DECADES))
    line = alt.Chart(inline({"step": shown + 1, "value": values[shown]})).mark_line(color=BLUE, strokeWidth=2.4)
    layers = [line.encode(x=x, y=y)]
    if limit is not None:
        layers.append(alt.Chart(alt.Data(values=[{"value": limit}])).mark_rule(color=GRAY, strokeDash=[5, 4]).encode(y=y))
    return alt.layer(*layers).properties(width=400, height=300)
