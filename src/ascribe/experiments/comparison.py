"""A finished comparison: the runs of every rule, what tuning tried, and how they are written, read and shown."""

import dataclasses
import functools
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ascribe import report, rules, store
from ascribe.datasets import Dataset
from ascribe.errors import UserError
from ascribe.files import path_of
from ascribe.search import Tuning
from ascribe.statistics import RuleStatistics, summarize
from ascribe.training import MOST_CLASSES, LossLandscape, Runs, of_folds


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """A finished comparison: `runs[rule]`, `tuning[rule]` (empty without tuning), the `data`, and the `configuration`
    as plain JSON values; `landscape`: the loss over one layer's weights with every rule's path, if it was asked for.
    `reference` is the rule that paired differences refer to. `folds`: of cross-validation, the comparison on every fold, with
    its own data, tuning and networks; `runs` has the runs of all then, `data` is that of the first, and `tuning` is empty.
    `controls`: the runs of what was trained beside the rules, for them to be above, with their `tuning` beside that of the
    rules; empty in records of earlier versions."""

    data: Dataset
    runs: dict[str, Runs]
    tuning: dict[str, Tuning]
    configuration: dict[str, Any]
    landscape: LossLandscape | None = None
    folds: "tuple[Comparison, ...]" = ()
    controls: dict[str, Runs] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_folds(cls, folds: "Sequence[Comparison]", configuration: dict[str, Any]) -> "Comparison":
        """The comparisons on every fold as one, of the rules and controls that are in all."""

        def joined(parts: "list[dict[str, Runs]]") -> dict[str, Runs]:
            names = [name for name in parts[0] if all(name in part for part in parts)]
            return {name: of_folds([part[name] for part in parts]) for name in names}

        runs, controls = (joined([getattr(fold, part) for fold in folds]) for part in ("runs", "controls"))
        return cls(folds[0].data, runs, {}, configuration, folds=tuple(folds), controls=controls)

    def __repr__(self) -> str:
        where = f"{self.data.name} in {len(self.folds)} folds" if self.folds else self.data.name
        return f"<comparison on {where}: {', '.join(map(repr, self.runs.values()))}>"

    def _repr_html_(self) -> str:
        return report.to_html(self)

    @property
    def reference(self) -> str | None:
        """Backpropagation where it takes part, else the first rule."""
        return "backpropagation" if "backpropagation" in self.runs else next(iter(self.runs), None)

    @property
    def descriptions(self) -> dict[str, str]:
        """One line on what each rule is; empty for one of which nothing is known."""
        merged = self.configuration.get("original_names")
        original = merged if isinstance(merged, dict) else {}
        return {name: rules.about(str(original.get(name, name)), runs.rule_settings) for name, runs in self.runs.items()}

    def table(self) -> list[report.Row]:
        """One row a rule, best first: test score with its 95 % interval over seeds (or folds), paired difference to the
        reference, credit score between frozen hidden layers and backpropagation."""
        return report.rows(self)

    def statistics(
        self,
        reference: str | None = None,
        *,
        score: str | None = None,
        level: float = 0.95,
        difference: float | None = None,
        target: float | None = None,
        seed: int = 0,
    ) -> list[RuleStatistics]:
        """One row a rule, the reference first: what its difference to the reference is worth, seed by seed or fold by fold; as
        `ascribe.statistics.summarize`, which says what the arguments are."""
        return summarize(self, reference, score=score, level=level, difference=difference, target=target, seed=seed)

    def confusion_matrix(self, rule: str) -> np.ndarray:
        """How many test examples of each class (rows) one rule took for each class (columns), summed over the seeds that
        finished, `(classes, classes)`; a seed's own is in `runs[rule].confusion`. As `sklearn.metrics.confusion_matrix`.

        **Raises:** `UserError` for a rule that did not take part, and where there are none: for numbers, for more than 20
        classes, and in a record of an earlier version.
        """
        if rule not in self.runs:
            with suppress(UserError):
                rule = rules.full_name(rule)
        if rule not in self.runs:
            raise UserError(f"`rule` is a rule of the comparison; got {rule!r}: take {', '.join(self.runs)}.")
        runs = self.runs[rule]
        if runs.confusion is None:
            raise UserError(
                f"no confusion matrix of {rule} was kept: there is one of 2 to {MOST_CLASSES} classes, in records of this "
                f"version on; {self.data.name} is {self.data.task} with {self.data.classes} classes: make your own of "
                f"`runs[rule].predict`."
            )
        return runs.confusion[~runs.diverged].sum(axis=0)

    def to_frame(self) -> Any:
        """One row a run as a pandas data frame (extra `tables`), with the columns of the record's `runs.csv`: rule, where there
        are controls whether it is one (`control`), seed, learning rate, whether it was tuned, hyper-parameters, epochs, status,
        where it diverged, and every score."""
        return store.data_frame(store.run_rows(self))

    def report(self, path: str | Path) -> Path:
        """Writes the self-contained page and returns its path."""
        return report.write_page(self, path_of(path, "a page"))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Writes the full record with the page and its figures into `folder`, whole or not at all."""
        return save(self, path_of(folder, "a record"), overwrite=overwrite)


def load(folder: str | Path) -> Comparison:
    """The comparison that was saved in `folder`; a `UserError` where there is none or it is damaged."""
    found = store.load(path_of(folder, "a record"))
    if "folds" in found:
        return Comparison.of_folds([Comparison(**fold) for fold in found["folds"]], found["configuration"])
    return Comparison(**found)


def save(comparison: Comparison, folder: Path, *, overwrite: bool = False, replacing: Path | None = None) -> Path:
    """As `Comparison.save`; `replacing`: as in `store.whole_folder`."""
    draw = functools.partial(report.draw, comparison)
    return store.save(comparison, folder, draw=draw, overwrite=overwrite, replacing=replacing)
