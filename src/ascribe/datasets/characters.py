"""Characters as classes with names, and texts that are new to a data set as the windows that its networks take."""

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from ascribe.errors import UserError, shown

from .sequences import one_hot

SPACE = "space"


def one_newline(text: str) -> str:
    """The text with the ends of its lines as one character, however they are written."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def class_of(character: str) -> str:
    """A character as the name of a class: those that nobody sees by a word or an escape.

    >>> [class_of(character) for character in "a \\n"]
    ['a', 'space', '\\\\n']
    """
    if character.isprintable():
        return SPACE if character == " " else character
    return repr(character)[1:-1]


def character_of(name: str) -> str:
    """The character of which `class_of` made that name."""
    if len(name) == 1:
        return name
    return " " if name == SPACE else str(ast.literal_eval(f"'{name}'"))


def rows_of_texts(texts: Any, name: str, class_names: Sequence[str], shape: tuple[int, ...]) -> Any:
    """One-hot windows `(rows, *shape)` of texts, of each its last characters; what is no text and no list of some as it is.

    **Arguments:** `name`, `class_names`, `shape`: of the data set and its inputs.

    **Raises:** `UserError` for a text that is shorter than a window, or has a character that was not there in training.
    """
    texts = [texts] if isinstance(texts, str) else texts.tolist() if isinstance(texts, np.ndarray) else texts
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        return texts
    window = int(np.prod(shape)) // len(class_names)
    codes = {character_of(known): code for code, known in enumerate(class_names)}
    rows = []
    for text in map(one_newline, texts):
        if len(text) < window:
            raise UserError(
                f"new texts of {name} have at least {window} characters, as many as a window; got {shown(text)}: give more."
            )
        unknown = [character for character in text[-window:] if character not in codes]
        if unknown:
            raise UserError(
                f"new texts of {name} are of its {len(codes)} characters; got {shown(unknown[0])} in {shown(text)}: replace it."
            )
        rows.append([codes[character] for character in text[-window:]])
    return one_hot(np.array(rows, dtype=np.int64).reshape(len(rows), window), len(codes)).reshape(len(rows), *shape)
