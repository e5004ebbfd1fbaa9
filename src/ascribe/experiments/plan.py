"""What a comparison is asked for, checked, and every rule's part of it: the runs of tuning and the final ones."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ascribe import datasets, losses, rules, search
from ascribe.arguments import at_least, plain
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import Network
from ascribe.rules import AbstractRule
from ascribe.search import Tuning
from ascribe.store import Store
from ascribe.training import (
    Demands,
    Engine,
    Experiment,
    Listener,
    Renamed,
    Rules,
    Runs,
    Specification,
    check_data,
    check_runs,
    check_seeds,
    devices,
    honor,
    made,
    make_settings,
    named_rules,
    network_for,
    optimizers,
    positive,
    processes,
)
from ascribe.training.freezing import check_layer
from ascribe.training.keeping import Keeper
from ascribe.training.mesh import check_devices_per_run
from ascribe.training.processes import Shared
from ascribe.training.train import FINAL

from .landscape import check_size, outsider

NetworkLike = str | Network | Callable[..., Network]
TUNING_SEEDS = 100_000
"""The first tuning seed: far from the seeds that people choose, so that final runs are fresh."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """A comparison that fits together: all is checked, nothing compiled."""

    data: Dataset
    chosen: dict[str, AbstractRule]
    source: Network | Callable[..., Network]
    template: Network
    plans: "dict[str, Plan]"
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


def asked_in_folds(data: Dataset, folds: int | None, **asked: Any) -> list[Asked]:
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
    like: Asked | None = None,
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
) -> Asked:
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
    plans: dict[str, Plan] = {}
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
        plans[name] = Plan.make(name, rule, demands, settings, tune, search or {})
    _check_search(search or {}, plans)
    _check_landscape(landscape, template, source, plans, epochs)
    tuning_seeds = _tuning_seeds(seeds, tune_seeds, tune)
    _check_cluster(cluster, devices_per_run)
    shares = 1 if cluster is None else -(-cluster.workers // len(plans))
    side_by_side = devices.count() // check_devices_per_run(devices_per_run) if cluster is None else 1
    width = max(_width(len(seeds), tune * tune_seeds, shares), side_by_side)
    return Asked(
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
    layer: str | None, template: Network, source: Any, plans: Mapping[str, "Plan"], epochs: int
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


def _experiments(
    plans: "dict[str, Plan]",
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


def _width(finals: int, candidates: int, shares: int) -> int:
    """Runs at a time: those of one share of the final ones, or a part of it that tuning's runs fill better."""
    most = -(-finals // shares)
    least = max(most // 4, min(most, devices.AT_ONCE * devices.count()))  # fewer would leave a processor's width unused
    filled = lambda width: sum(-(-count // width) * width for count in (finals, candidates))
    return min(range(most, least - 1, -1), key=filled)


@dataclasses.dataclass(frozen=True)
class Plan:
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
    ) -> "Plan":
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


def _check_search(ranges: Mapping[str, tuple[float, float]], plans: Mapping[str, Plan]) -> None:
    for name in ranges:
        owner = name.rpartition(".")[0]
        if name != "learning_rate" and owner not in plans:
            raise UserError(
                f"the search range {name!r} belongs to no rule here: write learning_rate, or RULE.leaf with one of "
                f"{', '.join(plans)}."
            )
