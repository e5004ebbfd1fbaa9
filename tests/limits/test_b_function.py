"""b-functions: the limits in which a replaced term changes nothing, and the learning rate that it is where it does."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.networks import ACTIVATIONS, Activation, Network, record
from ascribe.rules import (
    Backpropagation,
    BFunction,
    GradientNoise,
    MatchedNoise,
    MetaNetwork,
    Terms,
    WhereSlope,
    backward_sweep,
    implicit_rates,
)
from ascribe.rules.terms import layer_errors, output_error

from ..cases import (
    LOSSES,
    assert_active,
    assert_close,
    assert_identical,
    case,
    credit_of,
    examples,
    noisy_mlp,
    output_layer,
    small_mlp,
    upper_weights,
)

RTOL = 1e-12
each_case = pytest.mark.parametrize(
    ("kind", "loss"), [*(("mlp", loss) for loss in LOSSES), ("lenet", "categorical-cross-entropy")]
)


@eqx.filter_jit
def credit(rule, network, batch, **options):
    """The rule's gradients from its first state, by one program."""
    return rule(network, rule.init(network, batch, key=jr.key(3)), batch, **options).gradients


def exact(network, batch, **options):
    gradients = credit(Backpropagation(), network, batch, **options)
    assert_active(gradients)
    return gradients


def by_jax(network, batch, *, key=None, training=True):
    """`jax.grad` of the loss of one pass, every term its own."""

    def loss(network):
        tape, _ = record(network, batch.inputs, batch.network_state, key=key, training=training)
        return jnp.mean(batch.loss.values(tape.output, batch.targets))

    return jax.grad(loss)(network)


def every_term_exact(network, batch, activation="tanh"):
    """Every term of the equations replaced by what it is anyway, through other doors: written-out derivatives, W itself."""
    derivative = {"tanh": lambda z: 1 / jnp.cosh(z) ** 2, "leaky-relu": lambda z: jnp.where(z < 0, 0.01, 1.0)}[activation]
    return BFunction(
        derivative,
        transport=upper_weights(network),
        error={name: lambda delta: delta * 1.0 for name in network.synaptic},
    )


@each_case
def test_every_term_set_to_its_exact_value_is_jax_grad(kind, loss):
    network, batch = case(kind, loss)
    every = (every_term_exact(network, batch), BFunction("exact"), BFunction())
    theirs, *all_ours = jax.jit(lambda n: (by_jax(n, batch), *(credit(rule, n, batch) for rule in every)))(network)
    for ours in all_ours:
        assert_close(ours, theirs, RTOL)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["noisy", pytest.param("simplenet", marks=pytest.mark.slow)])
def test_with_normalization_and_dropout_in_both_modes(kind, training):
    if kind == "noisy":
        network, batch = noisy_mlp("tanh"), examples((4,), "categorical-cross-entropy")
    else:
        rng = np.random.default_rng(0)
        empty = jax.eval_shape(lambda: networks.simplenet((8, 8, 2), 3, width=1 / 32, activation="leaky-relu"))
        network = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(0.1, 0.3, leaf.shape)), empty)
        batch = examples((8, 8, 2), "categorical-cross-entropy")
    statistics = jax.tree.map(lambda leaf: leaf + 0.3, network.initial_state())  # not what the batch has
    batch, key = dataclasses.replace(batch, network_state=statistics), jr.key(5)
    rule = every_term_exact(network, batch, "tanh" if kind == "noisy" else "leaky-relu")
    terms = rule.terms(network, rule.init(network, batch, key=jr.key(0)))

    @jax.jit
    def both(n):
        ours = backward_sweep(n, None, batch, terms, key=key, training=training).gradients
        return ours, by_jax(n, batch, key=key, training=training)

    ours, theirs = both(network)
    pairs = list(zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True))
    assert np.mean([np.any(leaf) for _, leaf in pairs]) > 0.9
    # To the largest number of all: the gradient of a bias before a normalization is 0 but for rounding.
    largest = max(np.max(np.abs(leaf)) for _, leaf in pairs)
    assert max(np.max(np.abs(np.asarray(a) - b)) for a, b in pairs) <= RTOL * largest


