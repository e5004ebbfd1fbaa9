"""`compare --dry-run`: what would be done is told, and nothing is done."""

import json

import pytest

from ascribe import load, rules
from ascribe.cli import main
from ascribe.cli.dry_run import _bytes, _time, about_data
from ascribe.experiments import compare as module
from ascribe.store import Store
from ascribe.training import Experiment

from ..store.case import COMMAND_LINE, RULES, command_line, data, plain

pytestmark = pytest.mark.usefixtures("finished")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, *arguments):
    assert main(["compare", *arguments, "--dry-run", "--json"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and not err
    return json.loads(out)


def test_the_plan_is_what_is_then_done(here, capsys):
    plan = told(capsys, *COMMAND_LINE)
    assert list(here.iterdir()) == []
    assert main(["compare", *COMMAND_LINE]) == 0
    done = load(here / plan["out"])
    rows = Store(here / plan["out"]).runs()
    assert plan["runs"] == len(rows) == 8
    for name in RULES:
        for phase in ("tuning", "training"):
            assert plan["rules"][name][phase] == len([row for row in rows if (row["rule"], row["phase"]) == (name, phase)])
    assert list(plan["rules"]) == list(done.runs)
    assert {row["epochs"] for row in rows} == {plan["epochs"]}
    assert plan["network"] == done.configuration["network"]
    assert plan["parameters"] == done.configuration["parameters"] == sum(plan["layers"].values()) == 2 * 4 + 4 + 4 + 1
    assert plan["data"]["examples"] == done.configuration["data"]["sizes"]
    assert (plan["data"]["task"], plan["data"]["classes"]) == ("binary", ["upper", "lower"])


def test_time_is_that_of_one_rule_for_all(here, capsys, monkeypatch):
    """Two rules compiled on two cores at once in 3 s; 2 candidates and 2 final runs of 3 epochs each, two at a time."""
    monkeypatch.setattr(Experiment, "timed", lambda self, example: (3.0, 0.5))
    monkeypatch.setattr(module.training.devices, "cores", lambda: 2)
    plan = told(capsys, *COMMAND_LINE)
    widths = [rule["at_a_time"] for rule in plan["rules"].values()]
    chunks = sum(2 * -(-2 // width) for width in widths)
    time = plan["time"]
    assert (time["compiling"], time["training"]) == (3.0, 0.5 * 3 * chunks)
    assert time["seconds"] == time["compiling"] + time["training"]
    assert time["measured_on"] == "backpropagation"
    assert plan["memory"] >= 2 * 17 * 4 * min(widths)  # the networks alone


def test_an_epoch_is_timed_without_what_a_call_costs_beside_it(here, capsys, monkeypatch):
    """A call takes 0.2 s and each of 400 epochs 1 ms more; the very first call takes 1 s."""
    calls = []

    def seconds_of(self, runs, states, epochs):
        calls.append(epochs)
        return (1.0 if len(calls) == 1 else 0.2) + 0.001 * epochs

    monkeypatch.setattr(Experiment, "_seconds_of", seconds_of)
    plan = told(capsys, *command_line(epochs=400))
    assert plan["time"]["its_epoch"] == pytest.approx(0.001)
    assert calls[:3] == [0, 0, 1] and max(calls) <= 400


def test_words_say_the_same_and_where_it_would_go(here, capsys, monkeypatch):
    picky = rules.FiniteDifferences(limit=10)
    monkeypatch.setattr(rules, "default_names", lambda: ["backpropagation", "finite-differences"])
    monkeypatch.setattr(rules, "get", lambda name, get=rules.get: picky if name == "finite-differences" else get(name))
    assert main(["compare", *command_line(rules=None), "--out", "there", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert not err
    assert lines["task"] == "binary"
    assert lines["inputs"] == "x1, x2"
    assert lines["target"] == "the data set's own; classes upper, lower"
    assert lines["parameters"] == "17 (linear1 12, linear2 5)"
    assert lines["rules"] == "backpropagation"
    assert "twice per parameter" in lines["left out, finite-differences"]
    assert lines["runs"] == "4 of 3 epochs: 2 to tune, 2 with fresh seeds"
    assert "measured on backpropagation, which took" in lines["time"]
    assert lines["would be written to"] == "there"
    assert list(here.iterdir()) == []


def test_what_is_refused_is_refused_in_a_dry_run_too(here, capsys):
    assert main(["compare", *COMMAND_LINE, "--only", "nothing", "--dry-run"]) == 2
    assert "nothing" in capsys.readouterr().err


def test_one_of_several_processes_tells_no_plan(here, capsys):
    assert main(["compare", *COMMAND_LINE, "--dry-run", "--coordinator", "127.0.0.1:1"]) == 2
    assert "leave --coordinator out" in capsys.readouterr().err


def test_of_other_processes_no_time_is_told(here, capsys):
    assert told(capsys, *COMMAND_LINE, "--workers", "2")["time"] is None
    assert _time(None, 2).startswith("not told")


def test_what_the_data_are():
    found = about_data(data())
    assert found["target"] is None
    assert found["examples"] == {"train": 42, "validation": 9, "test": 9}
    assert found["features"] == ["x1", "x2"] and found["notes"] == []


def test_what_should_be_known_of_a_table_is_told(here, capsys):
    (here / "t.csv").write_text("id,a,kind\n" + "".join(f"{i},{i * 0.7 % 1:.3f},{'uv'[i % 2]}\n" for i in range(40)))
    assert main(["compare", "t.csv", "--rules", "backprop", "--network", "4", "--dry-run"]) == 0
    assert "note 1: id counts the rows; if it is no measurement, leave it out with --ignore id\n" in capsys.readouterr().out


@pytest.mark.parametrize(("size", "words"), [(2**20, "1.0 MiB"), (2**30, "1.0 GiB"), (5 * 2**18, "1.2 MiB")])
def test_sizes_in_words(size, words):
    assert _bytes(size) == words
