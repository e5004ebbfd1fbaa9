"""Limits of the rules with direct and learned feedback, in float64."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import datasets, losses, networks, rules
from ascribe.errors import UserError
from ascribe.rules import (
    Batch,
    DirectFeedbackAlignment,
    DirectKolenPollack,
    DirectRandomTargetProjection,
    IndirectFeedbackAlignment,
    KolenPollack,
    Trainables,
    WeightMirror,
)
from ascribe.rules.weight_mirror import layer_at, mirrored

from ..cases import assert_active, assert_close, assert_identical, credit_of, examples, small_lenet, small_mlp


def swept(rule, network, batch):
    """The rule's gradients of the hidden layers, with the state of one key."""
    gradients = credit_of(rule, network, rule.init(network, batch, key=jr.key(3)), batch).gradients
    return [gradients[name] for name in gradients.synaptic[:-1]]


def with_error(network, inputs, error):
    """A batch on which the output error of every example is what is wanted: y - t of the squared error, with t = y - error."""
    return Batch(inputs, network(inputs) - error, losses.SQUARED_ERROR)


# Direct random target projection


@pytest.mark.parametrize(("network", "shape"), [(small_mlp, (4,)), (small_lenet, (12, 12, 1))])
def test_target_projection_is_direct_feedback_of_an_error_that_is_the_target(network, shape):
    network, batch = network(), examples(shape, "categorical-cross-entropy")
    theirs = with_error(network, batch.inputs, jax.nn.one_hot(batch.targets, 3, dtype=float))
    ours = swept(DirectRandomTargetProjection(), network, batch)
    assert_active(ours)
    assert_close(ours, swept(DirectFeedbackAlignment(), network, theirs), 1e-11)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_its_own_limit_is_met_to_the_bit(loss):
    case = DirectRandomTargetProjection().limiting_case(small_mlp(), examples((4,), loss), key=jr.key(0))
    assert_active(case.ours)
    assert_identical(case.ours, case.theirs)


def test_for_one_output_the_label_is_the_target_and_an_example_of_label_0_tells_hidden_layers_nothing():
    network, batch = small_mlp(outputs=1), examples((4,), "bernoulli-cross-entropy", 1)
    zeros, ones = (dataclasses.replace(batch, targets=jnp.full(5, label)) for label in (0, 1))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(swept(DirectRandomTargetProjection(), network, zeros)))
    assert_active(swept(DirectRandomTargetProjection(), network, ones))


# Functions of the error, and functions in place of σ'


def test_the_sign_of_an_error_that_is_a_sign_changes_nothing():
    network, inputs = small_mlp(), examples((4,), "squared-error").inputs
    batch = with_error(network, inputs, jnp.sign(jr.normal(jr.key(4), (5, 3))))
    ours = swept(DirectFeedbackAlignment(error="sign"), network, batch)
    assert_close(ours, swept(DirectFeedbackAlignment(), network, batch), 1e-11)


def test_the_function_is_one_of_each_example_s_error_however_many_there_are():
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")
    for error in ("sign", "ternary", lambda e: e**3):
        rule = DirectFeedbackAlignment(error=error)
        singles = [
            dataclasses.replace(batch, inputs=batch.inputs[i : i + 1], targets=batch.targets[i : i + 1]) for i in range(5)
        ]
        mean = jax.tree.map(lambda *leaves: sum(leaves) / 5, *(swept(rule, network, one) for one in singles))
        assert_close(swept(rule, network, batch), mean, 1e-12)


def test_a_ternary_error_lies_between_its_sign_and_nothing():
    network, inputs = small_mlp(), examples((4,), "squared-error").inputs
    error = jr.normal(jr.key(4), (5, 3))
    batch, large = with_error(network, inputs, error), jnp.where(jnp.abs(error) > 0.5, jnp.sign(error), 0)
    of = lambda threshold: swept(DirectFeedbackAlignment(error="ternary", threshold=threshold), network, batch)
    assert_close(of(0), swept(DirectFeedbackAlignment(error="sign"), network, batch), 1e-12)
    assert_close(of(0.5), swept(DirectFeedbackAlignment(), network, with_error(network, inputs, large)), 1e-11)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(of(100)))


def test_of_a_linear_function_the_hidden_gradients_are_that_many_times_larger():
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")
    ours = swept(DirectFeedbackAlignment(error=lambda e: 3 * e), network, batch)
    theirs = jax.tree.map(lambda leaf: 3 * leaf, swept(DirectFeedbackAlignment(), network, batch))
    assert_close(ours, theirs, 1e-12)


