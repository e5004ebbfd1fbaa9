"""Which results of a program are computed in the same way: value numbering, on what JAX traces and without a number.

Two results have one number where the same operations reach them from the same arguments. Results that are equal for another
reason, such as a product with 1, have different numbers.

Source: Alpern, Wegman & Zadeck (1988), "Detecting equality of variables in programs", doi:10.1145/73560.73562.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ascribe.jaxprs import OPENED, WRAPPERS

CALLS = {**WRAPPERS, "custom_jvp_call": OPENED["custom_jvp_call"]}
"""Operations that only wrap others, which are looked at in their place; what derivative a function has is of no interest."""


def numbered(function: Callable[..., Any], *arguments: Any) -> tuple[Any, set[str]]:
    """The results of a function, each array of them as the number of its computation, and the named scopes
    (`jax.named_scope`) that its operations were traced in, as paths with / between. Arguments may be shapes alone
    (`jax.ShapeDtypeStruct`)."""
    closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
    numbers = _Numbers()
    given = [numbers.of(("argument", place)) for place in range(len(closed.in_avals))]
    found = numbers.results(closed.jaxpr, closed.consts, given)
    return jax.tree.unflatten(jax.tree.structure(shape), found), numbers.scopes


class _Numbers:
    def __init__(self) -> None:
        self._known: dict[Any, int] = {}
        self.scopes: set[str] = set()

    def of(self, key: Any) -> int:
        """The number of that key: a new one where it is met first."""
        return self._known.setdefault(key, len(self._known))

    def results(self, jaxpr: Jaxpr, constants: Any, given: list[int], scope: str = "") -> list[int]:
        """The numbers of the results of a program, in this scope, whose arguments have the `given` numbers."""
        here = dict(zip(jaxpr.constvars, map(self._constant, constants), strict=True))
        here |= dict(zip(jaxpr.invars, given, strict=True))
        read = lambda atom: self._constant(atom.val) if isinstance(atom, Literal) else here[atom]
        for equation in jaxpr.eqns:
            here_in = self._entered(scope, equation)
            inputs = list(map(read, equation.invars))
            inner = equation.params.get(CALLS.get(equation.primitive.name, ""))
            if isinstance(inner, ClosedJaxpr):
                found = self.results(inner.jaxpr, inner.consts, inputs, here_in)
            else:
                unlike = id(equation) if equation.effects else None
                key = (equation.primitive.name, self._parameters(equation.params, here_in), tuple(inputs), unlike)
                found = [self.of((key, place)) for place in range(len(equation.outvars))]
            here |= dict(zip(equation.outvars, found, strict=True))
        return list(map(read, jaxpr.outvars))

    def _constant(self, value: Any) -> int:
        if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        array = np.asarray(value)
        return self.of(("constant", str(array.dtype), array.shape, array.tobytes()))

    def _parameters(self, value: Any, scope: str) -> Any:
        """What an operation is told beside its inputs, comparable. Functions are left out: JAX makes new ones in every trace,
        and the programs beside them say what they do."""
        if isinstance(value, ClosedJaxpr):
            return self._parameters(value.jaxpr, scope), tuple(map(self._constant, value.consts))
        if isinstance(value, Jaxpr):
            for equation in value.eqns:  # of a loop or a branch: only its scopes are wanted here
                self._parameters(equation.params, self._entered(scope, equation))
            return str(value)
        if isinstance(value, dict):
            return tuple((name, self._parameters(one, scope)) for name, one in sorted(value.items()))
        if isinstance(value, tuple | list):
            return tuple(self._parameters(one, scope) for one in value)
        return None if callable(value) and not isinstance(value, type) else str(value)

    def _entered(self, scope: str, equation: Any) -> str:
        """The scope of an operation, which is remembered."""
        inner = f"{scope}/{equation.source_info.name_stack}".strip("/")
        self.scopes.add(inner)
        return inner
