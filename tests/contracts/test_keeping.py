"""What every rule's runs promise: stopped after an epoch and gone on with, they are the same bits as left alone; kept, they
come back without being trained."""

import numpy as np
import pytest

from ascribe import compare, datasets, rules
from ascribe.errors import Interrupted
from ascribe.store import Store


def data_for(rule):
    if "binary" in rule.tasks:
        return datasets.load("moons", samples=60)
    return datasets.load("digits", samples=200, classes=(0, 1, 2))


def same(one, two, name):
    ours, theirs = one.runs[name], two.runs[name]
    for key, values in {**ours.curves, **ours.scores}.items():
        np.testing.assert_array_equal(values, getattr(theirs, key), err_msg=key)
    assert list(ours.class_maps) == list(theirs.class_maps) == ([0, 1, 2] if one.data.name == "moons" else [])
    for epoch, maps in ours.class_maps.items():
        np.testing.assert_array_equal(maps, theirs.class_maps[epoch], err_msg=str(epoch))


FAST = "kolen-pollack"
"""The rule that stands for all of them among the fast tests: it trains more than the network."""
WATCHED = (FAST, "forward-pass")
"""Rules whose diagnostics are kept too, the second with metrics of its own: what keeps a curve does not ask who drew it, and
to compute those of all rules takes twice as long."""
EVERY = [pytest.param(name, marks=() if name == FAST else pytest.mark.slow) for name in rules.names()]


@pytest.mark.parametrize("name", EVERY)
def test_runs_that_were_stopped_go_on_to_the_same_bits(name, tmp_path):
    data = data_for(rules.get(name))
    options = {"rules": [name], "network": "4", "seeds": 2, "epochs": 4, "learning_rate": 0.01, "batch_size": 16}
    options["diagnostics"] = name in WATCHED
    alone = compare(data, **options)
    store = Store(tmp_path)

    def stop(progress):
        if progress.phase == "training":
            store.stop()

    with pytest.raises(Interrupted, match="stopped at epoch 1 of 4"):
        compare(data, **options, store=store, listener=stop)
    same(alone, compare(data, **options, store=tmp_path), name)
    told = []
    same(alone, compare(data, **options, store=tmp_path, listener=told.append), name)
    assert told == []
