"""The limits in which a rule is backpropagation, and the formulas it is where it is not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe import networks, rules
from ascribe.errors import UserError
from ascribe.networks import record
from ascribe.rules import Backpropagation, Terms, Trainables, backward_sweep

from ..cases import (
    LOSSES,
    assert_active,
    assert_close,
    assert_identical,
    case,
    credit_of,
    examples,
    output_layer,
    small_mlp,
    to_float32,
    upper_weights,
)

RTOL = 1e-12
KINDS = ("mlp", "lenet")
each_case = pytest.mark.parametrize(
    ("kind", "loss"), [("mlp", "bernoulli-cross-entropy"), ("lenet", "categorical-cross-entropy")]
)
"""One loss for each kind of network: how the loss enters is a question of its own (tests/contracts/test_rules.py)."""


def exact(network, batch):
    gradients = credit_of(Backpropagation(), network, None, batch).gradients
    assert_active(gradients)
    return gradients


def swept(network, batch, terms):
    """The gradients of a sweep with these terms, by one program."""
    return jax.jit(lambda network: backward_sweep(network, None, batch, terms).gradients)(network)


def random_signs(network, sizes, key):
    """The network with upper weights of those sizes and random signs."""
    names = list(sizes)
    keys = jr.split(key, len(names))
    weights = [jr.rademacher(k, sizes[name].shape, float) * sizes[name] for k, name in zip(keys, names, strict=True)]
    return eqx.tree_at(lambda n: [n[name].weight for name in names], network, weights)


# Feedback in place of W


@each_case
def test_feedback_alignment_with_the_weights_is_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    credit = credit_of(rules.FeedbackAlignment(), network, upper_weights(network), batch)
    assert_close(credit.gradients, exact(network, batch), RTOL)


@each_case
def test_feedback_alignment_changes_every_layer_but_the_last(kind, loss):
    network, batch = case(kind, loss)
    rule = rules.FeedbackAlignment()
    ours = credit_of(rule, network, rule.init(network, batch, key=jr.key(0)), batch).gradients
    theirs = exact(network, batch)
    changed = [name for name in network.synaptic if not np.allclose(ours[name].weight, theirs[name].weight, rtol=1e-3)]
    assert changed == list(network.synaptic[:-1])


@each_case
def test_signs_times_sizes_are_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    terms = Terms(feedback={name: jnp.sign(w) * jnp.abs(w) for name, w in upper_weights(network).items()})
    assert_close(swept(network, batch, terms), exact(network, batch), RTOL)


@each_case
def test_fixed_random_sign_symmetry_with_the_weights_sizes_is_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    sizes = {name: jnp.abs(w) for name, w in upper_weights(network).items()}
    rule = rules.SignSymmetry("fixed-random")
    credit = credit_of(rule, network, sizes, batch, jr.key(0))
    assert_identical(credit.state, sizes)
    assert_close(credit.gradients, exact(network, batch), RTOL)


@each_case
def test_uniform_sign_symmetry_on_weights_of_that_size_is_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    scale = 1.7
    sizes = {}
    for name, weight in upper_weights(network).items():
        receptive_field = np.prod(weight.shape[:-2]) if weight.ndim == 4 else 1
        glorot = np.sqrt(2 / (receptive_field * (weight.shape[-1] + weight.shape[-2])))
        sizes[name] = jnp.full(weight.shape, scale * glorot)
    network = random_signs(network, sizes, jr.key(5))
    rule = rules.SignSymmetry("uniform", scale=scale)
    state = rule.init(network, batch, key=jr.key(0))
    assert_close(credit_of(rule, network, state, batch).gradients, exact(network, batch), RTOL)


@each_case
def test_batch_random_sign_symmetry_on_weights_of_the_drawn_sizes_is_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    rule, key = rules.SignSymmetry("batch-random"), jr.key(7)
    state = rule.init(network, batch, key=jr.key(0))
    drawn = credit_of(rule, network, state, batch, key).state
    network = random_signs(network, drawn, jr.key(5))
    credit = credit_of(rule, network, state, batch, key)
    assert_identical(credit.state, drawn)
    assert_close(credit.gradients, exact(network, batch), RTOL)


def test_batch_random_sign_symmetry_draws_for_every_batch_and_fixed_random_once():
    network, batch = case("mlp", "squared-error")

    def states(kind):
        rule = rules.SignSymmetry(kind)
        state = rule.init(network, batch, key=jr.key(0))
        return [credit_of(rule, network, state, batch, jr.key(i)).state["linear2"] for i in range(2)]

    assert np.all(np.asarray(states("batch-random")[0]) != states("batch-random")[1])
    assert_identical(*states("fixed-random"))
    with pytest.raises(UserError, match="pass `key=`"):
        rules.SignSymmetry("batch-random")(network, {}, batch)


def test_batch_random_sign_symmetry_does_not_draw_its_sizes_from_the_numbers_that_dropout_draws_from():
    """Each of 8 · 4 numbers below 0.75 keeps a unit; a size drawn from the same ones would be above 0.67 wherever one is
    silenced, because normal numbers are drawn as the quantiles of uniform ones."""
    network = networks.Network(
        [networks.Dropout(0.25), networks.Linear(4, 4, key=jr.key(1)), networks.Linear(4, 8, key=jr.key(2))]
    )
    batch, key = examples((4,), "squared-error", 8, batch=8), jr.key(3)
    rule = rules.SignSymmetry("batch-random", scale=2.0)  # 2/√fan_in is 1
    sizes = credit_of(rule, network, rule.init(network, batch, key=key), batch, key).state["linear2"]
    silenced = jax.jit(lambda n: record(n, batch.inputs, key=key)[0].outputs(0) == 0)(network)
    assert 3 < np.sum(silenced) < 16
    assert np.min(np.asarray(sizes)[np.asarray(silenced)]) < 0.5


@pytest.mark.parametrize("kind", ["uniform", "fixed-random", "batch-random"])
def test_sign_symmetric_feedback_has_the_signs_of_the_current_weights(kind):
    network, batch = case("lenet", "squared-error")
    rule = rules.SignSymmetry(kind)
    state = rule.init(network, batch, key=jr.key(0))
    flipped = jax.tree.map(jnp.negative, network)
    for one in (network, flipped):
        feedback = rule.feedback(one, state)
        assert set(feedback) == set(upper_weights(one))
        for name, matrix in feedback.items():
            np.testing.assert_array_equal(jnp.sign(matrix), jnp.sign(one[name].weight))


@pytest.mark.parametrize("scale", [1.0, 2.5])
@pytest.mark.parametrize("rule_class", [rules.FeedbackAlignment, rules.KolenPollack])
def test_feedback_is_normal_with_the_documented_spread(rule_class, scale):
    wide = networks.mlp([3, 400, 300, 2], key=jr.key(0))
    rule, batch = rule_class(scale=scale), examples((3,), "squared-error", 2)
    trainables = rule.trainables(wide, batch, key=jr.key(1))
    feedback = rule.feedback(trainables, rule.init(wide, batch, key=jr.key(1)))
    matrix = feedback["linear2"]
    assert matrix.shape == (300, 400)
    np.testing.assert_allclose(jnp.std(matrix), scale / 20, rtol=0.01)
    np.testing.assert_allclose(jnp.mean(matrix), 0, atol=4 * scale / 20 / np.sqrt(matrix.size))


def test_direct_feedback_has_the_documented_spread():
    wide = networks.mlp([3, 400, 300, 16], key=jr.key(0))
    rule = rules.DirectFeedbackAlignment(scale=3.0)
    state = rule.init(wide, examples((3,), "squared-error", 16), key=jr.key(1))
    assert {name: b.shape for name, b in state.items()} == {"linear2": (16, 400), "linear3": (16, 300)}
    np.testing.assert_allclose(jnp.std(state["linear2"]), 3 / 4, rtol=0.03)


@pytest.mark.parametrize(
    "name", ["feedback-alignment", "direct-feedback-alignment", "sign-symmetry-fixed-random", "kolen-pollack"]
)
def test_every_layer_has_feedback_of_its_own(name):
    """Also two of one shape: here the second and the third layer."""
    rule, network, batch = rules.get(name), small_mlp(hidden=(4, 4, 4)), examples((4,), "squared-error")
    trainables = rule.trainables(network, batch, key=jr.key(0))
    state = rule.init(network, batch, key=jr.key(1))
    found = state if name.startswith("direct") else rule.feedback(trainables, state)
    assert np.all(np.abs(np.abs(found["linear2"]) - np.abs(found["linear3"])) > 1e-6)


def test_fans_count_the_receptive_field():
    dense, kernel = jax.eval_shape(lambda: (networks.Linear(5, 7), networks.Conv2d(4, 6, 3)))
    assert (dense.fan_in, dense.fan_out, dense.outputs) == (5, 7, 7)
    assert (kernel.fan_in, kernel.fan_out, kernel.outputs) == (36, 54, 6)


# Kolen-Pollack


@each_case
def test_kolen_pollack_with_the_weights_is_backpropagation(kind, loss):
    network, batch = case(kind, loss)
    trainables = Trainables(network, feedback=upper_weights(network))
    gradients = credit_of(rules.KolenPollack(), trainables, None, batch).gradients
    assert_close(gradients.network, exact(network, batch), RTOL)


@pytest.mark.parametrize("kind", KINDS)
def test_kolen_pollack_gives_weights_and_feedback_the_same_gradient(kind):
    network, batch = case(kind, "categorical-cross-entropy")
    rule = rules.KolenPollack()
    trainables = rule.trainables(network, batch, key=jr.key(0))
    gradients = credit_of(rule, trainables, None, batch).gradients
    assert_identical(gradients.feedback, {name: gradients.network[name].weight for name in network.synaptic[1:]})
    assert_active(gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_kolen_pollack_feedback_approaches_the_weights_geometrically_under_sgd(kind):
    network, batch = case(kind, "categorical-cross-entropy")
    decay, steps = 0.05, 25
    rule, optimizer = rules.KolenPollack(decay=decay), optax.sgd(0.1)
    start = trainables = rule.trainables(network, batch, key=jr.key(0))

    @jax.jit
    def step(trainables):
        updates, _ = optimizer.update(rule(trainables, None, batch).gradients, optimizer.init(trainables))
        return rule.after_update(optax.apply_updates(trainables, updates), None)[0]

    for _ in range(steps):
        trainables = step(trainables)

    def gap(trainables):
        return {name: trainables.network[name].weight - b for name, b in trainables.feedback.items()}

    expected = jax.tree.map(lambda g: (1 - decay) ** steps * g, gap(start))
    assert_close(gap(trainables), expected, 1e-10)
    moved = jax.tree.map(lambda w, w0: w - (1 - decay) ** steps * w0, trainables.feedback, start.feedback)
    assert all(float(jnp.max(jnp.abs(leaf))) > 0.01 for leaf in jax.tree.leaves(moved))


def test_kolen_pollack_decay_does_not_depend_on_the_learning_rate():
    network, batch = case("lenet", "squared-error")
    decay, steps = 0.1, 20
    rule, optimizer = rules.KolenPollack(decay=decay), optax.sgd(0.0)
    start = trainables = rule.trainables(network, batch, key=jr.key(0))

    @jax.jit
    def step(trainables):
        updates, _ = optimizer.update(start, optimizer.init(trainables))
        return rule.after_update(optax.apply_updates(trainables, updates), None)[0]

    for _ in range(steps):
        trainables = step(trainables)
    shrunk = (1 - decay) ** steps
    assert_close(trainables.feedback, jax.tree.map(lambda b: shrunk * b, start.feedback), 1e-12)
    assert_close(upper_weights(trainables.network), jax.tree.map(lambda w: shrunk * w, upper_weights(start.network)), 1e-12)
    assert_identical(trainables.network.layers[0], start.network.layers[0])
    for name in network.synaptic:
        assert_identical(trainables.network[name].bias, start.network[name].bias)


# Direct feedback alignment


SLOPE = {
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "logistic": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
}
FUNCTION = {"tanh": np.tanh, "logistic": lambda z: 1 / (1 + np.exp(-z)), "relu": lambda z: np.where(z > 0, z, 0)}


@pytest.mark.parametrize(("hidden", "loss"), list(zip(SLOPE, LOSSES, strict=False)))
def test_direct_feedback_alignment_is_the_written_formula_on_dense_layers(hidden, loss):
    network, batch = small_mlp(hidden, hidden=(6, 5, 4)), examples((4,), loss)
    rule = rules.DirectFeedbackAlignment()
    direct = rule.init(network, batch, key=jr.key(1))
    gradients = credit_of(rule, network, direct, batch).gradients

    x = np.asarray(batch.inputs)
    t = np.asarray(batch.targets) if loss == "squared-error" else np.eye(3)[np.asarray(batch.targets)]
    layers = [(np.asarray(network[name].weight), np.asarray(network[name].bias)) for name in network.synaptic]
    activations, preactivations = [x], []
    for w, b in layers:
        preactivations.append(activations[-1] @ w.T + b)
        activations.append(FUNCTION[hidden](preactivations[-1]))
    z = preactivations[-1]
    y = {
        "squared-error": z,
        "bernoulli-cross-entropy": 1 / (1 + np.exp(-z)),
        "categorical-cross-entropy": np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    }[loss]
    top = (y - t) / len(x)
    for i, name in enumerate(network.synaptic):
        last = i + 1 == len(layers)
        delta = top if last else (top @ np.asarray(direct[f"linear{i + 2}"])) * SLOPE[hidden](preactivations[i])
        for ours, theirs in (
            (gradients[name].weight, delta.T @ activations[i]),
            (gradients[name].bias, delta.sum(axis=0)),
        ):
            assert np.any(theirs != 0)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13 * np.max(np.abs(theirs)))


def test_direct_feedback_alignment_is_the_written_formula_on_lenet():
    network, batch = case("lenet", "categorical-cross-entropy")
    rule = rules.DirectFeedbackAlignment()
    direct = rule.init(network, batch, key=jr.key(1))
    ours = credit_of(rule, network, direct, batch).gradients
    theirs = jax.jit(written_direct_feedback)(network, direct, batch)
    for name, (weight, bias) in theirs.items():
        assert_close([ours[name].weight, ours[name].bias], [weight, bias], RTOL)


def written_direct_feedback(network, direct, batch):
    """The gradients of the weights and biases of a LeNet, from the formula."""
    tape, _ = record(network, batch.inputs)

    def conv(x, weight, bias, padding):
        z = jax.lax.conv_general_dilated(
            x, weight, (1, 1), [(padding, padding)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return z + jnp.broadcast_to(bias, z.shape)

    def pooled(z):
        return jax.lax.reduce_window(jnp.tanh(z), -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def flat(z):
        return pooled(z).reshape(len(z), -1)

    top = (jax.nn.softmax(tape.output) - jnp.eye(3)[batch.targets]) / len(tape.output)
    between = {"conv1": ("conv2", pooled), "conv2": ("linear1", flat), "linear1": ("linear2", jnp.tanh)}
    between["linear2"] = ("linear3", jnp.tanh)
    preactivations, found = tape.preactivations(network), {}
    for name in network.synaptic:
        delta = top
        if name in between:
            above, pieces = between[name]
            arriving = jnp.einsum("no,o...->n...", top, direct[above])
            delta = jax.vjp(pieces, preactivations[name])[1](arriving)[0]
        layer, x = network[name], tape.inputs[network.index(name)]
        if layer.kind == "conv":
            padding = 2 if name == "conv1" else 0
            own = lambda w, b, x=x, padding=padding: conv(x, w, b, padding)
            found[name] = jax.vjp(own, layer.weight, layer.bias)[1](delta)
        else:
            found[name] = jnp.einsum("no,ni->oi", delta, x), jnp.sum(delta, axis=0)
    return found


def test_direct_feedback_alignment_with_one_hidden_layer_and_the_weights_is_backpropagation():
    network, batch = small_mlp("logistic", hidden=(6,)), examples((4,), "bernoulli-cross-entropy")
    credit = credit_of(rules.DirectFeedbackAlignment(), network, {"linear2": network["linear2"].weight}, batch)
    assert_close(credit.gradients, exact(network, batch), RTOL)


# b-functions


@pytest.mark.parametrize("hidden", [name for name, row in networks.ACTIVATIONS.items() if row.elementwise])
def test_an_exact_derivative_passed_as_b_function_is_backpropagation(hidden):
    network, batch = small_mlp(hidden), examples((4,), "categorical-cross-entropy")
    slope = jnp.vectorize(jax.grad(networks.ACTIVATIONS[hidden].function))

    @jax.jit
    def gradients(network):
        every = [Terms(derivative=dict.fromkeys(names, slope)) for names in (network.names[1::2], network.synaptic[:-1])]
        return [backward_sweep(network, None, batch, terms).gradients for terms in (Terms(), *every)]

    theirs, *both = gradients(network)
    for ours in both:
        assert_close(ours, theirs, RTOL)


@pytest.mark.parametrize(("kind", "scaled", "layer"), [("mlp", 1, "linear1"), ("mlp", 2, "tanh2"), ("lenet", 2, "conv2")])
def test_a_scaled_derivative_scales_the_gradients_at_and_below_its_layer(kind, scaled, layer):
    """Equation 2 of the b-function paper: a constant factor in one layer is a learning rate of the layers below."""
    network, batch = case(kind, "categorical-cross-entropy")
    theirs = exact(network, batch)
    terms = Terms(derivative={layer: lambda z: 4 * (1 - jnp.tanh(z) ** 2)})
    ours = swept(network, batch, terms)
    for i, name in enumerate(network.synaptic):
        factor = 4 if i < scaled else 1
        assert_close(ours[name], jax.tree.map(lambda leaf, factor=factor: factor * leaf, theirs[name]), RTOL)


def test_a_derivative_is_taken_at_the_layer_s_own_preactivation():
    """With g(z) = z the hidden delta is (Wᵀ δ) ⊙ z."""
    network, batch = small_mlp("tanh", hidden=(6,)), examples((4,), "squared-error")
    ours = swept(network, batch, Terms(derivative={"linear1": lambda z: z}))
    x, t = np.asarray(batch.inputs), np.asarray(batch.targets)
    (w1, b1), (w2, b2) = [(np.asarray(layer.weight), np.asarray(layer.bias)) for layer in network.layers[::2]]
    z1 = x @ w1.T + b1
    delta = (np.tanh(z1) @ w2.T + b2 - t) / len(x) @ w2 * z1
    assert_close(ours["linear1"].weight, delta.T @ x, RTOL)
    assert_close(ours["linear1"].bias, delta.sum(axis=0), RTOL)


OUTPUT_ERRORS = {
    ("squared-error", "none"): lambda y, t, z: (y - t) * y * (1 - y),
    ("squared-error", "cost"): lambda y, t, z: (y - t) ** 3 * y * (1 - y),
    ("squared-error", "slope"): lambda y, t, z: (y - t) / np.cosh(z),
    ("squared-error", "both"): lambda y, t, z: (y - t) ** 3 / np.cosh(z),
    ("bernoulli-cross-entropy", "none"): lambda y, t, z: y - t,
    ("bernoulli-cross-entropy", "cost"): lambda y, t, z: (y - t) ** 3 * y * (1 - y),
    ("bernoulli-cross-entropy", "slope"): lambda y, t, z: (y - t) / (y * (1 - y)) / np.cosh(z),
    ("bernoulli-cross-entropy", "both"): lambda y, t, z: (y - t) ** 3 / np.cosh(z),
}
REPLACED = {
    "none": {},
    "cost": {"cost_gradient": lambda y, t: (y - t) ** 3},
    "slope": {"output_derivative": lambda z: 1 / jnp.cosh(z)},
    "both": {"cost_gradient": lambda y, t: (y - t) ** 3, "output_derivative": lambda z: 1 / jnp.cosh(z)},
}


@pytest.mark.parametrize(("loss", "terms"), list(OUTPUT_ERRORS))
def test_replaced_output_terms_are_the_written_formula(loss, terms):
    network, batch = output_layer(small_mlp("tanh", hidden=(6,)), "logistic"), examples((4,), loss)
    credit = jax.jit(lambda network: backward_sweep(network, None, batch, Terms(**REPLACED[terms])))(network)
    x = np.asarray(batch.inputs)
    t = np.asarray(batch.targets) if loss == "squared-error" else np.eye(3)[np.asarray(batch.targets)]
    (w1, b1), (w2, b2) = [(np.asarray(layer.weight), np.asarray(layer.bias)) for layer in network.layers[:3:2]]
    h = np.tanh(x @ w1.T + b1)
    z = h @ w2.T + b2
    y = 1 / (1 + np.exp(-z))
    top = OUTPUT_ERRORS[loss, terms](y, t, z) / len(x)
    bottom = top @ w2 * (1 - h**2)
    expected = [top.T @ h, top.sum(axis=0), bottom.T @ x, bottom.sum(axis=0)]
    ours = [getattr(credit.gradients[name], part) for name in ("linear2", "linear1") for part in ("weight", "bias")]
    assert_close(ours, expected, RTOL)
    value = 0.5 * (y - t) ** 2 if loss == "squared-error" else -(t * np.log(y) + (1 - t) * np.log(1 - y))
    np.testing.assert_allclose(credit.loss, value.sum(axis=1).mean(), rtol=RTOL)


@pytest.mark.parametrize("function", ["logistic", "softmax"])
def test_exact_output_terms_passed_explicitly_are_backpropagation(function):
    loss = {"logistic": "bernoulli-cross-entropy", "softmax": "categorical-cross-entropy"}[function]
    network, batch = output_layer(small_mlp(), function), examples((4,), loss)
    slope = {"output_derivative": networks.ACTIVATIONS["logistic"].derivative} if function == "logistic" else {}
    ours = swept(network, batch, Terms(cost_gradient=batch.loss.cost_gradient, **slope))
    assert_close(ours, exact(network, batch), RTOL)


def test_a_replaced_error_is_what_the_layer_and_those_below_see():
    network, batch = case("mlp", "categorical-cross-entropy")
    theirs = exact(network, batch)
    terms = Terms(error={"linear2": lambda delta: 8 * delta})
    ours = swept(network, batch, terms)
    assert_identical(ours["linear3"], theirs["linear3"])
    for name in ("linear2", "linear1"):
        assert_close(ours[name], jax.tree.map(lambda leaf: 8 * leaf, theirs[name]), RTOL)


def test_an_error_at_one_layer_is_handed_the_delta_of_that_layer():
    """The sign of delta in place of delta, at the top layer: the hidden layer sees it through Wᵀ."""
    network, batch = small_mlp("tanh", hidden=(6,)), examples((4,), "squared-error")
    ours = swept(network, batch, Terms(error={"linear2": jnp.sign}))
    x, t = np.asarray(batch.inputs), np.asarray(batch.targets)
    (w1, b1), (w2, b2) = [(np.asarray(layer.weight), np.asarray(layer.bias)) for layer in network.layers[::2]]
    h = np.tanh(x @ w1.T + b1)
    top = np.sign(h @ w2.T + b2 - t)
    bottom = top @ w2 * (1 - h**2)
    expected = [top.T @ h, top.sum(axis=0), bottom.T @ x, bottom.sum(axis=0)]
    assert_close([getattr(ours[n], p) for n in ("linear2", "linear1") for p in ("weight", "bias")], expected, RTOL)


# What is refused


def one(z):
    return jnp.ones_like(z)


def matrix(*shape):
    return jnp.asarray(np.ones(shape))


def traced(network, batch, terms):
    return jax.eval_shape(lambda network: backward_sweep(network, None, batch, terms), network)


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (lambda: Terms(derivative={"linear9": one}), "no layer 'linear9': its layers are linear1, tanh1"),
        (lambda: Terms(derivative={"linear3": one}), "no activation follows layer linear3"),
        (lambda: Terms(error={"tanh1": one}), "layer tanh1 has no weights: .* belong to linear1, linear2, linear3"),
        (lambda: Terms(error={"tahn1": one}), "no layer 'tahn1'"),
        (lambda: Terms(feedback={"tanh1": matrix(1)}), "layer tanh1 has no weights"),
        (lambda: Terms(feedback={"linear7": matrix(1)}), "no layer 'linear7'"),
        (lambda: Terms(direct={"linear7": matrix(1)}), "no layer 'linear7'"),
        (lambda: Terms(feedback={"linear1": matrix(5, 4)}), "no error passes below .*, linear1: it takes no feedback"),
        (lambda: Terms(direct={"linear1": matrix(3, 4)}), "no error passes below .*, linear1: it takes no feedback"),
        (lambda: Terms(feedback={"linear3": matrix(4, 3)}), r"own shape \(3, 4\); got \(4, 3\)"),
        (lambda: Terms(feedback={"linear2": matrix(4, 4)}), r"own shape \(4, 5\); got \(4, 4\)"),
    ],
)
def test_terms_that_fit_no_layer_are_refused(terms, sentence):
    network, batch = case("mlp", "squared-error")
    with pytest.raises(UserError, match=sentence):
        traced(network, batch, terms())


def test_a_derivative_at_a_layer_that_is_no_activation_is_refused():
    network, batch = case("lenet", "squared-error")
    with pytest.raises(UserError, match="layer maxpool1 is no activation"):
        traced(network, batch, Terms(derivative={"maxpool1": one}))


def test_direct_feedback_of_another_shape_is_refused():
    network, batch = case("mlp", "squared-error")
    with pytest.raises(UserError, match=r"\(3, 5\)"):
        traced(network, batch, Terms(direct={"linear2": matrix(5, 3)}))


@pytest.mark.parametrize("loss", ["squared-error", "categorical-cross-entropy"])
def test_the_output_derivative_of_softmax_is_refused(loss):
    network, batch = output_layer(small_mlp(), "softmax"), examples((4,), loss)
    with pytest.raises(UserError, match="softmax cannot be replaced, because it couples the units"):
        traced(network, batch, Terms(output_derivative=one))


@pytest.mark.parametrize(
    ("loss", "output"),
    [
        ("bernoulli-cross-entropy", "softmax"),
        ("categorical-cross-entropy", "logistic"),
        ("bernoulli-cross-entropy", "tanh"),
        ("categorical-cross-entropy", "relu"),
    ],
)
def test_a_cross_entropy_on_another_output_activation_is_refused(loss, output):
    network, batch = output_layer(small_mlp(), output), examples((4,), loss)
    with pytest.raises(UserError, match=f"made for .* but the network ends in {output}"):
        traced(network, batch, Terms())


def test_targets_of_another_width_are_refused():
    network, batch = small_mlp(outputs=2), examples((4,), "squared-error", 3)
    with pytest.raises(UserError, match="3 columns but the network has 2 outputs"):
        traced(network, batch, Terms())


def test_an_unknown_kind_of_sign_symmetry_is_refused():
    with pytest.raises(UserError, match="uniform, batch-random, fixed-random; got 'random'"):
        rules.SignSymmetry("random")


# The float32 default


@pytest.mark.parametrize("kind", KINDS)
def test_float32_limits_hold_to_float32_rounding(kind):
    network, batch = to_float32(case(kind, "categorical-cross-entropy"))
    exact32 = exact(network, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(exact32)} == {jnp.dtype("float32")}
    weights = upper_weights(network)
    assert_close(credit_of(rules.FeedbackAlignment(), network, weights, batch).gradients, exact32, 1e-5)
    sizes = {name: jnp.abs(w) for name, w in weights.items()}
    assert_close(credit_of(rules.SignSymmetry("fixed-random"), network, sizes, batch).gradients, exact32, 1e-5)
    trainables = Trainables(network, feedback=weights)
    assert_close(credit_of(rules.KolenPollack(), trainables, None, batch).gradients.network, exact32, 1e-5)
