"""Hodgkin–Huxley: rates, rest, integrators and spike times against SciPy and the reference solution."""

import json
import os
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import HodgkinHuxley, simulate, tuning_curve
from ascribe.neurons.hodgkin_huxley import State
from ascribe.neurons.integrators import INTEGRATORS

# A step of 10 µA/cm² from rest: DOP853 at a relative tolerance of 3e-14; spikes are upward crossings of 0 mV, in ms.
FIRST, SECOND, LAST, RATE = 1.901231541, 16.822651891, 997.4627882850, 68.32370
REST = State(-64.99637933119206, 0.317732399761, 0.052955086813, 0.595994124740)
# µA/cm²: spikes within a second (crossings of −20 mV), rate in Hz
TABLE = {
    2.2: (0, 0.0),
    2.25: (1, 0.0),
    5: (1, 0.0),
    6: (2, 0.0),
    6.2: (3, 0.0),
    6.27: (52, 51.348),
    6.3: (53, 52.371),
    6.5: (55, 55.057),
    7: (59, 58.327),
    8: (63, 62.470),
    10: (69, 68.3237),
    12: (73, 72.919),
    15: (79, 78.649),
    20: (87, 86.470),
    25: (93, 93.015),
    30: (99, 98.745),
    40: (109, 108.608),
    50: (117, 117.036),
    60: (125, 124.452),
    70: (131, 131.07),
    80: (137, 137.01),
    90: (143, 142.37),
}


def written_rates(V):
    """The six rates as they stand in textbooks, per ms; NumPy."""
    return {
        "n": (0.01 * (V + 55) / (1 - np.exp(-(V + 55) / 10)), 0.125 * np.exp(-(V + 65) / 80)),
        "m": (0.1 * (V + 40) / (1 - np.exp(-(V + 40) / 10)), 4 * np.exp(-(V + 65) / 18)),
        "h": (0.07 * np.exp(-(V + 65) / 20), 1 / (1 + np.exp(-(V + 35) / 10))),
    }


def at_zero(**options):
    """The axon with spikes counted as in the reference."""
    return HodgkinHuxley(threshold=0.0, **options)


def test_rates_are_those_of_the_textbook():
    V = np.linspace(-150.0, 80.0, 1001) + 0.0123
    alpha, beta = eqx.filter_jit(HodgkinHuxley.squid().rates)(jnp.asarray(V))
    for gate, (a, b) in written_rates(V).items():
        np.testing.assert_allclose(getattr(alpha, gate), a, rtol=1e-11)
        np.testing.assert_allclose(getattr(beta, gate), b, rtol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("gate", "V", "value", "slope"), [("m", -40.0, 1.0, 0.05), ("n", -55.0, 0.1, 0.005)])
def test_where_a_rate_is_zero_over_zero_value_and_slope_are_the_limits(dtype, gate, V, value, slope):
    model = jax.tree.map(lambda x: x.astype(dtype), HodgkinHuxley.squid())
    rate = lambda V: getattr(model.rates(V)[0], gate)
    near = np.asarray(V + np.linspace(-4.0, 4.0, 801), dtype)
    assert near[400] == V
    found, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(rate)))(near))
    assert found[400] == pytest.approx(value, rel=1e-6)
    assert slopes[400] == pytest.approx(slope, rel=1e-4)
    assert np.all(np.isfinite(slopes))
    assert np.abs(np.diff(found, 2)).max() < 1e-5 * value


def test_gates_are_steady_states_and_time_constants_in_seconds():
    V = np.array([-90.0, -65.3, 10.0])
    steady, tau = eqx.filter_jit(HodgkinHuxley().gates)(jnp.asarray(V))
    for gate, (a, b) in written_rates(V).items():
        np.testing.assert_allclose(getattr(steady, gate), a / (a + b), rtol=1e-11)
        np.testing.assert_allclose(getattr(tau, gate), 1e-3 / (a + b), rtol=1e-11)


def test_rest():
    np.testing.assert_allclose(HodgkinHuxley.squid().resting_state(), REST, rtol=1e-10)
    shifted = HodgkinHuxley.rest_minus_70()
    assert float(shifted.resting_state().V) == pytest.approx(-69.99637933, abs=1e-6)
    np.testing.assert_allclose(shifted.steady_state([-15.184, -18.184]).V, [-110.0, -120.0], atol=2e-3)
    np.testing.assert_allclose(shifted.steady_state([-18.5, -20.0]).V, [-121.05, -126.05], atol=6e-3)


