"""What loggers share: which epochs get a point."""

import math

from ascribe.training import Epochs


def picked(epochs: Epochs, points: int) -> list[int]:
    """Which of these epochs get a point, so that a whole curve has about `points` of them, evenly spread, its last epoch
    among them: the cost of a logger is bounded, whatever the number of epochs."""
    stride = math.ceil(epochs.total / points)
    last = epochs.total - 1
    return [epoch for epoch in range(epochs.start, epochs.stop) if (last - epoch) % stride == 0]