def test_the_two_terms_of_the_output():
    network = output_layer(small_mlp("tanh"), "logistic")
    batch = examples((4,), "squared-error")
    both = BFunction(cost_gradient=lambda y, t: y - t, output_derivative="logistic")
    assert_close(credit(both, network, batch), exact(network, batch), RTOL)
    doubled = BFunction(cost_gradient=lambda y, t: 2 * (y - t), output_derivative="exact")
    twice = jax.tree.map(lambda leaf: 2 * leaf, exact(network, batch))
    assert_close(credit(doubled, network, batch), twice, RTOL)


def lif_rate_slope(z):
    """Of 1 / (0.1 + ln(1 + 1/ρ)), ρ = 0.02 ln(1 + e^{z/0.02})."""
    rho = 0.02 * np.logaddexp(z / 0.02, 0.0)
    return 1 / (0.1 + np.log1p(1 / rho)) ** 2 / (rho * (1 + rho)) / (1 + np.exp(-z / 0.02))


@pytest.mark.parametrize("name", [name for name, row in ACTIVATIONS.items() if row.elementwise])
def test_a_ready_made_derivative_is_that_of_the_activation(name):
    """In a ReLU network, g of the name gives the pseudo-gradient that is written out here, unit by unit."""
    network, batch = small_mlp("relu"), examples((4,), "squared-error")
    weights = [(np.asarray(network[n].weight), np.asarray(network[n].bias)) for n in network.synaptic]
    g = {
        "logistic": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
        "tanh": lambda z: 1 / np.cosh(z) ** 2,
        "arctan": lambda z: 1 / (1 + z**2),
        "relu": lambda z: np.where(z > 0, 1.0, 0.0),
        "clipped-relu": lambda z: np.where((z > 0) & (z < 10), 1.0, 0.0),
        "leaky-relu": lambda z: np.where(z >= 0, 1.0, 0.01),
        "threshold": lambda z: (1 + np.abs(z)) ** -2.0,
        "sign": lambda z: (1 + np.abs(z)) ** -2.0,
        "identity": np.ones_like,
        "softplus": lambda z: 1 / (1 + np.exp(-z)),
        "gelu": lambda z: np.vectorize(math.erfc)(-z / np.sqrt(2)) / 2 + z * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi),
        "lif-rate": lif_rate_slope,
    }[name]
    h, hs, zs = np.asarray(batch.inputs), [], []
    for w, b in weights:
        hs.append(h)
        zs.append(h @ w.T + b)
        h = np.maximum(zs[-1], 0)
    delta = (zs[-1] - np.asarray(batch.targets)) / len(h)
    written = []
    for layer in (2, 1, 0):
        written.append((delta.T @ hs[layer], delta.sum(0)))
        if layer:
            delta = (delta @ weights[layer][0]) * g(zs[layer - 1])
    ours = credit(BFunction(name), network, batch)
    for layer, (w, b) in zip(network.synaptic, reversed(written), strict=True):
        np.testing.assert_allclose(ours[layer].weight, w, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ours[layer].bias, b, rtol=0, atol=1e-12)


def test_random_transport_is_feedback_alignment():
    network, batch = case("lenet", "categorical-cross-entropy")
    rule, peer = BFunction(transport="random"), rules.FeedbackAlignment()
    ours, theirs = jax.jit(lambda n: (credit(rule, n, batch), credit(peer, n, batch)))(network)
    assert_close(ours, theirs, RTOL)


# A substitution equals a learning rate


@eqx.filter_jit
def errors_of(network, batch, terms):
    tape, _ = record(network, batch.inputs)
    return layer_errors(network, tape, output_error(network, tape, batch, terms)[1], terms)


