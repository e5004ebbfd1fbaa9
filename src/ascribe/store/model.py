"""One trained network in one file: its arrays as safetensors, everything else as JSON in the file's own head.

The arrays have the names that `parameters.py` gives them (`linear1.weight`, `batchnorm1.state.0`), without an axis of seeds.
The head has two entries: `model`, the JSON text, and `sha256`, over that text and all arrays.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

import ascribe
from ascribe import losses, networks
from ascribe.checks import explained
from ascribe.datasets import Dataset, Split, Transform
from ascribe.datasets.base import LISTED, short_settings
from ascribe.errors import UserError
from ascribe.files import path_of, write_whole
from ascribe.networks import Network, check_input
from ascribe.networks.registry import sources
from ascribe.training import Predictor, Runs
from ascribe.training.predictor import check_classes, look_prepared, prepared_inputs
from ascribe.types import PyTree

from .parameters import filled, tensors_of, with_state
from .record import load_data, load_transforms

FORMAT = 1
STATISTICS = "data:"
"""How the names of arrays begin that belong to the data's preparation and not to the network."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Model:
    """One trained network that knows how its inputs were prepared: raw rows, or a split, go in, labels or values come out.

    `Model.of(runs, seed=3)` takes one of the trained networks, `model.save(path)` writes it, and
    `ascribe.load_model(path).predict(rows)` uses it anywhere. For a network of a training loop of your own:
    `Model(network, data, "bernoulli-cross-entropy")`.

    **Arguments:**

    - `network`, `state`: the network and its normalization statistics (None: the initial ones);
    - `data`: the data set it was trained on, for the preparation of rows, the class names and the target's unit; the
      examples are not saved;
    - `loss`: the name of the loss, whose link makes probabilities of outputs;
    - `encoding`: transforms that the rule needs beyond the data's own;
    - `about`: whatever else is to be known of it, as JSON values: `Model.of` notes rule, seed, rates, scores, versions.

    **Raises:** `UserError` where the network does not take inputs like the data's, or there is no such loss.
    """

    network: Network
    data: Dataset
    loss: str
    state: PyTree = None
    encoding: tuple[Transform, ...] = ()
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @explained
    def __post_init__(self) -> None:
        losses.get(self.loss)
        shape = self.encoding[-1].output_shape if self.encoding else self.data.input_shape
        check_input(self.network, (math.prod(shape),) if self.network.first.wants_vectors else shape)

    def __repr__(self) -> str:
        origin = f" by {self.about['rule']}, seed {self.about['seed']}" if {"rule", "seed"} <= set(self.about) else ""
        return f"<model for {self.data.name}{origin}: {self.network}>"

    @classmethod
    @explained
    def of(cls, runs: Runs, *, seed: int) -> "Model":
        """The network that this seed ended with.

        **Raises:** `UserError` where there is no such seed, or its run diverged.
        """
        if runs.folds:
            raise UserError(
                f"a model is of one run, and every fold has one of seed {seed!r}: take those of a fold, as in "
                f"comparison.folds[0].runs[{runs.rule!r}]."
            )
        if seed not in runs.seeds:
            raise UserError(f"these runs have no seed {seed!r}: choose from {', '.join(map(str, runs.seeds))}.")
        row = runs.seeds.index(seed)
        runs.check_built()
        if runs.diverged[row]:
            raise UserError(f"seed {seed} of {runs.rule} diverged in epoch {runs.diverged_at[row] + 1}: choose another seed.")
        network, state = jax.tree.map(lambda leaf: jnp.asarray(leaf[row]), (runs.networks, runs.states))
        about = {
            "rule": runs.rule,
            "rule_settings": runs.rule_settings,
            "seed": seed,
            "learning_rate": float(runs.learning_rates[row]),
            "hyperparameters": {name: float(value) for name, value in runs.hyperparameters.items()},
            "optimizer": runs.optimizer,
            "scores": {name: _number(values[row]) for name, values in runs.scores.items()},
            "notes": list(runs.notes),
            "data_checksum": runs.data.checksum,
            "versions": {name: importlib.metadata.version(name) for name in ("jax", "equinox", "numpy", "safetensors")}
            | {"ascribe": ascribe.__version__},
        }
        return cls(network, runs.data, runs.loss, state, runs.encoding, about)

    def predict(self, rows: Any) -> np.ndarray:
        """Labels `(rows,)` for **raw** rows, in the units of the file or of the images, as `Dataset.prepare` takes them: a
        data frame or numbers; or for a split (`data.test`), whose inputs are prepared already and taken so. `Runs.predict`
        takes prepared inputs.

        The names of labels are `data.class_names`; for regression, values `(rows, outputs)` in the target's own unit. Gaps
        (NaN) are a `UserError`; rows that look prepared already, a warning."""
        return self._predictor.predictions(self._outputs(rows)[None], self.data)[0]

    def probabilities(self, rows: Any) -> np.ndarray:
        """Class probabilities, `(rows, classes)`, for raw rows or a split; a `UserError` for regression."""
        check_classes(self.data)
        return self._predictor.probabilities(self._outputs(rows)[None])[0]

    def outputs(self, rows: Any) -> np.ndarray:
        """What the network itself answers to raw rows or a split, `(rows, outputs)`."""
        return self._outputs(rows)

    def _outputs(self, rows: Any) -> np.ndarray:
        if isinstance(rows, Split):
            inputs = rows.inputs
        else:
            inputs = self.data.prepare(rows)
            if look_prepared(rows, self.data):
                warnings.warn(
                    "a model takes raw rows and prepares them itself, and these look prepared already: give the rows as they "
                    "were before, or a split such as data.test itself in place of its inputs.",
                    stacklevel=3,
                )
        inputs = prepared_inputs(inputs, self.data.input_shape)
        return self._predictor.outputs(inputs)[0]

    def save(self, path: str | Path) -> Path:
        """Writes the model into one file, whole or not at all, and returns its path. What is there is replaced.

        **Raises:** `UserError` where it cannot be written, or `about` is no JSON.
        """
        path = path_of(path, "a model")
        content = {
            "format": FORMAT,
            "network": self.network.config(),
            "layers": sources(self.network),
            "loss": self.loss,
            "data": self.data.summary(),
            "encoding": [short_settings(transform) for transform in self.encoding],
            "about": dict(self.about),
        }
        try:
            text = json.dumps(content, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UserError(f"a model's `about` holds JSON values alone: {error}.") from error
        state = self.network.initial_state() if self.state is None else self.state
        tensors = tensors_of(self.network, state) | self._statistics()
        head = {"model": text, "sha256": _checksum(text, tensors)}
        write_whole(path, safetensors.numpy.save(tensors, head))
        return path

    def _statistics(self) -> dict[str, np.ndarray]:
        """Means, scales and fitted transforms that the summary has not, or not in their shape."""
        arrays = {"input_mean": self.data.input_mean, "input_scale": self.data.input_scale}
        for owner, transforms in (("transforms", self.data.transforms), ("encoding", self.encoding)):
            for number, transform in enumerate(transforms):
                arrays[f"{owner}:{number}:minimum"] = transform.minimum
                arrays[f"{owner}:{number}:scale"] = transform.scale
        kept = {name: np.asarray(array) for name, array in arrays.items() if array is not None}
        return {
            STATISTICS + name: np.ascontiguousarray(array)
            for name, array in kept.items()
            if array.size > LISTED or array.ndim > 1
        }

    @functools.cached_property
    def _predictor(self) -> Predictor:
        state = self.network.initial_state() if self.state is None else self.state
        networks, states = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], (self.network, state))
        return Predictor(self.network, networks, states, losses.get(self.loss), self.encoding)


