"""What a run is known by: the hash of everything that decides what becomes of it, its code included."""

import contextlib
import dataclasses
import dis
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import CodeType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from ascribe import rules
from ascribe.checksums import checksum
from ascribe.networks import Network, foreign
from ascribe.networks.registry import layer_classes
from ascribe.rules.source_files import files_of
from ascribe.setup import meanings

from . import source
from .keeping import About
from .network_sources import template_of
from .recipe import Recipe, Specification

FOUNDATIONS = {"equinox", "jaxtyping", *sys.stdlib_module_names}
"""Packages whose classes only say what kind of class another one is."""


class Identity:
    """What the runs of a recipe are known by: everything that decides what they become, as plain JSON values.

    `context`: what all of them have in common, beside a run's specification and its number of epochs; by default that of the
    recipe here. A worker is given the sender's.
    """

    def __init__(self, recipe: Recipe, context: Mapping[str, Any] | None = None):
        self.recipe = recipe
        if context is not None:
            self.context = dict(context)

    @functools.cached_property
    def context(self) -> dict[str, Any]:
        recipe, template = self.recipe, template_of(self.recipe.source)
        data, setup = recipe.data, recipe.setup
        return {
            "common": {"code": "ascribe.training", "source": source.common()},
            "packages": [{"code": name, "source": version} for name, version in source.packages()],
            "rule": fingerprint(recipe.rule),
            "network": template.config(),
            "layers": [fingerprint(kind) for kind in layer_classes(template)],
            "models": [fingerprint(block.adapter.identity) for block in foreign.blocks(template)],
            "factory": None if isinstance(recipe.source, Network) else fingerprint(recipe.source),
            "data": [data.checksum, data.task, fingerprint(data.target_scale)],
            "setup": {name: fingerprint(value) for name, value in setup.common().items()},
            "dtype": str(template.dtype),
            # Between epochs, but not after the last: such a rule's state after 50 epochs is not one of 100 at its 50th.
            "epochs": setup.epochs if recipe.rule.acts_between_epochs else None,
        }

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """The context as people read it."""
        recipe = self.recipe
        fold = {"fold": list(recipe.data.fold)} if recipe.data.fold else {}
        of_runs = [name for name, one in meanings(type(recipe.setup)).items() if one.of_run]
        return {
            "data": {"name": recipe.data.name, "checksum": recipe.data.checksum, **fold},
            "network": str(template_of(recipe.source)),
            "rule": rules.settings(recipe.rule),
            **{name: value for name, value in recipe.setup.recorded().items() if name not in of_runs},
            "source": checksum(code_of(self.context))[:12],
        }

    def key(self, specification: Specification, *, epochs: int | None = None) -> str:
        """What a run is kept under; `epochs`: None for the key of its state, which goes on to any number of them."""
        return checksum([self._context_key, fingerprint(dataclasses.astuple(specification)), epochs])

    def finished_key(self, specification: Specification) -> str:
        """What the finished run is kept under."""
        return self.key(specification, epochs=self.recipe.setup.epochs)

    def about_run(self, specification: Specification, phase: str) -> About:
        """What a store tells of a run."""
        own = {name: np.asarray(value).tolist() for name, value in specification.hyperparameters}
        seed, rate = specification.seed, specification.learning_rate
        return About(self.recipe.name, phase, seed, rate, own, self.recipe.setup.epochs, self.about)

    @functools.cached_property
    def _context_key(self) -> str:
        return checksum(self.context)


def read_by(rule: rules.AbstractRule, network: Network) -> str:
    """What users' classes, of a rule and of a network's layers, read beside their text: a program that was traced with other
    values is another one."""
    kinds = [one for kind in (type(rule), *layer_classes(network)) for one in _of_users(kind)]
    return checksum([_held(one, code=not _sources(one.__module__)) for one in kinds])