def trained(network, batch, gradient, rates, steps=25):
    """Plain SGD, each synaptic layer with its own rate."""

    @jax.jit
    def step(network):
        layers = []
        for name, layer, move in zip(network.names, network.layers, gradient(network).layers, strict=True):
            rate = rates.get(name, 0.0)
            layers.append(jax.tree.map(lambda w, g, rate=rate: w - rate * g, layer, move))
        return network.with_layers(layers)

    for _ in range(steps):
        network = step(network)
    return network


@pytest.mark.parametrize(
    ("replaced", "powers"),
    [
        ({"tanh1": "exact"}, (1, 0, 0, 0)),
        ({"tanh2": "exact"}, (1, 1, 0, 0)),
        ({"tanh3": "exact"}, (1, 1, 1, 0)),
        ({"hidden": "exact"}, (3, 2, 1, 0)),
    ],
)
def test_a_scaled_derivative_is_a_rate_of_its_own_layer_and_of_all_below(replaced, powers):
    """With g = c·σ' at layer l and SGD, training equals training with the rate times c in the layers up to l (equation 4)."""
    network, batch = small_mlp("tanh", hidden=(6, 5, 4)), examples((4,), "categorical-cross-entropy", batch=9)
    c, rate = 1.7, 0.2
    rule = BFunction(replaced, scale=c)
    ours = trained(network, batch, lambda n: credit(rule, n, batch), dict.fromkeys(network.synaptic, rate))
    rates = {name: rate * c**power for name, power in zip(network.synaptic, powers, strict=True)}
    theirs = trained(network, batch, lambda n: Backpropagation()(n, None, batch).gradients, rates)
    assert float(jnp.max(jnp.abs(ours["linear1"].weight - network["linear1"].weight))) > 0.1
    assert_close(ours, theirs, RTOL)


@pytest.mark.parametrize("g", ["arctan", "softplus", lambda z: jnp.sin(3 * z) - 0.5])
@pytest.mark.parametrize("layer", [1, 2])
def test_of_one_example_each_unit_s_row_is_its_rate_times_backpropagation_s(g, layer):
    """Equations 3 and 4: row j of the gradient of W^l is g(z_j)/σ'(z_j) times that of backpropagation."""
    network, batch = small_mlp("tanh"), examples((4,), "squared-error", batch=1)
    name = f"linear{layer}"
    z = record(network, batch.inputs)[0].preactivations(network)[name][0]
    rule = BFunction({f"tanh{layer}": g})
    function = rules.B_FUNCTIONS[g] if isinstance(g, str) else g
    rate = function(z) / (1 - jnp.tanh(z) ** 2)
    ours, theirs = credit(rule, network, batch)[name], exact(network, batch)[name]
    np.testing.assert_allclose(ours.weight, rate[:, None] * theirs.weight, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(ours.bias, rate * theirs.bias, rtol=1e-11, atol=1e-14)
    assert not np.allclose(ours.weight, theirs.weight, rtol=1e-2)


@pytest.mark.parametrize("layer", [2, 3])
def test_of_one_example_feedback_is_a_rate_too(layer):
    """Equation 5: with B in place of W^{l+1}, row j of layer l is (Bᵀδ)_j/(Wᵀδ)_j times backpropagation's."""
    network, batch = small_mlp("tanh"), examples((4,), "squared-error", batch=1)
    above, below = f"linear{layer}", f"linear{layer - 1}"
    B = jr.normal(jr.key(4), network[above].weight.shape)
    delta = errors_of(network, batch, Terms())[above][0]
    rate = (delta @ B) / (delta @ network[above].weight)
    ours, theirs = credit(BFunction(transport={above: B}), network, batch)[below], exact(network, batch)[below]
    np.testing.assert_allclose(ours.weight, rate[:, None] * theirs.weight, rtol=1e-10, atol=1e-14)


# What is measured


def test_implicit_rates_are_one_where_nothing_changes():
    network, batch = small_mlp("relu"), examples((4,), "categorical-cross-entropy", batch=30)
    rule = BFunction("exact", transport=upper_weights(network))
    terms = rule.terms(network, rule.init(network, batch, key=jr.key(0)))
    found = eqx.filter_jit(implicit_rates)(network, batch, terms)
    for name, value in found.items():
        wanted = 0.0 if name.startswith("zero_slope") else 1.0
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12, err_msg=name)


