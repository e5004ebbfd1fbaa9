"""Relaxed identity beside an independent PyTorch version of the published recipe, and beside plain loops in NumPy over
examples, layers and units."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import losses, networks
from ascribe.networks import Activation, Conv2d, Flatten, Linear, Network, Stack
from ascribe.rules import RelaxedIdentity, Trainables
from ascribe.training import Setup, loop
from ascribe.training.evaluate import Examples

from ..cases import examples, shake
from ..later import Later, needs

torch, F = Later("torch"), Later("torch.nn.functional")

SHALLOW, DEEP = (2, 7, 5, 7, 1), (2, *[6] * 12, 1)


@functools.cache
def network_of(sizes, activation):
    return shake(networks.mlp(list(sizes), activation=activation, key=jr.key(3)), jr.key(4), 0.1)


def begun(rule, network, batch, optimizer="sgd", rate=0.1, size=None):
    """A run of the training loop before its first step: its state, and a function that takes one step."""
    split = Examples(batch.inputs, batch.targets.astype(jnp.int32), jnp.ones(network.outputs, network.dtype))
    data = loop.Data(split, split)
    size = size or len(batch.inputs)
    settings = Setup(optimizer=optimizer, loss=batch.loss, epochs=1, batch_size=size, diagnostics=False)
    run = loop.Run(rule, jnp.asarray(rate, network.dtype), jnp.asarray(0, jnp.uint32))
    state = eqx.filter_jit(lambda network: loop.initialize(settings, network, run, data))(network)
    key = jr.key(0)
    return state, eqx.filter_jit(lambda state, indices: loop.step(settings, run, state, data, indices, key)[0])


def by_place(network, auxiliary):
    """The auxiliaries of every relaxed place, from the input upwards, `(examples, …)`."""
    return [np.array(row) for name in sorted(auxiliary, key=network.index) for row in auxiliary[name]]


# The published recipe


def noisy(forward, targets, key):
    """The forward activations, and so much noise that every gradient is far from 0."""
    return forward + 0.3 * jr.normal(key, forward.shape, forward.dtype)


def published(network, activation, z, x, y, steps):
    """The published recipe in PyTorch: its objective at the start, and W, b and z after some steps of Rprop."""
    tensor = lambda array: torch.tensor(np.asarray(array)).requires_grad_()
    w = [tensor(network[name].weight) for name in network.synaptic]
    b = [tensor(network[name].bias) for name in network.synaptic]
    act = {"relu": torch.relu, "logistic": torch.sigmoid}[activation]
    x, y = torch.tensor(np.asarray(x)), torch.tensor(np.asarray(y, float))[:, None]
    if z is None:
        z, h = [], x
        for one, bias in zip(w, b, strict=True):
            z.append(F.linear(h, one, bias).detach().requires_grad_())
            h = act(z[-1])
    else:
        z = [tensor(one) for one in z]

    def objective():
        value = F.binary_cross_entropy(torch.sigmoid(z[-1]), y)
        for i in range(len(z)):
            value = value + F.mse_loss(F.linear(act(z[i - 1]) if i else x, w[i], b[i]), z[i])
        return value

    start, descent = objective().item(), torch.optim.Rprop([*w, *b, *z], lr=0.1)
    for _ in range(steps):
        descent.zero_grad()
        objective().backward()
        descent.step()
    return start, *([one.detach().numpy() for one in part] for part in (w, b, z))


@pytest.mark.oracle
@needs("torch", reason="PyTorch is not installed: pip install '.[oracle]'")
@pytest.mark.parametrize(
    ("start", "sizes", "activation", "steps"),
    [
        ("noisy", SHALLOW, "relu", 1),
        ("noisy", SHALLOW, "relu", 5),
        ("noisy", DEEP, "logistic", 1),
        ("noisy", DEEP, "logistic", 5),
        ("forward", SHALLOW, "relu", 1),
        ("forward", SHALLOW, "logistic", 5),
        ("forward", DEEP, "logistic", 1),
        ("forward", DEEP, "logistic", 5),
    ],
)
def test_full_batch_steps_of_rprop_are_those_of_the_published_code(start, sizes, activation, steps):
    """Noise at the start makes every sign that Rprop looks at certain. At the forward activations, as published, the
    residuals are exactly 0, and Rprop leaves alone what has no gradient: in step k only the k uppermost layers move. (An odd
    number of examples: a bias's gradient is then a sum of as many ±0.1, which does not cancel. Below a ReLU, which switches
    some off, it might.)"""
    network, batch = network_of(sizes, activation), examples((2,), "bernoulli-cross-entropy", 1, batch=21)
    assert any(isinstance(part, Stack) for part in network.parts) == (sizes == DEEP)
    rule = RelaxedIdentity(relax_output=True, consolidate="never", start=noisy if start == "noisy" else start)
    state, step = begun(rule, network, batch, "rprop")
    begin = by_place(network, state.trainables.auxiliary) if start == "noisy" else None
    value, w, b, z = published(network, activation, begin, batch.inputs, batch.targets, steps)
    objective = eqx.filter_jit(rule.objective)(network, state.trainables.auxiliary, batch)
    np.testing.assert_allclose(objective, value, rtol=1e-10)
    for _ in range(steps):
        state = step(state, jnp.arange(len(batch.inputs)))
    ours = state.trainables
    for name, weight, bias in zip(network.synaptic, w, b, strict=True):
        np.testing.assert_allclose(ours.network[name].weight, weight, rtol=0, atol=1e-10, err_msg=name)
        np.testing.assert_allclose(ours.network[name].bias, bias, rtol=0, atol=1e-10, err_msg=name)
    for one, theirs in zip(by_place(network, ours.auxiliary), z, strict=True):
        np.testing.assert_allclose(one, theirs, rtol=0, atol=1e-10)


# Plain loops


class Loops:
    """E of a tanh MLP, written from equations 2-4: one example, one layer and one unit at a time. Its derivatives by complex
    steps, which are exact: ∂E/∂p = Im E(p + ih) / h."""

    def __init__(self, rule, network, batch, relaxed):
        self.rule, self.x, self.t = rule, np.asarray(batch.inputs), np.asarray(batch.targets)
        self.relaxed, self.last = relaxed, len(network.synaptic) - 1
        self.layer_weights = rule.layer_weights or (1.0,) * len(relaxed)
        self.arrays = [np.array(a, complex) for n in network.synaptic for a in (network[n].weight, network[n].bias)]

    def spread(self, z):
        """The mean over units of the variance over examples."""
        units = z.real.reshape(len(z), -1).T
        return sum(sum((one - sum(u) / len(u)) ** 2 for one in u) / len(u) for u in units) / len(units)

    def __call__(self, auxiliary, constants):
        after = self.rule.relaxes == "activation"
        hidden, total, count = [0.0] * len(auxiliary), 0.0, len(self.x)
        for i in range(count):
            h, place = list(self.x[i]), 0
            for level in range(self.last + 1):
                w, b = self.arrays[2 * level : 2 * level + 2]
                h = [sum(w[j, k] * h[k] for k in range(len(h))) + b[j] for j in range(len(b))]
                stages = (False, True) if level < self.last else (False,)
                for stage in stages:
                    h = [np.tanh(one) for one in h] if stage else h
                    if level in self.relaxed and (stage == after or level == self.last):
                        z = auxiliary[place][i]
                        hidden[place] += sum((one - estimate) ** 2 for one, estimate in zip(z, h, strict=True))
                        h, place = list(z), place + 1
            total += sum(0.5 * (one - t) ** 2 for one, t in zip(h, self.t[i], strict=True)) / count
        for z, squares, weight, constant in zip(auxiliary, hidden, self.layer_weights, constants, strict=True):
            kinds = {"mean": squares / z.size, "sum": squares / 2 / count, "relative": squares / z.size / constant}
            total += float(self.rule.hidden_weight) * weight * kinds[self.rule.hidden_loss]
        return total + float(self.rule.weight_decay) / 2 * sum(np.sum(w**2) for w in self.arrays[::2])

    def curvature(self, place, z):
        """Of the place's own term of E, by one of its auxiliaries, times the number of examples."""
        weight = float(self.rule.hidden_weight) * self.layer_weights[place]
        return weight * {"mean": 2 / z[0].size, "sum": 1.0, "relative": 2 / z[0].size / self.spread(z)}[self.rule.hidden_loss]

    def activations(self, residuals):
        """z of the preactivations' residuals: what the one below gives, and the residual."""
        below, found = self.x, []
        for level, residual in enumerate(residuals):
            w, b = self.arrays[2 * level : 2 * level + 2]
            found.append(
                np.array([[sum(w[j] * h) + b[j] + e[j] for j in range(len(b))] for h, e in zip(below, residual, strict=True)])
            )
            below = np.tanh(found[-1])
        return found

    def gradients(self, auxiliary, wanted):
        """E, and its gradient for each array of numbers that is wanted."""
        constants, found = [self.spread(z) for z in auxiliary], []
        for array in wanted:
            gradient = np.zeros(array.shape)
            for place in np.ndindex(array.shape):
                array[place] += 1e-30j
                gradient[place] = self(auxiliary, constants).imag / 1e-30
                array[place] -= 1e-30j
            found.append(gradient)
        return self(auxiliary, constants).real, found


