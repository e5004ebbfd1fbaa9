"""How many products must follow one another after the output is known."""

from collections.abc import Callable, Sequence
from typing import Any

from ascribe.networks import Network
from ascribe.rules import AbstractRule


def chain(
    rule: AbstractRule | type[AbstractRule] | str,
    make_network: Callable[[int], Network],
    batch: Any,
    depths: Sequence[int] = (4, 8, 16),
) -> dict[int, int]:
    """How many matrix products and convolutions must follow one another after the output is known, at each depth: the longest
    way in the rule's program from the network's output to any number of the credit. A loop counts as often as it runs."""
    raise NotImplementedError
