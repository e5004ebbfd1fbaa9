"""The rules that training is asked for, by the names that results have."""

from collections.abc import Mapping, Sequence
from typing import Any

from ascribe import rules
from ascribe.datasets import DataLike, Dataset, as_dataset
from ascribe.errors import UserError, shown
from ascribe.rules import AbstractRule, hooks

RuleLike = str | AbstractRule | type[AbstractRule]
"""A rule, its name, or its class where that needs no options."""
Rules = Sequence[RuleLike] | Mapping[str, RuleLike]
"""Several rules: names, rules or classes, or a mapping that gives them names of their own."""


def check_data(data: DataLike) -> Dataset:
    """The data set of whatever was given as data; a `UserError` where there is none, or it has no examples."""
    data = as_dataset(data)
    if not len(data.train):
        raise UserError(f"the data set {data.name} has no examples, as in a record that leaves large data out: load it anew.")
    return data


def check_rule(rule: AbstractRule, name: str, data: Dataset) -> None:
    """A `UserError` where `rule` is no rule or cannot do the data's task."""
    if not isinstance(rule, AbstractRule):
        raise UserError(f"a rule is a name or an ascribe.rules.AbstractRule; got {type(rule).__name__}.")
    hooks.check_attributes(rule, name)
    if data.task not in rule.tasks:
        two = data.task == "classification" and "binary" in rule.tasks
        raise UserError(
            f"the rule {name} cannot do {data.task} ({data.name}): it does {', '.join(rule.tasks)}; "
            f"leave it out or choose {'two of the classes' if two else 'other data'}."
        )


def named_rule(given: Any) -> tuple[str, Any]:
    """The name that results have, and the rule, of a name, a class or a rule."""
    rule = rules.made(given)
    return rules.full_name(given) if isinstance(given, str) else rules.name_of(rule), rule


def named_rules(given: Rules, data: Dataset) -> dict[str, AbstractRule]:
    """The rules by the names that results have, each fit for the data's task; a `UserError` where one is named twice."""
    check_data(data)
    if not isinstance(given, Sequence | Mapping) or isinstance(given, str) or not given:
        raise UserError(
            f"`rules` is a list of at least one rule or name; got {shown(given)}: leave it out for one of each kind, give "
            f"'all' for every one, or list them with `ascribe rules`."
        )
    found: dict[str, AbstractRule] = {}
    for label, one in given.items() if isinstance(given, Mapping) else [(None, one) for one in given]:
        name, rule = named_rule(one)
        name = label or name
        if name in found:
            raise UserError(
                f'the rule {name} is named twice: name each rule once, or give names of your own, {{"a name": rule}}.'
            )
        check_rule(rule, name, data)
        found[name] = rule
    return found
