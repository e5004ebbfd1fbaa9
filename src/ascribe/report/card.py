"""The page of a rule's card, and of the claims of a comparison: sentences and tables, section by section."""

from collections.abc import Mapping, Sequence
from typing import Any

from .document import render


def card_page(title: str, head: Sequence[str], picture: str, sections: Sequence[Mapping[str, Any]]) -> str:
    """The page, which fetches nothing.

    **Arguments:** `head`: sentences of the opening; `picture`: SVG that this package drew, or an empty text; `sections`: each
    with its `title`, `sentences`, `columns` and `rows`.
    """
    return render("card.html.jinja", title=title, head=head, picture=picture, sections=sections)
