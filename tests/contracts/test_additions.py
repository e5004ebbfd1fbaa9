"""Who adds something is told all that is missing at once: what has a row in a table has its page, its limit and its case."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import ascribe
from ascribe import datasets, losses, measures, networks, rules
from ascribe.cli import COMMANDS
from ascribe.networks import AbstractLayer
from ascribe.report.figures import _FIGURES
from ascribe.rules import Backpropagation, registry
from ascribe.training import evaluate

from ..references import test_losses
from . import test_layers

ROOT = Path(__file__).parents[2]
SOURCE = Path(ascribe.__file__).parent
LIMITS = ("limits", "references", "rules")
"""Where the tests are that say what a rule is."""
HEADINGS = ("The equations", "What it needs", "When it is something known")


EXTRAS = ("flax", "torch", "torchax")
"""What models of other libraries want, and a package without extras has not."""


def classes_of(folder, base):
    """The classes derived from `base`, by the files of a folder that define them; abstract ones left out."""
    found = {}
    for path in sorted((SOURCE / folder).glob("*.py")):
        try:
            module = importlib.import_module(f"ascribe.{folder}.{path.stem}".removesuffix(".__init__"))
        except ModuleNotFoundError as error:
            if error.name not in EXTRAS:
                raise
            continue
        for one in vars(module).values():
            own = inspect.isclass(one) and issubclass(one, base) and one.__module__ == module.__name__
            if own and not inspect.isabstract(one) and not one.__name__.startswith("_"):
                found[one] = f"{folder}/{path.name}"
    return found


def text_of(*paths):
    """The text of the files; empty where one is not there."""
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())


def rules_missing():
    table, limits = registry.TABLE, text_of(*(path for one in LIMITS for path in ROOT.glob(f"tests/{one}/*.py")))
    for kind, file in classes_of("rules", rules.AbstractRule).items():
        if all(row.kind is not kind for row in table.values()):
            yield f"{file}: the rule {kind.__name__} has no row in rules/table.py"
    for name, row in table.items():
        page = text_of(ROOT / "docs" / "rules" / f"{name}.md")
        if not page.startswith(f"# `{name}`\n"):
            yield f"docs/rules/{name}.md: the rule's page is missing; it begins with # `{name}`"
        for heading in (one for one in HEADINGS if page and f"\n## {one}\n" not in page):
            yield f"docs/rules/{name}.md: there is no heading ## {heading}"
        if "```python" not in page and page:
            yield f"docs/rules/{name}.md: its limit is no code, whose printed results the tests check"
        if not re.search(rf'\b{row.kind.__name__}\b|"{name}"', limits):
            yield f"tests/limits: no test there names {row.kind.__name__}: the condition under which it is something known"
        if not row.kind.__doc__:
            yield f"rules: {row.kind.__name__} has no docstring"


def layers_missing():
    for kind, file in classes_of("networks", AbstractLayer).items():
        if kind.__name__ not in networks.LAYERS:
            yield f"networks/__init__.py: the layer {kind.__name__} of {file} is not imported there"
        if kind.__name__ not in test_layers.CASES:
            yield f"tests/contracts/test_layers.py: CASES has no arguments and input shape for the layer {kind.__name__}"


def data_sets_missing():
    known = {place.partition(":")[0] for place in datasets.REGISTRY.values()}
    for path in sorted((SOURCE / "datasets").glob("*.py")):
        cards = [node for node in ast.parse(text_of(path)).body if isinstance(node, ast.Assign | ast.AnnAssign)]
        targets = [node.targets[0] if isinstance(node, ast.Assign) else node.target for node in cards]
        if any(isinstance(one, ast.Name) and one.id == "CARD" for one in targets) and path.stem not in known:
            yield f"datasets/__init__.py: the data set of datasets/{path.name} has no line in REGISTRY"
    for name, place in datasets.REGISTRY.items():
        module = importlib.import_module(f"ascribe.datasets.{place.partition(':')[0]}")
        if not hasattr(module, "CARD"):
            yield f"datasets/{place.partition(':')[0]}.py: the data set {name} has no CARD"


def losses_missing():
    for name, loss in vars(losses).items():
        if isinstance(loss, losses.Loss) and loss not in losses.LOSSES.values():
            yield f"losses.py: {name} is not in LOSSES"
    for name in losses.LOSSES:
        if name not in test_losses.LINK:
            yield f"tests/references/test_losses.py: LINK has not what makes outputs of logits for the loss {name}"


def metrics_missing():
    computed = {*evaluate.OF_CONFUSION, *evaluate.OF_EACH, *evaluate.RANKED, "accuracy", "loss"} - {evaluate.CONFUSION}
    for name in sorted(computed - set(measures.CLASS_MEASURES)):
        yield f"measures.py: {name} is computed and has no place in CLASS_MEASURES"
    for name in sorted({*measures.CLASS_MEASURES, *measures.NUMBER_MEASURES} - set(measures.MEASURES)):
        yield f"measures.py: {name} has no row in MEASURES, which says which way is better"
    for name in sorted(set(measures.CLASS_MEASURES) - computed):
        yield f"training/evaluate.py: nothing computes {name}"


def others_missing():
    for name in COMMANDS:
        if not (SOURCE / "cli" / f"{name}.py").is_file():
            yield f"cli/{name}.py: the command {name} has no file"
    for name, figure in _FIGURES.items():
        if not figure.__doc__:
            yield f"report: the figure {name} has no docstring"


def missing():
    """One sentence for everything that is missing."""
    every = (rules_missing, layers_missing, data_sets_missing, losses_missing, metrics_missing, others_missing)
    return [sentence for one in every for sentence in one()]


def test_nothing_is_missing():
    assert not missing(), "\n".join(["Still missing:", *missing()])


def test_of_what_is_added_alone_all_that_is_missing_is_told_at_once(monkeypatch):
    without = lambda table, name: {key: value for key, value in table.items() if key != name}
    unheard = registry.TABLE["backpropagation"]._replace(kind=type("Unheard", (Backpropagation,), {"__doc__": "."}))
    monkeypatch.setattr(registry, "TABLE", without(registry.TABLE, "kolen-pollack") | {"new": unheard})
    monkeypatch.setattr(networks, "LAYERS", without(networks.LAYERS, "Shift"))
    monkeypatch.setattr(test_layers, "CASES", without(test_layers.CASES, "Shift"))
    monkeypatch.setattr(datasets, "REGISTRY", without(datasets.REGISTRY, "xor"))
    monkeypatch.setattr(losses, "LOSSES", without(losses.LOSSES, "squared-error"))
    monkeypatch.setattr(evaluate, "OF_EACH", evaluate.OF_EACH | {"brier": min})
    assert missing() == [
        "rules/kolen_pollack.py: the rule KolenPollack has no row in rules/table.py",
        "docs/rules/new.md: the rule's page is missing; it begins with # `new`",
        "tests/limits: no test there names Unheard: the condition under which it is something known",
        "networks/__init__.py: the layer Shift of networks/shift.py is not imported there",
        "tests/contracts/test_layers.py: CASES has no arguments and input shape for the layer Shift",
        "datasets/__init__.py: the data set of datasets/xor.py has no line in REGISTRY",
        "losses.py: SQUARED_ERROR is not in LOSSES",
        "measures.py: brier is computed and has no place in CLASS_MEASURES",
    ]
    assert rules.Unheard is unheard.kind
