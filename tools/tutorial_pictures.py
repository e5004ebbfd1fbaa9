"""The pictures of docs/tutorial.md, drawn from what the tutorial's own blocks of code compute.

    python tools/tutorial_pictures.py                 # all of them, two to three minutes on two cores
    python tools/tutorial_pictures.py neuron slope    # these

The blocks are executed in the order of the page. After the last block of a section its picture is drawn from the names that the
blocks have left, so that text and picture cannot differ. The same text gives the same files, docs/images/tutorial_NAME.svg.
Each begins with a comment that holds a digest of the code up to its section: a test compares it with the tutorial's.
"""

import contextlib
import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np

from ascribe.charts.png import data_uri
from ascribe.charts.theme import GRAY, INK, diverging, themed
from ascribe.files import write_whole
from ascribe.report.figures import Drawing, specification

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "tutorial.md"

PARTS = re.compile(r"^## ([^\n]+)$|^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLUE, ORANGE = "#0072b2", "#d55e00"
CLASSES = ("#0f3f78", "#8a4200")  # of points that lie on the pale regions of their class


# What the pictures are made of


def table(columns: dict[str, Any]) -> alt.Data:
    """Columns of equal length as rows."""
    lists = {name: np.asarray(column).tolist() for name, column in columns.items()}
    return alt.Data(values=[dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)])


def rows(names: str, *values: tuple) -> alt.Data:
    """Rows by the names of their columns."""
    return alt.Data(values=[dict(zip(names.split(), row, strict=True)) for row in values])


def regions(
    answers: Callable[[np.ndarray], np.ndarray], lines: list[tuple[np.ndarray, float, str]], side: int
) -> tuple[Any, alt.X, alt.Y]:
    """Where `answers` is 0 (blue) and 1 (orange), and lines w · x + b = 0 in their colors, (w, b, color) each; with the
    encodings for what lies above."""
    low, high = -0.5, 1.5
    places = np.linspace(low, high, 101)
    grid = np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)
    pixels = np.round(diverging(0.25 + 0.5 * answers(grid).reshape(101, 101))).astype(np.uint8)
    scale = alt.Scale(domain=[low, high], nice=False)
    axis = alt.Axis(values=[0, 1], grid=False, format="d")
    x, y = alt.X("x:Q", scale=scale, title=None, axis=axis), alt.Y("y:Q", scale=scale, title=None, axis=axis)
    corners = {"x": low, "x2": high, "y": low, "y2": high, "url": data_uri(pixels)}
    image = alt.Chart(alt.Data(values=[corners])).mark_image(aspect=False)
    layers: list[Any] = [image.encode(x=x, x2="x2:Q", y=y, y2="y2:Q", url="url:N")]
    for w, b, color in lines:
        if not np.any(w):  # no line: the same answer everywhere
            continue
        middle, along = -b * w / (w @ w), 4 * np.array([-w[1], w[0]]) / np.sqrt(w @ w)
        ends = np.stack([middle - along, middle + along])
        line = alt.Chart(table({"x": ends[:, 0], "y": ends[:, 1]}))
        dash = [4, 3] if color == GRAY else [1, 0]
        layers.append(line.mark_line(clip=True, strokeWidth=2.2, color=color, strokeDash=dash).encode(x=x, y=y))
    return alt.layer(*layers).properties(width=side, height=side), x, y


def examples(inputs: np.ndarray, labels: Iterable[int], x: Any, y: Any) -> alt.Chart:
    """The four examples in the colors of their classes, each with its label in it."""
    rows = table({"x": inputs[:, 0], "y": inputs[:, 1], "label": list(labels)})
    dots = alt.Chart(rows).encode(x=x, y=y)
    color = alt.Color("label:N", scale=alt.Scale(domain=[0, 1], range=list(CLASSES)), legend=None)
    return alt.layer(
        dots.mark_point(filled=True, size=230, opacity=1, stroke="white", strokeWidth=1.2).encode(color=color),
        dots.mark_text(fontSize=12, fontWeight=600, color="white").encode(text="label:N"),
    )


