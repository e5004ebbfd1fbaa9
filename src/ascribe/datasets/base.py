"""What a data set is: three splits of arrays, a name, a task, and a card that says where it comes from."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np

from ascribe.checks import one_of, real_numbers, unmasked
from ascribe.errors import UserError

from .options import Option, Task
from .splits import Division
from .transforms import AUGMENTATIONS, CONSTANT_ONE, UNIT_INTERVAL, Transform, fit, transform_names

LISTED = 10_000  # a summary lists means and scales of at most so many inputs


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: `inputs` and the `targets` that belong to them, row by row.

    Whatever arrays come in, float32 inputs and int32 labels (or float32 regression targets) are kept.

    **Arguments:**

    - `inputs`: shape `(examples, *input_shape)`, float32; examples are vectors `(features,)`, sequences
      `(time, features)` or images `(height, width, channels)`.
    - `targets`: shape `(examples,)`, int32 labels `0..k-1`; or `(examples, outputs)`, float32, for regression.

    **Raises:** `UserError` if there is not exactly one target per input, or they are no real numbers.
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        inputs, targets = _real("inputs", self.inputs), _real("targets", self.targets)
        inputs = inputs.astype(np.float32, copy=False)
        if inputs.ndim < 2 or targets.ndim < 1 or len(inputs) != len(targets):
            raise UserError(
                f"a split has inputs of the shape (examples, features, ...) and one target per example; got the shapes "
                f"{inputs.shape} and {targets.shape}: give both the same number of rows."
            )
        kind = np.float32 if targets.dtype.kind == "f" else np.int32
        if kind == np.int32 and len(targets) and not -(2**31) <= targets.min() <= targets.max() < 2**31:
            raise UserError(
                f"the labels of a split fit into 32 bits; got {targets.min()} to {targets.max()}: number the classes "
                f"from 0, as in numpy.unique(labels, return_inverse=True)[1]."
            )
        # A frozen dataclass still lets its own __post_init__ normalize the fields.
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", targets.astype(kind, copy=False))

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Card:
    """Where a data set comes from. All fields are plain text.

    **Arguments:**

    - `title`: the name a reader knows it by.
    - `description`: what one example is, how many there are, the equation of a synthetic set.
    - `source`: who made it, and the citation.
    - `license`: the terms of use.
    - `url`: where to read more; empty if there is no such place.
    - `task`: binary, classification or regression, with the default options.
    - `size`: how many examples of how many features, with the default options.
    """

    title: str
    description: str
    source: str
    license: str
    url: str = ""
    task: str = ""
    size: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A named data set, split into train, validation and test: examples of one shape, of finite numbers.

    **Arguments:**

    - `task`: `"binary"` (labels 0 and 1), `"classification"` (labels 0..k-1) or `"regression"`.
    - `class_names`: one name per label; empty for regression.
    - `feature_names`: one name per input feature; empty where features have no names (pixels, steps of sequences).
    - `target_mean`, `target_scale`: shape `(outputs,)`, float64, regression only. Targets are stored as
      `(raw - target_mean) / target_scale`, so an error in the original unit is `rmse * target_scale`.
    - `input_mean`, `input_scale`: float64, of a shape that broadcasts to one example: `(features,)` for tables, that or
      `()` for sequences, `()` or `(channels,)` for images, in the unit of the raw inputs. Inputs are stored as
      `(raw - input_mean) / input_scale`; None where they are stored as they came. Bytes of images are always
      divided by the brightest value, so images that are not standardized have the mean 0 and that scale.
    - `request`: what `datasets.load` was called with, as plain values: `data`, `seed` and the options; empty for a
      data set that was made otherwise.
    - `transforms`: what `encode` did to the inputs, in that order, after the standardization; `input_mean` and
      `input_scale` are those of the inputs before.
    - `original`: the data set before its transforms; None where there are none.
    - `augmentations`: names of transforms (`random-crop`, `random-flip`) that training applies to its batches, in that
      order. The splits are without them.
    - `division`: how all examples were divided, as a `Division`, where that is not decided by the data's source.
    - `fold`: of a data set that is one of K folds, its number from 1 and K.
    - `understood`: of a table of the user's own, what was understood of it, as an `Understood`: its target, columns, rows;
      None for others.

    **Raises:** `UserError` for splits that do not fit together or have no examples (unless none has), numbers that are
    not finite, and labels or names that do not belong to the task.
    """

    name: str
    task: Task
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    card: Card = Card(title="", description="", source="", license="")
    target_mean: np.ndarray | None = None
    target_scale: np.ndarray | None = None
    input_mean: np.ndarray | None = None
    input_scale: np.ndarray | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    transforms: tuple[Transform, ...] = ()
    original: "Dataset | None" = None
    augmentations: tuple[str, ...] = ()
    division: Division | None = None
    fold: tuple[int, int] | None = None
    # An `Understood`, which is not imported: its words decide nothing of a run, whose key knows imports.
    understood: Any = None

    def __post_init__(self) -> None:
        one_of("task", self.task, get_args(Task))
        for name, split in self.splits:
            if not isinstance(split, Split):
                raise UserError(
                    f"the {name} part of {self.name} is a Split(inputs, targets); got {type(split).__name__}: make one of the "
                    f"two arrays."
                )
            self._check_split(name, split)
        if any(len(split) for _, split in self.splits):  # a record of large data has none
            empty = [name for name, split in self.splits if not len(split)]
            if empty:
                raise UserError(
                    f"the data set {self.name} has examples in all three splits; got none in {empty[0]}: move some there."
                )
        if self.task == "binary" and len(self.class_names) != 2:
            raise UserError(
                f"the data set {self.name} is binary and has two class names; got {len(self.class_names)}: write "
                f"class_names=('no', 'yes'), or the task classification for more classes."
            )
        if self.task != "regression":
            self._check_labels()

    def _check_split(self, name: str, split: Split) -> None:
        shape, targets = split.inputs.shape[1:], split.targets.shape[1:]
        wanted = self.train.targets.shape[1:] if self.task == "regression" else ()
        if shape != self.input_shape or targets != wanted or len(targets) > 1:
            raise UserError(
                f"the data set {self.name} has examples of one shape in all splits, inputs {self.input_shape} and targets "
                f"{wanted}; got {shape} and {targets} in {name}: give labels one axis, numbers one or two."
            )
        if not (_finite(split.inputs) and _finite(split.targets)):
            raise UserError(
                f"the data set {self.name} has finite numbers; got some in {name} that are missing (NaN), infinite or too "
                f"large for 32 bits: fill them in or leave these examples out."
            )

    def _check_labels(self) -> None:
        """Labels count from 0 to one below the number of classes."""
        classes = len(self.class_names)
        for name, split in self.splits:
            labels = split.targets
            if not len(labels):
                continue
            whole = labels.dtype.kind != "f" or np.array_equal(labels, np.floor(labels))
            if not whole or labels.min() < 0 or (classes and labels.max() >= classes):
                to = f" to {classes - 1}, one a class name" if classes else ""
                few = ", ".join(f"{label:g}" for label in np.unique(labels)[:5])
                raise UserError(
                    f"the data set {self.name} has labels that count from 0{to}; got {few} in {name}: make them so by "
                    f"numpy.unique(labels, return_inverse=True)[1]."
                )

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(split)} {name}" for name, split in self.splits)
        after = f" after {', '.join(transform.name for transform in self.transforms)}" if self.transforms else ""
        after += f", fold {self.fold[0]} of {self.fold[1]}" if self.fold else ""
        after += f", in training with {', '.join(self.augmentations)}" if self.augmentations else ""
        return f"<data set {self.name}: {self.task}, inputs of shape {self.input_shape}{after}, {sizes}>"

    @property
    def splits(self) -> Iterator[tuple[str, Split]]:
        """The three splits with their names, in the order train, validation, test."""
        yield "train", self.train
        yield "validation", self.validation
        yield "test", self.test

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, without the leading axis."""
        return tuple(self.train.inputs.shape[1:])

    @property
    def features(self) -> int:
        """The number of values in one example: the product of `input_shape`."""
        return math.prod(self.input_shape)

    @property
    def classes(self) -> int:
        """The number of classes; 0 for regression."""
        if self.task == "regression":
            return 0
        if self.class_names:
            return len(self.class_names)
        return 1 + max(int(split.targets.max(initial=0)) for _, split in self.splits)

    @property
    def outputs(self) -> int:
        """How many output units a network needs: 1 (binary), one per class, or one per target column."""
        if self.task == "binary":
            return 1
        if self.task == "classification":
            return self.classes
        return 1 if self.train.targets.ndim == 1 else int(self.train.targets.shape[1])

    @cached_property
    def checksum(self) -> str:
        """SHA-256 (hexadecimal) over names, shapes, types and bytes of all arrays of all three splits."""
        digest = hashlib.sha256()
        for split_name, split in self.splits:
            for array_name, array in (("inputs", split.inputs), ("targets", split.targets)):
                digest.update(f"{split_name}.{array_name} {array.shape} {array.dtype.name}\n".encode())
                # Little-endian bytes, so that every machine computes the same checksum.
                digest.update(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).data)
        return digest.hexdigest()

    def flat(self) -> "Dataset":
        """The same data set with every input reshaped to one vector: `(examples, features)`.

        After `encode`, `original` and its means keep their shape, and `prepare` takes rows of that shape.
        """
        if len(self.input_shape) == 1:
            return self
        shape = (self.features,)
        parts = {name: Split(split.inputs.reshape(len(split), *shape), split.targets) for name, split in self.splits}
        if self.transforms:
            return replace(self, **parts)
        return replace(
            self, **parts, input_mean=self._flattened(self.input_mean), input_scale=self._flattened(self.input_scale)
        )

    def encode(self, *names: Option) -> "Dataset":
        """The same data set with its inputs transformed, in the order of the names.

        Each transform is fitted on the training part, as the transforms before left it, and applied to all parts. One
        that the data has had already is left out: again, `unit-interval` would change nothing, and the others would add
        nothing but zeros or ones. `random-crop` and `random-flip` change no split; they are noted in `augmentations`, for
        training.

        **Arguments:**

        - `names`: of `datasets.TRANSFORMS`, or one list of them; or a `Transform`, which is applied as it was fitted.

        **Raises:** `UserError` for an unknown name, for training inputs that are not finite, for `unit-interval` after
        `constant-one`, whose ones it would make zeros, and for an augmentation of inputs that are no images.

            >>> from ascribe.datasets import load
            >>> load("moons", samples=100).encode("split-signs", "constant-one").feature_names
            ('x1+', 'x2+', 'x1-', 'x2-', 'one')
        """
        if len(names) == 1 and isinstance(names[0], list | tuple):
            names = tuple(names[0])
        transform_names([name for name in names if not isinstance(name, Transform)])
        data = self
        for name in names:
            done = [transform.name for transform in data.transforms]
            if name in done or name in data.augmentations:
                continue
            if name in AUGMENTATIONS:
                if len(data.input_shape) != 3:
                    raise UserError(
                        f"{name} is for images (height, width, channels); got inputs of the shape {data.input_shape} in "
                        f"{data.name}: leave it out."
                    )
                data = replace(data, augmentations=(*data.augmentations, str(name)))
                continue
            if name == UNIT_INTERVAL and CONSTANT_ONE in done:
                raise UserError(
                    f"the transform {UNIT_INTERVAL} comes before {CONSTANT_ONE}, because it makes zeros of a constant: "
                    f"write {UNIT_INTERVAL},{CONSTANT_ONE}."
                )
            transform = name if isinstance(name, Transform) else fit(name, data.train.inputs)
            data = replace(
                data,
                **{part: Split(transform(split.inputs), split.targets) for part, split in data.splits},
                feature_names=transform.renamed(data.feature_names),
                transforms=(*data.transforms, transform),
                original=data.original or data,
            )
        return data

    @property
    def black(self) -> tuple[float, ...]:
        """The stored value of a black pixel, one a channel: what raw zeros become (`prepare`); of images whose mean and
        scale are not known, 0 before the transforms. Images only."""
        raw = self.original or self
        return tuple(float(value) for value in self.prepare(np.zeros((1, *raw.input_shape)))[0, 0, 0])

    def _flattened(self, statistic: np.ndarray | None) -> np.ndarray | None:
        """A mean or scale of inputs, for inputs that are vectors; a single number stays one."""
        if statistic is None or statistic.size == 1:
            return None if statistic is None else statistic.reshape(())
        return np.broadcast_to(statistic, self.input_shape).reshape(-1)

    def prepare(self, inputs: Any) -> np.ndarray:
        """Raw inputs, in the units of the file or of the images, as the inputs that a network was trained on.

        `(inputs - input_mean) / input_scale`, or the inputs themselves where there is no mean; then the `transforms`,
        one after the other. A gap (NaN) stays one, unless the data set was loaded with `missing="mean"` and has that mean.

        **Arguments:**

        - `inputs`: a data frame with the columns that the table had, in any order, texts as they were written there (others
          are left out); or numbers of shape `(rows, *input_shape)`, with the `input_shape` of `original` where there is one,
          whose columns are those of its `feature_names`: a text is one-hot encoded already; or, of a `text:FILE`, texts.

        **Returns:** float32 of shape `(rows, *input_shape)`.

        **Raises:** `UserError` if the inputs have another shape, or a frame lacks a column or has a text that was not
        there in training.
        """
        if self.original is not None:
            rows = self.original.prepare(inputs)
            for transform in self.transforms:
                rows = transform(rows)
            return rows.reshape(len(rows), *self.input_shape)
        wanted = f"({', '.join(map(str, ('rows', *self.input_shape)))})"
        rows = real_numbers(self._by_name(inputs))
        if rows is None:
            raise UserError(
                f"inputs of {self.name} are numbers of the shape {wanted}; got no array of numbers (complex ones are none): "
                f"give a data frame, as pandas.read_csv makes one, or encode texts as in its feature_names."
            )
        if rows.ndim == 0 or rows.shape[1:] != self.input_shape:
            raise UserError(
                f"inputs of {self.name} are numbers of the shape {wanted}; got the shape {rows.shape}: "
                f"give one row per example, without the target."
            )
        if self.input_mean is not None and self.input_scale is not None:
            if self.request.get("missing") == "mean":
                rows = np.where(np.isnan(rows), self.input_mean, rows)
            rows = (rows - self.input_mean) / self.input_scale
        with np.errstate(over="ignore"):  # what is too large for 32-bit numbers becomes infinite
            return rows.astype(np.float32)

    def _by_name(self, inputs: Any) -> Any:
        """The columns of a data frame in the order of `feature_names`, or windows of texts; anything else as it is."""
        from .characters import rows_of_texts  # noqa: PLC0415 - what reads tables and texts makes data sets
        from .frames import is_frame  # noqa: PLC0415
        from .new_rows import rows_of_frame  # noqa: PLC0415

        if not is_frame(inputs):
            of_text = self.understood is not None and self.understood.kind == "text"
            return rows_of_texts(inputs, self.name, self.class_names, self.input_shape) if of_text else inputs
        read = () if self.understood is None else self.understood.columns
        columns = [column.name for column in read if column.role == "feature"]
        names = self.feature_names if len(self.input_shape) == 1 else ()
        return rows_of_frame(inputs, self.name, columns or names, names)

    def summary(self) -> dict[str, Any]:
        """Name, task, sizes, shape, card and checksum as plain values that JSON can hold.

        Means and scales are lists, that of a single number too; None where there are none, or more than 10,000. What
        was fitted for a transform is left out where it is more than 10,000 numbers.
        """
        original = self.original
        return {
            "name": self.name,
            "task": self.task,
            "sizes": {name: len(split) for name, split in self.splits},
            "input_shape": list(self.input_shape),
            "features": self.features,
            "outputs": self.outputs,
            "classes": self.classes,
            "class_names": list(self.class_names),
            "feature_names": list(self.feature_names),
            "target_mean": None if self.target_mean is None else [float(value) for value in self.target_mean],
            "target_scale": None if self.target_scale is None else [float(value) for value in self.target_scale],
            "input_mean": _listed(self.input_mean),
            "input_scale": _listed(self.input_scale),
            "request": dict(self.request),
            "fold": None if self.fold is None else list(self.fold),
            "transforms": [short_settings(transform) for transform in self.transforms],
            "augmentations": list(self.augmentations),
            "original": None
            if original is None
            else {"input_shape": list(original.input_shape), "feature_names": list(original.feature_names)},
            "understood": None if self.understood is None else self.understood.settings(),
            "title": self.card.title,
            "description": self.card.description,
            "size": self.card.size,
            "source": self.card.source,
            "license": self.card.license,
            "url": self.card.url,
            "checksum": self.checksum,
        }


def _real(name: str, values: Any) -> np.ndarray:
    """An array of real numbers."""
    try:
        array = np.asarray(unmasked(values))
    except ValueError:  # rows of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        kind = "complex numbers" if array.dtype.kind == "c" else "no array of numbers"
        raise UserError(f"a split has {name} that are real numbers, rows of one length; got {kind}: encode them.")
    return array


def _finite(array: np.ndarray) -> bool:
    """Whether every number is finite: the ends of an array with a NaN are NaN. (As many flags would be as many bytes.)"""
    return not array.size or array.dtype.kind != "f" or bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _listed(statistic: np.ndarray | None) -> list[float] | None:
    """A mean or scale as a list; None where there is none, or where it is too long for a summary."""
    return None if statistic is None or statistic.size > LISTED else [float(value) for value in statistic.reshape(-1)]


def short_settings(transform: Transform) -> dict[str, Any]:
    """The settings of a transform, without fitted numbers that are too many for a summary."""
    settings = transform.settings()
    long = [name for name in ("minimum", "scale") if len(settings.get(name, [])) > LISTED]
    return {name: value for name, value in settings.items() if name not in long}
