"""Traced functions as graphs, and what of JAX's programs they count on."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import jaxprs
from ascribe.jaxprs import Constant, Variable, graph_of, trace


def names(graph):
    return [equation.name for equation in graph.equations]


X = jr.normal(jr.key(0), (3, 4))
W = jr.normal(jr.key(1), (4, 4))


@jax.custom_jvp
def doubled(x):
    return 2 * jnp.sin(x)


@doubled.defjvp
def _doubled(primals, tangents):
    return doubled(*primals), 7 * tangents[0]


def everything(w, x):
    """All that a graph can have inside."""
    inner = jax.jit(jax.jit(lambda a: jnp.tanh(a @ w) + 1))
    x = inner(inner(x))
    x = jax.checkpoint(lambda a: jnp.cos(a @ w))(x)
    x, rows = jax.lax.scan(lambda a, row: (a * row, a.sum()), x, jnp.arange(1.0, 4.0), reverse=True)
    x = jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, doubled(x))
    x = jax.lax.while_loop(lambda a: jnp.all(a < 5), lambda a: a + 1, x)
    return {"x": x, "rows": rows, "w": w, "one": 1.0}


def test_a_graph_computes_what_its_function_does():
    graph, structure = trace(everything, W, X)
    ours = jax.tree.unflatten(structure, graph.evaluate(W, X))
    theirs = everything(W, X)
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-14), ours, theirs)
    abstract, _ = trace(everything, *(jax.ShapeDtypeStruct(one.shape, one.dtype) for one in (W, X)))
    assert names(abstract) == names(graph)


def test_calls_are_opened_and_operations_with_programs_inside_are_one():
    graph, _ = trace(everything, W, X)
    found = names(graph)
    assert not set(found) & set(jaxprs.WRAPPERS)
    assert found.count("dot_general") == found.count("tanh") == 2 and found.count("scan") == 1
    inside = {name: next(one for one in graph.equations if one.name == name) for name in found}
    assert "cos" in names(next(one for one in graph.equations if one.name in ("remat2", "checkpoint")).inner)
    assert "sin" in names(inside["custom_jvp_call"].inner)
    assert inside["scan"].carried == (0, 1) and names(inside["scan"].inner).count("reduce_sum") == 1
    assert jaxprs.scan_options(inside["scan"]) == {"length": 3, "reverse": True, "unroll": 1}
    assert inside["cond"].inner is None and {names(one)[0] for one in inside["cond"].hidden} == {"sin", "cos"}
    assert inside["while"].inner is None and len(inside["while"].hidden) == 2
    every = [one.name for one in graph.everywhere()]
    assert every.count("dot_general") == 3 and "sin" in every and len(every) > len(found)


def test_one_program_called_twice_has_variables_of_its_own_in_each_place():
    inner = jax.jit(jnp.sin)
    graph, _ = trace(lambda x: inner(inner(x)), X)
    first, second = graph.equations
    assert first.outputs[0] is second.inputs[0] and first.outputs[0] is not second.outputs[0]


def test_what_a_function_closes_over_is_a_constant_and_numbers_are_in_the_program():
    graph, _ = trace(lambda x: x @ W + 2.0, X)
    assert len(graph.inputs) == 1 and len(graph.constants) == 1
    numbers = [atom for one in graph.equations for atom in one.inputs if isinstance(atom, Constant)]
    assert [float(one.value) for one in numbers] == [2.0] and numbers[0].shape == ()


def test_what_no_output_needs_is_left_out_unless_it_acts():
    def function(x):
        _ = jnp.sin(x) @ W
        jax.debug.print("{}", jnp.cos(x).sum())
        return x + 1

    graph, _ = trace(function, X)
    assert "sin" not in names(graph) and "dot_general" not in names(graph) and not graph.constants
    assert "cos" in names(graph) and names(graph)[-1] == "add"


def test_operations_can_be_evaluated_in_another_form_wherever_they_are():
    def function(x):
        x = jax.checkpoint(jnp.sin)(x)
        x, rows = jax.lax.scan(lambda a, row: (jnp.sin(a) + row, jnp.sin(row)), x, jnp.arange(3.0))
        return x, rows, jnp.exp(x)

    graph, _ = trace(function, X)
    found = graph.evaluate(X, forms={"sin": lambda equation, values: [-values[0]], "exp": lambda *_: None})
    steps = -X
    for row in range(3):
        steps = -steps + row
    for ours, theirs in zip(found, (steps, -jnp.arange(3.0), jnp.exp(steps)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_a_derivative_of_a_function_s_own_stays_whatever_has_another_form():
    graph, _ = trace(doubled, X)
    for forms in (None, {"sin": lambda _, values: [-values[0]]}):
        slope = jax.grad(lambda x, forms=forms: graph.evaluate(x, forms=forms)[0].sum())(X)
        np.testing.assert_array_equal(slope, 7 * np.ones_like(X))


def test_evaluation_is_traced_and_mapped_like_the_function():
    graph, structure = trace(everything, W, X)
    again = lambda x: jax.tree.unflatten(structure, graph.evaluate(W, x))["x"].sum()
    ours, theirs = jax.jit(again)(X), everything(W, X)["x"].sum()
    np.testing.assert_allclose(ours, theirs, rtol=1e-14)


def test_shapes_and_types_are_told():
    graph, _ = trace(lambda x, n, key: (x.sum(), n + 1, jr.split(key)), X, jnp.arange(2), jr.key(0))
    assert [one.shape for one in graph.inputs] == [(3, 4), (2,), ()]
    assert [one.floating for one in graph.inputs] == [True, False, False]
    assert jaxprs.zeros(graph.inputs[0]).shape == (3, 4) and jaxprs.total((2, 3, 4)) == 24 and jaxprs.total(()) == 1


# What the package reads in JAX's programs: a new JAX that calls it otherwise is told of here, in one sentence.


def conv(x):
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, jnp.ones((3, 3, 1, 2)), (1, 1), "SAME", dimension_numbers=numbers)


@jax.custom_vjp
def own(x):
    return x @ W


own.defvjp(lambda x: (x @ W, None), lambda _, g: (g,))

COUNTED_ON = {
    "dot_general": (lambda x: x @ W, {"dimension_numbers"}),
    "conv_general_dilated": (
        lambda x: conv(x[None, :, :, None]),
        {
            "dimension_numbers",
            "feature_group_count",
            "batch_group_count",
            "lhs_dilation",
            "rhs_dilation",
            "window_strides",
        }
        | {"padding"},
    ),
    "scan": (
        lambda x: jax.lax.scan(lambda a, _: (a @ W, None), x, length=2)[0],
        {"jaxpr", "num_consts", "num_carry", "length", "reverse", "unroll"},
    ),
    "jit": (jax.jit(jnp.sin), {"jaxpr"}),
    "remat2": (jax.checkpoint(jnp.sin), {"jaxpr"}),
    "custom_jvp_call": (doubled, {"call_jaxpr"}),
    "custom_vjp_call": (own, {"call_jaxpr"}),
    "cond": (lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x), {"branches"}),
    "while": (
        lambda x: jax.lax.while_loop(lambda a: a.sum() < 1, lambda a: a + 1, x),
        {"body_jaxpr", "cond_jaxpr", "body_nconsts", "cond_nconsts"},
    ),
    "broadcast_in_dim": (lambda x: jnp.broadcast_to(x, (2, 3, 4)), set()),
}


@pytest.mark.parametrize("name", COUNTED_ON)
def test_jax_calls_operations_and_what_they_are_told_as_this_package_reads_them(name):
    function, wanted = COUNTED_ON[name]
    equations = jax.make_jaxpr(function)(X).jaxpr.eqns
    found = {one.primitive.name: set(one.params) for one in equations}
    aliases = {"remat2": ("remat2", "checkpoint"), "jit": ("jit", "pjit")}.get(name, (name,))
    given = next((found[one] for one in aliases if one in found), None)
    assert given is not None, f"JAX {jax.__version__} has another name for {name} than src/ascribe/jaxprs.py: {list(found)}."
    missing = wanted - given
    assert not missing, f"JAX {jax.__version__} tells {name} no {missing}, which src/ascribe reads, but {given}."


def test_elementwise_operations_are_called_as_this_package_reads_them():
    functions = [jnp.abs, jnp.sin, jnp.tanh, jax.lax.logistic, jax.lax.erf, jnp.exp, jnp.log1p, jnp.sign, jnp.sqrt]
    functions += [lambda x: x + 1, lambda x: x * 2, lambda x: x / 2, lambda x: x**3, lambda x: -x, lambda x: x > 0]
    functions += [lambda x: jax.lax.max(x, 0.0), lambda x: jax.lax.clamp(0.0, x, 1.0), jax.lax.stop_gradient]
    functions += [lambda x: jax.lax.select(x > 0, x, -x), lambda x: x.astype(np.float32), jax.lax.rsqrt]
    unknown = {one.name for f in functions for one in trace(f, X)[0].everywhere()} - jaxprs.ELEMENTWISE
    assert not unknown, f"JAX {jax.__version__} has names that src/ascribe/jaxprs.py does not know: {unknown}."


def test_a_program_and_its_closed_form_are_one_graph():
    closed = jax.make_jaxpr(lambda x: jnp.sin(x) + 1)(X)
    assert names(graph_of(closed)) == names(graph_of(closed.jaxpr)) == ["sin", "add"]
    assert isinstance(graph_of(closed).outputs[0], Variable)
