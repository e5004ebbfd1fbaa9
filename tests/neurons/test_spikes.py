"""Spike trains, Poisson trains and post-synaptic filters."""

import math

import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import LIF, SYNAPSES, PostSynapticFilter, SpikeTrain, poisson_spikes, simulate

TRAIN = SpikeTrain([0.1, 0.15, 0.2, 0.25, 0.3, 0.95], [0, 1, 0, 0, 2, 2], duration=1.0, size=4)


def test_counts_rates_intervals():
    np.testing.assert_array_equal(TRAIN.counts(), [3, 1, 2, 0])
    np.testing.assert_allclose(SpikeTrain([0.1], duration=0.5).rates(), [2.0])
    np.testing.assert_allclose(TRAIN.intervals(0), [0.1, 0.05])
    np.testing.assert_allclose(TRAIN.of(2), [0.3, 0.95])
    assert len(TRAIN) == 6
    assert repr(TRAIN) == "<6 spikes of 4 neurons in 1 s>"


def test_steady_rates_are_of_those_that_go_on():
    """Neuron 0 has stopped, 1 fired once, 2 goes on, 3 is silent."""
    np.testing.assert_allclose(TRAIN.steady_rates(), [0.0, 0.0, 1 / 0.65, 0.0])


def test_a_raster_counts_every_spike_once():
    raster = TRAIN.raster(0.1)
    assert raster.shape == (10, 4)
    np.testing.assert_array_equal(raster.sum(axis=0), TRAIN.counts())
    assert raster[1, 1] == 1
    assert SpikeTrain([1.0], duration=1.0).raster(0.3).sum() == 1


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.uint64, np.int64])
def test_neurons_are_numbered_in_any_kind_of_whole_numbers(kind):
    """Neuron 100 in step 90: 90 × 101 + 100 is beyond eight bits."""
    train = SpikeTrain([0.05, 0.25, 0.905], np.array([3, 0, 100], kind), duration=1.0)
    raster = train.raster(0.01)
    assert raster.shape == (100, 101)
    np.testing.assert_array_equal(np.argwhere(raster), [[5, 3], [25, 0], [90, 100]])
    np.testing.assert_allclose(train.of(100), [0.905])
    assert PostSynapticFilter(0.01).filter(train, 0.01, weights=2.0)[91, 100] == pytest.approx(200 * math.exp(-0.5))


@pytest.mark.parametrize("dt", [1e-4, 1 / 30_000, 0.3, 0.007])
def test_a_spike_on_the_grid_is_in_the_step_that_it_begins(dt):
    """k·dt is in step k, whatever rounding makes of it; what is a thousandth of a step before it is not."""
    k = np.arange(2000)
    on = SpikeTrain(k * dt, duration=2000 * dt)
    np.testing.assert_array_equal(on.raster(dt)[:, 0], 1)
    other = SpikeTrain(np.cumsum(np.full(1999, dt)), duration=2000 * dt)  # with the rounding of a sum
    np.testing.assert_array_equal(other.raster(dt)[:, 0], np.append(0, np.ones(1999)))
    before = SpikeTrain((k[1:] - 1e-3) * dt, duration=2000 * dt)
    np.testing.assert_array_equal(before.raster(dt)[:, 0], np.append(np.ones(1999), 0))
    heard = PostSynapticFilter(0.1).filter(on, dt)
    assert len(heard) == 2001
    assert heard[0, 0] == pytest.approx(10.0)


def test_the_raster_has_the_steps_of_the_simulation():
    found = simulate(LIF(), 1.5, 0.7, dt=0.0007)
    assert found.spikes.raster(0.0007).shape == (1000, 1)
    assert SpikeTrain([], duration=0.3).raster(0.1).shape == (3, 1)
    assert SpikeTrain([], duration=0.31).raster(0.1).shape == (4, 1)


