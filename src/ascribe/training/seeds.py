"""The random streams of a run, all derived from its seed.

For one seed every rule meets the same initial weights and the same batches, so that comparisons are paired. A stream is
a `fold_in` of its number: adding one leaves the others alone.
"""

from typing import NamedTuple

import jax.random as jr

from ascribe.errors import UserError
from ascribe.types import Array, Key

LARGEST = 2**31 - 1


class Streams(NamedTuple):
    """Keys of one run: `network` (initial weights), `rule` (its feedback, its noise), `batches` (their order)."""

    network: Key
    rule: Key
    batches: Key


def streams(seed: Array) -> Streams:
    """The keys that belong to a seed."""
    key = jr.key(seed)
    return Streams(*(jr.fold_in(key, number) for number in range(3)))


def check_seeds(seeds: object) -> tuple[int, ...]:
    """`10` means the seeds 0 … 9; a sequence of distinct integers is taken as it is."""
    if isinstance(seeds, bool) or not isinstance(seeds, int | list | tuple | range):
        raise UserError(f"`seeds` is a number of seeds or a list of them; got {seeds!r}.")
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if not chosen:
        raise UserError(f"`seeds` is a positive number; got {seeds!r}.")
    if any(not isinstance(s, int) or isinstance(s, bool) or not 0 <= s <= LARGEST for s in chosen):
        raise UserError(f"every seed is an integer from 0 to {LARGEST}; got {seeds!r}.")
    if len(set(chosen)) != len(chosen):
        raise UserError(f"the seeds are distinct, or a run would be counted twice; got {seeds!r}.")
    return chosen
