"""How many products must follow one another after the output is known."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.random as jr

from ascribe.jaxprs import Constant, Equation, Graph, Variable
from ascribe.networks import Network, sites
from ascribe.rules import AbstractRule, as_batch, made

from .program import program
from .table import Table

NEVER = -1
"""The length of the way to a value that no output reaches."""


def chain(
    rule: AbstractRule | type[AbstractRule] | str,
    make_network: Callable[[int], Network],
    batch: Any,
    depths: Sequence[int] = (4, 8, 16),
) -> dict[int, int]:
    """How many matrix products and convolutions must follow one another once the output is known, at each depth.

    It is the longest way in the rule's program from an output of the network (of any pass that the rule makes) to any number
    of the credit of a weight, counted in products; a loop counts as often as it runs, a `lax.while_loop` once. With L layers
    `Backpropagation` has L: every Wᵀδ but the lowest layer's, and that layer's δ hᵀ; `DirectFeedbackAlignment` has 2 at any
    depth; a rule that needs no output, or only passes that do not wait for one, has 0.

    **Arguments:** `rule`: a rule, its class or its name; `make_network(depth)`: as the rule wants it; `batch`: as in `needs`.
    """
    own, found = made(rule), {}
    for depth in depths:
        network = make_network(depth)
        table = Table(program(own, network, as_batch(network, batch), jr.key(0), of_examples=False))
        lengths = _Lengths(table)
        ends = lengths.through(table.program.step, [NEVER] * len(table.program.step.inputs))
        found[depth] = max(0, *ends[: len(table.layers)])
    return found


class _Lengths:
    """The longest ways from the outputs of the network to values, in products."""

    def __init__(self, table: Table):
        reading = table.reading
        self.outputs = {
            variable for variable, label in reading.cut.items() if label[0] == "value" and label[1] in reading.outputs
        }

    def through(self, graph: Graph, given: Sequence[int]) -> list[int]:
        """The lengths of the ways to the graph's results, for those to its inputs."""
        at: dict[Variable, int] = dict.fromkeys(graph.constants, NEVER)
        of = lambda atom: NEVER if isinstance(atom, Constant) else at[atom]

        def reach(variables: Sequence[Variable], lengths: Sequence[int]) -> None:
            for variable, length in zip(variables, lengths, strict=True):
                at[variable] = max(0, length) if variable in self.outputs else length

        reach(graph.inputs, given)
        for equation in graph.equations:
            reach(equation.outputs, self._after(equation, [of(one) for one in equation.inputs]))
        return [of(one) for one in graph.outputs]

    def _after(self, equation: Equation, given: list[int]) -> list[int]:
        inner = equation.inner
        if inner is not None and equation.name != "scan":
            return self.through(inner, given)
        if inner is not None:
            return self._loop(equation, inner, given)
        longest = max(given, default=NEVER)
        if longest == NEVER:
            return [NEVER] * len(equation.outputs)
        inside = [max(self.through(graph, [longest] * len(graph.inputs)), default=longest) for graph in equation.hidden]
        return [max([longest + (equation.name in sites.PRODUCTS), *inside])] * len(equation.outputs)

    def _loop(self, equation: Equation, inner: Graph, given: list[int]) -> list[int]:
        constants, carried = equation.carried
        end = constants + carried
        carry, collected = given[constants:end], [NEVER] * (len(equation.outputs) - carried)
        for _ in range(equation.parameters["length"]):
            made = self.through(inner, [*given[:constants], *carry, *given[end:]])
            carry, before = made[:carried], carry
            collected = [max(pair) for pair in zip(collected, made[carried:], strict=True)]
            if carry == before:
                break
        return [*carry, *collected]
