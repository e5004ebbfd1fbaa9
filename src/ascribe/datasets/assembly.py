"""From arrays in memory to a `Dataset`: cut, fill gaps, standardize with statistics of the training rows."""

from functools import partial

import numpy as np

from .base import Card, Dataset, Split
from .options import Task
from .splits import Division, Indices, split_indices, standardization


def assemble(
    name: str,
    task: Task,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    seed: int,
    card: Card,
    class_names: tuple[str, ...] = (),
    feature_names: tuple[str, ...] = (),
    standardize: bool,
    standardize_targets: bool = True,
    by_feature: bool = False,
    rows: Indices | None = None,
) -> Dataset:
    """Build a data set whose every statistic comes from the training rows only.

    Missing inputs (NaN) become the mean of the column over the training rows; with `standardize`, the inputs
    become `(inputs - mean) / scale`, column by column. Examples with more than one axis (sequences, images) share one
    scalar mean and scale, or with `by_feature` have one for each entry of their last axis. Regression targets become
    `(targets - mean) / scale` unless `standardize_targets` is False, in which case the mean is 0 and the scale is 1.

    **Arguments:**

    - `inputs`: shape `(examples, *input_shape)`, float64.
    - `targets`: shape `(examples,)` of integer labels, or `(examples, outputs)` of float64.
    - `rows`: the cut; by default 70 % train, 15 % validation, 15 % test, stratified for classification, and the data set
      has a `division`.
    """
    division = None
    if rows is None:
        labels = None if task == "regression" else targets
        rows = split_indices(len(inputs), seed=seed, labels=labels)
        again = partial(
            assemble,
            name,
            task,
            inputs,
            targets,
            seed=seed,
            card=card,
            class_names=class_names,
            feature_names=feature_names,
            standardize=standardize,
            standardize_targets=standardize_targets,
            by_feature=by_feature,
        )
        division = Division(again, len(inputs), labels, rows, seed)
    inputs = np.asarray(inputs, dtype=np.float64)
    by_feature |= inputs.ndim == 2
    width = inputs.shape[-1] if by_feature else 1
    columns = inputs.reshape(-1, width)
    mean, scale = standardization(inputs[rows.train].reshape(-1, width))
    columns = np.where(np.isnan(columns), mean, columns)
    input_mean = input_scale = None
    if standardize:
        columns = (columns - mean) / scale
        input_mean, input_scale = (mean, scale) if by_feature else (mean.reshape(()), scale.reshape(()))
    inputs = columns.reshape(inputs.shape)

    target_mean = target_scale = None
    if task == "regression":
        targets = np.asarray(targets, dtype=np.float64)
        if standardize_targets:
            target_mean, target_scale = standardization(targets[rows.train])
        else:
            target_mean, target_scale = np.zeros(targets.shape[1]), np.ones(targets.shape[1])
        targets = ((targets - target_mean) / target_scale).astype(np.float32)
    else:
        targets = targets.astype(np.int32)

    train, validation, test = (Split(inputs[part].astype(np.float32), targets[part]) for part in rows)
    return Dataset(
        name=name,
        task=task,
        train=train,
        validation=validation,
        test=test,
        class_names=class_names,
        feature_names=feature_names,
        card=card,
        target_mean=target_mean,
        target_scale=target_scale,
        input_mean=input_mean,
        input_scale=input_scale,
        division=division,
    )
