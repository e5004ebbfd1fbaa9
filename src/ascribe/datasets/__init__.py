"""Data sets: `load` one by name, from a file or from memory; `names` and `cards` say what there is."""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checks import explained, unknown
from ascribe.errors import UserError, shown

from .base import Card as Card
from .base import Dataset as Dataset
from .base import Split as Split
from .cross_validation import folds as folds
from .options import Option, meant_options, whole_number
from .transforms import TRANSFORMS as TRANSFORMS
from .transforms import Transform as Transform
from .transforms import transform_names
from .understood import ColumnRead as ColumnRead
from .understood import Understood as Understood

DataLike = Any
"""A `Dataset`, or whatever `load` makes one of: a name, a path, a data frame, a pair of arrays."""

REGISTRY: dict[str, str] = {
    "gaussians": "gaussians:gaussians",
    "moons": "moons:moons",
    "xor": "xor:xor",
    "spirals": "spirals:spirals",
    "sine": "sine:sine",
    "parity": "parity:parity",
    "delayed-recall": "delayed_recall:delayed_recall",
    "adding": "adding:adding",
    "diabetes": "diabetes:diabetes",
    "digits": "digits:digits",
    "digit-rows": "digit_rows:digit_rows",
    "mnist": "mnist:mnist",
    "mnist-rows": "mnist_rows:mnist_rows",
    "fashion-mnist": "fashion_mnist:fashion_mnist",
    "cifar10": "cifar10:cifar10",
}
"""Name -> module:function. Each module has its CARD, and is imported when its data set is asked for."""

TEXT_PREFIX = "text:"
"""How the path of a text begins whose characters are learned, as in `text:alice.txt`."""
FILE_EXTENSIONS = (".csv", ".tsv", ".txt", ".gz", ".npz", ".parquet", ".feather", ".xlsx")
"""The endings by which a text is known to be the path of a file."""

DATA = "data are a name, a path, a data frame or a pair (inputs, targets)"
"""What `load` takes, for sentences."""


def names() -> list[str]:
    """The names of all registered data sets, in the order from small to large."""
    return list(REGISTRY)


def cards() -> dict[str, Card]:
    """The card of every registered data set, by name; nothing is generated, read or downloaded."""
    return {name: _module(name).CARD for name in REGISTRY}


@explained
def is_file(name_or_path: str | Path) -> bool:
    """True if `load` takes this as a file: a path, `text:` before one, a known extension, or the name of an existing file."""
    if isinstance(name_or_path, Path) or name_or_path.startswith(TEXT_PREFIX):
        return True
    if name_or_path in REGISTRY:
        return False
    has_separator = "/" in name_or_path or "\\" in name_or_path
    if has_separator or name_or_path.lower().endswith(FILE_EXTENSIONS):
        return True
    try:
        return name_or_path != "" and Path(name_or_path).exists()
    except (OSError, ValueError):  # too long, or with a character no file name has
        return False


def load(data: DataLike, /, *, seed: Option = 0, transforms: Option = None, **options: Option) -> Dataset:
    """Load a registered data set by its name, or the user's own: a table (a file, a data frame, or arrays), or a text.

    The same arguments give the same arrays, bit for bit.

    **Arguments:**

    - `data`: one of `names()`; the path of a file (a string or a `Path`); a data frame of pandas or polars; or a pair
      `(inputs, targets)` of arrays. A string counts as a path if it has a path separator or the ending of a table, or if a
      file of that name exists. `text:` before the path of any text file makes windows of its characters and their next ones.
    - `seed`: a whole number from 0 that fixes the generated points and the cut into train, validation and test.
    - `transforms`: what is done to the inputs, in that order: names of `TRANSFORMS`, as a list or with commas between;
      see `Dataset.encode`.
    - `options`: those of the data set's function, such as `samples` or `noise`; for tables see
      `ascribe.datasets.table.table`, for texts `ascribe.datasets.text.text`.

    **Raises:** `UserError`, one sentence, for an unknown name of a data set or of a transform, an unknown or bad option,
    or a table or text that cannot be used.

        >>> load("moons", samples=100)
        <data set moons: binary, inputs of shape (2,), 70 train, 15 validation, 15 test>
    """
    seed = whole_number("seed", seed, minimum=0)
    if transforms is not None:
        names = transform_names(transforms)
        encoded = load(data, seed=seed, **options).encode(*names)
        return replace(encoded, request={**encoded.request, "transforms": list(names)})
    if isinstance(data, str) and data.startswith(TEXT_PREFIX):
        module = importlib.import_module(".text", __name__)
        _check_options(module.text, "a text", options)
        path = data.removeprefix(TEXT_PREFIX)
        if not path:
            raise UserError(f"{TEXT_PREFIX} stands before the path of a text; got no path: write {TEXT_PREFIX}alice.txt.")
        return replace(module.text(path, seed=seed, **options), request=_request(data, seed, options))
    if not isinstance(data, str | Path) or is_file(data):
        _check_in_memory(data)
        module = importlib.import_module(".table", __name__)
        _check_options(module.table, "a table", options)
        return replace(module.table(data, seed=seed, **options), request=_request(data, seed, options))
    if data not in REGISTRY:
        advice = "list them with `ascribe datasets`, or write the path of a file of your own, or text:PATH"
        raise unknown("data set", str(data), REGISTRY, advice)
    name = str(data)
    function: Callable[..., Dataset] = getattr(_module(name), REGISTRY[name].split(":")[1])
    _check_options(function, name, options)
    return replace(function(seed=seed, **options), request=_request(name, seed, options))


def as_dataset(data: DataLike) -> Dataset:
    """A `Dataset` as it is, and of anything else what `load` makes of it, with its default options."""
    return data if isinstance(data, Dataset) else load(data)


def _check_in_memory(data: Option) -> None:
    """Refuse what is neither a path nor a data frame nor a pair of arrays."""
    from .frames import is_frame, is_pair  # noqa: PLC0415 - names of data sets need nothing of it

    if isinstance(data, Dataset):
        raise UserError(f"{DATA}; got the data set {data.name}: use it as it is.")
    if isinstance(data, str | Path) or is_frame(data) or is_pair(data):
        return
    if hasattr(data, "shape"):
        shape = tuple(getattr(data, "shape", ()))
        raise UserError(f"data are inputs and targets; got one array of the shape {shape}: give a pair (inputs, targets).")
    raise UserError(f"{DATA}; got {shown(data)}: list the names with `ascribe datasets`.")


def _request(data: Any, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """What `load` was called with, as values that JSON can hold; what was given in memory has no name."""
    name = str(data) if isinstance(data, str | Path) else "in memory"
    return {"data": name, "seed": seed} | {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    """A number, text, bool or None as it is; lists for tuples and arrays; else the text of it."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | range):
        return [_plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _module(name: str) -> Any:
    """The module of a registered data set."""
    return importlib.import_module(f".{REGISTRY[name].split(':')[0]}", __name__)


def _check_options(function: Callable[..., Dataset], name: str, options: dict[str, Any]) -> None:
    """Refuse options that the function of a data set does not have."""
    parameters = inspect.signature(function).parameters.values()
    allowed = [entry.name for entry in parameters if entry.kind is entry.KEYWORD_ONLY and entry.name != "seed"]
    for wanted in options:
        if wanted not in allowed:
            whose = name if name in ("a table", "a text") else f"the data set {name}"
            said = "".join(f"did you mean {one}? It has " for one in meant_options(wanted, allowed)) or "it has "
            raise UserError(f"{whose} has no option {wanted!r}: {said}{', '.join(allowed)}.")
