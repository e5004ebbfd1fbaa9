"""What every registered rule keeps, on a dense and on a convolutional network, with each loss.

The table of the registry is read here, so a new rule meets these tests without a line of its own: each where it applies,
with the network and the encoding that it asks for. Each cell compiles one function, three runs side by side; the loop it is
compared with is not compiled.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.rules import Credit, network_of
from ascribe.training.loop import MEASURED

from ..cases import AT_THE_END, applied, assert_close, assert_identical, cells, last_layer_tolerance, shake, to_float32

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

    name: str
    rule: rules.AbstractRule
    stack: tuple[Any, Any, Any]
    compiled: Any
    traces: list[int]
    answer: Any

    def one(self, run):
        return jax.tree.map(lambda leaf: leaf[run], self.stack)


@pytest.fixture(scope="module", params=cells(), ids="-".join)
def cell(request):
    name, kind, loss = request.param
    (rule, network, _, _), traces = applied(name, kind, loss), []
    batches = [applied(name, kind, loss, seed=seed).batch for seed in range(RUNS)]
    stack = (
        jax.vmap(lambda key: shake(network.initialize(key), key, 0.1))(jr.split(jr.key(1), RUNS)),
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches),
        jr.split(jr.key(2), RUNS),
    )

    def side_by_side(rule, stack):
        traces.append(1)
        return jax.vmap(lambda network, batch, key: once(rule, network, batch, key))(*stack)

    # A small program that runs a few times: compiling it without optimization takes a quarter of the time.
    compiled = jax.jit(side_by_side, compiler_options={"xla_backend_optimization_level": 0})
    return Cell(name, rule, stack, compiled, traces, compiled(rule, stack))


def test_every_rule_meets_these_tests():
    assert {name for name, _, _ in cells()} == set(rules.names())
    asking = {name for name in rules.names() if type(rules.get(name)).adapt is not rules.AbstractRule.adapt}
    for name in set(rules.names()) - asking:
        assert len([cell for cell in cells() if cell[0] == name]) == 6


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


def test_the_last_layer_s_gradient_is_exact_and_the_loss_is_the_loss(cell):
    """Whatever happens on the way down, ∂E/∂W^L = δ^L (a^{L-1})ᵀ, for every rule that is about errors."""
    network, batch, key = cell.one(0)
    trained = network_of(cell.rule.trainables(network, batch, key=jr.split(key)[0]))
    exact = rules.Backpropagation()(trained, None, batch)
    np.testing.assert_allclose(cell.answer[0].loss[0], exact.loss, rtol=1e-12)
    last, tolerance = network.synaptic[-1], last_layer_tolerance(cell.name)
    if tolerance is not None:
        ours = network_of(jax.tree.map(lambda leaf: leaf[0], cell.answer[0].gradients))
        assert_close(ours[last], exact.gradients[last], tolerance)


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
    """Half of it, or a twentieth where it is 0, gives another answer by the same program."""
    leaves, structure = jax.tree.flatten(cell.rule)
    named = [path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(cell.rule)]
    for i, leaf in enumerate(leaves):
        assert isinstance(leaf, jax.Array)
        if named[i] in AT_THE_END.get(cell.name, ()):
            continue
        other = structure.unflatten([*leaves[:i], jnp.where(leaf == 0, 0.05, 0.5 * leaf), *leaves[i + 1 :]])
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


def allowed(name, field, number):
    """Whether a number lies in the field's interval."""
    try:
        rules.get(name, **{field: number})
    except UserError:
        return False
    return True


@pytest.mark.parametrize("name", rules.names())
def test_a_hyperparameter_is_the_same_program_however_its_number_was_written(name):
    """An integer leaf, or one of another strength of type, would compile once more in the middle of a sweep."""
    rule = rules.get(name)
    for field in dataclasses.fields(rule):
        assert not isinstance(getattr(rule, field.name), float)
        if isinstance(getattr(rule, field.name), jax.Array):
            whole = next(number for number in (1, 0) if allowed(name, field.name, number))
            for number in (whole, 0.5, np.float64(0.5), np.float32(0.5), jnp.asarray(0.5), jnp.full((), 0.5)):
                other = rules.get(name, **{field.name: number})
                assert jax.typeof(getattr(other, field.name)) == jax.typeof(getattr(rule, field.name))
                assert jnp.issubdtype(getattr(other, field.name).dtype, jnp.floating)


