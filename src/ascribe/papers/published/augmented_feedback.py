"""Table 2 of "Physical deep learning with biologically inspired training method" (Nakajima et al. 2022, Nature Communications
13, 7847): a mixer on MNIST under backpropagation, direct feedback, direct feedback with another function in place of σ', and
with its last layer alone."""

from ascribe.papers.base import Listener, Result

from .table import FROZEN, Row, Table, redo

MNIST = Table(
    "Augmented direct feedback alignment, table 2: a mixer of 3 blocks on MNIST",
    "mnist",
    (
        Row("BP", "backpropagation", 98.90),
        Row("DFA", "direct-feedback-alignment:cuts=macro", 98.36),
        Row("augmented DFA", "direct-feedback-alignment:derivative=tanh", 98.49),
        Row("last layer alone", FROZEN, 92.85),
    ),
    {
        "network": "mixer/3x64:patch=4",
        "optimizer": "adam",
        "epochs": 100,
        "batch_size": 128,
        "seeds": 3,
        "tune": 3,
        "tune_seeds": 1,
    }
    | {"search": {"learning_rate": (1e-4, 1e-2)}},
    {"network": "mixer/3x32:patch=7", "epochs": 20, "seeds": 2, "tune": 2},
    1.5,
    6.0,
    (12_000, 4_000),
)


def mnist(listener: Listener, *, full: bool = False) -> Result:
    """The row of the mixer; by default one with half the width and fewer patches."""
    return redo(MNIST, listener, full=full)
