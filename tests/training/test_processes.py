"""Several processes, and several devices for one run: the numbers of one, or one sentence."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe.cli import main
from ascribe.store import Store
from ascribe.training import Experiment, Specification

from ..store.case import plain
from . import tiny, together

SCRIPT = [sys.executable, together.__file__]
PATIENCE = 240
"""Seconds after which a process that should have ended hangs."""

RULES = ("kolen-pollack", "relaxed-identity", together.CONVOLUTIONAL)
"""Feedback that is learned; an activation of every example among what is trained; batch statistics and dropout."""

ENDLESS = "kolen-pollack:2:100000"

OPTIONS = ["--network", "4", "--seeds", "2", "--tune", "2", "--tune-seeds", "1"]
OPTIONS += ["--rules", "backprop", "--samples", "100"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def started(commands, folder, **environment):
    """The processes of these commands; what process i says is in the files `i.out` and `i.err`."""
    left_out = ("JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES")
    given = {name: value for name, value in os.environ.items() if name not in left_out} | {"JAX_PLATFORMS": "cpu"}
    given |= environment
    found = []
    for place, command in enumerate(commands):
        with (folder / f"{place}.out").open("w") as out, (folder / f"{place}.err").open("w") as err:
            found.append(subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=given))
    return found


def said(folder, place, stream="err"):
    return (folder / f"{place}.{stream}").read_text()


def ended(processes, folder, codes=(0, 0)):
    try:
        found = tuple(one.wait(PATIENCE) for one in processes)
    finally:
        for one in processes:
            one.kill()
    told = "\n".join(said(folder, place) for place in range(len(processes)))
    assert found == tuple(codes)[: len(found)], told


PLAIN = "import sys; from ascribe import report; from ascribe.cli import main; report.drawings = lambda _: {}; sys.exit(main())"
"""The command line, with a page that has no pictures: they take longer than everything else."""


def command(*arguments):
    return [sys.executable, "-c", PLAIN, *map(str, arguments)]


def two(port, *arguments):
    meeting = ("--coordinator", f"127.0.0.1:{port}", "--processes", 2)
    return [command(*arguments, *meeting, "--process", number) for number in range(2)]


def together_processes(file, cases):
    port = free_port()
    return [[*SCRIPT, file, cases, str(port), "2", str(number)] for number in range(2)]


def wait_for(condition, processes):
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE and all(one.poll() is None for one in processes)
        time.sleep(0.05)


def same(file, one):
    """All that the file has is in `one`."""
    other = np.load(file)
    assert other.files and set(other.files) <= set(one)
    for name in other.files:
        assert np.isfinite(other[name]).all(), name
        np.testing.assert_allclose(other[name], one[name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.fixture(scope="module")
def alone():
    """What this process makes of all cases, every run on one device."""
    return {name: value for rule in RULES for name, value in together.trained(rule, 2, 1).items()}


@pytest.mark.slow
def test_two_processes_have_the_numbers_of_one_until_one_is_killed(alone, tmp_path):
    """Both divide the data of a run, or each has runs of its own; process 1 is killed in what goes on after that."""
    cases = f"{RULES[0]}:1:2,{RULES[1]}:2:2,{RULES[2]}:2:2,{ENDLESS}"
    processes = started(together_processes("two.npz", cases), tmp_path)
    wait_for(lambda: said(tmp_path, 0, "out").rpartition("written")[0].count("written") == 2, processes)
    same(tmp_path / "two.npz", alone)
    wait_for(lambda: "training" in said(tmp_path, 0, "out").rpartition("written")[2], processes)
    assert_the_other_ends(processes, tmp_path, killed=1)


@pytest.mark.slow
def test_process_0_is_missed_too(tmp_path):
    processes = started(together_processes("never.npz", ENDLESS), tmp_path)
    wait_for(lambda: "training" in said(tmp_path, 0, "out"), processes)
    assert_the_other_ends(processes, tmp_path, killed=0)


def assert_the_other_ends(processes, folder, *, killed):
    """With a sentence, and soon, when that one of two processes is killed."""
    processes[killed].kill()
    processes[killed].wait()
    began = time.monotonic()
    assert processes[1 - killed].wait(PATIENCE) == 1
    assert time.monotonic() - began < 30
    last = said(folder, 1 - killed).strip().splitlines()[-1]
    assert last.startswith("ascribe: another process of this run has ended, so this one ends too")
    assert "Traceback" not in said(folder, 1 - killed)


@pytest.mark.slow
def test_four_devices_of_one_process_have_the_numbers_of_one(alone, tmp_path):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    ended(started([[*SCRIPT, "four.npz", f"{RULES[2]}:2:2"]], tmp_path, XLA_FLAGS=flags), tmp_path, (0,))
    same(tmp_path / "four.npz", alone)


def test_a_step_sums_over_the_devices_once():
    """The loss and the whole gradient together. (Eleven validation examples do not divide, and every device takes all.)"""
    data, network = tiny.data(), tiny.mlp()
    made = Experiment(tiny.recipe(network, data, devices_per_run=2))
    runs = made.stack([Specification(0, 0.1)])
    given = (runs, made.initialize(runs), made.device_data, jnp.asarray(0, jnp.int32), jnp.asarray(1, jnp.int32))
    program = type(made.programs).advance.lower(made.programs, *given).compile().compiled.as_text()
    sums = re.findall(r" (all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(", program)
    assert sums == ["all-reduce"]


@pytest.mark.slow
def test_a_comparison_of_two_processes_is_stopped_and_goes_on(tmp_path, monkeypatch, capfd):
    """One page, one store, one JSON object; a signal to either process stops both, and what was kept is not done again."""
    compare = ["compare", "moons", *OPTIONS, "--out", "out", "--devices-per-run", 2]
    processes = started(two(free_port(), *compare, "--epochs", 100_000), tmp_path)
    wait_for(lambda: "backpropagation: tuning" in said(tmp_path, 0), processes)
    assert listening(processes) == {"127.0.0.1"}
    processes[1].send_signal(signal.SIGTERM)
    ended(processes, tmp_path, (130, 130))
    assert "what was done is kept: go on with the same data and --out out --resume" in said(tmp_path, 0)
    assert [one["status"] for one in Store(tmp_path / "out", create=False).experiments()] == ["interrupted"]

    short = ["compare", "moons", "--resume", "--out", "out", "--epochs", 4, "--devices-per-run", 2, "--json"]
    ended(started(two(free_port(), *short), tmp_path), tmp_path)
    assert said(tmp_path, 1, "out") == ""
    printed = json.loads(said(tmp_path, 0, "out"))
    assert Path(printed["out"]) == Path("out") and (tmp_path / "out" / "index.html").exists()
    runs = ascribe.load(tmp_path / "out").runs["backpropagation"]
    assert runs.train_loss.shape == (2, 4)

    monkeypatch.chdir(tmp_path)
    plain(monkeypatch)
    with jax.enable_x64(False):  # as the others had it
        assert main(list(map(str, short[:-3]))) == 0  # one process finds the runs of two
    assert "compiling" not in capfd.readouterr().err


def listening(processes):
    """The addresses on which these processes listen."""
    told = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    sockets = {row[9]: row[1].split(":")[0] for row in map(str.split, told.splitlines()) if row[3] == "0A"}
    found = set()
    for one in processes:
        for link in Path(f"/proc/{one.pid}/fd").iterdir():
            number = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link))
            if number and number[1] in sockets:
                raw = bytes.fromhex(sockets[number[1]])
                words = b"".join(raw[place : place + 4][::-1] for place in range(0, len(raw), 4))
                mapped = words[-4:] if words[:12] == bytes(10) + b"\xff\xff" or len(words) == 4 else None
                found.add(socket.inet_ntoa(mapped) if mapped else socket.inet_ntop(socket.AF_INET6, words))
    return found


@pytest.mark.slow
def test_processes_that_were_given_different_things_say_so(tmp_path):
    one, other = two(free_port(), "compare", "moons", *OPTIONS, "--devices-per-run", 2)
    ended(started([one, [*other, "--epochs", "7"]], tmp_path), tmp_path, (2, 2))
    for place in range(2):
        assert "all processes are given the same data and settings, but 1 was given others" in said(tmp_path, place)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--processes 2 --process 0", "are of those that meet at a --coordinator"),
        ("--coordinator 127.0.0.1:7733 --processes 2", "`processes` and `process` belong together"),
        ("--coordinator 127.0.0.1 --processes 2 --process 0", "the coordinator is HOST:PORT of process 0"),
        ("--coordinator 127.0.0.1:7733 --processes 2 --process 2", "the last of 2 is 1; got 2"),
        ("--coordinator 127.0.0.1:7733 --processes 0 --process 0", "`processes` is a positive integer; got 0"),
        ("--coordinator 127.0.0.1:7733 --processes 2 --process 1", "joined before anything else uses JAX"),
        ("--devices-per-run 0", "`devices_per_run` is a positive integer; got 0"),
        ("--devices-per-run 3", "divides the number of devices, which is 2; got 3"),
        ("--devices-per-run 2 --batch-size 15", "divides the batch size, 15, into equal parts; got 2"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(options, sentence, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert jax.device_count() == 2  # JAX is in use
    arguments = ["compare", "moons", "--samples", "100", "--rules", "backprop", "--seeds", "2", "--epochs", "1"]
    assert main([*arguments, *options.split()]) == 2
    told = capfd.readouterr()
    assert sentence in told.err and told.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_one_sentence(capfd):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        meeting = f"--coordinator 127.0.0.1:{one.getsockname()[1]} --processes 2 --process 0"
        assert main(["compare", "moons", *meeting.split()]) == 2
    assert "process 0 cannot listen on 127.0.0.1" in capfd.readouterr().err
