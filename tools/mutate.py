"""Single faults in the source, one at a time, and whether the tests that should see them do.

Run: `python tools/mutate.py [--jobs 2] [--only PATTERN] [--sample 40 --seed 1] [--json FILE]`. The faults are listed in
`tools/mutations.toml`: a text of a file, what takes its place, why that is wrong, and the tests of that part. Each is put into
a copy of the repository (one for each job), and those tests run there, the fast ones alone unless the entry says `slow`. All
of them run once without a fault before. Prints a line for each fault as it is decided, and a table of the parts in the end.
Ends with 1 where a fault survives that is not declared equivalent, with a reason; those are counted, but not run.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import itertools
import json
import os
import queue
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LISTED = Path(__file__).with_name("mutations.toml")
SOURCE = "src/ascribe"
LEFT_OUT = (
    ".git",
    ".venv",
    "venv",
    ".ci",
    "site",
    "dist",
    "build",
    "__pycache__",
    "ascribe-runs",
    ".hypothesis",
    ".pytest_cache",
)
SECONDS = 900.0
"""How long the tests of a fault may take: a fault that makes a loop endless is seen, too."""
BUDGET = ("PROGRAMS, SECONDS = 100, 20.0", "PROGRAMS, SECONDS = 10**9, 1e9")
"""What a test may cost is no question here: a program with a fault is one more to compile."""
NO_TESTS, USAGE = 5, 4
"""Exit codes of pytest that decide nothing."""
KILLED, SURVIVED, EQUIVALENT, FAILED = "killed", "survived", "equivalent", "not decided"


@dataclass(frozen=True)
class Mutation:
    """A fault: `old`, once in `file` below src/ascribe, becomes `new`; `tests` should fail then. `equivalent`: why none can."""

    file: str
    why: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str | None = None
    slow: bool = False

    @property
    def part(self) -> str:
        """The folder of the package that the file is in, or the file's own name."""
        return self.file.partition("/")[0].removesuffix(".py")

    def applied(self, text: str) -> str:
        """The text of the file with the fault in it."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} is there {text.count(self.old)} times ({self.why})")
        return text.replace(self.old, self.new)


def listed(path: Path = LISTED) -> list[Mutation]:
    """The declared faults, in their order."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]
    return [Mutation(**entry | {"tests": tuple(entry["tests"])}) for entry in entries]


class Copy:
    """A copy of the repository, in which tests run with one fault at a time."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        budget = folder / "tests" / "budget.py"
        text = budget.read_text(encoding="utf-8")
        assert BUDGET[0] in text, "tests/budget.py says the budget in another way: adapt BUDGET"
        budget.write_text(text.replace(*BUDGET), encoding="utf-8")
        self._moments = itertools.count(1_000_000_000)

    @contextlib.contextmanager
    def fault(self, mutation: Mutation) -> Iterator[None]:
        """The fault is in the file, and then no more."""
        path = self.folder / SOURCE / mutation.file
        before = path.read_text(encoding="utf-8")
        try:
            self._write(path, mutation.applied(before))
            yield
        finally:
            self._write(path, before)

    def _write(self, path: Path, text: str) -> None:
        """A content with a time of its own: Python takes byte code of the same time and size for that of the file."""
        path.write_text(text, encoding="utf-8")
        moment = next(self._moments)
        os.utime(path, (moment, moment))

    def tested(self, tests: Sequence[str], *, slow: bool = False, first: bool = True) -> tuple[int, str]:
        """pytest's exit code and what it printed; -1 where it took too long."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-x"] if first else [])]
        command += [*(["-m", ""] if slow else []), *tests]
        environment = os.environ | {"PYTHONPATH": str(self.folder / "src")}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            printed = error.stdout or ""
            return -1, printed if isinstance(printed, str) else printed.decode(errors="replace")
        return done.returncode, done.stdout


@dataclass(frozen=True)
class Verdict:
    """What became of a fault, and which test saw it."""

    mutation: Mutation
    result: str
    seen_by: str
    seconds: float


def verdict(copy: Copy, mutation: Mutation) -> Verdict:
    """The fault put in, its tests run, and taken out."""
    began = time.perf_counter()
    with copy.fault(mutation):
        code, printed = copy.tested(mutation.tests, slow=mutation.slow)
    result = SURVIVED if code == 0 else FAILED if code in (NO_TESTS, USAGE) else KILLED
    seen = re.search(r"^(?:FAILED|ERROR) (\S+)", printed, re.MULTILINE)
    by = "too long" if code == -1 else seen[1] if seen else "" if code == 0 else printed.strip()[-200:]
    return Verdict(mutation, result, by, time.perf_counter() - began)


