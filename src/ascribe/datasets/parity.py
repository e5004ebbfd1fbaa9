"""The parity of a sequence of bits: every bit counts, and the answer turns with each."""

import numpy as np

from ascribe.checks import flag

from .assembly import Assembly
from .base import Card, Dataset
from .options import MINIMUM_EXAMPLES, Option, ask, sample_count, whole_number
from .sequences import distinct_sequences, too_many

CARD = Card(
    title="Parity of a bit sequence",
    description=(
        "A sequence of bits x_1, ..., x_T, each 0 or 1, one at a time; the class is their sum modulo 2, even or odd. No two "
        "sequences are equal, and half of them are odd, so that guessing is right in 50 %, and learning by heart in less: "
        "sequences that differ in one bit are of different classes. samples=1000 sequences of bits=10 by default, of the "
        "1,024 that there are."
    ),
    source="Generated here; the problem is that of Minsky and Papert, Perceptrons, 1969.",
    license="CC0-1.0 (generated)",
    url="",
    task="binary",
    size="1,000 sequences (samples=) of 10 × 1, time × features",
)

_FEWEST = 4  # bits, of which there are more sequences than the least number of examples


def parity(*, seed: int = 0, samples: Option = 1000, bits: Option = 10, standardize: Option = False) -> Dataset:
    """Sequences of `bits` bits with the class sum(x) mod 2, as many even as odd ones. Inputs have shape `(examples, bits, 1)`.

    `samples` is at most 2^bits, all that there are.

    **Raises:** `UserError` on a bad option.
    """
    bits = whole_number("bits", bits, minimum=_FEWEST)
    samples = sample_count(samples, features=bits)
    if samples > 2**bits:
        raise too_many(samples, 2**bits, MINIMUM_EXAMPLES, "bits", samples.bit_length())
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    labels = np.arange(samples) % 2
    inputs = np.zeros((samples, bits, 1))
    for label in range(2):
        chosen = labels == label
        inputs[chosen, :-1, 0] = distinct_sequences(generator, 2, bits - 1, int(chosen.sum()))
        inputs[chosen, -1, 0] = (inputs[chosen].sum(axis=(1, 2)) + label) % 2
    own = {"class_names": ("even", "odd"), "by_feature": True}
    return Assembly("parity", "binary", inputs, labels, seed, CARD, standardize, **own).divided()
