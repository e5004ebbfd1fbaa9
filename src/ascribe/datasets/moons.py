"""Two interleaved half circles."""

import numpy as np

from ascribe.checks import flag, not_negative

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask, sample_count

CARD = Card(
    title="Two moons",
    description=(
        "Two interleaved half circles of radius 1 with Gaussian noise: (cos t, sin t) and (1 - cos t, 1/2 - sin t), "
        "t from 0 to pi; samples=1000 points, noise=0.2 by default."
    ),
    source="Generated here with the curves of make_moons in scikit-learn (Pedregosa et al., JMLR 12, 2011).",
    license="CC0-1.0 (generated)",
    url="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_moons.html",
    task="binary",
    size="1,000 points (samples=), 2 features",
)


def moons(*, seed: int = 0, samples: Option = 1000, noise: Option = 0.2, standardize: Option = False) -> Dataset:
    """Class 0 on the upper moon, class 1 on the lower one, plus N(0, noise^2) on both coordinates.

    Written out instead of calling scikit-learn, whose import takes longer than a small training run; without noise the
    points are those of `make_moons`. Inputs have shape `(examples, 2)`.

    **Raises:** `UserError` on a bad option.
    """
    samples = sample_count(samples)
    noise = ask(not_negative, "noise", noise, 0.1)
    standardize = ask(flag, "standardize", standardize, True)
    upper = np.linspace(0.0, np.pi, samples // 2)
    lower = np.linspace(0.0, np.pi, samples - samples // 2)
    points = np.concatenate(
        [np.stack([np.cos(upper), np.sin(upper)], axis=1), np.stack([1.0 - np.cos(lower), 0.5 - np.sin(lower)], axis=1)]
    )
    labels = np.repeat([0, 1], [len(upper), len(lower)])
    points += noise * np.random.default_rng(seed).standard_normal(points.shape)
    classes, features = ("upper", "lower"), ("x1", "x2")
    return Assembly("moons", "binary", points, labels, seed, CARD, standardize, classes, features).divided()
