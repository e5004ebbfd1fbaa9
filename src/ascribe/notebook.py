"""What a notebook shows of a result: tables and curves as HTML. Every text is escaped, and text, rules and axes have the page's
own color, so that it reads on light and on dark pages."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from ascribe.measures import measure_of, score_name, title_of
from ascribe.statistics import Runs, band, corrected_interval, finished, resampled

POINTS, RATIO_FOR_LOG, LARGEST = 100, 30.0, 1e100
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 370, 230, 62, 12, 28, 38  # of a panel, and its margins, in pixels

_FRAME = "color-mix(in srgb, currentColor 25%, transparent)"
_STYLE = (
    ".ascribe-shown p { margin: 0.3em 0; }"
    ".ascribe-shown .ascribe-soft { font-size: 90%; opacity: 0.8; max-width: 60em; }"
    ".ascribe-shown table { border-collapse: collapse; margin: 0.3em 0; color: inherit; }"
    ".ascribe-shown th, .ascribe-shown td { text-align: right; vertical-align: top; padding: 0.2em 0.7em; border: 0; "
    "font-variant-numeric: tabular-nums; }"
    ".ascribe-shown tbody th { font-weight: normal; }"
    f".ascribe-shown tbody, .ascribe-shown tfoot {{ border-top: 1px solid {_FRAME}; }}"
    ".ascribe-shown .ascribe-words { text-align: left; overflow-wrap: anywhere; }"
    ".ascribe-shown .ascribe-mark { display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.5em; "
    "background: currentColor; }"
    ".ascribe-shown svg { max-width: 100%; height: auto; }"
)


def shown(title: str, *parts: str) -> str:
    """A result below its title; `parts` are what the functions below return."""
    head = f"<style>{_STYLE}</style><p><b>{_clean(title)}</b></p>"
    return f'<div class="ascribe-shown">{head}{"".join(parts)}</div>'


def table(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: int = 1,
    colors: Sequence[str] = (),
    total: Sequence[str] = (),
) -> str:
    """A table. Its first `words` columns hold words, the others numbers; `colors`: of a mark before each of the first rows,
    those that belong to curves; `total`: a last row."""

    kinds = lambda place: ' class="ascribe-words"' if place < words else ""

    def line(cells: Sequence[str], mark: str = "") -> str:
        first = f'<th scope="row"{kinds(0)}>{mark}{_clean(cells[0])}</th>'
        others = (f"<td{kinds(place)}>{_clean(cell)}</td>" for place, cell in enumerate(cells) if place)
        return f"<tr>{first}{''.join(others)}</tr>"

    head = "".join(f'<th scope="col"{kinds(place)}>{_clean(title)}</th>' for place, title in enumerate(titles))
    marks = [f'<span class="ascribe-mark" style="{_ink(color)}"></span>' for color in colors]
    body = [line(cells, marks[place] if place < len(marks) else "") for place, cells in enumerate(rows)]
    return (
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{''.join(body)}</tbody>"
        f"{f'<tfoot>{line(total)}</tfoot>' if total else ''}</table>"
    )


def sentences(lines: Iterable[str]) -> str:
    """What is said below a table, a paragraph a line."""
    return "".join(f'<p class="ascribe-soft">{_clean(line)}</p>' for line in lines)


def curves(runs: Mapping[str, Runs], colors: Mapping[str, str], score: str) -> str:
    """Training loss and the curve named `score`, a panel each, a line a rule: the mean over the seeds that finished (over
    all, where none did) with its 95 % interval. Empty where nothing is finite."""
    drawn = []
    for name in (score_name("train", "loss"), score):
        lines = {rule: _line(one, name) for rule, one in runs.items() if name in one.curves}
        lines = {rule: line for rule, line in lines.items() if len(line.epochs)}
        if lines:
            drawn.append(_panel(name, lines, colors))
    return f"<div>{' '.join(drawn)}</div>" if drawn else ""


class _Line(NamedTuple):
    epochs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def _line(runs: Runs, name: str) -> _Line:
    """At most `POINTS` epochs of a curve over seeds, without those where it is not finite or above `LARGEST`."""
    curve = np.asarray(runs.curves[name], np.float64)
    curve = curve if np.all(runs.diverged) else finished(curve, runs.diverged)
    places = np.unique(np.linspace(0, curve.shape[1] - 1, min(curve.shape[1], POINTS)).round().astype(int))
    values, test_to_train = resampled(runs, curve[:, places])
    mean, half_width = corrected_interval(values, test_to_train)
    half_width = np.where(half_width < LARGEST, band(values, half_width), 0.0)
    kept = np.abs(mean) < LARGEST
    mean, half_width = mean[kept], half_width[kept]
    return _Line(places[kept] + 1.0, mean, mean - half_width, mean + half_width)


def _panel(name: str, lines: Mapping[str, _Line], colors: Mapping[str, str]) -> str:
    means, lows, highs = (np.concatenate(part) for part in list(zip(*lines.values(), strict=True))[1:])
    title, percent = title_of(name), measure_of(name).percent
    log = not percent and means.min() > 0.0 and means.max() > RATIO_FOR_LOG * means.min()
    # A symmetric interval may reach zero, where a logarithm ends.
    least, largest = (0.0, 1.0) if percent else (means.min() / 2.0 if log else -np.inf, np.inf)
    low, high = float(max(lows.min(), least)), 1.0 if percent else float(highs.max())
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-200):  # nothing changes
        low, high = low - (0.05 * abs(low) or 1.0), high if percent else high + (0.05 * abs(high) or 1.0)
    last = max(float(line.epochs[-1]) for line in lines.values())
    first, end = (1.0, last) if last > 1.0 else (0.0, 2.0)
    scale = np.log10 if log else np.asarray
    x = lambda epochs: LEFT + (epochs - first) / (end - first) * (WIDTH - LEFT - RIGHT)
    y = lambda values: HEIGHT - BOTTOM - (scale(values) - scale(low)) / (scale(high) - scale(low)) * (HEIGHT - TOP - BOTTOM)

    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<text x="{LEFT}" y="16" font-weight="600">{_clean(title)}</text>']
    for tick in _decades(low, high) if log else _ticks(low, high):
        place = float(y(tick))
        text = f"{100 * tick:.6g} %" if percent else f"{tick:.6g}".replace("-", "−")
        parts.append(f'<path d="M{LEFT},{place:.1f}H{right}" stroke="currentColor" stroke-opacity="0.15"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{place + 4:.1f}" text-anchor="end">{text}</text>')
    for tick in _ticks(max(first, 1.0), max(last, 1.0), least=1.0):
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:.0f}</text>')
    parts.append(f'<path d="M{LEFT},{bottom}H{right}" stroke="currentColor" stroke-opacity="0.5"/>')
    parts.append(f'<text x="{(LEFT + right) // 2}" y="{HEIGHT - 6}" text-anchor="middle">Epoch</text>')
    for rule, line in lines.items():
        path = _path(x(line.epochs), y(line.mean))
        bounds = (y(np.clip(bound, least, largest)) for bound in (line.low, line.high[::-1]))
        band = np.concatenate([x(line.epochs), x(line.epochs[::-1])]), np.concatenate(list(bounds))
        # The band of one epoch has no width, and its line no length.
        edge, width = (' stroke="currentColor" stroke-opacity="0.5"', 7) if len(line.epochs) == 1 else ("", 2)
        parts.append(
            f'<g style="{_ink(colors[rule])}"><title>{_clean(rule)}</title>'
            f'<path d="{_path(*band)}Z" fill="currentColor" fill-opacity="0.15"{edge}/>'
            f'<path d="{path}" fill="none" stroke="currentColor" stroke-width="{width}" stroke-linejoin="round" '
            'stroke-linecap="round"/></g>'
        )
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_clean(title)} by epoch" font-size="12" '
        f'fill="currentColor">{"".join(parts)}</svg>'
    )


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Straight lines from point to point; one point alone is a dot, as its line has round ends."""
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]
    return "M" + "L".join(points if len(points) > 1 else 2 * points)


def _ticks(low: float, high: float, *, count: int = 6, least: float = 0.0) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, about `count` of them."""
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9 * abs(high)) / count))
    step = max(least, next(factor * step for factor in (1, 2, 5, 10) if high - low <= count * factor * step))
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, thinned where they are many; 2 and 5 times them too, where they are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 3 else (1,)
    ticks = [factor * 10.0**power for power in powers[:: -(-len(powers) // 7)] for factor in factors]
    return [tick for tick in ticks if low <= tick <= high]


def _ink(color: str) -> str:
    """A color, a little darker on light pages and a little lighter on dark ones."""
    return f"color: {color}; color: color-mix(in srgb, {color} 75%, currentColor)" if color != "currentColor" else ""


def _clean(text: str) -> str:
    """Text that can stand in HTML and in XML, in an element and in an attribute."""
    return escape("".join(character if character.isprintable() else " " for character in str(text)))
