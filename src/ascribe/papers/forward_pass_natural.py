"""What can be redone of "Binary Classifier Forward-Pass Optimization" (Lerman 2021): the natural rate (13)."""

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe import datasets, networks
from ascribe.charts.theme import themed

from .base import Check, Listener, Result, at_most, close
from .forward_pass_steps import SCALINGS, bare, of_one_sign, outputs_of, regions

EPSILONS = (1e-3, 0.1, 1.0)
"""Lower bounds of |z^L| in (13), up to ours."""


def natural(listener: Listener) -> Result:
    """(13) on. Where all weights have one sign a step moves the output by λL, whatever it was, so the odds by (1 ± λ)^L; an
    output below a lower bound ε of |z^L| moves by less; and what weights of both signs do is measured."""
    steps, bounded, odds, mixed = natural_steps(), bounded_steps(), odds_of(one_sign=True), odds_of(one_sign=False)
    checks = (*natural_checks(steps), *bounded_checks(bounded), *odds_checks(odds, mixed))
    tables = {"steps": steps, "bounded": bounded, "one_sign": odds, "both_signs": mixed}
    return Result(checks, {"odds": odds_figure(odds, mixed)}, tables)


def natural_steps() -> list[dict[str, Any]]:
    """How far one step of SGD at rate 1 on one example moves the output, over λL: for networks of 2 to 4 layers whose weights
    have one sign (the last layer's turned, for outputs below 0), outputs of several sizes, both labels, (13) on and off."""
    rows = []
    with jax.enable_x64(True):
        x = np.array([[0.02], [0.2], [2.0]]) * np.array([0.7, 1.0, 1.3])
        for layers, sign, natural in ((2, 1, True), (3, 1, True), (4, 1, True), (3, -1, True), (3, 1, False)):
            network = of_one_sign([3, *[8] * (layers - 1), 1], sign)
            old = np.asarray(network(jnp.asarray(x)))[:, 0]
            for label, scaling in itertools.product((0, 1), (1e-4, 1e-5)):
                rule = bare(scaling, natural=natural, epsilon=1e-9)
                new = outputs_of(rule, network, x, [label] * len(x))
                for z, moved in zip(old, (new - old) / (scaling * layers), strict=True):
                    row = {"natural": natural, "layers": layers, "label": label, "scaling": scaling}
                    rows.append({**row, "output": float(z), "step": float(moved)})
    return rows


def natural_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """The step of the output is λL with the sign of the label to first order, of an output of any size and sign."""
    off = lambda rows: np.max([abs(row["step"] - (2 * row["label"] - 1)) for row in rows], initial=0.0)
    small, large = ([row for row in rows if row["natural"] and row["scaling"] == scaling] for scaling in (1e-5, 1e-4))
    sizes = [row["output"] for row in small]
    plain = [row for row in rows if not row["natural"] and row["scaling"] == 1e-5]
    ratios = [abs(row["step"]) / row["output"] for row in plain]
    return [
        at_most(
            f"(13), one sign: a step over λL, less ±1, for outputs from {min(sizes):.2g} to {max(sizes):.2g}",
            1e-3,
            float(off(small)),
        ),
        close("the same, order in λ: the rest at ten times the λ over that", 10.0, float(off(large) / off(small)), 0.5),
        at_most(
            "without (13): the step over λL is the output itself, largest relative difference",
            1e-3,
            float(np.max(np.abs(np.array(ratios) - 1))),
        ),
    ]


def bounded_steps() -> list[dict[str, Any]]:
    """How far a step towards label 1 moves small and large outputs, over λL, with several lower bounds ε of |z^L|."""
    rows = []
    with jax.enable_x64(True):
        network, x = of_one_sign([3, 8, 8, 1], 1), np.geomspace(1e-4, 1.0, 9)[:, None] * np.array([0.7, 1.0, 1.3])
        old = np.asarray(network(jnp.asarray(x)))[:, 0]
        for epsilon in EPSILONS:
            new = outputs_of(bare(1e-7, natural=True, epsilon=epsilon), network, x, [1] * len(x))
            steps = (new - old) / (1e-7 * 3)
            rows += [{"epsilon": epsilon, "output": float(z), "step": float(step)} for z, step in zip(old, steps, strict=True)]
    return rows


