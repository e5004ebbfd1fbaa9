"""Runs of a recipe, each from where it is: a store that has it, an engine, or this process."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from . import loop
from .driver import Driver
from .experiment import Experiment
from .identity import Identity
from .keeping import NOTHING, Keeper, Kept
from .processes import check_same
from .progress import Listener, silent
from .recipe import Recipe, Specification


@runtime_checkable
class Engine(Protocol):
    """Where runs are trained, if not in this process: what `ascribe.cluster` is to a trainer, of which nothing is compiled
    here."""

    @property
    def workers(self) -> int:
        """How many shards it trains at a time."""
        ...

    def begin(self, trainer: "Trainer", specifications: Sequence[Specification], phase: str, *, networks: bool) -> None:
        """Takes on these runs and waits for nothing."""
        ...

    def shards(
        self, trainer: "Trainer", specifications: Sequence[Specification], phase: str, *, networks: bool
    ) -> Iterator[tuple[range, list[Kept]]]:
        """The finished runs, shard by shard as they are done: their rows in the list, and the runs, with their networks or
        their curves alone."""
        ...


class Trainer:
    """Trains the runs of one rule. Runs that the `keeper` has are not trained again; with an `engine`, the others are trained
    elsewhere, else in this process. `listener` hears how far it is. `placed`: as in `Experiment`."""

    def __init__(
        self,
        recipe: Recipe,
        *,
        listener: Listener = silent,
        placed: dict[Any, loop.Data] | None = None,
        keeper: Keeper = NOTHING,
        engine: Engine | None = None,
    ):
        self.recipe, self.listener, self.keeper, self.engine = recipe, listener, keeper, engine
        self.experiment = Experiment(recipe, placed=placed, keeper=keeper)

    @property
    def identity(self) -> Identity:
        """What its runs are known by."""
        return self.experiment.identity

    def kept(self, specifications: Sequence[Specification], *, networks: bool) -> list[Kept | None]:
        """What is kept of these runs; None for those that must be trained."""
        if not self.keeper.keeps:
            return [None] * len(specifications)
        keys = list(map(self.identity.finished_key, specifications))
        found = self.keeper.finished(keys)
        return [one if one and (one.networks or not networks) else None for one in map(found.get, keys)]

    def outdated(self, specifications: Sequence[Specification]) -> int:
        """How many of these runs must be trained although they are kept, because they were made by other code."""
        epochs = self.recipe.setup.epochs
        found = self.keeper.outdated(self.recipe.name, epochs, self.identity.about) if self.keeper.keeps else []
        if not found:
            return 0
        parts = self.kept(specifications, networks=False)
        pairs = zip(specifications, parts, strict=True)
        missing = [self.identity.about_run(one, "") for one, part in pairs if part is None]
        return sum([one.seed, one.learning_rate, one.hyperparameters] in found for one in missing)

    def compile(self, example: Specification) -> None:
        """Compiles the programs that train runs like the example, and trains nothing."""
        self.experiment.compile(example, self.listener)

    def begin(self, specifications: Sequence[Specification], phase: str, *, keep: bool = True) -> None:
        """Sends those of the runs that are not kept yet to the engine, if there is one, and waits for nothing: `train` does."""
        if self.engine is not None:
            pairs = zip(specifications, self.kept(specifications, networks=keep), strict=True)
            self.engine.begin(self, [one for one, part in pairs if part is None], phase, networks=keep)

    def train(self, specifications: Sequence[Specification], phase: str, *, keep: bool = True) -> list[Kept]:
        """All of the runs; those that are not kept yet are trained shard by shard. With `keep=False` only curves are kept of
        them, not their networks: enough for tuning."""
        check_same("runs", [[one.seed, one.learning_rate] for one in specifications])
        parts = self.kept(specifications, networks=keep)
        missing = [place for place, part in enumerate(parts) if part is None]
        wanted = [specifications[place] for place in missing]
        driver = Driver(self.experiment, keeper=self.keeper, listener=self.listener)
        shards = driver.shards if self.engine is None else functools.partial(self.engine.shards, self)
        for rows, found in shards(wanted, phase, networks=keep) if wanted else ():
            for row, one in zip(rows, found, strict=True):
                parts[missing[row]] = one
            if self.keeper.keeps:
                pairs = [(wanted[row], one) for row, one in zip(rows, found, strict=True)]
                known = self.identity
                self.keeper.finish({known.finished_key(a): (known.about_run(a, phase), b) for a, b in pairs})
        return [part for part in parts if part is not None]
