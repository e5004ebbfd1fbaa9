"""Learning a b-function: Bayesian optimization of a meta-network's parameters, many candidates in one compiled program.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 3.2.1: the
parameters ω of the meta-network go into a black box, the area under the training-loss curve (AULC) of the target network
comes out; a Gaussian-process prior and Expected Improvement say what to try next.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from ascribe import losses
from ascribe.checks import at_least, positive
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.metrics import area_under_curve
from ascribe.rules import BFunction, MetaNetwork, meta_network
from ascribe.training import SEARCHING, Recipe, Specification, Trainer, curves_of

from .expected_improvement import suggest
from .gaussian_process import fit

BAYESIAN = "bayesian"
"""The search by Expected Improvement."""
RANDOM = "random"
"""Its control: points drawn at random."""
RANDOM_STREAM = 2016
"""What tells the random search's numbers from those of everything else that the same seed starts."""

MOST_DIMENSIONS = 21201
"""How many numbers a search may be over: the dimensions of scipy's Sobol sequences."""

EDGE = 0.01
"""How near to the side of the unit cube a point touches it."""

Z = np.linspace(-4.0, 4.0, 161, dtype=np.float32)
"""Where b-functions are looked at, and told apart."""
APART = 0.25
"""Two b-functions are two where their mean distance on `Z` is more than this share of the best one's mean size."""

PENALTY = 2.0
"""A diverged epoch counts as this many times the loss of a network that knows nothing."""


@dataclasses.dataclass(frozen=True)
class Space:
    """Where b-functions are looked for: g_ω of a meta-network in place of σ' of `layer`, every number of ω in
    [-`bound`, `bound`]. A point is ω in the unit cube."""

    layer: str
    hidden: int = 1
    activation: str = "tanh"
    bound: float = 3.0

    def __post_init__(self) -> None:
        meta_network.check(self.hidden, self.activation)
        positive("bound", self.bound)
        if self.dimensions > MOST_DIMENSIONS:
            raise UserError(
                f"a search is over at most {MOST_DIMENSIONS} numbers, for which there are Sobol sequences; a meta-network of "
                f"{self.hidden} hidden neurons has {self.dimensions}: take at most {(MOST_DIMENSIONS - 1) // 3}."
            )

    @property
    def dimensions(self) -> int:
        """How many numbers ω has."""
        return meta_network.parameters(self.hidden)

    @property
    def largest(self) -> float:
        """The largest |g| in the space, for hidden activations between -1 and 1."""
        return (self.hidden + 1) * self.bound

    @property
    def initial(self) -> int:
        """How many candidates are spread evenly, at least, before the Gaussian process has its say."""
        return 2 * (self.dimensions + 1)

    def omega(self, points: np.ndarray) -> np.ndarray:
        """ω of points in the unit cube, `(…, dimensions)` both."""
        return self.bound * (2.0 * np.asarray(points, np.float64) - 1.0)

    def touched(self, point: np.ndarray) -> tuple[str, ...]:
        """The numbers of ω, by their names in `MetaNetwork`, that lie at the end of the box, within `EDGE` of its side: with
        a larger `bound` there may be a better one."""
        names = [f"{kind}{k + 1}" for kind in "wcv" for k in range(self.hidden)] if self.hidden > 1 else [*"wcv"]
        inside = np.minimum(point, 1.0 - np.asarray(point, np.float64))
        return tuple(name for name, distance in zip([*names, "d"], inside, strict=True) if distance <= EDGE)

    def meta_network(self, point: np.ndarray) -> MetaNetwork:
        """g_ω of one point."""
        return MetaNetwork(self.omega(point), hidden=self.hidden, activation=self.activation)

    def g(self, point: np.ndarray, z: np.ndarray) -> np.ndarray:
        """g_ω(z) of one point, `(…)` as z."""
        return np.asarray(self.meta_network(point)(jnp.asarray(z)))

    def rule(self, point: np.ndarray | None = None) -> BFunction:
        """The rule with g_ω in place; without a point, that of the cube's middle, ω = 0."""
        return BFunction({self.layer: self.meta_network(np.full(self.dimensions, 0.5) if point is None else point)})

    def place(self, point: np.ndarray) -> tuple[tuple[str, Any], ...]:
        """What `Specification` sets in that rule for a point."""
        return ((f"derivative.{self.layer}.omega", tuple(self.omega(point).tolist())),)


