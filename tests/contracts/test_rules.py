"""What every registered rule keeps, on a dense and on a convolutional network.

The table of the registry is read here, so a new rule meets these tests without a line of its own: each where it applies,
with the network and the encoding that it asks for. Trees, shapes and types are read from a trace, without a number. For the
numbers each cell compiles one program, which runs three runs side by side and one after another.
"""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses, rules
from ascribe.errors import UserError
from ascribe.measures import MEASURED
from ascribe.networks import record
from ascribe.rules import AbstractRule, Backpropagation, Credit, network_of

from ..cases import (
    AT_THE_END,
    EXACT,
    KINDS,
    LOSSES,
    OWN_NETWORK,
    REFUSED,
    ROUNDED,
    SEVERAL_CLASSES,
    TWO_CLASSES,
    applied,
    assert_close,
    assert_identical,
    cells,
    is_float,
    last_layer_tolerance,
)

RUNS = 3


# Where a rule applies


def takes_part(*cell):
    try:
        return applied(*cell)
    except UserError:
        return None


@pytest.mark.parametrize("name", rules.names())
def test_a_rule_refuses_what_the_tables_say_and_nothing_else(name):
    for kind in KINDS:
        found = takes_part(name, kind, "bernoulli-cross-entropy")
        assert (found is None) == (kind in REFUSED.get(name, ()))
        same = (name, kind) == ("forward-forward", "single layer")  # nothing is put between layers
        assert found is None or found.own == (name in OWN_NETWORK and not same)
    assert (takes_part(name, "mlp", "categorical-cross-entropy") is None) == (name in TWO_CLASSES)
    assert ("binary" not in rules.get(name).tasks) == (name in SEVERAL_CLASSES)


def test_the_tables_name_registered_rules_and_every_rule_has_its_cells():
    assert {*REFUSED, *TWO_CLASSES, *SEVERAL_CLASSES, *OWN_NETWORK} <= set(rules.names())
    for kind in KINDS:
        expected = [name for name in rules.names() if kind not in REFUSED.get(name, ())]
        assert list(dict.fromkeys(name for name, _, _ in cells(kind))) == expected
    for loss in LOSSES:
        assert len({name for name, _, one in cells("mlp", "lenet") if one == loss}) > 5


# Trees, shapes and types


def once(rule, network, batch, key):
    """All that a training step asks of a rule, from its state to what it does after an update."""
    init_key, step_key = jr.split(key)
    trainables = rule.trainables(network, batch, key=init_key)
    state = rule.init(network, batch, key=init_key)
    credit = rule(trainables, state, batch, key=step_key)
    return credit, rule.after_update(trainables, credit.state), rule.feedback(trainables, state)


def ask(rule, network, batch, key):
    """What goes in and what comes out, as shapes and types; what went in is not touched, dictionaries included."""
    trainables, state = rule.trainables(network, batch, key=key), rule.init(network, batch, key=key)
    given, structure = jax.tree.flatten((trainables, state, batch))
    credit = rule(trainables, state, batch, key=key)
    after = rule.after_update(trainables, credit.state)
    metrics = rule.metrics(trainables, state, batch, before=trainables, after=after[0])
    now, same = jax.tree.flatten((trainables, state, batch))
    assert same == structure
    assert all(one is before for one, before in zip(now, given, strict=True))
    return trainables, state, credit, after, rule.feedback(trainables, state), metrics


traced = partial(jax.eval_shape, ask)


def like(tree):
    """Its shapes and types."""
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)


