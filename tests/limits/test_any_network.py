"""Credit inside layers, in the limits in which it is backpropagation, and beside NumPy where it is not."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses
from ascribe.metrics import gradient_alignment
from ascribe.networks import Activation, Linear, Network, Residual, from_function, record
from ascribe.rules import (
    Backpropagation,
    Batch,
    BFunction,
    DirectFeedbackAlignment,
    DirectRandomTargetProjection,
    FeedbackAlignment,
    GradientNoise,
    KolenPollack,
    SignSymmetry,
    Terms,
    backward_sweep,
    hooks,
    verify,
)
from ascribe.rules.base import network_of
from ascribe.rules.naming import hidden_activations, slope_of
from ascribe.rules.terms import layer_errors, output_error
from ascribe.rules.tools.verify import notes

from .. import models
from ..cases import assert_active, assert_close

RTOL = 1e-12
KEY = jr.key(3)


def loss_of(network, batch):
    """The loss in training, by the layers' own `__call__` alone."""
    output = record(network, batch.inputs, batch.network_state, key=KEY)[0].output
    return batch.loss.values(output, batch.targets).mean()


def same_terms(network):
    """Every term replaced by what it replaces: all of them, and each kind alone."""
    feedback = {name: network[name].weight for name in network.transported}
    derivative = {name: slope_of(network, name) for name in hidden_activations(network)}
    error = dict.fromkeys(network.synaptic, lambda delta: delta)
    alone = {"feedback": feedback, "derivative": derivative, "error": error}
    return {"all": Terms(**alone), **{kind: Terms(**{kind: one}) for kind, one in alone.items()}}


def sweep(network, batch, terms):
    return backward_sweep(network, None, batch, terms, key=KEY)


def swept(network, batch, terms):
    """The gradients of a sweep, by one program."""
    return jax.jit(lambda network: sweep(network, batch, terms).gradients)(network)


@pytest.mark.parametrize("name", models.NAMES)
def test_with_every_term_equal_to_the_exact_one_it_is_the_gradient(name):
    network, batch = models.network_of(name), models.batch_of(name)

    @jax.jit
    def both(network):
        own = sweep(network, batch, same_terms(network)["all"])
        after = record(network, batch.inputs, batch.network_state, key=KEY)[1]
        loss, gradients = jax.value_and_grad(loss_of)(network, batch)
        return (own.loss, own.gradients, own.network_state), (loss, gradients, after)

    ours, theirs = both(network)
    if name not in ("branching", "odd_loop"):  # of two branches one is taken; a product is unused
        assert_active(theirs[:2])
    assert_close(ours, theirs, RTOL)


@pytest.mark.parametrize("kind", ["feedback", "derivative", "error"])
@pytest.mark.parametrize("name", ["gru", "low_rank"])
def test_every_kind_of_term_alone_is_the_gradient_where_it_is_exact(kind, name):
    network, batch = models.network_of(name), models.batch_of(name, "squared-error")
    own = swept(network, batch, same_terms(network)[kind])
    assert_close(own, jax.jit(jax.grad(loss_of))(network, batch), RTOL)


@jax.jit
def errors_of(network, batch):
    """The errors at all sites."""
    terms = Terms()
    tape, _ = record(network, batch.inputs, batch.network_state, key=KEY)
    return layer_errors(network, tape, output_error(network, tape, batch, terms)[1], terms)


TAPPED = [name for name, make in models.MODELS.items() if make().tapped]


@pytest.mark.parametrize("name", TAPPED)
def test_the_error_at_a_site_is_the_derivative_by_a_zero_added_to_its_preactivation(name):
    network, batch, model = models.network_of(name), models.batch_of(name), models.MODELS[name]()
    ours = errors_of(network, batch)
    assert set(ours) == set(network.synaptic)

    def tapped(taps):
        return batch.loss.values(model.apply(model.parameters, batch.inputs, taps), batch.targets).mean()

    zeros = {site: jnp.zeros(ours[site].shape) for site in model.tapped if "@" not in site}
    if name == "tied":  # of one parameter in two places the errors are one array
        zeros |= {"embedding": jnp.zeros((5, 4)), "embedding@2": jnp.zeros((5, 3))}
    theirs = jax.jit(jax.grad(tapped))(zeros)
    if name == "tied":
        theirs["embedding"] = jnp.concatenate([theirs["embedding@2"].ravel(), theirs["embedding"].ravel()])
        del theirs["embedding@2"]
    assert_active(theirs)
    assert_close({site: ours[site] for site in theirs}, theirs, RTOL)


