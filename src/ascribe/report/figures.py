"""All figures of a comparison, and how they become specifications and files."""

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from ascribe.files import write_whole

from .angles import feedback_angles, gradient_angles, layer_angles
from .base import Comparison
from .class_maps import class_maps
from .confusion import confusion
from .curves import learning_curves
from .fits import fits
from .landscape import loss_surface
from .layout import Entry, Panel, legend_of, panels_of
from .own_metrics import own_metrics
from .quality import bias, signal_to_noise
from .raster import png_of, rasterized
from .scores import final_scores
from .sensitivity import learning_rate_sensitivity

# In the order in which a reader meets them.
_FIGURES: dict[str, Callable[[Comparison], Any]] = {
    "final_scores": final_scores,
    "landscapes": class_maps,
    "fits": fits,
    "learning_curves": learning_curves,
    "confusion": confusion,
    "loss_surface": loss_surface,
    "gradient_angles": gradient_angles,
    "layer_angles": layer_angles,
    "feedback_angles": feedback_angles,
    "signal_to_noise": signal_to_noise,
    "bias": bias,
    "own_metrics": own_metrics,
    "learning_rate_sensitivity": learning_rate_sensitivity,
}

UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (section 2.2)."""

# The Vega-Lite version that Altair writes is the one that has to draw.
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def figures(comparison: Comparison) -> dict[str, Any]:
    """Figure name to Altair chart, those that the data and the recorded curves allow, in reading order."""
    charts = {name: make(comparison) for name, make in _FIGURES.items()}
    return {name: chart for name, chart in charts.items() if chart is not None}


def specification(chart: Any) -> dict[str, Any]:
    """The Vega-Lite specification of `chart`, whatever theme or data transformer the session has switched on."""
    with alt.theme.enable("none"), alt.data_transformers.enable("default", max_rows=None):
        result = chart.to_dict(validate=False)  # against a schema of 30,000 lines; tests do
    result, tables = _printable(result), {}
    _share_tables(result, tables)
    return {**result, "datasets": {name: text for text, name in tables.items()} | result.get("datasets", {})}


def _printable(node: Any) -> Any:
    """With a sign for every character that SVG cannot hold: a control character in a name would end the process, since what
    draws is native code."""
    if isinstance(node, str):
        return UNPRINTABLE.sub(lambda found: chr(0x2400 + ord(found[0])) if ord(found[0]) < 0x20 else "\ufffd", node)
    if isinstance(node, list):
        return [_printable(child) for child in node]
    return {_printable(name): _printable(child) for name, child in node.items()} if isinstance(node, dict) else node


def _share_tables(node: Any, tables: dict[str, str]) -> None:
    """Move CSV texts inside `node` to the names in `tables`, so that one which several panels show is stored once."""
    if isinstance(node, list):
        for child in node:
            _share_tables(child, tables)
    elif isinstance(node, dict):
        data = node.get("data")
        if isinstance(data, dict) and isinstance(data.get("values"), str):
            data["name"] = tables.setdefault(data.pop("values"), data.get("name") or f"table{len(tables) + 1}")
        for child in node.values():
            _share_tables(child, tables)


@dataclass(frozen=True)
class Drawing:
    """A figure by its Vega-Lite specification: whole as SVG, for files, and in parts, for a page; each drawn once."""

    specification: dict[str, Any]

    @functools.cached_property
    def svg(self) -> str:
        return vl_convert.vegalite_to_svg(self.specification, vl_version=VEGA_LITE)

    @functools.cached_property
    def panels(self) -> list[Panel]:
        """Its panels, each a picture of its own, as a page lays them out."""
        return panels_of(self.specification, VEGA_LITE)

    @functools.cached_property
    def legend(self) -> list[Entry]:
        """The names that its colors and dashes stand for."""
        return legend_of(self.specification)


def drawings(comparison: Comparison) -> dict[str, Drawing]:
    """Figure name to drawing."""
    return {name: Drawing(specification(chart)) for name, chart in figures(comparison).items()}


def save_figures(comparison: Comparison, folder: str | os.PathLike[str], drawn: dict[str, Drawing] | None = None) -> list[Path]:
    """Write every figure as `NAME.png` and `NAME.svg` into `folder`; returns the paths written.

    `drawn` is `drawings(comparison)` where it is at hand already.
    """
    vectors = write_vectors(drawings(comparison) if drawn is None else drawn, Path(folder))
    with rasterized(vectors):
        return [path for file in vectors for path in (file.with_suffix(".png"), file)]


def write_vectors(drawn: Mapping[str, Drawing], folder: Path) -> list[Path]:
    """Write every figure as `NAME.svg` into `folder`; returns the paths.

    **Raises:** `UserError` where they cannot be written.
    """
    files = [folder / f"{name}.svg" for name in drawn]
    for file, drawing in zip(files, drawn.values(), strict=True):
        write_whole(file, drawing.svg.encode("utf-8"), parents=True)
    return files


def write_figure(stem: str | os.PathLike[str], drawing: dict[str, Any] | str) -> tuple[Path, Path]:
    """Write `drawing`, a specification or SVG text, as `STEM.png` (two pixels a unit) and `STEM.svg`; returns the two paths.

    **Raises:** `UserError` where they cannot be written.
    """
    stem = Path(stem)
    png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
    picture = drawing if isinstance(drawing, str) else vl_convert.vegalite_to_svg(drawing, vl_version=VEGA_LITE)
    write_whole(svg, picture.encode("utf-8"), parents=True)
    write_whole(png, png_of(picture))  # without laying the figure out again
    return png, svg
