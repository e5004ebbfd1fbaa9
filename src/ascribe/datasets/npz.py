"""NPZ files: inputs and targets as NumPy arrays, whole or split already."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ascribe.errors import UserError

from .columns import Column, first_too_large, too_large
from .downloads import read_bytes

INPUT_NAMES = ("x", "X", "inputs")
TARGET_NAMES = ("y", "targets", "labels")
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}


class Arrays(NamedTuple):
    """All rows of an NPZ file, and how many of them belong to each split if the file says so.

    `inputs` has shape `(rows, *input_shape)`, float64, NaN where missing. `target` is the target column, or the
    float64 values `(rows, outputs)` of a regression with several outputs. `sizes` counts the rows of train,
    validation and test, which follow each other in that order; None where the file has one pair of arrays.
    """

    inputs: np.ndarray
    target: Column | np.ndarray
    sizes: tuple[int, int, int] | None


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The named arrays of an NPZ file, objects refused; anything unreadable is a `UserError`."""
    # Read first: np.load leaves a damaged file open.
    content = io.BytesIO(read_bytes(path))
    try:
        with np.load(content, allow_pickle=False) as loaded:
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise UserError(f"{path} holds a single array, not the named ones of NPZ; write it with np.savez.")
            return {name: loaded[name] for name in loaded.files}
    except UserError:
        raise
    # A damaged zip file can raise nearly anything, from zlib.error to NotImplementedError.
    except Exception as error:
        if "Object arrays" in str(error):
            raise UserError(
                f"{path} holds an array of Python objects, which is not read because it could run code; "
                f"save arrays of numbers or of fixed-length texts."
            ) from None
        raise UserError(f"{path} is not a readable NPZ file; write it anew with np.savez.") from None


def _first(arrays: dict[str, np.ndarray], names: tuple[str, ...], suffixes: tuple[str, ...]) -> np.ndarray | None:
    """The first array that is called `name_suffix` (or `name`, for an empty suffix), or None."""
    for name in names:
        for suffix in suffixes:
            key = f"{name}_{suffix}" if suffix else name
            if key in arrays:
                return arrays[key]
    return None


def _pair(arrays: dict[str, np.ndarray], suffixes: tuple[str, ...], path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The inputs and the targets of one split, checked against each other; None if there are neither."""
    inputs, targets = _first(arrays, INPUT_NAMES, suffixes), _first(arrays, TARGET_NAMES, suffixes)
    if inputs is None and targets is None:
        return None
    ending = f"_{suffixes[0]}" if suffixes[0] else ""
    if inputs is None or targets is None:
        raise UserError(
            f"{path} wants both x{ending} and y{ending}, but holds {', '.join(arrays)}; add the one that is missing."
        )
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    if inputs.ndim < 1 or targets.ndim < 1 or len(inputs) != len(targets) or inputs.size == 0:
        raise UserError(
            f"{path} wants as many rows in x{ending} as in y{ending}, at least one, but their shapes are "
            f"{inputs.shape} and {targets.shape}; write them anew."
        )
    if inputs.dtype.kind not in "biuf":
        raise UserError(f"{path} wants numbers in x{ending}, but its type is {inputs.dtype}; convert it to float32.")
    if targets.dtype.kind not in "biufU" or targets.ndim > 2:
        raise UserError(
            f"{path} wants y{ending} of numbers or texts on one axis (or two, for regression), but it has the type "
            f"{targets.dtype} and the shape {targets.shape}; write labels as whole numbers."
        )
    # Labels are often kept as a column, and may be so in one split only.
    return inputs, targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


def read_npz(path: Path) -> Arrays:
    """The inputs and targets of an NPZ file: arrays `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test`.

    `x` may be called `X` or `inputs`, `y` also `targets` or `labels`; `x_validation` (or `x_val`) and its targets
    may be there too. Raises `UserError` if they are not there or do not fit together.
    """
    arrays = load_arrays(path)
    pairs = {split: _pair(arrays, suffixes, path) for split, suffixes in SPLIT_NAMES.items()}
    if pairs["train"] is not None:
        if pairs["test"] is None:
            raise UserError(f"{path} holds x_train but no x_test; add a test part, or save one pair x and y.")
        present = [pair for pair in pairs.values() if pair is not None]
        if len({(pair[0].shape[1:], pair[1].shape[1:]) for pair in present}) > 1:
            raise UserError(f"{path} wants the same shape of examples in every split; write its arrays anew.")
        sizes = [0 if pair is None else len(pair[0]) for pair in pairs.values()]
        inputs = np.concatenate([pair[0] for pair in present]).astype(np.float64)
        targets, counted = np.concatenate([pair[1] for pair in present]), (sizes[0], sizes[1], sizes[2])
    else:
        whole = _pair(arrays, ("",), path)
        if whole is None:
            raise UserError(
                f"{path} wants arrays x and y, or x_train, y_train, x_test and y_test, but holds "
                f"{', '.join(arrays) or 'nothing'}; rename its arrays."
            )
        inputs, targets, counted = whole[0].astype(np.float64), whole[1], None
    for values in (inputs, targets.astype(np.float64) if targets.dtype.kind != "U" else np.zeros(1)):
        position = first_too_large(values.reshape(-1))
        if position is not None:
            number = too_large(values.reshape(-1)[position])
            raise UserError(f"{path} holds {number} among its arrays; replace it by a smaller number or by NaN.")
    if targets.ndim == 2:
        if targets.dtype.kind == "U" or np.isnan(targets.astype(np.float64)).any():
            raise UserError(f"{path} wants numbers without gaps in targets of several columns; write y anew.")
        return Arrays(inputs, targets.astype(np.float64), counted)
    if targets.dtype.kind == "U":
        return Arrays(inputs, Column("y", targets == "", texts=targets), counted)
    numbers = targets.astype(np.float64)
    return Arrays(inputs, Column("y", np.isnan(numbers), numbers=numbers), counted)
