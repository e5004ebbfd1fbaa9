"""What a comparison is asked for, checked, and every rule's part of it: the runs of tuning and the final ones."""

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ascribe import datasets, rules, search, training
from ascribe.checks import at_least
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.measures import measure_for
from ascribe.networks import Network
from ascribe.rules import AbstractRule
from ascribe.search import Tuning
from ascribe.training import Engine, Keeper, Listener, NetworkSource, Recipe, Rules, Runs, Setup, Specification, Trainer
from ascribe.training.freezing import check_layer, free_layer
from ascribe.training.mesh import check_devices_per_run

from . import controls
from .landscape import check_size, outsider

NetworkLike = str | Network | Callable[..., Network]
TUNING_SEEDS = 100_000
"""The first tuning seed: far from the seeds that people choose, so that final runs are fresh."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What every rule may try: `tune` candidates on so many seeds each, in these ranges beside the optimizer's own; 0 for
    none."""

    tune: int
    tune_seeds: int
    search: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, tune: int | None, tune_seeds: int, search: Any, *, fixed: bool) -> "Budget":
        """What was asked for; `fixed`: whether the learning rate was given, which means no tuning.

        **Raises:** `UserError` where it does not go together.
        """
        if fixed and tune:
            raise UserError("a `learning_rate` means no tuning and `tune` asks for some: give one of them.")
        tune = (0 if fixed else 8) if tune is None else tune
        tune, tune_seeds = at_least(0, "tune", tune), at_least(1, "tune_seeds", tune_seeds)
        if search is not None and not isinstance(search, Mapping):
            raise UserError(f"`search` is a dict of ranges, as in {{'learning_rate': (1e-4, 1.0)}}; got {shown(search)}.")
        if search and not tune:
            raise UserError(f"tuning is off, so there is nothing to search in {', '.join(search)}: leave `search` out.")
        return cls(tune, tune_seeds, search or {})

    def check_search(self, names: Mapping[str, Any]) -> None:
        """A `UserError` where a range belongs to none of the rules of these names."""
        for name in self.search:
            owner = name.rpartition(".")[0]
            if name != search.LEARNING_RATE and owner not in names:
                raise UserError(
                    f"the search range {name!r} belongs to no rule here: write learning_rate, or RULE.leaf with one of "
                    f"{', '.join(names)}."
                )

    def seeds(self, finals: tuple[int, ...]) -> tuple[int, ...]:
        """Seeds of tuning, which are none of the final ones."""
        training.check_runs(self.tune_seeds * max(self.tune, 1))
        first = max(TUNING_SEEDS, max(finals) + 1)
        if first + self.tune_seeds < 2**31:
            return tuple(range(first, first + self.tune_seeds))
        return tuple(seed for seed in range(len(finals) + self.tune_seeds) if seed not in finals)[: self.tune_seeds]


EVERY_RULE = "all"
"""What stands for every registered rule that can do the task, in place of a list."""


@dataclasses.dataclass(frozen=True)
class Request:
    """Which rules train which network, with which seeds, and beside which controls; and where."""

    rules: Rules | None = None
    controls: Sequence[str] | None = None
    network: NetworkLike = "64x64"
    activation: str = "relu"
    seeds: int | Sequence[int] = 10
    landscape: str | None = None
    cluster: Engine | None = None

    @property
    def may_leave_out(self) -> bool:
        """Whether a rule that refuses this network is left out: nobody named it."""
        return self.rules is None or self.rules == EVERY_RULE


@dataclasses.dataclass(frozen=True)
class Asked:
    """A comparison that fits together: all is checked, nothing compiled. `setup`: as it was asked for, which a rule's own may
    differ from; `plans`: of the rules, and `controls`: of what stands beside them; `width`: runs at a time that are wanted."""

    data: Dataset
    chosen: dict[str, AbstractRule]
    source: NetworkSource
    template: Network
    setup: Setup
    budget: Budget
    plans: "dict[str, Plan]"
    controls: "dict[str, Plan]"
    left_out: dict[str, str]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    width: int
    may_leave_out: bool

    @property
    def every(self) -> "dict[str, Plan]":
        """The plans of the rules, then those of the controls."""
        return self.plans | self.controls

    @property
    def told(self) -> Setup:
        """The setup as records tell it: with the names of the measure, and of the layer that is trained alone, that are
        meant."""
        named = {
            "score": measure_for(self.data.task, self.setup.score).name,
            "only": free_layer(self.template, self.setup.only),
        }
        return dataclasses.replace(self.setup, **named)

    def trainers(self, listener: Listener, keeper: Keeper, engine: Engine | None) -> dict[str, Trainer]:
        """Every rule and control ready to train. One that cannot be, such as for want of memory, moves from `plans` or
        `controls` to `left_out`."""
        if self.data.fold is not None:
            listener = training.Renamed(listener, f", fold {self.data.fold[0]}")
        placed: dict[Any, Any] = {}
        found: dict[str, Trainer] = {}
        for name, plan in self.every.items():
            recipe = dataclasses.replace(plan.recipe, width=self.width, mapped=name in self.plans)
            try:
                one = Trainer(recipe, listener=listener, placed=placed, keeper=keeper, engine=engine)
                one.experiment.check_results(len(self.seeds))
                found[name] = one
            except UserError as error:
                if name in self.controls:
                    self.left_out[controls.told(name)] = str(error)
                    del self.controls[name]
                    continue
                if not self.may_leave_out or len(self.plans) == 1:
                    raise
                self.left_out[name] = str(error)
                del self.plans[name]
        return found


