"""Writing what entries found:

result.json               every check, with sources, times and versions
index.html                the same as one page, with the figures
ENTRY/FIGURE.png, .svg    every figure
ENTRY/TABLE.csv           every table
"""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ascribe import report, store
from ascribe.checksums import sealed
from ascribe.experiments.stores import versions
from ascribe.files import csv_text

from .base import Check, Entry, Result, Value, decimals

RECORD = "result.json"
FORMAT = 1


def save(
    results: Mapping[Entry, Result],
    folder: Path,
    *,
    overwrite: bool = False,
    seconds: Mapping[str, float] | None = None,
    command: str | None = None,
) -> Path:
    """Writes everything into `folder`, whole or not at all, and returns the page's path.

    `seconds`: how long each entry took, by its name. **Raises:** `UserError` where the folder cannot be written.
    """
    described = [{**describe(entry, result), "seconds": (seconds or {}).get(entry.name)} for entry, result in results.items()]
    with store.whole_folder(folder, overwrite=overwrite, record=RECORD) as temporary:
        shown = []
        for (entry, result), about in zip(results.items(), described, strict=True):
            charts = {name: report.Drawing(report.specification(chart)) for name, chart in result.figures.items()}
            pictures = {}
            for name, drawing in charts.items():
                report.write_figure(temporary / entry.name / name, drawing.svg)
            for name, drawn in result.drawings.items():
                report.write_figure(temporary / entry.name / name, drawn)
                pictures[name.replace("_", " ").capitalize()] = drawn
            for name, rows in result.tables.items():
                _write_table(rows, temporary / entry.name / f"{name}.csv")
            told = lambda wanted, got: {"expected": format_value(wanted), "got": format_got(wanted, got)}
            checks = [
                {**check, **told(check["expected"], check["got"]), "outcome": one.outcome}
                for one, check in zip(result.checks, about["checks"], strict=True)
            ]
            shown.append({**about, "checks": checks, "figures": charts, "drawings": pictures})
        title = f"{len(shown)} results from papers and course notes, computed again"
        page = report.sheet(report.capitalized(shown[0]["title"]) if len(shown) == 1 else title, shown)
        (temporary / "index.html").write_text(page, encoding="utf-8")
        content = {
            "format": FORMAT,
            "files": sorted({path.name for path in temporary.iterdir()}),
            "passed": all(result.passed for result in results.values()),
            "entries": described,
            "versions": versions(),
            "command": command,
        }
        (temporary / RECORD).write_text(json.dumps(sealed(content), indent=1, allow_nan=False), encoding="utf-8")
    return folder / "index.html"


def describe(entry: Entry, result: Result) -> dict[str, Any]:
    """An entry and what it found as plain JSON values; figures and tables by the paths that `save` gives them."""
    return {
        "name": entry.name,
        "title": entry.title,
        "source": entry.source,
        "passed": result.passed,
        "checks": [_plain(check) for check in result.checks],
        "figures": [f"{entry.name}/{name}.{kind}" for name in (*result.figures, *result.drawings) for kind in ("png", "svg")],
        "tables": [f"{entry.name}/{name}.csv" for name in result.tables],
    }


def format_value(value: Value) -> str:
    """A text as it is, a number with four significant digits."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else f"{value:.4g}"


def format_got(expected: Value, got: Value) -> str:
    """What came out, with one digit more than the tolerance of what was expected (`… ± 0.001`); without one, as any value."""
    tolerance = re.search(r" ± (\S+)$", expected) if isinstance(expected, str) else None
    if tolerance is None or isinstance(got, str) or not float(tolerance[1]) > 0.0:
        return format_value(got)
    return f"{got:.{decimals(float(tolerance[1]))}f}"


def _plain(check: Check) -> dict[str, Any]:
    number = lambda value: str(value) if isinstance(value, float) and not math.isfinite(value) else value
    return {name: number(value) for name, value in vars(check).items()} | {"passed": bool(check.passed)}


def _write_table(rows: list[dict[str, Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = list(rows[0]) if rows else []
    path.write_bytes(csv_text([names, *([row.get(name, "") for name in names] for row in rows)]).encode("utf-8"))
