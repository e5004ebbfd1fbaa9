"""What `compare` and `discover` have in common: their work is kept in a store as it goes, and goes on from there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascribe.errors import UserError

if TYPE_CHECKING:
    from ascribe.store import Store

    from .options import Keeping
    from .progress import Lines

DEFAULT_FOLDER = Path("ascribe-runs")
PASSING = ("resume", "overwrite", "json_output", "quiet", "dry_run")
"""Options that change nothing of what comes out."""


@contextmanager
def kept_in(keeping: "Keeping", *, name: str, experiment: str) -> "Iterator[tuple[dict[str, Any], Store, Lines]]":
    """Where what comes out is saved (the arguments of `store.save`), the store with the experiment begun, and the lines that
    the terminal shows. A signal ends the work at the next occasion. Where nothing was done, nothing is left behind, and what is
    to be replaced is untouched until all is done.

    The folder is by default `ascribe-runs/NAME-001`, `-002`, ..., and the store in that folder.
    """
    from ascribe.experiments.stores import recorded_end, versions  # noqa: PLC0415 - late, so that --help is instant
    from ascribe.store import DATABASE, RECORDS, Store, fresh_folder, give_back, working_folder  # noqa: PLC0415

    from . import arguments_given, command_line  # noqa: PLC0415
    from .interruption import stopping_at_a_signal  # noqa: PLC0415
    from .progress import Lines  # noqa: PLC0415

    out, place, overwrite, resume = keeping.out, keeping.store, keeping.overwrite, keeping.resume
    new = out is not None and not out.exists()
    folder = out or fresh_folder(DEFAULT_FOLDER, name)
    working = working_folder(folder, overwrite=overwrite)
    apart = None if place or working == folder else working
    options = {"out": str(folder), **({"store": place} if place else {}), **({"overwrite": None} if overwrite else {})}
    kept = None
    try:
        kept = Store(place or working / DATABASE, versions=versions())
        drawn = any((working / record).is_file() for record in RECORDS)
        again = resume and not drawn and _was_for(folder, kept, experiment)  # its page was not finished
        given = {"command": command_line(), "options": [arguments_given()]}
        kept.begin(experiment, **given, resume=resume, again=again)
        with Lines(quiet=keeping.quiet) as lines, recorded_end(kept), stopping_at_a_signal(kept, lines, options):
            # Whether the folder may be written to was asked before.
            yield {"folder": folder, "overwrite": True, "replacing": apart}, kept, lines
    finally:
        if kept is not None:
            kept.remove_if_unused()
        for left in (apart, None if out is None or not new else folder):
            if left is not None:
                with suppress(OSError):  # it holds something, or has gone where it belongs
                    left.rmdir()
        if out is None:
            give_back(folder)  # nothing happens where it holds something


def _was_for(folder: Path, kept: "Store", experiment: str) -> bool:
    """Whether the last experiment of that name was asked to write into this folder: a store may serve several."""
    from . import given  # noqa: PLC0415

    last = next((one for one in kept.experiments() if one["name"] == experiment and one["options"]), None)
    return last is not None and os.path.abspath(given(last["options"][-1]).get("out") or folder) == os.path.abspath(folder)


def asked_to_go_on(tokens: Sequence[str]) -> dict[str, Any]:
    """The arguments of a command with `--resume`, which names its folder."""
    from . import given  # noqa: PLC0415

    now = given(tokens)
    if "config" in now:
        raise UserError("--resume takes the options of what was begun, and --config those of a record: give one of them.")
    if "dry_run" in now:
        raise UserError("--dry-run is about what has not begun: leave --resume out.")
    if now.get("out") is None:
        raise UserError("--resume goes on in the folder that the work was begun in: name it with --out.")
    return now


def begun_with(now: dict[str, Any], command: str) -> list[list[str]]:
    """The arguments of every `command` that has worked on what --store, or else --out, holds."""
    from ascribe.store import DATABASE, REPLACEMENT, Store  # noqa: PLC0415

    place = now.get("store") or Path(now["out"]) / DATABASE
    if now.get("overwrite") and "store" not in now:
        place = Path(now["out"]) / REPLACEMENT / DATABASE
        if not place.is_file():
            raise UserError(
                "--resume goes on with what is there and --overwrite replaces it: give one of them (both go on with a "
                "replacement that was not finished)."
            )
    kept = Store(place, create=False)
    try:
        found = [one["options"] for one in kept.experiments() if one["options"]]
    finally:
        kept.close()
    last = next((options for options in found if options[0][0] == command), None)
    if last is None:
        raise UserError(
            f"{str(now.get('store') or now['out'])!r} holds nothing that `ascribe {command}` began: leave --resume out, or "
            f"choose another --out."
        )
    return last


def together(command: str, now: dict[str, Any], begun: Sequence[Sequence[str]], *anew: str) -> dict[str, Any]:
    """The options that the work was begun with, and over them those that are given now, which together are what is recorded
    as the command; `anew`: options of no lasting meaning, which are not taken over."""
    from . import given, known_as  # noqa: PLC0415

    before: dict[str, Any] = {}
    for earlier in begun:
        before |= given(earlier)
    data = now.get("data", before["data"])
    if os.path.abspath(before["data"]) != os.path.abspath(data):  # a file may be named in several ways
        place = now.get("store") or now["out"]
        raise UserError(f"{str(place)!r} was begun on {before['data']}, not on {data}: choose another --out.")
    for name in ("out", "store", *PASSING, *anew):
        before.pop(name, None)
    whole = before | now
    known_as(command, {name: value for name, value in whole.items() if name not in PASSING})
    return whole
