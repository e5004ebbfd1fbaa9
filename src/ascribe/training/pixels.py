"""Images on the device as the bytes that they came from: a quarter of the memory of float32, decoded batch by batch."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from ascribe.datasets import Dataset
from ascribe.datasets.images import scaled
from ascribe.types import Array, Float

LARGE = 2**26
"""Bytes of float32 images from which on they are kept so. Smaller ones stay as they are."""

BRIGHTEST = 255
_CHUNK = 512  # images per step of the arithmetic on the host


class Pixels(eqx.Module):
    """Images as bytes; indexing them gives floats, `table[channel, byte]`.

    A table, because a compiler may compute `(byte / 255 - mean) / scale` with reciprocals, and then no float is the one that
    the data set has. **Arguments:** `bytes`: `(examples, …)`; `table`: one row for all channels, or one for each entry of the
    last axis.
    """

    bytes: UInt8[Array, "examples ..."]
    table: Float[Array, "channels 256"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images."""
        return self.bytes.shape

    def __getitem__(self, indices: Any) -> Array:
        return self.decoded(self.bytes[indices])

    def decoded(self, images: UInt8[Array, "batch ..."]) -> Float[Array, "batch ..."]:
        """The floats of these bytes."""
        first = (BRIGHTEST + 1) * jnp.arange(self.table.shape[0])  # where a channel's row begins
        places = images.astype(first.dtype) + jnp.expand_dims(first, tuple(range(images.ndim - 1)))
        return jnp.take(self.table.reshape(-1), places, mode="clip")


def pixels(data: Dataset, inputs: np.ndarray, dtype: Any) -> Pixels | None:
    """The inputs of a split as bytes, where that loses nothing: where the table gives every float back, bit for bit.

    None for few images, for images after transforms, and for all other data. `dtype`: of the floats.
    """
    mean, scale = data.input_mean, data.input_scale
    if inputs.nbytes < LARGE or data.transforms or mean is None or scale is None:
        return None
    mean, scale = (np.asarray(statistic, np.float64).reshape(-1) for statistic in (mean, scale))
    shares = (mean / BRIGHTEST, scale / BRIGHTEST)
    every = np.repeat(np.arange(BRIGHTEST + 1, dtype=np.uint8)[:, None], len(mean), axis=1)
    images = np.empty(inputs.shape, np.uint8)
    for start in range(0, len(inputs), _CHUNK):
        part = inputs[start : start + _CHUNK]
        values = np.rint(part * scale.astype(np.float32) + mean.astype(np.float32))
        if not np.all((values >= 0) & (values <= BRIGHTEST)):
            return None
        images[start : start + _CHUNK] = values
        if not np.array_equal(scaled(images[start : start + _CHUNK], BRIGHTEST, *shares), part):
            return None
    return Pixels(jnp.asarray(images), jnp.asarray(scaled(every, BRIGHTEST, *shares).T, dtype))
