"""MNIST, read row by row."""

from dataclasses import replace

from . import mnist
from .images import ImageSet, loader

CARD = replace(
    mnist.CARD,
    title="MNIST, row by row",
    description=(
        "The images of `mnist`, each as a sequence: its 28 rows from top to bottom, 28 pixels at a time; 60,000 to train on, "
        "10 % of them kept for validation, and 10,000 to test on. Guessing is right in 10 %."
    ),
    size="60,000 + 10,000 sequences of 28 × 28, time × features",
)


@loader
def mnist_rows(_: int) -> ImageSet:
    """Inputs `(examples, 28, 28)`, time before features: the pixels of `mnist` in its splits, number for number.

    Options are those of `mnist`.

    **Raises:** `UserError` on a bad option or if the files cannot be had.
    """
    return replace(mnist.read(), name="mnist-rows", card=CARD, by_rows=True)
