"""Tracing in two processes: half of the rules in a second one (`second.py`), where the machine has a processor for it."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ascribe.errors import UserError
from ascribe.rules import AbstractRule, hooks

FEWEST = 4
"""Rules for which a second process is worth its start."""
Data = dict[str, Any]


def in_two(make: Callable[..., Data], named: Mapping[str, AbstractRule], *given: Sequence[str]) -> list[Data]:
    """What `make` makes of the rules, in one part or, by two processes, in two."""
    others = _portable(dict(list(named.items())[1::2])) if len(named) >= FEWEST and (os.cpu_count() or 1) > 1 else {}
    if not others:
        return [make(named, *given)]
    command = [sys.executable, "-P", "-m", "ascribe.playground.second"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(pickle.dumps((others, *given)))
            process.stdin.close()
            ours = make({name: rule for name, rule in named.items() if name not in others}, *given)
            found = json.loads(process.stdout.read() or "null")
        except BaseException:
            process.kill()
            raise
    if found is None:  # it could not begin, as for want of memory
        found = make(others, *given)
    if "error" in found:
        raise UserError(found["error"])
    return [ours, found]


def _portable(named: Mapping[str, AbstractRule]) -> dict[str, AbstractRule]:
    """The rules that another process can have: of this package, and made of plain values."""
    found = {}
    for name, rule in named.items():
        try:
            pickle.dumps(rule)
        except Exception:  # such as a function written on the spot
            continue
        if not hooks.is_own(rule):
            found[name] = rule
    return found