@pytest.mark.parametrize("hidden", [(5, 4), (4,) * 10])
def test_a_derivative_that_is_the_exact_one_changes_nothing_and_another_one_is_applied_in_every_layer(hidden):
    network, batch = small_mlp("tanh", hidden=hidden), examples((4,), "categorical-cross-entropy")
    exact = swept(DirectFeedbackAlignment(), network, batch)
    assert_close(swept(DirectFeedbackAlignment(derivative="tanh"), network, batch), exact, 1e-12)
    ours = swept(DirectFeedbackAlignment(derivative=jnp.cos), network, batch)
    reference = rules.BFunction(jnp.cos).terms(network, {}).derivative
    state = DirectFeedbackAlignment().init(network, batch, key=jr.key(3))
    theirs = rules.backward_sweep(network, None, batch, rules.Terms(direct=state, derivative=reference)).gradients
    assert_close(ours, [theirs[name] for name in network.synaptic[:-1]], 1e-12)


def test_what_is_no_function_of_the_error_is_refused():
    network, batch = small_mlp(), examples((4,), "squared-error")
    with pytest.raises(UserError, match="unknown function of the error 'signs': did you mean 'sign'"):
        DirectFeedbackAlignment(error="signs")
    with pytest.raises(UserError, match=r"keeps its shape, \(5, 3\); it returned \(5,\)"):
        jax.eval_shape(lambda: swept(DirectFeedbackAlignment(error=lambda e: e[:, 0]), network, batch))
    assert rules.get("dfa:error=ternary,threshold=0.25") == DirectFeedbackAlignment(error="ternary", threshold=0.25)


# Weight mirror


def test_orthonormal_noise_shows_exactly_the_weights():
    layer = small_mlp(hidden=(6, 4))["linear2"]
    noise = jnp.linalg.qr(jr.normal(jr.key(1), (6, 6)))[0]
    np.testing.assert_allclose(6 * mirrored(layer, noise), layer.weight, rtol=0, atol=1e-14)


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"padding": 1, "stride": 2}], ids=str)
def test_of_a_convolution_too_at_every_edge(options):
    """Of every pixel and channel one image that has it alone: their mean of y xᵀ over the places where a weight meets one."""
    layer = networks.Conv2d(2, 3, 3, key=jr.key(0), **options)
    noise = jnp.eye(5 * 4 * 2).reshape(-1, 5, 4, 2)
    np.testing.assert_allclose(40 * mirrored(layer, noise), layer.weight, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("network", "shape"), [(small_mlp, (4,)), (small_lenet, (12, 12, 1))])
def test_feedback_goes_to_rate_over_decay_times_the_weights(network, shape):
    network, batch = network(), examples(shape, "categorical-cross-entropy")
    rule = WeightMirror(rate=2e-2, decay=1e-2, warm_up=1500)
    feedback = jax.jit(lambda network: rule.init(network, batch, key=jr.key(0)).feedback)(network)
    assert list(feedback) == list(network.synaptic[1:])
    for name, b in feedback.items():
        w = 2 * network[name].weight
        assert float(jnp.linalg.norm(b - w) / jnp.linalg.norm(w)) < 0.1  # the spread of some 200 batches of 64


def test_a_phase_comes_after_so_many_steps_or_after_an_epoch():
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")

    def changes(period):
        rule = WeightMirror(period=period, warm_up=0)
        state, found = rule.init(network, batch, key=jr.key(0)), []
        for i in range(4):
            after = credit_of(rule, network, state, batch, jr.key(i)).state
            found.append(bool(np.any(after.feedback["linear2"] != state.feedback["linear2"])))
            state = after
        _, after = rule.after_epoch(network, state, batch, epoch=jnp.asarray(0))
        return [*found, bool(np.any(after.feedback["linear2"] != state.feedback["linear2"]))], rule.acts_between_epochs

    assert changes(1) == ([True] * 4 + [False], False)
    assert changes(2) == ([False, True, False, True, False], False)
    assert changes(0) == ([False] * 4 + [True], True)


def test_with_the_weights_for_feedback_a_weight_mirror_is_backpropagation():
    for network, shape in ((small_mlp(), (4,)), (small_lenet(), (12, 12, 1))):
        case = WeightMirror(warm_up=0).limiting_case(network, examples(shape, "categorical-cross-entropy"), key=jr.key(0))
        assert_active(case.ours)
        assert_close(case.ours, case.theirs, 1e-12)


