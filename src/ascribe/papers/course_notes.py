"""What can be redone of "Neural networks" (course notes), section 3.1.2, the derivative by central differences.

The figure with the weights of its network is not part of the text, so a network of ours stands in, found by search: logistic
units, two inputs, two hidden units, one output. It has every number that the section prints.
"""

from dataclasses import replace
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses, networks
from ascribe.networks import Network
from ascribe.report.inline import inline
from ascribe.report.theme import GRAY, INK, themed
from ascribe.rules import Batch, FiniteDifferences

from .base import Check, Listener, Result, close, printed, same

THETA, STEP = -0.509, 0.1
SLIP = "0.300 (printed: 0.302, a slip)"
INPUTS, TARGET = (1.0, 0.5), 1.0
HIDDEN = ((THETA, 0.3), (0.8, 0.2)), (0.1, 0.7)
OUTPUT = ((0.17, 0.4),), (-1.25,)
STEPS = np.geomspace(1e-7, 1.0, 43)
SMOOTH = slice(24, 42)
"""Which steps have an error that is all truncation, those from 1e-3 to 0.7: below them rounding begins."""


def finite_differences(listener: Listener) -> Result:
    """The printed numbers among themselves and of a network of ours, and the order 2 in which central differences converge."""
    with jax.enable_x64(True):
        network = _network()
        output, error = jax.jit(lambda theta: _output(network, theta)), jax.jit(lambda theta: _error(network, theta))
        y = {theta: float(output(theta)) for theta in (THETA, THETA + STEP, THETA - STEP)}
        exact = float(jax.grad(error)(THETA))
        quotient = lambda step: float(error(THETA + step) - error(THETA - step)) / (2 * step)
        errors, at_step = np.array([abs(quotient(step) - exact) for step in STEPS]), quotient(STEP)
        by_rule = _by_rule(network)
    slope = float(np.polyfit(np.log(STEPS[SMOOTH]), np.log(errors[SMOOTH]), 1)[0])
    checks = _printed_alone()
    for theta, text, printed_y, printed_error in (
        (THETA, "−0.509", "0.301", "1.201"),
        (THETA + STEP, "−0.409", "0.302", "1.198"),
        (THETA - STEP, "−0.609", "0.300", "1.204"),
    ):
        check = printed(f"y({text}), our network", printed_y, y[theta])
        checks.append(check if theta >= THETA else replace(check, expected=SLIP))
        checks.append(printed(f"E({text}), our network", printed_error, -float(np.log(y[theta]))))
    checks += [
        printed("∂E/∂θ1 by central differences, Δ = 0.1, our network", "-0.0292", at_step),
        printed("the same from the rule finite-differences", "-0.0292", by_rule),
        same("θ1 ← θ1 − k ∂E/∂θ1 makes θ1", "larger", "larger" if exact < 0 else "smaller"),
        close("order in which the error falls with Δ, float64", 2.0, slope, 0.02),
    ]
    table = [{"step": float(step), "error": float(error)} for step, error in zip(STEPS, errors, strict=True)]
    return Result(tuple(checks), {"convergence": _figure(errors, slope)}, {"convergence": table})


def _printed_alone() -> list[Check]:
    """What follows from the printed numbers without any network: t = 1, so that E = −ln y."""
    quotient = (1.198 - 1.204) / (2 * STEP)
    return [
        printed("E = −ln y at the printed y(−0.509) = 0.301", "1.201", -float(np.log(0.301))),
        # A printed y stands for an interval, and −ln of it for one that must meet that of the printed E.
        _meets("E = −ln y at the printed y(−0.409) = 0.302", 0.302, "1.198"),
        replace(printed("y = exp(−E) at the printed E(−0.609) = 1.204", "0.300", float(np.exp(-1.204))), expected=SLIP),
        Check(
            "∂E/∂θ1 of the printed E's, whose rounding leaves ± 0.005",
            "-0.0292",
            f"{quotient:.4f}",
            abs(quotient + 0.0292) <= 0.005,
        ),
    ]


