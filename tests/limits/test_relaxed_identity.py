"""What relaxed identity is known to do: at the forward activations, over mini-batches, and where it is backpropagation; and
what a stack of equal blocks must not change."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.errors import UserError
from ascribe.metrics import angle, gradient_alignment, norm
from ascribe.networks import Activation, BatchNorm, Dropout, Linear, Network, Stack, record, stack
from ascribe.rules import Backpropagation, RelaxedIdentity, Terms, Trainables, backward_sweep
from ascribe.store.parameters import load_parameters, save_parameters
from ascribe.training import optimizers

from ..cases import IMAGE, assert_close, assert_identical, examples, shake, small_lenet, small_mlp, to_float32
from ..references.test_relaxed_identity import begun, by_place
from ..training import tiny

DEPTH = 11


def deep_mlp(outputs=3, activation="tanh"):
    return shake(networks.mlp([4, *[5] * DEPTH, outputs], activation=activation, key=jr.key(1)), jr.key(7), 0.2)


KINDS = {"mlp": small_mlp, "lenet": small_lenet, "deep": deep_mlp}


def given(kind, batch=6):
    loss = "categorical-cross-entropy"
    return KINDS[kind](), examples(IMAGE if kind == "lenet" else (4,), loss, batch=batch)


def begin(rule, network, batch, noise=None):
    """The trainables before the first step, with noise on the auxiliaries."""
    trainables = begun_by(rule, network, batch)
    if noise is None:
        return trainables
    return Trainables(network, shake(trainables.auxiliary, jr.key(9), noise), trainables.feedback)


@eqx.filter_jit
def begun_by(rule, network, batch):
    return rule.trainables(network, batch, key=jr.key(0))


@eqx.filter_jit
def gradients_of(rule, trainables, batch):
    return rule(trainables, None, batch, key=jr.key(0)).gradients


@jax.jit
def preactivations(network, inputs):
    return record(network, inputs)[0].preactivations(network)


@eqx.filter_jit
def metrics_of(rule, trainables, batch):
    return rule.metrics(trainables, None, batch, before=trainables, after=trainables)


def largest(tree):
    return max(float(np.max(np.abs(leaf))) for leaf in jax.tree.leaves(tree))


def less(ours, theirs):
    return jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), ours, theirs)


# Layers that learn apart


@pytest.mark.parametrize("relax_output", [False, True])
def test_no_layer_waits_for_another_as_published(relax_output):
    """A layer's credit follows from the auxiliaries at its two ends: whatever the other layers are, it is the same bits."""
    network, batch = given("deep")
    rule = RelaxedIdentity(relax_output=relax_output, consolidate="never")
    trainables = begin(rule, network, batch, noise=0.3)
    found = gradients_of(rule, trainables, batch)
    changed = shake(network, jr.key(3), 0.5)
    for name in (network.synaptic[0], network.synaptic[-1]):
        others = [changed[one] if one != name else network[one] for one in network.names]
        apart = Trainables(network.with_layers(others), trainables.auxiliary)
        assert_identical(gradients_of(rule, apart, batch).network[name], found.network[name])
    assert largest(found.network) > 1e-3


def test_with_the_output_s_loss_alone_only_the_last_layer_and_what_it_reads_learn():
    """β = 0, section 3: nothing holds the other layers to anything."""
    network, batch = given("mlp")
    rule = RelaxedIdentity(hidden_weight=0.0, consolidate="never")
    trainables = begin(rule, network, batch, noise=0.3)
    found = gradients_of(rule, trainables, batch)
    *lower, last = network.synaptic
    assert largest([found.network[name] for name in lower]) == 0.0 < largest(found.network[last])
    *hidden, top = by_place(network, found.auxiliary)
    assert largest(hidden) == 0.0 < np.abs(top).max()


# At the forward activations


