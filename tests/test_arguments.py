"""Arguments are held against annotations only where a call has failed, and the first that does not fit is named."""

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from ascribe.arguments import explained, fits
from ascribe.errors import UserError


@explained
def shortened(text: str, length: int = 3, *, end: "str | None" = None) -> str:
    """The beginning of a text."""
    if length > 100:
        raise UserError("too long.")
    if length == 0:
        raise ZeroDivisionError("nobody's fault")
    return text[:length].upper() + (end or "")


@dataclass
class Part:
    size: int

    @explained
    def __post_init__(self):
        self.half = self.size / 2


def test_what_works_is_what_it_was():
    assert shortened("letters", end="!") == "LET!"
    assert shortened.__name__ == "shortened" and shortened.__doc__ == "The beginning of a text."
    assert shortened("letters", True) == "L"  # nobody looks at a call that works
    assert Part(3).half == 1.5


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: shortened(5), "`text` of shortened is a str; got 5."),
        (lambda: shortened("letters", "x"), "`length` of shortened is an int; got 'x'."),
        (lambda: shortened("letters", end=b"x"), "`end` of shortened is a str or None; got b'x'."),
        (lambda: Part("x" * 500), "`size` of Part is an int; got 'xxxxx"),
        (lambda: shortened("letters", 101), "too long."),
    ],
)
def test_what_does_not_fit_is_named(call, sentence):
    with pytest.raises(UserError) as caught:
        call()
    assert str(caught.value).startswith(sentence)
    assert len(str(caught.value)) < 120


def test_other_errors_stay_what_they_are():
    with pytest.raises(ZeroDivisionError, match="nobody's fault"):
        shortened("letters", 0)
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        shortened()


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, True),
        (np.int64(1), int, True),
        (np.array(1), int, True),
        (True, int, False),
        (1.0, int, False),
        (1, float, True),
        (np.float32(1), float, True),
        (1j, float, False),
        (np.ones(1), float, False),
        (True, bool, True),
        (1, bool, False),
        (None, None, True),
        (None, str | None, True),
        (5, str | None, False),
        ("a", Literal["a", "b"], True),
        ("c", Literal["a", "b"], False),
        (len, Callable[..., Any], True),
        (5, Callable[..., Any], False),
        ([1, 2], Sequence[int], True),
        ([1, "x"], Sequence[int], False),
        ("12", Sequence[int], False),
        (range(3), Sequence[int], True),
        ((1, "x"), tuple[int, str], True),
        ((1, 2, 3), tuple[int, str], False),
        ((1, 2, 3), tuple[int, ...], True),
        ((1, "x"), tuple[int, ...], False),
        ({"a": 1}, Mapping[str, int], True),
        ({"a": "b"}, Mapping[str, int], False),
        ({1, 2}, set[int], True),
        (np.zeros(3), np.ndarray, True),
        ([0.0], np.ndarray, False),
        (object(), Any, True),
        (object(), typing.TypeVar("T"), True),
    ],
)
def test_kinds(value, hint, expected):
    assert fits(value, hint) is expected