def test_poisson_trains_have_their_rates_and_exponential_intervals():
    train = poisson_spikes([5.0, 50.0, 0.0], 200.0, seed=3)
    counts = train.counts()
    assert abs(counts[0] - 1000) < 4 * math.sqrt(1000)
    assert abs(counts[1] - 10_000) < 4 * 100
    assert counts[2] == 0
    gaps = train.intervals(1)
    assert np.std(gaps) / np.mean(gaps) == pytest.approx(1.0, abs=0.03)
    assert np.array_equal(poisson_spikes(5.0, 2.0, seed=1).times, poisson_spikes(5.0, 2.0, seed=1).times)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: SpikeTrain([0.2, 0.1], duration=1.0), "the one at 0.1 s.* 0.2 s: sort them"),
        (lambda: SpikeTrain([0.2, 1.1], duration=1.0), "between 0 and the duration of 1 s; got 0.2 to 1.1"),
        (lambda: SpikeTrain([0.1], [4], duration=1.0, size=3), "numbered from 0 to 2; got 4 to 4"),
        (lambda: SpikeTrain([0.1], [0.5], duration=1.0), "the whole number of its neuron"),
        (lambda: SpikeTrain([np.nan], duration=1.0), "has to be finite"),
        (lambda: TRAIN.of(4), "numbered from 0 to 3; got 4"),
        (lambda: poisson_spikes(-1.0, 1.0), "rates are numbers of at least 0"),
    ],
)
def test_trains_that_are_none(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        wrong()


@pytest.mark.parametrize("order", [0, 1, 2, 3, 7, 100])
@pytest.mark.parametrize("tau", [0.002, *SYNAPSES.values()])
def test_the_area_of_a_post_synaptic_current_is_one(order, tau):
    from scipy.integrate import quad

    kind = PostSynapticFilter(tau, order)
    area = quad(kind.impulse_response, 0.0, 60.0 * tau + 4.0 * order * tau, limit=200, points=[order * tau])[0]
    assert area == pytest.approx(1.0, abs=1e-7)
    assert kind.impulse_response(-1e-9) == 0.0
    t = np.linspace(0.0, 20 * tau + 2 * order * tau, 200_001)
    assert t[np.argmax(kind.impulse_response(t))] == pytest.approx(order * tau, abs=2e-3 * tau)
    assert kind.impulse_response(1e6 * tau) == 0.0


@pytest.mark.parametrize("order", [0, 1, 2, 3, 60])
@pytest.mark.parametrize("dt", [1e-4, 1e-3, 0.0037, 0.02])
def test_a_filtered_train_is_the_sum_of_its_currents(order, dt):
    """Spikes at arbitrary times, any step: the sum Σ_p h(t − t_p), written out."""
    train, kind = poisson_spikes([40.0, 3.0], 2.0, seed=order), PostSynapticFilter(0.01, order)
    found = kind.filter(train, dt, weights=[1.0, -2.5])
    t = np.arange(len(found)) * dt
    for neuron, weight in ((0, 1.0), (1, -2.5)):
        written = weight * kind.impulse_response(t[:, None] - train.of(neuron)[None, :]).sum(axis=1)
        np.testing.assert_allclose(found[:, neuron], written, rtol=0, atol=1e-12 * np.abs(written).max())


def test_a_spike_on_a_sample_is_heard_there():
    found = PostSynapticFilter(0.01).filter(SpikeTrain([0.3], duration=0.5), 0.1)
    np.testing.assert_allclose(found[:, 0], [0, 0, 0, 100.0, 100.0 * np.exp(-10.0), 100.0 * np.exp(-20.0)])


def test_what_a_neuron_sends_through_its_synapse():
    found = simulate(LIF(), 2.0, 0.5)
    s = PostSynapticFilter(0.1).filter(found.spikes, 1e-3)
    assert np.mean(s[250:]) == pytest.approx(LIF().rate(2.0), rel=0.12)  # its area is the number of spikes


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: PostSynapticFilter(-0.01), "tau_s has to be above 0"),
        (lambda: PostSynapticFilter(5.0), "tau_s=5 is in seconds; did you mean 0.005"),
        (lambda: PostSynapticFilter(0.01, -1), "`order` is an integer that is not negative; got -1"),
        (lambda: PostSynapticFilter(0.01, 1.5), "`order` is an integer that is not negative"),
        (lambda: PostSynapticFilter().filter(TRAIN, 0.0), "dt has to be above 0"),
    ],
)
def test_filters_that_are_none(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        wrong()
