"""Optimizers by name. A factory takes the learning rate, an array, and returns an Optax transformation: the rate is data
to the compiled program, so a new one never recompiles."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from ascribe.errors import UserError
from ascribe.rules import Trainables
from ascribe.types import Array

Factory = Callable[[Array], optax.GradientTransformation]


def _momentum(learning_rate: Array) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=0.9)


def _adadelta(learning_rate: Array) -> optax.GradientTransformation:
    return optax.adadelta(learning_rate, rho=0.9, eps=1e-6)


OPTIMIZERS: dict[str, Factory] = {
    "sgd": optax.sgd,
    "momentum": _momentum,
    "adam": optax.adam,
    "adamw": optax.adamw,
    "rmsprop": optax.rmsprop,
    "adagrad": optax.adagrad,
    "adadelta": _adadelta,
    "lion": optax.lion,
}

SEARCH_RANGE = {"adam": (1e-4, 1.0), "adamw": (1e-4, 1.0), "rmsprop": (1e-4, 1.0), "lion": (1e-5, 1e-1)}
"""Where a learning rate is looked for by default; (1e-3, 1e1) for the others. Wide, because rules differ."""

LABELS = ("network", "auxiliary", "feedback")


def search_range(optimizer: Any) -> tuple[float, float]:
    """The default ends of the learning-rate grid; of a mapping, those of its `network`."""
    if isinstance(optimizer, Mapping):
        return search_range(optimizer.get("network"))
    return SEARCH_RANGE.get(optimizer if isinstance(optimizer, str) else "", (1e-3, 1e1))


def factory(optimizer: str | Factory | Mapping[str, str | Factory]) -> Factory | tuple[tuple[str, Factory], ...]:
    """The factory of a name, of itself, or of a mapping from the labels of `Trainables` (`network`, `auxiliary`,
    `feedback`) to either, each part with its own optimizer (labels left out use that of `network`)."""
    if isinstance(optimizer, Mapping):
        unknown = [label for label in optimizer if label not in LABELS]
        if unknown or "network" not in optimizer:
            raise UserError(
                f"a mapping of optimizers has the labels {', '.join(LABELS)}, `network` always; got {list(optimizer)}."
            )
        return tuple((label, _single(optimizer.get(label, optimizer["network"]))) for label in LABELS)
    return _single(optimizer)


def _single(optimizer: str | Factory) -> Factory:
    if callable(optimizer):
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise UserError(f"unknown optimizer {optimizer!r}: choose one of {', '.join(OPTIMIZERS)}, or give a factory.")
    return OPTIMIZERS[optimizer]


def transformation(
    made: Factory | tuple[tuple[str, Factory], ...], learning_rate: Array, trainables: Any
) -> optax.GradientTransformationExtraArgs:
    """The Optax transformation at this (traced) learning rate. An unlabeled network counts as `network`."""
    if not isinstance(made, tuple):
        return optax.with_extra_args_support(made(learning_rate))
    parts: dict[Any, optax.GradientTransformation] = {label: one(learning_rate) for label, one in made}
    if not isinstance(trainables, Trainables):
        return optax.with_extra_args_support(parts["network"])
    labels = Trainables(*(jax.tree.map(lambda _, label=label: label, getattr(trainables, label)) for label in LABELS))
    return optax.with_extra_args_support(optax.multi_transform(parts, labels))


def describe(optimizer: Any) -> Any:
    """The optimizer as a plain JSON value, for the record."""
    if isinstance(optimizer, Mapping):
        return {label: describe(one) for label, one in optimizer.items()}
    return optimizer if isinstance(optimizer, str) else getattr(optimizer, "__name__", repr(optimizer))