def bounded_checks(rows: list[dict[str, Any]]) -> list[Check]:
    """Below ε the step is |z|/ε of what it is above: (13) is there no more."""
    checks = []
    for epsilon in EPSILONS:
        own = [row for row in rows if row["epsilon"] == epsilon]
        off = [abs(row["step"] - min(1.0, row["output"] / epsilon)) for row in own]
        what = f"ε = {epsilon:g}{' (ours)' if epsilon == 1.0 else ''}: a step over λL, less min(1, |z|/ε)"
        checks.append(at_most(f"{what}, z from {own[0]['output']:.1g} to {own[-1]['output']:.1g}", 1e-3, max(off)))
    return checks


def odds_of(*, one_sign: bool) -> list[dict[str, Any]]:
    """The odds e^F after a step over those before, 400 examples, (13) on: with weights above 0, or with He's of both signs."""
    network = networks.mlp([_inputs().shape[1], 64, 64, 1], bias=False, key=jr.key(0))
    network = jax.tree.map(jnp.abs, network) if one_sign else network
    old = np.asarray(network(jnp.asarray(_inputs(), network.dtype)))[:, 0]
    rows, labels = [], _encoded().targets[:400]
    for scaling in SCALINGS:
        moved = outputs_of(bare(scaling, natural=True, epsilon=EPSILONS[0]), network, _inputs(), labels) - old
        towards = (2 * labels - 1) * moved
        row = {"scaling": scaling, "median_step": float(np.median(np.abs(moved)) / (3 * scaling))}
        odds = np.exp(np.clip(moved, -600.0, 600.0, dtype=np.float64))  # within 64-bit numbers
        rows.append({**row, "towards": float(np.mean(towards > 0)), **_spread_of(odds, scaling)})
    return rows


def _inputs() -> np.ndarray:
    return _encoded().inputs[:400]


@functools.cache
def _encoded() -> datasets.Split:
    return datasets.load("gaussians", samples=2000).encode("split-signs", "constant-one").train


def _spread_of(ratios: np.ndarray, scaling: float) -> dict[str, float]:
    """Percentiles of ratios, and the document's interval for three layers with the share of them inside, to the second order
    that "approximately" leaves out."""
    low, high = (1 - scaling) ** 3, (1 + scaling) ** 3
    levels = {f"p{level:02}": float(np.percentile(ratios, level)) for level in (5, 25, 50, 75, 95)}
    ends = {"least": float(np.min(ratios)), "largest": float(np.max(ratios))}
    inside = float(np.mean((ratios >= low * (1 - 3 * scaling**2)) & (ratios <= high * (1 + 3 * scaling**2))))
    return {**ends, **levels, "low": low, "high": high, "inside": inside}


def odds_checks(one: list[dict[str, Any]], both: list[dict[str, Any]]) -> list[Check]:
    """The document's interval holds for weights of one sign; for both signs it does not, though every step is towards the
    label: positive and negative paths nearly cancel in the output, and not in its change."""
    checks = []
    for row in one[:3]:
        scaling, (low, high) = row["scaling"], (row["low"], row["high"])
        agrees = abs(row["least"] / low - 1) <= 3 * scaling**2 and abs(row["largest"] / high - 1) <= 3 * scaling**2
        checks.append(
            Check(
                f"the trust region of (13) as odds, one sign, λ = {scaling:g}, L = 3: its ends, to second order in λ",
                f"{low:.3f} and {high:.3f}",
                f"{row['least']:.3f} and {row['largest']:.3f}",
                bool(agrees),
            )
        )
    first = both[0]
    checks += [
        Check(
            "weights of both signs (He's), λ = 0.02: share of examples that move towards their label",
            "at least 0.95",
            f"{first['towards']:.3f}",
            bool(first["towards"] >= 0.95),
        ),
        Check(
            f"the trust region of (13) for the same weights: share of examples inside (their median step is "
            f"{first['median_step']:.1f} λL)",
            "at least 0.95 (the document names no condition)",
            f"{first['inside']:.3f}",
            bool(first["inside"] >= 0.95),
        ),
    ]
    return checks


def odds_figure(one: list[dict[str, Any]], both: list[dict[str, Any]]) -> Any:
    """The measured distribution of the odds after a step over those before, against the document's interval."""
    return themed(
        regions({"weights of one sign": one, "weights of both signs": both}, "Odds after / odds before", 4.0),
        "The trust region of the natural rate (13), as odds",
        "Orange: the document's interval from (1 − λ)³ to (1 + λ)³. Blue: the middle half of 400 examples, each after one step",
        "of SGD at rate 1 on it alone, (13) on; black: the 5th to the 95th percentile; white: the median.",
    )
