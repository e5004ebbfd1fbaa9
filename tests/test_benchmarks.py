"""The benchmarks run: one short round each, one after the other in a process of their own. What they measure is no test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def process():
    """`tests/one_process.py`; it and what the benchmarks start find the programs that were compiled before."""
    places = {"JAX_COMPILATION_CACHE_DIR": jax.config.jax_compilation_cache_dir}
    places["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    command = [sys.executable, ROOT / "tests" / "one_process.py"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(command, env=os.environ | places, **pipes) as started:
        yield started
        started.stdin.close()


@pytest.fixture
def run(process):
    """What a benchmark prints."""

    def run(script):
        print(json.dumps([str(ROOT / "benchmarks" / script), "--quick"]), file=process.stdin, flush=True)
        printed, failure = json.loads(process.stdout.readline())
        assert not failure, printed + failure
        return printed

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        *(
            "tape.py",
            "any_network.py",
            "direct_feedback.py",
            "perturbation.py",
            "energies.py",
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
def test_benchmark_runs(script, run):
    assert "wanted" in run(script)


@pytest.mark.slow
def test_a_comparison_killed_is_the_one_left_alone(run):
    """`benchmarks/kills.py` kills it fifty times; here it is killed twice, and then a worker that carries it out once."""
    printed = run("kills.py")
    assert "killed 2 times" in printed
    assert "killed 1 times" in printed
    assert printed.count("none lost, none doubled") == 2


@pytest.mark.slow
def test_the_forward_pass_tables_are_printed(run):
    printed = run("forward_pass_learning.py")
    assert "| the default |" in printed
    assert "| digits 3-8 |" in printed


@pytest.mark.slow
@pytest.mark.oracle
def test_lenet_benchmark_runs(run):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[oracle]'")
    assert "wanted" in run("lenet.py")
