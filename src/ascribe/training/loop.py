"""The training loop, written once, for every rule and every optimizer.

One run is a function of (rule, learning rate, seed, data); `advance` moves it over epochs. The functions here know
nothing of runs side by side: `devices.py` maps them over the run axis.
"""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from ascribe.errors import UserError
from ascribe.measures import LOSS_RATIO, MEASURES, Measure, main_among, score_name
from ascribe.metrics import feedback_alignment, gradient_alignment
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, Batch, Credit, Trainables, gradient_and_terms, hooks, network_of
from ascribe.setup import Setup
from ascribe.types import Array, Key, PyTree

from .augmentations import augment
from .batches import epoch_indices, one_batch
from .evaluate import Examples, evaluate
from .freezing import one_layer, only_layer
from .mesh import split
from .moments import moments, snr_and_bias
from .optimizers import examples_axis, factory, transformation
from .seeds import streams

NetworkSource = Network | Callable[..., Network]
"""A template, which is initialized anew for every seed, or a factory `key -> Network`."""

PROBE = 32
"""The least number of examples on which gradients are compared."""

AUGMENTATION = 2**31
"""The number of the augmentations' stream among those of the batches; the others are numbers of epochs, all smaller."""


class Best(eqx.Module):
    """What was trained, at the best epoch so far, judged on validation: better `score` (turned so that higher is), then lower
    `loss`."""

    trainables: Any
    network_state: PyTree
    rule_state: PyTree
    score: Array
    loss: Array


class Curve(eqx.Module):
    """One value an epoch, and whether it is a number: where there is none, `values` has 0.

    A run that has not been so far, an angle to a gradient of zero: such gaps are NaN for everybody outside (`numbers`), and not
    in programs, so that JAX's search for NaNs (`jax_debug_nans`) finds those of the computation alone.
    """

    values: Array
    known: Array

    def at(self, epoch: Array, value: Array) -> "Curve":
        """The curve with the value of an epoch, which may be NaN."""
        known = ~jnp.isnan(value)
        value = jnp.where(known, value, jnp.zeros_like(value)).astype(self.values.dtype)
        return Curve(self.values.at[epoch].set(value), self.known.at[epoch].set(known))

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Curve":
        """The curve of these values, NaN where there is none."""
        known = ~np.isnan(numbers)
        return cls(jnp.asarray(np.where(known, numbers, np.zeros_like(numbers))), jnp.asarray(known))

    def numbers(self) -> np.ndarray:
        """The values, NaN where there is none; outside of programs."""
        values = np.asarray(self.values)
        return np.where(np.asarray(self.known), values, np.asarray(np.nan, values.dtype))


class RunState(eqx.Module):
    """Everything that changes in a run. `diverged_at`: the first epoch with a number that is not finite, or -1;
    `curves`: unknown where the run has not been yet."""

    trainables: Any
    network_state: PyTree
    rule_state: PyTree
    optimizer_state: PyTree
    diverged_at: Array
    curves: dict[str, Curve]
    best: Best | None


class Run(eqx.Module):
    """What tells runs of one program apart: the rule's array leaves, the learning rate, the seed."""

    rule: AbstractRule
    learning_rate: Array
    seed: Array


class Data(eqx.Module):
    """The training and validation examples on the device. The test examples never come here."""

    train: Examples
    validation: Examples


def new_network(source: NetworkSource, seed: Array) -> Network:
    """The network that every rule meets for this seed."""
    key = streams(seed).network
    return source.initialize(key) if isinstance(source, Network) else source(key)


