"""Every operator, in every shape it takes: values, gradients and second derivatives as JAX's, in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ascribe import autodiff as ad
from ascribe.autodiff import OPERATORS, Var, gradients, hessian_vector_product
from ascribe.errors import UserError

POSITIVE, NEAR_ONE = {"exp", "sqrt", "log"}, {"power"}


def draw(shape, number, low=-2.0, high=2.0):
    return np.random.default_rng([number, *shape]).uniform(low, high, shape)


def compare(ours, theirs, *arrays):
    compare_all([(ours, theirs, *arrays)])


def compare_all(cases):
    """Value, gradients and, along a random direction, second derivatives of the sum of result × fixed weights: (ours, JAX's,
    arrays …) each, with JAX's of all as one program."""

    def reference(theirs, *arrays):
        def total(arrays):
            y = theirs(*arrays)
            return jnp.sum(y * draw(y.shape, 99)), y

        directions = tuple(draw(np.shape(a), 7) for a in arrays)
        (wanted, y), (curved, _) = jax.jvp(jax.grad(total, has_aux=True), (arrays,), (directions,))
        return y, wanted, curved

    all_arrays = [arrays for _, _, *arrays in cases]
    references = jax.jit(lambda given: [reference(case[1], *one) for case, one in zip(cases, given, strict=True)])
    for (ours, _, *arrays), expected in zip(cases, references(all_arrays), strict=True):
        compare_one(ours, arrays, *expected)


def compare_one(ours, arrays, expected, wanted, curved, tolerance=1e-10):
    variables, directions = [Var(a) for a in arrays], [draw(np.shape(a), 7) for a in arrays]
    y = ours(*variables)
    assert y.shape == expected.shape
    weights = draw(y.shape, 99)
    np.testing.assert_allclose(y.value, expected, rtol=0, atol=tolerance)
    total = ad.sum(y * weights)
    for mine, other in zip(gradients(total, variables, missing="zero"), wanted, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=tolerance)
    total.backward()
    for v, other in zip(variables, wanted, strict=True):
        np.testing.assert_allclose(v.grad, other, rtol=0, atol=tolerance)
    for mine, other in zip(hessian_vector_product(total, variables, directions), curved, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0, atol=100 * tolerance)


@pytest.fixture(autouse=True)
def broadcasting_is_allowed():
    with jax.numpy_rank_promotion("allow"):
        yield


def shares_in_jax(x):
    """Of ReLU's largest over the first and the last axis."""
    y = jax.nn.relu(x)
    top = jnp.where(y == y.max((0, 2), keepdims=True), 1.0, 0.0)
    return top / top.sum((0, 2), keepdims=True) + 0 * x


