"""The expression graph as a picture: SVG without any drawing package, DOT text, and plain text for a terminal.

Both kinds of nodes are shown, as in section 4.1 of "Neural networks" (course notes): `Var`s as boxes with their value and what
has arrived in `grad`, `Op`s as ovals between them. Of a large graph the part next to the result is drawn, and what hangs below
it is folded into one node for each branch that is cut.
"""

import dataclasses
import itertools
from collections import deque
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np

from ascribe.errors import UserError

from .variable import Op, Var

LIMIT = 60
"""How many `Var`s are drawn."""

GAP, COLUMN, MARGIN, CHARACTER, LINE = 16.0, 46.0, 16.0, 6.9, 15.0
SWEEPS = 6
FILLS = {"var": "#e8f1fa", "leaf": "#d3e9d8", "op": "#fdebd0", "constant": "#f3f4f6", "more": "#ffffff"}
STROKES = {"var": "#4c8fca", "leaf": "#2f8f4e", "op": "#d98a1f", "constant": "#9ca3af", "more": "#9ca3af"}
INK = "#1f2328"


@dataclasses.dataclass(eq=False, repr=False)
class Node:
    """One thing that is drawn: its `kind` (var, leaf, op, constant, more; bend: a place where a line bends), its text, and the
    nodes that it is made from. The layout sets `layer`, `x`, `y`, and the neighbors in the columns `left` and `right`."""

    kind: str
    lines: list[str]
    inputs: list["Node"] = dataclasses.field(default_factory=list)
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    left: list["Node"] = dataclasses.field(default_factory=list)
    right: list["Node"] = dataclasses.field(default_factory=list)

    @property
    def width(self) -> float:
        """Of the box, in pixels."""
        return max(map(len, self.lines)) * CHARACTER + (26 if self.kind == "op" else 18) if self.lines else 0.0

    @property
    def height(self) -> float:
        """Of the box, in pixels."""
        return len(self.lines) * LINE + 10 if self.lines else 0.0


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
        number, and then called by that."""
        uses: dict[Node, int] = {}
        for node in self.nodes:
            for below in node.inputs:
                uses[below] = uses.get(below, 0) + 1
        numbers: dict[Node, int] = {}
        lines, waiting = [], [(self.nodes[-1], 0)]
        while waiting:
            node, depth = waiting.pop()
            # a Var and the Op that made it are one line
            op = node.inputs[0] if node.kind == "var" and node.inputs else None
            words = "  ".join(node.lines)
            if node in numbers:
                lines.append(f"{'  ' * depth}({numbers[node]}) again")
                continue
            if uses.get(node, 0) > 1:
                numbers[node] = len(numbers) + 1
                words = f"({numbers[node]}) {words}"
            lines.append("  " * depth + words + (f"  by {' '.join(op.lines)}" if op else ""))
            waiting += [(below, depth + 1) for below in reversed(op.inputs if op else node.inputs)]
        return "\n".join(lines)

    def dot(self) -> str:
        """The graph in the language of Graphviz."""
        shapes = {"op": "ellipse", "constant": "plaintext", "more": "plaintext"}
        names = {node: f"n{number}" for number, node in enumerate(self.nodes)}
        quoted = lambda node: "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in node.lines)
        lines = ["digraph expression {", "  rankdir=LR;", '  node [fontname="Helvetica", style=filled];']
        for node, name in names.items():
            shape, fill, edge = shapes.get(node.kind, "box"), FILLS[node.kind], STROKES[node.kind]
            lines.append(f'  {name} [label="{quoted(node)}", shape={shape}, fillcolor="{fill}", color="{edge}"];')
        lines += [f"  {names[below]} -> {name};" for node, name in names.items() for below in node.inputs]
        return "\n".join([*lines, "}"]) + "\n"

    def svg(self) -> str:
        """The picture, left to right from the variables to the result."""
        layers, links = _layers(self.nodes)
        width, height = _place(layers)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="12">',
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#6b7280"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="white"/>',
        ]
        for link in links:
            points = [(link[0].x + link[0].width / 2, link[0].y), *((bend.x, bend.y) for bend in link[1:-1])]
            points.append((link[-1].x - link[-1].width / 2, link[-1].y))
            curve = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
            for (x1, y1), (x2, y2) in itertools.pairwise(points):
                half = (x1 + x2) / 2
                curve += f" C{half:.1f},{y1:.1f} {half:.1f},{y2:.1f} {x2:.1f},{y2:.1f}"
            parts.append(f'<path d="{curve}" fill="none" stroke="#6b7280" stroke-width="1.2" marker-end="url(#head)"/>')
        for node in self.nodes:
            left, top = node.x - node.width / 2, node.y - node.height / 2
            round_ = node.height / 2 if node.kind == "op" else 5
            dash = ' stroke-dasharray="4 3"' if node.kind == "more" else ""
            parts.append(
                f'<rect class="{node.kind}" x="{left:.1f}" y="{top:.1f}" width="{node.width:.1f}" height="{node.height:.1f}" '
                f'rx="{round_:.1f}" fill="{FILLS[node.kind]}" stroke="{STROKES[node.kind]}" stroke-width="1.4"{dash}/>'
            )
            for number, line in enumerate(node.lines):
                y = top + 5 + LINE * number + 11.5
                weight = ' font-weight="600"' if (number == 0 and len(node.lines) > 1) or node.kind == "op" else ""
                parts.append(
                    f'<text x="{node.x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{INK}"{weight}>{escape(line)}</text>'
                )
        return "\n".join([*parts, "</svg>"]) + "\n"

    def save(self, path: str | Path) -> Path:
        """Writes an SVG, DOT or text file, as the path ends in .svg, .dot or .txt; whole or not at all.

        **Raises:** `UserError` for another ending, and where it cannot be written.
        """
        path = Path(path)
        kinds = {".svg": self.svg, ".dot": self.dot, ".txt": self.text}
        if path.suffix not in kinds:
            raise UserError(f"a graph is saved as .svg, .dot or .txt; got {path.name!r}.")
        part = path.with_name(path.name + ".part")
        try:
            part.write_text(kinds[path.suffix](), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
        return path


def graph(expression: Any, *, limit: int = LIMIT) -> Graph:
    """The drawing of an expression: `print(graph(f))`, `graph(f).save("f.svg")`.

    Of more than `limit` `Var`s the `limit` nearest to the result are drawn; where a branch goes on, a node says how many more
    hang there (one that several branches share is counted in the first).

    **Raises:** `UserError` for what is no `Var`, and for a limit below 1.
    """
    if not isinstance(expression, Var):
        raise UserError(f"graph() draws the expression of a Var; got {type(expression).__name__}.")
    if limit < 1:
        raise UserError(f"`limit` is 1 or more; got {limit!r}.")
    drawn, cut = _nearest(expression, limit)
    made: dict[Any, Node] = {}
    nodes: list[Node] = []

    def add(key: Any, node: Node) -> Node:
        made[key] = node
        nodes.append(node)
        return node

    waiting: list[Var | tuple[Var]] = [expression]
    while waiting:
        v = waiting.pop()
        if isinstance(v, tuple):
            (v,) = v
            op = v.creator
            assert op is not None
            inputs = []
            for a in op.args:
                if not isinstance(a, Var):
                    inputs.append(add((op, len(inputs)), Node("constant", [_number(a)])))
                elif a in drawn:
                    inputs.append(made[a])
                else:
                    inputs.append(
                        made.get(a) or add(a, Node("more", [f"… {cut[a]} more" if cut[a] else "… as elsewhere"]))
                    )
            add(v, Node("var", _words(v), [add(op, Node("op", [_operator(op)], inputs))]))
        elif v not in made:
            if v.creator is None:
                add(v, Node("leaf", _words(v)))
            else:
                made[v] = Node("var", [])  # begun: replaced when all it is made from is there
                waiting.append((v,))
                waiting += [a for a in reversed(v.creator.args) if isinstance(a, Var) and a in drawn and a not in made]
    return Graph(nodes)


def _nearest(root: Var, limit: int) -> tuple[set[Var], dict[Var, int]]:
    """The `limit` `Var`s nearest to the root, breadth first; and for each `Var` just below them how many hang there, itself
    included, that no earlier one has."""
    drawn, seen, line = {root}, {root}, deque([root])
    edge: list[Var] = []
    while line:
        v = line.popleft()
        for a in v.creator.args if v.creator else ():
            if isinstance(a, Var) and a not in seen:
                seen.add(a)
                if len(drawn) < limit:
                    drawn.add(a)
                    line.append(a)
                else:
                    edge.append(a)
    cut, counted = dict.fromkeys(edge, 0), set(drawn)
    for first in edge:
        line.append(first)
        while line:
            v = line.popleft()
            if v not in counted:
                counted.add(v)
                cut[first] += 1
                line.extend(a for a in (v.creator.args if v.creator else ()) if isinstance(a, Var) and a not in counted)
    return drawn, cut


def _words(v: Var) -> list[str]:
    """What stands in the box of a `Var`."""
    lines = [v.name] if v.name else []
    lines.append("?" if v.value is None else _number(v.value))
    if v._grad is not None:
        lines.append(f"grad {_number(v._grad)}")
    return lines


def _number(value: Any) -> str:
    """A number with four digits; of an array, its shape, and its numbers where they are few."""
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.4g}"
    shape = "×".join(map(str, array.shape))
    if array.size > 4:
        return f"{shape} numbers"
    return "[" + ", ".join(f"{float(x):.3g}" for x in array.ravel()) + "]" + (f" ({shape})" if array.ndim > 1 else "")


def _operator(op: Op) -> str:
    """An operator's sign or name, and its options where they say something."""
    said = [f"{name} {value}" for name, value in op.options.items() if value is not None and value is not False]
    shown = ", ".join(said)
    name = op.operator.symbol or op.operator.name
    return f"{name} ({shown if len(shown) < 40 else shown[:39] + '…'})" if shown else name


