"""Two Gaussian clouds, one per class: the smallest binary problem."""

import numpy as np

from ascribe.checks import flag

from .assembly import Assembly
from .base import Card, Dataset
from .options import Option, ask, sample_count, whole_number

CARD = Card(
    title="Two Gaussians",
    description=(
        "Two classes of points around the means (+1, ..., +1) and (-1, ..., -1), standard deviation 1 in every "
        "direction; samples=1000 points in dimensions=2 dimensions by default."
    ),
    source=(
        "Generated here after section 3.1 of 'Function changes in the Backpropagation equation is equivalent to "
        "an implicit learning rate'."
    ),
    license="CC0-1.0 (generated)",
    task="binary",
    size="1,000 points (samples=), 2 features (dimensions=)",
)


def gaussians(*, seed: int = 0, samples: Option = 1000, dimensions: Option = 2, standardize: Option = False) -> Dataset:
    """Class 0 from N(+1, I), class 1 from N(-1, I), half of the `samples` each.

    The best possible classifier is right with probability Phi(sqrt(dimensions)): 92.1 % in two dimensions. Inputs have
    shape `(examples, dimensions)`.

    **Raises:** `UserError` on a bad option.
    """
    dimensions = whole_number("dimensions", dimensions, minimum=1)
    samples = sample_count(samples, features=dimensions)
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    means = np.where(labels == 0, 1.0, -1.0)[:, None]
    inputs = means + generator.standard_normal((samples, dimensions))
    classes, features = ("plus", "minus"), tuple(f"x{axis + 1}" for axis in range(dimensions))
    return Assembly("gaussians", "binary", inputs, labels, seed, CARD, standardize, classes, features).divided()
