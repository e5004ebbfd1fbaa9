"""The adding problem: the sum of two numbers of a sequence, which a second channel marks."""

import numpy as np

from ascribe.checks import flag

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask, sample_count, whole_number

CARD = Card(
    title="Adding problem",
    description=(
        "A sequence of pairs, at each step a number, uniform on [0, 1], and a marker, which is 1 at one step of the first half "
        "and at one of the second half, else 0; the target is the sum of the two marked numbers. Who always says 1, the mean, "
        "has the RMSE sqrt(1/6) = 0.408; samples=1000 sequences of length=20 by default."
    ),
    source=(
        "Generated here; the problem is that of Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9, "
        "1997, in the form of Arjovsky, Shah and Bengio, Unitary Evolution Recurrent Neural Networks, ICML 2016."
    ),
    license="CC0-1.0 (generated)",
    url="",
    task="regression",
    size="1,000 sequences (samples=) of 20 × 2, time × features",
)


def adding(*, seed: int = 0, samples: Option = 1000, length: Option = 20, standardize: Option = False) -> Dataset:
    """y = sum over time of number · marker. Inputs have shape `(examples, length, 2)`, targets `(examples, 1)`.

    Unless `standardize` is True, `target_mean` is 0 and `target_scale` is 1; if it is, numbers and markers have a mean and a
    scale of their own. Of an odd `length`, the second half is the longer one.

    **Raises:** `UserError` on a bad option.
    """
    length = whole_number("length", length, minimum=2)
    samples = sample_count(samples, features=2 * length)
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    numbers, markers = generator.random((samples, length)), np.zeros((samples, length))
    half, every = length // 2, np.arange(samples)
    markers[every, generator.integers(half, size=samples)] = 1.0
    markers[every, generator.integers(half, length, size=samples)] = 1.0
    inputs, targets = np.stack([numbers, markers], axis=2), np.sum(numbers * markers, axis=1, keepdims=True)
    own = {"standardize_targets": standardize, "by_feature": True}
    return Assembly("adding", "regression", inputs, targets, seed, CARD, standardize, **own).divided()