def test_the_errors_of_examples_and_steps_add_up_to_the_gradient_of_the_bias():
    network, batch = models.network_of("transformer"), models.batch_of("transformer")
    gradient = jax.jit(jax.grad(loss_of))(network, batch).first.parameters
    errors = errors_of(network, batch)
    blocks = gradient["blocks"]
    biases = {"head": gradient["head"], "embed": gradient["embed"]}
    biases |= {f"blocks/{i}/{name}": blocks[i][name] for i in (0, 1) for name in ("up", "down")}
    biases |= {f"blocks/{i}/attention/output_proj": blocks[i]["attention"]["output_proj"] for i in (0, 1)}
    for site, own in biases.items():
        axis = errors[site].shape.index(own["bias"].size)  # no batch, and no sequence, is as long
        ours = jnp.sum(errors[site], axis=[i for i in range(errors[site].ndim) if i != axis])
        np.testing.assert_allclose(ours, own["bias"], rtol=1e-11, atol=1e-14)


# Beside NumPy, where a term is another one


def with_random(names_and_shapes):
    keys = jr.split(jr.key(6), len(names_and_shapes))
    return {name: jr.normal(key, shape) for key, (name, shape) in zip(keys, names_and_shapes.items(), strict=True)}


def asarrays(tree):
    return jax.tree.map(np.asarray, tree)


def squared_error(network, shape):
    """A batch, and δ^L = (y - t)/n for an output y."""
    batch = Batch(jr.normal(jr.key(8), (5, *shape)), jr.normal(jr.key(9), (5, 3)), losses.get("squared-error"))
    return batch, lambda y: (y - np.asarray(batch.targets)) / 5


def test_feedback_alignment_through_a_residual_connection():
    inner = Residual([Linear(4, 6, key=jr.key(0)), Activation("tanh"), Linear(6, 4, key=jr.key(1))])
    network = Network([Linear(3, 4, key=jr.key(2)), inner, Linear(4, 3, key=jr.key(3))]).located((3,))
    batch, delta_of = squared_error(network, (3,))
    feedback = with_random({name: network[name].weight.shape for name in network.transported})
    ours = swept(network, batch, Terms(feedback=feedback))
    assert list(feedback) == ["residual1/branch/linear1", "residual1/branch/linear2", "linear2"]
    (B1, B2, B3), x = asarrays(list(feedback.values())), np.asarray(batch.inputs)
    W0, W1, W2, W3 = (np.asarray(network[name].weight) for name in network.synaptic)
    h0 = x @ W0.T
    a = np.tanh(h0 @ W1.T)
    h1 = h0 + a @ W2.T
    d3 = delta_of(h1 @ W3.T)
    d2 = d3 @ B3
    d1 = (d2 @ B2) * (1 - a**2)
    d0 = d2 + d1 @ B1
    expected = {"linear1": d0.T @ x, "linear2": d3.T @ h1}
    expected |= {"residual1/branch/linear1": d1.T @ h0, "residual1/branch/linear2": d2.T @ a}
    for name, gradient in expected.items():
        np.testing.assert_allclose(ours[name].weight, gradient, rtol=RTOL, atol=RTOL)
    np.testing.assert_allclose(ours["linear1"].bias, d0.sum(0), rtol=RTOL, atol=RTOL)


def two_blocks():
    """x ↦ head(x + f), twice, with f = down(tanh(up(x)))."""

    def apply(p, x):
        x = x @ p["embed"]
        for block in p["blocks"]:
            x = x + jnp.tanh(x @ block["up"]) @ block["down"]
        return x @ p["head"]

    drawn = models.drawn(embed=(3, 4), up0=(4, 6), down0=(6, 4), up1=(4, 6), down1=(6, 4), head=(4, 3))
    blocks = [{"up": drawn[f"up{i}"], "down": drawn[f"down{i}"]} for i in (0, 1)]
    parameters = {"embed": drawn["embed"], "blocks": blocks, "head": drawn["head"]}
    return Network([from_function(apply, parameters)]).located((3,)), asarrays(parameters)


