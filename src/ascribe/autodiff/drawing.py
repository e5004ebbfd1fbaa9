"""The expression graph as a picture: SVG without any drawing package, DOT text, and plain text for a terminal.

Both kinds of nodes are shown, as in section 4.1 of "Neural networks" (course notes): `Var`s as boxes with their value and what
has arrived in `grad`, `Op`s as ovals between them. Of a large graph the part next to the result is drawn, and what hangs below
it is folded into one node for each branch that is cut. Nothing here is recursive, and the time is about linear in the nodes.
"""

import dataclasses
import itertools
import re
import unicodedata
from collections import Counter, deque
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from ascribe.checks import at_least
from ascribe.errors import UserError
from ascribe.files import path_of, write_whole

from .variable import Op, Var, order

LIMIT = 60
"""How many `Var`s are drawn."""

GAP, ROW, MARGIN, LINE, SWEEPS = 18.0, 30.0, 16.0, 15.0, 6
FEW, FOLDS, DEEPEST = 4, 3, 12  # numbers of an array; folded branches of an `Op`; indents of the outline
FILLS = {"var": "#e8f1fa", "leaf": "#d3e9d8", "op": "#fdebd0", "constant": "#f3f4f6", "more": "#ffffff"}
STROKES = {"var": "#4c8fca", "leaf": "#2f8f4e", "op": "#d98a1f", "constant": "#9ca3af", "more": "#9ca3af"}
INK, GRADIENT, ARROW, PAPER = "#1f2328", "#9a3412", "#6b7280", "#ffffff"
LEGEND = {"leaf": "given", "var": "computed", "op": "operation", "constant": "constant", "more": "not drawn"}
# The same on a dark screen, in a file of its own (`svg:root`); the edges stay.
DARK_FILLS = {"var": "#1d3a56", "leaf": "#1d4a30", "op": "#553a12", "constant": "#30353d", "more": "#1e2129"}
DARK_INK, DARK_GRADIENT, DARK_ARROW, DARK_PAPER = "#f0f2f4", "#ffb59a", "#9ca3af", "#1e2129"
DARK = "".join(
    f"svg:root .{part}{{{key}:{color}}}"
    for part, key, color in (
        *((kind, "fill", color) for kind, color in DARK_FILLS.items()),
        *(("paper", "fill", DARK_PAPER), ("words", "fill", DARK_INK), ("grad", "fill", DARK_GRADIENT)),
        *(("lines", "stroke", DARK_ARROW), ("heads", "fill", DARK_ARROW)),
    )
)
STYLE = f"<style>@media (prefers-color-scheme: dark){{{DARK}}}</style>"


@dataclasses.dataclass(eq=False, repr=False)
class Node:
    """One thing that is drawn: its `kind` (var, leaf, op, constant, more; bend: where a line passes a row), its text, the
    nodes that it is made from, whether the first line is a name, and how many `Var`s it stands for (`hidden`). The layout sets
    its row, its center, its size, its neighbors in the rows below and above, and how strongly each pulls (`ties`)."""

    kind: str
    lines: list[str]
    inputs: list["Node"] = dataclasses.field(default_factory=list)
    named: bool = False
    hidden: int = 0
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    below: list["Node"] = dataclasses.field(default_factory=list)
    above: list["Node"] = dataclasses.field(default_factory=list)
    ties: list[tuple["Node", float]] = dataclasses.field(default_factory=list)


