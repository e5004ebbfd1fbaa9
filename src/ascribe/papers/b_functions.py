"""What can be redone of "Function changes in the Backpropagation equation is equivalent to an implicit learning rate".

Figure 1: the derivatives of other activations in place of the ReLU's, and the paths that one layer's weights take with them.
Figure 2: b-functions found by Bayesian optimization, and their loss curves beside backpropagation's. The document prints no
numbers; what is checked is what it claims, and what it leaves open is measured beside it.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import datasets, discovery, networks, report, training
from ascribe.networks import ACTIVATIONS
from ascribe.report.inline import inline
from ascribe.report.theme import INK, many_colors, themed
from ascribe.rules import B_FUNCTIONS, AbstractRule, Backpropagation, BFunction
from ascribe.rules.b_functions import b_function, evaluate
from ascribe.types import Array

from .base import Check, Listener, Result, at_most

SUBSTITUTES = ("logistic", "tanh", "arctan", "leaky-relu", "softplus", "threshold", "identity")
"""The activations whose derivatives stand in for the ReLU's."""
HIDDEN = 8
"""Width of the hidden layers, which the document leaves open; `WIDTHS` shows that it matters."""
WIDTHS, WIDELY = (8, 16, 32, 64), ("logistic", "tanh")
SEEDS = 20
EPOCHS, RATE = 100, 0.1
LAYER, ACTIVATION = "linear2", "relu2"


class OneOf(eqx.Module):
    """Σ_k choice_k g_k(z), with one choice 1 and the others 0: g_k, to the last digit. So all g of an experiment are one
    compiled program, in which they differ in an array."""

    choice: Array
    functions: tuple[Any, ...]

    def __call__(self, z: Array) -> Array:
        every = [evaluate(g, z) for g in self.functions]
        return sum((c * g for c, g in zip(self.choice.astype(z.dtype), every, strict=True)), start=jnp.zeros_like(z))


def one_of(functions: Sequence[Any], number: int) -> OneOf:
    """The b-function of that number, as a rule takes it."""
    return OneOf(jnp.eye(len(functions), dtype=float)[number], tuple(b_function(g) for g in functions))


def figure_1a(listener: Listener) -> Result:
    """The derivatives, each checked against central differences of its activation."""
    z = np.linspace(-4.0, 4.0, 401)
    checks, columns = [], {"z": [], "g": [], "which": []}
    with jax.enable_x64(True):
        for name in ("relu", *SUBSTITUTES):
            g = np.asarray(B_FUNCTIONS[name](jnp.asarray(z)))
            columns["z"] += z.tolist()
            columns["g"] += g.tolist()
            columns["which"] += [name] * len(z)
            f = ACTIVATIONS[name].function if name != "threshold" else lambda z: z / (1 + jnp.abs(z))
            smooth, h = np.abs(z) > 0.01, 1e-5  # away from the kinks at 0
            central = np.asarray((f(jnp.asarray(z + h)) - f(jnp.asarray(z - h))) / (2 * h))
            error = float(np.max(np.abs(g - central)[smooth]))
            what = "the fast sigmoid, the threshold's surrogate" if name == "threshold" else name
            checks.append(at_most(f"{what}: largest difference to central differences", 1e-8, error))
    names = ["relu", *SUBSTITUTES]
    chart = (
        alt.Chart(inline(columns))
        .mark_line(strokeWidth=2.4)
        .encode(
            x=alt.X("z:Q", scale=alt.Scale(nice=False)),
            y=alt.Y("g:Q", title="g(z)", scale=alt.Scale(domain=[-0.05, 1.1], nice=False)),
            color=alt.Color(
                "which:N",
                title=None,
                sort=names,
                scale=alt.Scale(domain=names, range=[INK, *many_colors(len(SUBSTITUTES))]),
                legend=alt.Legend(orient="bottom", columns=4, symbolType="stroke"),
            ),
        )
        .properties(width=620, height=320)
    )
    subtitle = "What can stand in place of the ReLU's derivative on the way back; the threshold has a surrogate."
    return Result(tuple(checks), {"derivatives": themed(chart, "Derivatives of activation functions", subtitle)})


