"""What the page's script does, in a headless Chromium where one is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ascribe.report import write_page

from .stand_in import RULES, make_comparison

SPECIFICATION = importlib.util.spec_from_file_location(
    "browser", Path(__file__).parents[2] / "benchmarks" / "browser.py"
)
chromium = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(chromium)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")]

HOSTILE = "</script><img src=x onerror=document.title=1>"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    comparison = make_comparison(rules=(*RULES[:2], HOSTILE), epochs=4, layers=1)
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
        """document.querySelector(`.legend [data-rule="1"] text`).dispatchEvent(new Event("click", { bubbles: true }))"""
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


def test_the_table_of_values_and_the_pictures(opened):
    comparison, tab = opened
    opening = "(async () => { const one = document.querySelector('#learning_curves details'); one.open = true;"
    opening += (
        "await new Promise((done) => setTimeout(done, 200)); return one.querySelectorAll('tbody tr').length; })()"
    )
    assert tab.evaluate(opening) == len(comparison.runs) * 2 * 4
    assert tab.evaluate("picture(document.querySelector('#learning_curves')).size") > 5000
    assert tab.evaluate("document.querySelector('#learning_curves .downloads a').href.startsWith('data:text/csv')")
    assert HOSTILE in tab.evaluate("document.querySelector('#learning_curves details').textContent")
    assert tab.evaluate("document.title") == "3 learning rules on two moons"
    assert tab.evaluate("document.querySelectorAll('body img').length") == 0
