"""Rules by name: ours, those of installed packages (entry points of the group `ascribe.rules`), and files."""

import ast
import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import math
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import equinox as eqx
import numpy as np

from ascribe import notebook
from ascribe.arguments import explained
from ascribe.errors import UserError, shown

from . import hooks, rule_files
from .b_functions import Named, Plain
from .base import AbstractRule

FILE_MODULE = "ascribe_user_rule_"
"""How the module of a rule file is called inside Python."""
SOURCE = "__source__"
"""Where that module keeps the bytes that it was run from."""


class Entry(NamedTuple):
    """One row of the table: where the class is, what it is built with, one line about it and its source."""

    module: str
    attribute: str
    description: str
    source: str
    options: dict[str, Any] = {}  # noqa: RUF012 - a constant


TABLE: dict[str, Entry] = {
    "backpropagation": Entry(
        "backpropagation", "Backpropagation", "every term exact: the gradient of the loss", "Rumelhart et al. (1986)"
    ),
    "feedback-alignment": Entry(
        "feedback_alignment",
        "FeedbackAlignment",
        "fixed random weights carry the error back",
        "Lillicrap et al. (2016)",
    ),
    "direct-feedback-alignment": Entry(
        "direct_feedback_alignment",
        "DirectFeedbackAlignment",
        "the output error reaches every layer at once, through fixed random weights",
        "Nøkland (2016)",
    ),
    "sign-symmetry": Entry(
        "sign_symmetry",
        "SignSymmetry",
        "the weights' signs, all of one size, carry the error back",
        "Liao et al. (2016)",
        {"kind": "uniform"},
    ),
    "sign-symmetry-batch-random": Entry(
        "sign_symmetry",
        "SignSymmetry",
        "the weights' signs with sizes drawn anew for every batch",
        "Liao et al. (2016)",
        {"kind": "batch-random"},
    ),
    "sign-symmetry-fixed-random": Entry(
        "sign_symmetry",
        "SignSymmetry",
        "the weights' signs with sizes drawn once",
        "Liao et al. (2016)",
        {"kind": "fixed-random"},
    ),
    "kolen-pollack": Entry(
        "kolen_pollack",
        "KolenPollack",
        "feedback weights that learn to be the weights: same gradient, same decay",
        "Kolen & Pollack (1994); Akrout et al. (2019)",
    ),
    "b-function": Entry(
        "b_function",
        "BFunction",
        "another function g(z) in place of σ'(z): softplus's derivative, or b-function:NAME",
        "Function changes in the Backpropagation equation …, (1)–(5)",
        {"derivative": "softplus"},
    ),
    "gradient-noise": Entry(
        "gradient_noise",
        "GradientNoise",
        "backpropagation with noise that fades from step to step",
        "Neelakantan et al. (2015)",
    ),
    "gradient-noise-matched": Entry(
        "gradient_noise",
        "MatchedNoise",
        "backpropagation with noise of the size of what b-function changes",
        "ours, after Neelakantan et al. (2015)",
    ),
    "forward-pass": Entry(
        "forward_pass",
        "ForwardPass",
        "no backward pass: which neurons activated, the label, and the size of the weights",
        "Lerman (2021)",
    ),
    "forward-pass-one-versus-rest": Entry(
        "forward_pass",
        "ForwardPassOneVersusRest",
        "the forward-pass rule for several classes, each against the rest",
        "ours, after Lerman (2021)",
    ),
    "relaxed-identity": Entry(
        "relaxed_identity",
        "RelaxedIdentity",
        "an auxiliary activation for every example and layer, so that layers learn apart",
        "Mertens Velasquez, Relaxed Activation Identity",
        {
            "kind": "persistent",
            "coordinates": "residual",
            "hidden_loss": "sum",
            "hidden_weight": 100.0,
            "inner_steps": "depth",
            "inner_rate": 1.0,
            "consolidate": "never",
        },
    ),
    "relaxed-identity-transient": Entry(
        "relaxed_identity",
        "RelaxedIdentity",
        "auxiliary activations from each batch's forward pass, relaxed for a few steps",
        "ours, after Mertens Velasquez",
        {"kind": "transient", "hidden_loss": "sum", "inner_steps": 5},
    ),
    "perceptron": Entry(
        "perceptron",
        "Perceptron",
        "on each mistake, add the example: one layer, unit steps from 0",
        "Rosenblatt (1957); Farrahi (2020)",
    ),
    "finite-differences": Entry(
        "finite_differences",
        "FiniteDifferences",
        "two evaluations of the loss for every weight: no derivative anywhere",
        "Neural networks (course notes), section 3.1.2",
    ),
}


