"""The table of derivative rules: an entry replaced is a b-function, here as in `ascribe.rules`."""

import jax
import numpy as np
import pytest

import ascribe
from ascribe import autodiff as ad
from ascribe.autodiff import Var, replaced
from ascribe.errors import UserError
from ascribe.rules import BFunction

SIZES = (2, 6, 5, 1)


def cost(network, inputs, targets, hidden=(ad.relu, ad.relu)):
    """The graph of the cost, and its parameters, of a network of `ascribe.networks.mlp`."""
    parameters, h = [], inputs
    for name, activation in zip(("linear1", "linear2", "linear3"), (*hidden, None), strict=True):
        layer = network[name]
        w, b = Var(np.asarray(layer.weight)), Var(np.asarray(layer.bias))
        parameters += [w, b]
        h = h @ w.T + b
        h = activation(h) if activation else h
    return ad.logistic_cross_entropy(h, targets), parameters


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("tanh", lambda s, y, x: s * (1.0 - ad.tanh(x) * ad.tanh(x))),
        ("logistic", lambda s, y, x: s * ad.logistic(x) * (1.0 - ad.logistic(x))),
        ("identity", lambda s, y, x: s),
        ("arctan", lambda s, y, x: s / (1.0 + x * x)),
        ("softplus", lambda s, y, x: s * ad.logistic(x)),
    ],
)
def test_a_replaced_entry_is_the_b_function_of_the_rules(name, rule):
    generator = np.random.default_rng(0)
    inputs, targets = generator.normal(size=(8, 2)), generator.integers(0, 2, 8)
    theirs = BFunction({"relu1": name, "relu2": name})

    @jax.jit
    def reference(*batch):
        network = ascribe.networks.mlp(SIZES, key=jax.random.key(0))
        state = theirs.init(network, ascribe.rules.as_batch(network, batch), key=jax.random.key(1))
        return network, ascribe.value_and_credit(theirs)(network, state, batch, key=jax.random.key(2))[1]

    network, credit = reference(inputs, targets)
    expression, parameters = cost(network, inputs, targets[:, None].astype(float))
    with replaced(relu=(rule,)):
        expression.backward()
    plain, untouched = cost(network, inputs, targets[:, None].astype(float))
    plain.backward()
    for layer, number in (("linear1", 0), ("linear2", 2), ("linear3", 4)):
        np.testing.assert_allclose(parameters[number].grad, credit.gradients[layer].weight, rtol=0, atol=1e-12)
        np.testing.assert_allclose(parameters[number + 1].grad, credit.gradients[layer].bias, rtol=0, atol=1e-12)
    assert not np.allclose(untouched[0].grad, parameters[0].grad)


def test_one_layer_alone_has_an_operator_of_its_own():
    own = ad.Operator("own relu", ad.relu.forward, elementwise=True)
    ad.DERIVATIVES["own relu"] = (lambda s, y, x: s,)
    try:
        x = Var([-1.0, 2.0])
        ad.sum(ad.relu(own(x))).backward()
        assert x.grad.tolist() == [0.0, 1.0]
        x.zero_grad()
        ad.sum(own(ad.relu(x))).backward()
        assert x.grad.tolist() == [0.0, 1.0]
        x.zero_grad()
        ad.sum(own(x)).backward()
        assert x.grad.tolist() == [1.0, 1.0]
    finally:
        del ad.OPERATORS["own relu"], ad.DERIVATIVES["own relu"]


def test_the_table_is_as_before_whatever_happens():
    before = dict(ad.DERIVATIVES)
    with pytest.raises(ZeroDivisionError), replaced(tanh=(None,)):
        x = Var(0.5)
        ad.tanh(x).backward()
        assert x.grad == 0.0
        raise ZeroDivisionError
    assert before == ad.DERIVATIVES
    with pytest.raises(UserError, match="unknown operator 'tan'"), replaced(tan=(None,)):
        pass


def test_a_derivative_graph_is_differentiated_with_the_replaced_rule_too():
    x = Var(0.7)
    with replaced(tanh=(lambda s, y, x: s * x * x,)):
        (slope,) = ad.gradients(ad.tanh(x), [x], graph=True)
        assert float(slope.value) == pytest.approx(0.49)
        slope.backward()
    assert x.grad == pytest.approx(1.4)


def test_a_jacobian_has_every_number_s_derivative_by_every_number():
    """Of x ↦ (x₁² x₂, x₃ sin x₁, x₂) and of a product with a matrix: by hand."""
    x = np.array([0.3, -1.2, 2.0])
    parts = lambda v: [v[0:1] * v[0:1] * v[1:2], v[2:3] * ad.sin(v[0:1]), v[1:2]]
    (found,) = ad.jacobian(lambda v: ad.concatenate(parts(v)), x)
    by_hand = [[2 * x[0] * x[1], x[0] ** 2, 0], [x[2] * np.cos(x[0]), 0, np.sin(x[0])], [0, 1, 0]]
    np.testing.assert_allclose(found, by_hand, rtol=1e-14, atol=1e-15)
    one, none = ad.jacobian(lambda v, w: v * v, x, np.ones((2, 2)), missing="zero")
    np.testing.assert_allclose(one, np.diag(2 * x), rtol=1e-15)
    assert none.shape == (3, 2, 2)
    assert not none.any()
    with pytest.raises(UserError, match=r'missing="zero"'):
        ad.jacobian(lambda v, w: v * v, x, 1.0)
    matrix = np.arange(6.0).reshape(2, 3)
    by_vector, by_matrix = ad.jacobian(lambda v, m: m @ v, x, matrix)
    np.testing.assert_allclose(by_vector, matrix, rtol=1e-15)
    np.testing.assert_allclose(by_matrix, np.einsum("ij,k->ijk", np.eye(2), x), rtol=1e-15)