@pytest.mark.parametrize(
    ("kind", "relax_output", "coordinates"),
    [
        ("mlp", False, "activation"),
        ("lenet", True, "activation"),
        ("lenet", False, "residual"),
        ("deep", False, "activation"),
        ("deep", True, "residual"),
    ],
)
def test_at_the_forward_activations_only_the_output_has_an_error(kind, relax_output, coordinates):
    network, batch = given(kind)
    rule = RelaxedIdentity(relax_output=relax_output, coordinates=coordinates)
    trainables = begin(rule, network, batch)
    found = metrics_of(rule, trainables, batch)
    places = network.synaptic if relax_output else network.synaptic[:-1]
    assert {name for name in found if name.startswith("residual/")} == {f"residual/{name}" for name in places}
    assert max(float(found[f"residual/{name}"]) for name in places) <= 1e-26
    np.testing.assert_allclose(found["relaxed_objective"], found["forward_loss"], rtol=1e-14)

    gradients = gradients_of(rule, trainables, batch)
    exact = gradients_of(Backpropagation(), network, batch)
    *lower, last = network.synaptic
    assert largest([gradients.network[name] for name in lower]) <= 1e-14
    *hidden, top = by_place(network, gradients.auxiliary)
    if relax_output:
        assert largest(gradients.network[last]) <= 1e-14
        np.testing.assert_allclose(top.sum(0) / len(batch.inputs), exact[last].bias, rtol=0, atol=1e-14)
    else:
        assert_close(gradients.network[last], exact[last], 1e-12)
        assert largest(exact) > 1e-3 and np.abs(top).max() > 1e-3
    assert largest(hidden) <= 1e-13


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_auxiliaries_begin_at_the_preactivations(kind):
    network, batch = given(kind)
    z = preactivations(network, batch.inputs)
    auxiliary = begin(RelaxedIdentity(relax_output=True), network, batch).auxiliary
    for name, one in zip(network.synaptic, by_place(network, auxiliary), strict=True):
        np.testing.assert_allclose(one, z[name], rtol=0, atol=1e-14)
    assert largest(begin(RelaxedIdentity(coordinates="residual"), network, batch).auxiliary) <= 1e-14


