"""Which claims of a comparison stand: a verdict for each, in words."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.errors import names_in_words
from ascribe.experiments.comparison import Comparison, load
from ascribe.measures import measure_of, not_measurable, words_of
from ascribe.statistics import hidden_credit, main_score, paired_runs, power, smallest_p_value, summarize

from .price import Price, price
from .sections import Section, scaled

STANDS, FALLS, UNKNOWN = "stands", "does not stand", "cannot be told"
LEVEL, POWER = 0.95, 0.8
"""Of tests, and the probability with which seeds are enough for a difference."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """Something that a comparison says or that its numbers rest on, with the `verdict` (`"stands"`, `"does not stand"` or
    `"cannot be told"`), and `why`."""

    claim: str
    verdict: str
    why: str

    def __str__(self) -> str:
        return f"{self.claim}: {self.verdict} ({self.why})."


@dataclasses.dataclass(frozen=True)
class Inspection:
    """What `inspect` found of a comparison: its `claims`, and the `prices` of its rules."""

    title: str
    claims: tuple[Claim, ...]
    prices: tuple[Price, ...]

    @property
    def sections(self) -> list[Section]:
        """What text and page show."""
        rows = tuple((one.claim, one.verdict, one.why) for one in self.claims)
        told = ("Each claim of the comparison, or what its numbers rest on, with what they say of it.",)
        found = [Section("Which claims stand", told, ("Claim", "Verdict", "Why"), rows)]
        if self.prices:
            sentence = (
                "What training costs until the validation score comes to a share of backpropagation's last one: the median "
                "over seeds, one that never comes there later than all others. Operations are those of the compiled step, "
                "as XLA counts them; seconds are those of one run among all that were trained side by side."
            )
            rows = tuple(_price_row(one) for one in self.prices)
            found.append(Section("The price", (sentence,), ("Rule", "Share", "Epochs", "Operations", "Seconds"), rows))
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return "\n".join([self.title, *map(str, self.claims)])


def inspect(comparison: Comparison | str | Path) -> Inspection:
    """Which claims of a finished comparison stand, and what its rules' scores cost.

    - that a rule differs from the reference: by the adjusted p-value (Holm) of the paired test; where no difference is shown,
      whether the seeds were enough to find one that matters, with the power of the paired t test;
    - that the task with this network can show hidden credit (`statistics.hidden_credit`);
    - that the angles are measurable (not lost in the rounding of backpropagation's gradient);
    - that chosen learning rates lie inside the range that was tuned;
    - that all runs finished.

    **Arguments:** `comparison`: one, or the folder of its record.

    **Raises:** `UserError` where there is no record, or it is damaged.
    """
    if not isinstance(comparison, Comparison):
        comparison = load(comparison)
    parts = (_differences, _hidden_credit, _angles, _rates, _finished)
    claims = tuple(claim for part in parts for claim in part(comparison))
    rules = "one rule" if len(comparison.runs) == 1 else f"{len(comparison.runs)} rules"
    return Inspection(f"The claims of {rules} on {comparison.data.name}", claims, tuple(price(comparison)))


def _differences(comparison: Comparison) -> Iterator[Claim]:
    """Of every rule against the reference."""
    reference = comparison.reference
    score = main_score(comparison)
    for row in summarize(comparison, level=LEVEL):
        if row.rule == reference:
            continue
        claim = f"{row.rule} differs from {reference} in {words_of(score)}"
        kind = "folds" if row.folds else "seeds"
        if row.difference is None or row.adjusted_p_value is None or row.pairs < 2:
            yield Claim(claim, UNKNOWN, f"{row.pairs} {kind} finished under both, and a test takes two at least")
            continue
        told = f"{_amount(row.difference, score)} over {row.pairs} {kind}, adjusted p = {row.adjusted_p_value:.2g}"
        if row.adjusted_p_value <= 1 - LEVEL:
            yield Claim(claim, STANDS, told)
            continue
        pairs = paired_runs(comparison.runs[row.rule], comparison.runs[str(reference)], score)
        spread = float(np.std(pairs.differences, ddof=1))
        if row.stated_difference is None or row.folds or spread <= pairs.rounding:
            yield Claim(claim, FALLS, told)
            continue
        least = smallest_p_value(row.pairs)
        if least > 1 - LEVEL:
            yield Claim(claim, UNKNOWN, f"{told}; no p-value of {row.pairs} seeds can be below {least:.2g}")
            continue
        chance = power(row.stated_difference, spread, row.pairs, level=LEVEL)
        matters = _amount(row.stated_difference, score).lstrip("+")
        if chance >= POWER:
            yield Claim(claim, FALLS, f"{told}; one of {matters} would have been found with probability {chance:.2f}")
        else:
            needed = "" if row.seeds_needed is None else f": {row.seeds_needed} seeds are needed"
            yield Claim(claim, UNKNOWN, f"{told}; one of {matters} is found with probability {chance:.2f}{needed}")


def _hidden_credit(comparison: Comparison) -> Iterator[Claim]:
    found = hidden_credit(comparison, level=LEVEL)
    claim = "this task with this network can show hidden credit"
    gain = "" if found.difference is None else f"backpropagation gains {_amount(found.difference, found.score)} over frozen"
    if found.able is None:
        yield Claim(claim, UNKNOWN, found.reason)
    elif found.able:
        yield Claim(claim, STANDS, f"{gain}, over {found.pairs} pairs")
    else:
        yield Claim(claim, FALLS, f"{found.reason}: {gain}")


def _angles(comparison: Comparison) -> Iterator[Claim]:
    claim = "the angles to backpropagation's gradient are measurable"
    measured = {name: runs.curves for name, runs in comparison.runs.items() if "gradient_angle" in runs.curves}
    if not measured:
        yield Claim(claim, UNKNOWN, "none were measured")
        return
    lost = {name: found for name, curves in measured.items() if (found := not_measurable(curves))}
    if not lost:
        yield Claim(claim, STANDS, f"in every layer of {_rules(measured)}")
    for name, layers in lost.items():
        told = names_in_words([f"{layer} ({100 * share:.0f} % of epochs)" for layer, share in layers.items()])
        yield Claim(f"{claim} under {name}", FALLS, f"backpropagation's gradient is lost in rounding in {told}")


def _rates(comparison: Comparison) -> Iterator[Claim]:
    claim = "the chosen learning rates lie inside the range that was tuned"
    tunings = [fold.tuning for fold in comparison.folds] or [comparison.tuning]
    tuned = {name for tuning in tunings for name in tuning}
    if not tuned:
        yield Claim(claim, UNKNOWN, "nothing was tuned")
        return
    edges: dict[str, list[str]] = {}
    for name in sorted(tuned):
        chosen = [tuning[name] for tuning in tunings if name in tuning]
        edges[name] = list(dict.fromkeys(f"{one.learning_rate:.3g}" for one in chosen if one.at_edge))
    edge = [f"{name} ({', '.join(rates)})" for name, rates in edges.items() if rates]
    if edge:
        yield Claim(claim, FALLS, f"at an end of it: {names_in_words(edge)}; a wider range may be better")
    else:
        yield Claim(claim, STANDS, f"of all {len(tuned)} that were tuned")


def _finished(comparison: Comparison) -> Iterator[Claim]:
    every = {**comparison.runs, **comparison.controls}
    lost = {name: int(runs.diverged.sum()) for name, runs in every.items()}
    told = [f"{count} of {len(every[name].seeds)} of {name}" for name, count in lost.items() if count]
    if told:
        yield Claim("all runs finished", FALLS, f"diverged and left out of the means: {names_in_words(told)}")
    else:
        yield Claim("all runs finished", STANDS, f"{sum(len(runs.seeds) for runs in every.values())} of them")


def _rules(names: Any) -> str:
    return f"{len(names)} rules" if len(names) > 1 else next(iter(names))


def _amount(value: float, score: str) -> str:
    """A difference of scores: in points where the score is a share."""
    if measure_of(score).percent:
        points = f"{100 * value:+.2g}"
        return f"{points} point{'' if points in ('+1', '-1') else 's'}".replace("-", "−")
    return f"{value:+.3g}".replace("-", "−")


def _price_row(one: Price) -> tuple[str, ...]:
    never = f"not reached by {one.runs - one.reached} of {one.runs}"
    if one.epochs is None:
        return one.rule, f"{100 * one.share:.0f} %", never, "–", "–"
    known = lambda number, unit="": "–" if number is None else f"{scaled(number)}{unit}"
    return one.rule, f"{100 * one.share:.0f} %", f"{one.epochs:g}", known(one.operations), known(one.seconds, "s")
