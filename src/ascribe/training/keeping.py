"""What keeps finished runs, and the state of those under way, so that nothing is computed twice and nothing is lost.

A run is known by its content: rule, network, data, settings, seed, rate. What `ascribe.store` keeps under such a key is taken
from there instead of being trained; a run that was cut off goes on from its last checkpoint, to the same result.
"""

import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from ascribe.rules.source_files import files_of

from . import source

FOUNDATIONS = {"equinox", "jaxtyping", *sys.stdlib_module_names}
"""Packages whose classes only say what kind of class another one is."""


class Kept(NamedTuple):
    """A finished run. `curves`: `(epochs,)` each; `networks`: the leaves of what prediction uses, None where only the curves
    were wanted; `scores`: those on the test split, None where it was not looked at; `class_maps`: those of some epochs
    (`class_maps.py`), None where none were wanted."""

    curves: dict[str, np.ndarray]
    diverged_at: int
    networks: list[np.ndarray] | None
    scores: dict[str, float] | None
    seconds: float
    class_maps: dict[int, np.ndarray] | None = None


class Checkpoint(NamedTuple):
    """Runs under way, side by side: how many epochs they have been through, the leaves of their state, the seconds they
    took, and their class maps so far."""

    epoch: int
    leaves: list[np.ndarray]
    seconds: float = 0.0
    class_maps: dict[int, np.ndarray] | None = None


class About(NamedTuple):
    """What the store tells of a run beside its numbers; plain JSON values."""

    rule: str
    phase: str
    seed: int
    learning_rate: float
    hyperparameters: dict[str, Any]
    epochs: int
    context: dict[str, Any]


@runtime_checkable
class Keeper(Protocol):
    """Where runs are kept. Keys are content hashes; a key of several runs side by side is that of their keys."""

    @property
    def stopping(self) -> bool:
        """Whether the work should end at the next occasion, with everything kept."""
        ...

    def finished(self, keys: Sequence[str]) -> dict[str, Kept]:
        """Those of the runs that are finished."""
        ...

    def finish(self, done: Mapping[str, tuple[About, Kept]]) -> None:
        """Keeps finished runs, all or none."""
        ...

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Keeps the test scores of finished runs."""
        ...

    def checkpoint(self, key: str) -> Checkpoint | None:
        """The last state of these runs."""
        ...

    def save(self, key: str, checkpoint: Checkpoint) -> None:
        """Keeps the state of these runs instead of an earlier one."""
        ...

    def forget(self, key: str) -> None:
        """No state of these runs is kept any more."""
        ...

    def outdated(self, rule: str, epochs: int, context: Mapping[str, Any]) -> list[Any]:
        """The finished runs of a rule that are the same by all that is told of them but were made by other code: the seed, the
        learning rate and the hyper-parameters of each."""
        ...

    def agreed(self, name: str, value: int) -> int:
        """The value under that name: this one where there is none yet."""
        ...


def key_of(content: Any) -> str:
    """The hash of plain JSON values."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
        array = np.asarray(value)
        return [array.dtype.str, list(array.shape), hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()]
    if isinstance(value, type):
        return _class(value)
    if isinstance(value, functools.partial):
        return ["partial", *map(fingerprint, (value.func, value.args, value.keywords))]
    if inspect.ismethod(value):
        return ["method", fingerprint(value.__self__), value.__name__]
    if callable(value) and not isinstance(value, type) and hasattr(value, "__wrapped__"):  # such as a compiled function
        return fingerprint(inspect.unwrap(value))
    if inspect.isfunction(value):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        own = source.ours(value.__module__ or "")
        digest = source.digest(value.__module__) if own else key_of(_code(value.__code__))
        used = [] if own else source.used(value.__code__, value.__globals__)
        held = [] if own and not cells else [value.__defaults__, value.__kwdefaults__, cells]
        return [_told(_name(value), digest), *map(_module, used), *map(fingerprint, held)]
    if dataclasses.is_dataclass(value):
        fields = {field.name: fingerprint(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return [fingerprint(type(value)), fields]
    return f"{type(value).__module__}.{type(value).__qualname__} {value!r}"


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _told(name: str, digest: str) -> dict[str, str]:
    """Code by its name and the hash of its source: what `code_of` finds."""
    return {"code": name, "source": digest}


def _module(name: str) -> dict[str, str]:
    return _told(name, source.digest(name))


def _class(kind: type) -> list[Any]:
    """A class by its name and the source of itself and its bases: those from outside this package by their file, or by their
    methods where they have none."""
    own: list[str] = []
    used: set[str] = set()
    for one in kind.__mro__:
        if source.ours(one.__module__):
            used.add(one.__module__)
        elif one is kind or one.__module__.split(".")[0] not in FOUNDATIONS:
            texts, codes = _sources(one.__module__), []
            for name, text in texts.items():
                own.append(hashlib.sha256(text).hexdigest())
                with contextlib.suppress(SyntaxError):  # it was another one when it was loaded, or is no Python
                    codes.append((compile(text, name, "exec"), name))
            if not texts:
                methods = [method.__code__ for _, method in sorted(vars(one).items()) if inspect.isfunction(method)]
                own.append(key_of(list(map(_code, methods))))
                codes = [(code, one.__module__) for code in methods]
            for code, name in codes:
                used.update(source.used(code, vars(sys.modules[name]) if name in sys.modules else {}))
    return [_told(_name(kind), key_of(own)), *map(_module, sorted(used))]


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
