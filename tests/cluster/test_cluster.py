"""Runs trained by the workers of a Dask cluster equal those of one process, whatever happens to the workers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from ascribe import Cluster, compare, datasets, discover
from ascribe.cli import main
from ascribe.errors import Interrupted, UserError
from ascribe.store import Store
from ascribe.store.tables import states
from ascribe.training import Listeners

from ..later import Later, needs

pytestmark = needs("distributed", reason="Dask is not installed (extra `cluster`)")

sql, distributed = Later("sqlalchemy"), Later("distributed")

RULES = ["backpropagation", "feedback-alignment"]
OPTIONS = {"rules": RULES, "network": "4", "seeds": 4, "epochs": 3, "tune": 2, "tune_seeds": 1}
LONG = OPTIONS | {"rules": ["backpropagation"], "epochs": 40_000, "tune": 0, "diagnostics": False}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(workers=2) as both:
        yield both


@pytest.fixture(scope="module")
def data():
    return datasets.load("moons", samples=60)


@pytest.fixture(scope="module")
def long(data):
    """What becomes of long runs that nothing disturbs."""
    return compare(data, **LONG)


def same(one, two):
    """Equal but for rounding: shards are of another width."""
    ours, theirs = (found.runs | found.controls for found in (one, two))
    assert list(ours) == list(theirs)
    for rule, runs in ours.items():
        assert runs.seeds == theirs[rule].seeds
        for name, values in {**runs.curves, **runs.scores}.items():
            np.testing.assert_allclose(getattr(theirs[rule], name), values, rtol=1e-9, atol=1e-9, err_msg=name)


def processes(cluster):
    return [process.pid for process, _ in cluster._local._workers]


def listening(pid):
    """The addresses and ports that a process listens on, as the kernel has them."""
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(os.readlink(entry))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                address, port = fields[1].split(":")
                found.append((address, int(port, 16)))
    return found


@pytest.mark.slow
def test_equals_one_process_and_keeps_each_run_once(cluster, data, tmp_path):
    heard = []

    class Ears:
        def __call__(self, progress):
            heard.append((progress.rule, progress.phase))

        def epochs(self, epochs):
            assert epochs.curves["train_loss"].shape == (len(epochs.seeds), 3)
            heard.append((epochs.rule, "epochs"))

    options = OPTIONS | {"controls": ("frozen", "noise")}
    alone = compare(data, **options)
    found = compare(data, **options, cluster=cluster, store=tmp_path, listener=Listeners(Ears()))
    same(alone, found)
    for rule in (*RULES, "frozen", "noise"):
        np.testing.assert_allclose(found.tuning[rule].scores, alone.tuning[rule].scores)
        assert {(rule, "tuning"), (rule, "training"), (rule, "epochs")} <= set(heard)
    store = Store(tmp_path)
    assert len(store.runs()) == 4 * (4 + 2)
    assert store.experiments()[0]["status"] == "finished"
    heard.clear()
    same(found, compare(data, **options, cluster=cluster, store=tmp_path, listener=Listeners(Ears())))
    assert not heard  # all of it was kept


@pytest.mark.slow
def test_no_worker_is_idle_while_shards_wait(cluster, data, tmp_path):
    """Each of two rules of a file goes on only when the other has begun: a worker that is given both fails."""
    text = f"""
import os, pathlib, time
from ascribe.rules import FeedbackAlignment

HERE = pathlib.Path({str(tmp_path)!r})


class Meets(FeedbackAlignment):
    mine: str = ""
    others: str = ""

    def __call__(self, *given, **more):
        if os.getpid() != {os.getpid()}:
            (HERE / self.mine).write_text(str(os.getpid()))
            until = time.monotonic() + 60.0
            while not (HERE / self.others).exists():
                if time.monotonic() > until:
                    raise RuntimeError(self.others + " has not begun")
                time.sleep(0.01)
        return super().__call__(*given, **more)


class One(Meets):
    mine: str = "one"
    others: str = "two"


class Two(Meets):
    mine: str = "two"
    others: str = "one"
