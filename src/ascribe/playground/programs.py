"""What a page of the playground knows: every rule's programs as data, and the script that runs them."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import export

from ascribe import rules, training
from ascribe.errors import UserError
from ascribe.rules import AbstractRule, hooks
from ascribe.training import loop, optimizers

from .about import about
from .alike import alike
from .apart import in_two
from .emitter import emit
from .forms import BATCHES, MOST, STAND_INS, Asked, Form, Program, ask, stand_in, struct, symbols
from .kernels import kernels

ARCHITECTURES = ("2-1", *("-".join(map(str, (2, *[width] * depth, 1))) for depth in (1, 2, 3) for width in (2, 4, 8, 16, 32)))
ACTIVATIONS = ("tanh", "relu", "logistic")
OPTIMIZERS = ("sgd", "momentum", "adam")
FROZEN = "frozen"
"""The control: backpropagation of the last layer alone."""
NUMBERED = frozenset(
    {
        *("begins", "network", "credit", "after_update", "after_epoch", "answers", "backpropagation", "activity"),
        *("start", "move"),
    }
)
"""What a number of a program is called."""
INPUTS = 7
"""As many as a page has to choose from."""
OTHERS = {"b": 101, "e": 211}
"""Of the symbols that are open in all programs: some numbers, so that their sizes can be compared."""
SCRIPTS = ("operations.js", "programs.js", "engine.js")


def engine() -> str:
    """The script that runs programs: it sets `Ascribe`, and is a module to Node."""
    folder = resources.files("ascribe.playground") / "page"
    parts = [kernels(), *((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


class _Programs:
    """Every program once."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def add(self, program: Program | None) -> int | None:
        """The number of a program."""
        return None if program is None else self.found.setdefault(json.dumps(program, separators=(",", ":")), len(self.found))

    @property
    def all(self) -> list[Program]:
        """Every program, in the order of their numbers."""
        return [json.loads(text) for text in self.found]


def page_data(
    named: Mapping[str, AbstractRule],
    architectures: Sequence[str] = ARCHITECTURES,
    activations: Sequence[str] = ACTIVATIONS,
    chosen: Sequence[str] = OPTIMIZERS,
) -> dict[str, Any]:
    """What a page needs to train networks by these rules, as plain data: the rules by name, with their programs.

    **Arguments:** `architectures`: units of every layer, input first, as in `"2-16-1"`; `activations`: of the hidden layers;
    `chosen`: names of optimizers.

    **Raises:** `UserError` for a rule that cannot do two classes, or that is computed with something that the engine has not.
    """
    given = {**named, FROZEN: rules.get("backpropagation")}
    found = in_two(parts, given, architectures, activations, chosen)
    return {
        "architectures": list(architectures),
        "activations": list(activations),
        "optimizers": list(chosen),
        "batches": list(BATCHES),
        "most": MOST,
        **_joined(found, list(given)),
    }


def parts(
    named: Mapping[str, AbstractRule], architectures: Sequence[str], activations: Sequence[str], chosen: Sequence[str]
) -> dict[str, Any]:
    """The rules with their programs, and the program of a step's key."""
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        page = _Page(architectures, activations, chosen)
        for name, rule in named.items():
            page.add(name, jax.tree.map(_single, rule), control=name == FROZEN)
        return {"rules": page.rules, "key": page.key, "programs": page.programs.all}


def _joined(found: Sequence[dict[str, Any]], order: Sequence[str]) -> dict[str, Any]:
    """Parts as one, numbered by where a program is named first, so that the page is the same however it was divided."""
    programs = _Programs()
    joined: dict[str, Any] = {}
    owner = {name: part for part in found for name in part["rules"]}

    def numbered(part: dict[str, Any], number: Any) -> Any:
        if isinstance(number, dict):
            return {size: numbered(part, one) for size, one in number.items()}
        return number if number is None else programs.add(part["programs"][number])

    def moved(part: dict[str, Any], row: Any) -> Any:
        return {name: numbered(part, one) if name in NUMBERED else one for name, one in row.items()}

    key = numbered(found[0], found[0]["key"])
    for name in order:
        part, rule = owner[name], owner[name]["rules"][name]
        forms = {activation: {one: moved(part, row) for one, row in rows.items()} for activation, rows in rule["forms"].items()}
        moves = {optimizer: [moved(part, one) for one in groups] for optimizer, groups in rule["moves"].items()}
        joined[name] = {**rule, "forms": forms, "moves": moves}
    return {"rules": joined, "key": key, "programs": programs.all}


def _single(leaf: Any) -> Any:
    """A number in float32, as pages have it."""
    return jnp.asarray(np.asarray(leaf), jnp.float32) if eqx.is_inexact_array(leaf) else leaf


