"""What a page says of a rule."""

from typing import Any

from ascribe import rules
from ascribe.rules import AbstractRule
from ascribe.setup import CONTROLS


def about(name: str, rule: AbstractRule, *, control: bool = False) -> dict[str, Any]:
    """Its title, a summary (of a rule of a user's own, how its docstring begins) and its source."""
    entry = rules.registry.TABLE.get(name.partition(":")[0])
    own = " ".join((type(rule).__doc__ or "").strip().split("\n\n")[0].split())
    return {
        "title": name.replace("-", " "),
        "summary": CONTROLS[name] if control else entry.description if entry else own,
        "source": entry.source if entry and not control else "",
        "control": control,
    }