def loops(rule, network, batch, trainables, relaxed):
    return Loops(rule, network, batch, relaxed), [one.astype(complex) for one in by_place(network, trainables.auxiliary)]


def assert_gradients(network, gradients, theirs):
    for name, weight, bias in zip(network.synaptic, theirs[::2], theirs[1::2], strict=True):
        np.testing.assert_allclose(gradients[name].weight, weight, rtol=0, atol=1e-10, err_msg=name)
        np.testing.assert_allclose(gradients[name].bias, bias, rtol=0, atol=1e-10, err_msg=name)


def noisy_trainables(rule, network, batch):
    return shaken(eqx.filter_jit(rule.trainables)(network, batch, key=jr.key(0)))


def shaken(trainables):
    return Trainables(trainables.network, shake(trainables.auxiliary, jr.key(9)), trainables.feedback)


NETWORKS = {"shallow": (2, 4, 3, 2), "deep": (2, *[2] * 10, 2)}


@pytest.mark.parametrize(
    ("sizes", "relax_output", "relaxes", "hidden_loss"),
    [
        ("shallow", False, "preactivation", "mean"),
        ("shallow", False, "activation", "sum"),
        ("shallow", True, "preactivation", "relative"),
        ("shallow", True, "activation", "mean"),
        ("deep", True, "preactivation", "sum"),
        ("deep", True, "activation", "relative"),
    ],
)
def test_objective_and_gradients_are_those_of_plain_loops(sizes, hidden_loss, relaxes, relax_output):
    network, batch = network_of(NETWORKS[sizes], "tanh"), examples((2,), "squared-error", 2, batch=4)
    places = len(network.synaptic) - (not relax_output)
    weights = tuple(0.5 + 0.25 * i for i in range(places))
    rule = RelaxedIdentity(
        relaxes=relaxes,
        hidden_loss=hidden_loss,
        relax_output=relax_output,
        layer_weights=weights,
        hidden_weight=0.7,
        weight_decay=0.03,
    )
    trainables = noisy_trainables(rule, network, batch)
    reference, auxiliary = loops(rule, network, batch, trainables, range(places))
    value, theirs = reference.gradients(auxiliary, [*reference.arrays, *auxiliary])
    objective = eqx.filter_jit(rule.objective)(network, trainables.auxiliary, batch)
    np.testing.assert_allclose(objective, value, rtol=1e-10)
    credit = eqx.filter_jit(rule)(trainables, None, batch)
    assert_gradients(network, credit.gradients.network, theirs[: len(reference.arrays)])
    for ours, one in zip(by_place(network, credit.gradients.auxiliary), theirs[len(reference.arrays) :], strict=True):
        np.testing.assert_allclose(ours, 4 * one, rtol=0, atol=1e-10)
    plain = 0.5 * np.mean(np.sum((np.asarray(network(batch.inputs)) - np.asarray(batch.targets)) ** 2, axis=1))
    np.testing.assert_allclose(credit.loss, plain, rtol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "relaxed", "relaxes"),
    [
        ("shallow", [1], "activation"),
        ("deep", [2, 4, 6, 8], "activation"),
        ("deep", [2, 4, 6, 8], "preactivation"),
        ("deep", [3, 9], "preactivation"),
    ],
)
def test_where_some_layers_are_relaxed_the_others_are_plain(sizes, relaxed, relaxes):
    network, batch = network_of(NETWORKS[sizes], "tanh"), examples((2,), "squared-error", 2, batch=3)
    rule = RelaxedIdentity(relaxes=relaxes, layers=tuple(relaxed))
    trainables = noisy_trainables(rule, network, batch)
    reference, auxiliary = loops(rule, network, batch, trainables, relaxed)
    assert len(auxiliary) == len(relaxed)
    value, theirs = reference.gradients(auxiliary, reference.arrays)
    np.testing.assert_allclose(eqx.filter_jit(rule.objective)(network, trainables.auxiliary, batch), value, rtol=1e-10)
    assert_gradients(network, eqx.filter_jit(rule)(trainables, None, batch).gradients.network, theirs)


