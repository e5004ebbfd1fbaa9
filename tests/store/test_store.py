"""Runs that are kept: what is finished is not trained again, what was cut off goes on to the same bits."""

import dataclasses
import functools
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import compare
from ascribe.errors import Interrupted, UserError
from ascribe.rules import BFunction
from ascribe.store import DATABASE, Store, check_folder, database, tables
from ascribe.training import Specification, Trainer, processes, source
from ascribe.training.identity import fingerprint
from ascribe.training.keeping import Checkpoint, Kept
from ascribe.training.processes import Shared

from ..later import Later
from ..training import tiny
from . import case
from .case import about, two_at_once

sql = Later("sqlalchemy")

RULES = list(case.RULES)
OPTIONS = {"rules": RULES, **case.OPTIONS}
ONE_RULE = OPTIONS | {"rules": RULES[:1]}


@pytest.fixture(scope="session")
def data():
    return case.data()


@pytest.fixture
def alone(finished):
    """Without a store."""
    return finished


class Phases:
    """A listener that counts what is compiled and trained."""

    def __init__(self, then=lambda progress: None):
        self.seen, self.then = [], then

    def __call__(self, progress):
        self.seen.append((progress.rule, progress.phase))
        self.then(progress)

    def of(self, phase):
        return sorted({rule for rule, its in self.seen if its == phase})


def same(one, two, rules=RULES):
    for rule in rules:
        ours, theirs = one.runs[rule], two.runs[rule]
        for table, other in ((ours.curves, theirs.curves), (ours.scores, theirs.scores)):
            assert table.keys() == other.keys()
            for name, values in table.items():
                np.testing.assert_array_equal(values, other[name], err_msg=f"{rule} {name}")
        assert ours.learning_rates[0] == theirs.learning_rates[0]


def test_what_is_kept_is_not_trained_again(data, alone, tmp_path):
    first, again = Phases(), Phases()
    kept = compare(data, **OPTIONS, store=tmp_path, listener=first)
    same(alone, kept)
    same(alone, compare(data, **OPTIONS, store=tmp_path, listener=again))
    assert first.of("training") == first.of("compiling") == RULES
    assert again.seen == []


def test_more_seeds_and_rules_train_only_those(data, alone, tmp_path):
    compare(data, **ONE_RULE | {"seeds": 1}, store=tmp_path)
    more = Phases()
    compare(data, **OPTIONS | {"seeds": 1}, store=tmp_path, listener=more)
    assert more.of("training") == more.of("tuning") == RULES[1:]
    seeds = Phases()
    same(alone, compare(data, **OPTIONS, store=tmp_path, listener=seeds))
    assert seeds.of("training") == RULES and seeds.of("tuning") == []
    store = Store(tmp_path)
    last = store.experiments()[0]
    assert [row["seed"] for row in store.runs(last["id"]) if row["phase"] == "training"] == [0, 1, 0, 1]
    assert len(store.runs()) == len({row["key"] for row in store.runs()}) == 2 * (2 + 2)


def test_more_epochs_go_on_from_the_last_one(data, tmp_path):
    longer = ONE_RULE | {"epochs": 5}
    compare(data, **ONE_RULE, store=tmp_path)
    began = []
    heard = Phases(lambda progress: began.append(progress.done))
    same(compare(data, **longer), compare(data, **longer, store=tmp_path, listener=heard), rules=RULES[:1])
    assert min(done for done in began if done) == 2 * 4  # two runs, the fourth epoch: the first three are not trained again
    store = Store(tmp_path)
    with store.reading() as connection:
        epochs = set(connection.execute(sql.select(tables.states.c.epoch)).scalars())
    assert epochs == {5}


def test_a_rule_that_acts_between_epochs_begins_anew_for_more(data, tmp_path):
    """After the last epoch it does not act: its state then is not that of a longer run."""
    options = {"rules": ["perceptron"], "network": "4", "seeds": 2, "tune": 0, "learning_rate": 1.0}
    compare(data, **options, epochs=3, store=tmp_path)
    longer = compare(data, **options, epochs=5, store=tmp_path)
    same(compare(data, **options, epochs=5), longer, rules=["perceptron"])