def test_nothing_moves_in_a_steady_state_whatever_the_parameters():
    model = HodgkinHuxley(C=2.0, g_Na=[100.0, 130.0, 120.0], g_K=30.0, g_L=0.5, V_Na=55.0, V_K=-80.0, V_L=-60.0)
    for J in (-30.0, 0.0, 20.0, 300.0):
        state = model.steady_state(J)
        assert state.V.shape == (3,)
        for slope in model.derivative(state, J):
            np.testing.assert_allclose(slope, 0.0, atol=1e-10)


def test_the_currents_are_the_terms_of_the_equation():
    model, state = HodgkinHuxley.squid(), State(*map(jnp.asarray, (-20.0, 0.4, 0.7, 0.3)))
    currents, slope = jax.jit(lambda state: (model.currents(state), model.derivative(state, 7.0)))(state)
    assert float(currents["I_Na"]) == pytest.approx(120.0 * 0.7**3 * 0.3 * (-20.0 - 50.0))
    assert float(currents["I_K"]) == pytest.approx(36.0 * 0.4**4 * (-20.0 + 77.0))
    assert float(currents["I_L"]) == pytest.approx(0.3 * (-20.0 + 54.387))
    assert float(slope.V) == pytest.approx(7.0 - sum(map(float, currents.values())))


def test_the_vector_field_is_what_scipy_integrates():
    from scipy.integrate import solve_ivp

    model = HodgkinHuxley.squid()
    y0 = np.array(model.resting_state())
    field = eqx.filter_jit(model.vector_field)
    done = solve_ivp(lambda t, y: np.asarray(field(t, y, 10.0)), (0.0, 0.03), y0, method="DOP853", rtol=1e-9, atol=1e-9)
    ours = simulate(model, 10.0, 0.03, dt=1e-5, method="rk4", record=("V", "n", "m", "h"), record_every=3000)
    np.testing.assert_allclose([ours[name][-1] for name in "Vnmh"], done.y[:, -1], rtol=1e-6)
    np.testing.assert_allclose(field(0.0, y0, lambda t: 10.0 + t), field(0.0, y0, 10.0))


def test_spike_times_under_ten_microamperes():
    staggered = simulate(at_zero(), 10.0, 1.0)
    assert len(staggered.spikes) == 69
    assert float(staggered.rates()) == pytest.approx(RATE, rel=2e-5)
    np.testing.assert_allclose(staggered.spikes.times[[0, 1, -1]] * 1e3, [FIRST, SECOND, LAST], atol=0.02)
    single = simulate(at_zero(), 10.0, 1.0, dtype=np.float32)
    assert single.V.dtype == np.float32
    assert single.spikes.times[-1] * 1e3 == pytest.approx(LAST, abs=0.05)
    fine = simulate(at_zero(), 10.0, 1.0, dt=2.5e-5, method="rk4")
    np.testing.assert_allclose(fine.spikes.times[[0, 1, -1]] * 1e3, [FIRST, SECOND, LAST], atol=1e-4)


@pytest.mark.data
def test_every_spike_of_the_reference():
    folder = os.environ.get("ASCRIBE_DATA")
    path = Path(folder or ".") / "hodgkin_huxley_reference.json"
    if not folder or not path.exists():
        pytest.skip("ASCRIBE_DATA has no hodgkin_huxley_reference.json")
    expected = json.loads(path.read_text(encoding="utf-8"))["hh"]["spike_times_ms"]
    found = simulate(at_zero(), [float(J) for J in expected], 1.0, dt=2.5e-5, method="rk4", record=())
    for neuron, times in enumerate(expected.values()):
        np.testing.assert_allclose(found.spikes.of(neuron) * 1e3, times, atol=3e-4)


def test_the_reference_table_of_currents_and_rates():
    curve = tuning_curve(HodgkinHuxley.squid(), list(TABLE))
    counts = simulate(HodgkinHuxley.squid(), list(TABLE), 1.0, record=()).spikes.counts()
    for (J, (spikes, rate)), count, found in zip(TABLE.items(), counts, curve.rates, strict=True):
        assert count == spikes, J
        assert found == pytest.approx(rate, rel=1e-4), J
    assert curve.analytic is None