def curves(columns: dict[str, Any], x: alt.X, y: alt.Y, colors: dict[str, str] | None = None, **size: int) -> alt.Chart:
    """Lines over the column `x`, one for each `kind`, with a legend below where there are several."""
    chart = alt.Chart(table(columns)).mark_line(clip=True, strokeWidth=2.2)
    if colors is None:
        return chart.encode(x=x, y=y, color=alt.value(INK)).properties(**size)
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    legend = alt.Legend(title=None, orient="bottom", symbolType="stroke")
    color = alt.Color("kind:N", scale=scale, legend=legend, sort=list(colors))
    return chart.encode(x=x, y=y, color=color).properties(**size)


def diagram(
    size: tuple[int, int], links: list[tuple], nodes: list[tuple], words: list[tuple], *, arrows: bool = True
) -> alt.LayerChart:
    """A network, in pixels from the upper left corner.

    `links`: (x, y, x2, y2, width, color), with an arrow's head in the middle; `nodes`: (x, y, radius, color, text);
    `words`: (x, y, text, color).
    """
    width, height = size
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False))
    plain = lambda kind, field: kind(f"{field}:{'N' if field == 'color' else 'Q'}", scale=None, legend=None)
    color = plain(alt.Color, "color")
    lines = rows("x y x2 y2 width color", *links)
    heads = [
        (
            0.4 * x1 + 0.6 * x2,
            0.4 * y1 + 0.6 * y2,
            float(np.degrees(np.arctan2(x2 - x1, y1 - y2))),
            40 + 12 * wide**1.3,
            shade,
        )
        for x1, y1, x2, y2, wide, shade in links
    ]
    tips = rows("x y angle size color", *heads)
    discs = rows("x y size color text", *((x, y, np.pi * radius**2, *look) for x, y, radius, *look in nodes))
    texts = rows("x y text color", *words)
    layers = [
        alt.Chart(lines)
        .mark_rule(strokeCap="round")
        .encode(x=x, y=y, x2="x2:Q", y2="y2:Q", color=color, strokeWidth=plain(alt.StrokeWidth, "width"))
    ]
    if arrows:
        layers.append(
            alt.Chart(tips)
            .mark_point(filled=True, shape="triangle", opacity=1)
            .encode(x=x, y=y, angle=plain(alt.Angle, "angle"), size=plain(alt.Size, "size"), color=color)
        )
    base, lettered = alt.Chart(discs).encode(x=x, y=y), alt.Chart(texts).encode(x=x, y=y, text="text:N")
    layers += [
        base.mark_point(filled=True, opacity=1, stroke="white", strokeWidth=2).encode(
            size=plain(alt.Size, "size"), color=color
        ),
        base.mark_text(fontSize=12, fontWeight=600, color="white").encode(text="text:N"),
        lettered.mark_text(fontSize=12, stroke="white", strokeWidth=4, strokeJoin="round"),  # above lines, too
        lettered.mark_text(fontSize=12).encode(color=color),
    ]
    return alt.layer(*layers).properties(width=width, height=height)


def small(text: str, size: int = 13) -> alt.TitleParams:
    """The title of a panel."""
    return alt.TitleParams(text, anchor="middle", fontSize=size, offset=6)


class Watched:
    """Keeps what a function of the tutorial is called with, while a `with` block lasts."""

    def __init__(self, names: dict[str, Any], name: str):
        self.names, self.name, self.function = names, name, names[name]
        self.calls: list[tuple] = []

    def __enter__(self) -> list[tuple]:
        def watched(*args: Any, **options: Any) -> Any:
            self.calls.append(args)
            return self.function(*args, **options)

        self.names[self.name] = watched
        return self.calls

    def __exit__(self, *_: Any) -> None:
        self.names[self.name] = self.function


# A picture for each section


