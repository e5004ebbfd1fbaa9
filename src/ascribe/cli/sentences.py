"""What is wrong with a command, in a sentence: which option, what was wanted, and what came."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args, get_origin

from cyclopts import CycloptsError, Parameter
from cyclopts import exceptions as kinds

from ascribe.errors import shown

LITERAL = re.compile(r"'(?:[^'\\]|\\\\)*'")
"""What Python writes for a text that has backslashes and nothing else that it would escape."""
WHOLE = "is a whole number"
OF_TABLES = (
    "header",
    "separator",
    "decimal",
    "thousands",
    "encoding",
    "missing_words",
    "skip",
    "comment",
    "sheet",
    "standardize",
)
"""Options of reading a table, which have no option of their own."""
LONG = 1000
"""Characters of a word from which on it is not repeated whole."""

Whole = Annotated[int, Parameter(converter=lambda _, tokens: int(tokens[0].value))]
"""A whole number as it is written: left to itself, cyclopts would round 1.5."""


def sentence(error: CycloptsError) -> str:
    """What is wrong, with the command whose help says more."""
    chain = " ".join(["ascribe", *(error.command_chain or ())])
    return f"{_reason(error)} See `{chain} --help`."


def _reason(error: CycloptsError) -> str:  # noqa: PLR0911 - one line for every kind
    name = "" if error.argument is None else error.argument.name
    if isinstance(error, kinds.CoercionError) and error.token is not None and error.argument is not None:
        wanted = _wanted(error.argument.hint)
        wanted += " of fewer digits" if wanted == WHOLE and error.token.value.isdecimal() else ""
        meant = _meant(error.token.value.lower(), map(str, get_args(error.argument.hint)))
        return f"{name} {wanted}; got {shown(error.token.value)}{meant}."
    if isinstance(error, kinds.UnknownOptionError):
        option = (error.token.keyword or error.token.value).partition("=")[0]
        known = {one for argument in error.argument_collection for one in argument.names if one.startswith("-")}
        data = option.removeprefix("--").replace("-", "_")
        if "--data-option" in known and data in OF_TABLES:
            return f"there is no option {option}: what a table is read with is --data-option {data}=VALUE."
        return f"there is no option {_cut(option)}{_meant(option, known)}."
    if isinstance(error, kinds.UnknownCommandError):
        command, known = (error.unused_tokens or [""])[0], _commands(error)
        return f"there is no command {shown(command)}{_meant(command, known)}; the commands are {', '.join(known)}."
    if isinstance(error, kinds.UnusedCliTokensError):
        left = (error.unused_tokens or [""])[0]
        advice = "a list has commas between its parts, and what has spaces in it stands in quotation marks"
        return f"{shown(left)} is one word too many: {advice}."
    if isinstance(error, kinds.MissingArgumentError):
        return f"{name} wants a value, and none came." if name.startswith("-") else f"{name} is missing."
    if isinstance(error, kinds.RepeatArgumentError):
        return f"{error.token.keyword} is given twice: give it once."
    return " ".join(map(_cut, str(error).split()))


def _wanted(hint: Any) -> str:
    """What an option of that type takes."""
    parts = [part for part in get_args(hint) if part is not type(None)] if get_origin(hint) is not Literal else []
    if get_origin(hint) is not Literal and len(parts) == 1:
        return _wanted(parts[0])
    if get_origin(hint) is Literal:
        return f"is {either(map(str, get_args(hint)))}"
    return {int: WHOLE, float: "is a number", bool: "takes no value"}.get(hint, "is something else")


def either(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _meant(word: str, known: Iterable[str]) -> str:
    """The name that a wrong one is close to."""
    found = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.75)
    return f" (did you mean {found[0]}?)" if found else ""


def _commands(error: CycloptsError) -> list[str]:
    return [] if error.app is None else [name for name in error.app if not name.startswith("-")]


def _cut(word: str) -> str:
    """A word of a sentence, the beginning and the end of a long one."""
    return word if len(word) <= LONG else f"{word[:40]}...{word[-9:]}"


def as_typed(text: str) -> str:
    r"""A sentence with paths as they are typed, `'C:\results'`, and not as Python writes them, `'C:\\results'`."""
    return LITERAL.sub(lambda found: found[0].replace("\\\\", "\\"), text)
