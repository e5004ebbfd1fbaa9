"""The search for a b-function on digits as an experienced PyTorch user writes it: the rival of `ascribe discover digits`.

One evaluation is one meta-network `g(z) = v tanh(w z + c) + d`, with ω = (w, c, v, d) in [-3, 3]⁴, in place of relu' in one
hidden layer of a 64-64-64-10 ReLU network, which is trained (batch 32, SGD at 0.01, cross entropy) from several seeds, each
with initial weights and batches of its own. Its value is the area under the learning curve (AULC): the sum over epochs of the
epoch's mean training loss, averaged over the seeds. Optuna looks for the least. What is timed is an evaluation, sampler
included.

Nothing here is slow on purpose: the data are tensors, an epoch is shuffled by one indexing, SGD is the fastest of PyTorch's
three (`optimizer_steps` measures them), the network is functions of its weights, the loss stays a tensor until the epoch ends,
a run that breaks is stopped, and the seeds are divided among two processes of one thread, or done by one process of two,
whichever is quicker. (Optuna's Gaussian process is quicker with the package `greenlet`: install it before measuring.)

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", sections 3.2.1-3.2.2
Run: `python benchmarks/discover_rival.py` (PyTorch: extra `oracle`; Optuna). `--quick`: to see that it runs.
"""

import concurrent.futures
import contextlib
import itertools
import json
import multiprocessing
import statistics
import sys
import time
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

SIZES = [64, 64, 64, 10]
BATCH, RATE = 32, 0.01
LAYER = 1
"""The hidden layer, 0 or 1, whose relu' is replaced."""
BOX = 3.0
NAMES = ("w", "c", "v", "d")
STARTUP = 10
"""How many of its first trials each of the two samplers draws at random, by default."""
DIVERGED = 1e3
"""The value, for one seed, of an ω whose loss is no number or whose area is larger than that: a sampler wants a finite one."""


Omega = tuple[float, float, float, float]


class Replaced(torch.autograd.Function):
    """ReLU forward; backward `g(z) = v tanh(w z + c) + d` in place of its derivative."""

    @staticmethod
    def forward(ctx: Any, z: torch.Tensor, omega: Omega) -> torch.Tensor:
        ctx.save_for_backward(z)
        ctx.omega = omega
        return z.relu()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (z,) = ctx.saved_tensors
        w, c, v, d = ctx.omega
        return z.mul(w).add_(c).tanh_().mul_(v).add_(d).mul_(gradients[0]), None


def initial() -> list[torch.Tensor]:
    """The weights and biases of 64-64-64-10, as `torch.nn.Linear` begins."""
    return [p for layer in itertools.starmap(torch.nn.Linear, itertools.pairwise(SIZES)) for p in layer.parameters()]


def outputs(parameters: list[torch.Tensor], x: torch.Tensor, omega: Omega | None) -> torch.Tensor:
    """The logits; the backward pass has the meta-network's g in place of relu' in hidden layer `LAYER`, if there is an ω.

    (Functions of the weights, not a `torch.nn.Module`: a quarter more steps a second with networks so small.)"""
    for i in range(0, len(parameters), 2):
        x = F.linear(x, parameters[i], parameters[i + 1])
        if i == len(parameters) - 2:
            return x
        x = torch.relu(x) if omega is None or i != 2 * LAYER else Replaced.apply(x, omega)  # pyright: ignore
    raise AssertionError


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """The training examples of the library's own split: inputs `(examples, 64)` and labels `(examples,)`."""
    import ascribe  # noqa: PLC0415

    train = ascribe.datasets.load("digits", seed=0).train
    return torch.from_numpy(train.inputs.reshape(len(train), -1)), torch.from_numpy(train.targets).long()


def sgd(parameters: Any, kind: str) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=RATE, foreach=kind == "foreach", fused=kind == "fused")