def initialize(setup: Setup, network: Network, run: Run, data: Data, curves: Collection[str] | None = None) -> RunState:
    """The state before the first step. `curves`: the names of all of them, where somebody has traced what is measured
    already."""
    keys = streams(run.seed)
    everything = all_examples(setup, data)
    rule_keys = jr.split(keys.rule, 3)
    trainables: Any = hooks.trainables(run.rule, network, everything, key=rule_keys[0])
    if setup.augmentations and getattr(trainables, "auxiliary", None) is not None:
        raise UserError(
            f"{type(run.rule).__name__} keeps activations of every training image, and {setup.augmentations[0]} makes "
            f"another image of it in every step: leave out one of the two."
        )
    rule_state = hooks.init(run.rule, network, everything, key=rule_keys[1])
    optimizer = transformation(factory(setup.optimizer), run.learning_rate)
    dtype = network.dtype
    moments, never = optimizer.init(trainables), jnp.asarray(-1, jnp.int32)
    state = RunState(trainables, network.initial_state(), rule_state, moments, never, {}, None)
    if curves is None:
        measured = eqx.filter_eval_shape(lambda: measure(setup, run, state, data, jr.key(0), before=trainables))
        curves = ("train_loss", *measured)
    empty = Curve(jnp.zeros(setup.epochs, dtype), jnp.zeros(setup.epochs, bool))
    low = jnp.asarray(-jnp.inf, dtype)
    best = Best(trainables, state.network_state, rule_state, low, -low) if setup.select == "best-validation" else None
    return dataclasses.replace(state, curves=dict.fromkeys(curves, empty), best=best)


def rehearse(setup: Setup, network: Network, run: Run, data: Data) -> RunState:
    """The state before the first step, after a look at every hook that the rule has: for `jax.eval_shape`, before anything is
    compiled. (With diagnostics, `initialize` has called it for its credit already.)"""
    state, kind = initialize(setup, network, run, data), type(run.rule)
    indices = jnp.arange(setup.batch_size)
    here = of_batch(state, data, indices)
    if not setup.diagnostics:
        credit_of(run.rule, here, take(setup, data, indices, state.network_state), jr.key(0))
    if kind.after_update is not AbstractRule.after_update:
        hooks.after_update(run.rule, here.trainables, here.rule_state)
    if run.rule.acts_between_epochs:
        between_epochs(setup, run, state, data, jnp.asarray(0))
    if run.rule.finishes:
        conclude(setup, run, state, data)
    return state


def advance(setup: Setup, run: Run, state: RunState, data: Data, start: Array, stop: Array) -> RunState:
    """The epochs from `start` up to but without `stop`. Both are data, so every chunk runs the same program."""
    return jax.lax.fori_loop(start, stop, lambda epoch, s: _epoch(setup, run, s, data, epoch), state)


def _epoch(setup: Setup, run: Run, state: RunState, data: Data, epoch: Array) -> RunState:
    keys, before = streams(run.seed), state.trainables
    batches = epoch_indices(jr.fold_in(keys.batches, epoch), data.train.inputs.shape[0], setup.batch_size)
    state, loss = one_pass(setup, run, state, data, epoch, batches)
    if run.rule.acts_between_epochs:
        state = between_epochs(setup, run, state, data, epoch)
    measured = measure(setup, run, state, data, jr.fold_in(epoch_key(run, epoch), len(batches)), before=before)
    found = {"train_loss": loss, **measured}
    finite = jnp.isfinite(found["train_loss"]) & jnp.isfinite(found["validation_loss"])
    diverged_at = jnp.where((state.diverged_at < 0) & ~finite, epoch.astype(jnp.int32), state.diverged_at)
    curves = {name: curve.at(epoch, found[name]) for name, curve in state.curves.items()}
    state = dataclasses.replace(state, diverged_at=diverged_at, curves=curves)
    return state if state.best is None else dataclasses.replace(state, best=_better(setup, state, found))


