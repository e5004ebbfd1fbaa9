"""What the small multiples of learned functions share: their grid, their axes, the range and a sample of the data."""

import re
from typing import Any

import altair as alt
import numpy as np

from .table import DASH

TEST_POINTS = 160
PANEL_NAME = re.compile(r"rule(\d+)")
"""The names that `panel_name` gives."""


def layout(count: int) -> tuple[int, int]:
    """Panels across and their side in pixels, for a page about a thousand pixels wide."""
    if count > 15:
        return 7, 108
    across = min((4, 3, 5), key=lambda width: -(-count // width) * width - count) if count > 4 else count
    return across, (250, 250, 250, 200, 158)[across - 1]


def has_examples(data: Any) -> bool:
    """Whether there are test points to show: large data is not kept, and a record of it comes back with empty splits."""
    return len(data.test.inputs) > 0


def sample(count: int) -> np.ndarray:
    """Indices of at most `TEST_POINTS` of `count` examples, the same on every call."""
    generator = np.random.default_rng(0)
    return np.sort(generator.permutation(count)[:TEST_POINTS])


def panel_name(index: int) -> str:
    """What the panel of the rule with that number is called in the drawing, so that a page can tell whose it is."""
    return f"rule{index}"


def panel_title(rule: str, score: str, size: int) -> alt.TitleParams:
    """The title of one panel `size` pixels wide: the rule, and its test score (or that it diverged) below."""
    score = "diverged" if score == DASH else score
    font: dict[str, Any] = {"fontSize": 13, "subtitleFontSize": 12} if size >= 150 else {"fontSize": 11, "subtitleFontSize": 10}
    return alt.TitleParams(rule, subtitle=score, anchor="middle", offset=4, limit=size + 10, subtitlePadding=2, **font)


def axis_titles(data: Any) -> tuple[str, str]:
    """The names of the first two features, with their unit where it is not their own; of one alone, the second is made up."""
    names = [str(name) for name in data.feature_names] or ["feature 1"]
    unit = "" if getattr(data, "input_mean", None) is None else " (standardized)"
    return f"{names[0]}{unit}", f"{names[1] if len(names) > 1 else 'feature 2'}{unit}"


def axes_of(
    data: Any, low: np.ndarray, high: np.ndarray, *, index: int, across: int, count: int, second: str | None = None
) -> tuple[Any, Any]:
    """Makers of the x and y encoding of a panel; only the outer panels carry axis titles and labels.

    With `second`, the title of a y axis that is no feature, the panel is a plot and has grid lines; else a picture.
    """
    first, other = axis_titles(data)
    titles = first, second if second is not None else other
    grid = second is not None
    left, bottom = index % across == 0, index // across == (count - 1) // across

    def maker(kind: Any, place: int, outer: bool) -> Any:
        scale = alt.Scale(domain=[float(low[place]), float(high[place])], nice=False, zero=False)
        axis = alt.Axis(tickCount=4, grid=grid, domain=grid, labels=outer, ticks=outer, format="~g")
        return lambda field: kind(f"{field}:Q", title=titles[place] if outer else None, scale=scale, axis=axis)

    return maker(alt.X, 0, bottom), maker(alt.Y, 1, left)
