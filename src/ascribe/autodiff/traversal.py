"""The walks through the graph: there, and back, which is written once for numbers and for derivatives that are graphs.

The notes let every `Op` call `backward` of its arguments at once. Where a `Var` is used twice, everything below it is then
walked twice, and twice again below the next such `Var`: 2^n calls for n doublings x ← x + x. Here a `Var` passes its
derivative on when all of it has arrived, so that every `Op` is visited once.

Source: "Neural networks" (course notes), sections 4.1.2 and 4.2.3.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ascribe.checks import explained, one_of
from ascribe.errors import UserError, shown

from .derivatives import DERIVATIVES, rule
from .operators import fit, sum
from .scalars import program
from .values import Value, number_or_array
from .variable import WALKS, Var, joined, label, order, shape_of


def arriving(root: Var, s: Any = None, *, graph: bool = False, only: set[Var] | None = None) -> Iterator[tuple[Var, Any]]:
    """Every `Var` v that `root` depends on, with the derivative s · ∂root/∂v, in the order in which they are complete.

    `graph`: derivatives are `Var`s. `only`: the `Var`s that matter; the others pass nothing on.
    """
    path = order(root)
    _check_times(path)
    root._arriving = seed(root, s, graph=graph)
    try:
        for v in reversed(path):
            s, v._arriving = v._arriving, None
            if s is None:
                continue
            yield v, s
            if v.creator is None:
                continue
            op = v.creator
            name, elementwise, args = op.operator.name, op.operator.elementwise, op.args
            entry = DERIVATIVES.get(name, ())
            inputs = args if graph else [a._value if a.__class__ is Var else a for a in args]
            result = v if graph else v._value
            for number, a in enumerate(args):
                if a.__class__ is not Var or (only is not None and a not in only):
                    continue
                one = entry[number] if isinstance(entry, tuple) and number < len(entry) else rule(name, number)
                if one is None:
                    continue
                derivative = one(s, result, *inputs, **op.options)
                if elementwise and getattr(derivative, "shape", ()) != a._value.shape:
                    derivative = fit(derivative, a._value.shape)
                a._arriving = derivative if a._arriving is None else a._arriving + derivative
    finally:
        for v in path:
            v._arriving = None


def _check_times(path: list[Var]) -> None:
    for v in path:
        if v._value is None:
            raise UserError(f"{label(v)} has no value yet: give its variables values and call evaluate() before backward().")
        if v.creator is not None:
            for a in v.creator.args:
                if a.__class__ is Var and a._time > v._time:
                    raise UserError(
                        f"{label(a)} got another value after {label(v)} was computed from it: call evaluate() before "
                        "backward()."
                    )


def seed(root: Var, s: Any, *, graph: bool) -> Any:
    """What the walk starts with: s, checked; 1 by default."""
    shape = root.shape
    s = joined(s)
    if s is None:
        if shape:
            raise UserError(
                f"backward() starts from a number, and {label(root)} has the shape {shape}: take its sum or mean, or pass "
                "backward(s) an array s of that shape."
            )
        s = np.ones((), root.dtype)[()]
    elif shape_of(s) != shape:
        raise UserError(f"s has the shape of the result, {shape}; got {shape_of(s)}.")
    if isinstance(s, Var):
        return s if graph else s._value
    s = number_or_array(s).astype(root.dtype)
    return Var(s) if graph else s


def evaluate(root: Var) -> Value:
    """See `Var.evaluate`."""
    path = order(root)
    if path.program is None and not path.judged:
        path.program = program(root)
        path.judged = all(v.creator is not None or v._value is not None for v in path)
    if path.program is not None and path.program.evaluate():
        return root._value
    for v in path:
        if v.creator is not None:
            v._value = v.creator.compute()
            v._time = max(a._time for a in v.creator.args if a.__class__ is Var)
        elif v._value is None:
            raise UserError(f"{label(v)} has no value, and {label(root)} depends on it: give it one by `.value = …`.")
    return root._value


def backward(root: Var, s: Any = None) -> None:
    """See `Var.backward`."""
    numbers = None if root._order is None else root._order.program
    if numbers is not None and numbers.current():
        derivatives, arrived = numbers.derivatives(seed(root, s, graph=False))
        for v, derivative, some in zip(numbers.path, list(derivatives), arrived.tolist(), strict=True):
            if some:
                v._grad = derivative if v._grad is None else v._grad + derivative
        return
    reached, derivatives = [], []  # two lists of what exists: a million new tuples would wake the garbage collector
    for v, derivative in arriving(root, s):
        reached.append(v)
        derivatives.append(derivative)
    for v, derivative in zip(reached, derivatives, strict=True):
        v._grad = derivative if v._grad is None else v._grad + derivative


WALKS.update(evaluate=evaluate, backward=backward)


def check_variables(variables: Any) -> None:
    """**Raises:** `UserError` for what is no list of Vars."""
    if not isinstance(variables, Sequence) or not all(isinstance(v, Var) for v in variables):
        raise UserError(f"`variables` is a list of Vars, as in [x, y]; got {shown(variables)}.")


def gradients(f: Var, variables: Sequence[Var], *, s: Any = None, graph: bool = False, missing: str = "error") -> list[Any]:
    """∂f/∂v for every v of `variables`, without a trace in their `grad`.

    `graph`: each is a `Var`, an expression of the same variables, which can be evaluated again and differentiated again (at
    the shapes that the values have now). `s`: as in `Var.backward`. `missing`: `"zero"` for the derivative by a variable that f
    does not depend on.

    **Raises:** `UserError` where f does not depend on a variable, and as `Var.backward`.
    """
    path = order(f)
    check_variables(variables)
    one_of("missing", missing, ("error", "zero"))
    wanted = set(variables)
    for v in wanted.difference(path) if missing == "error" else ():
        raise UserError(
            f"{label(f)} does not depend on {label(v)}: was the expression built from another Var, or from a `.value`? "
            '(missing="zero" takes 0 for it.)'
        )
    only = set(wanted)
    for v in path:
        if v.creator is not None and any(a.__class__ is Var and a in only for a in v.creator.args):
            only.add(v)
    found = {v: derivative for v, derivative in arriving(f, s, graph=graph, only=only) if v in wanted}
    zeros = lambda v: Var(np.zeros(v.shape, v.dtype)) if graph else np.zeros(v.shape, v.dtype)[()]
    return [found[v] if v in found else zeros(v) for v in variables]


@explained
def hessian_vector_product(
    f: Var, variables: Sequence[Var], vectors: Sequence[Value], *, missing: str = "error"
) -> list[Value]:
    """H u, with H the second derivatives of f by all of `variables` and u the `vectors`, one in the shape of each: the gradient
    of ∇f · u, in about the time of two gradients, and without H. `missing`: as in `gradients`.

    **Raises:** `UserError` as `gradients`, or where a vector has another shape than its variable.
    """
    check_variables(variables)
    if not variables:
        raise UserError("second derivatives are those by one variable at least; `variables` is empty.")
    if len(vectors) != len(variables):
        raise UserError(f"one vector for each of the {len(variables)} variables, please; got {len(vectors)}.")
    for v, u in zip(variables, vectors, strict=True):
        if shape_of(u) != v.shape:
            raise UserError(f"the vector for {label(v)} has the shape {shape_of(u)}, and the variable {v.shape}.")
    slopes = gradients(f, variables, graph=True, missing=missing)
    along = [sum(slope * np.asarray(u)) for slope, u in zip(slopes, vectors, strict=True)]
    total = along[0]
    for term in along[1:]:
        total = total + term
    return gradients(total, variables, missing="zero")


def jacobian(function: Callable[..., Var], *inputs: Any, missing: str = "error") -> list[Value]:
    """∂ function(x₁, x₂, …) / ∂x_i, one array for each input, its shape the result's followed by the input's.

    One walk back for each number of the result. `missing`: as in `gradients`, `"zero"` for an input that it does not use.

    **Raises:** `UserError` as `gradients`, and where the function returns no Var.
    """
    if not callable(function):
        raise UserError(f"the function of a Jacobian is called with Vars; got {shown(function)}.")
    if not inputs:
        raise UserError("a Jacobian is by at least one input, as in jacobian(function, x); got none.")
    variables = [Var(x) for x in inputs]
    y = function(*variables)
    if not isinstance(y, Var):
        raise UserError(f"the function of a Jacobian returns a Var; got {shown(y)}.")
    rows = []
    for index in np.ndindex(y.shape):
        s = np.zeros(y.shape)
        s[index] = 1.0
        rows.append(gradients(y, variables, s=s, missing=missing))
    return [np.reshape([row[i] for row in rows], (*y.shape, *v.shape)) for i, v in enumerate(variables)]
