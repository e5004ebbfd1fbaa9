"""A small training that the tests of the loggers share."""

from ascribe import train

from ..training import tiny

EPOCHS = 6
OPTIONS = {"epochs": EPOCHS, "batch_size": tiny.BATCH, "optimizer": "sgd", "learning_rate": 0.1}


def trained(listener, rule="kolen-pollack", seeds=(0, 3), **changes):
    return train(tiny.mlp(), tiny.data(), rule, seeds=list(seeds), listener=listener, **OPTIONS | changes)