def area(x: torch.Tensor, y: torch.Tensor, omega: Omega | None, seed: int, epochs: int, kind: str = "fused") -> float:
    """The AULC of one ω from one seed; a run that breaks is stopped at the end of its epoch, with `DIVERGED`."""
    torch.manual_seed(seed)
    parameters = initial()
    optimizer = sgd(parameters, kind)
    steps = len(x) // BATCH
    total = 0.0
    for _ in range(epochs):
        order = torch.randperm(len(x))[: steps * BATCH]
        summed = torch.zeros(())
        for inputs, targets in zip(x[order].split(BATCH), y[order].split(BATCH), strict=True):
            loss = F.cross_entropy(outputs(parameters, inputs, omega), targets)
            # Gradients put where SGD looks for them: quicker than `backward`, and there is nothing to set to zero.
            for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                parameter.grad = gradient
            optimizer.step()
            summed += loss.detach()
        total += summed.item() / steps
        if not total < DIVERGED:
            return DIVERGED
    return total


_DATA: list[tuple[torch.Tensor, torch.Tensor]] = []


def _start(x: Any, y: Any, threads: int, together: Any = None) -> None:
    """What a worker does once: its threads, its data (NumPy arrays; so little needs no shared memory), and it waits for the
    other workers, so that all are there before anything is timed."""
    torch.set_num_threads(threads)
    _DATA[:] = [(torch.from_numpy(x), torch.from_numpy(y))]
    if together is not None:
        together.wait()


def _one(omega: Any, seed: int, epochs: int, kind: str) -> float:
    return area(*_DATA[0], omega, seed, epochs, kind)


class Evaluation:
    """ω -> the mean AULC over seeds, with 2 processes of one thread or 1 of two. A context: the processes live in it."""

    def __init__(self, processes: int, epochs: int, seeds: int, kind: str):
        self.epochs, self.seeds, self.kind = epochs, seeds, kind
        x, y = digits()
        self.pool = None
        if processes == 1:
            self.threads = torch.get_num_threads()
            _start(x.numpy(), y.numpy(), 2)
        else:
            spawn = multiprocessing.get_context("spawn")
            begin = (x.numpy(), y.numpy(), 1, spawn.Barrier(processes))
            self.pool = concurrent.futures.ProcessPoolExecutor(processes, spawn, _start, begin)
        self(None, epochs=1)  # the first call of everything

    def __enter__(self) -> "Evaluation":
        return self

    def __exit__(self, *_: Any) -> None:
        if self.pool is None:
            torch.set_num_threads(self.threads)
        else:
            self.pool.shutdown()

    def __call__(self, omega: Omega | None, epochs: int | None = None) -> float:
        mapped = map if self.pool is None else self.pool.map
        count, epochs = self.seeds, self.epochs if epochs is None else epochs
        return statistics.fmean(mapped(_one, [omega] * count, range(count), [epochs] * count, [self.kind] * count))


