"""How operations of somebody else's model are evaluated, where this platform has a better form than theirs."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ascribe.jaxprs import Equation, Forms, trace
from ascribe.types import PyTree

from .sites import is_read
from .slices import convolve_slices


def _in_slices(equation: Equation, values: Sequence[Any]) -> list[Any] | None:
    """A convolution of somebody's model in the form that a CPU likes; None for one that this form does not know."""
    told = equation.parameters
    dimensions = told["dimension_numbers"]
    plain = told["feature_group_count"] == told["batch_group_count"] == 1 and len(dimensions.lhs_spec) == 4
    undilated = set(told["lhs_dilation"]) | set(told["rhs_dilation"]) <= {1}
    padding: Any = tuple(map(tuple, told["padding"]))
    if jax.default_backend() != "cpu" or not (plain and undilated) or min(map(min, padding)) < 0:
        return None
    x, weight = values
    batch, channels, *space = dimensions.lhs_spec
    fan_out, fan_in, *kernel = dimensions.rhs_spec
    own = jnp.transpose(x, (batch, *space, channels)), jnp.transpose(weight, (*kernel, fan_in, fan_out))
    z = convolve_slices(*own, strides=tuple(told["window_strides"]), padding=padding)
    batch, channels, *space = dimensions.out_spec
    return [jnp.transpose(z, [(batch, *space, channels).index(axis) for axis in range(4)])]


def _in_windows(equation: Equation, values: Sequence[Any]) -> list[Any] | None:
    """The largest value of windows that do not overlap, without a windowed reduction, whose gradient is a slow scatter on CPUs.
    As there, the first of several largest values gets the gradient."""
    told, x = equation.parameters, values[0]
    window, strides = told["window_dimensions"], told["window_strides"]
    dilated = set(told["base_dilation"]) | set(told["window_dilation"]) != {1}
    if jax.default_backend() != "cpu" or dilated or tuple(window) != tuple(strides) or any(map(any, told["padding"])):
        return None
    whole = [size // by for size, by in zip(x.shape, window, strict=True)]
    x = x[tuple(slice(size * by) for size, by in zip(whole, window, strict=True))]
    apart = x.reshape([one for pair in zip(whole, window, strict=True) for one in pair])
    axes = range(len(whole))
    rows = jnp.transpose(apart, [*(2 * i for i in axes), *(2 * i + 1 for i in axes)]).reshape(*whole, -1)
    first = jax.nn.one_hot(jnp.argmax(rows, axis=-1), rows.shape[-1], dtype=bool)
    return [jnp.sum(jnp.where(first, rows, jnp.zeros_like(rows)), axis=-1)]


FORMS: Forms = {"conv_general_dilated": _in_slices, "reduce_window_max": _in_windows}
"""By the names of the operations."""


def in_platform_form(function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """What a function of somebody else's returns, with its operations in the forms that this platform likes."""
    if is_read():
        return function(*arguments)
    graph, structure = trace(function, *arguments)
    if not any(equation.name in FORMS for equation in graph.everywhere()):
        return function(*arguments)
    return jax.tree.unflatten(structure, graph.evaluate(*jax.tree.leaves(arguments), forms=FORMS))