@pytest.mark.parametrize("chunks", [1, 2, 5])
def test_what_was_stopped_goes_on_to_the_same_bits(data, alone, tmp_path, chunks):
    store = Store(tmp_path)
    count = iter(range(chunks, -1, -1))

    def stop(progress):
        if progress.phase != "compiling" and next(count, 0) == 1:
            store.stop()

    with pytest.raises(Interrupted, match="stopped"):
        compare(data, **OPTIONS, store=store, listener=stop)
    assert store.experiments()[0]["status"] == "interrupted"
    same(alone, compare(data, **OPTIONS, store=Store(tmp_path)))


def test_a_run_of_tuning_that_is_a_final_one_too_gets_its_network_from_its_last_state(tmp_path):
    def trained(phase, **options):
        heard, recipe = Phases(), tiny.recipe(tiny.mlp(), tiny.data(), name="backpropagation", width=2)
        found = Trainer(recipe, listener=heard, keeper=Store(tmp_path)).train(runs, phase, **options)
        return found, heard

    runs = [Specification(seed, 0.1) for seed in range(2)]
    tuned, _ = trained("tuning", keep=False)
    final, heard = trained("training")
    networks = lambda parts: [one.networks for one in parts]
    assert networks(tuned) == [None, None] and None not in networks(final)
    assert heard.of("compiling") and not heard.of("training")
    assert [one.seconds for one in final] == [one.seconds for one in tuned] and final[0].seconds > 0
    again, heard = trained("training")
    assert heard.seen == [] and eqx.tree_equal(networks(again), networks(final))


def test_a_diverged_run_is_kept_as_one(data, tmp_path):
    options = {"rules": RULES[:1], "network": "4", "seeds": 2, "epochs": 3, "learning_rate": 1e300}
    first, again = (compare(data, **options, store=tmp_path) for _ in range(2))
    assert first.runs["backpropagation"].diverged.any()
    statuses = ["diverged" if lost else "finished" for lost in again.runs["backpropagation"].diverged]
    store = Store(tmp_path)
    assert [row["status"] for row in store.runs(store.experiments()[0]["id"])] == statuses
    same(first, again, rules=RULES[:1])


def test_two_at_once_lose_nothing_and_double_nothing(data, alone, tmp_path):
    found, store = two_at_once(tmp_path, data, OPTIONS)
    for one in found:
        same(alone, one)
    assert len(store.runs()) == 2 * (2 + 2)
    assert [one["status"] for one in store.experiments()] == ["finished", "finished"]


def test_of_two_processes_that_finish_a_run_the_first_one_counts(tmp_path):
    store, run = Store(tmp_path), about(epochs=1, hyperparameters={})
    for number in (1.0, 2.0):
        networks = [np.full(1, number)] if number == 2.0 else None
        store.finish({"a": (run, Kept({"train_loss": np.full(1, number)}, -1, networks, None, number))})
    (kept,) = store.finished(["a"]).values()
    np.testing.assert_array_equal(kept.curves["train_loss"], [1.0])
    assert kept.seconds == 1.0
    np.testing.assert_array_equal(kept.networks, [[2.0]])  # which the first one did not want


def test_a_weight_that_is_one_number_stays_one(tmp_path):
    """Of no axis, and not of one: beside runs that are trained now it is stacked with theirs."""
    store, kept = (
        Store(tmp_path),
        Kept({"train_loss": np.zeros(1)}, -1, [np.asarray(0.5), np.zeros((2, 3)).T], None, 1.0),
    )
    store.finish({"a": (about(epochs=1, hyperparameters={}), kept)})
    for found in (store.finished(["a"])["a"], processes._unpacked(processes._packed({"a": kept}))["a"]):
        assert [leaf.shape for leaf in found.networks] == [(), (3, 2)]
        assert found.networks[0] == 0.5


def test_all_that_work_on_a_store_agree_on_the_first_number(tmp_path):
    store = Store(tmp_path)
    assert store.agreed("width", 3) == store.agreed("width", 5) == Store(tmp_path).agreed("width", 4) == 3
    assert store.agreed("another", 5) == 5


def test_the_rules_of_a_part_of_an_experiment_are_told_with_its_name(tmp_path):
    store, run = Store(tmp_path), about(epochs=1, hyperparameters={})
    kept = Kept({"train_loss": np.zeros(1)}, -1, None, None, 1.0)
    one = store.begin("moons")
    with store.part("network 8"):
        store.finish({"a": (run, kept)})
        store.end("finished", keys={"r": ["a"]})  # the part, and not the whole
    store.finish({"b": (run, kept)})
    assert {row["key"]: row["rule"] for row in store.runs(one)} == {"a": "network 8: r", "b": "r"}
    assert store.experiments()[0]["status"] == "running"


