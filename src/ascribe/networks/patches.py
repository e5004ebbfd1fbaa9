"""Images as sequences."""

from typing import Any, ClassVar

import equinox as eqx

from ascribe.errors import UserError
from ascribe.types import Array, Float, Key, PyTree

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
