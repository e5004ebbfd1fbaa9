"""`tools/fuzz.py` finds nothing: every malformed input is refused in a sentence, or is fine, and nothing else happens."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="children are watched as Linux has it")


def fuzzed(*options):
    """What the tool ends with, and what it printed. It has one core, and finds the programs that it compiled before."""
    command = [sys.executable, str(ROOT / "tools" / "fuzz.py"), *map(str, options)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, done.stdout + done.stderr


WATCHED = """
import os, sys, time
from pathlib import Path
import ascribe.cli
from ascribe.errors import UserError
from fuzzing import children

children.SECONDS, children.MEMORY, children.LOOK = 1.5, 400 * 2**20, 0.01
folder, canary = Path(sys.argv[1]) / "case", Path(sys.argv[1]) / "canary"

def raises(error):
    def call():
        Path("out").write_text("x")
        raise error
    return call

def changes(name, then=lambda: None):
    def call():
        Path(name).write_text("y")
        then()
    return call

calls = {
    "refuses": raises(UserError("no")), "raises": raises(ValueError("x")), "ends": raises(SystemExit(0)),
    "waits": lambda: time.sleep(60), "fills": lambda: bytearray(b"x") * 2**30, "dies": lambda: os.kill(os.getpid(), 9),
    "writes": changes("out"), "spoils": changes("beside"), "executes": changes(canary), "works": lambda: None,
    "no command": ["x"], "a command": ["--version"],
}
for name, call in calls.items():
    folder.mkdir()
    (folder / "beside").write_text("x")
    found = children.outcome(children.Input(name, call), folder, canary)
    print(name, found.kind, found.cause, sep=": ")
    children.removed(folder)
assert os.listdir(sys.argv[1]) == []
"""
SEEN = """refuses: changed: refused, but made a file
raises: traceback: ValueError at outside ascribe
ends: traceback: SystemExit at outside ascribe
waits: hang: more than 2 s
fills: memory: more than 0.4 GiB
dies: killed: killed by signal 9
writes: accepted: 
spoils: changed: accepted, but changed beside
executes: executed: executed what it read (accepted)
works: accepted: 
no command: refused: 
a command: accepted: 
"""


def test_what_a_child_does_is_seen(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tools")])}
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == SEEN, done.stderr


GROUPS = {
    "data": (100, ["delimited", "npz", "parquet", "sheets", "frames", "texts", "images", "paths"]),
    "kept": (100, ["records", "discoveries", "stores", "addresses", "models"]),
    "asked": (100, ["flags", "networks", "rule-names", "functions"]),
    "trained": (15, ["resumes", "sizes", "rule-files", "trainings", "estimators"]),
}
"""How many inputs of which groups: fewer of those that may train."""


def test_the_slow_test_has_every_group():
    text = (ROOT / "tools" / "fuzz.py").read_text(encoding="utf-8")
    groups = next(node for node in ast.parse(text).body if isinstance(node, ast.Assign) and node.targets[0].id == "GROUPS")
    listed = [group for _, some in GROUPS.values() for group in some]
    assert sorted(ast.literal_eval(groups.value)) == sorted(listed)


@pytest.mark.slow
@pytest.mark.parametrize("kind", GROUPS)
def test_no_malformed_input_is_answered_by_anything_but_a_sentence(kind, tmp_path):
    """`CONTRIBUTING.md` says how more of all are run."""
    inputs, groups = GROUPS[kind]
    file = tmp_path / "found.json"
    code, printed = fuzzed("--inputs", inputs, "--groups", ",".join(groups), "--seed", 1, "--json", file)
    counts = json.loads(file.read_text(encoding="utf-8"))["counts"]
    assert {group: sum(kinds.values()) for group, kinds in counts.items()} == dict.fromkeys(groups, inputs)
    assert code == 0, printed
