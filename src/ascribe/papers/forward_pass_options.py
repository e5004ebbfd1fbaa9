"""What can be redone of "Binary Classifier Forward-Pass Optimization" (Lerman 2021): Definition 0.1, (9)–(12), (14)."""

import functools
from typing import Any

import altair as alt
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import losses, networks
from ascribe.charts.lines import line_chart
from ascribe.charts.theme import BLUE, RED, themed
from ascribe.rules import Batch, ForwardPass
from ascribe.rules.forward_pass import stabilize

from .base import Check, Listener, Result, above, at_most, close, largest, same
from .forward_pass_steps import bare, of_one_sign

UP_STEPS = 60
"""Steps on one example with label 1, until activations explode."""


def options(listener: Listener) -> Result:
    """Definition 0.1, (9), (10), (11) with (12), and (14), each by what it does to a few weights."""
    with jax.enable_x64(True):
        checks = [*definition_checks(), *rate_checks(), *sign_checks()]
    growth = explosion()
    figures = {"activations": growth_figure(growth)}
    return Result((*checks, *explosion_checks(growth)), figures, {"activations": growth})


def _one(x: Any, label: Any, network: networks.Network) -> Batch:
    return Batch(jnp.asarray(x, network.dtype), jnp.asarray(label, jnp.int32), losses.BERNOULLI_CROSS_ENTROPY)


def _slopes(rule: ForwardPass, network: networks.Network, batch: Batch) -> networks.Network:
    return jax.jit(lambda network, batch: rule(network, None, batch).gradients)(network, batch)


def definition_checks() -> list[Check]:
    """Definition 0.1: every input counts, so all weights from a neuron's inputs move by one factor. Ours: an input that is 0
    moves none."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((20, 6)) < 0.5, rng.random((20, 6)), 0.0)
    x[:, 0] = 0.0
    network = networks.mlp([6, 8, 1], bias=False, key=jr.key(0))
    factors = {}
    for kind in ("always", "nonzero"):
        rule = ForwardPass(input_activation=kind, inactive="all")
        slopes = _slopes(rule, network, _one(x, rng.integers(0, 2, 20), network))
        factors[kind] = np.asarray(slopes["linear1"].weight / jnp.abs(network["linear1"].weight))
    apart = np.ptp(factors["always"], axis=1) / np.max(np.abs(factors["always"]))
    return [
        at_most("Definition 0.1: how far the factors of one neuron's inputs differ", 1e-12, float(np.max(apart))),
        above("Definition 0.1: an input that is always 0 moves its weights", 0.0, largest(np.abs(factors["always"][:, 0]))),
        same("ours (nonzero): what such an input moves", 0.0, largest(np.abs(factors["nonzero"][:, 0]))),
    ]


def rate_checks(scaling: float = 0.1) -> list[Check]:
    """(9): a step down undoes a step up, where without it λ² is lost; (10): a step is E times as long, E no more than 1/λ."""
    network = of_one_sign([3, 8, 8, 1], 1)
    x = np.array([[0.3, 1.2, 0.7]])
    found = []
    for adaptive in (True, False):
        rule, moved = bare(scaling, natural=False, adaptive_rate=adaptive), network
        for label in (1, 0):
            slopes = _slopes(rule, moved, _one(x, [label], network))
            moved = jax.tree.map(jnp.subtract, moved, slopes)
        back = jax.tree.map(lambda new, old: jnp.max(jnp.abs(new / old - 1)), moved, network)
        found.append(max(float(leaf) for leaf in jax.tree.leaves(back)))
    wide = networks.mlp([3, 8, 1], bias=False, initializer="lecun-normal", key=jr.key(1))
    inputs, labels = np.random.default_rng(1).normal(size=(64, 3)) * 3.0, np.arange(64) % 2
    large = 0.5  # so that some errors are larger than 1/λ
    sizes = []
    for scaled in (True, False):
        rule = bare(large, natural=False, error_scaled=scaled)
        each = jax.jit(jax.vmap(lambda x, y, rule=rule: rule(wide, None, _one(x[None], y[None], wide)).gradients))
        slopes = each(jnp.asarray(inputs), jnp.asarray(labels))["linear2"].weight
        sizes.append(np.asarray(jnp.sum(jnp.abs(slopes), axis=(1, 2))))
    z = np.asarray(wide(jnp.asarray(inputs)))[:, 0]
    errors = np.logaddexp(0.0, np.where(labels == 1, -z, z))
    moves = sizes[1] > 0  # a network that is silent moves nothing in its last layer
    off = np.abs(sizes[0][moves] / sizes[1][moves] - np.minimum(errors[moves], 1 / large))
    return [
        at_most("(9): weights after a step up and one down over those before, less 1", 1e-12, found[0]),
        close("the same without (9): λ²", scaling**2, found[1], 1e-12),
        at_most("(10): the length of a step over that without, less min(E, 1/λ)", 1e-12, float(np.max(off))),
        Check(
            "(10): of these examples, errors above 1/λ (where it is capped)",
            "some",
            int(np.sum(errors[moves] > 1 / large)),
            bool(np.any(errors[moves] > 1 / large)),
        ),
    ]


def sign_checks(scaling: float = 0.2, threshold: float = 0.01) -> list[Check]:
    """(14): steps down by a factor never bring a weight across 0; with (14) those do that fall below η, and no others."""
    network = jax.tree.map(jnp.abs, networks.mlp([200, 1], bias=False, initializer="lecun-normal", key=jr.key(0)))
    batch = _one(np.ones((1, 200)), [0], network)
    found = {}
    for eta in (0.0, threshold):
        rule = bare(scaling, natural=False, flip_label=False, sign_threshold=eta)

        def step(_: jax.Array, network: networks.Network, rule: ForwardPass = rule) -> networks.Network:
            moved = jax.tree.map(jnp.subtract, network, rule(network, None, batch).gradients)
            return rule.after_update(moved, None)[0]

        after = jax.jit(functools.partial(jax.lax.fori_loop, 0, 10, step))(network)
        found[eta] = int(jnp.sum(after["linear1"].weight < 0))
    below = int(np.sum(np.asarray(network["linear1"].weight) * (1 - scaling) ** 10 < threshold))
    return [
        same("without (14): weights of 200 that changed their sign in ten steps down", 0, found[0.0]),
        same("with (14): those that fell below η meanwhile, and no others", below, found[threshold]),
    ]


def explosion(scaling: float = 0.2) -> list[dict[str, Any]]:
    """Label 1 again and again, SGD at rate 1, weights above 0, in float32: the largest hidden activation and the logit after
    every step, and the rounding error of the logit (float32 against float64, the same weights), with (11, 12) and without."""
    rows = []
    x = np.array([[0.3, 1.2, 0.7]])
    for stabilized in (False, True):
        rule = bare(scaling, natural=False, stabilized=stabilized)
        network = of_one_sign([3, 8, 8, 1], 1)
        network = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), stabilize(network) if stabilized else network)
        batch = _one(x, [1], network)

        def step(network: networks.Network, _: None, rule: ForwardPass = rule, batch: Batch = batch) -> tuple[Any, Any]:
            moved = jax.tree.map(jnp.subtract, network, rule(network, None, batch).gradients)
            return moved, moved

        _, path = jax.jit(functools.partial(jax.lax.scan, step, length=UP_STEPS))(network)
        hidden, logits = map(np.asarray, jax.jit(jax.vmap(_activity, (0, None)))(path, batch.inputs))
        with jax.enable_x64(True):
            wide = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, np.float64)), path)
            exact = np.asarray(jax.jit(jax.vmap(_activity, (0, None)))(wide, jnp.asarray(x))[1])
        for number in range(UP_STEPS):
            row = {"stabilized": stabilized, "step": number + 1, "hidden": float(hidden[number])}
            rows.append({**row, "logit": float(logits[number]), "rounding": float(abs(logits[number] - exact[number]))})
    return rows


def _activity(network: networks.Network, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The largest activation of a hidden layer, and the logit."""
    tape, _ = networks.record(network, x)
    last = network.index(network.synaptic[-1])
    return jnp.max(tape.inputs[last]), tape.output[0, 0]


