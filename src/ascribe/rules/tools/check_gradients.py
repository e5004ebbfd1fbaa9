"""Is a gradient the gradient? Each of its numbers beside the difference quotient of the value.

Source: "Neural networks" (course notes), section 3.1.2.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree

from ascribe import losses, notebook
from ascribe.checks import at_least, plain, positive
from ascribe.errors import UserError
from ascribe.networks import Network, foreign
from ascribe.rules import registry
from ascribe.rules.base import AbstractRule, Credit, network_of
from ascribe.rules.finite_differences import loss_of
from ascribe.types import Array, Key, PyTree

from .value_and_credit import as_batch

LIMIT, SAMPLE = 1000, 200
"""Up to `LIMIT` numbers are all checked; of more, a sample."""
ROUNDINGS = 16
"""How many rounding errors of its last place a value may carry before a difference quotient counts as another one."""


class LeafCheck(NamedTuple):
    """One array of the parameters: how many of its `size` numbers were `checked`, how many are `wrong`, and the worst of
    them: its relative `error`, where it is, `ours` and the central `difference`. Kinks are counted in none of these."""

    name: str
    size: int
    checked: int
    wrong: int
    error: float
    place: tuple[int, ...]
    ours: float
    difference: float


class Kink(NamedTuple):
    """A number at which the value has a corner or a jump within the step: the slopes `below` and `above` differ, and
    `ours` lies between them."""

    name: str
    place: tuple[int, ...]
    ours: float
    below: float
    above: float


@dataclasses.dataclass(frozen=True)
class GradientCheck:
    """What `check_gradients` found: one row a leaf (`leaves`), and apart from them the `kinks`, where there is no
    derivative to compare with. `value`: E at the parameters; `step`: Δ; `tolerance`: the relative error that passes."""

    checked: str
    leaves: tuple[LeafCheck, ...]
    kinks: tuple[Kink, ...]
    value: float
    step: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every number that was checked is the derivative, to the tolerance."""
        return not self.differs

    @property
    def differs(self) -> tuple[str, ...]:
        """The leaves with a number that is not the derivative."""
        return tuple(leaf.name for leaf in self.leaves if leaf.wrong)

    @property
    def largest_error(self) -> float:
        """The largest relative error of all; 0 where there are only kinks."""
        return max(leaf.error for leaf in self.leaves)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        lines, width = [self._verdict()], max(12, *(len(leaf.name) for leaf in self.leaves))
        for leaf in self.leaves:
            line = f"  {leaf.name:>{width}}: largest error {leaf.error:.1e}"
            if leaf.wrong:
                line += f" at {_place(leaf.place)}: {leaf.ours:.6g} in place of {leaf.difference:.6g}"
                line += f" ({leaf.wrong} of {leaf.checked} wrong)"
            lines.append(line)
        return "\n".join([*lines, *(f"  {line}" for line in self._remarks())])

    def _repr_html_(self) -> str:
        rows = []
        for leaf in self.leaves:
            result = f"{leaf.wrong} of {leaf.checked} wrong" if leaf.wrong else "passed" if leaf.checked else "only kinks"
            worst = _place(leaf.place), f"{leaf.ours:.6g}", f"{leaf.difference:.6g}"
            rows.append((leaf.name, result, f"{leaf.error:.1e}", *(worst if leaf.wrong else ("", "", ""))))
        titles = ("Array", "Result", "Largest error", "at", "Answer", "Difference quotient")
        columns = len(titles) if self.differs else 3
        return notebook.shown(
            self._verdict(),
            notebook.table(titles[:columns], [row[:columns] for row in rows], words=2),
            notebook.sentences(self._remarks()),
        )

    def _verdict(self) -> str:
        found = f"differs from the gradient in {', '.join(self.differs)}" if self.differs else "is the gradient here"
        if not self.differs and all(leaf.checked == 0 for leaf in self.leaves):
            found = "could not be checked: there are only kinks here"
        return f"{self.checked} {found}"

    def _remarks(self) -> list[str]:
        """The kinks, and how it was checked."""
        lines = []
        for kink in self.kinks[:3]:
            between = f"the slopes are {kink.below:.4g} below and {kink.above:.4g} above"
            lines.append(f"a kink at {kink.name}{_place(kink.place)}: {between}, the answer is {kink.ours:.4g}")
        if len(self.kinks) > 3:
            lines.append(f"and {len(self.kinks) - 3} more kinks")
        checked = sum(leaf.checked for leaf in self.leaves) + len(self.kinks)
        size = sum(leaf.size for leaf in self.leaves)
        how = f"all {size:,} numbers" if checked == size else f"{checked:,} of {size:,} numbers, drawn at random,"
        return [*lines, f"{how} checked with the step {self.step:.2g} and the tolerance {self.tolerance:.2g}"]


