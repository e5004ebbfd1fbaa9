"""Several comparisons as one."""

import dataclasses
import itertools
from collections.abc import Collection, Mapping
from typing import Any

import jax
import numpy as np

from ascribe.errors import UserError
from ascribe.measures import main_score
from ascribe.search import Tuning
from ascribe.setup import deciding
from ascribe.training import Runs

from .comparison import Comparison


def merge(*comparisons: Comparison) -> Comparison:
    """Several comparisons on the same data as one, for one table and one page.

    A rule that was trained in the same way in several (settings, network, rate, epochs) has the seeds of all of them, each
    once; one that was trained otherwise gets a row of its own, `backpropagation (2)`. The reference, and a loss landscape, are
    the first one's. Controls are kept where network and settings are the same in all: they belong to one way of training. The
    configuration's `original_names` say which rule a numbered row is of, so that a later merge finds it.

    Of cross-validations, every fold is merged with that of the others.

    **Raises:** `UserError` where there is nothing to merge, or the data differ, or how they are divided.
    """
    if not comparisons:
        raise UserError("merge takes comparisons, at least one: as ascribe.load(folder) gives them.")
    first = comparisons[0]
    if any(one.folds for one in comparisons):
        return _in_folds(comparisons)
    runs: dict[str, Runs] = {}
    ways: dict[str, str] = {}
    original: dict[str, str] = {}  # the rule of each row, by the name that it has in its own comparison
    tuning: dict[str, Tuning] = {}
    for one in comparisons:
        ours, theirs = ((each.configuration.get("data") or {}).get("checksum") for each in (first, one))
        if ours != theirs:
            raise UserError(
                f"comparisons on one page are on the same data; these are on {first.data.name} ({str(ours)[:8]}…) and "
                f"{one.data.name} ({str(theirs)[:8]}…)."
            )
        before = one.configuration.get("original_names") or {}
        for row, its in one.runs.items():
            rule, way = before.get(row, row), _way(its, one.configuration)
            known = [name for name in runs if ways[name] == way and original[name] == rule]
            if known:
                runs[known[0]] = _with_seeds(runs[known[0]], its)
                continue
            name = _free_name(rule, runs)
            runs[name], ways[name], original[name] = dataclasses.replace(its, rule=name), way, rule
            if row in one.tuning:
                tuning[name] = one.tuning[row]
    configuration = dict(first.configuration)
    different = [
        name
        for name in (*deciding(configuration), "network")
        if any(one.configuration.get(name) != first.configuration.get(name) for one in comparisons)
    ]
    configuration |= dict.fromkeys(different)
    controls = {} if different else _controls(comparisons, runs)
    tuning |= {name: one.tuning[name] for one in comparisons[::-1] for name in controls if name in one.tuning}
    seeds = sorted({seed for its in runs.values() for seed in its.seeds})
    configuration |= {
        "rules": list(runs),
        "controls": list(controls),
        "seeds": seeds,
        "merged": [one.configuration for one in comparisons],
    }
    configuration["original_names"] = {name: rule for name, rule in original.items() if name != rule}
    return Comparison(first.data, runs, tuning, configuration, first.landscape, controls=controls)


def _controls(comparisons: tuple[Comparison, ...], taken: Collection[str]) -> dict[str, Runs]:
    """The controls of comparisons with one network and the same settings; where tuned rates differ, the first's."""
    found: dict[str, Runs] = {}
    ways: dict[str, str] = {}
    for one in comparisons:
        for name, its in one.controls.items():
            way = _way(its, one.configuration)
            if name not in found and name not in taken:
                found[name], ways[name] = its, way
            elif ways.get(name) == way:
                found[name] = _with_seeds(found[name], its)
    return found


def _in_folds(comparisons: tuple[Comparison, ...]) -> Comparison:
    """Several cross-validations as one."""
    first = comparisons[0]
    for one in comparisons:
        if len(one.folds) != len(first.folds):
            words = [f"{len(each.folds)} folds" if each.folds else "none" for each in (first, one)]
            raise UserError(f"comparisons on one page have the same folds; these have {words[0]} and {words[1]}.")
    folds = [merge(*fold) for fold in zip(*(one.folds for one in comparisons), strict=True)]
    uneven = [name for fold in folds for name in fold.runs if any(name not in other.runs for other in folds)]
    if uneven:
        raise UserError(
            f"comparisons on one page train a rule alike in all folds or in none; {uneven[0]} is the same in some folds and "
            f"another in others: give the rule another name in one of the comparisons."
        )
    configuration = folds[0].configuration | {"folds": len(folds), "merged": [one.configuration for one in comparisons]}
    return Comparison.of_folds(folds, configuration)


def _free_name(rule: str, taken: Collection[str]) -> str:
    """`rule`, or the first of `rule (2)`, `rule (3)`, … that no row has."""
    numbered = (f"{rule} ({number})" for number in itertools.count(2))
    return next(name for name in itertools.chain([rule], numbered) if name not in taken)


def _way(runs: Runs, configuration: Mapping[str, Any]) -> str:
    """How runs were trained, as a text that is equal where it was the same."""
    own = (runs.rule_settings, runs.network.config(), runs.loss, runs.optimizer, runs.hyperparameters)
    # What a rule may have forced, and the score, which has a default.
    known = {field.name for field in dataclasses.fields(runs)}
    shared = [value for name, value in deciding(configuration).items() if name not in known]
    judged = main_score(runs.data.task, name=configuration.get("score"))
    encoding = [transform.name for transform in runs.encoding]
    return repr((own, sorted(runs.curves), shared, judged, float(runs.learning_rates[0]), encoding))


def _with_seeds(runs: Runs, more: Runs) -> Runs:
    """The runs, and those of the others whose seeds they have not."""
    rows = [row for row, seed in enumerate(more.seeds) if seed not in runs.seeds]
    if not rows:
        return runs
    join = lambda ours, theirs: np.concatenate([np.asarray(ours), np.asarray(theirs)[rows]])
    share = len(rows) / len(more.seeds)
    return dataclasses.replace(
        runs,
        seeds=(*runs.seeds, *(more.seeds[row] for row in rows)),
        learning_rates=join(runs.learning_rates, more.learning_rates),
        curves={name: join(curve, more.curves[name]) for name, curve in runs.curves.items()},
        scores={name: join(values, more.scores[name]) for name, values in runs.scores.items() if name in more.scores},
        diverged_at=join(runs.diverged_at, more.diverged_at),
        confusion=None if runs.confusion is None or more.confusion is None else join(runs.confusion, more.confusion),
        class_maps={
            epoch: join(maps, more.class_maps[epoch]) for epoch, maps in runs.class_maps.items() if epoch in more.class_maps
        },
        networks=jax.tree.map(join, runs.networks, more.networks),
        states=jax.tree.map(join, runs.states, more.states),
        seconds=runs.seconds + share * more.seconds,
    )
