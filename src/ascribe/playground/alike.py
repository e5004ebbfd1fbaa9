"""Whether a program that leaves a size open is, for one number, the program that was traced for that number.

A rule that asks `if inputs == 2` is traced without a word where the number is a symbol: JAX answers that they differ. The two
programs differ, too.
"""

from collections.abc import Callable, Mapping
from typing import Any

Program = dict[str, Any]
OPERATORS: dict[Any, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "^": lambda a, b: a**b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "max": max,
    "min": min,
}
REACHED, COMPUTED = "reached", object()


def alike(first: Any, second: Any, sizes: Mapping[str, int]) -> bool:
    """Whether two programs, or all those of two mappings, do the same to their inputs, and to what is computed of these.

    What is computed of sizes alone is a number in one program and operations in the other: that the two are equal is not
    looked at.

    **Arguments:** `sizes`: a number for every symbol.
    """
    return _same(_plain(first, sizes), _plain(second, sizes))


def _same(first: Any, second: Any) -> bool:
    if first is COMPUTED or second is COMPUTED:
        return True
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return first == second


def _told(program: Program, sizes: Mapping[str, int]) -> list[Any]:
    """The types of its inputs, the operations that these reach (each with its parameters, the types of what it makes, and the
    numbers of operands that are constants), and the same of the outputs."""
    values, constants = program["values"], program["constants"]
    reached = set(program["inputs"])

    def source(number: int) -> int:
        """Of a view, what it is of."""
        return source(values[number][1]) if isinstance(values[number], list) else number

    def types(numbers: list[int]) -> list[Any]:
        found = [values[one][0] if isinstance(values[one], list) else values[one] for one in numbers]
        return [_plain(program["types"][one], sizes) for one in found]

    def operands(numbers: list[int]) -> list[Any]:
        return [REACHED if source(one) in reached else constants.get(str(source(one)), COMPUTED) for one in numbers]

    told = types(program["inputs"])
    for name, outputs, inputs, *parameters in program["operations"]:
        if REACHED in operands(inputs):
            told.append([name, types(outputs), operands(inputs), _plain(parameters, sizes)])
            reached |= set(outputs)
    return [*told, types(program["outputs"]), operands(program["outputs"])]


def _plain(value: Any, sizes: Mapping[str, int]) -> Any:
    """Plain data with numbers in place of the sizes, and what is told of programs in place of these."""
    if isinstance(value, dict):
        inner = "operations" in value
        return _told(value, sizes) if inner else [[name, _plain(one, sizes)] for name, one in sorted(value.items())]
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and value[0] in OPERATORS:
        return OPERATORS[value[0]](*(_plain(one, sizes) for one in value[1:]))
    if isinstance(value, list):
        return [_plain(one, sizes) for one in value]
    return sizes.get(value, value) if isinstance(value, str) else value
