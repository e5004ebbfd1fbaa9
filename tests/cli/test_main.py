"""The command line, in process: exit codes, what goes to which stream, where results go."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import ascribe
from ascribe import datasets, rules
from ascribe.cli import COMMANDS, main
from ascribe.cli.compare import _ranges
from ascribe.errors import DISTRIBUTION, UserError
from ascribe.experiments import compare as module
from ascribe.training import seeds

from ..store.case import COMMAND_LINE, RULES, command_line, comparison, plain, snapshot

ENVIRONMENT = os.environ | {
    "JAX_PLATFORMS": "cpu",
    "PYTHONWARNINGS": "error",
    "PYTHONPATH": str(Path(ascribe.__file__).parents[1]),
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test runs in a folder of its own, without drawing pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    plain(monkeypatch)
    return tmp_path


def python(*arguments, folder):
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


def test_a_comparison_prints_its_table_and_says_where_the_page_is(here, capsys):
    assert main(["compare", *COMMAND_LINE]) == 0
    out, err = capsys.readouterr()
    page = Path("ascribe-runs") / "moons-001" / "index.html"
    assert f"page: {page}" in out
    assert "Always naming the most common class would give " in out
    assert (here / page).is_file()
    assert "backprop" in out
    assert ": training" not in out
    for rule in RULES:
        assert f"{rule}: training" in err
    assert list(ascribe.load(here / page.parent).runs) == list(RULES)


def test_the_command_line_trains_what_the_library_trains(here):
    assert main(["compare", *COMMAND_LINE, "--out", "here"]) == 0
    loaded = ascribe.load("here")
    for name, runs in comparison().runs.items():
        for key, curve in runs.curves.items():
            np.testing.assert_array_equal(curve, loaded.runs[name].curves[key], err_msg=key)
        for key, score in runs.scores.items():
            np.testing.assert_array_equal(score, loaded.runs[name].scores[key], err_msg=key)


def test_json_is_one_object_on_standard_output_and_nothing_else(here, capsys):
    assert main(["compare", *COMMAND_LINE, "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert out.count("\n") == 1
    assert {row["rule"] for row in found["table"]} == set(RULES)
    assert Path(found["page"]).is_file()
    assert Path(found["out"]) == Path(found["page"]).parent
    assert found["configuration"]["seeds"] == [0, 1]
    assert "training" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_an_output_that_cannot_be_written_is_one_sentence(here):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "ascribe", "datasets"]
        done = subprocess.run(command, cwd=here, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("ascribe: standard output could not be written (No space left on device): ")


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_an_output_that_nobody_reads_to_its_end_is_no_traceback(here, more):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ascribe", "datasets", *more]
    done = subprocess.run(command, cwd=here, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_what_a_rule_prints_is_no_part_of_the_json(here, capsys, monkeypatch):
    named = ascribe.rules.full_name
    monkeypatch.setattr(rules, "full_name", lambda name: print("from a rule") or named(name))
    for more in ((), ("--dry-run",)):
        assert main(["compare", *COMMAND_LINE, "--json", *more]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out) and "from a rule" in err


def test_rules_that_do_not_suit_the_network_are_listed_after_the_table(here, capsys, monkeypatch):
    picky = rules.FiniteDifferences(limit=10)
    monkeypatch.setattr(rules, "default_names", lambda: ["backpropagation", "finite-differences"])
    monkeypatch.setattr(rules, "get", lambda name, get=rules.get: picky if name == "finite-differences" else get(name))
    arguments = command_line(rules=None)
    assert main(["compare", *arguments, "--out", "first"]) == 0
    out, _ = capsys.readouterr()
    why = ascribe.load("first").configuration["left_out"]["finite-differences"]
    lines = out.splitlines()
    assert lines[-2:] == [f"left out: finite-differences: {why}", f"page: {Path('first') / 'index.html'}"]
    assert main(["compare", *arguments, "--out", "second", "--json"]) == 0
    out, _ = capsys.readouterr()
    assert json.loads(out)["configuration"]["left_out"] == {"finite-differences": why}
    assert "left out:" not in out


def test_default_folders_are_numbered(here, capsys):
    for number in (1, 2):
        assert main(["compare", *COMMAND_LINE]) == 0
        assert (here / "ascribe-runs" / f"moons-{number:03d}" / "record.json").is_file()
    assert sorted(path.name for path in here.iterdir()) == ["ascribe-runs"]
    assert "left out" not in capsys.readouterr().out


def test_a_learning_rate_switches_tuning_off(here):
    assert main(["compare", *command_line(tune=None, learning_rate=0.25, out="fixed")]) == 0
    loaded = ascribe.load("fixed")
    assert not loaded.tuning
    for runs in loaded.runs.values():
        np.testing.assert_array_equal(runs.learning_rates, [0.25, 0.25])


def test_one_layer_is_trained_and_another_drawn(here, capsys):
    options = {"learning_rate": 0.1, "only": "linear1", "landscape": "linear2", "out": "drawn"}
    assert main(["compare", *command_line(rules="backprop", tune=None, **options)]) == 0
    loaded = ascribe.load("drawn")
    assert loaded.configuration["only"] == "linear1"
    assert loaded.landscape.layer == "linear2"
    runs = loaded.runs["backpropagation"]
    start = runs.network.initialize(seeds.streams(jnp.asarray(0, jnp.uint32)).network)
    for name, same in (("linear1", False), ("linear2", True)):
        weight = np.asarray(start[name].weight, runs.networks[name].weight.dtype)
        assert np.array_equal(runs.networks[name].weight[0], weight) == same
    assert "loss surface of linear2: computing" in capsys.readouterr().err


def test_a_learning_rate_and_a_tuning_budget_contradict_each_other(here, capsys):
    assert main(["compare", *COMMAND_LINE, "--learning-rate", "0.25"]) == 2
    assert "give one of them" in capsys.readouterr().err
    assert not list(here.iterdir())


def test_rates_and_search_set_the_ranges(here):
    arguments = [*COMMAND_LINE, "--rates", "0.5:0.7", "--search", "fa.scale=2:3", "--out", "ranges"]
    assert main(["compare", *arguments]) == 0
    loaded = ascribe.load("ranges")
    for tuning in loaded.tuning.values():
        assert np.all((tuning.learning_rates >= 0.5 - 1e-9) & (tuning.learning_rates <= 0.7 + 1e-9))
    assert 2 <= loaded.runs["feedback-alignment"].hyperparameters["scale"] <= 3
    assert loaded.runs["backpropagation"].hyperparameters == {}


def test_a_search_names_a_rule_as_the_rules_do():
    texts = ["kp.decay=1:2", "./mine.py:Mine.beta=1:2", "fa:Mine.beta=1:2", "fa:scale=2.scale=1:2", "nothing.x=1:2"]
    full = ["kolen-pollack.decay", "mine:Mine.beta", "fa:Mine.beta", "feedback-alignment:scale=2.scale", "nothing.x"]
    assert _ranges(None, texts) == dict.fromkeys(full, (1.0, 2.0))


RULE = '''
from ascribe.rules import AbstractRule, backward_sweep

class MyRule(AbstractRule):
    """Backpropagation under another name."""
    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)
'''


def test_a_rule_in_a_file_of_one_s_own_takes_part(here, capsys):
    (here / "my_rule.py").write_text(RULE)
    both = "backprop,./my_rule.py:MyRule"
    assert main(["compare", *command_line(rules=both, tune=0, out="mine")]) == 0
    loaded = ascribe.load("mine")
    assert list(loaded.runs) == ["backpropagation", "my_rule:MyRule"]
    np.testing.assert_array_equal(loaded.runs["my_rule:MyRule"].train_loss, loaded.runs["backpropagation"].train_loss)


def test_a_table_of_one_s_own_is_compared(here):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.normal(size=(60, 2))]
    (here / "mine.csv").write_text("\n".join(["a,b,answer", *rows]))
    assert main(["compare", "mine.csv", *command_line(samples=None, rules="backprop")[1:]]) == 0
    loaded = ascribe.load(here / "ascribe-runs" / "mine-001")
    assert loaded.data.class_names == ("no", "yes")


def test_transformed_inputs_are_compared(here):
    assert main(["compare", *COMMAND_LINE, "--transform", "unit-interval", "--out", "encoded"]) == 0
    loaded = ascribe.load("encoded")
    assert loaded.configuration["data"]["request"]["transforms"] == ["unit-interval"]
    plain = comparison().data
    inputs = loaded.data.prepare(plain.test.inputs)
    assert inputs.min() >= 0.0 > plain.test.inputs.min()
    for runs in loaded.runs.values():
        labels = runs.predict(inputs)
        np.testing.assert_allclose(np.mean(labels == plain.test.targets, axis=1), runs.test_accuracy, rtol=1e-12)


def test_the_page_is_drawn_again_from_its_record(here, capsys):
    comparison().save(here / "record")
    (here / "record" / "index.html").unlink()
    assert main(["report", "record"]) == 0
    assert (here / "record" / "index.html").is_file()
    assert "page: " in capsys.readouterr().out
    assert main(["report", "record", "--out", "elsewhere.html"]) == 0
    assert (here / "elsewhere.html").is_file()


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_flags_answer_with_exit_code_zero(flag, capsys):
    assert main([flag]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert (ascribe.__version__ if flag == "--version" else "ascribe compare moons") in out


def test_an_empty_argument_is_refused(capsys):
    """As of a variable of the shell that is not set: as a path it would be this folder."""
    for arguments in (["compare", ""], ["compare", "moons", "--out", ""], ["compare", "moons", "--out="]):
        assert main(arguments) == 2
        assert "wants a value; got an empty text: is a variable" in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_has_its_help(command, capsys):
    assert main([command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert f"ascribe {command}" in out


def test_the_version_is_the_package_s(capsys):
    main(["--version"])
    version = capsys.readouterr().out.strip()
    try:
        assert version == importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        assert version == ascribe.__version__


def test_no_command_at_all_shows_the_help(capsys):
    assert main([]) == 0
    assert "compare" in capsys.readouterr().out


def test_the_rules_are_listed(capsys):
    assert main(["rules"]) == 0
    out = capsys.readouterr().out
    for name in rules.names():
        assert name in out
    assert main(["rules", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rules"]
    assert [row["name"] for row in found] == rules.names()
    for row in found:
        assert set(row) == {"name", "description", "tasks", "source", "by_default"}
        assert row["description"]
        assert row["source"]


def test_the_data_sets_are_listed(capsys):
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    for name in [*datasets.names(), *datasets.TRANSFORMS]:
        assert name in out
    assert main(["datasets", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["datasets"]] == datasets.names()
    assert {row["name"]: row["description"] for row in found["transforms"]} == datasets.TRANSFORMS


def test_an_interruption_is_exit_code_130_and_writes_nothing(here, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compare", interrupted)
    before = snapshot(here)
    assert main(["compare", *COMMAND_LINE]) == 130
    out, err = capsys.readouterr()
    assert not out
    assert "interrupted" in err
    assert "Traceback" not in err
    assert snapshot(here) == before


def test_a_user_s_error_in_the_middle_is_exit_code_2(here, capsys, monkeypatch):
    def refused(*_, **__):
        raise UserError("that will not do.")

    monkeypatch.setattr(module, "compare", refused)
    assert main(["compare", *COMMAND_LINE]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err == "ascribe: that will not do.\n"


def test_a_bug_is_not_dressed_up_as_a_user_s_error(monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(module, "compare", broken)
    with pytest.raises(ZeroDivisionError):
        main(["compare", *COMMAND_LINE])


IMPORTS = """
import sys
for statement in sys.argv[1:]:
    exec(statement)
    heavy = {"jax", "equinox", "optax", "sklearn", "scipy", "altair", "pandas"} & set(sys.modules)
    assert not heavy, (statement, heavy)
