"""What does it cost to go through a model equation by equation? One step of training, with and without replaced terms, against
`jax.value_and_grad` of the same forward pass by hand: time, floating-point operations, and seconds to trace and compile.

The models: `resnet/8`, a transformer and a GRU of this library, and a LeNet written in plain Equinox, which races this
library's own; with PyTorch installed, `resnet/8` as PyTorch's eager mode trains it.
Run: `python benchmarks/any_network.py`
"""

import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from measure import alternate, floating_point_operations, ratio, report

from ascribe import losses, rules
from ascribe.networks import Network, build, from_model, lenet, record

QUICK = "--quick" in sys.argv
BATCH = 4 if QUICK else 64
RESNET = "resnet/8x4" if QUICK else "resnet/8"
LOSS = losses.get("categorical-cross-entropy")
RULES = {
    "backpropagation": rules.Backpropagation(),
    "feedback alignment": rules.FeedbackAlignment(),
    "direct feedback, micro": rules.DirectFeedbackAlignment(),
    "direct feedback, macro": rules.DirectFeedbackAlignment(cuts="macro"),
}


class LeNet(eqx.Module):
    """LeNet as a user of Equinox writes it."""

    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    dense: list[eqx.nn.Linear]

    def __init__(self, key):
        keys = jr.split(key, 5)
        self.conv1 = eqx.nn.Conv2d(1, 6, 5, padding=2, key=keys[0])
        self.conv2 = eqx.nn.Conv2d(6, 16, 5, key=keys[1])
        sizes = zip((400, 120, 84), (120, 84, 10), keys[2:], strict=True)
        self.dense = [eqx.nn.Linear(inputs, outputs, key=one) for inputs, outputs, one in sizes]

    def __call__(self, x):
        pool = eqx.nn.MaxPool2d(2, 2)
        x = pool(jax.nn.relu(self.conv1(x)))
        x = pool(jax.nn.relu(self.conv2(x))).ravel()
        x = jax.nn.relu(self.dense[0](x))
        x = jax.nn.relu(self.dense[1](x))
        return self.dense[2](x)


def batch_of(network, shape):
    """Random examples and labels, with the network's first statistics."""
    inputs, labels = jr.normal(jr.key(1), (BATCH, *shape)), jr.randint(jr.key(2), (BATCH,), 0, network.outputs)
    return rules.Batch(inputs, labels, LOSS, network_state=network.initial_state())


def by_hand(network, batch, key):
    """Loss, gradient and statistics, as `jax.value_and_grad` has them."""

    def loss_of(network):
        tape, state = record(network, batch.inputs, batch.network_state, key=key)
        return LOSS.mean_and_error(tape.output, batch.targets)[0], state

    (loss, state), gradient = jax.value_and_grad(loss_of, has_aux=True)(network)
    return loss, gradient, state


def through(rule, network, batch):
    """The same by a rule."""
    kept = rule.init(network, batch, key=jr.key(3))

    def step(network, batch, key):
        credit = rule(network, kept, batch, key=key)
        return credit.loss, credit.gradients, credit.network_state

    return step


def compiled(step, *arguments):
    """The program of a step, and the seconds of the processor that tracing and compiling it took."""
    began = time.process_time()
    program = eqx.filter_jit(step).lower(*arguments).compile()
    return program, time.process_time() - began


def race(title, text, shape, *, most=1.05):
    """A model's step by hand and by every rule. `most`: what a step may take of that by hand."""
    network = build(text, input_shape=shape, outputs=10, key=jr.key(0)).located(shape)
    batch, key = batch_of(network, shape), jr.key(4)
    steps = {"by hand": by_hand} | {name: through(rule, network, batch) for name, rule in RULES.items()}
    programs, seconds = {}, {}
    for name, step in steps.items():
        programs[name], seconds[name] = compiled(step, network, batch, key)
    call = lambda name: lambda: jax.block_until_ready(programs[name](network, batch, key))
    times = alternate({name: call(name) for name in steps})
    operations = {name: floating_point_operations(one.compiled) for name, one in programs.items()}
    claims = {}
    for name in ("backpropagation", "feedback alignment"):
        claims |= {
            f"step, {name} / by hand": (ratio(times, name, "by hand"), "<=", most),
            f"operations, {name} / by hand": (operations[name] / operations["by hand"], "<=", 1.02),
            f"seconds to compile, {name} / by hand": (seconds[name] / seconds["by hand"], "<=", 1.5),
        }
    report(title, times, steps=1, claims=claims)
    return programs["backpropagation"], network, batch


