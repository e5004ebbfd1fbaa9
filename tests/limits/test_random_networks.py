"""Credit inside layers drawn at random, beside `jax.custom_vjp`: the same models written with products and activations whose
way back is another one."""

import dataclasses
import functools
import random

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from ascribe import losses
from ascribe.networks import Network, from_function
from ascribe.networks.curves import KNOWN
from ascribe.rules import Batch, Terms, backward_sweep
from ascribe.rules.naming import hidden_activations

from ..cases import assert_close

RTOL = 1e-11
WIDTH = 3
ACTIVATIONS = ("tanh", "relu", "gelu", "silu", "softplus", "logistic", "elu")


def error(delta):
    return delta + 0.3 * jnp.sin(5 * delta)


def slope(z):
    return 0.5 + 0.3 * jnp.sin(z)


@jax.custom_vjp
def fed_back(x, weight, feedback):
    """x·W forwards, and δ·Bᵀ backwards, with another δ."""
    return x @ weight


def _fed_back(kept, cotangent):
    x, feedback = kept
    delta = error(cotangent)
    return delta @ feedback.T, jnp.outer(x, delta) if x.ndim == 1 else x.T @ delta, jnp.zeros_like(feedback)


fed_back.defvjp(lambda x, weight, feedback: (x @ weight, (x, feedback)), _fed_back)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def bent(function, z):
    """σ(z) forwards, and g(z) in the place of its derivative backwards."""
    return function(z)


