"""The door for models of other libraries: it tells apart what it is given."""

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import jax.random as jr

from ascribe.checks import closest
from ascribe.errors import UserError, needed, shown
from ascribe.types import Key

from .block import AbstractAdapter, Block, models
from .from_equinox import EquinoxAdapter
from .layer import AbstractLayer, inner_layers
from .network import Network

LIBRARIES = {"equinox": "Equinox", "flax": "Flax", "torch": "PyTorch"}
"""Packages whose modules become blocks."""
OTHERS = {"keras": "Keras", "haiku": "Haiku", "tensorflow": "TensorFlow", "sklearn": "scikit-learn"}
"""Packages whose models have to be written as a function."""
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
WANTED = "a model is a module of Equinox, Flax NNX or PyTorch, a class of them, or a function key -> module"


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


def wrapped(network: Any) -> Network:
    """A network as it is; a layer, or what `from_model` takes, as a network of that alone."""
    if isinstance(network, Network):
        return network
    if isinstance(network, str):
        raise UserError(
            f"a network, or a model of Equinox, Flax NNX or PyTorch, is wanted; got {shown(network)}: a text becomes one by "
            f"ascribe.networks.build(text, input_shape=…, outputs=…)."
        )
    return Network([network if isinstance(network, AbstractLayer) else from_model(network)])


def adapter_of(model: Any, options: Mapping[str, Any] | None = None) -> AbstractAdapter:
    """What applies a model, a class of models or a factory. Of a class or function it is one object for the same options, so
    that blocks made of it at different times are of one structure."""
    if options is not None and not isinstance(options, Mapping):
        raise UserError(f"`options` are arguments by their names, as in {{'width': 16}}; got {shown(options)}.")
    options = {name: tuple(one) if isinstance(one, list) else one for name, one in (options or {}).items()}
    if isinstance(model, type) or inspect.isfunction(model):
        return _adapter_again(model, tuple(sorted(options.items())), jnp.zeros(()).dtype.name)
    return _adapter(model, options)


@functools.lru_cache(maxsize=64)
def _adapter_again(model: Any, options: tuple[tuple[str, Any], ...], precision: str) -> AbstractAdapter:
    """`precision`: JAX's own of the moment, which initial weights have."""
    return _adapter(model, dict(options))


def _adapter(model: Any, options: dict[str, Any]) -> AbstractAdapter:
    own = library_of(model) in {*LIBRARIES, *OTHERS} or _is_pair(model)
    if not own and not callable(model):
        raise UserError(f"{WANTED}; got {shown(model)}.")
    made = not own or isinstance(model, type)
    if not made and options:
        raise UserError(f"options are for a class or a factory; {shown(model)} is a module already.")
    name = name_of(model)
    make = functools.partial(_make, model, name, options) if made else None
    found: Any = first_of(model, options) if made else model
    module, state = found if _is_pair(found) else (found, None)
    library = library_of(module)
    if isinstance(module, type) or library not in LIBRARIES:
        other = OTHERS.get(str(library))
        what = f"{name} returns {shown(module)}" if made else f"got {shown(module)}"
        raise UserError(
            f"{WANTED}; {what}{f' of {other}' if other else ''}: write any other as a function of its parameters, with "
            f"ascribe.networks.from_function."
        )
    if library == "equinox":
        return EquinoxAdapter(name, model, options, module, state, make)
    if library == "flax":
        needed("flax.nnx", "flax", "a Flax module")
        from .from_flax import FlaxAdapter  # noqa: PLC0415 - imports Flax

        return FlaxAdapter(name, model, options, module, make)
    needed("torchax", "torch", "a PyTorch module")
    from .from_torch import TorchAdapter  # noqa: PLC0415 - imports PyTorch

    return TorchAdapter(name, model, options, module, make)


def _is_pair(model: Any) -> bool:
    """Whether it is an Equinox module with its state."""
    return isinstance(model, tuple) and len(model) == 2 and library_of(model[0]) == "equinox"


def name_of(model: Any) -> str:
    """What sentences and records call a model, a class or a function."""
    model = model[0] if isinstance(model, tuple) else model
    return model.__name__ if hasattr(model, "__name__") else type(model).__name__


def library_of(model: Any) -> str | None:
    """The package whose module (or class of modules) something is, among those that are known here; None for others."""
    if hasattr(model, "__func__") or (hasattr(model, "__wrapped__") and not isinstance(model, type)):
        return None  # a method or a compiled function, which in Equinox are modules
    kinds = inspect.getmro(model if isinstance(model, type) else type(model))
    packages = {kind.__module__.partition(".")[0] for kind in kinds}
    if "ascribe" in packages:
        return None
    return next((package for package in (*LIBRARIES, *OTHERS) if package in packages), None)


def code_of(source: Any) -> Any:
    """The class or function whose source is that of a model, a class or a factory."""
    source = source[0] if isinstance(source, tuple) else source
    while isinstance(source, functools.partial):
        source = source.func
    source = inspect.unwrap(source) if callable(source) else source
    return source if isinstance(source, type) or inspect.isroutine(source) else type(source)


def blocks(network: Network) -> list[Block]:
    """The blocks of a network, those inside other layers too."""
    every = [one for layer in network.templates for one in (layer, *inner_layers(layer))]
    return [one for one in every if isinstance(one, Block)]


def register_model(name: str, model: Any) -> None:
    """Makes a model, a class or a factory known by a name, from which records make blocks again."""
    found: list[AbstractAdapter] = []

    def adapter(options: Mapping[str, Any]) -> AbstractAdapter:
        if isinstance(model, type) or inspect.isfunction(model):
            return adapter_of(model, options)
        if not found:
            found.append(adapter_of(model, options))
        return found[0]

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
    own = [one for one in found if one.kind in (*POSITIONAL, one.KEYWORD_ONLY)]
    return {one.name: one for one in own}, any(one.kind is one.VAR_KEYWORD for one in found)


def _make(call: Any, name: str, options: Mapping[str, Any], key: Key) -> Any:
    """A model of a class or a factory, with the randomness of this key where it takes one."""
    check_options(call, name, options)
    known, _ = arguments_of_call(call)
    given: dict[str, Any] = dict(options)
    if "key" in known:
        given["key"] = key
    elif "rngs" in known:
        given["rngs"] = importlib.import_module("flax.nnx").Rngs(key)
    missing = [one for one in known.values() if one.default is one.empty and one.name not in given]
    if not isinstance(call, type) and len(missing) == 1 and given == options and missing[0].kind in POSITIONAL:
        return call(key, **options)
    if missing:
        first = missing[0].name
        raise UserError(
            f"the model {name} wants {', '.join(one.name for one in missing)}: give it as an option, as in {name}:{first}=64, "
            f"or write a function of a key that returns the model."
        )
    return call(**given)


def first_of(call: Any, options: Mapping[str, Any]) -> Any:
    """The model that everything is known from before any seed. PyTorch's own randomness stays as it was."""
    name = name_of(call)
    torch = sys.modules.get("torch")  # whoever makes its modules has imported it
    if torch is None:
        return _make(call, name, options, jr.key(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _make(call, name, options, jr.key(0))


def takes_nothing(call: Any) -> bool:
    """Whether a function can be called with nothing."""
    return all(one.default is not one.empty for one in arguments_of_call(call)[0].values())
