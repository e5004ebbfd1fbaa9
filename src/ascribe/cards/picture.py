"""A card as one picture: SVG without any drawing package, narrow enough for a phone."""

import math
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from ascribe.charts.theme import FONT, diverging

from .needs import SOURCES
from .sections import chain_told, groups_of

if TYPE_CHECKING:
    from .card import Card


WIDTH, MARGIN, LINE = 520.0, 18.0, 18.0
LEFT = 132.0
"""Where bars and cells begin, behind their labels."""
LETTERS = 74
"""Characters in a line of text."""
INK, SOFT, FAINT, PAPER, BAR = "#1f2328", "#59636e", "#9aa3ad", "#ffffff", "#0072b2"
# Classes begin with c-, for the page around a picture has its own.
DARK = (
    "@media (prefers-color-scheme: dark){"
    "svg:root .c-paper{fill:#1d2127}svg:root text{fill:#e6e8eb}svg:root .c-soft{fill:#a2abb5}"
    "svg:root .c-line{stroke:#a2abb5}svg:root .c-bar{fill:#3d94cf}svg:root .c-no{fill:#59636e}svg:root .c-in{fill:#1f2328}}"
)
SHOWN = {"operations": "operations", "bytes": "bytes moved", "peak": "peak memory", "seconds": "time here"}


class _Canvas:
    """What is drawn so far, down to `y`."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.y = MARGIN

    def text(
        self,
        x: float,
        text: str,
        *,
        y: float | None = None,
        size: int = 13,
        kind: str = "",
        anchor: str = "start",
        strong: bool = False,
    ) -> None:
        style = f' class="{kind}"' if kind else ""
        weight = ' font-weight="600"' if size > 13 or strong else ""
        place = f'x="{x:.1f}" y="{self.y if y is None else y:.1f}"'
        fill = {"c-soft": SOFT}.get(kind, INK)
        self.parts.append(
            f'<text {place} font-size="{size}" fill="{fill}" text-anchor="{anchor}"{style}{weight}>{escape(text)}</text>'
        )

    def dot(self, x: float, *, on: bool, told: str) -> None:
        fill, kind = (BAR, "c-bar") if on else (FAINT, "c-no")
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{self.y - 4:.1f}" r="{5 if on else 2}" fill="{fill}" class="{kind}">'
            f"<title>{escape(told)}</title></circle>"
        )

    def lines(self, text: str, *, kind: str = "", letters: int = LETTERS) -> None:
        for line in wrap(text, letters):
            self.y += LINE
            self.text(MARGIN, line, kind=kind)

    def title(self, text: str) -> None:
        self.y += 34
        self.text(MARGIN, text, size=15)
        self.y += 6

    def box(self, x: float, width: float, height: float, *, fill: str, kind: str = "", told: str = "") -> None:
        style = f' class="{kind}"' if kind else ""
        title = f"<title>{escape(told)}</title>" if told else ""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{self.y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" rx="2" '
            f'fill="{fill}"{style}>{title}</rect>'
        )

    def line(self, x: float, top: float, bottom: float) -> None:
        self.parts.append(f'<path d="M{x:.1f},{top:.1f}V{bottom:.1f}" stroke="{SOFT}" stroke-width="1.5" class="c-line"/>')


def picture(card: "Card") -> str:
    """The card as SVG; dark where the screen's colors are, if it is a file of its own."""
    canvas = _Canvas()
    canvas.y += 14
    canvas.text(MARGIN, card.rule, size=20)
    canvas.y += 2
    for sentence in card.head:
        canvas.lines(sentence, kind="c-soft")
    for draw in (_needs, _chain, _cost, _quality, _limit):
        draw(canvas, card)
    width, height = f"{WIDTH:.0f}", f"{math.ceil(canvas.y + MARGIN)}"
    size = f'width="{width}" height="{height}"'
    label = quoteattr(f"The card of {card.rule}: " + " ".join(card.head))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size} role="img" aria-label={label} '
        f"font-family={quoteattr(FONT)}><style>{DARK}</style>"
        f'<rect {size} fill="{PAPER}" class="c-paper"/>{"".join(canvas.parts)}</svg>'
    )


