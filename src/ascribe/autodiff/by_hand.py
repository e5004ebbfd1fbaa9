"""Backpropagation written out by hand, for multilayer perceptrons of any depth: what the graph works out by itself.

Two documents write it in two conventions. On every line of this table, one side is the other one transposed:

                course notes, `backpropagate_rows`            lecture, `backpropagate_columns`
    examples    rows of h, (examples, units)                  columns of a, (units, examples): a = hᵀ
    weights     W of (inputs, outputs)                        w of (outputs, inputs): w = Wᵀ
    numbering   W^l leads out of layer l                      w^l leads into layer l
    forward     z = h W + b                                   z = w a + b
    output      ∇_z = ∇_y E ⊙ σ'(z)                           δ = ∇_a J ⊙ σ'(z)
    backward    ∇_z ← σ'(z) ⊙ (∇_z Wᵀ)                        δ ← (wᵀ δ) ⊙ σ'(z)
    weights     ∇_W = hᵀ ∇_z                                  ∂J/∂w = δ aᵀ
    biases      the sum of the rows of ∇_z                    the sum of the columns of δ

Going back, both take the transpose of their own weights: what differs is the side on which it stands. The lecture's J is
of one example. Here E is the mean over N examples in both, which puts 1/N into the error at the output, and nowhere else.

Sources: "Neural networks" (course notes), section 3.2; "Solving Deeper Multilayer Perceptrons (MLPs)" (lecture), equations (1),
(4)–(21).
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ascribe.errors import UserError

from .losses import logistic_cross_entropy, softmax_cross_entropy, squared_error
from .operators import LEAK, logistic, softmax, softplus
from .values import describe

ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "logistic": (logistic, lambda z: logistic(z) * logistic(-z)),  # a (1 − a), precise for large z too
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "arctan": (np.arctan, lambda z: 1.0 / (1.0 + z * z)),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": (lambda z: np.maximum(z, LEAK * z), lambda z: np.where(z >= 0, 1.0, LEAK)),
    "softplus": (softplus, logistic),
    "identity": (lambda z: z, np.ones_like),
}
"""σ(z) and σ'(z) by name; at the kinks as in the graph."""

LOSSES: dict[str, tuple[Callable[[Any, Any], Any], str | None]] = {
    "squared_error": (squared_error, None),
    "logistic_cross_entropy": (logistic_cross_entropy, "logistic"),
    "softmax_cross_entropy": (softmax_cross_entropy, "softmax"),
}
"""The losses of `ascribe.autodiff.losses`, and the output activation that a cross entropy has built in."""


@dataclasses.dataclass(frozen=True, eq=False)
class Gradients:
    """`loss`: E; `weights`, `biases`: ∂E of each, in their shapes; `errors`: δ^l = ∂E/∂z^l, (16), from the first layer to the
    last, in the shape of the examples."""

    loss: float
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    errors: list[np.ndarray]


def forward(weights: Any, biases: Any, x: Any, activation: str, output: str | None = None) -> np.ndarray:
    """h ← σ(h W + b), layer by layer, for all units and examples at once.

    **Arguments:** `weights`, `biases`: lists of W, `(inputs, outputs)`, and b, `(outputs,)`; `x`: one example `(inputs,)`, or
    rows `(examples, inputs)`; `activation`: σ, of `ACTIVATIONS`; `output`: that of the last layer, σ by default.

    **Returns:** `(outputs,)`, or `(examples, outputs)`.

    **Raises:** `UserError` for shapes that do not fit, and for unknown names.
    """
    weights, biases, h, functions = _prepared(weights, biases, x, activation, output)
    for W, b, (f, _) in zip(weights, biases, functions, strict=True):
        h = f(h @ W + b)
    return np.array(h)


def forward_by_unit(weights: Any, biases: Any, x: Any, activation: str, output: str | None = None) -> np.ndarray:
    """`forward` by loops over examples, layers, units and inputs: a_j = σ(Σ_k w_jk a_k + b_j), (1), with w_jk = W[k, j].

    Equal to `forward` to rounding, and hundreds of times slower (`benchmarks/vectorization.py`).
    """
    weights, biases, examples, functions = _prepared(weights, biases, x, activation, output)
    layers = [(W.T.tolist(), b.tolist(), f) for W, b, (f, _) in zip(weights, biases, functions, strict=True)]
    outputs = []
    for example in np.atleast_2d(examples).tolist():
        a = example
        for w, b, f in layers:
            a = [
                float(f(sum(w_jk * a_k for w_jk, a_k in zip(w_j, a, strict=True)) + b_j)) for w_j, b_j in zip(w, b, strict=True)
            ]
        outputs.append(a)
    return np.array(outputs).reshape(*examples.shape[:-1], -1)