def test_the_shifted_axon_spikes_at_the_same_times():
    a = simulate(HodgkinHuxley.squid(), 10.0, 0.1).spikes.times
    b = simulate(HodgkinHuxley.rest_minus_70(), 10.0, 0.1).spikes.times
    np.testing.assert_allclose(a, b, rtol=1e-9)


def test_the_currents_from_which_it_fires_once_and_from_which_it_goes_on():
    fine = {"dt": 2.5e-5, "method": "rk4", "record": ()}
    once = lambda currents: simulate(HodgkinHuxley.squid(), currents, 0.05, **fine).spikes.counts() >= 1
    on = lambda currents: simulate(HodgkinHuxley.squid(), currents, 2.0, **fine).rates() > 0
    np.testing.assert_array_equal(once([2.0, 2.2402, 2.2404, 2.5]), [False, False, True, True])
    np.testing.assert_array_equal(on([6.2, 6.2602, 6.2604, 6.3]), [False, False, True, True])


@pytest.mark.parametrize(
    ("method", "steps", "order"),
    [
        ("staggered", (4e-5, 2e-5, 1e-5), 2),
        ("rk4", (2e-5, 1e-5, 5e-6), 4),
        ("exponential-euler", (4e-5, 2e-5, 1e-5), 2),
        ("euler", (1e-5, 5e-6, 2.5e-6), 1),
    ],
)
def test_each_integrator_shows_its_order(method, steps, order):
    """The error of the tenth spike falls by 2^order from step to half the step."""
    exact = simulate(at_zero(), 10.0, 0.15, dt=2e-6, method="rk4", record=()).spikes.times[9]
    errors = [simulate(at_zero(), 10.0, 0.15, dt=dt, method=method, record=()).spikes.times[9] - exact for dt in steps]
    slopes = np.log2(np.abs(errors[:-1]) / np.abs(errors[1:]))
    np.testing.assert_allclose(slopes, order, atol=0.35)


def test_the_staggered_gates_are_half_a_step_ahead_from_the_first_on():
    """From where they move at once: V is of order 2; had they begun a whole step ahead, it would be of order 1."""
    model, start = HodgkinHuxley.squid(), State(*map(jnp.asarray, (-40.0, 0.4, 0.1, 0.5)))

    def last(method, steps):
        begin, step = INTEGRATORS[method](model, jnp.asarray(2.0 / steps))
        J = (jnp.zeros(()),) * 3
        return jax.lax.scan(lambda state, _: (step(state, J, J[0]), None), begin(start), length=steps)[0].V

    exact, coarse, fine = jax.jit(lambda: (last("rk4", 400), last("staggered", 100), last("staggered", 200)))()
    assert np.log2(abs(coarse - exact) / abs(fine - exact)) == pytest.approx(2.0, abs=0.2)


def test_rk4_keeps_its_order_under_a_current_that_varies():
    wave = lambda t: 10.0 + 5.0 * np.sin(300.0 * t)
    last = lambda dt: simulate(at_zero(), wave, 0.012, dt=dt, method="rk4", record_every=round(0.012 / dt)).V[-1]
    exact = last(1e-6)
    assert np.log2(abs(last(2e-5) - exact) / abs(last(1e-5) - exact)) == pytest.approx(4.0, abs=0.3)


def test_the_rebound_spike_is_physics():
    """−120 mV for 200 ms, then nothing: one spike at 7.60 ms; released within 80 ms or more: none."""
    model = HodgkinHuxley.rest_minus_70()
    held = simulate(model, [(0.2, -18.18), (0.2, 0.0)], 0.4)
    assert len(held.spikes) == 1
    assert held.spikes.times[0] - 0.2 == pytest.approx(0.00760, abs=5e-5)
    assert held.V[held.t < 0.2].min() == pytest.approx(-120.0, abs=0.05)
    assert held.V[-1] == pytest.approx(-70.0, abs=0.01)
    ramp = lambda t: -18.18 * np.clip(1.0 - (t - 0.2) / 0.08, 0.0, 1.0)
    assert len(simulate(model, ramp, 0.4).spikes) == 0


def test_two_thousand_neurons_stay_finite_in_single_precision():
    """A tenth of a second of them; `benchmarks/neurons.py` runs a whole second of ten thousand."""
    found = simulate(HodgkinHuxley.squid(), np.linspace(0.0, 60.0, 2000), 0.1, dtype=np.float32, record=())
    assert not found.blew_up
    assert found.spikes.counts()[-1] == 13


