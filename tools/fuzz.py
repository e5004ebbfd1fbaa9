"""Malformed inputs by the hundred, each in a forked child that is watched: all are refused in a sentence, or accepted.

Run: `python tools/fuzz.py [--inputs 300] [--seed 1] [--groups npz,records] [--keep FOLDER] [--json FILE]`. An input is
made from the seed, its group and its number, and so is the same again: `--only GROUP/NUMBER` runs one and prints what it said.
Prints how many inputs of each group were refused, accepted, answered with a traceback, took longer than 30 s or more than
1.5 GiB, changed bytes beside them, executed what they read, or were killed; then every cause, with an example. Ends with 1
where anything but refusals and acceptances was found. `--keep` leaves the files of one example of each cause there.
"""

import argparse
import gc
import importlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
GROUPS = {
    "delimited": "data:delimited",
    "npz": "data:npz",
    "parquet": "data:parquet",
    "sheets": "data:sheets",
    "frames": "data:frames",
    "texts": "data:texts",
    "images": "data:images",
    "paths": "data:paths",
    "records": "kept:records",
    "discoveries": "kept:discoveries",
    "stores": "kept:stores",
    "resumes": "kept:resumes",
    "addresses": "kept:addresses",
    "models": "kept:models",
    "flags": "commands:flags",
    "networks": "commands:network_texts",
    "rule-names": "commands:rule_names",
    "sizes": "commands:sizes",
    "rule-files": "written_rules:rule_files",
    "functions": "calls:functions",
    "trainings": "calls:trainings",
    "estimators": "calls:estimators",
}
"""Name -> module:function, which makes one input."""
IMPORTED = (
    *(
        "ascribe.cli",
        "ascribe.experiments.comparison",
        "ascribe.experiments.discovery",
        "ascribe.store",
        "ascribe.report",
        "ascribe.estimators",
    ),
    *(
        "ascribe.neurons",
        "ascribe.autodiff",
        "ascribe.statistics",
        "ascribe.search",
        "ascribe.papers",
        "ascribe.experiments.merging",
    ),
    *("ascribe.loggers", "ascribe.metrics", "ascribe.losses", "ascribe.cluster", "ascribe.neurons.pictures"),
    *(
        "pandas",
        "pyarrow",
        "pyarrow.parquet",
        "pyarrow.feather",
        "openpyxl",
        "altair",
        "vl_convert",
        "sqlalchemy",
        "psycopg",
        "rich.table",
        "rich.console",
    ),
    *("jax.experimental", "sklearn.utils", "safetensors.numpy", "pooch"),
)
"""What the parent imports, so that no child has to."""


def prepared() -> None:
    """Everything is imported, nothing computed; what costs seconds and is no part of an answer is left out: drawings, and
    waiting for servers that are not there."""
    sys.path.insert(0, str(ROOT))
    from tests.compiling import FLAGS  # noqa: PLC0415 - where the root is known

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ascribe-tests" / "fuzz"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[os.getpid() % len(cores)]})  # another one beside this may have another
    for name in IMPORTED:
        importlib.import_module(name)
    for module in sorted((ROOT / "src" / "ascribe").rglob("*.py")):
        if module.stem not in ("__init__", "__main__"):
            importlib.import_module(".".join(module.relative_to(ROOT / "src").with_suffix("").parts))
    from ascribe import cli, report  # noqa: PLC0415
    from ascribe.store import database  # noqa: PLC0415
    from ascribe.training import source  # noqa: PLC0415

    report.drawings = lambda comparison: {}
    report.page.__globals__["drawings"] = report.drawings
    report.discovery.figures = lambda discovery: {}
    database.WAIT = 0.2
    for command in cli.COMMANDS:  # cyclopts reads their signatures once
        try:
            cli.app.parse_args([command, "x"], exit_on_error=False, print_error=False)
        except Exception:  # a command that takes no such argument
            continue
    source.common()  # reads the package's source once, and keeps it
    source.digest("ascribe.rules")
    sys.dont_write_bytecode = True  # a rule file's would lie beside it
    gc.collect()
    gc.freeze()


