"""The kinds of a record's JSON values, asked before anything is made of them: checksums tell of records that have one."""

from collections.abc import Mapping
from typing import Any

NUMBER = (int, float)
ANY = "any name"
"""Stands for all names of a mapping."""
SIZES = {"train": int, "validation": int, "test": int}
UNDERSTOOD = {
    **dict.fromkeys(("target", "target_chosen", "task", "task_chosen"), str),
    **dict.fromkeys(("rows", "dropped", "filled"), int),
    "columns": [{"name": str, "role": str, "holds": str, "missing": int}],
    "classes": {ANY: int},
    "notes": [str],
}
SUMMARY = {
    "sizes": SIZES,
    "transforms?": [{"name": str}],
    "augmentations?": [str],
    "checksum?": str,
    "url?": str,
    "fold?": [int],
    "understood?": UNDERSTOOD,
}
RULE = {
    "file": str,
    "seeds": [int],
    "hyperparameters": {ANY: NUMBER},
    "seconds": NUMBER,
    "compile_seconds": NUMBER,
    "notes": [str],
    "network": str,
    "layers?": {ANY: {"file": str, "source": str}},
    "score?": str,
    "tuning?": {"chosen": int, "at_edge": bool, "seeds": [int], "seconds": NUMBER},
}
RECORD = {
    "configuration": {"data?": SUMMARY, "score?": str, "left_out?": {ANY: str}, "original_names?": {ANY: str}},
    "data": SUMMARY,
    "rules": {ANY: RULE},
    "controls?": {ANY: RULE},
    "files": {ANY: str},
}
JOINED = {ANY: {"folds": [int], "seeds": [int]}}
FOLDED = RECORD | {"folds": int, "rules": JOINED, "controls?": JOINED}
"""What is made use of without being asked again; a name with ? may be missing, or its value null."""


def misfit(value: Any, shape: Any, name: str = "") -> str | None:
    """The name of the first value that is of another kind than `shape` says; None where there is none."""
    if isinstance(shape, list):
        parts = [(one, shape[0], name) for one in value] if isinstance(value, list) else None
    elif isinstance(shape, dict):
        parts = _fields(value, shape, name) if isinstance(value, Mapping) else None
    elif isinstance(value, bool) and shape is not bool:
        parts = None
    else:
        parts = [] if isinstance(value, shape) and _is_finite(value) else None
    if parts is None:
        return name
    return next((found for part in parts if (found := misfit(*part)) is not None), None)


def _fields(value: Mapping[str, Any], shape: Mapping[str, Any], name: str) -> list[tuple[Any, Any, str]]:
    """The values of a mapping, each with its shape and name."""
    if ANY in shape:
        return [(one, shape[ANY], f"{name}[{key!r}]") for key, one in value.items()]
    fields = []
    for key, one in shape.items():
        plain = key.removesuffix("?")
        if plain == key or value.get(plain) is not None:
            fields.append((value.get(plain), one, f"{name}.{plain}".strip(".")))
    return fields


def _is_finite(value: Any) -> bool:
    """Whether it is no whole number beyond all floating-point ones."""
    try:
        return not isinstance(value, int) or abs(float(value)) >= 0
    except OverflowError:
        return False
