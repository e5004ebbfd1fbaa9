"""A loss landscape in a record: its arrays in `landscape.npz`, everything else as JSON values."""

from pathlib import Path
from typing import Any

import numpy as np

from ascribe.training import LossLandscape

FILE = "landscape.npz"
ARRAYS = ("origin", "directions", "axes", "surface", "shares")
VALUES = (
    *("layer", "seed", "loss", "epochs", "batch_size", "examples", "training_examples", "kind"),
    *("learning_rates", "shown", "diverged_at", "left_out"),
)


def save_landscape(landscape: LossLandscape, folder: Path) -> dict[str, Any]:
    """Writes the arrays into `folder` and returns what belongs into the record beside them."""
    arrays = {name: getattr(landscape, name) for name in ARRAYS}
    for number, rule in enumerate(landscape.rules):  # a rule's name may hold what a file's name must not
        arrays |= {f"trajectory:{number}": landscape.trajectories[rule], f"losses:{number}": landscape.losses[rule]}
    np.savez_compressed(folder / FILE, allow_pickle=False, **arrays)
    values = {name: getattr(landscape, name) for name in VALUES}
    return values | {"optimizer": landscape.optimizer, "rules": list(landscape.rules), "notes": list(landscape.notes)}


def load_landscape(about: dict[str, Any] | None, folder: Path) -> LossLandscape | None:
    """What `save_landscape` wrote; None where the record has none."""
    if about is None:
        return None
    with (folder / FILE).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    rules = list(enumerate(about["rules"]))
    return LossLandscape(
        **{name: arrays[name] for name in ARRAYS},
        **{name: about[name] for name in VALUES},
        optimizer=about["optimizer"],
        notes=tuple(about["notes"]),
        trajectories={rule: arrays[f"trajectory:{number}"] for number, rule in rules},
        losses={rule: arrays[f"losses:{number}"] for number, rule in rules},
    )
