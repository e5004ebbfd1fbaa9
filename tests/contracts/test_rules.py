"""What every registered rule keeps, on a dense and on a convolutional network, with each loss.

The table of the registry is read here, so a new rule meets these tests without a line of its own. Each cell compiles
one function, three runs side by side; the loop it is compared with is not compiled.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.rules import Credit, network_of

from ..cases import LOSSES, assert_close, assert_identical, case, examples, small_mlp, to_float32

RUNS = 3


def once(rule, network, batch, key):
    """All that a training step asks of a rule, from its state to what it does after an update."""
    init_key, step_key = jr.split(key)
    trainables = rule.trainables(network, batch, key=init_key)
    state = rule.init(network, batch, key=init_key)
    credit = rule(trainables, state, batch, key=step_key)
    return credit, rule.after_update(trainables, credit.state), rule.feedback(trainables, state)


class Cell(NamedTuple):
    """A rule with three networks, batches and keys; `compiled` runs them side by side and `traces` counts."""

    rule: rules.AbstractRule
    stack: tuple[Any, Any, Any]
    compiled: Any
    traces: list[int]
    answer: Any

    def one(self, run):
        return jax.tree.map(lambda leaf: leaf[run], self.stack)


@pytest.fixture(
    scope="module",
    params=[(name, kind, loss) for name in rules.names() for kind in ("mlp", "lenet") for loss in LOSSES],
    ids="-".join,
)
def cell(request):
    name, kind, loss = request.param
    rule, traces = rules.get(name), []
    network, _ = case(kind, loss)
    shape = (4,) if kind == "mlp" else (12, 12, 1)
    batches = [examples(shape, loss, seed=seed) for seed in range(RUNS)]
    stack = (
        jax.vmap(network.initialize)(jr.split(jr.key(1), RUNS)),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches),
        jr.split(jr.key(2), RUNS),
    )

    def side_by_side(rule, stack):
        traces.append(1)
        return jax.vmap(lambda network, batch, key: once(rule, network, batch, key))(*stack)

    # A small program that runs a few times: compiling it without optimization takes a quarter of the time.
    compiled = jax.jit(side_by_side, compiler_options={"xla_backend_optimization_level": 0})
    return Cell(rule, stack, compiled, traces, compiled(rule, stack))


def test_the_gradient_has_the_trainables_own_tree(cell):
    network, batch, key = cell.one(0)
    trainables = cell.rule.trainables(network, batch, key=key)
    credit = jax.tree.map(lambda leaf: leaf[0], cell.answer[0])
    assert isinstance(credit, Credit)
    assert credit.loss.shape == ()
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)
    for gradient, trained in zip(jax.tree.leaves(credit.gradients), jax.tree.leaves(trainables), strict=True):
        assert (gradient.shape, gradient.dtype) == (trained.shape, trained.dtype)
        assert bool(jnp.all(jnp.isfinite(gradient)))


def test_the_state_and_the_updated_trainables_keep_their_trees(cell):
    network, batch, key = cell.one(0)
    before = cell.rule.trainables(network, batch, key=key), cell.rule.init(network, batch, key=key)
    credit, after, _ = jax.tree.map(lambda leaf: leaf[0], cell.answer)
    for old, new in ((before, after), (before[1], credit.state)):
        assert jax.tree.structure(old) == jax.tree.structure(new)
        for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_the_feedback_has_the_weights_shapes(cell):
    network, _, _ = cell.one(0)
    for name, matrix in cell.answer[2].items():
        assert matrix.shape[1:] == network[name].weight.shape


def test_the_last_layer_s_gradient_is_exact(cell):
    """Whatever happens on the way down, ∂E/∂W^L = δ^L (a^{L-1})ᵀ and the loss is the loss."""
    network, batch, _ = cell.one(0)
    exact = rules.Backpropagation()(network, None, batch)
    last = network.synaptic[-1]
    ours = network_of(jax.tree.map(lambda leaf: leaf[0], cell.answer[0].gradients))
    assert_close(ours[last], exact.gradients[last], 1e-12)
    np.testing.assert_allclose(cell.answer[0].loss[0], exact.loss, rtol=1e-12)


def test_three_runs_side_by_side_are_a_loop_and_leave_their_inputs_alone(cell):
    for run in range(RUNS):
        inputs = cell.one(run)
        untouched = jax.tree.map(lambda leaf: leaf.copy(), inputs)
        structure = jax.tree.structure(inputs)
        answer = once(cell.rule, *inputs)
        assert_close(answer, jax.tree.map(lambda leaf, run=run: leaf[run], cell.answer), 1e-10)
        assert jax.tree.structure(inputs) == structure
        for before, after in zip(jax.tree.leaves(untouched), jax.tree.leaves(inputs), strict=True):
            assert bool(jnp.all(before == after))


def test_a_call_leaves_trainables_and_state_alone(cell):
    network, batch, key = cell.one(0)
    trainables, state = cell.rule.trainables(network, batch, key=key), cell.rule.init(network, batch, key=key)
    leaves, structure = jax.tree.flatten((trainables, state, batch))
    values = [np.array(leaf) for leaf in leaves]
    credit = cell.rule(trainables, state, batch, key=key)
    cell.rule.after_update(trainables, credit.state)
    now, same = jax.tree.flatten((trainables, state, batch))
    assert same == structure
    assert all(leaf is before for leaf, before in zip(now, leaves, strict=True))
    for leaf, value in zip(now, values, strict=True):
        np.testing.assert_array_equal(leaf, value)


def test_same_key_same_answer_and_the_second_call_does_not_recompile(cell):
    assert_identical(cell.compiled(cell.rule, cell.stack), cell.answer)
    networks_, batches, keys = cell.stack
    moved = jax.tree.map(lambda leaf: leaf + 0.25, networks_)
    cell.compiled(cell.rule, (moved, batches, jax.vmap(lambda key: jr.fold_in(key, 1))(keys)))
    assert len(cell.traces) == 1


def test_a_new_hyperparameter_does_not_recompile(cell):
    leaves, structure = jax.tree.flatten(cell.rule)
    for i, leaf in enumerate(leaves):
        assert isinstance(leaf, jax.Array)
        other = structure.unflatten([*leaves[:i], leaf * 0.5, *leaves[i + 1 :]])
        answer = cell.compiled(other, cell.stack)
        same = [
            bool(jnp.all(a == b)) for a, b in zip(jax.tree.leaves(answer), jax.tree.leaves(cell.answer), strict=True)
        ]
        assert not all(same)
    assert len(cell.traces) == 1


def test_a_diverged_run_leaves_the_others_alone(cell):
    networks_, batches, keys = cell.stack
    broken = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), networks_)
    answer = cell.compiled(cell.rule, (broken, batches, keys))
    assert bool(jnp.isnan(answer[0].loss[1]))
    for run in (0, 2):
        assert_identical(
            jax.tree.map(lambda leaf, run=run: leaf[run], answer),
            jax.tree.map(lambda leaf, run=run: leaf[run], cell.answer),
        )
    assert len(cell.traces) == 1


@pytest.mark.parametrize("name", rules.names())
def test_a_hyperparameter_is_the_same_program_however_its_number_was_written(name):
    """An integer leaf, or one of another strength of type, would compile once more in the middle of a sweep."""
    rule = rules.get(name)
    for field in dataclasses.fields(rule):
        assert not isinstance(getattr(rule, field.name), float)
        if isinstance(getattr(rule, field.name), jax.Array):
            whole = 0 if field.name == "decay" else 1  # inside the field's interval
            for number in (whole, 0.5, np.float64(0.5), np.float32(0.5), jnp.asarray(0.5), jnp.full((), 0.5)):
                other = rules.get(name, **{field.name: number})
                assert jax.typeof(getattr(other, field.name)) == jax.typeof(getattr(rule, field.name))
                assert jnp.issubdtype(getattr(other, field.name).dtype, jnp.floating)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", rules.names())
def test_a_float32_network_gets_float32_numbers(name, loss):
    rule, (network, batch) = to_float32((rules.get(name), case("mlp", loss)))
    credit, (trainables, state), feedback = once(rule, network, batch, jr.key(0))
    floats = (credit, trainables, state, feedback)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(floats)} == {"float32"}
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)


@pytest.mark.parametrize("name", rules.names())
def test_a_float64_rule_on_a_float32_network_gives_float32_numbers(name):
    """What happens to a rule that was built while x64 was on."""
    network, batch = to_float32(case("lenet", "categorical-cross-entropy"))
    answer = once(rules.get(name), network, batch, jr.key(0))
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(answer)} == {"float32"}


@pytest.mark.parametrize("name", rules.names())
@pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 1]], ids=["no hidden layer", "one output"])
def test_the_smallest_networks_get_their_credit(name, sizes):
    network, rule = networks.mlp(sizes, activation="tanh", key=jr.key(0)), rules.get(name)
    loss = "categorical-cross-entropy" if sizes[-1] > 1 else "bernoulli-cross-entropy"
    batch = examples((4,), loss, outputs=sizes[-1])
    credit, (trainables, _), _ = once(rule, network, batch, jr.key(0))
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)
    if len(sizes) == 2:
        exact = rules.Backpropagation()(network, None, batch).gradients
        assert_close(network_of(credit.gradients), exact, 1e-12)


@pytest.mark.parametrize("name", rules.names())
def test_dropout_and_normalization_go_through_every_rule(name):
    """Same key, same masks: with one key twice the answer is the same, and the running statistics have moved."""
    layers = list(small_mlp("tanh").layers)
    network = networks.Network([layers[0], networks.BatchNorm(5), layers[1], networks.Dropout(0.5), *layers[2:]])
    batch = examples((4,), "categorical-cross-entropy")
    batch = dataclasses.replace(batch, network_state=network.initial_state())
    answers = [once(rules.get(name), network, batch, jr.key(i)) for i in (0, 0, 1)]
    assert_identical(answers[0], answers[1])
    assert float(answers[0][0].loss) != float(answers[2][0].loss)
    mean, _ = answers[0][0].network_state[1]
    z = batch.inputs @ layers[0].weight.T + layers[0].bias[None, :]
    np.testing.assert_allclose(mean, 0.1 * jnp.mean(z, axis=0), rtol=1e-12)
