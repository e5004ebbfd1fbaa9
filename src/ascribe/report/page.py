"""One HTML page with everything of a comparison, or of several on different data, which opens from disk without a network."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.charts.theme import GRAY, rule_colors
from ascribe.diagram import diagram
from ascribe.errors import UserError
from ascribe.files import write_whole
from ascribe.measures import measure_of
from ascribe.setup import CONTROLS
from ascribe.statistics import ranks_over
from ascribe.statistics.means import DASH

from .base import Comparison
from .document import figure, render, rule_filter
from .earlier_maps import earlier_maps
from .figures import Drawing, drawings, write_vectors
from .findings import claims, findings
from .raster import rasterized
from .statement import facts, statement, summary, title
from .statistics_table import (
    Cell,
    format_p_value,
    statistics_caption,
    statistics_cells,
    statistics_lines,
    statistics_titles,
)
from .table import (
    CREDIT_WORDS,
    Row,
    control_rows,
    format_credit,
    format_notes,
    format_number,
    format_score,
    format_seconds,
    has_credit,
    rows,
    score_titles,
    too_few_to_tell,
)
from .understood import understood


def page(comparison: Comparison | Sequence[Comparison], drawn: dict[str, Drawing] | None = None) -> str:
    """The report as HTML: what came out, figures, what the rules are, tables, how it was done, data card, configuration. It
    fetches nothing.

    Several comparisons, each on other data, stand one after the other, below the rules' ranks over all of them. `drawn` is
    `drawings(comparison)` where it is at hand already, of one comparison.
    """
    parts = list(comparison) if isinstance(comparison, Sequence) else [comparison]
    several = len(parts) > 1
    numbers: dict[str, int] = {}
    for part in parts:
        for rule in part.runs:
            numbers.setdefault(rule, len(numbers))
    return render(
        "page.html.jinja",
        title=f"{len(numbers)} learning rules on {len(parts)} data sets" if several else title(parts[0]),
        several=several,
        level=3 if several else 2,
        ranks=_ranks(parts, numbers) if several else None,
        rules=rule_filter(_shared_colors(parts, numbers)),
        sets=[{"number": number, "name": part.data.name, "color": None} for number, part in enumerate(parts)],
        comparisons=[
            _part(part, drawings(part) if drawn is None else drawn, numbers, number if several else None)
            for number, part in enumerate(parts)
        ],
    )


def write_page(
    comparison: Comparison | Sequence[Comparison], path: str | os.PathLike[str], drawn: dict[str, Drawing] | None = None
) -> Path:
    """Write `page(comparison, drawn)` to `path`, whole or not at all; returns the path.

    **Raises:** `UserError` where it cannot be written.
    """
    path = Path(path)
    text = page(comparison, drawn)
    write_whole(path, text.encode("utf-8"), parents=True)
    return path


def draw(comparison: Comparison, folder: Path) -> None:
    """The page as `index.html` and its figures in `figures/`, into `folder`.

    **Raises:** `UserError` where they cannot be written.
    """
    drawn = drawings(comparison)
    with rasterized(write_vectors(drawn, folder / "figures")):
        write_page(comparison, folder / "index.html", drawn)


def _part(comparison: Comparison, drawn: dict[str, Drawing], numbers: Mapping[str, int], number: int | None) -> dict[str, Any]:
    """What the page shows of one comparison; `numbers` are the page's numbers of the rules, `number` its own among several."""
    card, table = comparison.data.card, rows(comparison)
    own = [numbers[rule] for rule in comparison.runs]
    prefix = "" if number is None else f"data{number + 1}-"
    setting, protocol = statement(comparison)
    earlier = earlier_maps(comparison) if "landscapes" in drawn else None
    return {
        "number": number,
        "prefix": prefix,
        "name": comparison.data.name,
        "title": title(comparison),
        "findings": findings(comparison),
        "setting": setting,
        "protocol": [protocol, *([claims(comparison)] if len(comparison.runs) > 1 else [])],
        "diagram": _diagram(comparison),
        "rules": _rules(comparison, numbers),
        "caption": _caption(comparison, table),
        "columns": _columns(table),
        "lines": _lines(comparison, table, numbers),
        "tables": {name: found for name, make in TABLES.items() if (found := make(comparison, table, numbers)) is not None},
        "left_out": list((comparison.configuration.get("left_out") or {}).items()),
        "figures": [
            figure(name, drawing, list(comparison.runs), own, prefix, earlier if name == "landscapes" else None)
            for name, drawing in drawn.items()
        ],
        "card": {"title": card.title, "description": card.description, "url": _safe_address(card.url)},
        "facts": facts(comparison),
        "understood": understood(summary(comparison)),
        "configuration": json.dumps(_plain(comparison.configuration), indent=2, ensure_ascii=False, allow_nan=False),
    }


