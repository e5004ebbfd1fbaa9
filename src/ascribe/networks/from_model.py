"""The door for models of other libraries: it tells apart what it is given."""

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax.random as jr

from ascribe.checks import closest
from ascribe.errors import UserError, shown
from ascribe.types import Key

from .block import AbstractAdapter, Block, models
from .from_equinox import EquinoxAdapter

LIBRARIES = {"equinox": "Equinox"}
"""Packages whose modules become blocks."""
OTHERS = {"keras": "Keras", "haiku": "Haiku", "tensorflow": "TensorFlow", "sklearn": "scikit-learn"}
"""Packages whose models have to be written as a function."""


def from_model(model: Any, *, options: Mapping[str, Any] | None = None, shape: tuple[int, ...] = ()) -> Block:
    """A model of Equinox, Flax NNX or PyTorch as a layer; nothing of it has to be changed.

    **Arguments:**

    - `model`: a module; or a class of modules, or a function that returns one, which is called anew for every seed: with a
      random key where it has an argument `key` (a function also by position), with `flax.nnx.Rngs` where it has `rngs`, and
      under `torch.manual_seed`. A module itself is what every seed starts from, with its own weights. Of an Equinox module with
      state, also the pair `(module, state)`;
    - `options`: further arguments of the class or function;
    - `shape`: of one example, where it is wanted before the layer meets data.

    Images `(height, width, channels)` go channels first into modules of Equinox and PyTorch, and as they are into Flax's.

    **Raises:** `UserError` for what is no model, a missing package, and parameters that cannot be trained.
    """
    if isinstance(model, Block):
        return model.at(shape) if shape else model
    return Block(adapter_of(model, options), shape=shape)


def adapter_of(model: Any, options: Mapping[str, Any] | None = None) -> AbstractAdapter:
    """What applies a model, a class of models or a factory."""
    options = dict(options or {})
    pair = isinstance(model, tuple) and len(model) == 2 and library_of(model[0]) == "equinox"
    if library_of(model) is None and not pair and not callable(model):
        raise UserError(
            f"a model is a module of Equinox, Flax NNX or PyTorch, a class of them, or a function key -> module; got "
            f"{shown(model)}."
        )
    made = isinstance(model, type) or inspect.isroutine(model) or isinstance(model, functools.partial)
    if not made:
        made = library_of(model) is None and not pair  # an object that is called with a key
    if not made and options:
        raise UserError(f"options are for a class or a factory; {shown(model)} is a module already.")
    name = getattr(model, "__name__", type(model[0] if pair else model).__name__)
    make = functools.partial(_make, model, name, options) if made else None
    found = _first(make) if make is not None else model
    module = found[0] if isinstance(found, tuple) and found else found
    library = library_of(module)
    if isinstance(module, type) or library not in LIBRARIES:
        kind = OTHERS.get(str(library), "")
        what = f"{name} returns {shown(module)}" if made else f"got {kind and f'the {kind} model '}{shown(module)}"
        raise UserError(
            f"a model is a module of Equinox, Flax NNX or PyTorch, a class of them, or a function key -> module; {what}: "
            f"write any other as a function of its parameters, with ascribe.networks.from_function."
        )
    state = found[1] if isinstance(found, tuple) else None
    return EquinoxAdapter(name, model, options, module, state, make)


def library_of(model: Any) -> str | None:
    """The package whose module (or class of modules) something is, among those that are known here; None for others."""
    kinds = inspect.getmro(model if isinstance(model, type) else type(model))
    packages = {kind.__module__.partition(".")[0] for kind in kinds}
    if "ascribe" in packages:
        return None
    return next((package for package in (*LIBRARIES, *OTHERS) if package in packages), None)


def register_model(name: str, model: Any) -> None:
    """Makes a model, a class or a factory known by a name, from which records make blocks again."""
    made: dict[str, AbstractAdapter] = {}

    def adapter(options: Mapping[str, Any]) -> AbstractAdapter:
        key = repr(sorted(options.items()))
        if key not in made:
            made[key] = adapter_of(
                model, {name: tuple(one) if isinstance(one, list) else one for name, one in options.items()}
            )
        return made[key]

    models[name] = adapter


def check_options(call: Any, name: str, options: Mapping[str, Any]) -> None:
    """A `UserError` for an option that a class or factory does not have."""
    known, open_ended = arguments_of_call(call)
    for option in options:
        if option not in known and not open_ended:
            free = [one for one in known if one not in ("key", "rngs")]
            near = closest(option, free)
            has = f"did you mean {near[0]}" if near else f"it has {', '.join(free)}" if free else "it has none"
            raise UserError(f"the model {name} has no option {option!r}: {has}.")


def arguments_of_call(call: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """The arguments of a class or a function by name, and whether it takes any others too."""
    function = call.__init__ if isinstance(call, type) else call
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return {}, True
    found = found[1:] if isinstance(call, type) else found
    own = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_ONLY)
    return {one.name: one for one in found if one.kind in own}, any(one.kind is one.VAR_KEYWORD for one in found)


def _make(call: Any, name: str, options: Mapping[str, Any], key: Key) -> Any:
    """A model of a class or a factory, with the randomness of this key where it takes one."""
    check_options(call, name, options)
    known, _ = arguments_of_call(call)
    required = [one for one in known.values() if one.default is one.empty and one.name not in options]
    if "key" in known:
        return call(key=key, **options) if known["key"].kind is not inspect.Parameter.POSITIONAL_ONLY else call(key)
    if "rngs" in known:
        nnx = importlib.import_module("flax.nnx")
        return call(rngs=nnx.Rngs(key), **options)
    if not isinstance(call, type) and len(required) == 1 and required[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return call(key, **options)
    missing = [one.name for one in required]
    if missing:
        raise UserError(
            f"the model {name} wants {', '.join(missing)}: give it as an option, as in {name}:{missing[0]}=64, or write a "
            f"function of a key that returns it."
        )
    return call(**options)


def _first(make: Any) -> Any:
    """The model that everything is known from before any seed. PyTorch's own randomness stays as it was."""
    torch = sys.modules.get("torch")  # whoever makes its modules has imported it
    if torch is None:
        return make(jr.key(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(jr.key(0))
