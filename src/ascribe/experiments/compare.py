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
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ascribe import losses
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError
from ascribe.measures import measure_for
from ascribe.search import Tuning
from ascribe.store import Store
from ascribe.training import (
    Engine,
    Experiment,
    Listener,
    LossLandscape,
    Rules,
    Runs,
    check_data,
    devices,
    leaf,
    optimizers,
    processes,
    silent,
    with_array_leaves,
)
from ascribe.training.keeping import Keeper, key_of
from ascribe.training.processes import Shared
from ascribe.training.progress import or_one_line
from ascribe.training.source import digest

from .comparison import Comparison
from .landscape import landscape as draw
from .plan import NetworkLike, Plan, asked_in_folds
from .stores import open_store, recorded_end, versions, warn_outdated


def compare(
    data: DataLike,
    *,
    rules: Rules | None = None,
    network: NetworkLike = "64x64",
    folds: int | None = None,
    seeds: int | Sequence[int] = 10,
    tune: int | None = None,
    tune_seeds: int = 3,
    epochs: int = 50,
    batch_size: int = 32,
    optimizer: Any = "adam",
    learning_rate: float | None = None,
    search: Mapping[str, tuple[float, float]] | None = None,
    select: str = "last",
    score: str | None = None,
    loss: str | losses.Loss | None = None,
    activation: str = "relu",
    diagnostics: bool = True,
    only: str | None = None,
    landscape: str | None = None,
    devices_per_run: int = 1,
    listener: Listener | None = None,
    command: str | None = None,
    store: str | Path | Store | Shared | None = None,
    cluster: Engine | None = None,
) -> Comparison:
    """Trains every rule with the same care and returns what came out.

    **Arguments:**

    - `data`: a `Dataset`, or what `datasets.load` makes one of: a name, a path, a data frame, a pair of arrays;
    - `rules`: names (`"./my_rule.py:MyRule"` too) or rules; a mapping gives them names of their own, as in
      `{"weak feedback": FeedbackAlignment(scale=0.1)}`; by default every registered rule that can do the task with a
      network like this one (`configuration["left_out"]` says which cannot, and why);
    - `network`: hidden layers as `"64x64"`, `"linear"`, `"lenet"`, a `Network` template, or a factory `key -> Network`;
      `activation` goes with the first three;
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
    - `epochs`, `batch_size`, `optimizer`, `select`, `loss`, `diagnostics`, `only`, `devices_per_run`, `listener`: as in
      `train`;
    - `landscape`: the name of a layer: in the end it is trained alone once more, with the first seed and every rule at its
      chosen rate, for a picture of the loss over its weights and of the rules' paths (`ascribe.landscape`);
    - `command`: recorded with the results;
    - `store`: a folder, an SQLite file, the address of a server, or an open `ascribe.store.Store`, where every finished run
      and the state of those under way are kept: runs that are there already are not trained again;
    - `cluster`: an `ascribe.Cluster`, whose workers train the runs.

    **Raises:** `UserError` for anything that does not fit together, before anything is compiled.
    """
    data = check_data(data)
    asked = asked_in_folds(
        data,
        folds,
        rules=rules,
        network=network,
        seeds=seeds,
        tune=tune,
        tune_seeds=tune_seeds,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        search=search,
        select=select,
        score=score,
        loss=loss,
        activation=activation,
        diagnostics=diagnostics,
        only=only,
        landscape=landscape,
        devices_per_run=devices_per_run,
        cluster=cluster,
    )
    first = asked[0]
    keeper, listener = open_store(store), or_one_line(listener) if processes.number() == 0 else silent
    experiments = first.experiments(listener, keeper, cluster)
    if keeper is not None and keeper.experiment is None:
        keeper.begin(data.name, command=command)
    drawn, found = None, []
    keys: dict[str, list[str]] = {}
    with recorded_end(keeper):
        for one in asked:
            if one is not first:
                experiments = one.experiments(listener, keeper, cluster)
            runs, tunings = _trained(one.plans, experiments, one.data, one.seeds, one.tuning_seeds, keeper, cluster)
            for name, some in ({} if keeper is None else _keys(one.plans, experiments, runs, one.tuning_seeds)).items():
                keys.setdefault(name, []).extend(some)
            found.append(Comparison(one.data, runs, tunings, {}))
        alone = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size, "loss": loss, "listener": listener}
        drawn = _landscape(
            landscape, first.source, data, first.plans, found[0].runs, first.seeds[0], alone, keeper, keys
        )
    ours = [name for name in found[0].runs if all(name in one.runs for one in found)]
    left_out = {name: why for one in asked for name, why in one.left_out.items()}
    configuration = {
        "data": first.data.summary(),
        "folds": None if folds is None else len(asked),
        "rules": ours,
        "left_out": left_out,
        "network": str(first.template),
        "parameters": first.template.parameters,
        "loss": found[0].runs[ours[0]].loss,
        "optimizer": optimizers.describe(optimizer),
        "epochs": epochs,
        "batch_size": min(batch_size, len(first.data.train)),
        "seeds": list(first.seeds),
        "tune": first.tune,
        "tune_seeds": list(first.tuning_seeds) if first.tune else [],
        "learning_rate": None if first.tune else first.learning_rate,
        "ranges": {
            name: {leaf: list(ends) for leaf, ends in plan.ranges.items()}
            for name, plan in first.plans.items()
            if plan.tune
        },
        "select": select,
        "score": measure_for(data.task, score).name,
        "only": only,
        "landscape": landscape,
        "versions": versions(),
        "command": command,
    }
    if keeper is not None:
        keeper.end("finished", configuration=configuration, keys={name: keys[name] for name in ours})
        if keeper is not store:
            keeper.close()
    if folds is None:
        return Comparison(data, found[0].runs, found[0].tuning, configuration, drawn)
    alone = [
        dataclasses.replace(one, configuration=configuration | {"data": one.data.summary(), "folds": None})
        for one in found
    ]
    return Comparison.of_folds(alone, configuration)