def backpropagate_rows(
    weights: Any, biases: Any, x: Any, t: Any, activation: str, loss: str = "squared_error", output: str | None = None
) -> Gradients:
    """∇_z^l = σ'(z^l) ⊙ (∇_z^{l+1} (W^l)ᵀ), ∇_W^l = (h^l)ᵀ ∇_z^{l+1}: course notes, section 3.2, the summary.

    The last ∇_z is (y − t) ⊙ σ'(z) / N for the squared error, and (y − t) / N for a cross entropy with its own output.

    **Arguments:** as `forward`, with rows; `t`: targets `(examples, outputs)`; `loss`: of `LOSSES`; `output`: the last layer's
    activation where the loss is the squared error, σ by default.

    **Returns:** `Gradients`. They are those of `Var.backward` and of `jax.grad`, to rounding.

    **Raises:** `UserError` for shapes that do not fit, unknown names, and targets of a softmax that do not add up to 1.
    """
    weights, biases, x, functions = _prepared(weights, biases, x, activation, output, loss, "rows")
    z, h = [], [x]
    for W, b, (f, _) in zip(weights, biases, functions, strict=True):
        z.append(h[-1] @ W + b)
        h.append(f(z[-1]))
    value, delta = _output(z[-1], h[-1], t, loss, functions[-1][1], axis=1)
    errors = [delta]
    for W, before, (_, slope) in reversed(list(zip(weights[1:], z[:-1], functions[:-1], strict=True))):
        errors.insert(0, slope(before) * (errors[0] @ W.T))
    gradients = [before.T @ delta for before, delta in zip(h[:-1], errors, strict=True)]
    return Gradients(value, gradients, [delta.sum(axis=0) for delta in errors], errors)


def backpropagate_columns(
    weights: Any, biases: Any, x: Any, t: Any, activation: str, loss: str = "squared_error", output: str | None = None
) -> Gradients:
    """δ^L = ∇_a J ⊙ σ'(z^L), δ^l = ((w^{l+1})ᵀ δ^{l+1}) ⊙ σ'(z^l), ∂J/∂w^l = δ^l (a^{l−1})ᵀ, ∂J/∂b^l = δ^l: (18)–(21).

    The last two are summed over the examples. As `backpropagate_rows`, but with weights of `(outputs, inputs)`, x of
    `(inputs, examples)` and t of `(outputs, examples)`: all that it returns is transposed, but for the biases, vectors in both.
    """
    weights, biases, x, functions = _prepared(weights, biases, x, activation, output, loss, "columns")
    z, a = [], [x]
    for w, b, (f, _) in zip(weights, biases, functions, strict=True):
        z.append(w @ a[-1] + b[:, None])
        a.append(f(z[-1]))
    value, delta = _output(z[-1], a[-1], t, loss, functions[-1][1], axis=0)
    errors = [delta]
    for w, before, (_, slope) in reversed(list(zip(weights[1:], z[:-1], functions[:-1], strict=True))):
        errors.insert(0, (w.T @ errors[0]) * slope(before))
    gradients = [delta @ before.T for delta, before in zip(errors, a[:-1], strict=True)]
    return Gradients(value, gradients, [delta.sum(axis=1) for delta in errors], errors)


def two_layer_by_index(weights: Any, biases: Any, x: Any, t: Any) -> Gradients:
    """(6)–(15), index by index: two layers of logistic units, the quadratic cost of one example.

    As printed, (10) and (11) end in a_k^(1), and (12)–(15) number the hidden units by k, as they do the outputs. A hidden
    unit is j here throughout: the last factor is a_j^(1).

    **Arguments:** weights of `(outputs, inputs)` and biases of `(outputs,)`, two of each; `x`: `(inputs,)`; `t`: `(outputs,)`.

    **Returns:** `Gradients`, as `backpropagate_columns` of the single columns x and t, with errors of `(units,)`.
    """
    x = _array(x, "the inputs")
    weights, biases, _, _ = _prepared(weights, biases, x[:, None] if x.ndim == 1 else x, "logistic", None, layout="columns")
    if x.ndim != 1 or len(weights) != 2:
        raise UserError(
            f"one example for two layers is wanted, as a vector; got {x.shape} for {len(weights)}: take backpropagate_columns."
        )
    (w1, w2), (b1, b2) = weights, biases
    t = _targets(t, b2.shape)
    outputs, hidden, inputs = len(b2), len(b1), len(x)
    a1 = [logistic(sum(w1[j, i] * x[i] for i in range(inputs)) + b1[j]) for j in range(hidden)]  # (4)
    a2 = [logistic(sum(w2[k, j] * a1[j] for j in range(hidden)) + b2[k]) for k in range(outputs)]  # (5)
    loss = 0.5 * sum((t[k] - a2[k]) ** 2 for k in range(outputs))  # (6)
    dw1, dw2, delta1, delta2 = np.empty_like(w1), np.empty_like(w2), np.empty_like(b1), np.empty_like(b2)
    for k in range(outputs):
        delta2[k] = -(t[k] - a2[k]) * a2[k] * (1 - a2[k])  # (8) times (9)
        for j in range(hidden):
            dw2[k, j] = delta2[k] * a1[j]  # (7), (10), (11)
    for j in range(hidden):
        cost_by_activation = sum(delta2[k] * w2[k, j] for k in range(outputs))  # (15)
        delta1[j] = cost_by_activation * a1[j] * (1 - a1[j])  # (13)
        for i in range(inputs):
            dw1[j, i] = delta1[j] * x[i]  # (12), (14)
    return Gradients(float(loss), [dw1, dw2], [delta1.copy(), delta2.copy()], [delta1, delta2])


