"""A comparison killed again and again, resumed each time, against the same one left alone: no run lost or doubled, every
curve and score the same, bit for bit.

Run: `python benchmarks/kills.py [--kills 50] [--drawing 10] [--workers] [--postgresql]`. Each kill is a SIGKILL at a random
moment after the work has begun, those of `--drawing` while the page is drawn; the last process is left alone. In the end there
must be one experiment, and no file that does not belong there. With `--workers` the comparison runs on two workers, and it is
they who are killed, one at a time, while it goes on; with `--postgresql` its store is a server of its own (package `pgserver`).
Prints the seed of the moments, and ends with an error where anything differs. `--quick` does it to a small comparison on one
core, where one worker has the bits of none; its page is not drawn.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import UserError
from ascribe.store import Store

QUICK = "--quick" in sys.argv
WORKERS = ["--workers", "1" if QUICK else "2"]


def number(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


KILLS, DRAWING = number("--kills", 50), number("--drawing", 0)
LATEST = 4.0
"""A process is killed this many seconds after its work has begun, at the latest."""
DRAWN = 1.5
"""Seconds that a page takes to be drawn, or less."""
BEGUN = ("tuning", "training", "drawing")
"""What a process says when its work has begun, for every kill."""
PROGRAM = ["-m", "ascribe"]
COMPARE = ["moons", "--samples", "200", "--rules", "backprop,feedback-alignment,kolen-pollack", "--network", "16x16"]
COMPARE += ["--seeds", "4", "--tune", "3", "--tune-seeds", "2", "--epochs", "60000"]
if QUICK:
    LATEST = 0.2
    UNDRAWN = "import sys; from ascribe import cli, report; report.drawings = lambda _: {}; sys.exit(cli.main(sys.argv[1:]))"
    PROGRAM = ["-c", UNDRAWN]
    COMPARE = ["moons", "--samples", "200", "--rules", "backprop,feedback-alignment", "--network", "4"]
    COMPARE += ["--seeds", "2", "--tune", "2", "--tune-seeds", "1", "--epochs", "1000"]


SERVERS: list[Any] = []
"""The server that has the stores, if it is not files that have them."""


def place(folder):
    """The store of the comparison in that folder."""
    return SERVERS[0].get_uri(folder.name) if SERVERS else folder


def command(folder, *options, data=COMPARE):
    kept = ["--store", place(folder)] if SERVERS else []
    return [sys.executable, *PROGRAM, "compare", *data, "--out", str(folder), *kept, *options]


def resumed(folder):
    return command(folder, "--resume", data=["moons"])


def has_begun(folder):
    with contextlib.suppress(UserError), contextlib.closing(Store(place(folder), create=False)) as store:
        return bool(store.experiments())
    return False


def killed(folder, begun, delay):
    """Whether the process was killed, that many seconds after it said that it has begun; else it had ended."""
    given = resumed(folder) if has_begun(folder) else command(folder)
    process = subprocess.Popen(given, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if any(what in line for what in begun):
            break
    else:
        raise SystemExit(f"the comparison ended with code {process.wait()}")
    time.sleep(delay)
    running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return running


def workers_of(process):
    """The living workers of a comparison."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = folder.joinpath("stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[1]
            if int(parent) == process.pid and b"ascribe.cluster.process" in folder.joinpath("cmdline").read_bytes():
                yield int(folder.name)


def workers_killed(folder, chance, wanted):
    """A comparison through, and how many of its workers were killed on the way."""
    process = subprocess.Popen(command(folder, *WORKERS), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "tuning" in line or "training" in line:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    kills = 0
    while kills < wanted and process.poll() is None:
        time.sleep(chance.uniform(0.0, LATEST))
        living = list(workers_of(process))
        if living and process.poll() is None:
            os.kill(chance.choice(living), signal.SIGKILL)
            kills += 1
    assert process.wait() == 0, f"the comparison ended with code {process.returncode}"
    return kills


def killed_often(folder, chance, wanted):
    """A comparison killed and resumed until it is through, and how often it was killed."""
    kills = 0
    while kills < wanted:
        begun = (("backpropagation: tuning",), ("feedback-alignment: tuning",))[kills] if QUICK else BEGUN
        if killed(folder, begun, chance.uniform(0.0, LATEST)):
            kills += 1
        elif QUICK:
            shutil.rmtree(folder)  # a fast machine: it had ended before
        else:
            break
    while kills < wanted + DRAWING and killed(folder, ("drawing",), chance.uniform(0.0, DRAWN)):
        kills += 1
    subprocess.run(resumed(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return kills


def content(folder):
    """Everything that must be the same: for every run its status, scores and curves."""
    store = Store(place(folder), create=False)
    (ended,) = store.experiments()
    assert ended["status"] == "finished"
    rows = store.runs(ended["id"])
    keys = [row["key"] for row in rows]
    everything = [row["key"] for row in store.runs()]
    curves = {key: store.curves(key) for key in keys}
    store.close()
    assert len(set(keys)) == len(keys) and sorted(everything) == sorted(keys), "runs were lost or doubled"
    told = [{name: row[name] for name in ("key", "rule", "phase", "seed", "learning_rate", "status", "scores")} for row in rows]
    return told, curves


def compared(alone, other):
    """How many runs the two comparisons have, which are the same."""
    (rows, curves), (other_rows, other_curves) = content(alone), content(other)
    for row, again in zip(rows, other_rows, strict=True):
        assert repr(row) == repr(again), f"a run differs:\n{row}\n{again}"
    for key, found in curves.items():
        for name, curve in found.items():
            assert np.array_equal(curve, other_curves[key][name], equal_nan=True), f"{name} of {key} differs"
    tables = [(folder / "runs.csv").read_bytes() for folder in (alone, other)]
    assert tables[0] == tables[1], "the tables differ"
    return len(rows)


def started(folder, ends, names):
    """A PostgreSQL server with an empty database for each name."""
    import pgserver  # noqa: PLC0415 - for those who ask for it

    server = pgserver.get_server(folder, cleanup_mode="stop")
    ends.callback(shutil.rmtree, folder, ignore_errors=True)
    ends.callback(server.cleanup)
    for name in names:
        server.psql(f"create database {name};")
    return server


def main():
    seed = random.randrange(2**31)
    chance = random.Random(seed)
    by_workers = "--workers" in sys.argv and not QUICK
    ways = {killed_often: 2, workers_killed: 1} if QUICK else {workers_killed if by_workers else killed_often: KILLS}
    print(f"{sum(ways.values()) + DRAWING} kills, moments by seed {seed}")
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as ends:
        if "--postgresql" in sys.argv:
            SERVERS.append(started(Path(tempfile.mkdtemp()), ends, ("alone", *(way.__name__ for way in ways))))
        alone = Path(temporary) / "alone"
        began = time.perf_counter()
        options = WORKERS if by_workers else ()
        subprocess.run(command(alone, *options), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(f"left alone: {time.perf_counter() - began:.1f} s")
        for way, wanted in ways.items():
            often = Path(temporary) / way.__name__
            began = time.perf_counter()
            kills = way(often, chance, wanted)
            print(f"killed {kills} times: {time.perf_counter() - began:.1f} s")
            runs = compared(alone, often)
            left = {path.name for path in often.parent.iterdir()} - {"alone", *(other.__name__ for other in ways)}
            assert not left, f"left behind: {left}"
            print(f"{runs} runs, none lost, none doubled, all curves and scores the same bits")
            if kills < wanted + (DRAWING if way is killed_often else 0):
                sys.exit(f"only {kills} kills before the end: the machine is fast, give more epochs")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    if QUICK:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()
