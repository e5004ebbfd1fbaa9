"""MNIST after 10 epochs, from the authors' code of "Learning without feedback: fixed random learning signals allow for
feedforward training of deep neural networks" (Frenkel, Lefebvre & Bol 2021): one hidden layer of 500 tanh units, sigmoid
outputs, Adam."""

from ascribe.papers.base import Listener, Result

from .table import Row, Table, redo

MNIST = Table(
    "Direct random target projection: MNIST, 1 × 500, after 10 epochs",
    "mnist",
    (Row("BP", "backpropagation", 97.0), Row("DRTP", "direct-random-target-projection", 93.0)),
    {
        "network": "500",
        "activation": "tanh",
        "optimizer": "adam",
        "loss": "bernoulli-cross-entropy",
        "epochs": 10,
        "batch_size": 60,
        "seeds": 10,
        "tune": 5,
        "tune_seeds": 1,
        "search": {"learning_rate": (1e-5, 1e-2)},
    },
    {"seeds": 3, "tune": 4},
    1.0,
    1.5,
)


def mnist(listener: Listener, *, full: bool = False) -> Result:
    """Backpropagation and the rule; by default 3 seeds, as published with `full`."""
    return redo(MNIST, listener, full=full)
