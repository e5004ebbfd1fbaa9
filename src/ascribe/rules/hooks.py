"""The hooks of a rule, called: what one returns is checked by its structure, shapes and types alone, and an error in it is told
by its place.

The loop calls a rule through this module only, so every check is part of the trace and costs nothing in training. A number
that is not finite is no mistake: the run diverged.
"""

import dataclasses
import difflib
import dis
import inspect
import itertools
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe.checks import real, whole
from ascribe.datasets import Dataset
from ascribe.errors import Interrupted, UserError, names_in_words
from ascribe.measures import MEASURED
from ascribe.networks import Network
from ascribe.types import Array, Key, PyTree

from .base import AbstractRule, Batch, Credit, LimitingCase, Trainables, network_of

HINTS: dict[type[BaseException], str] = {
    dataclasses.FrozenInstanceError: "rules and networks are not changed after they are built: declare a rule's numbers as "
    "fields of the class, as in `momentum: Scalar = hyperparameter(0.9)`, keep what changes from step to step in its state "
    "(`init`), and make other gradients with jax.tree.map or equinox.tree_at",
    jax.errors.TracerBoolConversionError: "the numbers are not known yet while JAX traces the rule: choose with jnp.where or "
    "jax.lax.cond in place of a Python `if`, `while`, `and` or `or`",
    jax.errors.TracerArrayConversionError: "NumPy cannot compute what JAX traces: use jax.numpy",
    jax.errors.ConcretizationTypeError: "the numbers are not known yet while JAX traces the rule: keep them arrays, without "
    "`float`, `int`, `range` or `.item()`",
    jax.errors.UnexpectedTracerError: "it keeps an array of one step outside of its state, as in a dict or a list: hand it "
    "on in the state (`init`, and Credit(loss, gradients, state))",
}
"""What to try where the habits of other libraries meet JAX's tracing."""
WORDS = (
    (
        "integer scalar arrays can be converted to a scalar index",
        "the numbers of a rule are arrays, so that a new value compiles nothing: declare one that decides a shape or a Python "
        "loop as `steps: int = eqx.field(static=True, default=5)`",
    ),
    (
        "has no attribute backward",
        "JAX differentiates functions: jax.grad of a function of the network gives the gradients in the network's own tree",
    ),
    ("has no attribute detach", "in JAX that is jax.lax.stop_gradient(x)"),
    (
        "with abstract method __call__",
        "write def __call__(self, network, state, batch, *, key) in place of a forward",
    ),
)
"""The same, where only the error's text tells."""

HOOKS = [name for name, one in vars(AbstractRule).items() if callable(one) and not name.startswith("_")]
TASKS = AbstractRule.tasks
"""What a rule may say that it does."""


def trainables(rule: AbstractRule, network: Network, data: Batch, *, key: Key) -> Network | Trainables:
    """What is trained, with the network's own structure, shapes and types in it."""
    found = _call(rule, "trainables", network, data, key=key)
    if not isinstance(found, Network | Trainables):
        raise UserError(_returned(rule, "trainables", found, "the network, or Trainables(network, …)"))
    inner = found if isinstance(found, Network) else found.network
    _same(rule, "trainables", inner, network, "the network that it was given")
    if isinstance(found, Trainables):
        _arrays(rule, "trainables", (found.auxiliary, found.feedback), floating=True)
        count = data.inputs.shape[0]
        for leaf in jax.tree.leaves(found.auxiliary):
            if leaf.ndim < 2 or leaf.shape[1] != count:
                wanted = f"auxiliaries of the shape (layers, examples, …), here (…, {count}, …)"
                raise UserError(_returned(rule, "trainables", leaf, wanted, "weights of its own belong in `feedback`"))
    return found


def init(rule: AbstractRule, network: Network, data: Batch, *, key: Key) -> PyTree:
    """The rule's state before the first step: arrays, or nothing."""
    state = _call(rule, "init", network, data, key=key)
    _arrays(rule, "init", state)
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf), state)


