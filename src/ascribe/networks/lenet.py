"""LeNet-5's shape with today's parts."""

import jax.random as jr

from ascribe.checks import explained
from ascribe.errors import UserError, shown
from ascribe.types import Key

from . import initializers
from .activation import Activation
from .conv2d import Conv2d, is_image_shape
from .flatten import Flatten
from .linear import Linear
from .network import Network
from .pooling import MaxPool2d


@explained
def lenet(
    input_shape: tuple[int, ...] = (28, 28, 1),
    outputs: int = 10,
    *,
    activation: str = "relu",
    bias: bool = True,
    channels: tuple[int, int] = (6, 16),
    hidden: tuple[int, ...] = (120, 84),
    initializer: str | None = None,
    key: Key | None = None,
) -> Network:
    """Convolution 5×5, pooling 2×2, convolution 5×5, pooling 2×2, then dense layers (after LeCun et al. 1998).

    **Arguments:** `input_shape`: (height, width, channels) of an image of 12 × 12 pixels or more (up to 28 × 28 the first
    convolution pads by 2 on each side); `outputs`: units of the last layer; `channels`, `hidden`: widths of the
    convolutional and of the dense layers.

    **Raises:** `UserError` for any other input shape.
    """
    if not is_image_shape(input_shape) or min(input_shape[:2]) < 12:
        raise UserError(
            f"LeNet takes images (height, width, channels) of 12 × 12 pixels or more; got the shape {shown(input_shape)}: "
            f"use an MLP, such as --network 64x64."
        )
    height, width, colors = input_shape
    padding = 2 if min(height, width) <= 28 else 0
    law = initializer or initializers.default_for(activation)
    keys = iter(jr.split(initializers.own_key(key), 3 + len(hidden)))
    first, second = channels
    rows, columns = (((size + 2 * padding - 4) // 2 - 4) // 2 for size in (height, width))

    layers = [
        Conv2d(colors, first, 5, padding=padding, bias=bias, initializer=law, key=next(keys)),
        Activation(activation),
        MaxPool2d(2),
        Conv2d(first, second, 5, bias=bias, initializer=law, key=next(keys)),
        Activation(activation),
        MaxPool2d(2),
        Flatten(),
    ]
    fan_in = rows * columns * second
    for fan_out in hidden:
        layers += [Linear(fan_in, fan_out, bias=bias, initializer=law, key=next(keys)), Activation(activation)]
        fan_in = fan_out
    layers.append(Linear(fan_in, outputs, bias=bias, initializer=law, key=next(keys)))
    return Network(layers)
