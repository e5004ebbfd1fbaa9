"""SimpleNet: thirteen plain convolutions, and nothing but standard parts between them.

Source: Hasanpour, Rouhani, Fayyaz & Sabokrou (2016), "Lets keep it simple, Using simple architectures to outperform deeper
and more complex architectures", arXiv:1608.06037; widths and positions as in the authors' descriptions at
https://github.com/Coderx7/SimpleNet (CIFAR-10, `train_val.prototxt`) and https://github.com/Coderx7/SimpleNet_Pytorch
(`Cifar/models/simplenet.py`, `simplenet_cifar_5m`).  Bib key: hasanpour2016lets
"""

import math
from typing import Unpack

from ascribe.checks import explained, options, positive
from ascribe.errors import UserError, shown

from .activation import Activation
from .batchnorm import BatchNorm
from .conv2d import Conv2d, is_image_shape
from .dropout import Dropout
from .flatten import Flatten
from .initializers import Drawn, parted
from .layer import AbstractLayer
from .linear import Linear
from .network import Network
from .pooling import MaxPool2d

BLOCKS = (
    # channels, kernel, pooled after: a line for each size of the images
    *((64, 3, False), (128, 3, False), (128, 3, False), (128, 3, True)),
    *((128, 3, False), (128, 3, False), (256, 3, True)),
    *((256, 3, False), (256, 3, True)),
    *((512, 3, False), (2048, 1, False), (256, 1, True)),
    (256, 3, False),
)
"""The thirteen convolutions of the CIFAR-10 network."""

THINNEST = 4
"""Channels that a thin version keeps in every layer."""


@explained
@options(bias=True, initializer=None, key=None)
def simplenet(
    input_shape: tuple[int, ...] = (32, 32, 3),
    outputs: int = 10,
    *,
    activation: str = "relu",
    width: float = 1.0,
    dropout: float | None = None,
    **drawn: Unpack[Drawn],
) -> Network:
    """Thirteen blocks of convolution, batch normalization (momentum 0.95) and activation, then one dense layer.

    Each block keeps the image's size (3×3 with padding 1, or 1×1); 2×2 max pooling follows the blocks 4, 7, 9 and 12, and
    dropout the first twelve (behind the pooling where there is one). The largest value of each channel that is left goes
    to the dense layer. So an image of 32 × 32 is 16, 8, 4, 2 and 1 pixels wide in turn. A smaller one is pooled only while
    it has 2 × 2 pixels or more: 28 × 28 is 14, 7, 3, 1; 8 × 8 is 4, 2, 1, and its last blocks see one pixel. Of an image
    that is not square, the last pooling leaves several squares in a row, all of which go to the dense layer.

    `simplenet()` has 5,484,736 weights, the published 5.48 million, and 13,642 biases, scales and shifts besides.

    Where the authors' two versions differ: normalization is in all thirteen blocks (PyTorch; Caffe has it in ten), dropout
    silences single units with probability 0.2 and 1×1 kernels have no padding (Caffe; PyTorch drops whole channels, by
    default none, and pads). The initial weights are this library's default for the activation, not theirs.

    **Arguments:** `input_shape`: (height, width, channels) of an image; `outputs`: units of the last layer; `width`: what
    all numbers of channels are multiplied by, rounded up, 4 at least (1/8 for a CPU); `dropout`: its rate, 0 for none; by
    default 0.2, and 0 in a network thinner than the published one, which has nothing to spare. (On a CPU, drawing its
    random numbers takes as long as all else, and several times as long to compile.)

    **Raises:** `UserError` for inputs that are no images, and for a `width` that is not positive.
    """
    if not is_image_shape(input_shape):
        raise UserError(
            f"SimpleNet takes images (height, width, channels); got the shape {shown(input_shape)}: "
            f"use an MLP, such as --network 64x64."
        )
    width = positive("`width` of SimpleNet", width, "try 0.125")
    if dropout is None:
        dropout = 0.2 if width >= 1 else 0.0
    rows, columns, channels = input_shape
    keys, told = parted(drawn, len(BLOCKS) + 1, activation)

    layers: list[AbstractLayer] = []
    for number, (full, kernel, pooled) in enumerate(BLOCKS, start=1):
        fan_out = max(THINNEST, math.ceil(width * full))
        padding = kernel // 2
        layers += [
            Conv2d(channels, fan_out, kernel, padding=padding, key=next(keys), **told),
            BatchNorm(fan_out, momentum=0.95),
            Activation(activation),
        ]
        channels = fan_out
        if pooled and min(rows, columns) >= 2:
            layers.append(MaxPool2d(2))
            rows, columns = rows // 2, columns // 2
        if dropout != 0 and number < len(BLOCKS):
            layers.append(Dropout(dropout))
    window = min(rows, columns)
    if window > 1:
        layers.append(MaxPool2d(window))
    squares = (rows // window) * (columns // window)
    layers += [Flatten(), Linear(squares * channels, outputs, key=next(keys), **told)]
    return Network(layers)
