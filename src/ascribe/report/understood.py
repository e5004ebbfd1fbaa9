"""What was understood of a table or text of the user's own, as the page shows it."""

from collections.abc import Mapping
from typing import Any

from ascribe.datasets.understood import Understood

SHOWN = 200
"""The page lists so many columns; the record has all."""


def understood(summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """Sentences and the table of columns, of a data set's summary; None where there is nothing of the kind."""
    if not summary.get("understood"):
        return None
    found = Understood.from_settings(summary["understood"])
    columns = [(one.name, one.role, one.holds, one.missing) for one in found.columns]
    return {
        "kind": found.kind,
        "sentences": found.sentences(),
        "columns": columns[:SHOWN],
        "more": max(len(columns) - SHOWN, 0),
    }