def one_pass(
    setup: Setup,
    run: Run,
    state: RunState,
    data: Data,
    epoch: Array,
    batches: Array,
    count: Array | None = None,
    *,
    first: Array | int = 0,
) -> tuple[RunState, Array]:
    """The steps of an epoch, and nothing of what is measured or done after them. Returns the mean of their losses.

    `batches`: the examples of every step, `(steps, batch)`; with a `count`, only of so many from the `first`, so that one
    program serves any number of steps. Examples that are in no batch are never looked at.
    """
    images_key = jr.fold_in(jr.fold_in(streams(run.seed).batches, AUGMENTATION), epoch)  # the same for every rule
    own_key = epoch_key(run, epoch)

    def one_step(state: RunState, item: tuple[Array, Array]) -> tuple[RunState, Array]:
        indices, number = item
        changed = jr.fold_in(images_key, number) if setup.augmentations else None
        return step(setup, run, state, data, indices, jr.fold_in(own_key, number), augmentation=changed)

    if len(batches) == 1:  # a loop of one step would only copy its state
        return one_step(state, (batches[0], jnp.asarray(0)))
    if count is None:
        state, losses = jax.lax.scan(one_step, state, (batches, jnp.arange(len(batches))))
        return state, jnp.mean(losses)

    def next_step(number: Array, both: tuple[RunState, Array]) -> tuple[RunState, Array]:
        state, loss = one_step(both[0], (batches[number], number))
        return state, both[1] + loss

    dtype = network_of(state.trainables).dtype
    state, total = jax.lax.fori_loop(first, first + count, next_step, (state, jnp.zeros((), dtype)))
    return state, total / count.astype(dtype)


def epoch_key(run: Run, epoch: Array) -> Key:
    """The rule's randomness in this epoch; its steps fold in their numbers."""
    return jr.fold_in(jr.split(streams(run.seed).rule, 3)[2], epoch)


def between_epochs(setup: Setup, run: Run, state: RunState, data: Data, epoch: Array) -> RunState:
    """What the rule does before the next epoch; after the last one it has `finish`."""

    def act(both: tuple[Any, PyTree]) -> tuple[Any, PyTree]:
        trainables, rule_state = hooks.after_epoch(run.rule, *both, all_examples(setup, data), epoch=epoch)
        return only_layer(setup.only, trainables, both[0]), rule_state

    both = (state.trainables, state.rule_state)
    both = jax.lax.cond(epoch + 1 < setup.epochs, act, lambda same: same, both)
    return dataclasses.replace(state, trainables=both[0], rule_state=both[1])


def step(
    setup: Setup, run: Run, state: RunState, data: Data, indices: Array, key: Key, *, augmentation: Key | None = None
) -> tuple[RunState, Array]:
    """One mini-batch: the rule's credit, the optimizer's step, the rule's own after-update. Returns the loss before it.
    `augmentation`: the randomness of the batch's images; without it, they are as they are stored."""
    batch = take(setup, data, indices, state.network_state)
    if augmentation is not None:
        images = augment(setup.augmentations, batch.inputs, augmentation, black=setup.black)
        batch = dataclasses.replace(batch, inputs=images)
    whole, state = state, of_batch(state, data, indices)
    credit = credit_of(run.rule, state, batch, key)
    # The optimizer sees no gradient of a frozen layer, so that what it sums over all of them is of the free one.
    gradients = only_layer(setup.only, credit.gradients, jax.tree.map(jnp.zeros_like, credit.gradients))
    optimizer = transformation(factory(setup.optimizer), run.learning_rate)
    trainables, optimizer_state = moved(optimizer, state.trainables, gradients, state.optimizer_state, credit.loss)
    trainables, rule_state = hooks.after_update(run.rule, only_layer(setup.only, trainables, state.trainables), credit.state)
    trainables = only_layer(setup.only, trainables, state.trainables)  # no decay of the optimizer or of the rule
    statistics = state.network_state if credit.network_state is None else credit.network_state
    own = {"rule_state": rule_state, "optimizer_state": optimizer_state, "network_state": statistics}
    state = dataclasses.replace(state, trainables=trainables, **own)
    return into_whole(whole, state, data, indices), credit.loss


def moved(
    optimizer: optax.GradientTransformationExtraArgs, trainables: PyTree, gradients: PyTree, state: PyTree, loss: Array
) -> tuple[PyTree, PyTree]:
    """The optimizer's step: the trainables after it, and the optimizer's own state."""
    with jax.numpy_dtype_promotion("standard"):  # Optax raises floats to integer powers, which strict promotion forbids
        updates, state = optimizer.update(gradients, state, trainables, value=loss)
    return optax.apply_updates(trainables, updates), state


