"""Optimizers by name. A factory takes the learning rate, an array, and returns an Optax transformation: the rate is data
to the compiled program, so a new one never recompiles."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ascribe.checks import real, unknown
from ascribe.errors import UserError, shown
from ascribe.rules import Trainables
from ascribe.types import Array

from .hypergradient import hypergradient

Factory = Callable[[Array], optax.GradientTransformation]


def _momentum(learning_rate: Array) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9)


def _adadelta(learning_rate: Array) -> optax.GradientTransformation:
    return optax.adadelta(learning_rate, rho=0.9, eps=1e-6)


def _rprop(learning_rate: Array) -> optax.GradientTransformation:
    """Riedmiller & Braun (1993), as in PyTorch: only the signs of the gradient count. Every number has a step size of its own,
    `learning_rate` at the start, times 1.2 while the sign stays and 0.5 where it changes (and that step is left out).
    (`optax.rprop` 0.2.8 applies each update one step late.)"""

    def init(params: Any) -> tuple[Any, Any]:
        sizes = jax.tree.map(lambda p: jnp.full_like(p, learning_rate), params)
        return sizes, jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.int8), params)

    def update(gradients: Any, state: tuple[Any, Any], params: Any = None) -> tuple[Any, tuple[Any, Any]]:
        signs = jax.tree.map(lambda now: jnp.sign(now).astype(jnp.int8), gradients)
        agreement = jax.tree.map(jnp.multiply, signs, state[1])

        def resized(agree: Array, now: Array, size: Array) -> Array:
            factor = jnp.where(agree > 0, 1.2, jnp.where(agree < 0, 0.5, 1.0)).astype(size.dtype)
            return jnp.where(jnp.isnan(now), now, jnp.clip(size * factor, 1e-6, 50.0))  # NaN stays NaN: it is no zero

        sizes = jax.tree.map(resized, agreement, gradients, state[0])
        kept = jax.tree.map(lambda one, sign: jnp.where(one < 0, 0, sign).astype(jnp.int8), agreement, signs)
        return jax.tree.map(lambda sign, size: -sign.astype(size.dtype) * size, kept, sizes), (sizes, kept)

    return optax.GradientTransformation(init, update)  # pyright: ignore[reportArgumentType]


OPTIMIZERS: dict[str, Factory] = {
    "sgd": optax.sgd,
    "momentum": _momentum,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "rmsprop": optax.rmsprop,
    "rprop": _rprop,
    "adagrad": optax.adagrad,
    "adadelta": _adadelta,
    "lion": optax.lion,
    "hypergradient-sgd": hypergradient(optax.sgd),
    "hypergradient-adam": hypergradient(optax.adam),
    "hypergradient-adadelta": hypergradient(_adadelta),
}

RESCALING = tuple(name for name in OPTIMIZERS if name not in ("sgd", "momentum", "hypergradient-sgd"))
"""Optimizers that divide what they descend by its own size, number by number."""

SEARCH_RANGE = {
    "adam": (1e-4, 1.0),
    "adamw": (1e-4, 1.0),
    "rmsprop": (1e-4, 1.0),
    "rprop": (1e-4, 1.0),
    "lion": (1e-5, 1e-1),
    "hypergradient-adam": (1e-4, 1.0),
}
"""Where a learning rate is looked for by default; (1e-3, 1e1) for the others. Wide, because rules differ."""

LABELS = ("network", "auxiliary", "feedback")


def search_range(optimizer: Any) -> tuple[float, float]:
    """The default ends of the learning-rate grid; of a mapping, those of its `network`."""
    if isinstance(optimizer, Mapping):
        return search_range(optimizer.get("network"))
    return SEARCH_RANGE.get(optimizer if isinstance(optimizer, str) else "", (1e-3, 1e1))


def factory(optimizer: Any) -> Factory | tuple[tuple[str, Factory], ...]:
    """The factory of a name, of itself, or of a mapping from the labels of `Trainables` (`network`, `auxiliary`,
    `feedback`) to either, each part with its own optimizer (labels left out use that of `network`). All take the learning
    rate of the run, but for a pair `("sgd", 0.1)`, whose rate is its own."""
    if isinstance(optimizer, Mapping):
        unknown = [label for label in optimizer if label not in LABELS]
        if unknown or "network" not in optimizer:
            raise UserError(
                f"a mapping of optimizers has the labels {', '.join(LABELS)}, `network` always; got {list(optimizer)}."
            )
        if isinstance(optimizer["network"], Sequence) and not isinstance(optimizer["network"], str):
            raise UserError(
                f"the network's rate is the run's learning rate: give its optimizer alone, not {optimizer['network']!r}."
            )
        return tuple((label, _single(optimizer.get(label, optimizer["network"]))) for label in LABELS)
    return _single(optimizer)


def _single(optimizer: Any) -> Factory:
    if isinstance(optimizer, optax.GradientTransformation):
        raise UserError(
            "an optimizer is a name or a factory, because the learning rate is given to it: write "
            "lambda learning_rate: optax.adam(learning_rate) in place of optax.adam(0.1)."
        )
    if isinstance(optimizer, Sequence) and not isinstance(optimizer, str):
        rate = real(optimizer[1]) if len(optimizer) == 2 else None
        if rate is None or not 0 < rate < float("inf"):
            raise UserError(f'an optimizer with a rate of its own is a pair, as in ("sgd", 0.1); got {optimizer!r}.')
        made = _single(optimizer[0])
        return lambda learning_rate: made(jnp.full_like(learning_rate, rate))
    if callable(optimizer):
        return optimizer  # pyright: ignore[reportReturnType]
    if not isinstance(optimizer, str) or optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS, f"choose one of {', '.join(OPTIMIZERS)}, or give a factory")
    return OPTIMIZERS[optimizer]


def _made(factory: Factory, learning_rate: Array) -> optax.GradientTransformation:
    """What the factory makes; a `UserError` where it takes no rate, or that is no transformation."""
    wanted = "an optimizer's factory takes a learning rate and returns an Optax transformation"
    try:
        inspect.signature(factory).bind(learning_rate)
    except ValueError:  # a function without a signature
        pass
    except TypeError as error:
        raise UserError(f"{wanted}, as in lambda learning_rate: optax.adam(learning_rate): {error}.") from error
    try:
        made = factory(learning_rate)
    except Exception as error:
        raise UserError(f"{wanted}; this one raises {type(error).__name__}: {shown(str(error))}.") from error
    if not isinstance(made, optax.GradientTransformation):
        raise UserError(f"{wanted}, as optax.adam does; got {type(made).__name__}.")
    return made


def examples_axis(leaf: Array) -> int:
    """The axis of examples, of an auxiliary `(layers, examples, …)` or of what the optimizer knows of it: one number for
    each example, or an array like the auxiliary."""
    return min(leaf.ndim - 1, 1)


def transformation(
    made: Factory | tuple[tuple[str, Factory], ...], learning_rate: Array
) -> optax.GradientTransformationExtraArgs:
    """The Optax transformation at this (traced) learning rate. An unlabeled network counts as `network`.

    Its state is a pair: of what all examples share, and of the auxiliaries (None without), where every example has a state
    of its own, step counts included. So a batch's rows can be taken out, moved and put back."""
    parts = dict(made) if isinstance(made, tuple) else dict.fromkeys(LABELS, made)
    own: dict[Any, Any] = {label: optax.with_extra_args_support(_made(one, learning_rate)) for label, one in parts.items()}
    of_example = own["auxiliary"]

    def shared(trainables: Any) -> optax.GradientTransformationExtraArgs:
        if not isinstance(made, tuple) or not isinstance(trainables, Trainables):
            return own["network"]
        labels = (jax.tree.map(lambda _, label=label: label, getattr(trainables, label)) for label in LABELS)
        return optax.with_extra_args_support(optax.multi_transform(own, Trainables(*labels)))

    def split(trainables: Any) -> tuple[Any, Any]:
        if not isinstance(trainables, Trainables) or not jax.tree.leaves(trainables.auxiliary):
            return trainables, None
        return dataclasses.replace(trainables, auxiliary=None), trainables.auxiliary

    def axes(tree: Any) -> Any:
        return jax.tree.map(examples_axis, tree)

    def init(params: Any) -> Any:
        rest, auxiliary = split(params)
        if auxiliary is None:
            return shared(rest).init(rest), None
        one = jax.tree.map(lambda leaf: jnp.take(leaf, 0, axis=1), auxiliary)
        out = jax.tree.map(lambda leaf: min(leaf.ndim, 1), jax.eval_shape(of_example.init, one))
        return shared(rest).init(rest), jax.vmap(of_example.init, (axes(auxiliary),), out)(auxiliary)

    def update(updates: Any, state: Any, params: Any = None, **more: Any) -> tuple[Any, Any]:
        (rest, auxiliary), (uphill, uphill_rows) = split(params), split(updates)
        moves: Any
        moves, shared_state = shared(rest).update(uphill, state[0], rest, **more)
        if auxiliary is None:
            return moves, (shared_state, None)
        along = axes(auxiliary), axes(state[1])
        one = jax.vmap(lambda g, s, z: of_example.update(g, s, z, **more), (along[0], along[1], along[0]), along)
        rows, examples_state = one(uphill_rows, state[1], auxiliary)
        return dataclasses.replace(moves, auxiliary=rows), (shared_state, examples_state)

    return optax.GradientTransformationExtraArgs(init, update)
