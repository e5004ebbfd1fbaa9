import pytest

from ..store.case import comparison


@pytest.fixture(scope="session")
def finished():
    """What the shared command line trains; in the same process, to train it again compiles nothing."""
    return comparison()
