"""Equinox modules as blocks: one example at a time, images channels first, as Equinox's own layers want them."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.errors import UserError
from ascribe.types import Array, Key, PyTree

from .block import MODES, AbstractAdapter, arguments_of, as_before, checked_parameters, leaf_at, nested, own_classes

BATCH = "batch"
"""The name of the axis that examples are mapped over, as `eqx.nn.BatchNorm(size, axis_name="batch")` wants it."""


class EquinoxAdapter(AbstractAdapter):
    """An Equinox module, called for every example of a batch (`jax.vmap` with the axis name "batch").

    Its floating arrays are the parameters; `eqx.nn.State` is the state; `key` is split over the examples; `inference` is off
    in training and on elsewhere.
    """

    library = "equinox"
    channels_first = True

    def __init__(
        self,
        name: str,
        source: Any,
        options: Mapping[str, Any],
        module: Any,
        state: eqx.nn.State | None = None,
        make: Callable[[Key], Any] | None = None,
    ):
        self.name, self.source, self.options, self.make = name, source, options, make
        if not callable(module):
            raise UserError(
                f"an Equinox module that is trained can be called with an example; {name} has no `__call__(self, x)`."
            )
        if state is None:
            module, state = _with_state(module)
        self.asked = arguments_of(type(module).__call__)
        self._trained = eqx.filter(module, eqx.is_inexact_array)
        leaves = jax.tree_util.tree_leaves_with_path(self._trained)
        self._paths = [tuple(_name(key) for key in path) for path, _ in leaves]
        self.parameters = checked_parameters(name, nested(zip(self._paths, jax.tree.leaves(self._trained), strict=True)))
        self._rest = {
            training: eqx.partition(eqx.nn.inference_mode(module, not training), eqx.is_inexact_array)[1]
            for training in (False, True)
        }
        self._state = state
        self.state = tuple(map(jnp.asarray, jax.tree.leaves(state))) or None

    def apply(self, parameters: PyTree, x: Array, state: PyTree, *, key: Key | None, training: bool) -> Any:
        leaves = [leaf_at(parameters, path) for path in self._paths]
        module = eqx.combine(jax.tree.unflatten(jax.tree.structure(self._trained), leaves), self._rest[training])
        given = {name: mode(training) for name, mode in MODES.items() if name in self.asked and name != "inference"}
        keyed = "key" in self.asked and key is not None

        def one(x: Array, key: Key | None, state: Any) -> Any:
            named = given | ({"key": key} if keyed else {})
            return (module(x, **named), None) if state is None else module(x, state, **named)

        keys = jr.split(key, x.shape[0]) if keyed and key is not None else None
        before = None if state is None else jax.tree.unflatten(jax.tree.structure(self._state), state)
        outputs, after = jax.vmap(one, (0, 0 if keyed else None, None), (0, None), axis_name=BATCH)(
            channels_first(x), keys, before
        )
        return outputs, None if state is None else tuple(jax.tree.leaves(after))

    def fresh(self, key: Key) -> PyTree:
        if self.make is None:
            return None
        found = self.make(key)
        module = _with_state(found[0] if isinstance(found, tuple) else found)[0]
        leaves = jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array))
        if len(leaves) != len(self._paths):
            raise UserError(f"{self.name} has other parameters for another key: they are the same for all seeds.")
        return as_before(self.name, self.parameters, nested(zip(self._paths, leaves, strict=True)))

    @property
    def remade(self) -> bool:
        return self.make is not None

    @property
    def structure(self) -> Any:
        return self.source

    @property
    def classes(self) -> list[type]:
        return own_classes(map(type, _modules(self._rest[False])), "equinox")


def _modules(tree: Any) -> list[eqx.Module]:
    """The modules in a module, itself among them."""
    inside = lambda one: isinstance(one, eqx.Module) and one is not tree
    inner = [one for one in jax.tree.leaves(tree, is_leaf=inside) if inside(one)]
    return [*([tree] if isinstance(tree, eqx.Module) else []), *(found for one in inner for found in _modules(one))]


def _with_state(module: Any) -> tuple[Any, eqx.nn.State | None]:
    """The module without the initial values of its state, and these."""
    state = eqx.nn.State(module)
    return eqx.nn.delete_init_state(module), state if jax.tree.leaves(state) else None


def _name(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)


def channels_first(x: Array) -> Array:
    """Images `(batch, height, width, channels)` as `(batch, channels, height, width)`; anything else as it is."""
    return jnp.moveaxis(x, -1, 1) if x.ndim == 4 else x
