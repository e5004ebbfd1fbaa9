"""Controls stand beside the rules: trained as they are, and in nothing that is of the rules alone."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import compare, datasets, load, losses, networks, report, training
from ascribe.checksums import sealed
from ascribe.cli import main
from ascribe.errors import UserError
from ascribe.experiments.compare import preview
from ascribe.experiments.controls import CONTROLS, named_controls
from ascribe.experiments.merging import merge
from ascribe.experiments.plan import Budget, Request, ask
from ascribe.experiments.random_direction import RandomDirection
from ascribe.rules import Backpropagation, Batch
from ascribe.setup import CONTROLS as TOLD
from ascribe.store import Store
from ascribe.training.seeds import streams

from ..store.case import OPTIONS, RULES, command_line, data, plain, snapshot
from ..training import tiny

SOME = OPTIONS | {"seeds": 3}
ALL = ("frozen", "linear", "noise")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("controls")


@pytest.fixture(scope="module")
def found(place):
    return compare(data(), rules=list(RULES), controls=ALL, store=place / "store.sqlite", **SOME)


def leaves(runs, row, name):
    return jax.tree.leaves(jax.tree.map(lambda leaf: leaf[row], runs.networks)[name])


def test_hidden_layers_of_frozen_are_bit_identical_and_its_last_layer_moves(found):
    frozen = found.controls["frozen"]
    for row, seed in enumerate(frozen.seeds):
        start = frozen.network.initialize(streams(jnp.asarray(seed, jnp.uint32)).network)
        for name in ("linear1", "linear2"):
            for now, then in zip(leaves(frozen, row, name), jax.tree.leaves(start[name]), strict=True):
                assert np.array_equal(now, then) == (name == "linear1"), name


def test_frozen_is_backpropagation_of_the_last_layer_alone(found):
    frozen = found.controls["frozen"]
    rate = float(frozen.learning_rates[0])
    own = training.train("4", data(), "backpropagation", learning_rate=rate, seeds=3, epochs=3, only="last", diagnostics=False)
    assert own.notes == ("only linear2 was trained",)
    np.testing.assert_array_equal(frozen.train_loss, own.train_loss)
    np.testing.assert_array_equal(frozen.test_accuracy, own.test_accuracy)


def test_linear_has_no_hidden_layers_and_all_have_the_same_seeds_and_candidates(found):
    assert str(found.controls["linear"].network) == "linear1 1×2"
    for runs in found.controls.values():
        assert runs.seeds == found.runs[RULES[0]].seeds and not runs.class_maps and "gradient_angle" not in runs.curves
    tried = [found.tuning[name] for name in (*RULES, *ALL)]
    assert len({(one.scores.shape, one.seeds, tuple(one.learning_rates)) for one in tried}) == 1


def test_what_is_of_the_rules_has_no_controls(found):
    assert list(found.controls) == found.configuration["controls"] == list(ALL)
    assert list(found.runs) == found.configuration["rules"] == list(RULES)
    assert {row.rule for row in found.table()} == {row.rule for row in found.statistics()} == set(RULES)
    assert found.reference == RULES[0]
    without = compare(data(), rules=list(RULES), controls=(), **SOME)
    assert without.controls == {} and without.configuration["controls"] == []
    named = lambda rows: {row.rule: (row.p_value, row.difference) for row in rows}
    assert named(without.statistics()) == named(found.statistics())


def test_what_is_kept_is_not_trained_again(found, place, monkeypatch):
    monkeypatch.setattr(training.Experiment, "compile", None)
    again = compare(data(), rules=list(RULES), controls=ALL, store=place / "store.sqlite", **SOME)
    for name in ALL:
        np.testing.assert_array_equal(again.controls[name].train_loss, found.controls[name].train_loss)
    rows = Store(place / "store.sqlite").runs(Store(place / "store.sqlite").experiments()[0]["id"])
    counts = {name: sum(row["rule"] == name for row in rows) for name in (*RULES, *ALL)}
    assert set(counts.values()) == {3 + 2}  # seeds, and candidates on one seed


def test_a_record_has_them_back_bit_for_bit(found, tmp_path, monkeypatch):
    plain(monkeypatch)
    found.save(tmp_path / "record")
    again = load(tmp_path / "record")
    assert list(again.controls) == list(ALL) and list(again.runs) == list(RULES)
    for name, runs in found.controls.items():
        np.testing.assert_array_equal(again.controls[name].train_loss, runs.train_loss)
        for ours, theirs in zip(jax.tree.leaves(again.controls[name].networks), jax.tree.leaves(runs.networks), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert again.tuning[name].chosen == found.tuning[name].chosen
    assert [row.rule for row in again.table()] == [row.rule for row in found.table()]
    assert {"curves/control-frozen.npz", "parameters/control-frozen.safetensors"} <= set(snapshot(tmp_path / "record"))
    with (tmp_path / "record" / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["rule"] for row in rows if row["control"] == "True"} == set(ALL)
    assert {row["rule"] for row in rows if row["control"] == "False"} == set(RULES)


def test_an_earlier_record_has_none(tmp_path, monkeypatch):
    plain(monkeypatch)
    compare(data(), rules=list(RULES), **SOME).save(tmp_path / "record")
    path = tmp_path / "record" / "record.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["controls"], content["configuration"]["controls"], content["checksum"]
    path.write_text(json.dumps(sealed(content)), encoding="utf-8")
    assert load(tmp_path / "record").controls == {}


def test_merging_joins_the_seeds_of_controls(found):
    more = compare(data(), rules=list(RULES), controls=("frozen",), **SOME | {"seeds": [7, 8]})
    both = merge(found, more)
    assert both.controls["frozen"].seeds == (0, 1, 2, 7, 8) and both.controls["noise"].seeds == (0, 1, 2)
    assert list(both.runs) == list(RULES) and both.configuration["controls"] == list(ALL)
    longer = compare(data(), rules=[RULES[1]], controls=(), **SOME | {"epochs": 2})
    assert merge(found, longer).controls == {}  # whose they would be is not said


def test_in_folds_they_are_those_of_every_fold():
    folded = compare(data(), rules=list(RULES), controls=("frozen",), folds=3, **SOME)
    assert folded.controls["frozen"].folds == folded.runs[RULES[0]].folds
    for number, fold in enumerate(folded.folds, 1):
        row = folded.controls["frozen"].folds.index(number)
        assert folded.controls["frozen"].test_accuracy[row] == fold.controls["frozen"].test_accuracy[0]
    assert report.control_rows(folded)[0].folds


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"network": "linear"}, {"frozen": "no hidden layers", "linear": "no hidden layers"}),
        ({"only": "first"}, {"frozen": "one layer alone is trained"}),
        ({"only": "linear2"}, {"frozen": "one layer alone is trained"}),
    ],
)
def test_a_control_that_would_mean_nothing_is_left_out_with_the_reason(options, why):
    found = asked(controls=("frozen", "linear"), **options)
    assert set(found.controls) == {"frozen", "linear"} - set(why)
    assert set(found.left_out) == {f"control {name}" for name in why}
    assert all(words in found.left_out[f"control {name}"] for name, words in why.items())


def asked(dataset=None, *, rules=RULES, network="4", controls=None, only=None):
    request = Request(rules=rules, network=network, controls=controls, seeds=2)
    return ask(dataset or data(), request, training.Setup(epochs=1, only=only), Budget(0, 1, {}))


def test_a_preview_counts_them(monkeypatch):
    monkeypatch.setattr(training.Experiment, "timed", lambda self, example: (0.0, 0.0))
    plan = preview(data(), rules=list(RULES), controls=("linear",), **OPTIONS)
    assert plan["controls"]["linear"]["tuning"] == plan["controls"]["linear"]["training"] == 2
    assert plan["runs"] == 3 * (2 + 2)


def test_a_rule_of_that_name_is_not_taken_for_a_control():
    found = asked(rules={"frozen": "backpropagation", "mine": "fa"}, controls=("frozen",))
    assert found.controls == {} and "that name" in found.left_out["control frozen"]


def test_linear_takes_sequences_as_vectors():
    sequences = datasets.load("adding", samples=60, length=8)
    found = asked(sequences, rules=["backpropagation"], network="gru/4", controls=("linear",))
    assert str(training.template_of(found.controls["linear"].recipe.source)) == "linear1 1×16" and not found.left_out


@pytest.mark.usefixtures("as_installed")
@pytest.mark.parametrize(
    ("controls", "sentence"),
    [
        ("frozen", "a list of names out of frozen, linear, noise.*'frozen'"),
        (["frosen"], "unknown control 'frosen': did you mean 'frozen'"),
        ([3], "unknown control 3: choose from frozen"),
        (7, "a list of names"),
    ],
)
def test_wrong_names_are_told_in_a_sentence(controls, sentence):
    with pytest.raises(UserError, match=sentence):
        compare(data(), rules=list(RULES), controls=controls)


def test_every_control_is_described():
    assert list(CONTROLS) == list(TOLD)
    assert named_controls(["linear", "frozen", "linear"]) == ("linear", "frozen")


@pytest.mark.parametrize(("word", "layer"), [("first", "linear1"), ("last", "linear2")])
def test_first_and_last_are_layers_with_weights(word, layer):
    recipe = tiny.recipe(tiny.mlp(), tiny.data(), only=word)
    assert recipe.setup.only == layer


def test_a_record_names_the_layer_that_is_meant():
    found = compare(data(), rules=[RULES[0]], controls=(), only="first", **SOME | {"tune": 0})
    assert found.configuration["only"] == "linear1"


def test_noise_has_the_norms_of_the_gradient_and_nothing_of_its_directions():
    network = networks.mlp([2, *[3] * 9, 1], activation="tanh", key=jax.random.key(1))
    assert len(network.parts) < len(network.names)  # its hidden blocks are one part
    examples = tiny.data().train
    inputs, targets = jnp.asarray(examples.inputs, float), jnp.asarray(examples.targets)
    batch = Batch(inputs, targets, losses.default_for("binary", 1), jnp.arange(tiny.TRAIN))
    both = lambda key: (
        RandomDirection()(network, None, batch, key=key).gradients,
        Backpropagation()(network, None, batch, key=key).gradients,
    )
    drawn, exact = jax.jit(jax.vmap(both))(jax.random.split(jax.random.key(0), 400))
    for name in network.synaptic:
        pairs = zip(jax.tree.leaves(drawn[name]), jax.tree.leaves(exact[name]), strict=True)
        for ours, theirs in [(one.reshape(400, -1), other.reshape(400, -1)) for one, other in pairs]:
            np.testing.assert_allclose(np.linalg.norm(ours, axis=1), np.linalg.norm(theirs, axis=1), rtol=1e-9)
            cosine = (ours * theirs).sum(axis=1) / (theirs**2).sum(axis=1)
            assert abs(cosine.mean()) < 4 * cosine.std() / np.sqrt(400) and (ours.shape[1] == 1 or cosine.std() > 0)


def told(capsys, *options):
    assert main(["compare", *command_line(seeds=3), "--quiet", *options]) == 0
    return capsys.readouterr().out


def test_the_command_line_tells_them(tmp_path, monkeypatch, capsys):
    plain(monkeypatch)
    monkeypatch.chdir(tmp_path)
    content = json.loads(told(capsys, "--controls", "frozen,linear", "--json"))
    assert [row["rule"] for row in content["controls"]] == ["frozen", "linear"]
    assert content["hidden_credit"]["able"] in (True, False) and content["hidden_credit"]["pairs"] == 3
    assert {"credit_score", "credit_score_low", "credit_score_high"} <= set(content["table"][0])
    text = told(capsys, "--controls", "frozen")
    assert "(frozen)" in text and "(linear)" not in text
    assert "(frozen)" not in told(capsys, "--controls", "none")
