"""A network as a picture: SVG without any drawing package, from the input at the top to the output.

A small network of dense layers is drawn unit by unit: a neuron, a perceptron, a multilayer perceptron, with a line for every
weight, a square for the constant 1 that a bias belongs to, and, where the weights are given, their sign and size. Any other is
drawn layer by layer, where equal layers in a row are one box: a convolutional network, a circuit of depth T. A layer that is
made of others is a box with the tree of them: a residual network, a transformer.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ascribe.errors import UserError
from ascribe.files import path_of, write_whole

UNITS, LAYERS, NUMBERS = 12, 6, 9
"""Up to so many units in a layer, and layers, every unit is drawn; of one neuron with up to so many weights, their numbers."""
MANY = 40
"""Weights of a layer beyond which their lines are thinner."""
ALIKE = 3
"""More equal layers in a row than this are the first, how many more, and the last."""

KINDS = {
    **{"Conv2d": "conv", "MaxPool2d": "maxpool", "AveragePool2d": "averagepool"},
    **{"TransformerBlock": "block", "MixerBlock": "block"},
}
FOLLOWERS = (
    *("Activation", "BatchNorm", "LayerNorm", "Dropout", "MaxPool2d", "AveragePool2d", "GlobalAveragePool", "Flatten"),
    *("Shift", "LastStep"),
)
"""Layers that stand in the box of the one before them."""

LABELS, APART, PITCH, RADIUS, MARGIN, LINE = 92.0, 25.0, 78.0, 9.0, 12.0, 15.0
INDENT = 16.0  # pixels, of a branch of a tree
CHARACTER = 6.6  # pixels, of a letter of 12 pixels, at most
INK, PAPER, ARROW = "#1f2328", "#ffffff", "#6b7280"
POSITIVE, NEGATIVE, PLAIN = "#0072b2", "#d55e00", "#9ca3af"
FILLS = {"unit": "#e8f1fa", "bias": "#f3f4f6", "layer": "#e8f1fa", "more": "#ffffff"}
STROKES = {"unit": "#4c8fca", "bias": "#9ca3af", "layer": "#4c8fca", "more": "#9ca3af"}
DARK = "".join(
    f"svg:root .{part}{{{key}:{color}}}"
    for part, key, color in (
        *(("unit", "fill", "#1d3a56"), ("bias", "fill", "#30353d"), ("layer", "fill", "#1d3a56")),
        *(("more", "fill", "#1e2129"), ("paper", "fill", "#1e2129"), ("words", "fill", "#f0f2f4")),
        *(("halo", "stroke", "#1e2129"), ("lines", "stroke", "#9ca3af"), ("heads", "fill", "#9ca3af")),
        *(("positive", "stroke", "#5ab0e8"), ("negative", "stroke", "#ff9b55")),
    )
)
STYLE = f"<style>@media (prefers-color-scheme: dark){{{DARK}}}</style>"


@dataclasses.dataclass(frozen=True)
class Row:
    """A layer with what follows it: its name, what is said of its size, the names of its followers, how many units it has (0
    where they are not drawn), whether they have biases; `alike`: what rows share that are alike; `inside`: of a layer that is
    made of others, the branches of their tree from its top, each with its level, 1 for what is directly inside."""

    name: str
    size: str
    followers: tuple[str, ...] = ()
    units: int = 0
    bias: bool = False
    alike: Any = None
    inside: tuple[tuple[int, str], ...] = ()

    @property
    def lines(self) -> list[tuple[int, str]]:
        """Its text, by lines, each with its level in the tree of what is inside, 0 for its own."""
        followers = [(0, " · ".join(self.followers))] if self.followers else []
        return [(0, f"{self.name} {self.size}".strip()), *self.inside, *followers]


class Diagram:
    """A drawn network: `svg()`, and `save(path)` for a file. A notebook shows the picture.

    `rows`: the input and the layers, as they are drawn; `weights`: of every layer W `(fan_out, fan_in)` and its bias or None,
    where units are drawn with their sign and size.
    """

    def __init__(self, rows: Sequence[Row], weights: Sequence[tuple[Any, Any]] | None = None):
        self.rows, self.weights = list(rows), weights

    @property
    def by_units(self) -> bool:
        """Whether every unit is drawn."""
        return len(self.rows) <= LAYERS + 1 and all(0 < row.units <= UNITS for row in self.rows)

    def __str__(self) -> str:
        return "\n".join(", ".join(line for _, line in row.lines) for row in self.rows)

    def _repr_svg_(self) -> str:
        return self.svg()

    def svg(self) -> str:
        """The picture, light; a page or notebook that takes it in turns it dark."""
        return self._svg("")

    def save(self, path: str | Path) -> Path:
        """Writes an SVG file, whole or not at all, which is dark where the screen's colors are.

        **Raises:** `UserError` for a path that does not end in .svg, and where it cannot be written.
        """
        path = path_of(path, "a drawing")
        if path.suffix != ".svg":
            raise UserError(f"a network's diagram is saved as .svg; got {path.name!r}.")
        write_whole(path, self._svg(STYLE).encode("utf-8"))
        return path

    def _svg(self, style: str) -> str:
        width, height, parts = self._units() if self.by_units else self._layers()
        label = quoteattr("Diagram of the network: " + str(self).replace("\n", "; "))
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
                f'height="{height:.0f}" role="img" aria-label={label} '
                f'font-family="Helvetica, Arial, sans-serif" font-size="12">',
                f'{style}<rect class="paper" width="{width:.0f}" height="{height:.0f}" fill="{PAPER}"/>',
                *parts,
                "</svg>\n",
            ]
        )

    # Unit by unit

    def _units(self) -> tuple[float, float, list[str]]:
        biases = [*(row.bias for row in self.rows[1:]), False]
        widest = max(row.units + bias for row, bias in zip(self.rows, biases, strict=True))
        labels = max(LABELS, *(CHARACTER * len(line) + 8 for row in self.rows for line in self._label(row)))
        written = bool(self.weights) and len(self.rows) == 2 and self.rows[1].units == 1 and widest <= NUMBERS
        apart = 2 * APART if written else APART
        width = MARGIN + labels + max(widest * apart, 3 * APART) + MARGIN
        center = (width - MARGIN + MARGIN + labels) / 2
        places = []
        for number, (row, bias) in enumerate(zip(self.rows, biases, strict=True)):
            count, y = row.units + bias, MARGIN + RADIUS + number * PITCH
            places.append([(center + (k - (count - 1) / 2) * apart, y) for k in range(count)])
        parts, numbers = [f'<g class="lines" stroke="{PLAIN}" stroke-width="1">'], []
        for layer, (row, below) in enumerate(zip(self.rows[1:], itertools.pairwise(places), strict=True)):
            self._connect(layer, row, *below, parts, numbers if written else None)
        parts.append("</g>")
        for row, bias, at in zip(self.rows, biases, places, strict=True):
            for k, (x, y) in enumerate(at):
                kind = "bias" if bias and k == row.units else "unit"
                parts.append(_mark(kind, x, y))
            for k, line in enumerate(self._label(row)):
                y = at[0][1] + 4.2 + LINE * (k - (len(self._label(row)) - 1) / 2)
                bold = ' font-weight="600"' if k == 0 else ""
                parts.append(f'<text x="{MARGIN:.0f}" y="{y:.1f}" class="words" fill="{INK}"{bold}>{escape(line)}</text>')
        height = 2 * MARGIN + 2 * RADIUS + (len(self.rows) - 1) * PITCH + LINE
        if self.weights:
            parts += _legend(height)
            height += LINE + MARGIN
        return width, height, [*parts, *numbers]

    def _label(self, row: Row) -> list[str]:
        units = f"{row.units} unit{'s' if row.units > 1 else ''}"
        return [row.name, units] if row is self.rows[0] else [row.name, *row.followers[:1], units]

    def _connect(
        self,
        layer: int,
        row: Row,
        sources: Sequence[tuple[float, float]],
        targets: Sequence[tuple[float, float]],
        parts: list[str],
        numbers: list[str] | None,
    ) -> None:
        """The lines of one layer's weights, and of its biases, which come from the last of the sources."""
        matrix, bias = self.weights[layer] if self.weights else (None, None)
        values = [[*map(float, line)] for line in matrix] if matrix is not None else None
        if values is not None and bias is not None:
            values = [[*line, float(b)] for line, b in zip(values, bias, strict=True)]
        sizes = [abs(value) for line in values or () for value in line if math.isfinite(value)]
        largest, thick = max(sizes, default=0.0) or 1.0, 2.6 if len(targets) * len(sources) <= MANY else 1.4
        for j, (x2, y2) in enumerate(targets[: row.units]):
            for k, (x1, y1) in enumerate(sources):
                look = ""
                if values is not None:
                    value = values[j][k]
                    kind, color = ("negative", NEGATIVE) if value < 0 else ("positive", POSITIVE)
                    size = 0.3 + thick * min(abs(value) / largest, 1.0) if math.isfinite(value) else 0.3 + thick
                    look = f' class="{kind}" stroke="{color}" stroke-width="{size:.2f}"'
                    if numbers is not None:
                        share = 0.5 if k % 2 else 0.26  # neighbors at two heights
                        numbers.append(_number(x1 + share * (x2 - x1), y1 + share * (y2 - y1), value))
                parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{look}/>')

    # Layer by layer

    def _layers(self) -> tuple[float, float, list[str]]:
        rows = _folded(self.rows)
        widths = [max(CHARACTER * len(line) + INDENT * level for level, line in row.lines) for row in rows]
        width = max(widths) + 40
        center, y, gap = width / 2 + MARGIN, MARGIN, 20.0
        parts: list[str] = []
        for number, (row, text) in enumerate(zip(rows, widths, strict=True)):
            height, own = LINE * len(row.lines) + 10, text + 24
            if number:
                parts.append(
                    f'<path class="lines" d="M{center:.1f},{y - gap:.1f}V{y - 5:.1f}" stroke="{ARROW}" stroke-width="1.2"/>'
                    f'<path class="heads" d="M{center:.1f},{y:.1f}l-3.5,-7h7z" fill="{ARROW}"/>'
                )
            kind = "layer" if row.name else "more"
            dash = "" if row.name else ' stroke-dasharray="4 3"'
            parts.append(
                f'<rect class="{kind}" x="{center - own / 2:.1f}" y="{y:.1f}" width="{own:.1f}" height="{height:.1f}" rx="5" '
                f'fill="{FILLS[kind]}" stroke="{STROKES[kind]}" stroke-width="1.4"{dash}/>'
            )
            parts += _tree(row, center - text / 2, y + 12.8)
            for k, (level, line) in enumerate(row.lines):
                bold = ' font-weight="600"' if k == 0 and row.name else ""
                place = f'x="{center:.1f}" text-anchor="middle"'
                if level:
                    place = f'x="{center - text / 2 + INDENT * level:.1f}"'
                parts.append(
                    f'<text {place} y="{y + 17 + LINE * k:.1f}" class="words" fill="{INK}"{bold}>{escape(line)}</text>'
                )
            y += height + gap
        return width + 2 * MARGIN, y - gap + MARGIN, parts


