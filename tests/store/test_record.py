"""What was saved comes back bit for bit; what is not a whole record is refused in a sentence."""

import csv
import dataclasses
import hashlib
import json
import math
import os
import sys

import jax
import numpy as np
import pytest

import ascribe
from ascribe import networks, report, store
from ascribe.checksums import sealed
from ascribe.datasets import Transform
from ascribe.errors import UserError
from ascribe.networks import Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Network
from ascribe.store import parameters, record
from ascribe.store.landscape import ARRAYS, put_together, taken_apart
from ascribe.training import LossLandscape

from .case import OPTIONS, RULES, snapshot

pytestmark = pytest.mark.usefixtures("plain_page")


@pytest.fixture
def saved(finished, tmp_path):
    finished.save(tmp_path / "record")
    return tmp_path / "record"


def test_a_record_comes_back_bit_for_bit(finished, saved):
    loaded = ascribe.load(saved)
    assert loaded.configuration == finished.configuration
    assert loaded.data.checksum == finished.data.checksum
    assert list(loaded.runs) == list(finished.runs) == list(RULES)
    for name, runs in finished.runs.items():
        again = loaded.runs[name]
        for table in ("curves", "scores"):
            ours, theirs = getattr(runs, table), getattr(again, table)
            assert list(ours) == list(theirs)
            for key, values in ours.items():
                assert values.dtype == theirs[key].dtype
                np.testing.assert_array_equal(values, theirs[key], err_msg=key)
        for ours, theirs in zip(
            jax.tree.leaves((runs.networks, runs.states)), jax.tree.leaves((again.networks, again.states)), strict=True
        ):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
        plain = ("rule", "loss", "seeds", "hyperparameters", "seconds", "compile_seconds", "optimizer", "notes")
        for field in plain:
            assert getattr(runs, field) == getattr(again, field), field
        assert list(runs.class_maps) == list(again.class_maps) == [0, 1, 2]
        for epoch, maps in runs.class_maps.items():
            assert again.class_maps[epoch].dtype == np.uint8
            np.testing.assert_array_equal(maps, again.class_maps[epoch])
        np.testing.assert_array_equal(runs.diverged_at, again.diverged_at)
        np.testing.assert_array_equal(runs.learning_rates, again.learning_rates)


def test_tuning_comes_back_bit_for_bit(finished, saved):
    loaded = ascribe.load(saved)
    for name, tuning in finished.tuning.items():
        again = loaded.tuning[name]
        for field in dataclasses.fields(tuning):
            ours, theirs = getattr(tuning, field.name), getattr(again, field.name)
            if isinstance(ours, np.ndarray):
                np.testing.assert_array_equal(ours, theirs)
            else:
                assert ours == theirs, field.name


@pytest.fixture(scope="module")
def drawn(finished):
    """With a loss landscape, and with a rule that has no path in it."""
    rules = [*RULES, "forward-pass"]
    return ascribe.compare(finished.data, rules=rules, landscape="linear2", **OPTIONS | {"tune": 0})


@pytest.mark.slow
def test_a_comparison_draws_its_landscape_at_its_own_rates_from_its_first_seed(drawn):
    found = drawn.landscape
    assert drawn.configuration["landscape"] == found.layer == "linear2"
    assert found.rules == ("backpropagation", "feedback-alignment") and found.seed == 0
    assert found.left_out == {"forward-pass": "it needs inputs of its own"}
    assert found.learning_rates == dict.fromkeys(found.rules, 1e-3) and (found.epochs, found.batch_size) == (3, 32)


@pytest.mark.slow
def test_a_landscape_comes_back_bit_for_bit(drawn, tmp_path):
    drawn.save(tmp_path / "drawn")
    again = ascribe.load(tmp_path / "drawn").landscape
    for field in dataclasses.fields(drawn.landscape):
        ours, theirs = getattr(drawn.landscape, field.name), getattr(again, field.name)
        if isinstance(ours, dict):
            assert list(ours) == list(theirs)
        if field.name in ("trajectories", "losses"):
            ours, theirs = list(ours.values()), list(theirs.values())
        np.testing.assert_equal(ours, theirs, err_msg=field.name)
    path = tmp_path / "drawn" / "landscape.npz"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"landscape.npz.*damaged"):
        ascribe.load(tmp_path / "drawn")


