"""Rules, layers and networks in Python files of users, and the sentences for what is wrong in them."""

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ascribe.checks import closest
from ascribe.errors import UserError, shown
from ascribe.networks.registry import register_layers_of

from . import hooks, source_files
from .base import AbstractRule
from .options import parts_of


def refuse(what: str, error: BaseException, file: str) -> NoReturn:
    """Raises the sentence for an error in code that was loaded here, with its line in that file; of somebody's Ctrl-C, that."""
    line = hooks.line_in(file, error)
    if isinstance(error, KeyboardInterrupt) and line is None:
        raise error
    place = "" if line is None else f" (line {line})"
    raise UserError(f"{what}: {hooks.reason(error)}{place}{hooks.hint(error)}.") from error


def class_of_file(path: Path, attribute: str) -> type[AbstractRule]:
    if not os.path.isfile(path):
        raise UserError(f"there is no rule file {str(path)!r}: write the path of a Python file, as in ./my_rule.py:MyRule.")
    module = _run(path, "rule file")
    if attribute:
        if not hasattr(module, attribute):
            raise UserError(_undefined(str(path), attribute, module))
        return check_class(getattr(module, attribute), f"{path}:{attribute}")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, AbstractRule) and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        raise UserError(f"the file {str(path)!r} defines {len(own)} rules: name one, as in {path}:MyRule.")
    return own[0]


def layers_of_file(path: Path) -> list[str]:
    """Runs a Python file and registers the layer classes that it defines; their names.

    **Raises:** `UserError` where there is no such file, it cannot be run, or it defines no layer.
    """
    if not os.path.isfile(path):
        raise UserError(f"there is no file of layers {str(path)!r}: write the path of a Python file, as in ./my_layers.py.")
    found = register_layers_of(_run(path, "file of layers"))
    if not found:
        raise UserError(f"the file {str(path)!r} defines no layer: a layer is a class that derives from AbstractLayer.")
    return found


def network_of_file(text: str) -> tuple[str, str, str]:
    """The module and the name of the network, the model or the factory that `PATH.py:NAME` names, and the options behind
    another colon. The file is run.

    **Raises:** `UserError` where there is no such file, it cannot be run, or it has no such name.
    """
    path, name, inline = parts_of(text)
    if not path.endswith(".py") or not name:
        raise UserError(f"a network of a file is PATH.py:NAME, as in ./my_network.py:make; got {shown(text)}.")
    if not os.path.isfile(path):
        raise UserError(f"there is no file {path!r}: write the path of a Python file, as in ./my_network.py:make.")
    module = _run(Path(path), "file of a network")
    if not hasattr(module, name):
        raise UserError(_undefined(path, name, module))
    return module.__name__, name, inline


def _undefined(path: str, name: str, module: ModuleType) -> str:
    own = [one for one, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    meant = "".join(f": did you mean {one!r}?" for one in closest(name, own))
    return f"the file {path!r} defines no {name!r}{meant or '.'}"


def _run(path: Path, what: str) -> ModuleType:
    """The module of a Python file of a user, whose layers are registered."""
    try:
        module = source_files.run(path)
    except OSError as error:
        if error.filename is None:
            refuse(f"the {what} {str(path)!r} cannot be run", error, os.path.abspath(path))
        raise UserError(f"the {what} {str(path)!r} cannot be read: {error.strerror}.") from error
    except BaseException as error:
        refuse(f"the {what} {str(path)!r} cannot be run", error, os.path.abspath(path))
    for file in source_files.files_of(module.__name__):
        register_layers_of(sys.modules.get(file.module, module))
    return module


def check_class(value: Any, name: str) -> type[AbstractRule]:
    if not (isinstance(value, type) and issubclass(value, AbstractRule)):
        raise UserError(f"{name} is no rule: a rule is a class that derives from ascribe.rules.AbstractRule.")
    return value
