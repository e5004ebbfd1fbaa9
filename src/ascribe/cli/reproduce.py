"""`ascribe reproduce NAME`: a source document's figures and numbers, each with its check."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ascribe.errors import UserError

from .console import listing, show
from .options import Json


def reproduce(
    *names: str,
    list_entries: Annotated[bool, Parameter(name="--list")] = False,
    all_entries: Annotated[bool, Parameter(name="--all")] = False,
    full: bool = False,
    out: Path | None = None,
    overwrite: bool = False,
    json_output: Json = False,
) -> int:
    """Redo the source documents' figures and numbers, each with its check. The exit code is 1 where one is not reproduced.

    Parameters
    ----------
    names
        What to redo; without any, the list of what there is.
    list_entries
        List what there is, with its source, and run nothing.
    all_entries
        Redo everything.
    full
        The document's own size, where the entry has a smaller one by default: hours on a CPU, minutes on a GPU.
    out
        Where checks, figures and the page go. Default: ascribe-runs/reproduce-NAME-001, -002, ...
    overwrite
        Replace earlier results in --out.
    """
    from ascribe import papers  # noqa: PLC0415 - late, so that --help is instant

    if bool(names) + list_entries + all_entries > 1:
        raise UserError("NAME, --list and --all are three ways to say what to redo: give one of them.")
    if not names and not all_entries:
        if out is not None:
            raise UserError("--out is where results go, and a list makes none: name what to redo, or give --all.")
        return _list(json_output)
    entries = [papers.get(name) for name in (papers.names() if all_entries else dict.fromkeys(names))]

    for entry in entries:
        if full and not entry.full:
            raise UserError(f"{entry.name} has one size only: leave --full out.")

    from ascribe import store, training  # noqa: PLC0415
    from ascribe.papers import results  # noqa: PLC0415

    from . import command_line  # noqa: PLC0415
    from .interruption import answering, stop_at_once  # noqa: PLC0415
    from .keeping import DEFAULT_FOLDER  # noqa: PLC0415
    from .progress import Lines  # noqa: PLC0415

    if out is not None:
        store.check_folder(out, overwrite=overwrite, record=results.RECORD)
    training.use_all_cores()
    name = "all" if all_entries else entries[0].name if len(entries) == 1 else "several"
    folder = out or store.fresh_folder(DEFAULT_FOLDER, f"reproduce-{name}")
    found, seconds = {}, {}
    try:
        with answering(stop_at_once), Lines() as lines:
            for entry in entries:
                usual = "some seconds" if entry.minutes < 0.5 else f"about {entry.minutes:.0f} min"
                lines.say(f"{entry.name}: {'its full size' if full else usual}")
                began = time.monotonic()
                found[entry] = entry.run(lines, full=full)
                seconds[entry.name] = round(time.monotonic() - began, 3)
            lines.say("drawing the figures")
            page = results.save(found, folder, overwrite=overwrite, seconds=seconds, command=command_line())
    finally:
        if out is None:
            store.give_back(folder)  # nothing happens where it holds results
    passed = all(result.passed for result in found.values())
    if json_output:
        described = [results.describe(entry, result) for entry, result in found.items()]
        print(json.dumps({"passed": passed, "entries": described, "page": str(page), "out": str(folder)}, allow_nan=False))
    else:
        _print(found, page)
    return 0 if passed else 1


def _list(as_json: bool) -> int:
    from ascribe import papers  # noqa: PLC0415

    entries = papers.TABLE.values()
    if as_json:
        keys = ("name", "title", "source", "minutes")
        print(json.dumps({"entries": [{key: getattr(entry, key) for key in keys} for entry in entries]}))
        return 0
    show(listing(("entry", "what it redoes", "source"), [(one.name, one.title, one.source) for one in entries]))
    return 0


def _print(found: dict[Any, Any], page: Path) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from ascribe.papers.base import NOT_REPRODUCED  # noqa: PLC0415
    from ascribe.papers.results import format_got, format_value  # noqa: PLC0415

    for entry, result in found.items():
        show(Text.assemble((entry.name, "bold"), f": {entry.title} ({entry.source})"))
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
        for column in ("what is checked", "expected", "here", ""):
            table.add_column(column)
        for check in result.checks:
            outcome = Text(check.outcome, style="green" if check.passed else "bold red")
            # Text objects, since a plain string would have its [brackets] read as markup.
            cells = (check.statement, format_value(check.expected), format_got(check.expected, check.got))
            table.add_row(*(Text(cell) for cell in cells), outcome)
        show(table, "")
    if missed := [entry.name for entry, result in found.items() if not result.passed]:
        show(Text(f"{NOT_REPRODUCED}: {', '.join(missed)}", style="bold red"))
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