def fingerprint(value: Any) -> Any:  # noqa: PLR0911 - one line for every kind
    """An object as plain JSON values that are equal where it does the same: arrays by their bytes, functions by their code and
    what they close over, objects by their class and fields. Classes and functions of this package are known by the source of
    their module and of all that it imports; classes from outside by their file and those of their bases, and, as functions from
    outside, by what they use of this package.

    What cannot be told apart so (an object with no fields of its own) is known by its `repr`: where that names an address, it
    is never taken for the same in another process.
    """
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Mapping):
        return {"mapping": [[fingerprint(key), fingerprint(one)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return [fingerprint(one) for one in value]
    if isinstance(value, set | frozenset):  # their order is another one in every process
        return {"set": sorted(json.dumps(fingerprint(one)) for one in value)}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _array(value)
    if isinstance(value, type):
        return _once(value, _class)
    if isinstance(value, functools.partial):
        return ["partial", *map(fingerprint, (value.func, value.args, value.keywords))]
    if inspect.ismethod(value):
        return ["method", fingerprint(value.__self__), value.__name__]
    if callable(value) and not isinstance(value, type) and hasattr(value, "__wrapped__"):  # such as a compiled function
        return fingerprint(inspect.unwrap(value))
    if inspect.isfunction(value):
        return _once(value, _function)
    if dataclasses.is_dataclass(value):
        fields = {field.name: fingerprint(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return [fingerprint(type(value)), fields]
    return f"{type(value).__module__}.{type(value).__qualname__} {value!r}"


def _array(value: Any) -> list[Any]:
    key = isinstance(value, jax.Array) and jax.numpy.issubdtype(value.dtype, jax.dtypes.prng_key)
    array = np.asarray(jax.random.key_data(value) if key else value)
    return [array.dtype.str, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]


def _once(value: Any, known: Callable[[Any], list[Any]]) -> Any:
    """What a function or a class is known by; inside itself, as where a function calls itself, its name."""
    within = _within.get()
    if any(value is one for one in within):
        return _name(value)
    token = _within.set((*within, value))
    try:
        return known(value)
    finally:
        _within.reset(token)


_within: ContextVar[tuple[Any, ...]] = ContextVar("within", default=())


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _told(name: str, digest: str) -> dict[str, str]:
    """Code by its name and the hash of its source: what `code_of` finds."""
    return {"code": name, "source": digest}


def _module(name: str) -> dict[str, str]:
    return _told(name, source.digest(name))


def _function(function: Any) -> list[Any]:
    own, cells = source.ours(function.__module__ or ""), _cells(function)
    digest = source.digest(function.__module__) if own else checksum(_code(function.__code__))
    used = [] if own else source.used(function.__code__, function.__globals__)
    held = [] if own and not cells else [function.__defaults__, function.__kwdefaults__, cells]
    return [
        _told(_name(function), digest),
        *map(_module, used),
        *map(fingerprint, held),
        *([] if own else _read(function)),
    ]


def _read(function: Any, *, code: bool = True) -> list[Any]:
    """What a function reads from its module by name: plain values and, with `code`, the module's functions and classes."""
    found = []
    for name in sorted(set(_globals(function.__code__)) & function.__globals__.keys()):
        value = function.__globals__[name]
        is_code = inspect.isroutine(value) or isinstance(value, type) or hasattr(value, "__wrapped__")
        of_module = code and is_code and getattr(value, "__module__", None) == function.__module__
        if of_module or _plain(value):
            found.append([name, fingerprint(value)])
    return found


def _globals(code: CodeType) -> Iterator[str]:
    yield from (one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL")
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant)


def _cells(function: Any) -> list[Any]:
    """What a function closes over, but for the class that it is a method of."""
    named = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return [cell.cell_contents for name, cell in named if name != "__class__"]


def _held(kind: type, *, code: bool) -> list[Any]:
    """What is not in the text of a class: what its methods close over and read from their module (functions and classes there
    with `code`), and the plain values of its attributes. All of them may have been set later."""
    found = []
    for name, value in sorted(vars(kind).items()):
        function = inspect.unwrap(getattr(value, "__func__", None) or getattr(value, "fget", None) or value)
        if inspect.isfunction(function):
            # Dataclasses write some methods, of what the text says.
            generated = function.__code__.co_qualname.startswith("__create_fn__")
            found += [] if generated else [name, *map(fingerprint, _cells(function)), *_read(function, code=code)]
        elif not name.startswith("__") and _plain(value):
            found.append([name, fingerprint(value)])
    return found


def _plain(value: Any) -> bool:
    """Whether it is a number, a word or an array, or some of them."""
    if isinstance(value, tuple):
        return all(map(_plain, value))
    kinds = (int, float, str, np.ndarray, np.generic, jax.Array, type(None))
    return isinstance(value, kinds) and not isinstance(value, Tracer)


def _class(kind: type) -> list[Any]:
    """A class by its name and the source of itself and its bases: those from outside this package by their file, or by their
    methods where they have none, and what they hold beside it."""
    own: list[str] = []
    held: list[Any] = []
    used: set[str] = set()
    users = _of_users(kind)
    for one in kind.__mro__:
        if source.ours(one.__module__):
            used.add(one.__module__)
        elif one in users:
            texts, codes = _sources(one.__module__), []
            held += _held(one, code=not texts)
            for name, text in texts.items():
                own.append(hashlib.sha256(text).hexdigest())
                with contextlib.suppress(SyntaxError):  # it was another one when it was loaded, or is no Python
                    codes.append((compile(text, name, "exec"), name))
            if not texts:
                methods = [method.__code__ for _, method in sorted(vars(one).items()) if inspect.isfunction(method)]
                own.append(checksum(list(map(_code, methods))))
                codes = [(code, one.__module__) for code in methods]
            for code, name in codes:
                used.update(source.used(code, vars(sys.modules[name]) if name in sys.modules else {}))
    return [_told(_name(kind), checksum(own)), *map(_module, sorted(used)), *held]


def _of_users(kind: type) -> list[type]:
    """A class and its bases, but for those of this package and of what they are built on."""
    outside = [one for one in kind.__mro__ if not source.ours(one.__module__)]
    return [one for one in outside if one is kind or one.__module__.split(".")[0] not in FOUNDATIONS]


def _sources(module: str) -> dict[str, bytes]:
    """The source of a module by its name, and of those beside it that it is made of: what a user's file was run from, or what
    a module's file says now; empty where it has none."""
    kept = {file.module: file.source for file in files_of(module)}
    file = Path(getattr(sys.modules.get(module), "__file__", None) or "")
    return kept or ({module: file.read_bytes()} if file.is_file() else {})


def code_of(content: Any) -> list[tuple[str, str]]:
    """The code that fingerprints name: the name and the hash of the source of each."""
    if isinstance(content, Mapping):
        if content.keys() == {"code", "source"}:
            return [(content["code"], content["source"])]
        content = list(content.values())
    return [one for part in content for one in code_of(part)] if isinstance(content, list | tuple) else []


def _code(code: CodeType) -> list[Any]:
    constants = [_code(one) if isinstance(one, CodeType) else fingerprint(one) for one in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]