@pytest.mark.parametrize(
    ("kind", "sizes", "hidden_loss", "coordinates"),
    [
        ("transient", "shallow", "mean", "activation"),
        ("persistent", "shallow", "mean", "residual"),
        ("transient", "shallow", "relative", "residual"),
        ("persistent", "shallow", "relative", "activation"),
        ("transient", "deep", "sum", "activation"),
        ("persistent", "deep", "sum", "residual"),
    ],
)
def test_inner_steps_are_those_of_plain_loops(kind, sizes, hidden_loss, coordinates):
    """Three steps on each example's own share of E, then the weights' gradient."""
    network, batch = network_of(NETWORKS[sizes], "tanh"), examples((2,), "squared-error", 2, batch=3)
    places = len(network.synaptic) - 1
    rule = RelaxedIdentity(
        kind=kind,
        hidden_loss=hidden_loss,
        coordinates=coordinates,
        layer_weights=tuple(0.5 + 0.25 * i for i in range(places)),
        inner_steps=3,
        inner_rate=0.2,
        hidden_weight=0.7,
    )
    first = RelaxedIdentity(coordinates=coordinates)
    beginning = eqx.filter_jit(first.trainables)(network, batch, key=jr.key(0))
    trainables = network
    if kind == "persistent":
        beginning = trainables = shaken(beginning)
    reference, kept = loops(rule, network, batch, beginning, range(places))
    laid = reference.activations if coordinates == "residual" else lambda kept: kept
    start = kept
    for _ in range(3):
        z = laid(kept)
        _, uphill = reference.gradients(z, z)
        sizes = [0.2 / reference.curvature(place, one) for place, one in enumerate(z)]
        kept = [one - 3 * size * g for one, size, g in zip(kept, sizes, uphill, strict=True)]
    _, theirs = reference.gradients(laid(kept), reference.arrays)
    gradients = eqx.filter_jit(rule)(trainables, None, batch).gradients
    if kind == "persistent":
        for ours, old, new in zip(by_place(network, gradients.auxiliary), start, kept, strict=True):
            np.testing.assert_allclose(ours, (old - new).real, rtol=0, atol=1e-10)
        gradients = gradients.network
    assert_gradients(network, gradients, theirs)


