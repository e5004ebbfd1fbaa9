"""Rules in the page's engine against the training step of `ascribe.train`, in float32: the same parameters, step by step."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ascribe import rules

from .node import needs_node

ROOT = Path(__file__).parents[2]
RULES = [name for name in rules.default_names() if "binary" in rules.get(name).tasks]
ARCHITECTURES, OPTIMIZERS = ("2-16-1", "2-16-16-1", "2-32-32-32-1"), ("adam", "sgd")
"""Every rule is compared on one of these, with one of the optimizers, in turn; `python -m tests.playground.training JOB`
prints the same of all."""

pytestmark = needs_node


def compared(**job):
    """The cases of a job, compared in a process without the checks of annotations, which know no symbols for sizes."""
    command = [sys.executable, "-m", "tests.playground.training", json.dumps(job)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_ENABLE")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(row):
    """Within 1e-5 after 20 steps and 1e-4 in the end; of a rule that rounding alone moves farther, four times of that."""
    assert row["begin"] <= 1e-6, row
    assert row["early"] <= max(1e-5, 4 * row["own_early"]), row
    assert row["late"] <= max(1e-4, 4 * row["own_late"]), row
    assert row["answers"] <= (0.0 if row["own_late"] < 1e-4 else 0.05), row


def test_a_rule_with_learned_feedback_and_one_with_noise():
    rows = compared(named=["kolen-pollack"], architectures=["2-4-1"], activations=["tanh"], optimizers=["adam"], steps=25)
    assert len(rows) == 1
    for row in rows:
        check(row)
        assert row["late"] <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_every_rule(rule):
    turn = RULES.index(rule)
    chosen = {"architectures": [ARCHITECTURES[turn % 3]], "optimizers": [OPTIMIZERS[turn % 2]]}
    (row,) = compared(named=[rule], activations=["tanh"], steps=200, **chosen)
    check(row)


@pytest.mark.slow
def test_an_optimizer_with_a_memory_of_every_example():
    chosen = {"architectures": ["2-4-4-1"], "activations": ["tanh"], "optimizers": ["adam"]}
    (row,) = compared(named=["relaxed-identity-as-published"], steps=60, **chosen)
    check(row)
    assert row["late"] <= 1e-4


@pytest.mark.slow
def test_more_inputs_than_two():
    """The programs are those of two inputs; the rules' own transforms of inputs come after."""
    named = ["perceptron", "feedback-alignment", "forward-pass"]
    rows = compared(named=named, architectures=["2-8-1"], activations=["relu"], optimizers=["adam"], steps=100, inputs=5)
    assert len(rows) == 3
    for row in rows:
        check(row)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_every_activation(activation):
    named = ["backpropagation", "feedback-alignment", "target-propagation"]
    rows = compared(named=named, architectures=["2-1", "2-8-1"], activations=[activation], optimizers=["momentum"], steps=200)
    assert len(rows) >= 5
    for row in rows:
        check(row)
