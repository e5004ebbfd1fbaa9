"""Where the inside of a layer can be replaced on the way back: its synaptic sites, its activations, and points between blocks.

A layer is traced (`ascribe.jaxprs`), and every value is told by what it comes from. A *synaptic site* is a matrix product or a
convolution of something that comes from parameters alone with something that comes from data; its name is the parameter's path
(`attention/query`). An *activation* is a nonlinear function that answers for every number alone, such as `relu` or `gelu`,
however many operations it is written in. A *cut* is a value that everything passes through on its way from one block of sites
to the next.
"""

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax

from ascribe.jaxprs import Atom, Constant, Equation, Graph, Variable, total

from .curves import Curve, curves_of, is_elementwise

PRODUCTS = ("dot_general", "conv_general_dilated")
"""Operations that are linear in each of two operands, and carry signals between units."""

DROPPED = ("weight", "kernel", "w", "value")
"""Last names of parameters that say no more than that they are weights."""

_tracing: ContextVar[bool] = ContextVar("tracing", default=False)


@contextlib.contextmanager
def for_reading() -> Iterator[None]:
    """While a layer is traced to be read: it computes by operations that tell what they are (a convolution, an activation),
    whatever form it is evaluated in."""
    token = _tracing.set(True)
    try:
        yield
    finally:
        _tracing.reset(token)


def is_read() -> bool:
    """Whether a layer is traced to be read."""
    return _tracing.get()


class Source(NamedTuple):
    """What a value comes from: the numbers of the parameters' leaves, and whether the layer's input is among it."""

    parameters: frozenset[int] = frozenset()
    data: bool = False

    def joined(self, others: Iterable["Source"]) -> "Source":
        """With what others come from."""
        found = [self, *others]
        return Source(frozenset().union(*(one.parameters for one in found)), any(one.data for one in found))


NOTHING, NOWHERE = Source(), (-1, "input")
BELOW = -1
"""The number that stands for all parameters of the layers below."""


class Product(NamedTuple):
    """A synaptic site in a graph. `name`: of its parameter; `place`: its own, another one where the parameter has several
    (`embedding`, `embedding@2`); `leaf`: the parameter's number; `weight`, `signal`: which operand is which; `transports`:
    whether an error passes to parameters below; `closed`: whether it is inside an operation that is never opened."""

    name: str
    place: str
    leaf: int
    weight: int
    signal: int
    transports: bool
    closed: bool

    def fans(self, equation: Equation) -> tuple[int, int, int]:
        """Inputs of one unit, units that one input reaches, and units."""
        shape = equation.inputs[self.weight].shape
        if equation.name == "conv_general_dilated":
            out_axis, in_axis, *space = equation.parameters["dimension_numbers"].rhs_spec
            kernel = total(shape[axis] for axis in space)
            return kernel * shape[in_axis], kernel * shape[out_axis], shape[out_axis]
        contracting, batched = (axes[self.weight] for axes in equation.parameters["dimension_numbers"])
        fan_in = total(shape[axis] for axis in contracting)
        units = total(size for axis, size in enumerate(shape) if axis not in (*contracting, *batched))
        return fan_in, units, units


@dataclasses.dataclass
class Sites:
    """What is found in a graph and the graphs inside it. `sources`: what every variable comes from."""

    graph: Graph
    products: dict[Equation, Product]
    curves: dict[Equation, Curve]
    sources: dict[Variable, Source]

    def addressed_inside(self, equation: Equation, wanted: Callable[[Product | Curve], bool]) -> bool:
        """Whether what is wanted is inside an operation that can be opened."""
        inner = equation.inner
        if inner is None or equation in self.curves:
            return False
        return any(
            (one in self.products and wanted(self.products[one])) or (one in self.curves and wanted(self.curves[one]))
            for one in inner.everywhere()
        )


