"""Tables of other papers: what is read from one comparison, and what a table asks for."""

import dataclasses
import importlib
import pkgutil

import numpy as np
import pytest

from ascribe import papers, report, rules
from ascribe.papers import published
from ascribe.papers.published import table as module
from ascribe.papers.published.table import APART, FROZEN, Row, Table, distance, order, redo
from ascribe.setup import Setup

from ..training import tiny


def tables():
    for found in pkgutil.iter_modules(published.__path__):
        for name, one in vars(importlib.import_module(f"{published.__name__}.{found.name}")).items():
            if isinstance(one, Table):
                yield f"{found.name}.{name}", one


EVERY = dict(tables())
ROWS = [
    {"rule": "one", "printed": 98.0, "here": 95.0},
    {"rule": "two", "printed": 90.0, "here": 86.5},
    {"rule": "three", "printed": 97.0, "here": 96.0},
]


@pytest.mark.parametrize("name", EVERY)
def test_a_table_names_rules_and_settings_that_there_are(name):
    one = EVERY[name]
    assert one.rows[0].rule == "backpropagation"
    for row in one.rows:
        assert row.rule == FROZEN or rules.get(row.rule)
        assert 0 < row.printed < 100
    known = {field.name for field in dataclasses.fields(Setup)} | {
        "network",
        "activation",
        "seeds",
        "tune",
        "tune_seeds",
        "search",
    }
    assert {*one.settings, *one.small} <= known
    assert one.settings["seeds"] >= 3 and "network" in one.settings
    assert one.small.get("epochs", 0) <= one.settings["epochs"]


def test_every_table_has_its_entry_in_both_sizes():
    mine = [entry for entry in papers.TABLE.values() if entry.module.startswith("published.")]
    assert len(mine) == len(EVERY)
    assert all(entry.full and entry.minutes <= 10 for entry in mine)


def test_rules_far_apart_in_print_stand_in_that_order_here():
    assert abs(ROWS[0]["printed"] - ROWS[2]["printed"]) < APART
    assert order(ROWS) == papers.Check(order(ROWS).statement, "2 pairs", "2 pairs", True)
    turned = [*ROWS[:2], ROWS[2] | {"here": 80.0}]
    assert (order(turned).got, order(turned).passed) == ("two above three", False)
    lost = [*ROWS[:2], ROWS[2] | {"here": float("nan")}]
    assert not order(lost).passed


def test_a_distance_is_that_from_the_first_row():
    check = distance(ROWS[1], ROWS[0], 0.6)
    assert (check.statement, check.expected, check.got, check.passed) == ("two: points above one", "-8 ± 0.6", -8.5, True)
    assert not distance(ROWS[1], ROWS[0], 0.4).passed


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_a_table_is_read_from_one_comparison(full, monkeypatch):
    loaded = []

    def load(name, **options):
        loaded.append((name, options))
        return tiny.data()

    monkeypatch.setattr(module.datasets, "load", load)
    rows = (Row("BP", "backpropagation", 80.0), Row("FA", "fa", 79.0), Row("last layer", FROZEN, 60.0))
    settings = {"network": "3", "activation": "tanh", "epochs": 2, "batch_size": 8, "seeds": 3, "tune": 0, "learning_rate": 0.1}
    one = Table("A title", "theirs", rows, settings, {"epochs": 1}, margin=100.0, small_margin=100.0, examples=(30, 20))
    found = redo(one, papers.base.silent, full=full)
    assert loaded == [("theirs", {} if full else {"samples": 30, "test_samples": 20})]
    assert [row["rule"] for row in found.tables["accuracies"]] == ["BP", "FA", "last layer"]
    assert len(found.checks) == (4 if full else 3)
    here = [row["here"] for row in found.tables["accuracies"]]
    wanted = tiny.trained(optimizer="adam", seeds=3, epochs=2 if full else 1, batch_size=8).test_accuracy
    np.testing.assert_allclose(here[0], 100 * wanted.mean(), rtol=1e-6)
    assert report.specification(found.figures["accuracies"])["title"]["text"] == "A title"