def neuron(names: dict[str, Any]) -> Any:
    """The perceptron's line after each pass over "and"."""
    labels, panels, before = [0, 0, 0, 1], [], []
    for number in range(1, 9):
        w, b = names["learn"](labels, passes=number)
        answers = lambda x, w=w, b=b: names["neuron"](x, w, b)
        picture, x, y = regions(answers, [*before, (w, b, INK)], 130)
        right = int(np.sum(answers(names["inputs"]) == labels))
        panel = alt.layer(picture, examples(names["inputs"], labels, x, y))
        panels.append(panel.properties(title=small(f"pass {number}: {right} of 4 right", 12)))
        before = [(w, b, GRAY)]
    return themed(
        alt.concat(*panels, columns=4, spacing=14),
        "One neuron learns “and”",
        "Its line after each pass over the four examples. Dashed: the line before it.",
        "In the orange region it answers 1, in the blue region 0. The number on an example is the right answer.",
    )


def two_layers(names: dict[str, Any]) -> Any:
    """The three neurons that say exclusive or: how they are joined, and what each of them answers."""
    inputs = names["inputs"]
    with Watched(names, "neuron") as calls:
        names["exclusive_or"](inputs)
    (_, w1, b1), (_, w2, b2), (_, w3, b3) = calls
    left, middle, right, top, bottom = 18, 108, 196, 36, 112
    places = [(left, top), (left, bottom), (middle, top), (middle, bottom), (right, (top + bottom) / 2)]
    joined = [(0, 2, w1[0]), (1, 2, w1[1]), (0, 3, w2[0]), (1, 3, w2[1]), (2, 4, w3[0]), (3, 4, w3[1])]
    links = [(*places[a], *places[b], 2.2, ORANGE if weight > 0 else BLUE) for a, b, weight in joined]
    shown = ["x1", "x2", *(f"{b:+g}".replace("-", "−") for b in (b1, b2, b3))]
    nodes = [
        (*place, 17, INK if index > 1 else GRAY, text) for index, (place, text) in enumerate(zip(places, shown, strict=True))
    ]
    words = [
        (middle, top - 26, "either", INK),
        (middle, bottom + 26, "not both", INK),
        (right, places[4][1] - 26, "and", INK),
    ]
    panels = [diagram((220, 145), links, nodes, words)]
    for name, answers, lines in (
        ("either", lambda x: names["neuron"](x, w1, b1), [(w1, b1, INK)]),
        ("not both", lambda x: names["neuron"](x, w2, b2), [(w2, b2, INK)]),
        ("exclusive or", names["exclusive_or"], [(w1, b1, INK), (w2, b2, INK)]),
    ):
        picture, x, y = regions(answers, lines, 122)
        panels.append(alt.layer(picture, examples(inputs, answers(inputs), x, y)).properties(title=small(name)))
    return themed(
        alt.hconcat(*panels, spacing=14),
        "Three neurons say “exclusive or”",
        "Orange lines are weights of +1, blue ones of −1. The number in a neuron is its b.",
        "Beside them: where each answers 1 (orange) and where it answers 0 (blue).",
    )


