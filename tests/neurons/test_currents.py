"""The input current in its forms: what a form means does not depend on how many neurons or times there are."""

import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import LIF, simulate
from ascribe.neurons.currents import Current

STEPS, DT = 60, 1e-3
MIDDLE = (0.5,)


def table(function, places=MIDDLE, duration=STEPS * DT, steps=STEPS):
    return Current(function, "v_in", duration).table(steps, DT, places)


@pytest.mark.parametrize("count", [1, 2, STEPS - 1, STEPS, STEPS + 1])
def test_a_function_that_gives_each_neuron_its_current_does_so_for_any_number_of_them(count):
    each = np.linspace(1.0, 3.0, count)
    current = Current(lambda t: each * (1.0 + t), "v_in", STEPS * DT)
    assert current.shape == (count,)
    t = (np.arange(STEPS) + 0.5) * DT
    np.testing.assert_allclose(current.table(STEPS, DT, MIDDLE)[:, 0], each * (1.0 + t[:, None]))
    assert current.at(np.arange(count) * DT).shape == (count, count)


def test_one_neuron_may_come_as_a_list():
    for function in (lambda t: [1.5], lambda t: np.array([1.5]), lambda t: (1.5 + 0.0 * t,)):
        found = simulate(LIF(), function, STEPS * DT, dt=DT)
        assert (found.shape, found.V.shape, found.current.shape) == ((1,), (61, 1), (61, 1))
        np.testing.assert_allclose(found.spikes.times, simulate(LIF(), [1.5], STEPS * DT, dt=DT).spikes.times)


def test_a_function_of_a_number_and_one_of_an_array_are_the_same():
    """Also one that takes an array, but for something else: its largest time, or its first."""
    t = (np.arange(STEPS) + 0.5) * DT
    square = t * t
    for function in (
        lambda t: t * t,
        lambda t: float(t) ** 2,
        lambda t: t * t if np.ndim(t) == 0 else np.full(np.shape(t), np.max(t)),
        lambda t: np.float32(t) * np.float64(t) if np.ndim(t) == 0 else t[0] * t,
    ):
        np.testing.assert_allclose(table(function)[:, 0], square, rtol=1e-6)


@pytest.mark.parametrize("places", [MIDDLE, (0.0, 0.5, 1.0)])
def test_no_function_is_asked_for_a_time_outside_of_the_simulation(places):
    """Samples of the current, looked up by the step, and the table that looks beyond the end for the last spike."""
    samples = np.arange(STEPS) / STEPS
    asked = []
    found = table(lambda t: asked.append(t) or samples[int(t / DT + 1e-9)], places, steps=STEPS + 20)
    assert min(map(np.min, asked)) >= 0.0
    assert max(map(np.max, asked)) < STEPS * DT
    np.testing.assert_array_equal(found[:STEPS, 0], samples)
    np.testing.assert_array_equal(found[STEPS:], samples[-1])


def test_an_interpolated_current_drives_to_the_end():
    from scipy.interpolate import interp1d

    t = np.linspace(0.0, 0.06, 7)
    found = simulate(LIF(), interp1d(t, np.full(7, 1.5)), 0.06, dt=DT)
    np.testing.assert_allclose(found.spikes.times, simulate(LIF(), 1.5, 0.06, dt=DT).spikes.times, rtol=1e-12)
    np.testing.assert_array_equal(found.current, 1.5)


@pytest.mark.parametrize(
    ("current", "sentence"),
    [
        ([[0.02, 1.5], [0.02, 3.0]], r"could be segments, or an array of neurons: try tuples \[\(seconds, current\)"),
        ([(0.02, 1.5), [0.02, 3.0]], r"could be segments, or an array of neurons"),
        (lambda t: [1.0] * (1 + int(t > 0.01)), r"the shape \(1,\) at 0 s and \(2,\) at 0.0105 s"),
        (lambda t: "strong", "it gave 'strong' at 0 s"),
        (lambda t: [[1.0], [1.0, 2.0]], "it gave .* at 0 s"),
        (lambda t: np.array(0.5 + 2j), "it gave array.0.5.2.j. at 0 s"),
        (lambda t: np.sqrt(np.full_like(t, 0.02, complex) - t) if np.any(t > 0.02) else 1.0, "it gave .* at 0.0205 s"),
        (lambda t: {}["amplitude"], "it failed with KeyError"),
        (lambda t: np.where(t > 0.02, np.nan, 1.0), "the function gave nan at 0.0205 s"),
    ],
)
def test_what_could_be_two_things_is_refused(current, sentence):
    with pytest.raises(UserError, match=sentence):
        table(current)


def test_tuples_are_segments_and_arrays_are_neurons():
    np.testing.assert_array_equal(table([(0.02, 1.5), (0.02, 3.0)])[[0, 19, 20, 39, 40], 0], [1.5, 1.5, 3.0, 3.0, 0.0])
    assert Current(np.array([[0.02, 1.5], [0.02, 3.0]]), "v_in", 0.1).shape == (2, 2)
