"""A card in words: its sections, which text and page show alike."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .needs import SOURCES, Needs

if TYPE_CHECKING:
    from .card import Card, Estimate, Priced

NOT_MEASURABLE = "–"
UNITS = (
    ("operations", "Operations an example"),
    ("bytes", "Bytes a step"),
    ("peak", "Peak memory"),
    ("seconds", "Time a step"),
)


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a card: its `title`, what is said of it, and a table, which may have no rows."""

    title: str
    sentences: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def sections_of(card: "Card") -> list[Section]:
    """The sections of a card, in their order, without those that were not asked for."""
    made = (
        _needs(card),
        _properties(card),
        _chain(card),
        _cost(card),
        _quality(card),
        _noise(card),
        _limit(card),
        _notes(card),
    )
    return [one for one in made if one is not None]


def text_of(card: "Card") -> str:
    """The card as plain text."""
    parts = [f"The card of {card.rule}", *card.head]
    for section in card.sections:
        parts += ["", section.title.upper(), *section.sentences, *_aligned([section.columns, *section.rows])]
    return "\n".join(parts)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    if len(rows) < 2:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def groups_of(needs: Needs) -> list[tuple[str, frozenset[str]]]:
    """Layers with what they need; neighbors that need the same are one, "linear2 to linear7"."""
    found: list[tuple[str, str, frozenset[str]]] = []
    for name, sources in needs.layers.items():
        if found and found[-1][2] == sources:
            found[-1] = (found[-1][0], name, sources)
        else:
            found.append((name, name, sources))
    return [(first if first == last else f"{first} to {last}", sources) for first, last, sources in found]


def _needs(card: "Card") -> Section | None:
    if card.needs is None:
        return None
    groups = groups_of(card.needs)
    rows = [(source, *("yes" if source in found else "no" for _, found in groups)) for source in SOURCES]
    wrong = [f"{source} of {name}" for name, found in card.needs.checked.items() for source, same in found.items() if not same]
    sentences = [
        "What the credit of each layer is made of, beside what flowed through the forward pass: read from the rule's program.",
        "Every “no” was checked by numbers: with that source alone perturbed, the layer's credit stayed the same to the bit."
        if not wrong
        else f"The numbers contradict the program for {', '.join(wrong)}: please report this.",
    ]
    sentences += [f"What it keeps as {name} is made of {listed(found)}." for name, found in card.needs.kept.items() if found]
    return Section("What it needs to know", tuple(sentences), ("Source", *(name for name, _ in groups)), tuple(rows))


def listed(sources: Iterable[str]) -> str:
    """Sources in their order, with commas between."""
    known = {*sources}
    return ", ".join(source for source in SOURCES if source in known)


def _properties(card: "Card") -> Section | None:
    if card.needs is None:
        return None
    told = ("What follows from it, in the words of the literature.",)
    return Section("In the literature's words", told, ("Property", "Answer"), tuple(card.needs.properties.items()))


def _chain(card: "Card") -> Section | None:
    return Section("The chain", (chain_told(card.chain),)) if card.chain else None


def chain_told(chain: Mapping[int, int]) -> str:
    """How many products follow one another, in a sentence."""
    counts = [f"{length} at {depth}" for depth, length in chain.items()]
    what = "Matrix products that must follow one another once the output is known"
    if len({*chain.values()}) == 1 and len(chain) > 1:
        return f"{what}: {next(iter(chain.values()))} at any depth."
    return f"{what}, by the number of hidden layers: {', '.join(counts)}."


def _cost(card: "Card") -> Section | None:
    if not card.cost:
        return None
    own = card.cost[0]
    sentences = [
        "One step by plain SGD, compiled for this machine: floating-point operations as XLA counts them, a loop as often as it "
        "runs; bytes that its instructions read and write; memory that it needs at once. Behind each number, how many times "
        "backpropagation's on the same network."
    ]
    if own.ours.at_least:
        sentences.append("A loop of unknown length is in it, and counted once: operations and bytes are at least these.")
    kept = "nothing" if not own.ours.kept else f"{scaled(own.ours.kept)}B"
    sentences.append(
        f"From step to step it keeps {kept} for every training example, and {_own(own.ours.state)} beside the network."
    )
    known = [one for one in UNITS if all(getattr(row.ours, one[0]) is not None for row in card.cost)]
    rows = [(_network(row), *(_priced(row, name) for name, _ in known)) for row in card.cost]
    return Section("What it costs", tuple(sentences), ("Network", *(title for _, title in known)), tuple(rows))


