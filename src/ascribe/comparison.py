"""`compare`: rules on one data set, judged fairly.

For one seed every rule meets the same initial weights and the same batches. Every rule gets the same number of tuning
candidates, judged on validation over the same tuning seeds; fresh seeds are then trained at the chosen candidate, and the
test split is looked at once, at the end.
"""

import dataclasses
import importlib.metadata
import platform
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import ascribe
from ascribe import datasets, losses, report, rules, search, store
from ascribe.arguments import at_least, plain
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import Interrupted, UserError, how_to_install, shown
from ascribe.files import path_of
from ascribe.measures import measure_for
from ascribe.networks import Network
from ascribe.rules import AbstractRule
from ascribe.search import Tuning
from ascribe.statistics import RuleStatistics, summarize
from ascribe.store import Store
from ascribe.training import (
    Demands,
    Engine,
    Experiment,
    Listener,
    LossLandscape,
    Renamed,
    Rules,
    Runs,
    Specification,
    check_data,
    check_runs,
    check_seeds,
    devices,
    honor,
    leaf,
    made,
    make_settings,
    named_rules,
    network_for,
    of_folds,
    optimizers,
    positive,
    processes,
    silent,
    with_array_leaves,
)
from ascribe.training import landscape as draw
from ascribe.training.freezing import check_layer
from ascribe.training.keeping import Keeper, key_of
from ascribe.training.landscape import check_size, outsider
from ascribe.training.mesh import check_devices_per_run
from ascribe.training.processes import Shared, shared
from ascribe.training.progress import or_one_line
from ascribe.training.source import digest
from ascribe.training.train import FINAL, MOST_CLASSES