def chosen(mutations: list[Mutation], only: str | None, sample: int | None, seed: int) -> list[Mutation]:
    """Those whose file or reason has the pattern in it; of these a random sample."""
    if only is not None:
        mutations = [one for one in mutations if re.search(only, f"{one.file}: {one.why}")]
    if sample is not None and sample < len(mutations):
        places = sorted(random.Random(seed).sample(range(len(mutations)), sample))
        mutations = [mutations[place] for place in places]
    return mutations


def run(mutations: list[Mutation], jobs: int, *, checked: bool) -> list[Verdict]:
    """Every fault's verdict, told as they come."""
    found = [Verdict(one, EQUIVALENT, one.equivalent, 0.0) for one in mutations if one.equivalent]
    to_run = [one for one in mutations if not one.equivalent]
    with tempfile.TemporaryDirectory(prefix="ascribe-mutate-") as temporary:
        copies: queue.Queue[Copy] = queue.Queue()
        for number in range(min(jobs, max(len(to_run), 1))):
            copies.put(Copy(Path(temporary) / str(number)))
        if checked and to_run:
            _check_without_faults(copies, to_run)
        lock = threading.Lock()

        def decide(mutation: Mutation) -> Verdict:
            copy = copies.get()
            try:
                one = verdict(copy, mutation)
            finally:
                copies.put(copy)
            with lock:
                print(f"{one.result:<11} {one.seconds:6.1f} s  {mutation.file}: {mutation.why}  {one.seen_by}", flush=True)
            return one

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            found += pool.map(decide, to_run)
    return found


def _check_without_faults(copies: "queue.Queue[Copy]", mutations: list[Mutation]) -> None:
    """All tests pass before there is a fault: one that fails anyway would see everything."""
    copy = copies.get()
    for slow in sorted({one.slow for one in mutations}):
        tests = sorted({test for one in mutations if one.slow == slow for test in one.tests})
        code, printed = copy.tested(tests, slow=slow)
        if code != 0:
            sys.exit(f"these tests fail without a fault:\n{printed[-3000:]}")
    copies.put(copy)


def table(verdicts: list[Verdict]) -> str:
    """How many faults of each part were killed; the share leaves out the equivalent ones."""
    parts: dict[str, collections.Counter[str]] = {}
    for one in verdicts:
        parts.setdefault(one.mutation.part, collections.Counter())[one.result] += 1
    results = (KILLED, SURVIVED, EQUIVALENT, FAILED)
    rows = [f"{'part':<12} {'faults':>7} " + " ".join(f"{result:>11}" for result in results) + f" {'killed':>7}"]
    total: collections.Counter[str] = collections.Counter()
    for part, counts in [*sorted(parts.items()), ("all", total)]:
        if counts is not total:
            total.update(counts)
        decided = counts[KILLED] + counts[SURVIVED]
        share = f"{100 * counts[KILLED] / decided:.0f} %" if decided else "–"
        cells = " ".join(f"{counts[result]:>11}" for result in results)
        rows.append(f"{part:<12} {sum(counts.values()):>7} {cells} {share:>7}")
    return "\n".join(rows)


def main() -> int:
    options = argparse.ArgumentParser(description="Single faults in the source, and whether the tests see them.")
    options.add_argument("--jobs", type=int, default=1, help="copies in which tests run at the same time")
    options.add_argument("--only", help="a pattern in a fault's file or reason")
    options.add_argument("--sample", type=int, help="so many of them, at random")
    options.add_argument("--seed", type=int, default=1, help="of the sample")
    options.add_argument("--unchecked", action="store_true", help="do not run the tests without a fault before")
    options.add_argument("--json", type=Path, help="a file for the verdicts")
    given = options.parse_args()
    mutations = chosen(listed(), given.only, given.sample, given.seed)
    if not mutations:
        options.error("no fault is chosen")
    verdicts = run(mutations, given.jobs, checked=not given.unchecked)
    print(table(verdicts))
    left = [one for one in verdicts if one.result in (SURVIVED, FAILED)]
    for one in left:
        print(f"{one.result}: {one.mutation.file}: {one.mutation.why}: {one.mutation.old!r} → {one.mutation.new!r}")
    if given.json:
        plain = [vars(one.mutation) | {"result": one.result, "seen_by": one.seen_by} for one in verdicts]
        given.json.write_text(json.dumps(plain, indent=1), encoding="utf-8")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main())
