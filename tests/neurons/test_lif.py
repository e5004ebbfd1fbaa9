"""The leaky integrate-and-fire neuron: closed forms, and stepping that equals them."""

import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import LIF, simulate, tuning_curve

# v_in: rate in Hz, first spike in seconds, for τ_m = 0.02 and τ_ref = 0.002
TABLE = {
    1.01: (10.604182824471232, 0.09230241033682518),
    1.05: (15.900665678251325, 0.06089044875446843),
    1.1: (20.016852005162505, 0.047957905455967405),
    1.5: (41.71490687414834, 0.02197224577336219),
    2.0: (63.04000219064139, 0.013862943611198907),
    5.0: (154.72999475512458, 0.004462871026284195),
    20.0: (330.4839133975149, 0.0010258658877510115),
    100.0: (454.337550287532, 0.00020100671707002903),
}
INPUTS = np.array(list(TABLE))


def test_the_closed_forms_are_the_reference():
    rates, firsts = np.array(list(TABLE.values())).T
    np.testing.assert_allclose(LIF().rate(INPUTS), rates, rtol=1e-13)
    np.testing.assert_allclose(LIF().first_spike(INPUTS), firsts, rtol=1e-13)
    np.testing.assert_array_equal(LIF().rate([1.0, 0.3, -2.0]), 0.0)
    np.testing.assert_allclose(LIF().inverse_rate(rates), INPUTS, rtol=1e-11)
    assert LIF().inverse_rate(0.0) == 1.0
    assert LIF().rate(1e12) == pytest.approx(500.0)


def test_the_claim_solves_the_equation():
    """τ dv/dt = v_in − v, v(0) = 0, by central differences; and it approaches v_in."""
    t, d = np.linspace(0.001, 0.1, 50), 1e-6
    v = LIF().subthreshold
    slope = (v(t + d, 0.8) - v(t - d, 0.8)) / (2 * d)
    np.testing.assert_allclose(0.02 * slope, 0.8 - v(t, 0.8), atol=1e-9)
    assert v(0.0, 0.8) == 0.0
    assert v(1.0, 0.8) == pytest.approx(0.8)


@pytest.mark.parametrize("v_in", [0.7, 1.5, 4.0])
def test_a_trace_is_the_closed_form_spikes_included(v_in):
    found = simulate(LIF(), v_in, 0.1, dt=1e-4, record_every=1)
    expected = LIF().voltage(found.t, v_in)
    beside = np.abs(found.t[:, None] - found.spikes.times[None, :]).min(axis=1, initial=1.0) > 1e-9
    np.testing.assert_allclose(found.V[beside], expected[beside], atol=1e-9)


@pytest.mark.parametrize("dt", [2e-3, 1e-3, 3e-4, 1e-5])
def test_spike_times_are_exact_for_any_step(dt):
    found = simulate(LIF(), INPUTS, 0.5, dt=dt)
    for number, (rate, first) in enumerate(TABLE.values()):
        expected = first + np.arange(int((0.5 - first) * rate) + 1) / rate
        np.testing.assert_allclose(found.spikes.of(number), expected, rtol=1e-11)


def test_the_tuning_curve_in_single_precision():
    """At dt = 1 ms; a grid of that step is 8 to 24 % away."""
    currents = np.concatenate([[0.2, 1.0], np.geomspace(1.01, 20.0, 60)])
    curve = tuning_curve(LIF(), currents, 2.0, dt=1e-3, dtype=np.float32)
    np.testing.assert_array_equal(curve.rates[:2], 0.0)
    np.testing.assert_allclose(curve.rates[2:], curve.analytic[2:], rtol=1e-6)
    np.testing.assert_array_equal(curve.analytic, LIF().rate(currents))


def test_a_current_that_changes_between_steps_is_exact():
    """1.5 for 10 ms, 0 for 5 ms, then 3: by the formula, piece by piece."""
    found = simulate(LIF(), [(0.01, 1.5), (0.005, 0.0), (0.1, 3.0)], 0.1, dt=1e-3)
    v = 1.5 * (1 - np.exp(-0.5)) * np.exp(-0.25)
    first = 0.015 + 0.02 * np.log((3.0 - v) / 2.0)
    np.testing.assert_allclose(found.spikes.times[:2], [first, first + 1 / LIF().rate(3.0)], rtol=1e-12)
    assert found.V[15] == pytest.approx(v)


def test_the_physical_form_is_the_normalized_one_rescaled():
    cell = LIF.membrane(C=1.0, g_L=0.05, V_L=-70.0, V_th=-50.0, tau_ref=0.002)
    assert float(cell.tau_m) == pytest.approx(0.02)
    found = simulate(cell, 1.5, 0.2)  # 1.5 µA/cm² through 0.05 mS/cm²: 30 mV, 1.5 thresholds
    plain = simulate(LIF(), 1.5, 0.2)
    np.testing.assert_allclose(found.spikes.times, plain.spikes.times, rtol=1e-12)
    np.testing.assert_allclose(found.V, -70.0 + 20.0 * plain.V, atol=1e-9)


def test_parameters_may_be_arrays():
    cells = LIF(tau_m=[0.01, 0.02, 0.05], tau_ref=[0.001, 0.002, 0.004])
    found = simulate(cells, 2.0, 1.0, dt=1e-3)
    np.testing.assert_allclose(found.rates(), cells.rate(2.0), rtol=1e-11)
    assert found.V.shape[1:] == (3,)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: LIF(tau_m=-0.02), "tau_m has to be above 0, in seconds; got -0.02"),
        (lambda: LIF(tau_m=20.0), "tau_m=20 is in seconds; did you mean 0.02"),
        (lambda: LIF(tau_ref=0.0), "tau_ref has to be above 0"),
        (lambda: LIF(V_L=0.0, V_th=-1.0), "V_th is above the resting potential V_L; got -1 and 0.$"),
        (lambda: simulate(LIF(), 1.5, 1.0, dt=0.003), "dt=0.003 s is longer than the refractory period of 0.002 s"),
        (lambda: LIF().voltage([0.01, -0.01], 2.0), r"t is 0 at least, in seconds; got \[ 0.01 -0.01\]"),
        (lambda: LIF().inverse_rate(500.0), "at least 0 and below 1/τ_ref = 500 Hz"),
    ],
)
def test_what_does_not_fit_is_said_in_a_sentence(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        wrong()
