"""Small models of all kinds, written as users write them, for the tests of credit inside layers.

A model is `apply(parameters, x, taps)`: `taps` are zeros that are added to preactivations, by the names of the sites, so that
`jax.grad` gives the error there.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from ascribe import losses, networks
from ascribe.networks import Network
from ascribe.rules import Batch


class Model(NamedTuple):
    """A function of a batch, its parameters, and the shape of an example; `tapped`: the sites that take zeros."""

    apply: Any
    parameters: Any
    shape: tuple[int, ...]
    tapped: tuple[str, ...] = ()


MODELS: dict[str, Any] = {}
NO_TAPS: dict[str, Any] = {}


def model(make):
    MODELS[make.__name__] = make
    return make


def tap(taps, name, z):
    return z + taps[name] if name in taps else z


def drawn(**shapes):
    """Parameters by name: normal, with a spread that keeps what passes of one size."""
    keys = jr.split(jr.key(len(shapes)), len(shapes))
    return {
        name: jr.normal(key, shape) / max(shape[-1], 1) ** 0.5 for key, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def normalized(x):
    return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3)


# Transformers and mixers


class TransformerBlock(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    norm1: eqx.nn.LayerNorm
    norm2: eqx.nn.LayerNorm

    def __init__(self, key):
        keys = jr.split(key, 3)
        self.attention = eqx.nn.MultiheadAttention(2, 4, use_output_bias=True, key=keys[0])
        self.up, self.down = eqx.nn.Linear(4, 6, key=keys[1]), eqx.nn.Linear(6, 4, key=keys[2])
        self.norm1, self.norm2 = eqx.nn.LayerNorm(4), eqx.nn.LayerNorm(4)

    def __call__(self, x):
        y = jax.vmap(self.norm1)(x)
        x = x + self.attention(y, y, y, mask=jnp.tril(jnp.ones((x.shape[0],) * 2, bool)))
        return x + jax.vmap(lambda one: self.down(jax.nn.gelu(self.up(self.norm2(one)))))(x)


class Transformer(eqx.Module):
    embed: eqx.nn.Linear
    blocks: list[TransformerBlock]
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jr.split(key, 4)
        self.embed, self.head = eqx.nn.Linear(3, 4, key=keys[0]), eqx.nn.Linear(4, 3, key=keys[3])
        self.blocks = [TransformerBlock(keys[1]), TransformerBlock(keys[2])]

    def __call__(self, x):
        x = jax.vmap(self.embed)(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(0))


class Stateful(eqx.Module):
    """Batch normalization over mapped examples, and dropout."""

    first: eqx.nn.Linear
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    second: eqx.nn.Linear

    def __init__(self, key):
        self.first, self.second = eqx.nn.Linear(3, 4, key=key), eqx.nn.Linear(4, 3, key=key)
        self.norm, self.dropout = eqx.nn.BatchNorm(4, axis_name="batch", mode="batch"), eqx.nn.Dropout(0.3)

    def __call__(self, x, state, *, key=None):
        x, state = self.norm(jnp.tanh(self.first(x)), state)
        return self.second(self.dropout(x, key=key)), state


def einsum_block(p, x, taps):
    q, k, v = (tap(taps, name, jnp.einsum("btd,dhk->bthk", normalized(x), p[name])) for name in "qkv")
    mixed = jnp.einsum("bhts,bshk->bthk", jax.nn.softmax(jnp.einsum("bthk,bshk->bhts", q, k)), v)
    x = x + tap(taps, "o", jnp.einsum("bthk,hkd->btd", mixed, p["o"]))
    return x + tap(taps, "down", jax.nn.gelu(tap(taps, "up", normalized(x) @ p["up"])) @ p["down"])


BLOCK = {"q": (4, 2, 2), "k": (4, 2, 2), "v": (4, 2, 2), "o": (2, 2, 4), "up": (4, 6), "down": (6, 4)}


@model
def einsum_transformer():
    """Kernels of several heads; one block."""

    def apply(p, x, taps=NO_TAPS):
        return tap(taps, "head", einsum_block(p, tap(taps, "embed", x @ p["embed"]), taps).mean(1) @ p["head"])

    return Model(apply, drawn(embed=(3, 4), **BLOCK, head=(4, 3)), (2, 3), ("embed", *BLOCK, "head"))


@model
def stacked_transformer():
    """Two blocks as one scan over their weights."""

    def apply(p, x, taps=NO_TAPS):
        inner = {name: taps[name] for name in BLOCK if name in taps}
        step = lambda x, row: (einsum_block(row[0], x, row[1]), None)
        x, _ = jax.lax.scan(step, tap(taps, "embed", x @ p["embed"]), ({name: p[name] for name in BLOCK}, inner))
        return tap(taps, "head", x.mean(1) @ p["head"])

    stacked = {name: (2, *shape) for name, shape in BLOCK.items()}
    return Model(apply, drawn(embed=(3, 4), **stacked, head=(4, 3)), (2, 3), ("embed", *BLOCK, "head"))


@model
def mixer():
    def apply(p, x, taps=NO_TAPS):
        h = tap(taps, "embed", x @ p["embed"])
        across = jnp.swapaxes(normalized(h), 1, 2)
        across = jax.nn.gelu(tap(taps, "tokens_up", across @ p["tokens_up"]), approximate=False)
        h = h + jnp.swapaxes(tap(taps, "tokens_down", across @ p["tokens_down"]), 1, 2)
        h = h + tap(taps, "down", jax.nn.silu(tap(taps, "up", normalized(h) @ p["up"])) @ p["down"])
        return tap(taps, "head", h.mean(1) @ p["head"])

    shapes = {"embed": (3, 4), "tokens_up": (2, 5), "tokens_down": (5, 2), "up": (4, 6), "down": (6, 4), "head": (4, 3)}
    return Model(apply, drawn(**shapes), (2, 3), tuple(shapes))


@model
def convolutional():
    """Channels first, strided, dilated and in groups."""

    def convolved(x, kernel, **options):
        return jax.lax.conv_general_dilated(x, kernel, padding="SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"), **options)

    def apply(p, x, taps=NO_TAPS):
        h = tap(taps, "first", convolved(jnp.moveaxis(x, -1, 1), p["first"], window_strides=(2, 1)))
        h = tap(taps, "dilated", convolved(jax.nn.relu(h), p["dilated"], window_strides=(1, 1), rhs_dilation=(2, 1)))
        h = h + tap(taps, "groups", convolved(jnp.tanh(h), p["groups"], window_strides=(1, 1), feature_group_count=2))
        return tap(taps, "head", h.mean((2, 3)) @ p["head"])

    shapes = {"first": (4, 1, 3, 2), "dilated": (4, 4, 2, 2), "groups": (4, 2, 3, 3), "head": (4, 3)}
    return Model(apply, drawn(**shapes), (4, 3, 1), tuple(shapes))


# Recurrence


def gru_step(p, h, x, taps):
    x, y = tap(taps, "input", x @ p["input"].T), tap(taps, "hidden", h @ p["hidden"].T)
    (a, b, c), (d, e, f) = jnp.split(x, 3, -1), jnp.split(y, 3, -1)
    r, z = jax.nn.sigmoid(a + d), jax.nn.sigmoid(b + e)
    return (1 - z) * jnp.tanh(c + r * f) + z * h


def over_time(step, start, p, x, taps, **options):
    """The last state and the states of all steps; taps of sites inside the step have an axis of steps in front."""
    inner = {name: one for name, one in taps.items() if name in ("input", "hidden")}

    def both(h, row):
        h = step(p, h, *row)
        return h, h

    return jax.lax.scan(both, start, (jnp.swapaxes(x, 0, 1), inner), **options)


def _gru(**options):
    def apply(p, x, taps=NO_TAPS):
        _, states = over_time(gru_step, jnp.zeros((len(x), 4)), p, x, taps, **options)
        return tap(taps, "head", states.mean(0) @ p["head"].T)

    return Model(apply, drawn(input=(12, 2), hidden=(12, 4), head=(3, 4)), (12, 2), ("input", "hidden", "head"))


@model
def gru():
    return _gru()


@model
def gru_reversed():
    return _gru(reverse=True)


@model
def gru_unrolled():
    return _gru(unroll=2)


@model
def lstm():
    """One product for input and hidden state side by side; the cell's state and a counter are carried too."""

    def step(p, carry, x, taps):
        h, c, count = carry
        z = tap(taps, "hidden", jnp.concatenate([x, h], -1) @ p["hidden"].T)
        i, f, g, o = jnp.split(z, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c, count + 1

    def apply(p, x, taps=NO_TAPS):
        start = jnp.zeros((len(x), 4)), jnp.zeros((len(x), 4)), jnp.asarray(0)
        (h, *_), _ = over_time(step, start, p, x, taps)
        return tap(taps, "head", h @ p["head"].T)

    return Model(apply, drawn(hidden=(16, 6), head=(3, 4)), (12, 2), ("hidden", "head"))


@model
def stacked_gru():
    """Layers in a scan over time in a scan over layers' weights; no taps."""

    def apply(p, x):
        def layer(x, own):
            _, states = over_time(gru_step, jnp.zeros((x.shape[0], 2)), own, x, {})
            return jnp.swapaxes(states, 0, 1), None

        x, _ = jax.lax.scan(layer, x, {"input": p["input"], "hidden": p["hidden"]})
        return x[:, -1] @ p["head"].T

    return Model(apply, drawn(input=(2, 6, 2), hidden=(2, 6, 2), head=(3, 2)), (4, 2))


@model
def odd_loop():
    """What a loop carries: a key, a number that is the same after every step, a counter; an unused product beside it."""

    def apply(p, x, key=None):
        def step(carry, _):
            h, key, z, count = carry
            key, own = jr.split(key)
            return (jnp.tanh(h @ p["inner"]) * jr.bernoulli(own, 0.7, h.shape) + z, key, 0.5, count + 1), z

        start = x @ p["embed"], jr.key(0) if key is None else key, x.sum(), 0
        (h, _, z, _), every = jax.lax.scan(step, start, None, length=3)
        _ = x @ p["unused"]
        return h @ p["head"] + z + every.sum()

    return Model(apply, drawn(embed=(3, 4), inner=(4, 4), head=(4, 3), unused=(3, 2)), (3,))


# Weights that are made of parameters


@model
def tied():
    """One matrix into the embedding and, transposed, out of it."""

    def apply(p, x, taps=NO_TAPS):
        h = tap(taps, "embedding", x @ p["embedding"])
        h = jnp.tanh(h + tap(taps, "mix", jnp.tanh(h) @ p["mix"]))
        return tap(taps, "embedding@2", h @ p["embedding"].T)

    return Model(apply, drawn(embedding=(3, 4), mix=(4, 4)), (3,), ("embedding", "mix", "embedding@2"))


@model
def weight_normalized():
    def apply(p, x, taps=NO_TAPS):
        weight = lambda name: p[f"size_{name}"][:, None] * p[name] / jnp.linalg.norm(p[name], axis=1, keepdims=True)
        h = jax.nn.softplus(tap(taps, "first", x @ weight("first").T))
        return tap(taps, "second", h @ weight("second").T)

    shapes = {"first": (5, 4), "size_first": (5,), "second": (3, 5), "size_second": (3,)}
    return Model(apply, drawn(**shapes), (4,), ("first", "second"))


@model
def low_rank():
    """A product of two parameters is one site; two products in a row are two."""

    def apply(p, x, taps=NO_TAPS):
        h = jax.nn.relu(tap(taps, "left", x @ (p["left"] @ p["right"])))
        return tap(taps, "out", tap(taps, "down", h @ p["down"]) @ p["out"])

    return Model(apply, drawn(left=(6, 2), right=(2, 5), down=(5, 2), out=(2, 3)), (6,), ("left", "down", "out"))


# Operations with programs inside them


@model
def rematerialized():
    def apply(p, x, taps=NO_TAPS):
        def block(p, h, taps):
            return h + jnp.tanh(tap(taps, "up", h @ p["up"])) @ p["down"]

        h = tap(taps, "embed", x @ p["embed"])
        return tap(taps, "head", jax.checkpoint(block)(p, h, taps) @ p["head"])

    return Model(apply, drawn(embed=(3, 4), up=(4, 5), down=(5, 4), head=(4, 3)), (3,), ("embed", "up", "head"))


@jax.custom_jvp
def multiplied(x, w):
    return jnp.tanh(x @ w)


@multiplied.defjvp
def _multiplied(primals, tangents):
    return jax.jvp(lambda x, w: jnp.tanh(x @ w), primals, tangents)


@model
def custom_derivative():
    def apply(p, x, taps=NO_TAPS):
        h = multiplied(tap(taps, "embed", x @ p["embed"]), p["inner"])
        return tap(taps, "head", h @ p["head"])

    return Model(apply, drawn(embed=(3, 4), inner=(4, 4), head=(4, 3)), (3,), ("embed", "head"))


@model
def branching():
    """A product in `lax.cond`, one in a `lax.fori_loop` of a fixed length, which JAX makes a scan of."""

    def apply(p, x, taps=NO_TAPS):
        h = jnp.tanh(tap(taps, "embed", x @ p["embed"]))
        h = jax.lax.cond(jnp.sum(x) > 0, lambda h: h @ p["yes"], lambda h: h @ p["no"] + 1, h)
        h = jax.lax.fori_loop(0, 3, lambda i, h: jnp.tanh(h @ p["loop"]), h)
        return tap(taps, "head", h @ p["head"])

    return Model(apply, drawn(embed=(3, 4), yes=(4, 4), no=(4, 4), loop=(4, 4), head=(4, 3)), (3,), ("embed", "head"))


# Networks and batches of them


def layers_of(name):
    """The model of that name as layers."""
    if name == "transformer":
        return [networks.from_model(Transformer(jr.key(0)))]
    if name == "stateful":
        return [networks.from_model(Stateful, shape=(3,))]
    if name == "resnet":
        return small_resnet()
    return [networks.from_function(MODELS[name]().apply, MODELS[name]().parameters)]


def small_resnet():
    """Residual blocks of convolutions with batch normalization and dropout, with a shortcut of its own where the shape
    changes."""
    L = networks
    conv = lambda channels, outputs, stride=1: L.Conv2d(channels, outputs, 3, stride=stride, padding=1, bias=False)
    plain = [conv(2, 2), L.BatchNorm(2), L.Activation("relu"), L.Dropout(0.3), conv(2, 2), L.BatchNorm(2)]
    wider = [conv(2, 3, 2), L.BatchNorm(3), L.Activation("relu"), conv(3, 3), L.BatchNorm(3)]
    shortcut = [L.Conv2d(2, 3, 1, stride=2, bias=False), L.BatchNorm(3)]
    relu = lambda: L.Activation("relu")
    blocks = [L.Residual(plain), relu(), L.Residual(wider, shortcut), relu()]
    return [conv(1, 2), L.BatchNorm(2), relu(), *blocks, L.GlobalAveragePool(), L.Linear(3, 3)]


SHAPES = {"transformer": (2, 3), "resnet": (5, 5, 1), "stateful": (3,)}
NAMES = (*MODELS, *SHAPES)


@functools.cache
def network_of(name):
    """The model as a network, located."""
    shape = SHAPES.get(name) or MODELS[name]().shape
    network = Network(layers_of(name))
    return (network.initialize(jr.key(5)) if name == "resnet" else network).located(shape)


@functools.cache
def batch_of(name, loss="categorical-cross-entropy"):
    shape = SHAPES.get(name) or MODELS[name]().shape
    targets = jnp.array([0, 2, 1, 1, 0]) if loss != "squared-error" else jr.normal(jr.key(9), (5, 3))
    state = network_of(name).initial_state()
    return Batch(jr.normal(jr.key(8), (5, *shape)), targets, losses.get(loss), network_state=state)
