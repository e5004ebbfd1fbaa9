"""The entries of the notes' first chapter: their order, float32, the reference values."""

import jax
import numpy as np
import pytest

from ascribe import papers
from ascribe.neurons import SpikeTrain
from ascribe.papers import course_notes_channels as channels
from ascribe.papers import course_notes_lif, course_notes_network

ENTRIES = [name for name, entry in papers.TABLE.items() if entry.source.startswith(f"{papers.NOTES}, 1.")]


def failed(name):
    return [check.statement for check in papers.reproduce(name).checks if not check.passed]


def test_the_notes_are_in_the_order_of_their_sections():
    assert len(ENTRIES) == 11
    places = [entry.source.removeprefix(f"{papers.NOTES}, ") for entry in papers.TABLE.values() if papers.NOTES in entry.source]
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
    steady, _ = channels._gates(np.array([-64.99637933119206]))
    rest = [float(steady[name][0]) for name in "nmh"]
    assert rest == pytest.approx([0.317732399761, 0.052955086813, 0.595994124740])
    assert rest == pytest.approx(list(channels.REST.values()), abs=1e-6)
    alpha, beta = 0.07, 1 / (1 + np.exp(3.0))  # h at −65 mV
    steady, tau = channels._gates(np.array([-65.0]))
    assert float(steady["h"][0]) == pytest.approx(alpha / (alpha + beta))
    assert float(tau["h"][0]) == pytest.approx(1e-3 / (alpha + beta))


def test_the_spike_after_the_negative_current_is_that_of_the_equations():
    """By another integrator, from the formula of the gates: one spike, 7.57988 ms after the release."""
    from scipy.integrate import solve_ivp

    def slopes(t, y, J):
        V, *gates = y
        steady, tau = channels._gates(np.array([V + channels.LOWER]))
        n, m, h = gates
        out = 0.3 * (V + 59.387) + 120.0 * m**3 * h * (V - 45.0) + 36.0 * n**4 * (V + 82.0)
        return [1000 * (J - out), *((steady[x][0] - value) / tau[x][0] for x, value in zip("nmh", gates, strict=True))]

    fires = lambda t, y, J: y[0] + 25.0
    fires.direction = 1
    options = {"method": "DOP853", "rtol": 1e-9, "atol": 1e-9, "first_step": 1e-6, "max_step": 1e-3}
    held = solve_ivp(slopes, (0.0, 0.2), [-70.0, 0.3177, 0.053, 0.596], args=(channels.PARTS[0][1],), **options)
    assert held.y[0, -1] == pytest.approx(channels.PARTS[0][5], abs=1e-4)
    freed = solve_ivp(slopes, (0.0, 0.2), held.y[:, -1], args=(0.0,), events=fires, **options)
    assert 1000 * freed.t_events[0] == pytest.approx([channels.PARTS[1][3]], abs=1e-4)
    assert freed.y[0, -1] == pytest.approx(channels.PARTS[1][5], abs=1e-4)


def test_the_reference_rates_of_the_lif_neuron_are_the_formula_s():
    for v_in, rate in course_notes_lif.RATES.items():
        assert 1 / (0.002 - 0.02 * np.log(1 - 1 / v_in)) == pytest.approx(rate, abs=1e-6)


def test_the_largest_difference_of_spikes_is_of_one_number_and_neuron():
    one = SpikeTrain([0.1, 0.2, 0.3], [0, 1, 0], duration=1.0)
    other = SpikeTrain([0.1, 0.21, 0.31, 0.5], [0, 1, 0, 0], duration=1.0)
    assert course_notes_network._moved(one, other) == pytest.approx(0.01)
    assert course_notes_network._moved(one, one) == 0.0
    assert course_notes_network._moved(SpikeTrain([], np.zeros(0, int), duration=1.0, size=2), one) == 0.0
