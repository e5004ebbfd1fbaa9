"""The neuron wing against Brian2: Hodgkin–Huxley populations and LIF networks, CPU seconds of one core.

Run: `python benchmarks/neurons.py [--brian PYTHON] [--only hodgkin-huxley|network]`

PYTHON: the interpreter of an environment with Brian2 (`python -m venv brian; brian/bin/pip install brian2`; on Python 3.11
`pip install brian2==2.9.0 "numpy<2.3"`) and a C++ compiler. Without it ours are measured alone. Both simulate the same
second with the same weights and currents; ours and Brian2's runs alternate, and both are kept on one core. Compilation is
not counted for either (ours is measured apart).
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CORE = min(os.sched_getaffinity(0))
if __name__ == "__main__":
    os.sched_setaffinity(0, {CORE})

import jax  # noqa: E402 - after the choice of a core
import numpy as np  # noqa: E402

from ascribe.neurons import LIF, Connection, HodgkinHuxley, SpikingNetwork, simulate  # noqa: E402

QUICK = "--quick" in sys.argv
ROUNDS = 1 if QUICK else 3
SECONDS = 0.02 if QUICK else 1.0
POPULATIONS = (1, 100) if QUICK else (1, 100, 10_000)
NETWORKS = (100,) if QUICK else (1000, 10_000)
TAU_S, PROBABILITY = 0.005, 0.1
# Wanted: times Brian2's C++ (of Hodgkin–Huxley, Brian2's over ours), ours over Brian2's run loop for the grid, exact over grid
FASTER, SLOWER, EXACT = 15.0, {100: 1.4, 1000: 1.4, 10_000: 1.1}, 3.5


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(call):
    """CPU seconds, and what the call returned."""
    began = cpu()
    found = call()
    return cpu() - began, found


def currents(size):
    return np.array([10.0]) if size == 1 else np.linspace(0.0, 60.0, size)


def hodgkin_huxley(size):
    given = float(currents(size)[0]) if size == 1 else currents(size)
    return lambda: simulate(HodgkinHuxley.squid(), given, SECONDS, record=(), keep_going=True)


def wiring(size):
    """Every neuron sends to a tenth of the others; a fifth of the neurons inhibits. Rates are about 16 Hz."""
    draw = np.random.default_rng(0)
    out = int(PROBABILITY * size)
    targets = np.stack([draw.choice(size, out, replace=False) for _ in range(size)]).astype(np.int32)
    weight = np.where(np.arange(size) < 0.8 * size, 1.0, -4.0) * 0.01 * TAU_S * 100 / out
    drive = draw.uniform(0.95, 1.15, size)
    return targets, weight, drive


def network(size):
    targets, weight, drive = wiring(size)
    connection = Connection.sparse(targets, list(np.repeat(weight[:, None], targets.shape[1], axis=1)), size)
    return SpikingNetwork(LIF(), connection, TAU_S), drive


def brian(python, kind, size, folder):
    """What `neurons_rival.py` measures in a process of its own, on the same core."""
    script = Path(__file__).with_name("neurons_rival.py")
    command = ["taskset", "-c", str(CORE), python, str(script), kind, str(size), str(SECONDS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"Brian2 failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def race(title, ours, rival, bounds):
    """`ours`: name to a call; `rival`: returns what Brian2 measured. Prints medians and the ratios of rounds."""
    first = {}
    for name, call in ours.items():
        began = time.perf_counter()
        first[name], found = measured(call)
        wall = time.perf_counter() - began
        again, _ = measured(call)
        print(
            f"{title}, {name}: compilation {max(first[name] - again, 0.0):.2f} CPU s (first call {wall:.2f} s); "
            f"{len(found.spikes)} spikes; not finite: {len(found.blew_up)}"
        )
    rounds = []
    for _ in range(ROUNDS):
        one = {name: measured(call)[0] for name, call in ours.items()}
        if rival is not None:
            one |= rival()
        rounds.append(one)
    for name in rounds[0]:
        print(f"    {name:<36} {statistics.median(row[name] for row in rounds):10.4f} CPU s")
    for sentence, (a, b, relation, bound) in bounds.items():
        if a in rounds[0] and b in rounds[0]:
            ratio = statistics.median(row[a] / max(row[b], 1e-9) for row in rounds)
            holds = ratio <= bound if relation == "<=" else ratio >= bound
            print(f"    {'holds' if holds else 'FALLS SHORT'}: {sentence}: {ratio:.2f} (wanted {relation} {bound})")


def main():
    option = lambda name: sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None
    python, only = option("--brian"), option("--only")
    print(f"jax {jax.__version__}, one core ({CORE}), medians of {ROUNDS}, {SECONDS:g} s simulated")
    with tempfile.TemporaryDirectory() as folder:
        for size in POPULATIONS if only != "network" else ():
            race(
                f"Hodgkin–Huxley, {size} neurons, dt 0.01 ms",
                {"ours, staggered": hodgkin_huxley(size)},
                (lambda size=size: brian(python, "hodgkin-huxley", size, folder)) if python else None,
                # wanted for large populations
                {"times as fast as Brian2": ("Brian2 C++, run loop", "ours, staggered", ">=", FASTER)} if size > 100 else {},
            )
        for size in NETWORKS if only != "hodgkin-huxley" else ():
            made, drive = network(size)
            targets, weight, _ = wiring(size)
            np.savez(Path(folder) / f"network{size}.npz", targets=targets, weight=weight, drive=drive)
            each = {
                f"ours, {method}": lambda method=method, made=made, drive=drive: simulate(
                    made, drive, SECONDS, method=method, record=()
                )
                for method in ("grid", "exact")
            }
            race(
                f"LIF network, {size} neurons, {PROBABILITY:.0%} connections, dt 0.1 ms",
                each,
                (lambda size=size: brian(python, "network", size, folder)) if python else None,
                {
                    "grid over Brian2": ("ours, grid", "Brian2 C++, run loop", "<=", SLOWER[size]),
                    "exact over grid": ("ours, exact", "ours, grid", "<=", EXACT),
                },
            )


if __name__ == "__main__":
    main()
