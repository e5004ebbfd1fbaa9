"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path

import pytest

import ascribe

SOURCE = Path(ascribe.__file__).parent
WITH_EXAMPLES = [
    ".".join(("ascribe", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(SOURCE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_are_true(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed
