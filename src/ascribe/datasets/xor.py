"""The exclusive or, as four noisy clusters: no linear classifier can solve it."""

import numpy as np

from ascribe.checks import flag, not_negative

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask, sample_count

CARD = Card(
    title="Noisy XOR",
    description=(
        "Points around the four corners of the unit square with Gaussian noise; the class is the exclusive or of "
        "the corner's coordinates: (0,0) -> 0, (0,1) -> 1, (1,0) -> 1, (1,1) -> 0; samples=1000 points, noise=0.1 "
        "by default."
    ),
    source=(
        "Generated here from the XOR table of the usual neural-network course notes; the problem is that of "
        "Minsky and Papert, Perceptrons, 1969, and of Rumelhart, Hinton and Williams, Nature 323, 1986."
    ),
    license="CC0-1.0 (generated)",
    task="binary",
    size="1,000 points (samples=), 2 features",
)

CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
LABELS = np.array([0, 1, 1, 0])


def xor(*, seed: int = 0, samples: Option = 1000, noise: Option = 0.1, standardize: Option = False) -> Dataset:
    """A quarter of the `samples` around each corner of (0/1)^2, plus N(0, noise^2) on both coordinates.

    Inputs have shape `(examples, 2)`.

    **Raises:** `UserError` on a bad option.
    """
    samples = sample_count(samples)
    noise = ask(not_negative, "noise", noise, 0.1)
    standardize = ask(flag, "standardize", standardize, True)
    corner = np.arange(samples) % 4
    inputs = CORNERS[corner] + noise * np.random.default_rng(seed).standard_normal((samples, 2))
    classes, features = ("equal", "different"), ("x1", "x2")
    return Assembly("xor", "binary", inputs, LABELS[corner], seed, CARD, standardize, classes, features).divided()
