"""What is drawn of weights: those of the first layer as small images, and of every layer how they are distributed."""

import base64
from typing import Any

import numpy as np

MOST, LARGEST = 48, 32
"""Images of units, and pixels along a side of one, at most; of more, the first and every other one."""
MATRIX = 96
"""The same for a matrix that is one image."""
BINS = 31


def images(weight: np.ndarray, input_shape: tuple[int, ...]) -> dict[str, Any]:
    """The incoming weights of units as images of bytes in base64, image by image, row by row, channel by channel: 0 for
    `-scale`, 255 for `scale`, which is the largest of all in size; `count` of the `units`, the first ones. Weights that belong
    to no image are one, a row a unit.

    **Arguments:** `weight`: `(fan_out, fan_in)`, or `(height, width, channels, fan_out)` of a convolution; `input_shape`: of
    an example.
    """
    if weight.ndim == 4:
        found = np.moveaxis(weight, -1, 0)
    elif weight.ndim == 2 and len(input_shape) == 3 and weight.shape[1] == np.prod(input_shape):
        found = weight.reshape(-1, *input_shape)
    else:
        found = weight.reshape(1, weight.shape[0], -1, 1)
    if found.shape[-1] != 3:  # of three channels, colors are made
        found = found.mean(axis=-1, keepdims=True)
    most = LARGEST if found.shape[0] > 1 else MATRIX
    rows, columns = (-(-side // most) for side in found.shape[1:3])
    units, found = found.shape[0], found[:MOST, ::rows, ::columns]
    scale = float(np.max(np.abs(found), initial=0.0, where=np.isfinite(found)))
    shares = np.nan_to_num(found / (scale or 1.0), nan=0.0, posinf=1.0, neginf=-1.0)
    count, height, width, channels = found.shape
    return {
        "count": count,
        "units": units,
        "height": height,
        "width": width,
        "channels": channels,
        "scale": scale,
        "bytes": base64.b64encode(np.round(127.5 + 127.5 * shares).astype(np.uint8).tobytes()).decode("ascii"),
    }


def histogram(weight: np.ndarray) -> dict[str, Any]:
    """How the weights of a layer are distributed: `counts` of `BINS` equal parts from `-scale` to `scale`, in shares of the
    largest."""
    finite = weight[np.isfinite(weight)]
    scale = float(np.max(np.abs(finite), initial=0.0))
    counts = np.histogram(finite, BINS, (-(scale or 1.0), scale or 1.0))[0]
    return {"scale": scale, "counts": [round(float(one), 3) for one in counts / max(counts.max(), 1)]}
