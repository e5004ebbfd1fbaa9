"""A figure as a page shows it: panel by panel, so that they stand side by side or below each other as there is room, with the
panels' titles and the legend as text of the page."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import vl_convert

from ascribe.charts.theme import dash_of

from .panels import PANEL_NAME

WIDTH = 300
"""Pixels of a panel's drawing area on a page, which scales it: so wide that its text is legible on a phone."""
MAP = 170
"""The same of one that is a small picture among others."""
_HEIGHTS = (190, 300)
_BESIDE = 580
"""Pixels of the drawing area beside names of rows."""
_LETTER = 6.5
"""Pixels of a letter of a title, about."""
_ROW = 40
"""Pixels of a row whose name stands above its marks."""


@dataclass(frozen=True)
class Panel:
    """One panel: the lines of its title; the place of the rule that it belongs to, if it is one rule's; its picture as SVG;
    `fixed`: whether that keeps the size of its own, a grid of facets; `narrow`: where the names of rows take much room beside
    it, another for narrow windows with the names inside."""

    title: tuple[str, ...]
    rule: int | None
    svg: str
    fixed: bool = False
    narrow: str = ""


@dataclass(frozen=True)
class Entry:
    """A line of a legend: the name, its color and dashes; `line`: whether it stands for lines, not for areas or points."""

    name: str
    color: str
    dash: tuple[int, ...]
    line: bool


def legend_of(specification: dict[str, Any]) -> list[Entry]:
    """The entries of the figure's legends of names, each once; scales of numbers keep theirs inside the picture."""
    found: dict[str, Entry] = {}
    for channel, encoding in _encodings(specification):
        scale = encoding.get("scale") or {}
        names, colors = scale.get("domain"), scale.get("range")
        if channel not in ("color", "stroke") or not _is_of_names(encoding) or encoding.get("legend", {}) is None:
            continue
        for name, color in zip(names or (), colors or (), strict=False):
            line = (encoding.get("legend") or {}).get("symbolType", "stroke" if channel == "stroke" else "") == "stroke"
            found.setdefault(name, Entry(name, color, tuple(dash_of(color)), line))
    for channel, encoding in _encodings(specification):
        scale = encoding.get("scale") or {}
        if channel == "strokeDash" and _is_of_names(encoding):
            for name, dash in zip(scale.get("domain") or (), scale.get("range") or (), strict=False):
                if name in found:
                    found[name] = Entry(name, found[name].color, tuple(dash), found[name].line)
    return list(found.values())


def panels_of(specification: dict[str, Any], version: str) -> list[Panel]:
    """The figure's panels, drawn one by one with Vega-Lite of that `version`."""
    parts = _parts(specification)
    whole = {name: specification[name] for name in ("$schema", "config", "datasets") if name in specification}
    # One left margin for all, so that panels beside each other have one height.
    whole["config"] = {**whole.get("config", {}), "padding": 1, "axisY": {"minExtent": 36}}
    # Names beside rows are wide, so their picture is shown smaller than others, and its letters have to be larger.
    whole["config"]["axisYDiscrete"] = {"labelFontSize": 13.5}
    draw = lambda panel: vl_convert.vegalite_to_svg({**whole, **panel}, vl_version=version)
    panels, many, titles = [], len(parts) > 1, _titles(parts)
    for part in parts:
        title = part.get("title")
        lines = [title] if isinstance(title, str) else [title.get("text", ""), title.get("subtitle", "")] if title else []
        name = PANEL_NAME.fullmatch(part.get("name", ""))
        plain = {key: value for key, value in part.items() if key not in ("title", "name")}
        if many:
            plain = _alone(plain, {} if _is_picture(part) else titles)
        narrow = draw(_sized(_still(plain, inside=True), many)) if _has_rows(part) else ""
        rule, fixed = int(name[1]) if name else None, any(word in part for word in ("facet", "repeat"))
        panels.append(Panel(tuple(filter(None, lines)), rule, draw(_sized(_still(plain), many)), fixed, narrow))
    return panels