bent.defvjp(lambda function, z: (function(z), z), lambda function, z, cotangent: (cotangent * slope(z),))


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a model is written with. `feedback`: B by name; None where the model is to be the plain one."""

    weights: dict
    feedback: dict | None = None

    def product(self, name, x, made=lambda weight: weight):
        """x times what is `made` of a parameter."""
        if self.feedback is None:
            return x @ made(self.weights[name])
        return fed_back(x, made(self.weights[name]), made(self.feedback[name]))

    def activation(self, name, z):
        return KNOWN[name](z) if self.feedback is None else bent(KNOWN[name], z)

    def plain(self):
        return Tools(self.weights)


class Drawn:
    """A model: `apply(tools, x)`, and the shapes of its parameters."""

    def __init__(self, seed):
        self.random, self.shapes = random.Random(seed), {}
        self.body = self.sequence(depth=2)
        self.shapes["head"] = (WIDTH, WIDTH)

    def apply(self, tools, x):
        return tools.product("head", self.body(tools, x))

    def new(self, shape=(WIDTH, WIDTH)):
        name = f"w{len(self.shapes)}"
        self.shapes[name] = shape
        return name

    def sequence(self, depth):
        parts = [self.part(depth) for _ in range(self.random.randint(1, 3))]

        def run(tools, x):
            for part in parts:
                x = part(tools, x)
            return x

        return run

    def part(self, depth):
        plain = (self.layer, self.transposed, self.normalized_weight, self.two, self.norm, self.mixed, self.mapped)
        deep = (self.residual, self.gate, self.loop, self.loop_over_weights, self.remat, self.branch)
        kind = self.random.choice((*plain, *deep) if depth else plain)
        return kind(depth) if kind in deep else kind()

    def layer(self, name=None, made=lambda weight: weight):
        name, function = name or self.new(), self.random.choice(ACTIVATIONS)
        return lambda tools, x: tools.activation(function, tools.product(name, x, made) + 0.1)

    def transposed(self):
        """A parameter of an earlier place, where there is one, the other way round."""
        square = [name for name, shape in self.shapes.items() if len(shape) == 2 and name not in self.closed]
        return self.layer(self.random.choice(square) if square else None, jnp.transpose)

    @functools.cached_property
    def closed(self):
        """Parameters inside branches and loops, which no other place uses."""
        return set()

    def normalized_weight(self):
        return self.layer(made=lambda weight: weight / jnp.linalg.norm(weight, axis=0, keepdims=True))

    def two(self):
        first, second = self.new(), self.new()
        return lambda tools, x: tools.product(second, tools.product(first, x))

    def norm(self):
        return lambda tools, x: (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 0.1)

    def mixed(self):
        """A product of data with data."""
        return lambda tools, x: jax.nn.softmax(x @ x.T) @ x

    def mapped(self):
        name = self.new()
        return lambda tools, x: jax.vmap(lambda one: tools.activation("tanh", tools.product(name, one)))(x)

    def residual(self, depth):
        inner = self.sequence(depth - 1)
        return lambda tools, x: x + 0.5 * inner(tools, x)

    def gate(self, depth):
        inner, name = self.sequence(depth - 1), self.new()
        return lambda tools, x: inner(tools, x) * tools.activation("logistic", tools.product(name, x))

    def loop(self, depth):
        inner, options = self.sequence(depth - 1), {"length": 3, "unroll": self.random.choice((1, 2))}
        return lambda tools, x: jax.lax.scan(lambda x, _: (inner(tools, x), None), x, None, **options)[0]

    def loop_over_weights(self, depth):
        name, reverse = self.new((2, WIDTH, WIDTH)), self.random.choice((True, False))

        def run(tools, x):
            feedback = tools.feedback and {name: tools.feedback[name]}

            def step(x, rows):
                row = Tools(rows[0], rows[1])
                x = x + row.activation("gelu", row.product(name, x))
                return x, x.sum(-1)

            x, sums = jax.lax.scan(step, x, ({name: tools.weights[name]}, feedback), reverse=reverse)
            return x + sums.mean(0)[:, None]

        return run

    def remat(self, depth):
        inner = self.sequence(depth - 1)
        return lambda tools, x: jax.checkpoint(lambda x: inner(tools, x))(x)

    def branch(self, depth):
        """Operations that are never opened: no term reaches what is inside."""
        before = set(self.shapes)
        names = [self.new(), self.new()]
        self.closed.update(set(self.shapes) - before)

        def run(tools, x):
            yes, no = (lambda x, name=name: jnp.tanh(tools.plain().product(name, x)) for name in names)
            return jax.lax.cond(x.sum() > 0, yes, no, x)

        return run


def both(seed):
    """The gradients of a model with terms of all kinds: by a sweep, and by `jax.grad` of the model that has them inside."""
    drawn = Drawn(seed)
    keys = jr.split(jr.key(seed), 2 * len(drawn.shapes) + 2)
    weights, feedback = (
        {name: jr.normal(key, shape) for key, (name, shape) in zip(keys[i::2], drawn.shapes.items(), strict=False)}
        for i in (0, 1)
    )
    batch = Batch(jr.normal(keys[-1], (2, WIDTH)), jr.normal(keys[-2], (2, WIDTH)), losses.get("squared-error"))
    network = Network([from_function(lambda p, x: drawn.apply(Tools(p), x), weights)]).located((WIDTH,))
    terms = Terms(
        feedback={name: feedback[name] for name in network.transported},
        error=dict.fromkeys(network.synaptic, error),
        derivative=dict.fromkeys(hidden_activations(network), slope),
    )
    ours = backward_sweep(network, None, batch, terms).gradients.first.parameters

    def loss(weights):
        return batch.loss.values(drawn.apply(Tools(weights, feedback), batch.inputs), batch.targets).mean()

    return ours, jax.grad(loss)(weights)


CHUNK = 5


@pytest.mark.parametrize("chunk", [*range(4), *(pytest.param(i, marks=pytest.mark.slow) for i in range(4, 40))])
def test_a_model_drawn_at_random_has_the_gradients_of_the_one_with_other_ways_back(chunk):
    for seed, (ours, theirs) in jax.jit(lambda: {i: both(i) for i in range(CHUNK * chunk, CHUNK * (chunk + 1))})().items():
        try:
            assert_close(ours, theirs, RTOL)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from None
