"""What can be redone of "Neural networks" (course notes), section 3.2: error backpropagation through a network 3–4–2.

Row vectors, as the notes have them: α = x W + a, h = σ(α), β = h M + b, y = σ(β). The weights, inputs and targets are ours.
"""

import itertools
from typing import Any

import altair as alt
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import autodiff as ad
from ascribe import losses, networks
from ascribe.charts.inline import inline
from ascribe.charts.theme import BLUE, GRAY, INK, RED, themed
from ascribe.rules import Backpropagation, Batch

from .base import ROUNDING, Check, Listener, Result, apart, at_most, close, same

WIDTH = 1e-5
"""Of central differences: their error is then about 1e-10."""
SIZES = (3, 4, 2)
DEEP = (3, 5, 4, 6, 2)

Arrays = list[np.ndarray]


def error_backpropagation(listener: Listener) -> Result:
    """Section 3.2: ∂E/∂M₄₁ and ∂E/∂W₂₁ by the chain rule, then every derivative, unit by unit and in matrices.

    What the equations give is compared with central differences of E, with backpropagation by hand in rows and in columns, with
    the expression graph, and with the rule `backpropagation`. E = ½ ‖y − t‖².
    """
    generator = np.random.default_rng(51)
    W, M = generator.standard_normal(SIZES[:2]), generator.standard_normal(SIZES[1:])
    a, b = generator.standard_normal(SIZES[1]), generator.standard_normal(SIZES[2])
    x, t = generator.standard_normal(SIZES[0]), np.array([0.9, 0.2])
    found = _unit_by_unit(W, a, M, b, x, t)
    others = _others([W, M], [a, b], x[None], t[None])
    by_place = lambda name, layer, place: max(
        abs(float(gradients[layer][place]) - found[name]) for gradients, _ in others.values()
    )
    checks = [
        close(
            "∂E/∂M₄₁ = ∂E/∂β₁ h₄, of central differences",
            _difference(lambda m: _error(W, a, m, b, x, t), M, (3, 0)),
            found["M41"],
            1e-9,
        ),
        at_most("∂E/∂M₄₁ of rows, columns, graph and rule: largest difference", ROUNDING, by_place("M41", 1, (3, 0))),
        close(
            "∂E/∂α₁ = (∂E/∂β₁ M₁₁ + ∂E/∂β₂ M₁₂) dh₁/dα₁, of central differences",
            _difference(lambda c: _error(W, c, M, b, x, t), a, (0,)),
            found["alpha"][0],
            1e-9,
        ),
        close(
            "∂E/∂W₂₁ = ∂E/∂α₁ x₂, of central differences",
            _difference(lambda w: _error(w, a, M, b, x, t), W, (1, 0)),
            found["W21"],
            1e-9,
        ),
        at_most("∂E/∂W₂₁ of rows, columns, graph and rule: largest difference", ROUNDING, by_place("W21", 0, (1, 0))),
        *_matrices(found, W, a, M, x),
    ]
    by_hand = [found["W"], found["M"], found["alpha"], found["beta"]]
    for name, (weights, biases) in others.items():
        off = max(apart(one, other) for one, other in zip(by_hand, [*weights, *biases], strict=True))
        checks.append(at_most(f"all derivatives, unit by unit, and {name}: largest difference", ROUNDING, off))
    checks += _any_depth()
    return Result(tuple(checks), {"network": _drawing(W, M, found)})


def _sigma(z: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-z))


def _error(W: np.ndarray, a: np.ndarray, M: np.ndarray, b: np.ndarray, x: np.ndarray, t: np.ndarray) -> float:
    return float(0.5 * np.sum((_sigma(_sigma(x @ W + a) @ M + b) - t) ** 2))


def _difference(error: Any, values: np.ndarray, place: tuple[int, ...]) -> float:
    """The derivative of E by one number of `values`, by central differences."""
    shifted = []
    for sign in (1.0, -1.0):
        moved = values.copy()
        moved[place] += sign * WIDTH
        shifted.append(error(moved))
    return (shifted[0] - shifted[1]) / (2 * WIDTH)