def names() -> list[str]:
    """Every registered rule, ours first, then those of installed packages."""
    return [*TABLE, *(point.name for point in _entry_points() if point.name not in TABLE)]


def describe(name: str) -> Entry:
    """The row of a registered rule; for an installed package's rule, made from its docstring."""
    _check_text(name)
    if name in TABLE:
        return TABLE[name]
    rule_class = _load_class(name)
    first_line = (rule_class.__doc__ or "").strip().split("\n")[0]
    return Entry(rule_class.__module__, rule_class.__name__, first_line, rule_class.__module__)


def about(name: str, settings: Mapping[str, Any]) -> str:
    """One line on the rule that ran under that name with these `settings`: of ours, what the table says; of one from a file,
    how its docstring begins, read from the kept source, which is not run; empty where neither is known."""
    row = TABLE.get(name.partition(":")[0])
    if row is not None:
        return f"{row.description}; {row.source}"
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        for node in ast.parse(str(settings.get("source", ""))).body:
            if isinstance(node, ast.ClassDef) and node.name == str(settings.get("class")).rpartition(":")[2]:
                return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return ""


def get(name: str, **options: Any) -> AbstractRule:
    """A rule, built with `options` (its constructor's arguments).

    `name` is a registered name, a beginning that only one of them has (`backprop`), or `PATH.py:Class` for a rule of
    your own (`PATH.py` alone if the file defines one rule). A Python file is run. `PATH.json` is a b-function that `ascribe
    discover` found; `b-function:tanh` or `b-function:relu1=tanh;relu2=0.5` says what is put where, and
    `gradient-noise-matched:tanh` is the noise of that size.
    """
    _check_text(name)
    path, attribute = (name, "") if ".py:" not in name else (name[: name.rindex(":")], name[name.rindex(":") + 1 :])
    if path.endswith(".py"):
        return _build(name, _class_of_file(Path(path), attribute), options)
    if name.endswith(".json"):
        return _build(name, lambda **more: rule_files.load(Path(name), **more), options)
    name, _, inline = name.partition(":")
    full = _complete(name)
    row = TABLE.get(full)
    if inline:
        options = _inline(full, inline) | options
    if row is None:
        return _build(full, _load_class(full), options)
    rule_class = getattr(importlib.import_module(f"{__package__}.{row.module}"), row.attribute)
    return _build(full, rule_class, {**row.options, **options})


def full_name(name: str) -> str:
    """The registered name that `name` stands for; for a file, its stem and class, as in `my_rule:MyRule`."""
    _check_text(name)
    if ".py:" in name or name.endswith(".py"):
        path, _, attribute = name.partition(".py")
        return Path(path).name + attribute
    if name.endswith(".json"):
        return Path(name).stem
    name, colon, inline = name.partition(":")
    return _complete(name) + colon + inline


