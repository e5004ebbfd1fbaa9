"""The multilayer perceptron."""

import itertools
from collections.abc import Sequence
from typing import Unpack

from ascribe.checks import explained, listed, options, whole
from ascribe.errors import UserError, shown

from . import initializers
from .activation import Activation
from .initializers import Drawn, parted
from .layer import AbstractLayer
from .linear import Linear
from .network import Network


@explained
@options(bias=True, initializer=None, key=None)
def mlp(
    sizes: Sequence[int],
    *,
    activation: str = "relu",
    output_activation: str | None = None,
    **drawn: Unpack[Drawn],
) -> Network:
    """a^l = σ(W^l a^{l-1} + b^l), l = 1 … L ("Solving Deeper Multilayer Perceptrons", the definition of the MLP).

    **Arguments:** `sizes`: units of the input, of each hidden layer and of the output, as in `[2, 64, 64, 1]`;
    `activation`: of the hidden layers; `output_activation`: by default none, so that the network returns logits and the
    loss applies its own link (logistic or softmax) in a numerically stable form; `initializer`: by default He's law for
    the ReLU family, Glorot's for the rest.

    >>> print(mlp([2, 64, 1]))
    linear1 64×2 → relu1 → linear2 1×64
    """
    given, sizes = sizes, [whole(size) or 0 for size in listed(sizes) or ()]
    if len(sizes) < 2 or min(sizes) < 1:
        raise UserError(
            f"the sizes of an MLP are at least two positive integers, input first, as in [2, 64, 1]; got {shown(given)}."
        )
    initializers.check_parameters(sum(fan_in * fan_out for fan_in, fan_out in itertools.pairwise(sizes)))
    keys, told = parted(drawn, len(sizes) - 1, activation)
    layers: list[AbstractLayer] = []
    for fan_in, fan_out, k in zip(sizes[:-1], sizes[1:], keys, strict=True):
        layers += [Linear(fan_in, fan_out, key=k, **told), Activation(activation)]
    layers.pop()
    if output_activation is not None:
        layers.append(Activation(output_activation))
    return Network(layers)
