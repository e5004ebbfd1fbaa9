"""Checks of arguments, one function for each kind: what is wanted, what came, and what to try, in a sentence.

Each returns what it was given as Python's own value, or raises a `UserError`; a truth value is no number. `advice` is what the
sentence ends with, as in "try 0.95".

Functions are written for what they take, and most of what they do not take fails somewhere inside. Where a public function
fails so (`explained`), its arguments are held against its annotations, and the first that does not fit is named. A call that
works is not looked at.
"""

import collections.abc
import difflib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .errors import UserError, shown

if TYPE_CHECKING:
    import numpy as np

Function = typing.TypeVar("Function", bound=Callable[..., Any])

NUMBERS: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (int, float), complex: (int, float, complex)}
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


def options(**defaults: Any) -> Callable[[Function], Function]:
    """A decorator of a function that takes options which it has in common with others, as `**name: Unpack[Options]` of a
    `TypedDict`: the function is given all of them, those that were left out with these defaults, and its signature (in `help`,
    notebooks and editors) names each.

    **Raises:** `TypeError`, as Python, for an option that there is not, with the nearest.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, rest = signature.parameters.values()
        hints = typing.get_type_hints(typing.get_args(typing.get_type_hints(function)[rest.name])[0])
        if set(hints) != set(defaults):
            raise TypeError(f"{function.__name__} has defaults of {sorted(defaults)}; its options are {sorted(hints)}.")
        last = inspect.Parameter.KEYWORD_ONLY
        shared = [inspect.Parameter(name, last, default=default, annotation=hints[name]) for name, default in defaults.items()]
        known = [one.name for one in (*own, *shared) if one.name != "self"]

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            for name in named:
                if name not in known:
                    near = difflib.get_close_matches(name, known, 1)
                    meant = f". Did you mean {near[0]!r}?" if near else ""
                    if not near and "data" in known:
                        meant = f"; an option of the data is one of ascribe.datasets.load(data, {name}=…)"
                    raise TypeError(f"{function.__qualname__}() got an unexpected keyword argument {name!r}{meant}")
            try:
                signature.bind(*given, **named)
            except TypeError as error:
                raise TypeError(_misbound(function, own, error)) from None
            return function(*given, **defaults | named)

        vars(call)["__signature__"] = signature.replace(parameters=[*own, *shared])
        return typing.cast(Function, call)

    return decorate


def _misbound(function: Callable[..., Any], own: list[inspect.Parameter], error: TypeError) -> str:
    """The sentence about arguments that are too few or too many."""
    names = [one.name for one in own if one.kind is one.POSITIONAL_OR_KEYWORD]
    told = f"{function.__qualname__}({', '.join(names)}, …): {error}"
    if "too many positional" in str(error):
        told += ": the others are given by their names"
        told += ", and arrays of your own as one, (inputs, targets)" if "data" in names else ""
    return f"{told}."


def _misfit(function: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> str | None:
    """The sentence about the first argument that does not fit its annotation; None where all do, or nobody can tell."""
    made = function.__name__ == "__post_init__"  # of a class whose fields are its arguments
    try:
        signature = inspect.signature(function)
        arguments = vars(given[0]) if made else signature.bind(*given, **named).arguments
        told = {} if made else {name: one.annotation for name, one in signature.parameters.items()}
        shared = {name: one for name, one in told.items() if one is not inspect.Parameter.empty and not isinstance(one, str)}
        hints = shared | typing.get_type_hints(type(given[0]) if made else function)
    except (TypeError, NameError):
        return None
    name = function.__qualname__.removesuffix(".__init__").removesuffix(".__post_init__")
    for parameter, value in arguments.items():
        if parameter in hints and not fits(value, hints[parameter]):
            return f"`{parameter}` of {name} is {_words(hints[parameter])}; got {shown(value)}."
    return None


def plain(value: Any) -> Any:
    """A number of NumPy or JAX, or an array of one without axes, as Python's own; anything else as it is."""
    if type(value) in (bool, int, float, str):  # which NumPy has subclasses of
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
    return [*map(plain, value)] if array or (isinstance(value, Sequence) and not isinstance(value, str | bytes)) else None


def refusal(name: str, wanted: str, got: str, advice: str = "") -> UserError:
    """What is said of an argument, or of an option in its speller's own way (`errors.option`)."""
    called = name if name.startswith(("`", "-")) else f"`{name}`"
    return UserError(f"{called} is {wanted}; got {got}{advice and f': {advice}'}.")


def at_least(least: int, name: str, value: Any, *, most: int | None = None, advice: str = "") -> int:
    """A whole number from `least` up, or to `most`."""
    number = whole(value)
    if number is None or number < least:
        wanted = {0: "an integer that is not negative", 1: "a positive integer"}
        raise refusal(name, wanted.get(least, f"an integer of at least {shown(least)}"), shown(value), advice)
    if most is not None and number > most:
        raise refusal(name, f"{most:,} at most", shown(value), advice)
    return number