def test_layers_inside_blocks_have_a_pass_of_their_own_and_other_sites_none():
    inside = networks.Network(
        [networks.Linear(4, 5), networks.Residual([networks.Linear(5, 5), networks.Activation("tanh")]), networks.Linear(5, 3)]
    ).located((4,))
    assert layer_at(inside, "residual1/branch/linear1").weight.shape == (5, 5)
    batch = examples((4,), "categorical-cross-entropy")
    state = jax.eval_shape(lambda: WeightMirror(warm_up=1).init(inside, batch, key=jr.key(0)))
    assert set(state.feedback) == {"residual1/branch/linear1", "linear2"}
    recurrent = networks.gru((5, 2), 3, units=4, key=jr.key(0)).located((5, 2))
    state = jax.eval_shape(lambda: WeightMirror(warm_up=1).init(recurrent, examples((5, 2), "squared-error"), key=jr.key(0)))
    assert {name: b.shape for name, b in state.feedback.items()} == {
        name: recurrent[name].weight.shape for name in recurrent.transported
    }
    own = networks.from_function(lambda p, x: jnp.tanh(x @ p["a"]) @ p["b"], {"a": jnp.ones((4, 5)), "b": jnp.ones((5, 3))})
    with pytest.raises(UserError, match="the site b has no forward pass of its own that a weight mirror"):
        layer_at(networks.Network([own]).located((4,)), "b")
    with pytest.raises(UserError, match="`period` of WeightMirror"):
        WeightMirror(period=-1)


# Direct Kolen-Pollack


def descended(rule, network, feedback, batch, steps):
    """W and B after some steps of SGD with the rule's own decay."""

    @jax.jit
    def run(network):
        both = Trainables(network, feedback=feedback)
        for _ in range(steps):
            credit = rule(both, None, batch)
            both = jax.tree.map(lambda number, slope: number - 0.1 * slope, both, credit.gradients)
            both, _ = rule.after_update(both, None)
        return both

    return run(network)


def test_with_one_hidden_layer_it_is_kolen_pollack_and_feedback_and_weights_meet_as_fast():
    network, batch = small_mlp(hidden=(5,)), examples((4,), "categorical-cross-entropy")
    feedback = {"linear2": jr.normal(jr.key(5), (3, 5))}
    ours, theirs = (descended(rule(decay=0.05), network, feedback, batch, 4) for rule in (DirectKolenPollack, KolenPollack))
    assert_close(ours, theirs, 1e-12)
    apart = lambda both: np.asarray(both.network["linear2"].weight - both.feedback["linear2"])
    start = np.asarray(network["linear2"].weight - feedback["linear2"])
    np.testing.assert_allclose(apart(ours), 0.95**4 * start, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("network", "shape"), [(small_mlp, (4,)), (small_lenet, (12, 12, 1))])
def test_direct_feedback_has_the_gradient_of_a_linear_output_layer_on_what_it_comes_to(network, shape):
    """Σ δ^L · (C h) over the batch, differentiated by C, at every place; and the network's gradients are direct feedback's."""
    network, batch = network(), examples(shape, "categorical-cross-entropy")
    rule = DirectKolenPollack()
    both = rule.trainables(network, batch, key=jr.key(3))
    ours = credit_of(rule, both, None, batch).gradients
    theirs = credit_of(DirectFeedbackAlignment(), network, both.feedback, batch).gradients
    assert_close(ours.network, theirs, 1e-12)
    tape, _ = networks.record(network, batch.inputs)
    _, delta = batch.loss.mean_and_error(tape.output, batch.targets)
    for name, gradient in ours.feedback.items():
        h = tape.inputs[network.index(name)]
        score = lambda b, h=h: jnp.sum(delta * jnp.einsum("oi,ni->no", b.reshape(3, -1), h.reshape(len(h), -1)))
        np.testing.assert_allclose(gradient, jax.grad(score)(both.feedback[name]), rtol=0, atol=1e-13)


