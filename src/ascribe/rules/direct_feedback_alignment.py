"""Direct feedback alignment: the output error reaches every layer at once.

Source: Nøkland (2016), arXiv:1609.01596, equation 7.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network, record
from ascribe.types import Array, Float, Key, Scalar

from .backpropagation import exact
from .base import AbstractRule, Batch, Credit, LimitingCase, hyperparameter
from .terms import Terms, backward_sweep

CUTS = ("micro", "macro")


class DirectFeedbackAlignment(AbstractRule[Network, dict[str, Array]]):
    """δ^l = (B_l δ^L) ⊙ σ'(z^l): no error passes through the layers above, so the layers do not wait for each other and
    the products Wᵀδ are never computed. In convolutional networks B_l δ^L is the error at the next synaptic layer's
    input, and pooling, flattening and activation in between keep their exact backward step.

    With one hidden layer and B = W of the last layer it equals `Backpropagation`.

    Inside a layer made of others (a residual block, a whole model of another library) the error comes to the `cuts`: with
    `"micro"`, to the signal of every synaptic site, in the place of every product Wᵀδ; with `"macro"`, to what enters a whole
    block, inside which backpropagation goes on as it is (Launay et al. 2020, arXiv:2006.12878, for transformers).

    **Arguments:** `cuts`: `"micro"` or `"macro"`; `scale`: standard deviation of B_l in units of 1/√outputs; positive.
    """

    cuts: str = eqx.field(static=True, default="micro")
    scale: Scalar = hyperparameter(1.0, "(0, inf)")

    def __post_init__(self) -> None:
        if not isinstance(self.cuts, str) or self.cuts not in CUTS:
            raise UserError(f"`cuts` of DirectFeedbackAlignment is {' or '.join(CUTS)}; got {shown(self.cuts)}.")

    def adapt(self, network: Network, data: Dataset) -> Network:
        """The network as it is, where the error can be brought to all points."""
        _check_points(network, self.cuts)
        return network

    def init(self, network: Network, data: Batch, *, key: Key) -> dict[str, Float[Array, "outputs ..."]]:
        network = network.located(data.inputs.shape[1:])
        shapes = input_shapes(network, data.inputs.shape[1:], cuts=self.cuts)
        dtype = network.dtype
        spread = self.scale.astype(dtype) / jnp.sqrt(jnp.asarray(network.outputs, dtype))
        return {
            name: spread * jr.normal(k, (network.outputs, *shape), dtype)
            for k, (name, shape) in zip(jr.split(key, len(shapes)), shapes.items(), strict=True)
        }

    def __call__(self, network: Network, state: dict[str, Array], batch: Batch, *, key: Key | None = None) -> Credit:
        return backward_sweep(network, state, batch, Terms(direct=state), key=key)

    def limiting_case(self, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
        """Of the highest hidden layer, to which backpropagation's error comes directly, too."""
        hidden = network.synaptic[-2:-1]
        if not hidden or not getattr(network.last, "dense", False):
            return None
        state = self.init(network, batch, key=key) | {network.synaptic[-1]: network.last.weight}
        ours, theirs = self(network, state, batch, key=key).gradients, exact(network, batch, key=key)
        condition = f"B = W of the last layer, in the layer below that, {hidden[0]}"
        return LimitingCase(condition, "backpropagation", ours[hidden[0]], theirs[hidden[0]])


def input_shapes(network: Network, shape: tuple[int, ...], *, cuts: str = "micro") -> dict[str, tuple[int, ...]]:
    """The shape of one example wherever the error is brought to, by name: the input of every synaptic layer but the lowest,
    and what there is inside other layers.

    **Raises:** `UserError` where a site's signal has no axis of examples.
    """
    example = eqx.filter_eval_shape(
        lambda network, x: record(network, x, training=False)[0].inputs,
        network,
        jax.ShapeDtypeStruct((1, *shape), network.dtype),
    )
    names = network.transported if cuts == "micro" else network.units[1:]
    found = {name: example[network.index(name)].shape[1:] for name in names if name in network.names}
    if cuts == "macro":
        return found | {point.name: point.shape for point in (() if network.inside is None else network.inside.cuts)}
    _check_points(network, cuts)
    return found | {point.name: point.shape for site in network.sites if site.transports for point in site.points}


def _check_points(network: Network, cuts: str) -> None:
    for site in network.sites if cuts == "micro" else ():
        if site.transports and not site.points:
            raise UserError(
                f"the signal of the site {site.name} has no axis of examples, so that no error can be brought there directly: "
                f"use cuts='macro', or another rule."
            )
