"""ascribe, the workbench for credit assignment: how a neural network decides which weight gets the credit.

`import ascribe` is instant: every name below is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "train": "ascribe.training",
    "use_all_cores": "ascribe.training",
    "join_processes": "ascribe.training",
    "landscape": "ascribe.experiments.landscape",
    "LossLandscape": "ascribe.training",
    "CreditClassifier": "ascribe.estimators",
    "CreditRegressor": "ascribe.estimators",
    "card": "ascribe.cards",
    "compare": "ascribe.experiments.compare",
    "play": "ascribe.playground",
    "Comparison": "ascribe.experiments.comparison",
    "load": "ascribe.experiments.comparison",
    "merge": "ascribe.experiments.merging",
    "Model": "ascribe.store.model",
    "load_model": "ascribe.store.model",
    "Cluster": "ascribe.cluster",
    "discover": "ascribe.experiments.discover",
    "Discovery": "ascribe.experiments.discovery",
    "value_and_credit": "ascribe.rules",
    "verify": "ascribe.rules",
    "check_gradients": "ascribe.rules",
    "Batch": "ascribe.rules",
    "Credit": "ascribe.rules",
    "UserError": "ascribe.errors",
}
_MODULES = (
    *("autodiff", "cards", "cluster", "datasets", "networks", "neurons", "losses", "metrics", "rules", "training", "loggers"),
    *("estimators", "experiments", "playground", "search", "store", "statistics", "report", "papers"),
)

__all__ = [*_WHERE, *_MODULES]  # noqa: PLE0604 # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from ascribe import autodiff as autodiff
    from ascribe import cards as cards
    from ascribe import cluster as cluster
    from ascribe import datasets as datasets
    from ascribe import estimators as estimators
    from ascribe import experiments as experiments
    from ascribe import loggers as loggers
    from ascribe import losses as losses
    from ascribe import metrics as metrics
    from ascribe import networks as networks
    from ascribe import neurons as neurons
    from ascribe import papers as papers
    from ascribe import playground as playground
    from ascribe import report as report
    from ascribe import rules as rules
    from ascribe import search as search
    from ascribe import statistics as statistics
    from ascribe import store as store
    from ascribe import training as training
    from ascribe.cards import card as card
    from ascribe.cluster import Cluster as Cluster
    from ascribe.errors import UserError as UserError
    from ascribe.estimators import CreditClassifier as CreditClassifier
    from ascribe.estimators import CreditRegressor as CreditRegressor
    from ascribe.experiments.compare import compare as compare
    from ascribe.experiments.comparison import Comparison as Comparison
    from ascribe.experiments.comparison import load as load
    from ascribe.experiments.discover import discover as discover
    from ascribe.experiments.discovery import Discovery as Discovery
    from ascribe.experiments.landscape import landscape as landscape
    from ascribe.experiments.merging import merge as merge
    from ascribe.playground import play as play
    from ascribe.rules import Batch as Batch
    from ascribe.rules import Credit as Credit
    from ascribe.rules import check_gradients as check_gradients
    from ascribe.rules import value_and_credit as value_and_credit
    from ascribe.rules import verify as verify
    from ascribe.store.model import Model as Model
    from ascribe.store.model import load_model as load_model
    from ascribe.training import LossLandscape as LossLandscape
    from ascribe.training import join_processes as join_processes
    from ascribe.training import train as train
    from ascribe.training import use_all_cores as use_all_cores


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"ascribe.{name}")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'ascribe' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(["__version__", *_WHERE, *_MODULES])
