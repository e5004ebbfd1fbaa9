"""The transformer's block, and a network of them for sequences.

Source: Vaswani et al. (2017), "Attention is all you need", NeurIPS; with the normalization before each part and not behind its
sum, as in Xiong et al. (2020), "On Layer Normalization in the Transformer Architecture", ICML.  Bib key: vaswani2017attention
"""

import math
from typing import Any, ClassVar, Unpack

import equinox as eqx

from ascribe.checks import at_least, explained, options
from ascribe.types import Array, Float, Key, PyTree

from . import activations, initializers
from .attention import Attention
from .embedding import Embedding
from .initializers import Drawn, parted
from .last_step import LastStep
from .layer import AbstractLayer, check_sequence, size_of
from .layernorm import LayerNorm
from .linear import Linear
from .network import Network
from .patches import as_sequence
from .pooling import GlobalAveragePool

DEEPEST = 1000
"""Blocks that a network has at most."""


class TransformerBlock(AbstractLayer):
    """Attention between the steps, then a perceptron with one hidden layer at every step, each added to what entered it:

        a = x + attention(norm1(x))
        y = a + W_down f(W_up norm2(a) + b_up) + b_down

    `(batch, time, width)` to the same shape; `up` has `hidden` units, by default four times the width, and `activation` f. With
    all weights zero it is the identity.
    """

    norm1: LayerNorm
    attention: Attention
    norm2: LayerNorm
    up: Linear
    down: Linear
    activation: str = eqx.field(static=True)
    kind: ClassVar[str] = "block"

    @options(bias=True, initializer="glorot-uniform", key=None)
    def __init__(
        self,
        width: int,
        heads: int,
        *,
        hidden: int | None = None,
        causal: bool = False,
        activation: str = "gelu",
        **drawn: Unpack[Drawn],
    ):
        width = size_of("width", "TransformerBlock", width)
        inner = size_of("hidden", "TransformerBlock", 4 * width if hidden is None else hidden)
        (own, up, down), told = parted(drawn, 3)
        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.attention = Attention(width, heads, causal=causal, key=own, **told)
        self.up, self.down = Linear(width, inner, key=up, **told), Linear(inner, width, key=down, **told)
        self.activation = activations.get(activation).name

    def __call__(
        self,
        x: Float[Array, "batch time width"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch time width"], PyTree]:
        x = x + self.attention(self.norm1(x)[0])[0]
        hidden = activations.get(self.activation).function(self.up(self.norm2(x)[0])[0])
        return x + self.down(hidden)[0], state

    def config(self) -> dict[str, Any]:
        return {
            "width": self.up.fan_in,
            "heads": self.attention.heads,
            "hidden": self.up.fan_out,
            "causal": self.attention.causal,
            "activation": self.activation,
            "bias": self.up.bias is not None,
            "initializer": self.up.initializer,
        }

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape, self.up.fan_in)

    def workspace(self, outputs: int) -> int:
        """What attention keeps, what enters and leaves its parts, and the hidden units before and behind the activation."""
        return 3 * outputs + self.attention.workspace(outputs) + 2 * outputs * self.up.fan_out // self.up.fan_in


@explained
@options(bias=True, initializer="glorot-uniform", key=None)
def transformer(
    input_shape: tuple[int, ...],
    outputs: int,
    *,
    depth: int = 2,
    width: int = 64,
    heads: int | None = None,
    causal: bool = False,
    activation: str = "gelu",
    **drawn: Unpack[Drawn],
) -> Network:
    """A projection of every step with learned positions, `depth` blocks of attention and a perceptron, each with its
    normalization before it, one more normalization, the mean over the steps, and a dense layer.

    Where `causal`, a step sees itself and those before it alone, and the last one, which sees all, goes to the dense layer in
    place of the mean.

    **Arguments:** `input_shape`: (time, features), or (height, width, channels) of images, which are read row by row as
    (height, width · channels); `outputs`: units of the last layer; `depth`: how many blocks; `width`: numbers of a step inside;
    `heads`: of attention, a divisor of the width, by default 4, or 2 or 1 where 4 is none; the perceptrons have 4 · width
    hidden units, as published; `initializer`: of all weights, by default Glorot's uniform law, as in torch.nn.Transformer and
    in the code of the vision transformer's authors; the last layers of the branches are no exception. The positions begin
    with the standard deviation 0.02.

    **Raises:** `UserError` for any other input shape.

    >>> print(transformer((12, 3), 2, width=8))
    embedding1 → block1 → block2 → layernorm1 → globalaveragepool1 → linear1 2×8
    """
    rows, time, features = as_sequence("transformer", input_shape)
    return of_blocks("transformer", rows, (time, features), outputs, (depth, width), (heads, causal, activation), drawn)


def of_blocks(
    name: str,
    layers: list[AbstractLayer],
    shape: tuple[int, int],
    outputs: int,
    size: tuple[int, int],
    attention: tuple[int | None, bool, str],
    drawn: Drawn,
) -> Network:
    """The transformer, behind `layers` that make sequences of the `shape` (time, features); `name`: for sentences; `size`: its
    depth and width; `attention`: heads, whether causal, and the activation."""
    (time, features), (depth, width), (heads, causal, activation) = shape, size, attention
    depth, width = at_least(1, f"`depth` of {name}", depth, most=DEEPEST), size_of("width", name, width)
    heads = math.gcd(4, width) if heads is None else heads
    initializers.check_parameters(12 * depth * width * width + width * (time + features))
    (first, last, *keys), told = parted(drawn, depth + 2)
    blocks = [TransformerBlock(width, heads, causal=causal, activation=activation, key=own, **told) for own in keys]
    return Network(
        [
            *layers,
            Embedding(features, width, length=time, key=first, **told),
            *blocks,
            LayerNorm(width),
            LastStep() if causal else GlobalAveragePool(),
            Linear(width, outputs, key=last, **told),
        ]
    )
