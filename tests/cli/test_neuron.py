"""`ascribe neuron`: its pictures, numbers, and wrong inputs."""

import json

import pytest

from ascribe.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(capsys, *arguments):
    assert main(["neuron", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_each_model_draws_its_picture(capsys, here):
    hh = result(capsys, "hodgkin-huxley", "--current", "0.05:-18.18,0.05:10", "--rest", "-70", "--out", "hh.svg")
    assert hh["duration"] == pytest.approx(0.1)
    assert hh["spikes"] == len(hh["spike_times"]) == 4
    assert result(capsys, "lif", "--current", "2", "--duration", "0.1")["rate"] == pytest.approx(63.04, abs=1e-3)
    network = result(capsys, "network", "--neurons", "50", "--duration", "0.2", "--method", "grid", "--current", "1.5")
    assert network["neurons"] == 50
    assert network["spikes"] > 100
    curve = result(capsys, "tuning-curve", "--current", "0:2:5")
    assert curve["rates"][-1] == pytest.approx(curve["analytic"][-1], rel=1e-6)
    assert "analytic" not in result(capsys, "tuning-curve", "--of", "hodgkin-huxley", "--current", "5:10:2")
    assert (here / "hh.svg").exists()
    assert sorted(path.name for path in (here / "ascribe-runs").iterdir()) == [
        "lif.png",
        "network.png",
        "tuning-curve.png",
    ]


def test_without_json_it_says_what_came_out(capsys):
    assert main(["neuron", "lif"]) == 0
    said = capsys.readouterr().out
    assert "8 spikes of 1 neuron in 0.2 s; 41.715 Hz at the end" in said
    assert "picture: ascribe-runs/lif.png" in said
    assert main(["neuron", "lif", "--current", "1", "--out", "still.png"]) == 0
    assert "0 spikes of 1 neuron in 0.2 s, in which none reached its threshold: try a larger" in capsys.readouterr().out
    assert main(["neuron", "lif", "--duration", "0.03"]) == 0
    assert "1 spike of 1 neuron in 0.03 s" in capsys.readouterr().out
    assert main(["neuron", "tuning-curve", "--current", "1:2:2"]) == 0
    assert "closed form (Hz)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lif", "--current", "much"], "--current is a number (10) or segments"),
        (["lif", "--dt", "0.01"], "longer than the refractory period"),
        (["lif", "--tau-m", "20"], "tau_m=20 is in seconds; did you mean 0.02?"),
        (["lif", "--method", "rk4"], "--method changes nothing for lif: leave it out"),
        (["lif", "--neurons", "5"], "--neurons changes nothing for lif"),
        (["lif", "--rest", "-70"], "--rest changes nothing for lif"),
        (["hodgkin-huxley", "--tau-m", "0.01"], "--tau-m changes nothing for hodgkin-huxley"),
        (["network", "--of", "lif"], "--of changes nothing for network"),
        (["hodgkin-huxley", "--dt", "0.01"], "dt=0.01 is in seconds"),
        (["hodgkin-huxley", "--dt", "0.0002", "--method", "euler"], "stops being finite"),
        (["tuning-curve", "--current", "1"], "FROM:TO:COUNT"),
        (["network", "--neurons", "1"], "--neurons is 2 at least; got 1"),
        (["network", "--probability", "2"], "`probability` is a number from 0 to 1"),
        (["lif", "--out", "picture.gif"], "--out is a picture, .png or .svg; got 'picture.gif'"),
        (["perceptron"], "perceptron"),
    ],
)
def test_wrong_input_is_one_sentence_and_leaves_nothing(arguments, sentence, capsys, here):
    assert main(["neuron", *arguments]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not [path for path in here.rglob("*") if path.is_file()]


def test_a_folder_that_may_not_be_written_to_is_told(capsys, here):
    (here / "ascribe-runs").write_text("a file, where the folder would be")
    assert main(["neuron", "lif"]) == 2
    assert "cannot be written" in capsys.readouterr().err
