"""Transforms that a rule needs beyond the data's own: `Runs` applies them to what it is given."""

import dataclasses

import jax
import jax.random as jr
import numpy as np
import pytest

from ascribe import networks
from ascribe.errors import UserError

from . import tiny

CASES = {
    "vectors": ({}, (), ("split-signs", "constant-one")),
    "on top of others": ({}, ("unit-interval",), ("constant-one",)),
    "images": ({"task": "classification", "shape": (3, 2, 1)}, (), ("split-signs",)),
    "numbers": ({"task": "regression"}, (), ("split-signs",)),
}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("options", "own", "forced"), CASES.values(), ids=CASES)
def test_runs_apply_the_encoding_of_their_rule(options, own, forced, flat):
    data = tiny.data(**options).encode(*own)
    encoded = (data.flat() if flat else data).encode(*forced)
    network = networks.mlp([encoded.features, 4, data.outputs])
    several = jax.jit(jax.vmap(network.initialize))(jr.split(jr.key(0), 2))
    plain = dataclasses.replace(tiny.trained(), data=encoded, network=network, networks=several, states=network.initial_state())
    runs = dataclasses.replace(plain, data=data, encoding=encoded.transforms[len(data.transforms) :])
    assert len(runs.encoding) == len(forced) and plain.encoding == ()
    inputs, wanted = data.test.inputs, encoded.test.inputs
    np.testing.assert_array_equal(runs.outputs(inputs), plain.outputs(wanted))
    np.testing.assert_array_equal(runs.outputs(inputs.reshape(len(inputs), -1)), plain.outputs(wanted))
    np.testing.assert_array_equal(runs.predict(inputs), plain.predict(wanted))
    assert runs.outputs(inputs[:0]).shape == (2, 0, data.outputs)
    if data.task != "regression":
        np.testing.assert_array_equal(runs.probabilities(inputs), plain.probabilities(wanted))
    with pytest.raises(UserError, match="inputs have the shape"):
        runs.outputs(wanted)