def slope(names: dict[str, Any]) -> Any:
    """The step and the logistic function; the loss along one weight, with the tangent that the tutorial has found."""
    z = np.union1d(np.linspace(-6, 6, 121), -1e-9)  # just before the step, too
    step = names["neuron"](z[:, None], np.ones(1), 0.0)
    columns = {
        "x": [*z, *z],
        "y": [*step, *names["sigmoid"](z)],
        "kind": ["step"] * len(z) + ["logistic"] * len(z),
    }
    x, scale = alt.X("x:Q", title="z"), alt.Scale(domain=[-0.05, 1.05], nice=False)
    y = alt.Y("y:Q", title="answer", scale=scale, axis=alt.Axis(values=[0, 0.5, 1]))
    left = curves(columns, x, y, {"step": GRAY, "logistic": ORANGE}, width=262, height=190).properties(
        title=small("A step has no slope to follow")
    )
    W1, rest = names["W1"], (names["b1"], names["W2"], names["b2"])
    here = float(W1[0, 0])
    places = here + np.linspace(-8, 8, 161)

    def at(value: float) -> float:
        shifted = W1.copy()
        shifted[0, 0] = value
        return float(names["loss"](shifted, *rest))

    x = alt.X("x:Q", title="weight w", scale=alt.Scale(nice=False))
    y = alt.Y("y:Q", title="loss E", scale=alt.Scale(zero=False, nice=False, padding=8), axis=alt.Axis(tickCount=5))
    line = curves({"x": places, "y": [at(value) for value in places]}, x, y, width=262, height=190)
    ends = np.array([-3.5, 3.5])
    tangent = alt.Chart(table({"x": here + ends, "y": at(here) + names["slope"] * ends}))
    point = alt.Chart(table({"x": [here], "y": [at(here)], "text": [f"slope {names['slope']:.3f}".replace("-", "−")]}))
    layers = [
        line,
        tangent.mark_line(color=ORANGE, strokeWidth=2.2).encode(x=x, y=y),
        point.mark_point(filled=True, size=110, color=ORANGE, opacity=1, stroke="white").encode(x=x, y=y),
        point.mark_text(color=ORANGE, dx=14, dy=12, align="left", fontSize=13, fontWeight=600).encode(x=x, y=y, text="text:N"),
    ]
    right = alt.layer(*layers).properties(title=small("The loss along one weight, and its tangent"))
    return themed(alt.hconcat(left, right, spacing=34), "A slope in place of a step")


def way_back(names: dict[str, Any], back: np.ndarray) -> alt.LayerChart:
    """The error of the output for the example (0, 1) on its way down through `back`, at the initial weights."""
    kept = names["inputs"], names["targets"]
    names["inputs"], names["targets"] = kept[0][1:2], kept[1][1:2]  # slopes of biases are now this example's errors
    _, below, _, above = names["slopes"](*(names[key] for key in ("W1", "b1", "W2", "b2")), back=back)
    names["inputs"], names["targets"] = kept
    shade = lambda value: ORANGE if value > 0 else BLUE
    number = lambda value: f"{value:+.3f}".replace("-", "−")
    width, height, inputs, hidden, out = 330, 250, 20, 150, 270
    rows = [40, 95, 150, 205]
    sent = back[0] * above[0]
    links = [(inputs, y, hidden, row, 1.0, "#c9ced6") for y in (80, 165) for row in rows]
    arrows = [(out, 122, hidden, row, 1.2 + 40 * abs(value), shade(value)) for row, value in zip(rows, sent, strict=True)]
    nodes = [(inputs, y, 14, GRAY, text) for y, text in ((80, "0"), (165, "1"))]
    nodes += [(hidden, row, 8 + 240 * abs(value), shade(value), "") for row, value in zip(rows, below, strict=True)]
    nodes += [(out, 122, 8 + 60 * abs(above[0]), shade(above[0]), "")]
    words = [
        (hidden - 16, row + 20 + 120 * abs(value), f"δ¹ = {number(value)}", INK) for row, value in zip(rows, below, strict=True)
    ]
    words += [(out + 22, 92, f"δ² = {number(above[0])}", INK)]
    words += [(inputs, 120, "inputs", GRAY), (hidden, 12, "hidden neurons", GRAY), (out + 22, 76, "output", GRAY)]
    still = diagram((width, height), links, nodes[:2], words[-3:], arrows=False)
    return alt.layer(still, diagram((width, height), arrows, nodes, words))


def path(names: dict[str, Any], feedback: np.ndarray | None = None) -> list[tuple]:
    """The parameters before each step of the tutorial's `train`."""
    with Watched(names, "slopes") as calls:
        names["train"](feedback)
    return calls


