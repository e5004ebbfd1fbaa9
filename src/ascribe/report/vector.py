"""A figure's SVG as it stands in a page: safe, small, and with the numbers by which the page's script knows its marks."""

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from ascribe.charts.theme import FONT

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
_TAGS = ("g", "path", "line", "rect", "text", "tspan", "image", "defs", "clipPath", "linearGradient", "stop")
_DROPPED = ("role", "pointer-events", "class", "aria-label", "aria-hidden", "aria-roledescription")
_ROW = re.compile(r"(.*), row (\d+)", re.DOTALL)
_CIRCLE = re.compile(r"M([\d.]+),0A\1,\1,0,1,1,-\1,0A\1,\1,0,1,1,\1,0")
_PLACE = re.compile(r"translate\(([^,()]+),([^,()]+)\)")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACE = re.compile(r"[\t\n\r]")  # which an attribute cannot hold
_WIDTH = re.compile(r'<svg[^>]* width="([\d.]+)"')
_LONG = re.compile(r"-?\d*\.\d{3,}(?:e-?\d+)?")


def width_of(svg: str) -> float:
    """How wide Vega drew it, in pixels."""
    return float(_WIDTH.match(svg)[1])  # pyright: ignore[reportOptionalSubscript] - Vega always says it


def embedded(svg: str, *, name: str, rules: Sequence[str], numbers: Sequence[int], fixed: bool = False) -> str:
    """`svg`, which Vega drew, as an `svg` element for a page that has titles and legends in its own words.

    `name` keeps its inner names apart from other pictures'. Marks and labels that belong to one of `rules` get its number in
    `numbers` as `data-rule`. Marks that show rows of the figure's table get the first of them as `data-row`: a line or a string
    of dots shows one row a vertex. The page scales it to its room, up to twice its size; down, with `fixed`, hardly. Unknown
    elements and everything that is not drawn are left out.
    """
    source = ElementTree.fromstring(_FORBIDDEN.sub("", svg))
    page = _Page(name, {_SPACE.sub(" ", rule): number for rule, number in zip(rules, numbers, strict=True)})
    page.share(source)
    width, height = (float(source.get(side, "0")) for side in ("width", "height"))
    root = ElementTree.Element("svg", {"viewBox": f"0 0 {width:g} {height:g}"})
    root.attrib |= {"width": f"{width:g}", "height": f"{height:g}", "font-family": FONT}
    root.set("style", f"max-width:{2 * width:g}px" + (f";min-width:{0.85 * width:g}px" if fixed else ""))
    for child in source:
        root.extend(page.copied(child, None))
    _join_dots(root)
    return ElementTree.tostring(root, encoding="unicode")


