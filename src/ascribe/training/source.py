"""The code that a run comes from: the files of this package that decide what becomes of it, found by what imports what.

From the module of a rule (a layer, a loss, ...) its imports lead to everything that it uses. A name that comes from the face of
a folder (`from ascribe.networks import Network`) is followed to the one module that has it, so that a change of one rule leaves
the runs of another alone.
"""

import ast
import functools
import hashlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from ascribe.errors import UserError

PACKAGE = Path(__file__).parents[1]
PROGRAMS = "ascribe.training.devices"
"""What runs of every rule go through: the compiled programs, with all that they import."""
DRIVERS = tuple(f"ascribe.training.{name}" for name in ("recipe", "examples", "experiment", "driver", "trainer", "results"))
"""What puts data and runs into them and reads the scores: by its files alone, for their imports name every rule."""


PACKAGES = ("jax", "jaxlib", "equinox", "optax")
"""The packages that compute: with another version of one, numbers may differ."""


class Import(NamedTuple):
    """`from module import name as bound`; the name is empty where the module itself is imported."""

    module: str
    name: str
    bound: str


@functools.cache
def read(file: Path) -> bytes:
    """The bytes as they were when they were first asked for: later changes are not what this process runs."""
    return file.read_bytes()


@functools.cache
def _imports(text: bytes, package: str) -> tuple[Import, ...]:
    """What a file in that folder of the package imports from the package, anywhere in it but for what a notebook shows."""
    found: list[Import] = []
    todo: list[ast.AST] = [ast.parse(text)]
    for node in todo:  # which grows
        if not (isinstance(node, ast.FunctionDef) and node.name == "_repr_html_"):
            todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found += [Import(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            found += [Import(module, alias.name, alias.asname or alias.name) for alias in node.names]
    return tuple(one for one in found if ours(one.module))


def ours(module: str) -> bool:
    """Whether a module of that name belongs to this package."""
    return module.partition(".")[0] == "ascribe"


@functools.cache
def _file(folder: Path, module: str) -> Path | None:
    path = folder.joinpath(*module.split(".")[1:])
    return next((one for one in (path / "__init__.py", path.with_suffix(".py")) if one.is_file()), None)


def _meant(folder: Path, module: str, name: str) -> str:
    """The module that `from module import name` brings the name from."""
    if name and _file(folder, f"{module}.{name}") is not None:
        return f"{module}.{name}"
    file = _file(folder, module)
    if file is not None and file.name == "__init__.py":
        for one in _imports(read(file), module):
            if one.bound == name and one[:2] != (module, name):
                return _meant(folder, one.module, one.name)
    return module


def _reached(module: str, folder: Path) -> Iterator[str]:
    """The module and all that it imports, directly or not; the nearest first."""
    todo = [module]
    for name in todo:  # which grows
        yield name
        file = _file(folder, name)
        if file is not None:
            package = name if file.name == "__init__.py" else name.rpartition(".")[0]
            found = (_meant(folder, one.module, one.name) for one in _imports(read(file), package))
            todo += [name for name in dict.fromkeys(found) if name not in todo]


def _hash(modules: Iterable[str], folder: Path) -> str:
    content = hashlib.sha256()
    for module in sorted(modules):
        file = _file(folder, module)
        if file is None:
            raise UserError(
                f"runs are kept with the source that made them, and that of {module} is not among the files of {folder}: "
                f"install ascribe as .py files, not from an archive or as byte code alone."
            )
        content.update(f"{module} {hashlib.sha256(read(file)).hexdigest()}\n".encode())
    return content.hexdigest()


@functools.cache
def digest(module: str, folder: Path = PACKAGE) -> str:
    """The hash of the source of a module and of all that it imports from the package in that folder."""
    return _hash(_reached(module, folder), folder)


@functools.cache
def common(folder: Path = PACKAGE) -> str:
    """The hash of the source that runs of every rule go through."""
    return _hash({*DRIVERS, *_reached(PROGRAMS, folder)}, folder)


@functools.cache
def packages() -> tuple[tuple[str, str], ...]:
    """The packages that compute, with their versions."""
    return tuple((name, importlib.metadata.version(name)) for name in PACKAGES)


def used(code: CodeType, namespace: Mapping[str, Any]) -> list[str]:
    """The modules of this package that code of others uses: where what its names stand for comes from. What trains (`compare`
    in a script that also has a rule) is no part of what is trained."""
    names = set(_names(code))
    todo = [namespace[name] for name in names if name in namespace]
    todo += [sys.modules[name] for name in names if ours(name) and name in sys.modules]
    found: set[str] = set()
    folders: set[str] = set()
    while todo:
        one = todo.pop()
        module = one.__name__ if isinstance(one, ModuleType) else getattr(one, "__module__", None)
        if not isinstance(module, str) or not ours(module) or (module in folders and isinstance(one, ModuleType)):
            continue
        if isinstance(one, ModuleType) and hasattr(one, "__path__"):  # what is asked of it, not all that it has
            folders.add(module)
            todo += [getattr(one, asked) for asked in names if hasattr(one, asked)]
        else:
            found.add(module)
    return sorted(module for module in found if not set(DRIVERS) & set(_reached(module, PACKAGE)))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
