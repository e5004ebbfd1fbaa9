"""The page as one HTML file: its template, style and scripts put together, with the data of the engine inside.

Nothing of the page is fetched and nothing in it is made into a program: the content security policy names the style and the
scripts by their hashes, and allows nothing else. Names and data are in a block of JSON or base64, which no browser runs, and
reach the page as text.
"""

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ascribe import __version__
from ascribe.charts.theme import GRAY, dash_of, diverging, rule_colors

FOLDER = Path(__file__).parent / "page"
SCRIPTS = (
    *("random", "features", "datasets", "csv", "history", "session", "link", "palette", "canvas", "dom", "words", "dials"),
    *("surface", "wiring", "network", "curves", "cards", "controls", "lessons", "saving", "loop", "page_data", "app", "main"),
)
"""The page's scripts after the engine's, each after those that it uses."""
SMALL = 40_000
"""Bytes of data up to which they are written as JSON that one can read."""
LARGEST = 1_500_000
"""Bytes of the page, at most."""
CONTROL_DASHES = [5, 3]
SHADES = 33
"""Colors of the decision surface that are told; the page has those between them."""


def page(data: Mapping[str, Any], engine: str, *, title: str = "ascribe play") -> str:
    """The page, of the `data` that the engine's script reads (`Ascribe.load`) and of that script.

    **Arguments:** - `data`: rules, architectures, activations, optimizers and programs, as plain JSON values; the colors of the
    rules and the lessons are added here. - `engine`: JavaScript that sets `Ascribe`. - `title`: of the window.
    """
    names = dict.fromkeys([*data.get("shown", ()), *data["rules"]])  # the colors of the first are farthest apart
    return assembled(
        {**data, "theme": theme(names, data.get("control")), "lessons": lessons()},
        engine,
        title=title,
        templates=("bar.html", "index.html"),
        styles=("style.css",),
        scripts=SCRIPTS,
    )


def assembled(
    data: Mapping[str, Any],
    engine: str,
    *,
    title: str,
    templates: Sequence[str],
    styles: Sequence[str],
    scripts: Sequence[str],
    served: bool = False,
) -> str:
    """A page of the files of this folder: the head of all pages and these templates, with styles, scripts (without their
    endings) and data inside. One that is `served` may talk to its own server, and to nobody else."""
    form, packed = _packed(json.dumps(data, allow_nan=False, separators=(",", ":")))
    style = "".join(map(_read, styles))
    written = [_inline(engine), *(_inline(_read(f"{name}.js")) for name in scripts)]
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, written))}",
            f"style-src {_hash(style)}",
            "img-src data: blob:",
            *(["connect-src 'self'"] if served else []),
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    parts = {
        "policy": html.escape(policy, quote=True),
        "title": html.escape(title),
        "style": style,
        "version": html.escape(__version__),
        "form": form,
        "data": packed,
        "scripts": "\n".join(f"<script>{script}</script>" for script in written),
    }
    # Put in one after the other, from pieces of the template: what is put in is not looked at again.
    pieces = "".join(map(_read, ("head.html", *templates))).split("{{ ")
    found = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition(" }}")
        found += [parts[name], rest]
    return "".join(found)


def theme(rules: Iterable[str], control: str | None = None) -> dict[str, Any]:
    """The colors and dashes of the rules, gray for the control, and the colors of the decision surface from 0 to 1."""
    colors = rule_colors(name for name in rules if name != control)
    dashes = {name: [] if dash_of(color) == [1, 0] else dash_of(color) for name, color in colors.items()}
    if control is not None:
        colors[control], dashes[control] = GRAY, CONTROL_DASHES
    surface = diverging(np.linspace(0.0, 1.0, SHADES)).round().astype(int)
    return {
        "colors": colors,
        "dashes": dashes,
        "surface": ["#" + "".join(f"{part:02x}" for part in color) for color in surface.tolist()],
    }


def lessons() -> list[dict[str, Any]]:
    """The lessons of the page."""
    return json.loads(_read("lessons.json"))


def _packed(text: str) -> tuple[str, str]:
    """How the data are written, and they themselves: no `<` is left that could end their block."""
    if len(text) <= SMALL:
        return "json", text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return "gzip", base64.b64encode(gzip.compress(text.encode("utf-8"), 9, mtime=0)).decode("ascii")


def _inline(script: str) -> str:
    """A script as it may stand in a page: nothing in it ends its block early."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