def credit(rule: AbstractRule, trainables: Any, state: PyTree, batch: Batch, *, key: Key) -> Credit:
    """The rule's credit: one real loss, a gradient for every trainable number, and a state of the kind that `init` made."""
    credit, name = _call(rule, "__call__", trainables, state, batch, key=key), type(rule).__name__
    if not isinstance(credit, Credit):
        raise UserError(f"a rule returns a Credit(loss, gradients, state); {name} returned {_told(credit)}.")
    if not _real(credit.loss) or np.shape(credit.loss) != ():
        raise UserError(
            f"the loss that {name} returns is one real number; got {_told(credit.loss)}: return the batch's mean, as "
            f"`batch.loss` and `backward_sweep` give it."
        )
    _check_gradients(name, credit.gradients, trainables)
    if _difference(credit.state, state) is not None:
        raise UserError(
            f"the state that {name} returns is not of the kind that its `init` made: "
            f"pass it on, as in Credit(loss, gradients, state)."
        )
    if credit.network_state is not None and _difference(credit.network_state, batch.network_state) is not None:
        raise UserError(
            f"the network_state that {name} returns is not of the kind that its batch has: leave it out, or return what "
            f"`backward_sweep` gives."
        )
    if not isinstance(credit.loss, jax.Array) or not jnp.issubdtype(credit.loss.dtype, jnp.floating):
        return dataclasses.replace(credit, loss=jnp.asarray(credit.loss, network_of(trainables).dtype))
    return credit


def after_update(rule: AbstractRule, trainables: Any, state: PyTree) -> tuple[Any, PyTree]:
    """What the rule makes of the trainables after the optimizer's step: the same kind of trainables and of state."""
    return _pair(rule, "after_update", _call(rule, "after_update", trainables, state), trainables, state)


def after_epoch(rule: AbstractRule, trainables: Any, state: PyTree, data: Batch, *, epoch: Array) -> tuple[Any, PyTree]:
    """What the rule makes of the trainables between two epochs: the same kind of trainables and of state."""
    return _pair(rule, "after_epoch", _call(rule, "after_epoch", trainables, state, data, epoch=epoch), trainables, state)


def metrics(rule: AbstractRule, trainables: Any, state: PyTree, batch: Batch, *, before: Any, after: Any) -> dict[str, Array]:
    """What the rule measures of itself: one real number under each name, and no name that every rule has."""
    measured, name = _call(rule, "metrics", trainables, state, batch, before=before, after=after), type(rule).__name__
    if not isinstance(measured, Mapping):
        raise UserError(f"`metrics` returns a dict of names to numbers; that of {name} returned a {type(measured).__name__}.")
    for metric, value in measured.items():
        named = isinstance(metric, str) and metric.isprintable() and metric.strip() and not metric.startswith(MEASURED)
        if not named or not _real(value) or np.shape(value) != ():
            raise UserError(
                f"a metric is one number under a name of its own; {name} gives {metric!r} ({_told(value)}; names that begin "
                f"with {', '.join(MEASURED)} are taken)."
            )
    return {metric: jnp.asarray(value) for metric, value in measured.items()}


def feedback(rule: AbstractRule, network: Network, trainables: Any, state: PyTree) -> dict[str, Array]:
    """The weights that carry the error back, each in the shape of its layer's own."""
    found, name = _call(rule, "feedback", trainables, state), type(rule).__name__
    wanted = "a dict of layers' names to feedback weights"
    if not isinstance(found, Mapping):
        raise UserError(_returned(rule, "feedback", found, wanted))
    for layer, weight in found.items():
        if layer not in network.synaptic:
            raise UserError(
                f"`feedback` of the rule {name} returns {wanted}; got {layer!r}: the layers with weights are "
                f"{', '.join(network.synaptic)}."
            )
        shape = network[layer].weight.shape
        if not _real(weight) or np.shape(weight) != shape:
            raise UserError(
                f"`feedback` of the rule {name} returns weights in the shape of the layer's own, {shape} for {layer}; got "
                f"{_told(weight)}."
            )
    return dict(found)


def predictor(rule: AbstractRule, trainables: Any, state: PyTree) -> Network:
    """The network that answers new inputs; one of another structure than the trained one keeps no statistics."""
    found, trained = _call(rule, "predictor", trainables, state), network_of(trainables)
    if not isinstance(found, Network):
        raise UserError(_returned(rule, "predictor", found, "the network that answers new inputs"))
    if found.config() != trained.config() and jax.tree.leaves(found.initial_state()):
        raise UserError(
            f"`predictor` of the rule {type(rule).__name__} returns the trained network, or one that keeps no statistics; it "
            f"returned {found}: leave normalization out of it, or refuse in `adapt` a network that has it."
        )
    return found


