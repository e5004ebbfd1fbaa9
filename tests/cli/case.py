"""What tests of interrupted commands share."""

import os

from ascribe.cli.progress import Lines


def signaled_at(monkeypatch, phase, *signals):
    """The process gets these signals when a rule reports that phase for the first time."""
    told = Lines.__call__
    waiting = list(signals)

    def call(self, progress):
        told(self, progress)
        if progress.phase == phase and waiting:
            os.kill(os.getpid(), waiting.pop(0))

    monkeypatch.setattr(Lines, "__call__", call)
