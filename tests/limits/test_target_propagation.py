"""Target propagation where its inverses are transposed Jacobians: backpropagation; and what its inverses come to."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import datasets, rules
from ascribe.errors import UserError
from ascribe.networks import record
from ascribe.rules import Backpropagation, TargetPropagation, Trainables
from ascribe.rules.target_propagation import Inverse, SegmentedPass

from ..cases import assert_close, credit_of, examples, small_lenet, small_mlp, upper_weights


def exact(network, batch):
    return credit_of(Backpropagation(), network, None, batch).gradients


def inverses(network, biased=False):
    """B = W of every layer but the lowest."""
    return {name: Inverse(w, jnp.ones(w.shape[1]) if biased else None) for name, w in upper_weights(network).items()}


@pytest.mark.parametrize("kind", ["difference", "fixed"])
@pytest.mark.parametrize("step", [0.01, 10.0])
def test_between_linear_layers_with_the_weights_it_is_backpropagation_for_every_target_step(kind, step):
    """c of g goes out of the difference."""
    network, batch = small_mlp("identity"), examples((4,), "categorical-cross-entropy")
    rule, own = TargetPropagation(kind, target_step=step), inverses(network, biased=kind == "difference")
    given = (network, own) if kind == "fixed" else (Trainables(network, feedback=own), None)
    found = credit_of(rule, *given, batch, jr.key(0)).gradients
    assert_close(found.network if kind == "difference" else found, exact(network, batch), 1e-11)


def test_between_linear_layers_fixed_inverses_are_feedback_alignment():
    network, batch = small_mlp("identity"), examples((4,), "squared-error")
    state = TargetPropagation("fixed").init(network, batch, key=jr.key(3))
    aligned = credit_of(rules.FeedbackAlignment(), network, {name: one.weight for name, one in state.items()}, batch)
    assert_close(credit_of(TargetPropagation("fixed"), network, state, batch).gradients, aligned.gradients, 1e-11)


def test_with_the_last_weights_the_layer_below_them_has_backpropagation_s_gradient():
    """Of the direct kind, whose inverses are linear, for every step."""
    network, batch = small_mlp("relu"), examples((4,), "bernoulli-cross-entropy")
    rule = TargetPropagation("direct", target_step=3.0)
    own = rule.trainables(network, batch, key=jr.key(0))
    own = eqx.tree_at(lambda own: own.feedback["linear3"].weight, own, network["linear3"].weight)
    found, wanted = credit_of(rule, own, None, batch, jr.key(0)).gradients.network, exact(network, batch)
    assert_close([found[name] for name in ("linear2", "linear3")], [wanted[name] for name in ("linear2", "linear3")], 1e-12)
    assert not np.allclose(found["linear1"].weight, wanted["linear1"].weight, rtol=1e-3)


STEPS = jnp.asarray([1e-1, 1e-2, 1e-3, 1e-4])


def order_of(errors):
    return np.polyfit(np.log(np.asarray(STEPS)), np.log(errors), 1)[0]


def test_for_small_target_steps_it_is_a_sweep_with_the_jacobians_of_the_inverses():
    """To first order in the step; δ of the layers in between is not in it, for targets pass through no σ'."""
    network, batch = small_mlp("tanh"), examples((4,), "squared-error")
    rule = TargetPropagation("fixed")
    state = rule.init(network, batch, key=jr.key(3))
    at = lambda step: dataclasses.replace(rule, target_step=step)(network, state, batch).gradients
    found = jax.jit(lambda: jax.lax.map(at, STEPS))()
    tape, _ = record(network, batch.inputs)
    h1, h2, z3 = tape.inputs[2], tape.inputs[4], tape.output
    error = (z3 - batch.targets) / len(z3)
    slope = lambda h: 1 - h**2
    wanted = {}
    for name, above, h, below in (("linear2", "linear3", h2, h1), ("linear1", "linear2", h1, batch.inputs)):
        given = z3 if above == "linear3" else h2
        error = slope(jnp.tanh(given @ state[above].weight)) * (error @ state[above].weight)
        wanted[name] = (slope(h) * error).T @ below
    for name, one in wanted.items():
        errors = np.max(np.abs(found[name].weight - one[None]), axis=(1, 2))
        assert errors[-1] < 1e-3 * np.max(np.abs(one))
        assert abs(order_of(errors) - 1) < 0.05


