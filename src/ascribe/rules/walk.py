"""Backwards through the inside of a layer, equation by equation, with the terms of its sites.

What no term replaces is taken in long stretches, each with one vector-Jacobian product of JAX's own: without any term a layer
is one stretch, and its step is that of `jax.value_and_grad`. At a synaptic site z = W·x, for a W made of parameters and an x
made of data, the error goes on as Bᵀδ or as B·δ^L where such a term is given, and W's gradient stays its own:
"Function changes in the Backpropagation equation is equivalent to an implicit learning rate", equations 2 and 5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from ascribe.errors import UserError
from ascribe.jaxprs import Constant, Equation, Graph, Variable, read, run, trace, zeros
from ascribe.networks import forms, sites
from ascribe.types import Array, Elementwise, PyTree

from .cotangents import Cotangents, directly, evaluate, fitting, transposed
from .loops import through_scan

Errors = dict[str, Array]
Pull = Callable[[Sequence[Array | None], Array], tuple[list[Array | None], Errors]]
"""From the cotangents of outputs and δ^L to the cotangents of inputs, and the errors met on the way."""


class InnerTerms(NamedTuple):
    """The terms of one layer's inside, by the names that its sites have there. `below`: whether there are parameters in layers
    below it; `asked`: whether the errors at all sites are wanted; `batch_axes`: where the batch is in the signals that direct
    feedback replaces (`inside.Point`); `delta`: the shape of δ^L."""

    feedback: Mapping[str, Array] = {}
    direct: Mapping[str, Array] = {}
    error: Mapping[str, Elementwise] = {}
    derivative: Mapping[str, Elementwise] = {}
    below: bool = False
    asked: bool = False
    batch_axes: Mapping[str, tuple[int, int]] = {}
    delta: Any = None

    @property
    def empty(self) -> bool:
        """Whether every step is exact, and nobody asks for more."""
        return not (self.asked or self.feedback or self.direct or self.error or self.derivative)

    def concerns(self, one: sites.Product | sites.Curve) -> bool:
        """Whether a term, or a question, is about this one."""
        if isinstance(one, sites.Curve):
            return one.name in self.derivative
        if self.asked:
            return True
        own = one.name in self.error or (one.name in self.feedback and one.transports)
        return own or (one.place in self.direct and one.transports)


def forward(
    layer: Any, x: Array, state: PyTree, terms: InnerTerms, *, key: Any = None, training: bool = True
) -> tuple[Array, PyTree, Callable[..., tuple[Any, Array, Errors]]]:
    """One pass through a layer, and the way back.

    **Returns:** the output; the new state; and a function of the error at the output and of δ^L, that gives the gradient of the
    layer's parameters, the error at its input, and the errors at its sites where they are asked for.
    """
    if terms.empty:

        def apply(layer: Any, x: Array) -> tuple[Array, PyTree]:
            return layer(x, state, key=key, training=training)

        y, pull, new_state = jax.vjp(apply, layer, x, has_aux=True)
        return y, new_state, lambda cotangent, delta: (*pull(cotangent), {})
    leaves, structure = jax.tree.flatten(layer)

    def call(leaves: list[Array], x: Array) -> tuple[Array, PyTree]:
        return jax.tree.unflatten(structure, leaves)(x, state, key=key, training=training)

    with sites.for_reading():
        graph, shape = trace(call, leaves, x)
    found = sites.find(graph, sites.parameter_names(layer), below=terms.below)
    _refuse_closed(found, terms)
    replaced = {
        product.leaf: terms.feedback[product.name] for product in found.products.values() if product.name in terms.feedback
    }
    shadows = {graph.inputs[leaf]: matrix.astype(leaves[leaf].dtype) for leaf, matrix in replaced.items()}
    walk = Walk(graph, found, terms, shadows, active=set(graph.inputs), cuts=sites.cuts(found))
    outputs, pull = walk.forward([*leaves, x])
    y, new_state = jax.tree.unflatten(shape, outputs)

    def back(cotangent: Array, delta: Array) -> tuple[Any, Array, Errors]:
        cotangents, met = pull([cotangent, *[None] * (len(outputs) - 1)], delta)
        filled = [zeros(one) if own is None else own for one, own in zip([*leaves, x], cotangents, strict=True)]
        return jax.tree.unflatten(structure, filled[:-1]), filled[-1], met

    return y, new_state, back


def closed(name: str) -> str:
    """Why no term reaches a site."""
    return (
        f"the site {name} is inside lax.cond, lax.while_loop or a custom_vjp, where every step is exact: take its name out of "
        f"the terms, or write the model without these."
    )


def _refuse_closed(found: sites.Sites, terms: InnerTerms) -> None:
    for product in found.products.values():
        if product.closed and terms.concerns(product) and not terms.asked:
            raise UserError(closed(product.name))


class _Unit(NamedTuple):
    """A piece of a graph that is gone through as a whole: a stretch of equations, or one that a term is about."""

    equations: tuple[Equation, ...]
    product: sites.Product | None = None
    curve: sites.Curve | None = None
    opened: bool = False
    cut: tuple[str, Variable] | None = None

    @property
    def is_stretch(self) -> bool:
        """Whether every step of it is exact."""
        return self.product is None and self.curve is None and self.cut is None and not self.opened

    @property
    def inputs(self) -> list[Variable]:
        """What it needs from outside."""
        if self.curve is not None:
            return [self.curve.input]
        if self.cut is not None:
            return [self.cut[1]]
        made: set[Variable] = set()
        found: dict[Variable, None] = {}
        for equation in self.equations:
            found |= {one: None for one in equation.inputs if isinstance(one, Variable) and one not in made}
            made.update(equation.outputs)
        return list(found)

    @property
    def outputs(self) -> list[Variable]:
        """What it makes."""
        if self.curve is not None:
            return [self.curve.output]
        return [one for equation in self.equations for one in equation.outputs]


class Walk:
    """One graph with its terms. `shadows`: what stands in the place of parameters on the way back; `active`: the inputs whose
    cotangents are wanted."""

    def __init__(
        self,
        graph: Graph,
        found: sites.Sites,
        terms: InnerTerms,
        shadows: Mapping[Variable, Any],
        active: set[Variable],
        cuts: Mapping[str, tuple[int, Variable]] | None = None,
    ):
        self.graph, self.found, self.terms = graph, found, terms
        self.shadows, self.shadowed = dict(shadows), dict.fromkeys(shadows, True)
        self.makers = {one: equation for equation in graph.equations for one in equation.outputs}
        chosen = {name: place for name, place in (cuts or {}).items() if name in terms.direct}
        self.units = self._needed(self._units({place: (name, one) for name, (place, one) in chosen.items()}))
        self.active = set(active)
        for equation in graph.equations:
            if any(one in self.active for one in equation.inputs):
                self.active.update(one for one in equation.outputs if one.floating)
        self.known: dict[Variable, Any] = {}

    def _units(self, cuts: Mapping[int, tuple[str, Variable]]) -> list[_Unit]:
        units: list[_Unit] = []
        stretch: list[Equation] = []

        def close() -> None:
            if stretch:
                units.append(_Unit(tuple(stretch)))
                stretch.clear()

        for i, equation in enumerate(self.graph.equations):
            product, curve = self.found.products.get(equation), self.found.curves.get(equation)
            if i in cuts:
                close()
                units.append(_Unit((), cut=cuts[i]))
            if product is not None and self.terms.concerns(product):
                close()
                units.append(_Unit((equation,), product=product))
            elif curve is not None and self.terms.concerns(curve):
                close()
                units.append(_Unit(curve.equations, curve=curve))
            elif self.found.addressed_inside(equation, self.terms.concerns):
                close()
                units.append(_Unit((equation,), opened=True))
            else:
                stretch.append(equation)
        close()
        return units

    def _needed(self, units: list[_Unit]) -> list[_Unit]:
        """Without what nothing later needs."""
        needed = {one for one in self.graph.outputs if isinstance(one, Variable)}
        found: list[_Unit] = []
        for unit in reversed(units):
            if unit.cut is None and not any(one in needed for one in unit.outputs):
                continue
            kept: list[Equation] = []
            for equation in reversed(unit.equations if unit.is_stretch else ()):
                if any(one in needed for one in equation.outputs):
                    kept.append(equation)
                    needed.update(one for one in equation.inputs if isinstance(one, Variable))
            found.append(_Unit(tuple(reversed(kept))) if unit.is_stretch else unit)
            needed.update(found[-1].inputs)
        return found[::-1]

    def forward(self, values: Sequence[Any]) -> tuple[list[Any], Pull]:
        """The outputs, and the way back."""
        self.known = {**self.graph.constants, **dict(zip(self.graph.inputs, values, strict=True))}
        later: list[set[Variable]] = []
        needed = {one for one in self.graph.outputs if isinstance(one, Variable)}
        for unit in reversed(self.units):
            later.append(set(needed))
            needed.update(unit.inputs)
        pulls = [self._through(unit, after) for unit, after in zip(self.units, reversed(later), strict=True)]
        outputs = read(self.graph.outputs, self.known)
        results = list(self.graph.outputs)

        def pull(cotangents: Sequence[Array | None], delta: Array) -> tuple[list[Array | None], Errors]:
            found = Cotangents()
            for one, cotangent in zip(results, cotangents, strict=True):
                found.add(one, cotangent)
            met: Errors = {}
            for step in reversed(pulls):
                step(found, delta, met)
            return [found.get(one) for one in self.graph.inputs], met

        return outputs, pull

    def _through(self, unit: _Unit, later: set[Variable]) -> Callable[[Cotangents, Array, Errors], None]:
        if unit.cut is not None:
            return self._through_cut(*unit.cut)
        if unit.product is not None:
            return self._through_product(unit.equations[0], unit.product)
        if unit.curve is not None:
            return self._through_curve(unit.curve)
        if unit.opened:
            equation = unit.equations[0]
            return through_scan(self, equation) if equation.name == "scan" else self._through_inner(equation)
        return self._through_stretch(unit, later)

    def _through_stretch(self, unit: _Unit, later: set[Variable]) -> Any:
        inputs = [one for one in unit.inputs if one in self.active]
        outputs = [one for one in unit.outputs if one in later]
        moving = [one for one in outputs if one in self.active]
        still = [one for one in outputs if one not in self.active]
        fixed = {one: self.known[one] for one in unit.inputs if one not in self.active}

        def stretch(values: list[Array]) -> tuple[list[Any], list[Any]]:
            known = {**fixed, **dict(zip(inputs, values, strict=True))}
            run(unit.equations, known, forms.FORMS)
            return [known[one] for one in moving], [known[one] for one in still]

        made, back, rest = jax.vjp(stretch, [self.known[one] for one in inputs], has_aux=True)
        self.known |= dict(zip(moving, made, strict=True)) | dict(zip(still, rest, strict=True))

        def pull(cotangents: Cotangents, delta: Array, met: Errors) -> None:
            own = [cotangents.get(one) for one in moving]
            if all(one is None for one in own):
                return
            filled = [zeros(like) if one is None else one for one, like in zip(own, moving, strict=True)]
            cotangents.add_all(inputs, back(filled)[0])

        return pull

    def _through_cut(self, name: str, value: Variable) -> Any:
        terms, matrix, x = self.terms, self.terms.direct[name], self.known[value]

        def pull(cotangents: Cotangents, delta: Array, met: Errors) -> None:
            cotangents.set(value, directly(matrix, delta, x, name, terms.batch_axes[name]))

        return pull

    def _through_product(self, equation: Equation, product: sites.Product) -> Any:
        values = read(equation.inputs, self.known)
        self.known[equation.outputs[0]] = evaluate(equation, values)
        i, j = product.weight, product.signal
        wanted = [isinstance(one, Variable) and one in self.active for one in equation.inputs]
        terms, weight = self.terms, equation.inputs[product.weight]
        replaced = self.shadow(weight) if product.name in terms.feedback else values[i]
        matrix = terms.direct.get(product.place) if product.transports else None
        error = terms.error.get(product.name)

        def pull(cotangents: Cotangents, delta: Array, met: Errors) -> None:
            z = equation.outputs[0]
            cotangent = cotangents.get(z)
            cotangent = zeros(z) if cotangent is None else cotangent
            if error is not None:
                cotangent = fitting(f"the error of the site {product.name}", error(cotangent), cotangent)
            if terms.asked:
                met[product.place] = cotangent
            if wanted[i]:
                cotangents.add(weight, transposed(equation, values, i, cotangent))
            if wanted[j] and matrix is not None:
                cotangents.add(
                    equation.inputs[j],
                    directly(matrix, delta, values[j], product.place, terms.batch_axes[product.place]),
                )
            elif wanted[j]:
                back = [replaced if k == i else one for k, one in enumerate(values)]
                cotangents.add(equation.inputs[j], transposed(equation, back, j, cotangent))

        return pull

    def _through_curve(self, curve: sites.Curve) -> Any:
        z = self.known[curve.input]
        self.known[curve.output] = curve.evaluate(z)
        g = self.terms.derivative[curve.name]

        def pull(cotangents: Cotangents, delta: Array, met: Errors) -> None:
            cotangent = cotangents.get(curve.output)
            if cotangent is not None:
                slope = fitting(f"the derivative g(z) of {curve.name}", g(z), z)
                cotangents.add(curve.input, cotangent * slope)

        return pull

    def _through_inner(self, equation: Equation) -> Any:
        """Rematerialization, or a function with a derivative of its own, opened."""
        walk = self._inside(equation)
        made, back = walk.forward(read(equation.inputs, self.known))
        self.known |= dict(zip(equation.outputs, made, strict=True))

        def pull(cotangents: Cotangents, delta: Array, met: Errors) -> None:
            own = [cotangents.get(one) for one in equation.outputs]
            found, errors = back(own, delta)
            met |= errors
            cotangents.add_all(equation.inputs, found)

        return pull

    def _inside(self, equation: Equation) -> "Walk":
        inner: Any = equation.inner
        pairs = list(zip(inner.inputs, equation.inputs, strict=True))
        shadows = {own: self.shadow(outer) for own, outer in pairs if self.is_shadowed(outer)}
        active = {own for own, outer in pairs if isinstance(outer, Variable) and outer in self.active}
        return self.into(inner, shadows, active)

    def into(self, inner: Graph, shadows: Mapping[Variable, Any], active: set[Variable]) -> "Walk":
        """The same walk, of a graph inside this one."""
        return Walk(inner, self.found, self.terms, shadows, active)

    def is_shadowed(self, one: Any) -> bool:
        """Whether something stands in its place on the way back."""
        if isinstance(one, Constant):
            return False
        if one not in self.shadowed:
            source = self.found.sources.get(one, sites.NOTHING)
            made = bool(source.parameters) and not source.data and one in self.makers
            self.shadowed[one] = made and any(self.is_shadowed(before) for before in self.makers[one].inputs)
        return self.shadowed[one]

    def shadow(self, one: Any) -> Any:
        """What a weight is where B stands for its parameter: what is made of B as W is of the parameter."""
        if isinstance(one, Constant):
            return one.value
        values = self.shadows if self.is_shadowed(one) else self.known
        if one not in values:  # what a stretch makes on its way, and keeps for itself, is in neither of them
            equation = self.makers[one]
            made = equation.evaluate(*[self.shadow(before) for before in equation.inputs])
            values |= dict(zip(equation.outputs, made, strict=True))
        return values[one]
