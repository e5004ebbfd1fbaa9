"""What trained networks answer to new inputs: outputs, labels or values, class probabilities."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses
from ascribe.checks import unmasked
from ascribe.datasets import Dataset, Transform
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
    """Inputs as an array of the shape `(examples, *expected)`, float32; a `UserError` for what is none, or has a gap, whose
    class nobody knows."""
    wanted = f"inputs are finite numbers of the shape (examples, {', '.join(map(str, expected))})"
    try:
        array = np.asarray(unmasked(inputs))
    except ValueError as error:
        raise UserError(f"{wanted}; got rows of several lengths.") from error
    if array.dtype.kind not in "biuf" or array.ndim == 0:
        raise UserError(f"{wanted}; got {shown(inputs)}: a split's are its `inputs`, as in runs.data.test.inputs.")
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
