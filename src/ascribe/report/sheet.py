"""One HTML page of checks and their figures, for results that are no comparison; it opens from disk without a network."""

import base64
from collections.abc import Sequence
from typing import Any

from .document import figure, render

COLUMNS = ("What is checked", "Expected", "Here", "Outcome")


def sheet(title: str, entries: Sequence[dict[str, Any]]) -> str:
    """The page: how many checks are reproduced, then a section for each of `entries`, with figures and a table of its checks.

    An entry holds the texts `name`, `title` and `source`; `figures`, each a `Drawing` by its name; `drawings`, caption to SVG;
    and `checks` (each `statement`, `expected`, `got`, `passed`, and the `outcome` in words). The drawings are embedded as
    images, so that their inner names cannot meet, and the template escapes everything else.
    """
    return render(
        "sheet.html.jinja",
        title=title,
        findings=_findings(entries),
        columns=COLUMNS,
        entries=[
            {
                **entry,
                "title": capitalized(entry["title"]),
                "figures": [figure(name, drawn, (), (), f"{entry['name']}-") for name, drawn in entry["figures"].items()],
                "drawings": {caption: data_uri(svg) for caption, svg in entry["drawings"].items()},
            }
            for entry in entries
        ],
    )


def capitalized(text: str) -> str:
    """With a capital letter first, the others as they are."""
    return text[:1].upper() + text[1:]


def data_uri(svg: str) -> str:
    """A picture as the address of an image that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8')).decode('ascii')}"


def _findings(entries: Sequence[dict[str, Any]]) -> list[str]:
    """How many checks agree, and which do not."""
    checks = [(entry, check) for entry in entries for check in entry["checks"]]
    failed = [f"{entry['name']}: {check['statement']}" for entry, check in checks if not check["passed"]]
    if not failed:
        return ["The one check is reproduced." if len(checks) == 1 else f"All {len(checks)} checks are reproduced."]
    return [
        f"{len(checks) - len(failed)} of {len(checks)} checks are reproduced.",
        f"Not reproduced: {'; '.join(failed)}.",
    ]