def load_model(path: str | Path) -> Model:
    """The model that `Model.save` wrote: its data set is the description, without examples. Nothing in the file is ever
    executed. Numbers saved in float64 are float32 unless JAX was told to use float64.

    **Raises:** `UserError` where there is no such file, it is of a newer format, or it is damaged in any way.
    """
    path = path_of(path, "a model")
    if not path.is_file():
        raise UserError(f"there is no file {str(path)!r}: name one that `Model.save` wrote.")
    try:
        return _load(path)
    except UserError as error:
        reason = str(error).rstrip(".")
    except Exception as error:  # any value may stand in a damaged head, and meet any code that reads it
        reason = f"{type(error).__name__}: {error}".split("\n")[0].rstrip(".")
    raise UserError(f"the model {str(path)!r} cannot be loaded: {reason}.")


def _load(path: Path) -> Model:
    with safetensors.safe_open(path, "np") as file:
        head = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    if not {"model", "sha256"} <= set(head):
        raise UserError("it is no model of ascribe")
    text = head["model"]
    if head["sha256"] != _checksum(text, tensors):
        raise UserError("it is damaged, for its checksum is another")
    content = json.loads(text)
    if content["format"] != FORMAT:
        raise UserError(f"it has the format {content['format']!r}, and this version of ascribe reads {FORMAT}")
    long = {name.removeprefix(STATISTICS): value for name, value in tensors.items() if name.startswith(STATISTICS)}
    own = {name: value for name, value in tensors.items() if not name.startswith(STATISTICS)}
    # Abstract: a structure that asks for more numbers than the file has is refused before anything is allocated.
    pair = jax.eval_shape(lambda: with_state(networks.from_config(content["network"])))
    network, state = jax.tree.map(jnp.asarray, filled(pair, own))
    data = load_data(content["data"], path, long)  # no folder, so that there are no examples
    data.prepare(np.zeros((0, *(data.original or data).input_shape)))  # its statistics are of one shape
    encoding = load_transforms(content["encoding"], "encoding", long)
    return Model(network, data, content["loss"], state, encoding, dict(content["about"]))


def _checksum(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the head's text and over name, type, shape and bytes of every array."""
    encoded = text.encode()
    digest = hashlib.sha256(f"{len(encoded)}\n".encode() + encoded)
    for name, array in sorted(tensors.items()):
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
