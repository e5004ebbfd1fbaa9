"""Backpropagation by hand: as by the graph and as by JAX; its two conventions, and its loops, against each other."""

import itertools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import Var, by_hand
from ascribe.autodiff.by_hand import (
    backpropagate_columns,
    backpropagate_rows,
    forward,
    forward_by_unit,
    two_layer_by_index,
)
from ascribe.errors import UserError

EXAMPLES = 5
SIZES = [(3, 2), (3, 4, 2), (2, 5, 4, 3), (4, 3, 3, 2, 3, 2)]
IN_THE_GRAPH = {
    "logistic": ad.logistic,
    "tanh": ad.tanh,
    "arctan": ad.arctan,
    "relu": ad.relu,
    "leaky_relu": ad.leaky_relu,
    "softplus": ad.softplus,
    "identity": lambda z: z,
}
IN_JAX = {
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "arctan": jnp.arctan,
    "relu": jax.nn.relu,
    "leaky_relu": lambda z: jax.nn.leaky_relu(z, 0.01),
    "softplus": jax.nn.softplus,
    "identity": lambda z: z,
}
LOSSES_IN_JAX = {
    "squared_error": lambda y, t: 0.5 * jnp.mean(jnp.sum((y - t) ** 2, axis=1)),
    "logistic_cross_entropy": lambda z, t: jnp.mean(jnp.sum(jax.nn.softplus(z) - t * z, axis=1)),
    "softmax_cross_entropy": lambda z, t: -jnp.mean(jnp.sum(t * jax.nn.log_softmax(z, axis=1), axis=1)),
}
CASES = [("squared_error", output) for output in (None, "identity", "logistic")]
CASES += [("logistic_cross_entropy", None), ("softmax_cross_entropy", None)]


def problem(sizes, loss="squared_error", seed=0):
    """Weights and biases by rows, inputs, and targets that suit the loss."""
    generator = np.random.default_rng([seed, *sizes])
    weights = [generator.standard_normal(shape) for shape in itertools.pairwise(sizes)]
    biases = [generator.standard_normal(n) for n in sizes[1:]]
    x, t = generator.standard_normal((EXAMPLES, sizes[0])), generator.uniform(size=(EXAMPLES, sizes[-1]))
    if loss == "softmax_cross_entropy":
        t = t / t.sum(axis=1, keepdims=True)
    return weights, biases, x, t


def transposed(weights, biases, x, t):
    return [w.T for w in weights], biases, x.T, t.T


def last_activation(activation, loss, output):
    return "identity" if loss != "squared_error" else output or activation


def by_graph(weights, biases, x, t, activation, loss, output):
    h, parameters = x, [(Var(w), Var(b)) for w, b in zip(weights, biases, strict=True)]
    for number, (w, b) in enumerate(parameters, 1):
        h = h @ w + b
        last = number == len(parameters)
        h = IN_THE_GRAPH[last_activation(activation, loss, output) if last else activation](h)
    cost = getattr(ad, loss)(h, t)
    cost.backward()
    return float(cost.value), [w.grad for w, _ in parameters], [b.grad for _, b in parameters]


def by_jax(weights, biases, x, t, activation, loss, output):
    def cost(parameters):
        h = jnp.asarray(x)
        for number, (w, b) in enumerate(parameters, 1):
            last = number == len(parameters)
            h = IN_JAX[last_activation(activation, loss, output) if last else activation](h @ w + b[None])
        return LOSSES_IN_JAX[loss](h, jnp.asarray(t))

    value, gradients = jax.jit(jax.value_and_grad(cost))([*zip(weights, biases, strict=True)])
    return float(value), [w for w, _ in gradients], [b for _, b in gradients]


def assert_close(ours, theirs, tolerance=1e-12):
    for mine, other in zip(ours, theirs, strict=True):
        assert np.shape(mine) == np.shape(other)
        np.testing.assert_allclose(mine, other, rtol=tolerance, atol=tolerance)


def check(sizes, activation, loss, output):
    case = problem(sizes, loss)
    ours = backpropagate_rows(*case, activation, loss, output)
    for reference in (by_graph, by_jax):
        value, weights, biases = reference(*case, activation, loss, output)
        assert ours.loss == pytest.approx(value, rel=1e-12)
        assert_close(ours.weights, weights)
        assert_close(ours.biases, biases)


