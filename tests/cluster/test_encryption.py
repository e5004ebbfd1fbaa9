"""What is said to a scheduler is private, and a store's password is not said to it at all."""

import json
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import sqlalchemy as sql

from ascribe import Cluster, compare, datasets
from ascribe.cluster import work
from ascribe.cluster.encryption import address_in, security
from ascribe.errors import UserError
from ascribe.store import NotLetIn, Store, tables

from ..later import Later, needs

pytestmark = needs("distributed", reason="Dask is not installed (extra `cluster`)")
distributed, dask, pgserver = map(Later, ("distributed", "dask", "pgserver"))

SECRET = "geheim/@:%"
OPTIONS: dict[str, Any] = {"rules": ["backpropagation"], "network": "4", "seeds": 2, "epochs": 3, "tune": 0}
HERE = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "protocol": "tls://", "processes": False}


@pytest.fixture(scope="module")
def authority():
    return distributed.Security.temporary()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """The certificates as files."""
    folder, kept = tmp_path_factory.mktemp("certificates"), authority.get_tls_config_for_role("client")
    for name in ("ca_file", "cert", "key"):
        (folder / name).write_text(kept[name])
    return {option: str(folder / name) for option, name in (("ca", "ca_file"), ("cert", "cert"), ("key", "key"))}


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786", "inproc://10.0.0.1/1"],
)
def test_on_this_machine_it_may_talk_in_the_open(address):
    assert not security(address).require_encryption


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.1:8786", "10.0.0.1:8786", "ws://host:8786", "tcp://127.0.0.1.host:1", "tcp://["]
)
def test_on_another_host_it_may_not_unless_that_is_said(address):
    with pytest.raises(UserError, match=r"on another host and talks in the open: whoever is on the way could .* run code"):
        security(address)
    assert not security(address, insecure=True).require_encryption


def test_certificates_are_those_that_are_given_or_those_of_dask_s_configuration(files):
    given = security("tls://10.0.0.1:8786", **files)
    assert given.require_encryption
    assert (given.tls_ca_file, given.tls_client_cert, given.tls_client_key) == tuple(files.values())
    names = {"ca": "ca-file", "cert": "client.cert", "key": "client.key"}
    with dask.config.set({f"distributed.comm.tls.{name}": files[option] for option, name in names.items()}):
        found = security("tls://10.0.0.1:8786")
    assert found.require_encryption and found.tls_client_key == files["key"]


@pytest.mark.parametrize(
    ("address", "given", "sentence"),
    [
        ("tls://10.0.0.1:8786", {}, "asks for certificates: give `tls_ca`"),
        ("tls://127.0.0.1:8786", {}, "asks for certificates: give `tls_ca`"),
        ("tls://10.0.0.1:8786", {"ca": "x"}, "one of your own with its key"),
        ("tls://10.0.0.1:8786", {"cert": "x", "key": "y"}, "one of your own with its key"),
        (
            "tls://10.0.0.1:8786",
            {"ca": "/none/ca.pem", "cert": "x"},
            "the certificates in '/none/ca.pem', 'x' cannot be used",
        ),
        ("tcp://127.0.0.1:8786", {"ca": "x", "cert": "y"}, "certificates are for a scheduler that talks by TLS"),
    ],
)
def test_what_is_no_certificate_is_told(address, given, sentence):
    with pytest.raises(UserError, match=sentence):
        security(address, **given)


def test_a_file_that_is_no_certificate_is_told(files, tmp_path):
    (tmp_path / "text").write_text("no certificate")
    for name in files:
        with pytest.raises(UserError, match="cannot be used"):
            security("tls://10.0.0.1:8786", **files | {name: str(tmp_path / "text")})


def test_the_address_in_a_scheduler_file(tmp_path):
    file = tmp_path / "scheduler.json"
    for content in ("", "[1]", "{}", "{" * 5):
        file.write_text(content)
        with pytest.raises(UserError, match="is no scheduler file"):
            address_in(str(file))
    file.write_text(json.dumps({"address": "tcp://10.0.0.1:8786"}))
    assert address_in(str(file)) == "tcp://10.0.0.1:8786"
    assert address_in("tcp://10.0.0.1:8786") == "tcp://10.0.0.1:8786"
    with pytest.raises(UserError, match=r"the scheduler at tcp://10\.0\.0\.1:8786 is on another host"):
        Cluster(str(file))