def search(evaluate: Evaluation, sampler: Any, evaluations: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds of every evaluation (the sampler's included), seconds of the sampler alone, and the values found."""
    import optuna  # noqa: PLC0415

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    seconds, asking, values = [], [], []
    for _ in range(evaluations):
        began = time.perf_counter()
        trial = study.ask()
        omega = tuple(trial.suggest_float(name, -BOX, BOX) for name in NAMES)
        asked = time.perf_counter()
        value = evaluate(omega)  # pyright: ignore[reportArgumentType]
        study.tell(trial, value)
        seconds.append(time.perf_counter() - began)
        asking.append(asked - began)
        values.append(value)
    return seconds, asking, values


def optimizer_steps(epochs: int = 3) -> dict[str, float]:
    """Steps per second of one thread with each of PyTorch's forms of SGD, on relu' replaced: the best of 3 turns."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x, y = digits()
    found: dict[str, float] = dict.fromkeys(("fused", "foreach", "for-loop"), 0.0)
    for kind in list(found) * 3:
        began = time.perf_counter()
        area(x, y, (1.0, 0.0, 0.5, 0.5), 0, epochs, kind)
        found[kind] = max(found[kind], epochs * (len(x) // BATCH) / (time.perf_counter() - began))
    torch.set_num_threads(threads)
    return found


def measure(evaluations: int = 12, epochs: int = 10, seeds: int = 8) -> dict[str, Any]:
    """The rival's numbers: seconds per evaluation (one ω on all seeds, sampler included; medians).

    `seconds_per_evaluation` is that of the quicker layout, `layout`, under Optuna's Gaussian process;
    `seconds_per_evaluation_tpe` of the same layout under its tree of Parzen estimators. `layouts`: steps per second of
    both layouts, the best of three ω for an epoch, in turns, before the search. `steps_per_second`: of all workers together, in
    the search under the Gaussian process.
    `sampler_seconds`: the sampler alone, after its random start if there are so many evaluations.
    """
    import optuna  # noqa: PLC0415

    kinds = optimizer_steps()
    kind = max(kinds, key=lambda name: kinds[name])
    steps = seeds * epochs * (len(digits()[0]) // BATCH)
    places = {"2 processes of 1 thread": 2, "1 process of 2 threads": 1}
    times: dict[str, list[float]] = {name: [] for name in places}
    with contextlib.ExitStack() as stack:
        layouts = {name: stack.enter_context(Evaluation(count, epochs, seeds, kind)) for name, count in places.items()}
        for omega in ((1.0, 0.0, 0.5, 0.5), (2.0, -1.0, 1.0, 1.0), (-1.0, 0.5, 2.0, 0.0)):
            for name, evaluate in layouts.items():
                began = time.perf_counter()
                evaluate(omega, epochs=1)
                times[name].append(steps / epochs / (time.perf_counter() - began))
    layout = max(times, key=lambda name: max(times[name]))
    found: dict[str, Any] = {}
    for name, sampler in (("", optuna.samplers.GPSampler(seed=0)), ("_tpe", optuna.samplers.TPESampler(seed=0))):
        with Evaluation(places[layout], epochs, seeds, kind) as evaluate:
            seconds, asking, values = search(evaluate, sampler, evaluations)
        found[f"seconds_per_evaluation{name}"] = statistics.median(seconds)
        found[f"sampler_seconds{name}"] = statistics.median(asking[STARTUP:] or asking)
        found[f"best{name}"] = min(values)
        found[f"all_seconds{name}"] = seconds
    return {
        "layout": layout,
        "layouts": {name: max(values) for name, values in times.items()},
        "sgd": kind,
        "sgd_steps_per_second": kinds,
        "steps_per_second": steps / found["seconds_per_evaluation"],
        "steps_per_evaluation": steps,
        "evaluations": evaluations,
        "epochs": epochs,
        "seeds": seeds,
        "torch": torch.__version__,
        "optuna": optuna.__version__,
        **found,
    }


def main() -> None:
    sizes = {"evaluations": 2, "epochs": 1, "seeds": 2} if "--quick" in sys.argv else {}
    found = measure(**sizes)
    print(f"b-functions on digits, PyTorch eager and Optuna: {found['seeds']} seeds of {found['epochs']} epochs an evaluation")
    for kind, rate in found["sgd_steps_per_second"].items():
        print(f"  SGD, {kind:<39} {rate:8.0f} steps a second on one thread")
    for name, rate in found["layouts"].items():
        print(f"  {name:<44} {rate:8.0f} steps a second in all")
    for title, name in (("Gaussian process", ""), ("tree of Parzen estimators", "_tpe")):
        seconds, asking = (found[f"{what}{name}"] for what in ("seconds_per_evaluation", "sampler_seconds"))
        print(f"  {title:<44} {seconds:8.3f} s an evaluation, of which the sampler {asking:.3f}")
    print(f"  {found['layout']}: {found['steps_per_second']:.0f} steps a second in all")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
