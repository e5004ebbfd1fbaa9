"""`ascribe runs list|show|export|delete`: what is kept in a store."""

import json
import math
import os
from pathlib import Path
from typing import Any, Literal

from ascribe.errors import UserError
from ascribe.measures import main_among, score_name

from .console import show
from .keeping import DEFAULT_FOLDER
from .options import Json

IDS = "`ascribe runs list` with the name of the store shows them"


def runs(
    action: Literal["list", "show", "export", "delete"],
    place: str | None = None,
    experiment: str | None = None,
    /,
    *,
    out: Path | None = None,
    overwrite: bool = False,
    json_output: Json = False,
) -> int:
    """List, show, export and delete what is kept in a store.

    Parameters
    ----------
    action
        list: the experiments of a store, or of all folders in ascribe-runs; show: the runs of one experiment; export: these
        with their curves, into one file; delete: an experiment, and the runs that no other has.
    place
        A folder that compare or discover wrote, an SQLite file, or postgresql://HOST/NAME. Default of list: ascribe-runs.
    experiment
        The id that list shows. Default of show and export: the latest.
    out
        The file of an export: .csv, .json, or .parquet (extra `tables`).
    overwrite
        Replace an earlier file there.
    """
    from ascribe.store import DATABASE, Store  # noqa: PLC0415 - late, so that --help is instant

    _check_file(out, overwrite, wanted=action == "export")
    if place is None:
        if action != "list":
            raise UserError(
                f"{action} wants a store: the folder that compare or discover wrote, an SQLite file, or postgresql://HOST/NAME."
            )
        places = [str(path.parent) for path in sorted(DEFAULT_FOLDER.glob(f"*/{DATABASE}"))]
    elif action == "list" and os.path.isdir(place) and not os.path.isfile(os.path.join(place, DATABASE)):
        places = [str(path.parent) for path in sorted(Path(place).glob(f"*/{DATABASE}"))]
        if not places:
            raise UserError(
                f"{place!r} holds no store of ascribe: name a folder that compare or discover wrote, or the one above it."
            )
    else:
        places = [place]
    if action == "list":
        return _list(places, place or str(DEFAULT_FOLDER), json_output)
    store = Store(places[0], create=False)
    try:
        if action == "delete":
            if experiment is None:
                raise UserError(f"delete wants the id of an experiment: {IDS}.")
            gone = store.delete(experiment)
            print(json.dumps({"deleted": experiment, "runs": gone}) if json_output else f"{experiment} and {gone} runs deleted")
            return 0
        chosen = _chosen(store.experiments(), experiment, places[0])
        rows = store.runs(chosen["id"])
        if out is not None:
            count = store.export(out, chosen["id"], overwrite=overwrite)
            print(json.dumps({"file": str(out), "rows": count}) if json_output else f"{count} rows in {out}")
            return 0
    finally:
        store.close()
    if json_output:
        print(json.dumps({"experiment": chosen, "runs": [_plain(row) for row in rows]}, allow_nan=False))
        return 0
    _show(chosen, rows)
    return 0


def _check_file(out: Path | None, overwrite: bool, *, wanted: bool) -> None:
    from ascribe.files import path_of  # noqa: PLC0415

    if (out is None) == wanted:
        raise UserError("export wants a file to write, --out FILE.parquet, .csv or .json; the others write none.")
    if overwrite and out is None:
        raise UserError("--overwrite is about the file of an export: leave it out.")
    if out is not None and path_of(out, "an export").exists() and not overwrite and not out.is_dir():
        raise UserError(f"{str(out)!r} is there already: choose another --out, or add --overwrite to replace it.")


def _chosen(found: list[dict[str, Any]], experiment: str | None, place: str) -> dict[str, Any]:
    if experiment is None and found:
        return found[0]
    for one in found:
        if one["id"] == experiment:
            return one
    raise UserError(f"the store {place!r} has no experiment {experiment!r}: {IDS}.")


def _list(places: list[str], where: str, json_output: bool) -> int:
    from ascribe.store import Store  # noqa: PLC0415

    rows = []
    for place in places:
        store = Store(place, create=False)
        rows += [{"store": place, **one} for one in store.experiments()]
        store.close()
    if json_output:
        print(json.dumps({"experiments": rows}, allow_nan=False))
        return 0
    _table(
        ["store", "experiment", "name", "status", "runs", "updated (UTC)"],
        [[row["store"], row["id"], row["name"], row["status"], row["runs"], row["updated"][:19]] for row in rows],
        f"no experiments in {where} yet: ascribe compare moons, or name another folder, as in ascribe runs list .",
    )
    return 0


def _show(chosen: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    print(f"{chosen['id']}: {chosen['name']}, {chosen['status']}, begun {chosen['created'][:19]} UTC")
    print(chosen["command"] or "")
    folds = any("fold" in row for row in rows)
    _table(
        ["rule", "phase", *(["fold"] if folds else []), "seed", "rate", "epochs", "status", "test score"],
        [
            [
                row["rule"],
                row["phase"],
                *([row.get("fold", "")] if folds else []),
                row["seed"],
                f"{row['learning_rate']:.3g}",
                row["epochs"],
                row["status"],
                _score(row["scores"] or {}, row["context"].get("score")),
            ]
            for row in rows
        ],
        "no runs are finished yet",
    )


def _score(scores: dict[str, float], measure: str | None) -> str:
    return f"{scores[score_name('test', measure or main_among(scores, 'test').name)]:.4g}" if scores else ""


def _table(titles: list[str], rows: list[list[Any]], otherwise: str) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not rows:
        print(otherwise)
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for title in titles:
        table.add_column(title, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row))  # Text, since [brackets] would be read as markup
    show(table)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """What JSON can hold: a number that is none is null."""
    scores = {name: value if math.isfinite(value) else None for name, value in (row["scores"] or {}).items()}
    return {**row, "scores": scores or None}
