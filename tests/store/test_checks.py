"""What is kept is checked when it is read: whatever has changed since is told in a sentence, and left as it is."""

import contextlib
import datetime
import json
import shutil
import sqlite3
import threading
import time

import numpy as np
import pytest

from ascribe.cli import main
from ascribe.errors import UserError
from ascribe.store import DATABASE, Store, book, database, keeper, tables
from ascribe.training.keeping import Checkpoint, Kept

from .case import about, snapshot

RUN = about(epochs=2, hyperparameters={"scale": 0.5})


def run(number):
    return RUN, Kept({"train_loss": np.arange(2.0)}, -1, [np.zeros(3)], None, float(number))


def fill(store):
    """Something in every table."""
    one = store.begin("moons", command="ascribe compare moons", options=[["compare", "moons"]])
    store.finish({"a": run(1), "b": run(2)})
    store.score({"a": {"test_accuracy": 0.5}})
    store.save("c", Checkpoint(1, [np.zeros(3)]))
    store.agreed("width", 3)
    store.end("finished", configuration={"network": "4"}, keys={"mine": ["b", "a"]})
    return one


def read(store):
    """Everything that can be read."""
    (one,) = store.experiments()
    store.runs(), store.runs(one["id"])
    store.finished(["a", "b"])
    store.outdated(RUN.rule, RUN.epochs, RUN.context)
    store.checkpoint("c")
    return store.agreed("width", 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    store = Store(folder)
    fill(store)
    assert read(store) == 3
    store.close()
    return folder


@pytest.fixture
def kept(whole, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(whole, tmp_path / "kept")


def execute(folder, *statements):
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        return [connection.execute(*statement).fetchall() for statement in statements]


def dumped(folder):
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        return list(connection.iterdump())


def flipped(value):
    if value is None:
        return "x"
    if isinstance(value, int):
        return value ^ 1
    if isinstance(value, float):
        return float(np.nextafter(value, 2 * value))
    return value[:-1] + chr(ord(value[-1]) ^ 1)


COLUMNS = [(table.name, column.name) for table in tables.SEALED for column in table.columns]


@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=lambda name: name)
def test_a_flipped_bit_is_told_and_nothing_is_changed(kept, table, column):
    ((row,),) = execute(kept, (f"select rowid, {column} from {table} order by rowid limit 1",))
    execute(kept, (f"update {table} set {column} = ? where rowid = ?", (flipped(row[1]), row[0])))
    before = dumped(kept)
    with pytest.raises(UserError, match="is damaged") as told:
        read(Store(kept))
    assert str(told.value).endswith(".") and "\n" not in str(told.value)
    assert dumped(kept) == before


KINDS = {
    "bytes": b"\xff\x00",
    "no text": "cast(x'ff00' as text)",
    "null": None,
    "a number": 1e300,
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("value", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("table", "column"), [("experiments", "options"), ("runs", "scores"), ("runs", "context")])
def test_a_value_of_another_kind_is_told(kept, table, column, value):
    text = isinstance(value, str) and value.startswith("cast")
    with contextlib.suppress(sqlite3.IntegrityError):  # null where that cannot be
        execute(
            kept,
            (f"update {table} set {column} = {value}",) if text else (f"update {table} set {column} = ?", (value,)),
        )
        with pytest.raises(UserError, match=r"damaged|UTF-8"):
            read(Store(kept))


@pytest.mark.parametrize(
    "statement",
    [
        "update payloads set data = cast(data as text) where kind = 'curves'",
        "update payloads set data = 'text' where kind = 'curves'",
        "update payloads set part = 1 where kind = 'curves'",
        "update payloads set owner = 'd' where owner = 'c'",
        "update payloads set kind = 'curved' where kind = 'curves'",
        "delete from states",
    ],
)
def test_arrays_under_another_name_or_of_another_kind_are_told(kept, statement):
    execute(kept, (statement,))
    with pytest.raises(UserError, match=r"damaged|UTF-8"):
        read(Store(kept))


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.score({"a": {"test_accuracy": 1.0}}),
        lambda store: store.begin("moons", resume=True),
    ],
    ids=["score", "resume"],
)
def test_what_is_damaged_is_not_sealed_anew(kept, change):
    """Neither by a change of another value in its row, nor by what goes on with it."""
    execute(kept, ("update runs set learning_rate = 0.2",))
    before = dumped(kept)
    with pytest.raises(UserError, match="is damaged"):
        change(Store(kept))
    assert dumped(kept) == before


def test_a_run_that_is_missed_because_its_key_is_damaged_is_told(kept):
    store = Store(kept)
    (one,) = store.experiments()
    execute(kept, ("delete from runs where key = 'b'",))  # as by another process that deletes another experiment
    assert [row["key"] for row in store.runs(one["id"])] == ["a"]
    execute(kept, ("update runs set key = 'e' where key = 'a'",))
    with pytest.raises(UserError, match="is damaged"):
        store.runs(one["id"])


