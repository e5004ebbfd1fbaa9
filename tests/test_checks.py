"""Arguments are held against annotations only where a call has failed, and the first that does not fit is named."""

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

import numpy as np
import pytest

from ascribe.checks import (
    array,
    at_least,
    closest,
    explained,
    finite,
    fits,
    flag,
    not_negative,
    one_of,
    options,
    positive,
    real_numbers,
    share,
    unknown,
)
from ascribe.errors import UserError, option, spelled


@explained
def shortened(text: str, length: int = 3, *, end: "str | None" = None) -> str:
    """The beginning of a text."""
    if length > 100:
        raise UserError("too long.")
    if length == 0:
        raise ZeroDivisionError("nobody's fault")
    return text[:length].upper() + (end or "")


class Drawn(TypedDict, total=False):
    """What several functions take."""

    color: str
    width: int | None


@explained
@options(color="red", width=None)
def line(length: int, **drawn: Unpack[Drawn]) -> tuple[int, dict[str, Any]]:
    """What it was given."""
    return length + 0, dict(drawn)


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


@pytest.mark.parametrize(
    ("check", "taken", "refused", "wanted"),
    [
        (lambda value: at_least(0, "x", value), [0, np.int64(3)], [-1, 1.0, "1"], "an integer that is not negative"),
        (lambda value: at_least(1, "x", value), [1, np.array(3)], [0, None], "a positive integer"),
        (lambda value: at_least(2, "x", value, most=9), [2, 9], [1], "an integer of at least 2"),
        (
            lambda value: at_least(2, "x", value, most=9999),
            [9999],
            [10_000, 10**400],
            "(9,999 at most|an integer of at least 2)",
        ),
        (
            lambda value: positive("x", value),
            [1, np.float32(0.5), 1e308],
            [0, np.inf, np.nan, 10**400],
            "a positive number",
        ),
        (lambda value: not_negative("x", value), [0, 0.5], [-0.1, np.inf, "0"], "a finite number that is not negative"),
        (lambda value: finite("x", value), [-3, 0.0], [np.nan, -np.inf, None], "a finite number"),
        (lambda value: share("x", value), [0.5], [0, 1, -0.1, np.nan], "a number between 0 and 1"),
        (lambda value: share("x", value, zero=True), [0, 0.9], [1, -0.1], "a number from 0 to below 1"),
        (lambda value: share("x", value, one=True), [1, 0.1], [0, 1.1], "a number above 0 and at most 1"),
        (lambda value: share("x", value, zero=True, one=True), [0, 1], [1.1], "a number from 0 to 1"),
        (lambda value: one_of("x", value, ("a", "b")), ["a", "b"], ["c", None, np.zeros(2)], "one of a, b"),
    ],
)
def test_each_kind_is_asked_in_one_way(check, taken, refused, wanted):
    assert [check(value) for value in taken] == taken
    for value in [*refused, True]:
        with pytest.raises(UserError, match=rf"^`x` is {wanted}; got [^:]*\.$"):
            check(value)


def test_a_truth_value_is_true_or_false():
    assert flag("x", np.bool_(True)) is True
    for value in (1, "no", None):
        with pytest.raises(UserError, match=r"^`x` is True or False; got .*: try it\.$"):
            flag("x", value, "try it")


def test_arrays_have_a_shape_and_are_finite():
    def ask(value, **gaps):
        return array("x", value, "two numbers", lambda shape: shape == (2,), "give two", **gaps).tolist()

    assert ask([1, 2]) == [1.0, 2.0] and np.isnan(ask([1, np.nan], gaps=True)[1])
    cases = {"the shape \\(3,\\)": [1, 2, 3], "'a'": "a", "1 that are missing": [1, np.nan], "True": True}
    for got, value in cases.items():
        with pytest.raises(UserError, match=f"^`x` is two numbers; got {got}.*: give two\\.$"):
            ask(value)
    assert real_numbers(np.bool_(True)) is None


def test_an_unknown_name_is_told_with_the_one_it_is_close_to():
    table = ["adam", "SGD"]
    assert str(unknown("optimizer", "sgdd", table)) == (
        "unknown optimizer 'sgdd': did you mean 'SGD', or choose one of adam, SGD."
    )
    assert str(unknown("optimizer", [], table, "list them")) == "unknown optimizer []: list them."
    assert closest("adm", table, 3) == ["adam"] and closest("x" * 10**6, table) == []


def test_a_name_is_spelled_as_its_reader_spells_it():
    with pytest.raises(UserError, match=r"^`x` is True or False"):
        flag(option("x"), 1)
    with spelled(lambda name, *value: f"--{name}"), pytest.raises(UserError, match=r"^--x is True or False"):
        flag(option("x"), 1)


def test_shared_options_come_with_their_defaults_and_stand_in_the_signature():
    assert line(3, width=2) == (3, {"color": "red", "width": 2})
    found = inspect.signature(line).parameters
    assert [(name, one.default, one.annotation) for name, one in found.items()][1:] == [
        ("color", "red", str),
        ("width", None, int | None),
    ]
    with pytest.raises(TypeError, match=r"line\(\) got an unexpected keyword argument 'colour'. Did you mean 'color'\?"):
        line(3, colour="blue")
    with pytest.raises(UserError, match="`length` of line is an int; got 'three'"):
        line("three")
    with pytest.raises(
        TypeError, match=r"^line\(length, …\): too many positional arguments: the others are given by their names.$"
    ):
        line(3, "blue")
    with pytest.raises(TypeError, match=r"^line\(length, …\): missing a required argument: 'length'.$"):
        line(color="blue")


def test_what_may_be_an_option_of_the_data_is_sent_there():
    @options(color="red", width=None)
    def drawn(data: str, **drawn: Unpack[Drawn]) -> str:
        return data

    with pytest.raises(TypeError, match=r"'target'; an option of the data is one of ascribe.datasets.load\(data, target=…\)$"):
        drawn("table.csv", target="kind")
    with pytest.raises(TypeError, match=r"'widht'. Did you mean 'width'\?$"):
        drawn("table.csv", widht=2)


def test_shared_options_have_a_default_each():
    with pytest.raises(TypeError, match=r"defaults of \['color'\]; its options are \['color', 'width'\]"):

        @options(color="red")
        def bar(**drawn: Unpack[Drawn]) -> None:
            """Nothing."""
