"""Neural learning with the graph: a network is a sequence of operations, its cost an expression, and learning walks it back.

    net = Network(Dense(2, 8, seed=0), tanh, Dense(8, 1, seed=1), logistic)     # y = net(x) = d(c(b(a(x))))
    losses = train(net, cross_entropy, X, T, optimizer=Adam(0.05), epochs=200)

Source: "Neural networks" (course notes), section 4.2, algorithms 1 and 2.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ascribe.checks import at_least, explained, not_negative, plain, positive, share, whole
from ascribe.errors import UserError, shown
from ascribe.memory import check_room

from .operators import affine
from .traversal import check_variables
from .values import Value
from .variable import Var, label, order


def _is_floating(dtype: Any) -> bool:
    """Whether it names one of the kinds of numbers that a layer may have."""
    try:
        return isinstance(dtype, type | str | np.dtype) and np.dtype(dtype) in (np.float32, np.float64)
    except TypeError:
        return False


class Dense:
    """z = x W + b, rows of x being examples.

    `weights`: W, a `Var` of `(inputs, outputs)`, drawn uniformly from ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010);
    `bias`: b, `(outputs,)`, 0 at first, or None. `dtype`: float64, or float32, which is twice as fast.

    **Raises:** `UserError` for sizes that are not positive.
    """

    @explained
    def __init__(self, inputs: int, outputs: int, *, seed: int = 0, bias: bool = True, dtype: Any = np.float64):
        inputs, outputs, seed = plain(inputs), plain(outputs), at_least(0, "seed", seed)
        if inputs < 1 or outputs < 1:
            raise UserError(f"a layer has 1 input and 1 output at least; got {shown(inputs)} and {shown(outputs)}.")
        if not _is_floating(dtype):
            raise UserError(f"`dtype` of a layer is numpy.float32 or numpy.float64; got {shown(dtype)}.")
        check_room(f"a layer of {shown(inputs)} inputs and {shown(outputs)} outputs", 16 * inputs * outputs, "make it smaller")
        bound = np.sqrt(6.0 / (inputs + outputs))
        drawn = np.random.default_rng([seed, inputs, outputs]).uniform(-bound, bound, (inputs, outputs))
        self.weights = Var(drawn.astype(dtype), name=f"W {inputs}×{outputs}")
        self.bias = Var(np.zeros(outputs, dtype), name=f"b {outputs}") if bias else None

    @property
    def parameters(self) -> list[Var]:
        """What is learned."""
        return [self.weights, *([] if self.bias is None else [self.bias])]

    def __call__(self, x: Any) -> Var:
        return x @ self.weights if self.bias is None else affine(x, self.weights, self.bias)


class Network:
    """A sequence of operations: layers, operators, or any functions from a `Var` to a `Var`."""

    @explained
    def __init__(self, *operations: Callable[[Any], Any]):
        for operation in operations:
            if not callable(operation):
                raise UserError(
                    f"a Network is made of layers and functions, as in Network(Dense(2, 3), tanh); got {operation!r}."
                )
        self.operations = operations

    @property
    def parameters(self) -> list[Var]:
        """The `Var`s that learning changes, each once."""
        found = [p for operation in self.operations for p in getattr(operation, "parameters", ())]
        return list(dict.fromkeys(found))

    def __call__(self, x: Any) -> Any:
        for operation in self.operations:
            x = operation(x)
        return x


class GradientDescent:
    """θ ← θ − κ ∇E: `rate` is κ."""

    @explained
    def __init__(self, rate: float):
        self.rate = positive("rate", rate)

    def step(self, parameters: Sequence[Var]) -> None:
        """Changes every parameter by its `grad`."""
        for p in parameters:
            p.assign(_less(p.value, self.rate * p.grad))


class Momentum:
    """m ← `momentum` · m + ∇E, θ ← θ − rate · m."""

    @explained
    def __init__(self, rate: float, momentum: float = 0.9):
        self.rate, self.momentum = positive("rate", rate), share("momentum", momentum, zero=True)
        self._means: dict[Var, Value] = {}

    def step(self, parameters: Sequence[Var]) -> None:
        """Changes every parameter by the running sum of its `grad`."""
        for p in parameters:
            self._means[p] = self.momentum * self._means.get(p, 0.0) + p.grad
            p.assign(_less(p.value, self.rate * self._means[p]))


class Adam:
    """θ ← θ − rate · m̂ / (√v̂ + ε), with the running means m of ∇E and v of (∇E)², corrected for their start at 0.

    Source: Kingma & Ba (2015), algorithm 1.
    """

    @explained
    def __init__(self, rate: float = 1e-3, decay: float = 0.9, square_decay: float = 0.999, epsilon: float = 1e-8):
        self.rate, self.epsilon = positive("rate", rate), positive("epsilon", epsilon)
        self.decay, self.square_decay = share("decay", decay, zero=True), share("square_decay", square_decay, zero=True)
        self._means: dict[Var, tuple[Value, Value]] = {}
        self._steps = 0

    def step(self, parameters: Sequence[Var]) -> None:
        """Changes every parameter."""
        self._steps += 1
        rate = self.rate * (1 - self.square_decay**self._steps) ** 0.5 / (1 - self.decay**self._steps)
        epsilon = self.epsilon * (1 - self.square_decay**self._steps) ** 0.5
        for p in parameters:
            g = p.grad
            m, v = self._means.get(p, (0.0, 0.0))
            m, v = m + (1 - self.decay) * (g - m), v + (1 - self.square_decay) * (g * g - v)
            self._means[p] = m, v
            p.assign(_less(p.value, rate * m / (np.sqrt(v) + epsilon)))


def _less(value: Value, step: Value) -> Value:
    """value − step, in the memory of step: another new array of a large layer costs more than the sum."""
    return np.subtract(value, step, out=step) if step.__class__ is np.ndarray else value - step


@explained
def _check_optimizer(optimizer: Any) -> None:
    if isinstance(optimizer, type) or not callable(getattr(optimizer, "step", None)):
        raise UserError(f"the optimizer has a method `step`, as GradientDescent(0.1) has; got {shown(optimizer)}.")


def minimize(
    expression: Var,
    variables: Sequence[Var],
    optimizer: Any,
    *,
    tolerance: float = 1e-6,
    limit: int = 10_000,
    maximize: bool = False,
) -> list[tuple[Value, ...]]:
    """Algorithm 1: evaluates the expression, walks back, takes a step, until every derivative is below `tolerance`.

    The graph is the one that was built: nothing is built anew. `maximize`: gradient ascent, up instead of down.

    **Returns:** the path: the variables' values at the start and after every step.

    **Raises:** `UserError` where it has not converged after `limit` steps (a smaller rate, or more of them), where the
    expression is not finite any more, is more than one number, or does not depend on one of the variables.
    """
    check_variables(variables)
    _check_optimizer(optimizer)
    tolerance, limit = not_negative("tolerance", tolerance), at_least(0, "limit", limit)
    reached = set(order(expression))
    for v in variables:
        if v not in reached:
            raise UserError(f"{label(expression)} does not depend on {label(v)}: no step would change it for a reason.")
    if np.shape(expression.evaluate()):
        raise UserError(f"what is minimized is one number, and {label(expression)} has the shape {expression.shape}.")
    path = [tuple(v.value for v in variables)]
    for _ in range(limit):
        if not np.isfinite(expression.evaluate()):
            raise UserError(f"the expression is {expression.value} after {len(path) - 1} steps: take a smaller rate.")
        expression.zero_grad()
        expression.backward(-np.ones(expression.shape) if maximize else None)
        if all(np.all(np.abs(v.grad) < tolerance) for v in variables):
            return path
        optimizer.step(variables)
        path.append(tuple(v.value for v in variables))
    raise UserError(f"not converged after {limit} steps (derivatives below {tolerance}): take another rate, or more steps.")


@explained
def train(
    network: Network,
    cost: Callable[[Any, Any], Var],
    inputs: Value,
    targets: Value,
    *,
    optimizer: Any,
    epochs: int,
    batch_size: int | None = None,
    seed: int = 0,
    progress: Any = None,
) -> list[float]:
    """Algorithm 2: for every mini-batch, E = cost(net(x), t); its gradients set to zero; E.backward(); one step.

    **Arguments:** `inputs`, `targets`: `(examples, …)`; `cost`: of outputs and targets, a scalar; `optimizer`: one of
    `GradientDescent`, `Momentum`, `Adam`, or anything with `step(parameters)`; `batch_size`: all examples by default;
    `seed`: of the order of examples; `progress`: where to write a line after each epoch, `sys.stderr` say.

    **Returns:** the mean cost of every epoch. Where it stops being finite, learning ends, and so does the list.

    **Raises:** `UserError` for inputs and targets of different lengths, numbers of epochs or examples below 1, and an optimizer
    without `step`.
    """
    _check_optimizer(optimizer)
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    count = len(inputs)
    if count != len(targets):
        raise UserError(f"every input has its target; got {count} inputs and {len(targets)} targets.")
    size, seed = count if batch_size is None else batch_size, at_least(0, "seed", seed)
    if (whole(epochs) or 0) < 1 or (whole(size) or 0) < 1 or count < 1:
        got = f"{shown(epochs)}, {shown(size)} and {count}"
        raise UserError(f"epochs, batch size and examples are 1 at least; got {got}.")
    generator, parameters, losses = np.random.default_rng(seed), network.parameters, []
    began = time.perf_counter()
    for epoch in range(1, epochs + 1):
        shuffled, total = generator.permutation(count), 0.0
        for start in range(0, count, size):
            rows = shuffled[start : start + size]
            loss = cost(network(inputs[rows]), targets[rows])
            loss.zero_grad()
            loss.backward()
            optimizer.step(parameters)
            total += float(loss.value) * len(rows)
        losses.append(total / count)
        if progress is not None:
            end = "\n" if epoch == epochs or not progress.isatty() else "\r"
            progress.write(f"epoch {epoch} of {epochs}: cost {losses[-1]:.4g} ({time.perf_counter() - began:.0f} s){end}")
            progress.flush()
        if not np.isfinite(losses[-1]):
            break
    return losses
