"""The words of a report: what was compared, on what, and by which protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ascribe.measures import words_of
from ascribe.setup import in_words, told
from ascribe.statistics import main_score

from .base import Comparison


def title(comparison: Comparison) -> str:
    """The headline: how many rules, on which data."""
    count = len(comparison.runs)
    where = f"{comparison.data.name}, in {len(comparison.folds)} folds" if comparison.folds else comparison.data.name
    return f"{count} learning {'rule' if count == 1 else 'rules'} on {where}"


def statement(comparison: Comparison) -> list[str]:
    """Sentences that say what was compared and how; a claim is made only where the comparison bears it out."""
    return [_setting(comparison), _protocol(comparison)]


def _setting(comparison: Comparison) -> str:
    data, configuration, names = comparison.data, comparison.configuration, list(comparison.runs)
    sizes = list(summary(comparison)["sizes"].values())
    task = f"{data.task} of {len(data.class_names)} classes" if data.task == "classification" else data.task
    network = in_words(configuration.get("network"))
    details = told(configuration)
    understood = summary(comparison).get("understood")
    details += f", in each of {len(comparison.folds)} folds" if comparison.folds else ""
    target = f" Its target is {understood['target']} ({understood['target_chosen']})." if understood else ""
    return (
        f"Compared: {f'{len(names)} learning rules' if len(names) > 8 else listed(names)}. Each trained "
        f"{f'the network “{network}”' if network else 'the same network'} on {data.name} ({task}; {sizes[0]:,} "
        f"examples to train, {sizes[1]:,} to validate, {sizes[2]:,} to test){details}.{target}"
    )


def _protocol(comparison: Comparison) -> str:
    sets = {tuple(dict.fromkeys(runs.seeds)) for runs in comparison.runs.values()}
    seeds = next(iter(sets), ())
    paired = len(sets) == 1
    words = [
        f"Every rule ran with the same {_count(len(seeds), 'seed')}, and one seed gives every rule the same initial "
        "weights and batches, so differences are taken seed by seed" + (" in every fold." if comparison.folds else ".")
        if paired
        else "The rules ran with different sets of seeds; differences are taken over the seeds that two rules share."
    ]
    tuning = (comparison.folds[0] if comparison.folds else comparison).tuning or {}
    budgets = {np.shape(tuned.scores)[:2] for tuned in tuning.values()}
    if tuning and len(budgets) == 1 and set(tuning) >= set(comparison.runs):
        candidates, tuning_seeds = next(iter(budgets))
        words.append(
            f"The tuning budget was equal: {_count(candidates, 'candidate')} a rule, {_count(tuning_seeds, 'seed')} "
            f"each, chosen by {_chosen_by(comparison)}."
        )
    elif tuning:
        words.append(
            f"Hyperparameters were chosen by {_chosen_by(comparison)}, with equal budgets; rules that force them were not "
            "tuned."
            if len(budgets) == 1
            else f"Hyperparameters were chosen by {_chosen_by(comparison)}; the tuning budgets of the rules differ."
        )
    else:
        words.append("Nothing was tuned: the rules ran with the hyperparameters that they were given.")
    notes = [note for runs in comparison.runs.values() for note in runs.notes]
    if any(word in note for note in notes for word in ("forced", "changed by the rule", "encoded by the rule")):
        words.append("Where the notes say so, a rule ran with a network, inputs or settings of its own instead.")
    if comparison.folds:
        words.insert(
            0,
            f"All examples were divided into {len(comparison.folds)} parts, and each part was the test split of one fold. In "
            "every fold everything was done anew with the other parts alone: means and scales, tuning, training.",
        )
    words.append(f"{'Every' if comparison.folds else 'The'} test split was used once, for the scores on this page.")
    return " ".join(words)


def _chosen_by(comparison: Comparison) -> str:
    """What decided on validation, where it was the same for all rules."""
    if not comparison.configuration.get("score"):
        return "validation score"
    return words_of(main_score(comparison, "validation"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: Sequence[str]) -> str:
    """Names with commas between, and an "and" before the last."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def summary(comparison: Comparison) -> Mapping[str, Any]:
    """What the data set said of itself when it was used: the recorded summary, since large data is not kept."""
    return comparison.configuration.get("data") or comparison.data.summary()


def facts(comparison: Comparison) -> list[tuple[str, str]]:
    """Name and value of what the card and the summary of the data set say, without what they leave empty."""
    card, recorded = comparison.data.card, summary(comparison)
    known = [(name, getattr(card, name, None)) for name in ("source", "license")]
    elsewhere = ("understood", "title", "description", "source", "license", "url", "checksum")
    recorded = {**recorded, "transforms": [transform["name"] for transform in recorded.get("transforms") or ()]}
    if recorded.get("fold"):
        recorded["fold"] = " of ".join(map(str, recorded["fold"]))
    known += [(str(name).replace("_", " "), value) for name, value in recorded.items() if name not in elsewhere]
    known.append(("checksum", recorded.get("checksum") or comparison.data.checksum))
    return [(name, _fact(value)) for name, value in known if value is not None and _fact(value)]


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_fact(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple | np.ndarray):
        shown = ", ".join(_fact(entry) for entry in value[:12])
        return shown if len(value) <= 12 else f"{shown}, … ({len(value)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