def test_feedback_to_signals_inside_a_layer_is_refused_and_to_whole_blocks_learned():
    residual = networks.Residual([networks.Linear(5, 5), networks.Activation("tanh")])
    inside = networks.Network([networks.Linear(4, 5), residual, networks.Linear(5, 3)]).located((4,))
    batch = examples((4,), "categorical-cross-entropy")
    data = datasets.load("gaussians", samples=20, seed=0)
    with pytest.raises(UserError, match="and residual1/branch/linear1 is inside one: use cuts='macro', or"):
        DirectKolenPollack().adapt(inside, data)
    rule = DirectKolenPollack(cuts="macro")
    assert rule.adapt(inside, data) is inside
    begin = lambda: rule.trainables(inside, batch, key=jr.key(0))
    credit, both = jax.eval_shape(lambda: (rule(begin(), None, batch), begin()))
    assert {name: b.shape for name, b in both.feedback.items()} == {"residual1": (3, 5), "linear2": (3, 5)}
    assert credit.gradients.feedback == both.feedback


# Indirect feedback alignment


def test_in_a_linear_network_of_orthogonal_weights_indirect_feedback_is_backpropagation_in_every_layer():
    """With B = (W³ W²)ᵀ: W² W²ᵀ W³ᵀ e = W³ᵀ e."""
    network = networks.Network([networks.Linear(4, 5), networks.Linear(5, 5), networks.Linear(5, 5), networks.Linear(5, 3)])
    rotations = [jnp.linalg.qr(jr.normal(jr.key(i), (5, 5)))[0] for i in range(2)]
    network = eqx.tree_at(lambda n: [n["linear2"].weight, n["linear3"].weight], network, rotations)
    batch = examples((4,), "squared-error")
    B = {"linear2": network["linear4"].weight @ rotations[1] @ rotations[0]}
    ours = credit_of(IndirectFeedbackAlignment(), network, B, batch).gradients
    assert_close(ours, credit_of(rules.Backpropagation(), network, None, batch).gradients, 1e-12)


@pytest.mark.parametrize(("network", "shape"), [(small_mlp, (4,)), (small_lenet, (12, 12, 1))])
def test_what_moves_the_first_layer_moves_the_others_as_the_network_itself_would(network, shape):
    """δ^l is the derivative of h^l along δ^1, by one pass through all layers between."""
    network, batch = network(), examples(shape, "categorical-cross-entropy")
    state = IndirectFeedbackAlignment().init(network, batch, key=jr.key(3))
    direct = rules.Terms(direct=state)
    lowest, *above, last = network.synaptic

    @jax.jit
    def written(network):
        tape, _ = networks.record(network, batch.inputs)
        top = batch.loss.mean_and_error(tape.output, batch.targets)[1]
        delta = rules.terms.layer_errors(network, tape, top, direct)[lowest]
        plain, start = rules.backward_sweep(network, None, batch, direct).gradients, network.index(lowest) + 2
        found = {lowest: plain[lowest], last: plain[last]}
        for name in above:
            at, h = network.index(name), tape.inputs[start]
            up = lambda h, at=at: functools.reduce(lambda h, one: one(h, training=True)[0], network.layers[start : at + 2], h)
            change = jax.jvp(up, (h,), (delta,))[1]
            own = lambda layer, at=at: layer(tape.inputs[at], training=True)[0]
            found[name] = jax.vjp(own, network[name])[1](change)[0]
        return found

    gradients = credit_of(IndirectFeedbackAlignment(), network, state, batch).gradients
    for name, expected in written(network).items():
        assert_close(gradients[name], expected, 1e-12)


def test_with_one_hidden_layer_indirect_feedback_is_direct_and_with_the_weights_backpropagation():
    network, batch = small_mlp(hidden=(5,)), examples((4,), "categorical-cross-entropy")
    assert_identical(swept(IndirectFeedbackAlignment(), network, batch), swept(DirectFeedbackAlignment(), network, batch))
    for hidden in ((5,), (5, 4)):
        case = IndirectFeedbackAlignment().limiting_case(small_mlp(hidden=hidden), batch, key=jr.key(0))
        assert_active(case.ours)
        assert_close(case.ours, case.theirs, 1e-12)


def test_where_an_error_has_no_way_forward_indirect_feedback_is_refused():
    data = datasets.load("gaussians", samples=20, seed=0)
    linear, tanh = networks.Linear(4, 4), networks.Activation("tanh")
    for layers, sentence in (
        ([linear, networks.Residual([linear, tanh]), linear], "residual1 is made of several"),
        ([linear, networks.BatchNorm(4), tanh, linear], "batchnorm1 has other parameters"),
        ([linear, networks.Dropout(0.5), tanh, linear], "tanh1 follows dropout1: change their places"),
    ):
        with pytest.raises(UserError, match=sentence):
            IndirectFeedbackAlignment().adapt(networks.Network(layers).located((4,)), data)
