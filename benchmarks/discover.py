"""`ascribe discover digits` against the same search written in PyTorch and Optuna (`discover_rival.py`), and against random
search.

`python benchmarks/discover.py` races both in one run: the default objective (64-64-64-10, batch 32, SGD at 0.01, 10 epochs, 8
seeds), fewer evaluations; seconds per evaluation, with what proposes the next ones; both sides have both cores.
`--random` compares Bayesian with random search instead: 200 evaluations each, 20 repeats, paired by repeat (half an hour).
(PyTorch: extra `oracle`; Optuna: `pip install optuna greenlet`.) `--quick`: to see that it runs.
"""

import ascribe

ascribe.use_all_cores()

import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import numpy as np  # noqa: E402

from ascribe import networks, report, search  # noqa: E402
from ascribe.experiments.plan import TUNING_SEEDS  # noqa: E402
from ascribe.experiments.stores import versions  # noqa: E402
from ascribe.search import Objective, Space  # noqa: E402

QUICK = "--quick" in sys.argv
EVALUATIONS, BATCH, SEEDS, EPOCHS = (16, 8, 2, 1) if QUICK else (200, 8, 8, 10)
REPEATS = 2 if QUICK else 20


def objective() -> Objective:
    """The default objective of `ascribe discover digits`."""
    space = Space("relu2")
    return Objective(
        ascribe.datasets.load("digits", seed=0),
        networks.mlp([64, 64, 64, 10]),
        space.rule(),
        space.place,
        dimensions=space.dimensions,
        seeds=tuple(range(TUNING_SEEDS, TUNING_SEEDS + SEEDS)),
        batch=BATCH,
        optimizer="sgd",
        learning_rate=0.01,
        epochs=EPOCHS,
        batch_size=32,
    )


def race() -> None:
    """Both sides in one run; ours before and after the rival, so that a change of the machine's load shows."""
    import discover_rival  # noqa: PLC0415

    began = time.perf_counter()
    ours = objective()
    ours.compile()
    compiling = time.perf_counter() - began

    def our_seconds(seed: int) -> list[float]:
        ends = [time.perf_counter()]
        search.search(
            ours,
            ours.empty,
            evaluations=EVALUATIONS,
            batch=BATCH,
            seed=seed,
            after_round=lambda _: ends.append(time.perf_counter()),
        )
        return [seconds / BATCH for seconds in np.diff(ends)]

    our_seconds(0)  # compiles what proposes
    before = our_seconds(1)
    rival = discover_rival.measure(evaluations=4 if QUICK else 24, epochs=EPOCHS, seeds=SEEDS)
    after = our_seconds(2)
    ours_median = float(np.median(before + after))
    ours_mean = float(np.mean(before + after))
    ratios = {name: rival[f"seconds_per_evaluation{kind}"] / ours_mean for name, kind in (("GP", ""), ("TPE", "_tpe"))}
    print(f"ours: {ours_mean:.4f} s an evaluation on average ({ours_median:.4f} in the median), proposing included;")
    print(f"  {np.mean(before):.4f} before the rival and {np.mean(after):.4f} after; compiling took {compiling:.1f} s")
    for name, kind in (("Gaussian process", ""), ("tree of Parzen estimators", "_tpe")):
        print(f"PyTorch and Optuna's {name}: {rival[f'seconds_per_evaluation{kind}']:.3f} s an evaluation (median)")
    print(f"times as fast: {ratios['GP']:.1f} (Gaussian process), {ratios['TPE']:.1f} (tree of Parzen estimators); wanted 12")
    print(json.dumps({"ours": ours_mean, "rival": rival, "ratios": ratios, "compiling": compiling, "versions": versions()}))


def against_random() -> None:
    """The best area after 200 evaluations, Bayesian less random, paired by repeat."""
    ours = objective()
    best: dict[str, list[float]] = {search.BAYESIAN: [], search.RANDOM: []}
    for repeat in range(REPEATS):
        for kind, found in best.items():
            tried = search.search(ours, ours.empty, evaluations=EVALUATIONS, batch=BATCH, kind=kind, seed=repeat)
            found.append(float(tried.values.min()))
        print(
            f"repeat {repeat}: Bayesian {best[search.BAYESIAN][-1]:.4f}, random {best[search.RANDOM][-1]:.4f}",
            flush=True,
        )
    bayesian, random = (np.asarray(best[kind]) for kind in (search.BAYESIAN, search.RANDOM))
    mean, half = report.interval(bayesian - random)
    wins = int(np.sum(bayesian < random))
    print(f"best area after {EVALUATIONS} evaluations: Bayesian {bayesian.mean():.4f}, random {random.mean():.4f} (means)")
    print(f"difference {float(mean):+.4f} ± {float(half):.4f} (95 %), Bayesian better in {wins} of {REPEATS} repeats")
    print(json.dumps({**best, "versions": versions()}))


if __name__ == "__main__":
    against_random() if "--random" in sys.argv else race()