def _unit_by_unit(W: Any, a: Any, M: Any, b: Any, x: Any, t: Any) -> dict[str, Any]:
    """The section's sums, number by number: W[j, i] leads from input j to hidden unit i, M[i, k] from there to output k."""
    inputs, hidden, outputs = SIZES
    alpha = [sum(x[j] * W[j, i] for j in range(inputs)) + a[i] for i in range(hidden)]
    h = [_sigma(value) for value in alpha]
    beta = [sum(h[i] * M[i, k] for i in range(hidden)) + b[k] for k in range(outputs)]
    y = [_sigma(value) for value in beta]
    by_beta = [(y[k] - t[k]) * y[k] * (1 - y[k]) for k in range(outputs)]
    by_alpha = [sum(by_beta[k] * M[i, k] for k in range(outputs)) * h[i] * (1 - h[i]) for i in range(hidden)]
    return {
        "M41": by_beta[0] * h[3],
        "W21": by_alpha[0] * x[1],
        "alpha": np.array(by_alpha),
        "beta": np.array(by_beta),
        "M": np.array([[by_beta[k] * h[i] for k in range(outputs)] for i in range(hidden)]),
        "W": np.array([[by_alpha[i] * x[j] for i in range(hidden)] for j in range(inputs)]),
        "h": np.array(h),
    }


def _matrices(found: dict[str, Any], W: np.ndarray, a: np.ndarray, M: np.ndarray, x: np.ndarray) -> list[Check]:
    """The matrix forms against the sums."""
    h = _sigma(x @ W + a)
    by_alpha = h * (1 - h) * (found["beta"] @ M.T)
    return [
        at_most("∇_α E = h' ⊙ (∇_β E Mᵀ): largest difference from unit by unit", ROUNDING, apart(by_alpha, found["alpha"])),
        at_most("∂E/∂M = hᵀ ∇_β E, an outer product", ROUNDING, apart(np.outer(h, found["beta"]), found["M"])),
        at_most("∂E/∂W = xᵀ ∇_α E", ROUNDING, apart(np.outer(x, by_alpha), found["W"])),
    ]


def _others(weights: Arrays, biases: Arrays, x: np.ndarray, t: np.ndarray) -> dict[str, tuple[Arrays, Arrays]]:
    """∂E/∂W and ∂E/∂b of every layer in the notes' shapes, by four ways that are not this file's."""
    rows = ad.backpropagate_rows(weights, biases, x, t, "logistic")
    columns = ad.backpropagate_columns([w.T for w in weights], biases, x.T, t.T, "logistic")
    variables = [(ad.Var(w), ad.Var(b)) for w, b in zip(weights, biases, strict=True)]
    h: Any = x
    for w, b in variables:
        h = ad.logistic(ad.affine(h, w, b))
    ad.squared_error(h, t).backward()
    return {
        "backpropagation by hand in rows": (rows.weights, rows.biases),
        "in columns, transposed": ([w.T for w in columns.weights], columns.biases),
        "the expression graph": (
            [np.asarray(w.grad) for w, _ in variables],
            [np.asarray(b.grad) for _, b in variables],
        ),
        "the rule backpropagation": _by_rule(weights, biases, x, t),
    }


def _by_rule(weights: Arrays, biases: Arrays, x: np.ndarray, t: np.ndarray) -> tuple[Arrays, Arrays]:
    with jax.enable_x64(True):
        sizes = [len(weights[0]), *(len(b) for b in biases)]
        network = networks.mlp(sizes, activation="logistic", output_activation="logistic", initializer="zeros")
        leaves = [leaf for w, b in zip(weights, biases, strict=True) for leaf in (jnp.asarray(w.T), jnp.asarray(b))]
        where = lambda n: [leaf for name in n.synaptic for leaf in (n[name].weight, n[name].bias)]
        network = eqx.tree_at(where, network, leaves)
        batch = Batch(jnp.asarray(x), jnp.asarray(t), losses.SQUARED_ERROR)
        credit = eqx.filter_jit(Backpropagation())(network, None, batch)
        layers = [credit.gradients[name] for name in credit.gradients.synaptic]
        return [np.asarray(layer.weight).T for layer in layers], [np.asarray(layer.bias) for layer in layers]


