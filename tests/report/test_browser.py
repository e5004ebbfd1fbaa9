"""What the page's script does, in a headless Chromium where one is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ascribe.report import write_page

from .stand_in import RULES, make_comparison

SPECIFICATION = importlib.util.spec_from_file_location("browser", Path(__file__).parents[2] / "benchmarks" / "browser.py")
chromium = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(chromium)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")]

MAPS = {epoch: np.full((5, 4, 4, 1), 40 * epoch, np.uint8) for epoch in (0, 1, 2)}
HOSTILE = "</script><img src=x onerror=document.title=1>"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    comparison = make_comparison(rules=(*RULES[:2], HOSTILE), epochs=4, layers=1)
    for runs in comparison.runs.values():
        runs.class_maps = MAPS
    path = write_page(comparison, tmp_path_factory.mktemp("page") / "page.html")
    with chromium.browser() as tab:
        tab.open(path.as_uri())
        yield comparison, tab


def test_a_filter_hides_the_rows_and_marks_of_a_rule(opened):
    _, tab = opened
    shown = "[...document.querySelectorAll('#learning_curves [data-row]')].filter((one) => !one.closest('.off')).length"
    rows = "[...document.querySelectorAll('tbody tr[data-rule]')].filter((one) => one.offsetHeight).length"
    assert (tab.evaluate(shown), tab.evaluate(rows)) == (6, 6)
    tab.evaluate("document.querySelectorAll('.filters input')[1].click()")
    assert (tab.evaluate(shown), tab.evaluate(rows)) == (4, 4)
    assert tab.evaluate("document.querySelector('.state').textContent") == "2 of 3 rules"
    assert "feedback" not in tab.evaluate("location.hash") and "backpropagation" in tab.evaluate("location.hash")
    tab.evaluate("document.querySelector('[data-all]').click()")
    assert (tab.evaluate(shown), tab.evaluate(rows), tab.evaluate("location.hash")) == (6, 6, "")
    tab.evaluate(
        """document.querySelector(`.legend [data-rule="1"] button`).dispatchEvent(new Event("click", { bubbles: true }))"""
    )
    assert tab.evaluate(shown) == 2
    tab.evaluate("document.querySelector('[data-all]').click()")


def test_keys_and_pointer_tell_the_values(opened):
    comparison, tab = opened
    press = "document.querySelector('#learning_curves .chart').dispatchEvent(new KeyboardEvent('keydown', {key: '%s'}))"
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        tab.evaluate(press % key)
    words = tab.evaluate("[...document.querySelectorAll('.tip b')].map((one) => one.textContent)")
    mean = comparison.runs[RULES[1]].curves["train_loss"][:, 1].mean()
    assert words[:3] == [RULES[1], "train loss", "2"]
    np.testing.assert_allclose(float(words[3]), mean, rtol=1e-4)
    over = tab.evaluate(
        "(() => { const box = document.querySelector('.spot').getBoundingClientRect(); document.querySelector('#learning_curves"
        " .chart').dispatchEvent(new PointerEvent('pointermove', {clientX: box.x + 7, clientY: box.y + 7}));"
        "return [...document.querySelectorAll('.tip b')].map((one) => one.textContent); })()"
    )
    assert over == words
    tab.evaluate(press % "Escape")
    assert tab.evaluate("document.querySelector('.tip').hidden")


def test_a_rule_stands_out_where_the_pointer_is(opened):
    _, tab = opened
    faint = "[...document.querySelectorAll('#learning_curves .panel [data-row]')].map((one) => getComputedStyle(one).filter)"
    enter = """document.querySelector('#learning_curves .legend [data-rule="1"]').dispatchEvent(new Event("pointer%s"))"""
    assert set(tab.evaluate(faint)) == {"none"}
    tab.evaluate(enter % "enter")
    assert sorted(tab.evaluate(faint)) == ["none"] * 2 + ["opacity(0.12)"] * 4
    tab.evaluate(enter % "leave")
    assert set(tab.evaluate(faint)) == {"none"}


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_cut_off_and_figures_are_legible(opened, width):
    """No window scrolls sideways, rows of wide tables are cards on a phone, and text of figures has ten pixels or more."""
    _, tab = opened
    tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    try:
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        tables = "[...document.querySelectorAll('.cards')].every((one) => one.scrollWidth <= one.parentElement.clientWidth)"
        assert width == 768 or tab.evaluate(tables)
        assert tab.evaluate("getComputedStyle(document.querySelector('.cards td')).display") == (
            "flex" if width == 360 else "table-cell"
        )
        sizes = tab.evaluate(
            "[...document.querySelectorAll('.panel svg text')].filter((one) => one.getClientRects().length).map((one) =>"
            " parseFloat(getComputedStyle(one).fontSize) * one.ownerSVGElement.getScreenCTM().a)"
        )
        assert len(sizes) > 50 and min(sizes) >= 10
    finally:
        tab.call("Emulation.clearDeviceMetricsOverride")


def test_a_slider_shows_the_class_maps_of_earlier_epochs(opened):
    _, tab = opened
    told = "document.querySelector('.epochs output').value"
    shown = "new Set([...document.querySelectorAll('#landscapes image')].map((one) => one.getAttribute('href')))"
    move = "(() => { const one = document.querySelector('.epochs input'); one.value = %d;"
    move += "one.dispatchEvent(new Event('input'));"
    last = tab.evaluate(f"[...{shown}]")
    assert tab.evaluate(told) == "after training" and len(last) == 3
    for place, words in enumerate(("before it", "after epoch 1", "after epoch 2")):
        assert tab.evaluate(f"{move % place} return {told}; }})()") == words
        assert tab.evaluate("document.querySelector('.epochs input').ariaValueText") == words
        assert tab.evaluate(f"{shown}.size") == 1
    tab.evaluate("document.querySelector('.epochs button').click()")
    assert tab.evaluate("document.querySelector('.epochs button').textContent") == "Pause"
    wait = "new Promise((done) => setTimeout(done, 1500))"
    assert tab.evaluate(f"{wait}.then(() => {told})") == "after training"
    assert tab.evaluate("document.querySelector('.epochs button').textContent") == "Play"
    assert tab.evaluate(f"[...{shown}]") == last


def test_the_table_of_values_and_the_pictures(opened):
    comparison, tab = opened
    opening = "(async () => { const one = document.querySelector('#learning_curves details'); one.open = true;"
    opening += "await new Promise((done) => setTimeout(done, 200)); return one.querySelectorAll('tbody tr').length; })()"
    assert tab.evaluate(opening) == len(comparison.runs) * 2 * 4
    assert tab.evaluate("picture(document.querySelector('#learning_curves')).size") > 5000
    texts = "arranged(document.querySelector('#learning_curves')).querySelectorAll(':scope > text')"
    shown = f"[...{texts}].map((one) => one.textContent)"
    assert set(tab.evaluate(shown)) == set(comparison.runs)
    assert tab.evaluate("arranged(document.querySelector('#learning_curves')).querySelectorAll('svg [data-row]').length") == 6
    assert tab.evaluate("document.querySelector('#learning_curves .downloads a').href.startsWith('data:text/csv')")
    assert HOSTILE in tab.evaluate("document.querySelector('#learning_curves details').textContent")
    assert tab.evaluate("document.title") == "3 learning rules on two moons"
    assert tab.evaluate("document.querySelectorAll('body img').length") == 0
