"""A network for a data set, from the short text a command line can carry."""

import re

from ascribe.checks import explained
from ascribe.errors import UserError, shown
from ascribe.types import Key

from .activations import get
from .lenet import lenet
from .mlp import mlp
from .network import Network
from .simplenet import simplenet

SIZE = r"[1-9]\d{0,17}"
"""A layer's size in words; of more digits it is no number of units."""


@explained
def build(
    text: str,
    *,
    input_shape: tuple[int, ...],
    outputs: int,
    activation: str = "relu",
    bias: bool = True,
    key: Key | None = None,
) -> Network:
    """`"64x64"` is an MLP with those hidden layers, `"linear"` one without any, `"lenet"` and `"simplenet"` are the
    convolutional networks of those names, and `"simplenet/8"` is the latter with an eighth of the channels.

    **Arguments:** `input_shape`: of one example; `outputs`: units of the last layer; the rest as in `mlp`.

    >>> print(build("8x4", input_shape=(2,), outputs=1, activation="tanh"))
    linear1 8×2 → tanh1 → linear2 4×8 → tanh2 → linear3 1×4
    """
    get(activation)
    name = text.strip().lower()
    if name == "lenet":
        return lenet(input_shape, outputs, activation=activation, bias=bias, key=key)
    thin = re.fullmatch(r"simplenet(?:/([1-9]\d{0,17}))?", name)
    if thin:
        width = 1 / int(thin[1] or 1)
        return simplenet(input_shape, outputs, activation=activation, bias=bias, width=width, key=key)
    features = 1
    for size in input_shape:
        features *= size
    if name == "linear":
        return mlp([features, outputs], activation=activation, bias=bias, key=key)
    if re.fullmatch(rf"{SIZE}(x{SIZE})*", name):
        return mlp([features, *map(int, name.split("x")), outputs], activation=activation, bias=bias, key=key)
    raise UserError(
        f"unknown network {shown(text)}: write the hidden layers' sizes as 64x64, or `linear`, or `lenet`, `simplenet` or "
        f"`simplenet/8` (for images)."
    )