# Consolidation


def refit(a, weight_and_bias, wanted, ridge):
    """[W | b] after the smallest change that brings A [W | b]ᵀ to what is wanted: least squares with √ridge below A."""
    a = np.hstack([a, np.ones((len(a), 1))])
    missing = wanted - a @ weight_and_bias.T
    size = a.shape[1]
    tall = np.vstack([a, np.sqrt(ridge) * np.eye(size)])
    change, *_ = np.linalg.lstsq(tall, np.vstack([missing, np.zeros((size, missing.shape[1]))]))
    return weight_and_bias + change.T


def joined(layer):
    return np.hstack([np.asarray(layer.weight), np.asarray(layer.bias)[:, None]])


def numpy_consolidation(rule, network, batch, auxiliary, relaxed):
    """[W | b] of every layer of a tanh MLP."""
    after, last = rule.relaxes == "activation", len(network.synaptic) - 1
    arriving = taught = np.asarray(batch.inputs)
    apply = lambda h, wb: h @ wb[:, :-1].T + wb[:, -1]
    found = []
    for level, name in enumerate(network.synaptic):
        wb = joined(network[name])
        z = None
        if level in relaxed:
            z = auxiliary[list(relaxed).index(level)]
        wanted = apply(taught, wb) if z is None or (after and level < last) else z
        if level in relaxed or level == last:
            wb = refit(arriving, wb, wanted, float(rule.ridge))
        found.append(wb)
        arriving, taught = apply(arriving, wb), apply(taught, joined(network[name]))
        if z is not None and not after:
            taught = z
        arriving, taught = np.tanh(arriving), np.tanh(taught)
        if z is not None and after:
            taught = z
    return found


