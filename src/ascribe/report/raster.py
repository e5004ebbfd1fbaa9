"""A figure's SVG as PNG; run as a program, the files that are named to it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree

import vl_convert

_SVG = "{http://www.w3.org/2000/svg}"
_POINT = re.compile(r"[ML](-?[\d.e-]+),(-?[\d.e-]+)")
_POLYGON = re.compile(r"(?:[ML]-?[\d.e-]+,-?[\d.e-]+|Z)*")

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def png_of(svg: str) -> bytes:
    """`svg`, which Vega drew, as PNG, two pixels a unit."""
    return vl_convert.svg_to_png(_without_idle(svg), scale=2)


@contextmanager
def rasterized(files: Sequence[Path]) -> Iterator[None]:
    """Beside every SVG file a PNG, when the block has ended: they are made meanwhile in a process of their own, since what
    draws pixels holds Python's lock."""
    process = None
    with suppress(OSError):  # where no process can be started
        if files:
            command, nowhere = [sys.executable, "-P", __file__, *map(str, files)], subprocess.DEVNULL
            process = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    try:
        yield
    except BaseException:
        if process is not None:
            process.kill()
        raise
    finally:
        if process is not None:
            process.wait()
    for file in files:
        if not file.with_suffix(".png").is_file():
            _rasterize(file)


def _rasterize(file: Path) -> None:
    """Whole or not at all, without the package: as a program it is to start at once."""
    part = file.with_suffix(".part")
    part.write_bytes(png_of(file.read_text(encoding="utf-8")))
    os.replace(part, file.with_suffix(".png"))


def _without_idle(svg: str) -> str:
    """The same picture without marks that are not to be seen and clip paths that cut nothing off: what draws pixels makes a
    layer of its own for each."""
    root = ElementTree.fromstring(svg)
    clips = {f"url(#{clip.get('id')})": _box(clip[0]) for clip in root.iter(f"{_SVG}clipPath") if len(clip)}
    for parent in list(root.iter()):
        parent[:] = [child for child in parent if child.get("opacity") != "0"]
        box = clips.get(parent.get("clip-path", ""))
        if box is not None and all(_is_inside(child, box) for child in parent):
            del parent.attrib["clip-path"]
    return ElementTree.tostring(root, encoding="unicode")


def _box(clip: ElementTree.Element) -> Box | None:
    if clip.tag != f"{_SVG}rect":
        return None
    left, top, width, height = (float(clip.get(name, "0")) for name in ("x", "y", "width", "height"))
    return left, top, left + width, top + height


def _is_inside(mark: ElementTree.Element, box: Box) -> bool:
    """Whether the mark is a polygon, or a line through points, within the box."""
    path = mark.get("d", "")
    if mark.tag != f"{_SVG}path" or "transform" in mark.attrib or not _POLYGON.fullmatch(path):
        return False
    left, top, right, bottom = box
    return all(left <= float(x) <= right and top <= float(y) <= bottom for x, y in _POINT.findall(path))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        _rasterize(Path(name))
