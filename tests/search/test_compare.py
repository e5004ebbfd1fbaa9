"""`compare` keeps its promises at its own door: names, references, precision, data, states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import datasets, networks
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, Credit, FeedbackAlignment, SignSymmetry, backward_sweep

from ..training import tiny

SMALL = {"network": "4", "seeds": 2, "tune": 0, "epochs": 3}


@pytest.fixture(scope="module")
def moons():
    return datasets.load("moons", samples=60)


def test_rules_given_as_instances_have_their_registered_names(moons):
    found = ascribe.compare(moons, rules=[FeedbackAlignment(), SignSymmetry("fixed-random"), Backpropagation()], **SMALL)
    assert list(found.runs) == ["feedback-alignment", "sign-symmetry-fixed-random", "backpropagation"]
    assert found.reference == "backpropagation"


def test_two_settings_of_one_rule_are_compared_under_names_of_their_own(moons):
    both = {"weak": FeedbackAlignment(scale=0.1), "strong": FeedbackAlignment(scale=3.0)}
    with pytest.raises(UserError, match="named twice"):
        ascribe.compare(moons, rules=list(both.values()), **SMALL)
    found = ascribe.compare(moons, rules=both, **SMALL)
    assert list(found.runs) == ["weak", "strong"]
    assert [found.runs[name].rule_settings["scale"] for name in both] == pytest.approx([0.1, 3.0])
    assert np.any(found.runs["weak"].train_loss != found.runs["strong"].train_loss)


def test_a_given_learning_rate_is_used(moons):
    found = ascribe.compare(moons, rules=["backpropagation"], **{**SMALL, "tune": None}, learning_rate=0.25)
    assert not found.tuning
    np.testing.assert_array_equal(found.runs["backpropagation"].learning_rates, [0.25, 0.25])
    assert found.configuration["learning_rate"] == 0.25
    with pytest.raises(UserError, match="give one of them"):
        ascribe.compare(moons, rules=["backpropagation"], **{**SMALL, "tune": 2}, learning_rate=0.25)


@pytest.mark.parametrize("double", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_threads_compile_in_the_callers_precision(moons, double):
    with jax.enable_x64(double):
        found = ascribe.compare(moons, rules=["backpropagation"], **SMALL)
    assert found.runs["backpropagation"].train_loss.dtype == (np.float64 if double else np.float32)


def test_a_comparison_keeps_the_data_it_was_given():
    images = tiny.data("classification", shape=(2, 1, 1))
    found = ascribe.compare(images, rules=["backpropagation"], network=tiny.mlp(3), **tiny.WORLD)
    runs = found.runs["backpropagation"]
    assert found.data is images
    assert max(len(repr(one)) for one in (found, runs, images)) < 400  # a line, not every array
    assert runs.data.checksum == images.checksum
    assert runs.predict(images.test.inputs).shape == (2, len(images.test))
    assert runs.predict(images.test.inputs[:0]).shape == (2, 0)


class Forgetful(AbstractRule):
    """Makes a state and does not pass it on."""

    def init(self, network, data, *, key):
        return jnp.zeros(3)

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, None, batch, key=key)
        return Credit(credit.loss, credit.gradients)


class Broken(AbstractRule):
    """Fails at the very end."""

    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)

    def finish(self, trainables, state, data):
        raise ValueError("nothing to finish.")


@pytest.mark.parametrize(("rule", "sentence"), [(Forgetful(), "pass it on"), (Broken(), "failed in .*line.*nothing to finish")])
def test_a_rule_that_breaks_its_contract_is_told_where(moons, rule, sentence):
    with pytest.raises(UserError, match=sentence):
        ascribe.compare(moons, rules=[rule], **SMALL)


@pytest.mark.parametrize(
    ("network", "sentence"),
    [
        (networks.lenet, r"a network factory takes a key alone.*from_function is for a function of parameters and inputs\)"),
        (
            lambda key: networks.Network([networks.Linear(2, 3), networks.BatchNorm(4), networks.Linear(3, 1)]),
            "batchnorm1 does not accept",
        ),
    ],
)
def test_networks_that_do_not_fit_are_refused(moons, network, sentence):
    with pytest.raises(UserError, match=sentence):
        ascribe.compare(moons, rules=["backpropagation"], **{**SMALL, "network": network})


def test_the_best_epoch_is_the_one_with_the_lower_loss_among_equal_scores():
    curves = {"validation_accuracy": np.asarray([[0.9, 0.9, 0.8]]), "validation_loss": np.asarray([[2.0, 1.0, 0.5]])}
    from ascribe.search.tune import validation_score

    score, loss = validation_score(curves, "best-validation")
    assert (score[0], loss[0]) == (0.9, 1.0)


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        ({"kolen-pollack.decay": (0.1, 2.0)}, r"`decay` is a number in \[0, 1\); got 2"),
        ({"kolen-pollack.nothing": (0.1, 2.0)}, "has no number"),
    ],
)
def test_a_search_stays_inside_a_fields_interval(moons, search, sentence):
    with pytest.raises(UserError, match=sentence):
        ascribe.compare(moons, rules=["kolen-pollack"], **{**SMALL, "tune": 2}, search=search)
