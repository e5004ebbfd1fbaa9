"""A layer made of a whole model: of any JAX function, or of a module of another library."""

import contextlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checks import explained
from ascribe.errors import UserError, shown
from ascribe.types import Array, Key, PyTree

from .forms import in_platform_form
from .layer import AbstractLayer

MODES: dict[str, Callable[[bool], bool]] = {
    "training": lambda training: training,
    "train": lambda training: training,
    "is_training": lambda training: training,
    "deterministic": lambda training: not training,
    "inference": lambda training: not training,
}
"""The arguments by which models are told whether they are trained, with what they are given."""

models: dict[str, Callable[[Mapping[str, Any]], "AbstractAdapter"]] = {}
"""What blocks of records are made of again, by the name of their model: its adapter, for its options
(`networks.register_layer`)."""


class AbstractAdapter(ABC):
    """A model as a function of explicit parameters and state: one subclass for each library that models come from.

    - `name`: what records and sentences call it; `source`: the class, factory, function or model that it was made of, and
      `options`: what that was called with;
    - `parameters`, `state`: those of the model before training: floating arrays that are trained, and arrays that are not
      (normalization statistics, buffers, tables of integers).
    """

    name: str
    source: Any
    options: Mapping[str, Any]
    parameters: PyTree
    state: PyTree = None

    @abstractmethod
    def apply(self, parameters: PyTree, x: Array, state: PyTree, *, key: Key | None, training: bool) -> Any:
        """The output for a batch `(batch, …)`, and the new state."""

    def fresh(self, key: Key) -> PyTree:
        """Other initial parameters, in the tree of `parameters`; None for a model that cannot be made again."""
        return None

    @property
    def remade(self) -> bool:
        """Whether every seed has initial weights of its own."""
        return True

    @property
    def identity(self) -> list[Any]:
        """The classes, functions and arrays that tell this model from another: what a run is known by."""
        own = [] if self.remade else [jax.tree.leaves(self.parameters), jax.tree.leaves(self.state)]
        return [self.source if self.remade else self.structure, dict(self.options), self.classes, self.versions, own]

    @property
    def structure(self) -> Any:
        """What a model that cannot be made again is beside its arrays."""
        return None

    @property
    def classes(self) -> list[type]:
        """The classes of the modules in the model that are not of its library."""
        return []

    @property
    def versions(self) -> list[str]:
        """The packages that compute it beside JAX and Equinox, with their versions."""
        return []

    library: ClassVar[str] = "jax"
    """The package whose model it is."""
    channels_first: ClassVar[bool] = False
    """Whether images go in channels first."""

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Within it, what the library cannot do is a sentence (a `UserError`)."""
        yield


class Block(AbstractLayer):
    """y = f(parameters, x): a model of another library, or any JAX function, as one layer.

    Its `parameters`, a pytree of floating arrays, are all trained. What else the model has (normalization statistics, buffers,
    tables) is state, which passes from step to step, and randomness comes from the layer's key. Nothing of the model is
    changed: `networks.from_model` and `networks.from_function` make blocks.

    **Arguments:** `model`: the adapter, or the name of a model that is known here (`networks.register_layer`); `options`: what
    that is called with; `shape`: of one example, `()` while nobody has said.
    """

    parameters: PyTree
    adapter: AbstractAdapter = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    kind: ClassVar[str] = "block"

    def __init__(
        self,
        model: AbstractAdapter | str,
        options: Mapping[str, Any] | None = None,
        shape: Iterable[int] = (),
        *,
        key: Key | None = None,
    ):
        if isinstance(model, str):
            if model not in models:
                raise UserError(f"no model {shown(model)} is known here: ascribe.networks.register_layer makes it known.")
            model = models[model](options or {})
        elif not isinstance(model, AbstractAdapter):
            raise UserError(f"a block is made by ascribe.networks.from_model or from_function; got {shown(model)}.")
        self.adapter, self.shape = model, tuple(shape)
        parameters = model.parameters if key is None else model.fresh(key)
        self.parameters = model.parameters if parameters is None else parameters

    def __call__(
        self, x: Array, state: PyTree = None, *, key: Key | None = None, training: bool = False
    ) -> tuple[Array, PyTree]:
        state = self.initial_state() if state is None else state
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # which others' code counts on
            apply = lambda *given: self.adapter.apply(*given, key=key, training=training)
            return in_platform_form(apply, self.parameters, x, state)

    def initialize(self, key: Key) -> "Block":
        """The block with fresh parameters, where its model can be made again; else with those that the model came with."""
        return Block(self.adapter, shape=self.shape, key=key)

    def initial_state(self) -> PyTree:
        return self.adapter.state

    def config(self) -> dict[str, Any]:
        return {"model": self.adapter.name, "options": dict(self.adapter.options), "shape": list(self.shape)}

    @property
    def model(self) -> str:
        """The model's name."""
        return self.adapter.name

    @property
    def wants_vectors(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether it takes examples of one axis."""
        return len(self.shape) == 1

    @property
    def outputs(self) -> int:
        """Numbers that it answers for one example of its `shape`."""
        if not self.shape:
            raise UserError(
                f"how many outputs {self.adapter.name} has is known when it has data: train it, or give the shape of an "
                f"example, as in ascribe.networks.from_model(model, shape=(28, 28, 1))."
            )
        return self.output_shape(self.shape)[-1]

    def at(self, shape: Iterable[int]) -> "Block":
        """The block for examples of this shape."""
        return eqx.tree_at(lambda block: block.parameters, Block(self.adapter, shape=shape), self.parameters)

    def output_shape(self, shape: Iterable[int], *, batch: int = 2, training: bool = False) -> tuple[int, ...]:
        """The shape of what it answers to a batch of examples of this shape, the batch's axis included; whatever the model
        raises."""
        key = jax.random.key(0)
        x = jax.ShapeDtypeStruct((batch, *shape), jnp.zeros(()).dtype)
        outputs, _ = jax.eval_shape(lambda block, x: block(x, key=key, training=training), self, x)
        if not hasattr(outputs, "shape"):
            raise UserError(
                f"a model answers with one array (batch, outputs); {self.adapter.name} answers with "
                f"{_words(outputs)}: return the outputs alone."
            )
        if not jnp.issubdtype(outputs.dtype, jnp.floating):
            raise UserError(
                f"a model answers with real floating numbers; {self.adapter.name} answers with {outputs.dtype}: return the "
                f"outputs before they are rounded or labels are chosen of them."
            )
        return outputs.shape


class _Function(AbstractAdapter):
    """A JAX function of a batch."""

    def __init__(self, apply: Callable, parameters: PyTree, state: PyTree, initialize: Callable | None):
        self.name, self.source, self.options = getattr(apply, "__name__", type(apply).__name__), apply, {}
        self.parameters, self.state, self.initialize = parameters, state, initialize
        self.asked, self.stateful = arguments_of(apply), state is not None

    def apply(self, parameters: PyTree, x: Array, state: PyTree, *, key: Key | None, training: bool) -> Any:
        given = {name: mode(training) for name, mode in MODES.items() if name in self.asked}
        given |= {"key": key} if "key" in self.asked else {}
        if self.stateful:
            return self.source(parameters, x, state, **given)
        return self.source(parameters, x, **given), state

    def fresh(self, key: Key) -> PyTree:
        return None if self.initialize is None else as_before(self.name, self.parameters, self.initialize(key))

    @property
    def remade(self) -> bool:
        return self.initialize is not None

    @property
    def structure(self) -> Any:
        return self.source

    @property
    def identity(self) -> list[Any]:
        return [*super().identity, self.initialize]


@explained
def from_function(
    apply: Callable[..., Any],
    parameters: Any,
    *,
    state: Any = None,
    initialize: Callable[..., Any] | None = None,
    shape: tuple[int, ...] = (),
) -> Block:
    """The layer y = apply(parameters, x), for any function that JAX can trace.

    **Arguments:**

    - `apply`: a function of the parameters and a batch of inputs `(batch, …)` that returns the outputs `(batch, outputs)`. An
      argument called `key` is given a new random key in every step (None outside training), one called `training` whether
      dropout and the batch's statistics are in force;
    - `parameters`: a pytree of floating arrays, all of which are trained;
    - `state`: arrays that are not trained, such as normalization statistics; then it is
      `apply(parameters, x, state) -> (outputs, state)`;
    - `initialize`: `key -> parameters`, which gives every seed its own; without it, all seeds start from `parameters`;
    - `shape`: of one example, where it is wanted before the layer meets data.

    **Raises:** `UserError` where there is no parameter, or one that is no array of real floating numbers.
    """
    if not callable(apply):
        raise UserError(f"a model is a function of parameters and inputs, apply(parameters, x); got {shown(apply)}.")
    name = getattr(apply, "__name__", type(apply).__name__)
    parameters = checked_parameters(name, parameters)
    state = jax.tree.map(jnp.asarray, state)
    return Block(_Function(apply, parameters, state, initialize), shape=shape)


def arguments_of(function: Any) -> set[str]:
    """The names of what a function can be given by name."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    return {one.name for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}


def checked_parameters(name: str, parameters: PyTree) -> PyTree:
    """The parameters as arrays of JAX; a `UserError` for what cannot be trained."""
    leaves = jax.tree_util.tree_leaves_with_path(parameters)
    if not leaves:
        raise UserError(f"the model {name} has no parameters: there is nothing to train.")
    for path, leaf in leaves:
        dtype = np.dtype(getattr(leaf, "dtype", type(leaf) if isinstance(leaf, int | float | complex) else object))
        if not jnp.issubdtype(dtype, jnp.floating):
            where = jax.tree_util.keystr(path, simple=True, separator=".")
            kind = "complex" if dtype.kind == "c" else str(dtype) if dtype.kind != "O" else type(leaf).__name__
            advice = {
                "c": "hold its real and its imaginary part as two parameters",
                "O": "hold what is no number apart, as in apply = lambda parameters, x: ...",
            }.get(dtype.kind, "what is not trained belongs into `state`, or into the function itself")
            raise UserError(
                f"parameters are arrays of real floating numbers; {where or 'the one'} of {name} is {kind}: {advice}."
            )
    return jax.tree.map(jnp.asarray, parameters)


def in_own_precision(leaf: Any) -> Array:
    """An array of single or double precision in JAX's own, single unless JAX was told otherwise; others as they are."""
    array = jnp.asarray(leaf)
    return array.astype(jnp.zeros(()).dtype) if array.dtype in (jnp.float32, jnp.float64) else array


def as_before(name: str, template: PyTree, found: PyTree) -> PyTree:
    """Parameters of another key in the tree of the first ones; a `UserError` where they are of other shapes."""
    new, old = jax.tree.leaves(found), jax.tree.leaves(template)
    if [(one.shape, one.dtype) for one in new] != [(one.shape, one.dtype) for one in old]:
        raise UserError(f"the parameters of {name} have other shapes for another key: shapes are the same for all seeds.")
    return jax.tree.unflatten(jax.tree.structure(template), new)


def own_classes(kinds: Iterable[type], library: str) -> list[type]:
    """The classes, each once, that a library has not: those of users."""
    return [kind for kind in dict.fromkeys(kinds) if kind.__module__.partition(".")[0] != library]


def nested(found: Iterable[tuple[tuple[str, ...], Any]]) -> dict[Any, Any]:
    """Arrays by their paths as dicts in dicts: `{"blocks": {0: {"weight": …}}}` for `("blocks", "0", "weight")`. Numbers that
    count the members of a list are numbers again, so that 10 comes after 9."""
    tree: dict[Any, Any] = {}
    for path, leaf in found:
        inner = tree
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = leaf

    def counted(inner: Any) -> Any:
        if not isinstance(inner, dict):
            return inner
        numbered = all(name.isdecimal() for name in inner)
        return {int(name) if numbered else name: counted(one) for name, one in inner.items()}

    return counted(tree)


def leaf_at(tree: Any, path: tuple[str, ...]) -> Any:
    """The leaf of that path in a tree that `nested` made."""
    for part in path:
        tree = tree[part] if part in tree else tree[int(part)]
    return tree


def _words(outputs: Any) -> str:
    if outputs is None:
        return "None"
    return f"a {type(outputs).__name__} of {len(jax.tree.leaves(outputs))} arrays"
