"""`compare --resume` and `ascribe runs`: what was stopped goes on, what is there is shown, exported and deleted."""

import json
import signal

import numpy as np
import pytest

from ascribe import load
from ascribe.cli import given, main, written
from ascribe.store import DATABASE, Store, check_folder
from ascribe.store.lock import FolderLock

from ..store.case import COMMAND_LINE, command_line, comparison, plain, snapshot
from .case import signaled_at

pytestmark = pytest.mark.usefixtures("finished")
COMPARE = ["compare", *COMMAND_LINE]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def same(folder, one=None):
    one = one or comparison()
    other = load(folder)
    assert list(one.runs) == list(other.runs)
    for rule, runs in one.runs.items():
        for name, values in {**runs.curves, **runs.scores}.items():
            np.testing.assert_array_equal(values, getattr(other.runs[rule], name), err_msg=f"{rule} {name}")


@pytest.mark.parametrize(("phase", "number"), [("tuning", signal.SIGINT), ("training", signal.SIGTERM)])
def test_a_signal_ends_the_work_and_resume_goes_on(here, capsys, monkeypatch, phase, number):
    signaled_at(monkeypatch, phase, number)
    before = signal.getsignal(number)
    assert main([*COMPARE, "--out", "out"]) == 130
    assert signal.getsignal(number) is before
    told = capsys.readouterr().err
    assert "what was done is kept: go on with the same data and --out out --resume" in told
    assert not (here / "out" / "record.json").exists()
    assert main([*COMPARE, "--out", "out"]) == 2
    assert "unfinished work: add --resume" in capsys.readouterr().err
    # The options that it was begun with need not be repeated, however often it is resumed.
    signaled_at(monkeypatch, "training", number)
    assert main(["compare", "moons", "--out", "out", "--resume"]) in (0, 130)
    assert main(["compare", "moons", "--out", "out", "--resume", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["out"] == "out"
    same(here / "out")
    (one,) = Store(here / "out").experiments()
    assert one["status"] == "finished"
    assert "jax" in one["versions"]


def test_before_anything_is_done_nothing_is_left(here, capsys, monkeypatch):
    signaled_at(monkeypatch, "compiling", signal.SIGINT)
    assert main(COMPARE) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert list(here.iterdir()) == []


def test_seeds_are_added_and_the_page_has_them_all(here, capsys):
    assert main(["compare", *command_line(seeds=1), "--out", "out"]) == 0
    assert {runs.seeds for runs in load(here / "out").runs.values()} == {(0,)}
    assert main(["compare", "moons", "--out", "out", "--resume", "--seeds", "2"]) == 0
    same(here / "out")
    assert main([*COMPARE, "--out", "out"]) == 2
    assert "add --resume to add to it, --overwrite to replace it" in capsys.readouterr().err
    assert main([*COMPARE, "--out", "out", "--overwrite"]) == 0
    same(here / "out")
    store = Store(here / "out")
    assert len(store.experiments()) == 1


def test_a_store_of_its_own_serves_several_folders(here, capsys):
    assert main([*COMPARE, "--out", "one", "--store", "all.sqlite"]) == 0
    assert not (here / "one" / DATABASE).exists()
    capsys.readouterr()
    assert main([*COMPARE, "--out", "two", "--store", "all.sqlite"]) == 0
    assert "tuning" not in capsys.readouterr().err
    same(here / "one")
    same(here / "two")
    store = Store(here / "all.sqlite")
    assert len(store.experiments()) == 2
    assert len(store.runs()) == 8


def test_what_is_kept_is_listed_shown_exported_and_deleted(here, capsys):
    assert main(COMPARE) == 0
    capsys.readouterr()
    assert main(["runs", "list", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["experiments"]
    assert (one["store"], one["name"], one["status"], one["runs"]) == ("ascribe-runs/moons-001", "moons", "finished", 8)
    assert main(["runs", "list"]) == 0
    assert one["id"] in capsys.readouterr().out
    assert main(["runs", "show", one["store"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [row["seed"] for row in shown["runs"] if row["phase"] == "training"] == [0, 1, 0, 1]
    assert main(["runs", "show", one["store"]]) == 0
    assert "feedback-alignment" in capsys.readouterr().out
    assert main(["runs", "export", one["store"], "--out", "runs.csv"]) == 0
    assert len((here / "runs.csv").read_text().splitlines()) == 1 + 8 * 3
    assert main(["runs", "export", one["store"], "--out", "runs.csv"]) == 2
    assert "add --overwrite to replace it" in capsys.readouterr().err
    assert main(["runs", "export", one["store"], "--out", "runs.csv", "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "runs.csv", "rows": 24}
    assert main(["runs", "delete", one["store"], one["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": one["id"], "runs": 8}
    assert main(["runs", "list"]) == 0
    assert "no experiments in ascribe-runs yet: ascribe compare moons, or name another folder" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "moons", "--resume"], "name it with --out"),
        (["compare", "moons", "--out", "nowhere", "--resume"], "holds no store of ascribe"),
        (["compare", "moons", "--store", "mysql://host/name"], "a store is a folder, an SQLite file"),
        (["compare", "moons", "--rules", "nobody", "--out", "new"], "nobody"),
        (["runs", "show"], "show wants a store"),
        (["runs", "list", "nowhere"], "holds no store of ascribe"),
        (["runs", "delete", "nowhere"], "holds no store of ascribe"),
        (["runs", "export", "nowhere"], "export wants a file to write"),
        (["runs", "show", "nowhere", "--out", "runs.csv"], "export wants a file to write"),
        (["runs", "show", "nowhere", "--overwrite"], "--overwrite is about the file of an export"),
        (["runs", "shuffle"], "ACTION is list, show, export or delete; got 'shuffle'."),
    ],
)
def test_bad_input_is_one_sentence(here, capsys, arguments, said):
    assert main(arguments) == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert told.startswith("ascribe: ") and len(told.splitlines()) == 1
    assert list(here.iterdir()) == []


def test_what_fails_before_anything_is_done_leaves_nothing_in_a_store(here, capsys):
    assert main([*COMPARE, "--out", "one", "--store", "all.sqlite"]) == 0
    assert main([*COMPARE, "--rates", "2:1", "--out", "two", "--store", "all.sqlite"]) == 2
    store = Store(here / "all.sqlite")
    assert [one["status"] for one in store.experiments()] == ["finished"]
    assert not (here / "two").exists()


def test_a_folder_may_be_named_like_a_store_or_an_address(here):
    for out in ("out.sqlite", "what?"):
        assert main([*COMPARE, "--out", out]) == 0
        assert (here / out / "ascribe.sqlite").is_file() and (here / out / "index.html").is_file()
        assert main([*COMPARE[:2], "--out", out, "--resume"]) == 0
    assert {path.name for path in here.iterdir()} == {"out.sqlite", "what?"}


def test_what_is_refused_leaves_no_folder(here, capsys):
    for places in (["--store", "new/deep/store"], ["--out", "new/deep"], ["--store", "?"]):
        assert main([*COMPARE, *places, "--only", "nothing"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
        assert list(here.iterdir()) == []


def test_a_file_of_data_may_be_named_in_several_ways(here, capsys):
    rows = [f"{i},{i % 7},{'uv'[i % 2]}" for i in range(40)]
    (here / "t.csv").write_text("\n".join(["a,b,c", *rows]))
    assert main(["compare", "t.csv", *command_line(samples=None)[1:], "--out", "out"]) == 0
    count = len(Store(here / "out").runs())
    assert main(["compare", f"{here}/t.csv", "--out", "out", "--resume"]) == 0
    assert len(Store(here / "out").runs()) == count


def test_other_data_is_refused(here, capsys):
    assert main([*COMPARE, "--out", "out"]) == 0
    assert main(["compare", "xor", "--out", "out", "--resume"]) == 2
    assert "was begun on moons, not on xor" in capsys.readouterr().err
    assert main([*COMPARE, "--out", "out", "--resume", "--overwrite"]) == 2
    assert "give one of them" in capsys.readouterr().err


# What is there is never lost


@pytest.mark.parametrize(
    "wrong",
    [{"rules": "nobody"}, {"seeds": 0}, {"network": "64xx"}, {"optimizer": "best"}, {"rates": "2:1"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_refused_overwrite_leaves_everything_as_it_was(here, wrong):
    assert main([*COMPARE, "--out", "out"]) == 0
    before = snapshot(here)
    assert main(["compare", *command_line(**wrong), "--out", "out", "--overwrite"]) == 2
    assert snapshot(here) == before


def test_overwriting_replaces_the_whole_record_and_what_is_no_part_of_it_stays(here, monkeypatch):
    """Also where the new record has fewer files: those of the earlier one were taken for it."""
    assert main([*COMPARE, "--out", "out"]) == 0
    (here / "out" / "notes.txt").write_text("mine")
    (here / "out" / "curves" / "stale.npz").write_bytes(b"")
    monkeypatch.setattr("ascribe.store.record.SMALL_DATA", 0)
    other = ["xor", *command_line(seeds=1)[1:]]
    assert main(["compare", *other, "--out", "out", "--overwrite"]) == 0
    found = load(here / "out")
    assert (found.data.name, len(found.data.train)) == ("xor", 0)
    assert {runs.seeds for runs in found.runs.values()} == {(0,)}
    assert (here / "out" / "notes.txt").read_text() == "mine"
    names = {str(path.relative_to(here)) for path in here.rglob("*") if path.parent.name != "parameters"}
    assert names == {
        *("out", "out/notes.txt", "out/record.json", "out/runs.csv", "out/index.html", "out/parameters"),
        *(f"out/{DATABASE}", "out/curves", *(f"out/curves/{rule}.npz" for rule in found.runs)),
    }
    assert [one["name"] for one in Store(here / "out").experiments()] == ["xor"]


def test_an_interrupted_overwrite_leaves_the_record_and_goes_on(here, capsys, monkeypatch):
    assert main(["compare", *command_line(seeds=1), "--out", "out"]) == 0
    before = snapshot(here)
    signaled_at(monkeypatch, "training", signal.SIGINT)
    assert main([*COMPARE, "--out", "out", "--overwrite"]) == 130
    assert "go on with the same data and --out out --overwrite --resume" in capsys.readouterr().err
    kept = {name: data for name, data in snapshot(here).items() if not name.startswith("out/replacement")}
    assert kept == before
    assert main([*COMPARE, "--out", "out", "--overwrite"]) == 2
    assert "was not finished: add --resume to go on with it, or remove 'out/replacement'" in capsys.readouterr().err
    assert main(["compare", "moons", "--out", "out", "--overwrite", "--resume"]) == 0
    same(here / "out")
    assert not (here / "out" / "replacement").exists()
    assert [one["status"] for one in Store(here / "out").experiments()] == ["finished"]


def test_a_store_that_another_has_made_or_opened_is_not_removed(here):
    refused = ["compare", *command_line(rules="nobody"), "--store", "s.sqlite", "--out", "b"]
    Store("s.sqlite").close()
    assert main(refused) == 2
    assert (here / "s.sqlite").is_file()
    (here / "s.sqlite").unlink()
    kept = Store("s.sqlite")
    other = Store("s.sqlite")
    assert kept.made and not other.made
    kept.remove_if_unused()
    assert (here / "s.sqlite").is_file()
    other.close()
    kept.remove_if_unused()
    assert not (here / "s.sqlite").exists()


def test_an_empty_store_is_no_dead_end(here, capsys):
    """As a full disk or a kill at once leaves it."""
    Store("out").close()
    assert main([*COMPARE, "--out", "out", "--resume"]) == 2
    assert "leave --resume out" in capsys.readouterr().err
    assert main([*COMPARE, "--out", "out"]) == 0
    same(here / "out")


@pytest.mark.parametrize("given", [[], ["--store", "all.sqlite"]], ids=["own store", "shared store"])
def test_what_is_killed_while_it_draws_stays_one_experiment(here, monkeypatch, given):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("ascribe.store.record._save_table", killed)
        with pytest.raises(Killed):
            main([*COMPARE, "--out", "out", *given])
    assert main(["compare", "moons", "--out", "out", *given, "--resume"]) == 0
    found = Store(here / "all.sqlite" if given else here / "out")
    assert [one["status"] for one in found.experiments()] == ["finished"]
    assert main([*COMPARE, "--out", "another", *given]) == 0  # which is an experiment of its own
    assert len(found.experiments()) == (2 if given else 1)
    if not given:
        same(here / "out")


def test_what_a_killed_process_left_beside_the_folder_is_cleared(here):
    assert main([*COMPARE, "--out", "out"]) == 0
    (here / "out" / "notes.txt").write_text("mine")
    before = snapshot(here)
    stale, busy = here / ".out.ascribe-new-abcdefgh", here / ".out.ascribe-new-ijklmnop"
    for folder in (stale, busy):
        folder.mkdir()
        (folder / "index.html").touch()
    with FolderLock(busy):
        check_folder(here / "out", resume=True)
        assert not stale.exists() and busy.exists()
    (here / "out").rename(here / ".out.ascribe-old-abcdefgh")  # between the two moves of a replacement
    check_folder(here / "out", resume=True)
    assert snapshot(here) == before
    # After them, before the old folder went: what belongs to nobody's record is brought along.
    (here / ".out.ascribe-old-abcdefgh").mkdir()
    (here / "out" / "notes.txt").rename(here / ".out.ascribe-old-abcdefgh" / "notes.txt")
    check_folder(here / "out", resume=True)
    assert snapshot(here) == before


# The whole command


def commands(folder, capsys):
    """The command of a record, as the record, the store and `runs show` have it."""
    capsys.readouterr()
    assert main(["runs", "show", folder]) == 0
    shown = capsys.readouterr().out.splitlines()[1]
    return {load(folder).configuration["command"], Store(folder).experiments()[0]["command"], shown}


def test_the_record_has_the_whole_command_after_a_resume(here, capsys):
    assert main(["compare", *command_line(seeds=1), "--out", "out", "--json"]) == 0
    assert main(["compare", "moons", "--out", "out", "--resume", "--seeds", "2", "--json"]) == 0
    asked = "--rules backpropagation,feedback-alignment --network 4 --seeds 2 --epochs 3 --tune 2 --tune-seeds 1 --samples 60"
    assert commands("out", capsys) == {f"ascribe compare moons {asked} --out out"}
    assert main(["compare", "--out", "out", "--resume"]) == 0  # the data need not be repeated either
    assert commands("out", capsys) == {f"ascribe compare moons {asked} --out out"}


@pytest.mark.parametrize("place", ["out", "out/record.json"])
def test_a_recorded_command_runs_again_to_the_same_numbers(here, capsys, place):
    assert main(["compare", *command_line(seeds=1), "--out", "out"]) == 0
    assert main(["compare", "moons", "--out", "out", "--resume", "--seeds", "2"]) == 0
    assert main(["compare", "--config", place, "--out", "again"]) == 0
    assert "tuning" in capsys.readouterr().err  # nothing is taken from the other's store
    same(here / "again", load(here / "out"))
    (command,) = commands("again", capsys)
    assert command.startswith("ascribe compare moons --rules ") and command.endswith(" --samples 60 --out again")
    assert not {"--resume", "--config"} & set(command.split())


def test_other_options_take_the_place_of_recorded_ones(here, capsys):
    comparison().save("python")
    for folder in ("python", "nowhere"):
        assert main(["compare", "--config", folder]) == 2
    told = capsys.readouterr().err
    assert "was made in Python" in told and "holds no ascribe record" in told
    assert main([*COMPARE, "--out", "out"]) == 0
    assert main(["compare", "xor", "--config", "out", "--seeds=1", "--rules", "backprop", "--out", "new"]) == 0
    found = load(here / "new")
    assert (found.data.name, list(found.runs)) == ("xor", ["backpropagation"])
    assert found.runs["backpropagation"].seeds == (0,)
    assert found.configuration["epochs"] == 3


def test_a_rate_takes_the_place_of_recorded_tuning_and_tuning_that_of_a_rate(here):
    assert main([*COMPARE, "--rates", "0.1:0.2", "--out", "out"]) == 0
    assert main(["compare", "--config", "out", "--learning-rate", "0.25", "--out", "rate"]) == 0
    assert load(here / "rate").configuration["learning_rate"] == 0.25
    assert main(["compare", "--config", "rate", "--tune", "2", "--tune-seeds", "1", "--out", "tuned"]) == 0
    assert load(here / "tuned").configuration["tune"] == 2
    assert main(["compare", "--config", "rate", "--tune", "0", "--out", "same"]) == 0
    assert load(here / "same").configuration["learning_rate"] == 0.25


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ascribe compare 'moons", "is none of this version"),
        ("ascribe compare moons --nosuch 3", "is none of this version"),
        ("ascribe compare --help", "is of another command"),
        ("ascribe discover moons", "is of another command"),
        ("rm -r moons", "is of another command"),
        ("ascribe compare moons --out out --resume", "has the command of a --resume alone"),
        (3, "is none of this version"),
    ],
)
def test_a_recorded_command_that_is_none_is_told(here, capsys, command, said):
    comparison().save("out")
    content = json.loads((here / "out" / "record.json").read_text())
    content["configuration"]["command"] = command
    del content["checksum"]  # as who edits a record by hand
    (here / "out" / "record.json").write_text(json.dumps(content))
    before = snapshot(here)
    assert main(["compare", "--config", "out"]) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and not out
    assert snapshot(here) == before


def test_what_is_no_record_cannot_be_run_again(here, capsys):
    (here / "mine.json").write_text("{}")
    (here / "broken.json").write_text("{")
    refused = [
        (["--config", "mine.json"], "is no record"),
        (["--config", "broken.json"], "is no record"),
        (["--config", "nothing"], "holds no ascribe record"),
        (["--config", "mine.json", "--resume", "--out", "out"], "--resume takes the options of what was begun"),
        (["--config"], "--config"),
        ([], "compare wants DATA"),
    ]
    for arguments, said in refused:
        assert main(["compare", *arguments]) == 2
        told = capsys.readouterr().err
        assert said in told and told.count("\n") == 1
    assert {path.name for path in here.iterdir()} == {"mine.json", "broken.json"}


@pytest.mark.parametrize(
    ("options", "tokens"),
    [
        ({"data": "moons", "seeds": 3, "learning_rate": 1e-5}, "moons --seeds 3 --learning-rate 1e-05"),
        ({"search": ["a.b=1:2", "c=3:4"], "json_output": True}, "--search a.b=1:2 --search c=3:4 --json"),
        ({"random_search": False, "ignore": "-x"}, "--no-random-search --ignore=-x"),
    ],
)
def test_a_command_is_written_as_it_is_typed(options, tokens):
    assert written(options) == tokens.split()
    if "data" in options:
        assert given(["compare", *written(options)]) == options
