"""One layer is trained, and of all others not a bit moves, whatever the rule and the optimizer do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ascribe import losses, networks
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, Batch, Credit, KolenPollack, Trainables
from ascribe.training import loop
from ascribe.training.freezing import one_layer, only_layer
from ascribe.training.seeds import streams

from . import tiny

SEEDS = (0, 3)


def trained(rule, only, network=None, **options):
    """By AdamW, which lets weights decay that have no gradient."""
    network = network or networks.mlp([2, 4, 4, 1], activation="tanh")
    return network, tiny.trained(rule, network=network, only=only, **({"optimizer": "adamw", "seeds": SEEDS} | options))


def starts(network):
    return [network.initialize(streams(jnp.asarray(seed, jnp.uint32)).network) for seed in SEEDS]


class Decays(AbstractRule):
    """Shrinks every weight itself, after the step, and once more in the end."""

    def __call__(self, network, state, batch, *, key):
        credit = Backpropagation()(network, None, batch, key=key)
        return Credit(credit.loss, credit.gradients, state, credit.network_state)

    def after_update(self, trainables, state):
        return jax.tree.map(lambda leaf: 0.9 * leaf, trainables), state

    def after_epoch(self, trainables, state, data, *, epoch):
        return jax.tree.map(lambda leaf: leaf + 1, trainables), state

    def finish(self, trainables, state, data):
        return jax.tree.map(lambda leaf: 2 * leaf, trainables)


@pytest.mark.parametrize(
    ("rule", "only"),
    [
        (Backpropagation(), "linear1"),
        (Backpropagation(), "linear2"),
        (KolenPollack(), "linear2"),
        (Decays(), "linear3"),
    ],
)
def test_frozen_layers_are_bit_identical_and_the_free_one_moves(rule, only):
    network, runs = trained(rule, only)
    assert f"only {only} was trained" in runs.notes
    for i, start in enumerate(starts(network)):
        for name in network.synaptic:
            ours = jax.tree.map(lambda leaf, i=i: leaf[i], runs.networks)[name]
            for now, then in zip(jax.tree.leaves(ours), jax.tree.leaves(start[name]), strict=True):
                assert np.array_equal(now, then) == (name != only), name


def test_one_layer_of_a_stack_is_trained():
    network = networks.mlp([2, *[3] * 11, 1], activation="tanh")
    assert len(network.parts) < len(network.names)  # its hidden blocks are one part
    _, runs = trained(Backpropagation(), "linear5", network)
    for i, start in enumerate(starts(network)):
        now = jax.tree.map(lambda leaf, i=i: leaf[i], runs.networks)
        moved = [name for name in network.synaptic if not np.array_equal(now[name].weight, start[name].weight)]
        assert moved == ["linear5"]


def test_normalization_statistics_move_and_their_parameters_do_not():
    network = networks.Network([networks.Linear(2, 2), networks.BatchNorm(2), networks.Linear(2, 1)])
    runs = tiny.trained(network=network, only="linear1")
    norm = runs.networks["batchnorm1"]
    assert np.array_equal(norm.scale, np.ones((2, 2))) and np.array_equal(norm.shift, np.zeros((2, 2)))
    assert not np.any(runs.states[1][0] == 0)


def test_a_frozen_run_is_the_loop_by_hand():
    """Full batches of plain gradient steps on one layer; clipping by the norm sees that layer's gradient alone."""
    clipped = lambda rate: optax.chain(optax.clip_by_global_norm(0.05), optax.sgd(rate))
    network, runs = trained(Backpropagation(), "linear2", optimizer=clipped, batch_size=tiny.TRAIN)
    data = tiny.data("binary")
    targets, inputs = jnp.asarray(data.train.targets), jnp.asarray(data.train.inputs, float)
    batch = Batch(inputs, targets, losses.default_for("binary", 1), jnp.arange(tiny.TRAIN))

    @jax.jit
    def stepped(one):
        gradient = Backpropagation()(one, None, batch, key=jax.random.key(0)).gradients["linear2"]
        scale = -0.1 * jnp.minimum(1.0, 0.05 / optax.tree.norm(gradient))
        layer = jax.tree.map(lambda w, g: w + scale * g, one["linear2"], gradient)
        return one.with_layers([layer if name == "linear2" else one[name] for name in one.names])

    for i, start in enumerate(starts(network)):
        one = start
        for _ in range(tiny.EPOCHS):
            one = stepped(one)
        np.testing.assert_allclose(runs.networks["linear2"].weight[i], one["linear2"].weight, rtol=1e-10)
        np.testing.assert_allclose(runs.networks["linear2"].bias[i], one["linear2"].bias, rtol=1e-10, atol=1e-15)


class Looks(AbstractRule):
    """Its state is what it was shown after the optimizer's step."""

    def init(self, network, data, *, key):
        return network

    def __call__(self, network, state, batch, *, key):
        return Backpropagation()(network, state, batch, key=key)

    def after_update(self, trainables, state):
        return trainables, trainables


def test_after_a_step_a_rule_sees_frozen_layers_as_they_stay():
    """Not shrunk by the optimizer's decay: what it makes of them goes into the free layer."""
    start = tiny.mlp().initialize(jax.random.key(0))
    settings, run, data = tiny.looped(start, tiny.data(), Looks(), optimizer="adamw", only="linear2")

    @jax.jit
    def shown():
        state = loop.initialize(settings, start, run, data)
        return loop.step(settings, run, state, data, jnp.arange(tiny.BATCH), jax.random.key(1))[0].rule_state

    seen = shown()
    assert np.array_equal(seen["linear1"].weight, start["linear1"].weight)
    assert not np.array_equal(seen["linear2"].weight, start["linear2"].weight)


def test_a_network_of_one_layer_is_trained_as_ever():
    network = networks.mlp([2, 1])
    _, all_of_it = trained(Backpropagation(), None, network)
    _, frozen = trained(Backpropagation(), "linear1", network)
    np.testing.assert_array_equal(all_of_it.train_loss, frozen.train_loss)


def test_what_is_trained_beside_the_network_is_not_frozen():
    network = networks.mlp([2, 3, 1])
    old = Trainables(network, feedback={"linear2": jnp.zeros((1, 3))})
    new = jax.tree.map(lambda leaf: leaf + 1.0, old)
    mixed = only_layer("linear1", new, old)
    assert np.array_equal(mixed.feedback["linear2"], new.feedback["linear2"])
    assert np.array_equal(mixed.network["linear1"].weight, new.network["linear1"].weight)
    assert np.array_equal(mixed.network["linear2"].weight, old.network["linear2"].weight)
    assert only_layer(None, new, old) is new
    assert np.array_equal(one_layer("linear2", new.network, old.network)["linear2"].bias, [1.0])


@pytest.mark.parametrize("only", ["tanh1", "linear9", ""])
def test_another_layer_is_refused_in_a_sentence_that_lists_them(only):
    with pytest.raises(UserError, match=r"`only` names one layer with weights .*linear1, linear2, linear3.*got"):
        trained(Backpropagation(), only)
