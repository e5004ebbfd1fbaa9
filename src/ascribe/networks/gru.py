"""The gated recurrent unit, and a network of one layer of them.

Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder–Decoder for Statistical Machine Translation",
arXiv:1406.1078, with the reset gate behind the product, as in version 1 of the paper and in torch.nn.GRU, so that one matrix
takes the hidden state to all three gates.  Bib key: cho2014learning
"""

from typing import Any, ClassVar, Unpack

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import explained, options
from ascribe.types import Array, Float, Key, PyTree

from . import initializers
from .initializers import Drawn, parted
from .last_step import LastStep
from .layer import AbstractLayer, check_sequence, size_of
from .linear import Linear
from .network import Network
from .patches import as_sequence


class GRU(AbstractLayer):
    """Gated recurrent units over time, from h_0 = 0:

        r_t = σ(W_r x_t + b_r + U_r h_{t-1} + c_r)
        z_t = σ(W_z x_t + b_z + U_z h_{t-1} + c_z)
        n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t-1} + c_n))
        h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

    `(batch, time, features)` to all hidden states, `(batch, time, units)`. `input`: W and b of r, z and n, one below the other,
    `(3 · units, features)`; `hidden`: U and c, `(3 · units, units)`. With torch.nn.GRU's `weight_ih_l0` and `weight_hh_l0` in
    them it computes the same. Where z = 1 it keeps its state for ever.
    """

    input: Linear
    hidden: Linear
    kind: ClassVar[str] = "gru"

    def __init__(
        self, features: int, units: int, *, bias: bool = True, initializer: str = "lecun-normal", key: Key | None = None
    ):
        features, units = size_of("features", "GRU", features), size_of("units", "GRU", units)
        own, other = jr.split(initializers.own_key(key))
        self.input = Linear(features, 3 * units, bias=bias, initializer=initializer, key=own)
        self.hidden = Linear(units, 3 * units, bias=bias, initializer=initializer, key=other)

    def __call__(
        self,
        x: Float[Array, "batch time features"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch time units"], PyTree]:
        def step(h: Array, driven: Array) -> tuple[Array, Array]:
            (r_x, z_x, n_x), (r_h, z_h, n_h) = jnp.split(driven, 3, axis=-1), jnp.split(self.hidden(h)[0], 3, axis=-1)
            r, z = jax.nn.sigmoid(r_x + r_h), jax.nn.sigmoid(z_x + z_h)
            h = (1 - z) * jnp.tanh(n_x + r * n_h) + z * h
            return h, h

        driven = self.input(x)[0]  # of all steps at once: one large product in place of many small ones
        start = jnp.zeros((x.shape[0], self.hidden.fan_in), driven.dtype)
        _, states = jax.lax.scan(step, start, jnp.swapaxes(driven, 0, 1))
        return jnp.swapaxes(states, 0, 1), state

    def config(self) -> dict[str, Any]:
        return {
            "features": self.input.fan_in,
            "units": self.hidden.fan_in,
            "bias": self.input.bias is not None,
            "initializer": self.input.initializer,
        }

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape, self.input.fan_in)

    def workspace(self, outputs: int) -> int:
        """What drives the gates from the input and from the hidden state, and the gates."""
        return 9 * outputs


@explained
@options(bias=True, initializer="lecun-normal", key=None)
def gru(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    units: int = 64,
    **drawn: Unpack[Drawn],
) -> Network:
    """Gated recurrent units over the sequence, whose last state goes to a dense layer.

    It has 3 · units · (features + units + 2) parameters, and `outputs` · (units + 1) of the dense layer.

    **Arguments:** `input_shape`: (time, features), or (height, width, channels) of images, which are read row by row as
    (height, width · channels); `outputs`: units of the last layer; `units`: of the hidden state; `initializer`: of all weights,
    by default normal with the variance 1/fan-in (LeCun et al. 1998), three times that of torch.nn.GRU's uniform ones.

    **Raises:** `UserError` for any other input shape.

    >>> print(gru((12, 3), 2, units=8))
    gru1 → laststep1 → linear1 2×8
    """
    rows, _, features = as_sequence("gru", input_shape)
    units = size_of("units", "gru", units)
    initializers.check_parameters(3 * units * (features + units))
    (own, head), told = parted(drawn, 2)
    return Network([*rows, GRU(features, units, key=own, **told), LastStep(), Linear(units, outputs, key=head, **told)])
