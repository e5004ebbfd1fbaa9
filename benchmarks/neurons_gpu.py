"""The neuron wing on a GPU: 1,000,000 Hodgkin–Huxley neurons for 0.1 s, and the network of 10,000 LIF neurons for 1 s.

Run: `python benchmarks/neurons_gpu.py`. Without a GPU it says so and ends. The share of the card: the bytes that the compiled
loop must move if every step reads and writes each neuron's state once (V, three gates, the step of a crossing: 40 bytes), a
second, over what an array that is read and written attains on the same card. A state that fits in the card's cache may exceed
it.
"""

import statistics
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
from neurons import network

from ascribe.neurons import HodgkinHuxley, simulate

NEURONS, SECONDS, DT, BYTES = 1_000_000, 0.1, 1e-5, 40
QUICK = "--quick" in sys.argv


def measured(call, rounds=3):
    """Seconds of the first call, the median of those after it, and what the last returned."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - began)
    return times[0], statistics.median(times[1:]), found


def attained():
    """Bytes a second of x + 1 for 1 GiB."""
    x = jnp.zeros(1 << 28, jnp.float32)
    program = jax.jit(lambda x: x + 1.0)
    return 2 * x.nbytes / measured(lambda: program(x).block_until_ready(), 10)[1]


def main():
    if jax.default_backend() != "gpu" and not QUICK:
        sys.exit("JAX sees no GPU here: install the extra `cuda` on a machine that has one.")
    count, seconds = (1000, 0.01) if QUICK else (NEURONS, SECONDS)
    current = np.linspace(0.0, 60.0, count)
    cells = HodgkinHuxley.squid()
    few = simulate(cells, current[:: max(1, count // 100)], seconds, record=(), dtype=np.float32)
    # The same call for a hundredth of the neurons takes the time that does not grow with them.
    for size in (count // 100, count):
        chosen = current[:: count // size]
        first, each, found = measured(
            lambda chosen=chosen: simulate(cells, chosen, seconds, record=(), dtype=np.float32, keep_going=True)
        )
        print(
            f"Hodgkin–Huxley, {size:,} neurons, {seconds:g} s: {each:.2f} s (first call {first:.2f} s), "
            f"{len(found.spikes):,} spikes, not finite: {len(found.blew_up)}"
        )
    same = list(found.spikes.counts()[:: max(1, count // 100)])
    print(f"spikes of every hundredth neuron as in a population of 100: {same == list(few.spikes.counts())}")
    busy = profiled(lambda: simulate(cells, current, seconds, record=(), dtype=np.float32, keep_going=True))
    moved, roof = BYTES * count * seconds / DT, attained()
    print(
        f"the compiled loop {busy:.3f} s: {count * seconds / DT / busy:.3g} neuron-steps a second, "
        f"{moved / busy / 1e12:.2f} TB/s of {roof / 1e12:.2f} attained: {moved / busy / roof:.0%}"
    )
    for size in (100,) if QUICK else (1000, 10_000):
        made, drive = network(size)
        for method, length in (("grid", 1.0), ("exact", 0.1)):
            first, each, found = measured(
                lambda made=made, drive=drive, method=method, length=length: simulate(
                    made, drive, length, method=method, record=()
                )
            )
            print(
                f"LIF network, {size:,} neurons, {method}, {length:g} s: {each:.2f} s (first call {first:.2f} s), "
                f"{len(found.spikes):,} spikes"
            )


def profiled(call):
    """Seconds that the compiled loop takes, without copying its results to the host and reading spikes off them."""
    module = sys.modules["ascribe.neurons.simulate"]
    compiled, taken = module._compiled, []

    def timed():
        program = compiled()

        def run(*arguments, **options):
            began = time.perf_counter()
            found = jax.block_until_ready(program(*arguments, **options))
            taken.append(time.perf_counter() - began)
            return found

        return run

    module._compiled = timed
    try:
        call()
    finally:
        module._compiled = compiled
    return sum(taken)


if __name__ == "__main__":
    main()
