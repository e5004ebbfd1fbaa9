"""NPZ files: inputs and targets as NumPy arrays, whole or split already."""

import io
import math
import zipfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.format import MAGIC_PREFIX, read_array, read_array_header_1_0, read_array_header_2_0

from ascribe.errors import UserError
from ascribe.memory import check_room

from .columns import LARGEST_CLASS, Column, first_too_large, text_array, too_large
from .downloads import read_bytes, size_of
from .options import COPIES

INPUT_NAMES = ("x", "X", "inputs")
TARGET_NAMES = ("y", "targets", "labels")
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "val", "valid"), "test": ("test",)}


class Arrays(NamedTuple):
    """All rows of an NPZ file, and how many of them belong to each split if the file says so.

    `inputs` has shape `(rows, *input_shape)`, float64, NaN where missing. `target` is the target column, or the
    float64 values `(rows, outputs)` of several. `sizes` counts the rows of train,
    validation and test, which follow each other in that order; None where the file has one pair of arrays.
    """

    inputs: np.ndarray
    target: Column | np.ndarray
    sizes: tuple[int, int, int] | None


def load_arrays(path: Path, *, copies: int = 2) -> dict[str, np.ndarray]:
    """The named arrays of an NPZ file, objects refused; anything unreadable is a `UserError`.

    Every array's size is read from its header and compared with that of its zip entry, and all of them together with the
    memory there is, before any is unpacked: a small file may announce more than any machine has.

    **Arguments:**

    - `copies`: how many times its arrays, 8 bytes a number, what is made of them takes.
    """
    check_room(f"the file {path}", size_of(path), "choose a smaller file")
    # Read first: a damaged file would stay open.
    content = io.BytesIO(read_bytes(path))
    if content.getbuffer()[: len(MAGIC_PREFIX)] == MAGIC_PREFIX:
        raise UserError(f"{path} holds a single array, not the named ones of NPZ: write it with np.savez.")
    try:
        with zipfile.ZipFile(content) as file:
            entries = [entry for entry in map(partial(_entry, file), file.infolist()) if entry is not None]
            size = sum(max(entry.size, 8 * entry.numbers) for entry in entries)
            check_room(f"the file {path}", copies * size, "choose fewer rows or columns of it")
            return {entry.name: _array(file, entry) for entry in entries}
    except UserError:
        raise
    # A damaged zip file can raise nearly anything, from zlib.error to NotImplementedError.
    except Exception as error:
        if "Object arrays" in str(error):
            raise UserError(
                f"{path} holds an array of Python objects, which is not read because it could run code: "
                f"save arrays of numbers or of fixed-length texts."
            ) from None
        raise UserError(f"{path} is not a readable NPZ file: write it anew with np.savez.") from None


class _Entry(NamedTuple):
    """What the header of an array in a zip file announces: its name, its bytes and how many numbers they are."""

    name: str
    info: zipfile.ZipInfo
    size: int
    numbers: int


