"""What can be redone of "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization": how far
gradients reach down, sections 1 and 2.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses, networks, rules, training
from ascribe.charts.lines import line_chart, panel_title
from ascribe.charts.theme import GRAY, INK, themed
from ascribe.networks import Network
from ascribe.rules import Backpropagation, Batch, RelaxedIdentity
from ascribe.types import Array

from .base import Check, at_most
from .relaxed_identity_figures import TITLE
from .relaxed_identity_runs import GAIN_4, PUBLISHED, RATE, moons

GRADIENT_STEPS = (10, 100, 250)
"""After how many steps gradients are looked at. News from the output goes down by one layer a step, so 100 reach the first."""


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
                rows.append({"rule": rule, "steps": steps, "initializer": initializer, "layer": layer, "norm": float(norm)})
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
    optimizer = training.optimizers.transformation(training.optimizers.factory("rprop"), jnp.asarray(RATE, network.dtype))

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


def gradients(rows: list[dict[str, Any]]) -> Any:
    """The norms of `gradient_table`, layer by layer, one panel an initializer."""
    kinds = list(dict.fromkeys((row["rule"], row["steps"]) for row in rows))
    names = {kind: kind[0] if kind[0] == "backpropagation" else f"RAI after {kind[1]} steps" for kind in kinds}
    colors = dict(zip(names.values(), (INK, "#9ecae9", "#4292c6", "#08519c"), strict=False))
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
        x = alt.X("layer:Q", title="Layer", scale=alt.Scale(nice=False), axis=alt.Axis(format="d"))
        limit = alt.Chart(alt.Data(values=[{"norm": 1.2e-38, "layer": 2, "text": "least normal float32"}]))
        parts: list[Any] = [line_chart(shown, colors, x, y, strokeWidth=2.4)]
        if low < 1e-38:
            parts += [
                limit.mark_rule(color=GRAY, strokeDash=[5, 4]).encode(y=y),
                limit.mark_text(align="left", dy=-9, color=GRAY, fontSize=12).encode(x="layer:Q", y=y, text="text:N"),
            ]
        panels.append(alt.layer(*parts).properties(width=400, height=280, title=panel_title(initializer, **TITLE, fontSize=14)))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "What reaches the lower layers",
        "Backpropagation's gradient at the initial weights (in float64), and that of RAI's objective after steps of Rprop.",
        "RAI starts with every gradient below the last segment at 0, and hears from above one layer a step.",
    )