"""


def test_what_needs_no_jax_does_not_import_it(here):
    """One process for all: what a module has imported stays imported."""
    statements = ["import ascribe; ascribe.__version__; dir(ascribe)"]
    statements += ["import ascribe.datasets as d; d.load('moons', samples=50); d.names(); d.cards()"]
    for arguments, code in ((["--help"], 0), (["compare", "--help"], 0), (["datasets"], 0), (["compare"], 2)):
        statements += [f"import ascribe.cli; assert ascribe.cli.main({arguments!r}) == {code}"]
    done = python("-c", IMPORTS, *statements, folder=here)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_installed_command_runs_from_start_to_finish(here):
    """In a process of its own, in float32, with the real page and its pictures, warnings as errors."""
    arguments = [*command_line(rules="backprop"), "--json", "--out", "record"]
    done = python("-m", "ascribe", "compare", *arguments, folder=here)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["configuration"]["command"].startswith("ascribe compare moons")
    assert (here / "record" / "index.html").stat().st_size > 10_000
    assert len(list((here / "record" / "figures").glob("*.png"))) >= 4
    loaded = ascribe.load(here / "record")
    assert loaded.runs["backpropagation"].train_loss.dtype == np.float32
    refused = python("-m", "ascribe", "compare", "nosuch", folder=here)
    assert refused.returncode == 2
    assert not refused.stdout
    assert refused.stderr.startswith("ascribe: ")