UNARY = {
    "negative": (lambda x: -x, jnp.negative),
    "exp": (ad.exp, jnp.exp),
    "log": (ad.log, jnp.log),
    "sin": (ad.sin, jnp.sin),
    "cos": (ad.cos, jnp.cos),
    "arctan": (ad.arctan, jnp.arctan),
    "sqrt": (ad.sqrt, jnp.sqrt),
    "abs": (abs, jnp.abs),
    "sign": (ad.OPERATORS["sign"], jnp.sign),
    "tanh": (ad.tanh, jnp.tanh),
    "logistic": (ad.logistic, jax.nn.sigmoid),
    "relu": (ad.relu, jax.nn.relu),
    "leaky_relu": (ad.leaky_relu, lambda x: jax.nn.leaky_relu(x, 0.01)),
    "threshold": (ad.threshold, lambda x: jnp.where(x >= 0, 1.0, 0.0) + 0 * x),
    "softplus": (ad.softplus, jax.nn.softplus),
    "positive": (ad.OPERATORS["positive"], lambda x: jnp.where(x > 0, 1.0, 0.0) + 0 * x),
    "nonzero": (ad.OPERATORS["nonzero"], lambda x: jnp.where(x != 0, 1.0, 0.0) + 0 * x),
}
BINARY = {
    "add": (lambda x, y: x + y, jnp.add),
    "subtract": (lambda x, y: x - y, jnp.subtract),
    "multiply": (lambda x, y: x * y, jnp.multiply),
    "divide": (lambda x, y: x / y, jnp.divide),
    "power": (lambda x, y: x**y, jnp.power),
    "times_log": (ad.OPERATORS["times_log"], lambda t, x: t * jnp.log(x)),
    "equal": (ad.OPERATORS["equal"], lambda x, y: jnp.where(x == y, 1.0, 0.0) + 0 * x + 0 * y),
}
SHAPES = [(), (1,), (3,), (2, 3), (2, 1, 3)]
PAIRS = [
    ((), ()),
    ((), (3,)),
    ((3,), ()),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((4, 1, 3), (2, 1)),
    ((1,), (2, 3)),
    ((0, 3), (3,)),
]
AXES = [(None, False), (None, True), (0, False), (-1, True), ((0, 2), False), ((-1, 0), True), (1, False)]
REDUCTIONS = {
    "sum": (ad.sum, jnp.sum),
    "mean": (ad.mean, jnp.mean),
    "max": (ad.max, jnp.max),
    "logsumexp": (ad.logsumexp, jax.nn.logsumexp),
}
MATMUL = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((4, 3), (3,)),
    ((4, 3), (3, 2)),
    ((5, 4, 3), (3, 2)),
    ((4, 3), (5, 3, 2)),
    ((5, 4, 3), (5, 3, 2)),
    ((5, 1, 4, 3), (2, 3, 2)),
    ((5, 4, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((1, 1), (1, 1)),
]
SHAPED = {
    "reshape": [
        (lambda x: ad.reshape(x, (3, 8)), lambda x: x.reshape(3, 8)),
        (lambda x: ad.reshape(x, -1), lambda x: x.reshape(-1)),
    ],
    "transpose": [
        (lambda x: x.T, lambda x: x.T),
        (lambda x: ad.transpose(x, (1, 2, 0)), lambda x: x.transpose(1, 2, 0)),
        (lambda x: ad.transpose(x, (0, -1, 1)), lambda x: x.transpose(0, 2, 1)),
    ],
    "getitem": [
        (lambda x: x[1], lambda x: x[1]),
        (lambda x: x[:, 1:, ::2], lambda x: x[:, 1:, ::2]),
        (lambda x: x[..., None, 0], lambda x: x[..., None, 0]),
        (lambda x: x[[0, 1, 1, 0]], lambda x: x[jnp.array([0, 1, 1, 0])]),
        (lambda x: x[np.array([0, 1]), :, np.array([2, 2])], lambda x: x[jnp.array([0, 1]), :, jnp.array([2, 2])]),
        (lambda x: x[np.arange(24).reshape(2, 3, 4) % 5 == 0], lambda x: x[np.arange(24).reshape(2, 3, 4) % 5 == 0]),
        (lambda x: x[-1, -1, -1], lambda x: x[-1, -1, -1]),
    ],
    "softmax": [
        (ad.softmax, jax.nn.softmax),
        (lambda x: ad.softmax(x, axis=1), lambda x: jax.nn.softmax(x, axis=1)),
    ],
    "one_hot": [(ad.one_hot, lambda x: jax.nn.one_hot(jnp.argmax(x, -1), 4) + 0 * x)],
    "concatenate": [
        (lambda x: ad.concatenate([x, x * x, x[:1]]), lambda x: jnp.concatenate([x, x * x, x[:1]])),
        (
            lambda x: ad.concatenate([x, np.ones((2, 3, 1)), x], axis=-1),
            lambda x: jnp.concatenate([x, np.ones((2, 3, 1)), x], -1),
        ),
    ],
    "stack": [
        (
            lambda x: ad.OPERATORS["stack"](x[0], np.ones((3, 4)), x[1]),
            lambda x: jnp.stack([x[0], jnp.ones((3, 4)), x[1]]),
        ),
        (
            lambda x: ad.exp([x[0, 0], [x[1, 0, 0], 2.0, x[0, 0, 1] * x[0, 1, 2], x[0, 2, 3]]]),
            lambda x: jnp.exp(jnp.stack([x[0, 0], jnp.stack([x[1, 0, 0], 2.0, x[0, 0, 1] * x[0, 1, 2], x[0, 2, 3]])])),
        ),
    ],
    "shares": [(lambda x: ad.OPERATORS["shares"](ad.relu(x), axis=(0, 2)), shares_in_jax)],
    "broadcast": [
        (lambda x: ad.OPERATORS["broadcast"](x, shape=(5, 2, 3, 4)), lambda x: jnp.broadcast_to(x, (5, 2, 3, 4))),
        (
            lambda x: ad.OPERATORS["broadcast"](x[:, :1], shape=(2, 3, 4)),
            lambda x: jnp.broadcast_to(x[:, :1], (2, 3, 4)),
        ),
    ],
    "fit": [(lambda x: ad.OPERATORS["fit"](x, shape=(3, 1)), lambda x: x.sum((0, 2)).reshape(3, 1))],
    "scatter": [
        (
            lambda x: ad.OPERATORS["scatter"](x, index=[1, 1], shape=(3, 3, 4)),
            lambda x: jnp.zeros((3, 3, 4)).at[jnp.array([1, 1])].add(x),  # noqa: PLW0108
        )
    ],
}
LOSSES = {
    "squared_error": (ad.squared_error, lambda y, t: 0.5 * jnp.sum((y - t) ** 2) / (y.shape[0] if y.ndim > 1 else 1)),
    "logistic_cross_entropy": (
        ad.logistic_cross_entropy,
        lambda z, t: jnp.sum(optax.sigmoid_binary_cross_entropy(z, t)) / (z.shape[0] if z.ndim > 1 else 1),
    ),
    "softmax_cross_entropy": (
        ad.softmax_cross_entropy,
        lambda z, t: -jnp.sum(t * jax.nn.log_softmax(z)) / (z.shape[0] if z.ndim > 1 else 1),
    ),
}


def test_the_tables_here_have_every_operator():
    assert {*UNARY, *BINARY, *REDUCTIONS, *SHAPED, *LOSSES, "matmul", "affine"} == set(OPERATORS) == set(ad.DERIVATIVES)


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name):
    low, high = (0.3, 3.0) if name in POSITIVE else (-2.0, 2.0)
    compare_all([(*UNARY[name], draw(shape, 1, low, high)) for shape in SHAPES])


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers_and_broadcasting(name):
    cases = []
    for shapes in PAIRS:
        x, y = draw(shapes[0], 1), draw(shapes[1], 2)
        if name == "power":
            x = np.abs(x) + 0.3
        if name == "times_log":
            y = np.abs(y) + 0.3
        if name == "divide":
            y = np.sign(y) * (np.abs(y) + 0.5)
        cases.append((*BINARY[name], x, y))
    compare_all(cases)


