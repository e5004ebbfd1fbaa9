"""One HTML page of checks and their figures, for results that are no comparison; it opens from disk without a network."""

import base64
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2

COLUMNS = ("What is checked", "Expected", "Here", "Outcome")


def sheet(title: str, entries: Sequence[dict[str, Any]]) -> str:
    """The page: a section for each of `entries`, with its checks in a table and its figures below.

    An entry holds the texts `name`, `title` and `source`, `checks` (each `statement`, `expected`, `got` and `passed`),
    and `figures`, caption to SVG. The pictures are embedded as images, so that their inner names cannot meet, and the
    template escapes everything else. There is no script.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["picture"] = data_uri
    return environment.from_string(_asset("sheet.html.jinja")).render(
        title=title, columns=COLUMNS, entries=entries, style=_asset("page.css")
    )


def data_uri(svg: str) -> str:
    """A picture as the address of an image that holds it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8')).decode('ascii')}"


def _asset(name: str) -> str:
    return resources.files(__package__ or "ascribe.report").joinpath(name).read_text(encoding="utf-8")
