"""A loss landscape: the loss over a plane through the weights of one layer, with the paths that rules took on it."""

import dataclasses
from typing import Any

import numpy as np

CLIMB = 5.0
"""Where the loss is more than this times that at the start, a path leads away: it does not say where the plane lies and how
large the picture is, or all other paths would be a dot in it."""


@dataclasses.dataclass(frozen=True, repr=False)
class LossLandscape:
    """The training loss over a plane through the weight space of `layer`, and the path of every rule.

    - `trajectories[rule]`: `(steps, 2)`, the weights before the first and after every epoch, projected onto the plane, in
      units of weight; `losses[rule]`: `(steps,)`, the training loss at the weights themselves. `steps` is `epochs + 1`,
      or less where a run diverged: `diverged_at[rule]` is then the epoch (from 1) after which a number was not finite;
    - `shown[rule]`: after so many steps the loss stays above `CLIMB` times that at the start: the path leads away from
      here, and a figure ends it;
    - `axes`: `(2, points)`, the coordinates of the surface's columns and rows; `surface`: `(points, points)`, the training
      loss at `axes[0][column], axes[1][row]`, NaN where it is not finite;
    - `origin`: `(size,)` and `directions`: `(2, size)`, orthonormal: the weights at the coordinates c are
      `origin + c @ directions` (the layer's weight and then its bias, flat); `kind`: `"principal"` or `"chosen"`;
    - `shares`: `(2,)`, of the variance of all paths along each direction;
    - `examples`: on how many of the `training_examples` these losses were computed;
    - `seed`, `loss`, `optimizer`, `epochs`, `batch_size`, `learning_rates[rule]`: how the rules were trained;
    - `left_out[rule]`: why a rule has no path here; `notes`: settings that a rule forced.
    """

    layer: str
    seed: int
    loss: str
    optimizer: Any
    epochs: int
    batch_size: int
    examples: int
    training_examples: int
    kind: str
    learning_rates: dict[str, float]
    trajectories: dict[str, np.ndarray]
    losses: dict[str, np.ndarray]
    shown: dict[str, int]
    diverged_at: dict[str, int]
    left_out: dict[str, str]
    notes: tuple[str, ...]
    origin: np.ndarray
    directions: np.ndarray
    axes: np.ndarray
    surface: np.ndarray
    shares: np.ndarray

    def __repr__(self) -> str:
        return (
            f"<loss landscape of {self.layer}: {len(self.trajectories)} rules, {100 * self.explained:.0f} % of their paths' "
            f"variance>"
        )

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that have a path."""
        return tuple(self.trajectories)

    @property
    def explained(self) -> float:
        """The share of the variance of all paths that lies in the plane."""
        return float(np.sum(self.shares))

    def weights(self, coordinates: np.ndarray) -> np.ndarray:
        """The weights `(…, size)` at points of the plane, `(…, 2)`."""
        return self.origin + np.asarray(coordinates) @ self.directions

    def coordinates(self, weights: np.ndarray) -> np.ndarray:
        """Weights `(…, size)` projected onto the plane, `(…, 2)`."""
        return (np.asarray(weights) - self.origin) @ self.directions.T