def _meets(statement: str, y: float, error: str) -> Check:
    low, high = -float(np.log(y + 0.0005)), -float(np.log(y - 0.0005))
    passed = low <= float(error) + 0.0005 and high >= float(error) - 0.0005
    return Check(statement, error, f"{low:.4f} to {high:.4f}", passed)


def _network() -> Network:
    """The network of ours, in float64; θ1 is the weight from the first input to the first hidden unit."""
    network = networks.mlp([2, 2, 1], activation="logistic", output_activation="logistic")
    arrays = tuple(jnp.asarray(values, float) for layer in (HIDDEN, OUTPUT) for values in layer)
    leaves = lambda n: (n["linear1"].weight, n["linear1"].bias, n["linear2"].weight, n["linear2"].bias)
    return eqx.tree_at(leaves, network, arrays)


def _output(network: Network, theta: Any) -> Any:
    """y for another θ1."""
    weight = network["linear1"].weight.at[0, 0].set(theta)
    return eqx.tree_at(lambda n: n["linear1"].weight, network, weight)(jnp.asarray([INPUTS]))[0, 0]


def _error(network: Network, theta: Any) -> Any:
    """E(θ1), the Bernoulli cross entropy."""
    y = _output(network, theta)
    return losses.BERNOULLI_CROSS_ENTROPY.value(y[None, None], jnp.full((1, 1), TARGET))[0]


def _by_rule(network: Network) -> float:
    """∂E/∂θ1 as the rule that does this for every weight has it."""
    batch = Batch(jnp.asarray([INPUTS]), jnp.asarray([[TARGET]]), losses.BERNOULLI_CROSS_ENTROPY)
    return float(FiniteDifferences(step=jnp.asarray(STEP))(network, None, batch).gradients["linear1"].weight[0, 0])


def _figure(errors: np.ndarray, slope: float) -> Any:
    """The error over Δ, both axes logarithmic, with a line of slope 2 and the section's Δ."""
    shown = errors > 0  # an error of exactly nothing has no logarithm
    ticks = [10.0**power for power in range(-14, 1)]
    scale = lambda low, high: alt.Scale(type="log", domain=[low, high], nice=False)
    x = alt.X("step:Q", title="Δ", scale=scale(STEPS[0], STEPS[-1]), axis=alt.Axis(format="~e", values=ticks))
    y = alt.Y(
        "error:Q",
        title="|central difference − derivative|",
        scale=scale(1e-13, 1e-2),
        axis=alt.Axis(format="~e", values=ticks[1:]),
    )
    points = alt.Chart(inline({"step": STEPS[shown], "error": errors[shown]})).encode(x=x, y=y)
    place = int(np.argmin(np.abs(STEPS - 1e-2)))
    ends = np.array([3e-6, 1.0])
    line = alt.Chart(inline({"step": ends, "error": errors[place] * (ends / STEPS[place]) ** 2}))
    note = {"step": 3e-4, "error": 4 * errors[place] * (3e-4 / STEPS[place]) ** 2, "text": "slope 2"}
    marked = alt.Chart(alt.Data(values=[{"step": STEP, "error": 1e-13, "text": "Δ of the notes"}]))
    chart = alt.layer(
        line.mark_line(color=GRAY, strokeDash=[6, 4], strokeWidth=2, clip=True).encode(x=x, y=y),
        marked.mark_rule(color="#d55e00", strokeWidth=1.6).encode(x=x),
        marked.mark_text(align="right", dx=-6, dy=-12, fontSize=13, color="#d55e00").encode(x=x, y=y, text="text:N"),
        points.mark_line(color="#0072b2", strokeWidth=1.4, opacity=0.6),
        points.mark_point(color="#0072b2", filled=True, size=38, opacity=1.0),
        alt.Chart(alt.Data(values=[note]))
        .mark_text(align="right", fontSize=13, color=INK)
        .encode(x=x, y=y, text="text:N"),
    ).properties(width=520, height=360)
    return themed(
        chart,
        "How central differences converge",
        f"∂E/∂θ1 of a small logistic network, float64: fitted slope {slope:.3f}; below Δ ≈ 1e-5 rounding takes over.",
    )
