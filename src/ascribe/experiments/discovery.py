"""A finished search for a b-function and what it is worth: its functions, the comparisons on fresh seeds, how it is written."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ascribe import networks, report, store
from ascribe.datasets import Dataset
from ascribe.measures import AREA, main_score
from ascribe.rules import BFunction
from ascribe.search import Evaluations, Space

from .comparison import Comparison

SEARCHED = "as searched"
SAME, FOUND, SCALED, NOISE = "backpropagation", "found g", "c·σ', tuned c", "noise of g's size"
OTHERS = ("found g, B", "found g, C")
"""The next best that are functions of their own; the found g is A."""
WITHOUT_ZERO = "found g, 0 where σ' = 0"
TUNED, FOUND_TUNED, LEARNED = "backpropagation, tuned rate", "found g, tuned rate", "backpropagation, learned rate"
FOR_AREA, FOUND_FOR_AREA = "backpropagation, rate tuned for area", "found g, rate tuned for area"
LEAST_FACTOR = 0.1
"""The control c·σ' is looked for from this c to the largest value that g can have, with as many candidates as a rate."""
FINER = 3
"""So many times the candidates of `tune` has a rate that is tuned for the area: g has as many as the whole search."""


@dataclasses.dataclass(frozen=True, repr=False)
class Discovery:
    """A finished search and what became of it.

    `evaluations`: what the Bayesian search tried; `best`: the numbers of the best of them that are functions of their own, A,
    B and C of the figure; `random`: what the random one did with the same budget, or None;
    `predicted`: mean and standard deviation that the Gaussian process gives each evaluation from all the others,
    `(n, 2)`; `comparisons[setting]`: the fresh runs, one `Comparison` or several of one setting; `factor`: the tuned c of the
    control; `configuration`: everything that was asked for, as plain JSON values.
    """

    data: Dataset
    space: Space
    evaluations: Evaluations
    best: tuple[int, ...]
    random: Evaluations | None
    predicted: np.ndarray
    comparisons: dict[str, tuple[Comparison, ...]]
    factor: float
    configuration: dict[str, Any]

    def __repr__(self) -> str:
        best = self.evaluations.values.min()
        return f"<b-function found on {self.data.name}: area {best:.4g} after {len(self.evaluations)} evaluations>"

    @property
    def rule(self) -> BFunction:
        """The rule with the best g_ω."""
        return self.space.rule(self.evaluations.points[self.evaluations.best])

    @property
    def touched(self) -> tuple[str, ...]:
        """The numbers of the best ω at the end of the box that was searched: a larger `bound` may find a better one."""
        return self.space.touched(self.evaluations.points[self.evaluations.best])

    @property
    def replaced(self) -> str:
        """The name of the activation whose derivative g replaces."""
        return str(networks.from_config(self.configuration["structure"])[self.space.layer].function)

    def exact(self, z: np.ndarray) -> np.ndarray:
        """σ'(z), which g replaces."""
        return np.asarray(networks.activations.get(self.replaced).derivative(jnp.asarray(z)))

    def table(self) -> list[dict[str, Any]]:
        """One row for every setting and rule: the area under the training loss, its paired difference to backpropagation at
        the same rate, and the same of the test score, each with the half width of its 95 % interval over the fresh seeds."""
        return [row for setting, parts in self.comparisons.items() for row in _rows(setting, parts)]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes `found.json` (which `compare --rules backpropagation,./found.json` reads), the record, the figures and the
        page into `folder`, whole or not at all, and returns the page's path.

        **Raises:** `UserError` where the folder cannot be written, or holds something; `overwrite` replaces an earlier
        discovery.
        """
        return save(self, Path(folder), overwrite=overwrite)


def save(found: Discovery, folder: Path, *, overwrite: bool = False, replacing: Path | None = None) -> Path:
    """As `Discovery.save`; `replacing`: as in `store.whole_folder`."""
    draw = functools.partial(report.discovery.draw, found)
    return store.save_discovery(found, folder, draw=draw, overwrite=overwrite, replacing=replacing)


def _rows(setting: str, parts: tuple[Comparison, ...]) -> list[dict[str, Any]]:
    runs = {name: one for part in parts for name, one in part.runs.items()}
    reference = runs[SAME]
    score = main_score(reference.data.task)
    rows = []
    for name, one in runs.items():
        row: dict[str, Any] = {"setting": setting, "rule": name, "learning_rate": float(one.learning_rates[0])}
        for key, column in ((AREA, "area"), (score, "score")):
            values, against = one.scores[key], reference.scores[key]
            row[column], row[f"{column}_interval"] = map(float, report.interval(values))
            row[f"{column}_difference"], row[f"{column}_difference_interval"] = map(float, report.interval(values - against))
        rows.append({**row, "score_name": score, "diverged": int(one.diverged.sum()), "seeds": len(one.seeds)})
    return rows