"""
    (tmp_path / "meet.py").write_text(text)
    compare(
        data,
        **OPTIONS | {"rules": [f"{tmp_path}/meet.py:{name}" for name in ("One", "Two")], "tune": 0},
        cluster=cluster,
    )
    assert (tmp_path / "one").read_text() != (tmp_path / "two").read_text()


@pytest.mark.slow
def test_a_rule_of_a_file_and_one_of_a_program_go_along(cluster, data, tmp_path):
    text = "from sizes import Sized\n\n\nclass Mine(Sized):\n    gain: float = 2.0\n"
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "sizes.py").write_text("from ascribe.rules import FeedbackAlignment\nclass Sized(FeedbackAlignment): ...\n")
    rules = [f"{tmp_path}/mine.py:Mine"]
    options = OPTIONS | {"rules": rules, "tune": 0, "optimizer": lambda rate: __import__("optax").sgd(rate)}
    same(compare(data, **options), compare(data, **options, cluster=cluster))


@pytest.mark.slow
def test_an_error_in_a_rule_is_told_by_its_line(cluster, data, tmp_path):
    text = "import os\n\nfrom ascribe.rules import FeedbackAlignment\n\n\nclass Bad(FeedbackAlignment):\n"
    text += f"    def __call__(self, *given, **more):\n        if os.getpid() != {os.getpid()}:\n"
    text += "            raise RuntimeError('not today')\n        return super().__call__(*given, **more)\n"
    (tmp_path / "bad.py").write_text(text)
    with pytest.raises(UserError, match=r"bad\.py, line 9: RuntimeError: not today"):
        compare(data, **(OPTIONS | {"rules": [f"{tmp_path}/bad.py:Bad"], "tune": 0}), cluster=cluster)


@pytest.mark.slow
def test_what_diverges_is_data_there_too(cluster, data):
    options = OPTIONS | {
        "rules": ["backpropagation"],
        "tune": 0,
        "learning_rate": 1e30,
        "optimizer": "sgd",
        "epochs": 6,
    }
    runs = compare(data, **options, cluster=cluster).runs["backpropagation"]
    assert runs.diverged.all()


@pytest.mark.slow
def test_discover_uses_the_same_workers(cluster, data, monkeypatch):
    """The search's rounds equal those of one process, and the comparison that follows is given the cluster."""
    found, comparisons = {None: [], cluster: []}, []

    def begun(data, **options):
        comparisons.append(options["cluster"])
        raise Interrupted("the comparison is another test's")

    monkeypatch.setattr("ascribe.experiments.discover.compare", begun)
    options = {"network": "4", "evaluations": 4, "batch": 2, "seeds": 2, "epochs": 2, "fresh_seeds": 2, "tune": 1}
    options |= {"random_search": False, "widths": False, "transfer": None}
    for where, rounds in found.items():
        keep = lambda kind, tried, rounds=rounds: rounds.append(tried.areas)
        with pytest.raises(Interrupted):
            discover(data, **options, cluster=where, after_round=keep)
    assert comparisons == [None, cluster]
    for one, two in zip(*found.values(), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-9)


@pytest.mark.slow
def test_everything_listens_on_loopback_alone(cluster):
    for pid in [os.getpid(), *processes(cluster)]:
        assert listening(pid)
        assert {address for address, _ in listening(pid)} == {"0100007F"}


@pytest.mark.slow
def test_workers_that_are_killed_cost_nothing_but_time(cluster, data, long, tmp_path):
    """Each of the two is killed while it trains; the shards go on from their last states."""
    killed = []

    def kill(progress):
        if progress.phase == "training" and len(killed) < 2 and progress.done > 0.2 * progress.total:
            victims = [pid for pid in processes(cluster) if pid not in killed]
            killed.append(victims[0])
            os.kill(victims[0], signal.SIGKILL)

    found = compare(data, **LONG, cluster=cluster, store=tmp_path, listener=kill)
    assert len(set(killed)) == 2
    same(long, found)
    assert len(Store(tmp_path).runs()) == 4


@pytest.mark.slow
def test_a_worker_that_dies_before_its_result_is_fetched_costs_nothing_but_time(data, monkeypatch):
    options = OPTIONS | {"rules": ["backpropagation"], "tune": 0}
    with Cluster(workers=1) as cluster:
        result, victims = cluster._result, processes(cluster)

        def late(*given):
            if processes(cluster) == victims:
                os.kill(victims[0], signal.SIGKILL)
                while cluster._client.scheduler_info(n_workers=-1)["workers"]:
                    time.sleep(0.01)
            return result(*given)

        monkeypatch.setattr(cluster, "_result", late)
        found = compare(data, **options, cluster=cluster)
        assert processes(cluster) != victims
    same(compare(data, **options), found)


@pytest.mark.slow
def test_what_was_stopped_goes_on_in_one_process_or_many(cluster, data, long, tmp_path):
    store = Store(tmp_path)

    def stop(progress):
        if progress.phase == "training" and progress.done > 0.1 * progress.total:
            store.stop()

    with pytest.raises(Interrupted, match="backpropagation"):
        compare(data, **LONG, cluster=cluster, store=store, listener=stop)
    again = Store(tmp_path)
    assert again.experiments()[0]["status"] == "interrupted"
    with again.reading() as connection:
        assert max(connection.execute(sql.select(states.c.epoch)).scalars()) > 0.05 * LONG["epochs"]
    found = compare(data, **LONG, cluster=cluster, store=again)
    same(long, found)
    assert len(Store(tmp_path).runs()) == 4


