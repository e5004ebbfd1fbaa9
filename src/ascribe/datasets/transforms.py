"""Transforms of inputs: into [0, 1], into positive and negative parts, with a column of ones; the names of augmentations.

A learning rule may presume inputs that are not negative; these encodings make such inputs of any. What a transform needs
to know of the data is fitted on the training part only.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ascribe.checks import refusal, unknown
from ascribe.errors import UserError, option, shown

from .options import Option, suggest

UNIT_INTERVAL, SPLIT_SIGNS, CONSTANT_ONE = "unit-interval", "split-signs", "constant-one"
RANDOM_CROP, RANDOM_FLIP = "random-crop", "random-flip"
AUGMENTATIONS = (RANDOM_CROP, RANDOM_FLIP)
"""The transforms that change no stored row, but the images of training batches (`training/augmentations.py`)."""

TRANSFORMS: dict[str, str] = {
    UNIT_INTERVAL: "every feature (of images: every channel; of sequences: all together) into [0, 1], from its least to its "
    "greatest training value",
    SPLIT_SIGNS: "x becomes max(x, 0) and max(-x, 0): twice the features, first all positive parts, then all negative",
    CONSTANT_ONE: "one more feature that is always 1, a bias among the inputs",
    RANDOM_CROP: "in training batches alone: images padded with black by 4 pixels (by an eighth of a small side), a random "
    "window of them",
    RANDOM_FLIP: "in training batches alone: images mirrored left to right with probability 1/2",
}
"""Name -> what it does, in one line."""
_CHUNK = 4096  # rows per step, for arithmetic in float64 without a copy of all rows in it


def transform_names(transforms: Option) -> tuple[str, ...]:
    """A name, several names separated by commas, or a sequence of names, as a tuple.

    **Raises:** `UserError` for anything else, and for a name that is not in `TRANSFORMS`.
    """
    parts = [part.strip() for part in transforms.split(",") if part.strip()] if isinstance(transforms, str) else None
    names = transforms if parts is None else parts
    if not isinstance(names, Sequence) or parts == []:
        example = suggest("transforms", (SPLIT_SIGNS, CONSTANT_ONE))
        raise refusal(option("transforms"), "a name or a list of names", shown(transforms), example)
    return tuple(_known(name) for name in names)


def _known(name: Option) -> str:
    """The name of a transform, or a `UserError` that lists them."""
    if isinstance(name, str) and name in TRANSFORMS:
        return name
    raise unknown("transform", name, TRANSFORMS)


def _fitted(name: Option) -> str:
    """The name of a transform of stored rows; a `UserError` for any other."""
    name = _known(name)
    if name in AUGMENTATIONS:
        raise UserError(
            f"{name} changes training batches and no stored row: ask for it with data.encode({name!r}) or --transform {name}."
        )
    return name


@dataclass(frozen=True, eq=False, repr=False)
class Transform:
    """One transform of inputs with what was fitted for it; calling it transforms rows.

    With x an example, c its last axis (the features of a vector, the channels of an image):

        unit-interval   (x - minimum) / scale, clipped to [0, 1]
        split-signs     [max(x, 0), max(-x, 0)], side by side on the axis c
        constant-one    [x, 1], one entry more on the axis c

    On inputs that are not negative, `split-signs` is the inputs and as many zeros; on inputs that span [0, 1],
    `unit-interval` changes nothing. Source of `constant-one`: the bias in "Solving Deeper Multilayer Perceptrons".

    **Arguments:**

    - `name`: one of `TRANSFORMS`, but none of `AUGMENTATIONS`.
    - `input_shape`: the shape of one example before.
    - `minimum`, `scale`: float64, for `unit-interval` alone, in the unit of the inputs: `(features,)` for vectors,
      `(channels,)` for images, `(1,)` for examples of two axes: sequences, and gray images without channels. A
      constant feature has the scale 1, so that it becomes zero instead of a division by zero.

    **Raises:** `UserError` if there is no transform of that name; `ValueError` if what is fitted does not belong to it.
    """

    name: str
    input_shape: tuple[int, ...]
    minimum: np.ndarray | None = None
    scale: np.ndarray | None = None

    def __post_init__(self) -> None:
        _fitted(self.name)
        if not self.input_shape:
            raise ValueError("an example has at least one axis")
        wanted = _statistic_shape(self.input_shape) if self.name == UNIT_INTERVAL else None
        for field in ("minimum", "scale"):
            value = getattr(self, field)
            value = None if value is None else np.asarray(value, dtype=np.float64)
            if (None if value is None else value.shape) != wanted:
                raise ValueError(f"the {field} of {self.name} has the shape {wanted}")
            # A frozen dataclass still lets its own __post_init__ normalize the fields.
            object.__setattr__(self, field, value)

    def __repr__(self) -> str:
        return f"<transform {self.name} of inputs of shape {self.input_shape}>"

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one example after."""
        *others, last = self.input_shape
        return (*others, {UNIT_INTERVAL: last, SPLIT_SIGNS: 2 * last, CONSTANT_ONE: last + 1}[self.name])

    def __call__(self, inputs: Any) -> np.ndarray:
        """The rows after the transform; a gap (NaN) stays one.

        **Arguments:**

        - `inputs`: numbers of shape `(rows, *input_shape)`; images may come as vectors, and vectors as images.

        **Returns:** float32 of shape `(rows, *output_shape)`.

        **Raises:** `UserError` for inputs of another shape.
        """
        wanted = f"({', '.join(map(str, ('rows', *self.input_shape)))})"
        try:
            rows = np.asarray(inputs, dtype=np.float32)
        except (TypeError, ValueError):
            raise UserError(
                f"inputs of the transform {self.name} are numbers of the shape {wanted}; got no array of numbers: give one row "
                f"per example."
            ) from None
        shape = rows.shape[1:]
        reshaped = 1 in (len(shape), len(self.input_shape)) and math.prod(shape) == math.prod(self.input_shape)
        if rows.ndim == 0 or (shape != self.input_shape and not reshaped):
            raise UserError(
                f"inputs of the transform {self.name} are numbers of the shape {wanted}; got the shape {rows.shape}: give rows "
                f"as they were before it."
            )
        rows = rows.reshape(len(rows), *self.input_shape)
        result = np.empty((len(rows), *self.output_shape), np.float32)
        if self.minimum is not None and self.scale is not None:
            for start in range(0, len(rows), _CHUNK):
                part = slice(start, start + _CHUNK)
                result[part] = np.clip((rows[part].astype(np.float64) - self.minimum) / self.scale, 0.0, 1.0)
            return result
        last = self.input_shape[-1]
        if self.name == CONSTANT_ONE:
            result[..., :last], result[..., last] = rows, 1.0
            return result
        np.maximum(rows, 0.0, out=result[..., :last])
        np.maximum(-rows, 0.0, out=result[..., last:])
        result += 0.0  # a zero of one sign, whatever the machine: the checksum of the data tells them apart
        return result

    def renamed(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names of the features after, from those before: `x+` and `x-` for the parts of x, and `one`."""
        if not names or self.name == UNIT_INTERVAL:
            return tuple(names)
        if self.name == CONSTANT_ONE:
            return (*names, "one")
        return (*(f"{name}+" for name in names), *(f"{name}-" for name in names))

    def settings(self) -> dict[str, Any]:
        """Everything as plain values that JSON can hold; `minimum` and `scale` only where there are such."""
        fitted = {"minimum": self.minimum, "scale": self.scale}
        lists = {field: value.tolist() for field, value in fitted.items() if value is not None}
        return {"name": self.name, "input_shape": list(self.input_shape)} | lists

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Transform":
        """The transform of which `settings` told, number for number."""
        fitted = {field: np.asarray(settings[field]) for field in ("minimum", "scale") if field in settings}
        return cls(settings["name"], tuple(settings["input_shape"]), **fitted)


def fit(name: str, inputs: np.ndarray) -> Transform:
    """The transform of that name, fitted on these training inputs.

    **Arguments:**

    - `inputs`: shape `(examples, *input_shape)`.

    **Raises:** `UserError` for an unknown name, for inputs that are not finite, and for `unit-interval` of no examples.

        >>> fit("unit-interval", np.array([[0.0], [4.0]]))([[1.0], [9.0]]).tolist()
        [[0.25], [1.0]]
    """
    name, inputs = _fitted(name), np.asarray(inputs, dtype=np.float32)
    shape = tuple(inputs.shape[1:])
    if not np.isfinite(inputs).all():
        raise UserError(
            f"training inputs of the transform {name} are finite; got some that are missing (NaN) or infinite: "
            f"fill them in first, as {option('missing', 'mean')} does for a table."
        )
    if name != UNIT_INTERVAL:
        return Transform(name, shape)
    if len(inputs) == 0:
        raise UserError(
            f"the transform {name} has training examples to be fitted on; got none: "
            f"load the data set anew (a record keeps only small ones)."
        )
    axes = tuple(range(inputs.ndim)) if len(shape) == 2 else tuple(range(inputs.ndim - 1))
    minimum, maximum = (
        np.asarray(end, dtype=np.float64).reshape(_statistic_shape(shape))
        for end in (inputs.min(axis=axes), inputs.max(axis=axes))
    )
    return Transform(name, shape, minimum, np.where(maximum > minimum, maximum - minimum, 1.0))


def _statistic_shape(input_shape: tuple[int, ...]) -> tuple[int]:
    """One number a feature of a vector or a channel of an image; one in all for two axes, which have no channels."""
    return (1,) if len(input_shape) == 2 else (input_shape[-1],)
