"""The two file formats of CIFAR-10: the binary version, and the Python version without unpickling it.

Unpickling a file runs whatever the file says. The Python batches are read here as a fixed layout instead: the
opcodes are listed by `pickletools.genops`, which executes nothing, and only the one sequence that Python 2 wrote
for these batches is accepted.

One image is 3,072 bytes: 1,024 red values, 1,024 green, 1,024 blue, each 32 x 32, row by row.
Source: the description on the CIFAR page of Krizhevsky.
"""

import pickletools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ascribe.errors import UserError

from .images import Images

SIDE, CHANNELS = 32, 3
PIXELS = SIDE * SIDE * CHANNELS
RECORD = 1 + PIXELS  # one label byte, then the pixels
CLASSES = 10

Operation = tuple[str, Any]

# What Python 2 and NumPy 1 wrote between the key "data" and the raw bytes. The three globals are only compared
# as text: nothing is imported. ANY marks the number of images.
ANY = object()
_ARRAY_HEADER: list[Operation] = [
    ("GLOBAL", "numpy.core.multiarray _reconstruct"),
    ("GLOBAL", "numpy ndarray"),
    ("BININT1", 0),
    ("TUPLE1", None),
    ("SHORT_BINSTRING", "b"),
    ("TUPLE3", None),
    ("REDUCE", None),
    ("MARK", None),
    ("BININT1", 1),
    ("BININT2", ANY),
    ("BININT2", PIXELS),
    ("TUPLE2", None),
    ("GLOBAL", "numpy dtype"),
    ("SHORT_BINSTRING", "u1"),
    ("BININT1", 0),
    ("BININT1", 1),
    ("TUPLE3", None),
    ("REDUCE", None),
    ("MARK", None),
    ("BININT1", 3),
    ("SHORT_BINSTRING", "|"),
    ("NONE", None),
    ("NONE", None),
    ("NONE", None),
    ("BININT", -1),
    ("BININT", -1),
    ("BININT1", 0),
    ("TUPLE", None),
    ("BUILD", None),
    ("NEWFALSE", None),
]


class _LayoutError(Exception):
    """The bytes are not the one accepted layout; its text says where."""


def _operations(content: bytes) -> Iterator[Operation]:
    """The opcodes and their arguments, without those that only number what came before."""
    try:
        for opcode, argument, position in pickletools.genops(content):
            if opcode.name in ("BINPUT", "LONG_BINPUT"):
                continue
            if opcode.name == "STOP" and position != len(content) - 1:
                raise _LayoutError("bytes follow its end")
            yield opcode.name, argument
    # genops decodes text on the way, so that damage may show as any of these
    except (ValueError, EOFError, IndexError, OverflowError) as error:
        raise _LayoutError(f"it cannot be read as opcodes: {' '.join(str(error).split())[:80]}") from None
    raise _LayoutError("it ends too early")


def _expect(operations: Iterator[Operation], wanted: str, value: Any = ANY) -> Any:
    """The argument of the next opcode, which must be `wanted` (with the argument `value`)."""
    name, argument = next(operations)
    if name != wanted or (value is not ANY and argument != value):
        shown = name if argument is None else f"{name} {str(argument)[:40]!r}"
        raise _LayoutError(f"it has the opcode {shown} where {wanted} belongs")
    return argument


def _list(operations: Iterator[Operation], item: str) -> tuple[list[Any], Operation]:
    """A list of `item` opcodes, appended in batches, and the first operation after it."""
    _expect(operations, "EMPTY_LIST")
    values: list[Any] = []
    while (following := next(operations))[0] == "MARK":
        while (entry := next(operations))[0] == item:
            values.append(entry[1])
        if entry[0] != "APPENDS":
            raise _LayoutError(f"it has the opcode {entry[0]} inside a list")
    return values, following


def _walk(content: bytes) -> tuple[bytes, list[int]]:
    """The pixel bytes and the labels of a Python batch."""
    operations = _operations(content)
    for opening, value in (("PROTO", 2), ("EMPTY_DICT", None), ("MARK", None)):
        _expect(operations, opening, value)
    pixels, labels, rows = b"", [], -1
    following = next(operations)
    while following[0] == "SHORT_BINSTRING":
        key = following[1]
        if key == "batch_label":
            _expect(operations, "SHORT_BINSTRING")
            following = next(operations)
        elif key == "labels":
            labels, following = _list(operations, "BININT1")
        elif key == "filenames":
            _, following = _list(operations, "SHORT_BINSTRING")
        elif key == "data":
            for name, value in _ARRAY_HEADER:
                argument = _expect(operations, name, value)
                rows = argument if value is ANY else rows
            pixels = _expect(operations, "BINSTRING").encode("latin-1")
            for closing in ("TUPLE", "BUILD"):
                _expect(operations, closing)
            following = next(operations)
        else:
            raise _LayoutError(f"it has the unknown key {key[:40]!r}")
    if following[0] != "SETITEMS":
        raise _LayoutError(f"it has the opcode {following[0]} where SETITEMS belongs")
    _expect(operations, "STOP")
    if rows < 1 or len(pixels) != rows * PIXELS or len(labels) != rows:
        raise _LayoutError(f"it holds {len(pixels)} pixel bytes and {len(labels)} labels")
    return pixels, labels


def _images(pixels: np.ndarray, labels: np.ndarray, name: str) -> Images:
    """Channels moved last, labels checked."""
    if labels.max(initial=0) >= CLASSES:
        raise UserError(f"{name} has labels from 0 to {CLASSES - 1}; got {labels.max()}: download it again.")
    planes = pixels.reshape(-1, CHANNELS, SIDE, SIDE)
    return Images(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def parse_python_batch(content: bytes, name: str) -> Images:
    """The images `(examples, 32, 32, 3)` and labels of a batch of the Python version, nothing executed.

    **Raises:** `UserError` if the bytes are anything but the layout of the published batches.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # genops warns of odd escapes in opcodes that are refused anyway
            pixels, labels = _walk(content)
    except _LayoutError as problem:
        raise UserError(
            f"{name} has the layout of the published CIFAR-10 batches; got another ({problem}): download it again."
        ) from None
    return _images(np.frombuffer(pixels, dtype=np.uint8), np.array(labels, dtype=np.uint8), name)


def parse_binary_batch(content: bytes, name: str) -> Images:
    """The images `(examples, 32, 32, 3)` and labels of a batch of the binary version: records of 3,073 bytes.

    **Raises:** `UserError` if the bytes are not whole records or a label is above 9.
    """
    if not content or len(content) % RECORD:
        raise UserError(f"{name} has whole records of {RECORD} bytes; got {len(content)} bytes: download it again.")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
    return _images(records[:, 1:], records[:, 0], name)