class Graph:
    """A drawn expression: `svg()`, `dot()`, `text()`, and `save(path)` for a file of one of them. A notebook shows the picture.

    `nodes`: what is drawn, each after the nodes that it is made from; the last is the result.
    """

    def __init__(self, nodes: list[Node]):
        self.nodes = nodes

    def __str__(self) -> str:
        return self.text()

    def _repr_svg_(self) -> str:
        return self.svg()

    def text(self) -> str:
        """An outline: the result first, below each `Var` what it was made from. What is used twice is written once, with a
        number, and its name and that number stand for it from there on. What is deep has its depth before it, not more
        indentation."""
        uses = Counter(below for node in self.nodes for below in node.inputs)
        numbers: dict[Node, int] = {}
        lines, waiting = [], [(self.nodes[-1], 0)]
        while waiting:
            node, depth = waiting.pop()
            # a Var and the Op that made it are one line
            op = node.inputs[0] if node.kind == "var" else None
            indent = "  " * depth if depth <= DEEPEST else "  " * DEEPEST + f"[{depth}] "
            words = "  ".join(node.lines)
            if node in numbers:
                name = f"{node.lines[0]} " if node.named else ""
                lines.append(f"{indent}({numbers[node]}) {name}again")
                continue
            if uses[node] > 1:
                numbers[node] = len(numbers) + 1
                words = f"({numbers[node]}) {words}"
            lines.append(indent + words + (f"  by {op.lines[0]}" if op else ""))
            waiting += [(below, depth + 1) for below in reversed(op.inputs if op else node.inputs)]
        return "\n".join(lines)

    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        looks = {"op": "ellipse, style=filled", "constant": 'box, style=filled, height=0.3, margin="0.08,0.03"'}
        looks["more"] = 'box, style="rounded,dashed"'
        names = {node: f"n{number}" for number, node in enumerate(self.nodes)}
        lines = ["digraph expression {", "  rankdir=BT;", '  node [fontname="Helvetica", fontsize=12];']
        for node, name in names.items():
            label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in node.lines)
            label = re.sub(r"&(?=#?\w+;)", "&amp;", label)  # what Graphviz would take for a character's name
            look, fill, edge = looks.get(node.kind, 'box, style="rounded,filled"'), FILLS[node.kind], STROKES[node.kind]
            lines.append(f'  {name} [label="{label}", shape={look}, fillcolor="{fill}", color="{edge}"];')
        lines += [f"  {names[below]} -> {name};" for node, name in names.items() for below in node.inputs]
        return "\n".join([*lines, "}"]) + "\n"

    def svg(self) -> str:
        """The picture, upward from the variables to the result, with what the colors mean below it."""
        return self._svg("")

    def _svg(self, style: str) -> str:
        layers = _layers(self.nodes)
        width, height = _place(layers)
        legend, room = _legend(self.nodes, height)
        for node in itertools.chain(*layers):
            node.x += max(0.0, (room - width) / 2)
        width, height = max(width, room), height + (LINE + MARGIN if legend else 0.0)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="12" '
            f'text-anchor="middle">',
            f'{style}<rect class="paper" width="{width:.0f}" height="{height:.0f}" fill="{PAPER}"/>',
            f'<g class="lines" fill="none" stroke="{ARROW}" stroke-width="1.2">',
        ]
        heads = []
        rows = [max(node.height for node in layer) / 2 for layer in layers]
        for node in itertools.chain(*layers):
            count = len(node.below)
            apart = min(10.0, max(0.0, node.width - node.height) / (count - 1)) if count > 1 else 0.0
            for number, start in enumerate(node.below):  # up out of a row, a curve, up into the next
                x1, x2, drawn = start.x, node.x + (number - (count - 1) / 2) * apart, node.kind != "bend"
                y1, y2 = start.y - rows[start.layer], node.y + rows[node.layer]
                first = y1 + 2 * rows[start.layer] if start.kind == "bend" else start.y - start.height / 2
                last = node.y + node.height / 2 if drawn else y2
                line = f"M{x1:.1f},{first:.1f}V{y1:.1f}C{x1:.1f},{(y1 + y2) / 2:.1f} {x2:.1f},{(y1 + y2) / 2:.1f} "
                parts.append(f'<path d="{line}{x2:.1f},{y2 + 6 * drawn:.1f}V{last + 6 * drawn:.1f}"/>')
                if drawn:
                    heads.append(f'<path class="head" d="M{x2:.1f},{last:.1f}l-3.5,7h7z"/>')
        parts += ["</g>", f'<g class="heads" fill="{ARROW}">', *heads, "</g>"]
        for node in self.nodes:
            left, top = node.x - node.width / 2, node.y - node.height / 2
            round_ = node.height / 2 if node.kind == "op" else 5
            dash = ' stroke-dasharray="4 3"' if node.kind == "more" else ""
            parts.append(
                f'<rect class="{node.kind}" x="{left:.1f}" y="{top:.1f}" width="{node.width:.1f}" height="{node.height:.1f}" '
                f'rx="{round_:.1f}" fill="{FILLS[node.kind]}" stroke="{STROKES[node.kind]}" stroke-width="1.4"{dash}/>'
            )
            for number, line in enumerate(node.lines):
                bold = ' font-weight="600"' if (number == 0 and node.named) or node.kind == "op" else ""
                grad = number > node.named and line.startswith("grad ")
                color = f'class="grad" fill="{GRADIENT}"' if grad else f'class="words" fill="{INK}"'
                place = f'x="{node.x:.1f}" y="{node.y + 4.2 + LINE * (number - (len(node.lines) - 1) / 2):.1f}"'
                parts.append(f"<text {place} {color}{bold}>{escape(line)}</text>")
        return "\n".join([*parts, *legend, "</svg>"]) + "\n"

    def save(self, path: str | Path) -> Path:
        """Writes an SVG, DOT or text file, as the path ends in .svg, .dot or .txt; whole or not at all. The SVG file is dark
        where the screen's colors are; a page or notebook that takes `svg()` in decides that for itself.

        **Raises:** `UserError` for another ending, and where it cannot be written.
        """
        path = path_of(path, "a drawing")
        kinds = {".svg": lambda: self._svg(STYLE), ".dot": self.dot, ".txt": lambda: self.text() + "\n"}
        if path.suffix not in kinds:
            raise UserError(f"a graph is saved as .svg, .dot or .txt; got {path.name!r}.")
        write_whole(path, kinds[path.suffix]().encode("utf-8"))
        return path


