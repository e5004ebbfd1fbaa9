"""Several comparisons as one: seeds joined where a rule was trained in the same way, rows of their own where not."""

import dataclasses

import numpy as np
import pytest

from ascribe import Comparison, compare, datasets, load, merge
from ascribe.cli import main
from ascribe.errors import UserError

RULES = ["backpropagation", "feedback-alignment"]
OPTIONS = {"network": "4", "epochs": 3, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data():
    return datasets.load("moons", samples=60)


@pytest.fixture(scope="module")
def pair(data):
    first = compare(data, rules=RULES, seeds=[0, 1], **OPTIONS)
    return first, compare(data, rules=[*RULES[:1], "sign-symmetry"], seeds=[1, 2], **OPTIONS)


def test_seeds_of_the_same_rule_are_joined_each_once(data, pair):
    both = merge(*pair)
    assert list(both.runs) == [*RULES, "sign-symmetry"]
    joined = both.runs["backpropagation"]
    assert joined.seeds == (0, 1, 2)
    alone = compare(data, rules=RULES[:1], seeds=3, **OPTIONS).runs["backpropagation"]
    for name, values in {**alone.curves, **alone.scores}.items():
        np.testing.assert_allclose(getattr(joined, name), values, rtol=1e-10, err_msg=name)
    inputs = data.test.inputs
    np.testing.assert_array_equal(joined.predict(inputs), alone.predict(inputs))
    assert both.reference == "backpropagation"
    assert both.configuration["seeds"] == [0, 1, 2]
    assert [len(one["seeds"]) for one in both.configuration["merged"]] == [2, 2]
    assert both.configuration["epochs"] == 3


def test_a_rule_that_was_trained_otherwise_has_a_row_of_its_own(data, pair):
    longer = compare(data, rules=RULES[:1], seeds=2, **{**OPTIONS, "epochs": 5})
    both = merge(pair[0], longer, longer)
    assert list(both.runs) == [*RULES, "backpropagation (2)"]
    assert both.runs["backpropagation (2)"].train_loss.shape == (2, 5)
    assert both.configuration["epochs"] is None
    assert {row.rule for row in both.table()} == set(both.runs)


def test_other_data_and_nothing_are_refused(data, pair):
    other = compare(datasets.load("moons", samples=60, seed=1), rules=RULES[:1], seeds=1, **OPTIONS)
    with pytest.raises(UserError, match="on the same data; these are on moons"):
        merge(pair[0], other)
    with pytest.raises(UserError, match="merge takes comparisons"):
        merge()


def test_one_page_of_two_data_sets(pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = compare(datasets.load("moons", samples=60, seed=1), rules=RULES, seeds=2, **OPTIONS)
    for name, one in zip(("one", "two", "three"), (*pair, other), strict=True):
        one.save(name)
    assert main(["report", "one", "three", "two", "--out", "all.html"]) == 0
    assert capsys.readouterr().out.count("moons:") == 2
    page = (tmp_path / "all.html").read_text(encoding="utf-8")
    assert "3 learning rules on 2 data sets" in page and "Ranks over data sets" in page
    # Those on the same data are one part of the page, where a rule has the seeds of both.
    assert page.count('class="part"') == 2 and page.count("sign-symmetry</th>") == 2 and "of 3<" in page


def test_one_page_of_two_folders(data, pair, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    longer = compare(data, rules=RULES[:1], seeds=2, **{**OPTIONS, "epochs": 5})
    for name, one in zip(("one", "two"), (pair[0], longer), strict=True):
        one.save(name)
    assert main(["report", "one", "two", "--out", "both.html"]) == 0
    assert "backpropagation (2)" in capsys.readouterr().out
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "backpropagation (2)" in page
    assert list(merge(load("one"), load("two")).runs) == [*RULES, "backpropagation (2)"]
    assert main(["report", "one", "two"]) == 2
    assert "--out page.html" in capsys.readouterr().err
    assert main(["report"]) == 2
    assert "report wants a folder" in capsys.readouterr().err


def named(comparison, rule, names, **changes):
    """The comparison's runs of one rule alone, under other names and with other fields."""
    runs = {name: dataclasses.replace(comparison.runs[rule], rule=name, **changes) for name in names}
    return Comparison(comparison.data, runs, {}, comparison.configuration)


def test_brackets_in_a_name_belong_to_it(pair):
    weak, faster = "feedback (weak)", {"learning_rates": np.asarray([0.1, 0.1])}
    first = named(pair[0], "feedback-alignment", [weak])
    later = named(pair[0], "feedback-alignment", [weak], seeds=(2, 3))
    joined = merge(first, later)
    assert list(joined.runs) == joined.configuration["rules"] == [weak]
    assert joined.runs[weak].seeds == (0, 1, 2, 3)
    assert joined.configuration["original_names"] == {}
    strong = named(pair[0], "feedback-alignment", ["feedback (strong)"], seeds=(2, 3))
    assert [runs.seeds for runs in merge(first, strong).runs.values()] == [(0, 1), (2, 3)]

    # Trained otherwise: a number behind the whole name, which a later merge takes for what it is.
    otherwise = named(pair[0], "feedback-alignment", [weak], **faster)
    both = merge(first, otherwise)
    assert list(both.runs) == [weak, f"{weak} (2)"] == [runs.rule for runs in both.runs.values()]
    assert both.configuration["original_names"] == {f"{weak} (2)": weak}
    again = merge(both, named(pair[0], "feedback-alignment", [weak], seeds=(2, 3), **faster))
    assert {name: runs.seeds for name, runs in again.runs.items()} == {weak: (0, 1), f"{weak} (2)": (0, 1, 2, 3)}


def test_a_row_takes_no_name_that_a_rule_has(pair):
    first = named(pair[0], "feedback-alignment", ["feedback", "feedback (2)"])
    otherwise = named(pair[0], "feedback-alignment", ["feedback"], learning_rates=np.asarray([0.1, 0.1]))
    assert list(merge(first, otherwise).runs) == ["feedback", "feedback (2)", "feedback (3)"]
