"""What a search for a b-function leaves behind, in a folder, whole or not at all:

found.json            the best b-function, as a rule file
discovery.json        configuration, table, versions
table.csv, curves.npz the comparison on fresh seeds
index.html, figures/  the page, and its pictures as PNG and SVG

What was tried on the way is in the store, as runs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checksums import sealed
from ascribe.rules import rule_files

from .export import csv_table
from .folder import DISCOVERY, whole_folder


def save_discovery(
    discovery: Any,
    folder: Path,
    *,
    draw: Callable[[Path], object],
    overwrite: bool = False,
    replacing: Path | None = None,
) -> Path:
    """Writes everything into `folder`, and returns the page's path. `draw` writes the page and its figures into
    the folder that it is given; `replacing`: as in `whole_folder`.

    **Raises:** `UserError` where the folder cannot be written.
    """
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
    rows = discovery.table()
    curves = {
        f"{setting}/{name}": runs.curves["train_loss"]
        for setting, comparisons in discovery.comparisons.items()
        for comparison in comparisons
        for name, runs in comparison.runs.items()
    }
    record = {
        "configuration": discovery.configuration,
        "factor": discovery.factor,
        "table": _plain(rows),
        "found": content,
    }
    with whole_folder(folder, overwrite=overwrite, record=DISCOVERY, replacing=replacing) as temporary:
        (temporary / "found.json").write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        (temporary / "table.csv").write_bytes(csv_table(rows))
        np.savez_compressed(temporary / "curves.npz", allow_pickle=False, **curves)
        draw(temporary)
        (temporary / DISCOVERY).write_text(json.dumps(sealed(record), indent=1, allow_nan=False), encoding="utf-8")
    return folder / "index.html"


def _plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    number = lambda value: None if isinstance(value, float) and not np.isfinite(value) else value
    return [{key: number(value) for key, value in row.items()} for row in rows]
