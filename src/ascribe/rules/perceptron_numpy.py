"""The perceptron algorithm with its pocket and the bound on its mistakes, on NumPy alone.

Source: Rosenblatt (1957), Cornell Aeronautical Laboratory report 85-460-1; "Solving Deeper Multilayer Perceptrons (MLPs)"
(lecture), the slides on the perceptron and its learning rule. Novikoff (1962), "On convergence proofs for perceptrons", for
the bound; Gallant (1990), doi:10.1109/72.80230, for the pocket.
"""

import dataclasses
from typing import Any

import numpy as np

from ascribe.checks import at_least
from ascribe.errors import UserError

LARGEST = 1e100
"""Inputs beyond this size could overflow in the square of a norm."""
SMALLEST = 1e-8
"""A margin below this share of R is no more than rounding."""
LOOK = 32
"""How many examples are looked at together after a mistake; twice as many after every look without one."""
COUNTED = 2**18
"""Signs that are held in memory at a time while the mistakes of many weight vectors are counted."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PerceptronResult:
    """What `perceptron_algorithm` found.

    - `weights`, `(features,)`, and `bias`: after the last pass;
    - `mistakes`: the indices of the examples, in the order in which the mistakes on them were made;
    - `passes`: how many were made, the one without a mistake included;
    - `separated`: whether there was one, so that y_n(w·x_n + b) > 0 for every example;
    - `pocket_weights`, `pocket_bias`: of all weights that were met, the first ones with the fewest training mistakes, and
      `pocket_mistakes`, how many these are: 0 where the classes are separated;
    - `radius`: R = max_n ‖(x_n, 1)‖;
    - `margin`: γ = min_n y_n(w·x_n + b) / ‖(w, b)‖ of the weights found, or None where they do not separate the classes;
    - `bound`: (R/γ)², which `len(mistakes)` does not exceed, or None. `mistake_bound` gives the tightest such bound;
    - `classes`: the labels that it was given, (0, 1) or (-1, 1), and answers with.
    """

    weights: np.ndarray
    bias: float
    mistakes: np.ndarray
    passes: int
    separated: bool
    pocket_weights: np.ndarray
    pocket_bias: float
    pocket_mistakes: int
    radius: float
    margin: float | None
    bound: float | None
    classes: tuple[int, int] = (0, 1)

    def __repr__(self) -> str:
        made = f"{self.passes} passes, {len(self.mistakes)} mistakes"
        if self.separated:
            return f"<perceptron: separated in {made}; bound {self.bound:.6g}>"
        return f"<perceptron: not separated in {made}; pocket {self.pocket_mistakes} wrong>"

    def predict(self, inputs: Any) -> np.ndarray:
        """f(x) = 1 where w·x + b >= 0, else 0, or -1 after labels -1 and +1: f(x) = σ(w·x + b), the threshold in its two
        forms. With the pocket's weights where the classes were not separated.

        **Arguments:** `inputs`: `(rows, features)`.

        **Returns:** labels of the kind that it was trained with, `(rows,)`. **Raises:** `UserError` for inputs of another
        shape.
        """
        w, b = (self.weights, self.bias) if self.separated else (self.pocket_weights, self.pocket_bias)
        x = _numbers(inputs, "inputs")
        if x.ndim != 2 or x.shape[1] != len(w):
            raise UserError(
                f"this perceptron wants inputs of the shape (rows, {len(w)}); got {x.shape}: give one row an example."
            )
        return np.where(x @ w + b >= 0, self.classes[1], self.classes[0])


def perceptron_algorithm(inputs: Any, labels: Any, *, passes: int = 1000, seed: int | None = None) -> PerceptronResult:
    """While an example has y_n w·x_n <= 0: w ← w + y_n x_n, from w = 0, with the bias as the weight of a constant input 1.

    The examples come in their order, or in a fresh one at every pass where a `seed` is given, until a pass has no mistake.
    On separable data it stops after at most (R/γ)² mistakes, whatever the order (Novikoff 1962); on other data it never
    does, and the pocket is what to use. Gallant's algorithm with ratchet puts weights into the pocket after a longer run
    of right answers if they also make fewer mistakes on all examples; here all weights are compared.

    **Arguments:** `inputs`: `(examples, features)`; `labels`: `(examples,)`, of two classes, 0 and 1 or -1 and +1;
    `passes`: after how many to give up; `seed`: of the order, a whole number from 0.

    **Returns:** a `PerceptronResult`, in float64.

    **Raises:** `UserError` for other shapes, numbers that are not finite, labels of one class or of more than two.
    """
    rows, classes = _signed_examples(inputs, labels)
    passes = at_least(1, "passes", passes)
    advice = "leave it out for the order of the data"
    generator = None if seed is None else np.random.default_rng(at_least(0, "seed", seed, advice=advice))
    w, pocket = np.zeros(rows.shape[1]), _Pocket(rows)
    order, visited, mistakes, made, separated = np.arange(len(rows)), rows, [], 0, False
    while made < passes and not separated:
        if generator is not None:
            order = generator.permutation(len(rows))
            visited = rows[order]
        wrong = _one_pass(visited, w, pocket)
        mistakes.append(order[wrong])
        made, separated = made + 1, not wrong
    best, fewest = (w, 0) if separated else pocket.best()
    radius, margin = _radius(rows), _margin(rows, w) if separated else None
    return PerceptronResult(
        weights=w[:-1].copy(),
        bias=float(w[-1]),
        mistakes=np.concatenate(mistakes),
        passes=made,
        separated=separated,
        pocket_weights=best[:-1].copy(),
        pocket_bias=float(best[-1]),
        pocket_mistakes=fewest,
        radius=radius,
        margin=margin,
        bound=None if margin is None else (radius / margin) ** 2,
        classes=classes,
    )


def mistake_bound(inputs: Any, labels: Any, separator: Any = None) -> float:
    """(R/γ)²: no order of the examples makes `perceptron_algorithm` err more often (Novikoff 1962).

    R = max_n ‖(x_n, 1)‖ and γ = min_n y_n u·(x_n, 1) for any unit vector u that separates the classes. By default u has the
    largest margin, which gives the tightest bound: u = v/‖v‖ for the shortest v with y_n v·(x_n, 1) >= 1, found by least
    squares over non-negative numbers (Lawson & Hanson 1974, chapter 23, least distance programming).

    **Arguments:** `inputs`, `labels`: as in `perceptron_algorithm`; `separator`: weights and then the bias,
    `(features + 1,)`, of any length.

    **Returns:** the bound; infinity where no weights separate the classes (or none with γ above about 1e-8 R).

    **Raises:** `UserError` for bad data, and for a `separator` that does not separate the classes.
    """
    rows, _ = _signed_examples(inputs, labels)
    radius = _radius(rows)
    if separator is None:
        w = _largest_margin(rows / radius)
        return float("inf") if w is None else (radius / _margin(rows, w)) ** 2
    w = _numbers(separator, "separator")
    if w.shape != rows.shape[1:]:
        raise UserError(
            f"the separator is {rows.shape[1] - 1} weights and then the bias, of the shape ({rows.shape[1]},); got {w.shape}."
        )
    if not w.any() or _margin(rows, w) <= 0:
        raise UserError(
            "this separator leaves examples on the wrong side: give one that separates the classes, or leave it out."
        )
    return (radius / _margin(rows, w)) ** 2


class _Pocket:
    """The weights with the fewest mistakes on `rows` so far; many are counted in one matrix product."""

    def __init__(self, rows: np.ndarray):
        self.columns, self.weights, self.fewest = np.ascontiguousarray(rows.T), np.zeros(rows.shape[1]), len(rows)
        self.waiting = np.empty((max(1, min(COUNTED // len(rows), 256)), rows.shape[1]))
        self.count = 0

    def see(self, weights: np.ndarray) -> None:
        self.waiting[self.count] = weights
        self.count += 1
        if self.count == len(self.waiting):
            self.best()

    def best(self) -> tuple[np.ndarray, int]:
        for weights, wrong in zip(self.waiting, self.waiting[: self.count] @ self.columns <= 0, strict=False):
            found = int(np.count_nonzero(wrong))
            if found < self.fewest:
                self.weights, self.fewest = weights.copy(), found
        self.count = 0
        return self.weights, self.fewest


def _one_pass(rows: np.ndarray, weights: np.ndarray, pocket: _Pocket) -> list[int]:
    """Goes through the rows y(x, 1) once, changes the weights in place, and returns where the mistakes were."""
    found, start, width = [], 0, LOOK
    while start < len(rows):
        wrong = rows[start : start + width] @ weights <= 0
        first = int(wrong.argmax())
        if wrong[first]:
            found.append(start + first)
            weights += rows[start + first]
            pocket.see(weights)
            start, width = start + first + 1, LOOK
        else:
            start, width = start + width, 2 * width
    return found


def _signed_examples(inputs: Any, labels: Any) -> tuple[np.ndarray, tuple[int, int]]:
    """The rows y_n(x_n, 1), `(examples, features + 1)`, and the two labels, the lower one first, or a `UserError`."""
    x, t = _numbers(inputs, "inputs"), _numbers(labels, "labels")
    if x.ndim != 2 or 0 in x.shape:
        raise UserError(
            f"the perceptron wants inputs of the shape (examples, features); got {x.shape}: give one row an example, "
            f"images flattened."
        )
    if t.shape != (len(x),):
        raise UserError(
            f"the perceptron wants one label for each of the {len(x)} examples, of the shape ({len(x)},); got {t.shape}."
        )
    found = set(np.unique(t).tolist())
    if not (found <= {0, 1} or found <= {-1, 1}):
        some = ", ".join(f"{value:g}" for value in sorted(found)[:5])
        raise UserError(f"the perceptron wants labels 0 and 1, or -1 and +1; got {some}: name two classes so.")
    if len(found) == 1:
        raise UserError(f"the perceptron wants examples of two classes; got the label {found.pop():g} alone: add others.")
    y = np.where(t == 1, 1.0, -1.0)
    return y[:, None] * np.column_stack([x, np.ones(len(x))]), (-1 if -1 in found else 0, 1)


def _numbers(values: Any, name: str) -> np.ndarray:
    """An array of finite float64 numbers, or a `UserError`."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind not in "buif":
        raise UserError(f"the perceptron wants an array of numbers for its {name}; got {type(values).__name__}: encode texts.")
    array = array.astype(np.float64)
    if not (np.abs(array) <= LARGEST).all():
        raise UserError(
            f"the perceptron wants finite numbers up to {LARGEST:g} for its {name}; got NaN, infinity or more: "
            f"leave those rows out, or scale them."
        )
    return array


def _radius(rows: np.ndarray) -> float:
    return float(np.linalg.norm(rows, axis=1).max())


def _margin(rows: np.ndarray, weights: np.ndarray) -> float:
    return float((rows @ weights).min() / np.linalg.norm(weights))


def _largest_margin(rows: np.ndarray) -> np.ndarray | None:
    """The direction of the shortest v with `rows` v >= 1, or None where there is none. It is rowsᵀu for the u >= 0 that
    brings (rowsᵀu, Σu) closest to (0, …, 0, 1); where that is reached there is no v. `rows` are at most 1 long."""
    from scipy.optimize import nnls  # noqa: PLC0415 - importing it is slow

    target = np.zeros(rows.shape[1] + 1)
    target[-1] = 1
    v = rows.T @ nnls(np.vstack([rows.T, np.ones(len(rows))]), target)[0]
    return v if v.any() and _margin(rows, v) > SMALLEST else None
