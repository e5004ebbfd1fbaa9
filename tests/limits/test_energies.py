"""What rules that relax an energy are known to be: predictive coding backpropagation, where predictions stay or every layer
learns at its own step; equilibrium propagation the gradient at an equilibrium, as the nudge vanishes."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Activation, Conv2d, Flatten, LayerNorm, Linear, MaxPool2d, Network, Residual, stack
from ascribe.rules import Backpropagation, EquilibriumPropagation, PredictiveCoding, RelaxedIdentity
from ascribe.rules.segments import Segments

from ..cases import (
    IMAGE,
    assert_active,
    assert_close,
    credit_of,
    examples,
    noisy_mlp,
    output_layer,
    shake,
    small_lenet,
    small_mlp,
)

DEPTH = 11


def deep_mlp():
    return shake(networks.mlp([4, *[5] * DEPTH, 3], activation="tanh", key=jr.key(1)), jr.key(7), 0.2)


def residual():
    keys = jr.split(jr.key(2), 4)
    branch = [Linear(5, 6, key=keys[1]), Activation("tanh"), Linear(6, 5, key=keys[2])]
    layers = [Linear(4, 5, key=keys[0]), Residual(branch), Activation("tanh"), Linear(5, 3, key=keys[3])]
    return shake(Network(layers), jr.key(7), 0.2)


KINDS = {"mlp": small_mlp, "lenet": small_lenet, "deep": deep_mlp, "residual": residual}


def given(kind, loss="categorical-cross-entropy"):
    return KINDS[kind](), examples(IMAGE if kind == "lenet" else (4,), loss)


def gradients(rule, network, batch):
    return credit_of(rule, network, None, batch).gradients


def exact(network, batch):
    found = gradients(Backpropagation(), network, batch)
    assert_active(found)
    return found


def distance(ours, theirs):
    """The largest error of an array, over the array's largest entry."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in pairs)


def order(errors, sizes):
    """The slope of log error over log size."""
    return np.polyfit(np.log(sizes), np.log(errors), 1)[0]


# Predictive coding


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_predictions_at_equilibrium_and_zero_divergence_are_backpropagation(kind):
    network, batch = given(kind)
    theirs, steps = exact(network, batch), len(network.units) - 1
    assert_close(gradients(PredictiveCoding("fixed-prediction", steps=steps, rate=1.0), network, batch), theirs, 1e-12)
    assert_close(gradients(PredictiveCoding("zero-divergence"), network, batch), theirs, 1e-12)


def test_fixed_predictions_come_to_their_equilibrium_at_any_stable_rate_and_stay_there():
    network, batch = given("lenet", "squared-error")
    for steps, rate in ((40, 1.0), (400, 0.2)):
        rule = PredictiveCoding("fixed-prediction", steps=steps, rate=rate)
        assert_close(gradients(rule, network, batch), exact(network, batch), 1e-12)


def test_what_a_forward_pass_is_rounded_by_does_not_grow_in_steps_of_one_before_the_error_comes(monkeypatch):
    """Of a step of γ = 1 on a deep network the largest factor is well above 1."""
    network, batch = given("deep")
    forward = Segments.in_turn
    rounded = lambda *given: [one + 1e-10 * jnp.cos(7 * one) for one in forward(*given)]
    theirs = exact(network, batch)
    monkeypatch.setattr(Segments, "in_turn", rounded)
    found = jax.jit(lambda network: PredictiveCoding("zero-divergence")(network, None, batch).gradients)(network)
    assert distance(found["linear1"], theirs["linear1"]) < 1e-8


@pytest.mark.parametrize("inference", ["standard", "fixed-prediction"])
def test_an_error_descends_by_one_layer_a_step(inference):
    """After the first step of γ the highest hidden layer has γ times backpropagation's gradient, and none below it has any."""
    network, batch = given("lenet")
    found, theirs = gradients(PredictiveCoding(inference, steps=1, rate=0.3), network, batch), exact(network, batch)
    *lower, highest, _ = network.synaptic
    assert_close(found[highest], jax.tree.map(lambda leaf: 0.3 * leaf, theirs[highest]), 1e-12)
    assert all(np.max(np.abs(leaf)) < 1e-15 for name in lower for leaf in jax.tree.leaves(found[name]))


