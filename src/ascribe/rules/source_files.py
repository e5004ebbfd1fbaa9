"""Python files of users, run as modules once, from a source that is kept: the file may change afterwards.

What a file imports and lies beside it (`helper.py` for `import helper`) belongs to it: it is known by its source too, goes with
it to other processes, and is found there whatever their folder and their path are. A changed neighbor makes another module.
"""

import ast
import builtins
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

MODULE = "ascribe_user_rule_"
"""How the names of these modules begin inside Python."""
SOURCE = "__source__"
"""Where a module keeps the bytes that it was run from."""


class SourceFile(NamedTuple):
    """A file: the name of its module, its path, its bytes, and the modules of its neighbors by their names in imports."""

    module: str
    path: str
    source: bytes
    neighbors: dict[str, str]


_files: dict[str, SourceFile] = {}
"""What was read here or sent here, by the name of the module."""


def run(path: Path) -> ModuleType:
    """The module of a file. The same file with the same neighbors is the same module, in every process.

    **Raises:** `OSError` where it or a neighbor cannot be read; whatever the code raises.
    """
    found = {os.path.realpath(path): path.read_bytes()}
    todo = list(found)
    beside: dict[str, dict[str, str]] = {}
    for place in todo:  # which grows
        beside[place] = dict(_beside(place, found[place]))
        for neighbor in beside[place].values():
            if neighbor not in found:
                found[neighbor] = Path(neighbor).read_bytes()
                todo.append(neighbor)
    whole = hashlib.sha256()
    for place in sorted(found):
        whole.update(os.fsencode(place) + b"\0" + found[place])
    names = {place: _name(place, whole.copy()) for place in found}
    for place, source in found.items():
        neighbors = {name: names[other] for name, other in beside[place].items()}
        shown = os.path.abspath(path) if place == todo[0] else place
        _files.setdefault(names[place], SourceFile(names[place], shown, source, neighbors))
    return _module(names[todo[0]])


def run_sent(files: list[SourceFile]) -> None:
    """Runs what another process has run (`files_run`)."""
    _files.update({file.module: file for file in files})
    for file in files:
        _module(file.module)


def files_run() -> list[SourceFile]:
    """The files that were run here."""
    return [file for file in _files.values() if file.module in sys.modules]


def files_of(module: str) -> list[SourceFile]:
    """The file of that module, and those beside it that it imports, directly or not; empty for other modules."""
    found = {module: _files[module]} if module in _files else {}
    todo = list(found)
    for name in todo:  # which grows
        for other in found[name].neighbors.values():
            if other not in found:
                found[other] = _files[other]
                todo.append(other)
    return list(found.values())


def _beside(place: str, source: bytes) -> Iterator[tuple[str, str]]:
    """The names that a file imports and that are files in its folder, with their paths."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError):  # running it tells
        return
    asked = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level <= 1:
            asked += [node.module] if node.module else [alias.name for alias in node.names]
    for name in dict.fromkeys(asked):
        file = os.path.join(os.path.dirname(place), f"{name}.py")
        if name not in sys.stdlib_module_names and os.path.isfile(file):
            yield name, os.path.realpath(file)


def _name(place: str, whole: Any) -> str:
    whole.update(os.fsencode(place))
    return f"{MODULE}{Path(place).stem}_{whole.hexdigest()[:16]}"


def _module(name: str) -> ModuleType:
    if name not in sys.modules:
        file = _files[name]
        module = ModuleType(name)
        module.__file__ = file.path
        setattr(module, SOURCE, file.source)
        if file.neighbors:
            module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _importing(file.neighbors)}
        sys.modules[name] = module
        try:
            exec(compile(file.source, file.path, "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _importing(neighbors: Mapping[str, str]) -> Any:
    """What `import` does in a file that has neighbors."""

    def importing(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name in neighbors and level <= 1:
            return _module(neighbors[name])
        if level == 1 and not name and fromlist and all(one in neighbors for one in fromlist):
            return SimpleNamespace(**{one: _module(neighbors[one]) for one in fromlist})
        return builtins.__import__(name, globals, locals, fromlist, level)

    return importing
