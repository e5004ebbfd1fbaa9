import pytest

from .case import comparison, plain


@pytest.fixture(scope="session")
def finished():
    return comparison()


@pytest.fixture
def plain_page(monkeypatch):
    plain(monkeypatch)