NetworkLike = str | Network | Callable[..., Network]
TUNING_SEEDS = 100_000
"""The first tuning seed: far from the seeds that people choose, so that final runs are fresh."""


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """A finished comparison: `runs[rule]`, `tuning[rule]` (empty without tuning), the `data`, and the `configuration`
    as plain JSON values; `landscape`: the loss over one layer's weights with every rule's path, if it was asked for.
    `reference` is the rule that paired differences refer to. `folds`: of cross-validation, the comparison on every fold, with
    its own data, tuning and networks; `runs` has the runs of all then, `data` is that of the first, and `tuning` is empty."""

    data: Dataset
    runs: dict[str, Runs]
    tuning: dict[str, Tuning]
    configuration: dict[str, Any]
    landscape: LossLandscape | None = None
    folds: "tuple[Comparison, ...]" = ()

    @classmethod
    def of_folds(cls, folds: "Sequence[Comparison]", configuration: dict[str, Any]) -> "Comparison":
        """The comparisons on every fold as one, of the rules that are in all."""
        names = [name for name in folds[0].runs if all(name in fold.runs for fold in folds)]
        runs = {name: of_folds([fold.runs[name] for fold in folds]) for name in names}
        return cls(folds[0].data, runs, {}, configuration, folds=tuple(folds))

    def __repr__(self) -> str:
        where = f"{self.data.name} in {len(self.folds)} folds" if self.folds else self.data.name
        return f"<comparison on {where}: {', '.join(map(repr, self.runs.values()))}>"

    def _repr_html_(self) -> str:
        return report.to_html(self)

    @property
    def reference(self) -> str | None:
        """Backpropagation where it takes part, else the first rule."""
        return "backpropagation" if "backpropagation" in self.runs else next(iter(self.runs), None)

    @property
    def descriptions(self) -> dict[str, str]:
        """One line on what each rule is; empty for one of which nothing is known."""
        merged = self.configuration.get("original_names")
        original = merged if isinstance(merged, dict) else {}
        return {
            name: rules.about(str(original.get(name, name)), runs.rule_settings) for name, runs in self.runs.items()
        }

    def table(self) -> list[report.Row]:
        """One row a rule, best first: test score with its 95 % interval over seeds (or folds), paired difference to the
        reference."""
        return report.rows(self)

    def statistics(
        self,
        reference: str | None = None,
        *,
        score: str | None = None,
        level: float = 0.95,
        difference: float | None = None,
        target: float | None = None,
        seed: int = 0,
    ) -> list[RuleStatistics]:
        """One row a rule, the reference first: what its difference to the reference is worth, seed by seed or fold by fold; as
        `ascribe.statistics.summarize`, which says what the arguments are."""
        return summarize(self, reference, score=score, level=level, difference=difference, target=target, seed=seed)

    def confusion_matrix(self, rule: str) -> np.ndarray:
        """How many test examples of each class (rows) one rule took for each class (columns), summed over the seeds that
        finished, `(classes, classes)`; a seed's own is in `runs[rule].confusion`. As `sklearn.metrics.confusion_matrix`.

        **Raises:** `UserError` for a rule that did not take part, and where there are none: for numbers, for more than 20
        classes, and in a record of an earlier version.
        """
        if rule not in self.runs:
            raise UserError(f"`rule` is a rule of the comparison; got {rule!r}: take {', '.join(self.runs)}.")
        runs = self.runs[rule]
        if runs.confusion is None:
            raise UserError(
                f"no confusion matrix of {rule} was kept: there is one of 2 to {MOST_CLASSES} classes, in records of this "
                f"version on; {self.data.name} is {self.data.task} with {self.data.classes} classes: make your own of "
                f"`runs[rule].predict`."
            )
        return runs.confusion[~runs.diverged].sum(axis=0)

    def to_frame(self) -> Any:
        """One row a run as a pandas data frame (extra `tables`), with the columns of the record's `runs.csv`: rule, seed,
        learning rate, whether it was tuned, hyper-parameters, epochs, status, where it diverged, and every score."""
        try:
            import pandas  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise UserError(f"a data frame needs pandas: {how_to_install('tables')}.") from error
        return pandas.DataFrame(store.run_rows(self))

    def report(self, path: str | Path) -> Path:
        """Writes the self-contained page and returns its path."""
        return report.write_page(self, path_of(path, "a page"))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the full record with the page and its figures into `folder`, whole or not at all."""
        return store.save(self, path_of(folder, "a record"), overwrite=overwrite)


def load(folder: str | Path) -> Comparison:
    """The comparison that was saved in `folder`; a `UserError` where there is none or it is damaged."""
    found = store.load(path_of(folder, "a record"))
    if "folds" in found:
        return Comparison.of_folds([Comparison(**fold) for fold in found["folds"]], found["configuration"])
    return Comparison(**found)


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
    asked = _asked_in_folds(
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
    keeper, listener = opened(store), or_one_line(listener) if processes.number() == 0 else silent
    experiments = first.experiments(listener, keeper, cluster)
    if keeper is not None and keeper.experiment is None:
        keeper.begin(data.name, command=command)
    drawn, found = None, []
    keys: dict[str, list[str]] = {}
    with ended(keeper):
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


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A comparison that fits together: all is checked, nothing compiled."""

    data: Dataset
    chosen: dict[str, AbstractRule]
    source: Network | Callable[..., Network]
    template: Network
    plans: "dict[str, _Plan]"
    left_out: dict[str, str]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    tune: int
    learning_rate: float
    width: int
    devices_per_run: int
    may_leave_out: bool

    def experiments(
        self, listener: Listener, keeper: Store | Shared | None, engine: Engine | None
    ) -> dict[str, Experiment]:
        """Every rule ready to train."""
        if self.data.fold is not None:
            listener = Renamed(listener, f", fold {self.data.fold[0]}")
        given = dict(devices_per_run=self.devices_per_run, listener=listener, keeper=keeper, engine=engine)
        finals = len(self.seeds)
        return _experiments(
            self.plans, self.left_out, self.width, given, finals=finals, may_leave_out=self.may_leave_out
        )