@pytest.mark.parametrize("count", [512, 513, 1100])
def test_more_examples_than_one_chunk_begin_at_the_same_activations(count):
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy", batch=count)
    auxiliary = begin(RelaxedIdentity(), network, batch).auxiliary
    z = preactivations(network, batch.inputs)
    for name in network.synaptic[:-1]:
        np.testing.assert_allclose(auxiliary[name][0], z[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("count", "size"), [(100, 100), (600, 600)])
def test_a_rounding_error_is_no_credit(count, size):
    """Adam and Rprop make a whole step of a gradient of any size: with the full batch only the outputs move at first. (In
    parts of it, products of another shape round otherwise, and Adam's first steps are of that.)"""
    network = networks.mlp([2, 42, 100, 42, 1], activation="relu", key=jr.key(0))
    network, batch = to_float32((network, examples((2,), "bernoulli-cross-entropy", 1, batch=count)))
    state, step = begun(RelaxedIdentity(relax_output=True), network, batch, "adam", rate=0.01, size=size)
    after = step(state, jnp.arange(size)).trainables
    assert largest(less(after.network, network)) < 1e-6
    for name, z in after.auxiliary.items():
        gap = float(jnp.max(jnp.abs(z - state.trainables.auxiliary[name])))
        assert gap < 1e-6 if name != "linear4" else abs(gap - 0.01) < 1e-4


# A stack changes nothing


@pytest.fixture(scope="module")
def pair():
    """One deep network, stored as a stack and layer by layer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "FEWEST", 10**9)
        apart = deep_mlp()
    stacked = Network(apart.layers)
    assert [type(part).__name__ for part in stacked.parts] == ["Linear", "Stack", "Activation", "Linear"]
    assert stacked.parts[1].count == DEPTH - 1 and not any(isinstance(part, Stack) for part in apart.parts)
    return stacked, apart, examples((4,), "categorical-cross-entropy")


def assert_layers(ours, theirs, rtol=1e-12):
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        assert_close(one, other, rtol)


def test_a_stack_has_the_same_forward_pass_tape_and_structure(pair):
    stacked, apart, batch = pair

    @jax.jit
    def forward(network):
        tape, _ = record(network, batch.inputs)
        return network(batch.inputs), tape.inputs, tape.preactivations(network)

    assert_close(forward(stacked), forward(apart), 1e-14)
    for attribute in ("names", "synaptic", "parameters", "outputs", "dtype"):
        assert getattr(stacked, attribute) == getattr(apart, attribute)
    assert stacked.config() == apart.config()
    assert_identical(stacked.weights, apart.weights)
    copy = jax.eval_shape(lambda: networks.from_config(apart.config()))
    assert copy.names == stacked.names and jax.tree.structure(copy) == jax.tree.structure(stacked)


def test_a_stack_is_drawn_with_the_same_numbers(pair):
    stacked, apart, _ = pair
    ours, theirs = (eqx.filter_jit(network.initialize)(jr.key(5)) for network in (stacked, apart))
    assert isinstance(ours.parts[1], Stack) and not any(isinstance(part, Stack) for part in theirs.parts)
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        assert_identical(one, other)


def test_a_stack_is_saved_and_loaded(pair, tmp_path):
    network = jax.vmap(pair[0].initialize)(jr.split(jr.key(0), 2))
    save_parameters(tmp_path / "a.safetensors", network, network.initial_state(), pair[0])
    template, loaded, _ = load_parameters(tmp_path / "a.safetensors")
    assert template.config() == pair[0].config()
    assert_identical(loaded, jax.tree.map(np.asarray, network))


NAMES = ("backpropagation", "feedback-alignment", "direct-feedback-alignment", "sign-symmetry", "kolen-pollack")


SLOW = pytest.mark.slow


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == NAMES[-1] else SLOW) for name in NAMES])
def test_a_stack_has_the_same_gradients_and_angles(pair, name):
    rule, found = rules.get(name), []

    @jax.jit
    def answer(network):
        trainables = rule.trainables(network, pair[2], key=jr.key(3))
        state = rule.init(network, pair[2], key=jr.key(4))
        credit = rule(trainables, state, pair[2], key=jr.key(5))
        ours, exact = rules.network_of(credit.gradients), Backpropagation()(network, None, pair[2]).gradients
        return credit, ours, gradient_alignment(ours, exact)

    for network in pair[:2]:
        credit, ours, alignment = answer(network)
        if name != "backpropagation":
            assert float(alignment["gradient_angle/linear3"]) > 10
        feedback = credit.gradients.feedback if isinstance(credit.gradients, Trainables) else {}
        found.append((ours, alignment if name != "backpropagation" else {}, feedback))
    assert_layers(found[0][0], found[1][0])
    assert_close(found[0][1:], found[1][1:], 1e-10)


HALF, SQUARE = (lambda z: 0.5 + 0 * z), (lambda z: z * z + 0.1)


@pytest.mark.parametrize(
    "terms",
    [
        lambda: {"derivative": {"linear5": HALF}},
        lambda: {"derivative": {"tanh3": HALF, "tanh9": SQUARE}},
        lambda: {"derivative": {f"tanh{i}": HALF for i in range(1, DEPTH + 1)}},
        lambda: {"derivative": {f"tanh{i}": HALF if i % 2 else SQUARE for i in range(1, DEPTH + 1)}},
        lambda: {"error": {"linear4": SQUARE, f"linear{DEPTH}": HALF}},
        lambda: {"error": {f"linear{i}": SQUARE for i in range(1, DEPTH + 2)}},
        lambda: {"feedback": {"linear4": jnp.ones((5, 5))}, "error": {"linear8": jnp.sign}},
        lambda: {"direct": {"linear6": jr.normal(jr.key(0), (3, 5))}, "derivative": {"linear2": HALF}},
    ],
    ids=["one", "two", "all", "alternating", "some errors", "all errors", "one feedback", "one direct"],
)
def test_terms_of_some_blocks_only_are_those_of_the_layers_apart(pair, terms):
    sweep = eqx.filter_jit(lambda network: backward_sweep(network, None, pair[2], Terms(**terms())).gradients)
    ours, theirs = sweep(pair[0]), sweep(pair[1])
    assert_layers(ours, theirs)
    assert largest(less(ours, gradients_of(Backpropagation(), pair[0], pair[2]))) > 1e-4


OPTIONS = [
    {},
    {"relaxes": "activation", "hidden_loss": "relative", "weight_decay": 0.1},
    {"relax_output": True, "hidden_loss": "sum", "layers": (2, 3, 4, 5, 8)},
    {"layers": (1, 3, 5, 7, 9), "relaxes": "activation"},
    {"coordinates": "residual", "inner_steps": "depth"},
]


@pytest.mark.parametrize(
    "options",
    [OPTIONS[0], *(pytest.param(options, marks=SLOW) for options in OPTIONS[1:])],
    ids=["plain", "relative", "output", "every other", "residual"],
)
def test_a_stack_relaxes_and_consolidates_to_the_same_numbers(pair, options):
    rule, (stacked, apart, batch) = RelaxedIdentity(**options), pair
    first = begin(rule, stacked, batch, 0.1)
    second = begin(rule, apart, batch)
    rows = by_place(stacked, first.auxiliary)
    names = sorted(second.auxiliary, key=apart.index)
    assert len(first.auxiliary) < len(names) == len(rows)
    second = Trainables(apart, {name: jnp.asarray(row)[None] for name, row in zip(names, rows, strict=True)})
    ours, theirs = gradients_of(rule, first, batch), gradients_of(rule, second, batch)
    assert_layers(ours.network, theirs.network, 1e-10)
    both = zip(by_place(stacked, ours.auxiliary), by_place(apart, theirs.auxiliary), strict=True)
    for one, other in both:
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    finish = eqx.filter_jit(lambda trainables: rule.finish(trainables, None, batch))
    assert_layers(finish(first), finish(second), 1e-7)
    ours, theirs = (metrics_of(rule, one, batch) for one in (first, second))
    assert list(ours) == list(theirs)
    assert_close(ours, theirs, 1e-10)


# Mini-batches


COUNT = 9
OPTIMIZERS = {
    "rprop": "rprop",
    "adam": "adam",
    "momentum": "momentum",
    "mapping": {"network": "sgd", "auxiliary": "adam"},
    "pair": {"network": "adam", "auxiliary": ("rmsprop", 0.02)},
}


def rows(state, chosen):
    """The auxiliaries and what the optimizer knows of them, of some examples."""
    both = (state.trainables.auxiliary, state.optimizer_state[1])
    return jax.tree.map(lambda leaf: jnp.take(leaf, jnp.asarray(chosen), axis=optimizers.examples_axis(leaf)), both)


@pytest.mark.parametrize(("optimizer", "kind"), [("adam", "lenet"), *((name, "deep") for name in OPTIMIZERS)])
def test_a_batch_moves_its_own_examples_only(optimizer, kind):
    network, batch = given(kind, COUNT)
    rule = RelaxedIdentity(start=lambda z, t, key: z + jr.normal(key, z.shape))
    state, step = begun(rule, network, batch, OPTIMIZERS[optimizer], size=3)
    once = step(state, jnp.asarray([7, 0, 4]))
    twice = step(once, jnp.asarray([4, 8, 1]))
    for before, after, inside in ((state, once, [0, 4, 7]), (once, twice, [1, 4, 8])):
        outside = [i for i in range(COUNT) if i not in inside]
        assert_identical(rows(after, outside), rows(before, outside))
    visited, still = [0, 1, 4, 7, 8], [2, 3, 5, 6]
    assert_identical(rows(twice, still), rows(state, still))
    for z, old in zip(*(by_place(network, rows(one, visited)[0]) for one in (twice, state)), strict=True):
        assert np.all(np.any(z != old, axis=tuple(range(1, z.ndim))))


def test_every_example_has_its_own_step_count():
    network, batch = given("deep", COUNT)
    state, step = begun(RelaxedIdentity(relax_output=True), network, batch, "adam", size=3)
    visits = np.zeros(COUNT)
    for indices in ([7, 0, 4], [4, 8, 1], [4, 0, 2]):
        state = step(state, jnp.asarray(indices))
        visits[indices] += 1
    counts = [leaf for leaf in jax.tree.leaves(state.optimizer_state[1]) if leaf.ndim == 1]
    assert len(counts) == 1
    np.testing.assert_array_equal(counts[0], visits)


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_a_full_batch_is_a_batch_of_all_examples_in_order(optimizer):
    """Beside one more example that sits out, which makes a part of the same batch."""
    network, more = given("deep", COUNT + 1)
    batch = dataclasses.replace(more, inputs=more.inputs[:COUNT], targets=more.targets[:COUNT])
    found = []
    for one in (batch, more):
        state, step = begun(RelaxedIdentity(start=lambda z, t, key: 1.1 * z), network, one, optimizer, size=COUNT)
        for _ in range(2):
            state = step(state, jnp.arange(COUNT))
        found.append((state.trainables.network, state.optimizer_state[0], rows(state, list(range(COUNT)))))
    assert_close(found[0], found[1], 1e-12)


@pytest.mark.parametrize(
    ("hidden_loss", "options"), [("mean", {}), ("sum", {}), ("sum", {"inner_steps": 2, "coordinates": "residual"})]
)
def test_an_example_s_step_does_not_depend_on_the_size_of_the_batch(hidden_loss, options):
    network, batch = given("deep", COUNT)
    rule = RelaxedIdentity(hidden_loss=hidden_loss, hidden_weight=0.6, **options)
    trainables, found = begin(rule, network, batch, 0.3), []
    for size in (1, 4, 8):
        part = dataclasses.replace(batch, inputs=batch.inputs[:size], targets=batch.targets[:size])
        own = Trainables(network, jax.tree.map(lambda leaf, size=size: leaf[:, :size], trainables.auxiliary))
        found.append(jax.tree.map(lambda leaf: leaf[:, :1], gradients_of(rule, own, part).auxiliary))
    assert largest(found[0]) > 0.01
    assert_close(found[1], found[0], 1e-12)
    assert_close(found[2], found[0], 1e-12)


# Epochs, starts, the end


@eqx.filter_jit
def after_epoch(rule, trainables, batch, epoch):
    return rule.after_epoch(trainables, None, batch, epoch=epoch)[0]


@pytest.mark.parametrize("coordinates", ["activation", "residual"])
def test_a_period_restarts_at_the_forward_activations(coordinates):
    network, batch = given("deep")
    rule = RelaxedIdentity(period=3, coordinates=coordinates)
    start = begin(rule, network, batch, 0.3)
    for epoch in range(6):
        after = after_epoch(rule, start, batch, jnp.asarray(epoch))
        assert_identical(after.network, network)
        if epoch % 3 == 2:
            forward = begin(rule, network, batch).auxiliary
            for name, leaf in after.auxiliary.items():
                np.testing.assert_allclose(leaf, forward[name], rtol=0, atol=1e-14)
        else:
            assert_identical(after.auxiliary, start.auxiliary)


def test_consolidation_every_few_epochs_moves_the_network_and_leaves_the_auxiliaries():
    network, batch = given("deep")
    rule = RelaxedIdentity(consolidate=2)
    start = begin(rule, network, batch, 0.3)
    finished = eqx.filter_jit(rule.finish)(start, None, batch)
    for epoch in range(4):
        after = after_epoch(rule, start, batch, jnp.asarray(epoch))
        assert_identical(after.auxiliary, start.auxiliary)
        if epoch % 2:
            assert_close(after.network, finished, 1e-8)
            assert all(largest(less(after.network[n], network[n])) > 1e-3 for n in network.synaptic)
        else:
            assert_identical(after.network, network)
    never = RelaxedIdentity(consolidate="never")
    assert_identical(never.finish(start, None, batch), network)
    assert_identical(never.after_epoch(start, None, batch, epoch=jnp.asarray(1))[0], start)


def test_at_the_forward_activations_there_is_nothing_to_consolidate():
    network, batch = given("mlp", 40)
    finished = eqx.filter_jit(RelaxedIdentity().finish)(begin(RelaxedIdentity(), network, batch), None, batch)
    assert_close(finished, network, 1e-9)


@pytest.mark.parametrize("relax_output", [False, True])
def test_after_consolidation_the_forward_pass_goes_through_the_auxiliaries(relax_output):
    """Where every layer has more units than there are examples, and hardly any ridge."""
    network = shake(networks.mlp([9, *[12] * DEPTH, 2], activation="tanh", key=jr.key(1)), jr.key(2), 0.1)
    batch = examples((9,), "squared-error", 2, batch=6)
    rule = RelaxedIdentity(ridge=1e-12, relax_output=relax_output)
    trainables = begin(rule, network, batch, 0.5)
    finished = eqx.filter_jit(rule.finish)(trainables, None, batch)
    z = preactivations(finished, batch.inputs)
    wanted = by_place(network, trainables.auxiliary)
    for name, one in zip(network.synaptic[: len(wanted)], wanted, strict=True):
        np.testing.assert_allclose(z[name], one, rtol=0, atol=1e-7, err_msg=name)
    assert len(wanted) == DEPTH + relax_output


def test_a_label_s_examples_begin_at_one_code_and_noise_at_each_its_own():
    network, batch = given("deep", 400)
    forward = by_place(network, begin(RelaxedIdentity(), network, batch).auxiliary)
    labels = np.asarray(batch.targets)
    for start in ("label", "random"):
        found = by_place(network, begin(RelaxedIdentity(start=start), network, batch).auxiliary)
        codes = np.stack([np.stack([one[labels == label] for one in found], 1)[:2] for label in range(3)])
        np.testing.assert_array_equal((codes[:, 0] == codes[:, 1]).all(), start == "label")
        assert np.all(np.any(codes[0] != codes[1], axis=-1)) and np.all(np.any(codes[1] != codes[2], axis=-1))
        assert len({tuple(one[0]) for one in found}) == len(found)
        if start == "label":
            for one in found:
                assert len(np.unique(one, axis=0)) == 3
            continue
        for one, other in zip(found, forward, strict=True):
            np.testing.assert_allclose(one.mean(), other.mean(), rtol=0, atol=4 * other.std() / np.sqrt(other.size))
            np.testing.assert_allclose(one.std(), other.std(), rtol=4 / np.sqrt(2 * other.size))


def test_a_function_says_where_the_auxiliaries_begin():
    network, batch = given("mlp")
    seen = []

    def start(forward, targets, key):
        seen.append((forward.shape, targets.shape))
        return 2 * forward

    forward, found = (RelaxedIdentity(start=s).trainables(network, batch, key=jr.key(0)) for s in ("forward", start))
    assert_identical(found.auxiliary, jax.tree.map(lambda z: 2 * z, forward.auxiliary))
    assert seen == [((1, 6, 5), (6,)), ((1, 6, 4), (6,))]


# Transient auxiliaries and backpropagation


@pytest.mark.parametrize(
    ("kind", "hidden_loss", "coordinates"),
    [
        ("mlp", "mean", "residual"),
        ("lenet", "sum", "activation"),
        ("deep", "mean", "activation"),
        ("deep", "sum", "residual"),
    ],
)
def test_one_inner_step_gives_the_second_to_last_layer_backpropagation_s_gradient(kind, hidden_loss, coordinates):
    """The first step leaves e = -r N/c ∂E/∂z at the highest place, c the curvature of its own term of E, whose gradient c/N e
    sends down: r times backpropagation's, exactly, and nothing yet below."""
    network, batch = given(kind)
    rate = 0.37
    rule = RelaxedIdentity(
        kind="transient",
        hidden_loss=hidden_loss,
        inner_steps=1,
        inner_rate=rate,
        hidden_weight=0.6,
        coordinates=coordinates,
    )
    ours, exact = gradients_of(rule, network, batch), gradients_of(Backpropagation(), network, batch)
    *lower, second, _ = network.synaptic
    assert_close(ours[second], jax.tree.map(lambda leaf: rate * leaf, exact[second]), 1e-11)
    assert largest([ours[name] for name in lower]) <= 1e-14


@pytest.mark.parametrize("coordinates", ["activation", "residual"])
def test_every_layer_turns_to_backpropagation_s_direction_as_the_inner_rate_falls(coordinates):
    """After k steps d layers below the last, binom(k, d) rᵈ times backpropagation's gradient, to first order in r: each layer's
    angle falls in proportion to r, while the lower layers' share of the whole gradient vanishes."""
    network = small_mlp(hidden=(5, 4, 6))
    batch, steps = examples((4,), "categorical-cross-entropy"), 5
    exact = gradients_of(Backpropagation(), network, batch)
    angles = []
    for rate in (1e-2, 1e-3):
        rule = RelaxedIdentity(kind="transient", hidden_loss="sum", inner_steps=steps, inner_rate=rate, coordinates=coordinates)
        ours = gradients_of(rule, network, batch)
        angles.append([float(angle(ours[name], exact[name])) for name in network.synaptic])
        for below, name in enumerate(reversed(network.synaptic)):
            ratio = float(norm(ours[name]) / norm(exact[name])) / (math.comb(steps, below) * rate**below)
            assert abs(ratio - 1) < 20 * rate
    ratios = np.array(angles[0]) / np.array(angles[1])
    assert np.all((ratios > 7) & (ratios < 14)) and max(angles[1]) < 0.5


@pytest.mark.parametrize("kind", ["mlp", "deep"])
def test_stiff_residuals_replaced_from_above_are_backpropagation(kind):
    """Residual coordinates, rate 1, one step a place: every e becomes what comes from above. As β grows the auxiliaries stay at
    the forward pass, and the whole gradient tends to backpropagation's like 1/β."""
    network, batch = given(kind)
    exact, gaps = gradients_of(Backpropagation(), network, batch), []
    for weight in (1e3, 1e4, 1e5):
        rule = RelaxedIdentity(
            kind="transient",
            hidden_loss="sum",
            inner_steps="depth",
            inner_rate=1.0,
            coordinates="residual",
            hidden_weight=weight,
        )
        ours = gradients_of(rule, network, batch)
        gaps.append(float(norm(less(ours, exact)) / norm(exact)))
    assert gaps[2] < 1e-4
    np.testing.assert_allclose(np.array(gaps[:2]) / gaps[1:], 10, rtol=0.1)


# Wrong inputs


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"relaxes": "output"}, "`relaxes` is preactivation or activation; got 'output'"),
        ({"hidden_loss": "max"}, "`hidden_loss` is mean, sum or relative; got 'max'"),
        ({"kind": "eternal"}, "`kind` is persistent or transient; got 'eternal'"),
        ({"coordinates": "polar"}, "`coordinates` is activation or residual; got 'polar'"),
        ({"start": "zero"}, "`start` is forward, random, label or a function; got 'zero'"),
        ({"period": -1}, "`period` is a number of epochs, 0 or more; got -1"),
        ({"inner_steps": True}, "`inner_steps` is depth or a number, 0 or more; got True"),
        ({"inner_steps": "deep"}, "`inner_steps` is depth or a number, 0 or more; got 'deep'"),
        ({"consolidate": 0}, "`consolidate` is end, never or a number of epochs; got 0"),
        ({"consolidate": "always"}, "`consolidate` is end, never or a number of epochs; got 'always'"),
        ({"consolidate": True}, "`consolidate` is end, never or a number of epochs; got True"),
        ({"kind": "transient"}, "take at least one inner step: set `inner_steps`"),
        (
            {"kind": "transient", "inner_steps": 1, "relax_output": True},
            "leave `relax_output`, `period`, `start` and `consolidate`",
        ),
        (
            {"kind": "transient", "inner_steps": 1, "period": 2},
            "leave `relax_output`, `period`, `start` and `consolidate`",
        ),
        (
            {"kind": "transient", "inner_steps": 1, "consolidate": 2},
            "leave `relax_output`, `period`, `start` and `consolidate`",
        ),
        (
            {"kind": "transient", "inner_steps": 1, "start": "random"},
            "leave `relax_output`, `period`, `start` and `consolidate`",
        ),
        ({"hidden_weight": -1.0}, r"`hidden_weight` is a number in \[0, inf\); got -1"),
        (
            {"hidden_weight": 0.0, "inner_steps": 3},
            "inner steps are divided by `hidden_weight`, .* set `inner_steps` to 0",
        ),
        ({"weight_decay": -1.0}, r"`weight_decay` is a number in \[0, inf\); got -1"),
        ({"inner_rate": 0.0}, r"`inner_rate` is a number in \(0, inf\); got 0"),
        ({"ridge": 0.0}, r"`ridge` is a number in \(0, inf\); got 0"),
    ],
)
def test_options_that_are_none_are_refused(options, fragment):
    with pytest.raises(UserError, match=fragment):
        RelaxedIdentity(**options)


