"""`check_gradients` against answers that are known: right ones, wrong ones, corners, and arguments that make no sense."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import ascribe
from ascribe import networks, rules
from ascribe.errors import UserError
from ascribe.networks import BatchNorm, Dropout, Linear, Network

from ..cases import LOSSES, case, credit_of, examples, output_layer, shake, small_mlp, to_float32, upper_weights

check = ascribe.check_gradients
LEAVES = tuple(f"linear{i}.{part}" for i in (1, 2, 3) for part in ("weight", "bias"))


def labeled():
    return examples((4,), "categorical-cross-entropy")


# Rules


@pytest.mark.parametrize(("kind", "loss"), [*(("mlp", loss) for loss in LOSSES), ("lenet", "categorical-cross-entropy")])
def test_backpropagation_passes(kind, loss):
    network, batch = case(kind, loss)
    found = check("backpropagation", network, batch)
    assert found
    assert found.passed is True
    assert found.differs == found.kinks == ()
    assert sum(leaf.checked for leaf in found.leaves) == network.parameters
    assert found.largest_error < 1e-7
    np.testing.assert_allclose(found.value, credit_of(rules.Backpropagation(), network, None, batch).loss, rtol=1e-12)


@pytest.mark.parametrize("activation", list(networks.ACTIVATIONS))
def test_backpropagation_passes_with_every_activation(activation):
    assert check(rules.Backpropagation(), small_mlp(activation), labeled())


@pytest.mark.parametrize("output", ["logistic", "softmax", "arctan"])
def test_backpropagation_passes_with_an_output_activation(output):
    assert check(rules.Backpropagation(), output_layer(small_mlp(), output), examples((4,), "squared-error"))


def test_backpropagation_passes_with_normalization_and_dropout():
    layers = list(small_mlp("tanh").layers)
    network = shake(Network([layers[0], BatchNorm(5), layers[1], Dropout(0.5), *layers[2:]]), jr.key(8), 0.1)
    found = check("backpropagation", network, labeled(), key=jr.key(5))
    assert found
    assert "batchnorm1.scale" in [leaf.name for leaf in found.leaves]
    assert found.value != check("backpropagation", network, labeled(), key=jr.key(6)).value


def test_a_rule_with_trainables_of_its_own_and_its_state_is_checked_on_the_network():
    found = check("kolen-pollack", small_mlp(), labeled())
    assert found.differs == LEAVES[:4]


@pytest.mark.parametrize("name", ["feedback-alignment", "direct-feedback-alignment", "sign-symmetry-batch-random"])
def test_a_rule_that_is_no_gradient_differs_below_its_last_layer(name):
    found = check(name, small_mlp(), labeled())
    assert not found
    assert found.differs == LEAVES[:4]
    assert [leaf.error < 1e-7 for leaf in found.leaves] == [False] * 4 + [True] * 2


class Handed(rules.AbstractRule):
    """Feedback alignment with the weights themselves."""

    def __call__(self, network, state, batch, *, key=None):
        return rules.FeedbackAlignment()(network, upper_weights(network), batch, key=key)


def test_a_rule_in_its_exact_limit_passes():
    assert check(Handed(), small_mlp(), labeled())


class OneWrong(rules.AbstractRule):
    """Backpropagation with one number of one bias off by a part in ten thousand."""

    def __call__(self, network, state, batch, *, key=None):
        credit = rules.Backpropagation()(network, state, batch, key=key)
        moved = eqx.tree_at(lambda n: n["linear2"].bias, credit.gradients, replace_fn=lambda g: g.at[3].mul(1.0001))
        return dataclasses.replace(credit, gradients=moved)


def test_one_wrong_number_is_found_with_its_place_and_values():
    found = check(OneWrong(), small_mlp(), labeled())
    assert found.differs == ("linear2.bias",)
    row = found.leaves[3]
    exact = rules.Backpropagation()(small_mlp(), None, labeled()).gradients["linear2"].bias
    assert (row.name, row.size, row.checked, row.wrong, row.place) == ("linear2.bias", 4, 4, 1, (3,))
    np.testing.assert_allclose([row.ours, row.difference], [1.0001 * exact[3], exact[3]], rtol=1e-7)
    np.testing.assert_allclose(row.error, 1e-4 * abs(exact[3]) / np.max(np.abs(exact)), rtol=1e-3)
    assert found.largest_error == row.error
    assert check(OneWrong(), small_mlp(), labeled(), tolerance=1e-3)


def test_finite_differences_pass_with_the_same_step():
    found = check(rules.FiniteDifferences(6e-6), small_mlp(), labeled())
    assert found
    assert not check(rules.FiniteDifferences(0.3), small_mlp(), labeled())


def test_a_float32_network_is_checked_in_float64():
    network, batch = to_float32((small_mlp(), labeled()))
    with jax.enable_x64(False):
        found = check("backpropagation", network, (batch.inputs, batch.targets))
        assert jnp.ones(1).dtype == jnp.float32
    assert found
    assert found.step < 1e-5
    assert found.largest_error < 1e-7
    assert {leaf.dtype for leaf in jax.tree.leaves(network)} == {jnp.dtype("float32")}


def test_it_judges_by_the_named_loss():
    batch = examples((4,), "squared-error")
    found = check("backprop", small_mlp(), (batch.inputs, jax.nn.sigmoid(batch.targets)), loss="bernoulli-cross-entropy")
    assert found
    assert found.value != check("backprop", small_mlp(), batch).value


# Functions


def quadratic(parameters):
    return 0.5 * jnp.sum(parameters["a"] ** 2) + 3.0 * parameters["b"][0]


PARAMETERS = {"a": np.arange(1.0, 7.0).reshape(2, 3), "b": [2.0, "untouched", 7]}


def test_a_function_with_its_gradients_passes():
    def both(parameters):
        return quadratic(parameters), {"a": parameters["a"], "b": [3.0, None, None]}

    found = check(both, PARAMETERS)
    assert found
    assert found.checked == "both"
    assert [(leaf.name, leaf.size) for leaf in found.leaves] == [("a", 6), ("b.0", 1)]


def test_a_function_with_wrong_gradients_fails():
    found = check(lambda p: (quadratic(p), {"a": p["a"] * 2, "b": [3.0, None, None]}), PARAMETERS)
    assert found.differs == ("a",)
    row = found.leaves[0]
    assert row.place == (1, 2)
    np.testing.assert_allclose([row.ours, row.difference, row.error], [12, 6, 0.5], rtol=1e-8)
    assert row.wrong == 6


def test_an_answer_of_zeros_is_wrong_by_all_of_the_derivative():
    found = check(lambda a: (jnp.sum(a**2), jnp.zeros(3)), jnp.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(found.largest_error, 1.0, rtol=1e-4)


def test_jax_value_and_grad_passes():
    assert check(jax.value_and_grad(lambda a: jnp.sum(jnp.sin(a))), jnp.arange(5.0))
    assert check(jax.value_and_grad(lambda a: a**3), 2.0).leaves[0].name == "parameters"


def test_the_door_into_a_training_loop_passes():
    credited = ascribe.value_and_credit(rules.Backpropagation())
    assert check(lambda network: credited(network, None, labeled()), small_mlp())
    wrong = ascribe.value_and_credit(Handed())
    assert check(lambda network: wrong(network, None, labeled()), small_mlp()).leaves[0].name == "linear1.weight"


@pytest.mark.parametrize(("factor", "passes"), [(1.0, True), (1.1, False)])
def test_a_function_of_the_value_alone_is_a_test_of_its_own_derivative(factor, passes):
    @jax.custom_vjp
    def sine(x):
        return jnp.sin(x)

    sine.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (factor * g * jnp.cos(x),))
    assert check(lambda a: jnp.sum(sine(a)), jnp.arange(5.0)).passed is passes


def test_numpy_code_that_cannot_be_traced_is_checked_in_a_loop():
    def both(a):
        a = np.asarray(a)
        return float(np.sum(a**2)) if a[0] > 0 else 0.0, 2 * a

    assert check(both, np.arange(1.0, 4.0))


def test_a_function_that_insists_on_float32_is_checked_in_float32():
    data = jnp.ones(3, jnp.float32)
    found = check(jax.value_and_grad(lambda a: jnp.sum(jax.lax.mul(a, data)) ** 2), jnp.arange(3, dtype=jnp.float32))
    assert found
    assert 0.001 < found.step < 0.01
    assert not check(lambda a: (jnp.sum(jax.lax.mul(a, data)) ** 2, a), jnp.arange(3, dtype=jnp.float32))


def test_a_large_parameter_does_not_blur_the_quotient():
    """1e6 + 6e-6 is rounded: the quotient is over the distance that is left."""
    assert check(jax.value_and_grad(lambda a: 3e-6 * jnp.sum(a)), jnp.full(3, 1e6))


# Samples


def test_a_sample_is_spread_over_the_leaves_and_said_to_be_one():
    found = check("backprop", small_mlp(), labeled(), samples=20)
    # Leaves of 3, 4, 5, 12, 20 and 20 numbers: three each, and what the division leaves goes to the large ones.
    assert sum(leaf.checked for leaf in found.leaves) == 20
    assert sorted(leaf.checked for leaf in found.leaves) == [3, 3, 3, 3, 4, 4]
    assert "20 of 64 numbers, drawn at random, checked" in str(found)
    assert "all 64 numbers checked" in str(check("backprop", small_mlp(), labeled(), samples=64))


def test_the_key_draws_the_sample():
    wrong = lambda a: (jnp.sum(a), jnp.where(jnp.arange(100) < 50, 1.0, 2.0))
    found = [check(wrong, jnp.ones(100), samples=10, key=jr.key(i)).leaves[0].wrong for i in (0, 0, 1, 2, 3)]
    assert found[0] == found[1]
    assert len(set(found)) > 1


def test_many_parameters_are_sampled_without_being_asked():
    found = check(jax.value_and_grad(lambda a: jnp.sum(a**2)), jnp.ones(1000 + 1))
    assert found.leaves[0].checked == 200
    assert found


# Kinks


def test_a_corner_is_reported_apart():
    found = check(jax.value_and_grad(lambda a: jnp.sum(jnp.abs(a))), jnp.array([1.0, 0.0, -2.0]))
    assert found
    assert found.leaves[0].checked == 2
    (kink,) = found.kinks
    assert (kink.name, kink.place) == ("parameters", (1,))
    np.testing.assert_allclose([kink.below, kink.above], [-1, 1], rtol=1e-8)
    assert "a kink at parameters[1]: the slopes are -1 below and 1 above" in str(found)


def test_a_corner_inside_the_step_is_reported_apart():
    inside = jnp.array([1.0, 2e-6])
    found = check(jax.value_and_grad(lambda a: jnp.sum(jax.nn.relu(a))), inside)
    assert found
    assert [kink.place for kink in found.kinks] == [(1,)]
    assert not check(jax.value_and_grad(lambda a: jnp.sum(jax.nn.relu(a))), inside, step=1e-7).kinks


def test_a_jump_is_reported_apart():
    found = check(lambda a: (jnp.sum(jnp.where(a >= 0, 1.0, 0.0)), jnp.zeros(2)), jnp.array([0.0, 1.0]))
    assert found
    assert [kink.place for kink in found.kinks] == [(0,)]
    assert found.kinks[0].below > 1e4


def test_an_answer_outside_the_slopes_of_a_corner_is_wrong():
    found = check(lambda a: (jnp.sum(jnp.abs(a)), jnp.array([5.0])), jnp.zeros(1))
    assert found.differs == ("parameters",)
    assert not found.kinks


def test_relu_units_at_zero_are_kinks_of_the_network():
    """Inputs of zero and biases of zero: every hidden unit sits on its corner."""
    network = networks.mlp([4, 5, 3], activation="relu", key=jr.key(0))
    batch = dataclasses.replace(labeled(), inputs=jnp.zeros_like(labeled().inputs))
    found = check("backprop", network, batch)
    assert found
    assert {kink.name for kink in found.kinks} == {"linear1.bias"}
    assert len(found.kinks) == 5
    assert "and 2 more kinks" in str(found)


def test_a_steep_place_is_no_kink():
    found = check(jax.value_and_grad(lambda a: jnp.sum(jnp.exp(20 * a))), jnp.array([0.0, 0.1, 1.0]))
    assert found
    assert not found.kinks


def test_a_step_that_is_too_large_makes_no_kinks():
    """The truncation error of a wide step is an error, no excuse for a wrong answer."""
    sine = lambda off: lambda a: (jnp.sin(a), jnp.cos(a) + off)
    for step in (0.01, 0.1, 0.5):
        found = check(sine(0.002), 0.9, step=step)
        assert not found and not found.kinks
        assert check(sine(0.0), 0.9, step=step, tolerance=step**2)
    assert not check(sine(0.0), 0.9, step=0.1).kinks


@pytest.mark.parametrize("place", [0.02, 0.2, 1 / 3, 0.5, 0.8, 0.98])
def test_a_corner_anywhere_inside_the_step_is_a_kink(place):
    """At 1/3 of the step the gap between the slopes halves with it, as in a smooth place; the central quotients tell."""
    both = jax.value_and_grad(lambda a: jax.nn.relu(a) + a**2)
    found = check(both, place * 1e-4, step=1e-4, tolerance=1e-3)
    assert found
    assert len(found.kinks) == 1


# The report


def test_the_report_names_every_leaf_with_its_numbers():
    lines = str(check(OneWrong(), small_mlp(), labeled())).splitlines()
    assert lines[0] == "OneWrong differs from the gradient in linear2.bias"
    assert [line.split(":")[0].strip() for line in lines[1:7]] == list(LEAVES)
    assert " at [3]: " in lines[4]
    assert "(1 of 4 wrong)" in lines[4]
    assert lines[7] == "  all 64 numbers checked with the step 6.1e-06 and the tolerance 6.1e-06"
    assert str(check("backprop", small_mlp(), labeled())).startswith("Backpropagation is the gradient here\n")


# What is refused


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((jnp.sum, np.ones(2)), {"loss": "squared-error"}, "a function is checked on its parameters alone"),
        ((jnp.sum, {"a": 3}), {}, "nothing to check"),
        ((jnp.sum, np.ones(0)), {}, "nothing to check"),
        ((jnp.sum, np.ones(2, complex)), {}, "complex parameters"),
        ((jnp.sum, np.ones(2)), {"step": 0.0}, "`step` of check_gradients is a positive number; got 0.0"),
        ((jnp.sum, np.ones(2)), {"tolerance": np.inf}, "`tolerance` of check_gradients is a positive number"),
        ((jnp.sum, np.ones(2)), {"samples": True}, "`samples` of check_gradients is a positive integer; got True"),
        ((jnp.sum, np.ones(2)), {"samples": 0}, "`samples` of check_gradients is a positive integer; got 0"),
        ((lambda a: a, np.ones(2)), {}, r"one real number; the function returned float64 of the shape \(2,\)"),
        ((lambda a: 3, np.ones(2)), {}, "one real number; the function returned int64"),
        ((lambda: 1.0, np.ones(2)), {}, "the parameters as its one argument; this one cannot: too many positional"),
        ((lambda a, b: 1.0, np.ones(2)), {}, "this one cannot: missing a required argument: 'b'"),
        ((lambda a: "much", np.ones(2)), {}, "one real number; the function returned a str"),
        ((lambda a: None, np.ones(2)), {}, "one real number; the function returned a NoneType"),
        ((lambda a: (jnp.sum(a), a, a), np.ones(2)), {}, "it returned 3 things"),
        ((lambda a: (jnp.sum(a), {"a": a}), np.ones(2)), {}, "have the tree of the parameters"),
        ((lambda a: (jnp.sum(a), np.ones(3)), np.ones(2)), {}, r"shape \(2,\); got \(3,\)"),
        ((lambda a: (jnp.log(-a[0]), a), np.ones(2)), {}, "the value is nan at the parameters"),
        ((lambda a: (jnp.sum(a), a / 0), np.ones(2)), {}, r"the gradient of parameters is inf at \[0\]"),
        ((lambda a: (jnp.sum(jnp.sqrt(a)), a), np.zeros(2)), {}, r"no finite difference quotient at parameters\[0\]"),
        ((lambda a: (jnp.sum(a), a), np.full(2, 1e9)), {"step": 1e-9}, "choose another `step`"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, options, sentence):
    with pytest.raises(UserError, match=sentence):
        check(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            lambda n, b: (dict, n, b),
            "takes a rule, .* or a function .*; got the class dict",
        ),
        (lambda n, b: ("nosuch", n, b), "unknown rule 'nosuch'"),
        (lambda n, b: ("backprop", n), "a rule is checked on a network and a batch"),
        (lambda n, b: ("backprop", np.ones(2), b), "a model is a module of Equinox, Flax NNX or PyTorch"),
        (lambda n, b: ("backprop", n, (np.ones((2, 4)), np.ones(3))), "2 inputs and 3 targets"),
        (lambda n, b: (jnp.sum, np.ones(2), b), "a function is checked on its parameters alone"),
    ],
)
def test_what_does_not_belong_together_is_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        check(*arguments(small_mlp(), labeled()))


class Elsewhere(rules.AbstractRule):
    """A rule that returns the credit of another network."""

    def __call__(self, network, state, batch, *, key=None):
        credit = rules.Backpropagation()(network, state, batch)
        return dataclasses.replace(credit, gradients=Network([Linear(4, 3)]))


def test_a_rule_with_gradients_of_another_tree_is_refused():
    with pytest.raises(UserError, match="have the tree of the parameters"):
        check(Elsewhere(), small_mlp(), labeled())


def test_an_error_of_the_function_itself_is_not_hidden():
    def broken(a):
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        check(broken, jnp.ones(2))


def test_where_there_are_only_kinks_nothing_is_said_to_be_right():
    found = check(lambda a: (jnp.sum(jnp.abs(a)), jnp.zeros(2)), jnp.zeros(2))
    assert len(found.kinks) == 2
    assert "could not be checked" in str(found)