def finish(rule: AbstractRule, trainables: Any, state: PyTree, data: Batch, *, network: Network) -> Network:
    """The network that answers new inputs: numbers in the place of those of `network`, its `predictor`."""
    finished = _call(rule, "finish", trainables, state, data)
    if not isinstance(finished, Network):
        raise UserError(_returned(rule, "finish", finished, "the network that predicts"))
    finished = finished.like(network)
    _same(rule, "finish", finished, network, "the network that was trained" if not rule.predicts else "its own predictor")
    return finished


def limiting_case(rule: AbstractRule, network: Network, batch: Batch, *, key: Key) -> LimitingCase | None:
    """The condition under which the rule equals something known, with both sides of that: trees of the same structure and
    shapes."""
    found = _call(rule, "limiting_case", network, batch, key=key)
    if found is None:
        return None
    if not isinstance(found, LimitingCase) or not (isinstance(found.condition, str) and isinstance(found.equals, str)):
        raise UserError(_returned(rule, "limiting_case", found, "a LimitingCase(condition, equals, ours, theirs), or None"))
    shapes = [jax.tree.map(np.shape, side) for side in (found.ours, found.theirs)]
    if shapes[0] != shapes[1] or not jax.tree.leaves(found.ours):
        raise UserError(
            f"`limiting_case` of the rule {type(rule).__name__} returns two trees of arrays of the same shapes, `ours` and "
            f"`theirs`; got {_told(found.ours)} and {_told(found.theirs)}."
        )
    return found