def _landscape(
    layer: str | None,
    source: Any,
    data: Dataset,
    plans: Mapping[str, "Plan"],
    runs: Mapping[str, Runs],
    seed: int,
    settings: Mapping[str, Any],
    keeper: Store | Shared | None,
    keys: Mapping[str, Sequence[str]],
) -> LossLandscape | None:
    """Every rule as it was chosen, with one layer free; None where no landscape is wanted."""
    if layer is None:
        return None
    key = key_of([layer, digest("ascribe.experiments.landscape"), [[name, some[0]] for name, some in keys.items()]])
    kept = keeper.landscape(key) if isinstance(keeper, Store) else None
    if kept is not None:
        return kept
    chosen = {}
    for name, plan in plans.items():
        rule: Any = with_array_leaves(plan.rule)
        for path, value in runs[name].hyperparameters.items():
            where = leaf(path)
            rule = eqx.tree_at(where, rule, jnp.asarray(value, where(rule).dtype))
        chosen[name] = rule
    rates = {name: float(one.learning_rates[0]) for name, one in runs.items()}
    try:
        drawn = draw(source, data, chosen, layer=layer, seed=seed, learning_rate=rates, **settings)
    except UserError as error:  # a picture must never cost the numbers
        warnings.warn(f"without the loss landscape: {error}", stacklevel=3)
        return None
    if isinstance(keeper, Store):
        keeper.keep_landscape(key, drawn)
    return drawn