def _asked_in_folds(data: Dataset, folds: int | None, **asked: Any) -> list[_Asked]:
    """What `compare` is asked for, once or in every fold; folds of one shape share their compiled programs."""
    if folds is None:
        return [_asked(data, **asked)]
    if asked.get("landscape") is not None:
        raise UserError("`landscape` is drawn of one division of the data, and `folds` make several: give one of them.")
    first, *others = datasets.folds(data, folds)
    found = [_asked(first, **asked)]
    check_runs((1 + len(others)) * len(found[0].seeds))
    return found + [_asked(one, like=found[0], **asked) for one in others]


def _asked(
    data: Dataset,
    *,
    like: _Asked | None = None,
    rules: Rules | None = None,
    network: NetworkLike = "64x64",
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
    cluster: Engine | None = None,
) -> _Asked:
    """What `compare` is asked for; its errors are those of `compare`. `like`: the same on other data, whose rules and network
    these are."""
    chosen = _chosen_rules(rules, data) if like is None else like.chosen
    seeds = check_seeds(seeds)
    if learning_rate is not None and tune:
        raise UserError("a `learning_rate` means no tuning and `tune` asks for some: give one of them.")
    tune = (8 if learning_rate is None else 0) if tune is None else tune
    learning_rate = positive("learning_rate", 1e-3 if learning_rate is None else learning_rate)
    tune, tune_seeds = at_least(0, "tune", tune), at_least(1, "tune_seeds", tune_seeds)
    epochs, batch_size = plain(epochs), plain(batch_size)
    _check_tuned(search, tune)
    source = _network(network, data, activation) if like is None else like.source
    template = made(source)
    _check_layers(template, only=only, landscape=landscape)
    plans: dict[str, _Plan] = {}
    left_out: dict[str, str] = {}
    for name, rule in chosen.items():
        shared = dict(optimizer=optimizer, batch_size=batch_size, learning_rate=learning_rate)
        demands = None
        try:
            demands = honor(rule, name, source, data, **shared)
            settings = make_settings(
                demands, epochs=epochs, select=select, score=score, loss=loss, diagnostics=diagnostics, only=only
            )
        except UserError as error:
            everybodys = demands is not None and demands.source is source  # what is wrong is not the rule's network
            if rules is not None or len(chosen) == 1 or everybodys:
                raise
            left_out[name] = str(error)
            continue
        plans[name] = _Plan.make(name, rule, demands, settings, tune, search or {})
    _check_search(search or {}, plans)
    _check_landscape(landscape, template, source, plans, epochs)
    tuning_seeds = _tuning_seeds(seeds, tune_seeds, tune)
    _check_cluster(cluster, devices_per_run)
    shares = 1 if cluster is None else -(-cluster.workers // len(plans))
    side_by_side = devices.count() // check_devices_per_run(devices_per_run) if cluster is None else 1
    width = max(_width(len(seeds), tune * tune_seeds, shares), side_by_side)
    return _Asked(
        data,
        chosen,
        source,
        template,
        plans,
        left_out,
        seeds,
        tuning_seeds,
        tune,
        learning_rate,
        width,
        devices_per_run,
        may_leave_out=rules is None,
    )


def preview(data: Dataset, *, folds: int | None = None, **asked: Any) -> dict[str, Any]:
    """What `compare` would do with these arguments, without any training, as plain JSON values: the network, the rules with
    those that are left out, how many runs of how many epochs, memory and time.

    `memory`: bytes of the state of the runs that train at a time, for the rule that takes most, and of the data. `time`: one
    rule is compiled and one epoch of its runs is timed; every other rule counts as if it took as long, and rules are compiled
    on all cores at once. What is kept in a store is not looked at. `folds`: of cross-validation, the examples of each split in
    every fold; all numbers of runs, and the time, are those of all folds.

    **Raises:** `UserError`, as `compare`.
    """
    every = _asked_in_folds(data, folds, **asked)
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


def _tuning_seeds(seeds: tuple[int, ...], count: int, candidates: int = 1) -> tuple[int, ...]:
    """Seeds that are none of the final ones, for so many candidates each."""
    check_runs(count * max(candidates, 1))
    first = max(TUNING_SEEDS, max(seeds) + 1)
    if first + count < 2**31:
        return tuple(range(first, first + count))
    return tuple(seed for seed in range(len(seeds) + count) if seed not in seeds)[:count]


def _check_cluster(cluster: Engine | None, devices_per_run: int) -> None:
    if cluster is not None and (devices_per_run != 1 or processes.joined()):
        raise UserError(
            "a cluster's workers train whole runs, each by itself: leave `cluster` out to divide runs over devices or "
            "joined processes, or keep it and leave those out."
        )


def _check_layers(template: Network, **layers: str | None) -> None:
    for setting, layer in layers.items():
        if layer is not None:
            check_layer(setting, template, layer)


def _check_landscape(
    layer: str | None, template: Network, source: Any, plans: Mapping[str, "_Plan"], epochs: int
) -> None:
    """A `UserError`, before anything is trained, where no rule would have a path or the paths do not fit into memory."""
    if layer is None:
        return
    processes.alone("a loss landscape")
    reasons = {name: outsider(plan.demands, source) for name, plan in plans.items()}
    if all(reasons.values()):
        words = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        raise UserError(f"no rule here has a path in a loss landscape of {layer} ({words}): leave the landscape out.")
    check_size(layer, template, len(plans), epochs)


def _landscape(
    layer: str | None,
    source: Any,
    data: Dataset,
    plans: Mapping[str, "_Plan"],
    runs: Mapping[str, Runs],
    seed: int,
    settings: Mapping[str, Any],
    keeper: Store | Shared | None,
    keys: Mapping[str, Sequence[str]],
) -> LossLandscape | None:
    """Every rule as it was chosen, with one layer free; None where no landscape is wanted."""
    if layer is None:
        return None
    key = key_of([layer, digest("ascribe.training.landscape"), [[name, some[0]] for name, some in keys.items()]])
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


def _experiments(
    plans: "dict[str, _Plan]",
    left_out: dict[str, str],
    width: int,
    shared: Mapping[str, Any],
    *,
    finals: int,
    may_leave_out: bool,
) -> dict[str, Experiment]:
    """Every rule ready to train. One that cannot be, such as for want of memory, moves from `plans` to `left_out`."""
    placed: dict[Any, Any] = {}
    found: dict[str, Experiment] = {}
    for name in list(plans):
        try:
            one = plans[name].experiment(width, placed, **shared)
            one.check_results(finals)
            found[name] = one
        except UserError as error:
            if not may_leave_out or len(plans) == 1:
                raise
            left_out[name] = str(error)
            del plans[name]
    return found


def _trained(
    plans: "Mapping[str, _Plan]",
    experiments: Mapping[str, Experiment],
    data: Dataset,
    seeds: tuple[int, ...],
    tuning_seeds: tuple[int, ...],
    keeper: Store | Shared | None,
    engine: Engine | None,
) -> tuple[dict[str, Runs], dict[str, Tuning]]:
    """All runs, and what tuning tried; only what is not kept yet is compiled and trained: rule by rule in this process, all
    rules at once where an engine has workers for them."""
    say_outdated(sum(plan.outdated(experiments[name], seeds, tuning_seeds) for name, plan in plans.items()))
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
    plans: Mapping[str, "_Plan"],
    experiments: Mapping[str, Experiment],
    runs: Mapping[str, Runs],
    tuning_seeds: tuple[int, ...],
) -> dict[str, list[str]]:
    """What every rule's runs are kept under."""
    return {name: plan.keys(experiments[name], runs[name], tuning_seeds) for name, plan in plans.items()}


