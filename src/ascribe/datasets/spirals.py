"""Interleaved spirals: a hard boundary in two dimensions."""

import numpy as np

from ascribe.checks import flag, not_negative, positive, refusal
from ascribe.errors import option, shown

from .assembly import Assembly
from .base import Card, Dataset
from .options import MINIMUM_EXAMPLES, Option, ask, sample_count, suggest, whole_number

CARD = Card(
    title="Interleaved spirals",
    description=(
        "One spiral arm per class: radius r from 0.1 to 1, angle 2 pi (turns r + class / classes), Gaussian noise "
        "on both coordinates; samples=1000 points, noise=0.02, turns=1, classes=2 by default."
    ),
    source=(
        "Generated here; the task is that of Lang and Witbrock, Learning to Tell Two Spirals Apart, Proceedings of "
        "the 1988 Connectionist Models Summer School."
    ),
    license="CC0-1.0 (generated)",
    task="binary",
    size="1,000 points (samples=), 2 features",
)

INNER_RADIUS = 0.1  # the arms would meet at the center, where no label is right


def spirals(
    *,
    seed: int = 0,
    samples: Option = 1000,
    noise: Option = 0.02,
    turns: Option = 1.0,
    classes: Option = 2,
    standardize: Option = False,
) -> Dataset:
    """`classes` spiral arms, `samples / classes` points on each, radius drawn uniformly from [0.1, 1].

    Two classes make a binary task, more a classification. Inputs have shape `(examples, 2)`.

    **Raises:** `UserError` on a bad option.
    """
    classes = whole_number("classes", classes, minimum=2)
    samples = sample_count(samples, minimum=max(MINIMUM_EXAMPLES, 3 * classes))
    noise = ask(not_negative, "noise", noise, 0.1)
    turns = ask(positive, "turns", turns, 2)
    if turns > 100:
        raise refusal(option("turns"), "at most 100, turns around the center", shown(turns), suggest("turns", 2))
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % classes
    radius = generator.uniform(INNER_RADIUS, 1.0, samples)
    angle = 2.0 * np.pi * (turns * radius + labels / classes)
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points += noise * generator.standard_normal(points.shape)
    task, names = "binary" if classes == 2 else "classification", tuple(f"arm {arm + 1}" for arm in range(classes))
    return Assembly("spirals", task, points, labels, seed, CARD, standardize, names, ("x1", "x2")).divided()
