"""What every value of a program is made of: one reading, from the inputs to the outputs.

The forward pass is cut at every layer: what a layer's product makes, and the signal that it multiplies, are sources of their
own, and what lies below them is no longer told. So the credit of a layer is made of activations, weights, feedback, error and
target *beside* what flowed through the forward pass. A value is recognized by its number (value numbering, as in
`rules/tools/same_computation.py`): two values have one number where the same operations reach them from the same inputs,
inside loops at the same step, so that a pass that a rule makes again is the one that was made.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ascribe.jaxprs import Atom, Constant, Equation, Graph, Variable

from . import examples
from .axes import Place, contracted, moved
from .examples import EACH, FREE, MIXED, SUM

PRODUCTS = ("dot_general", "conv_general_dilated")
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")

Label = tuple[Any, ...]
"""A source: `("weight", name)`, `("sign", name)`, `("value", number)` of the forward pass, `("error", outputs)`, `("target",)`,
`("feedback", i)`, `("state", i)`, `("example state", i)`, `("random",)`, `("later",)` for what a loop brings back from later
steps."""

NONE: frozenset[Label] = frozenset()


class Known(NamedTuple):
    """What is known of a value: its number, the sources that it is made of, the weight that it is (`axes.py`), what it has of a
    batch (`examples.py`), and of values that lie one behind the other along an axis, each (their sizes, and what is known)."""

    number: int
    labels: frozenset[Label] = NONE
    place: Place | None = None
    batch: str = FREE
    parts: "tuple[int, tuple[tuple[int, Known], ...]] | None" = None

    def joined(self, other: "Known") -> "Known":
        """What is known of a value that is one or the other."""
        place = self.place if self.place == other.place else None
        return Known(self.number, self.labels | other.labels, place, examples.joined(self.batch, other.batch))


class Numbers:
    """The numbers of values: a new one for every operation on values that was not met before."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}
        self.inner: dict[int, int] = {}
        """Of what a loop collects: the number of the value at each step."""
        self._told: dict[Equation, str] = {}

    def of(self, *key: Any) -> int:
        """The number of that key."""
        return self._known.setdefault(key, len(self._known))

    def constant(self, value: Any) -> int:
        """The number of an array that is written in the program."""
        if isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        array = np.asarray(value)
        return self.of("constant", str(array.dtype), array.shape, array.tobytes())

    def told(self, equation: Equation) -> str:
        """What an operation is told beside its inputs; functions are left out, for JAX makes new ones in every trace."""
        if equation not in self._told:
            plain = sorted((name, str(value)) for name, value in equation.parameters.items() if not callable(value))
            self._told[equation] = str(plain)
        return self._told[equation]


class Product(NamedTuple):
    """A forward product of a program: the weight's leaf, the axes that it sums over, and the numbers of its signal and of what
    it makes."""

    leaf: int
    summed: frozenset[int]
    signal: int
    made: int


