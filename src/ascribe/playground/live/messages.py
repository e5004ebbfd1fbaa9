"""What a page may say to its session: one small JSON object, checked against one table. Nothing of it is believed."""

import json
import math
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ascribe.errors import UserError, shown
from ascribe.setup import LARGEST

LONGEST = 1024
"""Bytes of a message, at most."""
PER_SECOND, AT_ONCE = 40, 80
"""Messages a second over a longer time, and at once, at most."""
SPEEDS = (2, 10, 30, 60, 240, math.inf)
"""Steps a second that can be chosen, by their numbers."""
USUAL_SPEED = 3
"""The number of that to begin with, as on the page that opens from a file: one can see how it learns."""


class Message(NamedTuple):
    """What is wanted: `do` it, with this `value`, for this `rule` alone where one is named."""

    do: str
    value: Any = None
    rule: str | None = None


def _rate(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 1e-7 <= value <= 100 else None


def _whole_up_to(most: int) -> Callable[[Any], int | None]:
    return lambda value: value if type(value) is int and 0 <= value <= most else None


VERBS: dict[str, tuple[str, Callable[[Any], Any]] | None] = {
    **dict.fromkeys(("play", "pause", "step", "epoch", "restart")),
    "seed": (f"an integer from 0 to {LARGEST}", _whole_up_to(LARGEST)),
    "speed": (f"an integer from 0 to {len(SPEEDS) - 1}", _whole_up_to(len(SPEEDS) - 1)),
    "rate": ("a number from 0.0000001 to 100", _rate),
}
"""What can be wanted: the kind of its value in words, and what gives the value or None; None where it has no value."""


def read(text: str, rules: Collection[str]) -> Message:
    """The message.

    **Arguments:** `rules`: the names of the session's rules.

    **Raises:** `UserError` for anything else than an object of the table.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise UserError("a message is a JSON object; this is none.") from None
    if not isinstance(found, dict) or not isinstance(found.get("do"), str) or found["do"] not in VERBS:
        raise UserError(f"a message is a JSON object with `do` as one of {', '.join(VERBS)}; got {shown(found)}.")
    do, verb = found["do"], VERBS[found["do"]]
    known = {"do", *(("value",) if verb else ()), *(("rule",) if do == "rate" else ())}
    if not set(found) <= known:
        raise UserError(f"the message {do} has {', '.join(sorted(known))}; got {shown(sorted(set(found) - known))} too.")
    if verb is None:
        return Message(do)
    kind, value_of = verb
    value, rule = value_of(found.get("value")), found.get("rule")
    if value is None:
        raise UserError(f"the value of {do} is {kind}; got {shown(found.get('value'))}.")
    if rule is not None and (not isinstance(rule, str) or rule not in rules):
        raise UserError(f"the rule of {do} is one of {', '.join(rules)}; got {shown(rule)}.")
    return Message(do, value, rule)


class Allowance:
    """How many messages may still come: `AT_ONCE`, and `PER_SECOND` more each second up to that."""

    def __init__(self, now: float):
        self.left, self.then = float(AT_ONCE), now

    def take(self, now: float) -> bool:
        """Whether one more may come at this time, in seconds."""
        self.left = min(float(AT_ONCE), self.left + PER_SECOND * (now - self.then)) - 1
        self.then = now
        return self.left >= 0
