"""Images as sequences."""

from typing import Any, ClassVar

import equinox as eqx

from ascribe.checks import whole
from ascribe.errors import UserError, shown
from ascribe.types import Array, Float, Key, PyTree

from .conv2d import is_image_shape
from .layer import AbstractLayer, check_image, size_of


class Patches(AbstractLayer):
    """The image cut into patches of `rows` × `columns` pixels that do not overlap, each a vector: `(batch, height, width,
    channels)` to `(batch, patches, rows · columns · channels)`, row by row. Patches of one row as wide as the image read it
    row by row, as `(batch, height, width · channels)`; one patch of the whole image is `Flatten` with an axis in front."""

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    kind: ClassVar[str] = "patches"

    def __init__(self, rows: int, columns: int, *, key: Key | None = None):
        self.rows, self.columns = size_of("rows", "Patches", rows), size_of("columns", "Patches", columns)

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        state: PyTree = None,
        *,
        key: Key | None = None,
        training: bool = False,
    ) -> tuple[Float[Array, "batch patches features"], PyTree]:
        batch, height, width, channels = x.shape
        down, across = height // self.rows, width // self.columns
        cut = x.reshape(batch, down, self.rows, across, self.columns, channels).swapaxes(2, 3)
        return cut.reshape(batch, down * across, self.rows * self.columns * channels), state

    def config(self) -> dict[str, Any]:
        return {"rows": self.rows, "columns": self.columns}

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        check_image(name, shape)
        if shape[0] % self.rows or shape[1] % self.columns:
            raise UserError(
                f"layer {name} cuts images into patches of {self.rows} × {self.columns} pixels but gets the shape {shape}: "
                f"choose patches whose sides divide the image's."
            )


MOST = 64
"""How many patches an image has at most, where nobody says how large they are."""


def side_for(height: int, width: int) -> int:
    """The side of square patches for an image: the smallest from 2 up that divides both of its sides and leaves at most 64
    patches: 4 for 32 × 32 and 28 × 28 pixels, 2 for 8 × 8.

    **Raises:** `UserError` where there is none.
    """
    sides = range(2, min(height, width) + 1)
    fitting = (one for one in sides if height % one == width % one == 0 and height * width <= MOST * one * one)
    side = next(fitting, None)
    if side is None:
        raise UserError(
            f"images of {height} × {width} pixels cannot be cut into at most {MOST} square patches: say their side by `patch`."
        )
    return side


def as_sequence(name: str, shape: Any) -> tuple[list[AbstractLayer], int, int]:
    """The layers that make a sequence of an example of that shape, how many steps it has, and how many features a step has: a
    sequence (time, features) is one, and an image (height, width, channels) is read row by row, as (height, width · channels).

    **Raises:** `UserError` for any other shape.
    """
    if is_image_shape(shape):
        height, width, channels = shape
        return [Patches(1, width)], height, width * channels
    if isinstance(shape, tuple | list) and len(shape) == 2 and all((whole(size) or 0) > 0 for size in shape):
        return [], *shape
    raise UserError(
        f"{name} reads sequences (time, features), and images row by row; got the shape {shown(shape)}: use an MLP, such as "
        f"--network 64x64."
    )