def _trained(
    plans: "Mapping[str, Plan]",
    experiments: Mapping[str, Experiment],
    data: Dataset,
    seeds: tuple[int, ...],
    tuning_seeds: tuple[int, ...],
    keeper: Store | Shared | None,
    engine: Engine | None,
) -> tuple[dict[str, Runs], dict[str, Tuning]]:
    """All runs, and what tuning tried; only what is not kept yet is compiled and trained: rule by rule in this process, all
    rules at once where an engine has workers for them."""
    warn_outdated(sum(plan.outdated(experiments[name], seeds, tuning_seeds) for name, plan in plans.items()))
    if engine is None:
        missing = {name: plan for name, plan in plans.items() if plan.missing(experiments[name], seeds, tuning_seeds)}
        _compile_all(experiments, missing, keeper)
    else:
        for name, plan in plans.items():
            plan.begin_tuning(experiments[name], tuning_seeds)
    runs: dict[str, Runs] = {}
    tunings: dict[str, Tuning | None] = {}
    for together in [[name] for name in plans] if engine is None else [list(plans)]:
        for name in together:
            tunings[name] = plans[name].tuned(experiments[name], tuning_seeds)
            plans[name].begin(experiments[name], seeds, tunings[name])
        for name in together:
            runs[name] = plans[name].carried_out(experiments[name], data, seeds, tunings[name])
    return runs, {name: tuning for name, tuning in tunings.items() if tuning is not None}


def _keys(
    plans: Mapping[str, "Plan"],
    experiments: Mapping[str, Experiment],
    runs: Mapping[str, Runs],
    tuning_seeds: tuple[int, ...],
) -> dict[str, list[str]]:
    """What every rule's runs are kept under."""
    return {name: plan.keys(experiments[name], runs[name], tuning_seeds) for name, plan in plans.items()}


def _compile_all(experiments: Mapping[str, Experiment], plans: Mapping[str, "Plan"], keeper: Keeper | None) -> None:
    """Compiling keeps one core busy: several rules at a time. JAX's settings belong to a thread, so they go along."""
    double, promotion = jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion  # pyright: ignore

    def compile_one(name: str) -> None:
        if keeper is not None and keeper.stopping:
            raise Interrupted(f"stopped before {name} was compiled")
        with jax.enable_x64(double), jax.numpy_dtype_promotion(promotion):
            experiments[name].compile(plans[name].example())

    pool = ThreadPoolExecutor(1 if processes.joined() else devices.cores())  # in every process the same order
    try:
        list(pool.map(compile_one, plans))
    finally:
        pool.shutdown(cancel_futures=True)


def preview(data: Dataset, *, folds: int | None = None, **asked: Any) -> dict[str, Any]:
    """What `compare` would do with these arguments, without any training, as plain JSON values: the network, the rules with
    those that are left out, how many runs of how many epochs, memory and time.

    `memory`: bytes of the state of the runs that train at a time, for the rule that takes most, and of the data. `time`: one
    rule is compiled and one epoch of its runs is timed; every other rule counts as if it took as long, and rules are compiled
    on all cores at once. What is kept in a store is not looked at. `folds`: of cross-validation, the examples of each split in
    every fold; all numbers of runs, and the time, are those of all folds.

    **Raises:** `UserError`, as `compare`.
    """
    every = asked_in_folds(data, folds, **asked)
    found, shapes = every[0], len({tuple(len(split) for _, split in one.data.splits) for one in every})
    experiments = found.experiments(silent, None, None)
    finals = len(found.seeds)
    counts = {
        name: {"tuning": plan.tune * len(found.tuning_seeds), "training": finals} for name, plan in found.plans.items()
    }
    epochs = next(iter(found.plans.values())).settings.epochs
    chunks = len(every) * sum(
        -(-count // experiments[name].width) for name, both in counts.items() for count in both.values()
    )
    measured = "backpropagation" if "backpropagation" in experiments else next(iter(experiments))
    compiling, epoch = experiments[measured].timed(found.plans[measured].example())
    in_all = {
        "compiling": shapes * compiling * -(-len(experiments) // devices.cores()),
        "training": epoch * epochs * chunks,
    }
    template = found.template
    return {
        "network": str(template),
        "layers": {
            name: sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(layer, eqx.is_inexact_array)))
            for name, layer in zip(template.names, template.templates, strict=True)
        },
        "parameters": template.parameters,
        "rules": {
            name: {
                **{phase: len(every) * count for phase, count in counts[name].items()},
                "at_a_time": experiments[name].width,
                "notes": list(plan.demands.notes),
            }
            for name, plan in found.plans.items()
        },
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
