"""Credit inside layers, in the limits in which it is backpropagation, and beside NumPy where it is not."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from ascribe.networks import record
from ascribe.rules import Terms, backward_sweep
from ascribe.rules.terms import hidden_activations, layer_errors, output_error, slope_of

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


@pytest.mark.parametrize("name", models.NAMES)
def test_with_every_term_equal_to_the_exact_one_it_is_the_gradient(name):
    network, batch = models.network_of(name), models.batch_of(name)

    @jax.jit
    def both(network):
        own = sweep(network, batch, same_terms(network)["all"])
        return (own.loss, own.gradients), jax.value_and_grad(loss_of)(network, batch)

    ours, theirs = both(network)
    if name != "branching":  # of two branches one is taken
        assert_active(theirs)
    assert_close(ours, theirs, RTOL)


@pytest.mark.parametrize("kind", ["feedback", "derivative", "error"])
@pytest.mark.parametrize("name", ["gru", "low_rank"])
def test_every_kind_of_term_alone_is_the_gradient_where_it_is_exact(kind, name):
    network, batch = models.network_of(name), models.batch_of(name, "squared-error")
    own = jax.jit(lambda network: sweep(network, batch, same_terms(network)[kind]).gradients)(network)
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