@explained
def settings(rule: AbstractRule) -> dict[str, Any]:
    """A rule's class, the values of its fields, and the source of its file if it is a user's, as plain JSON values."""
    found: dict[str, Any] = {"class": f"{type(rule).__module__}.{type(rule).__qualname__}"}
    for field in dataclasses.fields(rule):
        found[field.name] = _plain(getattr(rule, field.name))
    if type(rule).__module__.startswith(FILE_MODULE):
        module = sys.modules[type(rule).__module__]
        source = importlib.util.decode_source(getattr(module, SOURCE))
        found |= {"class": f"{Path(module.__file__ or '').name}:{type(rule).__qualname__}", "source": source}
    return found


def to_html(rule: AbstractRule) -> str:
    """A rule as a notebook shows it: what it is, the tasks it can do, its source, and the values of its fields."""
    name, kind = name_of(rule), type(rule)
    place = kind.__module__, kind.__name__
    entry = TABLE.get(name) or next((row for row in TABLE.values() if _place(row) == place), None)
    documented = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    about = entry.description if entry and name in TABLE else documented
    rows = [("Tasks", "all" if len(rule.tasks) == 3 else ", ".join(rule.tasks))]
    rows += [("Source", entry.source)] if entry else []
    rows += [("Forces", ", ".join(f"{name} {value}" for name, value in rule.forced.items()))] if rule.forced else []
    rows += [(field.name, _shown(getattr(rule, field.name))) for field in dataclasses.fields(rule)]
    return notebook.shown(name, notebook.sentences([about] if about else []), notebook.table((), rows, words=2))


