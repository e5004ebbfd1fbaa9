"""Which axis of a weight lies where: what tells a forward product W·x, over the inputs of a unit, from Wᵀδ, over its outputs.

A value that is made of one weight by moving its numbers about (transposed, reshaped, sliced, scaled, perturbed) has for each
of its own axes the axes of the weight that lie there, several where they were merged, none where it was broadcast.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ascribe.jaxprs import ELEMENTWISE, Equation, total

SAME_PLACES = (
    *ELEMENTWISE,
    *("add_any", "scatter-add", "scatter", "dynamic_slice", "slice", "rev", "dynamic_update_slice", "optimization_barrier"),
)
"""Operations that leave the axes of their first operand where they are."""

Tags = tuple[tuple[int, ...], ...]


class Place(NamedTuple):
    """The weight that a value is made of: its number among the leaves, its shape, and where its axes lie."""

    leaf: int
    shape: tuple[int, ...]
    tags: Tags

    @classmethod
    def of(cls, leaf: int, shape: tuple[int, ...]) -> "Place":
        """A weight as it is."""
        return cls(leaf, tuple(shape), tuple((axis,) for axis in range(len(shape))))

    def row(self) -> "Place | None":
        """A row of it, as a loop takes one at each step."""
        return self._replace(tags=self.tags[1:]) if self.tags else None

    def rows(self) -> "Place":
        """Several of it, one below the other."""
        return self._replace(tags=((), *self.tags))


def moved(equation: Equation, places: Sequence[Place | None]) -> Place | None:  # noqa: PLR0911 - one line for every operation
    """Where the weight's axes lie in what an operation makes; None where it is made of no weight, or of several, or nobody can
    tell."""
    found = [(i, place) for i, place in enumerate(places) if place is not None]
    if not found or len({place.leaf for _, place in found}) > 1:
        return None
    number, place = found[0]
    shape, out = equation.inputs[number].shape, equation.outputs[0].shape
    name, told = equation.name, equation.parameters
    if name in SAME_PLACES:
        return place if len(shape) == len(out) else None
    if number:
        return None
    if name == "transpose":
        return place._replace(tags=tuple(place.tags[axis] for axis in told["permutation"]))
    if name == "broadcast_in_dim":
        tags: list[tuple[int, ...]] = [()] * len(out)
        for axis, target in enumerate(told["broadcast_dimensions"]):
            tags[target] = place.tags[axis]
        return place._replace(tags=tuple(tags))
    if name == "squeeze":
        return place._replace(tags=tuple(tag for axis, tag in enumerate(place.tags) if axis not in told["dimensions"]))
    if name == "reshape":
        reshaped = _reshaped(place, shape, out)
        return None if reshaped is None else place._replace(tags=reshaped)
    return None


def _reshaped(place: Place, before: Sequence[int], after: Sequence[int]) -> Tags | None:
    """Where the axes lie after a reshape, in groups of axes that hold the same numbers before and after."""
    tags: list[tuple[int, ...]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        first, start = i, j
        i, j = min(i + 1, len(before)), min(j + 1, len(after))
        while total(before[first:i]) != total(after[start:j]):
            if total(before[first:i]) < total(after[start:j]):
                i += 1
            else:
                j += 1
            if i > len(before) or j > len(after):
                return None
        merged = tuple(axis for tag in place.tags[first:i] for axis in tag)
        split = _split(place, merged, after[start:j])
        if split is None:
            return None
        tags += split
    return tuple(tags)


def _split(place: Place, merged: tuple[int, ...], sizes: Sequence[int]) -> list[tuple[int, ...]] | None:
    """The axes of one group, laid over axes of these sizes."""
    left, found = list(merged), []
    for size in sizes:
        own: list[int] = []
        while left and total(place.shape[axis] for axis in (*own, left[0])) <= size and (size > 1 or place.shape[left[0]] == 1):
            own.append(left.pop(0))
        if own and total(place.shape[axis] for axis in own) != size:
            return None
        found.append(tuple(own))
    return None if left else found


def contracted(equation: Equation, operand: int, place: Place) -> frozenset[int]:
    """The axes of the weight that a product sums over; of those with one number only, which a reshape moves anywhere, none,
    unless the weight is one number."""
    told = equation.parameters["dimension_numbers"]
    if equation.name == "conv_general_dilated":
        _, *summed = told.rhs_spec
    else:
        summed = told[0][operand]
    one_number = total(place.shape) == 1
    return frozenset(axis for one in summed for axis in place.tags[one] if one_number or place.shape[axis] > 1)