def test_standard_inference_at_equilibrium_is_backpropagation_to_first_order_in_the_loss():
    """Outputs and targets times √s make the squared error s times as large, with its curvature. (Targets that only come close
    to the outputs do not do that: the equilibrium shares even a small error out over the layers.)"""
    network, batch = given("mlp", "squared-error")
    rule, scales = PredictiveCoding(steps=800, rate=0.2), (1e-2, 1e-3, 1e-4)
    errors = []
    for s in scales:
        *lower, last = network.layers
        small = network.with_layers([*lower, jax.tree.map(lambda leaf, s=s: np.sqrt(s) * leaf, last)])
        one = dataclasses.replace(batch, targets=np.sqrt(s) * batch.targets)
        errors.append(distance(gradients(rule, small, one), exact(small, one)))
    np.testing.assert_allclose(order(errors, scales), 1, atol=0.05)
    assert errors[-1] < 1e-2
    z = jax.jit(lambda network: network(batch.inputs))(network)
    close = dataclasses.replace(batch, targets=z + 1e-4 * (batch.targets - z))
    assert distance(gradients(rule, network, close), exact(network, close)) > 0.1


@pytest.mark.parametrize("kind", ["mlp", "lenet", "deep"])
def test_standard_inference_is_transient_relaxed_identity_with_a_weight_of_one(kind):
    """E is that of relaxed identity where β = 1 and L_h is half the sum of squares."""
    network, batch = given(kind)
    theirs = RelaxedIdentity(kind="transient", hidden_loss="sum", inner_steps=12, inner_rate=0.15)
    assert_close(gradients(PredictiveCoding(steps=12, rate=0.15), network, batch), gradients(theirs, network, batch), 1e-12)


@pytest.mark.parametrize("rule", [PredictiveCoding(), PredictiveCoding("zero-divergence"), EquilibriumPropagation()])
def test_every_example_settles_by_itself_whatever_the_size_of_the_batch(rule):
    network, batch = given("mlp")

    @jax.jit
    def one_by_one(network):
        alone = lambda x, t: dataclasses.replace(batch, inputs=x[None], targets=t[None])
        each = jax.vmap(lambda x, t: rule(network, None, alone(x, t)).gradients)(batch.inputs, batch.targets)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), each)

    assert_close(gradients(rule, network, batch), one_by_one(network), 1e-10)


def test_standard_inference_descends_its_energy_and_tells_where_it_rises():
    network, batch = given("deep")
    told = eqx.filter_jit(lambda rule: rule.metrics(network, None, batch, before=network, after=network))
    found = [told(PredictiveCoding(steps=steps)) for steps in (1, 10, 100)]
    energies = [float(one["energy/after"]) for one in found]
    assert float(found[0]["energy/before"]) > energies[0] > energies[1] > energies[2]
    assert float(found[2]["unrest"]) < 0.2 * float(found[0]["unrest"])
    same = RelaxedIdentity(kind="transient", hidden_loss="sum", inner_steps=100, inner_rate=0.1)
    np.testing.assert_allclose(energies[2], told(same)["relaxed_objective"], rtol=1e-10)
    parts = sum(float(value) for name, value in found[2].items() if name.startswith("prediction_error/"))
    assert 0 < parts < energies[2]
    curves = lambda one: {name: np.asarray([[value]]) for name, value in one.items()}
    rule = PredictiveCoding(steps=10, rate=3.0)
    assert rule.notes(curves(found[2])) == ()
    assert rule.notes(curves(told(rule)))[0].startswith("inference raised the energy after the last epoch in 1 of 1 runs")


