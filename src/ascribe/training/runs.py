"""The result of training one rule: many runs, one a seed."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe import losses, notebook
from ascribe.datasets import Dataset, Transform
from ascribe.errors import UserError, names_in_words
from ascribe.measures import AREA, main_score, measure_of, not_measurable, score_name, title_of
from ascribe.metrics import area_under_curve
from ascribe.networks import Network, Unbuilt
from ascribe.statistics import corrected_interval, finished, interval, optional, resampled
from ascribe.statistics.means import plus_minus, too_few
from ascribe.types import PyTree

from .evaluate import CONFUSION
from .predictor import Predictor, check_classes, look_raw, prepared_inputs


@dataclasses.dataclass(frozen=True, repr=False)
class Runs:
    """All runs of one rule on one data set.

    - `rule`: its name; `rule_settings`: its class and the values of its fields, as plain JSON values;
    - `curves[name]`: `(seeds, epochs)`, among them `train_loss`, `validation_loss`, `validation_accuracy` (or
      `validation_rmse` and `validation_r2`), `gradient_angle` and `gradient_norm_ratio` against backpropagation's gradient,
      in total and per layer (`gradient_angle/linear1`), `feedback_angle/…` where a rule has feedback weights; with `quality`,
      `credit_snr` and `credit_bias`, likewise. Where backpropagation's gradient is at the floor of its arithmetic, angle and
      ratio are NaN, and `gradient_over_floor/linear1` is 1 at most: `not_measurable` sums that up;
    - `scores[name]`: `(seeds,)`, measured once on the test split: `test_loss`, `test_accuracy`, `test_balanced_accuracy`,
      `test_macro_f1`, `test_auc` (with at most 20 classes) and `test_log_loss`, or `test_rmse`, `test_r2`; the same before the
      rule's `finish`, where it has one of its own (`test_accuracy_before_finish`); and `area_under_train_loss`. NaN for a run
      that diverged;
    - `diverged`: `(seeds,)`; `diverged_at`: the epoch, or -1;
    - `networks`, `states`: the trained networks and their normalization statistics, a leading axis of seeds on every
      array; `network`: their structure. Of a record whose layers are not known here, `network` is an `Unbuilt` one, and all
      else is there;
    - `seconds`, `compile_seconds`: wall time of the training itself, and of compiling it;
    - `notes`: what sets these runs apart from the others of a comparison (forced settings, a tuned rate at the grid's end);
    - `score`: the measure that chose, and that is shown first (`accuracy`, `auc`, …); None for the task's main one;
    - `confusion`: `(seeds, classes, classes)`, how many test examples of each class (rows) were taken for each class (columns),
      by a run that diverged too; None for numbers, and for more than 20 classes;
    - `folds`: of cross-validation, `(runs,)`, the fold of each run, from 1: `seeds` repeat then, `data` is that of the first
      fold, and the networks are in the runs of one fold (`comparison.folds`), which know how its inputs were prepared;
    - `class_maps[epoch]`: of a comparison on classes of two features, the networks' probabilities of all classes but the first
      after 0, 1, 2, 5, 10, … epochs, `(seeds, side, side, classes - 1)`, uint8 in 255ths: over the range of the data with a
      tenth more on each side, the first row at the top; empty for others;
    - `encoding`: the transforms that the rule needs beyond the data's own; `data` is without them, and `outputs`,
      `predict` and `probabilities` apply them to their inputs.
    """

    rule: str
    rule_settings: dict[str, Any]
    data: Dataset
    loss: str
    network: Network | Unbuilt
    seeds: tuple[int, ...]
    learning_rates: np.ndarray
    hyperparameters: dict[str, float]
    curves: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    diverged_at: np.ndarray
    networks: Any
    states: PyTree
    seconds: float
    compile_seconds: float
    optimizer: Any = "adam"
    notes: tuple[str, ...] = ()
    encoding: tuple[Transform, ...] = ()
    score: str | None = None
    confusion: np.ndarray | None = None
    folds: tuple[int, ...] = ()
    class_maps: dict[int, np.ndarray] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        name = self._main("test")
        mean = interval(resampled(self, finished(self.scores[name], self.diverged))[0])[0]
        score = f"{name} {mean:.4g}" if np.isfinite(mean) else "no run finished"
        return (
            f"<runs of {self.rule} on {self.data.name}: {self._count}, {score} on average, {int(self.diverged.sum())} diverged>"
        )

    def _repr_html_(self) -> str:
        score = self._main("test")
        title, percent = title_of(score), measure_of(score).percent
        each, test_to_train = resampled(self, finished(self.scores[score], self.diverged))
        mean, half_width = map(optional, corrected_interval(each, test_to_train))
        count = int(np.isfinite(each).sum())
        one = "fold" if self.folds else "seed"
        rows = [
            (f"{title} (%)" if percent else title, plus_minus(mean, half_width, count, percent=percent)),
            (
                "Seeds",
                f"{self._count.removesuffix(' seeds')}: {names_in_words([str(seed) for seed in dict.fromkeys(self.seeds)])}",
            ),
            ("Runs lost", f"{int(self.diverged.sum())} of {len(self.seeds)} diverged"),
            ("Learning rate", names_in_words([f"{rate:.3g}" for rate in np.unique(self.learning_rates)])),
            *((name, f"{float(value):.3g}") for name, value in self.hyperparameters.items()),
        ]
        return notebook.shown(
            f"{self.rule} on {self.data.name}",
            notebook.table((), rows, words=2),
            notebook.sentences(
                [
                    too_few([count], one) or f"± 95 % over {'folds' if self.folds else 'the seeds that finished'}.",
                    *self.notes,
                ]
            ),
            notebook.curves({self.rule: self}, {self.rule: "currentColor"}, self._main("validation")),
        )

    @property
    def _count(self) -> str:
        folds = len(set(self.folds))
        return f"{len(self.seeds) // folds} seeds in each of {folds} folds" if folds else f"{len(self.seeds)} seeds"

    def _main(self, split: str) -> str:
        """The name of the score, or curve, that is shown first."""
        return main_score(self.data.task, split, self.score)

    @property
    def diverged(self) -> np.ndarray:
        """Which runs met a number that is not finite, `(seeds,)`."""
        return self.diverged_at >= 0

    def __getattr__(self, name: str) -> np.ndarray:
        """`runs.train_loss`, `runs.validation_accuracy`, `runs.test_accuracy`: a curve or a score by its name."""
        for table in ("curves", "scores"):
            found = self.__dict__.get(table, {})
            if name in found:
                return found[name]
        if name == "save":
            raise AttributeError(
                "runs are saved by a comparison's `save`, and the network of one seed by ascribe.Model.of(runs, seed=...)"
                ".save(path)."
            )
        raise AttributeError(f"runs have no {name!r}; they have {', '.join(self._named())}.")

    def _named(self) -> list[str]:
        """The curves and scores that are attributes."""
        return [key for table in ("curves", "scores") for key in self.__dict__.get(table, {}) if "/" not in key]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._named()]

    @property
    def not_measurable(self) -> dict[str, float]:
        """The layers whose gradient angle and norm ratio were not measurable, because backpropagation's gradient was at the
        floor of its arithmetic, and in which share of all epochs. None in a record of an earlier version, which cannot tell."""
        return not_measurable(self.curves)

    @property
    def built(self) -> bool:
        """Whether the networks are there; not where a record was loaded whose layers are not known here."""
        return isinstance(self.network, Network)

    def check_built(self) -> Network:
        """The networks' structure.

        **Raises:** `UserError` where they could not be built.
        """
        if isinstance(self.network, Unbuilt):
            raise UserError(f"the networks of {self.rule} could not be built from their record: {self.network.reason}")
        return self.network

    @functools.cached_property
    def predictor(self) -> Predictor:
        """The networks, ready to predict.

        **Raises:** `UserError` where they could not be built, or belong to folds.
        """
        if self.folds:
            raise UserError(
                f"the networks of {self.rule} belong to folds, each with inputs prepared in its own way: take those of one, as "
                f"in comparison.folds[0].runs[{self.rule!r}]."
            )
        return Predictor(self.check_built(), self.networks, self.states, losses.get(self.loss), self.encoding)

    def outputs(self, inputs: Any) -> np.ndarray:
        """The networks' raw outputs, `(seeds, examples, outputs)`, for inputs as `predict` takes them: with the data set's
        transforms, without those of the `encoding`."""
        return self._outputs(inputs)

    def _outputs(self, inputs: Any) -> np.ndarray:
        found = prepared_inputs(inputs, self.data.input_shape)
        if look_raw(inputs, self.data):
            warnings.warn(
                "runs take prepared inputs, and these look like raw rows: give runs.data.prepare(rows), or a split such as "
                "runs.data.test; a Model, as in Model.of(runs, seed=0), takes raw rows.",
                stacklevel=3,
            )
        return self.predictor.outputs(found)

    def predict(self, inputs: Any) -> np.ndarray:
        """Labels `(seeds, examples)` for **prepared** inputs: a split (`runs.data.test`), its `inputs`, or raw rows after
        `runs.data.prepare(rows)`. A `Model` takes raw rows: `ascribe.Model.of(runs, seed=0).predict(rows)`.

        For regression, values in the target's original unit, `(seeds, examples, outputs)`. Gaps (NaN) and numbers that are not
        finite are a `UserError`; inputs that look like raw rows, a warning."""
        outputs = self._outputs(inputs)
        return self.predictor.predictions(outputs, self.data)

    def probabilities(self, inputs: Any) -> np.ndarray:
        """Class probabilities, `(seeds, examples, classes)`, for inputs as `predict` takes them; a `UserError` for
        regression."""
        check_classes(self.data)
        outputs = self._outputs(inputs)
        return self.predictor.probabilities(outputs)


def of_folds(parts: Sequence[Runs]) -> Runs:
    """The runs of one rule in every fold, as they come, as one: all but their networks, which stay in the parts."""
    first, total = parts[0], len(parts)
    join = lambda values: np.concatenate([np.asarray(value) for value in values])
    tables = {
        table: {
            name: join(getattr(part, table)[name] for part in parts)
            for name in getattr(first, table)
            if all(name in getattr(part, table) for part in parts)
        }
        for table in ("curves", "scores")
    }
    noted: dict[str, list[int]] = {}
    for fold, part in enumerate(parts, 1):
        for note in (*part.notes, *(f"{name} = {value:.3g}" for name, value in part.hyperparameters.items())):
            noted.setdefault(note, []).append(fold)
    where = lambda folds: "" if len(folds) == total else f" (fold{'s' * (len(folds) > 1)} {', '.join(map(str, folds))})"
    return dataclasses.replace(
        first,
        **tables,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        folds=tuple(fold for fold, part in enumerate(parts, 1) for _ in part.seeds),
        learning_rates=join(part.learning_rates for part in parts),
        hyperparameters={},
        diverged_at=join(part.diverged_at for part in parts),
        confusion=None if any(part.confusion is None for part in parts) else join(part.confusion for part in parts),
        networks=None,
        states=None,
        seconds=sum(part.seconds for part in parts),
        compile_seconds=sum(part.compile_seconds for part in parts),
        notes=tuple(f"{note}{where(folds)}" for note, folds in noted.items()),
    )


def area_scores(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a whole curve says in one number a run."""
    return {AREA: area_under_curve(curves["train_loss"])}


_CELLS = score_name("test", CONFUSION) + "/"
"""How the scores begin that are cells of the confusion matrix, where they are kept with the others."""


def flat_confusion(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The scores, with a number a run in place of the confusion matrix: `test_confusion/TRUE/PREDICTED`."""
    matrix = values.get(score_name("test", CONFUSION))
    if matrix is None:
        return values
    cells = {f"{_CELLS}{i}/{j}": matrix[:, i, j] for i, j in np.ndindex(matrix.shape[1:])}
    return {name: value for name, value in values.items() if value is not matrix} | cells


def split_confusion(values: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """The scores without those of `flat_confusion`, and what they came from, `(runs, classes, classes)`."""
    cells = [name for name in values if name.startswith(_CELLS)]
    others = {name: value for name, value in values.items() if not name.startswith(_CELLS)}
    if not cells:
        return others, None
    classes = math.isqrt(len(cells))
    ordered = [values[f"{_CELLS}{i}/{j}"] for i, j in np.ndindex(classes, classes)]
    return others, np.stack(ordered, axis=-1).reshape(-1, classes, classes).astype(np.int64)