@dataclasses.dataclass(frozen=True)
class Evaluations:
    """What was tried: `points`, `(n, dimensions)` in the unit cube; `curves`, `(n, seeds, epochs)`, the training loss, NaN
    where a run diverged; `areas`, `(n, seeds)`, finite always."""

    points: np.ndarray
    curves: np.ndarray
    areas: np.ndarray

    def __len__(self) -> int:
        return len(self.points)

    @property
    def values(self) -> np.ndarray:
        """The objective, `(n,)`: the mean area over seeds; less is better."""
        return self.areas.mean(axis=1)

    @property
    def diverged(self) -> np.ndarray:
        """Which runs met a number that is not finite, `(n, seeds)`."""
        return np.logical_not(np.isfinite(self.curves).all(axis=2))

    @property
    def best(self) -> int:
        """The number of the best candidate."""
        return int(np.argmin(self.values))

    @property
    def best_so_far(self) -> np.ndarray:
        """The best value after every evaluation, `(n,)`."""
        return np.minimum.accumulate(self.values)

    def first(self, count: int) -> "Evaluations":
        """The first so many."""
        return Evaluations(self.points[:count], self.curves[:count], self.areas[:count])

    def joined(self, others: "Evaluations") -> "Evaluations":
        """These, then the others."""
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(others), strict=True)
        return Evaluations(*(np.concatenate(pair) for pair in pairs))


def best_few(space: Space, evaluations: Evaluations, count: int) -> tuple[int, ...]:
    """The numbers of the best candidates that are functions of their own, the best first, `count` of them at most. (Different ω
    can be one function, and the candidates around an optimum nearly are.)"""
    count = at_least(1, "count", count)
    chosen: dict[int, np.ndarray] = {}
    for number in np.argsort(evaluations.values, kind="stable"):
        g = space.g(evaluations.points[number], Z)
        apart = APART * np.abs(next(iter(chosen.values()), g)).mean()
        if all(np.abs(g - other).mean() > apart for other in chosen.values()):
            chosen[int(number)] = g
        if len(chosen) == count:
            break
    return tuple(chosen)


