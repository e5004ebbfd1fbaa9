"""Lines of several kinds in one panel: a color each, and a legend below."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

from .inline import Table, inline


def stacked(x: Sequence[Any] | np.ndarray, columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Columns over one x as the rows of a table: `x`, `y`, and as `kind` the name of the column."""
    return {
        "x": [*x] * len(columns),
        "y": [value for column in columns.values() for value in column],
        "kind": [name for name in columns for _ in x],
    }


def kind_color(colors: Mapping[str, str], field: str = "kind", **legend: Any) -> alt.Color:
    """The color of every kind by its name, in this order; `legend`: what Altair's `Legend` takes besides its place."""
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    below = alt.Legend(orient="bottom", **legend)
    return alt.Color(f"{field}:N", title=None, sort=list(colors), scale=scale, legend=below)


def line_chart(
    rows: Table,
    colors: Mapping[str, str],
    x: alt.X | str,
    y: alt.Y | str | None,
    **mark: Any,
) -> alt.Chart:
    """A line for each kind of the rows. `x`, `y`: the encodings, or the titles of the axes of the columns `x` and `y`; `mark`:
    how the lines are drawn, 2 pixels wide unless it says otherwise."""
    return (
        alt.Chart(inline(rows))
        .mark_line(**{"strokeWidth": 2, **mark})
        .encode(
            x=x if isinstance(x, alt.X) else alt.X("x:Q", title=x),
            y=y if isinstance(y, alt.Y) else alt.Y("y:Q", title=y),
            color=kind_color(colors),
        )
    )


def panel_title(text: str, **more: Any) -> alt.TitleParams:
    """The title of one panel of several, above its middle."""
    return alt.TitleParams(text, **{"anchor": "middle", "fontSize": 13, **more})