def test_implicit_rates_by_hand():
    network, batch = small_mlp("relu", hidden=(7, 6)), examples((4,), "squared-error", batch=40)
    B = jr.normal(jr.key(4), network["linear3"].weight.shape)
    terms = BFunction({"relu1": "softplus"}, transport={"linear3": B}).terms(network, {"linear3": B})
    found = eqx.filter_jit(implicit_rates)(network, batch, terms)
    z = {name: np.asarray(value) for name, value in record(network, batch.inputs)[0].preactivations(network).items()}
    W = {name: np.asarray(weight) for name, weight in network.weights.items()}
    top = (z["linear3"] - np.asarray(batch.targets)) / 40
    on = {name: (z[name] > 0).astype(float) for name in ("linear1", "linear2")}
    g = 1 / (1 + np.exp(-z["linear1"]))

    rates = g[z["linear1"] > 0]
    levels = {"implicit_rate_low/relu1": 0.1, "implicit_rate/relu1": 0.5, "implicit_rate_high/relu1": 0.9}
    for name, level in levels.items():
        np.testing.assert_allclose(found[name], np.quantile(rates, level), rtol=1e-12)
    np.testing.assert_allclose(found["zero_slope_credit_share/relu1"], np.mean(z["linear1"] <= 0))

    down_b, down_w = top @ np.asarray(B), top @ W["linear3"]
    np.testing.assert_allclose(found["feedback_rate/linear3"], np.median(down_b / down_w), rtol=1e-9)

    ours, theirs = down_b * on["linear2"], down_w * on["linear2"]
    seen = theirs != 0
    np.testing.assert_allclose(found["error_ratio/linear2"], np.median(ours[seen] / theirs[seen]), rtol=1e-9)
    ours, theirs = (ours @ W["linear2"]) * g, (theirs @ W["linear2"]) * on["linear1"]
    seen = theirs != 0
    np.testing.assert_allclose(found["error_ratio_high/linear1"], np.quantile(ours[seen] / theirs[seen], 0.9), rtol=1e-9)
    assert found["error_ratio/linear3"] == 1


def test_without_credit_at_zero_slope_a_rate_stands_for_every_unit():
    """Gradients are those of g with its zero-slope units silenced by hand; where the slope is 0 nowhere it is g."""
    network, batch = small_mlp("relu", hidden=(7, 6)), examples((4,), "squared-error", batch=40)
    rule = BFunction({"relu1": WhereSlope("softplus", "relu")})
    by_hand = BFunction({"relu1": lambda z: jnp.where(z > 0, jax.nn.sigmoid(z), 0.0)})
    assert_close(credit(rule, network, batch), credit(by_hand, network, batch), RTOL)
    found = eqx.filter_jit(implicit_rates)(network, batch, rule.terms(network, {}))
    assert found["zero_slope_credit_share/relu1"] == 0
    z = jnp.linspace(-3.0, 3.0, 7)
    np.testing.assert_array_equal(WhereSlope("softplus", "tanh")(z), rules.B_FUNCTIONS["softplus"](z))
    np.testing.assert_array_equal(WhereSlope("exact", "relu")(z), (z > 0).astype(float))


# Noise as a control


def test_noise_of_no_size_is_backpropagation():
    network, batch = case("mlp", "squared-error")
    for rule in (GradientNoise(eta=0.0), MatchedNoise(scale=0.0), MatchedNoise(BFunction("exact"))):
        assert_close(credit(rule, network, batch, key=jr.key(0)), exact(network, batch), RTOL)


