"""The entries of the notes' first chapter: their order, float32, the reference values, and that the checks can fail."""

import jax
import numpy as np
import pytest

from ascribe import neurons, papers
from ascribe.networks import ACTIVATIONS
from ascribe.neurons import HodgkinHuxley, PostSynapticFilter, SpikeTrain
from ascribe.papers import course_notes_neurons as module

ENTRIES = [name for name, entry in papers.TABLE.items() if entry.module == "course_notes_neurons"]


def failed(name):
    return [check.statement for check in papers.reproduce(name).checks if not check.passed]


def test_the_notes_are_in_the_order_of_their_sections():
    assert len(ENTRIES) == 10
    places = [
        entry.source.removeprefix(f"{papers.NOTES}, ")
        for entry in papers.TABLE.values()
        if papers.NOTES in entry.source
    ]
    sections = [tuple(map(int, place.split(",")[0].split("."))) for place in places]
    assert sections == sorted(sections)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_the_checks_pass_in_float32_too(name):
    """Which is what a user runs; the tests run in float64."""
    with jax.enable_x64(False):
        assert failed(name) == []


# The reference values


def test_the_gates_of_the_formula_are_those_of_the_squid_axon():
    steady, _ = module._gates(np.array([-64.99637933119206]))
    rest = [float(steady[name][0]) for name in "nmh"]
    assert rest == pytest.approx([0.317732399761, 0.052955086813, 0.595994124740])
    assert rest == pytest.approx(list(module.REST.values()), abs=1e-6)
    alpha, beta = 0.07, 1 / (1 + np.exp(3.0))  # h at −65 mV
    steady, tau = module._gates(np.array([-65.0]))
    assert float(steady["h"][0]) == pytest.approx(alpha / (alpha + beta))
    assert float(tau["h"][0]) == pytest.approx(1e-3 / (alpha + beta))


def test_the_spike_after_the_negative_current_is_that_of_the_equations():
    """By another integrator, from the formula of the gates: one spike, 7.57988 ms after the release."""
    from scipy.integrate import solve_ivp

    def slopes(t, y, J):
        V, *gates = y
        steady, tau = module._gates(np.array([V + module.LOWER]))
        n, m, h = gates
        out = 0.3 * (V + 59.387) + 120.0 * m**3 * h * (V - 45.0) + 36.0 * n**4 * (V + 82.0)
        return [1000 * (J - out), *((steady[x][0] - value) / tau[x][0] for x, value in zip("nmh", gates, strict=True))]

    fires = lambda t, y, J: y[0] + 25.0
    fires.direction = 1
    options = {"method": "DOP853", "rtol": 1e-9, "atol": 1e-9, "first_step": 1e-6, "max_step": 1e-3}
    held = solve_ivp(slopes, (0.0, 0.2), [-70.0, 0.3177, 0.053, 0.596], args=(module.PARTS[0][1],), **options)
    assert held.y[0, -1] == pytest.approx(module.PARTS[0][5], abs=1e-4)
    freed = solve_ivp(slopes, (0.0, 0.2), held.y[:, -1], args=(0.0,), events=fires, **options)
    assert 1000 * freed.t_events[0] == pytest.approx([module.PARTS[1][3]], abs=1e-4)
    assert freed.y[0, -1] == pytest.approx(module.PARTS[1][5], abs=1e-4)


def test_the_reference_rates_of_the_lif_neuron_are_the_formula_s():
    for v_in, rate in module.RATES.items():
        assert 1 / (0.002 - 0.02 * np.log(1 - 1 / v_in)) == pytest.approx(rate, abs=1e-6)


# The checks can fail


@pytest.mark.slow
def test_another_resting_potential_fails_the_voltages_and_no_spike(monkeypatch):
    """The squid axon itself fires alike, 5 mV higher."""
    monkeypatch.setattr(HodgkinHuxley, "rest_minus_70", HodgkinHuxley.squid)
    found = failed("hodgkin-huxley")
    assert {statement.rpartition(": ")[2] for statement in found} >= {"V at the end, mV"}
    assert not any("rate" in statement for statement in found)


@pytest.mark.slow
def test_gates_that_are_moved_by_another_voltage_fail(monkeypatch):
    monkeypatch.setattr(module, "LOWER", 4.9)
    found = failed("channels")
    assert {f"{name} against the formula: largest difference" for name in ("n_∞", "m_∞", "h_∞")} <= set(found)
    assert "dx/dt is (x_∞ − x) / τ_x: largest relative difference" in found
    assert not any(statement.startswith("rest") for statement in found)


@pytest.mark.slow
def test_a_wrong_derivative_fails_its_check_alone(monkeypatch):
    row = ACTIVATIONS["tanh"]
    monkeypatch.setitem(ACTIVATIONS, "tanh", row._replace(derivative=lambda z: 1.001 * row.derivative(z)))
    assert failed("activations") == ["hyperbolic tangent: derivative against central differences"]


@pytest.mark.slow
def test_a_threshold_that_is_open_at_0_fails(monkeypatch):
    row = ACTIVATIONS["threshold"]
    monkeypatch.setitem(ACTIVATIONS, "threshold", row._replace(function=lambda z: (z > 0).astype(z.dtype)))
    assert "threshold at 0" in failed("activations")


@pytest.mark.slow
def test_a_filter_that_is_a_step_late_fails(monkeypatch):
    exact = PostSynapticFilter.filter
    monkeypatch.setattr(
        PostSynapticFilter, "filter", lambda *args, **options: np.roll(exact(*args, **options), 1, axis=0)
    )
    assert len(failed("spike-train")) == 7  # the area is the same


@pytest.mark.slow
def test_a_filter_of_another_area_fails(monkeypatch):
    exact = PostSynapticFilter.impulse_response
    monkeypatch.setattr(PostSynapticFilter, "impulse_response", lambda kind, t: exact(kind, t) * (1 + 1e-6))
    found = failed("post-synaptic-currents")
    assert sum(statement.endswith(": area") for statement in found) == len(module.FILTERS)
    assert not any("maximum" in statement for statement in found)


@pytest.mark.slow
def test_another_refractory_period_fails_the_tuning_curve(monkeypatch):
    monkeypatch.setattr(module, "LIF", lambda tau_m, tau_ref: neurons.LIF(tau_m, 1.001 * tau_ref))
    found = failed("tuning-curve")
    assert "simulated against G: largest relative difference" in found
    assert "LIF.rate against G: largest relative difference" in found


@pytest.mark.slow
def test_another_weight_fails_what_a_spike_injects(monkeypatch):
    monkeypatch.setattr(module, "Connection", lambda W, *b: neurons.Connection(1.01 * np.asarray(W), *b))
    found = failed("two-neurons")
    assert "s jumps at the first spike by w/τ_s" in found
    assert "∫ s dt = w, relative difference" in found
    assert "∫ v dt of the second neuron = ∫ s dt = w, relative difference" in found
    assert "spikes sent, with the input off after 30 ms" not in found


def test_the_largest_difference_of_spikes_is_of_one_number_and_neuron():
    one = SpikeTrain([0.1, 0.2, 0.3], [0, 1, 0], duration=1.0)
    other = SpikeTrain([0.1, 0.21, 0.31, 0.5], [0, 1, 0, 0], duration=1.0)
    assert module._moved(one, other) == pytest.approx(0.01)
    assert module._moved(one, one) == 0.0
    assert module._moved(SpikeTrain([], np.zeros(0, int), duration=1.0, size=2), one) == 0.0
