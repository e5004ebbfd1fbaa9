"""One network in one file: the same answers in another process, and a sentence for every damage."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import sklearn.datasets

import ascribe
from ascribe import datasets, networks, train
from ascribe.datasets import Dataset, Split
from ascribe.errors import UserError
from ascribe.networks import Activation, BatchNorm, Conv2d, Dropout, Flatten, Linear, Network, registry
from ascribe.store import model as module
from ascribe.store import parameters
from ascribe.training.predictor import look_prepared, look_raw

from ..training import tiny

OPTIONS = {"epochs": 2, "batch_size": 8, "learning_rate": 0.05, "seeds": [4, 1], "diagnostics": False}


def table(task="classification"):
    """A table in units of its own, standardized as a file's are."""
    rng = np.random.default_rng(0)
    mean, scale = np.array([100.0, -3.0, 1e-3]), np.array([20.0, 0.5, 1e-4])
    raw = mean + scale * rng.normal(size=(90, 3))
    inputs = (raw - mean) / scale
    targets = inputs.argmax(1).astype(np.int32) if task == "classification" else inputs[:, :2].astype(np.float32)
    parts = [Split(inputs[rows], targets[rows]) for rows in (slice(60), slice(60, 75), slice(75, 90))]
    names = {"class_names": ("red", "green", "blue")} if task == "classification" else {}
    unit = {} if names else {"target_mean": np.array([5.0, -7.0]), "target_scale": np.array([10.0, 0.1])}
    data = Dataset("table", task, *parts, input_mean=mean, input_scale=scale, **names, **unit)
    return data, raw[75:]


@pytest.fixture(scope="module")
def colors():
    data, raw = table()
    return train(networks.mlp([3, 5, 3]), data, "backpropagation", **OPTIONS), raw


def same(model, runs, raw, seed):
    row = runs.seeds.index(seed)
    rows = runs.data.prepare(raw)
    np.testing.assert_array_equal(model.outputs(raw), runs.outputs(rows)[row])
    np.testing.assert_array_equal(model.predict(raw), runs.predict(rows)[row])
    if runs.data.task != "regression":
        np.testing.assert_array_equal(model.probabilities(raw), runs.probabilities(rows)[row])


def test_a_model_answers_as_its_run_does(colors, tmp_path):
    runs, raw = colors
    for seed in runs.seeds:
        model = ascribe.Model.of(runs, seed=seed)
        path = model.save(tmp_path / f"{seed}.safetensors")
        same(model, runs, raw, seed)
        same(ascribe.load_model(path), runs, raw, seed)
    again = ascribe.load_model(str(path))
    assert again.data.class_names == ("red", "green", "blue") and len(again.data.train) == 0
    assert again.about["rule"] == "backpropagation" and again.about["seed"] == 1
    assert again.about["learning_rate"] == 0.05 and again.about["data_checksum"] == runs.data.checksum
    assert again.about["scores"]["test_loss"] == runs.test_loss[1]
    assert again.about["versions"]["ascribe"] == ascribe.__version__
    assert repr(again) == f"<model for table by backpropagation, seed 1: {runs.network}>"
    assert sorted(os.listdir(tmp_path)) == ["1.safetensors", "4.safetensors"]


@pytest.mark.slow
def test_a_fresh_process_predicts_the_same(colors, tmp_path):
    runs, raw = colors
    model = ascribe.Model.of(runs, seed=4)
    path = model.save(tmp_path / "model.safetensors")
    program = (
        "import sys, json, jax; jax.config.update('jax_enable_x64', sys.argv[3] == '64'); import ascribe;"
        "model = ascribe.load_model(sys.argv[1]); rows = json.loads(sys.argv[2]);"
        "print(json.dumps([model.predict(rows).tolist(), model.outputs(rows).tolist(), str(model.network.dtype)]))"
    )
    for bits, tolerance in (("64", 0), ("32", 1e-5)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, str(path), json.dumps(raw.tolist()), bits],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(ascribe.__file__).parent.parent)},
        )
        assert done.returncode == 0, done.stderr
        labels, outputs, dtype = json.loads(done.stdout)
        assert labels == model.predict(raw).tolist() and dtype == f"float{bits}"
        np.testing.assert_allclose(outputs, model.outputs(raw), rtol=tolerance, atol=tolerance)


