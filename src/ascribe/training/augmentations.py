"""Augmentations of training images: a random window, a random mirror image.

They change no stored row. The loop applies them to the batches that a rule learns from, inside the compiled program, and to
nothing else: validation, test and the probe of the diagnostics see the images as they are.
"""

import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.datasets.transforms import RANDOM_CROP, RANDOM_FLIP
from ascribe.types import Array, Float, Key

MARGIN = 4
"""Pixels that the published recipes for CIFAR-10 pad on each side (He et al. 2016, arXiv:1512.03385, section 4.2)."""


def margin(side: int) -> int:
    """How many pixels of padding an image of this height or width gets on each side: 4, or an eighth of a small one."""
    return max(1, min(MARGIN, side // 8))


def random_crop(
    images: Float[Array, "batch height width channels"], key: Key, *, black: Float[Array, " channels"]
) -> Float[Array, "batch height width channels"]:
    """Each image padded with `black` by `margin` pixels, then a window of its size, every position equally likely."""
    count, height, width, channels = images.shape
    rows, columns = margin(height), margin(width)
    border = jnp.broadcast_to(black.astype(images.dtype), (count, height + 2 * rows, width + 2 * columns, channels))
    padded = border.at[:, rows : rows + height, columns : columns + width].set(images)
    places = jr.randint(key, (count, 2), 0, jnp.asarray([[2 * rows + 1, 2 * columns + 1]]))
    window = lambda image, place: jax.lax.dynamic_slice(image, (place[0], place[1], 0), (height, width, channels))
    return jax.vmap(window)(padded, places)


def random_flip(images: Float[Array, "batch height width channels"], key: Key) -> Float[Array, "batch height width channels"]:
    """Each image, or with probability 1/2 its mirror image, left and right exchanged."""
    mirrored = jr.bernoulli(key, 0.5, (len(images), 1, 1, 1))
    return jnp.where(mirrored, images[:, :, ::-1], images)


def augment(names: tuple[str, ...], images: Array, key: Key, *, black: tuple[float, ...]) -> Array:
    """The images `(batch, height, width, channels)` after the augmentations of these names, in that order.

    **Arguments:** `key`: one for a batch, split once per augmentation and then per image; `black`: the stored value of a
    black pixel, one a channel (`Dataset.black`).
    """
    for name, own in zip(names, jr.split(key, max(len(names), 1)), strict=False):
        if name == RANDOM_CROP:
            images = random_crop(images, own, black=jnp.asarray(black, images.dtype))
        elif name == RANDOM_FLIP:
            images = random_flip(images, own)
        else:
            raise ValueError(f"there is no augmentation {name!r}")
    return images
