"""The limits that rules declare in their own files."""

import jax.numpy as jnp
import pytest

from ascribe import rules
from ascribe.cards.case import case_of
from ascribe.cards.limits import limit
from ascribe.errors import UserError
from ascribe.rules import Backpropagation, LimitingCase

SLOW = {"forward-pass-one-versus-rest", "gradient-noise", "gradient-noise-matched"}
each_rule = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in rules.registry.TABLE]


@pytest.mark.parametrize("name", each_rule)
def test_every_registered_rule_declares_a_limit_and_it_holds(name):
    found = limit(case_of(name, None if name == "finite-differences" else "8x8"))
    assert found.holds and found.size > 0 and found.difference <= 2e-12 * found.size, str(found)
    assert str(found).startswith("It is jax.grad" if name == "backpropagation" else f"Where {found.condition}, it is ")


class Declares(Backpropagation):
    """A rule that says something of itself."""

    said: LimitingCase | None = None

    def limiting_case(self, network, batch, *, key):
        return self.said


def declared(ours, theirs, equals="something known"):
    return limit(case_of(Declares(LimitingCase("x", equals, ours, theirs)), "4"))


def test_a_limit_that_does_not_hold_is_told_with_the_largest_difference():
    found = declared([jnp.ones(3), jnp.ones(2)], [jnp.ones(3), jnp.asarray([1.0, 4.0])])
    assert (found.holds, found.difference, found.size, found.numbers) == (False, 3.0, 4.0, 5)
    assert "IT IS NOT: the largest difference is 3, where the largest of 5 numbers is 4" in str(found)
    assert not declared(jnp.asarray([jnp.nan]), jnp.ones(1)).holds
    assert not declared(jnp.asarray([1 + 1e-9]), jnp.ones(1)).holds
    assert declared(jnp.asarray([1 + 1e-13]), jnp.ones(1)).holds


def test_a_rule_that_declares_none_has_none():
    assert limit(case_of(Declares(), "4")) is None


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (3, "`limiting_case` of the rule Declares returns a LimitingCase.*, or None; it returned the number 3"),
        (LimitingCase("x", "y", {}, {}), "returns two trees of arrays of the same shapes"),
        (LimitingCase("x", "y", jnp.ones(2), jnp.ones(3)), "same shapes"),
    ],
)
def test_what_is_no_limiting_case_is_told(as_installed, said, sentence):
    with pytest.raises(UserError, match=sentence):
        limit(case_of(Declares(said), "4"))
