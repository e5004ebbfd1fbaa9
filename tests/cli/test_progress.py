"""What is said of a running experiment where it stays: in a pipe or a log file."""

import signal
import time

import pytest

from ascribe import training
from ascribe.cli import main, progress
from ascribe.cli.console import duration
from ascribe.cli.progress import Lines

from ..store.case import COMMAND_LINE, plain
from .case import signaled_at

NOTHING = float("nan")


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def told(capsys):
    out, err = capsys.readouterr()
    assert not out and "\x1b" not in err and "\r" not in err
    return [line.partition("] ")[2] for line in err.splitlines()]


def test_a_phase_begins_with_how_much_there_is_and_tells_what_is_left(clock, capsys):
    """40 of 200 epochs in 8 s: the other 160 take 32 s."""
    lines = Lines()
    lines(training.Progress("a", "compiling", 0, 1, NOTHING))
    lines(training.Progress("b", "compiling", 0, 1, NOTHING))
    assert told(capsys) == ["a: compiling", "b: compiling"]
    clock.now = 30.0
    assert lines._state() == "compiling for 30 s: a, b"
    lines(training.Progress("a", "training", 20, 220, 0.5))
    assert told(capsys) == ["a: training, 220 epochs over all its runs"]
    clock.now = 38.0
    lines(training.Progress("a", "training", 60, 220, 0.25))
    assert lines._state() == "a: training 27 % of 220, about 32 s left of this, loss 0.25"
    lines(training.Progress("b", "tuning", 10, 100, NOTHING))
    lines(training.Progress("b", "tuning", 20, 100, NOTHING))
    assert lines._state() == "2 rules at once: 25 % of 320, about 38 s left of this"
    lines(training.Progress("b", "compiling", 0, 1, NOTHING))
    lines(training.Progress("a", "training", 220, 220, NOTHING))
    assert lines._state() == "compiling for 0 s: b"
    assert told(capsys) == ["b: tuning, 100 epochs over all its runs", "b: compiling"]


def test_what_counts_no_epochs_claims_none(capsys):
    Lines()(training.Progress("loss surface of linear1", "computing", 1, 1681, NOTHING))
    assert told(capsys) == ["loss surface of linear1: computing"]


def test_lines_come_every_few_seconds_whether_anything_is_heard_or_not(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PAUSE", 0.05)
    with Lines() as lines:
        lines(training.Progress("a", "compiling", 0, 1, NOTHING))
        time.sleep(0.5)
    found = told(capsys)
    assert found[0] == "a: compiling"
    assert 2 <= len(found) <= 11 and set(found[1:]) == {"compiling for 0 s: a"}
    time.sleep(0.1)
    assert told(capsys) == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (59.6, "60 s"), (99.0, "99 s"), (100.0, "2 min"), (3600.0, "60 min"), (9000.0, "2.5 h")],
)
def test_times_in_words(seconds, words):
    assert duration(seconds) == words


def test_quiet_says_nothing_but_how_to_go_on(tmp_path, monkeypatch, capsys):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    signaled_at(monkeypatch, "training", signal.SIGINT)
    assert main(["compare", *COMMAND_LINE, "--out", "out", "--quiet"]) == 130
    first, second, third = capsys.readouterr().err.splitlines()
    assert "finishing what is under way" in first and not second and "--out out --resume" in third
    assert main(["compare", "moons", "--out", "out", "--resume", "--quiet", "--json"]) == 0
    assert capsys.readouterr().err == ""