def test_powers_with_a_fixed_exponent():
    cases = []
    for n in (0, 1, 2, 3, -1, 0.5, 2.5):
        x = draw((4,), 1, 0.3, 2.0) if n != int(n) else draw((4,), 1)
        cases.append((lambda x, n=n: x**n, lambda x, n=n: jnp.power(x, float(n)), x))
    compare_all(cases)


def test_powers_at_zero():
    for exponent, slope in ((0.0, 0.0), (1.0, 1.0), (2.0, 0.0), (3.0, 0.0)):
        x, n = Var(0.0), Var(exponent)
        (x**n).backward()
        assert (x.grad, n.grad) == (slope, 0.0)
    x = Var(0.0)
    assert hessian_vector_product(x**2.0, [x], [1.0]) == [2.0]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    ours, theirs = REDUCTIONS[name]
    cases = []
    for axis, keepdims in AXES:
        options = {"axis": axis, "keepdims": keepdims}
        both = partial(ours, **options), partial(theirs, **options)
        cases += [(*both, draw(shape, 1)) for shape in ([(2, 3, 4), ()] if axis is None else [(2, 3, 4)])]
    compare_all(cases)


def test_a_maximum_of_equals_shares_its_derivative():
    compare(ad.max, jnp.max, np.array([1.0, 3.0, 3.0]))


def test_matrix_products():
    compare_all([(lambda a, b: a @ b, jnp.matmul, draw(a, 1), draw(b, 2)) for a, b in MATMUL])


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3)], ids=str)
def test_the_affine_operator(shape):
    x, w, b = draw(shape, 1), draw((3, 4), 2), draw((4,), 3)
    compare(ad.affine, lambda x, w, b: jnp.add(*jnp.broadcast_arrays(x @ w, b)), x, w, b)
    np.testing.assert_allclose(ad.affine(x, w.astype(np.float32), b), x @ w + b, rtol=1e-5)
    with pytest.raises(UserError, match=r"W of \(inputs, outputs\) and b of \(outputs,\); got"):
        ad.affine(x, w, draw((3,), 3))


@pytest.mark.parametrize("name", SHAPED)
def test_shapes(name):
    compare_all([(*both, draw((2, 3, 4), 1)) for both in SHAPED[name]])


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    shapes = [(3,), (4, 3)] if name == "softmax_cross_entropy" else [(), (3,), (4, 3)]
    compare_all([(*LOSSES[name], draw(shape, 1), draw(shape, 2, 0.0, 1.0)) for shape in shapes])