def test_a_target_brings_the_layer_above_towards_its_own_where_the_product_of_jacobians_is_positive():
    """f(ĥ_l) - h_{l+1} → J_f J_g (ĥ_{l+1} - h_{l+1}): the condition of Shibuya et al. (2023). With B = W it holds, since
    D W D' Wᵀ has no negative eigenvalue; with B = -W nothing does."""
    network, batch = small_mlp("tanh"), examples((4,), "squared-error")
    forward = SegmentedPass.of(network, batch, None)
    h1, h2 = forward.made["linear1"], forward.made["linear2"]
    wish = 1e-5 * jr.normal(jr.key(1), h2.shape)
    for sign in (1, -1):
        g = lambda h, sign=sign: jnp.tanh(h @ (sign * network["linear2"].weight))
        reached = forward.through("linear2", h1 + g(h2 + wish) - g(h2)) - h2
        for n in range(len(h2)):
            along = jax.jacobian(lambda h: jnp.tanh(network["linear2"].weight @ h + network["linear2"].bias))(h1[n])
            product = along @ jax.jacobian(g)(h2[n])
            np.testing.assert_allclose(reached[n], product @ wish[n], rtol=0, atol=1e-3 * np.max(np.abs(wish[n])))
            eigenvalues = np.linalg.eigvals(product)
            assert np.all(sign * eigenvalues.real > -1e-12) and np.allclose(eigenvalues.imag, 0)


@eqx.filter_jit
def trained(rule, own, batch, steps):
    """The trainables after that many training steps that move the feedback alone."""

    def step(own, key):
        moved = rule(own, None, batch, key=key).gradients.feedback
        return Trainables(own.network, feedback=jax.tree.map(jnp.subtract, own.feedback, moved)), None

    return jax.lax.scan(step, own, jr.split(jr.key(7), steps))[0]


def test_direct_inverses_come_to_the_pseudo_inverse_of_the_layers_above():
    """Meulemans et al. (2020): of linear layers, J^† = Jᵀ (J Jᵀ)⁻¹, which is Gauss-Newton's direction."""
    network, batch = small_mlp("identity"), examples((4,), "squared-error", batch=100)
    rule = TargetPropagation("direct", feedback_rate=0.3)
    own = trained(rule, rule.trainables(network, batch, key=jr.key(0)), batch, 4000)
    last, second = (np.asarray(network[name].weight) for name in ("linear3", "linear2"))
    for name, jacobian in (("linear3", last), ("linear2", last @ second)):
        wanted = np.linalg.pinv(jacobian).T
        np.testing.assert_allclose(own.feedback[name].weight, wanted, rtol=0, atol=0.1 * np.max(np.abs(wanted)))


def test_learned_inverses_reconstruct_what_they_did_not():
    network, batch = small_mlp("tanh"), examples((4,), "squared-error", batch=100)
    rule = TargetPropagation("difference", feedback_steps=5)
    own = rule.trainables(network, batch, key=jr.key(0))
    forward = SegmentedPass.of(network, batch, None)

    def error(own, name):
        h = forward.entering(name)
        return float(jnp.mean((jnp.tanh(own.feedback[name](forward.through(name, h))) - h) ** 2) / jnp.mean(h**2))

    after = trained(rule, own, batch, 400)
    for name in ("linear2", "linear3"):
        assert error(after, name) < 0.35 < error(own, name)


def test_what_it_has_no_inverse_for_is_refused():
    data, rule = datasets.load("moons", samples=20), TargetPropagation()
    with pytest.raises(UserError, match="has inverses of dense layers in a row, and conv1 is none"):
        rule.adapt(small_lenet(), data)
    network, batch = small_mlp(), examples((4,), "squared-error")
    with pytest.raises(UserError, match="trains its inverses with noise, new ones for every batch: pass `key=`"):
        rule(rule.trainables(network, batch, key=jr.key(0)), None, batch)
    with pytest.raises(UserError, match="`kind` of TargetPropagation is one of difference, direct, fixed"):
        TargetPropagation("inverse")
    with pytest.raises(UserError, match="`feedback_steps` of TargetPropagation is a positive integer; got 0"):
        TargetPropagation(feedback_steps=0)