def test_every_part_of_a_landscape_is_put_back_where_it_was():
    numbers = lambda *shape: np.random.default_rng(len(shape)).normal(size=shape)
    words = {name: name for name in ("layer", "loss", "optimizer", "kind")}
    counts = {name: place for place, name in enumerate(("seed", "epochs", "batch_size", "examples", "training_examples"))}
    by_rule = {"learning_rates": {"a/b": 0.1, "c": 0.2}, "left_out": {"d": "why", "e": "as well"}}
    steps = {"shown": {"a/b": 2, "c": 3}, "diverged_at": {"c": 4}, "notes": ("one", "two")}
    paths = {"trajectories": {"a/b": numbers(4, 2), "c": numbers(3, 2)}, "losses": {"a/b": numbers(4), "c": numbers(3)}}
    arrays = {name: numbers(2, 5) + place for place, name in enumerate(ARRAYS)}
    one = LossLandscape(**words, **counts, **by_rule, **steps, **paths, **arrays)
    again = put_together(*taken_apart(one))
    for field in dataclasses.fields(LossLandscape):
        np.testing.assert_equal(getattr(again, field.name), getattr(one, field.name), err_msg=field.name)


def test_a_record_without_a_landscape_has_none(saved):
    assert ascribe.load(saved).landscape is None
    path = saved / "record.json"
    older = json.loads(path.read_text())
    del older["landscape"], older["checksum"]
    path.write_text(json.dumps(older))
    assert ascribe.load(saved).landscape is None


def test_predictions_before_and_after_are_the_same(finished, saved):
    loaded = ascribe.load(saved)
    x = finished.data.test.inputs
    for name, runs in finished.runs.items():
        np.testing.assert_array_equal(runs.outputs(x), loaded.runs[name].outputs(x))
        np.testing.assert_array_equal(runs.predict(x), loaded.runs[name].predict(x))
        np.testing.assert_array_equal(runs.probabilities(x), loaded.runs[name].probabilities(x))


def test_the_table_before_and_after_is_the_same(finished, saved):
    assert ascribe.load(saved).table() == finished.table()


def test_a_record_is_named_by_its_folder_or_by_its_own_file(finished, saved):
    assert ascribe.load(saved / "record.json").table() == finished.table()
    with pytest.raises(UserError, match=r"index.html' is a file: name the folder that compare wrote\."):
        ascribe.load(saved / "index.html")