@pytest.mark.parametrize(("loss", "output"), CASES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_by_hand_is_by_graph_and_by_jax_at_every_depth(sizes, loss, output):
    check(sizes, "tanh", loss, output)


@pytest.mark.parametrize("activation", by_hand.ACTIVATIONS)
def test_by_hand_is_by_graph_and_by_jax_with_every_activation(activation):
    check((3, 6, 5, 2), activation, "squared_error", None)


def test_the_tables_here_have_every_name():
    assert set(by_hand.ACTIVATIONS) == set(IN_THE_GRAPH) == set(IN_JAX)
    assert set(by_hand.LOSSES) == set(LOSSES_IN_JAX)


@pytest.mark.parametrize("activation", by_hand.ACTIVATIONS)
def test_the_kinks_and_the_far_ends_are_the_graphs(activation):
    function, slope = by_hand.ACTIVATIONS[activation]
    z = np.array([-800.0, -40.0, -0.0, 0.0, 40.0, 800.0])
    variable = Var(z)
    y = IN_THE_GRAPH[activation](variable)
    ad.sum(y).backward()
    assert_close([function(z), slope(z)], [y.value, variable.grad], 1e-15)


@pytest.mark.parametrize(("loss", "output"), CASES)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_columns_are_the_transpose_of_rows(sizes, loss, output):
    case = problem(sizes, loss)
    rows = backpropagate_rows(*case, "logistic", loss, output)
    columns = backpropagate_columns(*transposed(*case), "logistic", loss, output)
    assert columns.loss == pytest.approx(rows.loss, rel=1e-14)
    assert_close(columns.weights, [w.T for w in rows.weights], 1e-14)
    assert_close(columns.biases, rows.biases, 1e-14)
    assert_close(columns.errors, [delta.T for delta in rows.errors], 1e-14)


def test_columns_are_exactly_the_transpose_of_rows_where_nothing_is_rounded():
    """Small whole numbers, ReLUs and 4 examples: every sum is exact, in whatever order a library adds it."""
    generator, sizes = np.random.default_rng(0), (3, 5, 4, 2)
    draw = lambda *shape: generator.integers(-3, 4, shape).astype(float)
    weights = [draw(m, n) for m, n in itertools.pairwise(sizes)]
    case = weights, [draw(n) for n in sizes[1:]], draw(4, 3), draw(4, 2)
    rows = backpropagate_rows(*case, "relu", output="identity")
    columns = backpropagate_columns(*transposed(*case), "relu", output="identity")
    assert rows.loss == columns.loss
    for mine, other in zip(rows.weights + rows.errors, columns.weights + columns.errors, strict=True):
        assert np.any(mine)
        np.testing.assert_array_equal(mine, other.T)
    for mine, other in zip(rows.biases, columns.biases, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize(("loss", "link"), [("logistic_cross_entropy", ad.logistic), ("softmax_cross_entropy", ad.softmax)])
def test_a_cross_entropy_sends_back_outputs_minus_targets(loss, link):
    case = problem((3, 4, 3), loss)
    y = link(forward(*case[:3], "tanh", "identity"))
    assert_close([backpropagate_rows(*case, "tanh", loss).errors[-1]], [(y - case[3]) / EXAMPLES], 1e-15)


def test_one_unit_worked_out():
    """z = 2·3 − 5 = 1 and E = ½(1 − 3)² = 2, so that δ = −2, ∂E/∂W = 3δ and ∂E/∂b = δ."""
    found = backpropagate_rows([[[2]]], [[-5]], [[3]], [[3]], "identity")
    assert (found.loss, found.weights[0], found.biases[0], found.errors[0]) == (2.0, [[-6.0]], [-2.0], [[-2.0]])


def test_the_loss_is_the_mean_over_examples():
    weights, biases, x, t = problem((3, 4, 2))
    whole = backpropagate_rows(weights, biases, x, t, "tanh")
    parts = [backpropagate_rows(weights, biases, x[[i]], t[[i]], "tanh") for i in range(EXAMPLES)]
    assert whole.loss == pytest.approx(np.mean([part.loss for part in parts]), rel=1e-14)
    for layer in range(2):
        assert_close([whole.weights[layer]], [np.mean([part.weights[layer] for part in parts], axis=0)], 1e-14)
        assert_close([whole.biases[layer]], [np.mean([part.biases[layer] for part in parts], axis=0)], 1e-14)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, 4, 2), (2, 3, 5)], ids=str)
