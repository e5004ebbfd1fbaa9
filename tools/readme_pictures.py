"""The picture at the top of README.md, drawn from trainings that are made for it.

Run: `python tools/readme_pictures.py` (two minutes on two cores). Writes docs/images/hundred_layers.png and prints the mean and
the lowest test accuracy of each rule. (docs/images/page.png is a screenshot of the page of `ascribe compare moons`, 1280 pixels
wide.)
"""

from pathlib import Path

import ascribe
from ascribe.networks import mlp
from ascribe.report.class_maps import class_maps
from ascribe.report.figures import specification, write_figure
from ascribe.rules import Backpropagation, RelaxedIdentity

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"


def hundred_layers() -> None:
    """Backpropagation and relaxed identity on 100 logistic layers, at one optimizer and rate."""
    data = ascribe.datasets.load("moons", samples=300, noise=0.1)
    network = mlp([2, *[100] * 100, 1], activation="logistic", initializer="logistic-normal")
    comparison = ascribe.compare(
        data,
        rules={"backpropagation": Backpropagation(), "relaxed identity": RelaxedIdentity()},
        controls=(),
        network=network,
        optimizer="rprop",
        learning_rate=0.1,
        tune=0,
        batch_size=len(data.train),
        epochs=250,
        seeds=10,
        diagnostics=False,
    )
    for row in comparison.table():
        print(row.rule, row.mean, comparison.runs[row.rule].test_accuracy.min())
    write_figure(IMAGES / "hundred_layers", specification(class_maps(comparison)))
    (IMAGES / "hundred_layers.svg").unlink()


if __name__ == "__main__":
    hundred_layers()
