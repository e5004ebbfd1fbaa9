"""What a search for a b-function leaves behind, round by round and at its end:

search.json           what was asked for; a search is only ever continued with the same
bayesian.npz, random.npz   everything tried so far: points, curves, areas
found.json            the best b-function, as a rule file
discovery.json        configuration, table, versions; written last
table.csv, curves.npz the comparison on fresh seeds
index.html, figures/  the page, and its pictures as PNG and SVG
"""

import csv
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ascribe import report
from ascribe.errors import UserError
from ascribe.files import write_whole
from ascribe.rules import rule_files
from ascribe.search import Evaluations

from .folder import check_folder

SEARCH = "search.json"
DISCOVERY = "discovery.json"
"""The record of a discovery, in its folder."""


class SearchRecord:
    """A folder that always holds the last finished round, however the search ends."""

    def __init__(self, folder: Path, configuration: dict[str, Any], *, resume: bool = False):
        self.folder = folder
        text = json.dumps(configuration, indent=1, allow_nan=False)
        path = folder / SEARCH
        if path.is_file() and resume:
            try:
                recorded = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UserError(f"the search {str(path)!r} is damaged: {error}.") from error
            asked = json.loads(text)
            other = [key for key in asked if asked[key] != (recorded or {}).get(key)]
            if other:
                raise UserError(
                    f"the search in {str(folder)!r} was begun with another {', '.join(other)}: give the options that it was "
                    f"begun with, or another --out."
                )
            return
        if path.is_file():
            raise UserError(
                f"{str(folder)!r} holds a search already: add --resume to go on with it, or choose another --out."
            )
        check_folder(folder, record=SEARCH)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())

    def load(self, kind: str, empty: Evaluations) -> Evaluations:
        """What was tried so far; `empty` where nothing was.

        **Raises:** `UserError` where the file is damaged.
        """
        path = self.folder / f"{kind}.npz"
        if not path.is_file():
            return empty
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = Evaluations(file["points"], file["curves"], file["areas"])
            shapes = [(one.shape[1:], two.shape[1:]) for one, two in zip(_arrays(found), _arrays(empty), strict=True)]
            if any(one != two for one, two in shapes) or len({len(one) for one in _arrays(found)}) != 1:
                raise ValueError("its arrays have other shapes")
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"the search record {str(path)!r} is damaged: {error}: remove it to begin anew.") from error
        return found

    def save(self, kind: str, evaluations: Evaluations) -> None:
        """Everything tried so far, whole or not at all."""
        points, curves, areas = _arrays(evaluations)
        write_whole(self.folder / f"{kind}.npz", _packed(points=points, curves=curves, areas=areas))


def save_discovery(discovery: Any, folder: Path) -> Path:
    """Writes what was found beside the search's record, and returns the page's path. `discovery.json` comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    best = discovery.evaluations.best
    about = {
        "data": discovery.data.name,
        "network": discovery.configuration["network"],
        "training": discovery.configuration["training"],
        "area": float(discovery.evaluations.values[best]),
        "evaluations": len(discovery.evaluations),
    }
    content = rule_files.content(
        discovery.space.layer, discovery.space.meta_network(discovery.evaluations.points[best]), about=about
    )
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_whole(folder / "found.json", text.encode())
    rows = discovery.table()
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_whole(folder / "table.csv", written.getvalue().encode())
    curves = {
        f"{setting}/{name}": runs.curves["train_loss"]
        for setting, comparisons in discovery.comparisons.items()
        for comparison in comparisons
        for name, runs in comparison.runs.items()
    }
    write_whole(folder / "curves.npz", _packed(**curves))
    charts = report.discovery.figures(discovery)
    drawn = {name: report.Drawing(report.specification(chart)) for name, chart in charts.items()}
    for name, drawing in drawn.items():
        report.write_figure(folder / "figures" / name, drawing.svg)
    page = report.discovery.page(discovery, drawn)
    write_whole(folder / "index.html", page.encode())
    record = {
        "configuration": discovery.configuration,
        "factor": discovery.factor,
        "table": _plain(rows),
        "found": content,
    }
    write_whole(folder / DISCOVERY, json.dumps(record, indent=1, allow_nan=False).encode())
    return folder / "index.html"


def _packed(**arrays: np.ndarray) -> bytes:
    """The bytes of an NPZ file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _arrays(evaluations: Evaluations) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return evaluations.points, evaluations.curves, evaluations.areas


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    number = lambda value: None if isinstance(value, float) and not np.isfinite(value) else value
    return [{key: number(value) for key, value in row.items()} for row in rows]
