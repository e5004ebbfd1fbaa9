"""One look for every chart: colors of rules and classes, font sizes, the clickable legend."""

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np

BLUE, RED, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#882255"
INK = "#1f2328"
GRAY = "#6b7280"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"

# Okabe and Ito's colors without black and yellow, then Tol's muted set: color-blind-safe first. The light ones are darkened, so
# that each stands out by 3 to 1 (WCAG 2.2, 1.4.11) from white, and from the dark page, where a page turns them around.
_PALETTE = (
    *(RED, BLUE, GREEN, "#c45c97", "#b98000", "#3d94cf"),
    *(PURPLE, "#2f8f83", "#7f7f1a", "#a05a2c", "#6c5ce7", "#117733"),
)
# Of lines beyond the first four, whose colors are near to another.
_DASHES = ([7, 3], [2, 2], [8, 2, 2, 2])
# Blue to orange through near-white: the two ends stay apart for every common kind of color blindness.
# The ends are pale enough for darker test points to stand out.
_DIVERGING = ("#4c8fca", "#7fb0da", "#b9d5ec", "#f8f8f6", "#fbdcb4", "#f5b871", "#e8913a")

# 36 hues in lightnesses that stand out from white and from black.
_WHEEL = tuple(
    "#" + "".join(f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue / 36, lightness, 0.6))
    for hue in range(36)
    for lightness in (0.24, 0.32, 0.4)
)

_TEXT: dict[str, Any] = {"labelFontSize": 12, "titleFontSize": 13, "titleFontWeight": 500}
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": FONT,
    "padding": 8,
    "view": {"stroke": None, "continuousWidth": 420, "continuousHeight": 280},
    "title": {
        "anchor": "start",
        "fontSize": 17,
        "fontWeight": 600,
        "color": INK,
        "subtitleFontSize": 13,
        "subtitleColor": GRAY,
        "subtitlePadding": 5,
        "offset": 14,
    },
    "axis": {
        **_TEXT,
        "labelColor": "#4b5563",
        "titleColor": INK,
        "titlePadding": 8,
        "gridColor": "#e9ebee",
        "domainColor": "#9ca3af",
        "tickColor": "#9ca3af",
        "labelFlush": False,
    },
    "legend": {
        **_TEXT,
        "labelLimit": 230,
        "symbolLimit": 0,
        "symbolStrokeWidth": 3,
        "symbolSize": 150,
        "columnPadding": 18,
        "labelColor": INK,
        "rowPadding": 4,
    },
    "header": {"labelFontSize": 13, "labelFontWeight": 600, "labelColor": INK, "titleFontSize": 13},
}


def many_colors(count: int) -> list[str]:
    """`count` distinct colors: the palette first, then of a wheel of hues the one farthest from all before it."""
    colors = list(_PALETTE[:count])
    while len(colors) < count:
        taken = np.stack([rgb(color) for color in (*colors, INK)])
        nearest = [_distances(rgb(color), taken).min() for color in _WHEEL]
        colors.append(_WHEEL[int(np.argmax(nearest))])
    return colors


def _distances(color: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How different a color looks from each of the others: the "redmean" weighting of RGB, near to CIELUV's distance."""
    red = (color[0] + others[:, 0]) / 512
    return np.sqrt((np.stack([2 + red, np.full_like(red, 4.0), 3 - red], axis=1) * (color - others) ** 2).sum(1))


def rule_colors(rules: Iterable[str]) -> dict[str, str]:
    """Rule name to color, in the order of `rules`; backpropagation, the common yardstick, is always near-black."""
    names = list(rules)
    others = iter(many_colors(len(names)))
    return {name: INK if name == "backpropagation" else next(others) for name in names}


def dash_of(color: str) -> list[int]:
    """The dashes of lines in one of `many_colors`, in pixels: none for near-black and the first four, which are far apart."""
    apart = (INK, *_PALETTE[:4])
    others = (*_PALETTE[4:], *_WHEEL)
    return [1, 0] if color in apart or color not in others else _DASHES[others.index(color) % len(_DASHES)]


def rgb(color: str) -> np.ndarray:
    """`#rrggbb` to three numbers, 0 to 255."""
    return np.array([int(color[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float64)


def diverging(values: np.ndarray) -> np.ndarray:
    """Values 0 to 1 to RGB (..., 3), 0 to 255: blue at 0, near-white at one half, orange at 1."""
    anchors = np.stack([rgb(color) for color in _DIVERGING])
    places = np.linspace(0.0, 1.0, len(anchors))
    return np.stack([np.interp(values, places, channel) for channel in anchors.T], axis=-1)


def rule_color(colors: Mapping[str, str], *, legend: bool = True) -> alt.Color:
    """The color encoding of field `rule` for the rules in `colors`, with a legend below the chart."""
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.Color("rule:N", scale=scale, sort=list(colors), legend=_rule_legend(colors) if legend else None)


def rule_dash(colors: Mapping[str, str]) -> alt.StrokeDash:
    """The same field by dashes; its legend, which is that of the color too, tells rules apart whose colors are near."""
    scale = alt.Scale(domain=list(colors), range=[dash_of(color) for color in colors.values()])
    return alt.StrokeDash("rule:N", scale=scale, sort=list(colors), legend=_rule_legend(colors))


def _rule_legend(colors: Mapping[str, str]) -> alt.Legend | None:
    longest = max((len(rule) for rule in colors), default=1)
    # As many columns as fit below a figure about a thousand pixels wide.
    columns = int(np.clip(1000 // (60 + 7 * min(longest, 32)), 1, 6))
    below = alt.Legend(title=None, orient="bottom", columns=columns, symbolType="stroke", symbolOpacity=1.0)
    return below if len(colors) > 1 else None


def legend_selection() -> alt.Parameter:
    """A selection of rules by clicks on the legend; shift adds a rule, a double click shows all again."""
    return alt.selection_point(fields=["rule"], bind="legend", name="chosen_rules")


def joined(panels: Sequence[Any], selection: alt.Parameter, *, columns: int) -> Any:
    """`panels` in a grid, `columns` across, that answer to one legend."""
    # The selection belongs to the first panel only, since Altair warns about a second copy; the rest refer to it.
    first, *others = panels
    return alt.concat(first.add_params(selection), *others, columns=columns, spacing=32)


def themed(chart: Any, title: str, *subtitle: str) -> Any:
    """`chart` with its title, optional lines below it, and the look that all charts share."""
    heading = alt.TitleParams(text=title, subtitle=list(subtitle)) if subtitle else alt.TitleParams(text=title)
    # Altair's own methods would copy the whole chart, with all its panels, each time.
    chart.title, chart.config = heading, alt.Config(**CONFIG)
    return chart
