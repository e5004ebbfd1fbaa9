"""One optimizer step of feedback alignment and direct feedback alignment, beside an independent PyTorch version."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from ascribe import rules
from ascribe.networks import Activation, AveragePool2d, Conv2d, Flatten, Linear, MaxPool2d, Network

from ..cases import credit_of, examples, shake, small_mlp, to_float32
from ..later import Later, needs

torch, F = Later("torch"), Later("torch.nn.functional")
functions = Later("tests.references.torch_functions")

pytestmark = [pytest.mark.oracle, needs("torch", reason="PyTorch is not installed: pip install '.[oracle]'")]

TORCH_LOSS = {
    "squared-error": lambda z, t: 0.5 * ((z - t) ** 2).sum(dim=1).mean(),
    "bernoulli-cross-entropy": lambda z, t: F.binary_cross_entropy_with_logits(z, t, reduction="none").sum(1).mean(),
    "categorical-cross-entropy": lambda z, t: F.nll_loss(F.log_softmax(z, dim=1), t),
}


def tensor(array):
    return torch.tensor(np.asarray(array))


def kernel(array):
    """`(height, width, channels, fan_out)` as PyTorch's `(fan_out, channels, height, width)`."""
    return tensor(array).permute(3, 2, 0, 1).contiguous()


def torch_targets(batch):
    if batch.loss.name == "bernoulli-cross-entropy":
        return F.one_hot(tensor(batch.targets).long(), 3).to(tensor(batch.inputs).dtype)
    return tensor(batch.targets) if batch.loss.name == "squared-error" else tensor(batch.targets).long()


def stepped(rule, network, state, batch, optimizer):
    """The network after one step of ours."""
    credit = credit_of(rule, network, state, batch)

    @jax.jit
    def moved(network, gradients):
        updates, _ = optimizer.update(gradients, optimizer.init(network), network)
        return optax.apply_updates(network, updates)

    with jax.numpy_dtype_promotion("standard"):  # Optax's Adam counts its steps in int32
        return moved(network, credit.gradients), credit


def assert_same_step(start, network, parameters, read):
    for name, pair in parameters.items():
        for part, theirs in zip(("weight", "bias"), pair, strict=True):
            ours, before = getattr(network[name], part), getattr(start[name], part)
            assert np.any(np.asarray(ours) != np.asarray(before))
            np.testing.assert_allclose(ours, read(name, part, theirs.detach()), rtol=0, atol=1e-6)


def direct_gradients(t, inputs, preactivations, direct, loss):
    """δ^l = (B_l δ^L) ⊙ tanh'(z^l), then ∂E/∂W and ∂E/∂b, bottom layer first."""
    z = preactivations[-1]
    y = {"squared-error": lambda: z, "bernoulli-cross-entropy": lambda: torch.sigmoid(z)}.get(
        loss, lambda: torch.softmax(z, 1)
    )()
    one_hot = F.one_hot(t, z.shape[1]).to(z.dtype) if loss == "categorical-cross-entropy" else t
    top = (y - one_hot) / len(z)
    deltas = [(top @ b) * (1 - torch.tanh(a) ** 2) for b, a in zip(direct, preactivations[:-1], strict=True)] + [top]
    return [(delta.t() @ x, delta.sum(0)) for delta, x in zip(deltas, inputs, strict=True)]


OPTIMIZERS = {
    "sgd": (optax.sgd(0.3), lambda p: torch.optim.SGD(p, lr=0.3)),
    "adam": (optax.adam(0.01), lambda p: torch.optim.Adam(p, lr=0.01)),
}