def diagram(
    structure: Sequence[Mapping[str, Any]],
    *,
    names: Sequence[str] | None = None,
    weights: Sequence[tuple[Any, Any]] | None = None,
) -> Diagram:
    """The drawing of a network, `Network.diagram()` from its parts.

    **Arguments:** `structure`: its layers as `Network.config()` gives them; `names`: theirs, by default as a `Network` names
    them; `weights`: of every dense layer W `(fan_out, fan_in)` and its bias or None.
    """
    rows = _rows([Row("input", "")], structure, _names(structure) if names is None else names)
    if not all(layer["layer"] in ("Linear", "Activation", "Shift", "Dropout") for layer in structure):
        rows = [dataclasses.replace(row, units=0) for row in rows]
    return Diagram(rows, weights)


def _rows(rows: list[Row], structure: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[Row]:
    """The rows of these layers behind those that are there."""
    for name, layer in zip(names, structure, strict=True):
        kind, inside = layer["layer"], _inside(layer)
        size = SIZES[kind](layer) if kind in SIZES else ""
        if kind in FOLLOWERS and rows:
            alike = (*(rows[-1].alike or ()), kind, layer.get("function"))
            rows[-1] = dataclasses.replace(rows[-1], followers=(*rows[-1].followers, name), alike=alike)
        elif kind == "Linear":
            if len(rows) == 1 and not rows[0].alike:
                rows[0] = dataclasses.replace(rows[0], units=_count(layer["fan_in"]))
            bias = bool(layer["bias"])
            rows.append(Row(name, size, (), _count(layer["fan_out"]), bias, (kind, size, bias)))
        else:
            rows.append(Row(name, size, alike=(kind, size, inside), inside=inside))
    return rows


SIZES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Linear": lambda of: f"{of['fan_in']} → {of['fan_out']}",
    "Conv2d": lambda of: f"{of['kernel']}×{of['kernel']}, {of['channels']} → {of['fan_out']} channels{_stride(of)}",
    "Subsample": lambda of: f"{of['added']} channels of zeros{_stride(of)}",
    "Patches": lambda of: f"{of['rows']}×{of['columns']} pixels",
    "Embedding": lambda of: f"{of['features']} → {of['width']}{_positions(of)}",
    "Block": lambda of: f"{of['model']}{', '.join(f' {name}={value}' for name, value in of['options'].items())}",
    "GRU": lambda of: f"{of['features']} → {of['units']} units",
    "Attention": lambda of: f"{of['width']}, {_heads(of)}",
    "Residual": lambda of: (
        f"{'shortcut' if of['shortcut'] else 'x'} + {'' if of['scale'] == 1 else format(of['scale'], '.3g') + ' · '}branch"
    ),
}
"""What is said of the size of a layer, beside its name."""


