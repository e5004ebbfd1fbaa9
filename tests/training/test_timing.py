"""How long an epoch takes, from which `--dry-run` tells how long training would."""

import time

import pytest

from ascribe.training import experiment
from ascribe.training.recipe import Specification

from . import tiny


@pytest.mark.parametrize(("epochs", "chunks"), [(1, [1]), (3, [1, 2]), (100, [1, 2, 4, 8, 16, 32]), (10**6, None)])
def test_what_a_call_costs_is_not_taken_for_an_epoch(monkeypatch, epochs, chunks):
    """A clock on which a call takes 50 ms and an epoch 1 ms."""
    clock, called = [0.0], []

    class Timed(experiment.Experiment):
        def __init__(self):
            self.recipe = tiny.recipe(tiny.mlp(), tiny.data(), epochs=epochs)
            self.width, self.compile_seconds, self._compiled = 1, 3.0, True

        stack = initialize = lambda self, given: given

        def advance(self, runs, states, start, stop):
            assert 0 <= start < stop <= epochs
            called.append(stop - start)
            clock[0] += 0.05 + 0.001 * called[-1]
            return states

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    assert Timed().timed(Specification(0, 0.1)) == pytest.approx((3.0, 0.001 + 0.05 / called[-1]))
    assert called == (chunks or [1, 2, 4, 8, 16, 32, 64, 128, 256])
