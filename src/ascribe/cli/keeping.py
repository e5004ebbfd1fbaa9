"""What `compare` and `discover` have in common: their work is kept in a store as it goes, and goes on from there."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ascribe.errors import UserError

if TYPE_CHECKING:
    from ascribe.store import Store

    from .progress import Lines

DEFAULT_FOLDER = Path("ascribe-runs")


@contextmanager
def kept_in(
    out: Path | None, place: str | None, *, name: str, experiment: str, resume: bool, overwrite: bool
) -> "Iterator[tuple[Path, Store, Lines]]":
    """The folder for what comes out, the store with the experiment begun, and the lines that the terminal shows. A signal ends
    the work at the next occasion. Where nothing was done, nothing is left behind.

    `out`: the folder; by default `ascribe-runs/NAME-001`, `-002`, ...; `place`: the store, by default in that folder.
    """
    from ascribe.comparison import ended, versions  # noqa: PLC0415 - late, so that --help is instant
    from ascribe.store import Store, fresh_folder, give_back  # noqa: PLC0415

    from . import arguments_given, command_line  # noqa: PLC0415
    from .interruption import stopping_at_a_signal  # noqa: PLC0415
    from .progress import Lines  # noqa: PLC0415

    new = out is not None and not out.exists()
    folder = out or fresh_folder(DEFAULT_FOLDER, name)
    kept = None
    try:
        kept = Store(place or folder, versions=versions())
        if overwrite and place is None:
            kept.clear()
        kept.begin(experiment, command=command_line(), options=[arguments_given()], resume=resume)
        with Lines() as lines, ended(kept), stopping_at_a_signal(kept, lines, folder, place):
            yield folder, kept, lines
    finally:
        if kept is not None:
            if kept.empty():  # nothing was finished: nothing is left behind
                kept.remove()
            kept.close()
        if out is None:
            give_back(folder)  # nothing happens where it holds something
        elif new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def asked_to_go_on(tokens: Sequence[str]) -> dict[str, Any]:
    """The arguments of a command with `--resume`, which names its folder."""
    from . import given  # noqa: PLC0415

    now = given(tokens)
    if now.get("out") is None:
        raise UserError("--resume goes on in the folder that the work was begun in: name it with --out.")
    return now


def begun_with(now: dict[str, Any], command: str) -> list[list[str]]:
    """The arguments of every `command` that has worked on what --store, or else --out, holds."""
    from ascribe.store import Store  # noqa: PLC0415

    place = now.get("store") or now["out"]
    kept = Store(place, create=False)
    try:
        found = [one["options"] for one in kept.experiments() if one["options"]]
    finally:
        kept.close()
    last = next((options for options in found if options[0][0] == command), None)
    if last is None:
        raise UserError(f"{str(place)!r} holds nothing that `ascribe {command}` began: leave --resume out.")
    return last


def together(now: dict[str, Any], begun: Sequence[Sequence[str]], *anew: str) -> dict[str, Any]:
    """The options that the work was begun with, and over them those that are given now; `anew`: options of no lasting
    meaning, which are not taken over."""
    from . import given  # noqa: PLC0415

    before: dict[str, Any] = {}
    for earlier in begun:
        before |= given(earlier)
    if before["data"] != now["data"]:
        place = now.get("store") or now["out"]
        raise UserError(f"{str(place)!r} was begun on {before['data']}, not on {now['data']}: choose another --out.")
    for name in ("out", "store", "resume", "overwrite", "json_output", *anew):
        before.pop(name, None)
    return before | now