def test_the_size_of_the_noise_is_measured_in_the_same_pass():
    """Another mask of dropout is no change of the rule's."""
    network, batch = noisy_mlp("tanh"), examples((4,), "categorical-cross-entropy")
    ours = credit(MatchedNoise(BFunction("exact")), network, batch, key=jr.key(0))
    assert_close(ours, exact(network, batch, key=jr.key(0)), RTOL)


def test_annealed_noise_has_the_variance_of_its_schedule():
    network, batch = small_mlp("tanh", hidden=(60, 50)), examples((4,), "squared-error")
    rule, theirs = GradientNoise(eta=0.3, gamma=0.55), exact(network, batch)
    state = rule.init(network, batch, key=jr.key(0))
    for t in (0, 8):
        answer = credit_of(rule, network, state + t, batch, jr.key(t))
        noise = np.asarray(answer.gradients["linear2"].weight) - theirs["linear2"].weight
        np.testing.assert_allclose(noise.var(), 0.3 / (1 + t) ** 0.55, rtol=0.1)
        assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(noise.size)
        assert int(answer.state) == t + 1


@pytest.mark.parametrize("rule", [GradientNoise, MatchedNoise])
def test_every_array_gets_noise_of_its_own(rule):
    """Also two of one shape: here the weights and the biases of two layers with four inputs and four units."""
    network, batch = small_mlp("tanh", hidden=(4, 4)), examples((4,), "squared-error")
    ours, theirs = credit(rule(), network, batch, key=jr.key(0)), exact(network, batch)
    noise = jax.tree.map(lambda a, b: np.asarray(a) - np.asarray(b), ours, theirs)
    for part in ("weight", "bias"):
        lower, upper = (getattr(noise[name], part) for name in ("linear1", "linear2"))
        assert np.all(np.abs(lower / np.std(lower) - upper / np.std(upper)) > 1e-6)


def test_matched_noise_has_the_substitution_s_size_where_it_acts_and_nothing_of_its_direction():
    network, batch = small_mlp("tanh", hidden=(60, 50)), examples((4,), "squared-error")
    of = BFunction({"tanh1": "identity"})
    theirs, changed = exact(network, batch), credit(of, network, batch)
    ours = credit(MatchedNoise(of), network, batch, key=jr.key(0))
    assert_identical(ours["linear3"], theirs["linear3"])
    assert_identical(ours["linear2"], theirs["linear2"])
    noise = np.asarray(ours["linear1"].weight - theirs["linear1"].weight).ravel()
    deviation = np.asarray(changed["linear1"].weight - theirs["linear1"].weight).ravel()
    np.testing.assert_allclose(np.sqrt(np.mean(noise**2)), np.sqrt(np.mean(deviation**2)), rtol=0.15)
    cosine = noise @ deviation / np.linalg.norm(noise) / np.linalg.norm(deviation)
    assert abs(cosine) < 4 / np.sqrt(noise.size)


# Modules and deep networks


