"""Paths that can be, files that are written whole or not at all, numbers in few digits, and CSV that no spreadsheet takes for
formulas."""

import contextlib
import csv
import errno
import io
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError

IMPOSSIBLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)
"""What is wrong with a path that no file can have."""
GUARDED = tuple("=+-@\t\r'")
"""Spreadsheets take a cell that begins so for a formula, or, where it is an apostrophe, drop it."""


def path_of(place: Any, wanted: str) -> Path:
    """The path that was given for what is `wanted`, be something there or not.

    **Raises:** `UserError` where it is no path, or one that no file can have.
    """
    if not isinstance(place, str | os.PathLike) or isinstance(os.fspath(place), bytes):
        raise UserError(f"{wanted} is named by a path, a str or a pathlib.Path; got {type(place).__name__}.")
    if not os.fspath(place):
        raise UserError(f"{wanted} is named by a path; got an empty text: write . for the folder that this runs in.")
    path = Path(place)
    try:
        path.lstat()
    except ValueError as error:  # a NUL, or what the file system cannot encode
        raise UserError(f"{wanted} is named by a path that can be, unlike {_short(path)} ({error}).") from error
    except OSError as error:
        if error.errno in IMPOSSIBLE:
            raise UserError(f"{wanted} is named by a path that can be, unlike {_short(path)} ({error.strerror}).") from error
    return path


def write_whole(path: Path, data: bytes, *, parents: bool = False) -> None:
    """Writes into a file beside it, which then takes its place; with `parents` makes the folders above it too.

    **Raises:** `UserError` where it cannot be written; what was there before still is.
    """
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            file.write(data)
        part.replace(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{_short(path)} cannot be written: {reason}; choose a place that you may write to.") from error
    finally:
        with contextlib.suppress(OSError, ValueError):  # where it could not even be begun
            part.unlink(missing_ok=True)


def short(value: Any) -> Any:
    """The number as the shortest decimal of its own precision, so that the float32 0.1 is not told as 0.10000000149011612: a
    float that is exactly one in float32 is taken for one. Containers have theirs so; anything else is returned as it is."""
    if isinstance(value, dict):
        return {name: short(one) for name, one in value.items()}
    if isinstance(value, list):
        return [short(one) for one in value]
    if not isinstance(value, float | np.floating):
        return value
    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if float(single) == float(value) else float(value)


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one, and is no number, gets an apostrophe before
    it."""
    if not isinstance(value, str) or not value.startswith(GUARDED):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Iterable[Any]], *, end: str = "\r\n") -> str:
    """Rows as CSV, every cell `guarded`."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=end).writerows([guarded(cell) for cell in row] for row in rows)
    return buffer.getvalue()


def _short(path: Path) -> str:
    text = str(path)
    return repr(text if len(text) < 400 else f"{text[:200]}...")
