"""Table 1 of "Counter-Current Learning: A Biologically Plausible Dual Network Approach for Deep Learning" (Kao & Hariharan,
NeurIPS 2024, arXiv:2409.19841): five of its rules in one protocol, tanh networks trained by SGD for 100 epochs, 5 seeds."""

from ascribe.papers.base import Listener, Result

from .table import Row, Table, redo

RULES = {
    "BP": "backpropagation",
    "FA": "feedback-alignment",
    "DFA": "direct-feedback-alignment",
    "DRTP": "direct-random-target-projection",
    "FW-DTP": "target-propagation-fixed",
}
SETTINGS = {"activation": "tanh", "optimizer": "sgd", "epochs": 100, "batch_size": 64, "seeds": 5, "tune": 5, "tune_seeds": 1}
SEARCH = {"search": {"learning_rate": (1e-3, 0.3)}}


def _rows(*printed: float) -> tuple[Row, ...]:
    return tuple(Row(label, rule, number) for (label, rule), number in zip(RULES.items(), printed, strict=True))


MNIST = Table(
    "Counter-current learning, table 1: MNIST, 6 layers of 256",
    "mnist",
    _rows(98.19, 96.96, 97.27, 92.16, 97.20),
    {**SETTINGS, **SEARCH, "network": "256x256x256x256x256"},
    {"epochs": 8, "seeds": 2, "tune": 4},
    1.0,
    3.0,
    (20_000, 10_000),
)
FASHION_MNIST = Table(
    "Counter-current learning, table 1: Fashion-MNIST, 6 layers of 256",
    "fashion-mnist",
    _rows(89.58, 87.38, 87.35, 82.03, 87.78),
    {**SETTINGS, **SEARCH, "network": "256x256x256x256x256"},
    {"epochs": 8, "seeds": 2, "tune": 4},
    1.0,
    3.0,
    (20_000, 10_000),
)
CIFAR10 = Table(
    "Counter-current learning, table 1: CIFAR-10, 4 layers of 1024",
    "cifar10",
    _rows(50.03, 45.76, 42.86, 33.85, 45.91),
    {**SETTINGS, **SEARCH, "network": "1024x1024x1024"},
    {"epochs": 6, "seeds": 2, "tune": 4},
    2.0,
    6.0,
    (15_000, 5_000),
)


def mnist(listener: Listener, *, full: bool = False) -> Result:
    """The column of MNIST."""
    return redo(MNIST, listener, full=full)


def fashion_mnist(listener: Listener, *, full: bool = False) -> Result:
    """The column of Fashion-MNIST."""
    return redo(FASHION_MNIST, listener, full=full)


def cifar10(listener: Listener, *, full: bool = False) -> Result:
    """The column of CIFAR-10."""
    return redo(CIFAR10, listener, full=full)