def _width(finals: int, candidates: int, shares: int) -> int:
    """Runs at a time: those of one share of the final ones, or a part of it that tuning's runs fill better."""
    most = -(-finals // shares)
    least = max(most // 4, min(most, devices.AT_ONCE * devices.count()))  # fewer would leave a processor's width unused
    filled = lambda width: sum(-(-count // width) * width for count in (finals, candidates))
    return min(range(most, least - 1, -1), key=filled)


def opened(place: str | Path | Store | Shared | None) -> Store | Shared | None:
    """The store of that place, where it is not open yet; None where nothing is kept."""
    keeper = (
        place
        if place is None or isinstance(place, Store | Shared)
        else shared(lambda: Store(place, versions=versions()))
    )
    if isinstance(keeper, Store):
        keeper.versions = versions()
    return keeper


def say_outdated(count: int) -> None:
    """One sentence where so many runs are trained although a store has them."""
    if count and processes.number() == 0:
        warnings.warn(
            f"the store has {count} of these runs as other code made them: since then, what decides a run has changed in "
            f"ascribe, in a rule, or in JAX, Equinox or Optax. What is there stays there, and is trained anew.",
            stacklevel=4,
        )


@contextmanager
def ended(keeper: Store | Shared | None) -> Iterator[None]:
    """Where the work ends before its end, the store says so."""
    try:
        yield
    except BaseException as error:
        if keeper is not None:
            with suppress(UserError):  # such as: the disk is full, which the error says already
                keeper.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
                keeper.close()
        raise


def _compile_all(experiments: Mapping[str, Experiment], plans: Mapping[str, "_Plan"], keeper: Keeper | None) -> None:
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


@dataclasses.dataclass(frozen=True)
class _Plan:
    """One rule's part of a comparison, with its forced settings applied."""

    name: str
    rule: AbstractRule
    demands: Demands
    settings: Any
    tune: int
    ranges: dict[str, tuple[float, float]]

    @classmethod
    def make(
        cls,
        name: str,
        rule: AbstractRule,
        demands: Demands,
        settings: Any,
        tune: int,
        search_ranges: Mapping[str, tuple[float, float]],
    ) -> "_Plan":
        tune = 0 if "learning_rate" in demands.forced else tune
        leaves = [leaf for leaf in search_ranges if leaf.rpartition(".")[0] == name]
        if leaves and not tune:
            raise UserError(
                f"the rule {name} forces its learning rate and is not tuned: leave {leaves[0]} out of the search."
            )
        ranges = search.ranges_of(name, rule, optimizers.search_range(demands.optimizer), search_ranges)
        return cls(name, rule, demands, settings, tune, ranges)

    def experiment(
        self,
        width: int,
        placed: dict[Any, Any],
        *,
        devices_per_run: int,
        listener: Listener,
        keeper: Keeper | None,
        engine: Engine | None,
    ) -> Experiment:
        return Experiment(
            self.demands,
            self.rule,
            self.settings,
            width=width,
            name=self.name,
            listener=listener,
            placed=placed,
            keeper=keeper,
            devices_per_run=devices_per_run,
            engine=engine,
            mapped=True,
        )

    def missing(self, experiment: Experiment, seeds: tuple[int, ...], tuning_seeds: tuple[int, ...]) -> bool:
        """Whether any of its runs must be trained."""
        tuning = None
        if self.tune:
            candidates = search.specifications(self.tune, self.ranges, tuning_seeds)
            if None in experiment.kept(candidates, networks=search.has_own_finish(experiment)):
                return True
            tuning = self.tuned(experiment, tuning_seeds)
        return None in experiment.kept(self.finals(seeds, tuning), networks=True)

    def outdated(self, experiment: Experiment, seeds: tuple[int, ...], tuning_seeds: tuple[int, ...]) -> int:
        """How many of its runs must be trained although they are kept, because they were made by other code; of the final ones
        all that tuning may choose."""
        if not self.tune:
            return experiment.outdated(self.finals(seeds, None))
        candidates = search.specifications(self.tune, self.ranges, tuning_seeds)
        count = experiment.outdated(candidates)
        finals = {dataclasses.replace(one, seed=seed): None for one in candidates for seed in seeds}
        return count + experiment.outdated(list(finals)) if count else 0

    def finals(self, seeds: Sequence[int], tuning: Tuning | None) -> list[Specification]:
        """The final runs, at what tuning chose."""
        if tuning is None:
            return [Specification(seed, self.demands.learning_rate) for seed in seeds]
        return [Specification(seed, tuning.learning_rate, tuning.chosen_hyperparameters) for seed in seeds]

    def keys(self, experiment: Experiment, runs: Runs, tuning_seeds: tuple[int, ...]) -> list[str]:
        """What its runs are kept under: those of its row, then those of tuning."""
        others = tuple(runs.hyperparameters.items())
        final = [Specification(seed, float(runs.learning_rates[0]), others) for seed in runs.seeds]
        candidates = search.specifications(self.tune, self.ranges, tuning_seeds) if self.tune else []
        return [experiment.key(one, epochs=self.settings.epochs) for one in (*final, *candidates)]

    def example(self) -> Specification:
        """A run of the kind that will be trained: what tuned leaves it has decides what is compiled."""
        leaves = [name for name in self.ranges if name != search.LEARNING_RATE] if self.tune else []
        return Specification(0, self.demands.learning_rate, tuple((name, self.ranges[name][0]) for name in leaves))

    def begin_tuning(self, experiment: Experiment, tuning_seeds: tuple[int, ...]) -> None:
        """Sends what tuning trains to the experiment's engine."""
        candidates = search.specifications(self.tune, self.ranges, tuning_seeds) if self.tune else []
        experiment.begin(candidates, "tuning", keep=search.has_own_finish(experiment))

    def begin(self, experiment: Experiment, seeds: tuple[int, ...], tuning: Tuning | None) -> None:
        """Sends the final runs there."""
        experiment.begin(self.finals(seeds, tuning), FINAL)

    def tuned(self, experiment: Experiment, tuning_seeds: tuple[int, ...]) -> Tuning | None:
        """What tuning tried and chose; None without tuning."""
        return search.tune(experiment, self.tune, self.ranges, tuning_seeds) if self.tune else None

    def carried_out(self, experiment: Experiment, data: Dataset, seeds: tuple[int, ...], tuning: Tuning | None) -> Runs:
        """The final runs."""
        specifications = self.finals(seeds, tuning)
        trained = experiment.train(specifications, FINAL)
        notes = ("tuned rate at the end of its range",) if tuning is not None and tuning.at_edge else ()
        return trained.runs(specifications, data, notes)


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    packages = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "equinox", "optax", "numpy")}
    machine = {"devices": f"{devices.count()} × {jax.devices()[0].device_kind}", "cores": str(devices.cores())}
    return {"ascribe": ascribe.__version__, "python": platform.python_version(), **packages, **machine}


def _chosen_rules(chosen: Rules | None, data: Dataset) -> dict[str, AbstractRule]:
    check_data(data)
    if chosen is None:
        known = {}
        for name in rules.default_names():
            try:
                known[name] = rules.get(name)
            except UserError as error:  # a package's entry point: it must not keep the others from running
                warnings.warn(f"left out: {error}", stacklevel=3)
        return {name: rule for name, rule in known.items() if data.task in rule.tasks}
    return named_rules(chosen, data)


def _check_tuned(search: Any, tune: int) -> None:
    """A `UserError` where `search` is no dict of ranges, or nothing is tuned."""
    if search is not None and not isinstance(search, Mapping):
        raise UserError(f"`search` is a dict of ranges, as in {{'learning_rate': (1e-4, 1.0)}}; got {shown(search)}.")
    if search and not tune:
        raise UserError(f"tuning is off, so there is nothing to search in {', '.join(search)}: leave `search` out.")


def _network(network: NetworkLike, data: Dataset, activation: str) -> Network | Callable[..., Network]:
    check_data(data)
    return network_for(network, data, activation)


def _check_search(ranges: Mapping[str, tuple[float, float]], plans: Mapping[str, _Plan]) -> None:
    for name in ranges:
        owner = name.rpartition(".")[0]
        if name != "learning_rate" and owner not in plans:
            raise UserError(
                f"the search range {name!r} belongs to no rule here: write learning_rate, or RULE.leaf with one of "
                f"{', '.join(plans)}."
            )
