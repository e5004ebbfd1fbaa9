"""From arrays in memory to a `Dataset`: cut, fill gaps, standardize with statistics of the training rows."""

from dataclasses import dataclass

import numpy as np

from .base import Card, Dataset, Split
from .options import Task
from .splits import Division, Indices, split_indices, standardization


@dataclass(frozen=True, eq=False)
class Assembly:
    """All examples of a data set before they are divided.

    `inputs`: shape `(examples, *input_shape)`, float64; `targets`: `(examples,)` of integer labels, or `(examples, outputs)` of
    float64; `seed`: of the division. The names and the card are those of the `Dataset`.
    """

    name: str
    task: Task
    inputs: np.ndarray
    targets: np.ndarray
    seed: int
    card: Card
    standardize: bool
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    standardize_targets: bool = True
    by_feature: bool = False

    def divided(self, rows: Indices | None = None) -> Dataset:
        """The data set, whose every statistic comes from the training rows only.

        Missing inputs (NaN) become the mean of the column over the training rows; with `standardize`, the inputs
        become `(inputs - mean) / scale`, column by column. Examples with more than one axis (sequences, images) share one
        scalar mean and scale, or with `by_feature` have one for each entry of their last axis. Regression targets become
        `(targets - mean) / scale` unless `standardize_targets` is False, in which case the mean is 0 and the scale is 1.

        `rows`: the cut; by default 70 % train, 15 % validation, 15 % test, stratified for classification, and the data set
        has a `division`.
        """
        inputs, targets, division = self.inputs, self.targets, None
        if rows is None:
            labels = None if self.task == "regression" else targets
            rows = split_indices(len(inputs), seed=self.seed, labels=labels)
            division = Division(self.divided, len(inputs), labels, rows, self.seed)
        inputs = np.asarray(inputs, dtype=np.float64)
        by_feature = self.by_feature or inputs.ndim == 2
        width = inputs.shape[-1] if by_feature else 1
        columns = inputs.reshape(-1, width)
        mean, scale = standardization(inputs[rows.train].reshape(-1, width))
        columns = np.where(np.isnan(columns), mean, columns)
        input_mean = input_scale = None
        if self.standardize:
            columns = (columns - mean) / scale
            input_mean, input_scale = (mean, scale) if by_feature else (mean.reshape(()), scale.reshape(()))
        inputs = columns.reshape(inputs.shape)

        target_mean = target_scale = None
        if self.task == "regression":
            targets = np.asarray(targets, dtype=np.float64)
            if self.standardize_targets:
                target_mean, target_scale = standardization(targets[rows.train])
            else:
                target_mean, target_scale = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
            targets = ((targets - target_mean) / target_scale).astype(np.float32)
        else:
            targets = targets.astype(np.int32)

        return Dataset(
            self.name,
            self.task,
            *(Split(inputs[part].astype(np.float32), targets[part]) for part in rows),
            class_names=self.class_names,
            feature_names=self.feature_names,
            card=self.card,
            target_mean=target_mean,
            target_scale=target_scale,
            input_mean=input_mean,
            input_scale=input_scale,
            division=division,
        )
