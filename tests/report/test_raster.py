"""A figure in pixels: what is left out for speed is not to be seen."""

import pytest
import vl_convert

from ascribe.report import raster
from ascribe.report.raster import _without_idle, png_of

CLIPS = "".join(f'<clipPath id="clip{i}"><rect x="0" y="0" width="40" height="30"/></clipPath>' for i in range(4))


def drawn(*groups):
    inner = "".join(f'<g clip-path="url(#clip{i})">{group}</g>' for i, group in enumerate(groups))
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="50" viewBox="0 0 60 50">'
    return f'{head}<g transform="translate(5,5)">{inner}</g><defs>{CLIPS}</defs></svg>'


INSIDE = '<path d="M2,3L30,3L30.5,1.2e1Z" fill="#d55e00" opacity="0.5"/>'
BEYOND = '<path d="M2,20L50,20L30,45Z" fill="#0072b2"/>'
CURVE = '<path d="M20,10A30,30,0,1,1,10,20" fill="#009e73"/>'
MOVED = '<path transform="translate(20,0)" d="M2,3L30,3L30,12Z" fill="#7f7f1a"/>'
UNSEEN = '<path d="M0,0L40,0L40,30Z" fill="#000000" opacity="0"/>'


def test_the_picture_is_the_same():
    whole = drawn(INSIDE + UNSEEN, BEYOND, CURVE, MOVED)
    lean = _without_idle(whole)
    assert (whole.count("clip-path="), lean.count("clip-path=")) == (4, 3)
    assert UNSEEN[9:25] in whole and UNSEEN[9:25] not in lean
    assert png_of(whole) == vl_convert.svg_to_png(whole, scale=2)


@pytest.mark.parametrize("group", [BEYOND, CURVE, MOVED, INSIDE + BEYOND])
def test_a_clip_path_that_cuts_stays(group):
    assert _without_idle(drawn(group)).count("clip-path=") == 1


@pytest.mark.parametrize("program", [None, "/there/is/none"])
def test_a_png_is_made_beside_every_file_with_a_process_and_without(tmp_path, monkeypatch, program):
    if program is not None:
        monkeypatch.setattr(raster.sys, "executable", program)
    file = tmp_path / "one.svg"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><rect width='5' height='5'/></svg>")
    with raster.rasterized([file]):
        pass
    assert file.with_suffix(".png").read_bytes() == png_of(file.read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "one.svg"]


def test_where_the_work_beside_it_fails_nobody_waits_for_pngs(tmp_path):
    file = tmp_path / "one.svg"
    file.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(KeyboardInterrupt), raster.rasterized([file]):
        raise KeyboardInterrupt
