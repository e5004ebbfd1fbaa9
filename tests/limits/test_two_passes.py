"""PEPITA where its input modulation vanishes: feedback alignment, and backpropagation."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import datasets, networks, rules
from ascribe.errors import UserError
from ascribe.networks import BatchNorm, Network, record
from ascribe.rules import Backpropagation

from ..cases import assert_active, assert_close, credit_of, examples, noisy_mlp, small_lenet, small_mlp

RULE = rules.Pepita()


@jax.jit
def over_size(network, state, batch, sizes):
    """The credit with F times each of the sizes, the hidden layers' over the size; the last layer's as it is."""
    at = lambda size: RULE(network, size * state, batch).gradients
    by_size = jax.lax.map(at, sizes)
    *hidden, last = network.synaptic
    divided = lambda leaf: leaf / sizes.reshape(-1, *(1,) * (leaf.ndim - 1))
    return {name: jax.tree.map(divided, by_size[name]) for name in hidden}, by_size[last]


def order_of(errors, sizes):
    return np.polyfit(np.log(np.asarray(sizes)), np.log(errors), 1)[0]


def largest(found, wanted):
    """By size: the largest difference to what is wanted."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True)
    return np.max([np.max(np.abs(a - b[None]), axis=tuple(range(1, a.ndim))) for a, b in pairs], axis=0)


SIZES = jnp.asarray([1e-1, 1e-2, 1e-3, 1e-4])


def test_with_one_hidden_layer_and_f_against_the_weights_it_is_backpropagation_to_first_order():
    """W_1 F = -W_2ᵀ: F from the pseudo-inverse, since there are as many inputs as hidden units."""
    network, batch = small_mlp("tanh", hidden=(4,)), examples((4,), "categorical-cross-entropy")
    first, last = network["linear1"].weight, network["linear2"].weight
    modulation = -np.linalg.solve(np.asarray(first), np.asarray(last).T).T
    hidden, top = over_size(network, jnp.asarray(modulation), batch, SIZES)
    exact = credit_of(Backpropagation(), network, None, batch).gradients
    for found, wanted in ((hidden["linear1"], exact["linear1"]), (top, exact["linear2"])):
        errors = largest(found, wanted)
        assert errors[-1] < 1e-3 * np.max(np.abs(wanted.weight))
        assert abs(order_of(errors, SIZES) - 1) < 0.1


def test_deeper_layers_have_the_derivative_of_their_activation_along_f_e():
    """(h_l - h_l^err) / ε → -∂h_l/∂x F e, in the place of B_l e σ'(z_l): adaptive feedback (Srinivasan et al. 2023)."""
    network, batch = small_mlp("tanh", hidden=(5, 4)), examples((4,), "squared-error")
    state = RULE.init(network, batch, key=jr.key(3))
    hidden, _ = over_size(network, state, batch, SIZES)
    weight, bias = zip(*((network[name].weight, network[name].bias) for name in network.synaptic), strict=True)

    def activations(x):
        h1 = jnp.tanh(weight[0] @ x + bias[0])
        return h1, jnp.tanh(weight[1] @ h1 + bias[1])

    found = [0.0, 0.0]
    for x, t in zip(batch.inputs, batch.targets, strict=True):
        (h1, h2), along = activations(x), jax.jacfwd(activations)(x)
        e = weight[2] @ h2 + bias[2] - t
        for i, below in enumerate((x, h1)):
            found[i] -= jnp.outer(along[i] @ (state.T @ e), below) / len(batch.inputs)
    for name, wanted in zip(("linear1", "linear2"), found, strict=True):
        errors = largest(hidden[name].weight, wanted)
        assert errors[-1] < 1e-2 * np.max(np.abs(wanted))
        assert abs(order_of(errors, SIZES) - 1) < 0.15


def test_a_kernel_has_the_mean_over_its_places_of_what_feedback_alignment_has_at_each():
    """At the first convolution, before pooling, in the limit: -(W_1 * F e) ⊙ σ'(z_1)."""
    network, batch = small_lenet(), examples((12, 12, 1), "categorical-cross-entropy")
    state = RULE.init(network, batch, key=jr.key(3))
    hidden, _ = over_size(network, state, batch, SIZES[-1:])

    @eqx.filter_jit
    def expected(network, state, batch):
        layer, x = network["conv1"], batch.inputs
        z = layer(x)[0]
        e = len(x) * batch.loss.mean_and_error(network(x), batch.targets)[1]
        along = jax.jvp(lambda x: layer(x)[0], (x,), (jnp.tensordot(e, state, 1),))[1]
        delta = -along * (1 - jnp.tanh(z) ** 2) / (len(z) * z.shape[1] * z.shape[2])
        return jax.vjp(lambda layer: layer(x)[0], layer)[1](delta)[0]

    wanted = expected(network, state, batch)
    assert_active(wanted)
    for a, b in zip(jax.tree.leaves(hidden["conv1"]), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=0, atol=1e-3 * np.max(np.abs(b)))


def test_the_last_layer_alone_has_its_own_error_at_the_second_pass_s_input():
    network, batch = small_mlp(), examples((4,), "bernoulli-cross-entropy")
    state = jnp.zeros((3, 4))
    found = eqx.filter_jit(RULE)(network, state, batch).gradients
    wanted = credit_of(Backpropagation(), network, None, batch).gradients
    assert_close(found["linear3"], wanted["linear3"], 1e-12)
    assert not any(np.any(leaf) for name in ("linear1", "linear2") for leaf in jax.tree.leaves(found[name]))


def test_both_passes_silence_the_same_units():
    """Without any error at the input nothing changes; with one, a silenced unit does not learn."""
    network, batch = noisy_mlp(), examples((4,), "categorical-cross-entropy")
    network = Network([layer for layer in network.layers if not isinstance(layer, BatchNorm)])  # linear, tanh, dropout, …
    state, key = RULE.init(network, batch, key=jr.key(3)), jr.key(4)
    one = dataclasses.replace(batch, inputs=batch.inputs[:1], targets=batch.targets[:1])
    still, found = (eqx.filter_jit(RULE)(network, size * state, one, key=key).gradients for size in (0, 1))
    assert not any(np.any(leaf) for name in ("linear1", "linear2") for leaf in jax.tree.leaves(still[name]))
    kept = np.asarray(record(network, one.inputs, key=key)[0].inputs[network.index("dropout1") + 1][0]) != 0
    assert 0 < kept.sum() < len(kept)
    np.testing.assert_array_equal(np.any(np.asarray(found["linear1"].weight), axis=1), kept)


def test_other_layers_are_refused():
    network = networks.gru((5, 2), 3, units=4, key=jr.key(0))
    with pytest.raises(UserError, match="and gru1 is no such layer"):
        RULE.adapt(network, datasets.load("moons", samples=20))
