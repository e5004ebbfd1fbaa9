"""The options of `ascribe compare` that are about the data: what reaches the data set, and what is refused."""

import numpy as np
import pytest

from ascribe.cli import main
from ascribe.datasets import digits
from ascribe.errors import UserError
from ascribe.experiments import compare as module

ENOUGH = "nothing is trained here."
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "number nine")


@pytest.fixture(autouse=True)
def seen(tmp_path, monkeypatch):
    """The data sets that would have been trained on, in a folder with one file; digits have names here."""
    found = []

    def compare(dataset, **_):
        found.append(dataset)
        raise UserError(ENOUGH)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "compare", compare)
    monkeypatch.setattr(digits, "CLASS_NAMES", WORDS)
    rows = [f"{a:.3f},{b:.3f},{i % 2}" for i, (a, b) in enumerate(np.random.default_rng(0).normal(size=(40, 2)))]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    (tmp_path / "song.txt").write_text("ten green bottles, " * 20)
    return found


LOADED = {
    "no options": (["moons"], {}),
    "class numbers": (["digits", "--classes", "3,8"], {"classes": "3,8"}),
    "class names": (["digits", "--classes", "three, number nine"], {"classes": "three, number nine"}),
    "names and numbers": (["digits", "--classes", "three,8,0"], {"classes": "three,8,0"}),
    "a count of classes": (["spirals", "--classes", "3"], {"classes": 3}),
    "a transform": (["moons", "--transform", "split-signs"], {"transforms": ["split-signs"]}),
    "transforms of a file": (
        ["mine.csv", "--transform", "unit-interval, constant-one"],
        {"transforms": ["unit-interval", "constant-one"]},
    ),
    "a transform as a data option": (
        ["moons", "--data-option", "transforms=split-signs"],
        {"transforms": ["split-signs"]},
    ),
    "a header": (["mine.csv", "--data-option", "header=no"], {"header": False}),
    "standardize": (["moons", "--data-option", "standardize=yes"], {"standardize": True}),
    "as Python says it": (["moons", "--data-option", "standardize=True"], {"standardize": True}),
    "a dash": (["digits", "--data-option", "test-samples=100"], {"test_samples": 100}),
    "a number with a point": (["spirals", "--data-option", "turns = 1.5"], {"turns": 1.5}),
    "a text": (["mine.csv", "--data-option", "missing=drop"], {"missing": "drop"}),
    "of a sequence": (["delayed-recall", "--data-option", "symbols=3"], {"symbols": 3}),
    "of a text": (
        ["text:song.txt", "--samples", "60", "--data-option", "window=4"],
        {"samples": 60, "window": 4},
    ),
    "several": (
        ["gaussians", "--samples", "60", "--data-option", "dimensions=5", "--data-option", "standardize=no"],
        {"samples": 60, "dimensions": 5, "standardize": False},
    ),
}


@pytest.mark.parametrize(("arguments", "options"), LOADED.values(), ids=LOADED)
def test_options_reach_the_data_set(seen, capsys, arguments, options):
    assert main(["compare", *arguments]) == 2
    assert capsys.readouterr().err == f"ascribe: {ENOUGH}\n"
    (data,) = seen
    assert data.request == {"data": arguments[0], "seed": 0, **options}


def test_class_names_choose_those_classes(seen):
    main(["compare", "digits", "--classes", "number nine,two"])
    main(["compare", "spirals", "--classes", "4"])
    assert (seen[0].class_names, seen[0].task) == (("number nine", "two"), "binary")
    assert seen[1].classes == 4


def test_a_transform_encodes_the_inputs(seen):
    main(["compare", "moons", "--transform", "split-signs,constant-one"])
    assert seen[0].input_shape == (5,) and seen[0].original.input_shape == (2,)


REFUSED = {
    "unknown names": (
        ["digits", "--classes", "cat,dog"],
        ["--classes is a list of at least two of", "got 'cat'", "3 three", "try --classes 3,8"],
    ),
    "names for a count": (["spirals", "--classes", "one,two"], ["--classes is an integer", "got 'one,two'"]),
    "numbers for a count": (["spirals", "--classes", "3,8"], ["--classes is an integer", "got '3,8'"]),
    "a gap between commas": (["digits", "--classes", "3,,8"], ["--classes", "3,8", "cat,dog", "got '3,,8'"]),
    "no equals sign": (["moons", "--data-option", "standardize"], ["--data-option", "NAME=VALUE", "'standardize'"]),
    "no value": (["moons", "--data-option", "standardize="], ["--data-option", "NAME=VALUE", "'standardize='"]),
    "no name": (["moons", "--data-option", "=3"], ["--data-option", "NAME=VALUE", "'=3'"]),
    "the seed": (["moons", "--data-option", "seed=3"], ["--data-seed", "seed=3"]),
    "twice": (["moons", "--samples", "60", "--data-option", "samples=70"], ["samples", "given twice"]),
    "two kinds of transforms": (
        ["moons", "--transform", "split-signs", "--data-option", "transforms=constant-one"],
        ["transforms", "given twice"],
    ),
    "a transform in a yes": (
        ["moons", "--data-option", "transforms=yes"],
        ["--transform is a name", "True", "--transform split-signs,constant-one"],
    ),
    "of another set": (["moons", "--data-option", "turns=2"], ["moons has no option 'turns'", "samples, noise"]),
    "not a data option": (["moons", "--data-option", "name_or_path=2"], ["no option 'name_or_path'"]),
    "a window too long": (
        ["text:song.txt", "--data-option", "window=60"],
        ["song.txt is a text of at least 404 characters", "got 380", "--data-option window=56"],
    ),
    "more windows than there are": (["text:song.txt", "--samples", "500"], ["--samples is at most 332", "got 500"]),
    "a target of a text": (["text:song.txt", "--target", "1"], ["a text has no option 'target'", "window, samples"]),
    "no text": (["text:sonk.txt"], ["there is no file 'sonk.txt'", "did you mean 'song.txt'"]),
    "more sequences than there are": (
        ["parity", "--data-option", "bits=4"],
        ["--samples is at most 16", "got 1000", "--samples 16 or --data-option bits=10"],
    ),
    "a number for yes": (["moons", "--data-option", "standardize=1"], ["standardize is True or False", "1"]),
    "a text for a number": (["spirals", "--data-option", "turns=many"], ["turns is a positive number", "'many'"]),
}


@pytest.mark.parametrize(("arguments", "fragments"), REFUSED.values(), ids=REFUSED)
def test_nonsense_gets_one_sentence(seen, capsys, arguments, fragments):
    assert main(["compare", *arguments]) == 2
    out, err = capsys.readouterr()
    assert not out and not seen
    assert err.startswith("ascribe: ") and err.endswith(".\n") and err.count("\n") == 1
    for fragment in fragments:
        assert fragment in err
