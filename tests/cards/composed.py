"""Rules that are put together by chance, with what each of their layers needs by the way it was put together."""

import random
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe.networks import record
from ascribe.rules import AbstractRule, Credit, Terms
from ascribe.rules.terms import output_error

CARRIERS = ("weights", "signs", "fixed", "direct", "target", "none")
FACTORS = ("slope", "gate", "center", "memory", "decay", "lower", "draw")
WAYS = ("plain", "jit", "remat", "custom_jvp", "scan", "map", "cond", "while")


class Part(NamedTuple):
    """What makes the error of one layer: `carrier` brings it, in one of `WAYS`; `factors` change it or the gradient."""

    carrier: str
    way: str
    factors: tuple[str, ...]


def draw(seed: int, layers: int) -> tuple[Part, ...]:
    """A part for every layer but the last."""
    chance = random.Random(seed)
    one = lambda: Part(
        chance.choice(CARRIERS), chance.choice(WAYS), tuple(factor for factor in FACTORS if chance.random() < 0.3)
    )
    return tuple(one() for _ in range(layers - 1))


class Composed(AbstractRule):
    """δ of every layer from the one above, from the output, from the target or from nowhere, times factors."""

    parts: tuple[Part, ...] = eqx.field(static=True)

    def init(self, network, data, *, key):
        names = network.synaptic
        keys = iter(jr.split(key, 2 * len(names)))
        feedback = {name: jr.normal(next(keys), network[name].weight.shape) for name in names[1:]}
        direct = {name: jr.normal(next(keys), (network.outputs, network[name].outputs)) for name in names[:-1]}
        return {"feedback": feedback, "direct": direct, "count": jnp.ones(())}

    def __call__(self, network, state, batch, *, key=None):
        tape, _ = record(network, batch.inputs, key=key)
        loss, error = output_error(network, tape, batch, Terms())
        target = batch.loss.encode(batch.targets, error.shape[1], error.dtype)
        names, z = network.synaptic, tape.preactivations(network)
        gradients, delta = list(network.layers), error
        for number in reversed(range(len(names))):
            name = names[number]
            i, weight = network.index(name), network[name].weight
            extra = jnp.zeros_like(weight)
            if number < len(self.parts):
                part, upper = self.parts[number], names[number + 1]
                delta = self._brought(part, network, state, delta, error, target, name, upper)
                if "slope" in part.factors:
                    delta = delta * (1 - jnp.tanh(z[name]) ** 2)
                if "gate" in part.factors and upper != names[-1]:
                    delta = delta * jnp.mean(z[upper], axis=1, keepdims=True)
                if "lower" in part.factors and number > 0:
                    delta = delta * jnp.max(z[names[number - 1]], axis=1, keepdims=True)
                if "center" in part.factors:
                    delta = delta - jnp.mean(delta * delta, axis=0, keepdims=True)
                if "memory" in part.factors:
                    delta = delta * state["count"]
                if "draw" in part.factors:
                    delta = delta + jr.normal(jr.fold_in(jr.key(3) if key is None else key, number), delta.shape)
                extra = 0.1 * weight if "decay" in part.factors else extra
            gradients[i] = eqx.tree_at(lambda one: one.weight, gradients[i], delta.T @ tape.inputs[i] + extra)
        state = {**state, "count": state["count"] + 1}
        return Credit(loss, network.with_layers(gradients), state)

    @staticmethod
    def _brought(part, network, state, delta, error, target, name, upper):
        weight = network[upper].weight
        if part.carrier == "none":
            return jnp.ones((delta.shape[0], network[name].outputs))
        if part.carrier in ("direct", "target"):
            sent = error if part.carrier == "direct" else target
            return through(part.way, sent, state["direct"][name])
        matrix = {
            "weights": weight,
            "fixed": state["feedback"][upper],
            "signs": jnp.sign(weight) * jnp.abs(state["feedback"][upper]),
        }[part.carrier]
        return through(part.way, delta, matrix)


def through(way: str, delta: Any, matrix: Any) -> Any:  # noqa: PLR0911 - one line for every way
    """delta @ matrix, written in one of several ways."""
    product = lambda delta, matrix: delta @ matrix
    start = jnp.zeros((delta.shape[0], matrix.shape[1]), delta.dtype)
    if way == "jit":
        return jax.jit(product)(delta, matrix)
    if way == "remat":
        return jax.checkpoint(product)(delta, matrix)
    if way == "custom_jvp":
        own = jax.custom_jvp(product)
        own.defjvp(lambda primals, tangents: (product(*primals), product(*tangents)))
        return own(delta, matrix)
    if way == "scan":
        add = lambda total, row: (total + row[1][:, None] * row[0][None, :], None)
        return jax.lax.scan(add, start, (matrix, delta.T))[0]
    if way == "map":
        return jax.lax.map(lambda one: one @ matrix, delta)
    if way == "cond":
        return jax.lax.cond(jnp.asarray(True), product, lambda delta, matrix: -(delta @ matrix), delta, matrix)
    if way == "while":

        def add_row(at):
            i, total = at
            column = jax.lax.dynamic_slice_in_dim(delta, i, 1, 1)
            return i + 1, total + column * jax.lax.dynamic_slice_in_dim(matrix, i, 1, 0)

        return jax.lax.while_loop(lambda at: at[0] < delta.shape[1], add_row, (jnp.asarray(0), start))[1]
    return product(delta, matrix)


def expected(parts: tuple[Part, ...]) -> list[set[str]]:
    """What each layer needs, from the lowest up."""
    last = len(parts)
    found = [{"own input", "output error"}]
    delta: set[tuple[str, int]] = {("error", 0)}
    for number in reversed(range(last)):
        part = parts[number]
        own = {
            "weights": {*delta, ("weight", number + 1)},
            "signs": {*delta, ("sign", number + 1), ("feedback", number)},
            "fixed": {*delta, ("feedback", number)},
            "direct": {("error", 0), ("direct", number)},
            "target": {("target", 0), ("direct", number)},
            "none": set(),
        }[part.carrier]
        own |= {("z", number)} if "slope" in part.factors else set()
        own |= {("z", number + 1)} if "gate" in part.factors and number + 1 < last else set()
        own |= {("z", number - 1)} if "lower" in part.factors and number > 0 else set()
        own |= {("others", 0)} if "center" in part.factors and own & by_example(own) else set()
        own |= {("memory", 0)} if "memory" in part.factors else set()
        delta = own
        credit = {*own, ("weight", number)} if "decay" in part.factors else own
        found.append({"own input", *(_named(number, one) for one in credit)} - {"signs above"} | _signs(number, credit))
    return found[::-1]


def by_example(labels: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """The labels that differ from example to example."""
    return {one for one in labels if one[0] in ("error", "target", "z", "others")}


def _signs(number: int, labels: set[tuple[str, int]]) -> set[str]:
    weights = any(kind == "weight" and of != number for kind, of in labels)
    return {"signs above"} if not weights and any(kind == "sign" for kind, _ in labels) else set()


def _named(number: int, label: tuple[str, int]) -> str:
    kind, of = label
    if kind in ("feedback", "direct"):
        return "fixed feedback" if of == number else "fixed feedback above"
    own = of == number
    return {
        "error": "output error",
        "target": "target",
        "others": "other examples",
        "memory": "memory",
        "sign": "signs above",
        "weight": "own weights" if own else "weights above",
        "z": "own preactivation" if own else "other activations",
    }[kind]
