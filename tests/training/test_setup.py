"""`Setup`: one field says everything of a setting, and everything that follows is made from the fields."""

import dataclasses
import inspect
from dataclasses import field

import pytest

import ascribe
from ascribe import losses
from ascribe.cli import compare, options
from ascribe.errors import UserError
from ascribe.rules import Backpropagation
from ascribe.setup import LOSSES, OPTIMIZERS, Setup, deciding, means, told
from ascribe.training import Experiment, Identity, Specification, honor, optimizers

from . import tiny


@dataclasses.dataclass(frozen=True)
class Warmed(Setup):
    """A setup with one more setting, which nobody else knows of."""

    warmup: int = field(
        default=0,
        metadata=means(
            check=lambda name, value: int(value), words=" after {} epochs of warming up", help="Epochs of warming up."
        ),
    )

    __hash__ = Setup.__hash__


def recipe(**changes):
    """What a rule trains with that setup."""
    found = tiny.recipe(tiny.mlp(), tiny.data())
    return dataclasses.replace(found, setup=Warmed(**(vars(found.setup) | changes)))


def test_a_new_setting_is_in_the_key_of_a_run():
    run, plain = Specification(0, 0.1), Identity(recipe())
    assert Identity(recipe(warmup=3)).key(run) != plain.key(run) == Identity(recipe(warmup=0)).key(run)


def test_a_new_setting_is_told_by_records_stores_and_pages():
    setup = recipe(warmup=3).setup
    assert setup.recorded()["warmup"] == Identity(recipe(warmup=3)).about["warmup"] == 3
    assert told(setup.recorded(), Warmed).endswith(" after 3 epochs of warming up")
    assert "warming up" not in told(recipe().setup.recorded(), Warmed)


def test_processes_that_train_together_have_a_new_setting_in_common():
    assert recipe(warmup=3).setup.agreed() != recipe().setup.agreed()


def test_comparisons_that_differ_in_a_new_setting_are_not_joined():
    plain, warmed = ({**recipe(warmup=count).setup.recorded()} for count in (0, 3))
    earlier = {name: value for name, value in plain.items() if name != "warmup"}  # a record of a version without it
    assert deciding(plain, Warmed) == deciding(earlier, Warmed) != deciding(warmed, Warmed)


def test_a_new_setting_is_another_program():
    assert recipe(warmup=3).setup.compiled() != recipe().setup.compiled()


def test_a_new_setting_is_an_option_of_the_command_line():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    @options.settings(*options.others(Warmed), kind=Warmed)
    class Group:
        """What a command takes."""

    (new,) = (one for one in dataclasses.fields(Group) if one.name == "warmup")
    assert (new.default, new.metadata["help"]) == (0, "Epochs of warming up.")
    assert "warmup" not in {one.name for one in dataclasses.fields(compare.Training)} >= set(options.others())


def test_what_no_program_depends_on_is_left_out_of_it():
    one, other = (Setup(learning_rate=rate, devices_per_run=count) for rate, count in ((0.1, 1), (0.2, 2)))
    assert one != other and one.compiled() == other.compiled()
    assert hash(one.compiled()) == hash(other.compiled())


def test_a_mapping_of_optimizers_can_be_a_key():
    parts = {"network": "sgd", "feedback": ("adam", 0.1)}
    assert hash(Setup(optimizer=parts)) == hash(Setup(optimizer=dict(parts)))
    assert Setup(optimizer=parts).recorded()["optimizer"] == {"network": "sgd", "feedback": ["adam", 0.1]}


def test_the_names_of_what_is_registered_are_those_of_the_tables():
    assert tuple(optimizers.OPTIMIZERS) == OPTIMIZERS
    assert tuple(losses.LOSSES) == LOSSES


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"epochs": 0}, "`epochs` is a positive integer; got 0"),
        ({"epochs": True}, "`epochs` is a positive integer; got True"),
        ({"epochs": 2**31}, "`epochs` is 2147483647 at most"),
        ({"batch_size": 2.5}, "`batch_size` is a positive integer; got 2.5"),
        ({"learning_rate": -1}, "`learning_rate` is a positive number; got -1"),
        ({"select": "best"}, "`select` is last or best-validation; got 'best'"),
        ({"diagnostics": "no"}, "`diagnostics` is True or False; got 'no'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value),
)
def test_a_setting_is_checked_where_it_is_made_and_where_it_is_changed(given, sentence, as_installed):
    with pytest.raises(UserError, match=sentence):
        Setup(**given)
    with pytest.raises(UserError, match=sentence):
        dataclasses.replace(Setup(), **given)


def test_a_recipe_that_is_not_complete_is_refused():
    recipe = honor(Backpropagation(), "bp", tiny.mlp(), tiny.data(), Setup())
    with pytest.raises(UserError, match="a complete recipe is wanted; that of bp names no loss yet"):
        Experiment(recipe)


def test_train_and_compare_take_every_setting_that_does_not_come_with_the_data():
    wanted = {one.name: one.default for one in dataclasses.fields(Setup)}
    del wanted["augmentations"], wanted["black"]
    for function, rate in ((ascribe.train, wanted["learning_rate"]), (ascribe.compare, None)):
        found = {name: one.default for name, one in inspect.signature(function).parameters.items()}
        assert {name: found[name] for name in wanted} == wanted | {"learning_rate": rate}
