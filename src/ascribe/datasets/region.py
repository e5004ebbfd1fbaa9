"""The region that pictures of learned functions show: the range of the data before its transforms, where people know it."""

from typing import Any

import numpy as np


def untransformed(data: Any) -> Any:
    """The data before its transforms: what people know, and the coordinates that pictures of it have."""
    return data if data.original is None else data.original


def transformed(data: Any, inputs: np.ndarray) -> np.ndarray:
    """Inputs in the coordinates of `untransformed(data)`, as the networks take them."""
    for transform in data.transforms:
        inputs = transform(inputs)
    return inputs


def padded_range(data: Any, features: int) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the data, padded by a tenth, (features,) each."""
    parts = [np.asarray(split.inputs).reshape(-1, features) for split in (data.train, data.validation, data.test)]
    inputs = np.concatenate(parts)
    low, high = inputs.min(axis=0).astype(np.float64), inputs.max(axis=0).astype(np.float64)
    margin = 0.1 * np.where(high > low, high - low, 1.0)
    return low - margin, high + margin


def has_class_map(data: Any) -> bool:
    """Whether the data are classes of exactly two features, which a picture can show whole."""
    return data.task != "regression" and tuple(untransformed(data).input_shape) == (2,)


def plane(data: Any, side: int) -> np.ndarray:
    """A grid over the range of two features, `(side, side, 2)`, its first row at the top, in the coordinates of
    `untransformed(data)`."""
    low, high = padded_range(untransformed(data), 2)
    columns, lines = (np.linspace(low[axis], high[axis], side) for axis in (0, 1))
    # The first row of a picture is its top, so the second feature runs downwards.
    return np.stack(np.meshgrid(columns, lines[::-1]), axis=-1).astype(np.float32)