def narrow(tree):
    """Shapes and types of the tree in float32."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, "float32" if is_float(leaf) else leaf.dtype), tree)


ONE_OUTPUT = [(*cell[:2], "bernoulli-cross-entropy", "binary") for cell in cells("mlp") if cell[0] not in SEVERAL_CLASSES]


@pytest.mark.parametrize("cell", dict.fromkeys([*cells(*KINDS), *ONE_OUTPUT]), ids="-".join)
def test_gradient_state_and_updated_trainables_keep_their_trees(cell):
    rule, network, batch, _ = applied(*cell)
    trainables, state, credit, after, feedback, _ = traced(rule, network, batch, jr.key(0))
    assert isinstance(credit, Credit)
    assert credit.loss.shape == ()
    assert like(credit.gradients) == like(trainables)
    assert like(credit.state) == like(state)
    assert like(after) == like((trainables, state))
    for name, matrix in feedback.items():
        assert matrix.shape == network[name].weight.shape


@pytest.mark.parametrize("cell", cells("mlp", "lenet"), ids="-".join)
def test_numbers_and_single_metrics_are_float32_in_a_float32_network_whatever_the_rule_s_own_type(cell):
    """A rule that was built while x64 was on has float64 hyperparameters."""
    rule, network, batch, _ = applied(*cell)
    for one in (rule, narrow(rule)):
        found = traced(one, narrow(network), narrow(batch), jr.key(0))
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(found) if is_float(leaf)} == {"float32"}
    metrics = found[-1]
    assert bool(metrics) == (type(rule).metrics is not AbstractRule.metrics)
    assert all(value.shape == () and is_float(value) for value in metrics.values())
    assert not any(name.startswith(MEASURED) for name in metrics)


# Numbers


def exact(rule, network, batch, key):
    """Backpropagation's answer for the trainables of `once` and its key."""
    init_key, step_key = jr.split(key)
    return Backpropagation()(network_of(rule.trainables(network, batch, key=init_key)), None, batch, key=step_key)


class Cell(NamedTuple):
    """A rule with three networks, batches and keys; `compiled` runs them and `traces` counts; its first answer: `beside` each
    other, in a `loop`, and backpropagation's."""

    name: str
    rule: AbstractRule
    stack: tuple[Any, Any, Any]
    compiled: Any
    traces: list[int]
    beside: Any
    loop: Any
    exact: Any


@pytest.fixture(scope="module", params=cells("mlp", "lenet"), ids="-".join)
def cell(request):
    (rule, network, batch, _), traces, rng = applied(*request.param), [], np.random.default_rng(0)
    networks = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(leaf, 0.1, (RUNS, *leaf.shape))), network)
    inputs = jnp.asarray(np.stack([np.roll(batch.inputs, run, axis=0) for run in range(RUNS)]))
    targets = jnp.asarray(np.stack([batch.targets] * RUNS))
    stack = networks, dataclasses.replace(batch, inputs=inputs, targets=targets), jr.split(jr.key(2), RUNS)

    @jax.jit
    def compiled(rule, stack):
        traces.append(1)
        one_by_one = jax.lax.map(lambda run: (once(rule, *run), exact(rule, *run)), stack)
        return jax.vmap(partial(once, rule))(*stack), *one_by_one

    answers = jax.device_get(compiled(rule, stack))
    return Cell(request.param[0], rule, stack, compiled, traces, *answers)


def test_three_runs_side_by_side_are_a_loop(cell):
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(cell.loop[0].gradients))
    assert_close(cell.beside, cell.loop, ROUNDED.get(cell.name, 1e-10))


def test_the_loss_is_the_loss_and_the_last_layer_s_gradient_is_exact(cell):
    """Whatever happens on the way down, ∂E/∂W^L = δ^L (a^{L-1})ᵀ, for every rule that is about errors; below it, a rule that
    changes the way back has another gradient."""
    np.testing.assert_allclose(cell.loop[0].loss, cell.exact.loss, rtol=1e-12)
    tolerance, theirs = last_layer_tolerance(cell.name), cell.exact.gradients
    if tolerance is not None:
        ours, (*lower, last) = network_of(cell.loop[0].gradients), theirs.synaptic
        assert_close(ours[last], theirs[last], tolerance)
        for name in lower if tolerance == EXACT and cell.name != "backpropagation" else ():
            assert not np.allclose(ours[name].weight, theirs[name].weight, rtol=1e-3)


def test_other_numbers_are_the_same_program(cell):
    networks, batch, keys = cell.stack
    moved = jax.tree.map(lambda leaf: jnp.asarray(leaf + np.float64(0.25)), jax.device_get(networks))
    cell.compiled(cell.rule, (moved, batch, keys[::-1]))
    assert len(cell.traces) == 1


def test_a_new_hyperparameter_is_the_same_program_and_another_answer(cell):
    """Half of it, or a twentieth where it is 0."""
    leaves, structure = jax.tree.flatten(cell.rule)
    named = [path[0].name for path, _ in jax.tree_util.tree_leaves_with_path(cell.rule)]
    for i, leaf in enumerate(leaves):
        assert isinstance(leaf, jax.Array)
        if named[i] in AT_THE_END.get(cell.name, ()):
            continue
        other = jnp.asarray(np.where(leaf == 0, 0.05, 0.5 * np.asarray(leaf)))
        answer = cell.compiled(structure.unflatten([*leaves[:i], other, *leaves[i + 1 :]]), cell.stack)[0]
        pairs = zip(jax.tree.leaves(answer), jax.tree.leaves(cell.beside), strict=True)
        assert not all(np.array_equal(a, b) for a, b in pairs)
    assert len(cell.traces) == 1