def graph(expression: Any, *, limit: int = LIMIT) -> Graph:
    """The drawing of an expression: `print(graph(f))`, `graph(f).save("f.svg")`.

    Of more than `limit` `Var`s the `limit` nearest to the result are drawn; where a branch goes on, a node says how many more
    hang there (one that several branches share is counted in the first).

    **Raises:** `UserError` for what is no `Var`, and for a limit that is no whole number above 0.
    """
    if not isinstance(expression, Var):
        raise UserError(f"graph() draws the expression of a Var; got {type(expression).__name__}.")
    drawn, cut = _nearest(expression, at_least(1, "limit", limit))
    made: dict[Var, Node] = {}
    nodes: list[Node] = []
    for v in order(expression):
        if v in drawn:
            made[v] = Node("var" if v.creator else "leaf", _words(v), named=bool(v.name))
            if v.creator:
                op = Node("op", [_operator(v.creator)], _inputs(v.creator, made, cut, nodes))
                made[v].inputs.append(op)
                nodes.append(op)
            nodes.append(made[v])
    return Graph(nodes)


def _inputs(op: Op, made: dict[Var, Node], cut: dict[Var, int], nodes: list[Node]) -> list[Node]:
    """What an `Op` is drawn with: the nodes of its arguments; new ones for constants and what is folded go to `nodes`."""
    inputs: list[Node] = []
    folds: list[Node] = []
    for a in op.args:
        if a.__class__ is not Var:
            inputs.append(Node("constant", [_number(a)]))
            nodes.append(inputs[-1])
            continue
        if a not in made:
            if len(folds) < FOLDS:
                folds.append(Node("more", []))
                nodes.append(folds[-1])
            made[a] = fold = folds[-1]  # the last takes what else there is
            fold.hidden += cut[a]
            fold.lines = [f"… {fold.hidden} more" if fold.hidden else "… counted elsewhere"]
        if made[a].kind != "more" or made[a] not in inputs:
            inputs.append(made[a])
    return inputs


