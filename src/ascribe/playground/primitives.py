"""What every primitive of JAX becomes in the language of the page's engine: the table, apart from the walk (`emitter.py`).

Most primitives answer for every number alone, by an expression of JavaScript (`kernels.py`). All others are a function here
that writes the operations of `page/operations.js` for one equation.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.jaxprs import Constant, Equation, Graph, graph_of

from .kernels import FLOAT, WHOLE

ALIASES = {"add_any": "add"}
SAME = frozenset(
    {"copy", "copy_p", "stop_gradient", "reshape", "squeeze", "expand_dims", "random_wrap", "random_unwrap", "pvary"}
)
"""Primitives that leave the numbers in their places."""
OPENED = {
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""Primitives that have their graph in their place, and the parameter that it is."""
REDUCED = {
    "reduce_sum": "sum",
    "reduce_prod": "product",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "min",
    "reduce_or": "max",
}
CUMULATED = {"cumsum": "sum", "cumprod": "product", "cummax": "max", "cummin": "min"}
SCATTERED = {
    "scatter": "set",
    "scatter-add": "sum",
    "scatter_add": "sum",
    "scatter-mul": "product",
    "scatter_mul": "product",
    "scatter_min": "min",
    "scatter-min": "min",
    "scatter_max": "max",
    "scatter-max": "max",
}


class UnknownError(Exception):
    """A primitive, or a form of one, that is not in the table."""


@runtime_checkable
class Writer(Protocol):
    """What an entry of the table writes with; values are known by their numbers."""

    def write(self, operation: str, outputs: Sequence[int], inputs: Sequence[int], **parameters: Any) -> None:
        """One operation of the engine."""
        ...

    def constant(self, value: Any, dtype: Any) -> int:
        """A number that is written in the program."""
        ...

    def temporary(self, shape: Sequence[Any], dtype: Any) -> int:
        """A value that no equation has."""
        ...

    def same(self, output: int, given: int) -> None:
        """The output is the input, in another shape."""
        ...

    def program(self, graph: Graph) -> dict[str, Any]:
        """What is inside an equation."""
        ...


Entry = Callable[[Writer, Equation, Sequence[int], Sequence[int]], None]


def is_key(dtype: Any) -> bool:
    """Whether it is that of random keys, each of which is two whole numbers to the engine."""
    return jnp.issubdtype(dtype, jax.dtypes.prng_key)


def physical(shape: Sequence[Any], dtype: Any) -> tuple[Any, ...]:
    """The shape as the engine has it."""
    return (*shape, 2) if is_key(dtype) else tuple(shape)