def explosion_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """What (11) and (12) are for."""
    plain, stable = ([row for row in rows if row["stabilized"] == kind] for kind in (False, True))
    last = f"after {UP_STEPS} steps towards one label, λ = 0.2"
    silent = stabilize(networks.mlp([3, 8, 1], bias=False, key=jr.key(0)))
    return [
        Check(
            f"without (11, 12): the largest hidden activation {last} (explodes)",
            "at least 1e+06",
            plain[-1]["hidden"],
            bool(plain[-1]["hidden"] >= 1e6),
        ),
        at_most("with (11, 12): the same, in all steps", 10.0, max(row["hidden"] for row in stable)),
        Check(
            f"rounding error of the logit in float32 {last}: with (11, 12) over without",
            "at most 0.001",
            stable[-1]["rounding"] / plain[-1]["rounding"],
            bool(stable[-1]["rounding"] <= 1e-3 * plain[-1]["rounding"]),
        ),
        close("(11): the output of a network that nothing reaches", -0.001, float(silent(jnp.zeros((1, 3)))[0, 0]), 1e-9),
    ]


def growth_figure(rows: list[dict[str, Any]]) -> Any:
    """The largest hidden activation and the rounding error of the logit, step by step."""
    kinds = {False: "without (11, 12)", True: "with (11, 12)"}
    panels = []
    for field, title in (("hidden", "Largest hidden activation"), ("rounding", "Rounding error of the logit")):
        shown = {
            "step": [row["step"] for row in rows],
            "value": [row[field] if row[field] > 0 else None for row in rows],
            "kind": [kinds[row["stabilized"]] for row in rows],
        }
        x = alt.X("step:Q", title="Step", scale=alt.Scale(nice=False))
        y = alt.Y("value:Q", title=title, scale=alt.Scale(type="log"), axis=alt.Axis(format="~e", tickCount=8))
        lines = line_chart(shown, dict(zip(kinds.values(), (RED, BLUE), strict=True)), x, y, strokeWidth=2.4)
        panels.append(lines.properties(width=400, height=260))
    return themed(
        alt.concat(*panels, columns=2, spacing=32),
        "Activations that explode, and what stops them",
        "One example with label 1 again and again, SGD at rate 1, λ = 0.2, weights above 0, two hidden layers, float32.",
        "The rounding error is that of float32 against float64, with the same weights.",
    )
