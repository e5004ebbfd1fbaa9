"""The b-function rule: any term of the backpropagation equations, replaced.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 2.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.errors import UserError, shown
from ascribe.metrics import rate_quantiles, zero_slope_share
from ascribe.networks import Network, activations, record
from ascribe.types import Array, Elementwise, Key, Scalar

from .b_functions import Named, b_function, evaluate, term
from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .feedback_matrices import random_feedback
from .naming import activation_of, hidden_activations, matched, slope_of
from .terms import Terms, backward_sweep, expand, layer_errors, output_error, with_weight

HIDDEN, RANDOM = "hidden", "random"


class BFunction(AbstractRule[Network, dict[str, Array]]):
    """δ^L = ∇_a C ⊙ σ'(z^L), δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l) (equation 1) with any of the five terms replaced, each layer
    by its name; the gradient of a layer is its own at that δ (equation 2). Terms left alone are exact: `BFunction()` is
    `Backpropagation`, and so is one whose every replacement equals what it replaces.

    **Arguments:**

    - `derivative`: g in place of σ'(z^l): one for all hidden activations, or a mapping from layer names to g (an activation
      layer, the synaptic layer before it, or `"hidden"` for all that are not named). g is a name of `rules.B_FUNCTIONS` (the
      activation whose derivative it is), `"exact"`, a number, or a function of z such as `MetaNetwork`;
    - `scale`: c, by which every g is multiplied. With g `"exact"` it is an implicit learning rate c and nothing else: under
      SGD, training with g = c·σ' at layer l is training with c times the rate in layer l and all below it;
    - `output_derivative`: g in place of σ'(z^L), where the output activation is elementwise;
    - `cost_gradient(y, t)`: in place of ∇_a C;
    - `transport`: B in place of W^{l+1}: `"random"` for every layer (`FeedbackAlignment` with its default scale), or a mapping
      from names of synaptic layers to `"random"` or an array in W's shape;
    - `error`: a mapping from names of synaptic layers to a function in place of the δ that enters there.

    Its metrics are those of `implicit_rates`.
    """

    derivative: dict[str, Any]
    output_derivative: Any
    cost_gradient: Any
    transport: dict[str, Any]
    error: dict[str, Any]
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __init__(
        self,
        derivative: Any = None,
        *,
        output_derivative: Any = None,
        cost_gradient: Any = None,
        transport: Any = None,
        error: Any = None,
        scale: Any = 1.0,
    ):
        given = {} if derivative is None else derivative if isinstance(derivative, Mapping) else {HIDDEN: derivative}
        self.derivative = {str(name): b_function(g) for name, g in given.items()}
        self.output_derivative = None if output_derivative is None else b_function(output_derivative)
        if error is not None and not isinstance(error, Mapping):
            raise UserError(f"`error` maps names of layers to functions; got {error!r}.")
        for name, function in {"cost_gradient": cost_gradient, **(error or {})}.items():
            if function is not None and not callable(function):
                raise UserError(f"what stands in place of a term is a function; got {function!r} for {name}.")
        self.cost_gradient = None if cost_gradient is None else term(cost_gradient)
        self.error = {str(name): term(function) for name, function in (error or {}).items()}
        given = {} if transport is None else transport if isinstance(transport, Mapping) else {HIDDEN: transport}
        self.transport = {str(name): _checked(b) for name, b in given.items()}
        self.scale = scale

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Array]:
        """The fixed B of the layers that have one."""
        names = network.transported if HIDDEN in self.transport else ()
        named = {name: b for name, b in self.transport.items() if name != HIDDEN}
        wanted = {**{name: self.transport[HIDDEN] for name in names}, **matched(named, network.synaptic)}
        drawn = {}
        if any(isinstance(b, Named) for b in wanted.values()):
            drawn = random_feedback(network, jnp.asarray(1.0, network.dtype), key=key)
        for name, b in wanted.items():
            if isinstance(b, Named) and name not in drawn:
                raise UserError(f"no error passes through layer {name}: feedback belongs to {', '.join(drawn)}.")
        return {name: drawn[name] if isinstance(b, Named) else b.astype(network.dtype) for name, b in wanted.items()}

    def terms(self, network: Network, state: dict[str, Array]) -> Terms:
        """The replaced terms, for a network."""
        for_all = hidden_activations(network) if HIDDEN in self.derivative else ()
        chosen = dict.fromkeys(for_all, self.derivative.get(HIDDEN))
        named = {name: g for name, g in self.derivative.items() if name != HIDDEN}
        for name, g in matched(named, (*network.synaptic, *hidden_activations(network))).items():
            chosen[activation_of(network, name)] = g
        return Terms(
            cost_gradient=self.cost_gradient,
            output_derivative=None if self.output_derivative is None else self._output_derivative(network),
            feedback=state,
            error=self.error,
            derivative={name: self._derivative(network, name, g) for name, g in chosen.items()},
        )

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        return backward_sweep(network, state, batch, self.terms(network, state), key=key)

    def metrics(
        self, trainables: Network, state: dict[str, Array], batch: Batch, *, before: Any, after: Any
    ) -> dict[str, Array]:
        return implicit_rates(trainables, batch, self.terms(trainables, state))

    def feedback(self, trainables: Network, state: dict[str, Array]) -> dict[str, Array]:
        return state

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase:
        own = {name: network[name].function for name in hidden_activations(network) if name in network.names}
        ours = BFunction(own)(network, {}, batch, key=key).gradients
        return LimitingCase("g = σ'", "backpropagation", ours, exact(network, batch, key=key))

    def _derivative(self, network: Network, name: str, g: Any) -> Elementwise:
        exact = slope_of(network, name)
        return lambda z: self.scale.astype(z.dtype) * evaluate(g, z, exact=exact)

    def _output_derivative(self, network: Network) -> Elementwise:
        function = getattr(network.last, "function", None)
        exact = None if function is None else activations.get(function).derivative
        return lambda z: evaluate(self.output_derivative, z, exact=exact)


def _checked(given: Any) -> Any:
    if isinstance(given, str):
        if given != RANDOM:
            raise UserError(f"`transport` is {RANDOM!r} or an array in the weight's shape; got {given!r}.")
        return Named(given)
    if isinstance(given, Named):
        return given
    try:
        matrix = jnp.asarray(given)
    except (TypeError, ValueError, OverflowError):
        matrix = jnp.asarray(False)
    if not any(jnp.issubdtype(matrix.dtype, kind) for kind in (jnp.floating, jnp.integer)):
        raise UserError(f"`transport` is {RANDOM!r} or an array in the weight's shape; got {shown(given)}.")
    return matrix


def implicit_rates(network: Network, batch: Batch, terms: Terms, *, key: Key | None = None) -> dict[str, Array]:
    """What the replaced terms do to the errors of a batch, seen as learning rates (equations 3-5).

    **Returns:** quantiles over examples and units, 10 % (`…_low`), 50 % and 90 % (`…_high`), of

    - `implicit_rate/NAME`: g(z)/σ'(z) where σ'(z) ≠ 0, of every activation layer whose derivative is replaced (3, 4), and
      `zero_slope_credit_share/NAME`, the share of units where σ' = 0 and g ≠ 0;
    - `feedback_rate/NAME`: Bδ/(Wᵀδ) of every synaptic layer whose W is replaced on the way back (5);
    - `error_ratio/NAME`: δ^l of this sweep over δ^l of backpropagation, of every synaptic layer: the noise ε that travels
      down into the layers below a replacement. Its spread is `error_ratio_high` less `error_ratio_low`.

    Of activations and weights inside a layer made of others only the error ratio is measured. All are 1 (and the share 0) where
    every replacement equals its term. `key`: the randomness of dropout, fixed by default.
    """
    key, network = jr.key(0) if key is None else key, network.located(batch.inputs.shape[1:])
    terms = expand(network, terms)
    tape, _ = record(network, batch.inputs, batch.network_state, key=key)
    inputs, found = tape.inputs, {}

    def put(name: str, layer: str, replaced: Array, exact: Array) -> None:
        for level, value in rate_quantiles(replaced, exact).items():
            found[f"{name}/{layer}" if level == "median" else f"{name}_{level}/{layer}"] = value

    for name, g in terms.derivative.items():
        name = activation_of(network, name)  # noqa: PLW2901
        if name not in network.names:  # inside a layer: what it takes is not on the tape
            continue
        z = inputs[network.index(name)]
        exact = slope_of(network, name)(z)
        put("implicit_rate", name, g(z), exact)
        found[f"zero_slope_credit_share/{name}"] = zero_slope_share(g(z), exact)

    deltas = [layer_errors(network, tape, output_error(network, tape, batch, one)[1], one) for one in (terms, Terms())]
    for name, matrix in terms.feedback.items():
        if name not in network.names:
            continue
        i, layer = network.index(name), network[name]
        down = lambda weight, i=i, layer=layer, name=name: _down(layer, weight, inputs[i], deltas[0][name])
        put("feedback_rate", name, down(matrix), down(layer.weight))
    for name in network.synaptic:
        put("error_ratio", name, deltas[0][name], deltas[1][name])
    return found


def _down(layer: Any, weight: Array, x: Array, delta: Array) -> Array:
    """The error at a synaptic layer's input, with `weight` in place of W."""
    return jax.vjp(lambda x: with_weight(layer, weight)(x)[0], x)[1](delta)[0]
