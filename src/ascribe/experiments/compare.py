"""`compare`: rules on one data set, judged fairly.

For one seed every rule meets the same initial weights and the same batches. Every rule gets the same number of tuning
candidates, judged on validation over the same tuning seeds; fresh seeds are then trained at the chosen candidate, and the
test split is looked at once, at the end.
"""

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe import training
from ascribe.checks import options
from ascribe.checksums import checksum
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError
from ascribe.search import Tuning
from ascribe.setup import DEFAULTS, Settings, meanings
from ascribe.training import Engine, Keeper, Listener, LossLandscape, Rules, Runs, Setup, Trainer
from ascribe.training.progress import or_one_line
from ascribe.training.source import digest

from .comparison import Comparison
from .landscape import landscape as draw
from .plan import Asked, Budget, NetworkLike, Plan, Request, ask_in_folds
from .stores import open_store, recorded_end, versions, warn_outdated


@options(**DEFAULTS)
def compare(
    data: DataLike,
    *,
    rules: Rules | None = None,
    controls: Sequence[str] | None = None,
    network: NetworkLike = "64x64",
    folds: int | None = None,
    seeds: int | Sequence[int] = 10,
    tune: int | None = None,
    tune_seeds: int = 3,
    learning_rate: float | None = None,
    search: Mapping[str, tuple[float, float]] | None = None,
    activation: str = "relu",
    landscape: str | None = None,
    listener: Listener | None = None,
    command: str | None = None,
    store: str | Path | Keeper | None = None,
    cluster: Engine | None = None,
    **settings: Unpack[Settings],
) -> Comparison:
    """Trains every rule with the same care and returns what came out.

    **Arguments:**

    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `rules`: names (`"./my_rule.py:MyRule"` too) or rules; a mapping gives them names of their own, as in
      `{"weak feedback": FeedbackAlignment(scale=0.1)}`; by default one rule of each kind, `ascribe.rules.default_names()`, and
      with `"all"` every registered one, that can do the task with a network like this one (`configuration["left_out"]` says
      which cannot, and why);
    - `controls`: what is trained beside the rules, for them to be above: `"frozen"` (the last layer with weights alone learns,
      by its exact gradient), `"linear"` (no hidden layers, by backpropagation), `"noise"` (a random direction of the norm of
      backpropagation's gradient, layer by layer); by default the first two where they mean something, and `()` for none. They
      are tuned as the rules are, on the same seeds and batches, and are in `controls` of the comparison, never in `runs`;
    - `network`: hidden layers as `"64x64"`, or a name as `"lenet"` or `"resnet/8"` (`networks.build` has all), a `Network`
      template, or a factory `key -> Network`; `activation` goes with a text;
    - `folds`: K-fold cross-validation (`datasets.folds`): every rule is tuned and trained in each of so many folds, which
      together test every example once; scores are means over folds, and intervals and p-values those of the corrected
      resampled t-test (`statistics.corrected_t_test`). None: the one test part that the data have;
    - `seeds`: how many fresh seeds (or which) the final runs use, in every fold the same;
    - `tune`: candidates per rule, 8 by default; `tune_seeds`: seeds per candidate. With a `learning_rate` (1e-3 with
      `tune=0`) there is no tuning: every rule uses that rate;
    - `search`: other ranges than the optimizer's default, `{"learning_rate": (1e-3, 1.0)}`, and further array leaves of
      rules, `{"feedback-alignment.scale": (0.1, 10.0)}`, within the same number of candidates;
    - `score`: the measure that decides, on validation, which candidate of tuning and (with `select="best-validation"`) which
      epoch is chosen, and by whose test score the table, the statistics and the page order and compare the rules: for classes
      `"accuracy"` (the default), `"balanced_accuracy"`, `"macro_f1"`, `"auc"`, `"log_loss"` or `"loss"`, for numbers
      `"rmse"` (the default), `"r2"` or `"loss"`;
    - `epochs`, `batch_size`, `optimizer`, `select`, `loss`, `diagnostics`, `quality`, `only`, `devices_per_run`, `listener`:
      as in `train`;
    - `landscape`: the name of a layer: in the end it is trained alone once more, with the first seed and every rule at its
      chosen rate, for a picture of the loss over its weights and of the rules' paths (`ascribe.landscape`);
    - `command`: recorded with the results;
    - `store`: a folder, an SQLite file, the address of a server, or an open `ascribe.store.Store`, where every finished run
      and the state of those under way are kept: runs that are there already are not trained again;
    - `cluster`: an `ascribe.Cluster`, whose workers train the runs.

    **Raises:** `UserError` for anything that does not fit together, before anything is compiled.
    """
    data = training.check_data(data)
    setup = Setup(learning_rate=1e-3 if learning_rate is None else learning_rate, **settings)
    budget = Budget.of(tune, tune_seeds, search, fixed=learning_rate is not None)
    request = Request(rules, controls, network, activation, seeds, landscape, cluster)
    asked = ask_in_folds(data, folds, request, setup, budget)
    keeper = open_store(store)
    told = {"folds": None if folds is None else len(asked), "landscape": landscape, "command": command}
    found = _carry_out(asked, keeper, told, listener=listener, engine=cluster)
    if keeper is not store:
        keeper.close()
    return found