def test_a_run_that_a_damaged_row_may_need_is_not_deleted(kept):
    store = Store(kept)
    store.begin("second")
    store.end("finished", keys={"mine": ["a"]})
    (second, first) = (one["id"] for one in store.experiments())
    execute(kept, ("update members set run = 'e' where experiment = ?", (second,)))
    with pytest.raises(UserError, match="damaged"):
        store.delete(first)
    assert store.delete(second) == 0  # what is damaged itself can be
    assert store.delete(first) == 2


@pytest.mark.parametrize("arguments", [["list"], ["show"], ["export", "--out", "x.csv"]], ids=lambda one: one[0])
def test_the_command_line_tells_it_in_a_line(kept, capsys, arguments):
    execute(kept, ("update experiments set options = 'null'",))
    before = snapshot(kept)
    assert main(["runs", arguments[0], str(kept), *arguments[1:]]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ascribe: ") and told.count("\n") == 1 and "damaged" in told
    assert snapshot(kept).keys() == before.keys()


# --- order --------------------------------------------------------------------------------------------------------


def test_a_clock_that_goes_back_hides_nothing(tmp_path, monkeypatch):
    store = Store(tmp_path)
    for number, year in enumerate((2026, 2012)):
        for module in (book, keeper):
            monkeypatch.setattr(module, "now", lambda year=year: datetime.datetime(year, 1, 1).isoformat())
        store.begin("moons", options=[["compare", "moons", f"--seeds={number}"]])
        store.finish({str(9 - number): run(number)})
        store.end("interrupted")
    assert [one["created"][:4] for one in store.experiments()] == ["2012", "2026"]
    assert [row["key"] for row in store.runs()] == ["9", "8"]
    store.begin("moons", resume=True)
    assert store.experiments()[0]["options"] == [["compare", "moons", "--seeds=1"]]
    assert store.experiments()[0]["status"] == "running"


def test_runs_that_are_finished_together_keep_their_order(tmp_path):
    store = Store(tmp_path)
    store.finish({key: run(0) for key in "cab"})
    store.finish({key: run(0) for key in "dca"})  # two of them are there
    assert [row["key"] for row in store.runs()] == list("cabd")


# --- schemas ------------------------------------------------------------------------------------------------------

FIRST = """
CREATE TABLE ascribe_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE experiments (id VARCHAR(32) NOT NULL, name TEXT NOT NULL, status VARCHAR(16) NOT NULL,
    created VARCHAR(32) NOT NULL, updated VARCHAR(32) NOT NULL, command TEXT, options TEXT, configuration TEXT,
    versions TEXT NOT NULL, PRIMARY KEY (id));
CREATE TABLE runs ("key" VARCHAR(64) NOT NULL, rule TEXT NOT NULL, phase VARCHAR(16) NOT NULL, data TEXT NOT NULL,
    network TEXT NOT NULL, seed BIGINT NOT NULL, learning_rate DOUBLE NOT NULL, hyperparameters TEXT NOT NULL,
    epochs INTEGER NOT NULL, status VARCHAR(16) NOT NULL, diverged_at INTEGER NOT NULL, scores TEXT,
    seconds DOUBLE NOT NULL, context TEXT NOT NULL, versions TEXT NOT NULL, finished VARCHAR(32) NOT NULL,
    PRIMARY KEY ("key"));
CREATE TABLE members (experiment VARCHAR(32) NOT NULL, run VARCHAR(64) NOT NULL, label TEXT NOT NULL,
    place INTEGER NOT NULL, PRIMARY KEY (experiment, run));
CREATE INDEX ix_members_run ON members (run);
CREATE TABLE payloads (owner VARCHAR(64) NOT NULL, kind VARCHAR(16) NOT NULL, part INTEGER NOT NULL,
    parts INTEGER NOT NULL, checksum VARCHAR(64) NOT NULL, data BLOB NOT NULL, PRIMARY KEY (owner, kind, part));
CREATE TABLE states ("key" VARCHAR(64) NOT NULL, experiment VARCHAR(32), epoch INTEGER NOT NULL,
    updated VARCHAR(32) NOT NULL, PRIMARY KEY ("key"));
CREATE INDEX ix_states_experiment ON states (experiment);
CREATE TABLE agreements (name VARCHAR(96) NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (name));
INSERT INTO ascribe_schema VALUES (1);
"""
"""Schema 1, as SQLite told it of a store of that time."""


@pytest.fixture
def first(kept, tmp_path):
    """The same rows in a store of schema 1."""
    folder = tmp_path / "first"
    folder.mkdir()
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection, connection:
        connection.executescript(FIRST)
        connection.execute("attach ? as new", (str(kept / DATABASE),))
        for table in ("experiments", "runs", "members", "payloads", "states", "agreements"):
            names = ", ".join(f'"{row[1]}"' for row in connection.execute(f"pragma main.table_info({table})"))
            connection.execute(f"insert into main.{table} select {names} from new.{table}")
    return folder


def told(store):
    (one,) = store.experiments()
    arrays = {key: kept.curves["train_loss"].tolist() for key, kept in store.finished(["a", "b"]).items()}
    return one, store.runs(), store.runs(one["id"]), arrays, store.checkpoint("c").leaves[0].tolist()


def test_a_store_of_schema_1_is_brought_up_to_date(first, kept):
    assert told(Store(first)) == told(Store(kept))
    assert told(Store(first, create=False)) == told(Store(kept))  # once, and only once
    sealed = ("select key, number, checksum from runs order by key",)
    assert execute(first, sealed) == execute(kept, sealed)
    assert execute(first, ("select version from ascribe_schema",)) == [[(database.SCHEMA,)]]
    store = Store(first)
    store.begin("moons", resume=True, again=True)
    store.finish({"d": run(3)})
    assert [row["key"] for row in store.runs()] == ["a", "b", "d"]
    execute(first, ("update runs set seed = 5",))
    with pytest.raises(UserError, match="is damaged"):
        store.runs()


@pytest.mark.parametrize(
    "statement",
    [
        "update runs set context = '{'",
        "update runs set scores = '{\"a\": 0.5}'",
        "update runs set seed = 'x'",
        "update experiments set options = '5'",
        "update members set place = x'00'",
    ],
)
def test_what_is_damaged_in_schema_1_stays_as_it_is(first, statement):
    execute(first, (statement,))
    before = dumped(first)
    with pytest.raises(UserError, match="is damaged"):
        Store(first)
    assert dumped(first) == before


def test_two_may_bring_a_store_up_to_date_at_once(first):
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(Store(first).runs()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2, 2, 2]


def test_an_earlier_schema_where_nothing_can_be_written_is_told(first, monkeypatch):
    pragmas = database._pragmas

    def read_only(connection, _):
        pragmas(connection, _)
        connection.execute("pragma query_only = 1")

    monkeypatch.setattr(database, "_pragmas", read_only)
    before = dumped(first)
    with pytest.raises(UserError, match=r"cannot be written to \(attempt to write a readonly database\): name it"):
        Store(first, create=False)
    assert dumped(first) == before


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("update ascribe_schema set version = 0", "0"),
        ("update ascribe_schema set version = -7", "-7"),
        ("delete from ascribe_schema", "0 numbers"),
        ("insert into ascribe_schema values (1)", "2 numbers"),
    ],
)
def test_a_schema_without_a_number_that_can_be_is_told(kept, statement, number):
    execute(kept, (statement,))
    with pytest.raises(UserError, match=rf"is damaged \(its schema is {number}, not one from 1 to"):
        Store(kept)