def _shown(value: Any) -> str:
    """A field in a few words."""
    if eqx.is_array(value) and value.ndim:
        return f"{'×'.join(map(str, value.shape))} numbers"
    if eqx.is_inexact_array(value):
        return f"{float(value):.4g}"
    module = isinstance(value, eqx.Module) and not isinstance(value, Named | Plain)
    text = type(value).__name__ if module else str(_plain(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line for every kind
    """A field as a plain JSON value: arrays as lists, a module as its fields, any other object as its `repr`."""
    if isinstance(value, float) and not math.isfinite(value):  # JSON has no such number
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Named | Plain):
        return value.name if isinstance(value, Named) else value.function.__qualname__
    if isinstance(value, eqx.Module) and dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": type(value).__qualname__, **fields}
    if eqx.is_array(value):
        return _plain(np.asarray(value).tolist())
    return getattr(value, "__qualname__", repr(value))


def _inline(name: str, text: str) -> dict[str, Any]:
    """What follows the colon in `b-function:tanh` (one g for all hidden activations) or `b-function:relu1=tanh;relu2=0.5`, as
    options of the rule. After `gradient-noise-matched` it is the b-function whose size the noise has."""
    if name == "gradient-noise-matched":
        return {"of": get(f"b-function:{text}")}
    if name != "b-function":
        raise UserError(
            f"b-function and gradient-noise-matched take something after a colon, as in b-function:tanh; got {name}:{text}."
        )
    if "=" not in text:
        return {"derivative": text.strip()}
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if not all(layer.strip() and equals and g.strip() for layer, equals, g in pairs):
        raise UserError(f"b-functions by layer are written as b-function:relu1=tanh;relu2=0.5; got {text!r}.")
    return {"derivative": {layer.strip(): g.strip() for layer, _, g in pairs}}


def name_of(rule: AbstractRule) -> str:
    """The registered name of a rule that was built elsewhere; the name of its class where there is none."""
    for name, row in TABLE.items():
        same = _place(row) == (type(rule).__module__, type(rule).__name__)
        if same and all(getattr(rule, option) == getattr(get(name), option) for option in row.options):
            return name
    return type(rule).__name__


def _place(row: Entry) -> tuple[str, str]:
    """The module and the name of a row's class."""
    return f"{__package__}.{row.module}", row.attribute


def _build(name: str, rule_class: Callable[..., AbstractRule], options: dict[str, Any]) -> AbstractRule:
    try:
        return rule_class(**options)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise UserError(f"the rule {name} cannot be built with {options or 'no options'}: {reason}.") from error
    except BaseException as error:
        _refuse(f"the rule {name} cannot be built with {options or 'no options'}", error, hooks.file_of(rule_class))


def _check_text(name: Any) -> None:
    if not isinstance(name, str):
        raise UserError(f"a rule's name is a text, as in 'backpropagation'; got {shown(name)}.")


def _refuse(what: str, error: BaseException, file: str) -> NoReturn:
    """Raises the sentence for an error in code that was loaded here, with its line in that file; of somebody's Ctrl-C, that."""
    line = hooks.line_in(file, error)
    if isinstance(error, KeyboardInterrupt) and line is None:
        raise error
    place = "" if line is None else f" (line {line})"
    raise UserError(f"{what}: {hooks.reason(error)}{place}.") from error


def _complete(name: str) -> str:
    if name in TABLE:  # without a look at all installed packages, which takes longer than a step of training
        return name
    known = names()
    if name in known:
        return name
    beginning = [other for other in known if name and other.startswith(name)]
    if len(beginning) == 1:
        return beginning[0]
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else "list them with `ascribe rules`."
    if len(beginning) > 1:
        hint = f"it could be {' or '.join(beginning)}."
    raise UserError(f"unknown rule {name!r}: {hint}")


def _entry_points() -> list:
    return list(entry_points(group="ascribe.rules"))


def _load_class(name: str) -> type[AbstractRule]:
    for point in _entry_points():
        if point.name == name:
            try:
                loaded = point.load()
            except BaseException as error:
                _refuse(f"the rule {name} of {point.value} cannot be imported", error, "")
            return _check_class(loaded, name)
    raise UserError(f"unknown rule {name!r}: list them with `ascribe rules`.")


def module_of(name: str, path: str, source: bytes) -> ModuleType:
    """The module of a rule file: run once from its source, which it keeps, as the file may change afterwards. Two rules of one
    file are of one module, so that both can be sent to another process."""
    if name not in sys.modules:
        module = ModuleType(name)
        module.__file__ = path
        setattr(module, SOURCE, source)
        sys.modules[name] = module
        try:
            exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def rule_file_modules() -> list[tuple[str, str, bytes]]:
    """The rule files that were run: the module's name, the path and the source of each."""
    found = [module for name, module in sys.modules.items() if name.startswith(FILE_MODULE)]
    return [(module.__name__, str(module.__file__), getattr(module, SOURCE)) for module in found]


def _class_of_file(path: Path, attribute: str) -> type[AbstractRule]:
    if not os.path.isfile(path):
        raise UserError(
            f"there is no rule file {str(path)!r}: write the path of a Python file, as in ./my_rule.py:MyRule."
        )
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UserError(f"the rule file {str(path)!r} cannot be read: {error.strerror}.") from error
    where = os.path.abspath(path)
    place = hashlib.sha256(b"\0".join([os.path.realpath(path).encode(errors="surrogateescape"), source])).hexdigest()[
        :16
    ]
    module_name = (
        f"{FILE_MODULE}{path.stem}_{place}"  # the same in every process, another one when the file is another one
    )
    try:
        module = module_of(module_name, where, source)
    except BaseException as error:
        _refuse(f"the rule file {str(path)!r} cannot be run", error, where)
    if attribute:
        if not hasattr(module, attribute):
            raise UserError(f"the file {str(path)!r} defines no {attribute!r}.")
        return _check_class(getattr(module, attribute), f"{path}:{attribute}")
    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, AbstractRule) and value.__module__ == module_name
    ]
    if len(own) != 1:
        raise UserError(f"the file {str(path)!r} defines {len(own)} rules: name one, as in {path}:MyRule.")
    return own[0]


def _check_class(value: Any, name: str) -> type[AbstractRule]:
    if not (isinstance(value, type) and issubclass(value, AbstractRule)):
        raise UserError(f"{name} is no rule: a rule is a class that derives from ascribe.rules.AbstractRule.")
    return value
