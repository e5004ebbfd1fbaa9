"""Delayed recall: the first symbol of a sequence, asked for after others have passed."""

import numpy as np

from ascribe.checks import flag

from .assembly import Assembly
from .base import Card, Dataset
from .options import MINIMUM_EXAMPLES, Option, ask, sample_count, whole_number
from .sequences import distinct_sequences, one_hot, too_many

CARD = Card(
    title="Delayed recall",
    description=(
        "A sequence of symbols as one-hot vectors: first the cue, then as many distractors as the delay has steps, drawn from "
        "the same symbols; the class is the cue. No two sequences are equal, and all cues are equally frequent, so that "
        "guessing is right in one of K cases, 25 % by default: samples=1000 sequences, symbols=4 (K), delay=10. A network that "
        "sees all steps at once needs one layer for it; the task is one for networks that see one step after the other."
    ),
    source=(
        "Generated here; a latch task in the manner of Bengio, Simard and Frasconi, Learning Long-Term Dependencies with "
        "Gradient Descent Is Difficult, IEEE Transactions on Neural Networks 5, 1994."
    ),
    license="CC0-1.0 (generated)",
    url="",
    task="classification",
    size="1,000 sequences (samples=) of 11 × 4, time × features",
)


def delayed_recall(
    *, seed: int = 0, samples: Option = 1000, symbols: Option = 4, delay: Option = 10, standardize: Option = False
) -> Dataset:
    """The first of `delay + 1` symbols, of which there are `symbols`. Inputs have shape `(examples, delay + 1, symbols)`.

    `samples` is at most symbols^(delay + 1), all sequences that there are. Two symbols make a binary task.

    **Raises:** `UserError` on a bad option.
    """
    symbols = whole_number("symbols", symbols, minimum=2)
    delay = whole_number("delay", delay, minimum=1)
    fewest = max(MINIMUM_EXAMPLES, 3 * symbols)
    samples = sample_count(samples, minimum=fewest, features=(delay + 1) * symbols)
    if samples > symbols ** (delay + 1):
        raise too_many(samples, symbols ** (delay + 1), fewest, "delay", samples.bit_length())
    standardize = ask(flag, "standardize", standardize, True)
    generator = np.random.default_rng(seed)
    cues = np.arange(samples) % symbols
    sequences = np.empty((samples, delay + 1), dtype=np.int64)
    sequences[:, 0] = cues
    for cue in range(symbols):
        sequences[cues == cue, 1:] = distinct_sequences(generator, symbols, delay, int((cues == cue).sum()))
    task, names = "binary" if symbols == 2 else "classification", tuple(f"symbol {i + 1}" for i in range(symbols))
    own = {"class_names": names, "by_feature": True}
    return Assembly("delayed-recall", task, one_hot(sequences, symbols), cues, seed, CARD, standardize, **own).divided()
