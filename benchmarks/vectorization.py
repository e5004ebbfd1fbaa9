"""What vectorization saves: one layer of 784 inputs and 256 logistic units, unit by unit and as a product of matrices.

"Solving Deeper Multilayer Perceptrons" (lecture), equation (1), against a^l = σ(w^l a^{l−1} + b^l). Times are of one example.
The loops take few examples, since every one costs them as much. One thread: the gain is not that of many cores.
Run: `python benchmarks/vectorization.py`
"""

import numpy as np
from measure import alternate, ratio, report
from threadpoolctl import threadpool_limits

from ascribe.autodiff.by_hand import forward, forward_by_unit

INPUTS, OUTPUTS = 784, 256
FEW, BATCH = 8, 128


def main():
    generator = np.random.default_rng(0)
    layer = [generator.standard_normal((INPUTS, OUTPUTS)) / INPUTS**0.5], [generator.standard_normal(OUTPUTS)]
    few, batch = generator.standard_normal((FEW, INPUTS)), generator.standard_normal((BATCH, INPUTS))
    units, same, matrices = (
        f"unit by unit, {FEW} examples",
        f"matrix form, the same {FEW}",
        f"matrix form, {BATCH} examples",
    )
    contestants = {
        units: lambda: forward_by_unit(*layer, few, "logistic"),
        same: lambda: forward(*layer, few, "logistic"),
        matrices: lambda: forward(*layer, batch, "logistic"),
    }
    difference = np.max(np.abs(contestants[units]() - contestants[same]()))
    with threadpool_limits(1):
        calls = alternate(contestants)
    examples = {units: FEW, same: FEW, matrices: BATCH}
    times = {name: [seconds / examples[name] for seconds in each] for name, each in calls.items()}
    report(
        f"{INPUTS}-{OUTPUTS}, logistic, float64, one thread; a step is one example",
        times,
        steps=1,
        claims={
            f"unit by unit / matrix form, {FEW} examples": (ratio(times, units, same), ">=", 100),
            f"unit by unit / matrix form, {BATCH} examples": (ratio(times, units, matrices), ">=", 100),
            "largest difference of the two forms, in 1e-12": (1e12 * float(difference), "<=", 1),
        },
    )


if __name__ == "__main__":
    main()
