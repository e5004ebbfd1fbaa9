"""The options of data on the command line: what of them `datasets.load` gets, and how sentences spell them."""

import shlex
from collections.abc import Sequence
from typing import Any

from ascribe.errors import UserError, shown

FLAGS = {
    **{name: f"--{name}" for name in ("target", "task", "missing", "ignore", "samples", "noise", "classes", "folds")},
    **{"transforms": "--transform", "seed": "--data-seed"},
}
"""The options about data that have one of their own; the others are a --data-option."""
TEXTS = ("target", "ignore", "separator", "decimal", "thousands", "encoding", "missing_words", "comment", "sheet")
"""Options whose value stays as it is written, also where it looks like a number or a yes."""
YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}


def spelled(name: str, *value: object) -> str:
    """An option of data as it is written on the command line, with a value or without: `ascribe.errors.option`."""
    if not value:
        return FLAGS.get(name, f"--data-option {name}")
    words = value[0]
    if isinstance(words, bool):
        text = "yes" if words else "no"
    else:
        parts = words if isinstance(words, list | tuple) else [words]
        text = ",".join(part if isinstance(part, str) else shown(part) for part in parts)
    return f"{FLAGS[name]} {shlex.quote(text)}" if name in FLAGS else f"--data-option {shlex.quote(f'{name}={text}')}"


def data_options(*, classes: str | None, further: Sequence[str] | None, **flags: Any) -> dict[str, Any]:
    """What of the command line's options goes to `datasets.load`; `further`: each --data-option.

    Raises `UserError` for one that is given twice, or cannot be read.
    """
    given = {name: value for name, value in {**flags, "classes": _classes(classes)}.items() if value is not None}
    for item in further or []:
        name, value = _data_option(item)
        if name in given:
            raise UserError(f"the data option {name} is given twice: give it once.")
        given[name] = value
    return given


def tell(lines: Any, data: Any, folds: int | None = None) -> None:
    """Says what was understood of a table of the user's own, and what folds there are, when training begins: not before a
    refusal."""
    examples = sum(len(split) for _, split in data.splits)
    lines.begin_with(
        [
            *([] if data.understood is None else data.understood.sentences()),
            *([] if folds is None else [f"folds: {folds_told(folds, examples)}"]),
        ]
    )


def folds_told(folds: int, examples: int) -> str:
    """How cross-validation uses the examples."""
    return f"{folds}; each of the {examples:,} examples is tested in one, and every rule is tuned and trained in all"


def _classes(text: str | None) -> int | str | None:
    """A single number as such: how many classes there are; names, which the data set knows, stay text."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise UserError(f"--classes is a list of class numbers as in 3,8 or of names as in cat,dog; got {shown(text)}.")
    return int(text) if len(parts) == 1 and parts[0].isdecimal() and len(parts[0]) < 20 else text


def _data_option(item: str) -> tuple[str, Any]:
    """The name and the value of NAME=VALUE: a number, a bool for yes and no, else a text."""
    name, equals, text = (part.strip() for part in item.partition("="))
    name = name.replace("-", "_")
    if not (name and equals and text):
        raise UserError(f"--data-option is NAME=VALUE as in standardize=yes; got {shown(item)}.")
    if name == "seed":
        raise UserError(f"the seed of the data is --data-seed; got --data-option {item!r}.")
    if name == "classes":
        return name, _classes(text)
    if name in TEXTS:
        return name, text
    if text.lower() in YES_OR_NO:
        return name, YES_OR_NO[text.lower()]
    for kind in (int, float):
        try:
            return name, kind(text)
        except ValueError:
            pass
    return name, text
