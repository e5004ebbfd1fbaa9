"""Controls: networks that are trained beside the rules of a comparison, which a rule must be above for its score to say that it
assigns credit to hidden layers.

They are trained as the rules are, by the same tuning, seeds and batches, and are none of them: tests, ranks and the reference
are of the rules alone.
"""

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence

from ascribe import networks, rules, training
from ascribe import setup as settings
from ascribe.checks import listed, unknown
from ascribe.datasets import Dataset
from ascribe.errors import UserError, shown
from ascribe.training import NetworkSource, Recipe, Setup

from .random_direction import RandomDirection


def _frozen(source: NetworkSource, data: Dataset, setup: Setup) -> Recipe:
    recipe = training.honor(rules.get("backpropagation"), "frozen", source, data, setup)
    layers = training.template_of(recipe.source).synaptic
    if len(layers) < 2:
        raise UserError("the network has no hidden layers, so it would be backpropagation itself")
    if setup.only is not None:
        raise UserError("one layer alone is trained by every rule, so hidden layers that stay as they began are nothing apart")
    return dataclasses.replace(recipe, setup=dataclasses.replace(recipe.setup, only=layers[-1]))


def _linear(source: NetworkSource, data: Dataset, setup: Setup) -> Recipe:
    template = training.template_of(source)
    if len(template.synaptic) < 2:
        raise UserError("the network has no hidden layers, so it would be backpropagation itself")
    network = networks.mlp([math.prod(data.input_shape), template.outputs])
    return training.honor(rules.get("backpropagation"), "linear", network, data, dataclasses.replace(setup, only=None))


def _noise(source: NetworkSource, data: Dataset, setup: Setup) -> Recipe:
    return training.honor(RandomDirection(), "noise", source, data, setup)


CONTROLS: dict[str, Callable[[NetworkSource, Dataset, Setup], Recipe]] = {
    "frozen": _frozen,
    "linear": _linear,
    "noise": _noise,
}
"""Every control by its name: what makes its recipe of the network, the data and the setup of a comparison, or raises a
`UserError` that says why it would mean nothing there."""


def named_controls(asked: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the controls that are asked for, each once; the default ones for None.

    **Raises:** `UserError` for anything but a list of known names.
    """
    if asked is None:
        return settings.DEFAULT_CONTROLS
    known = ", ".join(CONTROLS)
    if listed(asked) is None:
        raise UserError(f"`controls` is a list of names out of {known}, empty for none; got {shown(asked)}.")
    for name in asked:
        if not isinstance(name, str) or name not in CONTROLS:
            raise unknown("control", name, CONTROLS, f"choose from {known}")
    return tuple(dict.fromkeys(asked))


def recipes(
    asked: Sequence[str] | None, source: NetworkSource, data: Dataset, setup: Setup, taken: Collection[str]
) -> tuple[dict[str, Recipe], dict[str, str]]:
    """The recipes of the controls that are asked for, and why any is left out; `taken`: the names that rules have.

    They are trained without diagnostics, which would measure backpropagation against itself.
    """
    found, left_out = {}, {}
    for name in named_controls(asked):
        try:
            if name in taken:
                raise UserError("a rule of this comparison has that name")
            recipe = CONTROLS[name](source, data, dataclasses.replace(setup, diagnostics=False))
            found[name] = training.complete(recipe)
        except UserError as error:
            left_out[told(name)] = str(error)
    return found, left_out


def told(control: str) -> str:
    """A control's name in a sentence, and where a comparison says why it has none: apart from those of rules."""
    return f"control {control}"