class Reading:
    """One reading of a graph.

    **Arguments:** `axes`: of the examples, by value (None: not known); `forward`: the axes that each weight's forward products
    sum over (None: all products count); `cuts`: the numbers at which the forward pass is cut; `outputs`: those among them
    that are the network's output.
    """

    def __init__(
        self,
        numbers: Numbers,
        axes: Mapping[Variable, int] | None = None,
        forward: Mapping[int, set[frozenset[int]]] | None = None,
        cuts: Iterable[int] = (),
        outputs: Iterable[int] = (),
    ):
        self.numbers, self.axes, self.forward = numbers, dict(axes or {}), forward
        self.cuts, self.outputs = set(cuts), set(outputs)
        self.at: dict[Variable, Known] = {}
        self.cut: dict[Variable, Label] = {}
        """The values that are a source, with the source."""
        self.made: dict[int, frozenset[Label]] = {}
        """What the values at the cuts are made of, by their numbers."""
        self.products: dict[Equation, Product] = {}
        self.factors: dict[int, tuple[int, ...]] = {}
        """Of what products make, by its number: the numbers of their operands."""
        self.carriers: set[Label] = set()
        """The rule's own weights that an error is multiplied with."""
        self.summed: dict[Variable, None] = {}
        """Values with one row for each example, that are summed over the examples."""

    def read(self, graph: Graph, given: Sequence[Known], *, closed: bool = False) -> list[Known]:
        """What is known of the outputs. `closed`: inside an operation that is never opened, where nothing is cut."""
        for variable, value in graph.constants.items():
            self.at[variable] = Known(self.numbers.constant(value))
        for variable, known in zip(graph.inputs, given, strict=True):
            self._settle(variable, known, closed)
        for equation in graph.equations:
            inputs = [self.known(one) for one in equation.inputs]
            for variable, known in zip(equation.outputs, self._through(equation, inputs, closed), strict=True):
                self._settle(variable, known, closed)
        return [self.known(one) for one in graph.outputs]

    def known(self, atom: Atom) -> Known:
        """What is known of an input of an operation."""
        return Known(self.numbers.constant(atom.value)) if isinstance(atom, Constant) else self.at[atom]

    def _settle(self, variable: Variable, known: Known, closed: bool) -> None:
        self.cut.pop(variable, None)
        label: Label | None = None
        if not closed and known.number in self.cuts:
            label = ("value", known.number)
            self.made[known.number] = self.made.get(known.number, NONE) | (known.labels - {label})
            known = known._replace(batch=EACH if variable in self.axes else known.batch, parts=None)
        elif not closed:
            label = self._error(known.labels)
        if label is not None:
            self.cut[variable] = label
            known = known._replace(labels=frozenset({label}))
        self.at[variable] = known

    def _error(self, labels: frozenset[Label]) -> Label | None:
        """The source "output error", where a value is made of nothing but output and target (and random numbers), of both."""
        outputs: set[int] = set()
        target = error = False
        for label in labels:
            if label[0] == "value" and label[1] in self.outputs:
                outputs.add(label[1])
            elif label[0] == "target":
                target = True
            elif label[0] == "error":
                error = True
                outputs |= label[1]
            elif label[0] != "random":
                return None
        return ("error", frozenset(outputs)) if error or (target and outputs) else None

    def _through(self, equation: Equation, given: list[Known], closed: bool) -> list[Known]:  # noqa: PLR0911
        name, inner = equation.name, equation.inner
        if name == "scan" and inner is not None:
            return self._scan(equation, inner, given, closed)
        if inner is not None:
            return self.read(inner, given, closed=closed)
        if name == "while":
            return self._while(equation, given)
        if name == "cond":
            return self._branches(equation, given)
        if equation.hidden and len(equation.hidden[0].inputs) == len(given):
            return self.read(equation.hidden[0], given, closed=True)
        if name in PRODUCTS:
            self._note(equation, given)
        if name == "add_any":
            self._note_tangent(equation, given)
        if name == "concatenate":
            return [self._laid(equation, given)]
        if name in ("slice", "split"):
            found = self._taken(equation, given[0])
            if found is not None:
                return found
        whole = self._whole(equation, given)
        number = next((i for i, one in enumerate(given) if one.parts is not None), None)
        if number is not None and len(whole) == 1:
            whole = [self._in_parts(equation, given, number, whole[0])]
        return whole

    def _whole(self, equation: Equation, given: Sequence[Known]) -> list[Known]:
        """An operation that is a whole."""
        name = equation.name
        unlike = id(equation) if equation.acts else None
        key = (name, self.numbers.told(equation), tuple(one.number for one in given), unlike)
        labels = frozenset().union(*(one.labels for one in given)) if given else NONE
        weights = {label for label in labels if label[0] == "weight"}
        zero = any(isinstance(one, Constant) and not np.any(one.value) for one in equation.inputs) if weights else False
        if weights and weights == labels and (name == "sign" or (name in COMPARISONS and zero)):
            labels = frozenset(("sign", label[1]) for label in weights)
        place = moved(equation, [one.place for one in given]) if any(one.place is not None for one in given) else None
        batches = [one.batch for one in given]
        found = []
        for i, output in enumerate(equation.outputs):
            batch = examples.after(equation, batches, self.axes, output)
            if batch == SUM:
                of_each = [one for one, state in zip(equation.inputs, batches, strict=True) if state == EACH]
                self.summed |= {one: None for one in of_each if isinstance(one, Variable) and one in self.axes}
            found.append(Known(self.numbers.of(key, i), labels, place, batch))
        return found

    # Values that lie one behind the other, such as all parameters as one long vector

    def _laid(self, equation: Equation, given: list[Known]) -> Known:
        axis = int(equation.parameters["dimension"])
        parts: list[tuple[int, Known]] = []
        for one, known in zip(equation.inputs, given, strict=True):
            own = known.parts
            parts += own[1] if own is not None and own[0] == axis else [(one.shape[axis], known._replace(parts=None))]
        return self._whole(equation, given)[0]._replace(place=None, parts=(axis, tuple(parts)))

    def _taken(self, equation: Equation, whole: Known) -> list[Known] | None:
        """Slices of such a value."""
        if whole.parts is None:
            return None
        axis = whole.parts[0]
        shape, told = equation.inputs[0].shape, equation.parameters
        if equation.name == "split":
            if int(told["axis"]) != axis:
                return None
            stops = np.cumsum(told["sizes"]).tolist()
            spans = list(zip([0, *stops[:-1]], stops, strict=True))
        else:
            starts, limits = told["start_indices"], told["limit_indices"]
            others = [i for i in range(len(shape)) if i != axis and (starts[i], limits[i]) != (0, shape[i])]
            if others or (told["strides"] is not None and any(one != 1 for one in told["strides"])):
                return None
            spans = [(starts[axis], limits[axis])]
        return [self._span(whole, *span) for span in spans]

    def _span(self, whole: Known, low: int, high: int) -> Known:
        found, start = [], 0
        for size, part in whole.parts[1] if whole.parts is not None else ():
            if start == low and start + size == high:
                return part
            if start < high and start + size > low:
                found.append(part)
            start += size
        one = Known(self.numbers.of("span", whole.number, low, high))
        for part in found:
            one = one.joined(part)
        return one._replace(place=None, number=self.numbers.of("span", whole.number, low, high))

    def _in_parts(self, equation: Equation, given: list[Known], number: int, whole: Known) -> Known:
        """The parts after an operation that leaves them where they are."""
        parts: Any = given[number].parts
        axis, name = parts[0], equation.name
        shape, out = equation.inputs[number].shape, equation.outputs[0].shape
        if name == "broadcast_in_dim":
            after = int(equation.parameters["broadcast_dimensions"][axis])
        elif name == "reshape" and [one for one in shape if one != 1] == [one for one in out if one != 1]:
            after = out.index(shape[axis]) if shape[axis] != 1 and out.count(shape[axis]) == 1 else -1
        elif name in examples.ELEMENTWISE or name in ("add_any", "scatter-add", "dynamic_update_slice"):
            after = axis
        else:
            return whole
        if after < 0 or out[after] != shape[axis] or (name == "scatter-add" and number):
            return whole
        found = []
        for i, (size, part) in enumerate(parts[1]):
            beside = [self._part_of(one, axis, i, len(parts[1])) for one in given]
            beside[number] = part
            own = Known(
                self.numbers.of("part", whole.number, i),
                frozenset().union(*(one.labels for one in beside)),
                part.place if name != "broadcast_in_dim" else moved(equation, [part.place]),
                whole.batch,
            )
            if name == "reshape":
                own = own._replace(place=None)
            found.append((size, own))
        return whole._replace(place=None, parts=(after, tuple(found)))

    @staticmethod
    def _part_of(known: Known, axis: int, number: int, count: int) -> Known:
        """What lies beside a part."""
        if known.parts is not None and known.parts[0] == axis and len(known.parts[1]) == count:
            return known.parts[1][number][1]
        return known

    # Products

    def _note(self, equation: Equation, given: list[Known]) -> None:
        """Remembers a forward product, and which of the rule's own weights carry an error."""
        for i in (0, 1):
            if any(label[0] == "error" for label in given[1 - i].labels):
                self.carriers |= {label for label in given[i].labels if label[0] in ("feedback", "state")}
        weights = [i for i in (0, 1) if given[i].place is not None]
        self.products.pop(equation, None)
        self.factors[self._whole(equation, given)[0].number] = tuple(one.number for one in given)
        if len(weights) != 1:
            return
        number = weights[0]
        place: Any = given[number].place
        signal = given[1 - number]
        if equation.name == "conv_general_dilated" and number == 0:
            return
        summed = contracted(equation, number, place)
        if self.forward is not None and summed not in self.forward.get(place.leaf, ()):
            return
        if signal.batch == FREE and ("random",) not in signal.labels:
            return
        made = self._whole(equation, given)[0].number
        self.products[equation] = Product(place.leaf, summed, signal.number, made)

    def _note_tangent(self, equation: Equation, given: list[Known]) -> None:
        """Remembers W·ẋ + Ẇ·x, the derivative of a forward product W·x that a pass carries along: it is that pass's product of
        the layer, made of W and whatever moves it, as (W + Ẇ)·x is in a pass with moved weights."""
        self.products.pop(equation, None)
        known = list(self.products.values())
        for one, other in (given, given[::-1]):
            for product in [found for found in known if found.made == one.number]:
                signals = {found.signal for found in known if found.leaf == product.leaf}
                if signals.intersection(self.factors.get(other.number, ())):
                    self.products[equation] = product._replace(made=self._whole(equation, given)[0].number)

    # Loops and branches

    def _scan(self, equation: Equation, inner: Graph, given: list[Known], closed: bool) -> list[Known]:
        constants, carried = equation.carried
        end, told = constants + carried, equation.parameters
        turns = (told["length"], told["reverse"])
        fixed, start = given[:constants], given[constants:end]
        rows = [self._row(one, told["length"]) for one in given[end:]]
        # What is carried has a number by what it begins with and by what a step makes of it.
        first = [one._replace(number=self.numbers.of("carry?", one.number, *turns), parts=None) for one in start]
        found = self.read(inner, [*fixed, *first, *rows], closed=closed)
        carry = [
            one._replace(number=self.numbers.of("carry", one.number, *turns, after.number), parts=None)
            for one, after in zip(start, found[:carried], strict=True)
        ]
        # Where the steps are examples, what is carried goes from one to the next.
        over_examples = any(self.axes.get(one) == 0 for one in equation.inputs[end:] if isinstance(one, Variable))
        meets = [over_examples and one not in self.axes for one in inner.inputs[constants:end]]
        while True:  # what is carried comes from what the steps before made of it
            found = self.read(inner, [*fixed, *carry, *rows], closed=closed)
            wider = [one.joined(after) for one, after in zip(carry, found[:carried], strict=True)]
            wider = [
                one._replace(batch=MIXED) if mixed and one.batch != FREE else one
                for one, mixed in zip(wider, meets, strict=True)
            ]
            if wider == carry:
                break
            carry = wider
        ends = [one._replace(number=self.numbers.of("final", one.number)) for one in carry]
        collected = []
        for one, variable in zip(found[carried:], equation.outputs[carried:], strict=True):
            number = self.numbers.of("rows", one.number, told["length"])
            self.numbers.inner[number] = one.number
            batch = MIXED if one.batch == SUM and variable in self.axes else one.batch
            place = None if one.place is None else one.place.rows()
            collected.append(Known(number, one.labels, place, batch))
        return [self._later(one, told["reverse"]) for one in (*ends, *collected)]

    def _row(self, whole: Known, length: int) -> Known:
        inner = self.numbers.inner.get(whole.number)
        number = self.numbers.of("row", whole.number, length) if inner is None else inner
        return Known(number, whole.labels, None if whole.place is None else whole.place.row(), whole.batch)

    @staticmethod
    def _later(known: Known, reverse: bool) -> Known:
        """With the mark of a loop that runs backwards with an error."""
        if reverse and any(label[0] == "error" for label in known.labels):
            return known._replace(labels=known.labels | {("later",)})
        return known

    def _while(self, equation: Equation, given: list[Known]) -> list[Known]:
        before, own = equation.parameters["cond_nconsts"], equation.parameters["body_nconsts"]
        body, condition = equation.hidden
        fixed, carry = given[before : before + own], given[before + own :]
        own_numbers = [self.numbers.of("while", id(equation), i) for i in range(len(carry))]
        carry = [one._replace(number=n, parts=None) for one, n in zip(carry, own_numbers, strict=True)]
        while True:
            found = self.read(body, [*fixed, *carry], closed=True)
            wider = [one.joined(after) for one, after in zip(carry, found, strict=True)]
            if wider == carry:
                break
            carry = wider
        asked = self.read(condition, [*given[:before], *carry], closed=True)
        mixed = {} if asked[0].batch == FREE else {"batch": MIXED}
        return [
            one._replace(number=self.numbers.of("after", one.number), labels=one.labels | asked[0].labels, **mixed)
            for one in carry
        ]

    def _branches(self, equation: Equation, given: list[Known]) -> list[Known]:
        found = [self.read(graph, given[1:], closed=True) for graph in equation.hidden]
        joined = []
        for i, several in enumerate(zip(*found, strict=True)):
            one = several[0]
            for other in several[1:]:
                one = one.joined(other)
            batch = one.batch if given[0].batch == FREE else MIXED
            number = self.numbers.of("cond", id(equation), i)
            joined.append(Known(number, one.labels | given[0].labels, None, batch))
        return joined