def _diagram(comparison: Comparison) -> str:
    """The picture of the network that the reference trained, as SVG; empty where nothing is known of its layers."""
    runs = comparison.runs.get(comparison.reference or "")
    network = getattr(runs, "network", None)
    return "" if network is None else diagram(network.config()).svg()


def _shared_colors(parts: Sequence[Comparison], numbers: Mapping[str, int]) -> dict[str, str | None]:
    """The color of every rule; none where it is not the same in all comparisons."""
    found: dict[str, set[str]] = {rule: set() for rule in numbers}
    for part in parts:
        for rule, color in rule_colors(part.runs).items():
            found[rule].add(color)
    return {rule: colors.pop() if len(colors) == 1 else None for rule, colors in found.items()}


def _ranks(parts: Sequence[Comparison], numbers: Mapping[str, int]) -> dict[str, Any] | None:
    """The table of ranks over data sets; None where too few rules are in all comparisons."""
    try:
        summary = ranks_over(parts)
    except UserError:
        return None
    words = "Rank of every rule on each data set by its mean test score, 1 for the best; best on average first. "
    words += f"Friedman's test that all rules are alike: p = {format_p_value(summary.p_value)}. Average ranks that differ "
    words += f"by {summary.critical_difference:.2f} or more differ at the {100 * summary.level:.0f} % level (Nemenyi)."
    if summary.left_out:
        words += f" Left out, since some data set lacks them: {', '.join(summary.left_out)}."
    places = {rule: place for place, rule in enumerate(summary.rules)}
    lines = [
        {"rule": rule, "number": numbers[rule], "average": mean, "ranks": summary.ranks[:, places[rule]].tolist()}
        for rule, mean in summary.average_ranks.items()
    ]
    return {"caption": words, "data_sets": summary.data_sets, "lines": lines}


def _caption(comparison: Comparison, table: list[Row]) -> str:
    words = "Best first. ± is the half width of the 95 % "
    words += (
        "interval over folds, corrected for the training examples that they share."
        if comparison.folds
        else "Student-t interval over the seeds that finished."
    )
    words += f" {few}" if (few := too_few_to_tell(table)) else ""
    if comparison.reference in comparison.runs:
        one = "fold" if comparison.folds else "seed"
        words += f" Differences are to {comparison.reference}, {one} by {one}."
    if has_credit(table):
        how = "corrected interval" if comparison.folds else "bootstrap interval where the seeds are enough for one"
        words += f" Credit score: {CREDIT_WORDS}, with its 95 % {how}."
    words += " Loss area: the area under the training-loss curve, in loss times epochs; less is faster."
    words += " Seconds: wall time of the final runs including validation and diagnostics, without compiling and tuning."
    if any(row.diverged for row in table):
        words += " Runs that diverged are counted, and left out of the means;"
        words += " rules with such runs come after those without, whatever the mean of the rest."
    return words


def _columns(table: list[Row]) -> list[dict[str, str]]:
    score, difference = score_titles(table)
    credit = ("Credit score",) if has_credit(table) else ()
    titles = ("Rule", score, difference, *credit, "Loss area", "Learning rate", "Diverged", "Seconds", "Notes")
    return [{"title": text, "kind": "text" if text in ("Rule", "Notes") else "number"} for text in titles]


