"""The tutorial's pictures: each is there, can be read, and was drawn from the code that the page has now."""

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
IMAGES = ROOT / "docs" / "images"


@pytest.fixture(scope="module")
def pictures():
    """tools/tutorial_pictures.py, which draws them."""
    specification = importlib.util.spec_from_file_location("tutorial_pictures", ROOT / "tools" / "tutorial_pictures.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_every_section_shows_its_picture_before_its_code(pictures):
    parts = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
    assert [section for section, _ in pictures.PICTURES.values()] == [part for part in parts if "```python" in parts[part]]
    for name, (section, _) in pictures.PICTURES.items():
        before, _, _ = parts[section].partition("```")
        assert re.search(rf"!\[[^\]]+\]\(images/tutorial_{name}\.svg\)", before), name
    assert {path.name for path in IMAGES.glob("tutorial_*")} == {f"tutorial_{name}.svg" for name in pictures.PICTURES}


def test_every_picture_is_small_and_its_letters_are_large_enough_on_the_page(pictures):
    for name in pictures.PICTURES:
        path = IMAGES / f"tutorial_{name}.svg"
        assert path.stat().st_size < 80_000, name
        tree = ET.parse(path).getroot()
        width = float(tree.get("viewBox").split()[2])
        sizes = [float(found) for found in re.findall(r'font-size="([\d.]+)', path.read_text(encoding="utf-8"))]
        assert width <= 700 and min(sizes) >= 10, name
        background = tree.find("{http://www.w3.org/2000/svg}rect")
        assert background.get("fill") == "white" and float(background.get("width")) == width, name


def test_every_picture_was_drawn_from_the_code_that_the_page_has_now(pictures):
    """If this fails, the code has changed since: `python tools/tutorial_pictures.py`."""
    for name, stamp in pictures.stamps(TEXT).items():
        assert (IMAGES / f"tutorial_{name}.svg").read_text(encoding="utf-8").startswith(f"{stamp}\n<svg"), name


def test_a_stamp_is_of_the_code_alone_up_to_its_section(pictures):
    stamps = pictures.stamps(TEXT)
    assert pictures.stamps(TEXT.replace("# a mistake", "# wrong").replace("Exclusive or is", "It is")) == stamps
    changed = pictures.stamps(TEXT.replace("rate=1.0", "rate=2.0"))
    kept = [name for name in stamps if changed[name] == stamps[name]]
    assert kept == ["neuron", "two_layers", "slope"]


@pytest.mark.slow
def test_the_pictures_show_what_the_code_on_the_page_computes(pictures, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    wanted = ("neuron", "two_layers", "slope", "backpropagation", "feedback")  # the others train for a minute
    drawn = dict(pictures.specifications(TEXT, wanted))
    assert tuple(drawn) == wanted
    for old, new, differ in (
        ("np.array([-1.0, -1.0]), 1.5)", "np.array([-1.0, -1.0]), 1.2)", {"two_layers"}),
        ("np.random.default_rng(2)", "np.random.default_rng(3)", {"feedback"}),
    ):
        assert TEXT.count(old) == 1
        other = dict(pictures.specifications(TEXT.replace(old, new), wanted))
        assert {name for name in wanted if other[name] != drawn[name]} == differ
    titles = [panel["title"]["text"] for panel in drawn["neuron"]["concat"]]
    assert titles[0] == "pass 1: 1 of 4 right" and titles[-1] == "pass 8: 4 of 4 right"
