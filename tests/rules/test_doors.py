"""The doors around the sweep let nothing wrong in: odd labels, silent rules, terms that would do nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.networks import Activation, BatchNorm, Linear, Network, mlp
from ascribe.rules import (
    AbstractRule,
    Backpropagation,
    Credit,
    Terms,
    as_batch,
    backward_sweep,
    value_and_credit,
    verify,
)


def pair(outputs=1, examples=12):
    x = jr.normal(jr.key(0), (examples, 3))
    return x, jnp.arange(examples) % max(outputs, 2)


def test_labels_in_a_column_and_boolean_labels_are_labels():
    """Without the suite's strict shapes, which would hide a silent broadcast."""
    x, y = pair()
    network = mlp([3, 5, 1], key=jr.key(1))
    credited = jax.jit(value_and_credit(Backpropagation()))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        found = [float(credited(network, None, (x, t))[0]) for t in (y, y[:, None], y.astype(bool))]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("outputs", [1, 3])
def test_labels_of_another_shape_are_refused(outputs):
    x, y = pair(outputs)
    network = mlp([3, 5, outputs], key=jr.key(1))
    batch = as_batch(network, (x, jnp.stack([y, y], axis=1)))
    with pytest.raises(UserError, match="labels have the shape"):
        Backpropagation()(network, None, batch)


class NoBias(AbstractRule):
    """Backpropagation that forgets the biases."""

    def __call__(self, network, state, batch, *, key=None):
        credit = backward_sweep(network, state, batch, key=key)
        forget = lambda g: jnp.zeros_like(g) if g.ndim == 1 else g
        return Credit(credit.loss, jax.tree.map(forget, credit.gradients), state)


def test_verify_looks_at_every_parameter():
    network = mlp([3, 5, 2], key=jr.key(1))
    assert verify(NoBias(), network, pair(2)).differs == ("linear1", "linear2")
    normalized = Network([Linear(3, 4, key=jr.key(1)), BatchNorm(4), Activation("tanh"), Linear(4, 2, key=jr.key(2))])
    # A bias that a normalization takes out again has no gradient to lose: linear1 is backpropagation's.
    assert verify(NoBias(), normalized, pair(2)).differs == ("batchnorm1", "linear2")
    assert not verify(Backpropagation(), normalized, pair(2))


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (lambda n: Terms(derivative={"logistic1": jnp.ones_like}), "output_derivative"),
        (lambda n: Terms(derivative={"linear2": jnp.ones_like}), "output_derivative"),
        (lambda n: Terms(feedback={"linear1": n["linear1"].weight}), "lowest layer"),
        (lambda n: Terms(direct={"linear1": jnp.ones((1, 3))}), "lowest layer"),
    ],
)
def test_a_replacement_that_would_do_nothing_is_refused(terms, sentence):
    network = mlp([3, 5, 1], output_activation="logistic", key=jr.key(1))
    with pytest.raises(UserError, match=sentence):
        backward_sweep(network, None, as_batch(network, pair()), terms(network))


def test_the_activation_that_follows_is_looked_for_before_the_next_weights_only():
    network = Network(
        [Linear(3, 4, key=jr.key(1)), Linear(4, 4, key=jr.key(2)), Activation("tanh"), Linear(4, 1, key=jr.key(3))]
    )
    with pytest.raises(UserError, match="no activation follows layer linear1"):
        backward_sweep(network, None, as_batch(network, pair()), Terms(derivative={"linear1": jnp.ones_like}))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("feedback-alignment", {"scale": -1.0}),
        ("feedback-alignment", {"scale": 0}),
        ("direct-feedback-alignment", {"scale": float("nan")}),
        ("sign-symmetry", {"scale": float("inf")}),
        ("kolen-pollack", {"decay": 1.0}),
        ("kolen-pollack", {"decay": -1e-9}),
        ("forward-pass", {"scaling": 0}),
        ("forward-pass", {"scaling": 1.1}),
        ("forward-pass", {"epsilon": 0}),
        ("forward-pass", {"sign_threshold": -0.1}),
        ("finite-differences", {"step": 0}),
    ],
)
def test_a_hyperparameter_outside_its_interval_is_refused(name, options):
    (field,) = options
    with pytest.raises(UserError, match=rf"`{field}` is a number in .*; got "):
        rules.get(name, **options)


def test_a_hyperparameter_may_be_built_under_a_transformation():
    scales = jnp.asarray([0.5, 2.0])
    built = eqx.filter_vmap(lambda scale: rules.FeedbackAlignment(scale=scale))(scales)
    np.testing.assert_array_equal(built.scale, scales)


def test_rules_know_their_registered_names():
    for name in rules.names():
        assert rules.name_of(rules.get(name)) == name
    assert rules.name_of(NoBias()) == "NoBias"
