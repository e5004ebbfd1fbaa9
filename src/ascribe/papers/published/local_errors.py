"""The rows `mlp` of "Training neural networks with local error signals" (Nøkland & Eidnes 2019, arXiv:1901.06656), as the
authors' code states them: leaky ReLU, Adam, 100 epochs, dropout, images jittered by two pixels and, of CIFAR-10, flipped. Here
there is neither dropout nor jitter."""

from ascribe.papers.base import Listener, Result

from .table import Row, Table, redo

SETTINGS = {"activation": "leaky-relu", "optimizer": "adam", "epochs": 100, "batch_size": 128, "seeds": 3, "tune_seeds": 1}
SEARCH = {"tune": 3, "search": {"learning_rate": (1e-4, 2e-3)}}


def _rows(*errors: float) -> tuple[Row, ...]:
    rules = {
        "global loss": "backpropagation",
        "pred": "local-error:kind=prediction",
        "sim": "local-error:kind=similarity",
        "predsim": "local-error:kind=both",
    }
    return tuple(Row(label, rule, 100 - error) for (label, rule), error in zip(rules.items(), errors, strict=True))


MNIST = Table(
    "Local error signals: MNIST, 3 × 1024",
    "mnist",
    _rows(0.75, 0.68, 0.80, 0.62),
    {**SETTINGS, **SEARCH, "network": "1024x1024x1024"},
    {"epochs": 4, "seeds": 2, "tune": 2},
    0.5,
    2.0,
    (12_000, 10_000),
)
CIFAR10 = Table(
    "Local error signals: CIFAR-10, 3 × 3000",
    "cifar10",
    _rows(33.56, 32.33, 33.48, 30.93),
    {**SETTINGS, **SEARCH, "network": "3000x3000x3000", "epochs": 400},
    {"network": "1000x1000x1000", "epochs": 4, "seeds": 2, "tune": 2},
    3.0,
    4.0,
    (5_000, 2_000),
)


def mnist(listener: Listener, *, full: bool = False) -> Result:
    """The row of MNIST."""
    return redo(MNIST, listener, full=full)


def cifar10(listener: Listener, *, full: bool = False) -> Result:
    """The row of CIFAR-10; by default with layers a third as wide."""
    return redo(CIFAR10, listener, full=full)
