"""Other backward passes as PyTorch writes them. (A module of its own: its classes need PyTorch when they are made.)"""

import torch
import torch.nn.functional as F  # noqa: N812


class AlignedLinear(torch.autograd.Function):
    """x Wᵀ + b forwards, δ B backwards."""

    @staticmethod
    def forward(ctx, x, weight, bias, feedback):
        ctx.save_for_backward(x, feedback)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, delta):
        x, feedback = ctx.saved_tensors
        return delta @ feedback, delta.t() @ x, delta.sum(0), None


class AlignedConv(torch.autograd.Function):
    """W * x + b forwards, the transposed convolution with B backwards (channels first)."""

    @staticmethod
    def forward(ctx, x, weight, bias, feedback):
        ctx.save_for_backward(x, weight, feedback)
        return F.conv2d(x, weight, bias)

    @staticmethod
    def backward(ctx, delta):
        x, weight, feedback = ctx.saved_tensors
        weight_gradient = torch.nn.grad.conv2d_weight(x, weight.shape, delta)
        return F.conv_transpose2d(delta, feedback), weight_gradient, delta.sum((0, 2, 3)), None


class Replaced(torch.autograd.Function):
    """ReLU forwards, δ ⊙ g(z) backwards."""

    @staticmethod
    def forward(ctx, z, g):
        ctx.save_for_backward(z)
        ctx.g = g
        return z.relu()

    @staticmethod
    def backward(ctx, delta):
        (z,) = ctx.saved_tensors
        return delta * ctx.g(z), None
