"""`play`: learning rules side by side in one page, which opens from a file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ascribe import datasets, training
from ascribe.checks import explained, unknown
from ascribe.datasets import DataLike, Dataset
from ascribe.errors import UserError, shown
from ascribe.files import path_of, write_whole
from ascribe.training import Rules

from . import neurons, programs
from .forms import MOST
from .page import LARGEST, page

MADE = ("moons", "circles", "xor", "spirals", "gaussians")
"""Data sets that the page makes itself, with as much noise as one likes."""
NEURONS = "neurons"
"""In place of a data set: the page of single neurons and small networks of them."""
DEFAULT = (
    *("backpropagation", "feedback-alignment", "direct-feedback-alignment", "perceptron", "b-function", "forward-pass"),
    "relaxed-identity",
)
"""The rules of a page that names none: those of the lessons."""
SHOWN = 3
"""Rules that are chosen when the page opens."""
TRAINED = 2 / 3
"""The share of points that the page trains on."""
_UNITS = re.compile(r"2(-[1-9][0-9]{0,2}){0,6}-1")


@explained
def play(
    data: DataLike = "moons",
    rules: Rules | None = None,
    out: str | Path = "play.html",
    *,
    architectures: Sequence[str] = programs.ARCHITECTURES,
    activations: Sequence[str] = programs.ACTIVATIONS,
    optimizers: Sequence[str] = programs.OPTIMIZERS,
    overwrite: bool = False,
) -> Path:
    """Writes a page in which learning rules learn a task in the plane, live and side by side.

    All begin with the same weights and learn from the same batches. The page is one file that opens from disk and fetches
    nothing. Each rule's training step is compiled from the rule itself, a rule of your own too, and runs in the page.

    **Arguments:**

    - `data`: `"moons"`, `"circles"`, `"xor"`, `"spirals"` or `"gaussians"`, which the page makes with as much noise as one
      likes, and with which any page can go on; or whatever `datasets.load` takes that has two inputs and two classes, as
      the path of a CSV file: its points go into the page; or `"neurons"`: spiking neurons in place of learning rules.
    - `rules`: names (`"./my_rule.py:MyRule"` too) or rules; a mapping gives them names of their own. Default: those of the
      page's lessons. The control, of which the last layer alone learns, is always there.
    - `out`: the file to write.
    - `architectures`: the networks that can be chosen, as units of every layer, `"2-16-16-1"`: 2 inputs and 1 output.
    - `activations`: of the hidden layers, as in `ascribe.networks`; `optimizers`: names, as in `ascribe.train`.
    - `overwrite`: replace `out` where it is there.

    **Returns:** the file's path.

    **Raises:** `UserError` for data of another kind, a rule that cannot do two classes or is computed with something that the
    page has not, or a file that is there or cannot be written.
    """
    place = path_of(out, "a page")
    if place.is_dir():
        raise UserError(f"a page is a file, but {str(place)!r} is a folder: name a file in it.")
    if place.exists() and not overwrite:
        raise UserError(f"{str(place)!r} is there already: choose another file, or overwrite it.")
    if isinstance(data, str) and data == NEURONS:
        usual = (programs.ARCHITECTURES, programs.ACTIVATIONS, programs.OPTIMIZERS)
        if rules is not None or (architectures, activations, optimizers) != usual:
            raise UserError(
                "the page of neurons has no learning rules: leave rules, networks, activations and optimizers out, or choose a "
                "data set."
            )
        return _written(place, neurons.page())
    _check_architectures(architectures)
    for name in optimizers:
        training.optimizers.factory(name)  # refuses what it does not know
    points = None if isinstance(data, str) and data in MADE else _two_inputs(data)
    chosen = training.named_rules(list(DEFAULT) if rules is None else rules, points or datasets.load("moons"))
    html = page(
        {
            **programs.page_data(chosen, tuple(architectures), tuple(activations), tuple(optimizers)),
            "control": programs.FROZEN,
            "shown": list(chosen)[:SHOWN],
            "rates": {"sgd": 0.1, "momentum": 0.03, "adam": 0.01},
            "data": {"name": data} if points is None else {"name": points.name, "table": table(points)},
        },
        programs.engine(),
        title=f"ascribe play: {data if points is None else points.name}",
    )
    return _written(place, html)


def _written(place: Path, text: str) -> Path:
    """The page in its file."""
    html = text.encode("utf-8")
    if len(html) > LARGEST:
        raise UserError(
            f"a page has at most {LARGEST / 1e6:.1f} MB, and this one would have {len(html) / 1e6:.1f}: choose fewer rules or "
            f"architectures."
        )
    write_whole(place, html, parents=True)
    return place


def table(data: Dataset) -> dict[str, Any]:
    """All points of a data set, in its own units, with the names of its columns and classes; of many, some from all over."""
    inputs = np.concatenate([split.inputs for _, split in data.splits]).astype(np.float64)
    targets = np.concatenate([split.targets for _, split in data.splits])
    if data.input_mean is not None and data.input_scale is not None:
        inputs = inputs * data.input_scale + data.input_mean
    most = int(MOST / TRAINED)
    kept = np.linspace(0, len(inputs) - 1, most).astype(int) if len(inputs) > most else np.arange(len(inputs))
    left = len(inputs) - len(kept)
    return {
        "inputs": [float(f"{value:.7g}") for value in inputs[kept].ravel()],
        "targets": [int(one) for one in targets[kept].ravel()],
        "columns": [str(name)[:24] for name in data.feature_names] or ["x1", "x2"],
        "classes": [str(name)[:24] for name in data.class_names],
        "note": f"{left} rows were left out: {most} points are enough here." if left else "",
    }


def _two_inputs(data: DataLike) -> Dataset:
    """The data set, if it has two inputs and two classes."""
    if isinstance(data, str) and not datasets.is_file(data) and data not in datasets.names():
        raise unknown(
            "data set",
            data,
            (*MADE, NEURONS),
            f"choose one of {', '.join(MADE)}, neurons, or a CSV file with two inputs and two classes",
        )
    found = datasets.as_dataset(data)
    shape = found.train.inputs.shape[1:]
    if found.task != "binary" or shape != (2,):
        raise UserError(
            f"the playground draws two inputs and two classes; {found.name} has inputs of shape {shape} and the task "
            f"{found.task}: choose one of {', '.join(MADE)}, or a CSV file with two columns of numbers and one of two classes; "
            "`ascribe play --live` takes any data."
        )
    return found


def _check_architectures(architectures: Sequence[str]) -> None:
    if isinstance(architectures, str) or not architectures:
        raise UserError(f"`architectures` is a list as ['2-16-1', '2-16-16-1']; got {shown(architectures)}.")
    for one in architectures:
        if not isinstance(one, str) or not _UNITS.fullmatch(one):
            raise UserError(
                f"an architecture is the units of every layer, from 2 inputs to 1 output, as '2-16-1'; got {shown(one)}."
            )
