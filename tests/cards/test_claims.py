"""Which claims of a comparison stand, and the price of its scores: on trained runs whose numbers are put in their place."""

import dataclasses
import json
import re

import numpy as np
import pytest

from ascribe import cards
from ascribe.cards.claims import FALLS, STANDS, UNKNOWN
from ascribe.cli import main
from ascribe.errors import UserError

from ..store.case import comparison as trained

SEEDS = 10


def runs_of(name, scores, curve=None, **changes):
    """The runs of a rule with these test accuracies, and this validation curve for all of them."""
    own, count = trained().runs[name], len(scores)
    curve = np.linspace(0.5, 1.0, 6) if curve is None else np.asarray(curve, float)
    curves = {"validation_accuracy": np.tile(curve, (count, 1)), "train_loss": np.ones((count, len(curve)))}
    changes = {"curves": curves, "diverged_at": np.full(count, -1), "seconds": 6.0, **changes}
    return dataclasses.replace(own, seeds=tuple(range(count)), scores={"test_accuracy": np.asarray(scores)}, **changes)


def comparison(theirs, ours, frozen=None, **changes):
    """Backpropagation, feedback alignment and, where it is given, frozen hidden layers."""
    runs = {"backpropagation": runs_of("backpropagation", theirs), "feedback-alignment": runs_of("feedback-alignment", ours)}
    controls = {} if frozen is None else {"frozen": runs_of("backpropagation", frozen)}
    found = dataclasses.replace(trained(), runs=runs, controls=controls, tuning={})
    return dataclasses.replace(found, **changes)


def claims_of(one):
    return {claim.claim: claim for claim in cards.inspect(one).claims}


DIFFERS = "feedback-alignment differs from backpropagation in test accuracy"
SHOWS = "this task with this network can show hidden credit"
NOISE = np.random.default_rng(0).normal(0, 0.01, (3, SEEDS))


@pytest.mark.parametrize(
    ("ours", "verdict", "told"),
    [
        (0.8 + NOISE[1], STANDS, "adjusted p = 0.002"),
        (0.9 + NOISE[0] + NOISE[1] / 10, FALLS, r"one of 1 point would have been found with probability 1.00"),
        (0.9 + 5 * NOISE[1], UNKNOWN, r"is found with probability 0.0\d: \d+ seeds are needed"),
        (0.9 + NOISE[1][:4], UNKNOWN, "no p-value of 4 seeds can be below 0.12"),
    ],
    ids=["another", "alike", "too few", "far too few"],
)
def test_a_difference_stands_or_falls_or_needs_more_seeds(ours, verdict, told):
    found = claims_of(comparison(0.9 + NOISE[0], ours))[DIFFERS]
    assert found.verdict == verdict
    assert re.search(told, found.why), found.why


def test_hidden_credit_is_shown_only_where_backpropagation_is_above_frozen():
    theirs, ours = 0.9 + NOISE[0], 0.9 + NOISE[1]
    assert claims_of(comparison(theirs, ours, 0.7 + NOISE[2]))[SHOWS].verdict == STANDS
    assert claims_of(comparison(theirs, ours, theirs + NOISE[2]))[SHOWS].verdict == FALLS
    found = claims_of(comparison(theirs, ours))[SHOWS]
    assert (found.verdict, found.why) == (UNKNOWN, "frozen did not take part")


def test_angles_that_are_lost_in_rounding_are_told_by_layer():
    one = comparison(0.9 + NOISE[0], 0.9 + NOISE[1])
    claim = "the angles to backpropagation's gradient are measurable"
    assert claims_of(one)[claim].verdict == UNKNOWN
    own = one.runs["feedback-alignment"]
    over = np.full((SEEDS, 6), 100.0)
    measured = own.curves | {"gradient_angle": over, "gradient_over_floor/linear1": over}
    told = lambda curves: claims_of(
        dataclasses.replace(one, runs=one.runs | {"feedback-alignment": dataclasses.replace(own, curves=curves)})
    )
    assert told(measured)[claim].verdict == STANDS
    over = over.copy()
    over[:, :3] = 0.5
    found = told(measured | {"gradient_over_floor/linear1": over})[f"{claim} under feedback-alignment"]
    assert found.verdict == FALLS and "linear1 (50 % of epochs)" in found.why


