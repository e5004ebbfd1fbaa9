"""Central differences, and where a NaN came from."""

import numpy as np
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import Var, check_gradients, find_nan

draw = np.random.default_rng(0).normal


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda a, b: ad.tanh(a @ b) * ad.softmax(a @ b), ((3, 4), (4, 2))),
        (lambda x: ad.sin(x) * x + x**3.0, ((),)),
        (lambda x, y: ad.logsumexp(x + y, axis=0) / (1.0 + x[0] * x[0]), ((3, 2), (2,))),
        (lambda z: ad.softmax_cross_entropy(z, np.eye(3)), ((3, 3),)),
    ],
)
def test_right_derivatives_pass_in_both_orders(function, shapes):
    checked = check_gradients(function, *(draw(size=shape) for shape in shapes))
    assert checked, str(checked)
    assert len(checked.errors) == 2
    assert "agree with central differences" in str(checked)


@pytest.mark.parametrize(("factor", "wrong"), [(1.001, True), (1.0, False)])
def test_a_wrong_rule_is_found(factor, wrong):
    with ad.replaced(tanh=(lambda s, y, x: s * (1.0 - y * y) * factor,)):
        assert check_gradients(ad.tanh, draw(size=3), order=1).passed is not wrong


def test_a_rule_that_is_right_once_and_wrong_twice_is_found_in_the_second_order():
    """1 − y² with a y that is no Var any more: its derivative is lost."""
    plain = lambda y: y.value if isinstance(y, Var) else y
    with ad.replaced(tanh=(lambda s, y, x: s * (1.0 - plain(y) ** 2),)):
        first, second = check_gradients(ad.tanh, draw(size=3)).errors
    assert first < 1e-8
    assert second > 1e-2


def test_the_quotients_converge_with_slope_two():
    x = draw(size=4)
    errors = [
        check_gradients(lambda x: ad.exp(ad.sin(x)), x, order=1, step=step).errors[0] for step in (4e-2, 2e-2, 1e-2, 5e-3)
    ]
    slopes = np.diff(np.log(errors)) / np.log(0.5)
    np.testing.assert_allclose(slopes, 2.0, atol=0.05)


def test_the_first_operator_that_made_a_nan_is_named():
    x, y = Var([1.0, -1.0, 2.0], name="x"), Var(2.0, name="y")
    assert find_nan(ad.sum(x * y)) is None
    with np.errstate(invalid="ignore"):
        found = find_nan(ad.sum(ad.sin(ad.log(x * 1.0)) * y))
    assert found is not None
    assert found.variable.creator.operator.name == "log"
    assert str(found) == (
        "the operator log made a NaN in 1 of 3 entries, the first at (1,), from an array of shape (3,) between -1 and 2."
    )


def test_a_nan_from_infinity_and_a_nan_that_was_given():
    big = Var(1e300, name="big")
    with np.errstate(over="ignore", invalid="ignore"):
        found = find_nan(big * 1e300 - big * 1e300)
    assert str(found) == "the operator subtract made a NaN, from inf and inf."
    given = find_nan(Var([0.0, np.nan], name="w") * 2.0)
    assert given is not None
    assert str(given) == "the Var 'w' was given a NaN in 1 of 2 entries, the first at (1,)."
