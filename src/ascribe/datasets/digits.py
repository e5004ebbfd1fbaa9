"""The 1,797 handwritten digits of scikit-learn: a small image problem that needs no download."""

from typing import Any

import numpy as np

from .base import Card
from .images import Images, ImageSet, loader
from .splits import TEST_FRACTION, VALIDATION_FRACTION, split_indices

CARD = Card(
    title="Optical digits, 8 x 8",
    description=(
        "1,797 gray images of handwritten digits, 8 x 8 pixels with 17 levels; 70 % to train on, 15 % for "
        "validation, 15 % to test on."
    ),
    source=(
        "Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (its "
        "test part); read from scikit-learn (Pedregosa et al., JMLR 12, 2011)."
    ),
    license="CC BY 4.0",
    url="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    task="classification",
    size="1,797 images of 8 × 8",
)

CLASS_NAMES = tuple(str(digit) for digit in range(10))
MAXIMUM = 16  # the brightest pixel: each counts the dark points in a block of 4 x 4


def read(seed: int) -> ImageSet:
    """All the images, divided with this seed."""
    from sklearn.datasets import load_digits  # noqa: PLC0415  (imported here because it is slow)

    bunch: Any = load_digits()
    images = np.asarray(bunch["images"]).astype(np.uint8)[..., None]
    labels = np.asarray(bunch["target"]).astype(np.uint8)
    rows = split_indices(len(labels), seed=seed, labels=labels, validation=0.0, test=TEST_FRACTION)
    train, test = Images(images, labels).at(rows.train), Images(images, labels).at(rows.test)
    validation = VALIDATION_FRACTION / (1.0 - TEST_FRACTION)  # of what the test part has left
    return ImageSet("digits", CARD, CLASS_NAMES, train, test, MAXIMUM, validation, published=False)


@loader
def digits(seed: int) -> ImageSet:
    """Inputs `(examples, 8, 8, 1)`: pixels in [0, 1], then standardized with one mean and scale of the training part.

    `classes=(3, 8)` keeps two digits and makes the task binary; `samples` and `test_samples` keep a random part.

    **Raises:** `UserError` on a bad option.
    """
    return read(seed)