def race_convolutions():
    """A user's convolutional network against ours, each by backpropagation, several steps in a scan."""
    shape, key = (28, 28, 1), jr.key(4)
    networks = {
        "LeNet of this library": lenet(shape, 10).located(shape),
        "LeNet in plain Equinox": Network([from_model(LeNet(jr.key(0)), shape=shape)]).located(shape),
    }
    programs = {}
    for name, network in networks.items():
        batch = batch_of(network, shape)

        def steps(network, batch, key):
            def one(network, _):
                credit = rules.Backpropagation()(network, None, batch, key=key)
                return jax.tree.map(lambda a, b: a - 0.01 * b, network, credit.gradients), credit.loss

            return jax.lax.scan(one, network, None, length=2 if QUICK else 5)

        programs[name] = compiled(steps, network, batch, key)[0], network, batch
    call = lambda name: lambda: jax.block_until_ready(programs[name][0](*programs[name][1:], key))
    times = alternate({name: call(name) for name in programs})
    value = ratio(times, "LeNet in plain Equinox", "LeNet of this library")
    report("a user's convolutions", times, steps=2 if QUICK else 5, claims={"theirs / ours": (value, "<=", 1.1)})


def race_pytorch(program, network, batch):
    """`resnet/8` here and in PyTorch's eager mode."""
    try:
        import torch  # noqa: PLC0415 - an optional rival
    except ModuleNotFoundError:
        print("\nPyTorch is not installed: its resnet is left out.")
        return
    channels = next(iter(network.weights.values())).shape[-1]

    class Block(torch.nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            conv = lambda a, b, by: torch.nn.Conv2d(a, b, 3, by, 1, bias=False)
            norm = torch.nn.BatchNorm2d
            self.branch = torch.nn.Sequential(
                conv(inputs, outputs, stride), norm(outputs), torch.nn.ReLU(), conv(outputs, outputs, 1), norm(outputs)
            )
            self.stride, self.added = stride, outputs - inputs

        def forward(self, x):
            short = torch.nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added))
            return torch.relu(self.branch(x) + short)

    stem = [torch.nn.Conv2d(3, channels, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(channels), torch.nn.ReLU()]
    sizes = ((channels, channels, 1), (channels, 2 * channels, 2), (2 * channels, 4 * channels, 2))
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(4 * channels, 10)]
    model = torch.nn.Sequential(*stem, *[Block(*one) for one in sizes], *head)
    inputs = torch.tensor(jnp.moveaxis(batch.inputs, -1, 1).tolist())
    labels = torch.tensor(batch.targets.tolist())

    def eager():
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()

    ours = lambda: jax.block_until_ready(program(network, batch, jr.key(4)))
    times = alternate({"resnet/8 here": ours, "resnet/8 in PyTorch, eager": eager})
    value = ratio(times, "resnet/8 here", "resnet/8 in PyTorch, eager")
    report("resnet/8 against PyTorch", times, steps=1, claims={"here / PyTorch": (value, "<=", float("inf"))})


def main():
    resnet = race(f"resnet/8, images of 32 × 32, batch {BATCH}", RESNET, (8, 8, 3) if QUICK else (32, 32, 3))
    race(
        f"transformer/2x64, 32 steps, batch {BATCH}",
        "transformer/1x8" if QUICK else "transformer/2x64",
        (8 if QUICK else 32, 16),
    )
    race(f"gru/64, 32 steps, batch {BATCH}", "gru/8" if QUICK else "gru/64", (8 if QUICK else 32, 16), most=1.2)
    race_convolutions()
    race_pytorch(*resnet)


if __name__ == "__main__":
    main()