def _needs(canvas: _Canvas, card: "Card") -> None:
    """A row for each source, a column for each group of layers, and a dot where it is needed."""
    if card.needs is None:
        return
    groups = groups_of(card.needs)
    canvas.title("What the credit of each layer is made of")
    left, step = LEFT + 40, min(96.0, (WIDTH - LEFT - 40 - MARGIN) / len(groups))
    if step >= 60:
        canvas.y += LINE
        for place, (name, _) in enumerate(groups):
            canvas.text(left + (place + 0.5) * step, name.replace(" to ", "–"), size=12, kind="c-soft", anchor="middle")
    for source in SOURCES:
        canvas.y += LINE
        needed = any(source in found for _, found in groups)
        canvas.text(MARGIN, source, kind="" if needed else "c-soft")
        for place, (name, found) in enumerate(groups):
            canvas.dot(left + (place + 0.5) * step, on=source in found, told=f"{name}: {'yes' if source in found else 'no'}")
    canvas.y += 10
    for name, answer in card.needs.properties.items():
        canvas.y += LINE
        canvas.text(MARGIN, name)
        canvas.text(left, answer, strong=answer != "no")


def _chain(canvas: _Canvas, card: "Card") -> None:
    if card.chain:
        canvas.title("The chain")
        canvas.lines(chain_told(card.chain))


def _cost(canvas: _Canvas, card: "Card") -> None:
    """Bars of the card's own network; a line where backpropagation is."""
    found = {name: card.cost[0].ratio(name) for name in SHOWN} if card.cost else {}
    known = {name: ratio for name, ratio in found.items() if ratio is not None}
    if not known:
        return
    canvas.title(f"What a step costs on {card.network}, backpropagation's = 1")
    largest = max(*known.values(), 1.0)
    room = WIDTH - LEFT - MARGIN - 56
    top = canvas.y + 4
    for name, ratio in known.items():
        canvas.y += 8
        canvas.text(MARGIN, SHOWN[name], y=canvas.y + 12)
        canvas.box(LEFT, room * ratio / largest, 15.0, fill=BAR, kind="c-bar")
        canvas.text(LEFT + room * ratio / largest + 6, f"{ratio:.2f}", y=canvas.y + 12)
        canvas.y += 15
    canvas.line(LEFT + room / largest, top, canvas.y + 5)
    canvas.y += 4


def _quality(canvas: _Canvas, card: "Card") -> None:
    """A row for each depth, a cell for each layer."""
    if not card.quality:
        return
    canvas.title("Angle to backpropagation's gradient, layer by layer")
    canvas.lines("From the input to the output, by the number of hidden layers.", kind="c-soft")
    canvas.y += 4
    for one in card.quality:
        names = [name for name in one.angles if name != "total"]
        _row(canvas, f"{one.depth} hidden layers", names, [one.angles[name] for name in names])
    canvas.y += 20
    _scale(canvas)


def _row(canvas: _Canvas, label: str, names: Sequence[str], degrees: Sequence[float]) -> None:
    canvas.y += 6
    canvas.text(MARGIN, label, y=canvas.y + 16)
    width = (WIDTH - LEFT - MARGIN) / len(names)
    for place, (name, angle) in enumerate(zip(names, degrees, strict=True)):
        known = math.isfinite(angle)
        told = f"{name}: {angle:.1f} degrees" if known else f"{name}: not measurable"
        canvas.box(LEFT + place * width, width - 1.5, 22.0, fill=_color(angle) if known else "none", told=told)
        if width >= 26:
            text = f"{angle:.0f}°" if known else "–"
            canvas.text(LEFT + place * width + width / 2, text, y=canvas.y + 15, size=12, kind="c-in", anchor="middle")
    canvas.y += 22


def _scale(canvas: _Canvas) -> None:
    """What the colors mean."""
    steps, size = 19, 10.0
    x = LEFT
    for step in range(steps):
        canvas.box(x + step * size, size, 10.0, fill=_color(180.0 * step / (steps - 1)))
    end = canvas.y + 10
    canvas.text(x - 6, "0°", y=end, size=12, kind="c-soft", anchor="end")
    canvas.text(x + steps * size + 6, "180°; 90° is no direction at all", y=end, size=12, kind="c-soft")
    canvas.y = end


def _color(degrees: float) -> str:
    red, green, blue = diverging(np.asarray(min(max(degrees / 180.0, 0.0), 1.0)))
    return f"#{round(red):02x}{round(green):02x}{round(blue):02x}"


def _limit(canvas: _Canvas, card: "Card") -> None:
    if card.limit is not None:
        canvas.title("Its limit")
        canvas.lines(str(card.limit))
