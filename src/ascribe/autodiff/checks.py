"""Trust, but verify: derivatives against central differences, and where a NaN came from."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ascribe.checks import at_least, explained, not_negative, positive
from ascribe.errors import UserError, shown

from .operators import sum
from .traversal import gradients
from .values import Value, describe
from .variable import Var, label, order

STEP = 6e-6
"""Δ, in units of the inputs' size: about the cube root of float64's precision, where rounding and curvature weigh the same."""


@dataclasses.dataclass(frozen=True)
class GradientCheck:
    """What `check_gradients` found: the largest relative error in every order of derivative, the first one first."""

    errors: tuple[float, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        found = "agree with" if self.passed else "differ from"
        each = ", ".join(f"{error:.1e} in order {order}" for order, error in enumerate(self.errors, 1))
        return f"the derivatives {found} central differences: largest error {each} (tolerance {self.tolerance:.0e})"


@explained
def check_gradients(
    function: Callable[..., Var],
    *inputs: Any,
    order: int = 2,
    directions: int = 5,
    step: float = STEP,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> GradientCheck:
    """Compares the derivative of v · function(x₁, x₂, …) along random directions u, v random too, with

        (v · function(x + Δu) − v · function(x − Δu)) / 2Δ.

    The second order compares the derivative of v · ∇function likewise: the graph of the derivative is differentiated again.

    **Arguments:** `function`: of `Var`s, returns a `Var`; `inputs`: numbers or arrays, taken in float64; `order`: 1 or 2;
    `directions`: how many; `step`: Δ where the inputs are of size 1. An error is relative to the derivative's size,
    or to 1. At a kink (ReLU at 0) there is no derivative to agree with.

    **Raises:** `UserError` for an order that is not 1 or 2, or a function that returns no `Var`.
    """
    order = at_least(1, "order", order, most=2)
    if not callable(function) or not inputs:
        raise UserError(
            f"a function of Vars and a number or an array for each are wanted; got {shown(function)} and {len(inputs)}."
        )
    directions, seed = at_least(1, "directions", directions), at_least(0, "seed", seed)
    step, tolerance = positive("step", step), not_negative("tolerance", tolerance)
    arrays = [np.array(x, np.float64) for x in inputs]
    generator = np.random.default_rng(seed)
    draw = lambda x: generator.standard_normal(np.shape(x))

    def along(*variables: Var) -> Var:
        y = function(*variables)
        if not isinstance(y, Var):
            raise UserError(f"the function to check returns a Var; got {describe(y)}.")
        weights = np.random.default_rng(seed + 1).standard_normal(y.shape)
        return sum(y * weights)

    slopes = [draw(x) for x in arrays]

    def slope(*variables: Var) -> Var:
        parts = gradients(along(*variables), variables, graph=True, missing="zero")
        total = sum(parts[0] * slopes[0])
        for part, weights in zip(parts[1:], slopes[1:], strict=True):
            total = total + sum(part * weights)
        return total

    scale = step * max(1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in arrays))
    errors = []
    for checked in (along, slope)[:order]:
        largest = 0.0
        for _ in range(directions):
            u = [draw(x) for x in arrays]
            shifted = [
                float(checked(*(Var(x + sign * scale * d) for x, d in zip(arrays, u, strict=True))).value)
                for sign in (1.0, -1.0)
            ]
            difference = (shifted[0] - shifted[1]) / (2 * scale)
            variables = [Var(x) for x in arrays]
            found = gradients(checked(*variables), variables, missing="zero")
            ours = float(np.sum([np.sum(g * d) for g, d in zip(found, u, strict=True)]))
            error = abs(ours - difference) / max(1.0, abs(difference))
            largest = max(largest, error) if np.isfinite(error) else np.inf
        errors.append(largest)
    return GradientCheck(tuple(errors), tolerance)


@dataclasses.dataclass(frozen=True)
class NanSource:
    """Where a NaN came from: the first `variable` that has one, and in words (`str`)."""

    variable: Var
    message: str

    def __str__(self) -> str:
        return self.message


def find_nan(expression: Var) -> NanSource | None:
    """The first `Var` of the expression with a NaN in its value, of those whose arguments have none: the operator that made
    it. None where there is no NaN."""
    for v in order(expression):
        if v.value is None or not np.any(np.isnan(v.value)):
            continue
        count, size = int(np.sum(np.isnan(v.value))), int(np.size(v.value))
        where = tuple(int(i) for i in np.argwhere(np.isnan(v.value))[0])
        place = f" in {count} of {size} entries, the first at {where}" if size > 1 else ""
        if v.creator is None:
            return NanSource(v, f"{label(v)} was given a NaN{place}.")
        args = " and ".join(_range(a) for a in v.creator.args)
        return NanSource(v, f"the operator {v.creator.operator.name} made a NaN{place}, from {args}.")
    return None


def _range(a: Any) -> str:
    value: Value = a.value if isinstance(a, Var) else a
    called = f"{label(a)}, " if isinstance(a, Var) and a.name else ""
    if np.size(value) == 1:
        return f"{called}{float(np.ravel(value)[0]):g}"
    return f"{called}{describe(value)} between {np.min(value):g} and {np.max(value):g}"
