"""JAX's search for NaNs finds those of the computation: no neuron makes one as a mark."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.neurons import LIF, Connection, HodgkinHuxley, SpikingNetwork, simulate, surrogate_spikes, tuning_curve

NETWORK = SpikingNetwork(LIF(), Connection([[0.0, 0.004, 0.0], [-0.002, 0.0, 0.0], [0.003, 0.0, 0.0]]))
CURRENTS = np.array([1.7, 3.0, 0.4])  # the last neuron is silent


def within_and_without(run):
    expected = run()
    with jax.debug_nans(True):
        return run(), expected


@pytest.mark.parametrize(
    ("model", "method", "currents", "duration"),
    [
        (LIF(), "exact", CURRENTS, 0.06),
        (NETWORK, "exact", CURRENTS, 0.06),
        (NETWORK, "grid", CURRENTS, 0.06),
        *((HodgkinHuxley(), method, [0.0, 15.0], 0.015) for method in HodgkinHuxley.methods),
    ],
    ids=["LIF", "network exact", "network grid", *HodgkinHuxley.methods],
)
def test_a_simulation_is_the_same_under_the_search_for_nans(model, method, currents, duration):
    found, expected = within_and_without(
        lambda: simulate(model, currents, duration, method=method, record=model.traces, record_every=20)
    )
    assert 0 in expected.spikes.counts()
    assert len(expected.spikes) > 0
    np.testing.assert_array_equal(found.spikes.times, expected.spikes.times)
    np.testing.assert_array_equal(found.spikes.neurons, expected.spikes.neurons)
    for name in model.traces:
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_tuning_curve_is_the_same_under_the_search_for_nans():
    found, expected = within_and_without(lambda: tuning_curve(LIF(), [0.5, 1.0, 1.5], 0.2))
    np.testing.assert_array_equal(found.rates, expected.rates)
    assert expected.rates[2] > 0


def test_the_differentiable_path_is_the_same_under_the_search_for_nans():
    currents = jnp.tile(jnp.asarray(CURRENTS), (100, 1))
    run = jax.jit(jax.value_and_grad(lambda currents: surrogate_spikes(NETWORK, currents, 5e-4).sum()))
    found, expected = within_and_without(lambda: run(currents))
    assert float(expected[0]) > 0
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_a_state_that_overflows_is_still_found():
    """Euler's rule in steps that are too long: such a NaN is of the computation."""
    with jax.debug_nans(True), pytest.raises(FloatingPointError):
        simulate(HodgkinHuxley(), 10.0, 0.02, method="euler", dt=2.5e-4, keep_going=True)
