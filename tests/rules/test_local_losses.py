"""The recipe for local losses in docs/writing-rules.md, beside NumPy."""

import re
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks, rules
from ascribe.rules import AbstractRule, Credit, as_batch

PAGE = Path(__file__).parents[2] / "docs" / "writing-rules.md"


@pytest.fixture(scope="module")
def recipe():
    """The class as the page has it."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (block,) = [text for text in blocks if "class RandomTargets" in text]
    names = {"AbstractRule": AbstractRule, "Credit": Credit, "jax": jax, "jnp": jnp}
    exec(compile(block.split("\n\n\nprint(")[0], str(PAGE), "exec"), names)
    return names["RandomTargets"]()


def test_direct_random_target_projection_is_its_equations(recipe):
    network = networks.mlp([4, 5, 6, 3], activation="tanh", key=jr.key(0))
    x, labels = np.asarray(jr.normal(jr.key(1), (7, 4))), np.arange(7) % 3
    batch = as_batch(network, (x, labels))
    state = eqx.filter_jit(lambda network: recipe.init(network, None, key=jr.key(2)))(network)
    with jax.numpy_rank_promotion("allow"):
        credit = eqx.filter_jit(recipe)(network, state, batch)
    t, h, z = np.eye(3)[labels], [x], []
    for name in network.synaptic:
        layer = network[name]
        z.append(h[-1] @ np.asarray(layer.weight).T + np.asarray(layer.bias))
        h.append(np.tanh(z[-1]))
    chances = np.exp(z[-1]) / np.exp(z[-1]).sum(1, keepdims=True)
    errors = [
        t @ np.asarray(state[above]) * (1 - np.tanh(at) ** 2) / 7 for above, at in zip(("linear2", "linear3"), z, strict=False)
    ]
    errors.append((chances - t) / 7)
    for name, below, delta in zip(network.synaptic, h, errors, strict=False):
        np.testing.assert_allclose(credit.gradients[name].weight, delta.T @ below, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(credit.gradients[name].bias, delta.sum(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(credit.loss, -np.mean(np.log(chances[np.arange(7), labels])), rtol=1e-5)


def test_what_an_error_function_is_given_has_the_slope_and_the_mean_in_it():
    """As docs/writing-rules.md says of `Terms(error=...)`."""
    network = networks.mlp([4, 5, 3], activation="tanh", key=jr.key(0))
    batch = as_batch(network, (jr.normal(jr.key(1), (7, 4)), np.arange(7) % 3))
    seen = {}

    def see(delta):
        seen["error"] = delta
        return delta

    rules.backward_sweep(network, None, batch, rules.Terms(error={"linear1": see}))
    upper = lambda z: batch.loss.values(network["linear2"](jnp.tanh(z))[0], batch.targets).mean()
    z = networks.record(network, batch.inputs)[0].preactivations(network)["linear1"]
    np.testing.assert_allclose(seen["error"], jax.grad(upper)(z), rtol=1e-5, atol=1e-7)
