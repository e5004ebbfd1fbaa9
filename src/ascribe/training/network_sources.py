"""The networks that training is asked for: a text, a template, a factory, a model of another library, a file of the user's."""

import contextlib
import dataclasses
import functools
import inspect
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.random as jr

from ascribe import networks
from ascribe.checks import KindError, listed, whole
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.networks import AbstractLayer, Block, Network, foreign
from ascribe.rules import hooks, registry
from ascribe.types import Key

from .examples import flatten_for
from .loop import NetworkSource
from .model_options import options_of

DEFAULT_ACTIVATION = "relu"
UNKNOWN = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
VALUES = (
    "JAX traces a model once for all data, so choose with jnp.where or jax.lax.cond (torch.where in PyTorch) in place of a "
    "Python `if` or `while` on numbers, and leave out NumPy, `float`, `int` and `.item()`"
)
"""What JAX raises where a model looks at numbers that are not there yet, and what to try."""


@dataclasses.dataclass(frozen=True)
class NetworkOfFile:
    """A factory in a file of the user's, by its module (`rules/source_files.py`), whose name tells one source from another: so
    its fields are what a run's key needs, and what another process does. `options`: what it takes beside a key."""

    module: str
    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(self, key: Key) -> Network:
        return getattr(sys.modules[self.module], self.name)(key, **dict(self.options))


@dataclasses.dataclass(frozen=True)
class Located:
    """A factory whose networks know what their layers hold for inputs of this shape (`Network.located`)."""

    factory: Callable[[Key], Network]
    input_shape: tuple[int, ...]

    def __call__(self, key: Key) -> Network:
        return self.factory(key).located(self.input_shape)


def located(source: NetworkSource, data: Dataset) -> NetworkSource:
    """The source, with the sites inside its layers found for these data."""
    template = template_of(source, data)
    shape = flatten_for(template, data).input_shape
    if not template.composites or (template.inside is not None and template.inside.input_shape == shape):
        return source
    if isinstance(source, Network):
        return source.located(shape)
    return Located(source.factory if isinstance(source, Located) else source, shape)


def network_for(network: Any, data: Dataset, activation: str = DEFAULT_ACTIVATION) -> NetworkSource:
    """The network of a text for these data: hidden layers as `"64x64"`, or `"./my_network.py:make"`, a factory
    `key -> Network`, a network or a model of another library in a file, which is run, with options of it behind another colon;
    a model itself as a network for these data; any other network as it is. What its layers hold inside is found for these
    data.

    **Raises:** `UserError` for what is no network, and where an activation is asked for that only networks by name would take.
    """
    return located(_source(network, data, activation), data)


def _source(network: Any, data: Dataset, activation: str) -> NetworkSource:
    if isinstance(network, str) and ".py" not in network:
        return networks.build(network, input_shape=data.input_shape, outputs=data.outputs, activation=activation)
    if activation != DEFAULT_ACTIVATION:
        raise UserError(f"`activation` is for networks by name, such as '64x64'; {shown(network)} has its own: leave it out.")
    if isinstance(network, str):
        module, name, inline = registry.network_of_file(network)
        value = getattr(sys.modules[module], name)
        if inline and not (isinstance(value, type) or inspect.isroutine(value)):
            raise UserError(f"options are for a class or a function; {name} of {network} is {shown(value)}.")
        options = options_of(name, value, inline)
        model = _model(value, data, options)
        if model is not None:
            return model
        factory = callable(value) and not isinstance(value, Network)
        return NetworkOfFile(module, name, tuple(options.items())) if factory else template_of(value)
    model = _model(network, data, {})
    return network if model is None else model


def template_of(source: Any, data: Dataset | None = None) -> Network:
    """A network of the source: itself, or what the factory makes. `data`: whose inputs and outputs are no hidden layers."""
    if isinstance(source, Network):
        return source
    if not callable(source):
        sizes = listed(source) or [source]
        known = all((whole(size) or 0) > 0 for size in sizes)
        if data is not None and len(sizes) > 1 and (sizes[0], sizes[-1]) == (data.features, data.outputs):
            text, why = "x".join(map(str, sizes[1:-1])) or "linear", ", which names hidden layers alone"
        else:
            text, why = "x".join(map(str, sizes)), f" for hidden layer{'s' * (len(sizes) > 1)} of these sizes"
        hint = f': write "{text}"{why}' if known else ""
        raise UserError(
            f"a network is a text as in '64x64', an ascribe Network or a factory key -> Network; got {shown(source)}{hint}."
        )
    try:
        template = source(jr.key(0))
    except Exception as error:
        if isinstance(source, NetworkOfFile) and not isinstance(error, UserError | TypeError):
            file = sys.modules[source.module].__file__ or ""
            line = hooks.line_in(file, error)
            at = "" if line is None else f" in {file}, line {line}"
            raise UserError(f"the network factory {source.name} failed{at}: {hooks.reason(error)}.") from error
        if not isinstance(error, TypeError | KindError):
            raise
        raise UserError(
            f"a network factory takes a key alone, as in lambda key: mlp([2, 64, 1], key=key) (ascribe.networks.from_function "
            f"is for a function of parameters and inputs): {error}."
        ) from error
    if not isinstance(template, Network):
        raise UserError(f"a network factory returns an ascribe Network; got {type(template).__name__}.")
    return template


