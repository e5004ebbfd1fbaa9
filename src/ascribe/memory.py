"""What memory there is, and the refusal of what does not fit into it: asked before anything is allocated."""

from pathlib import Path

from ascribe.errors import UserError

_shares: list[int] = []


def limit_memory(share: int) -> None:
    """This process may use so many bytes of the machine's memory: others work beside it."""
    _shares[:] = [share]


def free_memory() -> int:
    """Bytes that the machine (or the container) can still give to this process."""
    free = list(_shares)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current"))
        free += [int(limit) - int(used)]
    except (OSError, ValueError):  # another system, or no limit
        pass
    return max(min(free, default=3 * 2**30), 0)


SMALL = 2**26
"""Bytes that every machine has: of less, nobody is asked."""


def check_room(what: str, size: int, advice: str) -> None:
    """A `UserError` where `what` takes more bytes than there are."""
    if size <= SMALL:
        return
    there = free_memory()
    if size > there:
        raise UserError(
            f"memory does not hold {what}: {gibibytes(size)} are wanted and this machine has {gibibytes(there)}; {advice}."
        )


def gibibytes(size: int) -> str:
    """Bytes in words, whatever their number."""
    return f"{size / 2**30:.1f} GiB" if size < 2**50 else "more than a million GiB"
