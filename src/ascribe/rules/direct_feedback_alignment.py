"""Direct feedback alignment: the output error reaches every layer at once.

Source: Nøkland (2016), arXiv:1609.01596, equation 7. The sign of the error: Frenkel, Lefebvre & Bol (2021),
doi:10.3389/fnins.2021.629892. Other functions in place of σ': augmented direct feedback alignment, Nakajima et al. (2022),
doi:10.1038/s41467-022-35216-2.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import unknown
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.types import Array, Elementwise, Float, Key, Scalar

from .b_functions import b_function, evaluate
from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .direct_feedback import CUTS, check_points, random_direct_feedback
from .naming import hidden_activations
from .terms import Terms, backward_sweep

ERRORS = ("identity", "sign", "ternary")


class DirectFeedbackAlignment(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B_l g(e)) ⊙ σ'(z^l), where e = δ^L is the output error and g the identity: no error passes through the layers
    above, so the layers do not wait for each other and the products Wᵀδ are never computed. The last layer has δ^L itself. In
    convolutional networks B_l g(e) is the error at the next synaptic layer's input, and pooling, flattening and activation in
    between keep their exact backward step.

    With one hidden layer and B = W of the last layer it equals `Backpropagation`.

    Inside a layer made of others (a residual block, a whole model of another library) the error comes to the `cuts`: with
    `"micro"`, to the signal of every synaptic site, in the place of every product Wᵀδ; with `"macro"`, to what enters a whole
    block, inside which backpropagation goes on as it is (Launay et al. 2020, arXiv:2006.12878, for transformers).

    **Arguments:**

    - `cuts`: `"micro"` or `"macro"`;
    - `scale`: standard deviation of B_l in units of 1/√outputs; positive;
    - `error`: g, of the errors of single examples, `(batch, outputs)`: `"identity"`; `"sign"` (Frenkel et al. 2021);
      `"ternary"`, the sign where the error is larger than `threshold`, and 0 elsewhere; or a function of the array;
    - `threshold`: of the ternary error, at least 0;
    - `derivative`: a function in place of σ'(z^l) in all hidden layers (Nakajima et al. 2022): a name of `rules.B_FUNCTIONS`, a
      number, or a function of z; None for σ' itself.
    """

    cuts: str = eqx.field(static=True, default="micro")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")
    error: str | Callable[[Array], Array] = eqx.field(static=True, default="identity")
    threshold: Scalar = hyperparameter(0.1, "[0, inf)")
    derivative: Any = eqx.field(default=None, converter=lambda g: None if g is None else b_function(g))

    def __post_init__(self) -> None:
        if not isinstance(self.cuts, str) or self.cuts not in CUTS:
            raise UserError(f"`cuts` of DirectFeedbackAlignment is {' or '.join(CUTS)}; got {shown(self.cuts)}.")
        if not callable(self.error) and self.error not in ERRORS:
            raise unknown("function of the error", self.error, ERRORS)

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where the error can be brought to all points."""
        check_points(network, self.cuts)
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Float[Array, "outputs ..."]]:
        return random_direct_feedback(network, data.inputs.shape[1:], self.scale, cuts=self.cuts, key=key)

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        broadcast = None if self.error == "identity" else self._broadcast
        terms = Terms(direct=state, broadcast=broadcast, derivative=self._derivatives(network, batch))
        return backward_sweep(network, state, batch, terms, key=key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the highest hidden layer, to which backpropagation's error comes directly, too; with another function of the error
        or in place of σ' there is none."""
        hidden, plain = network.synaptic[-2:-1], self.error == "identity" and self.derivative is None
        if not (hidden and plain and getattr(network.last, "dense", False)):
            return None
        state = self.init(network, batch, key=key) | {network.synaptic[-1]: network.last.weight}
        ours, theirs = self(network, state, batch, key=key).gradients, exact(network, batch, key=key)
        condition = f"B = W of the last layer, in the layer below that, {hidden[0]}"
        return LimitingCase(condition, "backpropagation", ours[hidden[0]], theirs[hidden[0]])

    def _broadcast(self, delta: Array) -> Array:
        """g of the error of every example, of which δ^L is the share in the mean."""
        count = delta.shape[0]
        e = count * delta
        if self.error == "sign":
            return jnp.sign(e) / count
        if self.error == "ternary":
            return jnp.where(jnp.abs(e) > self.threshold.astype(e.dtype), jnp.sign(e), jnp.zeros_like(e)) / count
        assert callable(self.error)
        value = jnp.asarray(self.error(e))
        if value.shape != e.shape:
            raise UserError(f"a function of the error keeps its shape, {e.shape}; it returned {value.shape}.")
        return value.astype(e.dtype) / count

    def _derivatives(self, network: Network, batch: Batch) -> dict[str, Elementwise]:
        """One function for all hidden activations, so that equal layers stay one loop."""
        if self.derivative is None:
            return {}
        g = lambda z: evaluate(self.derivative, z)
        return dict.fromkeys(hidden_activations(network.located(batch.inputs.shape[1:])), g)