def notes(rule: AbstractRule, name: str, curves: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """What the table should say of finished runs; where the hook fails, that: the results are there already."""
    try:
        with blamed(name, rule):
            found = _call(rule, "notes", curves)
        return _texts(rule, "notes", found)
    except Exception as error:
        return (f"no notes of its own: {' '.join(str(error).split()) or type(error).__name__}",)


def encoding(rule: AbstractRule, name: str, data: Dataset) -> tuple[str, ...]:
    """The transforms that the rule's inputs need."""
    with blamed(name, rule):
        found = _call(rule, "encoding", data)
    return _texts(rule, "encoding", found)


def adapt(rule: AbstractRule, name: str, network: Network, data: Dataset) -> Network:
    """The network that the rule needs."""
    with blamed(name, rule):
        adapted = _call(rule, "adapt", network, data)
    if not isinstance(adapted, Network):
        raise UserError(f"`adapt` of the rule {name} returns a Network; it returned {_told(adapted)}.")
    return adapted


def check_attributes(rule: AbstractRule, name: str) -> None:
    """A `UserError` where `tasks` or `forced` are not what a rule says of itself."""
    with blamed(name, rule):
        tasks, forced = rule.tasks, rule.forced
    for own in vars(type(rule)) if is_own(rule) else ():
        near = difflib.get_close_matches(own, HOOKS, 1, 0.88) if own not in HOOKS and not own.startswith("_") else []
        if near and callable(getattr(rule, own)):
            raise UserError(
                f"the rule {name} has a method {own}, which nothing calls: the hook is {near[0]}; others begin with _."
            )
    if not isinstance(tasks, tuple | list) or not tasks or not all(isinstance(task, str) and task in TASKS for task in tasks):
        raise UserError(
            f"`tasks` of the rule {name} is a tuple of {', '.join(TASKS)}, as in ('binary',); got {tasks!r}: write a comma "
            f"after the only one."
        )
    if not isinstance(forced, Mapping):
        raise UserError(f"`forced` of the rule {name} is a dict, as in {{'batch_size': 1}}; got {_told(forced)}.")
    rate, size = forced.get("learning_rate", 1.0), forced.get("batch_size", 1)
    rate, size = real(rate), whole(size)
    if rate is None or not 0 < rate < float("inf") or size is None or size < 1:
        raise UserError(
            f"the rule {name} forces a positive `learning_rate` and a positive integer for a `batch_size`; got "
            f"{dict(forced)!r:.200}."
        )


@contextmanager
def blamed(name: str, rule: AbstractRule) -> Iterator[None]:
    """Errors in the rule's own file, and the wish to leave Python there, are told by their line. Errors elsewhere are not the
    rule's, and go on as they are."""
    try:
        yield
    except (UserError, Interrupted):
        raise
    except BaseException as error:
        file = file_of(type(rule))
        line = line_in(file, error)
        kept = isinstance(error, jax.errors.UnexpectedTracerError)  # told where the program begins, and at no line of the rule
        if (line is None and not kept) or not is_own(rule):
            raise
        where = f"{file}, line {line}" if line else file or "its code"
        raise UserError(f"the rule {name} failed in {where}: {reason(error)}{hint(error)}.") from error


def is_own(rule: AbstractRule) -> bool:
    """Whether a rule is a user's, and none of this package."""
    return not type(rule).__module__.startswith("ascribe.rules.")


def file_of(code: Any) -> str:
    """The file that a class or a function is written in; empty where there is none, as at a prompt."""
    try:
        return inspect.getsourcefile(code) or ""
    except (OSError, TypeError):
        return ""


def line_in(file: str, error: BaseException) -> int | None:
    """The last line of a file that an error came through; None where there is none, or where the error is somebody's Ctrl-C."""
    places = list(traceback.walk_tb(error.__traceback__))
    lines = [line for frame, line in places if frame.f_code.co_filename == file]
    if not lines or (isinstance(error, KeyboardInterrupt) and not _raised_by_a_statement(file, error)):
        return None
    return lines[-1]


def reason(error: BaseException) -> str:
    """What went wrong, in one line: the error's kind and the first line of its text."""
    if isinstance(error, SystemExit):
        return f"it leaves Python (SystemExit {error.code!r}), which a rule does not do"
    try:
        first = str(error).strip().split("\n")[0].rstrip(".")
    except Exception:  # an error of the rule's own kind, that cannot be told
        first = ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def hint(error: BaseException) -> str:
    """What to try, as the end of a sentence; empty where nobody can tell."""
    by_kind = (hint for kind, hint in HINTS.items() if isinstance(error, kind))
    by_words = (hint for words, hint in WORDS if words in reason(error).replace("'", ""))
    found = next(itertools.chain(by_words, by_kind), None)
    return "" if found is None else f"; {found}"


def _call(rule: AbstractRule, hook: str, *given: Any, **named: Any) -> Any:
    """What the hook returns; a `UserError` where it does not take what hooks are given."""
    function = getattr(rule, hook)
    try:
        inspect.signature(function).bind(*given, **named)
    except TypeError as error:
        signature = inspect.signature(getattr(AbstractRule, hook))
        bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
        raise UserError(
            f"`{hook}` of the rule {type(rule).__name__} is written def {hook}{inspect.Signature(bare)}; with these, {error}."
        ) from error
    return function(*given, **named)


def _raised_by_a_statement(file: str, error: BaseException) -> bool:
    """Whether it was a `raise` in that file that raised it. A signal is answered between two instructions, at none of that
    kind, or by a function elsewhere."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None or place.tb_frame.f_code.co_filename != file:
        return False
    return dis.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _check_gradients(name: str, gradients: PyTree, trainables: PyTree) -> None:
    ours, theirs = (jax.tree_util.tree_leaves_with_path(tree) for tree in (gradients, trainables))
    if jax.tree.structure(gradients) != jax.tree.structure(trainables):
        got = {path for path, _ in ours}
        lacking = [where_in(trainables, path) for path, _ in theirs if path not in got]
        which = (
            f"nothing for {names_in_words(lacking)}" if type(gradients) is type(trainables) and lacking else _told(gradients)
        )
        raise UserError(
            f"the gradients of {name} have another structure than what it trains ({_told(trainables)}); got {which}: return "
            f"one number for each of its numbers, as jax.grad and jax.tree.map do."
        )
    for (path, leaf), (_, wanted) in zip(ours, theirs, strict=True):
        where = where_in(trainables, path)
        if np.shape(leaf) != wanted.shape:
            raise UserError(f"the gradient {where} of {name} has the shape {np.shape(leaf)}; its weight has {wanted.shape}.")
        if _kind(leaf) != _kind(wanted):
            raise UserError(
                f"the gradient {where} of {name} is {_told(leaf)}; its weight is of the type {wanted.dtype}: return an array "
                f"of that type."
            )


def where_in(trainables: PyTree, path: tuple[Any, ...]) -> str:
    """A place in the trainables, by the name of its layer: `linear1.weight`."""
    keys = list(path)
    if isinstance(trainables, Trainables) and keys and str(keys[0]) == ".network":
        keys = keys[1:]
    if len(keys) > 2 and str(keys[0]) == ".parts":
        network = network_of(trainables)
        return network.names[network.starts[keys[1].idx]] + jax.tree_util.keystr(tuple(keys[2:]))
    return jax.tree_util.keystr(path)


def _pair(rule: AbstractRule, hook: str, found: Any, trainables: Any, state: PyTree) -> tuple[Any, PyTree]:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise UserError(_returned(rule, hook, found, "the pair (trainables, state)"))
    _same(rule, hook, found[0], trainables, "the trainables that it was given")
    _same(rule, hook, found[1], state, "the state that it was given")
    return found[0], found[1]


def _same(rule: AbstractRule, hook: str, new: PyTree, old: PyTree, what: str) -> None:
    """A `UserError` where a tree has not the structure, the shapes and the types of another one."""
    difference = _difference(new, old)
    if difference is not None:
        raise UserError(
            f"`{hook}` of the rule {type(rule).__name__} returns {what} with other numbers in it; {difference}: keep the "
            f"structure, the shapes and the types."
        )


def _difference(new: PyTree, old: PyTree) -> str | None:
    """How a tree differs in structure, shapes and types from another one; None where it does not."""
    if jax.tree.structure(new) != jax.tree.structure(old):
        return f"it returned another structure ({_told(new)})"
    ours, theirs = (jax.tree_util.tree_leaves_with_path(tree) for tree in (new, old))
    for (path, leaf), (_, wanted) in zip(ours, theirs, strict=True):
        if _kind(leaf) != _kind(wanted):
            return f"its {jax.tree_util.keystr(path) or 'value'} is {_told(leaf)} where {_told(wanted)} was"
    return None


def _arrays(rule: AbstractRule, hook: str, tree: PyTree, *, floating: bool = False) -> None:
    """A `UserError` where a leaf is no array."""
    for leaf in jax.tree.leaves(tree):
        right = _kind(leaf) is not None and (not floating or jnp.issubdtype(leaf.dtype, jnp.floating))
        if not right:
            wanted = "floating-point arrays" if floating else "arrays"
            raise UserError(
                f"`{hook}` of the rule {type(rule).__name__} returns {wanted}, alone or in dicts, lists and modules; got "
                f"{_told(leaf)}: make a number one, as in jax.numpy.asarray(0.0), and keep settings in fields of the rule."
            )


def _texts(rule: AbstractRule, hook: str, found: Any) -> tuple[str, ...]:
    if not isinstance(found, tuple | list) or not all(isinstance(text, str) for text in found):
        raise UserError(_returned(rule, hook, found, "a tuple of texts"))
    return tuple(found)


def _returned(rule: AbstractRule, hook: str, found: Any, wanted: str, advice: str = "") -> str:
    return f"`{hook}` of the rule {type(rule).__name__} returns {wanted}; it returned {_told(found)}{advice and f': {advice}'}."


def _kind(leaf: Any) -> tuple[tuple[int, ...], str] | None:
    """The shape and the type of an array of numbers or keys; None for anything else."""
    array = isinstance(leaf, jax.Array | np.ndarray | np.generic)
    if not array or (isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "biufc"):
        return None
    dtype = leaf.dtype if isinstance(leaf, jax.Array) else jax.dtypes.canonicalize_dtype(leaf.dtype)
    return tuple(leaf.shape), str(dtype)


def _real(value: Any) -> bool:
    """Whether it is a real number, or an array of them."""
    if isinstance(value, int | float):
        return not isinstance(value, bool)
    return _kind(value) is not None and any(jnp.issubdtype(value.dtype, kind) for kind in (jnp.floating, jnp.integer))


def _told(value: Any) -> str:
    """Something wrong in a few words."""
    kind = _kind(value)
    if kind is not None:
        return f"{kind[1]} of the shape {kind[0]}" if kind[0] else kind[1]
    if value is None:
        return "None"
    if isinstance(value, str | int | float):
        return f"the {'text' if isinstance(value, str) else 'number'} {value!r:.40}"
    return f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"
