"""What follows a rule's name: `./my_rule.py:MyRule:gain=2`, `fa:scale=0.5`, `relaxed-identity:layers=linear1+linear2`."""

import dataclasses
import re
from typing import Any

from ascribe.errors import UserError, shown

from .base import AbstractRule

YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}
BETWEEN_OPTIONS = re.compile(r"\s*(?:;|,(?=\s*\w+\s*=))\s*")


def parts_of(name: str) -> tuple[str, str, str]:
    """A rule's name or file, the class in a file, and what follows: `./my_rule.py`, `MyRule`, `gain=2`."""
    for ending in (".py", ".json"):
        if name.endswith(ending) or f"{ending}:" in name:
            at = name.rindex(f"{ending}:") + len(ending) if f"{ending}:" in name else len(name)
            attribute, colon, inline = name[at + 1 :].partition(":")
            return (name[:at], attribute, inline) if colon or "=" not in attribute else (name[:at], "", attribute)
    place, _, inline = name.partition(":")
    return place, "", inline


def read(
    place: str, rule_class: type[AbstractRule], text: str, *, only: tuple[str, ...] | None = None
) -> tuple[dict[str, Any], str]:
    """The options in `scale=0.5;kind=uniform`, each of the kind that its field wants; with `only`, those alone, and the text of
    all others.

    **Arguments:** `place`: the rule as it was named, for the sentences; `rule_class`: whose fields they are.
    """
    known = {field.name: field for field in dataclasses.fields(rule_class) if field.init}
    found, left = {}, []
    for part in filter(None, BETWEEN_OPTIONS.split(text.strip())):
        option, equals, value = (one.strip() for one in part.partition("="))
        if only is not None and option not in only:
            left.append(part)
            continue
        if not (equals and value):
            raise UserError(f"options of a rule are written as {place}:NAME=VALUE,NAME=VALUE; got {shown(text)}.")
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise UserError(f"the rule {place} has no option {option!r}: {has}.")
        if option in found:
            raise UserError(f"the option {option} of the rule {place} is given twice: give it once.")
        found[option] = _of_kind(place, known[option], value)
    return found, ";".join(left)


def _of_kind(place: str, field: dataclasses.Field, text: str) -> Any:
    """The value of an option as its field wants it: yes or no, several parts, a number or a text. A number outside its
    interval is refused with its name."""
    kinds = re.findall(r"\w+", str(field.type))
    if "bool" in kinds and text.lower() in YES_OR_NO:
        return YES_OR_NO[text.lower()]
    if "bool" in kinds and not {"str", "int", "float"} & set(kinds):
        raise UserError(f"the option {field.name} of the rule {place} is yes or no; got {text!r}.")
    if "tuple" in kinds:
        parts = [] if text == "none" else [number_or_text(part.strip()) for part in text.split("+")]
        whole = lambda one: isinstance(one, int) and "int" not in kinds
        return tuple(float(one) if whole(one) else one for one in parts)
    value = number_or_text(text)
    if "interval" in field.metadata:
        try:
            field.metadata["converter"](value)
        except UserError as error:
            raise UserError(f"in the rule {place}, {error}") from error
    return value


def number_or_text(text: str) -> Any:
    """A number or a text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def value_text(text: str) -> str:
    """A value as names of results tell it: 0.50 and 5e-1 are one, and so are true and yes."""
    value = number_or_text(text.strip())
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(YES_OR_NO.get(str(value).lower(), value))