def test_index_by_index_is_by_columns(sizes):
    weights, biases, x, t = transposed(*problem(sizes))
    by_index = two_layer_by_index(weights, biases, x[:, 0], t[:, 0])
    columns = backpropagate_columns(weights, biases, x[:, :1], t[:, :1], "logistic")
    assert by_index.loss == pytest.approx(columns.loss, rel=1e-14)
    assert_close(by_index.weights, columns.weights, 1e-14)
    assert_close(by_index.biases, columns.biases, 1e-14)
    assert_close(by_index.errors, [delta[:, 0] for delta in columns.errors], 1e-14)


def test_equation_11_as_printed_is_another_number():
    weights, biases, x, t = transposed(*problem((3, 2, 2)))
    a1 = ad.logistic(weights[0] @ x[:, 0] + biases[0])
    exact = two_layer_by_index(weights, biases, x[:, 0], t[:, 0])
    delta = exact.errors[1]
    np.testing.assert_allclose(exact.weights[1], np.outer(delta, a1), rtol=1e-14)
    printed = np.array([[delta[k] * a1[k] for _ in range(2)] for k in range(2)])
    assert np.max(np.abs(printed - exact.weights[1])) > 1e-3


@pytest.mark.parametrize("output", [None, "identity"])
@pytest.mark.parametrize("activation", by_hand.ACTIVATIONS)
def test_unit_by_unit_is_the_matrix_form(activation, output):
    weights, biases, x, _ = problem((4, 6, 5, 3))
    matrix, units = (
        forward(weights, biases, x, activation, output),
        forward_by_unit(weights, biases, x, activation, output),
    )
    assert_close([units], [matrix])
    assert_close([forward_by_unit(weights, biases, x[0], activation, output)], [matrix[0]])
    assert_close([forward(weights, biases, x[0], activation, output)], [matrix[0]])


def test_central_differences_converge_with_slope_2():
    weights, biases, x, t = problem((3, 4, 4, 2))
    generator = np.random.default_rng(1)
    along = [generator.standard_normal(p.shape) for p in weights + biases]
    found = backpropagate_rows(weights, biases, x, t, "tanh")
    exact = sum(np.sum(g * d) for g, d in zip(found.weights + found.biases, along, strict=True))

    def loss(step):
        moved = [p + step * d for p, d in zip(weights + biases, along, strict=True)]
        return backpropagate_rows(moved[:3], moved[3:], x, t, "tanh").loss

    steps = 0.01 * 0.5 ** np.arange(5)
    errors = [abs((loss(step) - loss(-step)) / (2 * step) - exact) for step in steps]
    np.testing.assert_allclose(np.diff(np.log2(errors)), -2.0, atol=0.02)
    assert errors[-1] < 1e-4


def test_what_is_given_stays_as_it_is_and_what_comes_back_may_be_changed():
    case = problem((3, 4, 2))
    before = [np.copy(a) for a in (*case[0], *case[1], *case[2:])]
    found = backpropagate_rows(*case, "logistic")
    for array in (
        *found.weights,
        *found.biases,
        *found.errors,
        forward(*case[:3], "identity"),
        forward(*case[:3], "logistic"),
    ):
        array.fill(1.0)
    for a, b in zip(before, (*case[0], *case[1], *case[2:]), strict=True):
        np.testing.assert_array_equal(a, b)


