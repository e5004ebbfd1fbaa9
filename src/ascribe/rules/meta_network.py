"""The meta-network: a b-function g_ω(z) with parameters that a search can learn.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 3.2.1 and
figure 2: one input, one hidden and one output neuron.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import at_least
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.networks import activations
from ascribe.types import Array, Float


class MetaNetwork(eqx.Module):
    """g_ω(z) = Σ_k v_k·φ(w_k·z + c_k) + d: one input, `hidden` hidden neurons and one output neuron, for each unit alone.

    `omega` = ω: the weights w and biases c of the hidden neurons, the weights v of the output neuron and its bias d, in that
    order, `(3·hidden + 1,)`. With one hidden neuron these are 2 weights and 2 biases. `activation`: φ, by its name.
    With the logistic φ, v = 1 and d = 0 it is w ↦ logistic(w·z + c): for c = 0 and w = 1 the derivative of softplus, and as w
    grows that of the ReLU.

    **Raises:** `UserError` where ω has another length, or φ couples units.
    """

    omega: Float[Array, " parameters"]
    hidden: int = eqx.field(static=True)
    activation: str = eqx.field(static=True)

    def __init__(self, omega: Any, *, hidden: int = 1, activation: str = "tanh"):
        check(hidden, activation)
        try:
            self.omega = jnp.asarray(omega, float)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(f"omega is a list of numbers; got {shown(omega)}.") from error
        self.hidden, self.activation = hidden, activation
        if self.omega.shape[-1:] != (parameters(hidden),):
            raise UserError(
                f"a meta-network with {hidden} hidden neurons has {parameters(hidden)} parameters; got the shape "
                f"{self.omega.shape}."
            )

    def __call__(self, z: Array) -> Array:
        omega = self.omega.astype(z.dtype)
        phi, n = activations.get(self.activation).function, self.hidden
        total = jnp.broadcast_to(omega[3 * n], z.shape)
        for k in range(n):
            total = total + omega[2 * n + k] * phi(omega[k] * z + omega[n + k])
        return total


def parameters(hidden: int) -> int:
    """How many numbers ω has."""
    return 3 * hidden + 1


def check(hidden: Any, activation: Any) -> None:
    """A `UserError` for a meta-network that cannot be."""
    at_least(1, "`hidden`, the hidden neurons of a meta-network,", hidden)
    check_room(f"a meta-network of {shown(hidden)} hidden neurons", 100 * parameters(hidden), "choose fewer")
    if not activations.get(activation).elementwise:
        raise UserError(f"the hidden activation of a meta-network acts on each neuron alone; {activation} couples them.")