def test_what_predictive_coding_refuses():
    for wrong, sentence in (
        ({"inference": "exact"}, "`inference` is standard, fixed-prediction or zero-divergence; got 'exact'"),
        ({"inference": "zero-divergence", "rate": 0.5}, "zero divergence takes one step of γ = 1"),
        ({"inference": "zero-divergence", "steps": 3}, "zero divergence takes one step of γ = 1"),
        ({"steps": 0}, "`steps` of PredictiveCoding is a positive integer; got 0"),
    ):
        with pytest.raises(UserError, match=sentence):
            PredictiveCoding(**wrong)
    with pytest.raises(UserError, match="predictive coding knows no normalization and no dropout: leave batchnorm1 out"):
        gradients(PredictiveCoding(), noisy_mlp(), examples((4,), "squared-error"))


# Equilibrium propagation: Φ and its steps once more, from their definition, and the gradient at the free equilibrium


def primitive(layers, scale, s, x):
    """Φ(s) = Σ_l κ^{l-L} s_l · z_l(s_{l-1}): the product of each layer with what is above it (Laborieux et al. 2021)."""
    total, below = 0.0, x
    for number, (before, _) in enumerate(layers):
        z = below
        for layer in before:
            z, _ = layer(z)
        total += scale ** (number + 1 - len(layers)) * jnp.sum(s[number] * z)
        below = s[number]
    return total


def fixed_point(layers, scale, s, x):
    """σ(κ^{L-l} ∂Φ/∂s_l) of every layer."""
    drives = jax.grad(lambda s: primitive(layers, scale, s, x))(s)
    powers = [scale ** (len(layers) - 1 - number) for number in range(len(layers))]
    return [
        drive * power if end is None else end(drive * power)[0]
        for drive, power, (_, end) in zip(drives, powers, layers, strict=True)
    ]


def parted(network):
    """For every layer with weights: what leads to its product and the pooling of it, and the activation after that, which is
    written before the pooling."""
    found, current = [], []
    for layer in network.layers:
        if isinstance(layer, Activation):
            found.append((tuple(current), layer))
            current = []
        elif isinstance(layer, MaxPool2d):
            before, end = found.pop()
            found.append(((*before, layer), end))
        else:
            current.append(layer)
    return [*found, (tuple(current), None)]


def resting(network, batch, scale, steps=600):
    """The free equilibrium, from the forward pass: one flat vector of states, the states themselves, and one step of them."""
    start, below = [], batch.inputs
    for before, end in parted(network):
        for layer in before:
            below, _ = layer(below)
        below = below if end is None else end(below)[0]
        start.append(below)
    flat, unravel = ravel_pytree(start)
    once = lambda network, flat: ravel_pytree(fixed_point(parted(network), scale, unravel(flat), batch.inputs))[0]
    flat = jax.lax.fori_loop(0, steps, lambda _, flat: once(network, flat), flat)
    return flat, unravel(flat), once


@eqx.filter_jit
def implicit(network, batch, scale):
    """∂C/∂θ at the free equilibrium, by the implicit function theorem, ∂C/∂s (1 - ∂F/∂s)⁻¹ ∂F/∂θ, and how far the states there
    are from rest."""
    flat, states, once = resting(network, batch, scale)
    loss = lambda z: jnp.mean(batch.loss.values(z, batch.targets))
    cost = ravel_pytree([*map(jnp.zeros_like, states[:-1]), jax.grad(loss)(states[-1])])[0]
    jacobian = jax.jacobian(lambda flat: once(network, flat))(flat)
    adjoint = jnp.linalg.solve(jnp.eye(flat.size) - jacobian.T, cost)
    rest = jnp.max(jnp.abs(once(network, flat) - flat))
    return jax.vjp(lambda network: once(network, flat), network)[1](adjoint)[0], rest


def weaker(network, factor):
    """The network with smaller weights, whose states settle."""
    return jax.tree.map(lambda leaf: factor * leaf, network)


CASES = [("mlp", 1.0, 0.6), ("mlp", 0.4, 1.0), ("deep", 0.7, 0.6), ("lenet", 0.4, 0.4)]


