"""Finite differences: their order in Δ, the cases in which any Δ is exact, and the loop that they are."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from ascribe import losses, networks, rules
from ascribe.errors import UserError
from ascribe.networks import BatchNorm, Dropout, Network, record
from ascribe.rules import Backpropagation, Batch, FiniteDifferences
from ascribe.rules import finite_differences as module

from ..cases import (
    IMAGE,
    LOSSES,
    assert_active,
    assert_close,
    case,
    credit_of,
    examples,
    output_layer,
    shake,
    small_mlp,
    to_float32,
)
from ..training import tiny

STEPS = np.array([1e-4, 2e-4, 4e-4])
"""Above the rounding, and below what makes a max pooling of the small LeNet choose another pixel."""


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def errors(network, batch, key=None, steps=STEPS):
    """The distance from backpropagation's gradient for every step, all by one compiled program."""
    exact = credit_of(Backpropagation(), network, None, batch, key).gradients
    assert_active(exact)
    credit = jax.jit(lambda rule: rule(network, None, batch, key=key).gradients)
    return np.array([np.linalg.norm(flat(credit(FiniteDifferences(step))) - flat(exact)) for step in steps])


def slope(network, batch, key=None):
    return np.polyfit(np.log(STEPS), np.log(errors(network, batch, key)), 1)[0]


def norm_and_dropout():
    layers = list(small_mlp("tanh").layers)
    network = Network([layers[0], BatchNorm(5), layers[1], Dropout(0.5), *layers[2:]])
    return shake(network, jr.key(8), 0.1)


def loop(network, batch, step, key=None):
    """One parameter after another, in Python."""
    theta, unravel = ravel_pytree(network)

    @jax.jit
    def value(theta):
        return Backpropagation()(unravel(theta), None, batch, key=key).loss

    def moved(i, by):
        other = np.array(theta)
        other[i] += by
        return float(value(other))

    return unravel(jnp.asarray([(moved(i, step) - moved(i, -step)) / (2 * step) for i in range(theta.size)]))


# The order


@pytest.mark.parametrize(("kind", "loss"), [*(("mlp", loss) for loss in LOSSES), ("lenet", LOSSES[-1])])
def test_the_error_against_backpropagation_falls_with_the_square_of_the_step(kind, loss):
    network, batch = case(kind, loss)
    assert abs(slope(network, batch) - 2) < 0.1


@pytest.mark.parametrize("output", ["logistic", "tanh", "softmax"])
def test_the_order_with_an_output_activation_under_the_squared_error(output):
    assert abs(slope(output_layer(small_mlp(), output), examples((4,), "squared-error")) - 2) < 0.1


def test_the_order_with_normalization_and_one_dropout_mask():
    assert abs(slope(norm_and_dropout(), examples((4,), "categorical-cross-entropy"), jr.key(5)) - 2) < 0.1


def test_the_error_is_the_third_derivative_times_the_step_squared_over_six():
    """One weight w, one example x = 1 of class 1: E = ln(1 + e^-w), E''' = y(1 - y)(1 - 2y)."""
    w, step = 0.7, 0.01
    network = jax.tree.map(lambda leaf: jnp.full_like(leaf, w), networks.mlp([1, 1], bias=False, key=jr.key(0)))
    batch = Batch(jnp.ones((1, 1)), jnp.ones(1, jnp.int32), losses.get("bernoulli-cross-entropy"))
    found = FiniteDifferences(step)(network, None, batch).gradients["linear1"].weight[0, 0]
    y = 1 / (1 + np.exp(-w))
    np.testing.assert_allclose(found - (y - 1), step**2 / 6 * y * (1 - y) * (1 - 2 * y), rtol=1e-4)


def test_rounding_grows_as_the_step_shrinks_and_the_default_suits_float32():
    network, batch = to_float32(case("mlp", "categorical-cross-entropy"))
    exact = flat(credit_of(Backpropagation(), network, None, batch).gradients)
    steps = (1e-6, 1e-4, float(FiniteDifferences().step), 0.5)
    found = [flat(credit_of(FiniteDifferences(step), network, None, batch).gradients) for step in steps]
    off = [np.linalg.norm(one - exact) for one in found]
    assert off[0] > 10 * off[1] > 100 * off[2]
    assert off[3] > 100 * off[2]
    assert off[2] < 1e-3 * np.linalg.norm(exact)


# Where any step is exact


@pytest.mark.parametrize("step", [1e-3, 0.1, 2.0, 50.0])
def test_a_quadratic_loss_is_differentiated_exactly_by_any_step(step):
    network, batch = small_mlp(hidden=()), examples((4,), "squared-error")
    exact = credit_of(Backpropagation(), network, None, batch).gradients
    assert_active(exact)
    # Rounding: ε times the largest loss that is evaluated, over the step.
    loss = float(FiniteDifferences()(network, None, batch).loss)
    assert_close(FiniteDifferences(step)(network, None, batch).gradients, exact, 1e-14 * (loss + step**2) / step)


# What it is


