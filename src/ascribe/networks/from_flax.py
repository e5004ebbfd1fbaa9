"""Flax NNX modules as blocks: a batch at a time, images as they are (channels last)."""

from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import jax.random as jr
from flax import nnx

from ascribe.errors import UserError
from ascribe.types import Array, Key, PyTree

from .block import (
    MODES,
    AbstractAdapter,
    arguments_of,
    as_before,
    checked_parameters,
    in_own_precision,
    leaf_at,
    nested,
    own_classes,
)


class FlaxAdapter(AbstractAdapter):
    """A Flax NNX module.

    What is an `nnx.Param` is a parameter, whatever else changes (`nnx.BatchStat`, a cache) is state; random streams begin anew
    from the key of every step; `module.train()` holds in training and `module.eval()` elsewhere.
    """

    library = "flax"

    def __init__(
        self,
        name: str,
        source: Any,
        options: Mapping[str, Any],
        module: Any,
        make: Callable[[Key], Any] | None = None,
    ):
        self.name, self.source, self.options, self.make = name, source, options, make
        if not isinstance(module, nnx.Module):
            raise UserError(
                f"a Flax model is an NNX module; {name} is of the older kind (flax.linen): write it as flax.nnx.Module, or "
                f"give it as a function of its parameters, with ascribe.networks.from_function(module.apply, parameters)."
            )
        if not callable(module):
            raise UserError(f"a Flax module that is trained can be called with a batch; {name} has no `__call__(self, x)`.")
        self.asked = arguments_of(type(module).__call__)
        self._kinds = [type(one) for _, one in nnx.iter_modules(module)]
        self._graphs = {}
        for training in (True, False):
            module = nnx.clone(module)
            (module.train if training else module.eval)()
            self._graphs[training], parameters, randomness, rest = nnx.split(module, nnx.Param, nnx.RngState, ...)
        leaves, self._structure = jax.tree.flatten(jax.tree.map(in_own_precision, parameters))
        self._paths = [tuple(map(str, path)) for path, _ in nnx.to_flat_state(parameters)]
        self.parameters = checked_parameters(name, nested(zip(self._paths, leaves, strict=True)))
        self._randomness = randomness
        rest, self._rest_structure = jax.tree.flatten(rest)
        self.state = tuple(map(in_own_precision, rest)) or None

    def apply(self, parameters: PyTree, x: Array, state: PyTree, *, key: Key | None, training: bool) -> Any:
        trained = jax.tree.unflatten(self._structure, [leaf_at(parameters, path) for path in self._paths])
        rest = jax.tree.unflatten(self._rest_structure, state or ())
        module: Any = nnx.merge(self._graphs[training], trained, self._streams(key), rest)
        given: dict[str, Any] = {name: mode(training) for name, mode in MODES.items() if name in self.asked}
        given |= {"rngs": nnx.Rngs(key)} if "rngs" in self.asked and key is not None else {}
        outputs = module(x, **given)
        after = nnx.state(module, nnx.filterlib.Not(nnx.filterlib.Any(nnx.Param, nnx.RngState)))
        return outputs, tuple(jax.tree.leaves(after)) or None

    def fresh(self, key: Key) -> PyTree:
        if self.make is None:
            return None
        leaves = list(map(in_own_precision, jax.tree.leaves(nnx.state(self.make(key), nnx.Param))))
        if len(leaves) != len(self._paths):
            raise UserError(f"{self.name} has other parameters for another key: they are the same for all seeds.")
        return as_before(self.name, self.parameters, nested(zip(self._paths, leaves, strict=True)))

    @property
    def remade(self) -> bool:
        return self.make is not None

    @property
    def structure(self) -> Any:
        plain = lambda one: not isinstance(one, nnx.Variable | nnx.Module)
        return [
            [list(map(str, path)), type(one), {k: v for k, v in vars(one).items() if k[0] != "_" and plain(v)}]
            for path, one in nnx.iter_modules(self.source)
        ]

    @property
    def classes(self) -> list[type]:
        return own_classes(self._kinds, "flax")

    @property
    def versions(self) -> list[str]:
        return [f"flax {flax.__version__}"]

    def _streams(self, key: Key | None) -> Any:
        """The random streams, each from its own part of the key, and with nothing drawn; as the model has them without one."""
        if key is None:
            return self._randomness
        leaves, structure = jax.tree.flatten(self._randomness)
        fresh = [
            jr.fold_in(key, number) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else jnp.zeros_like(leaf)
            for number, leaf in enumerate(leaves)
        ]
        return jax.tree.unflatten(structure, fresh)
