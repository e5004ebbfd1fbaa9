"""A comparison killed again and again, resumed each time, against the same one left alone: no run lost or doubled, every
curve and score the same, bit for bit.

Run: `python benchmarks/kills.py [--kills 50] [--workers]`. Each kill is a SIGKILL at a random moment after the work has begun;
the last process is left alone. With `--workers` the comparison runs on two workers, and it is they who are killed, one at a
time, while it goes on. Prints the seed of the moments, and ends with an error where anything differs. `--quick` does
both to a small comparison on one core, where one worker has the bits of none; its page is not drawn.
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

import numpy as np

from ascribe.store import Store

QUICK = "--quick" in sys.argv
WORKERS = ["--workers", "1" if QUICK else "2"]
KILLS = int(sys.argv[sys.argv.index("--kills") + 1]) if "--kills" in sys.argv else 50
LATEST = 4.0
"""A process is killed this many seconds after its work has begun, at the latest."""
BEGUN = ("tuning", "training", "drawing")
"""What a process says when its work has begun, for every kill."""
PROGRAM = ["-m", "ascribe"]
COMPARE = ["moons", "--samples", "200", "--rules", "backprop,feedback-alignment,kolen-pollack", "--network", "16x16"]
COMPARE += ["--seeds", "4", "--tune", "3", "--tune-seeds", "2", "--epochs", "60000"]
if QUICK:
    LATEST = 0.2
    UNDRAWN = (
        "import sys; from ascribe import cli, report; report.drawings = lambda _: {}; sys.exit(cli.main(sys.argv[1:]))"
    )
    PROGRAM = ["-c", UNDRAWN]
    COMPARE = ["moons", "--samples", "200", "--rules", "backprop,feedback-alignment", "--network", "4"]
    COMPARE += ["--seeds", "2", "--tune", "2", "--tune-seeds", "1", "--epochs", "1000"]


def command(folder, *options):
    return [sys.executable, *PROGRAM, "compare", *COMPARE, "--out", str(folder), *options]


def resumed(folder):
    return [sys.executable, *PROGRAM, "compare", "moons", "--out", str(folder), "--resume"]


def killed(folder, begun, delay):
    """Whether the process was killed, that many seconds after it said that it has begun; else it had ended."""
    given = resumed(folder) if (folder / "ascribe.sqlite").is_file() else command(folder)
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
    subprocess.run(resumed(folder), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return kills


def content(folder):
    """Everything that must be the same: for every run its status, scores and curves."""
    store = Store(folder, create=False)
    ended = next(one for one in store.experiments() if one["status"] == "finished")
    rows = store.runs(ended["id"])
    keys = [row["key"] for row in rows]
    everything = [row["key"] for row in store.runs()]
    curves = {key: store.curves(key) for key in keys}
    store.close()
    assert len(set(keys)) == len(keys) and sorted(everything) == sorted(keys), "runs were lost or doubled"
    told = [
        {name: row[name] for name in ("key", "rule", "phase", "seed", "learning_rate", "status", "scores")}
        for row in rows
    ]
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


def main():
    seed = random.randrange(2**31)
    chance = random.Random(seed)
    by_workers = "--workers" in sys.argv and not QUICK
    ways = {killed_often: 2, workers_killed: 1} if QUICK else {workers_killed if by_workers else killed_often: KILLS}
    print(f"{sum(ways.values())} kills, moments by seed {seed}")
    with tempfile.TemporaryDirectory() as temporary:
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
            if kills < wanted:
                sys.exit(f"only {kills} kills before the end: the machine is fast, give more epochs")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    if QUICK:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    main()