def _lines(comparison: Comparison, table: list[Row], numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    colors, credit = rule_colors(comparison.runs), has_credit(table)
    return [
        {"row": row, "number": numbers[row.rule], "color": colors[row.rule], "cells": _cells(comparison, row, credit)}
        for row in table
    ]


def _cells(comparison: Comparison, row: Row, credit: bool) -> list[Cell]:
    """The cells of a rule or a control after its name."""
    score, difference = format_score(row)
    reference, notes = row.rule == comparison.reference, format_notes(row)
    return [
        Cell(score, row.mean),
        Cell("reference" if reference else difference, row.difference, "soft" if reference else ""),
        *([Cell("1", 1.0, "soft") if reference else Cell(format_credit(row), row.credit_score)] if credit else []),
        Cell(format_number(row.area), row.area),
        Cell(format_number(row.learning_rate), row.learning_rate),
        Cell(f"{row.diverged} of {row.seeds}", row.diverged, "bad" if row.diverged else ""),
        Cell(format_seconds(row.seconds), row.seconds),
        Cell(notes, notes, "notes"),
    ]


def _controls(comparison: Comparison, table: list[Row], numbers: Mapping[str, int]) -> dict[str, Any] | None:
    """The table of what the rules must be above; None where there is nothing."""
    controls = control_rows(comparison)
    if not controls:
        return None
    what = "; ".join(f"{row.rule}: {CONTROLS.get(row.rule, '')}" for row in controls)
    words = (
        f"What a rule must be above for its score to say that it assigns credit to hidden layers. {what[0].upper()}{what[1:]}. "
    )
    words += "Tuned as the rules are, on the same seeds and batches, and none of them in tests, ranks and differences."
    columns = _columns(controls)
    lines = [{"rule": row.rule, "color": GRAY, "cells": _cells(comparison, row, credit=False)} for row in controls]
    titles, kinds = ([column[part] for column in columns] for part in ("title", "kind"))
    told = {"title": "What a rule must be above", "caption": words}
    return told | {"titles": ["Control", *titles[1:]], "kinds": kinds, "lines": lines}


def _folds(comparison: Comparison, table: list[Row], numbers: Mapping[str, int]) -> dict[str, Any] | None:
    """The table of every fold's scores; None where there are no folds."""
    if not comparison.folds:
        return None
    colors, measure = rule_colors(comparison.runs), measure_of(table[0].score)
    sizes = [len(fold.data.test.targets) or summary(fold)["sizes"]["test"] for fold in comparison.folds]
    lines = []
    for row in table:
        cells = [
            Cell(DASH if mean is None else f"{100 * mean:.2f}" if measure.percent else format_number(mean), mean)
            for mean in row.folds
        ]
        lines.append({"rule": row.rule, "number": numbers[row.rule], "color": colors[row.rule], "cells": cells})
    words = f"{score_titles(table)[0]} of every fold, the mean over its seeds. Every example is tested in one fold: "
    words += f"{min(sizes):,} in each." if min(sizes) == max(sizes) else f"{min(sizes):,} or {max(sizes):,} in each."
    titles = ["Rule", *(f"Fold {number}" for number in range(1, len(comparison.folds) + 1))]
    return {"title": "Folds", "caption": words, "titles": titles, "lines": lines}


def _rules(comparison: Comparison, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """One line on each rule of which something is known."""
    own = rule_filter({rule: rule_colors(comparison.runs)[rule] for rule in comparison.runs})
    return [
        {**one, "number": numbers[one["name"]], "description": comparison.descriptions[one["name"]]}
        for one in own
        if comparison.descriptions.get(one["name"])
    ]


def _statistics(comparison: Comparison, table: list[Row], numbers: Mapping[str, int]) -> dict[str, Any] | None:
    rows = statistics_lines(comparison, [row.rule for row in table])
    if not rows:
        return None
    colors = rule_colors(comparison.runs)
    lines = [
        {"rule": row.rule, "number": numbers[row.rule], "color": colors[row.rule], "cells": statistics_cells(row)}
        for row in rows
    ]
    words, titles = statistics_caption(rows), statistics_titles(rows)
    return {"title": "Statistics", "caption": words, "titles": titles, "lines": lines, "folded": True}


TABLES = {"controls": _controls, "folds": _folds, "statistics": _statistics}
"""The page's tables of numbers beside the results, by the names of their sections. Each is made of a comparison, its rows and
the rules' numbers: its title, what is said below it (`caption`; `folded` where that is long), titles of columns and lines; None
where there is nothing to show."""


def _safe_address(url: str | None) -> str | None:
    """`url` if it is one that a reader may follow; a `javascript:` address is none."""
    return url if url and url.lower().startswith(("https://", "http://")) else None


def _plain(value: Any) -> Any:
    """`value` with what JSON cannot hold turned into text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, str | int) else str(value)