# --- files that are cut short -------------------------------------------------------------------------------------


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", [b"", b"S", b"SQLite form", b"x" * 5000], ids=["0", "1", "11", "other"])
def test_a_file_that_is_no_store_is_not_taken_for_a_new_one(tmp_path, monkeypatch, content, create):
    monkeypatch.setattr(database, "BEGINNING", 0.05)
    (tmp_path / DATABASE).write_bytes(content)
    with pytest.raises(UserError, match="empty, cut short" if len(content) < 2 else "is damaged"):
        Store(tmp_path, create=create)
    assert snapshot(tmp_path) == {DATABASE: content}


def test_a_store_that_another_begins_just_now_is_waited_for(tmp_path):
    (tmp_path / DATABASE).touch()

    def begin():
        time.sleep(0.1)
        (tmp_path / DATABASE).unlink()
        Store(tmp_path).close()

    thread = threading.Thread(target=begin)
    thread.start()
    assert Store(tmp_path).empty()
    thread.join()


def test_a_database_without_a_table_is_a_store_only_for_those_that_make_one(tmp_path):
    execute(tmp_path, ("pragma user_version = 1",))
    with pytest.raises(UserError, match="holds no store of ascribe"):
        Store(tmp_path, create=False)
    assert Store(tmp_path).empty()


def test_a_truncated_store_is_told_at_any_length(kept):
    """Or it reads as before: where only unused bytes are missing."""
    file, wanted, lengths = kept / DATABASE, told(Store(kept)), []
    content = file.read_bytes()
    for length in [2, 50, 100, 101, 4095, *range(4096, len(content), 5000), len(content) - 4096, len(content) - 1]:
        file.write_bytes(content[:length])
        try:
            assert told(Store(kept, create=False)) == wanted
            lengths.append(length)
        except UserError as error:
            assert "is damaged" in str(error)
        assert file.read_bytes() == content[:length]
    assert all(length > len(content) - 4096 for length in lengths)


def test_flipped_bits_anywhere_in_the_file_are_told_or_harmless(kept, tmp_path):
    """What is read is what was written, or a sentence."""
    content, random = (kept / DATABASE).read_bytes(), np.random.default_rng(0)
    wanted, refused = json.dumps(told(Store(kept))), 0
    for number, place in enumerate(random.integers(100, len(content), size=40)):
        other = tmp_path / str(number)
        other.mkdir()
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        (other / DATABASE).write_bytes(damaged)
        try:
            assert json.dumps(told(Store(other))) == wanted
        except UserError:
            refused += 1
    assert refused
