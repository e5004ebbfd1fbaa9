"""What the generated sequences share: sequences of symbols of which no two are equal, and symbols as one-hot vectors."""

import math

import numpy as np

from ascribe.checks import refusal
from ascribe.errors import UserError, option, shown

from .options import suggest

_BITS = 62  # of a number that says how a sequence begins


def distinct_sequences(generator: np.random.Generator, symbols: int, length: int, count: int) -> np.ndarray:
    """`count` sequences of `length` symbols `0..symbols-1`, int64 of shape `(count, length)`, no two of them equal.

    All sequences are equally probable where there are fewer than 2^62. Of longer ones the beginnings are drawn so, and the
    rest independently.
    """
    first = min(length, int(_BITS / math.log2(symbols)))
    numbers = generator.choice(symbols**first, count, replace=False)
    beginnings = numbers[:, None] // symbols ** np.arange(first) % symbols
    return np.concatenate([beginnings, generator.integers(symbols, size=(count, length - first))], axis=1)


def one_hot(symbols: np.ndarray, count: int) -> np.ndarray:
    """Symbols `0..count-1` as unit vectors, float32: a last axis of that length more."""
    vectors = np.zeros((symbols.size, count), np.float32)
    vectors[np.arange(symbols.size), symbols.reshape(-1)] = 1.0
    return vectors.reshape(*symbols.shape, count)


def too_many(samples: int, most: int, least: int, longer: str, length: int) -> UserError:
    """What is said where there are no more than `most` different sequences, of which at least `least` are needed; `longer`:
    the option that makes them longer, with an example."""
    advice = f"{suggest('samples', most)} or " if most >= least else "try "
    wanted = f"at most {shown(most)}, as there are no more sequences of that length"
    return refusal(option("samples"), wanted, shown(samples), f"{advice}{option(longer, length)}")
