"""Chart data as CSV text inside the specification: a third of the size of JSON records, and ready to be downloaded."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np


def inline(columns: Mapping[str, Sequence[Any] | np.ndarray]) -> alt.Data:
    """Altair data from columns of one length; numbers keep five digits, what is not finite becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_cell(value) for value in column] for column in columns.values()), strict=True))
    kinds = {name: "string" if _is_text(column) else "number" for name, column in columns.items()}
    # Kinds are stated, not guessed, so that a rule called "1" stays a name.
    return alt.Data(values=buffer.getvalue(), format=alt.CsvDataFormat(type="csv", parse=kinds))


def _is_text(column: Sequence[Any] | np.ndarray) -> bool:
    return any(isinstance(value, str) for value in column)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.5g}" if value is not None and np.isfinite(value) else ""