class _Page:
    """A page's data on their way."""

    def __init__(self, architectures: Sequence[str], activations: Sequence[str], chosen: Sequence[str]):
        self.architectures, self.activations, self.chosen = architectures, activations, chosen
        self.sizes = {one: tuple(map(int, one.split("-"))) for one in architectures}
        self.programs = _Programs()
        self.rules: dict[str, Any] = {}
        self.moves: dict[Any, dict[str, Any]] = {}
        self.shared: dict[Any, Any] = {}
        self.of_sizes: set[str] = set()
        self.key = self.programs.add(_key())
        self.stand_in = stand_in()

    def add(self, name: str, rule: AbstractRule, *, control: bool = False) -> None:
        """One rule."""
        training.check_rule(rule, name, self.stand_in)
        forms: dict[str, dict[str, Any]] = {}
        refused: dict[str, str] = {}
        last: Form | None = None
        row: dict[str, Any] = {}
        for activation in self.activations:
            forms[activation] = {}
            met: set[str] = set()
            for architecture, sizes in self.sizes.items():
                if self.place(name, rule, architecture) in met:
                    continue
                try:
                    last, row = self.row(name, rule, activation, sizes)
                except UserError as error:
                    refused[self.place(name, rule, architecture)] = str(error)
                else:
                    forms[activation][self.place(name, rule, architecture)] = row
                met.add(self.place(name, rule, architecture))
        if last is None:
            raise UserError(next(iter(refused.values())))
        self.rules[name] = {
            **_about(name, rule, last.asked, row, control=control),
            "refused": refused,
            "forms": forms,
            "moves": {optimizer: self.groups(last, optimizer) for optimizer in self.chosen},
        }

    def place(self, name: str, rule: AbstractRule, architecture: str) -> str:
        """Where a rule's programs for an architecture are: all of one depth share them, but for a rule that looks at sizes."""
        return architecture if self.looks(name, rule) else str(len(self.sizes[architecture]) - 2)

    def looks(self, name: str, rule: AbstractRule) -> bool:
        """Whether a rule's programs are for one network each: one that looks at sizes, as a user's own may."""
        return hooks.is_own(rule) or name in self.of_sizes

    def row(self, name: str, rule: AbstractRule, activation: str, sizes: tuple[int, ...]) -> tuple[Form, dict[str, Any]]:
        """The programs of a rule for one architecture, or for all of its depth."""
        if self.looks(name, rule):
            return self.row_of_sizes(name, rule, activation, sizes)
        depth, own = len(sizes) - 2, symbols()
        asked = ask(name, rule, STAND_INS[:depth], activation, self.stand_in)
        opened = {asked.recipe.data.input_shape[0]: own[2], **dict(zip(STAND_INS[:depth], own[3:], strict=False))}
        try:
            form = Form(asked, opened)
            return self.added(form, form.own())
        except UserError:
            raise
        except Exception:  # such as one for a comparison of sizes that are not known
            self.of_sizes.add(name)
            return self.row_of_sizes(name, rule, activation, sizes)

    def row_of_sizes(
        self, name: str, rule: AbstractRule, activation: str, sizes: tuple[int, ...]
    ) -> tuple[Form, dict[str, Any]]:
        """The programs of a rule for one architecture: those for any number of inputs, if they are what they are for two, and
        for as many as a layer has units, which may mean something to the rule; else those for two."""
        asked = lambda inputs: ask(name, rule, sizes[1:-1], activation, stand_in(inputs))
        known = {sizes[0]: _known(Form(asked(sizes[0]), {}))}
        free = next(one for one in itertools.count(3) if not {one, one + 1, 2 * one} & set(sizes))  # encoded inputs, too
        try:
            open_ = asked(free)
            form, own = _known(Form(open_, {open_.recipe.data.input_shape[0]: symbols()[2]}))
            known |= {one: _known(Form(asked(one), {})) for one in set(sizes[1:-1]) if 1 < one <= INPUTS}
            if all(alike(own, programs, {**OTHERS, "n": fixed.inputs}) for fixed, programs in known.values()):
                return self.added(form, own)
        except Exception:  # such as one for a comparison with a number that is not known
            pass
        return self.added(*known[sizes[0]])

    def added(self, form: Form, own: Mapping[str, Any]) -> tuple[Form, dict[str, Any]]:
        """The numbers that a form's programs have on the page; `own`: those that the rule has for itself."""
        asked, structure = form.asked, (_told(form.asked), str(form.open))
        answers = ("answers", structure, asked.name if asked.rule.predicts else "", str(jax.tree.structure(form.changing)))

        def numbers(programs: Any) -> Any:
            if programs is None or "operations" in programs:
                return self.programs.add(programs)
            return {size: numbers(one) for size, one in programs.items()}

        return form, {
            "inputs": None if form.open else form.inputs,
            "network": self.once(("network", structure), form.initial_network),
            **{name: numbers(programs) for name, programs in own.items()},
            "answers": self.once(answers, form.answers),
            "backpropagation": self.once(("backpropagation", structure), form.backpropagation),
            "activity": self.once(("activity", structure), form.activity),
            "layout": form.layout(),
        }

    def once(self, place: Any, make: Callable[[], Program]) -> int | None:
        """The number of a program that is traced once for all that share it."""
        if place not in self.shared:
            self.shared[place] = self.programs.add(make())
        return self.shared[place]

    def groups(self, form: Form, optimizer: str) -> list[dict[str, Any]]:
        """The optimizers of what a rule trains: of which labels each is, how it begins, and its step."""
        own = form.asked.rule.forced.get("optimizer")
        asked: Any = optimizer if own is None else {"network": optimizer, **own} if isinstance(own, Mapping) else own
        made = optimizers.factory(asked)
        labels = dict.fromkeys(form.layout()["labels"])
        if isinstance(made, tuple):
            parts = [((label,), one) for label, one in made if label in labels]
        else:
            shared = tuple(label for label in labels if label != "auxiliary")
            parts = [(shared, made), *([(("auxiliary",), made)] if "auxiliary" in labels else [])]
        return [{"labels": list(names), **self.move(one)} for names, one in parts]

    def move(self, factory: optimizers.Factory) -> dict[str, Any]:
        """The programs of one optimizer, of a vector of all numbers that it moves."""
        if factory not in self.moves:
            self.moves[factory] = dict(zip(("start", "move"), map(self.programs.add, _optimizer(factory)), strict=True))
        return self.moves[factory]