@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_the_loop_over_the_parameters(loss):
    network, batch = case("mlp", loss)
    credit = FiniteDifferences(0.1)(network, None, batch)
    assert_close(credit.gradients, loop(network, batch, 0.1), 1e-12)
    np.testing.assert_allclose(credit.loss, credit_of(Backpropagation(), network, None, batch).loss, rtol=1e-12)


def test_it_is_the_loop_with_normalization_and_one_dropout_mask():
    network, batch, key = norm_and_dropout(), examples((4,), "categorical-cross-entropy"), jr.key(5)
    batch = dataclasses.replace(batch, network_state=network.initial_state())
    credit = FiniteDifferences(0.1)(network, "kept", batch, key=key)
    theirs = credit_of(Backpropagation(), network, None, batch, key)
    # A bias below a normalization has no effect: rounding on both sides, so all are compared on one scale.
    ours, expected = flat(credit.gradients), flat(loop(network, batch, 0.1, key))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12 * np.max(np.abs(expected)))
    np.testing.assert_allclose(credit.loss, theirs.loss, rtol=1e-12)
    assert_close(credit.network_state, theirs.network_state, 1e-12)
    assert credit.state == "kept"


@pytest.mark.parametrize("kind", ["mlp", "lenet"])
def test_how_many_are_perturbed_at_once_changes_nothing(kind, monkeypatch):
    network, batch = case(kind, "categorical-cross-entropy")
    answers, counts = [], []
    for memory in (1, 300_000, 2**30):
        monkeypatch.setattr(module, "MEMORY", memory)
        counts.append(module._at_once(network, batch, None))
        # What the rule compiles, compiled anew: it would not look at the memory again for shapes that it has seen.
        anew = jax.jit(lambda network: module._credit.__wrapped__(network, None, batch, None, jnp.asarray(0.1)))
        answers.append(anew(network).gradients)
    assert counts[0] == 1
    assert counts[2] == network.parameters
    for answer in answers[1:]:
        assert_close(answer, answers[0], 1e-12)


def test_the_memory_of_the_evaluations_at_once_is_bounded():
    """Each takes its activations twice, in 8-byte numbers: here 2 · 8 · 512 · (20 + 30 + 30 + 1) bytes at least."""
    network = networks.mlp([20, 30, 1], activation="tanh", key=jr.key(0))
    batch = examples((20,), "squared-error", outputs=1, batch=512)
    count = module._at_once(network, batch, None)
    assert 1 < count < network.parameters
    assert count * 2 * 8 * 512 * (20 + 30 + 30 + 1) < module.MEMORY


def test_the_views_that_a_convolution_gathers_count():
    """Of 8 bytes: the first kernel, 5 by 5, has a view for every place of each of 16 images, and is held three times."""
    network, _ = case("lenet", "squared-error")
    batch = examples(IMAGE, "squared-error", batch=16)
    kernel, output = network["conv1"].weight, record(network, batch.inputs)[0].outputs(0)
    views = output.size // output.shape[-1] * kernel[..., 0].size
    count = module._at_once(network, batch, None)
    assert 1 < count < network.parameters
    assert count * 2 * 8 * 3 * views < module.MEMORY


def test_another_step_is_the_same_program():
    network, batch = case("mlp", "squared-error")
    traces = []

    @jax.jit
    def credit(rule):
        traces.append(1)
        return rule(network, None, batch).gradients

    answers = [flat(credit(FiniteDifferences(step))) for step in (0.01, 1, np.float32(0.3))]
    assert len(traces) == 1
    assert not np.allclose(answers[0], answers[1])


def test_threshold_units_have_a_slope_where_the_step_switches_them():
    network, batch = small_mlp("threshold"), examples((4,), "squared-error")
    narrow, wide = (FiniteDifferences(step)(network, None, batch).gradients["linear1"] for step in (1e-4, 1.0))
    assert np.max(np.abs(narrow.weight)) < 1e-10  # rounding
    assert np.max(np.abs(wide.weight)) > 0.1


def test_a_float32_network_gets_float32_numbers():
    network, batch = to_float32(case("mlp", "bernoulli-cross-entropy"))
    credit = FiniteDifferences()(network, None, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves((credit.loss, credit.gradients))} == {jnp.dtype("float32")}


# What is refused


def test_a_network_above_the_limit_is_refused():
    network = networks.mlp([64, 64, 3], key=jr.key(0))
    batch = examples((64,), "categorical-cross-entropy")
    sentence = r"this one has 4,355 and the limit is 1,000; use a smaller .*, or, in Python, FiniteDifferences\(limit=5000\)"
    for refused in (lambda r: r.adapt(network, tiny.data()), lambda r: r(network, None, batch)):
        with pytest.raises(UserError, match=sentence):
            refused(FiniteDifferences())
    assert FiniteDifferences(limit=4355).adapt(network, tiny.data()) is network
    assert rules.get("finite-diff", limit=5000).adapt(network, tiny.data()) is network


@pytest.mark.parametrize("options", [{"step": 0.0}, {"step": -1.0}, {"limit": 0}, {"limit": True}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UserError):
        FiniteDifferences(**options)