def _model(source: Any, data: Dataset, options: Mapping[str, Any]) -> Network | None:
    """The network of a model of another library, or of a layer; None where the source is none of these."""
    if isinstance(source, Block | AbstractLayer):
        return Network([_fitted(source, data) if isinstance(source, Block) else source])
    if isinstance(source, Network) or source is None:
        return None
    pair = isinstance(source, tuple) and len(source) == 2 and foreign.library_of(source[0]) == "equinox"
    if foreign.library_of(source) in foreign.OTHERS:
        block = networks.from_model(source)
    elif foreign.library_of(source) in foreign.LIBRARIES or pair or _makes_models(source, options):
        with _told(f"the model {foreign.name_of(source)} cannot be made", source):
            block = networks.from_model(source, options=options)
    else:
        return None
    return Network([_fitted(block, data)])


def _makes_models(source: Any, options: Mapping[str, Any]) -> bool:
    """Whether a function returns models of another library. What fails in it is told where it is called as a factory of
    networks, but for one that takes no key."""
    if not (inspect.isroutine(source) or isinstance(source, functools.partial)):
        return False
    try:
        found = foreign.first_of(source, options)
    except Exception as error:
        if foreign.takes_nothing(source) and not isinstance(error, UserError):
            raise UserError(_sentence(f"the model {foreign.name_of(source)} cannot be made", source, error)) from error
        return False
    found = found[0] if isinstance(found, tuple) and found else found
    return foreign.library_of(found) in {*foreign.LIBRARIES, *foreign.OTHERS}


def _fitted(block: Block, data: Dataset) -> Block:
    """The block for examples of these data, or for vectors of their numbers where it takes those alone; a `UserError` says what
    is wrong with it."""
    name, source = block.adapter.name, block.adapter.source
    failed: list[tuple[tuple[int, ...], Exception]] = []
    answered: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    for shape in dict.fromkeys((data.input_shape, (math.prod(data.input_shape),))):
        try:
            with block.adapter.explained():
                found = [block.output_shape(shape, training=training) for training in (False, True)]
        except UserError:
            raise
        except UNKNOWN as error:
            raise UserError(_sentence(f"the model {name} decides by the values of its data", source, error)) from error
        except Exception as error:
            failed.append((shape, error))
            continue
        if all(len(one) == 2 and one[0] == 2 for one in found):
            return block.at(shape)
        answered.append((shape, found[0]))
    if answered:
        shape, found = answered[0]
        own = ", ".join(map(str, ("batch", *found[1:]) if found[:1] == (2,) else found))
        axis = " (for one output too, with an axis of 1)" if len(found) == 1 else ""
        raise UserError(
            f"a model answers examples with (batch, outputs){axis}; for those of {data.name}, {shape}, {name} answers with "
            f"({own}): choose another last layer, or average over the other axes."
        )
    shape, error = failed[0]
    first = block.adapter.channels_first and len(shape) == 3
    seen = f"{shape}, channels first {(shape[2], *shape[:2])}" if first else str(shape)
    nor = f" nor of vectors of {failed[1][0][0]}" if len(failed) > 1 else ""
    what = f"the model {name} takes no examples of the shape {seen}{nor and ',' + nor}"
    raise UserError(_sentence(what, source, error)) from error


@contextlib.contextmanager
def _told(what: str, source: Any) -> Iterator[None]:
    """Within it, an error in a model's own code is a sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(_sentence(what, source, error)) from error


def _sentence(what: str, source: Any, error: Exception) -> str:
    """What went wrong in a model, with the line of its file."""
    code = foreign.code_of(source)
    file = getattr(sys.modules.get(code.__module__), "__file__", None) or ""
    own = code.__module__.partition(".")[0] not in foreign.LIBRARIES  # lines of a library help nobody
    line = hooks.line_in(file, error) if own else None
    at = "" if line is None else f" ({os.path.basename(file)}, line {line})"
    if isinstance(error, UNKNOWN):
        return f"{what}{at}: {VALUES}."
    return f"{what}{at}: {hooks.reason(error)}."
