"""Whether the credit of one example is made of others: which values have the examples of a batch along an axis, found from a
second trace with one example more, and which operations let those rows meet."""

from typing import Any

from ascribe.jaxprs import ELEMENTWISE, Constant, Equation, Graph, Variable, total

FREE, EACH, SUM, MIXED = "free", "each", "sum", "mixed"
"""What a value has of a batch: nothing; one row for each example, made of that example alone; a sum over the examples, each
with a term of its own; anything else."""

SIZE = 7
"""Examples of the batch that a program is read for, a number that few layers have of units; a second trace has one more."""

SEVERAL = -1
"""The axis of a value that has the examples along several axes."""

ROWWISE = ("transpose", "broadcast_in_dim", "squeeze", "add_any", "name", "optimization_barrier")
LINEAR = (
    *("add", "sub", "neg", "transpose", "reshape", "broadcast_in_dim", "squeeze", "slice", "concatenate", "add_any"),
    *("convert_element_type", "copy", "reduce_sum", "pad", "gather", "dynamic_slice", "scatter-add", "rev", "select_n"),
    *("dynamic_update_slice", "split", "cumsum", "optimization_barrier"),
)
BILINEAR = ("mul", "div", "dot_general", "conv_general_dilated")
SUMS = ("reduce_sum", "dot_general", "conv_general_dilated")


class UnlikeError(Exception):
    """Two traces that are not the same program."""


def axes(small: Graph, large: Graph) -> dict[Variable, int]:
    """The axis of the examples of every value that has one, from the same program for two sizes of a batch.

    **Raises:** `UnlikeError` where it is another program, as where a rule takes more of its work at once for small batches.
    """
    found: dict[Variable, int] = {}
    _compare(small, large, found)
    return found


def _compare(small: Graph, large: Graph, found: dict[Variable, int]) -> None:
    if len(small.equations) != len(large.equations) or len(small.inputs) != len(large.inputs):
        raise UnlikeError
    pairs: list[tuple[Any, Any]] = list(zip(small.inputs, large.inputs, strict=True))
    pairs += zip(small.constants, large.constants, strict=False)
    for one, other in zip(small.equations, large.equations, strict=True):
        if one.name != other.name:
            raise UnlikeError
        pairs += zip(one.outputs, other.outputs, strict=True)
        if one.inner is not None and other.inner is not None:
            _compare(one.inner, other.inner, found)
        for inner, wider in zip(one.hidden, other.hidden, strict=True):
            _compare(inner, wider, found)
    for one, other in pairs:
        differing = [i for i, sizes in enumerate(zip(one.shape, other.shape, strict=False)) if len(set(sizes)) > 1]
        if differing:
            found[one] = differing[0] if len(differing) == 1 else SEVERAL


def joined(one: str, other: str) -> str:
    """What a value has of a batch that is one or the other."""
    if FREE in (one, other):
        return other if one == FREE else one
    return one if one == other else MIXED


def after(equation: Equation, given: list[str], axis: dict[Variable, int], output: Variable) -> str:  # noqa: PLR0911
    """What an operation's output has of a batch, for what its inputs have."""
    of = lambda atom: None if isinstance(atom, Constant) else axis.get(atom)
    content = [i for i, state in enumerate(given) if state != FREE]
    if not content:
        return FREE
    own = axis.get(output)
    states = {given[i] for i in content}
    if MIXED in states or own == SEVERAL:
        return MIXED
    name, each = equation.name, [i for i in content if given[i] == EACH]
    if own is not None:
        apart = SUM not in states and all(_apart(equation, i, of(equation.inputs[i]), output, own) for i in each)
        return EACH if apart else MIXED
    with_axis = [i for i in each if of(equation.inputs[i]) is not None]
    if SUM not in states:
        if not with_axis:  # the row of one example, inside a loop over them
            return EACH
        return SUM if name in SUMS and with_axis == each else MIXED
    if each:
        return SUM if name in ("add", "add_any") and not with_axis else MIXED
    linear = name in LINEAR and not (name == "select_n" and 0 in content)
    once = name in BILINEAR and len(content) == 1 and not (name == "div" and content == [1])
    return SUM if linear or once else MIXED


def _apart(equation: Equation, number: int, axis: int | None, output: Variable, own: int) -> bool:  # noqa: PLR0911, PLR0912
    """Whether the rows of an operand along its axis stay apart."""
    name, told = equation.name, equation.parameters
    shape = equation.inputs[number].shape
    if axis is None or axis == SEVERAL:
        return False
    if name in ELEMENTWISE or name in ROWWISE:
        return True
    if name == "reshape":
        (low, high), (lowest, highest) = (_strides(one, at) for one, at in ((shape, axis), (output.shape, own)))
        return low <= highest and lowest <= high
    if name == "dot_general":
        return axis not in told["dimension_numbers"][0][number]
    if name == "conv_general_dilated":
        return number == 0 and told["dimension_numbers"].lhs_spec[0] == axis
    if name.startswith(("reduce_window", "select_and_scatter", "select_and_gather")):
        return told["window_dimensions"][axis] == 1
    if "axes" in told:
        return axis not in told["axes"]
    if name in ("gather", "scatter-add", "scatter", "scatter_add"):
        return _indexed_apart(equation, number, axis)
    if name == "rev":
        return axis not in told["dimensions"]
    if name == "pad":
        return tuple(told["padding_config"][axis]) == (0, 0, 0)
    if name in ("slice", "dynamic_slice", "dynamic_update_slice"):
        return (
            len(output.shape) == len(shape)
            and output.shape[axis] == shape[axis]
            and not (name == "dynamic_update_slice" and number == 1 and shape[axis] != output.shape[own])
        )
    for given in ("axis", "dimension"):
        if given in told:
            return told[given] != axis
    return False


def _strides(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """How many numbers lie between two examples, at least and at most, where the axis may have several rows for each."""
    after = total(shape[axis + 1 :])
    return after, after * (shape[axis] // SIZE)


def _indexed_apart(equation: Equation, number: int, axis: int) -> bool:
    """Whether each example is looked up in its own row, or in a table that all share."""
    told = equation.parameters["dimension_numbers"]
    if number == 0:
        if axis in getattr(told, "operand_batching_dims", ()):
            return True
        if equation.name == "gather":
            whole = equation.parameters["slice_sizes"][axis] == equation.inputs[0].shape[axis]
            return axis not in told.start_index_map and whole
        return axis not in (*told.scatter_dims_to_operand_dims, *told.inserted_window_dims)
    return True