def elementwise(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    """One of `FLOAT` and `WHOLE`."""
    name, given = ALIASES.get(equation.name, equation.name), equation.inputs[-1 if equation.name == "select_n" else 0]
    kind = _dtype(given)
    if name == "not" and kind != np.dtype(bool):
        name = "complement"
    if name == "round" and int(equation.parameters["rounding_method"]) == 1:
        name = "round-to-even"
    if name == "select_n" and len(inputs) != 3:
        raise UnknownError("select_n of more than two cases")
    if name not in (FLOAT if jnp.issubdtype(kind, jnp.floating) else WHOLE):
        raise UnknownError(f"{equation.name} of {kind}")
    if any(is_key(_dtype(one)) for one in equation.inputs) and equation.inputs[0].shape:
        raise UnknownError(f"{equation.name} of random keys")
    pairs = zip(equation.inputs, inputs, strict=True)
    writer.write(name, outputs, [_stretched(writer, one, number, equation.outputs[0]) for one, number in pairs])


def _stretched(writer: Writer, atom: Any, known: int, target: Any) -> int:
    """An operand in the shape of what is computed: axes of 1 may stand for longer ones."""
    if all(one == 1 for one in atom.shape) or tuple(atom.shape) == tuple(target.shape):
        return known
    stretched = writer.temporary(target.shape, _dtype(atom))
    writer.write("broadcast", [stretched], [known], axes=list(range(len(target.shape))))
    return stretched


def _dtype(atom: Any) -> Any:
    return type_of(atom.value) if isinstance(atom, Constant) else atom.dtype


def type_of(value: Any) -> Any:
    """The type of a number that is written in a program."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 2**31:
        return np.dtype("uint32")
    return jnp.asarray(value).dtype


def _power(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    exponent = equation.parameters["y"]
    if exponent == 2:
        writer.write("square", outputs, inputs)
    else:
        writer.write("pow", outputs, [*inputs, writer.constant(exponent, _dtype(equation.inputs[0]))])


def _convert(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    if _dtype(equation.inputs[0]) == equation.outputs[0].dtype:
        writer.same(outputs[0], inputs[0])
    else:
        writer.write("convert", outputs, inputs)


def _reduce_precision(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    info = jnp.finfo(equation.outputs[0].dtype)
    if (equation.parameters["exponent_bits"], equation.parameters["mantissa_bits"]) != (info.nexp, info.nmant):
        raise UnknownError("reduce_precision to a smaller type")
    writer.same(outputs[0], inputs[0])


def _bits(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    if np.dtype(_dtype(equation.inputs[0])).itemsize != np.dtype(equation.outputs[0].dtype).itemsize:
        raise UnknownError("bitcast_convert_type to another size")
    writer.same(outputs[0], inputs[0])


def _broadcast(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    target, given = equation.outputs[0], equation.inputs[0]
    dimensions = list(equation.parameters["broadcast_dimensions"])
    old, new = list(given.shape), list(target.shape)
    added = [size for axis, size in enumerate(new) if axis not in dimensions]
    if all(size == 1 for size in added) and old == [new[axis] for axis in dimensions]:
        writer.same(outputs[0], inputs[0])
    else:
        keys = [len(new)] if is_key(target.dtype) else []
        writer.write("broadcast", outputs, inputs[:1], axes=dimensions + keys)


def _transpose(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    order = list(equation.parameters["permutation"])
    writer.write("transpose", outputs, inputs, axes=[*order, len(order)] if is_key(equation.outputs[0].dtype) else order)


def _slice(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    starts = list(equation.parameters["start_indices"])
    steps = list(equation.parameters["strides"] or [1] * len(starts))
    if is_key(equation.outputs[0].dtype):
        starts, steps = [*starts, 0], [*steps, 1]
    writer.write("slice", outputs, inputs, starts=starts, steps=steps)


def _split(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    axis, rank = equation.parameters["axis"], len(physical(equation.inputs[0].shape, _dtype(equation.inputs[0])))
    start: Any = 0
    for output, size in zip(outputs, equation.parameters["sizes"], strict=True):
        writer.write("slice", [output], inputs, starts=[start if one == axis else 0 for one in range(rank)], steps=[1] * rank)
        start = start + size


def _reverse(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("reverse", outputs, inputs, axes=list(equation.parameters["dimensions"]))


def _pad(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    low, _, inner = zip(*equation.parameters["padding_config"], strict=True) if equation.inputs[0].shape else ((), (), ())
    writer.write("pad", outputs, inputs, low=list(low), inner=list(inner))


def _concatenate(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("concatenate", outputs, inputs, axis=equation.parameters["dimension"])


def _stack(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    axis, rows = equation.parameters["axis"], []
    for given, number in zip(equation.inputs, inputs, strict=True):
        rows.append(writer.temporary((*given.shape[:axis], 1, *given.shape[axis:]), _dtype(given)))
        writer.same(rows[-1], number)
    writer.write("concatenate", outputs, rows, axis=axis)


def _iota(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("iota", outputs, [], axis=equation.parameters["dimension"])


def _reduce(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("reduce", outputs, inputs, kind=REDUCED[equation.name], axes=list(equation.parameters["axes"]))


def _arg(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write(equation.name, outputs, inputs, axis=equation.parameters["axes"][0])


def _cumulate(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    axis, backwards = equation.parameters["axis"], bool(equation.parameters["reverse"])
    writer.write("cumulate", outputs, inputs, kind=CUMULATED[equation.name], axis=axis, reverse=backwards)


def _dot(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    (left, right), (left_batch, right_batch) = equation.parameters["dimension_numbers"]
    writer.write("dot", outputs, inputs, contracted=[list(left), list(right)], batched=[list(left_batch), list(right_batch)])


def _mode(equation: Equation) -> str:
    mode = str(equation.parameters["mode"]).rpartition(".")[2].lower()
    if "fill" in mode or "drop" in mode:
        return "drop"
    if "clip" in mode or "promise" in mode:
        return "clip"
    raise UnknownError(f"{equation.name} in the mode {mode}")


def _gather(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    numbers, sizes = equation.parameters["dimension_numbers"], list(equation.parameters["slice_sizes"])
    offset, target = list(numbers.offset_dims), equation.outputs[0]
    if is_key(target.dtype):
        offset, sizes = [*offset, len(target.shape)], [*sizes, 2]
    writer.write(
        "gather",
        outputs,
        inputs,
        window=offset,
        sizes=sizes,
        mode=_mode(equation),
        fill=_fill(equation),
        **_indexed(numbers, numbers.collapsed_slice_dims, numbers.start_index_map),
    )


def _indexed(numbers: Any, collapsed: Sequence[Any], mapped: Sequence[Any]) -> dict[str, list[int]]:
    batching = [list(numbers.operand_batching_dims), list(getattr(numbers, "start_indices_batching_dims", ()))]
    batching[1] = batching[1] or list(getattr(numbers, "scatter_indices_batching_dims", ()))
    return {"collapsed": list(collapsed), "mapped": list(mapped), "batching": batching}


def _fill(equation: Equation) -> Any:
    value, dtype = equation.parameters.get("fill_value"), equation.outputs[0].dtype
    if value is not None:
        return number(value)
    if is_key(dtype):
        return 0
    if jnp.issubdtype(dtype, jnp.floating):
        return "NaN"
    if dtype == np.dtype(bool):
        return 1
    signed = jnp.issubdtype(dtype, jnp.signedinteger)
    return int(jnp.iinfo(dtype).min if signed else jnp.iinfo(dtype).max)


def _scatter(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    numbers = equation.parameters["dimension_numbers"]
    writer.write(
        "scatter",
        outputs,
        inputs,
        kind=SCATTERED[equation.name],
        window=list(numbers.update_window_dims),
        mode=_mode(equation),
        **_indexed(numbers, numbers.inserted_window_dims, numbers.scatter_dims_to_operand_dims),
    )


def _dynamic_slice(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("dynamic_slice", outputs, inputs)


def _dynamic_update_slice(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("dynamic_update_slice", outputs, inputs)


def _sort(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("sort", outputs, inputs, axis=equation.parameters["dimension"], keys=equation.parameters["num_keys"])


def _random(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    key = next((_dtype(one) for one in (*equation.outputs, *equation.inputs) if is_key(_dtype(one))), None)
    if key is not None and "fry" not in str(key):
        raise UnknownError(f"{equation.name} of {key}, where only threefry is known")
    if equation.parameters.get("bit_width", 32) != 32:
        raise UnknownError(f"random_bits of {equation.parameters['bit_width']} bits")
    if not jax.config.jax_threefry_partitionable:  # pyright: ignore[reportAttributeAccessIssue]
        raise UnknownError(f"{equation.name} without jax_threefry_partitionable")
    writer.write(equation.name, outputs, inputs)


def _dimension(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("dimension", outputs, [], size=equation.parameters["dim"])


def _barrier(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    for output, given in zip(outputs, inputs, strict=True):
        writer.same(output, given)


def _scan(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    constants, carried = equation.carried
    assert equation.inner is not None
    writer.write(
        "scan",
        outputs,
        inputs,
        body=writer.program(equation.inner),
        constants=constants,
        carried=carried,
        length=equation.parameters["length"],
        reverse=bool(equation.parameters["reverse"]),
    )


def _while(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    parameters = equation.parameters
    writer.write(
        "while",
        outputs,
        inputs,
        condition=writer.program(graph_of(parameters["cond_jaxpr"])),
        body=writer.program(graph_of(parameters["body_jaxpr"])),
        constants=[parameters["cond_nconsts"], parameters["body_nconsts"]],
    )


def _platform(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    """The branch that is taken of those of `lax.platform_dependent`: a CPU's, or else the default."""
    found = next(place for place, names in enumerate(equation.parameters["platforms"]) if names is None or "cpu" in names)
    writer.same(outputs[0], writer.constant(found, np.int32))


def _cond(writer: Writer, equation: Equation, outputs: Sequence[int], inputs: Sequence[int]) -> None:
    writer.write("cond", outputs, inputs, branches=[writer.program(one) for one in equation.hidden])


ENTRIES: Mapping[str, Entry] = {
    **dict.fromkeys({*FLOAT, *WHOLE, *ALIASES} - {"complement", "round-to-even"}, elementwise),
    **dict.fromkeys(REDUCED, _reduce),
    **dict.fromkeys(CUMULATED, _cumulate),
    **dict.fromkeys(SCATTERED, _scatter),
    **dict.fromkeys(("random_bits", "random_fold_in", "random_seed", "random_split"), _random),
    "argmax": _arg,
    "argmin": _arg,
    "bitcast_convert_type": _bits,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "cond": _cond,
    "convert_element_type": _convert,
    "dim_as_value": _dimension,
    "dot_general": _dot,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "integer_pow": _power,
    "iota": _iota,
    "optimization_barrier": _barrier,
    "pad": _pad,
    "platform_index": _platform,
    "reduce_precision": _reduce_precision,
    "rev": _reverse,
    "scan": _scan,
    "slice": _slice,
    "sort": _sort,
    "split": _split,
    "stack": _stack,
    "transpose": _transpose,
    "while": _while,
}
"""Every primitive that the engine can do, but for `SAME` and `OPENED`."""


def number(value: Any) -> Any:
    """A number as JSON has it; one that is not finite as a word."""
    one = np.asarray(value).item()
    if isinstance(one, bool):
        return int(one)
    if isinstance(one, float) and not math.isfinite(one):
        return "NaN" if math.isnan(one) else "Infinity" if one > 0 else "-Infinity"
    return int(one) if isinstance(one, float) and one == int(one) and (one or math.copysign(1, one) > 0) else one
