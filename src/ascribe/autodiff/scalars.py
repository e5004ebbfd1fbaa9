"""Graphs of single numbers, evaluated again: what does not depend on each other is computed as one array.

A graph of numbers costs Python some microseconds for every `Op`. The `Op`s of one operator at one depth (1 + the depth of the
deepest argument) do not depend on each other, so that all of them are one operation on arrays, there and back, with the same
functions and the same table of rules. Only a graph that is evaluated with new values gains by it: sorting it takes as long as a
walk or two.
"""

from collections import defaultdict, deque
from itertools import repeat
from typing import Any

import numpy as np

from .derivatives import rule
from .variable import Operator, Var, order

SMALLEST = 1000
"""Graphs of fewer variables are walked one by one."""

NARROWEST = 4
"""So are those with fewer `Op`s than this in a group, on average: a chain has one."""


_set_value, _set_time = Var.__dict__["_value"].__set__, Var.__dict__["_time"].__set__


class Group:
    """The `Op`s of one operator, with the same options, at one depth.

    `results` and, for each argument, `args` are places in the array of values; `distinct`: whether all these are different.
    """

    def __init__(self, operator: Operator, options: dict[str, Any], results: list[int], args: list[tuple[int, ...]]):
        self.operator, self.options, self.results = operator, options, np.array(results)
        self.args = list(np.array(args).T)
        self.distinct = [len(set(places.tolist())) == len(places) for places in self.args]


class Program:
    """`groups`, in the order of their depth; `values`: of all of `path`, then of the constants."""

    def __init__(self, path: list[Var], groups: list[Group], constants: list[float]):
        self.path, self.groups = path, groups
        self.leaves = [i for i, v in enumerate(path) if v.creator is None]
        self.values = np.zeros(len(path) + len(constants))
        self.values[len(path) :] = constants
        self.results = [v for v in path if v.creator is not None]
        self.time = -1

    def evaluate(self) -> bool:
        """Every `Var`'s value from those of the leaves; False, and nothing done, where one of these is no number any more."""
        values, leaves = self.values, [self.path[i]._value for i in self.leaves]
        if any(leaf.__class__ is not np.float64 for leaf in leaves):
            return False
        values[self.leaves], self.time = leaves, max(self.path[i]._time for i in self.leaves)
        for group in self.groups:
            inputs = [values[places] for places in group.args]
            values[group.results] = group.operator.compute(inputs, group.options)
        deque(map(_set_value, self.path, list(values)), maxlen=0)  # a loop without Python's part of it
        deque(map(_set_time, self.results, repeat(self.time)), maxlen=0)
        return True

    def current(self) -> bool:
        """Whether `values` are those of the path: no leaf has been given another since."""
        return all(self.path[i]._time <= self.time for i in self.leaves) and self.path[-1]._time == self.time

    def derivatives(self, s: float) -> tuple[np.ndarray, np.ndarray]:
        """s · ∂(last of the path)/∂v for every v of the path, and whether anything arrived there."""
        values, last = self.values, len(self.path) - 1
        derivatives, arrived = np.zeros(len(values)), np.zeros(len(values), bool)
        derivatives[last], arrived[last] = s, True
        walls = any(rule(g.operator.name, number) is None for g in self.groups for number in range(len(g.args)))
        for group in reversed(self.groups):
            inputs, y = [values[places] for places in group.args], values[group.results]
            above, here = derivatives[group.results], arrived[group.results] if walls else None
            for number, places in enumerate(group.args):
                one = rule(group.operator.name, number)
                if one is None:
                    continue
                found = one(above, y, *inputs, **group.options)
                if here is not None:
                    found = np.where(here, found, 0.0)
                    np.logical_or.at(arrived, places, here)
                if group.distinct[number]:
                    derivatives[places] += found
                else:
                    np.add.at(derivatives, places, found)
        return derivatives[: last + 1], arrived[: last + 1] if walls else np.ones(last + 1, bool)


def program(root: Var) -> Program | None:
    """The program of a graph, or None where it is not one of numbers in float64, is small, or is narrow."""
    path = order(root)
    if len(path) < SMALLEST:
        return None
    places, depths, constants = {v: i for i, v in enumerate(path)}, {}, []
    members: dict[Any, tuple[list[int], list[tuple[int, ...]]]] = defaultdict(lambda: ([], []))
    for i, v in enumerate(path):
        if v.creator is None:
            if v._value.__class__ is not np.float64:
                return None
            depths[v] = 0
            continue
        op, depth, args = v.creator, 0, []
        if not op.operator.elementwise:
            return None
        for a in op.args:
            if a.__class__ is Var:
                depth = max(depth, depths[a])
                args.append(places[a])
            elif np.ndim(a) == 0:
                args.append(len(path) + len(constants))
                constants.append(a)
            else:
                return None
        depths[v] = depth + 1
        results, all_args = members[(depth + 1, op.operator.name, tuple(op.options.items()))]
        results.append(i)
        all_args.append(tuple(args))
    if len(path) < NARROWEST * len(members):
        return None
    groups = []
    for key in sorted(members, key=lambda key: key[0]):
        results, args = members[key]
        first = path[results[0]].creator
        if first is not None:
            groups.append(Group(first.operator, first.options, results, args))
    return Program(path, groups, constants)