WEIGHTS, BIASES, INPUTS, TARGETS = problem((3, 4, 2))
COLUMNS = transposed(WEIGHTS, BIASES, INPUTS, TARGETS)
WRONG = [
    (lambda: forward(WEIGHTS, BIASES, INPUTS, "sine"), "unknown activation 'sine': choose one of logistic, tanh"),
    (
        lambda: forward(WEIGHTS, BIASES, INPUTS, "tanh", "softmax"),
        "unknown activation 'softmax': choose one of logistic",
    ),
    (
        lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS, TARGETS, "tanh", "hinge"),
        "unknown loss 'hinge': choose one of squared_error, logistic_cross_entropy, softmax_cross_entropy.",
    ),
    (
        lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS, TARGETS, "tanh", "softmax_cross_entropy", "tanh"),
        "the loss softmax_cross_entropy has the output softmax built in; got 'tanh': leave `output` out.",
    ),
    (
        lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS, TARGETS, "tanh", "softmax_cross_entropy"),
        "the targets of a softmax add up to 1 for every example, as one-hot ones do; these do not.",
    ),
    (
        lambda: forward(WEIGHTS, BIASES[:1], INPUTS, "tanh"),
        "two lists with one of each for every layer, 1 at least; got 2 and 1.",
    ),
    (lambda: forward([], [], INPUTS, "tanh"), "1 at least; got 0 and 0."),
    (lambda: forward(None, BIASES, INPUTS, "tanh"), "1 at least; got a NoneType and a list."),
    (
        lambda: forward(WEIGHTS, BIASES, INPUTS.T, "tanh"),
        "layer 1 receives 5 numbers: weights of (5, outputs) and biases of (outputs,) are wanted; got (3, 4) and (4,).",
    ),
    (
        lambda: forward(WEIGHTS, [BIASES[0], BIASES[1][:1]], INPUTS, "tanh"),
        "layer 2 receives 4 numbers: weights of (4, outputs) and biases of (outputs,) are wanted; got (4, 2) and (1,).",
    ),
    (
        lambda: backpropagate_columns(WEIGHTS, *COLUMNS[1:], "tanh"),
        "layer 1 receives 3 numbers: weights of (outputs, 3) and biases of (outputs,) are wanted; got (3, 4) and (4,).",
    ),
    (
        lambda: forward_by_unit(WEIGHTS[0], BIASES[0], INPUTS, "tanh"),
        "got an array of shape (3, 4) and an array of shape (4,).",
    ),
    (lambda: forward([WEIGHTS[0], np.ones(4)], BIASES, INPUTS, "tanh"), "layer 2 receives 4 numbers"),
    (
        lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS[0], TARGETS, "tanh"),
        "the inputs have the shape (examples, inputs), with 1 of each at least; got (3,).",
    ),
    (lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS[:0], TARGETS[:0], "tanh"), "1 of each at least; got (0, 3)."),
    (lambda: backpropagate_columns(*COLUMNS[:2], INPUTS[0], TARGETS, "tanh"), "the shape (inputs, examples), with 1"),
    (
        lambda: backpropagate_rows(WEIGHTS, BIASES, INPUTS, TARGETS[:, :1], "tanh"),
        "every output has its target: targets of shape (5, 2) are wanted; got (5, 1).",
    ),
    (lambda: backpropagate_columns(*COLUMNS[:3], TARGETS, "tanh"), "targets of shape (2, 5) are wanted; got (5, 2)."),
    (
        lambda: forward(WEIGHTS, BIASES, [[1, 2, 3], [1]], "tanh"),
        "the inputs are an array of real numbers, all rows of one length",
    ),
    (lambda: forward([["a"]], BIASES[:1], INPUTS, "tanh"), "weights are an array of real numbers"),
    (lambda: forward(WEIGHTS, BIASES, INPUTS * 1j, "tanh"), "the inputs are an array of real numbers"),
    (
        lambda: two_layer_by_index(*COLUMNS),
        "one example for two layers is wanted, as a vector; got (3, 5) for 2: take backpropagate_columns.",
    ),
    (lambda: two_layer_by_index(COLUMNS[0][:1], BIASES[:1], INPUTS[0], TARGETS[0]), "got (3,) for 1: take"),
    (lambda: two_layer_by_index(*COLUMNS[:2], INPUTS[0], INPUTS[0]), "targets of shape (2,) are wanted; got (3,)."),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG, ids=[sentence[:60] for _, sentence in WRONG])
def test_errors_say_what_is_wanted(call, sentence):
    with pytest.raises(UserError) as error:
        call()
    assert sentence in str(error.value)
    assert str(error.value).endswith(".")


def test_it_needs_numpy_only():
    script = "import sys, ascribe.autodiff.by_hand; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
