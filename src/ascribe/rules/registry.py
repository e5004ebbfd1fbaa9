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
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from ascribe import notebook
from ascribe.checks import explained
from ascribe.errors import UserError, shown

from . import hooks, options, rule_files, source_files
from .b_function import BFunction
from .b_functions import Named, Plain
from .backpropagation import Backpropagation
from .base import TOLD, AbstractRule
from .direct_feedback_alignment import DirectFeedbackAlignment
from .direct_kolen_pollack import DirectKolenPollack
from .direct_random_target_projection import DirectRandomTargetProjection
from .equilibrium_propagation import EquilibriumPropagation
from .feedback_alignment import FeedbackAlignment
from .finite_differences import FiniteDifferences
from .forward_forward import ForwardForward
from .forward_gradient import ForwardGradient
from .forward_pass import ForwardPass, ForwardPassOneVersusRest
from .gradient_noise import GradientNoise, MatchedNoise
from .hebbian import Hebbian
from .indirect_feedback_alignment import IndirectFeedbackAlignment
from .kolen_pollack import KolenPollack
from .local_error import LocalError
from .node_perturbation import NodePerturbation
from .options import BETWEEN_OPTIONS, parts_of, value_text
from .pepita import Pepita
from .perceptron import Perceptron
from .predictive_coding import PredictiveCoding
from .relaxed_identity import RelaxedIdentity
from .sign_symmetry import SignSymmetry
from .softhebb import SoftHebb
from .target_propagation import TargetPropagation
from .user_files import check_class, class_of_file, layers_of_file, network_of_file, refuse  # noqa: F401
from .weight_mirror import WeightMirror
from .weight_perturbation import WeightPerturbation

SHORT = {"bp": "backpropagation", "fa": "feedback-alignment", "dfa": "direct-feedback-alignment", "kp": "kolen-pollack"}
"""Short names of the literature."""
NUMBERS_OF_B_FUNCTIONS = ("scale",)
"""Options of b-functions and their noise that are no names of layers."""
_BETWEEN_RULES = re.compile(r",(?!\s*\w+\s*=)")


class Entry(NamedTuple):
    """One row of the table: the class, one line about it and its source (with "ours" where the document has another form), what
    it is built with; `by_default`: whether a comparison without a list of rules has it."""

    kind: type[AbstractRule]
    description: str
    source: str
    options: dict[str, Any] = {}  # noqa: RUF012 - a constant
    by_default: bool = True


