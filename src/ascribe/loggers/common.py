"""What loggers share: the package that each needs, and which epochs get a point."""

import importlib
import math
from typing import Any

from ascribe.arguments import at_least
from ascribe.errors import UserError, how_to_install
from ascribe.training import Epochs


def needed(module: str, extra: str) -> Any:
    """The module of an extra; a `UserError` with the command that installs it where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"this logger needs {error.name or module}: {how_to_install(extra)}.") from error


def check_points(points: int) -> int:
    """A positive integer, or a `UserError`."""
    return at_least(1, "points", points)


def picked(epochs: Epochs, points: int) -> list[int]:
    """Which of these epochs get a point, so that a whole curve has about `points` of them, evenly spread, its last epoch
    among them: the cost of a logger is bounded, whatever the number of epochs."""
    stride = math.ceil(epochs.total / points)
    last = epochs.total - 1
    return [epoch for epoch in range(epochs.start, epochs.stop) if (last - epoch) % stride == 0]
