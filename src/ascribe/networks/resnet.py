"""Residual networks of the form for CIFAR-10.

Source: He, Zhang, Ren & Sun (2016), "Deep Residual Learning for Image Recognition", CVPR, section 4.2.  Bib key: he2016deep
"""

import math
from typing import Any, Unpack

from ascribe.checks import explained, flag, options, whole
from ascribe.errors import UserError, shown

from . import initializers
from .activation import Activation
from .batchnorm import BatchNorm
from .conv2d import Conv2d, is_image_shape
from .initializers import Drawn, parted
from .layer import AbstractLayer, size_of
from .linear import Linear
from .network import Network
from .pooling import GlobalAveragePool
from .residual import Residual
from .subsample import Subsample

STAGES = 3
"""Each with half the pixels and twice the channels of the one before."""

DEEPEST = 1202
"""Layers with weights of the deepest published one."""


@explained
@options(bias=True, initializer=None, key=None)
def resnet(
    input_shape: tuple[int, ...] = (32, 32, 3),
    outputs: int = 10,
    *,
    depth: int = 20,
    width: int = 16,
    normalization: bool = True,
    activation: str = "relu",
    **drawn: Unpack[Drawn],
) -> Network:
    """A convolution, three stages of n residual blocks each, the mean over the pixels and a dense layer: 6n + 2 layers with
    weights.

    A block is `Residual`, with two convolutions 3×3, each normalized, and an activation between them, and then an activation
    of the sum. The first block of the second and of the third stage halves the pixels and doubles the channels; its shortcut
    takes every second pixel and adds channels of zeros (`Subsample`; the paper's option A, as in its experiments on CIFAR-10),
    so that no shortcut has weights. `resnet()` has 269,722 parameters, the published 0.27 million.

    Without normalization the convolutions have biases, and the branches are multiplied by 1/√(3n). With ReLU and He's law a
    block then multiplies the mean square of what passes by 1 + 2/(3n) at most, on average over the initial weights, and all
    blocks by less than e², however many they are (Hayou et al. 2021, "Stable ResNet"); the paper has no such network.

    **Arguments:** `input_shape`: (height, width, channels) of an image; `outputs`: units of the last layer; `depth`: 8, 14, 20,
    and so on; `width`: channels of the first stage, 16 as published; `normalization`: whether there is batch normalization;
    `bias`: of the dense layer, and of convolutions that no normalization follows; `initializer`: by default He's law for the
    ReLU family (as published), Glorot's for the rest, for all layers: the last ones of the branches are no exception.

    **Raises:** `UserError` for inputs that are no images, and for any other depth.

    >>> ", ".join(resnet(depth=8, width=4).names[:5])
    'conv1, batchnorm1, relu1, residual1, relu2'
    """
    if not is_image_shape(input_shape):
        raise UserError(
            f"resnet takes images (height, width, channels); got the shape {shown(input_shape)}: use an MLP, such as "
            f"--network 64x64."
        )
    layers_with_weights, width = whole(depth), size_of("width", "resnet", width)
    if layers_with_weights is None or layers_with_weights % 6 != 2 or not 8 <= layers_with_weights <= DEEPEST:
        raise UserError(f"`depth` of resnet is 6n + 2, such as 8, 14 or 20, and {DEEPEST:,} at most; got {shown(depth)}.")
    count, normalized = (layers_with_weights - 2) // 6, flag("normalization", normalization)
    initializers.check_parameters(18 * width * width * count * (1 + 4 + 16))
    keys, told = parted(drawn, layers_with_weights, activation)
    scale = 1.0 if normalized else 1 / math.sqrt(STAGES * count)

    def convolution(channels: int, fan_out: int, stride: int = 1) -> list[AbstractLayer]:
        own: dict[str, Any] = told | {"bias": told["bias"] and not normalized}
        layer = Conv2d(channels, fan_out, 3, stride=stride, padding=1, key=next(keys), **own)
        return [layer, BatchNorm(fan_out)] if normalized else [layer]

    layers = [*convolution(input_shape[2], width), Activation(activation)]
    channels = width
    for stage in range(STAGES):
        for block in range(count):
            halved = stage > 0 and block == 0
            fan_out = 2 * channels if halved else channels
            first = convolution(channels, fan_out, 2 if halved else 1)
            branch = [*first, Activation(activation), *convolution(fan_out, fan_out)]
            shortcut = [Subsample(2, fan_out - channels)] if halved else []
            layers += [Residual(branch, shortcut, scale=scale), Activation(activation)]
            channels = fan_out
    last = Linear(channels, outputs, key=next(keys), **told)
    return Network([*layers, GlobalAveragePool(), last])