def positive(name: str, value: Any, advice: str = "") -> float:
    """A finite number above 0."""
    return _real(name, value, "a positive number", lambda number: number > 0, advice)


def not_negative(name: str, value: Any, advice: str = "") -> float:
    """A finite number, 0 or above."""
    return _real(name, value, "a finite number that is not negative", lambda number: number >= 0, advice)


def finite(name: str, value: Any, advice: str = "") -> float:
    """A finite number."""
    return _real(name, value, "a finite number", lambda _: True, advice)


def share(name: str, value: Any, advice: str = "", *, zero: bool = False, one: bool = False) -> float:
    """A number between 0 and 1; `zero` and `one` say whether these count."""
    wanted = {
        (False, False): "a number between 0 and 1",
        (True, False): "a number from 0 to below 1",
        (False, True): "a number above 0 and at most 1",
        (True, True): "a number from 0 to 1",
    }[zero, one]
    inside = lambda number: 0 < number < 1 or (zero and number == 0) or (one and number == 1)
    return _real(name, value, wanted, inside, advice)


def _real(name: str, value: Any, wanted: str, inside: Callable[[float], bool], advice: str) -> float:
    number = real(value)
    if number is None or not abs(number) <= sys.float_info.max or not inside(number):
        raise refusal(name, wanted, shown(value), advice)
    return float(number)


def flag(name: str, value: Any, advice: str = "") -> bool:
    """A truth value: `"no"` is none, which counts as true in Python."""
    truth = plain(value)
    if not isinstance(truth, bool):
        raise refusal(name, "True or False", shown(value), advice)
    return truth


def one_of(name: str, value: Any, choices: Collection[str], advice: str = "") -> str:
    """One of a few texts."""
    if not isinstance(value, str) or value not in choices:
        meant = closest(value, choices)
        raise refusal(name, f"one of {', '.join(choices)}", shown(value), f"did you mean {meant[0]!r}" if meant else advice)
    return value


def unknown(kind: str, name: Any, known: Iterable[str], advice: str = "") -> UserError:
    """What is said of a name that a table does not have: the one it is close to, and the `advice`, by default all of them."""
    known = list(known)
    meant = "".join(f"did you mean {one!r}, or " for one in closest(name, known))
    return UserError(f"unknown {kind} {shown(name)}: {meant}{advice or 'choose one of ' + ', '.join(known)}.")


def closest(name: Any, known: Iterable[str], count: int = 1) -> list[str]:
    """The names that a wrong one is close to, whatever their case, at most so many, the closest first."""
    by_folded = {one.casefold(): one for one in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, count) if isinstance(name, str) else []
    return [by_folded[one] for one in found]


def array(
    name: str,
    value: Any,
    wanted: str,
    has_shape: Callable[[tuple[int, ...]], bool],
    advice: str = "",
    *,
    gaps: bool = False,
) -> "np.ndarray":
    """Finite real numbers (with `gaps`, also those that are not finite) of a shape, in float64."""
    numbers = real_numbers(value)
    if numbers is None:
        raise refusal(name, wanted, shown(value), advice)
    if not has_shape(numbers.shape):
        raise refusal(name, wanted, f"the shape {numbers.shape}", advice)
    import numpy as np  # noqa: PLC0415 - the command line asks without arrays

    lost = 0 if gaps else int(np.count_nonzero(~np.isfinite(numbers)))
    if lost:
        raise refusal(name, wanted, f"{lost} that are missing (NaN) or infinite", advice)
    return numbers


def real_numbers(value: Any) -> "np.ndarray | None":
    """The value as an array in float64; None where it is no number (a truth value alone is none) and no array of real ones."""
    import numpy as np  # noqa: PLC0415 - the command line asks without arrays

    if isinstance(plain(value), bool):
        return None
    try:
        array = np.asarray(unmasked(value))
        return array.astype(np.float64) if array.dtype.kind != "c" else None
    except (TypeError, ValueError, OverflowError):
        return None


def unmasked(values: Any) -> Any:
    """A masked array of NumPy as one with gaps, NaN among numbers and None among others; anything else as it is. (NumPy's own
    conversions bring back what was masked.)"""
    import numpy as np  # noqa: PLC0415 - as above

    if not np.ma.isMaskedArray(values) or not np.ma.is_masked(values):
        return values
    if values.dtype.kind in "biuf":
        return np.ma.filled(values.astype(np.float64), np.nan)
    others = values.data.astype(object)
    others[np.ma.getmaskarray(values)] = None
    return others


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