def check_gradients(
    checked: AbstractRule | type[AbstractRule] | str | Callable[[Any], Any],
    parameters: Any,
    batch: Any = None,
    *,
    loss: str | losses.Loss | None = None,
    step: float | None = None,
    tolerance: float | None = None,
    samples: int | None = None,
    key: Key | None = None,
) -> GradientCheck:
    """Is it the gradient? Compares each number g_i with (E(θ + Δ e_i) - E(θ - Δ e_i)) / 2Δ.

    `check_gradients(rule, network, batch)`: a rule or its registered name, on a network or a model of another library
    (`networks.from_model`) and a `Batch`, a `Dataset` or a pair (inputs, targets); E is
    the loss of the forward pass in training mode, with the dropout masks of the rule's key, and θ the network's
    parameters. A rule in its exact limit passes; feedback alignment passes in its last layer alone.

    `check_gradients(function, parameters)`: `function(parameters)` returns (value, gradients) as `jax.value_and_grad(f)`
    does, or the value alone, which `jax.grad` then differentiates (a test of a `custom_vjp`). Parameters are any tree;
    what is no real number in it stays as it is. A function that JAX cannot trace is evaluated in a Python loop.

    **Arguments:** `step`: Δ, and `tolerance`: both ε^⅓ by default, 6e-6 in float64; `samples`: how many numbers to check,
    drawn evenly over the leaves (default: all of up to 1000, else 200); `key`: for the sample and the rule's randomness.

    Everything is computed in float64, whatever the parameters are; only where the function refuses that, in its own type.
    An error is relative to the largest entry of its leaf, or to the rounding error of the quotients over `tolerance` if
    that is more. Where the quotients of Δ and Δ/2 do not agree, or the slopes below and above stay apart as Δ halves, there
    is a kink (ReLU at 0, a threshold): it is reported apart if the answer lies between the two slopes. A larger `step` wants
    a larger `tolerance`, for its truncation error Δ²/6 ∂³E/∂θ_i³ counts as an error.

    **Raises:** `UserError` for what is neither rule nor function, gradients of another tree, and numbers that are not finite.
    """
    checked = registry.made(checked)
    if isinstance(checked, AbstractRule) and batch is not None:
        parameters = foreign.wrapped(parameters)
    options: dict[str, Any] = {"step": plain(step), "tolerance": plain(tolerance), "samples": plain(samples)}
    options["key"] = jr.key(0) if key is None else key
    _check_arguments(checked, parameters, batch, loss, options)
    batch = as_batch(parameters, batch, loss) if isinstance(checked, AbstractRule) else None
    with jax.enable_x64(True):
        try:
            cast = lambda leaf: jnp.asarray(leaf, jnp.float64) if _is_real(leaf) else leaf
            return _check(*jax.tree.map(cast, (checked, parameters, batch)), **options)
        except UserError:
            raise
        except (TypeError, ValueError):  # it insists on its own number type
            pass
    return _check(checked, parameters, batch, **options)