@pytest.mark.parametrize("cuts", ["micro", "macro"])
def test_direct_feedback_through_two_blocks(cuts):
    network, p = two_blocks()
    batch, delta_of = squared_error(network, (3,))
    rule = DirectFeedbackAlignment(cuts=cuts)
    B = rule.init(network, batch, key=jr.key(4))
    ours = asarrays(jax.jit(lambda n: rule(n, B, batch, key=KEY).gradients)(network)).first.parameters
    B, x = asarrays(B), np.asarray(batch.inputs)
    h, inner = [x @ p["embed"]], []
    for block in p["blocks"]:
        inner.append(np.tanh(h[-1] @ block["up"]))
        h.append(h[-1] + inner[-1] @ block["down"])
    delta = delta_of(h[-1] @ p["head"])
    to = lambda name: delta @ B[name]
    expected = {"head": h[-1].T @ delta}
    if cuts == "micro":  # every product has an error of its own; the connections around them stay
        assert set(B) == {"blocks/0/up", "blocks/0/down", "blocks/1/up", "blocks/1/down", "head"}
        error = to("head")
    else:
        assert set(B) == {"blocks/0", "blocks/1", "head/input"}
        error = to("head/input")
    for i in (1, 0):
        block = p["blocks"][i]
        below = to(f"blocks/{i}/down") if cuts == "micro" else error @ block["down"].T
        up = below * (1 - inner[i] ** 2)
        expected[f"blocks/{i}/down"], expected[f"blocks/{i}/up"] = inner[i].T @ error, h[i].T @ up
        error = error + to(f"blocks/{i}/up") if cuts == "micro" else to(f"blocks/{i}")
    expected["embed"] = x.T @ error
    for name, gradient in expected.items():
        found = ours
        for part in name.split("/"):
            found = found[int(part) if part.isdigit() else part]
        np.testing.assert_allclose(found, gradient, rtol=RTOL, atol=RTOL, err_msg=name)


def test_direct_feedback_is_the_same_whether_examples_and_steps_are_one_axis_or_two():
    def separate(p, x):
        return (jnp.tanh(x @ p["first"]) @ p["second"]).sum(1)

    def merged(p, x):
        h = jnp.tanh(x.reshape(-1, 2) @ p["first"]) @ p["second"]
        return h.reshape(len(x), -1, 3).sum(1)

    def columns(p, x):
        h = jnp.tanh(p["first"].T @ jnp.moveaxis(x, -1, 0).reshape(2, -1))
        return (p["second"].T @ h).reshape(3, len(x), -1).sum(-1).T

    parameters = models.drawn(first=(2, 4), second=(4, 3))
    batch, _ = squared_error(None, (6, 2))
    B = jr.normal(jr.key(4), (3, 6, 4))
    found = []
    for apply in (separate, merged, columns):
        network = Network([from_function(apply, parameters)]).located((6, 2))
        point = next(one for one in network.points if one.name == "second")
        own = jnp.moveaxis(B, 2, 1) if point.axis else B
        assert own.shape == (3, *point.shape)
        found.append(swept(network, batch, Terms(direct={"second": own})).first.parameters)
    for other in found[1:]:
        assert_close(other, found[0], 1e-11)


def test_sign_symmetry_through_time_has_the_same_feedback_at_every_step():
    def apply(p, x):
        step = lambda h, x: (jnp.tanh(x @ p["input"] + h @ p["hidden"]), None)
        return jax.lax.scan(step, jnp.zeros((x.shape[0], 4)), jnp.swapaxes(x, 0, 1))[0] @ p["head"]

    parameters = models.drawn(input=(2, 4), hidden=(4, 4), head=(4, 3))
    network = Network([from_function(apply, parameters)]).located((3, 2))
    batch, delta_of = squared_error(network, (3, 2))
    rule = SignSymmetry()
    state = rule.init(network, batch, key=jr.key(4))
    assert list(state) == ["hidden", "head"]
    ours = jax.jit(lambda n: rule(n, state, batch).gradients)(network).first.parameters
    p, x = asarrays(parameters), np.asarray(batch.inputs)
    B = {name: np.sign(p[name]) * np.sqrt(2 / sum(p[name].shape)) for name in state}
    h = [np.zeros((5, 4))]
    for t in range(3):
        h.append(np.tanh(x[:, t] @ p["input"] + h[-1] @ p["hidden"]))
    delta = delta_of(h[-1] @ p["head"])
    error, expected = delta @ B["head"].T, {name: np.zeros_like(one) for name, one in p.items()}
    expected["head"] = h[-1].T @ delta
    for t in (2, 1, 0):
        d = error * (1 - h[t + 1] ** 2)
        expected["input"] += x[:, t].T @ d
        expected["hidden"] += h[t].T @ d
        error = d @ B["hidden"].T
    assert_close(asarrays(ours), expected, 1e-11)


