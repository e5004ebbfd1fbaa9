"""The page of a rule's card, and of the claims of a comparison: sentences and tables, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

from .document import render

NARROW = 56
"""Characters in a line of a table that fits on a phone."""


def card_page(title: str, head: Sequence[str], picture: str, sections: Sequence[Mapping[str, Any]]) -> str:
    """The page, which fetches nothing.

    **Arguments:** `head`: sentences of the opening; `picture`: SVG that this package drew, or an empty text; `sections`: each
    with its `title`, `sentences`, `columns` and `rows`.
    """
    shown = [{**one, "narrow": _width(one) <= NARROW} for one in sections]
    return render("card.html.jinja", title=title, head=head, picture=picture, sections=shown)


def _width(section: Mapping[str, Any]) -> int:
    """Characters in a line of its table."""
    lines = [section["columns"], *section["rows"]]
    return sum(max(map(len, column)) + 2 for column in zip(*lines, strict=True))