STEPS = alt.X(
    "x:Q",
    title="step",
    scale=alt.Scale(type="log", nice=False),
    axis=alt.Axis(values=[1, 10, 100, 1000], format="d", grid=False),
)


def backpropagation(names: dict[str, Any]) -> Any:
    """The error on its way back through W, and the loss over the steps."""
    losses = [names["loss"](*parameters) for parameters in path(names)]
    shown = drawn_steps(len(losses))
    y = alt.Y("y:Q", title="loss E", axis=alt.Axis(tickCount=4))
    right = curves({"x": shown, "y": [losses[step - 1] for step in shown]}, STEPS, y, width=250, height=190)
    left = way_back(names, names["W2"]).properties(title=small("One example: back through W"))
    return themed(
        alt.hconcat(left, right.properties(title=small("The loss, step by step")), spacing=30),
        "The error travels back through the weights",
        "Orange is positive, blue negative. A wide line carries much of the error, a large disc is a large δ.",
        "On the left the network before its first step.",
    )


def feedback(names: dict[str, Any]) -> Any:
    """The error on its way back through B; the angle between both directions, and both losses."""
    random = names["random"]
    steps, exact = path(names, random), path(names)
    shown = drawn_steps(len(steps))
    angles = []
    for step in shown:
        W1, b1, W2, b2 = steps[step - 1]
        own, true = (
            np.concatenate([part.ravel() for part in names["slopes"](W1, b1, W2, b2, back=back)[:2]]) for back in (random, W2)
        )
        angles.append(np.degrees(np.arccos(own @ true / np.sqrt((own @ own) * (true @ true)))))
    y = alt.Y(
        "y:Q",
        title="angle",
        scale=alt.Scale(domain=[0, 180]),
        axis=alt.Axis(values=[0, 90, 180], labelExpr="datum.label + '°'"),
    )
    level = alt.Chart(table({"y": [90]})).mark_rule(color=GRAY, strokeDash=[4, 3]).encode(y=y)
    angle = alt.layer(level, curves({"x": shown, "y": angles}, STEPS, y, width=250, height=85))
    angle = angle.properties(title=small("Angle to the true slope, hidden neurons"))
    found = [names["loss"](*run[step - 1]) for run in (exact, steps) for step in shown]
    kinds = {"through W": INK, "through B": ORANGE}
    columns = {"x": [*shown, *shown], "y": found, "kind": np.repeat(list(kinds), len(shown))}
    loss = curves(columns, STEPS, alt.Y("y:Q", title="loss E", axis=alt.Axis(tickCount=3)), kinds, width=250, height=85)
    left = way_back(names, random).properties(title=small("The same example: back through B"))
    return themed(
        alt.hconcat(left, alt.vconcat(angle, loss, spacing=12), spacing=30).resolve_scale(color="independent"),
        "The error travels back through random weights",
        "Orange is positive, blue negative. The same error of the output reaches the hidden neurons in other shares.",
    )


def drawn_steps(count: int) -> np.ndarray:
    """Some of the steps 1 to `count`, as many in each tenfold."""
    return np.unique(np.round(np.geomspace(1, count, 160)).astype(int))


def compared(names: dict[str, Any], rule: str, run: str) -> Any:
    """Backpropagation and another rule of the tutorial, as the report takes them."""
    from ascribe.experiments.comparison import Comparison  # noqa: PLC0415 - JAX, which the first pictures go without

    return Comparison(names["data"], {"backpropagation": names["backpropagation"], rule: names[run]}, {}, {})


def learning_curves(names: dict[str, Any]) -> Any:
    """The report's learning curves, as narrow as the page."""
    from ascribe.report.curves import learning_curves as drawn  # noqa: PLC0415

    chart = drawn(compared(names, "feedback-alignment", "feedback_alignment"))
    for panel in chart.concat:
        panel.width, panel.height = 262, 210
    return chart


def landscapes(names: dict[str, Any]) -> Any:
    """The report's class maps."""
    from ascribe.report.class_maps import class_maps as drawn  # noqa: PLC0415

    chart = drawn(compared(names, "forward-pass", "forward"))
    del chart.datasets["class map"]  # the table that a page offers for download
    return chart


