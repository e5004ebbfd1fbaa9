"""The random streams of a run, all derived from its seed.

For one seed every rule meets the same initial weights and the same batches, so that comparisons are paired. A stream is
a `fold_in` of its number: adding one leaves the others alone.
"""

from typing import Any, NamedTuple

import jax.random as jr

from ascribe.checks import listed, whole
from ascribe.errors import UserError, shown
from ascribe.memory import check_room
from ascribe.types import Array, Key

LARGEST = 2**31 - 1
SMALLEST_RUN = 4096
"""Bytes that a run takes while it is handled, at least: its specification and its curves as objects of Python."""


class Streams(NamedTuple):
    """Keys of one run: `network` (initial weights), `rule` (its feedback, its noise), `batches` (their order)."""

    network: Key
    rule: Key
    batches: Key


def streams(seed: Array) -> Streams:
    """The keys that belong to a seed."""
    key = jr.key(seed)
    return Streams(*(jr.fold_in(key, number) for number in range(3)))


def check_seeds(seeds: Any) -> tuple[int, ...]:
    """`10` means the seeds 0 … 9; a sequence of distinct integers is taken as it is."""
    count = whole(seeds)
    given = seeds if isinstance(seeds, range) else listed(seeds) if count is None else range(count)
    if given is None:
        raise UserError(f"`seeds` is a number of seeds or a list of them; got {shown(seeds)}.")
    if not given:
        raise UserError(f"`seeds` is a positive number; got {shown(seeds)}.")
    # Of a range the ends alone are looked at: it may be longer than any list.
    some = (given[0], given[-1]) if isinstance(given, range) else given
    if any(whole(one) is None or not 0 <= one <= LARGEST for one in some):
        raise UserError(f"every seed is an integer from 0 to {LARGEST}; got {shown(seeds)}.")
    check_runs(len(given))
    chosen = tuple(given)
    if len(set(chosen)) != len(chosen):
        raise UserError(f"the seeds are distinct, or a run would be counted twice; got {shown(seeds)}.")
    return chosen


def check_runs(count: int, each: int = 0, *, of: str = "") -> None:
    """A `UserError` where the results of so many runs, of so many bytes `each`, do not fit into memory."""
    what = f"the results of {shown(count)} runs{of}"
    check_room(what, count * (SMALLEST_RUN + each), "choose fewer seeds or candidates")