TABLE: dict[str, Entry] = {
    "backpropagation": Entry(Backpropagation, "every term exact: the gradient of the loss", "Rumelhart et al. (1986)"),
    "feedback-alignment": Entry(FeedbackAlignment, "fixed random weights carry the error back", "Lillicrap et al. (2016)"),
    "direct-feedback-alignment": Entry(
        DirectFeedbackAlignment,
        "the output error reaches every layer at once, through fixed random weights",
        "Nøkland (2016)",
    ),
    "sign-symmetry": Entry(
        SignSymmetry,
        "the weights' signs, all of one size, carry the error back",
        "Liao et al. (2016)",
        {"kind": "uniform"},
    ),
    "sign-symmetry-batch-random": Entry(
        SignSymmetry,
        "the weights' signs with sizes drawn anew for every batch",
        "Liao et al. (2016)",
        {"kind": "batch-random"},
    ),
    "sign-symmetry-fixed-random": Entry(
        SignSymmetry, "the weights' signs with sizes drawn once", "Liao et al. (2016)", {"kind": "fixed-random"}
    ),
    "kolen-pollack": Entry(
        KolenPollack,
        "feedback weights that learn to be the weights: same gradient, same decay",
        "Kolen & Pollack (1994); Akrout et al. (2019)",
    ),
    "direct-random-target-projection": Entry(
        DirectRandomTargetProjection, "the target reaches every hidden layer at once", "Frenkel et al. (2021)", by_default=False
    ),
    "weight-mirror": Entry(
        WeightMirror, "feedback weights that learn the weights from noise", "Akrout et al. (2019)", by_default=False
    ),
    "direct-kolen-pollack": Entry(
        DirectKolenPollack, "direct feedback that learns by Kolen-Pollack's rule", "Webster et al. (2021)", by_default=False
    ),
    "indirect-feedback-alignment": Entry(
        IndirectFeedbackAlignment,
        "the output error goes to the first hidden layer, and forward from there",
        "Nøkland (2016)",
        by_default=False,
    ),
    "b-function": Entry(
        BFunction,
        "another function g(z) in place of σ'(z): softplus's derivative, or b-function:NAME",
        "Function changes in the Backpropagation equation …, (1)–(5)",
        {"derivative": "softplus"},
    ),
    "gradient-noise": Entry(
        GradientNoise, "backpropagation with noise that fades from step to step", "Neelakantan et al. (2015)"
    ),
    "gradient-noise-matched": Entry(
        MatchedNoise,
        "backpropagation with noise of the size of what b-function changes",
        "ours, after Neelakantan et al. (2015)",
    ),
    "weight-perturbation": Entry(
        WeightPerturbation,
        "random moves of all weights, credited with what the loss did",
        "Cauwenberghs (1993)",
        by_default=False,
    ),
    "node-perturbation": Entry(
        NodePerturbation, "noise at every unit, credited with what the loss did", "Flower & Jabri (1993)", by_default=False
    ),
    "forward-gradient": Entry(
        ForwardGradient, "the loss's slope along a random direction of all weights", "Baydin et al. (2022)", by_default=False
    ),
    "local-error": Entry(
        LocalError, "every hidden layer learns from a loss of its own", "Nøkland & Eidnes (2019)", by_default=False
    ),
    "forward-pass": Entry(
        ForwardPass,
        "no backward pass: which neurons activated, the output, the label, and the weights themselves",
        "ours, after Lerman (2021)",
    ),
    "forward-pass-as-published": Entry(
        ForwardPass,
        "the forward-pass rule as its document states it: rules 1 to 3, (8), (11) to (14), every input activated",
        "Lerman (2021)",
        {
            "input_activation": "always",
            "inactive": "all",
            "flip_label": True,
            "error_scaled": False,
            "stabilized": True,
            "natural": True,
            "transforms": (),
            "epsilon": 1e-3,
        },
        by_default=False,
    ),
    "forward-pass-one-versus-rest": Entry(
        ForwardPassOneVersusRest,
        "the forward-pass rule for several classes, each against the rest",
        "ours, after Lerman (2021)",
    ),
    "relaxed-identity": Entry(
        RelaxedIdentity,
        "an auxiliary activation for every example and layer, relaxed from the output down before each step",
        "ours, after Mertens Velasquez",
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
    "relaxed-identity-as-published": Entry(
        RelaxedIdentity,
        "an auxiliary activation for every example and layer, trained like a weight, so that layers learn apart",
        "Mertens Velasquez, Relaxed Activation Identity",
        {"relax_output": True, "consolidate": "never"},
        by_default=False,
    ),
    "relaxed-identity-transient": Entry(
        RelaxedIdentity,
        "auxiliary activations from each batch's forward pass, relaxed for a few steps",
        "ours, after Mertens Velasquez",
        {"kind": "transient", "hidden_loss": "sum", "inner_steps": 5},
    ),
    "predictive-coding": Entry(
        PredictiveCoding,
        "activities settle between input and target, and each layer learns from its own prediction error",
        "Rao & Ballard (1999); Whittington & Bogacz (2017)",
        by_default=False,
    ),
    "equilibrium-propagation": Entry(
        EquilibriumPropagation,
        "the network settles freely and nudged towards the target, and weights learn from the difference",
        "Scellier & Bengio (2017); Laborieux et al. (2021)",
        by_default=False,
    ),
    "forward-forward": Entry(
        ForwardForward,
        "every layer learns, in two forward passes, to be active for right labels and not for wrong ones",
        "Hinton (2022)",
        by_default=False,
    ),
    "perceptron": Entry(
        Perceptron,
        "on each mistake, add the example: one layer, unit steps from 0",
        "Rosenblatt (1957); Farrahi (2020)",
    ),
    "finite-differences": Entry(
        FiniteDifferences,
        "two evaluations of the loss for every weight: no derivative anywhere",
        "Neural networks (course notes), section 3.1.2",
    ),
    "pepita": Entry(
        Pepita,
        "a second forward pass with the error at the input; what it changes is the credit",
        "Dellaferrera & Kreiman (2022)",
        by_default=False,
    ),
    "softhebb": Entry(
        SoftHebb,
        "hidden layers learn without error: the units that win a soft competition move towards the input",
        "Journé et al. (2023); Moraitis et al. (2022)",
        by_default=False,
    ),
    "hebbian": Entry(
        Hebbian,
        "hidden layers learn without error, by the generalized Hebbian algorithm: principal components of the input",
        "Sanger (1989); Oja (1982)",
        by_default=False,
    ),
    "target-propagation": Entry(
        TargetPropagation,
        "targets in place of errors, made layer by layer by learned inverses (difference target propagation)",
        "Lee et al. (2015)",
        {"kind": "difference"},
        by_default=False,
    ),
    "target-propagation-direct": Entry(
        TargetPropagation,
        "targets for every layer straight from the output, by learned linear inverses (DDTP-linear)",
        "Meulemans et al. (2020)",
        {"kind": "direct"},
        by_default=False,
    ),
    "target-propagation-fixed": Entry(
        TargetPropagation,
        "targets made layer by layer by fixed random feedback (fixed-weight difference target propagation)",
        "Shibuya et al. (2023)",
        {"kind": "fixed"},
        by_default=False,
    ),
}


def names() -> list[str]:
    """Every registered rule, ours first, then those of installed packages."""
    return [*TABLE, *(point.name for point in _entry_points() if point.name not in TABLE)]


def default_names() -> list[str]:
    """The rules of a comparison that names none: all but those that are others again with the options of their document, which
    would cost every comparison a tuning more."""
    return [name for name in names() if name not in TABLE or TABLE[name].by_default]


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

    `name` is a registered name, a beginning that only one of them has (`backprop`), a short name (`bp`, `fa`, `dfa`, `kp`), or
    `PATH.py:Class` for a rule of your own (`PATH.py` alone if the file defines one rule). A Python file is run. Options follow
    after a colon, with commas or semicolons between: `fa:scale=0.5`, `forward-pass:inactive=all,natural=no`,
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