def test_runs_of_other_code_are_told_apart(tmp_path):
    """What differs in anything that is told, or in nothing, is not one of them."""
    store, own = Store(tmp_path), {"epochs": 2, "hyperparameters": {"scale": 0.5}}
    kept = Kept({"train_loss": np.zeros(2)}, -1, None, None, 1.0)
    others = [
        about(**own),
        about(**own, context={"source": "1"}),
        about(**own, seed=1, context={"source": "2"}),
        about(**own, seed=2, context={"source": "1", "rule": {"class": "mine.py:Mine", "source": "class Mine: pass"}}),
        about(**own, context={"source": "1", "network": "5"}),
        about(**own, rule="q", context={"source": "1"}),
        about(**own | {"epochs": 3}, context={"source": "1"}),
    ]
    store.finish({str(number): (one, kept) for number, one in enumerate(others)})
    wanted = about(**own)
    found = store.outdated(wanted.rule, wanted.epochs, wanted.context)
    assert sorted(found) == [[seed, 0.1, {"scale": 0.5}] for seed in range(3)]
    assert Shared(store).outdated(wanted.rule, wanted.epochs, wanted.context) == found
    with store.writing() as connection:  # as it was once
        (run,) = connection.execute(sql.select(tables.runs).where(tables.runs.c.key == "2"))
        store.change(connection, tables.runs, "2", {"context": run.context.replace(', "source": "2"', "")})
    assert store.outdated(wanted.rule, wanted.epochs, wanted.context) == found


def test_runs_of_other_code_are_shown_and_trained_anew(data, tmp_path, monkeypatch):
    first = compare(data, **ONE_RULE, store=tmp_path)
    monkeypatch.setattr(source, "common", lambda: "another")
    heard, again, rest = Phases(), Phases(), Phases()
    with pytest.warns(UserWarning, match="the store has 4 of these runs as other code made them"):
        same(first, compare(data, **ONE_RULE, store=tmp_path, listener=heard), rules=RULES[:1])
    assert heard.of("tuning") == heard.of("training") == RULES[:1]
    same(first, compare(data, **ONE_RULE, store=tmp_path, listener=again), rules=RULES[:1])  # without a word
    assert again.seen == []
    store = Store(tmp_path)
    assert len(store.experiments()) == 3
    assert len(store.runs()) == 2 * (2 + 2)
    oldest = store.experiments()[-1]
    assert [row["seed"] for row in store.runs(oldest["id"]) if row["phase"] == "training"] == [0, 1]
    assert oldest["runs"] == 4
    monkeypatch.undo()  # the first code again: its runs are those of today
    compare(data, **ONE_RULE, store=tmp_path, listener=rest)
    assert rest.seen == []


def test_experiments_are_deleted_without_what_others_have(data, tmp_path):
    compare(data, **OPTIONS | {"seeds": 1}, store=tmp_path)
    compare(data, **OPTIONS, store=tmp_path)
    store = Store(tmp_path)
    later, earlier = (one["id"] for one in store.experiments())
    assert store.delete(later) == 2  # the second seed of two rules
    assert len(store.runs()) == len(store.runs(earlier)) == 2 * (1 + 2)
    assert store.delete(earlier) == 6
    assert store.empty()
    with store.reading() as connection:
        assert connection.execute(sql.select(sql.func.count()).select_from(tables.payloads)).scalar_one() == 0
    with pytest.raises(UserError, match="has no experiment 'nobody'"):
        store.delete("nobody")