@pytest.mark.parametrize(("kind", "scale", "factor"), CASES)
def test_the_error_to_the_gradient_at_the_free_equilibrium_falls_with_the_nudge_and_centered_with_its_square(
    kind, scale, factor
):
    network, batch = given(kind)
    network, strengths = weaker(network, factor), (0.02, 0.01, 0.005)
    theirs, rest = implicit(network, batch, scale)
    assert float(rest) < 1e-13
    assert_active(theirs)
    assert distance(theirs, exact(network, batch)) > 0.1
    for nudging, slope in (("one-sided", 1), ("centered", 2)):
        rule = EquilibriumPropagation(nudging, 600, 600, feedback_scale=scale)
        errors = [distance(gradients(dataclasses.replace(rule, strength=b), network, batch), theirs) for b in strengths]
        np.testing.assert_allclose(order(errors, strengths), slope, atol=0.1)
        assert errors[-1] < (0.1 if slope == 1 else 0.02)


@pytest.mark.parametrize(("kind", "scales"), [("mlp", (1e-2, 1e-3, 1e-4)), ("lenet", (3e-2, 1e-2, 5e-3))])
def test_weak_feedback_is_backpropagation_to_first_order(kind, scales):
    """Xie & Seung (2003), of linear outputs."""
    network, batch = given(kind)
    theirs = exact(network, batch)
    rule = EquilibriumPropagation(free_steps=12, nudged_steps=12, strength=1e-3 if kind == "mlp" else 0.05)
    errors = [distance(gradients(dataclasses.replace(rule, feedback_scale=k), network, batch), theirs) for k in scales]
    np.testing.assert_allclose(order(errors, scales), 1, atol=0.1)


def test_one_step_of_nudging_from_rest_is_the_delta_rule_in_the_last_layer_alone():
    network, batch = given("mlp")
    network = weaker(network, 0.6)
    *_, below, z = jax.jit(lambda network: resting(network, batch, 1.0)[1])(network)
    delta = batch.loss.mean_and_error(z, batch.targets)[1]
    for nudging in ("centered", "one-sided"):
        rule = EquilibriumPropagation(nudging, free_steps=600, nudged_steps=1, feedback_scale=1.0)
        found = gradients(rule, network, batch)
        *lower, last = network.synaptic
        assert_close([found[last].weight, found[last].bias], [delta.T @ below, delta.sum(axis=0)], 1e-12)
        assert all(np.max(np.abs(leaf)) < 1e-13 for name in lower for leaf in jax.tree.leaves(found[name]))


def test_linear_outputs_alone_have_the_gradient_over_one_minus_the_square_of_the_nudge():
    """(z ± β t)/(1 ± β) are the nudged equilibria of s = z - β (s - t)."""
    network, batch = small_mlp(hidden=()), examples((4,), "squared-error")
    for nudging, factor in (("centered", 1 / (1 - 0.3**2)), ("one-sided", 1 / 1.3)):
        found = gradients(EquilibriumPropagation(nudging, 1, 200, strength=0.3), network, batch)
        assert_close(found, jax.tree.map(lambda leaf, by=factor: by * leaf, exact(network, batch)), 1e-12)


@pytest.mark.parametrize("rule", [PredictiveCoding(), PredictiveCoding("zero-divergence"), EquilibriumPropagation()])
def test_a_stack_of_equal_layers_changes_nothing(rule):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "FEWEST", 10**9)
        apart = deep_mlp()
    stacked, batch = Network(apart.layers), examples((4,), "squared-error")
    assert len(stacked.parts) < len(apart.parts)
    ours, theirs = gradients(rule, stacked, batch), gradients(rule, apart, batch)
    for name in apart.synaptic:
        assert_close(ours[name], theirs[name], 1e-9)


