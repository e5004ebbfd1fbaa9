"""How every benchmark measures: contestants take turns in one process, and the ratio of each round counts.

Machines are shared and noisy. A ratio within one round meets the same noise on both sides; the median over rounds drops
the rounds that a neighbor spoiled.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax


def alternate(contestants: dict[str, Callable[[], Any]], *, rounds: int = 15, seconds: float = 0.2) -> dict[str, list]:
    """Seconds per call of every contestant in every round. Each turn repeats the call for about `seconds`; the order is
    reversed every other round. A call must block until its result is ready. `--quick` on the command line makes it one short
    round: to see that a benchmark runs, not what it says."""
    if "--quick" in sys.argv:
        rounds, seconds = 1, 0.0
    repeats = {}
    for name, call in contestants.items():
        call()  # compiles
        began = time.perf_counter()
        call()
        repeats[name] = max(1, int(seconds / max(time.perf_counter() - began, 1e-6)))
    times: dict[str, list] = {name: [] for name in contestants}
    for turn in range(rounds):
        for name in list(contestants)[:: 1 if turn % 2 == 0 else -1]:
            began = time.perf_counter()
            for _ in range(repeats[name]):
                contestants[name]()
            times[name].append((time.perf_counter() - began) / repeats[name])
    return times


def ratio(times: dict[str, list], ours: str, rival: str) -> float:
    """The median over rounds of our time divided by the rival's."""
    return statistics.median(a / b for a, b in zip(times[ours], times[rival], strict=True))


def floating_point_operations(compiled: Any) -> float:
    """What XLA counts in a compiled program."""
    return float(compiled.cost_analysis()["flops"])


def report(title: str, times: dict[str, list], *, steps: int, claims: dict[str, tuple[float, str, float]]) -> None:
    """Prints the medians per step and every claim with its bound, then one JSON line for the record.

    `claims`: sentence -> (measured, "<=" or ">=", bound).
    """
    print(f"\n{title}")
    medians = {name: statistics.median(values) / steps for name, values in times.items()}
    for name, value in medians.items():
        print(f"  {name:<44} {1e3 * value:10.4f} ms a step (median of {len(times[name])})")
    for sentence, (measured, relation, bound) in claims.items():
        holds = measured <= bound if relation == "<=" else measured >= bound
        print(f"  {'holds' if holds else 'FALLS SHORT':<11} {sentence}: {measured:.3f} (wanted {relation} {bound})")
    print(
        json.dumps(
            {
                "title": title,
                "seconds_per_step": medians,
                "claims": {sentence: list(claim) for sentence, claim in claims.items()},
                "machine": {
                    "processor": platform.machine(),
                    "cores": os.cpu_count(),
                    "devices": [str(device) for device in jax.devices()],
                    "python": platform.python_version(),
                    "jax": version("jax"),
                },
            }
        )
    )