def _check(checked: Any, parameters: Any, batch: Any, *, step: Any, tolerance: Any, samples: Any, key: Key) -> Any:
    parts = eqx.partition(parameters, _is_real)
    if isinstance(checked, AbstractRule):
        value, gradients = _of_rule(checked, parameters, batch, key)
    else:
        value, gradients = _of_function(checked, *parts)
    ours = [np.asarray(leaf, np.float64) for leaf in _matching(gradients, parts[0])]
    names = _names(parameters, parts[0])
    theta, unravel = ravel_pytree(jax.tree.map(jnp.asarray, parts[0]))
    middle = _number(value(unravel(theta)))
    if not math.isfinite(middle):
        raise UserError(f"the value is {float(middle)} at the parameters themselves: a finite one is wanted.")
    for name, leaf in zip(names, ours, strict=True):
        if not np.all(np.isfinite(leaf)):
            place = np.argwhere(~np.isfinite(leaf))[0]
            raise UserError(f"the gradient of {name} is {leaf[tuple(place)]} at {_place(place)}: finite ones are wanted.")

    epsilon = float(jnp.finfo(middle.dtype).eps)
    step = epsilon ** (1 / 3) if step is None else float(step)
    tolerance = epsilon ** (1 / 3) if tolerance is None else float(tolerance)
    chosen = _sample([leaf.size for leaf in ours], samples, key)
    starts = np.cumsum([0, *(leaf.size for leaf in ours)])
    which = np.concatenate([start + places for start, places in zip(starts, chosen, strict=False)])
    table = _quotients(value, theta, unravel, which, step, float(middle))
    lost = which[~np.all(np.isfinite(np.stack(table)), axis=0)]
    if len(lost):
        i = int(lost[0])
        leaf = int(np.searchsorted(starts, i, side="right")) - 1
        place = np.unravel_index(i - starts[leaf], ours[leaf].shape)
        raise UserError(
            f"there is no finite difference quotient at {names[leaf]}{_place(place)} with the step {step:.2g}: "
            f"choose another `step`."
        )

    rows, kinks, noise, taken = [], [], ROUNDINGS * epsilon * abs(float(middle)) / step, 0
    for name, leaf, places in zip(names, ours, chosen, strict=True):
        quotients = Quotients(*(column[taken : taken + len(places)] for column in table))
        taken += len(places)
        if len(places):
            row, corners = _compare(name, leaf, places, quotients, noise, tolerance)
            rows.append(row)
            kinks += corners
    return GradientCheck(_name_of(checked), tuple(rows), tuple(kinks), float(middle), step, tolerance)


class Quotients(NamedTuple):
    """Difference quotients of each number, `(numbers,)`: the central ones of Δ and Δ/2, the one-sided ones of Δ, and by
    how much the one-sided ones of Δ/2 differ."""

    central: np.ndarray
    half: np.ndarray
    below: np.ndarray
    above: np.ndarray
    half_gap: np.ndarray


def _quotients(value: Callable, theta: Array, unravel: Callable, which: np.ndarray, step: float, middle: float) -> Quotients:
    """Four evaluations for each number of `which`, divided by the distances as they are in floating point."""
    offsets = jnp.asarray([step, -step, step / 2, -step / 2], theta.dtype)
    moved = lambda i, offset: value(unravel(theta.at[i].add(offset)))
    pairs = jnp.asarray(np.repeat(which, 4)), jnp.tile(offsets, len(which))
    try:
        values = jax.jit(lambda pairs: jax.lax.map(lambda pair: moved(*pair), pairs))(pairs)
    except jax.errors.JAXTypeError:  # NumPy code, or a branch on a number
        values = [_number(moved(i, offset)) for i, offset in zip(*pairs, strict=True)]
    up, down, half_up, half_down = np.asarray(values, np.float64).reshape(len(which), 4).T
    here = np.asarray(theta[jnp.asarray(which)])
    points = (here[:, None] + np.asarray(offsets)).astype(np.float64)
    to_up, to_down, to_half_up, to_half_down = (points - here.astype(np.float64)[:, None]).T
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        below, above = (down - middle) / to_down, (up - middle) / to_up
        half_below, half_above = (half_down - middle) / to_half_down, (half_up - middle) / to_half_up
        central = (up - down) / (to_up - to_down)
        half = (half_up - half_down) / (to_half_up - to_half_down)
        return Quotients(central, half, below, above, half_above - half_below)