def _layers(nodes: list[Node]) -> tuple[list[list[Node]], list[list[Node]]]:
    """Columns, every node right of all that it is made from, what is made from nothing just left of where it is used; and
    links, from node to node by way of a bend in every column between."""
    for node in nodes:
        node.layer, node.left, node.right = 1 + max((below.layer for below in node.inputs), default=-1), [], []
    used: dict[Node, int] = {}
    for node in reversed(nodes):
        for below in node.inputs:
            used[below] = min(used.get(below, node.layer), node.layer)
    for node in nodes:
        if not node.inputs and node in used:
            node.layer = used[node] - 1
    layers: list[list[Node]] = [[] for _ in range(1 + max(node.layer for node in nodes))]
    links = []
    for node in nodes:
        layers[node.layer].append(node)
        for below in node.inputs:
            bends = [Node("bend", [], layer=layer) for layer in range(below.layer + 1, node.layer)]
            for bend in bends:
                layers[bend.layer].append(bend)
            links.append([below, *bends, node])
    for link in links:
        for one, other in itertools.pairwise(link):
            one.right.append(other)
            other.left.append(one)
    _sort(layers)
    return layers, links


def _sort(layers: list[list[Node]]) -> None:
    """An order within each column that few links cross: sweeps of placing a node at the mean of its neighbors."""
    rank = {node: float(i) for layer in layers for i, node in enumerate(layer)}
    for sweep in range(SWEEPS):
        for layer in layers[:: -1 if sweep % 2 == 0 else 1]:
            wanted = {}
            for node in layer:
                near = node.right if sweep % 2 == 0 else node.left
                wanted[node] = sum(rank[other] for other in near) / len(near) if near else rank[node]
                if sweep % 2 == 0 and near:  # arguments of one operator in their order
                    wanted[node] += 0.01 * near[0].left.index(node)
            layer.sort(key=lambda node, wanted=wanted: wanted[node])
            rank.update((node, float(i)) for i, node in enumerate(layer))