def _carry_out(
    asked: Sequence[Asked], keeper: Keeper, told: dict[str, Any], *, listener: Listener | None, engine: Engine | None
) -> Comparison:
    """Every fold's runs, or those of the one comparison that was asked for, and what is made of them. `told`: what the record
    says of it beside all else, how many folds, and of which layer there is a landscape, among it."""
    first = asked[0]
    listener = or_one_line(listener) if training.processes.number() == 0 else training.silent
    trainers = first.trainers(listener, keeper, engine)
    if keeper.keeps and keeper.experiment is None:
        keeper.begin(first.data.name, command=told["command"])
    found: list[Comparison] = []
    keys: dict[str, list[str]] = {}
    with recorded_end(keeper):
        for one in asked:
            if one is not first:
                trainers = one.trainers(listener, keeper, engine)
            runs, tunings = _train(one, trainers, engine=engine)
            for name, plan in one.every.items() if keeper.keeps else ():
                keys.setdefault(name, []).extend(plan.keys(trainers[name], runs[name], one.tuning_seeds))
            controls = {name: runs.pop(name) for name in one.controls}
            found.append(Comparison(one.data, runs, tunings, {}, controls=controls))
        layer = told["landscape"]
        drawn = None if layer is None else _draw(layer, first, found[0].runs, listener, keeper, keys)
    ours, beside = (
        [name for name in getattr(found[0], part) if all(name in getattr(one, part) for one in found)]
        for part in ("runs", "controls")
    )
    configuration = _configuration(asked, found[0].runs, ours) | {"controls": beside} | told
    keeper.end("finished", configuration=configuration, keys={name: keys[name] for name in (*ours, *beside) if name in keys})
    if told["folds"] is None:
        return dataclasses.replace(found[0], configuration=configuration, landscape=drawn)
    alone = [
        dataclasses.replace(one, configuration=configuration | {"data": one.data.summary(), "folds": None}) for one in found
    ]
    return Comparison.of_folds(alone, configuration)


def _configuration(asked: Sequence[Asked], runs: Mapping[str, Runs], ours: Sequence[str]) -> dict[str, Any]:
    """What the record says of a comparison, of the rules that are in all folds."""
    first, budget = asked[0], asked[0].budget
    setup = first.told
    return {
        "data": first.data.summary(),
        "rules": list(ours),
        "left_out": {name: why for one in asked for name, why in one.left_out.items()},
        "network": str(first.template),
        "parameters": first.template.parameters,
        **setup.recorded(),
        "loss": runs[ours[0]].loss,
        "batch_size": min(setup.batch_size, len(first.data.train)),
        "seeds": list(first.seeds),
        "tune": budget.tune,
        "tune_seeds": list(first.tuning_seeds) if budget.tune else [],
        "learning_rate": None if budget.tune else setup.learning_rate,
        "ranges": {
            name: {leaf: list(ends) for leaf, ends in plan.ranges.items()} for name, plan in first.plans.items() if plan.tune
        },
        "versions": versions(),
    }


def _draw(
    layer: str,
    asked: Asked,
    runs: Mapping[str, Runs],
    listener: Listener,
    keeper: Keeper,
    keys: Mapping[str, Sequence[str]],
) -> LossLandscape | None:
    """Every rule as it was chosen, with one layer free; None where it cannot be drawn."""
    drawn_of = [[name, some[0]] for name, some in keys.items() if name in asked.plans]
    key = checksum([layer, digest("ascribe.experiments.landscape"), drawn_of])
    kept = keeper.landscape(key)
    if kept is not None:
        return kept
    chosen = {}
    for name, plan in asked.plans.items():
        rule: Any = plan.recipe.rule
        for path, value in runs[name].hyperparameters.items():
            where = training.find_leaf(path)
            rule = eqx.tree_at(where, rule, jnp.asarray(value, where(rule).dtype))
        chosen[name] = rule
    rates = {name: float(one.learning_rates[0]) for name, one in runs.items()}
    settings: Any = {name: getattr(asked.setup, name) for name in ("optimizer", "epochs", "batch_size", "loss")}
    settings |= {"seed": asked.seeds[0], "learning_rate": rates, "listener": listener}
    try:
        drawn = draw(asked.source, asked.data, chosen, layer=layer, **settings)
    except UserError as error:  # a picture must never cost the numbers
        warnings.warn(f"without the loss landscape: {error}", stacklevel=3)
        return None
    keeper.keep_landscape(key, drawn)
    return drawn