def find(graph: Graph, names: Sequence[str], *, below: bool) -> Sites:
    """The sites of a layer's graph, whose first inputs are its parameters, of these names, and whose next is its input; what it
    comes from beside these (state, randomness) are constants. `below`: whether there are parameters in layers below, so that an
    error passes the layer's lowest sites too."""
    given = [Source(frozenset([number])) for number in range(len(names))]
    given += [Source(frozenset([BELOW] if below else []), data=True)] * (len(graph.inputs) - len(names))
    reader = _Reader(names, [total(one.shape) for one in graph.inputs[: len(names)]])
    reader.read(graph, given, closed=False)
    return Sites(graph, reader.products, _named_curves(reader), reader.sources)


class _Reader:
    """One reading of a graph: what values come from, and the products met on the way."""

    def __init__(self, names: Sequence[str], sizes: Sequence[int]):
        self.names, self.sizes = names, sizes
        self.sources: dict[Variable, Source] = {}
        self.products: dict[Equation, Product] = {}
        self.graphs: list[Graph] = []
        self.uses: Counter[str] = Counter()

    def source(self, atom: Atom) -> Source:
        """What an atom comes from."""
        return NOTHING if isinstance(atom, Constant) else self.sources.get(atom, NOTHING)

    def read(self, graph: Graph, given: Sequence[Source], *, closed: bool, final: bool = True) -> list[Source]:
        """What the outputs come from. `final`: whether products are noted, which a loop's first readings do not."""
        self.sources |= dict(zip(graph.inputs, given, strict=True))
        if final and not closed:
            self.graphs.append(graph)
        for equation in graph.equations:
            sources = [self.source(one) for one in equation.inputs]
            if final and equation.name in PRODUCTS:
                self._note(equation, sources, closed)
            found = self._inside(equation, sources, closed, final)
            self.sources |= dict(zip(equation.outputs, found, strict=True))
        return [self.source(one) for one in graph.outputs]

    def _inside(self, equation: Equation, sources: list[Source], closed: bool, final: bool) -> list[Source]:
        inner = equation.inner
        if equation.name == "scan" and inner is not None:
            constants, carried = equation.carried
            end = constants + carried
            while True:  # what is carried comes from what the steps before made of it
                found = self.read(inner, sources, closed=closed, final=False)
                wider = [one.joined([other]) for one, other in zip(sources[constants:end], found[:carried], strict=True)]
                if wider == sources[constants:end]:
                    return self.read(inner, sources, closed=closed, final=final)
                sources[constants:end] = wider
        if inner is not None:
            whole = equation.name == "custom_jvp_call" and is_elementwise(equation, list(equation.outputs))
            return self.read(inner, sources, closed=closed or whole, final=final)
        everything = NOTHING.joined(sources)
        for graph in equation.hidden:
            inputs = _inputs_of_hidden(equation, graph, sources)
            if inputs is not None:
                self.read(graph, inputs, closed=True, final=final)
        return [everything] * len(equation.outputs)

    def _note(self, equation: Equation, sources: list[Source], closed: bool) -> None:
        weights = [i for i, one in enumerate(sources) if one.parameters and not one.data]
        signals = [i for i, one in enumerate(sources) if one.data]
        if len(weights) != 1 or len(signals) != 1:
            return
        leaf = max(sorted(sources[weights[0]].parameters), key=lambda number: self.sizes[number])
        name = self.names[leaf]
        self.uses[name] += 1
        place = name if self.uses[name] == 1 else f"{name}@{self.uses[name]}"
        transports = bool(sources[signals[0]].parameters)
        self.products[equation] = Product(name, place, leaf, weights[0], signals[0], transports, closed)


def _inputs_of_hidden(equation: Equation, graph: Graph, sources: list[Source]) -> list[Source] | None:
    """What the inputs of a graph inside a closed operation come from; None where nobody can tell."""
    if equation.name == "cond":
        given = sources[1:]
    elif equation.name == "while":
        before = equation.parameters["cond_nconsts"]
        given = sources[before:]
        joined = NOTHING.joined(given)
        carried = len(given) - equation.parameters["body_nconsts"]
        given = [*given[: len(given) - carried], *[joined] * carried]
    else:
        given = sources
    return given if len(given) == len(graph.inputs) else None