@pytest.mark.slow
def test_a_scheduler_that_runs_already(data, tmp_path):
    from distributed import LocalCluster

    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "protocol": "tcp://", "processes": False}
    with LocalCluster(n_workers=0, **here) as theirs:
        address = theirs.scheduler_address
        command = [sys.executable, "-m", "ascribe.cluster.process", address, "0", str(2**30)]
        worker = subprocess.Popen(command, start_new_session=True)
        try:
            with Cluster(address) as cluster:
                assert cluster.workers == 1
                options = OPTIONS | {"rules": ["backpropagation"], "tune": 0}
                same(compare(data, **options), compare(data, **options, cluster=cluster, store=tmp_path))
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "give one of them"),
        ({"scheduler": "tcp://127.0.0.1:1", "workers": 2}, "give one of them"),
        ({"workers": 0}, "`workers` is a positive integer; got 0"),
        ({"workers": True}, "`workers` is a positive integer; got True"),
        ({"scheduler": "nonsense://localhost"}, "no Dask scheduler answers at 'nonsense://localhost'"),
        ({"workers": 2, "insecure": True}, "local workers make keys of their own"),
        ({"workers": 2, "tls_key": "key.pem"}, "local workers make keys of their own"),
    ],
)
def test_what_is_no_cluster_is_told(given, sentence):
    with pytest.raises(UserError, match=sentence):
        Cluster(**given)


@pytest.mark.slow
def test_a_scheduler_without_workers_or_none_at_all(monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr("ascribe.cluster.cluster.WAIT", 0.2)
    monkeypatch.setattr("ascribe.cluster.cluster.PATIENCE", 1)
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "protocol": "tcp://", "processes": False}
    with LocalCluster(n_workers=0, **here) as theirs:
        address = theirs.scheduler_address
        with pytest.raises(UserError, match=f"the scheduler at {address} has no workers: start some"):
            Cluster(address)
    with pytest.raises(UserError, match=f"no Dask scheduler answers at '{address}'"):
        Cluster(address)


def test_the_command_line(tmp_path, capsys):
    assert main(["compare", "moons", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert main(["compare", "moons", "--workers", "0"]) == 2
    assert "positive integer" in capsys.readouterr().err
    for given in (["--insecure"], ["--workers", "2", "--tls-ca", "authority.pem"]):
        assert main(["compare", "moons", *given]) == 2
        assert "are about a scheduler: name it with --scheduler" in capsys.readouterr().err
    assert main(["compare", "moons", "--scheduler", "tcp://10.0.0.1:8786"]) == 2
    assert "is on another host and talks in the open" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_end_with_a_process_that_is_killed(tmp_path):
    """Nothing stays behind, and --resume goes on."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ascribe", "compare", "moons", "--samples", "60", "--network", "4", "--seeds", "2"]
    command += ["--rules", "backprop", "--tune", "0", "--epochs", "400000", "--out", str(out)]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "training" in line:
            break
    children = subprocess.run(["pgrep", "-f", "ascribe.cluster.process"], capture_output=True, text=True, check=True)
    mine = [pid for pid in children.stdout.split() if f"{_parent(pid)}" == str(process.pid)]
    assert len(mine) == 2
    store, deadline = Store(out), time.monotonic() + 60
    while not _states(store) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in mine) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in mine)
    assert not (out / "index.html").exists()
    assert not store.runs()
    assert _states(store)  # of what was under way


def _states(store):
    with store.reading() as connection:
        return list(connection.execute(sql.select(states.c.epoch)))


def _parent(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[1]
    return ""


@pytest.mark.slow
def test_threads_end_with_the_cluster(cluster):
    before = threading.active_count()
    with Cluster(workers=1):
        pass
    assert threading.active_count() <= before + 1


@pytest.mark.slow
def test_nobody_else_is_let_in(cluster):
    """Neither to the scheduler nor to a worker: without a key, or with one of somebody else's; and there are no pages."""
    workers = list(cluster._client.scheduler_info(n_workers=-1)["workers"])
    ports = [int(address.rpartition(":")[2]) for address in (cluster.address, *workers)]
    assert all(address.startswith("tls://127.0.0.1:") for address in (cluster.address, *workers)) and len(workers) == 2
    strangers = {"tcp": {}, "tls": {"security": distributed.Security.temporary()}}
    for port in ports:
        for protocol, given in strangers.items():
            with pytest.raises(OSError):
                distributed.Client(f"{protocol}://127.0.0.1:{port}", timeout=1, set_as_default=False, **given)
        with socket.create_connection(("127.0.0.1", port)) as asked:
            asked.sendall(b"GET / HTTP/1.0\r\n\r\n")
            asked.settimeout(5)
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in asked.recv(100)
    for pid in [os.getpid(), *processes(cluster)]:
        for _, port in listening(pid):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as page,
            ):
                raise AssertionError(f"port {port} answers {page.read()[:100]}")
