"""The handwritten digits of scikit-learn, read row by row: the smallest real sequences."""

from dataclasses import replace

from . import digits
from .images import ImageSet, loader

CARD = replace(
    digits.CARD,
    title="Optical digits, row by row",
    description=(
        "The 1,797 images of `digits`, each as a sequence: its 8 rows from top to bottom, 8 pixels at a time; 70 % to train "
        "on, 15 % for validation, 15 % to test on. Guessing is right in 10 %."
    ),
    size="1,797 sequences of 8 × 8, time × features",
)


@loader
def digit_rows(seed: int) -> ImageSet:
    """Inputs `(examples, 8, 8)`, time before features: the pixels of `digits` in its splits, number for number.

    Options are those of `digits`.

    **Raises:** `UserError` on a bad option.
    """
    return replace(digits.read(seed), name="digit-rows", card=CARD, by_rows=True)
