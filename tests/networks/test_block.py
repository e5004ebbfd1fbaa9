"""Any JAX function and any Equinox module as one layer."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Block, from_function, from_model
from ascribe.training.identity import fingerprint

from ..cases import assert_identical


class Small(eqx.Module):
    """Convolution, batch normalization, dropout, three dense layers in a list, a table of integers."""

    convolution: eqx.nn.Conv2d
    normalization: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    dense: list
    table: jax.Array
    scale: float

    def __init__(self, key, width=3, rate=0.5):
        keys = jr.split(key, 4)
        self.convolution = eqx.nn.Conv2d(2, width, 3, padding=1, key=keys[0])
        self.normalization = eqx.nn.BatchNorm(width, "batch", mode="batch")
        self.dropout = eqx.nn.Dropout(rate)
        self.dense = [eqx.nn.Linear(width * 12, 5, key=keys[1]), *(eqx.nn.Linear(5, 5, key=key) for key in keys[2:])]
        self.table, self.scale = jnp.arange(5), 0.5

    def __call__(self, x, state, *, key=None):
        h, state = self.normalization(self.convolution(x), state)
        h = self.dropout(jax.nn.relu(h).ravel(), key=key)
        for layer in self.dense:
            h = self.scale * layer(h)
        return h + self.table.astype(h.dtype), state


class Cell(eqx.Module):
    """A recurrent cell over time, its last state read out."""

    cell: eqx.Module
    out: eqx.nn.Linear

    def __init__(self, kind, key):
        self.cell = kind(3, 4, key=jr.fold_in(key, 0))
        self.out = eqx.nn.Linear(4, 2, key=jr.fold_in(key, 1))

    def __call__(self, x):
        lstm = isinstance(self.cell, eqx.nn.LSTMCell)
        start = jnp.zeros(4, x.dtype)
        last, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), (start, start) if lstm else start, x)
        return self.out(last[0] if lstm else last)


IMAGES = (6, 4, 3, 2)


@functools.cache
def images():
    return np.random.default_rng(1).normal(size=IMAGES)


@functools.cache
def small():
    return from_model(Small, options={"width": 4}, shape=IMAGES[1:])


@functools.cache
def by_equinox(training):
    """What Equinox answers to the images, and its state after them."""
    model, state = eqx.nn.make_with_state(Small)(jr.key(0), width=4)
    model = eqx.nn.inference_mode(model, not training)
    keys = jr.split(jr.key(7), IMAGES[0])
    one = lambda model, x, state, key: model(x, state, key=key)
    every = jax.vmap(one, (None, 0, None, 0), (0, None), axis_name="batch")
    return eqx.filter_jit(every)(model, jnp.moveaxis(jnp.asarray(images()), -1, 1), state, keys)


@pytest.mark.parametrize("training", [True, False])
def test_an_equinox_module_answers_as_in_equinox_and_moves_its_state_as_there(training):
    y, state = small()(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=training)
    expected, after = by_equinox(training)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-14)
    for one, other in zip(state, jax.tree.leaves(after), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)
    assert any(np.any(one != other) for one, other in zip(state, small().initial_state(), strict=True)) is training


def test_the_gradient_of_the_block_is_that_of_the_module():
    def theirs(model, state, x):
        one = lambda x, state, key: model(x, state, key=key)
        y, _ = jax.vmap(one, (0, None, 0), (0, None), axis_name="batch")(
            jnp.moveaxis(x, -1, 1), state, jr.split(jr.key(7), IMAGES[0])
        )
        return jnp.sum(jnp.sin(y))

    found = eqx.filter_jit(
        eqx.filter_grad(
            lambda block: jnp.sum(jnp.sin(block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True)[0]))
        )
    )(small())
    expected = eqx.filter_jit(eqx.filter_grad(theirs))(*eqx.nn.make_with_state(Small)(jr.key(0), width=4), images())
    pairs = (
        (found.parameters["convolution"]["weight"], expected.convolution.weight),
        (found.parameters["normalization"]["weight"], expected.normalization.weight),
        (found.parameters["dense"][2]["bias"], expected.dense[2].bias),
    )
    for one, other in pairs:
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_dropout_is_of_the_key_and_of_training_alone():
    answers = jax.jit(
        lambda key, block: [
            block(jnp.asarray(jnp.asarray(images())), key=key, training=training)[0] for training in (True, False)
        ]
    )
    first, other, again = (answers(jr.key(number), small()) for number in (0, 1, 0))
    assert np.any(first[0] != other[0])
    assert_identical(first, again)
    assert_identical(first[1], other[1])


def test_a_class_gives_every_seed_its_own_weights_and_a_module_its_own_to_all():
    fresh = jax.jit(jax.vmap(small().initialize))(jr.split(jr.key(3), 2))
    assert np.all(fresh.parameters["dense"][0]["weight"][0] != fresh.parameters["dense"][0]["weight"][1])
    one = Small(jr.split(jr.key(3), 2)[1], width=4)
    np.testing.assert_allclose(fresh.parameters["dense"][0]["weight"][1], one.dense[0].weight, rtol=1e-15)
    kept = from_model(one)
    assert not kept.adapter.remade
    assert_identical(kept.initialize(jr.key(5)).parameters, kept.parameters)


def test_a_module_with_its_state_keeps_both():
    module, state = eqx.nn.make_with_state(Small)(jr.key(0), width=4)
    pair = from_model((module, state))
    assert_identical(pair(jnp.asarray(images()))[0], small()(jnp.asarray(images()))[0])


def test_what_is_trained_has_readable_names_in_the_order_of_lists():
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree.leaves_with_path(small())]
    assert "parameters/convolution/weight" in names
    assert [name for name in names if "dense" in name][::2] == [f"parameters/dense/{i}/bias" for i in range(3)]
    assert not any("table" in name or "scale" in name for name in names)


@pytest.mark.parametrize("kind", [eqx.nn.GRUCell, eqx.nn.LSTMCell])
def test_recurrent_cells_are_scanned_over_time(kind):
    x = jr.normal(jr.key(2), (5, 12, 3))
    module = Cell(kind, jr.key(0))
    block = from_model(module, shape=(12, 3))
    np.testing.assert_allclose(block(x)[0], jax.vmap(module)(x), rtol=1e-12)
    assert block.outputs == 2


def test_blocks_of_one_class_are_of_one_structure():
    again = from_model(Small, options={"width": 4}, shape=IMAGES[1:])
    assert jax.tree.structure(again) == jax.tree.structure(small())
    other = from_model(Small, options={"width": 3}, shape=IMAGES[1:])
    assert jax.tree.structure(other) != jax.tree.structure(small())


def test_a_block_is_known_by_its_source_its_options_and_where_it_cannot_be_made_again_by_its_numbers():
    known = lambda model, **options: fingerprint(from_model(model, options=options).adapter.identity)
    assert known(Small, width=4) == known(Small, width=4) != known(Small, width=3)
    one, other = Cell(eqx.nn.GRUCell, jr.key(0)), Cell(eqx.nn.GRUCell, jr.key(1))
    assert known(one) == known(Cell(eqx.nn.GRUCell, jr.key(0))) != known(other)
    functions = [from_function(f, {"w": jnp.ones(2)}) for f in (lambda p, x: x @ p["w"], lambda p, x: x * p["w"])]
    assert fingerprint(functions[0].adapter.identity) != fingerprint(functions[1].adapter.identity)
    two = [from_function(line, {"w": jnp.full(2, number)}) for number in (1.0, 2.0)]
    assert fingerprint(two[0].adapter.identity) != fingerprint(two[1].adapter.identity)


# Functions


def apply(parameters, x, state, *, key, training):
    noise = jr.normal(key, x.shape, x.dtype) if training else 0
    return (x + noise) @ parameters["w"] + parameters["b"], {"seen": state["seen"] + training * x.shape[0]}


def test_a_function_is_given_what_it_asks_for_by_name():
    parameters = {"w": jr.normal(jr.key(0), (3, 2)), "b": jnp.zeros(2)}
    block = from_function(apply, parameters, state={"seen": jnp.asarray(0)}, shape=(3,))
    x = jr.normal(jr.key(1), (4, 3))
    y, state = block(x, key=jr.key(2), training=True)
    np.testing.assert_allclose(y, (x + jr.normal(jr.key(2), x.shape)) @ parameters["w"], rtol=1e-12)
    assert state == {"seen": 4}
    assert_identical(block(x)[0], x @ parameters["w"])
    assert (block.outputs, block.wants_vectors) == (2, True)


def test_a_function_may_initialize_its_parameters():
    block = from_function(lambda p, x: x @ p, jnp.zeros((3, 2)), initialize=lambda key: jr.normal(key, (3, 2)))
    assert_identical(block.initialize(jr.key(4)).parameters, jr.normal(jr.key(4), (3, 2)))
    other = from_function(lambda p, x: x @ p, jnp.zeros((3, 2)), initialize=lambda key: jr.normal(key, (2, 3)))
    with pytest.raises(UserError, match="the parameters of <lambda> have other shapes for another key"):
        other.initialize(jr.key(4))


class NoCall(eqx.Module):
    linear: eqx.nn.Linear = eqx.nn.Linear(2, 2, key=jr.key(0))


class Empty(eqx.Module):
    def __call__(self, x):
        return x


line = lambda p, x: x * p["w"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: from_function(line, {}), "the model <lambda> has no parameters: there is nothing to train"),
        (
            lambda: from_function(line, {"w": np.arange(3)}),
            "real floating numbers; w of <lambda> is int64: what is not",
        ),
        (lambda: from_function(line, {"w": True}), "real floating numbers; w of <lambda> is bool"),
        (
            lambda: from_function(line, {"w": jnp.ones(2, complex)}),
            "w of <lambda> is complex: hold its real and its imag",
        ),
        (lambda: from_function(line, {"w": "one"}), "w of <lambda> is str: hold what is no number apart"),
        (lambda: from_function(5, {"w": 1.0}), "a model is a function of parameters and inputs, .*; got 5"),
        (lambda: from_model(Empty()), "the model Empty has no parameters"),
        (lambda: from_model(NoCall()), r"NoCall has no `__call__\(self, x\)`"),
        (lambda: from_model(5), "a model is a module of Equinox, Flax NNX or PyTorch, a class of them, or .*; got 5"),
        (lambda: from_model(lambda key: 5), "<lambda> returns 5: write any other as a function of its parameters"),
        (lambda: from_model(Empty(), options={"a": 1}), r"options are for a class or a factory; Empty\(\) is a module"),
        (lambda: from_model(Small, options={"widht": 4}), "the model Small has no option 'widht': did you mean width"),
        (lambda: from_model(Cell), "the model Cell wants kind: give it as an option"),
        (lambda: Block("nobody"), "no model 'nobody' is known here"),
        (lambda: Block(5), "a block is made by ascribe.networks.from_model or from_function; got 5"),
        (lambda: from_function(line, {"w": 1.0}).outputs, "how many outputs <lambda> has is known when it has data"),
    ],
)
@pytest.mark.usefixtures("as_installed")
def test_what_cannot_be_trained_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


def test_a_model_that_is_registered_is_made_again_from_its_structure():
    networks.register_layer(Small)
    block = Block("Small", {"width": 4}, IMAGES[1:])
    assert jax.tree.structure(block) == jax.tree.structure(small())