def of_batch(state: RunState, data: Data, indices: Array) -> RunState:
    """The state with only the rows of the batch's examples."""
    if not _is_part(state, data, indices):
        return state
    return _with_rows(state, jax.tree.map(lambda leaf: jnp.take(leaf, indices, axis=examples_axis(leaf)), _rows(state)))


def into_whole(whole: RunState, moved: RunState, data: Data, indices: Array) -> RunState:
    """The state after a step on a batch; the rows of all other examples are as they were."""
    if not _is_part(whole, data, indices):
        return moved

    def put(leaf: Array, rows: Array) -> Array:
        place = leaf.at[:, indices] if examples_axis(leaf) else leaf.at[indices]
        return place.set(rows, unique_indices=True)

    return _with_rows(moved, jax.tree.map(put, _rows(whole), _rows(moved)))


def _is_part(state: RunState, data: Data, indices: Array) -> bool:
    """Whether there are auxiliaries, and the batch has not all of them. (A full batch keeps the data's order.)"""
    auxiliary = state.trainables.auxiliary if isinstance(state.trainables, Trainables) else None
    return auxiliary is not None and indices.shape[0] < data.train.inputs.shape[0]


def _rows(state: RunState) -> tuple[PyTree, PyTree]:
    """Everything that there is once for every training example: the auxiliaries, and what the optimizer knows of them."""
    return state.trainables.auxiliary, state.optimizer_state[1]


def _with_rows(state: RunState, rows: tuple[PyTree, PyTree]) -> RunState:
    trainables = dataclasses.replace(state.trainables, auxiliary=rows[0])
    return dataclasses.replace(state, trainables=trainables, optimizer_state=(state.optimizer_state[0], rows[1]))


def credit_of(rule: AbstractRule, state: RunState, batch: Batch, key: Key) -> Credit:
    """The rule's credit, or a `UserError` where it returned something else, or a gradient or state of another shape."""
    return hooks.credit(rule, state.trainables, state.rule_state, batch, key=key)


def measure(setup: Setup, run: Run, state: RunState, data: Data, key: Key, *, before: Any) -> dict[str, Array]:
    """Validation scores and, on a fixed probe batch (the first training examples), how the rule's gradient lies to
    backpropagation's, and the rule's own metrics; where it is asked for, the quality of the rule's credit. Weights, gradients
    and feedback are all those of one moment: after the epoch's last step. `before`: the trainables when the epoch began."""
    network = network_of(state.trainables)
    also = () if setup.score is None else (setup.score,)
    asked = answering(run.rule, state.trainables, state.rule_state, state.network_state, data)
    scores = evaluate(*asked, data.validation, setup.loss, also=also)
    found = {score_name("validation", name): value for name, value in scores.items()}
    if setup.diagnostics:
        count = _probe_size(setup, data)
        indices = jnp.arange(count)
        probe = take(setup, data, indices, state.network_state)
        ours = credit_of(run.rule, of_batch(state, data, indices), probe, key)
        theirs, terms = gradient_and_terms(network, probe, key=key)
        found |= gradient_alignment(network_of(ours.gradients), theirs.gradients, terms)
        if hooks.is_own(run.rule):
            found[LOSS_RATIO] = ours.loss / theirs.loss
        found |= feedback_alignment(network, hooks.feedback(run.rule, network, state.trainables, state.rule_state))
        found |= _own_metrics(setup, run, state, data, key, before)
    if setup.quality:
        draw = lambda number: _drawn(setup, run, state, data, jr.fold_in(key, number))
        found |= snr_and_bias(moments(draw, setup.quality), setup.quality)
    return found


def _drawn(setup: Setup, run: Run, state: RunState, data: Data, key: Key) -> tuple[Network, Network]:
    """What `both_credits` gives for a batch of its own."""
    batch, own = jr.split(key)
    indices = one_batch(batch, data.train.inputs.shape[0], setup.batch_size)
    return both_credits(setup, run, state, data, indices, own)