@pytest.mark.parametrize(
    ("sizes", "relaxed", "relax_output", "preactivation", "activation"),
    [
        ((3, 9, 6, 4, 2), (0, 1, 2, 3), True, 5, 600),
        ((3, 9, 6, 4, 2), (1,), False, 600, 5),
        ((3, *[6] * 11, 2), range(11), False, 5, 600),
        ((3, *[6] * 11, 2), (1, 3, 5, 7, 9, 11), True, 600, 5),
    ],
)
@pytest.mark.parametrize("relaxes", ["preactivation", "activation"])
def test_consolidation_is_one_least_squares_a_layer(relaxes, sizes, relaxed, relax_output, preactivation, activation):
    """With fewer examples than unknowns, with more, and with more than a chunk."""
    count = {"preactivation": preactivation, "activation": activation}[relaxes]
    network, batch = network_of(sizes, "tanh"), examples((3,), "squared-error", 2, batch=count)
    layers = None if len(relaxed) >= len(sizes) - 2 else tuple(i for i in relaxed if i < len(sizes) - 2)
    rule = RelaxedIdentity(relaxes=relaxes, relax_output=relax_output, layers=layers, ridge=1e-3)
    trainables = noisy_trainables(rule, network, batch)
    theirs = numpy_consolidation(rule, network, batch, by_place(network, trainables.auxiliary), relaxed)
    ours = eqx.filter_jit(rule.finish)(trainables, None, batch)
    assert ours.config() == network.config()
    for name, wb in zip(network.synaptic, theirs, strict=True):
        np.testing.assert_allclose(joined(ours[name]), wb, rtol=0, atol=1e-8, err_msg=name)


def by_hand(images, kernel, stride, padding):
    """Every view of a kernel as a row, in the order (row, column, channel); the places of the result."""
    padded = np.pad(images, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    size = (padded.shape[1] - kernel) // stride + 1
    rows = [
        padded[n, i * stride : i * stride + kernel, j * stride : j * stride + kernel].ravel()
        for n in range(len(images))
        for i in range(size)
        for j in range(size)
    ]
    return np.array(rows), (len(images), size, size, -1)


@pytest.mark.parametrize("count", [1, 4])
def test_a_convolution_is_consolidated_over_its_places(count):
    """Two convolutions and a dense layer; with one example the second has fewer equations (9) than unknowns (13)."""
    keys = jr.split(jr.key(2), 3)
    layers = [
        Conv2d(2, 3, 3, key=keys[0]),
        Activation("tanh"),
        Conv2d(3, 4, 2, stride=2, padding=1, key=keys[1]),
        Activation("tanh"),
        Flatten(),
        Linear(36, 2, key=keys[2]),
    ]
    network = shake(Network(layers), jr.key(3), 0.1)
    batch = examples((6, 6, 2), "squared-error", 2, batch=count)
    rule = RelaxedIdentity(ridge=1e-2)
    trainables = noisy_trainables(rule, network, batch)
    ours = eqx.filter_jit(rule.finish)(trainables, None, batch)
    z = by_place(network, trainables.auxiliary)
    flat = lambda layer: np.hstack(
        [np.asarray(layer.weight).reshape(-1, layer.weight.shape[-1]).T, np.asarray(layer.bias)[:, None]]
    )
    arriving = np.asarray(batch.inputs)
    for name, target, view in (("conv1", z[0], (3, 1, 0)), ("conv2", z[1], (2, 2, 1))):
        rows, shape = by_hand(arriving, *view)
        wb = refit(rows, flat(network[name]), target.reshape(len(rows), -1), 1e-2)
        np.testing.assert_allclose(flat(ours[name]), wb, rtol=0, atol=1e-8, err_msg=name)
        arriving = np.tanh((rows @ wb[:, :-1].T + wb[:, -1]).reshape(shape))
    wb = joined(network["linear1"])
    wanted = np.tanh(z[1]).reshape(count, -1) @ wb[:, :-1].T + wb[:, -1]
    wb = refit(arriving.reshape(count, -1), wb, wanted, 1e-2)
    np.testing.assert_allclose(joined(ours["linear1"]), wb, rtol=0, atol=1e-8)


def test_the_objective_of_labels_is_the_loss_s_own():
    """At the forward activations E is the loss: for every loss."""
    network, rule = network_of((2, 4, 3), "tanh"), RelaxedIdentity()

    @eqx.filter_jit
    def answers(network, batch):
        trainables = rule.trainables(network, batch, key=jr.key(0))
        objective = rule.objective(network, trainables.auxiliary, batch)
        return objective, jnp.mean(batch.loss.values(network(batch.inputs), batch.targets)), trainables

    for loss in losses.LOSSES:
        batch = examples((2,), loss)
        objective, value, trainables = answers(network, batch)
        np.testing.assert_allclose(objective, value, rtol=1e-12)
        traced = jax.eval_shape(lambda own, batch=batch: rule(own, None, batch).gradients, trainables)
        assert jax.tree.structure(traced) == jax.tree.structure(trainables)