def scores(names: dict[str, Any]) -> Any:
    """The report's test scores, as narrow as the page."""
    from ascribe.report.scores import final_scores  # noqa: PLC0415

    return final_scores(names["comparison"]).properties(width=500)


def paths(names: dict[str, Any]) -> Any:
    """The report's picture of a loss landscape."""
    from ascribe.report.landscape import surface_chart  # noqa: PLC0415

    return surface_chart(names["surface"]).properties(width=430)


PICTURES: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "neuron": ("One neuron", neuron),
    "two_layers": ("Two layers", two_layers),
    "slope": ("A slope in place of a step", slope),
    "backpropagation": ("Backpropagation", backpropagation),
    "feedback": ("Another way back", feedback),
    "curves": ("The same with ascribe", learning_curves),
    "landscapes": ("Rules without a way back", landscapes),
    "scores": ("A fair comparison", scores),
    "paths": ("On the command line", paths),
}
"""Each picture with its section."""


def sections(text: str) -> dict[str, list[str]]:
    """The headings of a page, each with its blocks of Python."""
    found: dict[str, list[str]] = {}
    for heading, block in PARTS.findall(text):
        if heading:
            found[heading] = []
        elif found:
            found[list(found)[-1]].append(block)
    return found


def stamps(text: str) -> dict[str, str]:
    """What the file of each picture begins with: a digest of the code up to its section, without comments."""
    digest, of_section = hashlib.sha256(), {}
    for heading, blocks in sections(text).items():
        for block in blocks:
            digest.update("\n".join(re.sub(r"\s*#.*", "", line) for line in block.splitlines()).encode())
        of_section[heading] = digest.hexdigest()[:16]
    return {name: f"<!-- docs/tutorial.md {of_section[heading]} -->" for name, (heading, _) in PICTURES.items()}


def specifications(text: str, wanted: Iterable[str] = tuple(PICTURES)) -> Iterator[tuple[str, dict[str, Any]]]:
    """Runs the blocks of `text`, section by section, and yields the wanted pictures with their Vega-Lite specifications."""
    waiting, names = set(wanted), {}
    for heading, blocks in sections(text).items():
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
        for name, (section, make) in PICTURES.items():
            if section == heading and name in waiting:
                yield name, specification(make(names))
                waiting.remove(name)
        if not waiting:
            return


LINE = r'<line transform="translate\(([-.\d]+),([-.\d]+)\)" x2="([-.\d]+)" y2="([-.\d]+)" '


def trimmed(svg: str) -> str:
    """Without the labels of single marks, which nobody can read in a picture of a page; coordinates to a hundredth of a pixel;
    equal lines in a row as one."""
    svg = re.sub(r' (?:aria-label|role|aria-roledescription)="[^"]*"', "", svg)
    svg = re.sub(r"-?\d+\.\d{5,}", lambda number: f"{float(number[0]):.2f}", svg)

    def path(lines: re.Match) -> str:
        steps = "".join(f"M{x},{y}l{across},{down}" for x, y, across, down in re.findall(LINE, lines[0]))
        return f'<path d="{steps}" {lines[5]}/>'

    return re.sub(LINE + r"([^>]*)/>(?:<line [^>]*2=\"[-.\d]+\" \5/>)+", path, svg)


def main(*wanted: str) -> None:
    if unknown := set(wanted) - set(PICTURES):
        sys.exit(f"no picture is called {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}.")
    text = PAGE.read_text(encoding="utf-8")
    marks = stamps(text)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # where the blocks may write their files
        for name, drawn in specifications(text, wanted or tuple(PICTURES)):
            path = DOCS / "images" / f"tutorial_{name}.svg"
            write_whole(path, f"{marks[name]}\n{trimmed(Drawing(drawn).svg)}\n".encode())
            print(path, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
