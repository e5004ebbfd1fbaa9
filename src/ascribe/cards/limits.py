"""The limit of a rule: the condition under which it equals something known, which the rule's own file says
(`AbstractRule.limiting_case`), checked now."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ascribe.networks import Network
from ascribe.rules import AbstractRule, Batch, LimitingCase, hooks
from ascribe.types import Array

from .case import Case

ROUNDINGS = 1e4
"""How many roundings of the largest number two sides may differ by: 1e-3 in float32, 2e-12 in float64."""


@dataclasses.dataclass(frozen=True)
class Limit:
    """Where `condition`, the rule is `equals`, both in the rule's own words; an empty condition is always met.

    `difference`: the largest between two numbers of both sides; `size`: the largest number there; `numbers`: how many were
    compared; `holds`: whether they agree to rounding.
    """

    condition: str
    equals: str
    difference: float
    size: float
    numbers: int
    holds: bool

    def __str__(self) -> str:
        where = f"Where {self.condition}, it" if self.condition else "It"
        count = "the one number" if self.numbers == 1 else f"{self.numbers:,} numbers"
        if not self.holds:
            gap = f"{self.difference:.3g}, where the largest of {count} is {self.size:.3g}"
            return f"{where} should be {self.equals}, and IT IS NOT: the largest difference is {gap}."
        if not self.difference:
            return f"{where} is {self.equals}: checked on {count}, which are equal."
        share = f"{self.difference / self.size:.1e} of the largest number"
        return f"{where} is {self.equals}: checked on {count}, whose largest difference is {share}."


def limit(case: Case, *, seed: int = 0) -> Limit | None:
    """The limit of a case's rule on its network and batch; None where the rule declares none.

    **Raises:** `UserError` where the rule's hook fails.
    """
    with hooks.blamed(case.name, case.rule):
        found = _both(case.rule, case.network, case.batch, jr.key(seed))
    if found is None:
        return None
    gaps, sizes = ([np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(side)] for side in (found.ours, found.theirs))
    difference = max(float(np.max(gap, initial=0.0)) for gap in gaps)
    size = max(float(np.max(one, initial=0.0)) for one in sizes)
    epsilon = float(jnp.finfo(case.network.dtype).eps)
    holds = math.isfinite(difference) and difference <= ROUNDINGS * epsilon * size
    return Limit(found.condition, found.equals, difference, size, sum(one.size for one in sizes), holds)


@eqx.filter_jit
def _both(rule: AbstractRule, network: Network, batch: Batch, key: Array) -> LimitingCase | None:
    """The rule's limiting case, with the absolute differences in place of its own side, and absolute values in place of the
    other."""
    found = hooks.limiting_case(rule, network, batch, key=key)
    if found is None:
        return None
    gaps = jax.tree.map(lambda one, other: jnp.abs(one - other), found.ours, found.theirs)
    return dataclasses.replace(found, ours=gaps, theirs=jax.tree.map(jnp.abs, found.theirs))
