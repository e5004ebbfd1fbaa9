"""One period of a noisy sine: the smallest regression problem."""

import numpy as np

from ascribe.checks import flag, not_negative

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask, sample_count

CARD = Card(
    title="Noisy sine",
    description=(
        "One input x, uniform on [-pi, pi], one target y = sin(x) + Gaussian noise; samples=1000 points, noise=0.1 by default."
    ),
    source="Generated here.",
    license="CC0-1.0 (generated)",
    task="regression",
    size="1,000 points (samples=), 1 feature",
)


def sine(*, seed: int = 0, samples: Option = 1000, noise: Option = 0.1, standardize: Option = False) -> Dataset:
    """y = sin(x) + N(0, noise^2), x uniform on [-pi, pi].

    Inputs and targets have shape `(examples, 1)`. They are of order one already: unless `standardize` is True,
    `target_mean` is 0 and `target_scale` is 1. The best possible RMSE is `noise`.

    **Raises:** `UserError` on a bad option.
    """
    samples = sample_count(samples)
    noise = ask(not_negative, "noise", noise, 0.1)
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    inputs = generator.uniform(-np.pi, np.pi, (samples, 1))
    targets = np.sin(inputs) + noise * generator.standard_normal((samples, 1))
    options = {"feature_names": ("x",), "standardize_targets": standardize}
    return Assembly("sine", "regression", inputs, targets, seed, CARD, standardize, **options).divided()
