"""One step of local errors beside PyTorch, written as its authors' code is (anokland/local-loss, train.py)."""

import dataclasses
import math

import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.rules import LocalError

from ..cases import credit_of, examples, shake, small_mlp
from ..later import Later, needs

torch, F = Later("torch"), Later("torch.nn.functional")

pytestmark = [pytest.mark.oracle, needs("torch", reason="PyTorch is not installed: pip install '.[oracle]'")]
BETA = 0.8


def similarity_matrix(x):
    if x.dim() == 4:
        x = x.reshape(*x.shape[:2], -1).std(dim=2) if x.shape[1] > 3 and x.shape[2] > 1 else x.reshape(len(x), -1)
    centered = x - x.mean(dim=1, keepdim=True)
    normed = centered / (1e-8 + centered.pow(2).sum(dim=1, keepdim=True).sqrt())
    return (normed @ normed.T).clamp(-1, 1)


def windows(h, limit):
    """The mean over windows that a classifier sees (LocalLossBlockConv)."""
    channels, size = h.shape[1:3]
    rows = columns = 1
    down = across = size
    while channels * down * across > limit and rows < size:
        rows *= 2
        down = math.ceil(size / rows)
        if channels * down * across > limit:
            columns *= 2
            across = math.ceil(size / columns)
    padding = rows * (down - size // rows) // 2, columns * (across - size // columns) // 2
    return F.avg_pool2d(h, (rows, columns), padding=padding)


def local_step(network, heads, x, labels, limit):
    """The losses of all blocks, each detached from the next; images have their channels first."""
    given = {}

    def tensor(name, value):
        given[name] = torch.tensor(np.asarray(value), requires_grad=True)
        return given[name]

    def kernel(name, value):
        return tensor(name, value).permute(3, 2, 0, 1)

    h, onehot = torch.tensor(np.asarray(x)), F.one_hot(torch.tensor(np.asarray(labels)), 3).double()
    h, total = (h.permute(0, 3, 1, 2) if h.dim() == 4 else h), 0.0
    target = similarity_matrix(onehot)
    for name in network.synaptic:
        layer, image = network[name], network[name].weight.ndim == 4
        bias = tensor(f"{name} bias", layer.bias)
        if not image and h.dim() == 4:  # ours are flattened with the channels last
            h = h.permute(0, 2, 3, 1).reshape(len(h), -1)
        if image:
            h = F.conv2d(h, kernel(name, layer.weight), bias, padding=layer.padding)
        else:
            h = F.linear(h, tensor(name, layer.weight), bias)
        if name not in heads:
            return given, total + F.cross_entropy(h, torch.tensor(np.asarray(labels)))
        h = torch.tanh(h)
        classifier, projection = heads[name]["classifier"], heads[name]["projection"]
        seen = windows(h, limit).permute(0, 2, 3, 1).reshape(len(h), -1) if image else h
        answer = F.linear(seen, tensor(f"{name} V", classifier.weight), tensor(f"{name} c", classifier.bias))
        weight = projection.weight
        own = F.conv2d(h, kernel(f"{name} P", weight), padding=1) if image else F.linear(h, tensor(f"{name} P", weight))
        prediction = F.cross_entropy(answer, torch.tensor(np.asarray(labels)))
        total = total + (1 - BETA) * prediction + BETA * F.mse_loss(similarity_matrix(own), target)
        h = h.detach()
        h = F.max_pool2d(h, 2) if image else h
    raise AssertionError


@pytest.mark.parametrize("kind", ["mlp", "images"])
def test_a_step_is_that_of_pytorch(kind):
    if kind == "mlp":
        network, batch = small_mlp("tanh", hidden=(7, 6)), examples((4,), "categorical-cross-entropy", batch=8)
    else:
        network = shake(networks.lenet((12, 12, 1), 3, activation="tanh", channels=(4, 5), hidden=(6,)), jr.key(0), 0.2)
        batch = examples((12, 12, 1), "categorical-cross-entropy", batch=8)
    rule = LocalError(head_inputs=50, similarity_weight=BETA)
    trainables = rule.trainables(network, batch, key=jr.key(1))
    trainables = dataclasses.replace(trainables, feedback=shake(trainables.feedback, jr.key(2)))
    credit = credit_of(rule, trainables, None, batch)
    given, total = local_step(network, trainables.feedback, batch.inputs, batch.targets, 50)
    total.backward()
    for name in network.synaptic:
        pairs = [(credit.gradients.network[name].weight, name), (credit.gradients.network[name].bias, f"{name} bias")]
        if name in trainables.feedback:
            head = credit.gradients.feedback[name]
            pairs += [(head["classifier"].weight, f"{name} V"), (head["classifier"].bias, f"{name} c")]
            pairs += [(head["projection"].weight, f"{name} P")]
        for ours, theirs in pairs:
            expected = given[theirs].grad.numpy()
            assert np.max(np.abs(expected)) > 1e-4
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-10)