def test_losses_of_probabilities_are_those_of_logits():
    z, t = draw((4, 3), 1), np.eye(3)[[0, 2, 1, 1]]
    for of_activations, link, of_logits in (
        (ad.cross_entropy, ad.logistic, ad.logistic_cross_entropy),
        (ad.categorical_cross_entropy, ad.softmax, ad.softmax_cross_entropy),
    ):
        one, other = Var(z), Var(z)
        a, b = of_activations(link(one), t), of_logits(other, t)
        a.backward()
        b.backward()
        np.testing.assert_allclose(a.value, b.value, rtol=1e-13)
        np.testing.assert_allclose(one.grad, other.grad, rtol=0, atol=1e-14)


def test_far_from_zero_nothing_overflows():
    z = Var([-800.0, -40.0, 0.0, 40.0, 800.0])
    for operator in (ad.logistic, ad.softplus, ad.softmax, ad.logsumexp, ad.tanh):
        y = ad.sum(operator(z))
        y.backward()
        assert np.isfinite(y.value)
    assert np.isfinite(z.grad).all()
    assert ad.logistic(Var(-40.0)).value == pytest.approx(np.exp(-40.0), rel=1e-14)
    far = ad.logistic_cross_entropy(Var([[800.0], [-800.0]]), [[0.0], [0.0]])
    assert far.value == 400.0
    assert ad.softmax_cross_entropy(Var([[800.0, 0.0]]), [[0.0, 1.0]]).value == 800.0


def test_operators_of_plain_values_are_plain():
    assert ad.sin(0.5) == np.sin(0.5)
    assert ad.sum(np.ones((2, 2)), axis=0).tolist() == [2.0, 2.0]
    assert not isinstance(ad.softmax(np.ones(3)), Var)


def test_losses_of_what_is_certain_are_limits():
    """Probabilities of exactly 0 and 1, and infinite logits: 0 log 0 = 0, as x log x goes to 0 with x."""
    with np.errstate(all="raise"):
        y = Var([1.0, 0.0, 0.25])
        cost = ad.cross_entropy(y, [1.0, 0.0, 0.5])
        assert cost.value == pytest.approx(-0.5 * np.log(0.25 * 0.75))
        cost.backward()
    assert y.grad[2] == pytest.approx(0.5 / 0.75 - 0.5 / 0.25)
    assert y.grad[:2] == pytest.approx([-1.0, 1.0])
    p = Var([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    assert ad.categorical_cross_entropy(p, np.eye(3)[[1, 2]]).value == pytest.approx(np.log(2.0) / 2)
    z = Var([[-np.inf, 1.0, 1.0, 1.0]])
    cost = ad.softmax_cross_entropy(z, np.eye(4)[[2]])
    cost.backward()
    assert cost.value == pytest.approx(np.log(3.0))
    np.testing.assert_allclose(z.grad, [[0.0, 1 / 3, 1 / 3 - 1.0, 1 / 3]])
    z = Var([np.inf, -np.inf, 1e5])
    cost = ad.logistic_cross_entropy(z, [1.0, 0.0, 0.75])
    cost.backward()
    assert cost.value == 0.25e5
    np.testing.assert_allclose(z.grad, [0.0, 0.0, 0.25])


def test_powers_of_what_is_nearly_zero():
    x, n = Var(1e-30), Var(0.5)
    (x**n).backward()
    assert n.grad == pytest.approx(1e-15 * np.log(1e-30))
    assert x.grad == pytest.approx(0.5e15)


def test_more_numbers_than_float16_can_count():
    """It ends at 65,504; a derivative of 1/80,000 is one of its numbers, to 0.3 %."""
    count = 80_000
    ones = np.ones((count, 1), np.float16)
    for cost, wanted in ((ad.max, 1.0), (ad.mean, 1.0), (lambda x: -ad.squared_error(x, 2.0 * ones), -0.5)):
        x = Var(ones)
        value = cost(x)
        value.backward()
        assert value.value == wanted
        assert x.grad.dtype == np.float16
        np.testing.assert_allclose(x.grad.astype(float), 1 / count, rtol=3e-3)
    assert ad.logsumexp(ones, axis=0)[0] == pytest.approx(1 + np.log(count), rel=1e-3)
    assert ad.softmax(ones, axis=0)[0, 0] == pytest.approx(1 / count, rel=3e-3)