def figure_1b(listener: Listener) -> Result:
    """Two Gaussians, FC1-ReLU-FC2-ReLU-FC3-softmax without biases, all but FC2 frozen, full batches, Adam at 0.1, 100
    epochs: every derivative in place of the ReLU's in FC2, over seeds, and their paths on the loss surface of one. The
    table of widths says where it ends: two of the derivatives in wider layers."""
    data = datasets.load("gaussians")
    network = networks.mlp([data.features, HIDDEN, HIDDEN, data.classes], activation="relu", bias=False)
    settings: dict[str, Any] = {
        "optimizer": "adam",
        "learning_rate": RATE,
        "epochs": EPOCHS,
        "batch_size": len(data.train),
    }
    rules: dict[str, AbstractRule] = {
        "backpropagation": Backpropagation(),
        **{name: BFunction({ACTIVATION: name}) for name in SUBSTITUTES},
    }
    checks, rows = [], []
    for name, rule in rules.items():
        runs = training.train(network, data, rule, only=LAYER, seeds=SEEDS, listener=listener, **settings)
        loss, angles = runs.curves["train_loss"], runs.curves[f"gradient_angle/{LAYER}"]
        fallen = loss[:, -1] < loss[:, 0]
        mean, half = (float(value) for value in report.interval(loss[:, -1]))
        rows.append(
            {
                "g": name,
                "first_loss": float(loss[:, 0].mean()),
                "final_loss": mean,
                "final_loss_interval": half,
                "angle_after_one_epoch": float(np.nanmean(angles[:, 0])),
                "angle_mean": float(np.nanmean(angles)),
                "angle_largest": float(np.nanmax(angles)),
                "test_accuracy": float(np.nanmean(runs.scores["test_accuracy"])),
            }
        )
        checks.append(
            Check(
                f"{name}: seeds whose loss fell (mean {loss[:, 0].mean():.3f} → {mean:.3f} ± {half:.3f}, mean angle "
                f"{np.nanmean(angles):.0f}°)",
                f"{SEEDS} of {SEEDS}",
                f"{int(fallen.sum())} of {SEEDS}",
                bool(fallen.all()),
            )
        )
    widths = []
    for width in WIDTHS:
        wider = networks.mlp([data.features, width, width, data.classes], activation="relu", bias=False)
        for name in WIDELY:
            plain: dict[str, Any] = {**settings, "only": LAYER, "seeds": SEEDS, "diagnostics": False}
            runs = training.train(wider, data, BFunction({ACTIVATION: name}), listener=listener, **plain)
            loss = runs.curves["train_loss"]
            share = float(np.mean(loss[:, -1] < loss[:, 0]))
            row = {"width": width, "g": name, "first_loss": float(loss[:, 0].mean())}
            widths.append({**row, "final_loss": float(loss[:, -1].mean()), "share_of_seeds_whose_loss_fell": share})
    surface = training.landscape(network, data, rules, layer=LAYER, seed=0, listener=listener, **settings)
    return Result(
        tuple(checks), {"trajectories": report.surface_chart(surface)}, {"losses_and_angles": rows, "widths": widths}
    )


@dataclasses.dataclass(frozen=True)
class Search:
    """One size of figure 2: the data, and what `discover` is asked for."""

    data: str
    samples: int | None
    options: dict[str, Any]


DIGITS = Search("digits", None, {"network": "64x64", "layer": "relu2", "evaluations": 96, "transfer": None})
MNIST = Search(
    "mnist",
    4000,
    {"network": "64x64", "layer": "relu2", "evaluations": 64, "seeds": 4, "epochs": 5, "transfer": None},
)
CIFAR = {"optimizer": "adadelta", "learning_rate": 0.01, "epochs": 5, "layer": "relu4", "transfer": None}
CIFAR10_SMALL = Search(
    "cifar10",
    400,
    {
        **CIFAR,
        "network": "simplenet/16",
        "evaluations": 16,
        "batch": 4,
        "seeds": 1,
        "batch_size": 32,
        "fresh_seeds": 3,
        "tune": 2,
        "random_search": False,
        "widths": False,
    },
)
"""A thin network and few images, for a CPU: no size of the document's."""
CIFAR10_FULL = Search(
    "cifar10",
    None,
    {
        **CIFAR,
        "network": "simplenet",
        "evaluations": 20,
        "batch": 4,
        "seeds": 1,
        "batch_size": 128,
        "fresh_seeds": 3,
        "tune": 4,
        "random_search": False,
        "widths": False,
    },
)
"""The document's own network, data, optimizer, rate and number of epochs, for a GPU."""


def figure_2_digits(listener: Listener) -> Result:
    """On scikit-learn's digits, a network of two hidden layers."""
    return _figure_2(DIGITS, listener)


def figure_2_mnist(listener: Listener) -> Result:
    """On a part of MNIST, the same network."""
    return _figure_2(MNIST, listener)


def figure_2_cifar10(listener: Listener, *, full: bool = False) -> Result:
    """On CIFAR-10 with SimpleNet, Adadelta at 0.01, 5 epochs; without `full` a thin network on few images."""
    return _figure_2(CIFAR10_FULL if full else CIFAR10_SMALL, listener)


def _figure_2(search: Search, listener: Listener) -> Result:
    images = {"samples": search.samples, "test_samples": search.samples}
    asked = {} if search.samples is None else images
    data = datasets.load(search.data, seed=0, **asked)
    found = discovery.discover(data, listener=listener, **search.options)
    return result_of(found)


def result_of(found: discovery.Discovery) -> Result:
    """The checks, figures and table of a finished search: the document's claim is that the function found converges earlier
    than backpropagation at the same rate."""
    rows = found.table()
    best = next(row for row in rows if row["rule"] == discovery.FOUND)
    low = best["area_difference"] - best["area_difference_interval"]
    high = best["area_difference"] + best["area_difference_interval"]
    statements = [
        Check(
            f"loss area of the found g less that of backpropagation at the same rate, {best['seeds']} fresh seeds",
            "below 0 (it converges earlier)",
            f"{best['area_difference']:+.3f} ({low:+.3f} to {high:+.3f})",
            bool(high < 0),
        )
    ]
    if found.random is not None:
        ours, theirs = float(found.evaluations.values.min()), float(found.random.values.min())
        statements.append(
            at_most("best area of the search, against random search's with the same budget", theirs, ours)
        )
    return Result(tuple(statements), report.discovery.figures(found), {"comparison": rows})
