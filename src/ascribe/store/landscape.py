"""A loss landscape, kept: its arrays, and everything else as JSON values. A record has the arrays in `landscape.npz`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.datasets.npz import load_arrays
from ascribe.training import LossLandscape

FILE = "landscape.npz"
ARRAYS = ("origin", "directions", "axes", "surface", "shares")
VALUES = (
    *("layer", "seed", "loss", "epochs", "batch_size", "examples", "training_examples", "kind"),
    *("learning_rates", "shown", "diverged_at", "left_out"),
)


def taken_apart(landscape: LossLandscape) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Its arrays by name, and its other values."""
    arrays = {name: getattr(landscape, name) for name in ARRAYS}
    for number, rule in enumerate(landscape.rules):  # a rule's name may hold what a file's name must not
        arrays |= {f"trajectory:{number}": landscape.trajectories[rule], f"losses:{number}": landscape.losses[rule]}
    values = {name: getattr(landscape, name) for name in VALUES}
    return arrays, values | {
        "optimizer": landscape.optimizer,
        "rules": list(landscape.rules),
        "notes": list(landscape.notes),
    }


def put_together(arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> LossLandscape:
    """What was `taken_apart`."""
    rules = list(enumerate(values["rules"]))
    return LossLandscape(
        **{name: arrays[name] for name in ARRAYS},
        **{name: values[name] for name in VALUES},
        optimizer=values["optimizer"],
        notes=tuple(values["notes"]),
        trajectories={rule: arrays[f"trajectory:{number}"] for number, rule in rules},
        losses={rule: arrays[f"losses:{number}"] for number, rule in rules},
    )


def save_landscape(landscape: LossLandscape, folder: Path) -> dict[str, Any]:
    """Writes the arrays into `folder` and returns what belongs into the record beside them."""
    arrays, values = taken_apart(landscape)
    np.savez_compressed(folder / FILE, allow_pickle=False, **arrays)
    return values


def load_landscape(about: dict[str, Any] | None, folder: Path) -> LossLandscape | None:
    """What `save_landscape` wrote; None where the record has none."""
    if about is None:
        return None
    return put_together(load_arrays(folder / FILE), about)