@pytest.mark.parametrize(
    ("name", "loss", "optimizer", "precision"),
    [
        ("feedback-alignment", "squared-error", "sgd", "float32"),
        ("feedback-alignment", "bernoulli-cross-entropy", "adam", "float64"),
        ("feedback-alignment", "categorical-cross-entropy", "adam", "float32"),
        ("direct-feedback-alignment", "squared-error", "adam", "float64"),
        ("direct-feedback-alignment", "bernoulli-cross-entropy", "sgd", "float32"),
        ("direct-feedback-alignment", "categorical-cross-entropy", "sgd", "float64"),
    ],
)
def test_dense_step_is_pytorch_s(name, loss, optimizer, precision):
    start, batch = small_mlp("tanh", hidden=(7, 6)), examples((4,), loss, batch=8)
    if precision == "float32":
        start, batch = to_float32((start, batch))
    rule, (ours, theirs) = rules.get(name), OPTIMIZERS[optimizer]
    state = rule.init(start, batch, key=jr.key(1))
    network, credit = stepped(rule, start, state, batch, ours)
    assert credit.loss.dtype == jnp.dtype(precision)

    parameters = {
        name: (tensor(start[name].weight).requires_grad_(), tensor(start[name].bias).requires_grad_())
        for name in start.synaptic
    }
    flat = [p for pair in parameters.values() for p in pair]
    feedback, t = {name: tensor(b) for name, b in state.items()}, torch_targets(batch)
    descent = theirs(flat)
    x, inputs, preactivations = tensor(batch.inputs), [], []
    for layer, (weight, bias) in parameters.items():
        x = x if not inputs else torch.tanh(preactivations[-1])
        inputs.append(x)
        b = feedback.get(layer, weight.detach())
        z = functions.AlignedLinear.apply(x, weight, bias, b) if name == "feedback-alignment" else F.linear(x, weight, bias)
        preactivations.append(z)
    value = TORCH_LOSS[loss](preactivations[-1], t)
    np.testing.assert_allclose(credit.loss, value.item(), rtol=1e-5 if precision == "float32" else 1e-12)
    if name == "feedback-alignment":
        value.backward()
    else:
        with torch.no_grad():
            pairs = direct_gradients(t, inputs, preactivations, list(feedback.values()), loss)
        for p, gradient in zip(flat, [g for pair in pairs for g in pair], strict=True):
            p.grad = gradient
    descent.step()
    assert_same_step(start, network, parameters, lambda name, part, tensor: tensor)


@pytest.mark.parametrize(("pool", "precision"), [(MaxPool2d, "float32"), (AveragePool2d, "float64")])
def test_convolutional_feedback_alignment_step_is_pytorch_s(pool, precision):
    """Two convolutions and a dense layer; PyTorch has channels first, so its flattened order is put right by hand."""
    keys = jr.split(jr.key(2), 3)
    start = Network(
        [
            Conv2d(2, 3, 3, key=keys[0]),
            Activation("tanh"),
            pool(2),
            Conv2d(3, 4, 2, key=keys[1]),
            Activation("tanh"),
            Flatten(),
            Linear(16, 3, key=keys[2]),
        ]
    )
    start = shake(start, jr.key(3), 0.1)
    batch = examples((8, 8, 2), "categorical-cross-entropy", batch=6)
    if precision == "float32":
        start, batch = to_float32((start, batch))
    rule = rules.FeedbackAlignment()
    state = rule.init(start, batch, key=jr.key(1))
    network, credit = stepped(rule, start, state, batch, optax.sgd(0.3))

    def leaves(name):
        weight = start[name].weight
        copied = tensor(weight) if name == "linear1" else kernel(weight)
        return copied.requires_grad_(), tensor(start[name].bias).requires_grad_()

    parameters = {name: leaves(name) for name in start.synaptic}
    descent = torch.optim.SGD([p for pair in parameters.values() for p in pair], lr=0.3)
    x = tensor(batch.inputs).permute(0, 3, 1, 2).contiguous()
    x = torch.tanh(F.conv2d(x, *parameters["conv1"]))
    x = F.max_pool2d(x, 2) if pool is MaxPool2d else F.avg_pool2d(x, 2)
    x = torch.tanh(functions.AlignedConv.apply(x, *parameters["conv2"], kernel(state["conv2"])))
    x = x.permute(0, 2, 3, 1).reshape(len(x), -1)
    value = F.cross_entropy(
        functions.AlignedLinear.apply(x, *parameters["linear1"], tensor(state["linear1"])), tensor(batch.targets).long()
    )
    value.backward()
    descent.step()
    np.testing.assert_allclose(credit.loss, value.item(), rtol=1e-5 if precision == "float32" else 1e-12)
    channels_last = lambda name, part, t: t.permute(2, 3, 1, 0) if part == "weight" and name[0] == "c" else t
    assert_same_step(start, network, parameters, channels_last)