def float_types(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


@pytest.mark.parametrize("cell_name", cells(["mlp"]), ids="-".join)
def test_a_float32_network_gets_float32_numbers(cell_name):
    rule, network, batch = to_float32(applied(*cell_name)[:3])
    credit, (trainables, state), feedback = once(rule, network, batch, jr.key(0))
    assert float_types((credit, trainables, state, feedback)) == {"float32"}
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)


@pytest.mark.parametrize("name", rules.names())
def test_a_float64_rule_on_a_float32_network_gives_float32_numbers(name):
    """What happens to a rule that was built while x64 was on."""
    rule, network, batch, _ = applied(*[cell for cell in cells() if cell[0] == name][-1])
    network, batch = to_float32((network, batch))
    assert float_types(once(rule, network, batch, jr.key(0))) == {"float32"}


OWN_METRICS = [cell for cell in cells() if type(applied(*cell).rule).metrics is not rules.AbstractRule.metrics]


@pytest.mark.parametrize("cell_name", OWN_METRICS, ids="-".join)
def test_own_metrics_are_single_numbers_in_the_network_s_precision(cell_name):
    rule, network, batch = to_float32(applied(*cell_name)[:3])
    trainables, state = rule.trainables(network, batch, key=jr.key(0)), rule.init(network, batch, key=jr.key(0))
    moved = jax.tree.map(lambda leaf: 1.5 * leaf, trainables)
    found = rule.metrics(trainables, state, batch, before=moved, after=moved)
    assert found
    assert {(value.shape, str(value.dtype)) for value in found.values()} == {((), "float32")}
    assert not any(name.startswith(MEASURED) for name in found)


@pytest.mark.parametrize("cell_name", cells(["single layer"]), ids="-".join)
def test_a_single_layer_gets_its_credit(cell_name):
    rule, network, batch, _ = applied(*cell_name)
    credit, (trainables, _), _ = once(rule, network, batch, jr.key(0))
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)
    tolerance = last_layer_tolerance(cell_name[0])
    assert len(network.synaptic) == 1
    if tolerance is not None:
        exact = rules.Backpropagation()(network, None, batch).gradients
        assert_close(network_of(credit.gradients), exact, tolerance)


@pytest.mark.parametrize("cell_name", cells(["mlp"], ["bernoulli-cross-entropy"], ("binary",)), ids="-".join)
def test_a_single_output_gets_its_credit(cell_name):
    rule, network, batch, _ = applied(*cell_name, ("binary",))
    assert network.outputs == 1
    credit, (trainables, _), _ = once(rule, network, batch, jr.key(0))
    assert jax.tree.structure(credit.gradients) == jax.tree.structure(trainables)


@pytest.mark.parametrize("cell_name", cells(["noisy"], ["categorical-cross-entropy"], given=True), ids="-".join)
def test_dropout_and_normalization_go_through_every_rule_that_leaves_them_in(cell_name):
    """Same key, same masks: with one key twice the answer is the same, and the running statistics have moved."""
    rule, network, batch, _ = applied(*cell_name)
    batch = dataclasses.replace(batch, network_state=network.initial_state())
    answers = [once(rule, network, batch, jr.key(i)) for i in (0, 0, 1)]
    assert_identical(answers[0], answers[1])
    assert float(answers[0][0].loss) != float(answers[2][0].loss)
    mean, _ = answers[0][0].network_state[1]
    z = batch.inputs @ network["linear1"].weight.T + network["linear1"].bias[None, :]
    np.testing.assert_allclose(mean, 0.1 * jnp.mean(z, axis=0), rtol=1e-12)