class Fuzzer:
    """Makes inputs, runs them, and counts how they ended."""

    def __init__(self, seed: int, keep: Path | None, folder: Path):
        from fuzzing import children, valid  # noqa: PLC0415

        self.children, self.seed, self.keep, self.folder = children, seed, keep, folder
        self.valid, self.canary = folder / "valid", folder / "canary"
        self.valid.mkdir()
        whole = children.Input("the valid files", lambda: valid.make(self.valid), writes=("valid",))
        found = children.outcome(whole, self.folder / "valid", self.canary)
        if not (self.valid / "beside" / "record").is_dir():
            sys.exit(f"the valid files could not be made: {found.cause}\n{found.text}")
        self.same = children.contents(self.valid)
        self.counts: dict[str, dict[str, int]] = {}
        self.causes: dict[tuple[str, str, str], list[str]] = {}

    def run(self, group: str, number: int) -> Any:
        """One input of a group."""
        from fuzzing.valid import Maker  # noqa: PLC0415

        module, name = GROUPS[group].split(":")
        make: Callable[..., Any] = getattr(importlib.import_module(f"fuzzing.{module}"), name)
        folder = self.folder / "case"
        folder.mkdir()
        try:
            shutil.copytree(self.valid / "beside", folder / "beside")
            given = make(Maker(random.Random(f"{self.seed}/{group}/{number}"), folder, self.valid, self.canary))
            found = self.children.outcome(given, folder, self.canary)
            counts = self.counts.setdefault(group, dict.fromkeys(self.children.KINDS, 0))
            counts[found.kind] += 1
            if found.kind in self.children.FINDINGS:
                self._note(group, number, given, found, folder)
            return given, found
        finally:
            self.children.removed(folder)

    def _note(self, group: str, number: int, given: Any, found: Any, folder: Path) -> None:
        examples = self.causes.setdefault((group, found.kind, found.cause), [])
        examples.append(f"{group}/{number}: {given.what}")
        if self.keep is not None and len(examples) == 1:
            place = self.keep / f"{group}-{number}"
            self.children.removed(place)
            shutil.copytree(folder, place, symlinks=True, ignore=_unreadable)
            (place / "WHAT.txt").write_bytes(f"{given.what}\n{found.cause}\n{found.text}".encode(errors="replace"))

    def unchanged(self) -> bool:
        """Whether the valid files are as they were made."""
        return self.children.contents(self.valid) == self.same

    def findings(self) -> int:
        """How many inputs were neither refused nor accepted."""
        return sum(counts[kind] for counts in self.counts.values() for kind in self.children.FINDINGS)

    def table(self) -> str:
        """How many inputs of each group ended how."""
        kinds = self.children.KINDS
        rows = [f"{'group':<12} {'inputs':>7} " + " ".join(f"{kind:>9}" for kind in kinds)]
        for group, counts in self.counts.items():
            rows.append(f"{group:<12} {sum(counts.values()):>7} " + " ".join(f"{counts[kind]:>9}" for kind in kinds))
        total = [sum(counts[kind] for counts in self.counts.values()) for kind in kinds]
        rows.append(f"{'all':<12} {sum(total):>7} " + " ".join(f"{count:>9}" for count in total))
        return "\n".join(rows)

    def told(self) -> list[str]:
        """Every cause, with how often it was found, and an example."""
        ordered = sorted(self.causes.items(), key=lambda one: (one[0][0], -len(one[1])))
        return [f"{kind}: {cause} ({len(some)} times, as {_plain(some[0])})" for (_, kind, cause), some in ordered]


def _plain(text: str) -> str:
    return text.encode("ascii", errors="backslashreplace").decode() if not text.isprintable() else text


def _unreadable(folder: str, names: list[str]) -> list[str]:
    """What cannot be copied: pipes, and folders that nobody may read."""
    return [name for name in names if not os.access(p := Path(folder) / name, os.R_OK) or not (p.is_file() or p.is_dir())]


def main() -> int:
    options = argparse.ArgumentParser(description="Malformed inputs, each in a forked child that is watched.")
    options.add_argument("--inputs", type=int, default=300, help="of each group")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--groups", default=",".join(GROUPS), help=f"with commas between: {', '.join(GROUPS)}")
    options.add_argument("--only", help="GROUP/NUMBER: one input, with all that it said")
    options.add_argument("--keep", type=Path, help="a folder for the files of one example of each cause")
    options.add_argument("--json", type=Path, help="a file for counts and causes")
    given = options.parse_args()
    groups = [group.strip() for group in given.groups.split(",")]
    if unknown := [group for group in groups if group not in GROUPS]:
        options.error(f"there is no group {unknown[0]!r}: {', '.join(GROUPS)}")
    prepared()
    with tempfile.TemporaryDirectory(prefix="ascribe-fuzz-") as temporary:
        fuzzer = Fuzzer(given.seed, given.keep, Path(temporary))
        if given.only:
            group, _, number = given.only.partition("/")
            what, found = fuzzer.run(group, int(number))
            print(what.what, found.kind, found.cause, found.text, sep="\n")
            return int(found.kind in fuzzer.children.FINDINGS)
        for group in groups:
            began = time.perf_counter()
            for number in range(given.inputs):
                fuzzer.run(group, number)
            speed = given.inputs / (time.perf_counter() - began)
            print(f"{group}: {speed:.1f} inputs a second", file=sys.stderr, flush=True)
        assert fuzzer.unchanged(), "the valid files have changed"
        print(fuzzer.table())
        print("\n".join(fuzzer.told()))
        if given.json:
            causes = [{"group": g, "kind": k, "cause": c, "inputs": some} for (g, k, c), some in fuzzer.causes.items()]
            content = {"seed": given.seed, "counts": fuzzer.counts, "causes": causes}
            given.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return int(fuzzer.findings() > 0)


if __name__ == "__main__":
    sys.exit(main())
