"""Candidates lie in their ranges, as many for one range as for several."""

import numpy as np
import pytest

from ascribe import search
from ascribe.errors import UserError
from ascribe.rules import Backpropagation, FeedbackAlignment, KolenPollack, SignSymmetry
from ascribe.search import candidates, ranges_of

RATE = {"learning_rate": (1e-3, 1e1)}
MORE = RATE | {"scale": (0.1, 10.0), "decay": (1e-6, 1e-2)}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("ranges", [RATE, MORE], ids=["one range", "three ranges"])
def test_there_are_as_many_candidates_as_asked_for_in_every_range(count, ranges):
    found = candidates(count, ranges)
    assert set(found) == set(ranges)
    for name, (low, high) in ranges.items():
        assert found[name].shape == (count,)
        assert np.all(found[name] >= low * (1 - 1e-12))
        assert np.all(found[name] <= high * (1 + 1e-12))
        assert len(np.unique(found[name])) == count


def test_one_range_is_a_grid_with_equal_ratios_and_both_ends():
    grid = candidates(5, RATE)["learning_rate"]
    np.testing.assert_allclose(grid, [1e-3, 1e-2, 1e-1, 1e0, 1e1], rtol=1e-12)


def test_a_single_candidate_is_the_middle():
    np.testing.assert_allclose(candidates(1, RATE)["learning_rate"], [0.1], rtol=1e-12)


def test_two_candidates_are_inside_the_range():
    found = candidates(2, {"learning_rate": (1e-3, 1.0)})["learning_rate"]
    np.testing.assert_allclose(found, [1e-2, 1e-1], rtol=1e-12)
    assert len(candidates(3, {"learning_rate": (1e-3, 1.0)})["learning_rate"]) == 3
    np.testing.assert_allclose(candidates(3, {"learning_rate": (1e-2, 1.0)})["learning_rate"], [1e-2, 1e-1, 1.0])


def test_several_ranges_are_filled_evenly():
    """Of eight Sobol points, four lie in either half of each range (on its logarithm)."""
    for name, values in candidates(8, MORE).items():
        low, high = MORE[name]
        assert np.sum(values < np.sqrt(low * high)) == 4


def test_the_same_question_has_the_same_candidates():
    for name, values in candidates(8, MORE).items():
        np.testing.assert_array_equal(values, candidates(8, MORE)[name])


def test_a_rule_gets_the_ranges_that_are_its_own():
    search = {"learning_rate": (0.1, 1), "feedback-alignment.scale": (0.5, 2.0), "sign-symmetry.scale": (1.0, 3.0)}
    default = (1e-4, 1e-1)
    assert ranges_of("feedback-alignment", FeedbackAlignment(), default, search) == {
        "learning_rate": (0.1, 1.0),
        "scale": (0.5, 2.0),
    }
    assert ranges_of("backpropagation", Backpropagation(), default, search) == {"learning_rate": (0.1, 1.0)}
    assert ranges_of("backpropagation", Backpropagation(), default, {}) == {"learning_rate": default}


@pytest.mark.parametrize(
    ("rule", "search", "fragment"),
    [
        (Backpropagation(), {"r.scale": (0.1, 1.0)}, "no number 'scale'"),
        (SignSymmetry(), {"r.kind": (0.1, 1.0)}, "no number 'kind'"),
        (FeedbackAlignment(), {"r.": (0.1, 1.0)}, "no number ''"),
        (FeedbackAlignment(), {"r.scale": (1.0, 0.1)}, "range of scale .*1.0:0.1"),
        (FeedbackAlignment(), {"r.scale": (1.0, 1.0)}, "the lower one first; got 1.0:1.0"),
        (FeedbackAlignment(), {"r.scale": (0.0, 1.0)}, "two positive numbers"),
        (FeedbackAlignment(), {"r.scale": (-1.0, 1.0)}, "two positive numbers"),
        (FeedbackAlignment(), {"r.scale": (float("nan"), 1.0)}, "two positive numbers"),
        (FeedbackAlignment(), {"r.scale": (1.0, float("inf"))}, "two positive numbers"),
        (FeedbackAlignment(), {"r.scale": (1.0, 2.0, 3.0)}, "low and high"),
        (FeedbackAlignment(), {"learning_rate": ("a", "b")}, "range of learning_rate .*'a', 'b'"),
        (FeedbackAlignment(), {"learning_rate": 0.1}, "low and high; got 0.1"),
        (FeedbackAlignment(), {"r.size": (1.0, 2.0)}, "the rule r has no number 'size' to tune: it has scale"),
        (Backpropagation(), {"r.size": (1.0, 2.0)}, "to tune: it has none"),
        (KolenPollack(), {"r.decay": (0.1, 3.0)}, r"the range of decay goes beyond what the rule r takes: .*got 3\.$"),
    ],
)
def test_a_range_that_is_none_is_refused(rule, search, fragment):
    with pytest.raises(UserError, match=fragment):
        ranges_of("r", rule, (1e-3, 1.0), search)


def test_every_number_has_an_axis_of_its_own():
    ranges = {"learning_rate": (1e-3, 1.0), "scale": (0.1, 10.0)}
    tried = search.specifications(8, ranges, (0,))
    rates, scales = (
        np.log([value(one) for one in tried])
        for value in (lambda one: one.learning_rate, lambda one: float(dict(one.hyperparameters)["scale"]))
    )
    assert abs(np.corrcoef(rates, scales)[0, 1]) < 0.5