def _compare(
    name: str, leaf: np.ndarray, places: np.ndarray, found: Quotients, noise: float, tolerance: float
) -> tuple[LeafCheck, list[Kink]]:
    """One leaf's row and kinks. In a smooth place the central quotients of Δ and Δ/2 differ by Δ² and the gap between the
    one-sided ones halves with Δ; at a corner the gap stays, at a jump it doubles, and where it halves because the corner
    lies inside the step, the central quotients differ by a quarter of it."""
    ours = leaf.ravel()[places]
    size = max(np.max(np.abs(ours)), np.max(np.minimum(np.abs(found.below), np.abs(found.above))), noise / tolerance)
    allowed = max(tolerance * size, float(np.finfo(np.float64).tiny))
    off, gap = np.abs(ours - found.central), np.abs(found.above - found.below)
    moved = np.abs(found.central - found.half)
    smooth = (moved <= 0.1 * gap) & (np.abs(found.half_gap - (found.above - found.below) / 2) <= 0.1 * gap)
    rough = ((moved > allowed) & ~smooth) | ((gap > allowed) & (np.abs(found.half_gap) > 0.75 * gap))
    kink = rough & (off <= np.maximum(gap, np.abs(found.half_gap)) + allowed)
    index = [tuple(int(k) for k in np.unravel_index(place, leaf.shape)) for place in places]
    corners = [Kink(name, index[i], float(ours[i]), float(found.below[i]), float(found.above[i])) for i in np.flatnonzero(kink)]
    judged = np.where(kink, 0.0, off)
    worst = int(np.argmax(judged))
    error = float(judged[worst] / (allowed / tolerance))
    wrong = int(np.sum(judged > allowed))
    checked = len(places) - len(corners)
    return LeafCheck(
        name, leaf.size, checked, wrong, error, index[worst], float(ours[worst]), float(found.central[worst])
    ), corners


def _of_rule(rule: AbstractRule, network: Network, batch: Any, key: Key) -> tuple[Callable, PyTree]:
    init_key, step_key = jr.split(key)

    def answer(rule: AbstractRule, network: Network, batch: Any) -> PyTree:
        trainables = rule.trainables(network, batch, key=init_key)
        state = rule.init(network, batch, key=init_key)
        return network_of(rule(trainables, state, batch, key=step_key).gradients)

    try:
        gradients = eqx.filter_jit(answer)(rule, network, batch)
    except jax.errors.JAXTypeError:  # NumPy code, or a branch on a number
        gradients = answer(rule, network, batch)
    return eqx.filter_jit(lambda network: loss_of(network, batch, step_key)[0]), gradients


def _of_function(function: Callable, real: PyTree, rest: PyTree) -> tuple[Callable, PyTree]:
    try:
        inspect.signature(function).bind(real)
    except TypeError as error:
        raise UserError(
            f"a function that is checked takes the parameters as its one argument; this one cannot: {error}."
        ) from error
    except ValueError:  # a built-in function, which does not tell
        pass
    answer = function(eqx.combine(real, rest))
    if not isinstance(answer, tuple):
        value = lambda real: _number(function(eqx.combine(real, rest)))
        _number(answer)
        return value, jax.grad(value)(jax.tree.map(jnp.asarray, real))
    if len(answer) != 2:
        raise UserError(f"the function returns (value, gradients), or the value alone; it returned {len(answer)} things.")
    gradients = answer[1].gradients if isinstance(answer[1], Credit) else answer[1]
    return lambda real: _number(function(eqx.combine(real, rest))[0]), gradients


