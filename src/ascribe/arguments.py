"""Arguments of the wrong kind, told in a sentence: which one, what was wanted, and what came.

Functions are written for what they take, and most of what they do not take fails somewhere inside. Where a public function
fails so, its arguments are held against its annotations, and the first that does not fit is named. A call that works is not
looked at.
"""

import collections.abc
import functools
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import UserError, shown

Function = typing.TypeVar("Function", bound=Callable[..., Any])

NUMBERS: dict[Any, tuple[type, ...]] = {
    bool: (bool, np.bool_),
    int: (int, np.integer),
    float: (int, float, np.integer, np.floating),
    complex: (int, float, complex, np.number),
}
"""What counts as a Python number of each kind; a bool is none but where one is wanted."""


class KindError(UserError):
    """An argument of the wrong kind."""


def explained(function: Function) -> Function:
    """The function, where a wrong kind of argument is no traceback: a decorator.

    **Raises:** what the function raises; in its place a `KindError` where an argument does not fit its annotation.
    """

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except UserError:
            raise
        except Exception as error:
            sentence = _misfit(function, given, named)
            if sentence is None:
                raise
            raise KindError(sentence) from error

    return typing.cast(Function, call)


def _misfit(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """The sentence about the first argument that does not fit its annotation; None where all do, or nobody can tell."""
    made = function.__name__ == "__post_init__"  # of a class whose fields are its arguments
    try:
        arguments = vars(given[0]) if made else inspect.signature(function).bind(*given, **named).arguments
        hints = typing.get_type_hints(type(given[0]) if made else function)
    except (TypeError, NameError):
        return None
    name = function.__qualname__.removesuffix(".__init__").removesuffix(".__post_init__")
    for parameter, value in arguments.items():
        if parameter in hints and not fits(value, hints[parameter]):
            return f"`{parameter}` of {name} is {_words(hints[parameter])}; got {shown(value)}."
    return None


def plain(value: Any) -> Any:
    """A number of NumPy or JAX, or an array of one without axes, as Python's own; anything else as it is."""
    if isinstance(value, int | float | str) and not isinstance(value, np.generic):
        return value
    try:
        return value.item() if value.ndim == 0 else value
    except Exception:  # it is neither, or a number that is not there yet
        return value


def whole(value: Any) -> int | None:
    """A whole number of Python, NumPy or JAX as Python's; None for anything else, and for a truth value."""
    value = plain(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def real(value: Any) -> int | float | None:
    """A real number of Python, NumPy or JAX as Python's (an int stays one); None for anything else, and for a truth value."""
    value = plain(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def listed(value: Any) -> list[Any] | None:
    """The items of a list or tuple, or of an array of one axis, its numbers as Python's; None for anything else."""
    array = getattr(value, "ndim", 0) == 1
    return (
        [*map(plain, value)] if array or (isinstance(value, Sequence) and not isinstance(value, str | bytes)) else None
    )


def at_least(least: int, name: str, value: Any) -> int:
    """The whole number that an option `name` was given; a `UserError` for what is none, or below `least`."""
    number = whole(value)
    if number is None or number < least:
        wanted = {0: "an integer that is not negative", 1: "a positive integer"}.get(
            least, f"an integer of at least {least}"
        )
        raise UserError(f"`{name}` is {wanted}; got {shown(value)}.")
    return number


def flag(name: str, value: Any) -> bool:
    """The truth value that an option `name` was given; a `UserError` for what is none: `"no"` counts as true in Python."""
    if not isinstance(value, bool | np.bool_):
        raise UserError(f"`{name}` is True or False; got {shown(value)}.")
    return bool(value)


def real_numbers(value: Any) -> np.ndarray | None:
    """The value as an array in float64; None where it is no number and no array of real ones."""
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind != "c" else None
    except (TypeError, ValueError, OverflowError):
        return None


def fits(value: Any, hint: Any) -> bool:  # noqa: PLR0911 - one line for every kind
    """Whether a value is of the kind that an annotation names; True where that cannot be told."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, typing.TypeVar):
        return True
    if hint is None or hint is type(None):
        return value is None
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is typing.Literal:
        return any(type(value) is type(part) and value == part for part in parts)
    if origin is typing.Annotated:
        return fits(value, parts[0])
    if hint in NUMBERS:
        number = plain(value)
        return isinstance(number, NUMBERS[hint]) and (hint is bool or not isinstance(number, bool))
    if origin is collections.abc.Callable or hint is collections.abc.Callable:
        return callable(value)
    return _contains(value, origin, parts) if origin is not None else _is(value, hint)


def _contains(value: Any, origin: Any, parts: tuple[Any, ...]) -> bool:
    """Whether it is a container of that kind, with what that should hold."""
    if not _is(value, origin) or isinstance(value, str | bytes):
        return False
    if isinstance(value, collections.abc.Mapping):
        return len(parts) != 2 or all(fits(key, parts[0]) and fits(one, parts[1]) for key, one in value.items())
    if origin is tuple and parts and parts[-1] is not Ellipsis:
        return len(value) == len(parts) and all(map(fits, value, parts))
    sized = isinstance(value, collections.abc.Sequence | collections.abc.Set)
    return not (parts and sized) or all(fits(one, parts[0]) for one in value)


def _is(value: Any, kind: Any) -> bool:
    try:
        return isinstance(value, kind)
    except Exception:  # an annotation that is no class
        return True


def _words(hint: Any) -> str:
    """An annotation as sentences tell it."""
    parts = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, parts)))
    if hint is None or hint is type(None):
        return "None"
    if isinstance(hint, type) and not parts:
        article = "an" if hint.__name__[:1].lower() in "aeiou" else "a"
        return f"{article} {hint.__name__}"
    if typing.get_origin(hint) is collections.abc.Callable:
        return "a function"
    name = " ".join(str(hint).split())
    return name.replace("typing.", "").replace("collections.abc.", "")
