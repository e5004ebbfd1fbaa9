"""The examples in docstrings print what they say."""

import ast
import doctest
import importlib
from pathlib import Path

import pytest

import ascribe

SOURCE = Path(ascribe.__file__).parent
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if "    >>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_the_examples_of_a_file_hold(path, capsys):
    """Read from the source: a decorated function is not found by its module."""
    module = importlib.import_module(
        ".".join(("ascribe", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    )
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        text = ast.get_docstring(node) if isinstance(node, DOCUMENTED) else None
        if text and ">>> " in text:
            name, line = getattr(node, "name", path.stem), getattr(node, "lineno", 0)
            runner.run(parser.get_doctest(text, dict(vars(module)), name, str(path), line))
    assert runner.failures == 0, capsys.readouterr().out
    assert runner.tries > 0


def test_networks_rules_losses_and_metrics_have_examples():
    found = {path.relative_to(SOURCE).parts[0] for path in FILES}
    assert {"networks", "rules", "losses.py", "metrics"} <= found
