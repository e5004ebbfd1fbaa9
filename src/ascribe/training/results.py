"""Finished runs as users see them: their curves side by side, their scores, what is to be noted."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ascribe import rules
from ascribe.datasets import Dataset
from ascribe.errors import names_in_words
from ascribe.files import short
from ascribe.measures import before_finish, measure_for, measures_of, not_measurable, score_name
from ascribe.networks import Network
from ascribe.rules import hooks
from ascribe.rules.tools.verify import notes as equality
from ascribe.types import PyTree

from . import class_maps, devices, loop
from .driver import first_runs
from .evaluate import CONFUSION, RANKED, judged
from .examples import examples_of
from .experiment import Experiment
from .keeping import Kept
from .mesh import RUNS, replicate, spread, whole
from .progress import tell
from .recipe import Specification
from .runs import Runs, area_scores, flat_confusion, split_confusion
from .trainer import Trainer

MOST_CLASSES = 20
"""Classes up to which every one is ranked against the others, and a confusion matrix is kept, without being asked for."""

Networks = tuple[Network, PyTree, Network | None]
"""Trained networks, their normalization statistics, and the networks before the rule's `finish` where it has its own; a leading
axis of runs on every array."""


def curves_of(parts: Sequence[Kept]) -> dict[str, np.ndarray]:
    """Every curve, `(runs, epochs)`."""
    return {name: np.stack([part.curves[name] for part in parts]) for name in parts[0].curves}


def diverged_at(parts: Sequence[Kept]) -> np.ndarray:
    """The epoch in which each run diverged, or -1, `(runs,)`."""
    return np.asarray([part.diverged_at for part in parts], np.int32)


def networks_of(experiment: Experiment, parts: Sequence[Kept]) -> Networks:
    """What was kept of all of these runs beside their curves."""
    one, own_finish = experiment.predicting, experiment.recipe.rule.finishes
    structure = jax.tree.structure((one, one.initial_state(), one if own_finish else None))
    leaves = [part.networks or [] for part in parts]
    return jax.tree.unflatten(structure, [np.stack(same) for same in zip(*leaves, strict=True)])


def validation_scores(experiment: Experiment, parts: Sequence[Kept]) -> dict[str, np.ndarray]:
    """The validation scores of the finished networks, `(runs,)`."""
    score = experiment.recipe.setup.score
    return _scores(experiment, "validation", networks_of(experiment, parts)[:2], () if score is None else (score,))


def runs_of(
    trainer: Trainer,
    specifications: Sequence[Specification],
    parts: Sequence[Kept],
    data: Dataset,
    notes: tuple[str, ...] = (),
) -> Runs:
    """The runs on the data as users see it: without the rule's own encoding. The test split is looked at here, once. A diverged
    run keeps its curves and has NaN for scores."""
    experiment, recipe = trainer.experiment, trainer.recipe
    curves, diverged, networks = curves_of(parts), diverged_at(parts), networks_of(experiment, parts)
    tested, confusion = split_confusion(_tested(trainer, specifications, parts, networks))
    values = {**tested, **area_scores(curves)}
    scores = {name: np.where(diverged >= 0, np.nan, value) for name, value in values.items()}
    own = (
        *_prediction(experiment),
        *_equality(experiment, curves),
        *_measurable(curves),
        *_note_before_finish(recipe.data.task, recipe.setup.score, scores),
    )
    runs = Runs(
        rule=recipe.name,
        rule_settings=short(rules.settings(recipe.rule)),
        data=data,
        loss=recipe.loss.name,
        network=experiment.predicting,
        seeds=tuple(one.seed for one in specifications),
        learning_rates=np.asarray([one.learning_rate for one in specifications]),
        hyperparameters=dict(specifications[0].hyperparameters),
        curves=curves,
        scores=scores,
        diverged_at=diverged,
        networks=networks[0],
        states=networks[1],
        seconds=sum(part.seconds for part in parts),
        compile_seconds=experiment.compile_seconds,
        optimizer=recipe.setup.recorded()["optimizer"],
        notes=(*recipe.notes, *notes, *own, *_own_notes(experiment, curves, diverged)),
        encoding=recipe.encoding,
        score=recipe.setup.score,
        confusion=confusion,
        class_maps=class_maps.side_by_side([part.class_maps or {} for part in parts]),
    )
    tell(trainer.listener, "finished", runs)
    return runs


def _tested(
    trainer: Trainer, specifications: Sequence[Specification], parts: Sequence[Kept], networks: Networks
) -> dict[str, np.ndarray]:
    """The test scores, `(runs,)`, as they are kept, or else measured: every measure of the task; with more than `MOST_CLASSES`
    only what does not grow with them, and what was chosen."""
    kept = [part.scores for part in parts if part.scores is not None]
    if len(kept) == len(parts):
        return {name: np.asarray([scores[name] for scores in kept]) for name in kept[0]}
    data, chosen = trainer.recipe.data, trainer.recipe.setup.score
    also = measures_of(data.task)
    if data.classes > MOST_CLASSES:
        also = tuple(name for name in also if name not in RANKED or name == chosen)
    elif data.classes:
        also = (*also, CONFUSION)
    finished, states, before = networks
    found = _scores(trainer.experiment, "test", (finished, states), also)
    if before is not None:
        earlier = split_confusion(_scores(trainer.experiment, "test", (before, states), also))[0]
        found |= {before_finish(name): value for name, value in earlier.items()}
    found = {name: np.asarray(value, np.float64) for name, value in found.items()}
    if trainer.keeper.keeps:
        rows = [{name: float(value[row]) for name, value in found.items()} for row in range(len(parts))]
        keys = map(trainer.identity.finished_key, specifications)
        trainer.keeper.score(dict(zip(keys, rows, strict=True)))
    return found


def _scores(
    experiment: Experiment, split: str, networks: tuple[Network, PyTree], also: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Of every run's network on a split, as many at a time as the experiment is wide."""
    data, template, width = examples_of(experiment.data, split), experiment.predicting, experiment.width
    part, targets = replicate(data, experiment.mesh), np.asarray(data.targets)
    scores = []
    for start in range(0, len(jax.tree.leaves(networks)[0]), width):
        shard = jax.tree.map(lambda leaf, start=start: leaf[start : start + width], networks)
        count = len(jax.tree.leaves(shard)[0])
        rows = np.minimum(np.arange(width), count - 1)  # the last one fills up the shard
        filled = jax.tree.map(lambda leaf, rows=rows: leaf[rows], shard)
        filled = spread(filled, experiment.mesh, RUNS)
        both = devices.evaluate_runs(experiment.recipe.loss, experiment.mesh, experiment.in_turn, filled, part, also)
        values, answers = first_runs(count, whole(both))
        if answers is not None:
            one = lambda row, kept=answers: jax.tree.map(lambda leaf: leaf[row], kept)
            judgments = [judged(one(row), targets, template, values["loss"][row], also=also) for row in range(count)]
            values |= {name: np.stack([row[name] for row in judgments]) for name in judgments[0]}
        scores.append(flat_confusion({score_name(split, name): value for name, value in values.items()}))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *scores)


