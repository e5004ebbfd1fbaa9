"""What trained networks answer to new inputs: outputs, labels or values, class probabilities."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses
from ascribe.checks import real_numbers, unmasked
from ascribe.datasets import Dataset, Split, Transform
from ascribe.errors import UserError, shown
from ascribe.metrics import class_probabilities, predicted_labels
from ascribe.networks import Network
from ascribe.types import PyTree

from .devices import outputs_of_runs
from .evaluate import boundary, link


class Predictor(eqx.Module):
    """Networks side by side that predict.

    `network`: their structure; `networks`, `states`: themselves and their normalization statistics, a leading axis of networks
    on every array; `loss`: whose link makes probabilities of outputs; `encoding`: the transforms that the rule needs beyond the
    data's own; `rows`: how many inputs go through a network at a time; `filled`: whether the last of them are filled up to that
    number, so that one program answers any number of inputs, each to the same bits wherever it stands.
    """

    network: Network
    networks: Network
    states: PyTree
    loss: losses.Loss
    encoding: tuple[Transform, ...] = ()
    rows: int = 1024
    filled: bool = False

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """The raw outputs, `(networks, examples, outputs)`, of inputs `(examples, …)` prepared as the data set's own are: with
        its transforms, without those of the `encoding`."""
        for transform in self.encoding:
            inputs = transform(inputs)
        if self.network.first.wants_vectors:
            inputs = inputs.reshape(len(inputs), math.prod(inputs.shape[1:]))
        dtype, pieces = jax.tree.leaves(self.networks)[0].dtype, []
        for start in range(0, max(len(inputs), 1), self.rows):
            piece = inputs[start : start + self.rows]
            if self.filled:
                piece = np.pad(piece, [(0, self.rows - len(piece))] + [(0, 0)] * (piece.ndim - 1))
            pieces.append(np.asarray(outputs_of_runs(self.networks, self.states, jnp.asarray(piece, dtype))))
        return np.concatenate(pieces, axis=1)[:, : len(inputs)]

    def labels(self, outputs: np.ndarray) -> np.ndarray:
        """The most probable classes, `(networks, examples)`, of raw outputs."""
        limit = boundary(self.network, self.loss)
        return np.asarray(jax.vmap(lambda one: predicted_labels(one, boundary=limit))(jnp.asarray(outputs)))

    def predictions(self, outputs: np.ndarray, data: Dataset) -> np.ndarray:
        """Labels `(networks, examples)`, or for regression values in the target's original unit `(networks, examples,
        outputs)`, of raw outputs."""
        if data.task != "regression":
            return self.labels(outputs)
        if data.target_scale is None or data.target_mean is None:
            return outputs
        return outputs * data.target_scale + data.target_mean

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Class probabilities, `(networks, examples, classes)`, of raw outputs."""
        last = link(self.network, self.loss)
        return np.asarray(jax.vmap(lambda one: class_probabilities(one, link=last))(jnp.asarray(outputs)))


def check_classes(data: Dataset) -> None:
    """A `UserError` for regression, which has no probabilities."""
    if data.task == "regression":
        raise UserError("probabilities belong to classes: for regression use `predict`.")


def prepared_inputs(inputs: Any, expected: tuple[int, ...]) -> np.ndarray:
    """Inputs, or those of a split, as an array of the shape `(examples, *expected)`, float32; a `UserError` for what is none,
    or has a gap, whose class nobody knows."""
    inputs = inputs.inputs if isinstance(inputs, Split) else inputs
    wanted = f"inputs are finite numbers of the shape (examples, {', '.join(map(str, expected))})"
    try:
        array = np.asarray(unmasked(inputs))
    except ValueError as error:
        raise UserError(f"{wanted}; got rows of several lengths.") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise UserError(
            f"{wanted}; got {shown(inputs)}: give a split, as runs.data.test, or make inputs of raw rows by "
            f"runs.data.prepare(rows)."
        )
    with np.errstate(over="ignore"):  # what is too large is infinite
        array = array.astype(np.float32)
    lost = int(np.count_nonzero(~np.isfinite(array)))
    if lost:
        raise UserError(f"{wanted}; got {lost} that are missing (NaN) or infinite: fill them in or leave these examples out.")
    if array.shape[1:] != expected and array.size == len(array) * math.prod(expected):
        array = array.reshape(len(array), *expected)
    if array.shape[1:] != expected:
        raise UserError(f"inputs have the shape (examples, {', '.join(map(str, expected))}); got {array.shape}.")
    return array


FEWEST = 5
"""So many rows have a mean and a spread that tell something."""


def look_prepared(rows: Any, data: Dataset) -> bool:
    """Whether numbers evidently are inputs that were prepared already, where raw rows are wanted.

    Where columns were standardized, raw training rows have the means m and the standard deviations s that `data` knows, and
    prepared ones 0 and 1. Rows *fit* one of the two where, in every column, their mean is at most 1 standard deviation away and
    their own deviation, if it is not 0, within a factor of 3; they are *far* from it where in some column their mean is 3 away,
    or ¼ with a deviation that differs by more than a factor of 5. They look prepared where they fit 0 and 1 and are far from
    m and s: raw rows do that only where they are unlike the training rows, and like standardized ones, in every column. Fewer
    than 5 rows, and rows of data with transforms or without a standardization, never do.
    """
    return _mistaken(rows, data, prepared=True)


def look_raw(inputs: Any, data: Dataset) -> bool:
    """Whether numbers evidently are raw rows where prepared inputs are wanted: they fit m and s, and are far from 0 and 1, as
    in `look_prepared`."""
    return _mistaken(inputs, data, prepared=False)


def _mistaken(rows: Any, data: Dataset, *, prepared: bool) -> bool:
    mean, scale = data.input_mean, data.input_scale
    if data.transforms or mean is None or scale is None or not mean.any():
        return False
    numbers = real_numbers(rows)
    if numbers is None or numbers.shape[1:] != data.input_shape or len(numbers) < FEWEST or not np.isfinite(numbers).all():
        return False
    columns, mean, scale = numbers.reshape(-1, mean.size), mean.reshape(-1), scale.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):  # what is infinite fits nothing
        means, deviations = columns.mean(axis=0), columns.std(axis=0)
        raw = (means - mean) / scale, deviations / scale
    own = means, deviations
    return _fits(*(own if prepared else raw)) and _is_far(*(raw if prepared else own))


def _fits(means: np.ndarray, deviations: np.ndarray) -> bool:
    alike = (deviations == 0) | ((deviations >= 1 / 3) & (deviations <= 3))
    return bool(np.all((np.abs(means) <= 1) & alike))


def _is_far(means: np.ndarray, deviations: np.ndarray) -> bool:
    distance = np.abs(means)
    varied = (deviations > 0) & ((deviations < 1 / 5) | (deviations > 5))
    return bool(np.any((distance >= 3) | ((distance >= 1 / 4) & varied)))
