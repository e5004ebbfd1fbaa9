"""The autodiff wing: a training step of an MLP against HIPS autograd and hand-written NumPy, a graph of single numbers against
closures in every node (as micrograd has them), and the walk back over long chains.

Run: `python benchmarks/autodiff.py` (HIPS autograd: `pip install autograd`, else it is left out)
"""

import gc
import itertools
import sys
import time
import tracemalloc

import numpy as np
from measure import alternate, ratio, report

from ascribe import autodiff as ad

QUICK = "--quick" in sys.argv
SIZES, BATCH = (784, 256, 256, 10), 128
LAYERS, WIDTH, FAN = (4, 30, 16) if QUICK else (72, 30, 16)
CHAINS = (1_000, 10_000) if QUICK else (10_000, 100_000, 1_000_000)
RATE = 1e-3


def examples():
    draw = np.random.default_rng(0)
    return draw.normal(size=(BATCH, SIZES[0])), np.eye(SIZES[-1])[draw.integers(0, SIZES[-1], BATCH)]


def weights():
    draw = np.random.default_rng(1)
    return [(draw.normal(size=pair) * np.sqrt(2 / pair[0]), np.zeros(pair[1])) for pair in itertools.pairwise(SIZES)]


def by_hand():
    """E 3.2 of the course notes, written out: nothing is computed that is not needed."""
    x, t = examples()
    parameters = weights()

    def step():
        h, kept = x, []
        for number, (w, b) in enumerate(parameters):
            kept.append(h)
            h = h @ w + b
            if number < len(parameters) - 1:
                h = np.maximum(h, 0.0)
        e = np.exp(h - h.max(1, keepdims=True))
        error = (e / e.sum(1, keepdims=True) - t) / BATCH
        for number in reversed(range(len(parameters))):
            w, b = parameters[number]
            below = error @ w.T * (kept[number] > 0) if number else None
            parameters[number] = w - RATE * (kept[number].T @ error), b - RATE * error.sum(0)
            error = below

    return step


def wing():
    x, t = examples()
    layers = [ad.Dense(*pair) for pair in itertools.pairwise(SIZES)]
    for layer, (w, b) in zip(layers, weights(), strict=True):
        layer.weights.value, layer.bias.value = w, b
    network = ad.Network(layers[0], ad.relu, layers[1], ad.relu, layers[2])
    optimizer, parameters = ad.GradientDescent(RATE), network.parameters

    def step():
        cost = ad.softmax_cross_entropy(network(x), t)
        cost.zero_grad()
        cost.backward()
        optimizer.step(parameters)

    return step


def hips_autograd():
    import autograd.numpy as anp  # noqa: PLC0415
    from autograd import grad  # noqa: PLC0415
    from autograd.scipy.special import logsumexp  # noqa: PLC0415

    x, t = examples()
    state = [weights()]

    def cost(parameters):
        h = x
        for w, b in parameters[:-1]:
            h = anp.maximum(anp.dot(h, w) + b, 0.0)
        w, b = parameters[-1]
        z = anp.dot(h, w) + b
        return anp.mean(logsumexp(z, axis=1) - anp.sum(z * t, axis=1))

    gradient = grad(cost)

    def step():
        slopes = gradient(state[0])
        state[0] = [(w - RATE * dw, b - RATE * db) for (w, b), (dw, db) in zip(state[0], slopes, strict=True)]

    return step


class Closure:
    """A number that knows how to pass its derivative on: a function made for every node."""

    def __init__(self, data, args=()):
        self.data, self.grad, self.args, self.pass_on = data, 0.0, args, lambda: None

    def __add__(self, other):
        out = Closure(self.data + other.data, (self, other))

        def pass_on():
            self.grad += out.grad
            other.grad += out.grad

        out.pass_on = pass_on
        return out

    def __mul__(self, other):
        out = Closure(self.data * other.data, (self, other))

        def pass_on():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.pass_on = pass_on
        return out

    def backward(self):
        found, seen, path = [], set(), [self]
        while path:
            v = path.pop()
            if isinstance(v, tuple):
                found.append(v[0])
            elif v not in seen:
                seen.add(v)
                path.append((v,))
                path.extend(v.args)
        self.grad = 1.0
        for v in reversed(found):
            v.pass_on()


