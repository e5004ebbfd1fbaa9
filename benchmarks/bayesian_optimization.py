"""Bayesian optimization: `ascribe.search.suggest` against BoTorch, from one Sobol start, one point at a time and in batches.

BoTorch is no dependency of the project: into an environment of its own, `pip install torch==2.13.0 botorch==0.18.1 .`.
It runs as its manual says: SingleTaskGP with its default priors, LogExpectedImprovement for one point and
qLogExpectedImprovement, sequentially greedy, for a batch, with 10 restarts of 256 raw samples. Compilation is not counted:
every setting is run once before. BoTorch has one thread, as LAPACK has in ours.
Run: `python benchmarks/bayesian_optimization.py` (`--tuned-on`: Ackley, Levy and Rosenbrock instead; `--ours`: no BoTorch)
"""

import json
import os
import platform
import sys
import time
import warnings
from importlib.metadata import version

import numpy as np

from ascribe.search import suggest

QUICK = "--quick" in sys.argv
SEEDS, FIRST = (1, 1) if QUICK else (16, 5)  # medians are told of all seeds, and of the first few
FRACTION = 1 / 5  # of BoTorch's CPU time: what ours may take


def branin(x):
    """Minimum 0.397887."""
    a, b = 15 * x[:, 0] - 5, 15 * x[:, 1]
    square = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
    return square + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10 - 0.39788735772973816


ALPHA = np.asarray([1.0, 1.2, 3.0, 3.2])
A = np.asarray([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
P = 1e-4 * np.asarray(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(x):
    """Minimum -3.32237."""
    inner = (A[None] * (x[:, None, :] - P[None]) ** 2).sum(-1)
    return 3.322368011391339 - (ALPHA[None] * np.exp(-inner)).sum(-1)


def ackley(x):
    z = 65.536 * x - 32.768 + 3.0  # the minimum is not at the center, where a Sobol sequence may begin
    bumps = np.exp(np.cos(2 * np.pi * z).mean(1))
    return -20 * np.exp(-0.2 * np.sqrt((z**2).mean(1))) - bumps + 20 + np.e


def levy(x):
    w = 1 + (20 * x - 11) / 4
    first, last = np.sin(np.pi * w[:, 0]) ** 2, (w[:, -1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[:, -1]) ** 2)
    return first + ((w[:, :-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:, :-1] + 1) ** 2)).sum(1) + last


def rosenbrock(x):
    z = 15 * x - 5
    return (100 * (z[:, 1:] - z[:, :-1] ** 2) ** 2 + (1 - z[:, :-1]) ** 2).sum(1)


# title: (function, dimensions, observations in all, batch)
JUDGED = {
    "Branin, one at a time": (branin, 2, 30, 1),
    "Hartmann-6, one at a time": (hartmann, 6, 60, 1),
    "Branin, batches of 8": (branin, 2, 40, 8),
    "Hartmann-6, batches of 16": (hartmann, 6, 96, 16),
}
TUNED_ON = {
    "Levy-4, one at a time": (levy, 4, 50, 1),
    "Ackley-10, one at a time": (ackley, 10, 80, 1),
    "Levy-4, batches of 8": (levy, 4, 64, 8),
    "Rosenbrock-4, batches of 8": (rosenbrock, 4, 64, 8),
    "Ackley-10, batches of 16": (ackley, 10, 96, 16),
}


def start_of(dimensions, batch, seed):
    """The shared start: 2 (dimensions + 1) points of the scrambled Sobol sequence, or a batch, whichever is more."""
    return suggest(np.zeros((0, dimensions)), [], max(2 * (dimensions + 1), batch), seed=seed)


def search(function, dimensions, total, batch, seed, ask):
    """The regret, and the CPU seconds for each point asked for."""
    x = start_of(dimensions, batch, seed)
    y, seconds, asked = function(x), 0.0, 0
    while len(x) < total:
        count = min(batch, total - len(x))
        began = time.process_time()
        points = ask(x, y, count, seed)
        seconds += time.process_time() - began
        asked += count
        x, y = np.concatenate([x, points]), np.concatenate([y, function(points)])
    return y.min(), seconds / asked


def ours(x, y, count, seed):
    return suggest(x, y, count, seed=seed, initial=1)


def botorch():
    """BoTorch's `ask`, or None where it is not installed."""
    try:
        import torch  # noqa: PLC0415
        from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement  # noqa: PLC0415
        from botorch.fit import fit_gpytorch_mll  # noqa: PLC0415
        from botorch.models import SingleTaskGP  # noqa: PLC0415
        from botorch.optim import optimize_acqf  # noqa: PLC0415
        from gpytorch.mlls import ExactMarginalLogLikelihood  # noqa: PLC0415
    except ImportError:
        return None
    torch.set_num_threads(1)

    def ask(x, y, count, seed):
        torch.manual_seed(1000 * seed + len(x))
        inputs, targets = torch.tensor(x, dtype=torch.float64), -torch.tensor(y, dtype=torch.float64)[:, None]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SingleTaskGP(inputs, targets)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            criterion = (LogExpectedImprovement if count == 1 else qLogExpectedImprovement)(model, best_f=targets.max())
            bounds = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
            points, _ = optimize_acqf(criterion, bounds, q=count, num_restarts=10, raw_samples=256, sequential=True)
        return points.numpy()

    return ask


def main():
    rival = None if "--ours" in sys.argv else botorch()
    if rival is None:
        print("BoTorch is not installed (pip install torch==2.13.0 botorch==0.18.1): only ours runs.")
    contestants = {"ours": ours} | ({"BoTorch": rival} if rival else {})
    settings = TUNED_ON if "--tuned-on" in sys.argv else JUDGED
    record = {}
    for title, (function, dimensions, full, batch) in settings.items():
        total = max(2 * (dimensions + 1), batch) + 2 * batch if QUICK else full
        search(function, dimensions, total, batch, SEEDS, ours)  # compiles
        runs = {name: [] for name in contestants}
        for seed in range(SEEDS):
            for name in list(contestants)[:: 1 if seed % 2 == 0 else -1]:
                runs[name].append(search(function, dimensions, total, batch, seed, contestants[name]))
        print(f"\n{title}: {dimensions} dimensions, {total} observations, {SEEDS} seeds")
        for name, values in runs.items():
            regrets, seconds = np.asarray(values).T
            each = " ".join(f"{regret:.1e}" for regret in np.sort(regrets))
            print(
                f"  {name:<8} regret {np.median(regrets):.2e} (median of {each}), of the first {FIRST} seeds "
                f"{np.median(regrets[:FIRST]):.2e}; {np.mean(seconds):.4f} CPU s a point"
            )
        record[title] = {name: np.asarray(values).tolist() for name, values in runs.items()}
        if rival:
            measured = np.mean([s for _, s in runs["ours"]]) / np.mean([s for _, s in runs["BoTorch"]])
            holds = "holds" if measured <= FRACTION else "FALLS SHORT"
            print(f"  {holds:<11} CPU time a point, ours / BoTorch: {measured:.3f} (wanted <= {FRACTION})")
    versions = {name: version(name) for name in ("jax", *(("botorch", "torch") if rival else ()))}
    machine = {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({"regret, CPU seconds a point, by seed": record, "machine": machine | versions}))


if __name__ == "__main__":
    main()
