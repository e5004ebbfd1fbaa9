"""The MLP-Mixer.

Source: Tolstikhin et al. (2021), "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS.  Bib key: tolstikhin2021mixer
"""

from typing import Any, ClassVar, Unpack

import equinox as eqx
import jax.numpy as jnp

from ascribe.checks import at_least, explained, options
from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

from . import activations, initializers
from .embedding import Embedding
from .initializers import Drawn, parted
from .layer import AbstractLayer, check_sequence, size_of
from .layernorm import LayerNorm
from .linear import Linear
from .network import Network
from .pooling import GlobalAveragePool
from .transformer import DEEPEST
from .vit import patched


class MixerBlock(AbstractLayer):
    """Two perceptrons with one hidden layer each, one between the patches and one between the channels, each added to what
    entered it (equation 1 of the source):

        a = x + (W_2 f(W_1 norm1(x)ᵀ))ᵀ         the same for every channel
        y = a + W_4 f(W_3 norm2(a))             the same for every patch

    `(batch, patches, width)` to the same shape. `patches_up`, `patches_down`: W_1 and W_2, with `patches_hidden` units between
    them; `channels_up`, `channels_down`: W_3 and W_4, with `channels_hidden`. With all weights zero it is the identity.
    """

    norm1: LayerNorm
    patches_up: Linear
    patches_down: Linear
    norm2: LayerNorm
    channels_up: Linear
    channels_down: Linear
    activation: str = eqx.field(static=True)
    kind: ClassVar[str] = "block"

    @options(bias=True, initializer="lecun-normal", key=None)
    def __init__(
        self,
        patches: int,
        width: int,
        *,
        patches_hidden: int | None = None,
        channels_hidden: int | None = None,
        activation: str = "gelu",
        **drawn: Unpack[Drawn],
    ):
        patches, width = size_of("patches", "MixerBlock", patches), size_of("width", "MixerBlock", width)
        between = max(1, width // 2) if patches_hidden is None else patches_hidden
        within = 4 * width if channels_hidden is None else channels_hidden
        between = size_of("patches_hidden", "MixerBlock", between)
        within = size_of("channels_hidden", "MixerBlock", within)
        keys, told = parted(drawn, 4)

        self.norm1, self.norm2 = LayerNorm(width), LayerNorm(width)
        self.patches_up = Linear(patches, between, key=next(keys), **told)
        self.patches_down = Linear(between, patches, key=next(keys), **told)
        self.channels_up = Linear(width, within, key=next(keys), **told)
        self.channels_down = Linear(within, width, key=next(keys), **told)
        self.activation = activations.get(activation).name

    def __call__(
        self,
        x: Float[Array, "batch patches width"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch patches width"], PyTree]:
        f = activations.get(self.activation).function
        across = jnp.swapaxes(self.norm1(x)[0], 1, 2)
        x = x + jnp.swapaxes(self.patches_down(f(self.patches_up(across)[0]))[0], 1, 2)
        return x + self.channels_down(f(self.channels_up(self.norm2(x)[0])[0]))[0], state

    def config(self) -> dict[str, Any]:
        return {
            "patches": self.patches_up.fan_in,
            "width": self.channels_up.fan_in,
            "patches_hidden": self.patches_up.fan_out,
            "channels_hidden": self.channels_up.fan_out,
            "activation": self.activation,
            "bias": self.channels_up.bias is not None,
            "initializer": self.channels_up.initializer,
        }

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_sequence(name, shape, self.channels_up.fan_in)
        if shape[0] != self.patches_up.fan_in:
            raise UserError(f"layer {name} mixes {self.patches_up.fan_in} patches but gets the shape {shape}.")

    def workspace(self, outputs: int) -> int:
        """What enters and leaves the perceptrons, and their hidden units before and behind the activation."""
        hidden = [(one.fan_out, one.fan_in) for one in (self.patches_up, self.channels_up)]
        return 5 * outputs + sum(2 * outputs * units // inputs for units, inputs in hidden)


@explained
@options(bias=True, initializer="lecun-normal", key=None)
def mixer(
    input_shape: tuple[int, ...] = (32, 32, 3),
    outputs: int = 10,
    *,
    depth: int = 4,
    width: int = 64,
    patch: int | None = None,
    activation: str = "gelu",
    **drawn: Unpack[Drawn],
) -> Network:
    """The image as a sequence of square patches, a projection of every patch, `depth` blocks that mix the patches and then the
    channels, one more normalization, the mean over the patches, and a dense layer.

    There are half as many hidden units as the width between the patches and 4 times as many between the channels, as in all
    published sizes: with those of Mixer-B/16 it has the published 59.9 million parameters.

    **Arguments:** `input_shape`: (height, width, channels) of an image; `outputs`: units of the last layer; `depth`: how many
    blocks; `width`: numbers of a patch inside; `patch`: its side in pixels, by default as in `vit`; `initializer`: of all
    weights, by default normal with the variance 1/fan-in (LeCun et al. 1998), which the authors' code has too; the last layers
    of the branches are no exception (the authors' dense layer at the end begins with zeros, ours does not).

    **Raises:** `UserError` for inputs that are no images, and for a `patch` that does not fit.

    >>> print(mixer((8, 8, 1), depth=1, width=16))
    patches1 → embedding1 → block1 → layernorm1 → globalaveragepool1 → linear1 10×16
    """
    cut, patches, features = patched("mixer", input_shape, patch)
    depth, width = at_least(1, "`depth` of mixer", depth, most=DEEPEST), size_of("width", "mixer", width)
    initializers.check_parameters(depth * width * (8 * width + patches) + width * features)
    (first, last, *keys), told = parted(drawn, depth + 2)
    return Network(
        [
            cut,
            Embedding(features, width, key=first, **told),
            *(MixerBlock(patches, width, activation=activation, key=own, **told) for own in keys),
            LayerNorm(width),
            GlobalAveragePool(),
            Linear(width, outputs, key=last, **told),
        ]
    )
