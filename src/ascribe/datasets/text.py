"""The next character of a text file of the user's own."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checks import at_least, refusal
from ascribe.errors import UserError, option, shown
from ascribe.memory import check_room

from .base import Card, Dataset, Split
from .characters import class_of, one_newline
from .delimited import decode, unpacked
from .downloads import read_bytes
from .options import MINIMUM_EXAMPLES, Option, ask, suggest, whole_number
from .sequences import one_hot
from .sources import check_encoding, check_there
from .splits import TEST_FRACTION, VALIDATION_FRACTION
from .understood import TEXT, Understood

LARGEST = 2**26
"""A text has at most so many bytes."""
ALPHABET = 256
"""A text has at most so many different characters."""
WINDOWS = 10_000
"""So many windows are taken where a text has more and nobody says how many."""
_WORK = 40  # bytes for each character of a window, while it becomes one-hot


def text(path: Any, *, seed: int = 0, window: Option = 16, samples: Option = None, encoding: Option = None) -> Dataset:
    """The next character of a text: each example is a window of its characters, the label is the character that follows.

    Inputs have shape `(examples, window, alphabet)`, one-hot; the classes are the characters of the whole text in the order
    of their code points. Train, validation and test are contiguous pieces of the text, its first 70 %, the next 15 % and the
    last 15 %. Every window lies in one of them with the character that follows it, so that no two splits share a place of
    the text. (They may share words: a text repeats itself.) The end of a line is one character, however it is written.
    `Dataset.prepare`, and so a model's `predict`, takes new texts, each as long as a window or longer.

    **Arguments:**

    - `path`: of a text file, packed with gzip or not, of at most 64 MiB and 256 different characters.
    - `window`: how many characters one sees.
    - `samples`: how many windows, of the pieces in proportion to their lengths, chosen at random by the seed; by default
      all that there are, but at most 10,000.
    - `encoding`: of the text; by default UTF-8, or what its first bytes say.

    **Raises:** `UserError`, one sentence, if it is no such text.
    """
    window = ask(partial(at_least, 1, most=LARGEST), "window", window, 16)
    check_encoding(encoding)
    path = Path(path)
    _check_size(path, check_there(path, "text"))
    found = decode(unpacked(read_bytes(path), path, _check_size), path, encoding, instead="a file of plain text")
    characters = np.frombuffer(one_newline(found).encode("utf-32-le", "replace"), dtype="<u4")
    alphabet = np.unique(characters)
    _check_alphabet(path, alphabet)
    places = _pieces(len(characters))
    counts = _window_counts(path, places, window, samples)
    total = sum(counts)
    advice = f"choose fewer with {option('samples')}, or a smaller {option('window')}"
    check_room(f"{total:,} windows of {path}", total * window * (4 * len(alphabet) + _WORK), advice)
    generator, parts = np.random.default_rng(seed), []
    for (begin, end), count in zip(places, counts, strict=True):
        starts = begin + np.sort(generator.choice(end - begin - window, count, replace=False))
        codes = np.searchsorted(alphabet, characters[starts[:, None] + np.arange(window + 1)])
        parts.append(Split(one_hot(codes[:, :-1], len(alphabet)), codes[:, -1]))
    names = tuple(class_of(chr(point)) for point in alphabet)
    return Dataset(
        (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem,
        "binary" if len(names) == 2 else "classification",
        *parts,
        class_names=names,
        card=_card(path, len(characters), total, window, len(names)),
        understood=_understood(places, counts, window, names, parts),
    )


def _check_size(path: Path, size: int) -> None:
    """Refuse a text without characters, or with too many."""
    if size == 0:
        raise UserError(f"{path} is a text whose characters are learned; got an empty file: give one with text in it.")
    if size > LARGEST:
        raise UserError(f"{path} is a text of at most {LARGEST / 2**20:.0f} MiB; got more: give a part of it.")


def _check_alphabet(path: Path, alphabet: np.ndarray) -> None:
    """Refuse what has no different characters, or too many."""
    if len(alphabet) < 2:
        got = f"{shown(chr(alphabet[0]))} alone" if len(alphabet) else "none"
        raise UserError(f"{path} is a text of at least two different characters; got {got}: give another one.")
    if len(alphabet) > ALPHABET:
        raise UserError(
            f"{path} is a text of at most {ALPHABET} different characters, each of which becomes a class; got "
            f"{len(alphabet):,}: give one in an alphabet, or with its rare characters replaced."
        )


def _pieces(length: int) -> list[tuple[int, int]]:
    """Where train, validation and test begin and end in a text of that length."""
    test = length - round(TEST_FRACTION * length)
    validation = test - round(VALIDATION_FRACTION * length)
    return [(0, validation), (validation, test), (test, length)]


def _window_counts(path: Path, places: list[tuple[int, int]], window: int, samples: Option) -> list[int]:
    """How many windows each piece gives: so many `samples` together, each its share of the windows that it has."""
    length = places[-1][1]
    there = [end - begin - window for begin, end in places]
    every = sum(there)
    if min(there) < 1 or every < MINIMUM_EXAMPLES:
        least = _least_length(window)
        fitting = min((length - MINIMUM_EXAMPLES) // 3, min(end - begin for begin, end in places) - 1)
        advice = f", or {suggest('window', fitting)}" if fitting > 0 else ""
        raise UserError(
            f"{path} is a text of at least {least:,} characters, so that train, validation and test have windows of {window:,} "
            f"and their next character; got {length:,}: give a longer one{advice}."
        )
    if samples is None:
        samples = min(every, WINDOWS)
    samples = whole_number("samples", samples, minimum=MINIMUM_EXAMPLES)
    if samples > every:
        wanted = f"at most {every}, all windows that there are"
        raise refusal(option("samples"), wanted, shown(samples), suggest("samples", every))
    validation, test = (min(one, max(1, round(samples * one / every))) for one in there[1:])
    return [samples - validation - test, validation, test]


def _least_length(window: int) -> int:
    """How many characters a text has at least for windows of that length."""
    length = MINIMUM_EXAMPLES + 3 * window
    length = max(length, int(window / VALIDATION_FRACTION))
    while any(end - begin <= window for begin, end in _pieces(length)):
        length += 1
    return length


def _card(path: Path, length: int, total: int, window: int, alphabet: int) -> Card:
    return Card(
        title=path.name,
        description=(
            f"Windows of {window} characters, one-hot, and the character that follows each, from a text of {length:,} "
            f"characters, {alphabet} different ones."
        ),
        source=str(path),
        license="Not stated; that of the file",
        url="",
        task="binary" if alphabet == 2 else "classification",
        size=f"{total:,} windows of {window} × {alphabet}, time × features",
    )


def _understood(
    places: list[tuple[int, int]], counts: list[int], window: int, names: tuple[str, ...], parts: list[Split]
) -> Understood:
    """What was understood of the text."""
    there = sum(end - begin - window for begin, end in places)
    total = sum(counts)
    labels = np.bincount(np.concatenate([part.targets for part in parts]), minlength=len(names))
    ends = ", ".join(f"{begin + 1:,} to {end:,}" for begin, end in places)
    notes = [f"characters: {places[-1][1]:,}, {len(names)} different ones; train, validation and test are {ends}"]
    if total < there:
        notes.insert(0, f"{total:,} of {there:,} windows were chosen; {option('samples', there)} takes all")
    return Understood(
        target="the next character",
        target_chosen=f"after a window of {window}",
        task="binary" if len(names) == 2 else "classification",
        task_chosen="one class a character",
        rows=total,
        classes=dict(zip(names, labels.tolist(), strict=True)),
        notes=tuple(notes),
        kind=TEXT,
    )
