"""Random expression graphs with shared variables and broadcasting: values and derivatives as JAX's, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ascribe import autodiff as ad
from ascribe.autodiff import Var, gradients, hessian_vector_product

SHAPES = ((), (3,), (2, 1), (2, 3), (1, 3))
# name: (ours, JAX's); all smooth and bounded, so that sizes stay where 1e-10 means something
UNARY = {
    "sin": (ad.sin, jnp.sin),
    "cos": (ad.cos, jnp.cos),
    "tanh": (ad.tanh, jnp.tanh),
    "arctan": (ad.arctan, jnp.arctan),
    "logistic": (ad.logistic, jax.nn.sigmoid),
    "softplus": (lambda x: ad.softplus(ad.sin(x)), lambda x: jax.nn.softplus(jnp.sin(x))),
    "exp": (lambda x: ad.exp(ad.sin(x)), lambda x: jnp.exp(jnp.sin(x))),
    "log": (lambda x: ad.log(x * x + 1.0), lambda x: jnp.log(x * x + 1.0)),
    "sqrt": (lambda x: ad.sqrt(x * x + 1.0), lambda x: jnp.sqrt(x * x + 1.0)),
    "sum": (lambda x: ad.sum(x, keepdims=True) * 0.2, lambda x: jnp.sum(x, keepdims=True) * 0.2),
    "mean": (lambda x: ad.mean(x) * 1.0, jnp.mean),
    "logsumexp": (ad.logsumexp, jax.nn.logsumexp),
    "transpose": (lambda x: ad.sin(x.T).T, lambda x: jnp.sin(x.T).T),
    "double": (lambda x: x + x, lambda x: x + x),
    "square": (lambda x: ad.sin(x * x), lambda x: jnp.sin(x * x)),
}
BINARY = {
    "add": (lambda x, y: x + y, jnp.add),
    "subtract": (lambda x, y: x - y, jnp.subtract),
    "multiply": (lambda x, y: ad.tanh(x) * ad.sin(y), lambda x, y: jnp.tanh(x) * jnp.sin(y)),
    "divide": (lambda x, y: x / (y * y + 1.0), lambda x, y: x / (y * y + 1.0)),
    "power": (lambda x, y: (ad.sin(x) + 2.0) ** ad.cos(y), lambda x, y: (jnp.sin(x) + 2.0) ** jnp.cos(y)),
}


@st.composite
def programs(draw):
    """Shapes of the leaves, then steps, each a function of any of what stands before: so variables are shared."""
    leaves = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    steps, count = [], len(leaves)
    for _ in range(draw(st.integers(3, 12))):
        pick = st.integers(0, count - 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(sorted(UNARY))), draw(pick)))
        else:
            steps.append((draw(st.sampled_from(sorted(BINARY))), draw(pick), draw(pick)))
        count += 1
    return tuple(leaves), tuple(steps), draw(st.integers(0, 2**16))


def run(steps, values, side, total):
    values = list(values)
    for name, *numbers in steps:
        values.append((UNARY if len(numbers) == 1 else BINARY)[name][side](*(values[i] for i in numbers)))
    return sum(total(value) for value in values)  # so that it depends on every leaf


@settings(max_examples=24, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs())
def test_values_gradients_and_second_derivatives_are_jax_s(program):
    leaves, steps, seed = program
    generator = np.random.default_rng(seed)
    arrays = [generator.uniform(-1.5, 1.5, shape) for shape in leaves]
    directions = [generator.uniform(-1.0, 1.0, shape) for shape in leaves]

    @jax.jit
    def reference(arrays, directions):
        theirs = lambda arrays: run(steps, arrays, 1, jnp.sum)
        (expected, wanted), (_, curved) = jax.jvp(jax.value_and_grad(theirs), (arrays,), (directions,))
        return expected, wanted, curved

    with jax.numpy_rank_promotion("allow"):
        expected, wanted, curved = reference(arrays, directions)
    variables = [Var(a) for a in arrays]
    f = run(steps, variables, 0, ad.sum)
    np.testing.assert_allclose(f.value, expected, rtol=1e-12, atol=1e-12)
    found = gradients(f, variables)
    size = 1.0 + max(float(np.max(np.abs(g))) for g in wanted)
    f.backward()
    for g, v, other in zip(found, variables, wanted, strict=True):
        np.testing.assert_allclose(g, other, rtol=0, atol=1e-10 * size)
        np.testing.assert_allclose(v.grad, g, rtol=0, atol=1e-12 * size)
    size = 1.0 + max(float(np.max(np.abs(g))) for g in curved)
    for h, other in zip(hessian_vector_product(f, variables, directions), curved, strict=True):
        np.testing.assert_allclose(h, other, rtol=0, atol=1e-8 * size)


@settings(max_examples=24, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs())
def test_a_graph_built_without_values_is_the_graph_built_with_them(program):
    leaves, steps, seed = program
    generator = np.random.default_rng(seed)
    lazy, values = [Var() for _ in leaves], [generator.uniform(-1.5, 1.5, shape) for shape in leaves]
    # sums over what is known only later: the shapes of constants inside do not matter
    f = run(steps, lazy, 0, ad.sum)
    for v, value in zip(lazy, values, strict=True):
        v.value = value
    f.evaluate()
    f.backward()
    eager = [Var(value) for value in values]
    g = run(steps, eager, 0, ad.sum)
    g.backward()
    assert f.value == g.value
    for v, w in zip(lazy, eager, strict=True):
        np.testing.assert_array_equal(v.grad, w.grad)
