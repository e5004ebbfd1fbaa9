"""The vision transformer.

Source: Dosovitskiy et al. (2021), "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR; the mean
over the patches in place of a class token as in Beyer, Zhai & Kolesnikov (2022), "Better plain ViT baselines for
ImageNet-1k", arXiv:2205.01580.  Bib key: dosovitskiy2021image
"""

from typing import Unpack

from ascribe.checks import explained, options
from ascribe.errors import UserError, shown

from .conv2d import is_image_shape
from .initializers import Drawn
from .layer import size_of
from .network import Network
from .patches import Patches, side_for
from .transformer import of_blocks


@explained
@options(bias=True, initializer="glorot-uniform", key=None)
def vit(
    input_shape: tuple[int, ...] = (32, 32, 3),
    outputs: int = 10,
    *,
    depth: int = 4,
    width: int = 64,
    patch: int | None = None,
    heads: int | None = None,
    activation: str = "gelu",
    **drawn: Unpack[Drawn],
) -> Network:
    """The image as a sequence of square patches, and a `transformer` of them: a projection of every patch with learned
    positions, `depth` blocks, one more normalization, the mean over the patches, and a dense layer.

    With the published sizes of ViT-B/16 it has the published parameters but for the 1,536 of the class token and its position.

    **Arguments:** `input_shape`: (height, width, channels) of an image; `outputs`: units of the last layer; `depth`: how many
    blocks; `width`: numbers of a patch inside; `patch`: its side in pixels, which divides the image's sides, by default the
    smallest from 2 up with at most 64 patches: 4 for 32 × 32 and 28 × 28 pixels, 2 for 8 × 8; the rest as in `transformer`.

    **Raises:** `UserError` for inputs that are no images, and for a `patch` that does not fit.

    >>> print(vit((8, 8, 1), depth=1, width=16))
    patches1 → embedding1 → block1 → layernorm1 → globalaveragepool1 → linear1 10×16
    """
    cut, patches, features = patched("vit", input_shape, patch)
    return of_blocks("vit", [cut], (patches, features), outputs, (depth, width), (heads, False, activation), drawn)


def patched(name: str, input_shape: tuple[int, ...], patch: int | None) -> tuple[Patches, int, int]:
    """The layer that cuts images into patches, how many there are, and how many numbers each has; `name`: for sentences."""
    if not is_image_shape(input_shape):
        raise UserError(
            f"{name} takes images (height, width, channels); got the shape {shown(input_shape)}: use an MLP, such as "
            f"--network 64x64, or for sequences transformer/2x64."
        )
    height, width, channels = input_shape
    side = side_for(height, width) if patch is None else size_of("patch", name, patch)
    if height % side or width % side:
        raise UserError(f"`patch` of {name} divides both sides of the image, {height} × {width} pixels; got {side}.")
    return Patches(side, side), height * width // side**2, side**2 * channels
