"""Data sets: `load` one by name or from a file; `names` and `cards` say what there is."""

import difflib
import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.arguments import explained
from ascribe.errors import UserError, shown

from .base import Card as Card
from .base import Dataset as Dataset
from .base import Split as Split
from .options import Option, whole_number
from .transforms import TRANSFORMS as TRANSFORMS
from .transforms import Transform as Transform
from .transforms import transform_names

REGISTRY: dict[str, str] = {
    "gaussians": "gaussians:gaussians",
    "moons": "moons:moons",
    "xor": "xor:xor",
    "spirals": "spirals:spirals",
    "sine": "sine:sine",
    "diabetes": "diabetes:diabetes",
    "digits": "digits:digits",
    "mnist": "mnist:mnist",
    "fashion-mnist": "fashion_mnist:fashion_mnist",
    "cifar10": "cifar10:cifar10",
}
"""Name -> module:function. Each module has its CARD, and is imported when its data set is asked for."""

FILE_EXTENSIONS = (".csv", ".tsv", ".txt", ".npz", ".parquet")
"""The endings by which a text is known to be the path of a file."""


def names() -> list[str]:
    """The names of all registered data sets, in the order from small to large."""
    return list(REGISTRY)


def cards() -> dict[str, Card]:
    """The card of every registered data set, by name; nothing is generated, read or downloaded."""
    return {name: _module(name).CARD for name in REGISTRY}


@explained
def is_file(name_or_path: str | Path) -> bool:
    """True if `load` takes this as a file: a path, a known extension, or the name of an existing file."""
    if isinstance(name_or_path, Path):
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


def load(name_or_path: Option, /, *, seed: Option = 0, transforms: Option = None, **options: Option) -> Dataset:
    """Load a registered data set by its name, or a table from a file of the user's own.

    The same arguments give the same arrays, bit for bit.

    **Arguments:**

    - `name_or_path`: one of `names()`, or the path of a file (a string or a `Path`); a string counts as a path if it
      has a path separator or the ending of a table, or if a file of that name exists.
    - `seed`: a whole number from 0 that fixes the generated points and the cut into train, validation and test.
    - `transforms`: what is done to the inputs, in that order: names of `TRANSFORMS`, as a list or with commas between;
      see `Dataset.encode`.
    - `options`: those of the data set's function, such as `samples` or `noise`; for files see
      `ascribe.datasets.table.table`.

    Raises `UserError`, one sentence, for an unknown name of a data set or of a transform, an unknown or bad option, or a
    file that cannot be used.
    """
    if not isinstance(name_or_path, str | Path):
        raise UserError(
            f"A data set wants a name or a path, not {shown(name_or_path)}; list them with `ascribe datasets`."
        )
    seed = whole_number("seed", seed, minimum=0)
    if transforms is not None:
        names = transform_names(transforms)
        encoded = load(name_or_path, seed=seed, **options).encode(*names)
        return replace(encoded, request={**encoded.request, "transforms": list(names)})
    if is_file(name_or_path):
        table: Callable[..., Dataset] = importlib.import_module(".table", __name__).table
        _check_options(table, "a file", options)
        data = table(name_or_path, seed=seed, **options)
        return replace(data, request=_request(name_or_path, seed, options))
    if name_or_path not in REGISTRY:
        close = difflib.get_close_matches(str(name_or_path).lower(), REGISTRY, n=1, cutoff=0.5)
        guess = f"did you mean {close[0]!r}, or " if close else ""
        raise UserError(
            f"There is no data set {shown(str(name_or_path))}; {guess}list them with `ascribe datasets` "
            f"(a file of your own wants its path)."
        )
    name = str(name_or_path)
    function: Callable[..., Dataset] = getattr(_module(name), REGISTRY[name].split(":")[1])
    _check_options(function, name, options)
    return replace(function(seed=seed, **options), request=_request(name, seed, options))


def _request(name_or_path: str | Path, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    """What `load` was called with, as values that JSON can hold."""
    return {"data": str(name_or_path), "seed": seed} | {name: _plain(value) for name, value in options.items()}


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
    for option in options:
        if option not in allowed:
            raise UserError(
                f"The data set {name} has no option {option!r}; its options are {', '.join(allowed)}."
                if name != "a file"
                else f"A file has no option {option!r}; its options are {', '.join(allowed)}."
            )