def _nearest(root: Var, limit: int) -> tuple[set[Var], dict[Var, int]]:
    """The `limit` `Var`s nearest to the root, breadth first; and for each `Var` just below them how many hang there, itself
    included, that no earlier one has."""
    args = lambda v: [a for a in v.creator.args if a.__class__ is Var] if v.creator else []
    drawn, cut, line = {root}, {}, deque([root])
    while line:
        for a in args(line.popleft()):
            if a not in drawn and len(drawn) < limit:
                drawn.add(a)
                line.append(a)
            elif a not in drawn:
                cut[a] = 0
    counted = set(drawn)
    for first in cut:
        line.append(first)
        while line:
            v = line.popleft()
            if v not in counted:
                counted.add(v)
                cut[first] += 1
                line.extend(args(v))
    return drawn, cut


def _words(v: Var) -> list[str]:
    """What stands in the box of a `Var`."""
    lines = [_clean(v.name)] if v.name else []
    lines.append("?" if v.value is None else _number(v.value))
    if v._grad is not None:
        lines.append(f"grad {_number(v._grad)}")
    return lines


def _clean(text: str) -> str:
    """One line, without what cannot be printed (and may not stand in XML)."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _number(value: Any) -> str:
    """A number with four digits; of an array, its shape, and its numbers where they are few."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "biuf":
        return _clean(repr(value)[:40])
    if array.ndim == 0:
        return f"{float(array):.4g}"
    shape = "×".join(map(str, array.shape))
    if array.size > FEW or not array.size:
        return f"{shape} numbers"
    return "[" + ", ".join(f"{float(x):.4g}" for x in array.ravel()) + "]" + (f" ({shape})" if array.ndim > 1 else "")


def _operator(op: Op) -> str:
    """An operator's sign or name, and its options where they say something."""
    name = op.operator.symbol or op.operator.name
    said = [
        key if value is True else f"{key} {_option(value)}"
        for key, value in op.options.items()
        if value is not None and value is not False
    ]
    shown = _clean(", ".join(said))
    return f"{name} ({shown if len(shown) < 40 else shown[:39] + '…'})" if shown else name


def _option(value: Any) -> str:
    """An axis, a shape or an index, as it would be written."""
    written = []
    for part in value if isinstance(value, tuple) else (value,):
        if isinstance(part, slice):
            ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
            written.append(":".join(ends if part.step is not None else ends[:2]))
        elif isinstance(part, np.ndarray | list):
            written.append(_number(part))
        else:
            written.append("…" if part is Ellipsis else str(part))
    return f"({', '.join(written)})" if isinstance(value, tuple) else written[0]


def _legend(nodes: list[Node], top: float) -> tuple[list[str], float]:
    """What each color means, in a row below the picture, and how much room that takes across; nothing for one kind alone."""
    kinds = [kind for kind in LEGEND if any(node.kind == kind for node in nodes)]
    if len(kinds) < 2:
        return [], 0.0
    x, parts = MARGIN, ['<g class="legend" text-anchor="start">']
    for kind in kinds:
        look = f'fill="{FILLS[kind]}" stroke="{STROKES[kind]}"' + (' stroke-dasharray="3 2"' if kind == "more" else "")
        parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="16" height="12" rx="{6 if kind == "op" else 3}" {look}/>'
        )
        parts.append(f'<text x="{x + 22:.1f}" y="{top + 10:.1f}" class="words" fill="{INK}">{LEGEND[kind]}</text>')
        x += 22 + _extent(LEGEND[kind]) + GAP
    return [*parts, "</g>"], x - GAP + MARGIN


def _extent(line: str) -> float:
    """About how wide a line of text is, in pixels."""
    return sum(
        12.5 if unicodedata.east_asian_width(c) in "WF" else 11.4 if c in "WMm@%…" else 9.2 if c.isupper() or c == "w" else 7.0
        for c in line
    )


