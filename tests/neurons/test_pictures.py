"""Pictures: what is on them, and files whole or not at all."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ascribe.errors import UserError
from ascribe.neurons import (
    LIF,
    Connection,
    HodgkinHuxley,
    PostSynapticFilter,
    SpikeTrain,
    SpikingNetwork,
    pictures,
    poisson_spikes,
    simulate,
    tuning_curve,
)


def texts(chart, path):
    drawn = pictures.save(chart, path)
    return " ".join(text for text in ElementTree.parse(drawn).getroot().itertext() if text.strip())


def test_traces_show_voltage_spikes_gates_and_input(tmp_path):
    found = simulate(HodgkinHuxley.squid(), 10.0, 0.05, record=("V", "n", "m", "h"))
    said = texts(found.chart(), tmp_path / "hh.svg")
    for expected in ("V (mV)", "open fraction", "(µA/cm²)", "time (s)", "4 spikes in 0.05 s", "68.3"):
        assert expected in said
    said = texts(simulate(LIF(), [0.5, 1.5], 0.1).chart(neuron=1), tmp_path / "lif.svg")
    assert "neuron 1 of 2, 4 spikes" in said
    for expected in (
        "dashed: the threshold",
        "red: spikes",
        "voltage",
        "v (thresholds)",
        "input current",
        "v_in (thresholds)",
    ):
        assert expected in said
    assert "stroke-dasharray" in (tmp_path / "lif.svg").read_text(encoding="utf-8")
    assert (tmp_path / "lif.svg").read_text(encoding="utf-8").count("#d55e00") >= 4
    network = simulate(SpikingNetwork(LIF(), Connection(np.eye(3) * 1e-3)), 2.0 * np.ones(3), 0.1, record=("V", "s"))
    assert "synaptic" in texts(network.chart(), tmp_path / "network.svg")


def test_a_peak_is_not_lost_by_drawing_fewer_points():
    t = np.linspace(0.0, 1.0, 100_001)
    V = np.zeros_like(t)
    V[54_321] = 1.0
    at, drawn = pictures._thinned(t, V)
    assert len(at) < 4000
    assert drawn.max() == 1.0
    assert np.all(np.diff(at) > 0)
    assert (at[0], at[-1]) == (0.0, 1.0)


def test_too_many_spikes_are_a_band_that_says_so(tmp_path):
    found = simulate(LIF(), 1.5, 5.0)
    said = texts(found.chart(), tmp_path / "long.svg")
    assert "208 spikes in 5 s" in said
    assert "too many to tell apart: bands from the lowest to the highest value" in said
    assert "too many" not in texts(simulate(LIF(), 1.5, 3.0).chart(), tmp_path / "short.svg")
    t = np.arange(64_000) * 1e-4
    rows = pictures._extremes(t, np.where(np.arange(64_000) == 33_333, 7.0, np.sin(t)))
    assert len(rows["t"]) == pictures.WIDTH // 2 + 1
    assert rows["high"].max() == 7.0
    assert np.all(rows["low"] <= np.sin(rows["t"]) + 1e-9)


def test_a_raster_counts_neurons_in_whole_numbers_and_tells_them_apart(tmp_path):
    train = SpikeTrain([0.01, 0.02, 0.03], [0, 1, 3], duration=0.05, size=4)
    mixed = Connection(np.array([[0, 0, 0, 0], [1, 0, 0, 1], [1, -1, 0, -1], [0, -1, 0, 0]]) * 1e-3)
    assert list(pictures._kinds(mixed, 4)) == ["excites", "inhibits", "does neither, or both", "does neither, or both"]
    said = texts(pictures.raster(train, connection=mixed), tmp_path / "raster.svg").split()
    assert {"0", "1", "2", "3", "excites", "inhibits"} <= set(said)
    assert not {"0.5", "1.5", "−0.5"} & set(said)
    assert "excites" not in texts(pictures.raster(train), tmp_path / "plain.svg")
    assert "1 neuron, 1 spike, 20 Hz" in texts(pictures.raster(SpikeTrain([0.01], duration=0.05)), tmp_path / "one.svg")
    with pytest.raises(UserError, match="the connection is of 4 neurons, and the spikes are of 1"):
        pictures.raster(SpikeTrain([0.01], duration=0.05), connection=mixed)


def test_the_other_pictures_say_what_they_show(tmp_path):
    path = tmp_path / "picture.svg"
    curve = tuning_curve(LIF(), np.linspace(0.5, 3.0, 6))
    assert "points: simulated" in texts(curve.chart(), path)
    assert "last interspike interval" in texts(tuning_curve(HodgkinHuxley(), [5.0, 10.0], 0.2).chart(), path)
    assert "n = 1, τ_s = 5 ms" in texts(pictures.filters([PostSynapticFilter(0.005, 1), PostSynapticFilter()]), path)
    train = SpikeTrain([0.01, 0.02], duration=0.05)
    assert "2 spikes" in texts(pictures.filtered(train, PostSynapticFilter(0.005, 1)), path)
    signs = np.where(np.arange(300) < 240, 1e-3, -1e-3)
    many = pictures.raster(poisson_spikes([5.0] * 300, 1.0), connection=Connection(np.ones((300, 1)) * signs))
    assert all(word in texts(many, path) for word in ("rows for 200 of 300 neurons", "excites", "inhibits", "270"))
    found = simulate(HodgkinHuxley(), 10.0, 0.02, record=("V", "n", "h"))
    assert "potassium activation n" in texts(pictures.phase_plane(found), path)


def test_a_file_is_whole_or_not_there(tmp_path):
    found = simulate(LIF(), 1.5, 0.05)
    assert found.plot(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match=r"a picture is saved as .png or .svg; got 'a.pdf'"):
        found.plot(tmp_path / "a.pdf")
    with pytest.raises(UserError, match="cannot be written"):
        found.plot(tmp_path / "a.png" / "a.png")
    assert found.plot(tmp_path / "new" / "a.png").is_file()
    with pytest.raises(UserError, match="numbered from 0 to 0; got 3"):
        found.plot(tmp_path / "b.png", neuron=3)
    with pytest.raises(UserError, match="'s' was not recorded; there is V"):
        found["s"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "new"]


def test_a_notebook_shows_the_picture_that_plot_writes(tmp_path):
    for found in (simulate(LIF(), 1.5, 0.05), tuning_curve(LIF(), [0.5, 2.0])):
        assert found._repr_svg_() == found.plot(tmp_path / "a.svg").read_text(encoding="utf-8")