def ask_in_folds(data: Dataset, folds: int | None, request: Request, setup: Setup, budget: Budget) -> list[Asked]:
    """What `compare` is asked for, once or in every fold; folds of one shape share their compiled programs."""
    if folds is None:
        return [ask(data, request, setup, budget)]
    if request.landscape is not None:
        raise UserError("`landscape` is drawn of one division of the data, and `folds` make several: give one of them.")
    first, *others = datasets.folds(data, folds)
    found = [ask(first, request, setup, budget)]
    training.check_runs((1 + len(others)) * len(found[0].seeds))
    return found + [ask(one, request, setup, budget, like=found[0]) for one in others]


def ask(data: Dataset, request: Request, setup: Setup, budget: Budget, *, like: Asked | None = None) -> Asked:
    """What `compare` is asked for; its errors are those of `compare`. `like`: the same on other data, whose rules and network
    these are."""
    data = training.check_data(data)
    chosen = _chosen_rules(request.rules, data) if like is None else like.chosen
    seeds, cluster = training.check_seeds(request.seeds), request.cluster
    source = training.network_for(request.network, data, request.activation) if like is None else like.source
    template = training.template_of(source)
    free_layer(template, setup.only)
    if request.landscape is not None:
        check_layer("landscape", template, request.landscape)
    plans: dict[str, Plan] = {}
    left_out: dict[str, str] = {}
    for name, rule in chosen.items():
        recipe = None
        try:
            recipe = training.honor(rule, name, source, data, setup)
            recipe = training.complete(recipe)
        except UserError as error:
            everybodys = recipe is not None and recipe.source is source  # what is wrong is not the rule's network
            if not request.may_leave_out or len(chosen) == 1 or everybodys:
                raise
            left_out[name] = str(error)
            continue
        plans[name] = Plan.make(recipe, budget)
    budget.check_search(plans)
    beside, without = controls.recipes(request.controls, source, data, setup, taken=chosen)
    left_out |= without
    _check_landscape(request.landscape, template, source, plans, setup.epochs)
    tuning_seeds = budget.seeds(seeds)
    per_run = check_devices_per_run(setup.devices_per_run)
    _check_cluster(cluster, per_run)
    shares = 1 if cluster is None else -(-cluster.workers // (len(plans) + len(beside)))
    side_by_side = training.devices.count() // per_run if cluster is None else 1
    width = max(_width(len(seeds), budget.tune * budget.tune_seeds, shares), side_by_side)
    found = (plans, {name: Plan.make(one, budget) for name, one in beside.items()}, left_out, seeds, tuning_seeds, width)
    return Asked(data, chosen, source, template, setup, budget, *found, may_leave_out=request.may_leave_out)


def _check_cluster(cluster: Engine | None, devices_per_run: int) -> None:
    if cluster is not None and (devices_per_run != 1 or training.processes.joined()):
        raise UserError(
            "a cluster's workers train whole runs, each by itself: leave `cluster` out to divide runs over devices or "
            "joined processes, or keep it and leave those out."
        )


def _check_landscape(
    layer: str | None, template: Network, source: NetworkSource, plans: "Mapping[str, Plan]", epochs: int
) -> None:
    """A `UserError`, before anything is trained, where no rule would have a path or the paths do not fit into memory."""
    if layer is None:
        return
    training.processes.alone("a loss landscape")
    reasons = {name: outsider(plan.recipe, source) for name, plan in plans.items()}
    if all(reasons.values()):
        words = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        raise UserError(f"no rule here has a path in a loss landscape of {layer} ({words}): leave the landscape out.")
    check_size(layer, template, len(plans), epochs)


def _width(finals: int, candidates: int, shares: int) -> int:
    """Runs at a time: those of one share of the final ones, or a part of it that tuning's runs fill better."""
    most = -(-finals // shares)
    # Fewer would leave a processor's width unused.
    least = max(most // 4, min(most, training.devices.AT_ONCE * training.devices.count()))
    filled = lambda width: sum(-(-count // width) * width for count in (finals, candidates))
    return min(range(most, least - 1, -1), key=filled)


@dataclasses.dataclass(frozen=True)
class Plan:
    """One rule's part of a comparison: its recipe, how many candidates it tries, and in which ranges."""

    recipe: Recipe
    tune: int
    ranges: dict[str, tuple[float, float]]

    @classmethod
    def make(cls, recipe: Recipe, budget: Budget) -> "Plan":
        """**Raises:** `UserError` where the rule cannot be tuned so."""
        tune = 0 if "learning_rate" in recipe.forced else budget.tune
        leaves = [leaf for leaf in budget.search if leaf.rpartition(".")[0] == recipe.name]
        if leaves and not tune:
            raise UserError(
                f"the rule {recipe.name} forces its learning rate and is not tuned: leave {leaves[0]} out of the search."
            )
        rates = training.optimizers.search_range(recipe.setup.optimizer)
        return cls(recipe, tune, search.ranges_of(recipe.name, recipe.rule, rates, budget.search))

    def candidates(self, tuning_seeds: tuple[int, ...]) -> list[Specification]:
        """The runs of tuning."""
        return search.specifications(self.tune, self.ranges, tuning_seeds) if self.tune else []

    def finals(self, seeds: Sequence[int], tuning: Tuning | None) -> list[Specification]:
        """The final runs, at what tuning chose."""
        if tuning is None:
            return [Specification(seed, self.recipe.setup.learning_rate) for seed in seeds]
        return [Specification(seed, tuning.learning_rate, tuning.chosen_hyperparameters) for seed in seeds]

    def example(self) -> Specification:
        """A run of the kind that will be trained: what tuned leaves it has decides what is compiled."""
        leaves = [name for name in self.ranges if name != search.LEARNING_RATE] if self.tune else []
        rate = self.recipe.setup.learning_rate
        return Specification(0, rate, tuple((name, self.ranges[name][0]) for name in leaves))

    def missing(self, trainer: Trainer, seeds: tuple[int, ...], tuning_seeds: tuple[int, ...]) -> bool:
        """Whether any of its runs must be trained."""
        tuning = None
        if self.tune:
            candidates = self.candidates(tuning_seeds)
            if None in trainer.kept(candidates, networks=self.recipe.rule.finishes):
                return True
            tuning = self.tuned(trainer, tuning_seeds)
        return None in trainer.kept(self.finals(seeds, tuning), networks=True)

    def outdated(self, trainer: Trainer, seeds: tuple[int, ...], tuning_seeds: tuple[int, ...]) -> int:
        """How many of its runs must be trained although they are kept, because they were made by other code; of the final ones
        all that tuning may choose."""
        if not self.tune:
            return trainer.outdated(self.finals(seeds, None))
        candidates = self.candidates(tuning_seeds)
        count = trainer.outdated(candidates)
        finals = {dataclasses.replace(one, seed=seed): None for one in candidates for seed in seeds}
        return count + trainer.outdated(list(finals)) if count else 0

    def keys(self, trainer: Trainer, runs: Runs, tuning_seeds: tuple[int, ...]) -> list[str]:
        """What its runs are kept under: those of its row, then those of tuning."""
        others = tuple(runs.hyperparameters.items())
        final = [Specification(seed, float(runs.learning_rates[0]), others) for seed in runs.seeds]
        return list(map(trainer.identity.finished_key, (*final, *self.candidates(tuning_seeds))))

    def begin_tuning(self, trainer: Trainer, tuning_seeds: tuple[int, ...]) -> None:
        """Sends what tuning trains to the trainer's engine."""
        trainer.begin(self.candidates(tuning_seeds), "tuning", keep=self.recipe.rule.finishes)

    def begin(self, trainer: Trainer, seeds: tuple[int, ...], tuning: Tuning | None) -> None:
        """Sends the final runs there."""
        trainer.begin(self.finals(seeds, tuning), training.FINAL)

    def tuned(self, trainer: Trainer, tuning_seeds: tuple[int, ...]) -> Tuning | None:
        """What tuning tried and chose; None without tuning."""
        return search.tune(trainer, self.tune, self.ranges, tuning_seeds) if self.tune else None

    def carry_out(self, trainer: Trainer, data: Dataset, seeds: tuple[int, ...], tuning: Tuning | None) -> Runs:
        """The final runs."""
        specifications = self.finals(seeds, tuning)
        notes = ("tuned rate at the end of its range",) if tuning is not None and tuning.at_edge else ()
        return training.runs_of(trainer, specifications, trainer.train(specifications, training.FINAL), data, notes)


def _chosen_rules(chosen: Rules | None, data: Dataset) -> dict[str, AbstractRule]:
    if chosen is not None and chosen != EVERY_RULE:
        return training.named_rules(chosen, data)
    known = {}
    for name in rules.default_names() if chosen is None else rules.names():
        try:
            known[name] = rules.get(name)
        except UserError as error:  # a package's entry point: it must not keep the others from running
            warnings.warn(f"left out: {error}", stacklevel=3)
    return {name: rule for name, rule in known.items() if data.task in rule.tasks}
