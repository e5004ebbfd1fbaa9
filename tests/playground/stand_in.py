"""Page data of a few rules, for the stand-in engine that is written by hand."""

from pathlib import Path
from typing import Any

ENGINE = Path(__file__).with_name("stand_in_engine.js")
TITLES = {
    "backpropagation": "every term exact: the gradient of the loss",
    "feedback-alignment": "fixed random weights carry the error back",
    "direct-feedback-alignment": "the output error reaches every layer at once, through fixed random weights",
}


def page_data(*more: str, **others: Any) -> dict[str, Any]:
    """What the engine would tell the page of these rules, and of `more`."""
    rules = {name: _about(name, TITLES.get(name, "a rule of one's own")) for name in (*TITLES, *more)}
    return {
        "rules": {**rules, "frozen": _about("last layer only", "hidden layers stay as they began")},
        "control": "frozen",
        "architectures": ["2-1", "2-4-1", "2-8-1", "2-16-1", "2-8-8-1", "2-16-16-1", "2-32-32-32-1"],
        "activations": ["relu", "tanh"],
        "optimizers": ["sgd", "adam"],
        "rates": {"sgd": 0.1, "adam": 0.01},
        **others,
    }


def _about(title: str, summary: str) -> dict[str, Any]:
    return {
        "title": title.replace("-", " "),
        "summary": summary,
        "source": "Somebody (2020)",
        "encoding": [],
        "hyperparameters": {"scale": 1.0},
    }
