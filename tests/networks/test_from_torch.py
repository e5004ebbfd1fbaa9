"""PyTorch modules as blocks, beside PyTorch, and their weights back in PyTorch."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError
from ascribe.networks import Linear, Network, from_model, to_torch
from ascribe.training import network_for
from ascribe.training.identity import fingerprint

from ..cases import assert_identical
from ..later import Later, needs

torch, nn, F = Later("torch"), Later("torch.nn"), Later("torch.nn.functional")

pytestmark = [pytest.mark.oracle, needs("torch", "torchax", reason="torchax is not installed: pip install '.[torch]'")]

IMAGES = (6, 4, 6, 2)


@functools.cache
def kind():
    """A class of modules: convolution, batch normalization, pooling, dropout, a list, a buffer and frozen parameters."""

    class Small(nn.Module):
        def __init__(self, width: int = 3, rate: float = 0.5):
            super().__init__()
            self.convolution = nn.Conv2d(2, width, 3, padding=1)
            self.normalization = nn.BatchNorm2d(width)
            self.dropout = nn.Dropout(rate)
            self.dense = nn.ModuleList([nn.Linear(width * 6, 5), nn.Linear(5, 4)])
            self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
            self.register_buffer("table", torch.arange(4))

        def forward(self, x):
            h = F.max_pool2d(F.relu(self.normalization(self.convolution(x))), 2)
            h = self.dropout(h.flatten(1))
            for layer in self.dense:
                h = layer(h)
            return h * self.frozen + self.table

    return Small


def made(seed=0, **options):
    torch.manual_seed(seed)
    return kind()(4, **options).double()


@functools.cache
def images():
    return np.random.default_rng(1).normal(size=IMAGES)


def tensor(x):
    """Images as PyTorch wants them."""
    return torch.from_numpy(np.moveaxis(np.array(x), -1, 1).copy())


def test_a_module_answers_as_in_pytorch_and_moves_its_buffers_as_there():
    module = made(rate=0.0)
    block = from_model(module, shape=IMAGES[1:])
    both = jax.jit(
        lambda block: [
            block(jnp.asarray(images())),
            block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True),
        ]
    )
    (y, same), (learned, state) = both(block)
    assert_identical(same, block.initial_state())
    module.eval()
    np.testing.assert_allclose(y, module(tensor(images())).detach(), rtol=1e-12, atol=1e-13)
    module.train()
    np.testing.assert_allclose(learned, module(tensor(images())).detach(), rtol=1e-12, atol=1e-13)
    for name, buffer in module.named_buffers():
        np.testing.assert_allclose(state[name], buffer, rtol=1e-12, atol=1e-14)
    assert int(state["normalization.num_batches_tracked"]) == 1
    assert "frozen" in state


def test_the_gradient_in_training_is_that_of_pytorch():
    module = made(rate=0.0).train()
    block = from_model(module)
    found = jax.jit(
        jax.grad(lambda block: jnp.sum(jnp.sin(block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True)[0])))
    )(block)
    torch.sin(module(tensor(images()))).sum().backward()
    for ours, theirs in (
        (found.parameters["convolution"]["weight"], module.convolution.weight),
        (found.parameters["normalization"]["weight"], module.normalization.weight),
        (found.parameters["dense"][1]["bias"], module.dense[1].bias),
    ):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-11, atol=1e-13)
    assert set(found.parameters) == {"convolution", "normalization", "dense"}


def test_dropout_is_of_the_key_and_of_training_alone():
    answers = jax.jit(
        lambda key, block: [block(jnp.asarray(jnp.asarray(images())), key=key, training=one)[0] for one in (True, False)]
    )
    first, other, again = (answers(jr.key(number), from_model(made())) for number in (0, 1, 0))
    assert np.any(first[0] != other[0])
    assert_identical(first, again)
    assert_identical(first[1], other[1])


def test_every_seed_has_its_own_weights_drawn_by_pytorch_and_its_randomness_stays():
    block = from_model(kind(), options={"width": 4})
    before = torch.get_rng_state()
    fresh = jax.jit(jax.vmap(block.initialize))(jr.split(jr.key(3), 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert jax.tree.structure(fresh) == jax.tree.structure(block)
    weight = fresh.parameters["dense"][0]["weight"]
    assert np.all(weight[0] != weight[1])
    torch.manual_seed(int(jr.bits(jr.split(jr.key(3), 2)[1], dtype=jnp.uint32)))
    np.testing.assert_array_equal(weight[1], kind()(4).dense[0].weight.detach())
    kept = from_model(made(5))
    assert_identical(kept.initialize(jr.key(9)).parameters, kept.parameters)


@pytest.mark.parametrize("make", [lambda: lambda: kind()(4), lambda: lambda key: kind()(4)])
def test_a_factory_takes_a_key_or_nothing(make):
    block = from_model(make())
    assert block.adapter.remade
    np.testing.assert_array_equal(block.initialize(jr.key(0)).parameters["dense"][1]["bias"].shape, (4,))


def test_weights_and_buffers_go_back_and_the_predictions_are_the_same():
    block = from_model(made(), shape=IMAGES[1:]).initialize(jr.key(1))
    moved = jax.tree.map(lambda leaf: leaf + 0.1, block)
    _, state = jax.jit(lambda block: block(jnp.asarray(jnp.asarray(images())), key=jr.key(7), training=True))(moved)
    module = to_torch(moved, made(8).float(), state=state)
    assert module.training  # as it was
    found = module.eval()(tensor(images()).float()).detach()
    np.testing.assert_allclose(found, moved(jnp.asarray(jnp.asarray(images())), state)[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(module.state_dict()["table"], np.arange(4))


def test_weights_go_back_from_a_network():
    network = Network([from_model(made(), shape=IMAGES[1:]), Linear(4, 2)])
    module = to_torch(network, made(8), state=network.initial_state())
    np.testing.assert_array_equal(module.dense[0].weight.detach(), network.layers[0].parameters["dense"][0]["weight"])


def test_a_module_is_known_by_its_numbers_and_a_class_by_its_options():
    known = lambda model, **options: fingerprint(from_model(model, options=options).adapter.identity)
    assert known(made(1)) == known(made(1)) != known(made(2))
    assert known(kind(), width=4) == known(kind(), width=4) != known(kind(), width=3)


@pytest.mark.parametrize("cell", ["GRU", "LSTM", "RNN"])
def test_recurrent_modules(cell):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = getattr(nn, cell)(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.out(self.cell(x)[0][:, -1])

    torch.manual_seed(0)
    module, x = Recurrent().double(), jr.normal(jr.key(0), (5, 6, 3))
    y = jax.jit(lambda block: block(x)[0])(from_model(module))
    np.testing.assert_allclose(y, module(torch.from_numpy(np.array(x))).detach(), rtol=1e-11, atol=1e-13)


def test_a_transformer_with_positions_made_in_its_forward():
    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = nn.Embedding(6, 4)
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.1, batch_first=True), 1)

        def forward(self, x):
            return self.encoder(x + self.positions(torch.arange(x.shape[1]))).mean(1)

    torch.manual_seed(0)
    module, x = Encoder().double().eval(), jr.normal(jr.key(0), (5, 6, 4))
    y = jax.jit(lambda block: block(x)[0])(from_model(module))
    np.testing.assert_allclose(y, module(torch.from_numpy(np.array(x))).detach(), rtol=1e-11, atol=1e-13)


def test_what_is_no_model_to_train_is_refused():
    class NoForward(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

    with pytest.raises(UserError, match=r"has a `forward\(self, x\)`; NoForward has none"):
        from_model(NoForward())
    with pytest.raises(UserError, match=r"weight of Sequential is made at its first batch: call the module once"):
        from_model(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(UserError, match="real floating numbers; bias of Linear is complex"):
        from_model(nn.Linear(2, 2, dtype=torch.complex64))
    with pytest.raises(UserError, match="the model ReLU has no parameters"):
        from_model(nn.ReLU())


class Data:
    """What a model is fitted to."""

    name, input_shape, outputs = "small", (6,), 4


def layers(forward, **fields):
    """A module of one dense layer whose `forward` is this."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 4)
            self.normalization = nn.BatchNorm1d(4, momentum=None)
            self.__dict__.update({name: one() for name, one in fields.items()})

    Odd.forward = forward
    return Odd


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: layers(lambda self, x: self.linear(x) if x.sum() > 0 else self.linear(-x)),
            r"the model Odd decides by the values of its data \(test_from_torch.py, line \d+\): JAX traces a model once",
        ),
        (
            lambda: layers(lambda self, x: self.linear(F.adaptive_max_pool1d(x[:, None], 6)[:, 0])),
            "the model Odd uses the PyTorch operator .*adaptive_max_pool.*, which torchax .* has no form of in JAX",
        ),
        (
            lambda: layers(lambda self, x: self.linear(x) * self.plain, plain=lambda: torch.ones(4)),
            "the model Odd computes with a tensor that is neither a parameter nor a buffer: keep it by self.register_buffer",
        ),
        (lambda: layers(lambda self, x: self.normalization(self.linear(x))), "the model Odd decides by the values"),
        (
            lambda: layers(lambda self, x: self.linear(x[:, :5])),
            r"takes no examples of the shape \(6,\) \(test_from_torch",
        ),
        (
            lambda: layers(lambda self, x: self.linear(x)[None]),
            r"Odd answers with \(1, 2, 4\): choose another last layer",
        ),
        (
            lambda: layers(lambda self, x: (self.linear(x), x)),
            "Odd answers with a tuple of 2 arrays: return the outputs alone",
        ),
        (
            lambda: layers(lambda self, x: self.nothing(x)),
            r"\(test_from_torch.py, line \d+\): AttributeError: 'Odd' object",
        ),
    ],
    ids=["if", "operator", "plain tensor", "momentum", "shape", "outputs", "tuple", "attribute"],
)
@pytest.mark.usefixtures("as_installed")
def test_what_cannot_be_traced_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(UserError, match=sentence):
        network_for(make(), Data())


def test_without_torchax_a_sentence_says_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchax", None)
    with pytest.raises(UserError, match=r"a PyTorch module needs torchax: pip install 'ascribe-learning\[torch\]'"):
        from_model(nn.Linear(2, 2))


def test_neither_pytorch_nor_flax_comes_along_with_ascribe():
    code = "import ascribe, sys; ascribe.networks, ascribe.train; print({'torch', 'torchax', 'flax'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_weights_go_back_into_a_module_of_their_own_kind_alone():
    block = from_model(made())
    with pytest.raises(UserError, match=r"convolution.bias is \(4,\) there and \(3,\) here"):
        to_torch(block, kind()(3))
    with pytest.raises(UserError, match=r"a module like the one that was trained; .* is missing in"):
        to_torch(block, nn.Linear(2, 2))
    with pytest.raises(UserError, match=r"a torch.nn.Module; got int"):
        to_torch(block, 5)
    with pytest.raises(UserError, match="`network` of to_torch is a Network or a Block; got 5"):
        to_torch(5, made())
    with pytest.raises(UserError, match="from a network with one PyTorch module in it; this one has 0"):
        to_torch(networks.mlp([2, 2]), made())
