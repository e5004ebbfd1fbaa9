"""Rules by name: ours, those of installed packages (entry points of the group `ascribe.rules`), and files."""

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import math
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from ascribe import notebook
from ascribe.checks import explained
from ascribe.errors import UserError, shown

from . import hooks, options, rule_files, source_files
from .b_function import BFunction
from .b_functions import Named, Plain
from .base import TOLD, AbstractRule
from .gradient_noise import MatchedNoise
from .options import BETWEEN_OPTIONS, parts_of, value_text
from .table import BY_DEFAULT, TABLE, Entry
from .user_files import check_class, class_of_file, layers_of_file, network_of_file, refuse  # noqa: F401

SHORT = {
    "bp": "backpropagation",
    "fa": "feedback-alignment",
    "dfa": "direct-feedback-alignment",
    "kp": "kolen-pollack",
    "drtp": "direct-random-target-projection",
    "dkp": "direct-kolen-pollack",
    "ifa": "indirect-feedback-alignment",
    "dtp": "target-propagation",
    "pc": "predictive-coding",
    "ep": "equilibrium-propagation",
    "ff": "forward-forward",
}
"""Short names of the literature."""
NUMBERS_OF_B_FUNCTIONS = ("scale",)
"""Options of b-functions and their noise that are no names of layers."""
_BETWEEN_RULES = re.compile(r",(?!\s*\w+\s*=)")


def names() -> list[str]:
    """Every registered rule, ours first, then those of installed packages."""
    return [*TABLE, *(point.name for point in _entry_points() if point.name not in TABLE)]


def default_names() -> list[str]:
    """The rules of a comparison that names none: one of each kind of ours, and those of installed packages."""
    return [name for name in names() if name in BY_DEFAULT or name not in TABLE]


@explained
def split_names(text: str) -> list[str]:
    """Names of rules with commas between; a comma before `NAME=` belongs to the options of the rule before it.

    >>> split_names("bp,kp:decay=0.1,scale=2,fa")
    ['bp', 'kp:decay=0.1,scale=2', 'fa']
    """
    return [name.strip() for name in _BETWEEN_RULES.split(text) if name.strip()]


def describe(name: str) -> Entry:
    """The row of a registered rule; for an installed package's rule, made from its docstring."""
    _check_text(name)
    if name in TABLE:
        return TABLE[name]
    rule_class = _load_class(name)
    first_line = (rule_class.__doc__ or "").strip().split("\n")[0]
    return Entry(rule_class, first_line, rule_class.__module__)


@explained
def about(name: str, settings: Mapping[str, Any]) -> str:
    """One line on the rule that ran under that name with these `settings`: of ours, what the table says; of one from a file,
    how its docstring begins, read from the kept source, which is not run; empty where neither is known."""
    _check_text(name)
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

    `name` is a registered name, a beginning that only one of them has (`backprop`), a short name of the literature (`bp`, `fa`,
    `dfa`, `drtp`, `dtp`, `pc`, …), or `PATH.py:Class` for a rule of your own (`PATH.py` alone if the file defines one rule). A
    Python file is run. Options follow after a colon, with commas or semicolons between: `fa:scale=0.5`,
    `forward-pass:inactive=all,natural=no`,
    `./my_rule.py:MyRule:gain=2`; of a list, the parts with + between, `relaxed-identity:layers=linear1+linear2`, or `none`.

    `PATH.json` is a b-function that `ascribe discover` found; `b-function:tanh` or `b-function:relu1=tanh;relu2=0.5` says what
    is put where, and `gradient-noise-matched:tanh` is the noise of that size.

    >>> get("fa:scale=0.5")
    FeedbackAlignment(scale=0.5)
    """
    _check_text(name)
    place, attribute, inline = parts_of(name)
    if place.endswith(".py"):
        rule_class, row = class_of_file(Path(place), attribute), None
    elif place.endswith(".json"):
        own = _options(name, BFunction, inline)
        return _build(name, lambda **more: rule_files.load(Path(place), **more), own | options, options)
    else:
        place = _complete(place, name)
        row = TABLE.get(place)
        rule_class = _load_class(place) if row is None else row.kind
    own = _options(name, rule_class, inline)
    return _build(name, rule_class, {**(row.options if row else {}), **own, **options}, options)


def made(rule: Any) -> Any:
    """The rule of a name, or of a class that needs no options; a rule, and whatever else it is, as it is.

    **Raises:** `UserError` for a class that needs options: which, and how a rule is made of it.
    """
    if isinstance(rule, str):
        return get(rule)
    if not (isinstance(rule, type) and issubclass(rule, AbstractRule)):
        return rule
    try:
        return rule()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the rule {rule.__name__} cannot be built without options ({error}): build it, as in {rule.__name__}(…)."
        ) from error


def full_name(name: str) -> str:
    """The registered name that `name` stands for; for a file, its stem and class, as in `my_rule:MyRule`; with its options.

    >>> full_name("kolen:scale=5e-1")
    'kolen-pollack:scale=0.5'
    """
    _check_text(name)
    place, attribute, inline = parts_of(name)
    if place.endswith((".py", ".json")):
        full = Path(place).stem + (f":{attribute}" if attribute else "")
    else:
        full = _complete(place, name)
    pairs = [part.partition("=") for part in BETWEEN_OPTIONS.split(inline) if part.strip()]
    told = ";".join(f"{one.strip()}{equals}{value_text(value)}" for one, equals, value in pairs)
    return f"{full}:{told}" if told else full


@explained
def settings(rule: AbstractRule) -> dict[str, Any]:
    """A rule's class, the values of its fields, and the source of its file, and of those beside it that it imports, if it is a
    user's; as plain JSON values."""
    found: dict[str, Any] = {"class": f"{type(rule).__module__}.{type(rule).__qualname__}"}
    for field in dataclasses.fields(rule):
        found[field.name] = _plain(getattr(rule, field.name))
    files = source_files.files_of(type(rule).__module__)
    texts = {Path(file.path).name: importlib.util.decode_source(file.source) for file in files}
    if texts:
        name = next(iter(texts))
        found |= {"class": f"{name}:{type(rule).__qualname__}", "source": texts.pop(name)}
    if texts:
        found["neighbors"] = texts
    return found