def test_a_diverged_run_leaves_the_others_alone(cell):
    networks, batch, keys = cell.stack
    broken = jax.tree.map(np.array, networks)
    for leaf in jax.tree.leaves(broken):
        leaf[1] = np.nan
    answer = jax.device_get(cell.compiled(cell.rule, (jax.tree.map(jnp.asarray, broken), batch, keys))[0])
    assert np.isnan(answer[0].loss[1])
    others = lambda tree: jax.tree.map(lambda leaf: leaf[[0, 2]], tree)
    assert_identical(others(answer), others(cell.beside))
    assert len(cell.traces) == 1


@jax.jit
def answer_and_exact(rule, network, batch, key):
    return once(rule, network, batch, key)[0], exact(rule, network, batch, key)


@pytest.mark.parametrize("cell", cells("single layer"), ids="-".join)
def test_a_single_layer_gets_its_credit(cell):
    rule, network, batch, _ = applied(*cell)
    credit, theirs = answer_and_exact(rule, network, batch, jr.key(0))
    tolerance = last_layer_tolerance(cell[0])
    assert len(network.synaptic) == 1
    if tolerance is not None:
        assert_close(network_of(credit.gradients), theirs.gradients, tolerance)


@pytest.mark.parametrize("cell", [one for one in cells("noisy") if one[0] not in OWN_NETWORK], ids="-".join)
def test_every_rule_that_leaves_dropout_and_normalization_in_meets_the_same_mask_and_moves_the_statistics(cell):
    """The last layer's gradient is exact under every rule that is about errors, so any difference is another mask."""
    rule, network, batch, _ = applied(*cell)
    batch = dataclasses.replace(batch, network_state=network.initial_state())
    (credit, theirs), (other, _) = (answer_and_exact(rule, network, batch, jr.key(i)) for i in range(2))
    last, tolerance = network.synaptic[-1], last_layer_tolerance(cell[0])
    np.testing.assert_allclose(credit.loss, theirs.loss, rtol=1e-12)
    if tolerance is not None:
        assert_close(network_of(credit.gradients)[last], theirs.gradients[last], tolerance)
    assert float(credit.loss) != float(other.loss)
    z = np.asarray(batch.inputs) @ np.asarray(network["linear1"].weight).T + np.asarray(network["linear1"].bias)
    np.testing.assert_allclose(credit.network_state[1][0], 0.1 * z.mean(axis=0), rtol=1e-12)


RELAXED = ("relaxed-identity", "relaxed-identity-as-published", "relaxed-identity-transient", "predictive-coding")
STEPS = ("finite-differences", "weight-perturbation", "node-perturbation")
ELSEWHERE = (*OWN_NETWORK, *RELAXED, *STEPS, "equilibrium-propagation", "local-error", "direct-random-target-projection")
"""The rules that ask the loss more than its error at the output, or the target itself: each loss in tests/references and
tests/limits."""


@pytest.mark.parametrize("name", [name for name in rules.names() if name not in ELSEWHERE])
def test_of_the_loss_only_its_error_at_the_output_enters(name):
    """Where the squared error's targets are such that y - t is that of a cross entropy, so is every gradient: one loss in
    the other tests stands for all."""
    rule, network, batch, _ = applied(name, "mlp", "categorical-cross-entropy")

    @jax.jit
    def gradients(network, batch, key):
        z = record(network, batch.inputs)[0].output
        found = []
        for loss in (losses.CATEGORICAL_CROSS_ENTROPY, losses.BERNOULLI_CROSS_ENTROPY):
            for moved in (False, True):
                one = dataclasses.replace(batch, loss=loss)
                if moved:
                    error = z.shape[0] * loss.mean_and_error(z, batch.targets)[1]
                    one = dataclasses.replace(batch, targets=z - error, loss=losses.SQUARED_ERROR)
                found.append(once(rule, network, one, key)[0].gradients)
        return found

    categorical, as_one, bernoulli, as_other = gradients(network, batch, jr.key(0))
    assert_close(as_one, categorical, 1e-12)
    assert_close(as_other, bernoulli, 1e-12)


# Hyperparameters


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