def _number(value: Any) -> Any:
    """A value as one real array number."""
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"the value is one real number; the function returned a {type(value).__name__}.") from error
    if array.shape != () or not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(f"the value is one real number; the function returned {array.dtype} of the shape {array.shape}.")
    return array


def _matching(gradients: PyTree, real: PyTree) -> list:
    """The gradients' leaves, one for each of the parameters, in their shapes."""
    found = eqx.filter(gradients, _is_real)
    if jax.tree.structure(found) != jax.tree.structure(real):
        raise UserError(
            f"the gradients have the tree of the parameters, {jax.tree.structure(real)}; "
            f"these have {jax.tree.structure(found)}."
        )
    for name, one, other in zip(_names(real, real), jax.tree.leaves(found), jax.tree.leaves(real), strict=True):
        if jnp.shape(one) != jnp.shape(other):
            raise UserError(f"the gradient of {name} has its shape {jnp.shape(other)}; got {jnp.shape(one)}.")
    return jax.tree.leaves(found)


def _names(parameters: Any, real: PyTree) -> list[str]:
    """Where each leaf is: `linear1.weight` in a network, the path elsewhere."""
    names = []
    for path, _ in jax.tree_util.tree_flatten_with_path(real)[0]:
        named = isinstance(parameters, Network)
        rest = jax.tree_util.keystr(path[2:] if named else path, simple=True, separator=".")
        names.append(f"{parameters.names[path[1].idx]}.{rest}" if named else rest or "parameters")
    return names


def _sample(sizes: list[int], samples: int | None, key: Key) -> list[np.ndarray]:
    """Which entries of each leaf are checked: evenly over the leaves, and what small ones leave over goes to the large."""
    left = samples or (sum(sizes) if sum(sizes) <= LIMIT else SAMPLE)
    generator = np.random.default_rng(np.asarray(jr.key_data(key)))
    chosen = [np.arange(0)] * len(sizes)
    for done, i in enumerate(np.argsort(sizes, kind="stable")):
        count = min(sizes[i], left // (len(sizes) - done))
        chosen[i] = np.sort(generator.choice(sizes[i], count, replace=False)) if count else chosen[i]
        left -= count
    return chosen


def _check_arguments(checked: Any, parameters: Any, batch: Any, loss: Any, options: dict[str, Any]) -> None:
    if isinstance(checked, type) or not callable(checked):
        what = f"the class {checked.__name__}" if isinstance(checked, type) else f"a {type(checked).__name__}"
        raise UserError(
            f"check_gradients takes a rule, such as ascribe.rules.Backpropagation() or its name, or a function of the "
            f"parameters; got {what}."
        )
    if isinstance(checked, AbstractRule):
        if batch is None:
            raise UserError("a rule is checked on a network and a batch: check_gradients(rule, network, (inputs, targets)).")
    elif batch is not None or loss is not None:
        raise UserError("a function is checked on its parameters alone: put the batch and the loss inside it.")
    leaves = jax.tree.leaves(parameters)
    if any(eqx.is_inexact_array_like(leaf) and jnp.iscomplexobj(leaf) for leaf in leaves):
        raise UserError("complex parameters cannot be checked: split them into real and imaginary parts.")
    if not any(_is_real(leaf) and jnp.size(leaf) for leaf in leaves):
        raise UserError("there is nothing to check: the parameters hold no floating-point number.")
    for name, check in (("step", positive), ("tolerance", positive), ("samples", partial(at_least, 1))):
        if options[name] is not None:
            check(f"`{name}` of check_gradients", options[name])


def _is_real(leaf: Any) -> bool:
    return eqx.is_inexact_array_like(leaf) and not jnp.iscomplexobj(leaf)


def _place(index: Any) -> str:
    return f"[{', '.join(map(str, index))}]" if len(index) else ""


def _name_of(checked: Any) -> str:
    return type(checked).__name__ if isinstance(checked, AbstractRule) else getattr(checked, "__name__", "the function")