def to_html(rule: AbstractRule) -> str:
    """A rule as a notebook shows it: what it is, the tasks it can do, its source, and the values of its fields."""
    name, kind = name_of(rule), type(rule)
    entry = TABLE.get(name) or next((row for row in TABLE.values() if row.kind is kind), None)
    documented = " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split())
    about = entry.description if entry and name in TABLE else documented
    rows = [("Tasks", "all" if len(rule.tasks) == 3 else ", ".join(rule.tasks))]
    rows += [("Source", entry.source)] if entry else []
    rows += [("Forces", ", ".join(f"{name} {value}" for name, value in rule.forced.items()))] if rule.forced else []
    rows += [(field.name, _shown(getattr(rule, field.name))) for field in dataclasses.fields(rule)]
    return notebook.shown(name, notebook.sentences([about] if about else []), notebook.table((), rows, words=2))


TOLD["html"] = to_html


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


def _options(name: str, rule_class: type[AbstractRule], text: str) -> dict[str, Any]:
    """The options that follow a rule's name. What belongs to the layers of a b-function is left to `_inline`."""
    place = parts_of(name)[0]
    function = rule_class in (BFunction, MatchedNoise) and not place.endswith(".json")
    found, left = options.read(place, rule_class, text, only=NUMBERS_OF_B_FUNCTIONS if function else None)
    return found | (_inline(_complete(place, name), left) if left else {})


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
    """The registered name of a rule that was built elsewhere, of several the one with most options; the name of its class where
    there is none."""
    for name, row in sorted(TABLE.items(), key=lambda item: -len(item[1].options)):
        if type(rule) is row.kind and all(getattr(rule, option) == getattr(get(name), option) for option in row.options):
            return name
    return type(rule).__name__


def _build(name: str, rule_class: Callable[..., AbstractRule], options: dict[str, Any], given: dict[str, Any]) -> AbstractRule:
    """The rule, built with `options`; `given` are those of them that the name does not say."""
    short = name if len(name) <= 80 else f"{name[:60]}…"
    own = f" with {shown(given, 120)}" if given else "" if ":" in name and options else " with no options"
    what = f"the rule {short} cannot be built{own}"
    try:
        return rule_class(**options)
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: {str(error).rstrip('.')}{hooks.hint(error)}.") from error
    except BaseException as error:
        refuse(what, error, hooks.file_of(rule_class))


def _check_text(name: Any) -> None:
    if not isinstance(name, str):
        raise UserError(f"a rule's name is a text, as in 'backpropagation'; got {shown(name)}.")


def _complete(name: str, whole: str = "") -> str:
    """The registered name that `name`, the beginning of `whole`, stands for."""
    if name in TABLE:  # without a look at all installed packages, which takes longer than a step of training
        return name
    known = names()
    if name in known:
        return name
    if name in SHORT:
        return SHORT[name]
    if os.path.isfile(f"{name}.py"):
        rest = whole.removeprefix(name)
        raise UserError(f"unknown rule {name!r}: write ./{name}.py{rest} for a rule in that file.")
    beginning = [other for other in known if name and other.startswith(name)]
    if len(beginning) == 1:
        return beginning[0]
    close = difflib.get_close_matches(name, [*known, *SHORT], 1)
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
                refuse(f"the rule {name} of {point.value} cannot be imported", error, "")
            return check_class(loaded, name)
    raise UserError(f"unknown rule {name!r}: list them with `ascribe rules`.")
