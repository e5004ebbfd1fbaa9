"""The title of a process, which every user of the machine may read: no password stays in it."""

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

from ascribe.addresses import told

ARGUMENTS_BEGIN, ARGUMENTS_END = 45, 46
"""Where the memory of the arguments begins and ends: among the fields of /proc/self/stat after the program's name."""


def hide_passwords(arguments: Sequence[str]) -> None:
    """Stars the passwords of addresses among the arguments of this process where `ps` finds them (on Linux; elsewhere nothing
    happens)."""
    shown = {os.fsencode(one): os.fsencode(told(one)) for one in arguments if told(one) != one}
    if not shown:
        return
    try:
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        begin, end = int(fields[ARGUMENTS_BEGIN]), int(fields[ARGUMENTS_END])
    except (OSError, ValueError, IndexError):
        return
    if not 0 < begin < end:
        return
    title = ctypes.string_at(begin, end - begin)
    for argument, instead in shown.items():
        title = title.replace(argument, instead)
    ctypes.memmove(begin, title[: end - begin].ljust(end - begin, b"\0"), end - begin)
