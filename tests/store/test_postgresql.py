"""The store on a PostgreSQL server of its own, which listens on a socket in a folder and on no port."""

import importlib
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ascribe import compare
from ascribe.errors import UserError
from ascribe.store import Store, database, tables
from ascribe.training.keeping import Checkpoint, Kept

from ..later import Later, needs
from . import case
from .case import about, two_at_once

sql, pgserver = Later("sqlalchemy"), Later("pgserver")

pytestmark = [pytest.mark.slow, needs("psycopg", "pgserver")]
OPTIONS = {"rules": list(case.RULES), **case.OPTIONS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder):
    with warnings.catch_warnings(action="ignore"):
        importlib.import_module("pgserver")
    started = pgserver.get_server(folder, cleanup_mode="stop")
    yield started
    started.cleanup()


@pytest.fixture
def address(server):
    """An empty database."""
    name = f"ascribe_{time.time_ns()}"
    server.psql(f"create database {name};")
    return server.get_uri(name)


@pytest.fixture
def data():
    return case.data()


@pytest.fixture
def alone(finished):
    return finished


def same(one, two):
    for rule, runs in one.runs.items():
        for name, values in {**runs.curves, **runs.scores}.items():
            np.testing.assert_array_equal(values, getattr(two.runs[rule], name), err_msg=f"{rule} {name}")


def test_runs_are_kept_and_taken_from_there(data, alone, address):
    same(alone, compare(data, **OPTIONS, store=address))
    phases = []
    same(alone, compare(data, **OPTIONS, store=address, listener=phases.append))
    assert phases == []
    store = Store(address, create=False)
    assert len(store.runs()) == 2 * (2 + 2)
    assert len(store.to_frame(store.experiments()[0]["id"], curves=True)) == 8 * 3
    assert store.delete(store.experiments()[0]["id"]) == 0
    assert store.delete(store.experiments()[0]["id"]) == 8
    assert store.empty()


def test_two_at_once_lose_nothing_and_double_nothing(data, alone, address):
    found, store = two_at_once(address, data, OPTIONS)
    for one in found:
        same(alone, one)
    assert len(store.runs()) == 2 * (2 + 2)
    assert [one["status"] for one in store.experiments()] == ["finished", "finished"]


def test_a_server_that_is_started_anew_in_between_costs_nothing(data, alone, address, server, folder):
    stopped = []

    def restart(progress):
        if progress.phase == "training" and not stopped:
            stopped.append(progress.rule)
            server.cleanup()
            threading.Timer(1.0, lambda: pgserver.get_server(folder, cleanup_mode="stop")).start()

    same(alone, compare(data, **OPTIONS, store=address, listener=restart))
    assert stopped
    store = Store(address)
    assert len(store.runs()) == 2 * (2 + 2)
    assert [one["status"] for one in store.experiments()] == ["finished"]


def test_of_two_processes_that_finish_a_run_the_first_one_counts(address):
    store = Store(address)
    for number in (1.0, 2.0):
        store.finish({"a": (about(epochs=1, hyperparameters={}), Kept({"loss": np.full(1, number)}, -1, None, None, number))})
    (kept,) = store.finished(["a"]).values()
    np.testing.assert_array_equal(kept.curves["loss"], [1.0])
    assert kept.seconds == 1.0


def test_parts_and_transactions(address, monkeypatch):
    monkeypatch.setattr(database, "PART", 100)
    store = Store(address)
    store.save("a", Checkpoint(3, [np.arange(1000.0), np.asarray([True])]))
    with pytest.raises(RuntimeError, match="in the middle"), store.writing() as connection:
        store.erase(connection, "a", "state")
        raise RuntimeError("in the middle")
    found = store.checkpoint("a")
    assert found.epoch == 3
    np.testing.assert_array_equal(found.leaves[0], np.arange(1000.0))
    assert store.agreed("width", 3) == store.agreed("width", 5) == 3


def test_many_may_write_the_same_at_once(address):
    """Two processes that train the same shard keep its state under one key."""

    def work(number):
        store = Store(address)
        for epoch in range(10):
            store.save("a", Checkpoint(epoch, [np.arange(1000.0) + epoch]))
            found = store.checkpoint("a")
            np.testing.assert_array_equal(found.leaves[0], np.arange(1000.0) + found.epoch)
            store.forget(f"b{number}")
        return store.agreed("width", number)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(work, range(4)))) == 1


def test_a_store_of_schema_1_is_brought_up_to_date(address):
    store = Store(address)
    one = store.begin("moons", options=[["compare", "moons"]])
    kept = Kept({"loss": np.arange(2.0)}, -1, [np.zeros(3)], None, 0.1)
    store.finish({key: (about(epochs=2, hyperparameters={"scale": 0.1}), kept) for key in "ab"})
    store.score({"a": {"test_loss": 1 / 3}})
    store.save("c", Checkpoint(1, [np.zeros(3)]))
    store.agreed("width", 3)
    store.end("finished", keys={"mine": ["b", "a"]})
    before = store.experiments(), store.runs(), store.runs(one)
    engine = sql.create_engine(database.address_of(address))
    sealed = "select key, number, checksum from runs order by key"
    with engine.begin() as connection:
        rows = connection.exec_driver_sql(sealed).all()
        for table in tables.SEALED:
            connection.exec_driver_sql(f"alter table {table.name} drop column checksum")
        for name in ("experiments", "runs"):
            connection.exec_driver_sql(f"alter table {name} drop column number")
        connection.exec_driver_sql("update ascribe_schema set version = 1")
    with ThreadPoolExecutor(3) as pool:  # and only one does it
        for again in pool.map(lambda _: Store(address), range(3)):
            assert (again.experiments(), again.runs(), again.runs(one)) == before
            assert again.checkpoint("c").epoch == 1 and again.agreed("width", 4) == 3
    with engine.begin() as connection:
        assert connection.exec_driver_sql(sealed).all() == rows
        connection.exec_driver_sql("update runs set seed = 5 where key = 'a'")
    engine.dispose()
    with pytest.raises(UserError, match="is damaged"):
        store.runs()


def test_what_cannot_be_used_is_told(address, monkeypatch):
    monkeypatch.setattr(database, "WAIT", 0.0)
    with pytest.raises(UserError, match="cannot be reached"):
        Store(address.replace("/ascribe_", "/nobody_"))
    Store(address).close()
    engine = sql.create_engine(database.address_of(address))
    with engine.begin() as connection:
        connection.exec_driver_sql("update ascribe_schema set version = 99")
    engine.dispose()
    with pytest.raises(UserError, match="newer version of ascribe"):
        Store(address)