@pytest.mark.slow
def test_a_scheduler_with_certificates_trains_for_those_who_have_them_alone(authority, files, monkeypatch):
    data = datasets.load("moons", samples=60)
    given = {f"tls_{name}": path for name, path in files.items()}
    with distributed.LocalCluster(n_workers=0, security=authority, **HERE) as theirs:
        address = theirs.scheduler_address
        command = [sys.executable, "-m", "ascribe.cluster.process", address, "0", str(2**30)]
        worker = subprocess.Popen(command, start_new_session=True, stdin=subprocess.PIPE, text=True)
        try:
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(authority.get_tls_config_for_role("worker"), default=str) + "\n")
            worker.stdin.close()
            with Cluster(address, **given) as cluster:
                trained = compare(data, **OPTIONS, cluster=cluster)
            alone = compare(data, **OPTIONS)
            for one, two in zip(trained.runs.values(), alone.runs.values(), strict=True):
                np.testing.assert_allclose(one.curves["train_loss"], two.curves["train_loss"], rtol=1e-9)
            monkeypatch.setattr("ascribe.cluster.cluster.PATIENCE", 1)
            stranger = distributed.Security.temporary()
            monkeypatch.setattr("ascribe.cluster.cluster.security", lambda *_, **__: stranger)
            with pytest.raises(UserError, match="with certificates of the same authority"):
                Cluster(address)
        finally:
            worker.kill()
            worker.wait()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A PostgreSQL server that asks one of its users for a password, and that user's address."""
    pytest.importorskip("pgserver")
    folder = tmp_path_factory.mktemp("guarded")
    server = pgserver.get_server(folder, cleanup_mode="stop")
    server.psql(f"create role guest login superuser password '{SECRET}'; create database runs;")
    rules = folder / "pg_hba.conf"
    rules.write_text("local all guest scram-sha-256\n" + rules.read_text())
    server.psql("select pg_reload_conf();")
    _, _, query = server.get_uri("runs").partition("?")
    yield f"postgresql://guest:{{}}@/runs?{query}"
    server.cleanup()


@pytest.mark.slow
def test_a_password_is_in_no_order_and_local_workers_keep_states_all_the_same(guarded, monkeypatch):
    address = guarded.format(quote(SECRET, safe=""))
    data, store = datasets.load("moons", samples=60), Store(address)
    sent = []
    with Cluster(workers=1) as cluster:
        submit = cluster._client.submit

        def told(function, *inputs, **given):
            sent.extend(one for one in inputs if isinstance(one, bytes))
            return submit(function, *inputs, **given)

        monkeypatch.setattr(cluster._client, "submit", told)
        options: dict[str, Any] = OPTIONS | {"epochs": 300}
        compare(data, **options, cluster=cluster, store=store)
        with store.reading() as connection:  # finished runs are written by this process, states by workers alone
            assert connection.execute(sql.select(sql.func.count()).select_from(tables.states)).scalar_one() > 0
    orders = [pickle.loads(one) for one in sent if b"geheim" in one or b"Order" in one]
    assert orders and all(isinstance(order, work.Order) and order.store is not None for order in orders)
    assert all(order.store.told and "geheim" not in order.store.address for order in orders)
    assert not any(b"geheim" in one for one in sent)


@pytest.mark.slow
def test_who_has_no_password_or_a_wrong_one_is_told_at_once(guarded, monkeypatch):
    for wrong in ("", "other"):
        with pytest.raises(NotLetIn, match="cannot be reached"):
            Store(guarded.format(wrong))
    monkeypatch.setenv("PGPASSWORD", SECRET)
    public = Store(guarded.format(quote(SECRET, safe=""))).address_without_password
    assert "geheim" not in public
    Store(public).close()


@pytest.mark.slow
def test_a_worker_without_the_password_says_so_and_trains_without_the_store(guarded, monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    store, said = Store(guarded.format(quote(SECRET, safe=""))), []
    worker = SimpleNamespace(log_event=lambda channel, news: said.append((channel, news)), status=None)
    place = work.Place(store.address_without_password, False, None)
    order = work.Order("", "", (), "training", True, place, "orders", "channel", "key", True, "strict")
    assert work._keeper(order, worker).checkpoint("key") is None
    assert said == [("channel", {"unkept": place.address})]
    cluster: Any = object.__new__(Cluster)
    cluster._unkept = set()
    with pytest.warns(UserWarning, match="a worker has no password for the store postgresql") as caught:
        Cluster._pass_on(cluster, said[0][1])
        Cluster._pass_on(cluster, said[0][1])
    assert len(caught) == 1


INTRUDER = """
import ssl, socket, sys
port, *pids = map(int, sys.argv[1:])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5)) as line:
        line.sendall(bytes(8))
        print("read", len(line.recv(1)))  # TLS 1.3 tells that a certificate is missing with the first answer
except (ssl.SSLError, ConnectionError):
    print("refused")
for pid in pids:
    for file in ("environ", "fd/0", "mem"):
        try:
            open(f"/proc/{pid}/{file}", "rb").read(1)
            print("open", pid, file)
        except OSError:
            print("shut")
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_is_not_let_in_and_finds_no_key():
    with Cluster(workers=1) as cluster:
        assert cluster._local is not None
        port = cluster.address.rpartition(":")[2]
        pids = [str(process.pid) for process, _ in cluster._local._workers]
        command = ["/usr/bin/env", "python3", "-c", INTRUDER, port, *pids]
        asked = subprocess.run(
            command, user=65534, group=65534, extra_groups=[], capture_output=True, check=False, text=True, cwd="/"
        )
    if asked.returncode:
        pytest.skip(f"the other user has no Python: {asked.stderr[-200:]}")
    assert asked.stdout.split("\n")[:-1] == ["refused", "shut", "shut", "shut"]