def test_values_come_in_the_unit_of_the_target(tmp_path):
    data, raw = table("regression")
    runs = train(networks.mlp([3, 5, 2]), data, "feedback-alignment", **OPTIONS)
    model = ascribe.load_model(ascribe.Model.of(runs, seed=4).save(tmp_path / "model"))
    same(model, runs, raw, 4)
    assert model.predict(raw).shape == (15, 2) and abs(model.predict(raw)[:, 1].mean() + 7) < 1
    with pytest.raises(UserError, match="probabilities belong to classes"):
        model.probabilities(raw)


def test_normalization_statistics_and_images_come_back(tmp_path):
    """A convolutional network with moved statistics, on images with a mean for every channel."""
    data = tiny.data("classification", outputs=3, shape=(4, 4, 2))
    data = dataclasses.replace(data, input_mean=np.array([1.0, -2.0]), input_scale=np.array([3.0, 0.25]))
    layers = [Conv2d(2, 3, 3), BatchNorm(3), Activation("relu"), Flatten(), Dropout(0.5), Linear(12, 3)]
    runs = train(Network(layers), data, "backpropagation", **OPTIONS)
    path = ascribe.Model.of(runs, seed=1).save(tmp_path / "model")
    raw = np.array([1.0, -2.0]) + np.array([3.0, 0.25]) * np.random.default_rng(1).normal(size=(7, 4, 4, 2))
    again = ascribe.load_model(path)
    same(again, runs, raw, 1)
    moved = again.state[1][0]
    assert np.abs(moved).max() > 0 and moved.tolist() == runs.states[1][0][1].tolist()
    with safetensors.safe_open(path, "np") as file:
        assert {"conv1.weight", "batchnorm1.scale", "batchnorm1.state.0", "linear1.bias"} < set(file.keys())
        assert file.get_tensor("linear1.weight").shape == (3, 12)


def test_deep_networks_and_transforms_come_back(tmp_path):
    """A stack of equal layers; a fitted transform of the data."""
    data = datasets.load("moons", samples=60).encode("unit-interval", "constant-one")
    runs = train(networks.mlp([3, *[4] * 10, 1]), data, "backpropagation", **OPTIONS)
    raw = np.random.default_rng(1).normal(size=(7, 2))
    same(ascribe.load_model(ascribe.Model.of(runs, seed=4).save(tmp_path / "deep")), runs, raw, 4)


def test_the_encoding_that_a_rule_asks_for_comes_back(tmp_path):
    raw = np.random.default_rng(1).normal(size=(7, 2))
    runs = train(networks.mlp([2, 4, 1]), datasets.load("moons", samples=60), "forward-pass", **OPTIONS)
    assert runs.encoding
    again = ascribe.load_model(ascribe.Model.of(runs, seed=4).save(tmp_path / "encoded"))
    same(again, runs, raw, 4)
    assert [one.name for one in again.encoding] == [one.name for one in runs.encoding]


def test_statistics_that_are_too_long_for_the_head_are_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LISTED", 2)
    monkeypatch.setattr(datasets.base, "LISTED", 2)
    data, raw = table()
    data = data.encode("unit-interval")
    runs = train(networks.mlp([3, 5, 3]), data, "backpropagation", **OPTIONS)
    path = ascribe.Model.of(runs, seed=4).save(tmp_path / "model")
    with safetensors.safe_open(path, "np") as file:
        found = {name for name in file.keys() if name.startswith("data:")}  # noqa: SIM118 - not a dict
        assert json.loads(file.metadata()["model"])["data"]["input_mean"] is None
    fitted = {"data:transforms:0:minimum", "data:transforms:0:scale"}
    assert found == {"data:input_mean", "data:input_scale", *fitted}
    same(ascribe.load_model(path), runs, raw, 4)


def test_a_network_of_ones_own_loop_is_saved_too(tmp_path):
    data, raw = table()
    network = networks.mlp([3, 5, 3], key=jr.key(7))
    model = ascribe.Model(network, data, "categorical-cross-entropy", about={"note": "by hand"})
    again = ascribe.load_model(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.outputs(raw), network(jnp.asarray(data.prepare(raw), network.dtype)))
    assert again.about == {"note": "by hand"} and repr(again).startswith("<model for table: linear1")
    twice = ascribe.load_model(again.save(tmp_path / "again"))
    np.testing.assert_array_equal(twice.outputs(raw), again.outputs(raw))