def _train(
    asked: Asked, trainers: Mapping[str, Trainer], *, engine: Engine | None
) -> tuple[dict[str, Runs], dict[str, Tuning]]:
    """All runs, those of rules and then of controls, and what tuning tried; only what is not kept yet is compiled and trained:
    rule by rule in this process, all rules at once where an engine has workers for them."""
    plans, seeds, tuning_seeds = asked.every, asked.seeds, asked.tuning_seeds
    warn_outdated(sum(plan.outdated(trainers[name], seeds, tuning_seeds) for name, plan in plans.items()))
    if engine is None:
        _compile_all(
            {trainers[name]: plan for name, plan in plans.items() if plan.missing(trainers[name], seeds, tuning_seeds)}
        )
    else:
        for name, plan in plans.items():
            plan.begin_tuning(trainers[name], tuning_seeds)
    runs: dict[str, Runs] = {}
    tunings: dict[str, Tuning | None] = {}
    for together in [[name] for name in plans] if engine is None else [list(plans)]:
        for name in together:
            tunings[name] = plans[name].tuned(trainers[name], tuning_seeds)
            plans[name].begin(trainers[name], seeds, tunings[name])
        for name in together:
            runs[name] = plans[name].carry_out(trainers[name], asked.data, seeds, tunings[name])
    return runs, {name: tuning for name, tuning in tunings.items() if tuning is not None}


def _compile_all(plans: Mapping[Trainer, Plan]) -> None:
    """Compiling keeps one core busy: several rules at a time. JAX's settings belong to a thread, so they go along."""
    double, promotion = jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion  # pyright: ignore

    def compile_one(trainer: Trainer) -> None:
        if trainer.keeper.stopping:
            raise Interrupted(f"stopped before {trainer.recipe.name} was compiled")
        with jax.enable_x64(double), jax.numpy_dtype_promotion(promotion):
            trainer.compile(plans[trainer].example())

    pool = ThreadPoolExecutor(1 if training.processes.joined() else training.devices.cores())  # in every process the same order
    try:
        list(pool.map(compile_one, plans))
    finally:
        pool.shutdown(cancel_futures=True)


def preview(
    data: Dataset,
    *,
    folds: int | None = None,
    tune: int | None = None,
    tune_seeds: int = 3,
    search: Mapping[str, tuple[float, float]] | None = None,
    learning_rate: float | None = None,
    **asked: Any,
) -> dict[str, Any]:
    """What `compare` would do with these arguments, without any training, as plain JSON values: the network, the rules with
    those that are left out, how many runs of how many epochs, memory and time.

    `memory`: bytes of the state of the runs that train at a time, for the rule that takes most, and of the data. `time`: one
    rule is compiled and one epoch of its runs is timed; every other rule and control counts as if it took as long, and rules
    are compiled on all cores at once. What is kept in a store is not looked at. `folds`: of cross-validation, the examples of
    each split in every fold; all numbers of runs, and the time, are those of all folds.

    **Raises:** `UserError`, as `compare`.
    """
    settings: dict[str, Any] = {name: asked.pop(name) for name in meanings() if name in asked}
    if learning_rate is not None:
        settings["learning_rate"] = learning_rate
    setup = Setup(**settings)
    budget = Budget.of(tune, tune_seeds, search, fixed=learning_rate is not None)
    every = ask_in_folds(data, folds, Request(**asked), setup, budget)
    found, shapes = every[0], len({tuple(len(split) for _, split in one.data.splits) for one in every})
    trainers = found.trainers(training.silent, training.NOTHING, None)
    experiments = {name: one.experiment for name, one in trainers.items()}
    finals = len(found.seeds)
    counts = {name: {"tuning": plan.tune * len(found.tuning_seeds), "training": finals} for name, plan in found.every.items()}
    epochs = found.setup.epochs
    chunks = len(every) * sum(-(-count // experiments[name].width) for name, both in counts.items() for count in both.values())
    measured = "backpropagation" if "backpropagation" in experiments else next(iter(experiments))
    compiling, epoch = experiments[measured].timed(found.plans[measured].example())
    in_all = {
        "compiling": shapes * compiling * -(-len(experiments) // training.devices.cores()),
        "training": epoch * epochs * chunks,
    }
    template = found.template

    def told(plans: Mapping[str, Plan]) -> dict[str, Any]:
        return {
            name: {
                **{phase: len(every) * count for phase, count in counts[name].items()},
                "at_a_time": experiments[name].width,
                "notes": list(plan.recipe.notes),
            }
            for name, plan in plans.items()
        }

    return {
        "network": str(template),
        "layers": {
            name: sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array)))
            for name, layer in zip(template.names, template.templates, strict=True)
        },
        "parameters": template.parameters,
        "rules": told(found.plans),
        "controls": told(found.controls),
        "left_out": found.left_out,
        "epochs": epochs,
        "folds": None if folds is None else [{name: len(split) for name, split in one.data.splits} for one in every],
        "runs": len(every) * sum(sum(both.values()) for both in counts.values()),
        "memory": max(one.bytes_at_a_time for one in experiments.values()),
        "time": {
            "seconds": sum(in_all.values()),
            **in_all,
            "measured_on": measured,
            "its_compilation": compiling,
            "its_epoch": epoch,
            "runs_in_its_epoch": experiments[measured].width,
        },
    }
