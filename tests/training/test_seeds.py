"""For one seed every rule meets the same initial weights and the same batches, whatever runs beside it."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.rules import AbstractRule, Backpropagation, FeedbackAlignment, Trainables
from ascribe.training import Specification, check_seeds, devices, loop
from ascribe.training.batches import epoch_indices, steps_per_epoch
from ascribe.training.seeds import LARGEST, streams

from . import tiny

SEEDS = (0, 1, 2, 3)


def recorded(rule, seeds, rate, precision=True):
    with jax.enable_x64(precision):
        experiment = tiny.experiment(tiny.mlp(), tiny.data(), tiny.Recorder(rule), len(seeds))
        trained = experiment.train([Specification(seed, rate) for seed in seeds], "training")
        return tiny.final_states(trained), trained


@pytest.fixture(scope="module")
def together():
    return recorded(Backpropagation(), SEEDS, 0.5)


@pytest.fixture(scope="module")
def another_rule():
    return recorded(FeedbackAlignment(), SEEDS, 0.01)


@pytest.fixture(scope="module")
def alone():
    return recorded(Backpropagation(), (3,), 0.5)


def first_weights(states):
    return jax.tree.leaves(states.rule_state["first"])


def test_two_rules_at_two_rates_start_from_the_same_weights(together, another_rule):
    for ours, theirs in zip(first_weights(together[0]), first_weights(another_rule[0]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_rules_at_two_rates_meet_the_same_batches(together, another_rule):
    np.testing.assert_array_equal(together[0].rule_state["seen"], another_rule[0].rule_state["seen"])
    assert np.any(together[1].curves["train_loss"] != another_rule[1].curves["train_loss"])


def test_a_seed_alone_meets_what_it_meets_among_others(together, alone):
    np.testing.assert_array_equal(together[0].rule_state["seen"][3], alone[0].rule_state["seen"][0])
    for ours, theirs in zip(first_weights(together[0]), first_weights(alone[0]), strict=True):
        np.testing.assert_array_equal(ours[3], theirs[0])


def test_seeds_differ_in_weights_and_batches(together):
    weights, seen = first_weights(together[0])[0], together[0].rule_state["seen"]
    for i in range(len(SEEDS)):
        for j in range(i):
            assert np.any(weights[i] != weights[j])
            assert np.any(seen[i] != seen[j])


def test_the_weights_are_those_of_the_seed_s_network_stream(together):
    for i, seed in enumerate(SEEDS):
        wanted = tiny.mlp().initialize(streams(jnp.asarray(seed, jnp.uint32)).network)
        for ours, theirs in zip(first_weights(together[0]), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-14)


def test_weights_rule_and_batches_have_streams_of_their_own():
    keys = [jr.key_data(key) for seed in SEEDS for key in streams(jnp.asarray(seed, jnp.uint32))]
    assert len(np.unique(keys, axis=0)) == 3 * len(SEEDS)


def test_no_two_steps_have_the_same_randomness(together):
    """Of all epochs and seeds; and none of them that with which the rule began."""
    state = together[0].rule_state
    keys = np.concatenate([state["keys"].reshape(-1, 2), state["began"]])
    assert len(np.unique(keys, axis=0)) == len(SEEDS) * (tiny.EPOCHS * tiny.STEPS + 1)


class Draws(AbstractRule):
    """What it trains beside the network, and its state, are drawn from the keys that it is given for them."""

    def trainables(self, network, data, *, key):
        return Trainables(network, feedback=jr.uniform(key, (2,)))

    def init(self, network, data, *, key):
        return jr.uniform(key, (2,))

    def __call__(self, trainables, state, batch, *, key):
        raise NotImplementedError


def test_what_a_rule_trains_and_its_state_are_drawn_apart():
    settings, run, data = tiny.looped(tiny.mlp(), tiny.data(), Draws())
    state = jax.jit(lambda: loop.initialize(settings, tiny.mlp(), run, data))()
    assert np.all(state.trainables.feedback != state.rule_state)


def test_the_batches_are_those_of_the_seed_s_batch_stream(together):
    for i, seed in enumerate(SEEDS):
        key = streams(jnp.asarray(seed, jnp.uint32)).batches
        wanted = [epoch_indices(jr.fold_in(key, epoch), tiny.TRAIN, tiny.BATCH) for epoch in range(tiny.EPOCHS)]
        np.testing.assert_array_equal(together[0].rule_state["seen"][i], np.concatenate(wanted))


def test_a_seed_alone_trains_as_it_does_among_others(together, alone):
    for name, curve in together[1].curves.items():
        np.testing.assert_allclose(curve[3:], alone[1].curves[name], rtol=1e-10, err_msg=name)
    for ours, theirs in zip(jax.tree.leaves(together[0].trainables), jax.tree.leaves(alone[0].trainables), strict=True):
        np.testing.assert_allclose(ours[3:], theirs, rtol=1e-10)


def test_many_seeds_go_in_groups_and_each_trains_as_it_does_alone():
    """Eight at a time on a device, or the largest number below that divides them."""
    counts = {1: 1, 8: 8, 10: 5, 12: 6, 14: 7, 16: 8, 22: 22, 26: 26, 32: 8, 40: 8}
    assert {count: devices.at_once(count) for count in counts} == counts
    many = tiny.trained(seeds=32)
    for seed in (0, 9, 31):
        two = tiny.trained(seeds=[seed, 100])
        np.testing.assert_allclose(many.train_loss[seed], two.train_loss[0], rtol=1e-12)


def test_a_seed_alone_trains_as_it_does_among_others_in_single_precision():
    _, among = recorded(Backpropagation(), SEEDS, 0.5, precision=False)
    _, single = recorded(Backpropagation(), (3,), 0.5, precision=False)
    assert single.curves["train_loss"].dtype == np.float32
    np.testing.assert_allclose(among.curves["train_loss"][3:], single.curves["train_loss"], rtol=1e-6)


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps", "size"),
    [(26, 8, 3, 8), (24, 8, 3, 8), (26, 26, 1, 26), (26, 100, 1, 26), (26, 25, 1, 25), (3, 1, 3, 1), (1, 1, 1, 1)],
)
def test_an_epoch_is_distinct_examples_in_full_batches(examples, batch_size, steps, size):
    found = np.asarray(epoch_indices(jr.key(0), examples, batch_size))
    assert found.shape == (steps, size)
    assert steps_per_epoch(examples, batch_size) == steps
    assert len(np.unique(found)) == found.size
    assert found.min() >= 0
    assert found.max() < examples


def test_the_remainder_that_sits_out_changes_from_epoch_to_epoch():
    left = set()
    for epoch in range(20):
        seen = np.asarray(epoch_indices(jr.fold_in(jr.key(0), epoch), tiny.TRAIN, tiny.BATCH))
        left |= set(range(tiny.TRAIN)) - set(seen.ravel().tolist())
    assert len(left) > tiny.TRAIN // 2


@pytest.mark.parametrize("batch_size", [26, 27])
def test_a_full_batch_keeps_the_order_of_the_data(batch_size):
    np.testing.assert_array_equal(epoch_indices(jr.key(1), 26, batch_size)[0], np.arange(26))


@pytest.mark.parametrize(
    ("seeds", "wanted"),
    [(3, (0, 1, 2)), ([7, 5], (7, 5)), ((0,), (0,)), (range(2, 4), (2, 3)), ([LARGEST], (LARGEST,))],
)
def test_a_number_of_seeds_counts_from_zero_and_a_list_is_kept(seeds, wanted):
    assert check_seeds(seeds) == wanted


@pytest.mark.parametrize("seeds", [0, -1, [], True, 2.0, "3", None, [1, 1], [-1], [2**31], [1.0], [True, 2]])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(UserError, match="seed"):
        check_seeds(seeds)