@pytest.mark.slow
def test_a_peer_s_lost_neuron_is_not_lost_here():
    """V is exactly −55 in float32 on the way of this one, where α_n is 0/0 as it is written."""
    found = simulate(HodgkinHuxley.squid(), np.linspace(0.0, 60.0, 1000), 1.0, dtype=np.float32, record=())
    assert not found.blew_up
    assert len(found.spikes) > 80_000


def test_forward_euler_says_when_it_blows_up():
    with pytest.raises(UserError, match=r"neuron 1 stops being finite at about 0.00.* smaller dt, or a method that is"):
        simulate(HodgkinHuxley.squid(), [0.0, 10.0], 0.5, dt=1e-4, method="euler")
    found = simulate(HodgkinHuxley.squid(), [0.0, 10.0], 0.5, dt=1e-4, method="euler", keep_going=True)
    alone = simulate(HodgkinHuxley.squid(), [0.0, 0.0], 0.5, dt=1e-4, method="euler")
    assert list(found.blew_up) == [1]
    np.testing.assert_array_equal(found.V[:, 0], alone.V[:, 0])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"C": 0.0}, "C has to be above 0, in µF/cm²; got 0"),
        ({"g_K": -36.0}, "g_K is 0 at least, in mS/cm²; got -36"),
        ({"g_Na": 0.0, "g_K": [36.0, 0.0], "g_L": 0.0}, "all of them are 0"),
        ({"V_Na": 0.05}, "V_Na is in mV; did you mean 50"),
        ({"V_L": np.nan}, "V_L has to be finite"),
        ({"g_Na": "many"}, "g_Na is a number or an array of numbers, in mS/cm²; got 'many'"),
    ],
)
def test_parameters_that_are_none(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        HodgkinHuxley(**wrong)


def test_a_membrane_with_the_leak_alone_is_a_leaky_capacitor():
    """Both other channels blocked: V = V_L + J/g_L (1 − e^{−t g_L/C})."""
    bare = HodgkinHuxley(g_Na=0.0, g_K=0.0)
    assert float(bare.resting_state().V) == pytest.approx(-54.387)
    assert float(bare.steady_state(1.5).V) == pytest.approx(-49.387)
    found = simulate(bare, 1.5, 0.05, dt=1e-5, method="rk4", record_every=500)
    np.testing.assert_allclose(found.V, -54.387 + 5.0 * -np.expm1(-0.3 * found.t * 1000), atol=1e-9)


def test_channels_that_are_blocked():
    """No spike without sodium. Without potassium V stays up once it is there, near the balance of sodium and leak. Without a
    leak rest is where potassium and sodium balance, and without sodium too, at V_K."""
    axon = HodgkinHuxley(g_Na=[120.0, 0.0, 120.0], g_K=[36.0, 36.0, 0.0])
    found = simulate(axon, 10.0, 0.1, initial=-65.0)
    np.testing.assert_array_equal(found.spikes.counts(), [7, 0, 1])
    assert found.V[-1, 1] < -50.0 < -10.0 < found.V[-1, 2]
    open_ended = HodgkinHuxley(g_Na=[120.0, 0.0], g_L=0.0)
    rest = open_ended.resting_state()
    flow = open_ended.currents(rest)
    np.testing.assert_allclose(flow["I_Na"] + flow["I_K"], 0.0, atol=1e-10)
    assert float(rest.V[1]) == pytest.approx(-77.0)
    with pytest.raises(UserError, match=r"without a leak .g_L = 0. there is no steady state under a current"):
        open_ended.steady_state([1.0, 0.0])


@pytest.mark.parametrize("method", list(INTEGRATORS))
def test_no_method_divides_by_a_conductance(method):
    """Nothing but a leak of 0 and channels that are shut far below rest: V falls by J/C."""
    shut = HodgkinHuxley(g_Na=1e-300, g_K=0.0, g_L=0.0)
    found = simulate(shut, -2.0, 0.01, dt=1e-5, method=method, initial=-100.0, record_every=100)
    np.testing.assert_allclose(found.V, -100.0 - 2.0 * found.t * 1000, atol=1e-9)


def test_a_step_in_milliseconds_is_guessed():
    with pytest.raises(UserError, match=r"dt=0.01 is in seconds.*did you mean 1e-05"):
        simulate(HodgkinHuxley(), 10.0, 1.0, dt=0.01)


def test_every_method_is_an_integrator():
    assert HodgkinHuxley.methods == tuple(INTEGRATORS)
