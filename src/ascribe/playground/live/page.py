"""The page of the live playground, and what it is told once."""

from collections.abc import Mapping
from typing import Any

from ascribe.datasets import Dataset
from ascribe.networks import Activation, Network
from ascribe.playground.about import about
from ascribe.playground.page import assembled, theme

from .bench import CONTROL, Bench
from .messages import PER_SECOND, SPEEDS, USUAL_SPEED

SCRIPTS = (
    *("palette", "canvas", "dom", "words", "dials", "history", "curves", "saving", "loop", "page_data"),
    *(f"live/{name}" for name in ("frames", "weights", "cards", "panels", "socket", "saving", "app", "main")),
)
"""The page's scripts, each after those that it uses."""


def page(data: Dataset, bench: Bench, *, title: str) -> str:
    """The page, as HTML."""
    return assembled(
        told(data, bench),
        "",
        title=title,
        templates=("bar.html", "live/index.html"),
        styles=("style.css", "live/style.css"),
        scripts=SCRIPTS,
        served=True,
    )


def told(data: Dataset, bench: Bench) -> dict[str, Any]:
    """What the page knows before anything is trained, as plain JSON values."""
    learners = bench.learners
    first = next(iter(learners.values()))
    setup = first.recipe.setup
    control = CONTROL if CONTROL in learners and learners[CONTROL].recipe.setup.only else None  # no rule of that name
    names = list(learners)
    return {
        "rules": {
            name: {
                **about(name, one.recipe.rule, control=name == control),
                "rate": float(one.recipe.setup.learning_rate),
                "notes": list(one.recipe.notes),
                **_layers(one.template),
            }
            for name, one in learners.items()
        },
        "control": control,
        "theme": theme(names, control),
        "data": {
            "name": data.name,
            "title": data.card.title or data.name,
            "train": len(data.train),
            "validation": len(data.validation),
            "judged": first.judged,
            "sampled": first.sampled,
            "shape": list(data.input_shape),
            "classes": data.outputs if data.task != "regression" else 0,
        },
        "network": {"told": _in_words(first.template), "parameters": first.template.parameters},
        "score": str(setup.score).replace("_", " "),
        "batch": setup.batch_size,
        "optimizer": setup.optimizer if isinstance(setup.optimizer, str) else "an optimizer of your own",
        "stepsInEpoch": first.steps_in_epoch,
        "speeds": [speed if speed < 1e9 else None for speed in SPEEDS],
        "speed": USUAL_SPEED,
        "messages": PER_SECOND,
    }


def _layers(network: Network) -> Mapping[str, Any]:
    """The names of the layers with weights, and for every hidden activation the number of that below it."""
    below, found = -1, []
    for name, layer in zip(network.names, network.layers, strict=True):
        if name in network.synaptic:
            below = network.synaptic.index(name)
        elif isinstance(layer, Activation) and name != network.names[-1]:
            found.append(below)
    return {"layers": list(network.synaptic), "hidden": found}


def _in_words(network: Network) -> str:
    return str(network)
