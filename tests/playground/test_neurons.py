"""The models of the neuron page under Node, against `ascribe.neurons`; and the page itself."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import ascribe
from ascribe.errors import UserError
from ascribe.neurons import LIF, Connection, HodgkinHuxley, SpikingNetwork, random_connection, simulate
from ascribe.playground import neurons
from ascribe.playground.programs import engine

NODE = shutil.which("node")
SIZE, EXCITES, INHIBITS = neurons.EXCITING + neurons.INHIBITING, 0.001, -0.004
CURRENTS = {
    "hodgkin-huxley": [0.0, 10.0, 40.0],
    "lif": [0.9, 1.5, 4.0],
    "pair": [1.2, 1.3],
    "network": np.linspace(0.9, 1.3, SIZE).tolist(),
}
STEPS = {"hodgkin-huxley": 1500, "lif": 600, "pair": 1500, "network": 400}


@pytest.fixture(scope="module")
def models():
    return neurons.models()


@pytest.fixture(scope="module")
def found(models):
    if NODE is None:
        pytest.skip("no Node is installed")
    connected = np.array(models["network"]["connected"])
    worth = np.where(np.arange(SIZE) < neurons.EXCITING, EXCITES, INHIBITS)[:, None]
    weights = {"pair": [0.0, 0.004, -0.004, 0.0], "network": (connected * worth).ravel().tolist()}
    given = {
        name: {
            "model": model,
            "currents": CURRENTS[name],
            "dials": {dial: one["value"] for dial, one in model["dials"].items()},
            "weights": weights.get(name),
            "steps": STEPS[name],
        }
        for name, model in models.items()
    }
    runner = Path(__file__).with_name("neurons.js")
    text = json.dumps({"engine": engine(), "models": given})
    done = subprocess.run([str(NODE), str(runner)], input=text, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def wanted(name, models):
    """What `simulate` gives with the same step."""
    random = random_connection(
        SIZE, SIZE, neurons.CHANCE, np.where(np.arange(SIZE) < neurons.EXCITING, EXCITES, INHIBITS), seed=0
    )
    model = {
        "hodgkin-huxley": HodgkinHuxley(),
        "lif": LIF(),
        "pair": SpikingNetwork(LIF(), Connection([[0.0, -0.004], [0.004, 0.0]]), neurons.TAU_S),
        "network": SpikingNetwork(LIF(), random, neurons.TAU_S),
    }[name]
    return simulate(model, np.array(CURRENTS[name]), STEPS[name] * models[name]["dt"], dt=models[name]["dt"])


@pytest.mark.parametrize("name", CURRENTS)
def test_a_model_of_the_page_is_that_of_ascribe(name, models, found):
    recording = wanted(name, models)
    ours, theirs = np.array(found[name]["V"]), np.asarray(recording.V)[-STEPS[name] :]
    # A Hodgkin-Huxley spike rises 400 mV in a millisecond: what rounding in single precision moves in time is seen in V.
    np.testing.assert_allclose(ours, theirs, atol=0.05 if name == "hodgkin-huxley" else 3e-5)
    if found[name]["spikes"]:
        cells, times = (np.array(column) for column in zip(*sorted(found[name]["spikes"], key=lambda one: one[1]), strict=True))
        np.testing.assert_allclose(times, np.sort(recording.spikes.times), atol=1e-6)
        assert np.bincount(cells, minlength=len(CURRENTS[name])).tolist() == recording.spikes.counts().tolist()
        assert len(times) > 5


def test_gates_and_voltage_stand_still_on_their_lines(models, found):
    V, plane = np.array(models["hodgkin-huxley"]["planes"]["V"]), found["plane"]
    axon = HodgkinHuxley()
    steady, _ = axon.gates(V)
    np.testing.assert_allclose(np.array(plane["n"], float), steady.n, atol=5e-6)
    n = np.array(plane["nullcline"], float)
    drawn = np.isfinite(n)
    assert drawn.sum() > 50
    currents = axon.currents(type(axon.resting_state())(V, n, np.asarray(steady.m), 0.4))
    np.testing.assert_allclose(sum(np.asarray(one) for one in currents.values())[drawn], 10.0, atol=0.02)


def test_the_page_of_neurons_is_a_file_and_takes_no_rules(tmp_path):
    path = ascribe.play("neurons", out=tmp_path / "neurons.html")
    html = path.read_text(encoding="utf-8")
    assert len(html) < 300_000 and "unsafe" not in html.split("Content-Security-Policy")[1].split(">")[0]
    with pytest.raises(UserError, match="no learning rules"):
        ascribe.play("neurons", "backpropagation", tmp_path / "other.html")
    with pytest.raises(UserError, match="no learning rules"):
        ascribe.play("neurons", out=tmp_path / "other.html", architectures=["2-4-1"])
    assert not (tmp_path / "other.html").exists()