def _entry(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Entry | None:
    """The announcement of one entry; None for what is no array.

    **Raises:** `ValueError` where it contradicts the zip file.
    """
    # The packings that np.savez writes, and the only ones that unpack no more at a time than was asked for.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("unknown packing")
    with file.open(info) as stream:
        start = stream.read(len(MAGIC_PREFIX) + 2)
        if start[: len(MAGIC_PREFIX)] != MAGIC_PREFIX:
            if info.filename.endswith(".npy"):
                raise ValueError("no NPY header")
            return None
        read = read_array_header_1_0 if start[-2] == 1 else read_array_header_2_0
        shape, _, kind = read(stream)
        if kind.hasobject:
            raise ValueError("Object arrays")
        count = math.prod(shape)
        if min(shape, default=0) < 0 or stream.tell() + count * kind.itemsize != info.file_size:
            raise ValueError("the header contradicts the size of its entry")
    return _Entry(info.filename.removesuffix(".npy"), info, count * kind.itemsize, count)


def _array(file: zipfile.ZipFile, entry: _Entry) -> np.ndarray:
    """One array, unpacked: no more of it than its header announced."""
    with file.open(entry.info) as stream:
        return read_array(stream, allow_pickle=False)


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
        raise UserError(f"{path} has both x{ending} and y{ending}; got {', '.join(arrays)}: add the one that is missing.")
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    if inputs.ndim < 1 or targets.ndim < 1 or len(inputs) != len(targets) or inputs.size == 0:
        raise UserError(
            f"{path} has as many rows in x{ending} as in y{ending}, at least one; got the shapes {inputs.shape} and "
            f"{targets.shape}: write them anew."
        )
    if inputs.dtype.kind not in "biuf":
        raise UserError(f"{path} has numbers in x{ending}; got the type {inputs.dtype}: convert it to float32.")
    if targets.dtype.kind not in "biufU" or targets.ndim > 2:
        raise UserError(
            f"{path} has y{ending} of numbers or texts on one axis (or two, for regression); got the type {targets.dtype} and "
            f"the shape {targets.shape}: write labels as whole numbers."
        )
    # Labels are often kept as a column, and may be so in one split only.
    return inputs, targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets


def read_npz(path: Path) -> Arrays:
    """The inputs and targets of an NPZ file: arrays `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test`.

    `x` may be called `X` or `inputs`, `y` also `targets` or `labels`; `x_validation` (or `x_val`) and its targets may be
    there too.

    **Raises:** `UserError` if they are not there or do not fit together.
    """
    arrays = load_arrays(path, copies=COPIES)
    pairs = {split: _pair(arrays, suffixes, path) for split, suffixes in SPLIT_NAMES.items()}
    if pairs["train"] is not None:
        if pairs["test"] is None:
            raise UserError(f"{path} holds x_train but no x_test: add a test part, or save one pair x and y.")
        present = [pair for pair in pairs.values() if pair is not None]
        if len({(pair[0].shape[1:], pair[1].shape[1:]) for pair in present}) > 1:
            raise UserError(f"{path} has the same shape of examples in every split; got several: write its arrays anew.")
        sizes = [0 if pair is None else len(pair[0]) for pair in pairs.values()]
        inputs = np.concatenate([pair[0] for pair in present]).astype(np.float64)
        targets, counted = np.concatenate([pair[1] for pair in present]), (sizes[0], sizes[1], sizes[2])
    else:
        whole = _pair(arrays, ("",), path)
        if whole is None:
            raise UserError(
                f"{path} has arrays x and y, or x_train, y_train, x_test and y_test; got {', '.join(arrays) or 'nothing'}: "
                f"rename its arrays."
            )
        inputs, targets, counted = whole[0].astype(np.float64), whole[1], None
    return checked(Arrays(inputs, targets, counted), str(path))


def checked(arrays: Arrays, what: str) -> Arrays:
    """The arrays with their target as a column, or as the float64 values of several; a `UserError` for numbers that are too
    large, and for gaps among several targets."""
    inputs, targets, sizes = arrays
    assert isinstance(targets, np.ndarray)
    is_text, is_whole = targets.dtype.kind == "U", targets.dtype.kind in "iu"
    is_label = is_text or (is_whole and targets.ndim == 1)  # whether it is a number that fits is asked where it is one
    for values in (inputs, np.zeros(1) if is_label else targets.astype(np.float64)):
        position = first_too_large(values.reshape(-1))
        if position is not None:
            number = too_large(values.reshape(-1)[position])
            raise UserError(f"{what} holds {number} among its arrays: replace it by a smaller number or by NaN.")
    if targets.ndim == 2:
        if is_text or np.isnan(targets.astype(np.float64)).any():
            raise UserError(f"{what} has targets of several columns, which are numbers without gaps; got others: write y anew.")
        return Arrays(inputs, targets.astype(np.float64), sizes)
    if is_text:
        return Arrays(inputs, Column("y", targets == "", texts=targets), sizes)
    numbers = targets.astype(np.float64)
    written = None
    if is_whole and np.abs(numbers).max() >= LARGEST_CLASS:
        written = text_array("y", [str(value) for value in targets.tolist()])
    return Arrays(inputs, Column("y", np.isnan(numbers), numbers=numbers, written=written), sizes)


def is_one_hot(targets: np.ndarray) -> bool:
    """Whether every row has one 1 and else 0, in at least two columns: classes, and no numbers to be learned."""
    return (
        targets.ndim == 2 and targets.shape[1] > 1 and bool(np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all())
    )