def test_everything_comes_out_as_a_table(data, tmp_path):
    pandas = pytest.importorskip("pandas")
    found = compare(data, **OPTIONS, store=tmp_path / "store")
    store = Store(tmp_path / "store")
    last = store.experiments()[0]["id"]
    frame = store.to_frame(last)
    final = frame[frame.phase == "training"]
    assert list(final.seed) == [0, 1, 0, 1]
    expected = np.concatenate([found.runs[rule].test_accuracy for rule in RULES])
    np.testing.assert_array_equal(final.test_accuracy, expected)
    for end, read in ((".parquet", pandas.read_parquet), (".csv", pandas.read_csv), (".json", pandas.read_json)):
        path = tmp_path / f"runs{end}"
        assert store.export(path, last) == len(frame) * 3
        table = read(path)
        loss = table[(table.phase == "training") & (table.rule == RULES[1]) & (table.seed == 1)].train_loss
        np.testing.assert_allclose(loss, found.runs[RULES[1]].train_loss[1], rtol=1e-9)
    with pytest.raises(UserError, match=r"\.parquet, \.csv or \.json file; got 'runs.xls'"):
        store.export(tmp_path / "runs.xls")


def kept_of(**changes):
    return Kept({"b": np.ones(2, np.float32), "a": np.asarray([0.1, np.nan], np.float32)} | changes, -1, [], None, 1.0)


def test_the_same_store_gives_the_same_bytes(tmp_path):
    """The columns are those that are documented, whatever the order in which runs came, and need no other package."""
    store = Store(tmp_path / "store")
    store.finish({"x": (about(rule="r", epochs=2, hyperparameters={"z": 0.5}), kept_of())})
    store.finish({"y": (about(rule="q", epochs=2, seed=1, hyperparameters={"w": 2.0}), kept_of(c=np.zeros(2)))})
    store.score({"x": {"test_loss": 1.0, "test_accuracy": 0.5}, "y": {"test_loss": float("inf")}})
    first = "key,rule,phase,data,network,seed,learning_rate,hyperparameter:w,hyperparameter:z,epochs,status,diverged_at,seconds"
    expected = [
        f"{first},test_accuracy,test_loss,epoch,a,b,c",
        "x,r,training,moons,4,0,0.1,,0.5,2,finished,-1,1.0,0.5,1.0,0,0.1,1.0,",
        "x,r,training,moons,4,0,0.1,,0.5,2,finished,-1,1.0,0.5,1.0,1,,1.0,",
        "y,q,training,moons,4,1,0.1,2.0,,2,finished,-1,1.0,,,0,0.1,1.0,0.0",
        "y,q,training,moons,4,1,0.1,2.0,,2,finished,-1,1.0,,,1,,1.0,0.0",
    ]
    for number in range(3):
        fresh = Store(tmp_path / "store")
        assert fresh.export(tmp_path / f"{number}.csv") == fresh.export(tmp_path / f"{number}.json") == 4
        assert (tmp_path / f"{number}.csv").read_text().splitlines() == expected
        assert (tmp_path / f"{number}.json").read_bytes() == (tmp_path / "0.json").read_bytes()
    rows = json.loads((tmp_path / "0.json").read_text())
    assert [list(row) for row in rows] == [expected[0].split(",")] * 4
    assert (rows[0]["a"], rows[1]["a"], rows[0]["c"], rows[2]["test_loss"]) == (0.1, None, None, None)


def test_arrays_come_back_in_the_order_of_their_names(tmp_path):
    store = Store(tmp_path)
    names = [f"curve{number}" for number in range(20)]
    store.finish({"x": (about(epochs=2, hyperparameters={}), kept_of(**{name: np.zeros(2) for name in names[::-1]}))})
    assert list(store.curves("x")) == sorted(["a", "b", *names])


def test_an_export_replaces_nothing_unless_it_is_told_to(tmp_path):
    store = Store(tmp_path / "store")
    store.finish({"x": (about(epochs=2, hyperparameters={}), kept_of())})
    (tmp_path / "mine.json").write_text("mine")
    with pytest.raises(UserError, match=r"there is a file .*mine\.json' already"):
        store.export(tmp_path / "mine.json")
    assert (tmp_path / "mine.json").read_text() == "mine"
    assert store.export(tmp_path / "mine.json", overwrite=True) == 2
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        store.export(tmp_path / "a.csv")


# --- damage -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """A store of two runs."""
    path = tmp_path_factory.mktemp("kept")
    compare(data, **ONE_RULE | {"tune": 0}, store=path)
    return path


