"""Several comparisons as one: seeds joined where a rule was trained in the same way, rows of their own where not."""

import dataclasses
import sys

import numpy as np
import pytest

from ascribe import Comparison, compare, load, merge, networks, report
from ascribe.cli import main
from ascribe.datasets.transforms import fit
from ascribe.errors import UserError
from ascribe.search import Tuning

from ..training import tiny

RULES = ["backpropagation", "feedback-alignment"]
OPTIONS = tiny.WORLD | {"network": lambda key: networks.mlp([2, 3, 1], activation="tanh", key=key)}


@pytest.fixture(scope="module")
def data():
    return tiny.data()


@pytest.fixture(scope="module")
def pair(data):
    first = compare(data, rules=RULES, **OPTIONS)
    return first, compare(data, rules=[*RULES[:1], "sign-symmetry"], **OPTIONS | {"seeds": [1, 2]})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, and pages without their pictures, which other tests draw."""
    monkeypatch.chdir(tmp_path)
    for module in (report, sys.modules["ascribe.report.page"]):
        monkeypatch.setattr(module, "drawings", lambda comparison: {})
    return tmp_path


def test_seeds_of_the_same_rule_are_joined_each_once(data, pair):
    both = merge(*pair)
    assert list(both.runs) == [*RULES, "sign-symmetry"]
    joined, (one, two) = both.runs["backpropagation"], (each.runs["backpropagation"] for each in pair)
    assert joined.seeds == (0, 1, 2)
    together = lambda values, others: np.concatenate([values, others[1:]])  # both have trained the seed 1
    for name in {**joined.curves, **joined.scores}:
        np.testing.assert_array_equal(getattr(joined, name), together(getattr(one, name), getattr(two, name)))
    assert joined.class_maps.keys() == {0, 1, 2}
    for epoch, maps in joined.class_maps.items():
        np.testing.assert_array_equal(maps, together(one.class_maps[epoch], two.class_maps[epoch]))
    predicted = (runs.predict(data.test.inputs) for runs in (one, two))
    np.testing.assert_array_equal(joined.predict(data.test.inputs), together(*predicted))
    assert both.reference == "backpropagation"
    assert both.configuration["seeds"] == [0, 1, 2]
    assert [len(one["seeds"]) for one in both.configuration["merged"]] == [2, 2]
    assert both.configuration["epochs"] == 3


def test_a_rule_that_was_trained_otherwise_has_a_row_of_its_own(data, pair):
    longer = compare(data, rules=RULES[:1], **OPTIONS | {"epochs": 5})
    both = merge(pair[0], longer, longer)
    assert list(both.runs) == [*RULES, "backpropagation (2)"]
    assert both.runs["backpropagation (2)"].train_loss.shape == (2, 5)
    assert both.configuration["epochs"] is None
    assert {row.rule for row in both.table()} == set(both.runs)


def test_other_data_and_nothing_are_refused(data, pair):
    other = compare(tiny.data(seed=1), rules=RULES[:1], **OPTIONS)
    with pytest.raises(UserError, match="on the same data; these are on tiny"):
        merge(pair[0], other)
    with pytest.raises(UserError, match="merge takes comparisons"):
        merge()


def test_one_page_of_two_data_sets(pair, folder, capsys):
    other = compare(tiny.data(seed=1), rules=RULES, **OPTIONS)
    for name, one in zip(("one", "two", "three"), (*pair, other), strict=True):
        one.save(name)
    assert main(["report", "one", "three", "two", "--out", "all.html"]) == 0
    assert capsys.readouterr().out.count("tiny:") == 2
    page = (folder / "all.html").read_text(encoding="utf-8")
    assert "3 learning rules on 2 data sets" in page and "Ranks over data sets" in page
    # Those on the same data are one part of the page, where a rule has the seeds of both.
    assert page.count('class="part"') == 2 and page.count("sign-symmetry</th>") == 2 and "of 3<" in page


def test_one_page_of_two_folders(data, pair, folder, capsys):
    longer = compare(data, rules=RULES[:1], **OPTIONS | {"epochs": 5})
    for name, one in zip(("one", "two"), (pair[0], longer), strict=True):
        one.save(name)
    assert main(["report", "one", "two", "--out", "both.html"]) == 0
    assert "backpropagation (2)" in capsys.readouterr().out
    page = (folder / "both.html").read_text(encoding="utf-8")
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
    weak, faster = "feedback (weak)", {"learning_rates": np.asarray([0.3, 0.3])}
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


def test_everything_of_the_new_seeds_is_joined(pair):
    """Of the later seeds, 1 and 2, the second is new, and with it half of their time."""
    rule, states = "feedback-alignment", np.asarray([[1.0], [2.0]])
    first = named(pair[0], rule, [rule], seconds=3.0, diverged_at=np.asarray([-1, 2]), states=states)
    own = {"seconds": 8.0, "diverged_at": np.asarray([-1, 1]), "states": 10 * states}
    joined = merge(first, named(pair[0], rule, [rule], seeds=(1, 2), **own)).runs[rule]
    assert (joined.seeds, joined.seconds) == ((0, 1, 2), 7.0)
    np.testing.assert_array_equal(joined.diverged_at, [-1, 2, 1])
    np.testing.assert_array_equal(joined.states, [[1.0], [2.0], [20.0]])
    np.testing.assert_array_equal(joined.learning_rates, [0.1] * 3)
    twice = merge(first, first).runs[rule]
    assert (twice.seeds, twice.seconds) == ((0, 1), 3.0)


@pytest.mark.parametrize(
    "change",
    [
        {"rule_settings": {"class": "another"}},
        {"network": lambda: networks.mlp([2, 4, 1], activation="tanh")},
        {"loss": "squared-error"},
        {"optimizer": "adam"},
        {"hyperparameters": {"scale": 2.0}},
        {"curves": {}},
        {"learning_rates": np.asarray([0.3, 0.3])},
        {"encoding": (fit("constant-one", np.zeros((1, 2))),)},
        *({"configuration": one} for one in ({"batch_size": 7}, {"select": "best-validation"}, {"only": "linear1"})),
        {"configuration": {"epochs": 5}},
    ],
    ids=", ".join,
)
def test_what_differs_in_anything_has_a_row_of_its_own(pair, change):
    rule, own = "feedback-alignment", change.get("configuration", {})
    fields = {name: value() if callable(value) else value for name, value in change.items() if name != "configuration"}
    other = named(pair[0], rule, [rule], seeds=(2, 3), **fields)
    other = dataclasses.replace(other, configuration=other.configuration | own)
    assert list(merge(named(pair[0], rule, [rule]), other).runs) == [rule, f"{rule} (2)"]


def test_tuning_is_that_of_the_row_that_was_first(pair):
    rule = "feedback-alignment"
    one, another = (Tuning(np.ones(1), {}, np.ones((1, 1)), np.ones((1, 1)), 0, False, (7,), time) for time in (1.0, 2.0))
    first = dataclasses.replace(named(pair[0], rule, [rule]), tuning={rule: one})
    later = dataclasses.replace(named(pair[0], rule, [rule], seeds=(2, 3)), tuning={rule: another})
    assert merge(first, later).tuning[rule] is one
    longer = dataclasses.replace(later, configuration=later.configuration | {"epochs": 5})
    assert list(merge(first, longer).tuning.values()) == [one, another]


def test_a_row_takes_no_name_that_a_rule_has(pair):
    first = named(pair[0], "feedback-alignment", ["feedback", "feedback (2)"])
    otherwise = named(pair[0], "feedback-alignment", ["feedback"], learning_rates=np.asarray([0.3, 0.3]))
    assert list(merge(first, otherwise).runs) == ["feedback", "feedback (2)", "feedback (3)"]
