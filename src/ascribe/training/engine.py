"""Where runs are trained, if not in this process: what `ascribe.cluster` is to an experiment."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .keeping import Kept

if TYPE_CHECKING:
    from .train import Experiment, Specification


@runtime_checkable
class Engine(Protocol):
    """Trains the runs of experiments. The experiment is only described by its object: nothing of it is compiled here."""

    @property
    def workers(self) -> int:
        """How many shards it trains at a time."""
        ...

    def begin(
        self, experiment: "Experiment", specifications: Sequence["Specification"], phase: str, *, networks: bool
    ) -> None:
        """Takes on these runs and waits for nothing."""
        ...

    def shards(
        self, experiment: "Experiment", specifications: Sequence["Specification"], phase: str, *, networks: bool
    ) -> Iterator[tuple[range, list[Kept]]]:
        """What became of these runs, shard by shard as they are done: their rows in the list, and the runs, with their networks
        or their curves alone."""
        ...