def _stride(layer: Mapping[str, Any]) -> str:
    return f", stride {layer['stride']}" if layer.get("stride", 1) != 1 else ""


def _positions(layer: Mapping[str, Any]) -> str:
    return f", {layer['length']} positions" if layer["length"] else ""


def _heads(layer: Mapping[str, Any]) -> str:
    return f"{layer['heads']} heads{', causal' if layer['causal'] else ''}"


def _perceptron(layer: Mapping[str, Any], ends: str, hidden: str) -> str:
    return f"{layer[ends]} → {layer[hidden]} → {layer[ends]}, {layer['activation']}"


BRANCHES: dict[str, Callable[[Mapping[str, Any]], tuple[str, ...]]] = {
    "TransformerBlock": lambda of: (
        f"x + attention, {_heads(of)}",
        f"x + perceptron {_perceptron(of, 'width', 'hidden')}",
    ),
    "MixerBlock": lambda of: (
        f"x + over patches {_perceptron(of, 'patches', 'patches_hidden')}",
        f"x + over channels {_perceptron(of, 'width', 'channels_hidden')}",
    ),
}
"""What is inside a layer, where its structure does not name layers."""


def _inside(layer: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The tree of what is inside a layer, from its top: each branch's level and text."""
    if layer["layer"] in BRANCHES:
        return tuple((1, branch) for branch in BRANCHES[layer["layer"]](layer))
    found: list[tuple[int, str]] = []
    for field, value in layer.items():
        layers = [value] if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else []
        if layers and all(isinstance(one, Mapping) and "layer" in one for one in layers):
            found.append((1, field))
            for row in _rows([], layers, _names(layers)):
                found.append((2, " · ".join([f"{row.name} {row.size}".strip(), *row.followers])))
                found += [(level + 2, text) for level, text in row.inside]
    return tuple(found)


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _names(structure: Sequence[Mapping[str, Any]]) -> list[str]:
    """As a `Network` names its layers: by their function or kind, and a number."""
    counts: Counter[str] = Counter()
    names = []
    for layer in structure:
        kind = str(layer["layer"]).rpartition(".")[2]
        kind = str(layer["function"]) if kind == "Activation" else KINDS.get(kind, kind.lower())
        counts[kind] += 1
        names.append(f"{kind}{counts[kind]}")
    return names


def _folded(rows: Sequence[Row]) -> list[Row]:
    """Of more than `ALIKE` rows in a row that are alike, the first, how many more, and the last."""
    found: list[Row] = []
    for _, group in itertools.groupby(rows, key=lambda row: row.alike):
        alike = list(group)
        more = Row("", f"… {len(alike) - 2} more like these …")
        found += [alike[0], more, alike[-1]] if len(alike) > ALIKE else alike
    return found


def _tree(row: Row, left: float, y: float) -> list[str]:
    """The lines from each branch of a row's tree to the one that it belongs to; `left`, `y`: of its first line."""
    parts, above = [], [y + 5]  # by level, where the last line of it, or of one below, was
    for k, (level, _) in enumerate(row.lines):
        middle = y + LINE * k
        if level:
            x = left + INDENT * (level - 1) + 4
            parts.append(
                f'<path class="lines" d="M{x:.1f},{above[level - 1]:.1f}V{middle:.1f}h8" fill="none" stroke="{ARROW}"/>'
            )
            above[level - 1 :] = [middle, middle + 6]
    return parts


def _mark(kind: str, x: float, y: float) -> str:
    """A unit, or the constant 1 that a bias belongs to."""
    look = f'class="{kind}" fill="{FILLS[kind]}" stroke="{STROKES[kind]}" stroke-width="1.4"'
    if kind == "unit":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS:g}" {look}/>'
    side = 0.8 * RADIUS
    box = f'<rect x="{x - side:.1f}" y="{y - side:.1f}" width="{2 * side:.1f}" height="{2 * side:.1f}" rx="2" {look}/>'
    one = f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" class="words" fill="{INK}" font-size="11">1</text>'
    return box + one


def _number(x: float, y: float, value: float) -> str:
    text = f"{value:.3g}".replace("-", "−")
    return (
        f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle" font-size="11" class="words halo" fill="{INK}" '
        f'stroke="{PAPER}" stroke-width="3.5" paint-order="stroke">{text}</text>'
    )


def _legend(y: float) -> list[str]:
    parts, x = [], MARGIN
    for kind, color in (("positive", POSITIVE), ("negative", NEGATIVE)):
        parts.append(
            f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{x + 18:.0f}" y2="{y:.0f}" class="{kind}" stroke="{color}" '
            f'stroke-width="2.6"/>'
            f'<text x="{x + 23:.0f}" y="{y + 4:.0f}" class="words" fill="{INK}" font-size="11">{kind}</text>'
        )
        x += 82
    return parts