def _layers(nodes: list[Node]) -> list[list[Node]]:
    """Rows, every node above all that it is made from, what is made from nothing just below where it is first used. A line
    that passes rows bends in each; the lines of one node share their bends."""
    lowest: dict[Node, int] = {}
    for node in nodes:
        node.layer = 1 + max((below.layer for below in node.inputs), default=-1)
        node.below, node.above, node.ties, node.x = [], [], [], 0.0
        node.width = max(map(_extent, node.lines)) + (26 if node.kind == "op" else 18)
        node.height = len(node.lines) * LINE + (6 if node.kind == "constant" else 10)
        for below in node.inputs:
            lowest[below] = min(lowest.get(below, node.layer), node.layer)
    for node, layer in lowest.items():
        if not node.inputs:
            node.layer = layer - 1
    layers: list[list[Node]] = [[] for _ in range(1 + max(node.layer for node in nodes))]
    paths: dict[Node, list[Node]] = {}
    for node in nodes:
        layers[node.layer].append(node)
        for below in node.inputs:
            path = paths.setdefault(below, [below])
            while path[-1].layer < node.layer - 1:
                bend = Node("bend", [], layer=path[-1].layer + 1)
                layers[bend.layer].append(bend)
                _join(path[-1], bend)
                path.append(bend)
            _join(path[node.layer - 1 - below.layer], node)
    _sort(layers)
    return layers


def _join(below: Node, above: Node) -> None:
    pull = 8.0 if below.kind == "op" or below.kind == above.kind == "bend" else 1.0
    below.above.append(above)
    above.below.append(below)
    below.ties.append((above, pull))
    above.ties.append((below, pull))


def _sort(layers: list[list[Node]]) -> None:
    """An order within each row that few lines cross: sweeps of placing a node at the mean of its neighbors."""
    rank = {node: float(i) for layer in layers for i, node in enumerate(layer)}
    slot = {below: i for layer in layers for node in layer for i, below in enumerate(node.below)}
    for sweep in range(2 * SWEEPS + 1):
        for layer in layers if sweep % 2 else layers[::-1]:
            wanted = {}
            for node in layer:
                near = (node.below or node.above) if sweep % 2 else (node.above or node.below)
                wanted[node] = sum(rank[other] for other in near) / len(near) if near else 0.0
                wanted[node] += 1e-3 * slot.get(node, 0)  # arguments of one operator in their order
            layer.sort(key=wanted.__getitem__)
            rank.update((node, float(i)) for i, node in enumerate(layer))


def _place(layers: list[list[Node]]) -> tuple[float, float]:
    """x as near to the neighbors' as the order and the boxes allow; y by row. Returns the picture's size."""
    for sweep in range(4 * SWEEPS):
        for layer in layers if sweep % 2 else layers[::-1]:
            wanted, offsets, offset = [], [], 0.0
            for before, node in itertools.pairwise([layer[0], *layer]):
                offset += (before.width + node.width) / 2 + GAP if node is not before else 0.0
                offsets.append(offset)
                total = sum(pull for _, pull in node.ties) or 1.0
                wanted.append((sum(pull * other.x for other, pull in node.ties) / total - offset, total))
            for node, x, offset in zip(layer, _rising(wanted), offsets, strict=True):
                node.x = x + offset
    nodes = list(itertools.chain(*layers))
    left = min(node.x - node.width / 2 for node in nodes) - MARGIN
    for node in nodes:
        node.x -= left
    y = 0.0
    for layer in layers:  # upward, from 0
        reach = max((abs(node.x - below.x) for node in layer for below in node.below), default=0.0)
        height = max(node.height for node in layer)
        y -= min(max(ROW, 0.12 * reach), 3 * ROW) if layer is not layers[0] else MARGIN
        for node in layer:
            node.y = y - height / 2
        y -= height
    for node in nodes:
        node.y += MARGIN - y
    return max(node.x + node.width / 2 for node in nodes) + MARGIN, MARGIN - y


def _rising(wanted: list[tuple[float, float]]) -> list[float]:
    """The numbers nearest to those wanted, in weighted squares, none less than the one before: means where they would fall."""
    blocks: list[tuple[float, float, int]] = []
    for one, its_weight in wanted:
        mean, weight, count = one, its_weight, 1
        while blocks and blocks[-1][0] > mean:
            other, more, several = blocks.pop()
            mean, weight, count = (mean * weight + other * more) / (weight + more), weight + more, count + several
        blocks.append((mean, weight, count))
    return [mean for mean, _, count in blocks for _ in range(count)]
