"""The engine's operations against JAX's, in float32: random functions of the primitives of the table, and special numbers."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.playground import emitter
from ascribe.playground.forms import symbols

from .node import RUN_PROGRAMS, needs_node, node, numbers, ran
from .random_programs import EXACT, SMOOTH, case

pytestmark = needs_node


@pytest.fixture(autouse=True)
def single():
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def farthest(pairs):
    """The largest difference of two lists of arrays, in units of the largest number, or of 1 where all are smaller."""
    worst = 0.0
    for ours, theirs in pairs:
        assert np.array_equal(np.isnan(ours), np.isnan(theirs))
        size = max(1.0, np.max(np.abs(ours[np.isfinite(ours)]), initial=0.0))
        same = (ours == theirs) | np.isnan(ours)
        with np.errstate(invalid="ignore"):  # of two infinite numbers
            worst = max(worst, np.max(np.where(same, 0.0, np.abs(ours - theirs)) / size, initial=0.0))
    return worst


def agree(first, last):
    numbers = range(first, last)
    for number, pairs in zip(numbers, ran([case(number) for number in numbers]), strict=True):
        assert farthest(pairs) <= 1e-6, number


def test_random_programs():
    agree(0, 50)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_many_random_programs(part):
    agree(100 * part, 100 * part + 100)


def test_random_numbers_are_the_same():
    key = jr.key(7, impl="threefry2x32")
    cases = [
        (lambda key: jr.bits(key, (5, 3)), (key,)),
        (lambda key: jr.split(jr.fold_in(key, jnp.int32(9)), 4), (key,)),
        (lambda seed: jr.key(seed, impl="threefry2x32"), (jnp.uint32(11),)),
        (lambda key: jr.uniform(key, (50,)), (key,)),
        (lambda key: jr.permutation(key, 50), (key,)),
        (lambda key: jax.vmap(lambda key: jr.bits(key, (3,)))(jr.split(key, 4)), (key,)),
    ]
    for pairs in ran(cases):
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)


def test_numbers_at_the_ends():
    """Infinite, missing, zero of both signs, and large ones."""
    ends = jnp.asarray([0.0, -0.0, 1.0, -1.0, jnp.inf, -jnp.inf, jnp.nan, 1e30, -1e30, 1e-30, 0.5, 1.5, 2.5, -0.5, -1.5])
    functions = {**SMOOTH, **EXACT, "whole": lambda x: x.astype(jnp.int32), "unsigned": lambda x: jnp.abs(x).astype(jnp.uint32)}
    del functions["bits"]  # a NaN has many
    cases = [(function, (ends,)) for function in functions.values()]
    for name, pairs in zip(functions, ran(cases), strict=True):
        assert farthest(pairs) <= 1e-6, name


def test_zero_keeps_its_sign():
    x = jnp.asarray([-0.5, -0.3, -0.0, 0.0, 0.3, 0.5, -1.5])
    functions = (jnp.round, jnp.floor, jnp.ceil, jnp.trunc, jnp.sign, jnp.negative, lambda x: x * 0.0)
    cases = [(lambda x, f=f: jax.lax.bitcast_convert_type(f(x), jnp.int32), (x,)) for f in functions]
    for ((ours, theirs),) in ran(cases):
        np.testing.assert_array_equal(ours, theirs)


def test_sizes_are_put_in_later():
    """One program for all sizes: a mean, whose divisor is one of them."""
    b, _, n, *_ = symbols()
    program, _ = emitter.emit(lambda x: jnp.mean(x @ x.T, axis=0) / x.shape[1], jax.ShapeDtypeStruct((b, n), jnp.float32))
    jobs, wanted = [], []
    for rows, columns in ((1, 1), (3, 2), (7, 5)):
        x = np.random.default_rng(rows).standard_normal((rows, columns)).astype(np.float32)
        jobs.append({"program": program, "sizes": {"b": rows, "n": columns}, "inputs": [list(map(str, x.ravel().tolist()))]})
        wanted.append((x @ x.T).mean(axis=0) / columns)
    for ours, (theirs,) in zip(wanted, node(RUN_PROGRAMS, jobs), strict=True):
        np.testing.assert_allclose(numbers(theirs), ours, rtol=1e-6, atol=1e-7)


def test_what_it_cannot_do_is_named():
    with pytest.raises(UserError, match=r"digamma.*the rule mine"):
        emitter.emit(jax.lax.digamma, jnp.ones(3), whose="the rule mine")
    with pytest.raises(UserError, match="complex64"):
        emitter.emit(lambda x: x + 1j, jnp.ones(3))
