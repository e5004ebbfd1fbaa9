"""The tests' own budget: what a fast test may cost, and what it says of one that costs more."""

import subprocess
import sys
from pathlib import Path

import pytest

from .budget import PROGRAMS, SECONDS, Cost, refusal

ROOT = Path(__file__).parent.parent
DEAR = f"""
import jax.numpy as jnp
import pytest

def test_dear():
    for size in range({PROGRAMS} + 1):
        jnp.zeros(10_000 + size)

@pytest.mark.slow
def test_slow():
    for size in range({PROGRAMS} + 1):
        jnp.zeros(20_000 + size)

def test_cheap():
    jnp.zeros(30_000)
"""


def test_a_fast_test_has_its_budget_and_not_more():
    assert refusal(Cost(PROGRAMS, SECONDS)) is None
    assert f"this one took {PROGRAMS + 1} programs, 1.5 CPU seconds" in refusal(Cost(PROGRAMS + 1, 1.5))
    assert f"this one took 2 programs, {SECONDS + 1:.1f} CPU seconds" in refusal(Cost(2, SECONDS + 1))


@pytest.mark.slow
def test_a_test_that_is_too_dear_fails_by_its_name(tmp_path):
    """In a folder beside the others, under the same plugin: the dear one fails, unless it is marked slow."""
    file = tmp_path / "test_example.py"
    file.write_text(DEAR, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-c",
        ROOT / "pyproject.toml",
        "-m",
        "",
        file,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    assert f"test_dear: a test that is not marked slow costs at most {PROGRAMS} programs" in done.stdout
