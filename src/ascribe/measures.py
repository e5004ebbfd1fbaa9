"""What is measured of a network, in one table: which way is better and how it is shown; and how curves and scores are named.

The name of a curve or score is its split's and its measure's: `validation_accuracy`, `test_rmse`; behind it stands
`_before_finish` where the measurement was before a rule's own `finish`. Whatever depends on a score asks this table, and
guesses nothing from names.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ascribe.checks import closest
from ascribe.errors import UserError, shown

SINGLE = 2.0**-23
"""The rounding of single precision: a probability is that far from 0 and 1 at least."""


@dataclass(frozen=True)
class Measure:
    """One number that says how well a network does, or learns.

    - `name`: as it stands in the names of curves and scores;
    - `title`: as it stands inside a heading;
    - `higher_is_better`: which way is better;
    - `percent`: whether it is a share, shown in per cent, its differences in points;
    - `unit`: in words, where it has one.
    """

    name: str
    title: str
    higher_is_better: bool
    percent: bool = False
    unit: str = ""

    def worth(self, values: Any) -> Any:
        """`values` (a number or an array), turned so that higher is better."""
        return values if self.higher_is_better else -values


AREA = "area_under_train_loss"
"""The score that says how fast a rule learns; it belongs to no split."""
LOSS_RATIO = "train_loss_ratio"
"""The curve of the loss that a rule of a user returns, over the mean loss of the same batch."""

MEASURES = {
    one.name: one
    for one in (
        Measure("accuracy", "accuracy", higher_is_better=True, percent=True),
        Measure("balanced_accuracy", "balanced accuracy", higher_is_better=True, percent=True),
        Measure("macro_f1", "macro F1", higher_is_better=True, percent=True),
        Measure("auc", "area under the ROC", higher_is_better=True, percent=True),
        Measure("log_loss", "log loss", higher_is_better=False),
        Measure("rmse", "RMSE", higher_is_better=False, unit="targets' unit"),
        Measure("r2", "R²", higher_is_better=True),
        Measure("loss", "loss", higher_is_better=False),
        Measure(AREA, "area under the training loss", higher_is_better=False, unit="loss times epochs"),
    )
}

SPLITS = {"train": "Training", "validation": "Validation", "test": "Test"}
"""The splits by their names in curves and scores, and in headings."""

MEASURED = (*(f"{split}_" for split in SPLITS), "gradient_", "feedback_angle", "credit_", "area_")
"""How the names of the curves and scores begin that every rule has; a rule's own metrics have other names."""

CLASS_MEASURES = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "log_loss", "loss")
NUMBER_MEASURES = ("rmse", "r2", "loss")
"""What a network can be judged by, where its task is classes and where it is numbers; the main one first."""
WITHOUT_UNIT = NUMBER_MEASURES[1]
"""What counts numbers of unlike units alike."""

_BEFORE_FINISH = "_before_finish"


OVER_FLOOR = "gradient_over_floor/"
"""How the curves begin of the norm of backpropagation's gradient in a layer, in units of the floor of its arithmetic."""


def not_measurable(curves: Mapping[str, Any]) -> dict[str, float]:
    """The layers whose gradient angle and norm ratio were no numbers because backpropagation's gradient was at the floor of its
    arithmetic, with the share of the epochs of all runs in which that was so. (A gradient of zero has no angle either, and is
    none of them.)"""
    import numpy as np  # noqa: PLC0415 - the command line's help reads this file and waits for nothing

    found: dict[str, float] = {}
    for name, values in curves.items():
        known = values[~np.isnan(values)] if name.startswith(OVER_FLOOR) else np.zeros(0)
        if known.size and known.min() <= 1:
            found[name.removeprefix(OVER_FLOOR)] = float(np.mean(known <= 1))
    return found


def measures_of(task: str) -> tuple[str, ...]:
    """The names of what a network of this task can be judged by, the main one first."""
    return NUMBER_MEASURES if task == "regression" else CLASS_MEASURES


def measure_for(task: str, name: Any = None) -> Measure:
    """What decides which network or rule is the best: the measure of that name (dashes may stand for underscores), by default
    the RMSE in regression, else the accuracy.

    **Raises:** `UserError` where the task has no such measure.
    """
    known = measures_of(task)
    if name is None:
        return MEASURES[known[0]]
    plain = name.replace("-", "_") if isinstance(name, str) else name
    if not isinstance(plain, str) or plain not in known:
        meant = "".join(f"did you mean {one}, or " for one in closest(plain, known))
        raise UserError(
            f"`score` is what networks are judged by, for {task} one of {', '.join(known)}; got {shown(name)}: {meant}leave it "
            f"out for {known[0]}."
        )
    return MEASURES[plain]


