"""What all pages share: one template around them, one style, one script, and the figures with their data."""

import base64
import csv
import hashlib
import io
import urllib.parse
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import jinja2

from ascribe.charts.theme import dash_of
from ascribe.files import csv_text

from .figures import Drawing
from .vector import embedded, width_of

SMALL = 260
"""Pixels; what is narrower is a small picture."""


def render(template: str, **values: Any) -> str:
    """A page from `template`, which extends `base.html.jinja`; it fetches nothing.

    The templates escape everything but what they mark safe: the style, the script and the figures, which `embedded` writes.
    The script runs only if its hash is in the page's policy, so a hostile name could not smuggle one in even unescaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = lambda value: "" if value is None else repr(value)
    script = _asset("page.js")
    return environment.get_template(template).render(style=_asset("page.css"), script=script, policy=_policy(script), **values)


def figure(
    name: str,
    drawing: Drawing,
    rules: Sequence[str],
    numbers: Sequence[int],
    prefix: str = "",
    earlier: Mapping[int, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """What the templates' macro `figure` shows of a drawing. `rules` and `numbers` are as in `embedded`.

    `prefix` keeps its name apart from the same figure's of another comparison. `earlier`: the addresses of the rules'
    pictures after earlier epochs, `{epoch: {rule: address}}`.
    """
    earlier = earlier or {}
    heading = drawing.specification["title"]
    tables = {title: text for title, text in drawing.specification["datasets"].items() if not _is_unnamed(title)}
    known = dict(zip(rules, numbers, strict=True))
    panels = []
    for place, panel in enumerate(drawing.panels):
        pictures = [
            embedded(svg, name=f"{prefix}{name}-{place}{kind}", rules=rules, numbers=numbers, fixed=panel.fixed)
            for svg, kind in ((panel.svg, ""), (panel.narrow, "-narrow"))
            if svg
        ]
        kind = "rows" if panel.narrow else "fixed" if panel.fixed else ""
        number = None if panel.rule is None else numbers[panel.rule]
        before = [] if panel.rule is None else [maps[rules[panel.rule]] for maps in earlier.values()]
        panels.append({"title": panel.title, "number": number, "kind": kind, "pictures": pictures, "earlier": " ".join(before)})
    return {
        "name": prefix + name,
        "title": heading["text"],
        "subtitle": " ".join(heading.get("subtitle", [])),
        "panels": panels,
        "kind": _kind(drawing, panels),
        "epochs": list(earlier),
        "legend": [{**vars(entry), "number": known.get(entry.name)} for entry in drawing.legend],
        "tables": [_table(title, text) for title, text in tables.items()],
    }


def _kind(drawing: Drawing, panels: Sequence[Any]) -> str:
    """How many panels have room beside each other: small pictures up to four, of more as many as fit; others two or four by
    twos, else by threes."""
    small = len(panels) > 1 and all(width_of(panel.svg) < SMALL for panel in drawing.panels)
    if small:
        return f"maps of{len(panels)}" if len(panels) <= 4 else "maps"
    return "few" if len(panels) in (2, 4) else "many"


def rule_filter(colors: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """What the templates' macro `filters` offers: every rule with its number and color."""
    return [
        {"number": number, "name": rule, "color": color, "dash": dash_of(color or ""), "line": True}
        for number, (rule, color) in enumerate(colors.items())
    ]


def _is_unnamed(title: str) -> bool:
    return title.startswith("table") and title[5:].isdigit()


def _table(title: str, text: str) -> dict[str, Any]:
    """A table as the link that downloads it, without the column that numbers its rows."""
    titles, *lines = csv.reader(io.StringIO(text))
    points = "row" in titles
    kept = [place for place, name in enumerate(titles) if name != "row"]
    shown = csv_text(([line[place] for place in kept] for line in (titles, *lines)), end="\n")
    address = "data:text/csv;charset=utf-8," + urllib.parse.quote(shown, safe=",:;=@/+$!()*")
    return {"title": title, "file": title.replace(" ", "_"), "address": address, "points": points}


def _asset(name: str) -> str:
    return resources.files(__package__ or "ascribe.report").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """A content security policy: nothing from outside, and only `script` to run."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )
