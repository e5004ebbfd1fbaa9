"""One small comparison, trained once, that the tests of the store, the command line and the interface share.

Its data, seeds and rates are arguments of its programs, while its rules, network, optimizer, epochs, batch size and number of
examples make programs: a test that trains with these compiles nothing anew.
"""

import functools
import threading

from ascribe import compare, datasets, report
from ascribe.store import Store
from ascribe.training.keeping import About

RULES = ("backpropagation", "feedback-alignment")
OPTIONS = {"network": "4", "seeds": 2, "tune": 2, "tune_seeds": 1, "epochs": 3}
SAMPLES = 60


def command_line(**changes):
    """What `ascribe compare` is given for it, with other options, or without those that are None."""
    options = {"samples": SAMPLES, "rules": ",".join(RULES), **OPTIONS} | changes
    pairs = [("--" + name.replace("_", "-"), str(value)) for name, value in options.items() if value is not None]
    return ["moons", *(text for pair in pairs for text in pair)]


COMMAND_LINE = command_line()


@functools.cache
def data():
    return datasets.load("moons", samples=SAMPLES)


@functools.cache
def comparison():
    return compare(data(), rules=list(RULES), **OPTIONS)


FOLDS = 3


@functools.cache
def in_folds():
    """The same as cross-validation: 20 examples are tested in each of three folds, which share their programs."""
    return compare(data(), rules=list(RULES), folds=FOLDS, **OPTIONS)


def plain(monkeypatch):
    """A page without its pictures, for tests that are about something else."""

    def write_page(comparison, path, *drawn):
        path.write_text("<!doctype html>")
        return path

    monkeypatch.setattr(report, "write_page", write_page)
    monkeypatch.setattr(report, "draw", lambda comparison, folder: write_page(comparison, folder / "index.html"))


def snapshot(folder):
    """Everything under a folder, hidden files too: names, and bytes of files."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def two_at_once(place, data, options):
    """The same comparison in two threads on one store: what both found, and the store."""
    found, errors = [], []

    def work():
        try:
            found.append(compare(data, **options, store=place))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert len(found) == 2
    return found, Store(place)


def about(**changes):
    """A run, as the store tells of it."""
    rule = {"class": "mine.py:Mine", "source": "class Mine: ..."}
    context = {"data": {"name": "moons"}, "network": "4", "rule": rule, "source": "0"} | changes.pop("context", {})
    return About(**{"rule": "r", "phase": "training", "seed": 0, "learning_rate": 0.1} | changes, context=context)
