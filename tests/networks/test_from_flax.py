"""Flax NNX modules as blocks, beside Flax."""

import functools
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.networks import from_model

from ..cases import assert_identical
from ..later import Later, needs

nnx, linen = Later("flax.nnx"), Later("flax.linen")

pytestmark = [pytest.mark.oracle, needs("flax", reason="Flax is not installed: pip install '.[flax]'")]

IMAGES = (6, 4, 3, 2)


@functools.cache
def kind():
    """A class of modules: convolution, batch normalization, dropout, and dense layers in a list."""

    class Small(nnx.Module):
        def __init__(self, width: int = 3, *, rngs):
            self.convolution = nnx.Conv(2, width, (3, 3), param_dtype=jnp.float64, rngs=rngs)
            self.normalization = nnx.BatchNorm(width, param_dtype=jnp.float64, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            sizes = ((width * 12, 5), (5, 4))
            self.dense = nnx.List([nnx.Linear(*size, param_dtype=jnp.float64, rngs=rngs) for size in sizes])

        def __call__(self, x):
            h = nnx.relu(self.normalization(self.convolution(x)))
            h = self.dropout(h.reshape(h.shape[0], -1))
            for layer in self.dense:
                h = layer(h)
            return h

    return Small


@functools.cache
def images():
    return np.random.default_rng(1).normal(size=IMAGES)


def made(key=0):
    module = kind()(4, rngs=nnx.Rngs(jr.key(key)))
    for statistics in (module.normalization.mean, module.normalization.var):
        statistics.set_value(statistics[...].astype(jnp.float64))
    return module


@functools.cache
def block():
    return from_model(kind(), options={"width": 4}, shape=IMAGES[1:])


@pytest.fixture(autouse=True)
def usual_promotion():
    """Flax counts on it."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def test_a_module_answers_as_in_flax_and_moves_its_statistics_as_there():
    both = jax.jit(
        lambda block: [
            block(jnp.asarray(images())),
            block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True),
        ]
    )
    (y, same), (_, state) = both(block())
    module, call = made(), nnx.jit(lambda module: module(jnp.asarray(images())))
    module.eval()
    np.testing.assert_allclose(y, call(module), rtol=1e-12, atol=1e-14)
    assert_identical(same, block().initial_state())
    module.train()
    call(module)
    np.testing.assert_allclose(state[0], module.normalization.mean[...], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(state[1], module.normalization.var[...], rtol=1e-12)
    assert len(state) == 2  # neither parameters nor random streams are among it


def test_the_gradient_in_training_is_that_of_the_module():
    silent = from_model(lambda key: without_dropout(kind()(4, rngs=nnx.Rngs(key))), shape=IMAGES[1:])
    found = jax.jit(
        jax.grad(lambda block: jnp.sum(jnp.sin(block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True)[0])))
    )(silent)
    module = without_dropout(made())
    module.train()
    expected = nnx.jit(nnx.grad(lambda module: jnp.sum(jnp.sin(module(jnp.asarray(images()))))))(module)
    for ours, theirs in (
        (found.parameters["convolution"]["kernel"], expected.convolution.kernel),
        (found.parameters["normalization"]["scale"], expected.normalization.scale),
        (found.parameters["dense"][1]["bias"], expected.dense[1].bias),
    ):
        np.testing.assert_allclose(ours, theirs[...], rtol=1e-12, atol=1e-14)


def without_dropout(module):
    module.dropout = nnx.Dropout(0.0, rngs=nnx.Rngs(0))
    return module


def test_dropout_is_of_the_key_and_of_training_alone():
    answers = jax.jit(
        lambda key, block: [block(jnp.asarray(jnp.asarray(images())), key=key, training=one)[0] for one in (True, False)]
    )
    first, other, again = (answers(jr.key(number), block()) for number in (0, 1, 0))
    assert np.any(first[0] != other[0])
    assert_identical(first, again)
    assert_identical(first[1], other[1])


def test_every_seed_has_its_own_weights_from_a_class_and_a_module_s_own_from_a_module():
    fresh = jax.jit(jax.vmap(block().initialize))(jr.split(jr.key(3), 2))
    assert jax.tree.structure(fresh) == jax.tree.structure(block())
    kernel = fresh.parameters["dense"][0]["kernel"]
    assert np.all(kernel[0] != kernel[1])
    kept = from_model(made(5))
    assert not kept.adapter.remade
    assert_identical(kept.initialize(jr.key(9)).parameters, kept.parameters)


def test_the_module_that_was_given_stays_as_it_was():
    module = made()
    module.eval()
    from_model(module)(jnp.asarray(jnp.asarray(images())), key=jr.key(0), training=True)
    assert module.dropout.deterministic
    np.testing.assert_array_equal(module.normalization.mean[...], 0)


@pytest.mark.parametrize("name", ["train", "deterministic"])
def test_a_module_may_be_told_its_mode_by_an_argument(name):
    class Told(nnx.Module):
        def __init__(self, rngs):
            self.linear = nnx.Linear(2, 2, rngs=rngs)

    def call(self, x, **told):
        return self.linear(x) * (2.0 if told[name] == (name == "train") else 1.0)

    exec(f"def __call__(self, x, {name}): return call(self, x, {name}={name})", scope := {"call": call})
    Told.__call__ = scope["__call__"]
    told = from_model(Told)
    x = jnp.ones((1, 2))
    np.testing.assert_allclose(told(x, training=True)[0], 2 * told(x)[0], rtol=1e-15)


def test_other_kinds_of_modules_are_refused():
    class Old(linen.Module):
        def __call__(self, x):
            return x

    class NoCall(nnx.Module):
        def __init__(self):
            self.weight = nnx.Param(jnp.ones(2))

    with pytest.raises(UserError, match=r"a Flax model is an NNX module; Old is of the older kind \(flax.linen\)"):
        from_model(Old())
    with pytest.raises(UserError, match=r"NoCall has no `__call__\(self, x\)`"):
        from_model(NoCall())


def test_without_flax_a_sentence_says_what_installs_it(monkeypatch):
    module = made()
    monkeypatch.setitem(sys.modules, "flax", None)
    with pytest.raises(UserError, match=r"a Flax module needs flax: pip install 'ascribe-learning\[flax\]'"):
        from_model(module)