class Objective:
    """Candidates → training curves of the target network → AULC, averaged over seeds.

    `batch` candidates times all seeds train side by side in one compiled program, which no new value of ω compiles again;
    every candidate meets the same initial weights and batches. The objective of a run is Σ over epochs of the epoch's mean
    training loss; an epoch that is not finite, or worse than `penalty`, counts as `penalty`: twice the loss of a network
    that knows nothing (the logarithm of the number of classes; of numbers, half their variance). So a candidate that diverges
    is a finite, bad value, the worse the earlier it does.

    **Arguments:**

    - `recipe`: a complete one, of the rule that candidates are set in;
    - `place(point)`: what a candidate sets in the rule; `rate(point)`: its learning rate, by default the recipe's for all;
    - `dimensions`: of the unit cube; `seeds`, `batch`: of each candidate, and candidates at a time;
    - `further`: of the `Trainer`.
    """

    def __init__(
        self,
        recipe: Recipe,
        place: Callable[[np.ndarray], tuple[tuple[str, Any], ...]],
        *,
        dimensions: int,
        rate: Callable[[np.ndarray], float] | None = None,
        seeds: tuple[int, ...],
        batch: int,
        **further: Any,
    ):
        self.seeds, self.batch, self.dimensions, self._place = seeds, batch, dimensions, place
        self._rate = (lambda point: recipe.setup.learning_rate) if rate is None else rate
        engine = further.get("engine")
        width = -(-batch * len(seeds) // (1 if engine is None else engine.workers))
        self.trainer = Trainer(dataclasses.replace(recipe, width=width), **further)
        self.penalty = PENALTY * chance_loss(recipe.data, recipe.loss)

    @property
    def empty(self) -> Evaluations:
        """No evaluations yet."""
        seeds, epochs = len(self.seeds), self.trainer.recipe.setup.epochs
        return Evaluations(np.zeros((0, self.dimensions)), np.zeros((0, seeds, epochs), np.float32), np.zeros((0, seeds)))

    @property
    def middle(self) -> np.ndarray:
        """The middle of the unit cube, `(1, dimensions)`."""
        return np.full((1, self.dimensions), 0.5)

    def compile(self) -> None:
        """Compiles the program, and trains nothing."""
        self.trainer.compile(self._specifications(self.middle)[0])

    def __call__(self, points: np.ndarray) -> Evaluations:
        """The candidates at these points of the unit cube, `(n, dimensions)`."""
        parts = self.trainer.train(self._specifications(points), SEARCHING, keep=False)
        with np.errstate(over="ignore"):  # what is too large for 32-bit numbers becomes infinite
            curves = curves_of(parts)["train_loss"].astype(np.float32).reshape(len(points), len(self.seeds), -1)
        counted = np.minimum(np.where(np.isfinite(curves), curves, np.inf).astype(np.float64), self.penalty)
        return Evaluations(np.asarray(points, np.float64), curves, area_under_curve(counted))

    def keys(self, points: np.ndarray) -> list[str]:
        """What the runs of these candidates are kept under."""
        return [self.trainer.identity.finished_key(one) for one in self._specifications(points)]

    @property
    def outdated(self) -> int:
        """How many candidates' runs are kept that other code made."""
        one = self.trainer
        if not one.keeper.keeps:
            return 0
        return len(one.keeper.outdated(one.recipe.name, one.recipe.setup.epochs, one.identity.about))

    def _specifications(self, points: np.ndarray) -> list[Specification]:
        return [Specification(seed, self._rate(point), self._place(point)) for point in points for seed in self.seeds]


def chance_loss(data: Dataset, loss: losses.Loss) -> float:
    """The loss of a network that knows nothing of the inputs: even odds for classes, the mean for numbers."""
    if loss.link == "softmax":
        return float(np.log(data.classes))
    if loss.link == "logistic":
        return float(data.outputs * np.log(2.0))
    outputs = np.asarray(data.train.targets, np.float64)
    if data.task != "regression":
        outputs = np.eye(data.classes)[data.train.targets] if data.outputs > 1 else outputs
    return float(0.5 * np.sum(np.var(outputs.reshape(len(outputs), -1), axis=0)))


def search(
    objective: Callable[[np.ndarray], Evaluations],
    done: Evaluations,
    *,
    evaluations: int,
    batch: int,
    kind: str = BAYESIAN,
    seed: int = 0,
    after_round: Callable[[Evaluations], None] = lambda _: None,
) -> Evaluations:
    """From what is `done` to `evaluations` candidates, `batch` at a time; `after_round` gets all of them after each. Of more
    that are done, the first so many count.

    What is tried next depends on `done`, the seed and the batch alone, so that a search goes on from its record as if it had
    never stopped. `kind`: `"bayesian"`, or `"random"`, uniformly in the cube.
    """
    evaluations, batch = at_least(0, "evaluations", evaluations), at_least(1, "batch", batch)
    seed = at_least(0, "seed", seed)
    while len(done) < evaluations:
        count = min(batch, evaluations - len(done))
        points = random_points(seed, len(done), count, done.points.shape[1])
        if kind == BAYESIAN:
            points = np.asarray(suggest(done.points, done.values, count, seed=seed))
        done = done.joined(objective(points))
        after_round(done)
    return done.first(evaluations)


def random_points(seed: int, start: int, count: int, dimensions: int) -> np.ndarray:
    """`count` uniform points, the same wherever a search was cut: those from number `start` of the seed's sequence."""
    generator = np.random.default_rng([seed, RANDOM_STREAM])
    return generator.random((start + count, dimensions))[start:]


def left_out(evaluations: Evaluations) -> np.ndarray:
    """What the Gaussian process makes of each evaluation from all the others: mean and standard deviation, `(n, 2)`.

    With K the covariance of all observations, noise included, α = K⁻¹y: mean_i = y_i - α_i / [K⁻¹]_ii, variance_i =
    1 / [K⁻¹]_ii (Rasmussen & Williams 2006, equation 5.12).
    """
    values = evaluations.values
    process = fit(evaluations.points, values)
    factor = np.asarray(process.factor, np.float64)
    diagonal = np.square(np.linalg.inv(factor)).sum(axis=0)
    mean = values - process.scale * np.asarray(process.weights) / diagonal
    return np.stack([mean, process.scale / np.sqrt(diagonal)], axis=1)


def learned_curve(evaluations: Evaluations, number: int) -> np.ndarray:
    """The mean training-loss curve of a candidate, `(epochs,)`, over the seeds that finished."""
    curves = evaluations.curves[number]
    finite = np.isfinite(curves).all(axis=1)
    return curves[finite].mean(axis=0) if finite.any() else np.full(curves.shape[1], np.nan)