@pytest.mark.parametrize(
    ("options", "layers", "fragment"),
    [
        ({"layers": ("linear9",)}, (), "layers with weights, linear1, linear2; got 'linear9'.*`relax_output`"),
        ({"layers": ("linear3",)}, (), "layers with weights, linear1, linear2; got 'linear3'"),
        ({"layers": (2,)}, (), "got 2 "),
        ({"layer_weights": (1.0,)}, (), "one number for each relaxed place, here 2; got 1"),
        ({"layer_weights": (1.0,) * 2, "relax_output": True}, (), "here 3; got 2"),
        ({}, (lambda: BatchNorm(3),), "no normalization and no dropout: leave batchnorm1 out of the network"),
        ({}, (lambda: Dropout(0.5),), "leave dropout1 out of the network"),
    ],
)
def test_a_network_that_cannot_be_relaxed_so_is_refused(options, layers, fragment):
    network = Network([*small_mlp().layers, *(made() for made in layers)])
    with pytest.raises(UserError, match=fragment):
        RelaxedIdentity(**options).adapt(network, tiny.data())


def test_codes_of_labels_need_labels():
    batch = examples((4,), "squared-error")
    with pytest.raises(UserError, match="code of the label need labels: choose another `start`"):
        jax.eval_shape(lambda n: RelaxedIdentity(start="label").trainables(n, batch, key=jr.key(0)), small_mlp())