def _any_depth() -> list[Check]:
    """The summary's equations through four layers and seven examples, against differences and the other ways."""
    generator = np.random.default_rng(3)
    weights = [generator.standard_normal(shape) for shape in itertools.pairwise(DEEP)]
    biases = [generator.standard_normal(size) for size in DEEP[1:]]
    x, t = generator.standard_normal((7, DEEP[0])), generator.uniform(size=(7, DEEP[-1]))
    h, z = [x], []
    for W, b in zip(weights, biases, strict=True):
        z.append(h[-1] @ W + b)
        h.append(_sigma(z[-1]))
    error = (h[-1] - t) * h[-1] * (1 - h[-1]) / len(x)
    by_weights: Arrays = []
    by_biases: Arrays = []
    for layer in reversed(range(len(weights))):
        by_weights.insert(0, h[layer].T @ error)
        by_biases.insert(0, error.sum(axis=0))
        if layer:
            error = h[layer] * (1 - h[layer]) * (error @ weights[layer].T)
    others = _others(weights, biases, x, t)
    worst = max(
        apart(one, other)
        for both in others.values()
        for ours, theirs in ((by_weights, both[0]), (by_biases, both[1]))
        for one, other in zip(ours, theirs, strict=True)
    )

    def cost(first: np.ndarray) -> float:
        of = x
        for W, b in zip([first, *weights[1:]], biases, strict=True):
            of = _sigma(of @ W + b)
        return float(0.5 * np.sum((of - t) ** 2) / len(x))

    direction = generator.standard_normal(weights[0].shape)
    central = (cost(weights[0] + WIDTH * direction) - cost(weights[0] - WIDTH * direction)) / (2 * WIDTH)
    layers = "–".join(map(str, DEEP))
    return [
        close(f"{layers}, 7 examples: ∂E along a direction of the first W, of central differences", central,
              float(np.sum(by_weights[0] * direction)), 1e-9),
        at_most("the summary's equations and the four ways: largest difference of any weight or bias", ROUNDING, worst),
        same(
            "∂E/∂W has the shape of W, in every layer",
            ", ".join(f"{n}×{m}" for n, m in itertools.pairwise(DEEP)),
            ", ".join("×".join(map(str, found.shape)) for found in others["backpropagation by hand in rows"][0]),
        ),
    ]  # fmt: skip


def _drawing(W: np.ndarray, M: np.ndarray, found: dict[str, Any]) -> Any:
    """The network: a line for each weight, as thick as its derivative is large; below the units, theirs by their currents."""
    places = {
        (layer, unit): (float(layer), float((size - 1) / 2 - unit)) for layer, size in enumerate(SIZES) for unit in range(size)
    }
    edges = [
        dict(zip(("x", "y", "x2", "y2"), (*places[layer, before], *places[layer + 1, after]), strict=True))
        | {"size": abs(float(value)), "sign": "∂E/∂w > 0" if value > 0 else "∂E/∂w < 0"}
        for layer, gradient in enumerate((found["W"], found["M"]))
        for (before, after), value in np.ndenumerate(gradient)
    ]
    nodes = [{"x": x, "y": y, "name": f"{'xhy'[layer]}{unit + 1}"} for (layer, unit), (x, y) in places.items()]
    below = [
        {"x": places[layer, unit][0], "y": places[layer, unit][1], "error": f"{value:.3f}".replace("-", "−")}
        for layer, currents in ((1, found["alpha"]), (2, found["beta"]))
        for unit, value in enumerate(currents)
    ]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.2, 2.2], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-2.0, 2.0], nice=False))
    lines = (
        alt.Chart(inline(edges))
        .mark_rule(opacity=0.8)
        .encode(
            x=x,
            y=y,
            x2="x2:Q",
            y2="y2:Q",
            size=alt.Size("size:Q", legend=None, scale=alt.Scale(range=[0.5, 9])),
            color=alt.Color("sign:N", title=None, scale=alt.Scale(domain=["∂E/∂w > 0", "∂E/∂w < 0"], range=[RED, BLUE])),
        )
    )
    units = alt.Chart(inline(nodes)).encode(x=x, y=y)
    chart = alt.layer(
        lines,
        units.mark_point(filled=True, size=1500, color="white", stroke=INK, strokeWidth=1.5, opacity=1.0),
        units.mark_text(fontSize=14, color=INK, dy=-1).encode(text="name:N"),
        alt.Chart(inline(below)).mark_text(fontSize=11, color=GRAY, dy=30).encode(x=x, y=y, text="error:N"),
    ).properties(width=560, height=360)
    return themed(
        chart,
        "Error backpropagation, 3–4–2",
        "Under each unit the derivative of E by its input current; the thicker a line, the larger that by its weight.",
    )