def _output(z: np.ndarray, y: np.ndarray, t: Any, loss: str, slope: Any, axis: int) -> tuple[float, np.ndarray]:
    """E and δ^L, from z^L and y = σ(z^L); the outputs are numbered along `axis`."""
    value, link = LOSSES[loss]
    t, examples = _targets(t, z.shape), z.shape[1 - axis]
    rows = (lambda array: array) if axis == 1 else np.transpose
    if link is None:
        return float(value(rows(y), rows(t))), (y - t) / examples * slope(z)
    if link == "softmax" and not np.allclose(t.sum(axis=axis), 1.0, rtol=0, atol=1e-6):
        raise UserError("the targets of a softmax add up to 1 for every example, as one-hot ones do; these do not.")
    y = softmax(z, axis=axis) if link == "softmax" else logistic(z)
    return float(value(rows(z), rows(t))), (y - t) / examples


def _prepared(
    weights: Any,
    biases: Any,
    x: Any,
    activation: str,
    output: str | None,
    loss: str = "squared_error",
    layout: str = "any",
) -> Any:
    """Weights, biases and examples as arrays that fit together, and σ and σ' of every layer.

    `layout` of the examples: "rows", "columns", or "any", a vector or rows.
    """
    link = _named(LOSSES, loss, "loss")[1]
    if link is not None:
        if output not in (None, link):
            raise UserError(f"the loss {loss} has the output {link} built in; got {output!r}: leave `output` out.")
        output = "identity"  # a cross entropy is computed from z
    hidden = _named(ACTIVATIONS, activation, "activation")
    last = hidden if output is None else _named(ACTIVATIONS, output, "activation")

    listed = isinstance(weights, (list, tuple)) and isinstance(biases, (list, tuple))
    if not listed or not 0 < len(weights) == len(biases):
        got = f"{len(weights)} and {len(biases)}" if listed else f"{describe(weights)} and {describe(biases)}"
        raise UserError(f"weights and biases are two lists with one of each for every layer, 1 at least; got {got}.")
    weights, biases = [_array(w, "weights") for w in weights], [_array(b, "biases") for b in biases]
    x, columns = _array(x, "the inputs"), layout == "columns"
    if x.ndim not in ((1, 2) if layout == "any" else (2,)) or not x.size:
        shape = "(inputs, examples)" if columns else "(examples, inputs)"
        raise UserError(f"the inputs have the shape {shape}, with 1 of each at least; got {x.shape}.")
    width = x.shape[0 if columns else -1]
    for number, (W, b) in enumerate(zip(weights, biases, strict=True), 1):
        arriving, outputs = (W.shape[::-1] if columns else W.shape) if W.ndim == 2 else (0, 0)
        if arriving != width or b.shape != (outputs,) or not outputs:
            wanted = f"(outputs, {width})" if columns else f"({width}, outputs)"
            raise UserError(
                f"layer {number} receives {width} numbers: weights of {wanted} and biases of (outputs,) are wanted; got "
                f"{W.shape} and {b.shape}."
            )
        width = outputs
    return weights, biases, x, [hidden] * (len(weights) - 1) + [last]


def _targets(t: Any, shape: tuple[int, ...]) -> np.ndarray:
    t = _array(t, "the targets")
    if t.shape != shape:
        raise UserError(f"every output has its target: targets of shape {shape} are wanted; got {t.shape}.")
    return t


def _named(table: dict[str, Any], name: Any, what: str) -> Any:
    if not isinstance(name, str) or name not in table:
        raise UserError(f"unknown {what} {name!r}: choose one of {', '.join(table)}.")
    return table[name]


def _array(values: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError):  # rows of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise UserError(f"{what} are an array of real numbers, all rows of one length; got {describe(values)}.")
    return np.asarray(array, np.float64)