def main_among(names: Collection[str], split: str) -> Measure:
    """The main measure of the task whose curves or scores have these names, on this split."""
    return next(MEASURES[known[0]] for known in (CLASS_MEASURES, NUMBER_MEASURES) if score_name(split, known[0]) in names)


def main_score(task: str, split: str = "test", name: str | None = None) -> str:
    """The name of the main measure's score, or curve, on a split; of the measure with that name, where one was chosen."""
    return score_name(split, measure_for(task, name).name)


def score_name(split: str, measure: str) -> str:
    """The name of a measure's score, or curve, on a split."""
    return f"{split}_{measure}"


def before_finish(score: str) -> str:
    """The name of the same score before the rule's own `finish`."""
    return f"{score}{_BEFORE_FINISH}"


def measure_of(score: str) -> Measure:
    """What a score or curve of this name measures.

    **Raises:** `UserError` where the table has no such measure, so that it is not known which way is better.
    """
    return _parts(score)[1]


def title_of(score: str) -> str:
    """The name of a score or curve as a heading, without a unit."""
    split, measure = _parts(score)
    title = f"{SPLITS[split]} {measure.title}" if split else measure.title[0].upper() + measure.title[1:]
    return f"{title} before finish" if score.endswith(_BEFORE_FINISH) else title


def words_of(score: str) -> str:
    """The name of a score or curve inside a sentence."""
    title = title_of(score)
    return title[0].lower() + title[1:]


def _parts(score: str) -> tuple[str, Measure]:
    """The split (empty where the name has none) and the measure."""
    name = score.removesuffix(_BEFORE_FINISH)
    split, _, rest = name.partition("_")
    split, name = (split, rest) if split in SPLITS else ("", name)
    if name not in MEASURES:
        *others, last = (known for known in MEASURES if known != AREA)
        example = score_name("test", last)
        raise UserError(
            f"`score` is one of which it is known which way is better; got {score!r}: take {', '.join(others)} or {last}, "
            f"as in {example} or {before_finish(example)}, or {AREA}."
        )
    return split, MEASURES[name]


def constant_score(data: Any, measure: str) -> tuple[str, float] | None:
    """What is reached without looking at the inputs, in words and as a score of that measure: by always answering with the
    training split's most common class, its classes' shares, or its mean. Of data whose examples were not kept, by guessing
    one class of all. None where nothing constant is known: of numbers that were not kept, and of the loss, which may be any."""
    import numpy as np  # noqa: PLC0415 - the command line's help reads this file and waits for nothing

    if not len(data.test.inputs):
        chance = 1.0 / max(len(data.class_names), 1)
        guessed = {"accuracy": chance, "balanced_accuracy": chance, "auc": 0.5}.get(measure)
        return ("Guessing the class", guessed) if guessed and data.task != "regression" and data.class_names else None
    seen, asked = np.asarray(data.train.targets), np.asarray(data.test.targets)
    if data.task == "regression":
        return _constant_number(data, seen, asked, measure)
    classes, counts = np.unique(seen, return_counts=True)
    most = classes[counts.argmax()]
    share, present = float(np.mean(asked == most)), len(np.unique(asked))
    named = {
        "accuracy": share,
        "balanced_accuracy": (share > 0) / present,
        "macro_f1": 2.0 * share / (1.0 + share) / (present + (share == 0)),
    }
    if measure in named:
        return "Always naming the most common class", named[measure]
    if measure == "auc" and present > 1:
        return "The same probabilities for every example", 0.5
    if measure == "log_loss":
        known = dict(zip(classes.tolist(), counts / len(seen), strict=True))
        shares = np.array([known.get(label, 0.0) for label in asked.tolist()]).clip(SINGLE, 1.0 - SINGLE)
        return "Giving every class its share of the training examples", float(-np.log(shares).mean())
    return None


def _constant_number(data: Any, seen: Any, asked: Any, measure: str) -> tuple[str, float] | None:
    import numpy as np  # noqa: PLC0415 - as above

    errors = np.mean((asked - seen.mean(axis=0, dtype=np.float64)) ** 2, axis=0)
    variances, words = asked.var(axis=0, dtype=np.float64), "Always answering with the mean of the training targets"
    if measure == "rmse":
        scale = 1.0 if data.target_scale is None else np.asarray(data.target_scale)
        return words, float(np.sqrt(np.mean(errors * scale**2)))
    if measure == "r2" and np.all(variances > 0):
        return words, float(np.mean(1.0 - errors / variances))
    return None
