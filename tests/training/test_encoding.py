"""Transforms that a rule needs beyond the data's own: `Runs` applies them to what it is given."""

import dataclasses

import numpy as np
import pytest

import ascribe
from ascribe.errors import UserError

CASES = {
    "vectors": ("moons", {"samples": 60}, (), ("split-signs", "constant-one"), [5, 4, 1]),
    "on top of others": ("moons", {"samples": 60}, ("unit-interval",), ("constant-one",), [3, 4, 1]),
    "images": ("digits", {"samples": 60, "test_samples": 20}, (), ("split-signs",), [128, 4, 10]),
    "numbers": ("sine", {"samples": 60}, (), ("split-signs",), [2, 4, 1]),
}


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("name", "options", "own", "forced", "sizes"), CASES.values(), ids=CASES)
def test_runs_apply_the_encoding_of_their_rule(name, options, own, forced, sizes, flat):
    data = ascribe.datasets.load(name, transforms=own, **options)
    encoded = (data.flat() if flat else data).encode(*forced)
    trained = ascribe.train(ascribe.networks.mlp(sizes), encoded, "backpropagation", epochs=1, seeds=2)
    runs = dataclasses.replace(trained, data=data, encoding=encoded.transforms[len(data.transforms) :])
    assert len(runs.encoding) == len(forced) and trained.encoding == ()
    inputs, wanted = data.test.inputs, encoded.test.inputs
    np.testing.assert_array_equal(runs.outputs(inputs), trained.outputs(wanted))
    np.testing.assert_array_equal(runs.outputs(inputs.reshape(len(inputs), -1)), trained.outputs(wanted))
    np.testing.assert_array_equal(runs.predict(inputs), trained.predict(wanted))
    assert runs.outputs(inputs[:0]).shape == (2, 0, sizes[-1])
    if data.task != "regression":
        np.testing.assert_array_equal(runs.probabilities(inputs), trained.probabilities(wanted))
    with pytest.raises(UserError, match="inputs have the shape"):
        runs.outputs(wanted)