def test_a_meta_network_is_its_formula_and_has_a_gradient_for_omega():
    omega = jnp.asarray([0.5, -2.0, 0.1, 0.2, 1.5, -0.3, 0.7])
    g = MetaNetwork(omega, hidden=2, activation="logistic")
    z = jnp.linspace(-3, 3, 11).reshape(11, 1)
    s = lambda u: 1 / (1 + np.exp(-np.asarray(u)))
    np.testing.assert_allclose(g(z), 1.5 * s(0.5 * z + 0.1) - 0.3 * s(-2.0 * z + 0.2) + 0.7, rtol=1e-12)
    slope = MetaNetwork([50.0, 0.0, 1.0, 0.0], activation="logistic")(z)
    np.testing.assert_allclose(slope[jnp.abs(z) > 0.5], ACTIVATIONS["relu"].derivative(z)[jnp.abs(z) > 0.5], atol=1e-6)
    network, batch = case("mlp", "squared-error")

    def size(omega):
        rule = BFunction({"tanh1": MetaNetwork(omega, hidden=2, activation="logistic")})
        return jnp.sum(credit(rule, network, batch)["linear1"].weight ** 2)

    slopes, h = jax.grad(size)(omega), 1e-6
    central = [(size(omega.at[i].add(h)) - size(omega.at[i].add(-h))) / (2 * h) for i in range(7)]
    np.testing.assert_allclose(slopes, central, rtol=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_in_a_stack_of_equal_layers_each_has_its_own_g(mixed):
    """A deep network stores its equal layers as one; the same network in pieces, by hand, gives the same numbers."""
    deep = networks.mlp([4, *[6] * 10, 3], activation="tanh", key=jr.key(1))
    assert any(type(part).__name__ == "Stack" for part in deep.parts)
    batch = examples((4,), "squared-error")
    c = {f"tanh{i}": 0.5 + 0.1 * i for i in range(1, 11)}
    chosen = {name: "arctan" if mixed and name == "tanh5" else MetaNetwork([0, 0, 0, v]) for name, v in c.items()}
    rule = BFunction(chosen)
    ours = credit(rule, deep, batch)
    layers = {name: jax.device_get(layer) for name, layer in zip(deep.names, deep.layers, strict=True)}
    h, hs, zs = np.asarray(batch.inputs), [], []
    for name in deep.synaptic:
        hs.append(h)
        zs.append(h @ layers[name].weight.T + layers[name].bias)
        h = np.tanh(zs[-1])
    delta = (zs[-1] - np.asarray(batch.targets)) / len(h)
    errors = errors_of(deep, batch, rule.terms(deep, {}))
    for i in reversed(range(11)):
        name = deep.synaptic[i]
        np.testing.assert_allclose(ours[name].weight, delta.T @ hs[i], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(errors[name], delta, rtol=1e-10, atol=1e-13)
        if i:
            g = 1 / (1 + zs[i - 1] ** 2) if mixed and i == 5 else c[f"tanh{i}"]
            delta = (delta @ layers[name].weight) * g


def test_layer_errors_are_what_the_gradients_are_made_of():
    network, batch = case("mlp", "squared-error")
    terms = Terms(error={"linear2": jnp.sign})
    errors = errors_of(network, batch, terms)
    ours = jax.jit(lambda n: backward_sweep(n, None, batch, terms).gradients)(network)
    inputs = jax.jit(lambda n: record(n, batch.inputs)[0].inputs)(network)
    for name in network.synaptic:
        x = inputs[network.index(name)]
        np.testing.assert_allclose(ours[name].weight, errors[name].T @ x, rtol=1e-12, atol=1e-15)


def test_a_number_in_place_of_a_derivative_is_that_constant():
    network, batch = case("mlp", "squared-error")
    assert_close(
        credit(BFunction(0.25), network, batch),
        credit(BFunction(lambda z: jnp.full_like(z, 0.25)), network, batch),
        RTOL,
    )


def test_threshold_units_learn_through_their_surrogate():
    """The threshold's own derivative is 0 everywhere: layers below get nothing from backpropagation."""
    layers = [layer if not isinstance(layer, Activation) else Activation("threshold") for layer in small_mlp().layers]
    network, batch = Network(layers), examples((4,), "squared-error")
    plain = Backpropagation()(network, None, batch).gradients
    assert not np.any(plain["linear1"].weight)
    assert np.any(credit(BFunction("threshold"), network, batch)["linear1"].weight)


def test_losses_are_those_of_backpropagation():
    for loss in LOSSES:
        network, batch = case("mlp", loss)
        theirs = credit_of(Backpropagation(), network, None, batch).loss
        for rule in (BFunction("softplus"), GradientNoise()):
            state = rule.init(network, batch, key=jr.key(0))
            np.testing.assert_allclose(credit_of(rule, network, state, batch, jr.key(0)).loss, theirs, rtol=1e-12)