def _named_curves(reader: _Reader) -> dict[Equation, Curve]:
    """The activations of all graphs, each named after the site whose signal it takes (`up/gelu`), by their last equation."""
    found: dict[Equation, Curve] = {}
    counts: Counter[str] = Counter()
    for graph in reader.graphs:
        latest: dict[Variable, tuple[int, str]] = {}  # the last site that a value comes through: its place, and its name
        for i, equation in enumerate(graph.equations):
            before = [latest.get(one, NOWHERE) for one in equation.inputs if isinstance(one, Variable)]
            inside = [reader.products[one].name for one in _all_of(equation) if one in reader.products]
            own = (i, inside[-1]) if inside else max(before, default=NOWHERE)
            latest |= dict.fromkeys(equation.outputs, own)
        for curve in curves_of(graph):
            source = reader.sources.get(curve.input, NOTHING)
            if not (source.data and source.parameters):
                continue
            name = f"{latest.get(curve.input, NOWHERE)[1]}/{curve.function}"
            counts[name] += 1
            name = name if counts[name] == 1 else f"{name}@{counts[name]}"
            found[curve.equations[-1]] = curve._replace(name=name)
    return found


def example_shape(shape: Sequence[int], axis: int, rows: int) -> tuple[int, ...]:
    """The shape of one example, of a value whose `axis` has that many rows of each."""
    return (*shape[:axis], *([] if rows == 1 else [rows]), *shape[axis + 1 :])


def block_of(name: str) -> str:
    """The block that a site belongs to: its name up to the first number (`blocks/0`), or the first part of it."""
    parts = name.partition("@")[0].split("/")
    numbered = next((i for i, part in enumerate(parts) if part.isdigit()), 0)
    return "/".join(parts[: numbered + 1])


def cuts(sites: Sites) -> dict[str, tuple[int, Variable]]:
    """The points between blocks of sites: for every block that an error is transported to another one from, the position in
    the graph, and the value that everything passes through there. A block that is reached by several ways has none; one that is
    called like a site has its cut under another name (`mix/input`), for that of the site is its signal's."""
    graph, places = sites.graph, {product.place for product in sites.products.values()}
    inside = {
        equation: [sites.products[one] for one in _all_of(equation) if one in sites.products] for equation in graph.equations
    }
    last = {one: len(graph.equations) for one in graph.outputs[:1] if isinstance(one, Variable)}
    for i in reversed(range(len(graph.equations))):
        equation = graph.equations[i]
        if any(one in last for one in equation.outputs):
            for one in equation.inputs:
                if isinstance(one, Variable):
                    last.setdefault(one, i)
    found: dict[str, tuple[int, Variable]] = {}
    live: set[Variable] = {one for one in graph.inputs if one in last and sites.sources[one].data}
    bottlenecks: dict[int, Variable] = {}
    block, seen, lowest = None, set(), 0
    for i, equation in enumerate(graph.equations):
        if len(live) == 1:
            bottlenecks[i] = next(iter(live))
        for product in inside[equation]:
            own = block_of(product.name)
            if own != block and own not in seen:
                place = max((k for k in bottlenecks if lowest <= k <= i), default=None)
                if product.transports and place is not None and sites.sources[bottlenecks[place]].parameters - {BELOW}:
                    found[f"{own}/input" if own in places else own] = (place, bottlenecks[place])
            block, lowest = own, i + 1
            seen.add(own)
        live |= {one for one in equation.outputs if one in last and sites.sources[one].data and one.floating}
        live -= {one for one in live if last[one] <= i}
    return found


def _all_of(equation: Equation) -> Iterator[Equation]:
    yield equation
    if equation.inner is not None:
        yield from equation.inner.everywhere()


def parameter_names(tree: Any) -> list[str]:
    """A name for every leaf, from its path: `attention/query` of `.attention.query.weight`."""
    paths = [_parts(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
    short = [path[:-1] if len(path) > 1 and path[-1] in DROPPED else path for path in paths]
    counts = Counter(map(tuple, short))
    return ["/".join(one if counts[tuple(one)] == 1 else full) for one, full in zip(short, paths, strict=True)]


def _parts(path: Sequence[Any]) -> list[str]:
    parts = [str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path]
    parts = list(itertools.chain.from_iterable(part.split(".") for part in parts))
    return parts[1:] if len(parts) > 1 and parts[0] == "parameters" else parts