@pytest.mark.parametrize("wrong", [("sgd",), ("sgd", 0.1, 2), ("sgd", "fast"), ("sgd", 0), ("sgd", -1.0)])
def test_a_pair_of_an_optimizer_and_a_rate_is_nothing_else(wrong):
    with pytest.raises(UserError, match=r'is a pair, as in \("sgd", 0.1\); got \(\'sgd\''):
        optimizers.factory({"network": "adam", "auxiliary": wrong})


def test_a_pair_s_optimizer_must_be_known():
    with pytest.raises(UserError, match="unknown optimizer 'sdg': did you mean 'sgd', or choose one of sgd, momentum"):
        optimizers.factory({"network": "adam", "auxiliary": ("sdg", 0.1)})


def test_a_network_of_one_layer_is_backpropagation():
    network, batch = small_mlp(hidden=()), examples((4,), "categorical-cross-entropy")
    trainables = begin(RelaxedIdentity(), network, batch)
    assert trainables.auxiliary == {}
    exact = gradients_of(Backpropagation(), network, batch)
    assert_close(gradients_of(RelaxedIdentity(), trainables, batch).network, exact, 1e-12)


def test_an_output_activation_is_part_of_the_loss():
    network, batch = small_mlp(), examples((4,), "categorical-cross-entropy")
    ended = Network([*network.layers, Activation("softmax")])
    for rule in (RelaxedIdentity(), RelaxedIdentity(relax_output=True)):
        ours, theirs = (gradients_of(rule, begin(rule, one, batch, 0.3), batch) for one in (ended, network))
        assert_close(jax.tree.leaves(ours), jax.tree.leaves(theirs), 1e-12)


def test_layers_of_unequal_width_between_stacks_are_relaxed_too():
    """Two stacks with a narrower layer between them, and its objective by hand."""
    sizes = [3, *[4] * 10, 6, *[5] * 10, 2]
    network = shake(networks.mlp(sizes, activation="tanh", key=jr.key(0)), jr.key(1), 0.1)
    assert sum(isinstance(part, Stack) for part in network.parts) == 2
    batch = examples((3,), "squared-error", 2)
    rule = RelaxedIdentity()
    trainables = begin(rule, network, batch, 0.4)
    z, h, value = by_place(network, trainables.auxiliary), np.asarray(batch.inputs), 0.0
    for name, target in zip(network.synaptic, [*z, np.asarray(batch.targets)], strict=True):
        layer: Linear = network[name]
        estimate = h @ np.asarray(layer.weight).T + np.asarray(layer.bias)
        last = name == network.synaptic[-1]
        value += 0.5 * np.mean(np.sum((target - estimate) ** 2, 1)) if last else np.mean((target - estimate) ** 2)
        h = np.tanh(target)
    objective = eqx.filter_jit(rule.objective)(network, trainables.auxiliary, batch)
    np.testing.assert_allclose(objective, value, rtol=1e-12)
