"""Graphs of single numbers as array operations: the walk over the graph is what they are compared with."""

import numpy as np
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import Var, scalars
from ascribe.errors import UserError


def build(seed=0, depth=4, width=30, fan=3):
    """Layers of numbers, with every elementwise operator, constants, and much sharing."""
    generator = np.random.default_rng(seed)
    leaves = xs = [Var(value) for value in generator.uniform(-1.0, 1.0, width)]
    functions = [
        ad.tanh,
        ad.sin,
        ad.cos,
        ad.relu,
        ad.leaky_relu,
        ad.softplus,
        ad.logistic,
        ad.arctan,
        ad.threshold,
        abs,
    ]
    for layer in range(depth):
        ys = []
        for j in range(width):
            total = xs[j] * 0.3
            for k in range(1, fan):
                total = total + xs[(j + k) % width] * xs[(j + 2 * k + layer) % width] - 0.1 / (xs[j] * xs[j] + 1.0)
            ys.append(functions[(j + layer) % len(functions)](total))
        xs = ys
    total = xs[0]
    for x in xs[1:]:
        total = total + x * x
    return total, leaves


def test_values_and_derivatives_are_those_of_the_walk():
    f, leaves = build()
    walked, others = build()
    for number in range(3):
        for v, w in zip(leaves, others, strict=True):
            v.value = w.value = float(np.sin(v.value + number))
        f.evaluate()
        program = f._order.program
        assert program is not None
        assert program.current()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scalars, "SMALLEST", 10**9)
            walked.evaluate()
        assert walked._order.program is None
        for v, w in zip(f._order, walked._order, strict=True):
            np.testing.assert_allclose(v.value, w.value, rtol=1e-13, atol=1e-15)
        f.backward()
        walked.backward()
        for v, w in zip(f._order, walked._order, strict=True):
            np.testing.assert_allclose(v.grad, w.grad, rtol=1e-9, atol=1e-12)


def test_a_new_value_of_a_leaf_is_noticed():
    f, leaves = build()
    f.evaluate()
    leaves[0].value = 0.25
    with pytest.raises(UserError, match="call evaluate"):
        f.backward()
    f.evaluate()
    f.backward()
    assert leaves[0].grad != 0.0


def test_a_part_of_it_is_walked_as_ever():
    f, leaves = build()
    leaves[0].value = 0.25
    f.evaluate()
    part = f.creator.args[0]
    part.backward()
    assert leaves[0].grad != 0.0


def test_a_number_may_become_an_array():
    f, leaves = build()
    before = f.evaluate()
    numbers = [leaf.value for leaf in leaves]
    leaves[0].value = np.array([numbers[0], numbers[0]])
    np.testing.assert_allclose(f.evaluate(), [before, before], rtol=1e-12)
    f.backward([1.0, 1.0])
    assert leaves[0].grad.shape == (2,)
    leaves[0].value = numbers[0]
    assert f.evaluate() == pytest.approx(before, rel=1e-12)


def test_a_graph_without_values_is_judged_when_it_has_them():
    leaves = [Var() for _ in range(40)]
    total = leaves[0]
    for k in range(1, 40):
        for j in range(40):
            total = total + leaves[j] * leaves[(j + k) % 40] if j == 0 else total + ad.sin(leaves[j] * leaves[k])
    with pytest.raises(UserError, match="has no value"):
        total.evaluate()
    for v in leaves:
        v.value = 0.1
    total.evaluate()
    assert total._order.judged


def test_replaced_rules_count_here_too():
    f, leaves = build()
    f.evaluate()
    with ad.replaced(**{name: (None,) for name in ("tanh", "sin", "cos", "relu", "leaky_relu", "softplus")}):
        f.backward()
        found = [leaf.grad for leaf in leaves]
        f.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(f._order.program), "current", lambda self: False)
            f.backward()
    np.testing.assert_allclose(found, [leaf.grad for leaf in leaves], rtol=1e-9, atol=1e-12)


def test_chains_arrays_and_small_graphs_are_walked():
    x = Var(0.5)
    chain = x
    for _ in range(2000):
        chain = chain + x
    small = x * x
    arrays = [Var(np.ones(2)) * 1.0 for _ in range(2000)]
    wide = arrays[0]
    for a in arrays[1:]:
        wide = wide + a
    for f in (chain, small, ad.sum(wide)):
        f.evaluate()
        assert f._order.program is None
    assert chain.value == 0.5 * 2001
