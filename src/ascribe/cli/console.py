"""What the terminal, a pipe or a file is given to read: characters that it has, and tables of which nothing is cut.

Not every console has the whole of Unicode: that of Windows is often cp1252, that of a bare server ASCII. A character that the
console lacks gets its plain form (`−` becomes `-`, `σ` becomes `sigma`, `±` becomes `+/-`).

A pipe or a file has no width: a table has as many characters a line there as it needs. On a terminal, a table that is too wide
goes on below, with its first column again.
"""

import codecs
import contextlib
import copy
import dataclasses
import re
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

FORMS = {
    **dict.fromkeys("−‐‑‒–—―", "-"),
    **dict.fromkeys("‘’‚′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("∙·⊙⋅", "*"),
    **{"…": "...", "±": "+/-", "×": "x", "÷": "/", "⁄": "/", "µ": "u", "°": " deg"},
    **{"∂": "d", "∇": "grad ", "∑": "sum "},
    **{"≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "→": "->", "←": "<-", "↦": "->", "∞": "inf", "√": "sqrt ", "‖": "||"},
    **{"λ": "lambda", "Λ": "Lambda", "ς": "sigma", "∫": "integral ", "•": "*", "✓": "yes", "✗": "no"},
    **{"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
    **dict(zip("─━│┃╴╶╸╺", "--||----", strict=True)),
}
"""Plain forms that cannot be told from the character's name and its parts."""
RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵀ]+")
PLAIN = "ascribe.plain"
OWN_CODE = Path(__file__).parents[1]
_with_its_line = warnings.formatwarning
"""The name that Python's codecs know the plain forms by."""
NAMES = 0.75
"""The share of a terminal's width that the names in a first column may have before they are broken."""
ANY_WIDTH = 100_000
"""Characters in a line of a pipe or a file."""


def plain(text: str, encoding: str = "ascii") -> str:
    """The text with the plain form of what the encoding has not."""
    try:
        text.encode(encoding)
        return text
    except (UnicodeEncodeError, LookupError):
        return text.encode(encoding, PLAIN).decode(encoding)


def _form(character: str) -> str:
    if character in FORMS:
        return FORMS[character]
    kind, _, letter = unicodedata.name(character, "").partition(" LETTER ")
    if kind in ("GREEK SMALL", "GREEK CAPITAL") and " " not in letter:
        return letter.lower() if kind == "GREEK SMALL" else letter.title()
    parts = [FORMS.get(part, part) for part in unicodedata.normalize("NFKD", character)]
    return "".join(part for part in parts if part.isascii()) or ("" if unicodedata.combining(character) else "?")


def _answer(error: UnicodeError) -> tuple[str, int]:
    """What Python writes in place of the characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = RAISED.sub(
        lambda found: "^" + unicodedata.normalize("NFKD", found[0]).replace("−", "-"),
        error.object[error.start : error.end],
    )
    return "".join(character if character.isascii() else _form(character) for character in text), error.end


codecs.register_error(PLAIN, _answer)


def speak_plainly() -> None:
    """Nothing that is written to standard output or standard error fails for want of a character, and a warning of ascribe is a
    sentence, without the line of code that it comes from."""
    warnings.formatwarning = _warning
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "backslashreplace") and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=PLAIN)  # pyright: ignore[reportAttributeAccessIssue]


def _warning(message: Any, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    if category is UserWarning and Path(filename).is_relative_to(OWN_CODE):
        return f"ascribe: {message}\n"
    return _with_its_line(message, category, filename, lineno, line)


def aside(json_alone: bool) -> contextlib.AbstractContextManager[Any]:
    """Within it, where standard output is for JSON alone, goes what else is printed, by a rule's file say, to standard
    error."""
    return contextlib.redirect_stdout(sys.stderr) if json_alone else contextlib.nullcontext()


def show(*things: Any, **how: Any) -> None:
    """Writes texts and Rich's tables to standard output; `how`: as Rich's `Console.print`."""
    from rich.console import Console  # noqa: PLC0415 - late, so that --help is instant
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    if not console.is_terminal:
        console.width = ANY_WIDTH
    for thing in things:
        if isinstance(thing, Table):
            for part in _parts(_plain_table(thing, console), console):
                console.print(part)
        else:
            console.print(thing, **how)


def listing(titles: tuple[str, ...], rows: Iterable[Sequence[str]]) -> "Table":
    """Rows below their titles; names, in the first column, are not broken."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=title is titles[0])
    for row in rows:
        table.add_row(*row)
    return table


def _plain_table(table: "Table", console: "Console") -> "Table":
    """The table in characters that the console has: before its columns get their width, for a plain form may be longer."""
    changed = copy.copy(table)
    said = lambda cell: _plain_text(cell, console)
    whole = lambda column: column.no_wrap or column.overflow == "fold"  # what would break only where nothing else helps
    changed.columns = [
        dataclasses.replace(column, header=said(column.header), _cells=list(map(said, column.cells)), no_wrap=whole(column))
        for column in table.columns
    ]
    changed.title, changed.caption = said(table.title), said(table.caption)
    changed.expand = table.expand and console.is_terminal
    return changed


def _plain_text(cell: Any, console: "Console") -> "str | Text | Any":
    from rich.text import Text  # noqa: PLC0415

    if isinstance(cell, str):
        return plain(cell, console.encoding)
    if isinstance(cell, Text) and plain(cell.plain, console.encoding) != cell.plain:
        parts = [(plain(part.text, console.encoding), part.style or "") for part in cell.render(console, end="")]
        return Text.assemble(*parts, style=cell.style, justify=cell.justify)
    return cell


def _parts(table: "Table", console: "Console") -> "list[Table]":
    """The table, or several that have its columns one after the other, where it is wider than the console. Columns that may be
    wrapped are made narrower first, down to their longest word."""
    if not (table.columns and console.is_terminal):
        return [table]
    groups = [[0]]
    for number in range(1, len(table.columns)):
        together = [table.columns[one] for one in (*groups[-1], number)]
        if len(groups[-1]) > 1 and _width_of(table, together, console) > console.width:
            groups.append([0])
        groups[-1].append(number)
    return [_part(table, group, console, last=group is groups[-1]) for group in groups]


def _part(table: "Table", group: list[int], console: "Console", *, last: bool) -> "Table":
    part = copy.copy(table)
    columns = [table.columns[number] for number in group]
    if _width_of(table, columns, console) > console.width:  # nothing is left but to break words, names last
        first, *others = columns
        broken = columns if _width_of(table, [first], console) > NAMES * console.width else others
        columns = [
            dataclasses.replace(column, no_wrap=False, overflow="fold") if any(column is one for one in broken) else column
            for column in columns
        ]
    part.columns = [dataclasses.replace(column, _index=place) for place, column in enumerate(columns)]
    part.caption = table.caption if last else None
    return part


def _width_of(table: "Table", columns: list[Any], console: "Console") -> int:
    """The least width of these columns of a table."""
    from rich.measure import Measurement  # noqa: PLC0415

    some = copy.copy(table)
    some.title = some.caption = None
    some.columns = [dataclasses.replace(column, _index=place) for place, column in enumerate(columns)]
    return Measurement.get(console, console.options.update(width=ANY_WIDTH), some).minimum


def duration(seconds: float) -> str:
    """A time in words: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"
