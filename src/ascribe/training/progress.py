"""What a running experiment says of itself."""

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """`rule` in `phase` (`"compiling"`, `"tuning"`, `"training"`) has done `done` of `total` run-epochs; `loss` is the
    latest mean training loss of its runs (NaN before the first epoch)."""

    rule: str
    phase: str
    done: int
    total: int
    loss: float


Listener = Callable[[Progress], None]
"""Called between chunks of epochs, and, while several rules are compiled at once, from several threads."""


def silent(progress: Progress) -> None:
    """Tells nobody."""
