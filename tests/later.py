"""Packages that only some tests need, imported when the first of those runs: listing all tests takes seconds, not a minute."""

import importlib
import importlib.util

import pytest


class Later:
    """The module of this name, imported when something of it is first used."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str):
        if attribute.startswith("_"):  # pytest asks everything in a test module for its base classes and its own marks
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)


def needs(*packages: str, reason: str | None = None):
    """The mark of tests that are skipped where one of these packages is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=reason or f"{', '.join(missing)} is not installed (an extra)")
