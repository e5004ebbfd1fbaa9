"""Values over a plane as a picture: class probabilities in colors, and pictures in charts."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np

from .png import data_uri
from .theme import diverging, rgb

SHADES = 200
"""Shades of a picture, which all fit into a palette (`png.py`)."""


def doubled(field: np.ndarray) -> np.ndarray:
    """`field` (height, width, classes) with a midpoint between every two pixels: smooth at a quarter of the cost.

    **Returns:** (2 height - 1, 2 width - 1, classes).
    """
    for axis in (0, 1):
        field = np.moveaxis(field, axis, 0)
        result = np.empty((2 * len(field) - 1, *field.shape[1:]))
        result[::2], result[1::2] = field, (field[1:] + field[:-1]) / 2.0
        field = np.moveaxis(result, 0, axis)
    return field


def picture(probabilities: np.ndarray, colors: Sequence[str], shades: int = SHADES) -> np.ndarray:
    """Class probabilities (height, width, classes) as RGB (height, width, 3) uint8; gray where every seed diverged.

    `shades` are how many there are, about, of all classes together: so few that they fit into a palette make a small file.
    """
    known = np.isfinite(probabilities).all(axis=-1, keepdims=True)
    probabilities = np.where(known, probabilities, 0.0)
    likely = probabilities.argmax(axis=-1)
    if probabilities.shape[-1] == 2:
        field = diverging(np.round(probabilities[..., 1] * shades) / shades)
        # A thin line on the decision boundary: the pixels whose right or lower neighbor falls to the other class.
        edge = np.zeros(likely.shape, dtype=bool)
        edge[:, :-1] |= likely[:, :-1] != likely[:, 1:]
        edge[:-1] |= likely[:-1] != likely[1:]
        field[edge] = 70.0
    else:
        palette = np.stack([rgb(color) for color in colors])
        chance = 1.0 / probabilities.shape[-1]
        certainty = np.clip((probabilities.max(axis=-1, keepdims=True) - chance) / (1.0 - chance), 0.0, 1.0)
        each = max(1, shades // probabilities.shape[-1])
        certainty = np.round(certainty * each) / each
        field = 255.0 + (0.12 + 0.55 * certainty) * (palette[likely] - 255.0)
    return np.where(known, np.round(field), 225.0).astype(np.uint8)


def square_picture(colored: np.ndarray, low: float, high: float, x: alt.X, y: alt.Y) -> Any:
    """RGB (height, width, 3) over the square from `low` to `high`, as a layer of a chart; its fields are `x` and `y`."""
    corners = {"x": low, "x2": high, "y": low, "y2": high, "url": data_uri(colored)}
    image = alt.Chart(alt.Data(values=[corners])).mark_image(aspect=False)
    return image.encode(x=x, x2="x2:Q", y=y, y2="y2:Q", url="url:N")
