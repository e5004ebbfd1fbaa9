"""From what a program's values are made of to what each layer's credit needs, by the names of `needs.SOURCES`."""

import functools
from collections.abc import Iterable

import jax

from .axes import Place
from .examples import EACH, FREE, MIXED
from .program import Given, Program, names_of_weights, numbered
from .sources import Known, Label, Numbers, Product, Reading

KEPT = ("feedback", "state", "example state")
"""Sources that are the rule's own, each with a number among its kind."""


class Table:
    """What one program's credit is made of. `layers`: the names of everything with weights, from the input upwards; `credits`:
    by layer, what is known of its credit."""

    def __init__(self, program: Program):
        self.program, self.numbers = program, Numbers()
        self.axes = axes = program.axes or {}
        leaves = numbered(program.given)
        self.places: dict[str, int] = names_of_weights(leaves.trainables, program.network)
        self.names = {leaf: name for name, leaf in self.places.items()}
        self.layers = tuple(self.places)
        self.state: list[int] = jax.tree.leaves(leaves.state)
        self.leaves: dict[Label, int] = {}
        """By the source that an input is, its number."""
        self.given = self._given(program.given, leaves)
        self.inputs: dict[int, set[str]] = {}
        """By the number of a signal: the layers that it enters."""
        self.made_by: dict[int, str] = {}
        """By the number of a product: its layer."""
        forward = Reading(self.numbers, axes)
        self.last = [one.number for one in forward.read(program.forward, self.given)[:2]]
        self.first_pass = {one.made for one in forward.products.values()}
        self.plain = {*self.last, *self.first_pass, *(one.signal for one in forward.products.values())}
        """All values of the plain forward pass that are cut."""
        summed: dict[int, set[frozenset[int]]] = {}
        for product in forward.products.values():
            summed.setdefault(product.leaf, set()).add(product.summed)
        self._cut(forward.products.values())
        for own in (program.step, program.begin):  # passes of the rule's own, also those before the first step
            found = self._reading(summed)
            found.read(own, self.given)
            self._cut(found.products.values())
        plain, self.reading = self._reading(summed), self._reading(summed)
        plain.read(program.forward, self.given)
        self.outcome = self.reading.read(program.step, self.given)
        self.made = {**plain.made, **self.reading.made}
        """What signals and products are made of, those of the plain forward pass too."""
        self.credits = dict(zip(self.layers, self.outcome, strict=False))
        self.kept = list(zip(program.kept, self.outcome[len(self.layers) :], strict=True))
        self.changed = {i for (kind, i), one in self.kept if kind == "state" and one.number != self.given[self.state[i]].number}
        begin = self._reading(summed)
        self.begun = list(zip(program.begun, begin.read(program.begin, self.given), strict=True))

    def _reading(self, summed: dict[int, set[frozenset[int]]]) -> Reading:
        top = self.layers[-1]
        outputs = {*self.last, *(number for number, name in self.made_by.items() if name == top)}
        return Reading(self.numbers, self.axes, summed, {*self.inputs, *self.made_by, *self.last}, outputs)

    def _cut(self, products: Iterable[Product]) -> None:
        for one in products:
            name = self.names[one.leaf]
            self.inputs.setdefault(one.signal, set()).add(name)
            self.made_by[one.made] = name

    def _given(self, given: Given, numbers: Given) -> list[Known]:
        """What is known of the inputs."""
        leaves = jax.tree.leaves(given)
        found = [Known(self.numbers.of("input", i)) for i in range(len(leaves))]

        def mark(leaf: int, label: Label, batch: str = FREE, place: Place | None = None) -> None:
            found[leaf] = found[leaf]._replace(labels=frozenset({label}), batch=batch, place=place)
            self.leaves[label] = leaf

        for name, leaf in self.places.items():
            mark(leaf, ("weight", name), place=Place.of(leaf, leaves[leaf].shape))
        beside = numbers.trainables
        for kind, tree in zip(
            KEPT, (getattr(beside, "feedback", ()), numbers.state, getattr(beside, "auxiliary", ())), strict=True
        ):
            for i, leaf in enumerate(jax.tree.leaves(tree)):
                mark(leaf, (kind, i), EACH if kind == "example state" else FREE)
        mark(numbers.inputs, ("data",), EACH)
        mark(numbers.targets, ("target",), EACH)
        mark(numbers.key, ("random",))
        return found

    # What a layer's credit needs

    def sources(self, name: str) -> frozenset[str]:
        """The sources of a layer's credit."""
        found = {self.source(name, label) for label in self.everything(self.credits[name].labels)}
        if self.repeated(name):
            found.add("second pass")
        if self.program.axes is None or self.credits[name].batch == MIXED:
            found.add("other examples")
        if "weights above" in found:
            found.discard("signs above")
        return frozenset(one for one in found if one is not None)

    def source(self, name: str, label: Label) -> str | None:  # noqa: PLR0911 - one line for every kind of source
        """What a label is for a layer; None for what is no source."""
        kind = label[0]
        if kind == "weight":
            return "own weights" if label[1] == name else "weights above"
        if kind == "sign":
            return "own weights" if label[1] == name else "signs above"
        if kind == "value":
            if name in self.inputs.get(label[1], ()) or self._would_enter(name, label[1]):
                return "own input"
            return "own preactivation" if self._is_own(name, label[1]) else "other activations"
        if kind == "data":
            return "other activations"
        if kind in ("error", "target"):
            return {"error": "output error", "target": "target"}[kind]
        if kind in KEPT:
            return self._of_rule(name, label)
        return None

    def _of_rule(self, name: str, label: Label) -> str:
        kind, number = label
        if kind == "example state":
            return kind
        if kind == "state" and number in self.changed and label not in self.reading.carriers:
            return "memory"
        learned = kind == "feedback" or number in self.changed
        above = any(label in self.credits[other].labels for other in self.above(name))
        return f"{'learned' if learned else 'fixed'} feedback{' above' if above else ''}"

    def everything(self, labels: Iterable[Label]) -> set[Label]:
        """The labels, and for values of a pass of the rule's own also what entered that pass from outside, so that nothing is
        hidden by passing it through a layer: all but activations, and the weight of a product itself."""
        found = set(labels)
        for value in self.values(found) - self.plain:
            own = ("weight", self.made_by.get(value))
            found |= {one for one in self.made.get(value, ()) if one[0] not in ("value", "data") and one != own}
        return found

    def values(self, labels: Iterable[Label], *, deep: bool = False) -> set[int]:
        """The values of passes that labels tell of: also those in an error, and of passes of the rule's own all below (`deep`:
        all below those of the plain forward pass, too)."""
        found: set[int] = set()
        left = [number for label in labels for number in _numbers(label)]
        while left:
            number = left.pop()
            if number in found:
                continue
            found.add(number)
            if deep or number not in self.first_pass:
                left += [inner for label in self.made.get(number, ()) for inner in _numbers(label)]
        return found

    def repeated(self, name: str) -> bool:
        """Whether the credit is made of several passes through one layer."""
        values = self.values(self.credits[name].labels, deep=True)
        own = values - self.first_pass
        by_layer: dict[str, set[int]] = {}
        for value in values:
            if value in self.made_by:
                by_layer.setdefault(self.made_by[value], set()).add(value)
        return any(len(found) > 1 and found & own for found in by_layer.values())

    def _is_own(self, name: str, number: int, seen: frozenset[int] = frozenset()) -> bool:
        """Whether a value is the layer's product, or follows from no other activation."""
        if number in self.made_by or number in seen:
            return number in seen or self.made_by[number] == name
        made = [one for one in self.made.get(number, ()) if one[0] in ("value", "data") and one != ("value", number)]
        return bool(made) and all(one[0] == "value" and self._is_own(name, one[1], seen | {number}) for one in made)

    def _would_enter(self, name: str, number: int) -> bool:
        """Whether a value is, in a pass of the rule's own, the product of a layer right below: it would enter the layer in that
        pass, whose own product is not there where nothing asks for it."""
        if number in self.first_pass or number not in self.made_by:
            return False
        signals = [signal for signal, layers in self.inputs.items() if name in layers]
        right_below = {
            self.made_by.get(inner) for one in signals for label in self.made.get(one, ()) for inner in _numbers(label)
        }
        return self.made_by[number] != name and self.made_by[number] in right_below

    @functools.cache  # noqa: B019 - a table lives as long as its answers
    def above(self, name: str) -> frozenset[str]:
        """The layers that a layer's output reaches."""
        found: set[str] = set()
        for number, layers in self.inputs.items():
            if name in self._below(number):
                found |= layers
        return frozenset(found - {name})

    @functools.cache  # noqa: B019
    def _below(self, number: int) -> frozenset[str]:
        """The layers that a value is made of, through all that lies below."""
        found: set[str] = set()
        seen, left = set(), [number]
        while left:
            one = left.pop()
            if one in seen:
                continue
            seen.add(one)
            made = set(self.made.get(one, ()))
            if one in self.made_by:
                found.add(self.made_by[one])
                signals = [signal for signal, layers in self.inputs.items() if self.made_by[one] in layers]
                left += signals
            left += [inner for label in made for inner in _numbers(label)]
        return frozenset(found)

    # What the rule keeps

    def of_kept(self) -> dict[str, frozenset[str]]:
        """The sources of what the rule changes beside the network, as far as its credit reads that, and of what its fixed
        feedback was made of."""
        read = {label for one in self.credits.values() for label in self.everything(one.labels) if label[0] in KEPT}
        found: dict[str, set[str]] = {}
        for (kind, i), one in (*self.kept, *self.begun):
            label = (kind, i)
            if label not in read:
                continue
            name = self._of_rule("", label).removesuffix(" above")
            own = {self.source("", each) for each in self.everything(one.labels - {label})}
            found.setdefault(name, set()).update(each for each in own if each is not None)
        dropped = {"other activations"}
        return {name: frozenset(each - dropped - {name, f"{name} above"}) for name, each in found.items()}


def _numbers(label: Label) -> tuple[int, ...]:
    """The values that a label tells of."""
    if label[0] == "value":
        return (label[1],)
    return tuple(label[1]) if label[0] == "error" else ()
