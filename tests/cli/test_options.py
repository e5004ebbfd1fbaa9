"""The options that commands share: their names and defaults are the library's."""

import inspect
import io

import equinox as eqx
import pytest
from rich.console import Console

import ascribe
from ascribe import datasets, networks
from ascribe.cli import app, compare, discover, given, main, options, written
from ascribe.cli.data import FLAGS
from ascribe.cli.sentences import OF_TABLES
from ascribe.datasets.sources import READING, SPREADSHEET, TEXT
from ascribe.experiments.discover import TRAINING

from .test_main import python

GROUPS = {
    "compare": (compare.Comparison, compare.Training, compare.Tuning, options.Data, compare.Keeping, compare.Machines),
    "discover": (discover.TargetNetwork, discover.Search, options.Data, discover.Keeping, options.Machines),
}


def test_the_names_that_help_tells_are_those_of_the_library_s_tables():
    """They are written down apart, for the tables need JAX or NumPy."""
    assert tuple(name for name, row in networks.ACTIVATIONS.items() if row.elementwise) == options.ACTIVATIONS
    assert (*datasets.TRANSFORMS,) == options.TRANSFORMS


@pytest.mark.parametrize("name", options.NETWORKS)
def test_a_network_that_help_names_is_one(name):
    eqx.filter_eval_shape(networks.build, name, input_shape=(32, 32, 3), outputs=2)


@pytest.mark.parametrize("command", GROUPS)
def test_the_options_of_a_command_are_those_of_its_groups_and_their_defaults_the_function_s(command):
    offered = [one for one in app[command].assemble_argument_collection() if not one.children]
    names = [name for group in GROUPS[command] for name in options.names(group)]
    assert sorted(one.field_info.name for one in offered) == sorted(["data", *names])
    function = {one.name: one.default for one in inspect.signature(getattr(ascribe, command)).parameters.values()}
    function |= TRAINING if command == "discover" else {}
    shared = [one for one in offered if one.field_info.name in function and one.field_info.name not in ("data", "store")]
    assert len(shared) > 12
    for one in shared:
        assert one.field_info.default == function[one.field_info.name], one.name


@pytest.mark.parametrize("command", GROUPS)
def test_every_option_is_explained_under_a_heading(command):
    console = Console(file=io.StringIO(), width=100)
    app.help_print([command], console=console)
    told = console.file.getvalue()
    for one in app[command].assemble_argument_collection(parse_docstring=True):
        heading = one.parameter.group[0].name
        assert one.children or one.name == "DATA" or heading in options.HEADINGS
        assert one.children or (one.parameter.help and one.name in told and f"─ {heading} ─" in told)


def test_what_is_given_is_what_was_typed_also_where_it_is_the_default():
    typed = ["compare", "moons", "--seeds", "10", "--search", "a.b=1:2", "--search=c=3:4", "--samples=60", "--json"]
    found = {"data": "moons", "seeds": 10, "search": ["a.b=1:2", "c=3:4"], "samples": 60, "json_output": True}
    assert given(typed) == found
    assert given(["discover", "moons", "--no-random-search"]) == {"data": "moons", "random_search": False}
    assert given(["compare", "--help"]) == {}
    assert written({"seeds": 3, "data": "-x.csv"}) == ["./-x.csv", "--seeds", "3"]


def test_a_group_is_no_option_of_its_own(capsys):
    for option in ("--training", "--keeping.out", "--training.epochs", "--no-quiet", "--empty-search"):
        assert main(["compare", "moons", option, "3"]) == 2
        assert f"there is no option {option}" in capsys.readouterr().err


def test_an_option_of_reading_a_table_is_said_to_be_a_data_option(capsys):
    assert main(["compare", "moons", "--missing-words", "-99"]) == 2
    said = "there is no option --missing-words: what a table is read with is --data-option missing_words=VALUE."
    assert said in capsys.readouterr().err
    assert {*OF_TABLES} == {*READING[TEXT], *READING[SPREADSHEET], "standardize"} - {*FLAGS}


HELP = """
import sys
from ascribe.cli import COMMANDS, main
for command in COMMANDS:
    assert main([command, "--help"]) == 0
    assert not {"numpy", "jax"} & set(sys.modules), command
"""


def test_no_help_waits_for_numpy_or_jax(tmp_path):
    done = python("-c", HELP, folder=tmp_path)
    assert done.returncode == 0, done.stderr
