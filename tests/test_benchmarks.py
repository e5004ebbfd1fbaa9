"""The benchmarks run: one short round each, as a process of its own. What they measure is no test."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"


def run(script, *options):
    command = [sys.executable, FOLDER / script, "--quick", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        *(
            "tape.py",
            "direct_feedback.py",
            "forward_pass.py",
            "seeds.py",
            "startup.py",
            "autodiff.py",
            "vectorization.py",
            "cluster.py",
            "several_processes.py",
        ),
        "neurons.py",
        "page.py",
    ],
)
def test_benchmark_runs(script):
    done = run(script)
    assert done.returncode == 0, done.stderr
    assert "wanted" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("whom", [[], ["--workers"]])
def test_a_comparison_killed_twice_is_the_one_left_alone(whom):
    """`benchmarks/kills.py` kills it fifty times."""
    done = run("kills.py", *whom)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed 2 times" in done.stdout
    assert "none lost, none doubled" in done.stdout


@pytest.mark.slow
def test_the_forward_pass_tables_are_printed():
    done = run("forward_pass_learning.py")
    assert done.returncode == 0, done.stderr
    assert "| the default |" in done.stdout
    assert "| digits 3-8 |" in done.stdout


@pytest.mark.slow
@pytest.mark.oracle
def test_lenet_benchmark_runs():
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[oracle]'")
    done = run("lenet.py")
    assert done.returncode == 0, done.stderr
    assert "wanted" in done.stdout