def _known(form: Form) -> tuple[Form, dict[str, Any]]:
    """A form, and the programs that its rule has for itself: where its credit cannot be traced for any batch, those for
    `BATCHES`."""
    try:
        return form, form.own()
    except Exception:  # such as a TypeError for `len(batch.inputs)`
        of = {str(size): Form(form.asked, form.open, batch=size).credit() for size in BATCHES}
        return form, form.own(of)


def _optimizer(factory: optimizers.Factory) -> tuple[Program, Program]:
    """How an optimizer begins: of the rate and the numbers, its state; and its step: of the rate, the numbers, the gradient,
    the loss and the state, the numbers and the state after it."""
    (size,) = export.symbolic_shape("p")
    made = lambda rate: optimizers.transformation(factory, rate)
    start = lambda rate, vector: made(rate).init(vector)
    move = lambda rate, vector, gradient, loss, state: loop.moved(made(rate), vector, gradient, state, loss)
    whose, rate, vector = "the optimizer", struct(), struct(size)
    begun, state = emit(start, rate, vector, whose=whose)
    return begun, emit(move, rate, vector, vector, rate, state, whose=whose)[0]


def _key() -> Program:
    """Of the seed, the epoch and the number of the step in it: the step's key."""

    def key(seed: Any, epoch: Any, step: Any) -> Any:
        run = loop.Run(rules.get("backpropagation"), jnp.ones(()), seed)
        return jr.fold_in(loop.epoch_key(run, epoch), step)

    count = struct(dtype=jnp.int32)
    return emit(key, struct(dtype=jnp.uint32), count, count)[0]


def _told(asked: Asked) -> str:
    """What tells networks apart."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(asked.network)]
    return f"{asked.network.names} {[layer.config() for layer in asked.network.layers]} {shapes} {asked.recipe.loss.name}"


def _about(name: str, rule: AbstractRule, asked: Asked, row: Mapping[str, Any], *, control: bool) -> dict[str, Any]:
    """What the page says of a rule, and what it does to the inputs; `row`: its programs for one architecture."""
    all_sizes, needs_data = isinstance(row["credit"], int), "auxiliary" in row["layout"]["labels"]
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(asked.rule, eqx.is_array))
    numbers = [
        {"name": jax.tree_util.keystr(path, simple=True, separator="."), "shape": list(leaf.shape), "value": _numbers(leaf)}
        for path, leaf in leaves
    ]
    return {
        **about(name, rule, control=control),
        "encoding": [transform.name for transform in asked.recipe.encoding],
        "batches": None if all_sizes else list(BATCHES),
        "needsData": needs_data,
        "forced": {one: value for one, value in rule.forced.items() if one in ("learning_rate", "batch_size")},
        "numbers": numbers,
        "hyperparameters": {one["name"]: one["value"][0] for one in numbers if not one["shape"]},
    }


def _numbers(leaf: Any) -> list[Any]:
    return np.asarray(leaf).astype(float).ravel().tolist()
