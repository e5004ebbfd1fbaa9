"""One input in a forked child, watched: its time, its memory, how it ended, and which bytes beside it changed.

The parent has imported everything and run no JAX computation, so that it has no threads of XLA's, which a fork would lose.
"""

import contextlib
import gc
import hashlib
import io
import json
import os
import resource
import select
import shutil
import signal
import stat
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ascribe
from ascribe.errors import UserError
from ascribe.memory import limit_memory

SECONDS = 30.0
"""How long an input may take."""
MEMORY = 1.5 * 2**30
"""Bytes of the child's largest resident set."""
GIVEN = 2**29
"""Bytes that it is told to be free: what it refuses for want of memory, it refuses here."""
LOOK = 0.05
"""Seconds between two looks at a child's memory."""
SOURCE = str(Path(ascribe.__file__).parent) + os.sep
CHECKS = f"{os.sep}sklearn{os.sep}"
"""Errors that scikit-learn's own checks raise follow its contract."""

REFUSED, ACCEPTED = "refused", "accepted"
FINDINGS = ("traceback", "hang", "memory", "changed", "executed", "killed")
KINDS = (REFUSED, ACCEPTED, *FINDINGS)


@dataclass(frozen=True)
class Input:
    """What is done: the arguments of the command line, or a function; `what` says it in a line. `writes`: the names in its
    folder that it may change where it is accepted; `works_on`: those that it may change even where it is refused later, after
    work that it keeps."""

    what: str
    call: Sequence[str] | Callable[[], Any]
    writes: tuple[str, ...] = ("out",)
    works_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How an input ended: one of `KINDS`; `cause`, the same for all inputs that end in one place; `text`, all that was said."""

    kind: str
    cause: str
    text: str


def outcome(given: Input, folder: Path, canary: Path) -> Outcome:
    """Runs the input in a child of its own, whose working folder is `folder`."""
    before, answer = contents(folder), folder.with_name(f"{folder.name}.answer")
    found = _watched(given, folder, answer)
    after = contents(folder)
    for left in (answer, *(answer.with_suffix(suffix) for suffix in (".out", ".err"))):
        left.unlink(missing_ok=True)
    if canary.exists():
        canary.unlink()
        return Outcome("executed", f"executed what it read ({found.kind})", found.text)
    free = (*given.works_on, *(given.writes if found.kind == ACCEPTED else ()))
    different = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    different = [name for name in different if not any(name == one or name.startswith(f"{one}/") for one in free)]
    if different and found.kind in (REFUSED, ACCEPTED):
        told = ", ".join(sorted({_change(name, before, after) for name in different}))
        return Outcome("changed", f"{found.kind}, but {told}", "\n".join([*different, found.text]))
    return found


def _change(name: str, before: dict[str, Any], after: dict[str, Any]) -> str:
    """What happened to a file or folder, in words that are the same for all of its kind."""
    if name not in before:
        return "made a folder" if after[name] == stat.S_IFDIR else "made a file"
    return f"{'changed' if name in after else 'removed'} {Path(name).name}"


def contents(folder: Path) -> dict[str, Any]:
    """Every file, folder and link below, with its content; pipes and devices are not opened."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        name, mode = str(path.relative_to(folder)), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[name] = os.readlink(path)
        elif stat.S_ISREG(mode):
            found[name] = hashlib.sha256(path.read_bytes()).digest()
        else:
            found[name] = stat.S_IFMT(mode)
    return found


def removed(folder: Path) -> None:
    """Takes a folder away, whatever modes its parts have."""
    shutil.rmtree(folder, ignore_errors=True)


def _watched(given: Input, folder: Path, answer: Path) -> Outcome:
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            _inside(given, folder, answer)
        finally:
            os._exit(0)
    ended = os.pidfd_open(child)
    deadline, why = time.monotonic() + SECONDS, None
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    while not poll.poll(1000 * LOOK):
        if _resident(child) > MEMORY:
            why = "memory"
        elif time.monotonic() > deadline:
            why = "hang"
        if why:
            os.kill(child, signal.SIGKILL)
            break
    os.close(ended)
    _, status, used = os.wait4(child, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what it has started itself
    said = "".join(_read(answer.with_suffix(suffix)) for suffix in (".out", ".err"))[-4000:]
    if why is None and 1024 * used.ru_maxrss > MEMORY:
        why = "memory"
    if why is not None:
        limit = f"more than {MEMORY / 2**30:.1f} GiB" if why == "memory" else f"more than {SECONDS:.0f} s"
        return Outcome(why, limit, said)
    if os.WIFSIGNALED(status):
        return Outcome("killed", f"killed by signal {os.WTERMSIG(status)}", said)
    try:
        kind, cause, text = json.loads(answer.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Outcome("killed", "ended without an answer", said)
    return Outcome(kind, cause, f"{text}{said}")


def _resident(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _inside(given: Input, folder: Path, answer: Path) -> None:
    """The child's life."""
    gc.disable()
    os.setsid()
    limit_memory(GIVEN)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number, suffix in ((1, ".out"), (2, ".err")):
        descriptor = os.open(answer.with_suffix(suffix), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = io.StringIO()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the child
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    warnings.simplefilter("default")
    try:
        found = _called(given, answer)
    except BaseException as error:  # whatever it raises is its answer
        found = _raised(error)
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    answer.write_text(json.dumps(found), encoding="utf-8")


def _called(given: Input, answer: Path) -> tuple[str, str, str]:
    if callable(given.call):
        given.call()
        return ACCEPTED, "", ""
    code = ascribe.cli.main(list(given.call))  # pyright: ignore[reportAttributeAccessIssue] - imported by fuzz.py
    sys.stdout.flush()
    sys.stderr.flush()
    if code in (0, 130):
        return ACCEPTED, "", ""
    lines = [line for line in _read(answer.with_suffix(".err")).splitlines() if line.strip()]
    ours = [line for line in lines if line.startswith("ascribe: ")]
    others = [line for line in lines if not line.startswith(("ascribe: ", "[ "))]
    if code != 2 or len(ours) != 1:
        return "traceback", f"exit code {code}, {len(ours)} sentences", ""
    if others:
        return "traceback", f"more than one line on standard error: {_short(others[0])}", ""
    return REFUSED, "", ""


def _raised(error: BaseException) -> tuple[str, str, str]:
    """What an exception counts as: a `UserError` refuses, so do scikit-learn's own checks."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [frame.f_code.co_filename for frame in frames]
    text = "".join(traceback.format_exception(error, limit=-12))
    if isinstance(error, UserError):
        return REFUSED, "", str(error)
    if isinstance(error, ValueError | TypeError | AttributeError) and any(CHECKS in name for name in names):
        return REFUSED, "", ""
    where = next(_places(error.__traceback__), "outside ascribe")
    return "traceback", f"{type(error).__name__} at {where}", text


def _places(tb: Any) -> Iterator[str]:
    """Where in ascribe an exception was, innermost first."""
    for frame, line in reversed(list(traceback.walk_tb(tb))):
        name = frame.f_code.co_filename
        if name.startswith(SOURCE):
            yield f"{name.removeprefix(SOURCE)}:{line} {frame.f_code.co_name}"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
