"""A sweep of 4 rules on digits by one worker, by two, and in one process without any: seconds, CPU seconds, memory.

Run: `python benchmarks/cluster.py [--quick]`. Every worker has one core (two cores are needed), and the one process too.
Each measured sweep follows one of other seeds in the same processes, which compiles. Then from 64 to 1,024 seeds with two
workers.
"""

import functools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

QUICK = "--quick" in sys.argv
DATA, SEEDS = ("moons", 2) if QUICK else ("digits", 64)
MANY = (SEEDS,) if QUICK else (256, 1024)
ROUNDS = 1 if QUICK else 3
RULES = ["backpropagation", "feedback-alignment", "direct-feedback-alignment", "kolen-pollack"]
OPTIONS = {
    "rules": RULES,
    "network": "64x64",
    "tune": 0,
    "learning_rate": 1e-3,
    "epochs": 20,
    "diagnostics": False,
    "controls": (),
}
if QUICK:
    OPTIONS |= {"rules": RULES[:1], "network": "4", "epochs": 1}


def spent(pids):
    """CPU seconds of this process and those, and the largest memory of one of those, in MB."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    seconds, memory = own.ru_utime + own.ru_stime, 0.0 if pids else own.ru_maxrss / 1024
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        memory = max(memory, int(status.split("VmHWM:")[1].split()[0]) / 1024)
    return seconds, memory


def measured(workers, seeds):
    """One sweep, after one that compiles."""
    import ascribe  # noqa: PLC0415 - in the process that is measured

    data = ascribe.datasets.load(DATA)
    cluster = ascribe.Cluster(workers=workers) if workers else None
    try:
        pids = [process.pid for process, _ in cluster._local._workers] if cluster else []
        ascribe.compare(data, seeds=list(range(10_000, 10_000 + seeds)), cluster=cluster, **OPTIONS)
        before, began = spent(pids)[0], time.perf_counter()
        ascribe.compare(data, seeds=seeds, cluster=cluster, **OPTIONS)
        seconds = time.perf_counter() - began
        after, memory = spent(pids)
    finally:
        if cluster:
            cluster.close()
    print(json.dumps({"seconds": seconds, "cpu": after - before, "memory": memory}))


def child(workers, seeds):
    cores = sorted(os.sched_getaffinity(0))[: max(workers, 1)]
    command = [
        "taskset",
        "-c",
        ",".join(map(str, cores)),
        sys.executable,
        __file__,
        "--child",
        str(workers),
        str(seeds),
    ]
    given = [*command, *(["--quick"] if QUICK else [])]
    text = subprocess.run(given, check=True, capture_output=True, text=True).stdout
    return json.loads(text.splitlines()[-1])


if QUICK:  # the same sweep is measured once
    child = functools.cache(child)


def median(rows, name):
    return sorted(row[name] for row in rows)[len(rows) // 2]


def main():
    what = f"{len(OPTIONS['rules'])} rules x {SEEDS} seeds, {DATA}, {OPTIONS['network']}, {OPTIONS['epochs']} epochs"
    print(f"{what}; medians of {ROUNDS} rounds")
    rows = {0: [], 1: [], 2: []}
    for _ in range(ROUNDS):
        for workers, found in rows.items():
            found.append(child(workers, SEEDS))
    for workers, found in rows.items():
        name = f"{workers} worker{'s' * (workers > 1)}" if workers else "no workers"
        seconds, cpu, memory = (median(found, key) for key in ("seconds", "cpu", "memory"))
        print(f"{name:<12} {seconds:7.1f} s  {cpu:7.1f} CPU-s  {memory:6.0f} MB")
    ratios = sorted(one["seconds"] / two["seconds"] for one, two in zip(rows[1], rows[2], strict=True))
    costs = sorted(one["cpu"] / none["cpu"] - 1 for one, none in zip(rows[1], rows[0], strict=True))
    print(f"two workers against one: {ratios[len(ratios) // 2]:.2f} x as fast (wanted 1.7)")
    print(f"what the engine costs, of the work's CPU seconds: {costs[len(costs) // 2]:+.1%} (wanted 5 %)")
    base = median(rows[2], "cpu")
    for seeds in MANY:
        row = child(2, seeds)
        growth = f"{row['cpu'] / base / (seeds / SEEDS):.2f} of linear"
        print(f"{seeds} seeds: {row['seconds']:.1f} s, {row['cpu']:.1f} CPU-s ({growth}), {row['memory']:.0f} MB a worker")


if __name__ == "__main__":
    if "--child" in sys.argv:
        place = sys.argv.index("--child")
        measured(int(sys.argv[place + 1]), int(sys.argv[place + 2]))
    else:
        main()