def numbers(kind):
    """A network of single numbers: about 100,000 additions and products. Its leaves come first."""
    draw = np.random.default_rng(0)
    leaves = [kind(float(value)) for value in draw.uniform(-1, 1, WIDTH)]
    slopes = [kind(float(value)) for value in draw.uniform(-0.1, 0.1, (LAYERS, WIDTH, FAN)).ravel()]
    xs, rest = leaves, iter(slopes)
    for _ in range(LAYERS):
        ys = []
        for j in range(WIDTH):
            total = xs[j] * next(rest)
            for k in range(1, FAN):
                total = total + xs[(j + k) % WIDTH] * next(rest)
            ys.append(total)
        xs = ys
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def closures():
    def step():
        numbers(Closure).backward()

    return step


def built_once():
    expression = numbers(ad.Var)

    def step():
        expression.evaluate()
        expression.zero_grad()
        expression.backward()

    return step


def built_anew():
    def step():
        numbers(ad.Var).backward()

    return step


def chains():
    """Seconds of the walk back, and bytes of a node, for chains of additions."""
    seconds = {}
    for count in CHAINS:
        x = ad.Var(1.0)
        gc.collect()
        tracemalloc.start() if count == CHAINS[0] else None
        u = x
        for _ in range(count):
            u = u + x
        if count == CHAINS[0]:
            print(f"\nmemory of a Var and its Op: {tracemalloc.get_traced_memory()[0] / count:.0f} bytes before backward")
            tracemalloc.stop()
        best = np.inf
        for _ in range(3):
            u.zero_grad()
            began = time.perf_counter()
            u.backward()
            best = min(best, time.perf_counter() - began)
        assert x.grad == count + 1
        seconds[count] = best
        print(f"backward over {count:,} additions: {best:.3f} s")
        del u
    longest = [seconds[count] for count in CHAINS[-2:]]
    print(f"ratio of the last decade: {longest[1] / longest[0]:.1f} (wanted 10 ± 2)")


def main():
    np.ones(2**22)  # an array as large as a data set, freed: after it the allocator keeps the memory of smaller ones
    contestants = {"ours": wing(), "hand-written NumPy": by_hand()}
    try:
        contestants["HIPS autograd"] = hips_autograd()
    except ImportError:
        print("HIPS autograd is not installed (pip install autograd): left out.")
    times = alternate(contestants)
    claims = {"ours / hand-written NumPy": (ratio(times, "ours", "hand-written NumPy"), "<=", 1.3)}
    if "HIPS autograd" in times:
        claims["times as fast as HIPS autograd"] = (1 / ratio(times, "ours", "HIPS autograd"), ">=", 2.5)
    report(f"MLP {'-'.join(map(str, SIZES))}, batch {BATCH}, float64", times, steps=1, claims=claims)

    for collected in (True, False):
        (gc.enable if collected else gc.disable)()
        contestants = {"ours, built once": built_once(), "ours, built anew": built_anew(), "closures": closures()}
        times = alternate(contestants, rounds=5, seconds=0.0)
        report(
            f"{2 * LAYERS * WIDTH * FAN:,} numbers, {'with' if collected else 'without'} Python's garbage collector",
            times,
            steps=1,
            claims={
                "evaluated again, times as fast as closures": (
                    1 / ratio(times, "ours, built once", "closures"),
                    ">=",
                    5,
                ),
                "built anew, times as fast as closures": (1 / ratio(times, "ours, built anew", "closures"), ">=", 0.5),
            },
        )
    gc.enable()
    chains()


if __name__ == "__main__":
    main()
