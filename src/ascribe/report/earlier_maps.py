"""How the class maps came about: those of earlier epochs, for the slider of a page."""

from collections.abc import Mapping

import numpy as np

from ascribe.charts.maps import doubled, picture
from ascribe.charts.png import data_uri
from ascribe.datasets.region import untransformed
from ascribe.statistics import finished

from .base import Comparison, with_networks
from .class_maps import class_colors

SHADES = 60
"""Fewer than last maps have, since there are more pictures."""


def earlier_maps(comparison: Comparison) -> dict[int, dict[str, str]]:
    """The class maps of every rule at the epochs at which all of them have one, as addresses of pictures.

    **Returns:** `{epoch: {rule: address}}`, the mean over the seeds that finished, in the colors of `class_maps`; empty where
    nothing was kept on the way. Of cross-validation those of the first fold.
    """
    comparison = comparison.folds[0] if comparison.folds else comparison
    kept: dict[str, Mapping[int, np.ndarray]] = {
        rule: getattr(runs, "class_maps", {}) for rule, runs in with_networks(comparison).items()
    }
    epochs = [epoch for epoch in next(iter(kept.values()), {}) if all(epoch in maps for maps in kept.values())]
    colors = class_colors(untransformed(comparison.data))
    return {
        epoch: {
            rule: data_uri(picture(doubled(doubled(_mean(maps[epoch], comparison.runs[rule].diverged))), colors, SHADES))
            for rule, maps in kept.items()
        }
        for epoch in epochs
    }


def _mean(maps: np.ndarray, diverged: np.ndarray) -> np.ndarray:
    """The probabilities of all classes, `(side, side, classes)`; NaN where every run diverged."""
    survivors = finished(maps.astype(np.float64), diverged)
    survivors = survivors[np.isfinite(survivors).all(axis=(1, 2, 3))]
    others = survivors.mean(axis=0) / 255.0 if len(survivors) else np.full(maps.shape[1:], np.nan)
    return np.concatenate([1.0 - others.sum(axis=-1, keepdims=True), others], axis=-1)
