"""What can be redone of "Function changes in the Backpropagation equation is equivalent to an implicit learning rate".

Figure 1: the derivatives of other activations in place of the ReLU's, and the paths that one layer's weights take with them.
Figure 2: b-functions found by Bayesian optimization, and their loss curves beside backpropagation's. The document prints no
numbers; what is checked is what it claims, and what it leaves open is measured beside it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import datasets, networks, report, training
from ascribe.charts.lines import kind_color, line_chart, stacked
from ascribe.charts.theme import INK, many_colors, themed
from ascribe.experiments import discovery
from ascribe.experiments.discover import discover
from ascribe.experiments.landscape import landscape
from ascribe.networks import ACTIVATIONS, Network
from ascribe.rules import B_FUNCTIONS, Batch, BFunction, as_batch
from ascribe.rules.b_functions import b_function, evaluate
from ascribe.rules.terms import output_loss
from ascribe.training import devices
from ascribe.training.mesh import mesh_for
from ascribe.types import Array

from .base import Check, Listener, Result, apart, at_most, same

BASELINE = "backpropagation"
SUBSTITUTES = ("logistic", "tanh", "arctan", "leaky-relu", "softplus", "threshold", "identity")
"""The activations whose derivatives stand in for the ReLU's."""
DERIVATIVES = ("relu", *SUBSTITUTES)
HIDDEN = 8
"""Width of the hidden layers, which the document leaves open; `WIDTHS` shows that it matters."""
WIDTHS = (8, 64)
SEEDS = 20
SETTINGS: dict[str, Any] = {"optimizer": "adam", "learning_rate": 0.1, "epochs": 100}
LAYER, ACTIVATION = "linear2", "relu2"
NEAR, FLAT, RIGHT_ANGLE = 0.9, 0.1, 90
"""What counts as near backpropagation's loss, as no gradient (of that at the start), and as a direction that knows nothing."""


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
    checks: list[Check] = []
    curves: dict[str, np.ndarray] = {}
    with jax.enable_x64(True):
        for name in DERIVATIVES:
            g = np.asarray(B_FUNCTIONS[name](jnp.asarray(z)))
            curves[name] = g
            f = ACTIVATIONS[name].function if name != "threshold" else lambda z: z / (1 + jnp.abs(z))
            smooth, h = np.abs(z) > 0.01, 1e-5  # away from the kinks at 0
            central = np.asarray((f(jnp.asarray(z + h)) - f(jnp.asarray(z - h))) / (2 * h))
            error = apart(g[smooth], central[smooth])
            what = "the fast sigmoid, the threshold's surrogate" if name == "threshold" else name
            checks.append(at_most(f"{what}: largest difference to central differences", 1e-8, error))
    colors = dict(zip(curves, (INK, *many_colors(len(SUBSTITUTES))), strict=True))
    x = alt.X("x:Q", title="z", scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", title="g(z)", scale=alt.Scale(domain=[-0.05, 1.1], nice=False))
    lines = line_chart(stacked(z, curves), colors, x, y, strokeWidth=2.4)
    chart = lines.encode(color=kind_color(colors, columns=4)).properties(width=620, height=320)
    subtitle = "What can stand in place of the ReLU's derivative on the way back; the threshold has a surrogate."
    return Result(tuple(checks), {"derivatives": themed(chart, "Derivatives of activation functions", subtitle)})


def figure_1b(listener: Listener) -> Result:
    """Two Gaussians, FC1-ReLU-FC2-ReLU-FC3-softmax without biases, all but FC2 frozen, full batches, Adam at 0.1, 100
    epochs: every derivative in place of the ReLU's in FC2, over seeds and widths, and their paths on the loss surface of one.

    FC3 being frozen, the loss is convex in FC2 where no unit is at its kink; so a point with curvature above 0 and next to no
    gradient is a local minimum."""
    data = datasets.load("gaussians")
    rows = [row for width in WIDTHS for row in rows_of_width(data, width, listener)]
    rules = {BASELINE if name == "relu" else name: substituted(name) for name in DERIVATIVES}
    surface = landscape(network_of(data, HIDDEN), data, rules, layer=LAYER, seed=0, listener=listener, **SETTINGS)
    return Result(
        tuple(check for width in WIDTHS for check in width_checks(rows, width)),
        {"trajectories": report.surface_chart(surface)},
        {"widths": rows},
    )


def network_of(data: datasets.Dataset, width: int) -> Network:
    """FC1, FC2 and FC3, without biases."""
    return networks.mlp([data.features, width, width, data.classes], activation="relu", bias=False)


def substituted(name: str) -> BFunction:
    """The rule with that activation's derivative in place of the ReLU's in FC2; with `"relu"` it is backpropagation."""
    return BFunction({ACTIVATION: one_of(DERIVATIVES, DERIVATIVES.index(name))})


def rows_of_width(data: datasets.Dataset, width: int, listener: Listener) -> list[dict[str, Any]]:
    """What became of every derivative in networks of that width: losses, angles, and what the end of the path is like."""
    network = network_of(data, width)
    batch = as_batch(network, (data.train.inputs, data.train.targets))
    asked = {"only": LAYER, "seeds": SEEDS, "batch_size": len(data.train), "listener": listener, **SETTINGS}
    found = {name: training.train(network, data, substituted(name), **asked) for name in DERIVATIVES}
    fall = lambda loss: float((loss[:, 0] - loss[:, -1]).mean())
    best, rows = found["relu"].curves["train_loss"], []
    for name, runs in found.items():
        loss, angles = runs.curves["train_loss"], runs.curves[f"gradient_angle/{LAYER}"]
        mean, half = (float(value) for value in report.interval(loss[:, -1]))
        angle, spread = (float(value) for value in report.interval(np.nanmean(angles, axis=1)))
        steep = slopes(runs.networks, batch)
        begun = slopes(new_networks(network, runs.seeds), batch)
        rows.append(
            {
                "width": width,
                "g": BASELINE if name == "relu" else name,
                "first_loss": float(loss[:, 0].mean()),
                "final_loss": mean,
                "final_loss_interval": half,
                "share_of_seeds_whose_loss_fell": float(np.mean(loss[:, -1] < loss[:, 0])),
                "share_of_backpropagation_s_fall": fall(loss) / fall(best),
                "gradient_left": float(np.median(steep["norm"] / begun["norm"])),
                "least_curvature": float(steep["curvature"].min()),
                "angle_after_one_epoch": float(np.nanmean(angles[:, 0])),
                "angle_mean": angle,
                "angle_mean_interval": spread,
                "angle_largest": float(np.nanmax(angles)),
                "test_accuracy": float(np.nanmean(runs.scores["test_accuracy"])),
            }
        )
    return rows


def new_networks(network: Network, seeds: Sequence[int]) -> Network:
    """The networks that these seeds begin with."""
    return devices.new_networks(network, mesh_for(len(seeds), 1), jnp.asarray(seeds, jnp.uint32))


@eqx.filter_jit
def slopes(many: Network, batch: Batch) -> dict[str, Array]:
    """The loss around the weights of FC2, run by run: the norm of its gradient, and its curvature along the gradient."""

    def one(network: Network) -> dict[str, Array]:
        index = network.index(LAYER)
        place = lambda network: network.parts[index].weight

        def loss(weight: Array) -> Array:
            moved = eqx.tree_at(place, network, weight)
            return output_loss(moved, moved(batch.inputs), batch)

        gradient, bent = jax.jvp(jax.grad(loss), (place(network),), (jax.grad(loss)(place(network)),))
        square = jnp.sum(gradient**2)
        return {"norm": jnp.sqrt(square), "curvature": jnp.sum(gradient * bent) / square}

    return jax.vmap(one)(many)


def width_checks(rows: list[dict[str, Any]], width: int) -> list[Check]:
    """What the document says of every function, at one width: the loss falls, to a local minimum, by directions that have
    true gradient information: of less than 90° to it, which a direction without any has."""
    own = [row for row in rows if row["width"] == width]

    def all_do(statement: str, key: str, does: Callable[[dict[str, Any]], bool]) -> Check:
        others = [f"{row['g']} {row[key]:.2f}" for row in own if not does(row)]
        got = f"{len(own) - len(others)} of {len(own)}" + (f" (not {', '.join(others)})" if others else "")
        return Check(f"{width} units: {statement}", f"{len(own)} of {len(own)}", got, not others)

    share, fall, angle = "share_of_seeds_whose_loss_fell", "share_of_backpropagation_s_fall", "angle_mean"
    flat = f"functions that end at a local minimum: {FLAT:.0%} of the gradient left at most (else what is), curved upwards"
    return [
        all_do(f"functions whose loss falls on all {SEEDS} seeds (else on what share)", share, lambda row: row[share] == 1),
        all_do(
            f"functions whose loss falls {NEAR:.0%} as far as backpropagation's (else how far)",
            fall,
            lambda row: row[fall] >= NEAR,
        ),
        all_do(flat, "gradient_left", lambda row: row["gradient_left"] <= FLAT and row["least_curvature"] > 0),
        all_do(
            f"functions whose mean angle to the gradient is below {RIGHT_ANGLE}° (else the angle)",
            angle,
            lambda row: row[angle] + row[f"{angle}_interval"] < RIGHT_ANGLE,
        ),
    ]


ANALOGOUS = 0.9
"""This share of the found g's gain must a learned rate have for learning the one to be learning the other."""


@dataclasses.dataclass(frozen=True)
class Search:
    """One size of figure 2: the data, and what `discover` is asked for."""

    data: str
    samples: int | None
    options: dict[str, Any]


ALIKE: dict[str, Any] = {"layer": "relu2", "widths": False, "transfer": None}
DIGITS = Search("digits", None, {**ALIKE, "network": "64x64", "bound": 24.0, "evaluations": 96, "seeds": 4, "fresh_seeds": 12})
MNIST: dict[str, Any] = {**ALIKE, "bound": 12.0, "epochs": 5, "random_search": False}
SMALL = {"evaluations": 32, "batch": 4, "seeds": 2, "fresh_seeds": 6, "tune": 6}
MNIST_SMALL = Search("mnist", 2000, {**MNIST, "network": "256x256x256x256", **SMALL})
"""Four hidden layers, and as many images as a CPU learns from in a minute."""
FULL = {"evaluations": 64, "seeds": 4, "fresh_seeds": 8}
MNIST_FULL = Search("mnist", None, {**MNIST, "network": "1024x1024x1024x1024", **FULL})
"""All images, and 4 million numbers, for a GPU. (The document gives no size.)"""
CIFAR: dict[str, Any] = {**ALIKE, "optimizer": "adadelta", "learning_rate": 0.01, "epochs": 5, "layer": "relu4"}
CIFAR |= {"batch": 4, "seeds": 1, "tune": 4, "random_search": False}
THIN = {"network": "simplenet/32", "evaluations": 12, "batch_size": 32, "fresh_seeds": 4}
CIFAR10_SMALL = Search("cifar10", 200, {**CIFAR, **THIN})
"""A thin network and few images, for a CPU: no size of the document's. (Four runs at a time throughout: one program a rule.)"""
WHOLE = {"network": "simplenet", "evaluations": 20, "batch_size": 128, "fresh_seeds": 3}
CIFAR10_FULL = Search("cifar10", None, {**CIFAR, **WHOLE})
"""The document's own network, data, optimizer, rate and number of epochs, for a GPU."""


def figure_2_digits(listener: Listener) -> Result:
    """On scikit-learn's digits, a network of two hidden layers."""
    return _figure_2(DIGITS, listener)


def figure_2_mnist(listener: Listener, *, full: bool = False) -> Result:
    """On MNIST with four hidden layers; without `full` narrower ones and a part of the images."""
    return _figure_2(MNIST_FULL if full else MNIST_SMALL, listener)


def figure_2_cifar10(listener: Listener, *, full: bool = False) -> Result:
    """On CIFAR-10 with SimpleNet, Adadelta at 0.01, 5 epochs; without `full` a thin network on few images."""
    return _figure_2(CIFAR10_FULL if full else CIFAR10_SMALL, listener)


def _figure_2(search: Search, listener: Listener) -> Result:
    images = {"samples": search.samples, "test_samples": search.samples}
    asked = {} if search.samples is None else images
    data = datasets.load(search.data, seed=0, **asked)
    found = discover(data, listener=listener, **search.options)
    return result_of(found)


def result_of(found: Any) -> Result:
    """The checks, figures and table of a finished search (a `Discovery`). The document's claims: the function found converges
    earlier than backpropagation at the same rate; to learn it is analogous to learning a rate; a rate can be learned by
    backpropagation. And of ours, that its optimum lies inside of what was searched, and that searching was worth it."""
    rows = found.table()
    at = {row["rule"]: row for row in rows if row["setting"] == discovery.SEARCHED}
    names = (discovery.FOUND, *discovery.OTHERS)
    checks = [
        same(
            "functions of their own among the best that were found",
            "A, B, C",
            ", ".join("ABC"[: sum(map(at.__contains__, names))]),
        )
    ]
    for letter, name in zip("ABC", names, strict=True):
        if name in at:
            what = f"{letter}, {name}" if letter == "A" else name
            checks.append(_earlier(f"loss area of {what}, less that of backpropagation at the same rate", at[name]))
    gain = lambda name: at[discovery.SAME]["area"] - at[name]["area"]
    share = gain(discovery.FOR_AREA) / gain(discovery.FOUND) if gain(discovery.FOUND) > 0 else float("nan")
    told = f"{share:.0%}" if gain(discovery.FOUND) > 0 else "the found g gains nothing"
    what = "what a rate learned for the same area gains over backpropagation at the same rate, of what the found g gains"
    checks.append(Check(what, f"{ANALOGOUS:.0%} or more", told, bool(share >= ANALOGOUS)))
    if discovery.LEARNED in at:
        what = "loss area with a rate learned by backpropagation (hypergradient), less that with the rate where it starts"
        checks.append(_earlier(what, at[discovery.LEARNED]))
    checks.append(
        same("numbers of the best ω at the end of the box that was searched", "none", ", ".join(found.touched) or "none")
    )
    if found.random is not None:
        ours, theirs = float(found.evaluations.values.min()), float(found.random.values.min())
        checks.append(at_most("best area of the search, against random search's with the same budget", theirs, ours))
    return Result(tuple(checks), report.discovery.figures(found), {"comparison": rows})


def _earlier(statement: str, row: dict[str, Any]) -> Check:
    difference, half = row["area_difference"], row["area_difference_interval"]
    low, high = difference - half, difference + half
    got = f"{difference:+.3f} ({low:+.3f} to {high:+.3f})"
    return Check(f"{statement}, {row['seeds']} fresh seeds", "below 0 (it converges earlier)", got, bool(high < 0))