def _note_before_finish(task: str, chosen: str | None, scores: dict[str, np.ndarray]) -> tuple[str, ...]:
    """What a rule's `finish` did to the test score, where it did something."""
    measure = measure_for(task, chosen)
    score = score_name("test", measure.name)
    before, after = scores.get(before_finish(score)), scores[score]
    if before is None or np.array_equal(before, after, equal_nan=True) or not np.isfinite(after).any():
        return ()
    mean = np.nanmean(before)
    text = f"{100 * mean:.1f} %" if measure.percent else f"{mean:.4g}"
    return (f"mean {score.replace('_', ' ')} before its last pass {text}",)


def _measurable(curves: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Where no angle could be measured: always, or in some epochs."""
    shares = not_measurable(curves)
    always = [name for name, share in shares.items() if share == 1]
    sometimes = [name for name in shares if name not in always]
    parts = ((always, ""), (sometimes, " in some epochs"))
    return tuple(
        f"gradient angle not measurable in {names_in_words(names)}{when}: backpropagation's gradient is lost in rounding there"
        for names, when in parts
        if names
    )


def _equality(experiment: Experiment, curves: dict[str, np.ndarray]) -> tuple[str, ...]:
    """Where the rule is backpropagation. Once for all runs of a rule, by a trace and by their curves."""
    setup, statistics = experiment.recipe.setup, experiment.template.initial_state()
    indices = jnp.arange(setup.batch_size)
    batch = jax.eval_shape(lambda data: loop.take(setup, data, indices, statistics), experiment.device_data)
    with experiment.blamed():
        return equality(experiment.recipe.rule, experiment.template, batch, curves, only=setup.only)


def _prediction(experiment: Experiment) -> tuple[str, ...]:
    """How new inputs are answered, where that is not by the trained network's forward pass."""
    if experiment.predicting.config() == experiment.template.config():
        return ()
    return (f"predicts by {experiment.predicting}, in place of the trained network's forward pass",)


def _own_notes(experiment: Experiment, curves: dict[str, np.ndarray], diverged: np.ndarray) -> tuple[str, ...]:
    finished = diverged < 0
    own = {name: curve[finished] for name, curve in curves.items()}
    return hooks.notes(experiment.recipe.rule, experiment.recipe.name, own) if finished.any() else ()