@pytest.fixture
def kept(folder, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(folder, tmp_path / "kept")


def changed(folder, *statements):
    with sqlite3.connect(folder / DATABASE) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("kind", ["curves", "networks"])
def test_a_flipped_byte_is_noticed(data, kept, kind):
    with sqlite3.connect(kept / DATABASE) as connection:
        owner, blob = connection.execute("select owner, data from payloads where kind = ?", (kind,)).fetchone()
        damaged = bytearray(blob)
        damaged[-3] ^= 1
        connection.execute("update payloads set data = ? where owner = ? and kind = ?", (damaged, owner, kind))
    connection.close()
    with pytest.raises(UserError, match=f"damaged: the {kind} of {owner[:12]} are not those that were written"):
        compare(data, **ONE_RULE | {"tune": 0}, store=kept)


def test_a_missing_part_is_noticed(data, kept, monkeypatch):
    changed(kept, "update payloads set parts = 2 where kind = 'curves'")
    with pytest.raises(UserError, match="is damaged"):
        compare(data, **ONE_RULE | {"tune": 0}, store=kept)


def test_arrays_in_parts_are_whole_again(kept, monkeypatch):
    monkeypatch.setattr(database, "PART", 100)
    store, leaves = Store(kept), [np.arange(1000.0), np.ones((3, 4), np.float32), np.asarray(True)]
    store.save("a", Checkpoint(7, leaves))
    with store.reading() as connection:
        rows = connection.execute(sql.select(tables.payloads.c.part).where(tables.payloads.c.owner == "a"))
        assert len(list(rows)) > 80
    found = store.checkpoint("a")
    assert found.epoch == 7
    for ours, theirs in zip(leaves, found.leaves, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_a_state_that_is_too_large_to_stay_is_forgotten(data, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["ascribe.training.driver"], "LARGEST_REMAINDER", 10)
    monkeypatch.setattr(sys.modules["ascribe.training.driver"], "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sys.modules["ascribe.training.driver"], "CHUNK_SECONDS", 0.0)
    compare(data, **OPTIONS, store=tmp_path)
    with Store(tmp_path).reading() as connection:
        assert connection.execute(sql.select(sql.func.count()).select_from(tables.states)).scalar_one() == 0
        kinds = set(connection.execute(sql.select(tables.payloads.c.kind)).scalars())
    assert kinds == {"curves", "networks"}


def test_a_state_of_another_program_is_refused(data, tmp_path):
    store = Store(tmp_path)
    store.finished = lambda keys: {}
    store.checkpoint = lambda key: Checkpoint(1, [np.zeros(3)])
    with pytest.raises(UserError, match="does not fit its program"):
        compare(data, **OPTIONS, store=store)


def test_what_is_no_store_is_told(tmp_path):
    file = tmp_path / DATABASE
    file.write_bytes(b"not a database at all" * 100)
    with pytest.raises(UserError, match=r"is damaged \(file is not a database\)"):
        Store(tmp_path)
    file.unlink()
    changed(tmp_path, "create table recipes (name text)")
    with pytest.raises(UserError, match="is a database of something else"):
        Store(tmp_path)
    with pytest.raises(UserError, match="holds no store of ascribe"):
        Store(tmp_path / "nowhere", create=False)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(UserError, match="a store is a folder, an SQLite file"):
        Store("mysql://host/name")


@pytest.mark.parametrize("name", ["week%207", "50%", "%2e%2e", "a?mode=memory", "b#c", "d e", "[ab]*", "c:d@e", "ü=&;"])
def test_a_store_lies_where_its_path_says_whatever_is_in_it(tmp_path, name):
    """A path is no URL: nothing in it is decoded, and nothing ends it."""
    for place in (tmp_path / name, f"{tmp_path}/{name}.sqlite"):
        Store(place).close()
        Store(place, create=False).close()
    named = {name: {DATABASE}, f"{name}.sqlite": None}
    if "?" not in name:
        Store(f"sqlite:///{tmp_path}/x{name}").close()
        named[f"x{name}"] = None
    files = {one.name: {file.name for file in one.iterdir()} if one.is_dir() else None for one in tmp_path.iterdir()}
    assert files == named


def test_an_address_of_a_file_has_no_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address, words in (("sqlite:///runs?mode=ro", "without options"), ("sqlite://runs", "a store is a folder")):
        with pytest.raises(UserError, match=words):
            Store(address)
    assert list(tmp_path.iterdir()) == []


def test_what_another_folder_left_is_not_taken_for_one_s_own(tmp_path):
    """Where a folder's name would be a pattern for others' names."""
    other = tmp_path / ".run1.ascribe-old-abcdefgh"
    other.mkdir()
    (other / "record.json").touch()
    for name in ("run?", "run*", "run[0-9]"):
        check_folder(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [other.name]
    own = tmp_path / ".run[0-9].ascribe-new-abcdefgh"
    own.mkdir()
    check_folder(tmp_path / "run[0-9]")
    assert not own.exists()


def test_passwords_are_not_told(monkeypatch):
    monkeypatch.setattr(database, "WAIT", 0.0)
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match=r"postgresql://me:\*\*\*@127.0.0.1:1/name' cannot be reached") as told:
        Store("postgresql://me:secret@127.0.0.1:1/name")
    assert "secret" not in str(told.value)


def test_a_truncated_file_is_told(kept):
    file = kept / DATABASE
    content = file.read_bytes()
    assert len(content) > 50_000  # the log was written into it when the store was closed
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="is damaged"):
        for run in Store(kept).runs():
            Store(kept).curves(run["key"])


def test_a_newer_schema_is_refused_and_an_older_one_brought_up(kept, monkeypatch):
    before = len(Store(kept).runs())
    changed(kept, f"update ascribe_schema set version = {database.SCHEMA + 1}")
    with pytest.raises(UserError, match=rf"newer version of ascribe \(schema {database.SCHEMA + 1}; this one reads"):
        Store(kept)
    changed(kept, f"update ascribe_schema set version = {database.SCHEMA}")
    steps = {database.SCHEMA: ["alter table runs add column remark text", "update runs set remark = 'moved'"]}
    monkeypatch.setattr(database, "MIGRATIONS", steps)
    monkeypatch.setattr(database, "SCHEMA", database.SCHEMA + 1)
    for _ in range(2):
        assert len(Store(kept).runs()) == before
    with sqlite3.connect(kept / DATABASE) as connection:
        assert {row[0] for row in connection.execute("select remark from runs")} == {"moved"}
    connection.close()


def test_a_full_disk_costs_nothing_that_was_kept(kept):
    store = Store(kept)
    store.save("a", Checkpoint(1, [np.zeros(10)]))
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("pragma page_count").scalar_one()

    def limit(connection, _):
        connection.execute(f"pragma max_page_count = {pages + 1}")

    store.engine.dispose()
    sql.event.listen(store.engine, "connect", limit)
    with pytest.raises(UserError, match="cannot grow, the disk is full"):
        store.save("a", Checkpoint(2, [np.zeros(10**6)]))
    assert store.checkpoint("a").epoch == 1
    assert Store(kept).checkpoint("a").leaves[0].shape == (10,)


# --- what a run is known by ---------------------------------------------------------------------------------------


def _scaled(factor):
    return lambda z: factor * z


def _rule(factor, **attributes):
    """A class made by a function, which closes over a number."""

    class Scaled(BFunction):
        gain = 1.0

        def __call__(self, *given, key):
            credit = super().__call__(*given, key=key)
            return dataclasses.replace(credit, loss=factor * credit.loss)

        def again(self, depth):
            return Scaled if depth else repeated(depth)

    def repeated(depth):
        return repeated(depth - 1)

    for name, value in attributes.items():
        setattr(Scaled, name, value)
    return Scaled


def test_objects_are_known_by_what_they_do():
    other = [
        1,
        1.0,
        "1",
        jnp.ones(2),
        jnp.zeros(2),
        jax.random.key(0),
        jax.random.key(1),
        np.ones(2, np.float32),
        np.zeros(2, np.int64),  # the bytes are those of the other zeros
        functools.partial(_scaled, 1.0),
        functools.partial(_scaled, factor=1.0),
        functools.partial(_scaled, 2.0),
        Checkpoint(1, [])._replace,  # a method is also its object
        Checkpoint(2, [])._replace,
        _scaled(1.0),
        _scaled(2.0),
        lambda z: z + 1,
        lambda z: z + 2,
        BFunction(derivative=_scaled(1.0)),
        BFunction(derivative=_scaled(2.0)),
        BFunction(derivative="tanh"),
        {"a", "b"},
        {"a", "c"},
        lambda z: z in {"sparse", "dense", "none"},
        int,
        Phases,
        _rule(1.0),
        _rule(2.0),
        _rule(1.0, gain=2.0),
        _rule(1.0, gain=np.ones(2)),
        _rule(1.0, shift=property(_scaled(1.0))),
        _rule(1.0, shift=property(_scaled(2.0))),
    ]
    prints = [json.dumps(fingerprint(one)) for one in other]
    assert len(set(prints)) == len(prints)
    assert prints == [json.dumps(fingerprint(one)) for one in other]
    assert fingerprint(_scaled(2.0)) == fingerprint(_scaled(2.0))
    assert fingerprint(_rule(2.0)) == fingerprint(_rule(2.0)) == fingerprint(_rule(2.0, kept=[object()]))
    traced = []
    jax.eval_shape(traced.append, 1.0)
    assert fingerprint(_rule(2.0, last=traced[0])) == fingerprint(_rule(2.0))  # what nobody can read


CELL = """
from ascribe.rules import BFunction

GAIN, loss = 1.0, 0.5


def scaled(z):
    return GAIN * z.loss


class Cell(BFunction):
    def __call__(self, *given, key):
        return scaled(super().__call__(*given, key=key))
"""


def test_code_of_a_notebook_is_known_by_what_it_reads_there():
    def known(cell, name):
        here = {"__name__": "a_notebook"}
        exec(cell, here)
        return json.dumps(fingerprint(here[name]))

    for name in ("scaled", "Cell"):
        first = known(CELL, name)
        assert first == known(CELL.replace("loss = 1.0, 0.5", "loss = 1.0, 0.25"), name)  # an attribute's name, not read
        changed = [known(CELL.replace(*change), name) for change in (("GAIN, loss = 1.0", "GAIN, loss = 2.0"), ("* z", "+ z"))]
        assert len({first, *changed}) == 3


@pytest.mark.slow
def test_keys_are_the_same_in_another_process(tmp_path):
    own = "from ascribe import networks\nfrom ascribe.rules import SignSymmetry\n\n\nclass Own(SignSymmetry):\n"
    own += "    def layer(self, inputs):\n        return networks.Linear if inputs in {1, 2} else networks.Conv2d\n"
    (tmp_path / "own.py").write_text(own)
    program = f"""
import json
from ascribe import rules
from ascribe.rules import BFunction, FeedbackAlignment
from ascribe.training.identity import fingerprint
print(json.dumps([fingerprint(one) for one in (FeedbackAlignment(), BFunction(derivative="tanh"), lambda z: 2 * z,
    lambda z: z in {{"sparse", "dense", "none"}}, {{"a", "b", "c"}}, rules.get({f"{tmp_path}/own.py:Own"!r}))]))
"""
    texts = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)
        texts.add(done.stdout)
    assert len(texts) == 1
    assert b"ascribe.networks.conv2d" in texts.pop()


@pytest.mark.slow
def test_a_landscape_is_drawn_once(data, tmp_path, monkeypatch):
    """What is kept is what was drawn; a part of the comparison that is another one needs another drawing."""
    options = OPTIONS | {"tune": 0, "landscape": "linear2"}
    first = compare(data, **options, store=tmp_path).landscape
    names = iter(("what is the same is drawn again", "another layer", "another rule"))

    def draws(*_, **__):
        raise UserError(next(names))

    monkeypatch.setattr("ascribe.experiments.compare.draw", draws)
    again = compare(data, **options, store=tmp_path).landscape
    for field in dataclasses.fields(first):
        np.testing.assert_equal(getattr(again, field.name), getattr(first, field.name), err_msg=field.name)
    next(names)
    for other in ({"landscape": "linear1"}, {"rules": RULES[:1]}):
        with pytest.warns(UserWarning, match="without the loss landscape: another"):
            compare(data, **(options | other), store=tmp_path)
    store = Store(tmp_path)
    for experiment in store.experiments():
        store.delete(experiment["id"])
    with store.reading() as connection:
        assert connection.execute(sql.select(sql.func.count()).select_from(tables.payloads)).scalar_one() == 0


def test_resuming_goes_on_with_what_has_not_ended_and_begins_anew_after_what_has(tmp_path):
    store = Store(tmp_path)
    first = store.begin("one")
    assert store.begin("one") != first
    second = store.experiments()[0]["id"]
    assert store.begin("one", resume=True) == second
    store.end("finished")
    third = store.begin("one", resume=True)
    assert third not in (first, second)
    store.end("finished")
    assert store.begin("one", resume=True, again=True) == third
