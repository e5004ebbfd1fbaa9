"""What follows a network's name in a file: `./model.py:Net:width=64,depth=2`."""

import inspect
import re
from typing import Any

from ascribe.errors import UserError, shown
from ascribe.networks import foreign
from ascribe.rules import options

WANTED = {"bool": "yes or no", "int": "an integer", "float": "a number"}
"""Kinds of options by the names of their types, as sentences tell them."""


def options_of(name: str, call: Any, text: str) -> dict[str, Any]:
    """The options of a class or function in `width=64,depth=2`, each of the kind of its annotation or of its default."""
    found: dict[str, Any] = {}
    for part in filter(None, options.BETWEEN_OPTIONS.split(text.strip())):
        option, equals, value = (one.strip() for one in part.partition("="))
        if not (equals and value):
            raise UserError(f"options of a network are written as {name}:NAME=VALUE,NAME=VALUE; got {shown(text)}.")
        if option in found:
            raise UserError(f"the option {option} of the network {name} is given twice: give it once.")
        foreign.check_options(call, name, {option: value})
        argument = foreign.arguments_of_call(call)[0].get(option)
        found[option] = options.number_or_text(value) if argument is None else _of_kind(name, argument, value)
    return found


def _of_kind(name: str, argument: inspect.Parameter, text: str) -> Any:
    """The value of an option as its argument wants it."""
    kinds = _kinds(argument)
    value = options.number_or_text(text)
    if kinds & {"tuple", "list"}:
        return tuple(options.number_or_text(part.strip()) for part in text.split("+"))
    if "bool" in kinds and text.lower() in options.YES_OR_NO:
        return options.YES_OR_NO[text.lower()]
    fits = (
        "str" in kinds,
        "int" in kinds and isinstance(value, int),
        "float" in kinds and isinstance(value, int | float),
    )
    if any(fits) or not kinds & {*WANTED, "str"}:
        return text if kinds & {*WANTED, "str"} == {"str"} else value
    wanted = " or ".join(WANTED[kind] for kind in WANTED if kind in kinds)
    raise UserError(f"the option {argument.name} of the network {name} is {wanted}; got {text!r}.")


def _kinds(argument: inspect.Parameter) -> set[str]:
    """The names of the types that an argument says it has, or that its default is of."""
    if argument.annotation is not argument.empty:
        annotation = argument.annotation
        return set(re.findall(r"\w+", annotation.__name__ if isinstance(annotation, type) else str(annotation)))
    if argument.default is argument.empty or argument.default is None:
        return set()
    kind = type(argument.default).__name__
    return {kind}
