"""Ready-made b-functions g(z): what can stand in place of an activation's derivative on the way back.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 2 and figure
1a.
"""

import sys
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import real
from ascribe.errors import UserError, shown
from ascribe.networks import activations
from ascribe.types import Array, Elementwise

EXACT = "exact"
"""The derivative that the layer has itself: the replacement that changes nothing."""


def threshold_surrogate(z: Array) -> Array:
    """1 / (1 + |z|)², the derivative of the fast sigmoid z / (1 + |z|): what stands for the derivative of the threshold, in
    either form, which is 0 wherever it exists (SuperSpike, Zenke & Ganguli 2018, arXiv:1705.11146)."""
    return 1 / (1 + jnp.abs(z)) ** 2


B_FUNCTIONS: dict[str, Elementwise] = {
    **{
        name: row.derivative
        for name, row in activations.ACTIVATIONS.items()
        if row.elementwise and name not in ("threshold", "sign", "identity")
    },
    "threshold": threshold_surrogate,
    "sign": threshold_surrogate,
    "identity": jnp.ones_like,
}
"""g by the name of the activation whose derivative it is; the thresholds' is a surrogate."""


class Named(eqx.Module):
    """What a rule knows by its name: a row of the table, or `"exact"`. (The leaves of a rule are arrays, so all else is
    static.)"""

    name: str = eqx.field(static=True)


class Plain(eqx.Module):
    """A Python function in place of a term."""

    function: Callable[..., Any] = eqx.field(static=True)

    def __call__(self, *given: Any) -> Any:
        return self.function(*given)


class Constant(eqx.Module):
    """g(z) = c, whatever z is. With c = 1 it is the identity's derivative."""

    value: Array

    def __init__(self, value: Any):
        self.value = jnp.asarray(value, float)

    def __call__(self, z: Array) -> Array:
        return jnp.broadcast_to(self.value.astype(z.dtype), z.shape)


class WhereSlope(eqx.Module):
    """g(z) where σ'(z) ≠ 0, and 0 where σ'(z) = 0: so a zero gradient stays one, which the source calls ideal (text after
    equation 4). Where σ' is 0 nowhere, as tanh's is, it is g.

    **Arguments:** `g`: a b-function; `activation`: σ, by its name.
    """

    g: Any
    activation: str = eqx.field(static=True)

    def __init__(self, g: Any, activation: str):
        self.g, self.activation = b_function(g), activations.get(activation).name

    def __call__(self, z: Array) -> Array:
        slope = activations.get(self.activation).derivative
        return jnp.where(slope(z) != 0, evaluate(self.g, z, exact=slope), jnp.zeros_like(z))


def b_function(given: Any) -> Any:
    """A b-function from what a user may give: a name of `B_FUNCTIONS` or `"exact"`, a number, or any callable of z, modules
    with array parameters among them.

    **Raises:** `UserError` for anything else.
    """
    if isinstance(given, str):
        if given in B_FUNCTIONS or given == EXACT:
            return Named(given)
        try:
            given = float(given)
        except ValueError:
            known = ", ".join([EXACT, *B_FUNCTIONS])
            raise UserError(f"unknown b-function {given!r}: write one of {known}, or a number.") from None
    number = real(given)
    if number is not None:
        if not -sys.float_info.max <= number <= sys.float_info.max:
            raise UserError(f"a constant b-function is a finite number; got {shown(given)}.")
        return Constant(number)
    if callable(given) or isinstance(given, Named):
        return term(given)
    raise UserError(f"a b-function is a name, a number or a function of z; got {given!r}.")


def term(function: Any) -> Any:
    """A function in place of a term, as a field of a rule: a module as it is, a plain function inside one."""
    return function if isinstance(function, eqx.Module) else Plain(function)


def evaluate(function: Any, z: Array, *, exact: Elementwise | None = None) -> Array:
    """g(z) in z's own shape and type, of a b-function as `b_function` returns it. `exact`: the derivative that is replaced.

    **Raises:** `UserError` where a function of the user's returns another shape.
    """
    if isinstance(function, Named):
        if function.name == EXACT:
            if exact is None:
                raise UserError("there is no exact derivative here: name a b-function, or give a number or a function.")
            return exact(z)
        return B_FUNCTIONS[function.name](z)
    value = jnp.asarray(function(z))
    if value.shape not in ((), z.shape):
        raise UserError(f"a b-function keeps the shape of z, {z.shape}; it returned {value.shape}.")
    return jnp.broadcast_to(value.astype(z.dtype), z.shape)
