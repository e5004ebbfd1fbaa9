"""More than any machine has, asked for through Python: one sentence, before anything is drawn or allocated."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

import ascribe
from ascribe import datasets, memory, networks, neurons, rules, statistics
from ascribe.errors import UserError, shown
from ascribe.search.tune import ranges_of
from ascribe.store import parameters
from ascribe.store.model import Model
from ascribe.training import check_seeds, positive

from ..store.case import comparison, data
from ..training import tiny

HUGE = int("9" * 4000) * 10**2000
"""A number of more digits than Python writes."""


def train(**options):
    return ascribe.train(networks.mlp([2, 4, 1]), data(), "backpropagation", **options)


def currents(count):
    """So many that take no memory."""
    return np.broadcast_to(1.5, (count,))


CASES = {
    "seeds": (lambda: train(seeds=10**9), "does not hold the results of 1000000000 runs"),
    "seeds of a range": (lambda: train(seeds=range(2**31)), "does not hold the results of 2147483648 runs"),
    "a range that is too long to count": (lambda: check_seeds(range(10**30)), "every seed is an integer from 0"),
    "seeds without end": (lambda: train(seeds=HUGE), "thousands of digits"),
    "a seed without end": (lambda: train(seeds=[HUGE]), "thousands of digits"),
    "epochs": (lambda: train(epochs=HUGE), "`epochs` is 2147483647 at most"),
    "learning rate": (lambda: positive("learning_rate", HUGE), "`learning_rate` is a positive number"),
    "batch size": (lambda: train(batch_size=-HUGE), "`batch_size` is a positive integer"),
    "devices": (lambda: train(devices_per_run=HUGE), "`devices_per_run` divides"),
    "tuning": (lambda: ascribe.compare(data(), tune=10**10, rules=["backpropagation"]), "does not hold the results"),
    "tuning seeds": (
        lambda: ascribe.compare(data(), tune_seeds=HUGE, rules=["backpropagation"]),
        "results of a number",
    ),
    "range": (
        lambda: ranges_of("r", rules.get("backpropagation"), (1.0, 2.0), {"learning_rate": (1, HUGE)}),
        "the range of learning_rate",
    ),
    "network": (lambda: ascribe.compare(data(), network="1" * 18), "does not hold a network"),
    "seeds of a search": (lambda: ascribe.discover(data(), seeds=10**10), "does not hold the results"),
    "candidates at a time": (lambda: ascribe.discover(data(), batch=10**10), "does not hold the results"),
    "candidates": (
        lambda: ascribe.discover(data(), evaluations=10**5, hidden=10**7),
        "a search is over at most 21201 numbers",
    ),
    "samples": (lambda: datasets.load("moons", samples=10**12), "does not hold samples=1000000000000"),
    "samples without end": (lambda: datasets.load("sine", samples=HUGE), "does not hold samples=a number"),
    "noise": (lambda: datasets.load("moons", noise=HUGE), "`noise` is a finite number"),
    "arms": (lambda: datasets.load("spirals", classes=HUGE), "`samples` is at least"),
    "MLP": (lambda: networks.mlp([2, HUGE, 1]), "does not hold a network"),
    "dense layer": (lambda: networks.Linear(10**8, 10**8), "does not hold a network of 10000000000000000 weights"),
    "convolution": (lambda: networks.Conv2d(10**7, 10**7, 3), "does not hold a network"),
    "normalization": (lambda: networks.BatchNorm(10**13), "does not hold a network"),
    "thousands of layers": (lambda: networks.mlp([30_000] * 3000), "does not hold a network"),
    "neurons": (lambda: neurons.random_connection(10**8, 10**8, 0.5, 1.0), "does not hold a connection"),
    "neurons without end": (lambda: neurons.random_connection(HUGE, 9, 0.5, 1.0), "does not hold a connection"),
    "seed of neurons": (
        lambda: neurons.random_connection(9, 9, 0.5, 1.0, seed=-1),
        "`seed` is an integer that is not negative",
    ),
    "time constant": (lambda: neurons.LIF(HUGE, 0.002), "tau_m is a number"),
    "simulation": (lambda: neurons.simulate(neurons.LIF(), currents(10**8), 100.0), "does not hold a simulation"),
    "tuning curve": (lambda: neurons.tuning_curve(neurons.LIF(), currents(10**8), 100.0), "does not hold a simulation"),
    "steps": (lambda: neurons.simulate(neurons.LIF(), 1.5, 1.0, dt=1e-300), "1e[+]300 steps"),
    "spikes": (lambda: neurons.poisson_spikes([3e11, 7e11], 1.0), "does not hold about 1e[+]12 spikes"),
    "spikes without end": (lambda: neurons.poisson_spikes([1e308, 1e308], 1e300), "does not hold about 1e[+]30 spikes"),
    "raster": (lambda: neurons.SpikeTrain([0.2], duration=1.0).raster(1e-13), "a raster of 1e[+]13 steps"),
    "raster without end": (lambda: neurons.SpikeTrain([0.2], duration=1.0).raster(5e-324), "a raster of inf steps"),
    "filtered train": (
        lambda: neurons.PostSynapticFilter().filter(neurons.SpikeTrain([0.2], duration=1.0), 1e-13),
        "a filtered train of 1e[+]13 steps",
    ),
    "neurons of a train": (
        lambda: neurons.SpikeTrain([0.1, 0.2], np.uint64([3, 2**64 - 1]), duration=1.0),
        "the spikes of 18446744073709551616 neurons",
    ),
    "resamples": (lambda: statistics.bootstrap_interval([1, 2, 4], resamples=10**10), "100,000,000 at most"),
    "patterns of signs": (lambda: statistics.sign_flip_test(range(20), resamples=10**10), "100,000,000 at most"),
    "score": (lambda: statistics.bootstrap_interval([1, 2, HUGE]), "`differences` is a list of numbers"),
    "complex score": (
        lambda: statistics.bootstrap_interval(np.array([1, 2, 4j])),
        "`differences` is a list of numbers",
    ),
}


@pytest.mark.parametrize(("asked", "wanted"), CASES.values(), ids=CASES)
def test_what_no_machine_has_is_refused_in_one_sentence(asked, wanted):
    with pytest.raises(UserError, match=wanted) as caught:
        asked()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 500
    assert sentence.endswith((".", "?"))


def test_results_that_do_not_fit_are_refused_before_the_training(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**20)
    with pytest.raises(UserError, match=r"the results of 90 runs of backpropagation: 0\.0 GiB are wanted"):
        ascribe.train(tiny.mlp(), data(), "backpropagation", seeds=90, epochs=1000)


def test_a_small_number_of_bytes_is_asked_of_nobody(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 0)
    memory.check_room("little", memory.SMALL, "try")
    with pytest.raises(UserError, match=r"does not hold more: 0\.1 GiB are wanted and this machine has 0\.0 GiB; try\."):
        memory.check_room("more", memory.SMALL + 1, "try")


@pytest.mark.parametrize(
    "value", [HUGE, [HUGE], "x" * 10_000, np.zeros((50, 50)), {"a": 10**400}], ids=lambda value: type(value).__name__
)
def test_values_are_shown_short_and_on_one_line(value):
    assert len(shown(value)) <= 60
    assert "\n" not in shown(value)
    assert shown(0.5) == "0.5"


# --- What a network cannot answer ----------------------------------------------------------------------------------


def rows(*, last):
    values = np.zeros((3, 2))
    values[2, 1] = last
    return values


@pytest.mark.parametrize("last", [np.nan, np.inf, -np.inf, 1e300])
def test_gaps_are_no_inputs_of_a_prediction(last):
    runs = comparison().runs["backpropagation"]
    model = Model.of(runs, seed=0)
    for ask in (runs.predict, runs.outputs, runs.probabilities, model.predict, model.outputs, model.probabilities):
        with pytest.raises(UserError, match=r"\(NaN\)"):
            ask(rows(last=last))


@pytest.mark.parametrize(
    "inputs", [rows(last=1) + 1j, "x", None, [[1, 2], [3]], [[HUGE, 1]]], ids=lambda inputs: type(inputs).__name__
)
def test_what_is_no_array_of_real_numbers_is_no_input(inputs):
    runs = comparison().runs["backpropagation"]
    with pytest.raises(UserError, match="inputs are "):
        runs.predict(inputs)
    with pytest.raises(UserError, match=r"no array of numbers|of the shape"):
        Model.of(runs, seed=0).predict(inputs)


def test_complex_examples_are_refused():
    with pytest.raises(UserError, match=r"real numbers, .*complex"):
        datasets.Split(rows(last=1) + 1j, np.zeros(3))


# --- A parameter file ----------------------------------------------------------------------------------------------


def test_a_parameter_file_that_asks_for_a_large_network_allocates_none(tmp_path, monkeypatch):
    runs, path = comparison().runs["backpropagation"], tmp_path / "forged.safetensors"
    config = (
        json.dumps(runs.network.config()).replace('"fan_out": 4', '"fan_out": 30000').replace('"fan_in": 4', '"fan_in": 30000')
    )
    safetensors.numpy.save_file(parameters.tensors_of(runs.networks, runs.states), path, {"network": config})
    made, real = [], networks.from_config

    def spied(config):
        made.append(real(config))
        return made[-1]

    monkeypatch.setattr(networks, "from_config", spied)
    with pytest.raises(UserError, match=r"damaged: linear1\.weight is .* of shape \(2, 4, 2\)"):
        parameters.load_parameters(path)
    assert all(isinstance(leaf, jax.core.Tracer) for network in made for leaf in jax.tree.leaves(network))
    assert made