def test_a_weight_that_is_one_number_comes_back(tmp_path, monkeypatch):
    class Scaled(networks.AbstractLayer):
        scale: jax.Array

        def __init__(self, scale=1.0):
            self.scale = jnp.asarray(scale)

        def config(self):
            return {}

        def __call__(self, x, state=None, *, key=None, training=False):
            return self.scale * x, state

    monkeypatch.setattr(registry, "_registered", {})
    networks.register_layer(Scaled)
    data, raw = table()
    network = Network([Linear(3, 3, key=jr.key(7)), Scaled(2.0)])
    path = ascribe.Model(network, data, "categorical-cross-entropy").save(tmp_path / "model")
    again = ascribe.load_model(path)
    assert again.network["scaled1"].scale.shape == () and again.network["scaled1"].scale == 2
    np.testing.assert_array_equal(again.outputs(raw), network(jnp.asarray(data.prepare(raw), network.dtype)))


def test_what_does_not_fit_together_is_refused(colors, tmp_path):
    runs, _ = colors
    with pytest.raises(UserError, match="these runs have no seed 3: choose from 4, 1"):
        ascribe.Model.of(runs, seed=3)
    with pytest.raises(UserError, match=r"`runs` of Model\.of is "):
        ascribe.Model.of({"backpropagation": runs}, seed=1)
    diverged = dataclasses.replace(runs, diverged_at=np.array([-1, 1]))
    with pytest.raises(UserError, match="seed 1 of backpropagation diverged in epoch 2: choose another seed"):
        ascribe.Model.of(diverged, seed=1)
    with pytest.raises(UserError, match="layer linear1 takes 2 numbers"):
        ascribe.Model(networks.mlp([2, 3]), runs.data, "categorical-cross-entropy")
    with pytest.raises(UserError, match="nosuch"):
        ascribe.Model(networks.mlp([3, 3]), runs.data, "nosuch")
    with pytest.raises(UserError, match="`about` holds JSON values alone"):
        dataclasses.replace(ascribe.Model.of(runs, seed=1), about={"net": runs}).save(tmp_path / "model")
    with pytest.raises(UserError, match="cannot be written"):
        ascribe.Model.of(runs, seed=1).save(tmp_path / "nosuch" / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_while_saving_keeps_the_old_file(colors, tmp_path, monkeypatch):
    runs, _ = colors
    path = ascribe.Model.of(runs, seed=4).save(tmp_path / "model")
    before = path.read_bytes()

    def crash(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(UserError, match="No space left on device"):
        ascribe.Model.of(runs, seed=1).save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def saved(colors, tmp_path):
    return ascribe.Model.of(colors[0], seed=4).save(tmp_path / "model.safetensors")


def refused(path, sentence="cannot be loaded"):
    with pytest.raises(UserError, match=sentence) as caught:
        ascribe.load_model(path)
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and repr(str(path)) in text
    return text


def test_no_flipped_bit_goes_unnoticed(saved):
    """One bit of every byte of the file, each another one."""
    whole = saved.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        saved.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be loaded"):
            ascribe.load_model(saved)


def test_a_flipped_bit_of_a_weight_is_told_by_the_checksum(saved):
    whole = bytearray(saved.read_bytes())
    whole[-1] ^= 1
    saved.write_bytes(whole)
    refused(saved, "it is damaged, for its checksum is another")


def test_no_truncated_file_is_loaded(saved):
    whole = saved.read_bytes()
    for length in [*range(0, 32), *range(32, len(whole), 97), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        refused(saved)
    saved.write_bytes(whole + b"\0")
    refused(saved)


@pytest.mark.parametrize("length", [0, 1, 7, 2**20, 100_000_001, 2**31, 2**32 + 8, 2**63, 2**64 - 1])
def test_a_hostile_length_of_the_head_is_refused(saved, length):
    saved.write_bytes(length.to_bytes(8, "little") + saved.read_bytes()[8:])
    refused(saved)


def edit(path, change, tensors=None, seal=True):
    """Another head or other arrays, under a checksum that fits."""
    with safetensors.safe_open(path, "np") as file:
        head, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    arrays = arrays if tensors is None else tensors(arrays)
    content = json.loads(head["model"])
    content = change(content) or content
    text = content if isinstance(content, str) else json.dumps(content)
    checksum = module._checksum(text, arrays) if seal else head["sha256"]
    path.write_bytes(safetensors.numpy.save(arrays, {"model": text, "sha256": checksum}))


def without(name):
    return lambda content: {key: value for key, value in content.items() if key != name}


def with_layer(**changes):
    def change(content):
        content["network"][0] |= changes

    return change


HEADS = {
    "no JSON": lambda content: "{",
    "a number": lambda content: "1",
    "null": lambda content: "null",
    "a list": lambda content: "[]",
    "many brackets": lambda content: "[" * 100_000,
    "another format": lambda content: content | {"format": 99},
    **{f"no {name}": without(name) for name in ("format", "network", "loss", "data", "encoding", "about")},
    "no layers": lambda content: content | {"network": []},
    "layers that are numbers": lambda content: content | {"network": [1, 2]},
    "an unknown layer": with_layer(layer="Nosuch"),
    "a class that is no layer": with_layer(layer="__import__"),
    "an unknown argument": with_layer(nosuch=1),
    "a huge layer": with_layer(fan_in=10**9, fan_out=10**9),
    "a layer beyond all numbers": with_layer(fan_in=10**40),
    "a negative layer": with_layer(fan_in=-3),
    "a layer of text": with_layer(fan_in="3"),
    "another width": with_layer(fan_out=6),
    "an unknown loss": lambda content: content | {"loss": "nosuch"},
    "a loss that is a list": lambda content: content | {"loss": []},
    "data that is a list": lambda content: content | {"data": []},
    "data of another shape": lambda content: content | {"data": content["data"] | {"input_shape": [4]}},
    "data of a shape that is text": lambda content: content | {"data": content["data"] | {"input_shape": "abc"}},
    "another number of means": lambda content: content | {"data": content["data"] | {"input_mean": [1.0, 2.0]}},
    "an unknown transform": lambda content: content | {"encoding": [{"name": "nosuch", "input_shape": [3]}]},
    "about that is a number": lambda content: content | {"about": 3},
}


@pytest.mark.parametrize("change", HEADS.values(), ids=HEADS)
def test_a_head_that_says_something_else_is_refused_whatever_its_checksum(saved, change):
    edit(saved, change)
    refused(saved)


ARRAYS = {
    "one is missing": (
        lambda arrays: {name: array for name, array in arrays.items() if name != "linear2.bias"},
        "linear2.bias is missing",
    ),
    "one too many": (lambda arrays: arrays | {"linear3.bias": np.zeros(3)}, "linear3.bias is no array of its network"),
    "one has another shape": (
        lambda arrays: arrays | {"linear2.bias": np.zeros(4)},
        r"linear2.bias is float64 of shape \(4,\) and not float64 of shape \(3,\)",
    ),
    "one is transposed": (lambda arrays: arrays | {"linear1.weight": arrays["linear1.weight"].T.copy()}, "shape"),
    "one has integers": (lambda arrays: arrays | {"linear2.bias": np.zeros(3, np.int64)}, "is int64 of shape"),
    "one is complex": (lambda arrays: arrays | {"linear2.bias": np.zeros(3, np.complex64)}, "is complex64 of shape"),
    "there are none": (lambda arrays: {}, "linear1.weight is missing"),
}


@pytest.mark.parametrize(("change", "sentence"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_that_do_not_fit_are_refused_whatever_their_checksum(saved, change, sentence):
    edit(saved, lambda content: content, tensors=change)
    refused(saved, sentence)


def test_other_arrays_under_the_old_checksum_are_refused(saved):
    edit(saved, lambda content: content, tensors=lambda arrays: arrays | {"linear2.bias": np.ones(3)}, seal=False)
    refused(saved, "its checksum is another")


def test_what_is_no_model_is_refused(saved, tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        ascribe.load_model(tmp_path / "nosuch")
    with pytest.raises(UserError, match="there is no file"):
        ascribe.load_model(tmp_path)
    for number, content in enumerate((b"", b"PK\x03\x04", b"\x80\x04\x95pickle", os.urandom(1000), b"{}" * 50)):
        path = tmp_path / f"other{number}"
        path.write_bytes(content)
        refused(path)
    path = tmp_path / "others.safetensors"
    path.write_bytes(safetensors.numpy.save({"weight": np.zeros(3)}))
    refused(path, "it is no model of ascribe")


def test_a_damaged_record_of_many_networks_is_told_too(colors, tmp_path):
    """The arrays of all seeds, `parameters.py`: a shape that is not the network's was once taken as it came."""
    runs, _ = colors
    path = tmp_path / "all.safetensors"
    parameters.save_parameters(path, runs.networks, runs.states, runs.network)
    _, stacked, states = parameters.load_parameters(path)
    pairs = zip(jax.tree.leaves((stacked, states)), jax.tree.leaves((runs.networks, runs.states)), strict=True)
    assert all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    tensors = parameters.tensors_of(runs.networks, runs.states)
    for array in (tensors["linear1.bias"][:1], tensors["linear1.bias"].astype(np.int32)):
        about = {"network": json.dumps(runs.network.config())}
        path.write_bytes(safetensors.numpy.save(tensors | {"linear1.bias": np.ascontiguousarray(array)}, about))
        with pytest.raises(UserError, match=r"is damaged: linear1\.bias is"):
            parameters.load_parameters(path)


def test_a_split_is_taken_as_what_it_is(colors):
    runs, raw = colors
    model, test = ascribe.Model.of(runs, seed=1), runs.data.test
    for method in ("predict", "probabilities", "outputs"):
        wanted = getattr(runs, method)(test.inputs)
        np.testing.assert_array_equal(getattr(runs, method)(test), wanted)
        np.testing.assert_array_equal(getattr(model, method)(test), wanted[1])
    np.testing.assert_array_equal(model.predict(raw), model.predict(test))


def test_runs_name_how_they_are_saved_and_what_they_have(colors):
    runs, _ = colors
    with pytest.raises(AttributeError, match=r"of one seed by ascribe\.Model\.of\(runs, seed=\.\.\.\)\.save\(path\)"):
        _ = runs.save
    assert {"train_loss", "validation_accuracy", "test_accuracy", "predict", "seeds"} <= set(dir(runs))
    assert all(hasattr(runs, name) for name in dir(runs))


@pytest.mark.parametrize("method", ["predict", "probabilities", "outputs"])
def test_rows_of_the_other_kind_are_told(colors, method):
    runs, raw = colors
    with pytest.warns(UserWarning, match=r"take prepared inputs, and these look like raw rows: .*\(rows\), or a split"):
        getattr(runs, method)(raw)
    with pytest.warns(UserWarning, match="takes raw rows and prepares them itself, and these look prepared already"):
        getattr(ascribe.Model.of(runs, seed=1), method)(runs.data.test.inputs)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits"])
def test_right_rows_are_never_told_and_wrong_ones_are(name):
    """Rows of tables in their own units: all, ten by chance, and the five at either end of every column."""
    if name == "digits":
        data = datasets.load(name)
        raw = np.concatenate([part.inputs for _, part in data.splits]) * data.input_scale + data.input_mean
    else:
        table = getattr(sklearn.datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
        data, raw = datasets.load((table.data, table.target)), table.data
    prepared, chance = data.prepare(raw), np.random.default_rng(0).choice(len(raw), 10, replace=False)
    assert look_prepared(prepared, data) and look_raw(raw, data) and look_prepared(data.test.inputs, data)
    order = np.argsort(raw.reshape(len(raw), -1), axis=0, kind="stable")
    ends = [rows for column in order.T for rows in (column[:5], column[-5:])]
    for rows in (np.arange(len(raw)), chance, *ends):
        assert not look_prepared(raw[rows], data) and not look_raw(prepared[rows], data)
    assert not look_prepared(prepared[:4], data) and not look_prepared(prepared, datasets.load("moons"))
    assert not look_prepared(np.full_like(prepared, np.nan), data) and not look_raw(np.full(raw.shape, 1e300), data)
