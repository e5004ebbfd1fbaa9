"""The one error that a user's input can raise: a sentence that says what was wanted, what came and what to try."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

DISTRIBUTION = "ascribe-learning"
"""What package indexes and pip call ascribe, whose import and command are `ascribe`."""


class UserError(ValueError):
    """Bad input. Its text is one sentence; the command line prints it and exits with code 2."""


class Interrupted(KeyboardInterrupt):
    """The work was stopped on request, and what was done is kept; a sentence that says where."""


def shown(value: object, length: int = 60) -> str:
    """A value as sentences tell it: its `repr` on one line, shortened; also a number of more digits than Python writes."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= length else f"{text[: length - 12]}...{text[-9:]}"


_spellings: list[Callable[..., str]] = []


def option(name: str, *value: object) -> str:
    """An option, alone or with a value, as the reader of the sentence writes it: `missing` and `missing='drop'` in Python, in
    backticks, and --missing and --missing drop on the command line."""
    if _spellings:
        return _spellings[-1](name, *value)
    return f"`{name}={shown(value[0], 200)}`" if value else f"`{name}`"


@contextmanager
def spelled(spelling: Callable[..., str]) -> Iterator[None]:
    """Within it, sentences spell options (`option`) as this function of a name and at most one value does."""
    _spellings.append(spelling)
    try:
        yield
    finally:
        _spellings.remove(spelling)


def how_to_install(extra: str) -> str:
    """The command that installs what an extra of pyproject.toml needs, for sentences that say that it is missing.

    It holds wherever ascribe is installed, from an index or from a checkout: pip finds the installed distribution by its name
    and adds what the extra needs. Pages that install ascribe from a checkout say `pip install '.[EXTRA]'` themselves.
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def needed(module: str, extra: str, whose: str) -> Any:
    """The module of an extra, where it is installed; `whose` tells what needs it, as in "a cluster".

    **Raises:** `UserError` with the command that installs it where it is missing.
    """
    try:
        importlib.import_module(module.partition(".")[0])
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{whose} needs {error.name or module}: {how_to_install(extra)}.") from error


def names_in_words(names: Sequence[str]) -> str:
    """Names for a sentence; of many, the first and the last."""
    return ", ".join(names if len(names) <= 12 else [*names[:4], "…", *names[-4:]])