def _place(layers: list[list[Node]]) -> tuple[float, float]:
    """x by column; y as near to the neighbors' as the order and the boxes allow. Returns the picture's size."""
    x = float(MARGIN)
    for layer in layers:
        widest, y = max(node.width for node in layer), 0.0
        for node in layer:
            node.x, node.y = x + widest / 2, y + node.height / 2
            y += node.height + GAP
        x += widest + COLUMN
    for sweep in range(2 * SWEEPS):
        for layer in layers[:: -1 if sweep % 2 else 1]:
            wanted = []
            for node in layer:
                near = [other.y for other in (node.right if sweep % 2 else node.left)]
                wanted.append(sum(near) / len(near) if near else node.y)
            for node, y in zip(layer, wanted, strict=True):
                node.y = y
            for one, other in itertools.pairwise(layer):  # push apart
                other.y = max(other.y, one.y + (one.height + other.height) / 2 + GAP)
            shift = sum(node.y - y for node, y in zip(layer, wanted, strict=True)) / len(layer)
            for node in layer:
                node.y -= shift
    every = [node for layer in layers for node in layer]
    top = min(node.y - node.height / 2 for node in every)
    for node in every:
        node.y += MARGIN - top
    return x - COLUMN + MARGIN, max(node.y + node.height / 2 for node in every) + MARGIN