def both_credits(setup: Setup, run: Run, state: RunState, data: Data, indices: Array, key: Key) -> tuple[Network, Network]:
    """The rule's credit of the network's parameters, and backpropagation's, for these examples and with the same dropout."""
    batch = take(setup, data, indices, state.network_state)
    ours = credit_of(run.rule, of_batch(state, data, indices), batch, key)
    theirs = Backpropagation()(network_of(state.trainables), None, batch, key=key)
    return network_of(ours.gradients), theirs.gradients


def _probe_size(setup: Setup, data: Data) -> int:
    """As many examples as a batch has, and more where that is too few to tell a direction from."""
    return min(max(setup.batch_size, PROBE), data.train.inputs.shape[0])


def deciding(score: str | None, names: Collection[str]) -> Measure:
    """The measure of that name; where none was chosen, the main one of the task whose curves have these names."""
    return main_among(names, "validation") if score is None else MEASURES[score]


def _own_metrics(setup: Setup, run: Run, state: RunState, data: Data, key: Key, before: Any) -> dict[str, Array]:
    """What the rule measures of itself. The step on the probe batch is tried for it, and not taken."""
    if type(run.rule).metrics is AbstractRule.metrics:
        return {}
    count = _probe_size(setup, data)
    indices = jnp.arange(count)
    tried, _ = step(setup, run, state, data, indices, key)
    probe = take(setup, data, indices, state.network_state)
    rows = lambda one: of_batch(dataclasses.replace(state, trainables=one), data, indices).trainables
    moments = {"before": rows(before), "after": rows(tried.trainables)}
    return hooks.metrics(run.rule, rows(state.trainables), state.rule_state, probe, **moments)


def take(setup: Setup, data: Data, indices: Array, network_state: PyTree) -> Batch:
    """The training examples of these indices, as a batch."""
    train = data.train
    inputs, targets = split((train.inputs[indices], train.targets[indices]))
    return Batch(inputs, targets, setup.loss, indices, network_state)


def all_examples(setup: Setup, data: Data) -> Batch:
    """The whole training set as one batch: what `rule.init` and `rule.finish` see."""
    train = data.train
    return Batch(train.inputs[:], train.targets, setup.loss, jnp.arange(train.inputs.shape[0]))


def answering(
    rule: AbstractRule, trainables: Any, rule_state: PyTree, network_state: PyTree, data: Data
) -> tuple[Network, PyTree]:
    """The network that answers new inputs, the rule's `predictor`, and its normalization statistics."""
    network = network_of(trainables)
    if not rule.predicts:
        return network, network_state
    found = hooks.predictor(rule, trainables, rule_state)
    same = found.config() == network.config()
    return found.located(data.train.inputs.shape[1:]), network_state if same else found.initial_state()


def conclude(setup: Setup, run: Run, state: RunState, data: Data) -> tuple[Network, PyTree, Network | None]:
    """The network that prediction uses, of the last or of the best epoch, after the rule's `finish`; its normalization
    statistics; and the network before `finish`, None for a rule that leaves that to `AbstractRule`."""
    if state.best is None:
        trainables, network_state, rule_state = state.trainables, state.network_state, state.rule_state
    else:
        trainables, network_state, rule_state = state.best.trainables, state.best.network_state, state.best.rule_state
    network, network_state = answering(run.rule, trainables, rule_state, network_state, data)
    if not run.rule.finishes:
        return network, network_state, None
    finished = hooks.finish(run.rule, trainables, rule_state, all_examples(setup, data), network=network)
    if setup.only is not None and not run.rule.predicts:
        finished = one_layer(setup.only, finished, network)
    return finished, network_state, network


def _better(setup: Setup, state: RunState, found: dict[str, Array]) -> Best:
    assert state.best is not None
    measure = deciding(setup.score, found)
    score = measure.worth(found[score_name("validation", measure.name)])
    loss = found["validation_loss"]
    better = (score > state.best.score) | ((score == state.best.score) & (loss < state.best.loss))
    new = Best(state.trainables, state.network_state, state.rule_state, score, loss)
    return jax.tree.map(lambda new, old: jnp.where(better, new, old), new, state.best)