def test_the_free_phase_comes_to_rest_and_its_loss_is_told():
    network, batch = given("mlp")
    network = weaker(network, 0.6)
    told = eqx.filter_jit(lambda rule: rule.metrics(network, None, batch, before=network, after=network))
    early, late = (told(EquilibriumPropagation(free_steps=steps, nudged_steps=60)) for steps in (1, 60))
    assert float(late["unrest/free"]) < 1e-12 < float(early["unrest/free"])
    assert float(late["unrest/nudged"]) < 1e-9
    assert abs(float(late["equilibrium_loss"]) - float(late["forward_loss"])) > 1e-3
    rule, both = EquilibriumPropagation(), {name: np.asarray([[late[name]], [early[name]]]) for name in late}
    assert rule.notes({name: curve[:1] for name, curve in both.items()}) == rule.notes({}) == ()
    most = max(float(early[name]) for name in ("unrest/free", "unrest/nudged"))
    beginning = "states were not at rest after the last epoch in 1 of 2 runs: one more step moves them by up to "
    assert rule.notes(both)[0].startswith(f"{beginning}{most:.2g} of their norm")
    grown = {**both, "unrest/nudged": np.asarray([[np.nan], [0.0]])}
    assert rule.notes(grown)[0].startswith("states were not at rest after the last epoch in 2 of 2 runs")
    weak = told(EquilibriumPropagation(feedback_scale=1e-9))
    np.testing.assert_allclose(weak["equilibrium_loss"], weak["forward_loss"], rtol=1e-7)


@pytest.mark.parametrize(("kind", "scale", "factor"), [("mlp", 1.0, 0.6), ("lenet", 0.4, 0.4)])
def test_the_predictor_answers_by_the_free_equilibrium(kind, scale, factor):
    network, batch = given(kind)
    network = output_layer(weaker(network, factor), "softmax")

    @jax.jit
    def answers(network):
        found = [
            EquilibriumPropagation(free_steps=steps, feedback_scale=scale).predictor(network, None)(batch.inputs)
            for steps in (600, 0)
        ]
        without = Network(network.layers[:-1])
        return *found, jax.nn.softmax(resting(without, batch, scale)[1][-1]), network(batch.inputs)

    settled, begun, rest, forward = answers(network)
    np.testing.assert_allclose(settled, rest, rtol=0, atol=1e-13)
    np.testing.assert_allclose(begun, forward, rtol=0, atol=1e-15)
    assert np.max(np.abs(settled - forward)) > 1e-3


def test_what_equilibrium_propagation_refuses():
    for wrong, sentence in (
        ({"nudging": "both"}, "`nudging` is centered or one-sided; got 'both'"),
        ({"nudged_steps": 0}, "`nudged_steps` of EquilibriumPropagation is a positive integer; got 0"),
        ({"free_steps": -1}, "`free_steps` of EquilibriumPropagation is an integer that is not negative; got -1"),
    ):
        with pytest.raises(UserError, match=sentence):
            EquilibriumPropagation(**wrong)
    with pytest.raises(UserError, match="an equilibrium has linear outputs: let its layers end in one with weights"):
        networks.Equilibrium([Linear(4, 5), Activation("tanh")])
    batch = examples((4,), "squared-error")
    softmax = Network([Linear(4, 5), Activation("softmax"), Linear(5, 3)])
    falling = Network([Conv2d(1, 2, 3), Activation("gelu"), MaxPool2d(2), Flatten(), Linear(18, 3)])
    normalized = Network([Linear(4, 5), LayerNorm(5), Activation("tanh"), Linear(5, 3)])
    for network, sentence in (
        (residual(), "sends states down through the same weights as up, one matrix or kernel a layer: residual1 has others"),
        (normalized, "layernorm1 has others"),
        (falling, "pools before the activation, which is the same where that nowhere falls; gelu does: put maxpool1"),
        (softmax, "in an equilibrium every unit settles by itself; softmax1 couples them"),
        (noisy_mlp(), "equilibrium propagation knows no normalization and no dropout: leave batchnorm1 out"),
    ):
        with pytest.raises(UserError, match=sentence):
            gradients(EquilibriumPropagation(), network, batch)