class _Page:
    """What is known while the elements of one figure are copied."""

    def __init__(self, name: str, known: dict[str, int]):
        self.name, self.known = name, known
        self.shared: dict[str, str] = {}
        self.spare: set[str] = set()

    def share(self, source: ElementTree.Element) -> None:
        """Vega writes a clip path for every line; of those that are alike, one is enough.

        What is kept is numbered anew, since Vega goes on counting from one drawing to the next.
        """
        first: dict[str, str] = {}
        for one in source.iter():
            name = one.get("id")
            if name is None:
                continue
            content = repr([one.tag, *((part.tag, sorted(part.attrib.items())) for part in one.iter() if part is not one)])
            if content in first:
                self.spare.add(name)
            self.shared[name] = first.setdefault(content, f"{self.name}-{len(first) + 1}")

    def copied(self, source: ElementTree.Element, kind: str | None) -> list[ElementTree.Element]:
        """The element as the page has it; its children where it says nothing itself; nothing where it is not to be seen.

        `kind`: what Vega calls the nearest group around it, inside the frame of the whole figure.
        """
        tag = source.tag.removeprefix(_SVG)
        classes = source.get("class", "")
        invisible = source.get("display") == "none" or source.get("opacity") == "0" or source.get("d") == ""
        if tag not in _TAGS or invisible or classes in ("background", "foreground") or source.get("id") in self.spare:
            return []
        if "mark-" in classes and "role-frame" not in classes:
            kind = classes
        result = ElementTree.Element(tag)
        result.text = source.text if tag in ("text", "tspan") else None
        for name, value in source.attrib.items():
            self._attribute(result, name, value)
        self._belongs(result, source, kind or "")
        for child in source:
            result.extend(self.copied(child, kind))
        if tag in ("g", "defs") and not (result.attrib and len(result)):
            return list(result)
        return [result]

    def _attribute(self, result: ElementTree.Element, name: str, value: str) -> None:
        if name in ("href", _LINK):
            if value.startswith("data:image/png;base64,"):
                result.set("href", value)
        elif name == "font-family" and value == FONT:
            pass
        elif name == "id":
            result.set("id", self.shared[value])
        elif value.startswith("url(#"):
            result.set(name, f"url(#{self.shared.get(value[5:].rstrip(')'), '')})")
        elif name not in _DROPPED and not name.startswith("on") and (name, value) not in _DEFAULTS:
            result.set(name, _LONG.sub(_short, value))

    def _belongs(self, result: ElementTree.Element, source: ElementTree.Element, kind: str) -> None:
        label = _SPACE.sub(" ", source.get("aria-label", ""))
        row = _ROW.fullmatch(label)
        if "role-mark" in kind and label in self.known:
            result.set("data-rule", str(self.known[label]))
        elif "role-mark" in kind and row:
            result.set("data-row", row[2])
            if row[1] in self.known:
                result.set("data-rule", str(self.known[row[1]]))
        elif "role-axis-label" in kind and source.text:
            self._name(result, source.text.strip())

    def _name(self, result: ElementTree.Element, text: str) -> None:
        """The rule that a text names; where a long one was cut short, the only one that begins so."""
        found = [rule for rule in self.known if rule == text or (text.endswith("…") and rule.startswith(text[:-1]))]
        exact = [rule for rule in found if rule == text] or found
        if len(exact) == 1:
            result.set("data-rule", str(self.known[exact[0]]))


# What an element that says nothing has anyway.
_DEFAULTS = {("transform", "translate(0,0)"), ("opacity", "1"), ("stroke-width", "1"), ("display", "inline")}


def _short(number: re.Match[str]) -> str:
    """Two decimals: a hundredth of a pixel."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".") or "0"


def _join_dots(root: ElementTree.Element) -> None:
    """Discs of one look in one group become one path of round dots, if they show no rows, or rows one after the other."""
    for parent in list(root.iter()):
        children: list[ElementTree.Element] = []
        strings: dict[str, tuple[list[ElementTree.Element], int]] = {}
        for child in list(parent):
            circle, place = _CIRCLE.match(child.get("d", "")), _PLACE.fullmatch(child.get("transform", ""))
            if child.tag != "path" or not circle or not place or "fill" not in child.attrib:
                children.append(child)
                continue
            row = int(child.get("data-row", -1))
            look = repr([(name, value) for name, value in child.attrib.items() if name not in ("data-row", "transform")])
            parts, following = strings.get(look, ([], 0))
            if not parts or row != following:
                parts = _dots(child, 2 * float(circle[1]))
                children += parts
            for part in parts:
                part.set("d", f"{part.get('d')}M{place[1]},{place[2]}h0")
            strings[look] = parts, row + 1 if row >= 0 else row
        parent[:] = children


def _dots(disc: ElementTree.Element, width: float) -> list[ElementTree.Element]:
    """Paths without a point yet that draw dots like `disc`: one for its edge, if it has one, and one for its inside."""
    edge = float(disc.get("stroke-width", 1)) if "stroke" in disc.attrib else 0.0
    shared = {name: disc.attrib[name] for name in ("opacity", "data-rule", "data-row") if name in disc.attrib}
    strokes = [(disc.get("stroke"), width + edge)] if edge else []
    strokes.append((disc.get("fill"), width - edge))
    looks = [{"stroke": str(color), "stroke-width": f"{wide:.4g}"} for color, wide in strokes]
    return [ElementTree.Element("path", {"stroke-linecap": "round", "d": "", **look, **shared}) for look in looks]
