"""Random functions of the primitives that the playground knows, for JAX and for Node to compute.

A value is exact where both must have the same bits; what jumps (comparisons, rounding, sorting) is asked of exact values alone,
for a last bit must not decide there.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

LAX = jax.lax
SMOOTH = {
    "exp": lambda x: jnp.exp(jnp.clip(x, -3, 3)),
    "exp2": lambda x: jnp.exp2(jnp.clip(x, -3, 3)),
    "expm1": lambda x: jnp.expm1(jnp.clip(x, -3, 3)),
    "log": lambda x: jnp.log(jnp.abs(x) + 0.5),
    "log1p": lambda x: jnp.log1p(jnp.abs(x)),
    "sqrt": lambda x: jnp.sqrt(jnp.abs(x) + 0.1),
    "rsqrt": lambda x: LAX.rsqrt(jnp.abs(x) + 0.1),
    "cbrt": lambda x: jnp.cbrt(jnp.abs(x) + 0.1),
    "tanh": jnp.tanh,
    "logistic": LAX.logistic,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "tan": lambda x: jnp.tan(jnp.clip(x, -1, 1)),
    "asin": lambda x: jnp.arcsin(jnp.clip(x, -0.9, 0.9)),
    "acos": lambda x: jnp.arccos(jnp.clip(x, -0.9, 0.9)),
    "atan": jnp.arctan,
    "sinh": lambda x: jnp.sinh(jnp.clip(x, -3, 3)),
    "cosh": lambda x: jnp.cosh(jnp.clip(x, -3, 3)),
    "asinh": jnp.arcsinh,
    "acosh": lambda x: jnp.arccosh(jnp.abs(x) + 1.5),
    "atanh": lambda x: jnp.arctanh(jnp.clip(x, -0.9, 0.9)),
    "erf": LAX.erf,
    "erfc": lambda x: LAX.erfc(jnp.clip(x, -3, 3)),
    "erf_inv": lambda x: LAX.erf_inv(jnp.clip(x, -0.9, 0.9)),
    "square": jnp.square,
    "integer_pow": lambda x: LAX.integer_pow(x, 3),
    "reciprocal": lambda x: LAX.integer_pow(jnp.abs(x) + 0.5, -2),
    "softmax": lambda x: jax.nn.softmax(x, axis=-1),
    "gelu": lambda x: jax.grad(lambda x: jnp.sum(jax.nn.gelu(x, approximate=False)))(x),
    "softplus": lambda x: jax.grad(lambda x: jnp.sum(jax.nn.softplus(x) ** 2))(x),
    "cumsum": lambda x: LAX.cumsum(x, axis=x.ndim - 1, reverse=True),
    "cumprod": lambda x: LAX.cumprod(jnp.tanh(x), axis=0),
    "mean": lambda x: jnp.mean(x, axis=0),
    "sum": lambda x: jnp.sum(x, axis=-1, keepdims=True),
    "product": lambda x: jnp.prod(jnp.tanh(x), axis=0),
    "normalized": lambda x: x / (1 + jnp.linalg.norm(x)),
}
EXACT = {
    "neg": lambda x: -x,
    "abs": jnp.abs,
    "sign": jnp.sign,
    "floor": jnp.floor,
    "ceil": jnp.ceil,
    "round": lambda x: LAX.round(x * 4, LAX.RoundingMethod.AWAY_FROM_ZERO),
    "round to even": lambda x: LAX.round(jnp.floor(x * 2) / 2, LAX.RoundingMethod.TO_NEAREST_EVEN),
    "is_finite": jnp.isfinite,
    "relu": jax.nn.relu,
    "bits": lambda x: LAX.bitcast_convert_type(x, jnp.uint32),
    "argmax": lambda x: jnp.argmax(x, axis=-1),
    "argmin": lambda x: jnp.argmin(x, axis=0),
    "sort": lambda x: jnp.sort(x, axis=-1),
    "argsort": lambda x: jnp.argsort(x, axis=0),
    "max": lambda x: jnp.max(x, axis=0),
    "min": lambda x: jnp.min(x, axis=-1),
    "cummax": lambda x: LAX.cummax(x, axis=0),
    "whole": lambda x: (x * 3).astype(jnp.int32),
    "all": lambda x: jnp.all(x > -1, axis=0),
    "any": lambda x: ~jnp.any(x > 1, axis=-1),
}
BOTH = {
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": lambda x, y: x / (jnp.abs(y) + 0.5),
    "pow": lambda x, y: jnp.power(jnp.abs(x) + 0.5, jnp.clip(y, -2, 2)),
    "atan2": lambda x, y: jnp.arctan2(x, jnp.abs(y) + 0.5),
    "maximum": jnp.maximum,
    "minimum": jnp.minimum,
    "concatenate": lambda x, y: jnp.concatenate([x, y], axis=0),
    "stack": lambda x, y: jnp.stack([x, y], axis=-1)[..., 0],
    "dot": lambda x, y: jnp.einsum("...k,...k->...", x, y),
    "outer": lambda x, y: jnp.einsum("i...,j...->ij", x, y),
    "batched": lambda x, y: LAX.dot_general(x, y, (((), ()), ((0,), (0,)))).sum(axis=-1) if x.ndim == 2 else x * y,
    "scan": lambda x, y: LAX.scan(lambda c, r: (jnp.tanh(c + r[0]), c * r[1]), x[0] * 0, (x, y), reverse=True)[1],
    "loop": lambda x, y: LAX.fori_loop(0, 3, lambda i, c: jnp.tanh(c + y * (i + 1)), x),
    "update": lambda x, y: LAX.dynamic_update_slice(x, y[:1], (jnp.int32(1),) + (jnp.int32(0),) * (x.ndim - 1)),
}
JUMPS = {
    "compare": lambda x, y: (x < y) ^ (x >= 0.5) | (x == y) & (x != 1) | ((y <= 0) & (y > -1)),
    "select": lambda x, y: jnp.where(x > y, x, -y),
    "nextafter": jnp.nextafter,
    "rem": lambda x, y: LAX.rem(x, jnp.abs(y) + 0.5),
    "clamp": lambda x, y: LAX.clamp(jnp.float32(-0.5), x, jnp.abs(y)),
    "cond": lambda x, y: LAX.cond(jnp.sum(x.ravel()[0]) > 0, lambda x, y: x + y, lambda x, y: x * y, x, y),
    "sort by": lambda x, y: LAX.sort((x, y), dimension=0, num_keys=1)[1],
}
WHOLE = {
    "add": jnp.add,
    "mul": lambda x, y: x * y * jnp.int32(1234567),
    "xor": lambda x, y: (x & y) ^ (x | ~y),
    "shifts": lambda x, y: LAX.shift_left(x, y & 7) + LAX.shift_right_arithmetic(x, y & 3) - LAX.shift_right_logical(x, y & 3),
    "div": lambda x, y: LAX.div(x, jnp.abs(y) + 1) + LAX.rem(x, jnp.abs(y) + 1),
    "max": lambda x, y: jnp.maximum(x, -y) * jnp.sign(y),
    "unsigned": lambda x, y: (x.astype(jnp.uint32) * y.astype(jnp.uint32)) >> 3,
    "float": lambda x, y: (x - y).astype(jnp.float32) / 64,
    "cumulate": lambda x, y: jnp.cumsum(x, axis=0) + LAX.cummin(y, axis=0),
}


def _indices(rng, axis, x):
    count = int(rng.integers(1, 5))
    return jnp.asarray(rng.integers(-x.shape[axis], x.shape[axis] + 2, count), jnp.int32)


def _moved(rng):
    """A random operation that moves numbers, and computes none."""
    axis_of = lambda x: int(rng.integers(x.ndim)) if x.ndim else 0
    seed = int(rng.integers(2**31))
    own = lambda: np.random.default_rng(seed)

    def padded(x):
        r = own()
        widths = [(int(r.integers(-1, 2)) if n > 1 else 0, int(r.integers(0, 3)), int(r.integers(0, 2))) for n in x.shape]
        return LAX.pad(x, jnp.zeros((), x.dtype), widths)

    def sliced(x):
        r = own()
        starts = [int(r.integers(0, n)) for n in x.shape]
        return LAX.slice(x, starts, x.shape, [int(r.integers(1, 3)) for _ in x.shape])

    def gathered(x):
        mode = ("clip", "fill", "promise_in_bounds")[seed % 3]
        index = _indices(own(), 0, x)
        return x.at[index % x.shape[0] if mode == "promise_in_bounds" else index].get(mode=mode, fill_value=7)

    def scattered(x):
        index = _indices(own(), 0, x)
        rows = jnp.broadcast_to(x[:1], (len(index), *x.shape[1:]))
        return (x.at[index].add, x.at[index].max, x.at[index].min)[seed % 3](rows, mode=("drop", "clip")[seed % 2])

    def put(x):
        return x.at[own().permutation(x.shape[0])[:1]].set(x[-1:])

    def cut(x):
        starts = [jnp.int32(own().integers(-1, n + 1)) for n in x.shape]
        return LAX.dynamic_slice(x, starts, [max(1, n - 1) for n in x.shape])

    return (
        lambda x: jnp.transpose(x, own().permutation(x.ndim)),
        lambda x: x.reshape(-1),
        lambda x: jnp.broadcast_to(x[None], (2, *x.shape))[:, ..., :1].reshape(-1),
        lambda x: jnp.flip(x, axis_of(x)),
        lambda x: jnp.take_along_axis(x, jnp.zeros(x.shape, jnp.int32), axis=axis_of(x)),
        lambda x: jax.vmap(lambda row, i: row[i % row.shape[0]])(x, jnp.arange(x.shape[0])) if x.ndim > 1 else x,
        lambda x: LAX.split(x, [1, x.shape[0] - 1], axis=0)[-1] if x.shape[0] > 1 else x,
        padded,
        sliced,
        gathered,
        scattered,
        put,
        cut,
    )[int(rng.integers(13))]


DRAWN = (
    lambda key, shape: jr.uniform(key, shape, jnp.float32),
    lambda key, shape: jr.bits(jr.split(key, 3)[1], shape).astype(jnp.int32),
    lambda key, shape: jr.randint(jr.fold_in(key, 5), shape, -9, 9, jnp.int32),
    lambda key, shape: jr.rademacher(key, shape, jnp.float32),
    lambda key, shape: jr.permutation(key, 7).astype(jnp.int32),
    lambda key, shape: jax.vmap(lambda k: jr.uniform(k, (2,), jnp.float32))(jr.split(key, 3)),
    lambda key, shape: jr.bernoulli(key, 0.3, shape).astype(jnp.float32),
)
NOISE = (
    lambda key, shape: jr.normal(key, shape, jnp.float32),
    lambda key, shape: jr.truncated_normal(key, -2, 2, shape, jnp.float32),
)


class Value(NamedTuple):
    array: object
    exact: bool


def case(number):
    """A random function, and arguments for it."""
    seed = np.random.SeedSequence([26, number])
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 3)))
    floats = [np.round(rng.standard_normal(shape) * 256).astype(np.float32) / 256 for _ in range(2)]
    whole = [rng.integers(-1000, 1000, shape).astype(np.int32) for _ in range(2)]
    given = (*map(jnp.asarray, (*floats, *whole)), jr.key(int(rng.integers(2**31)), impl="threefry2x32"))
    steps = int(rng.integers(2, 7))
    state = int(rng.integers(2**63))

    def function(x, y, i, j, key):
        rng = np.random.default_rng(state)
        values = [Value(x, True), Value(y, True)]
        count = [Value(i, True), Value(j, True)]
        for step in range(steps):
            made, exact = _step(rng, values, count, jr.fold_in(key, step), shape)
            home = values if made.dtype == jnp.float32 else count if made.dtype == jnp.int32 and made.ndim else None
            value = Value(made, exact)
            if home is not None and made.size and made.ndim:
                home.append(value)
            else:
                values.append(
                    Value(made.astype(jnp.float32), exact) if made.ndim else Value(made.astype(jnp.float32)[None], exact)
                )
        return [one.array for one in (*values[2:], *count[2:])]

    return function, given


def _step(rng, values, count, key, shape):
    """One more value of those there are."""
    pick = lambda found: found[int(rng.integers(len(found)))]
    exact = [one for one in values if one.exact]
    kind = rng.choice(
        ["smooth", "exact", "both", "jump", "whole", "moved", "drawn"], p=[0.22, 0.12, 0.18, 0.12, 0.12, 0.16, 0.08]
    )
    if kind == "smooth":
        return pick(list(SMOOTH.values()))(pick(values).array), False
    if kind == "exact":
        return pick(list(EXACT.values()))(pick(exact).array), True
    if kind == "drawn":
        drawn = (*DRAWN, *NOISE)
        number = int(rng.integers(len(drawn)))
        return drawn[number](key, shape), number < len(DRAWN)
    if kind == "moved":
        one = pick([*values, *count])
        return _moved(rng)(one.array), one.exact
    pairs = [
        (a, b)
        for home in ((count,) if kind == "whole" else (exact,) if kind == "jump" else (values,))
        for a in home
        for b in home
    ]
    pairs = [(a, b) for a, b in pairs if a.array.shape == b.array.shape]
    a, b = pick(pairs)
    table = {"whole": WHOLE, "jump": JUMPS, "both": BOTH}[kind]
    name = pick(list(table))
    return table[name](a.array, b.array), kind == "whole" or name in ("select", "compare", "sort by", "nextafter", "clamp")
