"""b-functions beside autograd functions of PyTorch: another derivative backwards, the activation itself forwards."""

import jax.random as jr
import numpy as np
import pytest

from ascribe import rules
from ascribe.networks import Activation, AveragePool2d, BatchNorm, Conv2d, Flatten, Linear, Network

from ..cases import credit_of, examples, shake, small_mlp, to_float32
from ..later import Later, needs

torch, F = Later("torch"), Later("torch.nn.functional")
functions = Later("tests.references.torch_functions")

pytestmark = [pytest.mark.oracle, needs("torch", reason="PyTorch is not installed: pip install '.[oracle]'")]

OMEGA = [1.3, -0.4, 0.8, 0.2]
SUBSTITUTIONS = {
    "arctan": (lambda: "arctan", lambda z: 1 / (1 + z**2)),
    "meta-network": (
        lambda: rules.MetaNetwork(OMEGA),
        lambda z: OMEGA[2] * torch.tanh(OMEGA[0] * z + OMEGA[1]) + OMEGA[3],
    ),
}


def tensor(array):
    return torch.tensor(np.asarray(array))


@pytest.mark.parametrize(("name", "precision"), [("arctan", "float32"), ("meta-network", "float64")])
def test_dense_pseudo_gradient_is_pytorch_s(name, precision):
    network, batch = small_mlp("relu", hidden=(7, 6)), examples((4,), "categorical-cross-entropy", batch=8)
    if precision == "float32":
        network, batch = to_float32((network, batch))
    made, g = SUBSTITUTIONS[name]
    ours = made()
    found = credit_of(rules.BFunction({"relu2": ours}), network, {}, batch)
    parameters = {
        layer: (tensor(network[layer].weight).requires_grad_(), tensor(network[layer].bias).requires_grad_())
        for layer in network.synaptic
    }
    h = F.linear(tensor(batch.inputs), *parameters["linear1"]).relu()
    h = functions.Replaced.apply(F.linear(h, *parameters["linear2"]), g)
    value = F.cross_entropy(F.linear(h, *parameters["linear3"]), tensor(batch.targets).long())
    value.backward()
    np.testing.assert_allclose(found.loss, value.item(), rtol=1e-5 if precision == "float32" else 1e-12)
    for layer, pair in parameters.items():
        for part, theirs in zip(("weight", "bias"), pair, strict=True):
            np.testing.assert_allclose(getattr(found.gradients[layer], part), theirs.grad, rtol=0, atol=1e-6)
            assert np.any(theirs.grad.numpy())


@pytest.mark.parametrize(("name", "precision"), [("arctan", "float32"), ("meta-network", "float64")])
def test_convolutional_pseudo_gradient_with_normalization_is_pytorch_s(name, precision):
    """Convolution, batch normalization, g, pooling, twice; PyTorch has channels first."""
    keys = jr.split(jr.key(2), 3)
    network = Network(
        [
            Conv2d(2, 3, 3, padding=1, key=keys[0]),
            BatchNorm(3),
            Activation("relu"),
            AveragePool2d(2),
            Conv2d(3, 4, 3, padding=1, key=keys[1]),
            BatchNorm(4),
            Activation("relu"),
            AveragePool2d(4),
            Flatten(),
            Linear(4, 3, key=keys[2]),
        ]
    )
    network, batch = shake(network, jr.key(3), 0.1), examples((8, 8, 2), "categorical-cross-entropy", batch=6)
    if precision == "float32":
        network, batch = to_float32((network, batch))
    made, g = SUBSTITUTIONS[name]
    ours = made()
    found = credit_of(rules.BFunction(ours), network, {}, batch)
    convolutions = {
        name: (
            tensor(network[name].weight).permute(3, 2, 0, 1).contiguous().requires_grad_(),
            tensor(network[name].bias).requires_grad_(),
        )
        for name in ("conv1", "conv2")
    }
    norms = {
        name: (tensor(network[name].scale).requires_grad_(), tensor(network[name].shift).requires_grad_())
        for name in ("batchnorm1", "batchnorm2")
    }
    x = tensor(batch.inputs).permute(0, 3, 1, 2).contiguous()
    for number, window in ((1, 2), (2, 4)):
        x = F.conv2d(x, *convolutions[f"conv{number}"], padding=1)
        x = F.batch_norm(x, None, None, *norms[f"batchnorm{number}"], training=True, eps=1e-5)
        x = F.avg_pool2d(functions.Replaced.apply(x, g), window)
    value = F.cross_entropy(
        F.linear(x.flatten(1), tensor(network["linear1"].weight), tensor(network["linear1"].bias)),
        tensor(batch.targets).long(),
    )
    value.backward()
    np.testing.assert_allclose(found.loss, value.item(), rtol=1e-5 if precision == "float32" else 1e-12)
    for layer, (weight, _) in convolutions.items():
        np.testing.assert_allclose(found.gradients[layer].weight, weight.grad.permute(2, 3, 1, 0), rtol=0, atol=1e-6)
    for layer, (scale, shift) in norms.items():
        np.testing.assert_allclose(found.gradients[layer].scale, scale.grad, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.gradients[layer].shift, shift.grad, rtol=0, atol=1e-6)
