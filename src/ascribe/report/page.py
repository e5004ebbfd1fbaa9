"""One HTML page with everything of a comparison, which opens from disk without a network."""

import base64
import functools
import hashlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import vl_convert

from .base import Comparison
from .figures import VEGA_LITE, drawings
from .statement import facts, statement, title
from .statistics_table import statistics_caption, statistics_cells, statistics_lines, statistics_titles
from .table import Row, format_notes, format_number, format_score, format_seconds, rows, score_title
from .theme import rule_colors


def page(comparison: Comparison, drawn: dict[str, dict[str, Any]] | None = None) -> str:
    """The report as HTML: statement, table, statistics, figures, data card, configuration. It fetches nothing.

    `drawn` is `drawings(comparison)` where it is at hand already. The template escapes everything but what it marks safe: the
    style, the two scripts and the figures' embedded JSON. Scripts run only if their hash is in the page's policy, so a hostile
    name could not smuggle one in even unescaped.
    """
    runtime, script = _runtime(), _script_safe(_asset("page.js"))
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["number"] = lambda value: "" if value is None else repr(value)
    card = comparison.data.card
    table = rows(comparison)
    return environment.from_string(_asset("page.html.jinja")).render(
        title=title(comparison),
        statement=statement(comparison),
        policy=_policy(runtime, script),
        style=_asset("page.css"),
        caption=_caption(comparison, table),
        columns=_columns(table),
        lines=_lines(comparison, table),
        statistics=_statistics(comparison, table),
        left_out=list((comparison.configuration.get("left_out") or {}).items()),
        figures=[
            _figure(name, drawing) for name, drawing in (drawings(comparison) if drawn is None else drawn).items()
        ],
        data_name=comparison.data.name,
        card={"title": card.title, "description": card.description, "url": _safe_address(card.url)},
        facts=facts(comparison),
        configuration=json.dumps(_plain(comparison.configuration), indent=2, ensure_ascii=False, allow_nan=False),
        runtime=runtime,
        script=script,
    )


def write_page(
    comparison: Comparison, path: str | os.PathLike[str], drawn: dict[str, dict[str, Any]] | None = None
) -> Path:
    """Write `page(comparison, drawn)` to `path`, whole or not at all; returns the path."""
    path = Path(path)
    text = page(comparison, drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A neighbor of the target, since os.replace is atomic within one file system only; opened as any new file is, so that
    # the report gets the rights that the user's umask leaves it, and not the private ones of mkstemp.
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return path


def embedded_json(value: Any) -> str:
    """`value` as JSON that may stand inside a script element: no `<`, so it cannot close the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _figure(name: str, drawing: dict[str, Any]) -> dict[str, Any]:
    # On the page the title is a heading and the subtitle a caption, so the drawing need not repeat them.
    heading = drawing["title"]
    drawing = {key: value for key, value in drawing.items() if key != "title"}
    return {
        "name": name,
        "title": heading["text"],
        "subtitle": " ".join(heading.get("subtitle", [])),
        "interactive": "chosen_rules" in json.dumps(drawing.get("params", [])),
        "specification": embedded_json(drawing),
    }


def _caption(comparison: Comparison, table: list[Row]) -> str:
    words = "Best first. ± is the half width of the 95 % Student-t interval over the seeds that finished."
    if comparison.reference in comparison.runs:
        words += f" Differences are to {comparison.reference}, seed by seed."
    words += " Loss area: the area under the training-loss curve, in loss times epochs; less is faster."
    words += " Seconds: wall time of the final runs including validation and diagnostics, without compiling and tuning."
    if any(row.diverged for row in table):
        words += " Runs that diverged are counted, and left out of the means;"
        words += " rules with such runs come after those without, whatever the mean of the rest."
    return words


def _columns(table: list[Row]) -> list[dict[str, str]]:
    score, difference = score_title(table[0].score if table else "test_accuracy")
    titles = ("Rule", score, difference, "Loss area", "Learning rate", "Diverged", "Seconds", "Notes")
    return [{"title": text, "kind": "text" if text in ("Rule", "Notes") else "number"} for text in titles]


def _lines(comparison: Comparison, table: list[Row]) -> list[dict[str, Any]]:
    colors = rule_colors(comparison.runs)
    lines = []
    for row in table:
        score, difference = format_score(row)
        line = {"row": row, "color": colors[row.rule], "score": score, "difference": difference}
        line |= {
            "area": format_number(row.area),
            "learning_rate": format_number(row.learning_rate),
            "seconds": format_seconds(row.seconds),
        }
        lines.append(line | {"notes": format_notes(row), "reference": row.rule == comparison.reference})
    return lines


def _statistics(comparison: Comparison, table: list[Row]) -> dict[str, Any] | None:
    rows = statistics_lines(comparison, [row.rule for row in table])
    if not rows:
        return None
    colors = rule_colors(comparison.runs)
    lines = [{"rule": row.rule, "color": colors[row.rule], "cells": statistics_cells(row)} for row in rows]
    return {"caption": statistics_caption(rows), "titles": statistics_titles(rows), "lines": lines}


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


def _asset(name: str) -> str:
    return resources.files(__package__ or "ascribe.report").joinpath(name).read_text(encoding="utf-8")


@functools.cache
def _runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script for all charts, about 0.9 MB, made once a process."""
    return _script_safe(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE))


def _script_safe(source: str) -> str:
    """`source` that no `</script` or `<!--` of its own can end early, with the line ends that HTML keeps."""
    return source.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str) -> str:
    """A content security policy: nothing from outside, and only `scripts` to run."""
    digests = (base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    # Vega compiles its expressions with Function(), which the policy calls eval; its interpreter is not in the bundle.
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