def _own(size: int) -> str:
    return f"{scaled(size)}B" if size else "nothing"


def _network(row: "Priced") -> str:
    return f"{row.depth} of {row.width}" if row.depth > 3 else row.network


def _priced(row: "Priced", name: str) -> str:
    ours, ratio = row.ours, row.ratio(name)
    shown: dict[str, Callable[[], str]] = {
        "operations": lambda: scaled(ours.operations_an_example),
        "bytes": lambda: f"{scaled(ours.bytes)}B",
        "peak": lambda: f"{scaled(ours.peak or 0)}B",
        "seconds": lambda: f"{scaled(ours.seconds or 0)}s",
    }
    return shown[name]() + ("" if ratio is None else f" ({ratio:.2f} ×)")


def _quality(card: "Card") -> Section | None:
    if not card.quality:
        return None
    sentence = (
        "Angle to backpropagation's gradient in degrees, and behind it the norm over its norm, on one batch at the initial "
        "weights: of chains of so many hidden layers, in the lowest layer, the middle one, the highest hidden one, the output "
        "layer, and over all parameters."
    )
    told = lambda one, name: f"{_angle(one.angles[name])} ({_ratio(one.norm_ratios[name])})"
    return Section("How good its credit is", (sentence,), PLACES, _by_place(card.quality, told))


def _noise(card: "Card") -> Section | None:
    """Signal-to-noise ratio and bias."""
    if not any(one.snr for one in card.quality):
        return None
    sentence = (
        "Signal-to-noise ratio of one step's credit c over the rule's own randomness and over batches, ‖E c‖² over the trace "
        "of its covariance, and behind it the bias, ‖E (c − g)‖ over ‖E g‖, g backpropagation's gradient: in the same layers."
    )
    told = lambda one, name: f"{_ratio(one.snr[name])} ({_ratio(one.bias[name])})"
    return Section("How noisy and how biased it is", (sentence,), PLACES, _by_place(card.quality, told))


PLACES = ("Hidden layers", "Lowest", "Middle", "Highest hidden", "Output", "All")


def _by_place(found: Sequence["Estimate"], told: Callable[["Estimate", str], str]) -> tuple[tuple[str, ...], ...]:
    """A row for each depth, with what is told of the layers at `PLACES`."""
    rows = []
    for one in found:
        names = [name for name in one.angles if name != "total"]
        places = (names[0], names[(len(names) - 1) // 2], names[max(0, len(names) - 2)], names[-1], "total")
        rows.append((str(one.depth), *(told(one, name) for name in places)))
    return tuple(rows)


def _angle(degrees: float) -> str:
    return f"{degrees:.1f}°" if math.isfinite(degrees) else NOT_MEASURABLE


def _ratio(value: float) -> str:
    return "∞" if value == math.inf else f"{value:.3g}" if math.isfinite(value) else NOT_MEASURABLE


def _limit(card: "Card") -> Section | None:
    return None if card.limit is None else Section("Its limit", (str(card.limit),))


def _notes(card: "Card") -> Section | None:
    told = tuple(f"{note[:1].upper()}{note[1:]}." for note in card.notes)
    return Section("Notes", told) if told else None


def scaled(number: int | float) -> str:
    """A number in three digits with the prefix of its size, ready for a unit: `18.4 k`, `25.2 M`, `1.3 m`, `512 `."""
    if not number:
        return "0 "
    power = min(max(math.floor(math.log10(abs(number)) / 3), -3), 4)
    text = f"{number / 1000**power:.3g}"
    if text in ("1e+03", "-1e+03"):
        power, text = power + 1, text.replace("1e+03", "1")
    return f"{text} {dict(zip(range(-3, 6), ('n', 'µ', 'm', '', 'k', 'M', 'G', 'T', 'P'), strict=True))[power]}"
