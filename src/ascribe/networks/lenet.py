"""LeNet-5's shape with today's parts."""

from typing import Unpack

from ascribe.checks import explained, options
from ascribe.errors import UserError, shown

from .activation import Activation
from .conv2d import Conv2d, is_image_shape
from .flatten import Flatten
from .initializers import Drawn, parted
from .linear import Linear
from .network import Network
from .pooling import MaxPool2d


@explained
@options(bias=True, initializer=None, key=None)
def lenet(
    input_shape: tuple[int, ...] = (28, 28, 1),
    outputs: int = 10,
    *,
    activation: str = "relu",
    channels: tuple[int, int] = (6, 16),
    hidden: tuple[int, ...] = (120, 84),
    **drawn: Unpack[Drawn],
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
    keys, told = parted(drawn, 3 + len(hidden), activation)
    first, second = channels
    rows, columns = (((size + 2 * padding - 4) // 2 - 4) // 2 for size in (height, width))

    layers = [
        Conv2d(colors, first, 5, padding=padding, key=next(keys), **told),
        Activation(activation),
        MaxPool2d(2),
        Conv2d(first, second, 5, key=next(keys), **told),
        Activation(activation),
        MaxPool2d(2),
        Flatten(),
    ]
    fan_in = rows * columns * second
    for fan_out in hidden:
        layers += [Linear(fan_in, fan_out, key=next(keys), **told), Activation(activation)]
        fan_in = fan_out
    layers.append(Linear(fan_in, outputs, key=next(keys), **told))
    return Network(layers)
