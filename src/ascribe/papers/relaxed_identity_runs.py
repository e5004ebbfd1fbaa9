"""Networks trained on the moons of "An Empirical Study of Relaxed Activation Identity's Effects on First-Order Optimization",
with its optimizer (Rprop, always all points), and what their runs are worth: what the entries of the document share.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ascribe import losses, networks, rules, training
from ascribe.datasets import Dataset, Split
from ascribe.networks import Network
from ascribe.rules import AbstractRule, Backpropagation, Batch, Credit, RelaxedIdentity
from ascribe.types import Array, Key, PyTree, Scalar

from .base import Listener

SEEDS, FEW_SEEDS = 5, 3
SHALLOW, DEEP = [2, 42, 100, 100, 42, 1], [2, *[100] * 100, 1]
RATE = 0.1
DECAY = 1e-5
GRID, EDGE = 64, 3.0
"""Points of a landscape across, and its edge: the published ones are of [-3, 3]² too."""
PUBLISHED, GAIN_4, HE = "pytorch-uniform", "logistic-normal", "he-normal"


class Observed(RelaxedIdentity):
    """`RelaxedIdentity` that reports E as its loss, instead of the forward pass's. The validation curves of `moons()`, which
    are of the training points, show that one: so both can be followed for the price of one, and no gradient is changed."""

    def __call__(self, trainables: Any, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = super().__call__(trainables, state, batch, key=key)
        return dataclasses.replace(credit, loss=self.objective(trainables.network, trainables.auxiliary, batch))


class Decayed(Backpropagation):
    """Backpropagation of the loss with λ/2 Σ ‖W‖² added, which is how RAI's objective is regularized."""

    weight_decay: Scalar = rules.hyperparameter(DECAY, "[0, inf)")

    def __call__(self, network: Network, state: PyTree, batch: Batch, *, key: Key | None = None) -> Credit:
        credit = super().__call__(network, state, batch, key=key)

        def decayed(gradient: Array, weight: Array) -> Array:
            return gradient + self.weight_decay.astype(weight.dtype) * weight if weight.ndim > 1 else gradient

        return dataclasses.replace(credit, gradients=jax.tree.map(decayed, credit.gradients, network))


@dataclasses.dataclass(frozen=True)
class Setting:
    """A row of the table: what is trained, how, and for how many steps."""

    name: str
    rule: AbstractRule
    steps: int
    initializer: str
    activation: str
    learning_rate: float = RATE


@dataclasses.dataclass(frozen=True)
class Found:
    """What came out of a row: its runs, its logits on the grid `(seeds, GRID²)`, its line of the table."""

    setting: Setting
    runs: Any
    logits: np.ndarray
    row: dict[str, Any]


def moons() -> Dataset:
    """The document's 100 points, and 2,000 fresh ones to test on. Nothing is chosen on validation data here; that split holds
    the training points, so that its curves are those of the plain forward pass on them."""
    train, test = _split(100, 42), _split(2000, 7)
    names: dict[str, Any] = {"class_names": ("upper", "lower"), "feature_names": ("x1", "x2")}
    return Dataset("moons", "binary", train, train, test, **names)


def _split(count: int, seed: int) -> Split:
    from sklearn.datasets import make_moons  # noqa: PLC0415 - importing it is slow

    inputs, labels = make_moons(count, noise=0.1, random_state=seed)
    return Split(np.asarray(inputs), np.asarray(labels))


def straight_line(data: Dataset) -> float:
    """Test accuracy of logistic regression without a penalty, which sees no more than a straight line, on the same points."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - importing it is slow

    fitted = LogisticRegression(C=1e6).fit(data.train.inputs, data.train.targets)
    return float(fitted.score(data.test.inputs, data.test.targets))


def trains(line: float) -> float:
    """From which test accuracy on a network is trained: where it makes half of a straight line's errors."""
    return (1.0 + line) / 2