def test_softplus_derivative_in_the_tanh_of_gated_units():
    network, model = models.network_of("gru"), models.MODELS["gru"]()
    batch, delta_of = squared_error(network, model.shape)
    rule = BFunction({"hidden/tanh": "softplus"})
    ours = jax.jit(lambda n: rule(n, {}, batch).gradients)(network).first.parameters
    p, x, steps = asarrays(model.parameters), np.asarray(batch.inputs), model.shape[0]
    logistic = lambda a: 1 / (1 + np.exp(-a))
    h, kept = [np.zeros((5, 4))], []
    for t in range(steps):
        (a, b, c), (d, e, f) = np.split(x[:, t] @ p["input"].T, 3, -1), np.split(h[-1] @ p["hidden"].T, 3, -1)
        r, z, n = logistic(a + d), logistic(b + e), c + logistic(a + d) * f
        kept.append((r, z, n, f))
        h.append((1 - z) * np.tanh(n) + z * h[-1])
    delta = delta_of(np.mean(h[1:], axis=0) @ p["head"].T)
    expected = {"head": delta.T @ np.mean(h[1:], axis=0), "input": 0.0, "hidden": 0.0}
    error = np.zeros((5, 4))
    for t in reversed(range(steps)):
        r, z, n, f = kept[t]
        error = error + delta @ p["head"] / steps
        d_n = error * (1 - z) * logistic(n)  # softplus' in the place of 1 - tanh²
        d_z, d_r = error * (h[t] - np.tanh(n)) * z * (1 - z), d_n * f * r * (1 - r)
        d_x, d_h = np.concatenate([d_r, d_z, d_n], -1), np.concatenate([d_r, d_z, d_n * r], -1)
        expected["input"] = expected["input"] + d_x.T @ x[:, t]
        expected["hidden"] = expected["hidden"] + d_h.T @ h[t]
        error = error * z + d_h @ p["hidden"]
    assert_close(asarrays(ours), expected, 1e-11)


# Where no term is the exact one

RULES = {
    "feedback-alignment": FeedbackAlignment,
    "sign-symmetry": SignSymmetry,
    "kolen-pollack": KolenPollack,
    "direct, micro": DirectFeedbackAlignment,
    "direct, macro": lambda: DirectFeedbackAlignment(cuts="macro"),
    "target projection": DirectRandomTargetProjection,
    "b-function": lambda: BFunction(0.7),
    "gradient-noise": GradientNoise,
}
FEW = ("gru", "low_rank", "tied", "rematerialized")
MANY = pytest.mark.slow


@pytest.mark.parametrize("name", [name if name in FEW else pytest.param(name, marks=MANY) for name in models.NAMES])
def test_at_random_terms_the_lowest_site_learns_something_else_and_the_highest_the_same(name):
    network, batch = models.network_of(name), models.batch_of(name)
    made = {told: rule() for told, rule in RULES.items()}
    if not network.activations:
        del made["b-function"]
    if not network.inside.cuts and network.composites == network.names:
        del made["direct, macro"]  # something passes around everything

    @jax.jit
    def everything(network):
        found = {}
        for told, rule in made.items():
            trained = hooks.trainables(rule, network, batch, key=jr.key(1))
            state = hooks.init(rule, network, batch, key=jr.key(1))
            found[told] = network_of(hooks.credit(rule, trained, state, batch, key=KEY).gradients)
        exact = Backpropagation()(network, None, batch, key=KEY).gradients
        return {told: gradient_alignment(gradients, exact) for told, gradients in found.items()}

    for told, angles in everything(network).items():
        degrees = {site: float(angles[f"gradient_angle/{site}"]) for site in network.synaptic}
        lowest, highest = network.synaptic[0], network.synaptic[-1]
        assert degrees[lowest] > 1, (told, degrees)
        if name != "tied":  # whose lowest parameter is its highest
            assert (degrees[highest] < 1e-5) == (told != "gradient-noise"), (told, degrees)


def test_verification_tells_site_from_site():
    network, batch = models.network_of("low_rank"), models.batch_of("low_rank")
    found = verify(FeedbackAlignment(), Network(network.layers), batch)
    assert list(found.angles) == ["total", "left", "down", "out"] and found.differs == ("left", "down")
    assert found.angles["left"] > 1 and found.angles["down"] > 1 and found.angles["out"] < 1e-5


def test_a_rule_that_is_backpropagation_inside_says_so():
    everywhere = ("backpropagation's own gradients in every layer",)
    network, batch = models.network_of("odd_loop"), models.batch_of("odd_loop")
    assert notes(DirectFeedbackAlignment(cuts="macro"), network, batch, {}) == everywhere  # it has no cut
    assert notes(DirectFeedbackAlignment(), network, batch, {}) == ()
    network, batch = models.network_of("low_rank"), models.batch_of("low_rank")
    rule = BFunction({"left": "softplus"})
    assert notes(rule, network, batch, {}) == ("backpropagation's own gradients in down, out",)
    assert notes(rule, network, batch, {}, only="down") == everywhere
    assert notes(rule, network, batch, {}, only="left") == ()