def test_rates_at_an_end_of_their_range_and_runs_that_diverged_are_told():
    one = comparison(0.9 + NOISE[0], 0.9 + NOISE[1])
    rates, finished = "the chosen learning rates lie inside the range that was tuned", "all runs finished"
    assert claims_of(one)[rates].verdict == UNKNOWN
    assert claims_of(one)[finished] == cards.Claim(finished, STANDS, "20 of them")
    tuning = {name: dataclasses.replace(own, at_edge=False) for name, own in trained().tuning.items() if name in one.runs}
    assert claims_of(dataclasses.replace(one, tuning=tuning))[rates].verdict == STANDS
    tuning["feedback-alignment"] = dataclasses.replace(tuning["feedback-alignment"], at_edge=True)
    found = claims_of(dataclasses.replace(one, tuning=tuning))[rates]
    assert found.verdict == FALLS and found.why.startswith("at an end of it: feedback-alignment (")
    lost = dataclasses.replace(one.runs["feedback-alignment"], diverged_at=np.asarray([2, 3, *[-1] * (SEEDS - 2)]))
    found = claims_of(dataclasses.replace(one, runs=one.runs | {"feedback-alignment": lost}))[finished]
    assert (found.verdict, found.why) == (FALLS, "diverged and left out of the means: 2 of 10 of feedback-alignment")


def test_the_price_is_what_the_curves_say():
    """Backpropagation ends at 1.0 after 0.5, 0.6, …; 90 % of it is reached at the fifth epoch. The other rule takes one more
    epoch to 0.9, and never comes to 0.95."""
    one = comparison(0.9 + NOISE[0], 0.9 + NOISE[1])
    slow = runs_of("feedback-alignment", 0.9 + NOISE[1], [0.5, 0.5, 0.6, 0.7, 0.8, 0.92])
    found = {
        (row.rule, row.share): row
        for row in cards.price(dataclasses.replace(one, runs=one.runs | {"feedback-alignment": slow}))
    }
    first, other = found["backpropagation", 0.9], found["feedback-alignment", 0.9]
    assert (first.epochs, other.epochs, first.target) == (5.0, 6.0, pytest.approx(0.9))
    assert (found["backpropagation", 0.99].epochs, found["feedback-alignment", 0.95].epochs) == (6.0, None)
    assert found["feedback-alignment", 0.95].reached == 0 and found["feedback-alignment", 0.95].operations is None
    assert first.seconds == pytest.approx(5 * 6.0 / (SEEDS * 6))
    configuration, data = trained().configuration, trained().data
    step = cards.cost("backpropagation", "4", data, batch_size=configuration["batch_size"], optimizer="adam")
    assert first.operations == pytest.approx(5 * step.operations * (len(data.train) // step.batch))
    assert other.operations > first.operations  # a step of as many, over one epoch more
    masked = dataclasses.replace(slow, rule_settings={"class": "elsewhere.FeedbackAlignment"})
    priced = cards.price(dataclasses.replace(one, runs=one.runs | {"feedback-alignment": masked}))
    assert [row.operations for row in priced if row.rule == "feedback-alignment"] == [None] * 3  # a name is no rule
    assert cards.price(dataclasses.replace(one, runs={"feedback-alignment": slow})) == []
    with pytest.raises(UserError, match="`shares` is a number above 0 and at most 1"):
        cards.price(one, shares=[2.0])


def test_a_folder_is_inspected_by_one_command(capsys, tmp_path, few_figures):
    trained().save(tmp_path / "done")
    assert main(["inspect", str(tmp_path / "done"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["verdict"] for one in told["claims"]} <= {STANDS, FALLS, UNKNOWN}
    assert main(["inspect", str(tmp_path / "done"), "--out", str(tmp_path / "page")]) == 0
    assert "- all runs finished: stands" in capsys.readouterr().out
    assert "Which claims stand" in (tmp_path / "page" / "claims.html").read_text(encoding="utf-8")
    assert main(["inspect", str(tmp_path / "done"), "--network", "4"]) == 2
    assert "leave other options out" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path)]) == 2