def _parts(node: dict[str, Any], inherited: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """The views inside: those of a grid, at any depth, one by one, the first of an inner grid with its title; of a chart that
    is no grid, itself without its title."""
    rows = node.get("concat") or node.get("vconcat") or node.get("hconcat")
    if rows is None:
        return [{name: value for name, value in node.items() if inherited is not None or name != "title"}]
    shared = {**(inherited or {}), **{name: node[name] for name in ("data", "transform") if name in node}}
    parts = [part for row in rows for part in _parts({**shared, **row}, shared)]
    if inherited is not None and "title" in node:
        parts[0] = {"title": node["title"], **parts[0]}
    return parts


def _encodings(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every channel with its encoding, at any depth."""
    if isinstance(node, list):
        for child in node:
            yield from _encodings(child)
    elif isinstance(node, dict):
        for name, child in node.items():
            if name == "encoding":
                yield from ((channel, one) for channel, one in child.items() if isinstance(one, dict))
            elif name not in ("datasets", "data", "config"):
                yield from _encodings(child)


def _is_of_names(encoding: dict[str, Any]) -> bool:
    return encoding.get("type") in ("nominal", "ordinal")


def _still(node: Any, *, inside: bool = False) -> Any:
    """`node` without what moves (selections, and what depends on them) and without the legends that `legend_of` gives.

    `inside`: with the names of rows above their marks instead of beside them.
    """
    if isinstance(node, list):
        return [_still(child, inside=inside) for child in node]
    if not isinstance(node, dict):
        return node
    condition = node.get("condition")
    condition = condition[0] if isinstance(condition, list) and condition else condition
    if isinstance(condition, dict) and "param" in condition:
        return _still({name: value for name, value in condition.items() if name not in ("param", "empty")})
    result = {name: _still(child, inside=inside) for name, child in node.items() if name not in ("params", "tooltip")}
    for channel, encoding in (node.get("encoding") or {}).items():
        if not isinstance(encoding, dict):
            continue
        if channel in ("color", "stroke", "strokeDash", "fill", "shape") and _is_of_names(encoding):
            result["encoding"][channel]["legend"] = None
        elif channel in ("color", "stroke") and encoding.get("field") and encoding.get("legend", {}) is not None:
            below = {"orient": "bottom", "direction": "horizontal"}
            result["encoding"][channel]["legend"] = (encoding.get("legend") or {}) | below
        if inside and channel == "y" and _is_of_names(encoding):
            axis = {"labelAlign": "left", "labelPadding": 0, "labelOffset": -13, "labelLimit": WIDTH, "ticks": False}
            result["encoding"][channel]["axis"] = (
                (encoding.get("axis") or {}) | axis | {"domain": False, "grid": False, "minExtent": 0}
            )
    return result


def _is_picture(panel: dict[str, Any]) -> bool:
    marks = [one.get("mark") for one in (panel, *panel.get("layer", ()))]
    return any(isinstance(mark, dict) and mark.get("type") == "image" for mark in marks)


def _titles(parts: list[dict[str, Any]]) -> dict[str, str]:
    """The titles of the axes that only the outer panels carry."""
    found = {}
    for channel, encoding in _encodings(parts):
        if channel in ("x", "y") and encoding.get("title"):
            found.setdefault(channel, encoding["title"])
    return found


def _alone(node: Any, titles: dict[str, str]) -> Any:
    """A panel whose neighbors may stand anywhere: it has labels and titles of its own, or, without `titles`, no axes at all."""
    if isinstance(node, list):
        return [_alone(child, titles) for child in node]
    if not isinstance(node, dict):
        return node
    result = {name: _alone(child, titles) for name, child in node.items()}
    for channel in ("x", "y"):
        encoding = (node.get("encoding") or {}).get(channel)
        if isinstance(encoding, dict) and "axis" in encoding:
            axis = encoding["axis"] if isinstance(encoding["axis"], dict) else {}
            if not titles:
                result["encoding"][channel] |= {"axis": None}
            elif axis.get("labels") is False:
                result["encoding"][channel] |= {
                    "axis": axis | {"labels": True, "ticks": True},
                    "title": titles[channel],
                }
    return result


def _has_rows(panel: dict[str, Any]) -> bool:
    return isinstance(panel.get("height"), dict)


def _sized(panel: dict[str, Any], many: bool) -> dict[str, Any]:
    """The panel in the size that a page has room for on a phone; pictures keep their proportions, rows of names their own."""
    if _has_rows(panel):
        inside = any(one.get("axis", {}).get("labelOffset") for channel, one in _encodings(panel) if channel == "y")
        return {**panel, **({"width": WIDTH, "height": {"step": _ROW}} if inside else {"width": _BESIDE})}
    width, height = panel.get("width"), panel.get("height")
    if not (isinstance(width, int | float) and isinstance(height, int | float)):
        return panel
    low, high = _HEIGHTS
    new = WIDTH, min(max(WIDTH * height / width, low), high)
    if _is_picture(panel):
        scale = (MAP if many else WIDTH) / max(width, height)
        new = scale * width, scale * height
    return {**_wrapped(panel, new[1]), "width": round(new[0]), "height": round(new[1])}


def _wrapped(node: Any, height: int | float) -> Any:
    """With y titles that are longer than the panel is high in several lines."""
    if isinstance(node, list):
        return [_wrapped(child, height) for child in node]
    if not isinstance(node, dict):
        return node
    result = {name: _wrapped(child, height) for name, child in node.items()}
    y = (node.get("encoding") or {}).get("y")
    if isinstance(y, dict) and isinstance(y.get("title"), str):
        lines = textwrap.wrap(y["title"], max(int(height / _LETTER), 12))
        result["encoding"]["y"] |= {"title": lines if len(lines) > 1 else y["title"]}
    return result