def trained(
    settings: Sequence[Setting],
    sizes: Sequence[int],
    listener: Listener,
    *,
    seeds: int | None = None,
    data: Dataset | None = None,
    points: np.ndarray | None = None,
) -> list[Found]:
    """Every row's runs, over `SEEDS` seeds on the moons and their landscape unless others are given, and their worth."""
    data, found = data or moons(), []
    grid = grid_points() if points is None else points
    for setting in settings:
        told = lambda progress, name=setting.name: listener(progress._replace(rule=name))
        network = networks.mlp(sizes, activation=setting.activation, initializer=setting.initializer)
        asked: dict[str, Any] = {"optimizer": "rprop", "learning_rate": setting.learning_rate, "diagnostics": False}
        asked |= {"epochs": setting.steps, "batch_size": len(data.train), "seeds": seeds or SEEDS, "listener": told}
        runs = training.train(network, data, setting.rule, **asked)
        logits = runs.outputs(grid)[:, :, 0]
        found.append(Found(setting, runs, logits, line(setting, runs, logits)))
    return found


def line(setting: Setting, runs: training.Runs, logits: np.ndarray) -> dict[str, Any]:
    """A row of the table. `…_before`: before consolidation; `train` and `loss` of the plain forward pass on the training
    points. Means over the seeds that stayed finite; all columns but `diverged` and `finite` are empty where none did."""
    data = runs.data
    test = runs.scores["test_accuracy"]
    before = runs.scores.get("test_accuracy_before_finish", test)
    right = np.mean(runs.predict(data.train.inputs) == data.train.targets, axis=1)
    z = jnp.asarray(runs.outputs(data.train.inputs))
    loss = jax.vmap(lambda z: jnp.mean(losses.BERNOULLI_CROSS_ENTROPY.values(z, jnp.asarray(data.train.targets))))(z)
    kept = ~runs.diverged & np.isfinite(test)
    last = lambda name: _mean(runs.curves[name][:, -1], kept)
    return {
        "rule": setting.name,
        "options": options(setting.rule),
        "activation": setting.activation,
        "initializer": setting.initializer,
        "learning_rate": setting.learning_rate,
        "steps": setting.steps,
        "test_before": _mean(before, kept),
        "worst_before": _mean(before, kept, np.min),
        "train_before": last("validation_accuracy"),
        "test": _mean(test, kept),
        "worst": _mean(test, kept, np.min),
        "best": _mean(test, kept, np.max),
        "train": _mean(right, kept),
        "objective": last("train_loss") if isinstance(setting.rule, Observed) else None,
        "loss_before": last("validation_loss"),
        "loss": _mean(np.asarray(loss), kept),
        "disagreement": disagreement(logits > 0),
        "finite": float(np.mean(np.isfinite(logits))),
        "diverged": int(np.sum(~kept)),
        "seconds": runs.seconds / len(runs.seeds),
    }


def options(rule: AbstractRule) -> str:
    """The fields of a rule that are not at their default."""
    default, own = (rules.settings(one) for one in (type(rule)(), rule))
    shown = lambda value: f"{value:g}" if isinstance(value, float) else str(value)
    return " ".join(f"{name}={shown(value)}" for name, value in own.items() if value != default[name])


def _mean(values: np.ndarray, kept: np.ndarray, of: Any = np.mean) -> float:
    """Over the runs that are kept; NaN where there are none."""
    return float(of(values[kept])) if kept.any() else float("nan")


def grid_points() -> np.ndarray:
    """The points of a landscape, `(GRID², 2)`, its top line first."""
    places = np.linspace(-EDGE, EDGE, GRID, dtype=np.float32)
    return np.stack(np.meshgrid(places, places[::-1]), axis=-1).reshape(-1, 2)


def disagreement(labels: np.ndarray) -> float:
    """The share of points where two seeds predict different classes, `labels` `(seeds, points)`, mean over pairs of seeds."""
    pairs = itertools.combinations(labels, 2)
    return float(np.mean([np.mean(one != other) for one, other in pairs]))