def test_a_record_has_a_checksum_of_itself_whatever_its_layout(finished, saved):
    content = json.loads((saved / "record.json").read_text())
    assert list(content)[-1] == "checksum"
    rest = {name: value for name, value in content.items() if name != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    assert content["checksum"] == hashlib.sha256(canonical.encode()).hexdigest()
    (saved / "record.json").write_text(json.dumps(dict(reversed(content.items()))))
    assert list(ascribe.load(saved).runs) == list(finished.runs)


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def diverged(finished):
    """The comparison with a run that diverged: NaN where scores were."""
    runs = finished.runs["feedback-alignment"]
    scores = {name: np.array([np.nan, values[1]]) for name, values in runs.scores.items()}
    curves = {name: np.where(np.arange(values.shape[1]) < 1, values, np.nan) for name, values in runs.curves.items()}
    broken = dataclasses.replace(runs, scores=scores, curves=curves, diverged_at=np.array([1, -1]))
    return dataclasses.replace(finished, runs=finished.runs | {"feedback-alignment": broken})


def test_the_record_is_strict_json_even_where_a_run_diverged(finished, tmp_path):
    diverged(finished).save(tmp_path / "record")
    content = json.loads((tmp_path / "record" / "record.json").read_text(), parse_constant=refuse)
    about = content["rules"]["feedback-alignment"]
    assert about["status"] == ["diverged", "finished"]
    assert about["diverged_at_epoch"] == [1, -1]
    assert about["scores"]["test_accuracy"][0] is None
    assert about["scores"]["test_accuracy"][1] == finished.runs["feedback-alignment"].test_accuracy[1]
    again = ascribe.load(tmp_path / "record").runs["feedback-alignment"]
    assert math.isnan(again.test_accuracy[0])
    np.testing.assert_array_equal(again.diverged, [True, False])


def test_the_record_names_what_a_reader_needs(finished, saved):
    content = json.loads((saved / "record.json").read_text(), parse_constant=refuse)
    assert content["configuration"]["versions"]["ascribe"] == ascribe.__version__
    assert content["data"]["checksum"] == finished.data.checksum
    for name, runs in finished.runs.items():
        assert content["rules"][name]["learning_rate"] == runs.learning_rates[0]
        assert content["rules"][name]["tuning"]["candidates"] == list(finished.tuning[name].learning_rates)
    for name, checksum in content["files"].items():
        assert hashlib.sha256((saved / name).read_bytes()).hexdigest() == checksum


def test_the_csv_has_one_row_a_run(finished, saved):
    with (saved / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [(name, str(seed)) for name, runs in finished.runs.items() for seed in runs.seeds]
    assert [(row["rule"], row["seed"]) for row in rows] == wanted
    assert [float(row["test_accuracy"]) for row in rows] == [
        value for runs in finished.runs.values() for value in runs.test_accuracy
    ]
    scores = sorted(next(iter(finished.runs.values())).scores)
    first, last = ["rule", "seed", "learning_rate", "tuned"], ["epochs", "status", "diverged_at"]
    assert list(rows[0]) == [*first, "hyperparameter:scale", *last, *scores]
    assert {(row["tuned"], row["epochs"], row["diverged_at"]) for row in rows} == {("True", "3", "-1")}
    assert [row["hyperparameter:scale"] for row in rows] == ["", "", "1.0", "1.0"]


def test_curves_stand_in_the_record_by_name(finished, saved):
    for runs in finished.runs.values():
        with np.load(saved / "curves" / f"{runs.rule}.npz") as arrays:
            curves = [name for name in arrays if name.startswith("curve:")]
            assert curves == [f"curve:{name}" for name in sorted(runs.curves)]


@pytest.mark.parametrize("first", [True, False])
def test_a_score_that_only_one_rule_has_is_a_column_with_gaps(finished, tmp_path, first):
    """Such as those before a rule's own last pass, whether that rule comes first or not."""
    own, other = RULES
    runs = finished.runs[own]
    both = {own: dataclasses.replace(runs, scores=runs.scores | {"test_own": np.asarray([0.25, 0.5])})}
    both = both | {other: finished.runs[other]} if first else {other: finished.runs[other]} | both
    dataclasses.replace(finished, runs=both).save(tmp_path / "gaps")
    with (tmp_path / "gaps" / "runs.csv").open(newline="") as file:
        found = {(row["rule"], row["seed"]): row["test_own"] for row in csv.DictReader(file)}
    assert found == {(own, "0"): "0.25", (own, "1"): "0.5", (other, "0"): "", (other, "1"): ""}


def test_a_record_is_not_replaced_unless_asked(finished, saved):
    before = snapshot(saved.parent)
    with pytest.raises(UserError, match="--overwrite"):
        finished.save(saved)
    assert snapshot(saved.parent) == before


def test_overwriting_replaces_the_whole_record(finished, saved):
    (saved / "curves" / "left-over.npz").write_bytes(b"of an earlier run")
    finished.save(saved, overwrite=True)
    assert not (saved / "curves" / "left-over.npz").exists()
    assert sorted(path.name for path in saved.parent.iterdir()) == ["record"]
    assert list(ascribe.load(saved).runs) == list(RULES)


def test_an_empty_folder_and_a_new_path_are_filled(finished, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "one" / "two" / "three"):
        page = finished.save(folder)
        assert page == folder / "index.html"
        assert page.is_file()
        assert list(ascribe.load(folder).runs) == list(RULES)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_foreign_folder_is_left_alone(finished, tmp_path, overwrite):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match="no finished ascribe record"):
        finished.save(tmp_path / "mine", overwrite=overwrite)
    assert snapshot(tmp_path) == before


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_numbers(finished, tmp_path, monkeypatch):
    def crash(comparison, folder):
        raise ValueError("no ink")

    with monkeypatch.context() as patch:
        patch.setattr(report, "draw", crash)
        with pytest.raises(UserError, match=r"the results are in .*no ink.*ascribe report"):
            finished.save(tmp_path / "record")
    loaded = ascribe.load(tmp_path / "record")
    assert list(loaded.runs) == list(finished.runs)
    assert loaded.report(tmp_path / "record" / "index.html").is_file()


@pytest.mark.parametrize("failure", [RuntimeError, OSError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("existing", [False, True], ids=["a new folder", "over an old record"])
def test_a_crash_while_saving_leaves_everything_as_it_was(finished, tmp_path, monkeypatch, failure, existing):
    folder = tmp_path / "results" / "record"
    folder.parent.mkdir()
    if existing:
        finished.save(folder)
    before = snapshot(tmp_path)

    def crash(comparison, path):
        path.write_text("half a table")
        raise failure("in the middle")

    monkeypatch.setattr(record, "_save_table", crash)
    with pytest.raises(UserError if failure is OSError else failure):
        finished.save(folder, overwrite=True)
    assert snapshot(tmp_path) == before


def test_a_crash_while_replacing_keeps_the_old_record(finished, saved, monkeypatch):
    """The last step of all: the new folder cannot take the old one's place."""
    before = snapshot(saved.parent)
    real, moves = os.replace, []

    def replace(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise OSError(5, "Input/output error")
        return real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UserError, match="Input/output error"):
        finished.save(saved, overwrite=True)
    assert snapshot(saved.parent) == before


def reseal(folder):
    """Writes today's checksums into the record, as if the files had been damaged before they were recorded."""
    path = folder / "record.json"
    content = json.loads(path.read_text())
    content["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in content["files"]}
    del content["checksum"]
    path.write_text(json.dumps(sealed(content)))


def edited(change, checksum=False):
    """Another record; without its checksum as one of earlier versions."""

    def damage(folder):
        content = json.loads((folder / "record.json").read_text())
        if not checksum:
            del content["checksum"]
        change(content)
        (folder / "record.json").write_text(json.dumps(content))

    return damage


def of_rule(checksum=False, **values):
    return edited(lambda content: content["rules"]["feedback-alignment"].update(values), checksum), "is damaged"


def of_data(**values):
    return edited(lambda content: content["configuration"]["data"].update(values)), "is damaged"


def written(name, content, seal=False):
    def damage(folder):
        old = (folder / name).read_bytes()
        (folder / name).write_bytes(content(old) if callable(content) else content)
        if seal:
            reseal(folder)

    return damage


def missing(name):
    return lambda folder: (folder / name).unlink()


NPZ, TENSORS = "curves/backpropagation.npz", "parameters/backpropagation.safetensors"
DAMAGE = {
    "no record": (missing("record.json"), "holds no ascribe record"),
    "an empty record": (written("record.json", b""), "damaged"),
    "half a record": (written("record.json", lambda old: old[: len(old) // 2]), "damaged"),
    "a record that is no text": (written("record.json", b"\xff\xfe\x00"), "damaged"),
    "a record that is a list": (written("record.json", b"[1, 2]"), "damaged"),
    "a record that is a number": (written("record.json", b"1"), "damaged"),
    "a record without a format": (edited(lambda content: content.pop("format")), "damaged"),
    "a newer format": (edited(lambda content: content.update(format=99)), "format 99"),
    "no rules": (edited(lambda content: content.pop("rules")), "damaged"),
    "rules in a list": (edited(lambda content: content.update(rules=[1])), "damaged"),
    "files in a list": (edited(lambda content: content.update(files=["record.json"])), "damaged"),
    "deep": (written("record.json", b"[" * 100_000), "damaged"),
    "other seeds": (of_rule(checksum=True, seeds=[0, 2])[0], "it is not what was written"),
    "other seconds": (of_rule(checksum=True, seconds=0.5)[0], "it is not what was written"),
    "another checksum": (edited(lambda content: content.update(checksum=None), checksum=True), "not what was written"),
    "hyperparameters in a number": of_rule(hyperparameters=-1),
    "hyperparameters in a text": of_rule(hyperparameters={"scale": "x"}),
    "seconds in a text": of_rule(seconds="x"),
    "seconds beyond all numbers": of_rule(seconds=10**400),
    "seeds in lists": of_rule(seeds=[[0], [1]]),
    "seeds that are none": of_rule(seeds=[True, False]),
    "notes in numbers": of_rule(notes=[1]),
    "tuning in a list": of_rule(tuning=[]),
    "no rule at all": (edited(lambda content: content.update(rules={})), "no such thing can be its rules"),
    "a configuration in a list": (
        edited(lambda content: content.update(configuration=[])),
        "can be its configuration;",
    ),
    "sizes in texts": of_data(sizes={"train": "a", "validation": "b", "test": "c"}),
    "no sizes": of_data(sizes=None),
    "an address in a number": (edited(lambda content: content["data"].update(url=3)), "can be its data.url;"),
    "no seeds": (edited(lambda content: content["rules"]["backpropagation"].pop("seeds")), "damaged"),
    "transforms in a number": (edited(lambda content: content["data"].update(transforms=3)), "damaged"),
    "a transform without its range": (
        edited(lambda content: content["data"].update(transforms=[{"name": "unit-interval", "input_shape": [2]}])),
        "damaged",
    ),
    "a transform that is not there": (
        edited(lambda content: content["data"].update(transforms=[{"name": "nosuch", "input_shape": [2]}])),
        "damaged.*unknown transform 'nosuch'",
    ),
    "no card": (edited(lambda content: content["data"].pop("title")), "damaged"),
    "missing curves": (missing(NPZ), "damaged"),
    "missing parameters": (missing(TENSORS), "damaged"),
    "missing data": (missing("data.npz"), "damaged"),
    "changed curves": (written(NPZ, lambda old: old[:-1] + bytes([old[-1] ^ 1])), "not the one that was recorded"),
    "changed parameters": (written(TENSORS, lambda old: old + b"x"), "not the one that was recorded"),
    "changed data": (written("data.npz", lambda old: old[:100]), "not the one that was recorded"),
    "curves that never were": (written(NPZ, b"not a zip", seal=True), "damaged"),
    "empty curves": (written(NPZ, b"", seal=True), "damaged"),
    "half the curves": (written(NPZ, lambda old: old[: len(old) // 2], seal=True), "damaged"),
    "curves with rot in the middle": (
        written(NPZ, lambda old: old[:200] + b"\xff" * 50 + old[250:], seal=True),
        "damaged",
    ),
    "parameters that never were": (written(TENSORS, b"not a tensor", seal=True), "damaged"),
    "half the parameters": (written(TENSORS, lambda old: old[: len(old) // 2], seal=True), "damaged"),
    "parameters of another network": (
        lambda folder: safetensors_of(folder / TENSORS, {"linear1.weight": np.zeros((2, 4, 2))}) or reseal(folder),
        "damaged",
    ),
}


def safetensors_of(path, tensors):
    import safetensors.numpy

    config = json.dumps(networks.mlp([2, 4, 1]).config())
    safetensors.numpy.save_file(tensors, path, {"network": config})


@pytest.mark.parametrize(("damage", "fragment"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_is_refused_in_one_sentence(saved, damage, fragment):
    damage(saved)
    with pytest.raises(UserError, match=fragment) as caught:
        ascribe.load(saved)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert str(saved.name) in sentence


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("nowhere", "holds no ascribe record"),
        ("an-empty-folder", "holds no ascribe record"),
        ("a-file", "is a file: name the folder that compare wrote"),
    ],
)
def test_what_is_no_record_at_all_is_refused(tmp_path, where, said):
    (tmp_path / "a-file").write_text("{}")
    (tmp_path / "an-empty-folder").mkdir()
    with pytest.raises(UserError, match=f"{where}.*{said}"):
        ascribe.load(tmp_path / where)


HOSTILE = [
    "../../escape", "/etc/passwd", "..", ".", "", "a/b", "a-b", "a b", "con:aux", "Ünïcode ✓", "<script>", "x" * 300,
    "new\nline", "null\0byte", "%s{0}",
]  # fmt: skip


def test_hostile_names_of_rules_stay_inside_the_folder(finished, tmp_path):
    runs = finished.runs["backpropagation"]
    hostile = dataclasses.replace(finished, runs=dict.fromkeys(HOSTILE, runs), tuning={})
    (tmp_path / "inside").mkdir()
    hostile.save(tmp_path / "inside" / "record")
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["record"]
    assert len(list((tmp_path / "inside" / "record" / "curves").iterdir())) == len(HOSTILE)
    loaded = ascribe.load(tmp_path / "inside" / "record")
    assert list(loaded.runs) == HOSTILE
    np.testing.assert_array_equal(loaded.runs[".."].train_loss, runs.train_loss)


def test_large_data_is_described_but_not_kept(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["ascribe.store.record"], "SMALL_DATA", 10)
    finished.save(tmp_path / "record")
    assert not (tmp_path / "record" / "data.npz").exists()
    loaded = ascribe.load(tmp_path / "record")
    assert loaded.data.input_shape == finished.data.input_shape
    assert loaded.data.task == finished.data.task
    assert len(loaded.data.train) == 0
    np.testing.assert_array_equal(
        loaded.runs["backpropagation"].predict(finished.data.test.inputs),
        finished.runs["backpropagation"].predict(finished.data.test.inputs),
    )


ENCODINGS = {
    "encoded": lambda data: data.encode("unit-interval", "split-signs", "constant-one"),
    "flat, then encoded": lambda data: data.flat().encode("unit-interval", "constant-one"),
    "encoded, then flat": lambda data: data.encode("split-signs").flat(),
    "flat in between": lambda data: data.encode("unit-interval", "split-signs").flat().encode("constant-one"),
}
KEPT = {"short": (8 * 2**20, 10_000), "no examples": (10, 10_000), "long": (8 * 2**20, 1), "neither": (10, 1)}


def limits(monkeypatch, bytes_kept, numbers_listed):
    """Other limits of what is kept with a record, and of what its summary lists."""
    monkeypatch.setattr(sys.modules["ascribe.store.record"], "SMALL_DATA", bytes_kept)
    for module in ("ascribe.store.record", "ascribe.datasets.base"):
        monkeypatch.setattr(sys.modules[module], "LISTED", numbers_listed)


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_transforms_come_back_bit_for_bit(finished, tmp_path, monkeypatch, encode, kept):
    limits(monkeypatch, *kept)
    images = np.random.default_rng(0).normal(size=(60, 3, 4, 2))
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 2)
    data = encode(ascribe.datasets.load(tmp_path / "images.npz"))
    dataclasses.replace(finished, data=data).save(tmp_path / "record")
    again = ascribe.load(tmp_path / "record").data
    assert data.original is not None and again.original is not None
    assert [one.settings() for one in again.transforms] == [one.settings() for one in data.transforms]
    assert (again.input_shape, again.original.input_shape) == (data.input_shape, data.original.input_shape)
    raw = images[:5].reshape(5, *data.original.input_shape)
    np.testing.assert_array_equal(again.prepare(raw), data.prepare(raw))
    if kept[0] == 10:
        assert len(again.train) == len(again.original.train) == 0
    else:
        assert (again.checksum, again.original.checksum) == (data.checksum, data.original.checksum)
        with np.load(tmp_path / "record" / "data.npz") as arrays:
            np.testing.assert_array_equal(arrays["train_inputs"], data.original.train.inputs)


def test_the_record_of_encoded_data_says_what_was_asked_for(finished, tmp_path):
    options = {"samples": 60, "standardize": True}
    data = ascribe.datasets.load("moons", transforms="split-signs,constant-one", **options)
    dataclasses.replace(finished, data=data).save(tmp_path / "record")
    again = ascribe.load(tmp_path / "record").data
    assert again.request == data.request and again.request["transforms"] == ["split-signs", "constant-one"]
    assert again.feature_names == data.feature_names
    assert data.original is not None and again.original is not None
    assert again.original.request == data.original.request == {"data": "moons", "seed": 0, **options}
    assert again.original.feature_names == ("x1", "x2")
    assert again.summary() == data.summary()


@pytest.mark.parametrize("kept", KEPT.values(), ids=KEPT)
def test_the_encoding_of_a_rule_comes_back_bit_for_bit(tmp_path, monkeypatch, kept):
    """Trained on three transforms: one belongs to the data, and two to the rule."""
    whole = ascribe.datasets.load("moons", samples=60, transforms="unit-interval")
    shrunk, moved = (Transform("unit-interval", (2,), np.full(2, low), np.array([3.0, 0.7])) for low in (0.0, -1.0))
    encoded = whole.encode(shrunk).encode(moved)
    comparison = ascribe.compare(encoded, rules=list(RULES), **OPTIONS | {"tune": 0})
    runs = {name: dataclasses.replace(one, data=whole) for name, one in comparison.runs.items()}
    runs[RULES[1]] = dataclasses.replace(runs[RULES[1]], encoding=encoded.transforms[1:])
    limits(monkeypatch, *kept)
    dataclasses.replace(comparison, data=whole, runs=runs).save(tmp_path / "record")
    loaded = ascribe.load(tmp_path / "record").runs
    assert loaded[RULES[0]].encoding == ()
    assert [one.settings() for one in loaded[RULES[1]].encoding] == [one.settings() for one in encoded.transforms[1:]]
    np.testing.assert_array_equal(
        loaded[RULES[1]].outputs(whole.test.inputs), comparison.runs[RULES[1]].outputs(encoded.test.inputs)
    )


def test_long_statistics_come_back_bit_for_bit(finished, tmp_path, monkeypatch):
    data = ascribe.datasets.load("moons", samples=60, standardize=True)
    limits(monkeypatch, 10, 1)
    dataclasses.replace(finished, data=data).save(tmp_path / "record")
    again = ascribe.load(tmp_path / "record").data
    np.testing.assert_array_equal(again.prepare(np.eye(2)), data.prepare(np.eye(2)))


def test_records_from_before_transforms_are_read(finished, saved):
    def older(content):
        for key in ("transforms", "original"):
            del content["data"][key]
        for about in content["rules"].values():
            del about["encoding"]

    edited(older)(saved)
    loaded = ascribe.load(saved)
    assert (loaded.data.transforms, loaded.data.original) == ((), None)
    assert loaded.data.checksum == finished.data.checksum
    assert all(runs.encoding == () for runs in loaded.runs.values())


def test_every_layer_survives_its_parameter_file(tmp_path):
    layers = [Conv2d(1, 2, 3, padding=1, bias=False), BatchNorm(2, momentum=0.5), Activation("leaky-relu")]
    layers += [MaxPool2d(2), Flatten(), Dropout(0.25), Linear(8, 3, initializer="orthogonal")]
    template = Network(layers)
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(size=(2, *leaf.shape))
    stacked, states = jax.tree.map(draw, template), jax.tree.map(draw, template.initial_state())
    parameters.save_parameters(tmp_path / "p.safetensors", stacked, states, template)
    again, stacked_again, states_again = parameters.load_parameters(tmp_path / "p.safetensors")
    assert again.config() == template.config()
    assert again.names == template.names
    for ours, theirs in zip(jax.tree.leaves((stacked, states)), jax.tree.leaves((stacked_again, states_again)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fresh_folders_are_numbered(tmp_path):
    assert store.fresh_folder(tmp_path, "moons") == tmp_path / "moons-001"
    (tmp_path / "moons-003").mkdir()
    assert store.fresh_folder(tmp_path, "moons") == tmp_path / "moons-002"
    (tmp_path / "moons-004").write_text("a file counts too")
    assert store.fresh_folder(tmp_path, "moons") == tmp_path / "moons-005"


def test_an_unused_fresh_folder_is_given_back_and_a_used_one_stays(tmp_path):
    first, second = (store.fresh_folder(tmp_path / "runs", "moons") for _ in range(2))
    (second / "record.json").write_text("{}")
    store.give_back(first)
    store.give_back(second)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["moons-002"]


def test_asking_whether_a_folder_will_do_leaves_no_trace(tmp_path):
    store.check_folder(tmp_path / "new" / "folder")
    store.check_folder(tmp_path)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert not list(tmp_path.rglob(".ascribe-*"))
