"""What a table means: which column is the target, what labels the rows, what names the classes, what is a number."""

import gzip
import json

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import Understood
from ascribe.datasets.sources import READING, TEXT
from ascribe.errors import UserError

GENERATOR = np.random.default_rng(5)
HEIGHTS, WEIGHTS = GENERATOR.normal(170, 10, 24).round(1), GENERATOR.normal(70, 9, 24).round(1)
KINDS = ["oak", "elm", "fir"] * 8
EVERY = range(24)


@pytest.fixture
def load(tmp_path):
    """Loads a text as a file, with options."""

    def load(text, name="trees.csv", **options):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return datasets.load(tmp_path / name, **options)

    return load


def table(rows, *header, separator=","):
    lines = [separator.join(header)] if header else []
    return "\n".join(lines + [separator.join(map(str, row)) for row in rows]) + "\n"


def trees(*header, first=()):
    return table([[*(part[i] for part in first), HEIGHTS[i], WEIGHTS[i], KINDS[i]] for i in EVERY], *header)


# --- The target ---------------------------------------------------------------------------------------------------

TARGETS = [
    ((), {}, "column3", "guessed: the last column"),
    ((), {"target": 1}, "column1", "named"),
    ((), {"target": "1"}, "column1", "named"),
    ((), {"target": np.int64(2)}, "column2", "named"),
    ((), {"target": -1}, "column3", "named"),
    (("height", "Label", "kind"), {}, "Label", "guessed: it is called Label"),
    (("height", "label", "target"), {}, "target", "guessed: the last column"),
    (("height", "weight", "kind"), {"target": "weight"}, "weight", "named"),
    (("2", "weight", "kind"), {"target": "2"}, "2", "named"),  # a name comes before a number
    (("2", "weight", "kind"), {"target": 2}, "weight", "named"),
    (("height", "weight", "kind"), {"target": 3, "ignore": "1"}, "kind", "named"),  # numbers are those of the file
]


@pytest.mark.parametrize(("header", "options", "target", "chosen"), TARGETS)
def test_the_target_is_told_with_how_it_was_chosen(load, header, options, target, chosen):
    understood = load(trees(*header), **options).understood
    assert (understood.target, understood.target_chosen) == (target, chosen)
    assert [column.name for column in understood.columns if column.role == "target"] == [target]
    assert understood.headline.startswith(f"target: {target} ({chosen}); task: ")


def test_the_task_is_told_with_how_it_was_chosen(load):
    def told(text, **options):
        understood = load(text, **options).understood
        return understood.task, understood.task_chosen

    assert told(trees()) == ("classification", "guessed: it holds 3 different texts")
    assert told(trees(), target=1) == ("regression", "guessed: it holds numbers with decimals")
    counts = table([[HEIGHTS[i], i % 2] for i in EVERY])
    assert told(counts) == ("binary", "guessed: it holds 2 different whole numbers")
    assert told(counts, task="regression") == ("regression", "named")
    assert told(table([[HEIGHTS[i], 2 * i] for i in EVERY])) == ("regression", "guessed: it holds 24 different numbers")


# --- What labels the rows -----------------------------------------------------------------------------------------

SHUFFLED = [int(i) for i in GENERATOR.permutation(24) * 3]
LABELS = [
    (("", "height", "weight", "kind"), list(EVERY)),
    (("", "height", "weight", "kind"), SHUFFLED),  # of a frame of which rows were dropped
    (("", "height", "weight", "kind"), [f"tree {i}" for i in EVERY]),  # names of the rows, as R writes them
    (("Unnamed: 0", "height", "weight", "kind"), list(EVERY)),
    (("Unnamed: 0.1", "height", "weight", "kind"), [i % 12 for i in EVERY]),  # of two frames, one after the other
    (("__index_level_0__", "height", "weight", "kind"), SHUFFLED),
    ((), list(EVERY)),
    ((), [i + 1 for i in EVERY]),
]


@pytest.mark.parametrize(("header", "labels"), LABELS)
def test_what_labels_the_rows_is_no_feature_and_no_target(load, header, labels):
    data, plain = load(trees(*header, first=(labels,))), load(trees(*header[1:]))
    assert data.checksum == plain.checksum and data.features == 2
    first = header[0] or "column1" if header else "column1"
    assert [column.name for column in data.understood.columns if column.role == "left out"] == [first]
    assert data.understood.notes[0].startswith(f"{first} is left out (")
    if not isinstance(labels[0], str):
        asked = load(trees(*header, first=(labels,)), target=1, task="regression")  # as a target it is
        assert asked.understood.target == first and asked.features == 5


@pytest.mark.parametrize(
    ("header", "labels"),
    [
        (("", "height", "weight", "kind"), [i % 4 for i in EVERY]),  # a measurement whose name was forgotten
        (("", "height", "weight", "kind"), [i / 8 for i in EVERY]),
        (("id", "height", "weight", "kind"), SHUFFLED),
        ((), SHUFFLED),
    ],
)
def test_what_may_be_a_measurement_stays(load, header, labels):
    assert load(trees(*header, first=(labels,))).features == 3


def test_a_named_column_that_counts_the_rows_stays_and_is_told(load):
    data = load(trees("day", "height", "weight", "kind", first=(list(EVERY),)))
    assert data.features == 3
    assert data.understood.notes == ("day counts the rows; if it is no measurement, leave it out with `ignore='day'`",)


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("day", [1001 + i for i in EVERY]),
        ("day", [7 * i for i in EVERY]),
        ("day", [1000 + i * i for i in EVERY]),
        ("day", [500 + 11 * i % len(EVERY) for i in EVERY]),
        *((name, [7919 * (i + 3) % 104729 for i in EVERY]) for name in ("id", "customer_id", "userId", "ROW ID")),
    ],
)
def test_a_named_column_that_numbers_the_rows_is_told(load, name, numbers):
    data = load(trees(name, "height", "weight", "kind", first=(numbers,)))
    assert data.features == 3
    assert data.understood.notes == (
        f"{name} holds another whole number in every row; if these name the rows and measure nothing, leave it out with "
        f"`ignore={name!r}`",
    )


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("grams", [7919 * (i + 3) % 104729 for i in EVERY]),  # far apart, in no order
        ("humid", [7919 * (i + 3) % 104729 for i in EVERY]),
        ("id", [i // 2 for i in EVERY]),
        ("day", [i + 0.5 for i in EVERY]),
    ],
)
def test_other_numbers_are_not_told(load, name, numbers):
    assert load(trees(name, "height", "weight", "kind", first=(numbers,))).understood.notes == ()


def test_a_counting_column_stays_where_it_is_the_only_feature(load):
    assert load(table([[i, i % 2] for i in EVERY])).features == 1


def test_a_header_may_lack_the_name_of_the_row_names(load):
    text = table([[f"tree {i}", HEIGHTS[i], WEIGHTS[i], KINDS[i]] for i in EVERY], "height", "weight", "kind")
    assert load(text).checksum == load(trees("height", "weight", "kind")).checksum


def test_the_index_of_a_parquet_file_is_the_one_that_it_names(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"height": HEIGHTS, "weight": WEIGHTS, "kind": KINDS})
    plain = datasets.load(frame)
    for index in (SHUFFLED, pandas.Index(SHUFFLED, name="plot")):
        frame.set_index(pandas.Index(index)).to_parquet(tmp_path / "x.parquet")
        data = datasets.load(tmp_path / "x.parquet")
        assert (data.checksum, data.understood.target) == (plain.checksum, "kind")
    frame.set_index("kind").to_parquet(tmp_path / "x.parquet")
    assert datasets.load(tmp_path / "x.parquet", target="kind").checksum == plain.checksum


# --- Headers of numbers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows", "is_header"),
    [
        (("0", "1", "2"), [[a, b, c] for a, b, c in zip(HEIGHTS, WEIGHTS, KINDS, strict=True)], True),
        (("0", "1", "2"), [[a, b, i % 2] for i, (a, b) in enumerate(zip(HEIGHTS, WEIGHTS, strict=True))], True),
        (("1", "2", "3"), [[a, b, i % 2] for i, (a, b) in enumerate(zip(HEIGHTS, WEIGHTS, strict=True))], True),
        (("0", "1", "y"), [[i % 5, i % 7, i % 2] for i in EVERY], True),  # a text over nothing but numbers
        (("1990", "2000", "change"), [[i % 5, i % 7, i / 3] for i in EVERY], True),
        (
            tuple(map(str, range(9))),
            [[(i * j) % 5 for j in range(8)] + [i % 2] for i in EVERY],
            True,
        ),  # too many for chance
        (("2021", "2022", "2023"), [[a, b + 0.5, a - b - 0.25] for a, b in zip(HEIGHTS, WEIGHTS, strict=True)], True),
        (("2021", "2022", "2023"), [[i, b + 0.5, b - 0.25] for i, b in enumerate(WEIGHTS)], False),  # wholes below
        (("2021", "2022", "2023"), [[1.5, b + 0.5, b - 0.25] for b in WEIGHTS[:9]], False),  # a few may be chance
        (("0", "1", "0"), [[i % 2, i // 2 % 2, (i + i // 2) % 2] for i in EVERY], False),
        (("0", "1", "2"), [[i % 5, i % 7, i % 3] for i in EVERY], False),
        (("3.5", "1.5", "elm"), [[a, b, c] for a, b, c in zip(HEIGHTS, WEIGHTS, KINDS, strict=True)], False),
    ],
)
def test_a_header_of_numbers_is_one_where_it_can_be_told(load, header, rows, is_header):
    data = load(table(rows, *header))
    assert sum(len(split) for _, split in data.splits) == len(rows) + (not is_header)
    assert (data.understood.target == header[-1]) == is_header


def test_the_hint_names_the_option(load):
    rows = [[f"a{i % 3}", f"b{i % 2}", KINDS[i]] for i in EVERY]
    with pytest.raises(
        UserError, match=r"got 1 of class 'kind' in the target 'column3': .*, or try `header=True` if the first line"
    ):
        load(table([["a1", "b", "kind"], *rows]))
    assert load(table([["a1", "b", "kind"], *rows]), header=True).classes == 3


# --- Classes by their text ----------------------------------------------------------------------------------------

BIG = 2**60
CODES = [
    (["01", "1", "001"], ("001", "01", "1")),
    (["02134", "02135", "10001"], ("02134", "02135", "10001")),
    ([str(BIG), str(BIG + 1), str(BIG - 1)], (str(BIG - 1), str(BIG), str(BIG + 1))),
    ([f"{10**30 + 1}", f"{10**30}", "7"], ("7", f"{10**30}", f"{10**30 + 1}")),
    (["9", "10", "11"], ("9", "10", "11")),
]


@pytest.mark.parametrize(("codes", "names"), CODES)
def test_classes_are_told_apart_by_their_text(load, codes, names):
    data = load(table([[HEIGHTS[i], WEIGHTS[i], codes[i % 3]] for i in EVERY]))
    assert (data.task, data.class_names) == ("classification", names)
    found = {float(height): i for height, i in zip(HEIGHTS, EVERY, strict=True)}
    raw = load(table([[HEIGHTS[i], WEIGHTS[i], codes[i % 3]] for i in EVERY]), standardize=False)
    for _, split in raw.splits:
        for row, label in zip(split.inputs, split.targets, strict=True):
            nearest = min(found, key=lambda height, row=row: abs(height - row[0]))
            assert names[label] == codes[found[nearest] % 3]


def test_large_labels_of_arrays_and_parquet_files_are_told_apart(tmp_path):
    labels = BIG + np.arange(24) % 3
    names = tuple(str(BIG + i) for i in range(3))
    inputs = np.column_stack([HEIGHTS, WEIGHTS])
    np.savez(tmp_path / "x.npz", x=inputs, y=labels.astype(np.uint64))
    assert datasets.load(tmp_path / "x.npz").class_names == names
    assert datasets.load((inputs, labels)).class_names == names
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    pandas.DataFrame({"a": HEIGHTS, "b": WEIGHTS, "y": labels}).to_parquet(tmp_path / "x.parquet")
    assert datasets.load(tmp_path / "x.parquet").class_names == names


def test_leading_zeros_of_a_feature_are_no_other_number(load):
    rows = lambda form: table([[HEIGHTS[i], form.format(i % 5), KINDS[i]] for i in EVERY], "height", "plot", "kind")
    assert load(rows("{:02d}")).checksum == load(rows("{}")).checksum


def test_targets_of_unlike_units_are_told(load):
    inputs = np.random.default_rng(0).normal(size=(60, 2))
    targets = inputs * [1e5, 0.1]
    unlike, (large, small) = datasets.load((inputs, targets)), targets.std(axis=0)
    assert unlike.understood.notes == (
        f"the targets vary by {large:.3g}, {small:.3g} (standard deviations), each in its own unit: the RMSE over all of them "
        "is mostly that of the largest; `score='r2'` counts them alike",
    )
    assert not datasets.load((inputs, inputs * [2.0, 1.0])).understood.notes


def test_one_hot_targets_are_told_and_become_classes_when_asked(load):
    inputs, labels = np.column_stack([HEIGHTS, WEIGHTS]), np.arange(24) % 3
    one_hot = datasets.load((inputs, np.eye(3)[labels]))
    assert (one_hot.task, one_hot.outputs) == ("regression", 3)
    assert one_hot.understood.notes == (
        "the targets look like one-hot classes and are trained as 3 numbers; `task='classification'` makes classes of them",
    )
    asked = datasets.load((inputs, np.eye(3)[labels]), task="classification")
    assert asked.checksum == datasets.load((inputs, labels)).checksum
    assert datasets.load((inputs, np.eye(3)[labels] * 2)).understood.notes == ()


# --- Chosen classes -----------------------------------------------------------------------------------------------


def test_classes_of_a_file_can_be_chosen(load):
    rare = trees("height", "weight", "kind") + "170.0,70.0,yew\n"
    with pytest.raises(UserError, match=r"got 1 of class 'yew' .*: keep the others with `classes=\('elm', 'fir', 'oak'\)`"):
        load(rare)
    data = load(rare, classes="oak,fir")
    assert (data.task, data.class_names, data.understood.dropped) == ("binary", ("oak", "fir"), 9)
    assert data.understood.classes == {"oak": 8, "fir": 8}
    kept = table([[HEIGHTS[i], WEIGHTS[i], int(KINDS[i] == "fir")] for i in EVERY if KINDS[i] != "elm"])
    assert data.checksum == load(kept).checksum
    numbers = table([[HEIGHTS[i], WEIGHTS[i], i % 4] for i in EVERY])
    assert load(numbers, classes=(3, 0)).class_names == ("3", "0")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": "oak,ash"}, "got 'ash': choose among elm, fir, oak"),
        ({"classes": "oak"}, "at least two classes of the target"),
        ({"classes": ("oak", "oak")}, "a list with each class once"),
        ({"classes": 5}, "at least two classes of the target; got 5"),
        ({"classes": ("oak", "elm"), "task": "regression"}, "has no classes under regression"),
    ],
)
def test_classes_that_are_not_there_are_refused(load, options, sentence):
    with pytest.raises(UserError, match=r".") as caught:
        load(trees("height", "weight", "kind"), **options)
    assert sentence in str(caught.value)


# --- How a file is written ----------------------------------------------------------------------------------------

PLAIN = table([[HEIGHTS[i], WEIGHTS[i] * 100, KINDS[i]] for i in EVERY], "height", "weight", "kind")


def written(form, separator=",", missing=None):
    rows = [[form(HEIGHTS[i]), form(WEIGHTS[i] * 100), KINDS[i]] for i in EVERY]
    return table(rows, "height", "weight", "kind", separator=separator)


def german(number):
    return f"{number:,.1f}".replace(",", " ").replace(".", ",").replace(" ", ".")


WRITTEN = {
    "decimal comma": (written(lambda x: f"{x:.1f}".replace(".", ","), ";"), {"decimal": ","}),
    "German": (written(german, ";"), {"decimal": ",", "thousands": "."}),
    "thousands": (written(lambda x: f'"{x:,.1f}"'), {"thousands": ","}),
    "bar": (PLAIN.replace(",", "|"), {"separator": "|"}),
    "tab by its name": (PLAIN.replace(",", "\t"), {"separator": "tab"}),
    "announced": ("sep=|\n" + PLAIN.replace(",", "|"), {}),
    "skipped": ("measured, by us\non a day\n" + PLAIN, {"skip": 2}),
    "comments": ("# by us\n" + PLAIN.replace("\n", "\n#, and more\n", 1), {"comment": "#"}),
    "latin": (PLAIN.replace("weight", "größe").encode("latin-1"), {"encoding": "latin-1"}),
    "UTF-16": (PLAIN.encode("utf-16"), {}),
    "UTF-8 with a mark, told": (b"\xef\xbb\xbf" + PLAIN.encode(), {"encoding": "utf-8"}),
    "packed": (gzip.compress(PLAIN.encode()), {}),
    "packed in two parts": (gzip.compress(PLAIN[:90].encode()) + gzip.compress(PLAIN[90:].encode()), {}),
}


DOSES = [(5, 10, 15)[i % 3] for i in EVERY]
DOUBTS = {
    "decimal comma": (
        [f"{dose / 10:.1f}".replace(".", ",") for dose in DOSES],
        "'0,5'; if it holds numbers, give `decimal=','`",
    ),
    "percent": ([f"{dose} %" for dose in DOSES], "'10 %'; if it holds numbers, write them without the sign %"),
    "dollars": ([f"${dose},000" for dose in DOSES], "'$10,000'; if it holds numbers, write them without the sign $"),
    "thousands": (
        [f"{dose}.250" if dose > 5 else 700 for dose in DOSES],
        "such as 10.250; give `decimal=','` and `thousands='.'`",
    ),
    "decimals": ([f"{dose}.25" if dose > 5 else 700 for dose in DOSES], None),
    "below one": ([f"0.{dose:02}0" if dose > 5 else 700 for dose in DOSES], None),
    "thousands and more": ([f"{dose}.250" if dose > 5 else 7000 for dose in DOSES], None),
    "three decimals everywhere": ([f"{dose}.250" for dose in DOSES], None),
    "units": ([f"{dose} mg" for dose in DOSES], None),
    "letters": (["abc"[dose // 5 - 1] for dose in DOSES], None),
}


@pytest.mark.parametrize(("doses", "words"), DOUBTS.values(), ids=DOUBTS)
def test_what_may_be_a_number_in_another_writing_is_told(load, doses, words):
    rows = [[HEIGHTS[i], dose, KINDS[i]] for i, dose in enumerate(doses)]
    notes = load(table(rows, "height", "dose", "kind", separator=";")).understood.notes
    assert notes == () if words is None else (len(notes) == 1 and notes[0].startswith("dose is read as") and words in notes[0])


def test_texts_that_are_one_written_in_two_ways_are_told(load):
    kinds = [("oak", "Oak", "elm ", "white  Oak", "white oak")[i % 5] for i in EVERY]
    data = load(table(zip(HEIGHTS, kinds, strict=True), "height", "kind"))
    assert data.class_names == ("Oak", "elm", "oak", "white  Oak", "white oak")
    words = "kind holds texts that differ in capitals or blanks alone and are kept apart: Oak, oak, white  Oak, white oak"
    assert data.understood.notes == (words,)


def test_a_target_that_may_hold_numbers_in_another_writing_gets_that_advice(load):
    rows = [[HEIGHTS[i], f"{i},5"] for i in EVERY]
    with pytest.raises(UserError, match=r"got 1 of class .*: if it holds numbers, give `decimal=','` for the decimal comma"):
        load(table(rows, "height", "dose", separator=";"))
    with pytest.raises(UserError, match="texts such as '0,5': give `decimal=','` for the decimal comma or name another column"):
        load(table(rows, "height", "dose", separator=";"), task="regression")


@pytest.mark.parametrize(("text", "options"), WRITTEN.values(), ids=WRITTEN)
def test_the_way_a_file_is_written_can_be_told(load, text, options):
    name = "trees.csv.gz" if isinstance(text, bytes) and text[:2] == b"\x1f\x8b" else "trees.csv"
    data = load(text, name, **options)
    assert data.checksum == load(PLAIN).checksum
    assert data.name == "trees" and data.understood.target == "kind"


def test_a_typeset_minus_is_a_minus(load):
    signs = ["-", "", ""] * 8
    plain, typeset = (
        table([[f"{sign and mark}{HEIGHTS[i]}", KINDS[i]] for i, sign in enumerate(signs)], "height", "kind")
        for mark in ("-", "\u2212")
    )
    assert "\u2212" in typeset and load(typeset).checksum == load(plain).checksum


def test_several_columns_of_numbers_are_several_targets(load):
    text = table([[*HEIGHTS[[i, -i - 1]], WEIGHTS[i], KINDS[i]] for i in EVERY], "height", "depth", "weight", "kind")
    data = load(text, target=("weight", "height"))
    assert (data.task, data.outputs, data.feature_names) == (
        "regression",
        2,
        ("depth", "kind=elm", "kind=fir", "kind=oak"),
    )
    understood, targets = data.understood, data.train.targets * data.target_scale + data.target_mean
    assert understood.target == "weight, height" and understood.target_chosen == "named"
    assert [column.name for column in understood.columns if column.role == "target"] == ["height", "weight"]
    assert {*np.round(targets[:, 0], 1).tolist()} <= {*WEIGHTS.tolist()}  # in the order in which they are named
    for same in ("weight,height", (3, 1), "3,1", (-2, "height")):
        assert load(text, target=same).checksum == data.checksum
    gap = text + ",1,2,oak\n"
    for missing in ("drop", "mean"):  # no mean can fill a target
        left = load(gap, target=("weight", "height"), missing=missing)
        assert left.checksum == data.checksum and left.understood.dropped == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": ("weight", "kind")}, "has several targets where all are numbers; got texts in 'kind'"),
        ({"target": ("weight", "kid")}, "got 'kid': did you mean 'kind'"),
        (
            {"target": ("weight", "height"), "classes": ("a", "b")},
            "has targets of several columns and no classes to choose",
        ),
        ({"target": ("weight", "height"), "task": "binary"}, "has targets of 2 columns, which is regression"),
        (
            {"target": ("weight", "height"), "ignore": "height"},
            "has the target 'height' among the columns to leave out",
        ),
        ({"target": ("weight", "height", "kind")}, "has no column left beside the target 'weight, height, kind'"),
    ],
)
def test_several_targets_that_cannot_be_are_refused(load, options, sentence):
    with pytest.raises(UserError, match=sentence):
        load(trees("height", "weight", "kind"), **options)


def test_words_for_missing_values_can_be_told(load):
    text = PLAIN + "-99,100,oak\n171.5,n. b.,elm\n"
    data = load(text, missing_words="-99, n. b.", missing="drop")
    assert data.checksum == load(PLAIN).checksum and data.understood.dropped == 2
    assert load(PLAIN + "-99,100,oak\n", missing_words=-99, missing="mean").understood.filled == 1


@pytest.mark.parametrize(
    ("cell", "word", "options"),
    [
        ("-99.0", -99, {}),
        ("-99", -99.0, {}),
        ("-99.00", "-99", {}),
        ("-99,0", -99.0, {"separator": ";", "decimal": ","}),
    ],
)
def test_a_number_that_stands_for_a_missing_value_does_so_in_every_writing(load, cell, word, options):
    text = (PLAIN + "CELL,100,oak\n").replace(",", options.get("separator", ",")).replace("CELL", cell)
    if options:
        text = text.replace(".", ",")
    understood = load(text, missing_words=word, missing="mean", **options).understood
    assert (understood.filled, understood.notes) == (1, ())


def test_rows_that_are_there_several_times_and_copies_of_the_target_are_told(load):
    plain = trees("height", "weight", "kind")
    lines = plain.splitlines()
    assert load(plain).understood.notes == ()
    again = load("\n".join([*lines, *lines[1:6]])).understood.notes
    assert again == ("5 of 29 rows repeat an earlier one, so that the same row may be trained on and tested",)
    other = load("\n".join([*lines, lines[1].replace("oak", "elm")]))  # the same inputs, another class
    assert other.understood.notes == ()
    copied = load("\n".join(["height,copy,kind", *(f"{HEIGHTS[i]},{KINDS[i]},{KINDS[i]}" for i in EVERY)])).understood
    assert copied.notes == ("copy is the target in every row; leave it out with `ignore='copy'`",)


def test_words_that_no_cell_is_are_told(load):
    told = load(PLAIN + "unknown,100,oak\n", missing_words="unknown,-99", missing="drop").understood
    assert told.dropped == 1 and told.notes == ("no cell is -99, which `missing_words='-99'` has for a missing value",)
    assert load(trees("height", "weight", "kind"), missing_words="0").understood.notes != ()  # 0 is no part of 170


REFUSED = [
    (written(lambda x: f'"{x:,.1f}"'), {}, r"give `thousands=','` if the comma stands between thousands"),
    (written(lambda x: f"{x:.1f}".replace(".", ","), ";"), {}, r"give `decimal=','` for the decimal comma"),
    (written(german, ";"), {}, r"give `decimal=','`"),
    (written(lambda x: f"{100 * x:,.0f}".replace(",", "."), ";"), {"decimal": ","}, r"give `thousands='\.'` if the point"),
    (PLAIN.replace("weight", "größe").encode("latin-1"), {}, r"try `encoding='cp1252'`"),
    (PLAIN, {"separator": ";;"}, r"`separator` is one character or comma, semicolon"),
    (PLAIN, {"decimal": ",", "thousands": ","}, r"are two different marks"),
    (PLAIN, {"decimal": "x"}, r"and no digits, letters or signs"),
    (PLAIN, {"encoding": "zip"}, r"the name of an encoding of text; got 'zip'"),
    (PLAIN, {"encoding": "klingon"}, r"the name of an encoding of text; got 'klingon'"),
    (PLAIN, {"skip": -1}, r"`skip` is an integer that is not negative"),
    (PLAIN, {"comment": ""}, r"`comment` is the text that lines of comment begin with"),
    (PLAIN.replace(",", ":"), {}, r"name what separates them with `separator=':'`"),
    (PLAIN.replace(",", "\t"), {"separator": ","}, r"name what separates them with `separator='tab'`"),
    ("kind\n" + "oak\nelm\n" * 9, {}, r"name what separates them with `separator='\|'`"),
    (PLAIN, {"sheet": 1}, r"`sheet` is for an Excel file; got a text table: leave it out"),
    (PLAIN, {"skip": 99}, r"got no lines"),
    ("# a\n# b\n" + PLAIN, {}, r"got 1 on line 1: correct that line, or leave lines out .* `skip=2` or `comment='#'`"),
    (f"Trees of 2024,,\n,,\n{PLAIN}", {}, r"got a title, 'Trees of 2024': leave it out with `skip=2`"),
    (f"{PLAIN}height,weight,kind\n", {}, r"got numbers and 'height' on line 26: remove that line if it repeats the names"),
    (PLAIN.replace("\n", "\ncm,kg,-\n", 1), {}, r"got numbers and 'cm' on line 2: remove that line if it holds units"),
    (f"{PLAIN}-,100,oak\n(5),100,oak\n", {}, r"give `missing_words='-,\(5\)'` if these stand for missing values"),
    (written(lambda x: "" if x > 6000 else x), {}, r"in column 'weight': try `ignore='weight'`, or `missing='drop'` to"),
    (f"{PLAIN}170,,\n171,,oak\n", {}, r"3 missing .*, 2 .* 'weight': .* or `missing='mean'` to fill them where the t"),
    (table([[f"{i}.5", f"{i},5", i % 2] for i in EVERY], separator=";"), {"decimal": ",", "thousands": "."}, "the same mark"),
    (table([[f"{i}.500", f"{i},5", i % 2] for i in EVERY], separator=";"), {"decimal": ","}, "give `thousands='.'`"),
    (f"{PLAIN}170,100,\n", {}, r"1 of them in column 'kind': try `missing='drop'` to leave those rows out\."),
    (PLAIN.replace("oak", "").replace("elm", ""), {}, r"in column 'kind': try another column as `target`, or"),
    (gzip.compress(PLAIN.encode())[:-9], {}, r"its gzip packing cannot be opened"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "options", "sentence"), REFUSED)
def test_what_cannot_be_read_so_is_refused_with_the_option_that_may_help(load, text, options, sentence):
    with pytest.raises(UserError, match=sentence):
        load(text, **options)


@pytest.mark.parametrize(
    ("name", "words"),
    [("x.json", "JSON"), ("x.arff", "ARFF"), ("x.npy", "np.savez"), ("x.xls", ".xlsx"), ("x.pkl", "could run code")],
)
def test_formats_that_are_not_read_are_named(load, name, words):
    with pytest.raises(UserError, match=words):
        load("{}", name)


def test_text_of_json_is_named_whatever_its_name(load):
    with pytest.raises(UserError, match="is a JSON file"):
        load(json.dumps([{"a": i, "y": i % 2} for i in EVERY]), "x.csv")
    with pytest.raises(UserError, match="is an ARFF file"):
        load("% by us\n@relation trees\n@attribute height real\n@data\n" + PLAIN, "x.txt")


@pytest.mark.parametrize("options", [{}, {"task": "binary"}, {"classes": "1,2"}, {"task": "regression"}])
def test_an_infinite_target_is_refused(load, options):
    for target in (["inf"] * 24, ["1", "2", "inf"] * 8):
        with pytest.raises(UserError, match=r"'column2' holds an infinite value on line"):
            load(table([[HEIGHTS[i], target[i]] for i in EVERY]), **options)


def test_dates_are_told(load):
    text = table([[f"2024-01-{i + 1:02d}", HEIGHTS[i], KINDS[i]] for i in EVERY], "day", "height", "kind")
    with pytest.raises(UserError, match=r"'day' holds dates \(such as '2024-01-01'\), which are not read as numbers"):
        load(text)
    assert load(text, ignore="day").features == 1
    german = table([[f"{i + 1:02d}.01.2024 10:30", HEIGHTS[i], KINDS[i]] for i in EVERY], "day", "height", "kind")
    with pytest.raises(UserError, match=r"'day' holds dates \(such as '01.01.2024 10:30'\)"):
        load(german)
    with pytest.raises(UserError, match=r"got 1 of class '2024-01-01' .*: these are dates, so name another column as `target`"):
        load(text, target="day")


def test_every_option_of_reading_is_one_of_a_kind():
    known = {name for names in READING.values() for name in names}
    assert known - set(READING[TEXT]) == {"sheet"}


# --- What is kept -------------------------------------------------------------------------------------------------


def test_what_was_understood_says_it_all_and_survives_as_plain_values(load):
    rows = [[i, HEIGHTS[i] if i != 3 else "", "north", WEIGHTS[i], "x", KINDS[i]] for i in EVERY]
    text = table(rows, "", "height", "side", "weight", "note", "kind")
    understood = load(text, missing="mean", ignore="note").understood
    assert (understood.rows, understood.dropped, understood.filled) == (24, 0, 1)
    assert [(column.name, column.role, column.missing) for column in understood.columns] == [
        ("column1", "left out", 0),
        ("height", "feature", 1),
        ("side", "feature", 0),
        ("weight", "feature", 0),
        ("note", "left out", 0),
        ("kind", "target", 0),
    ]
    sentences = understood.sentences()
    assert sentences[:6] == [
        "target: kind (guessed: the last column); task: classification (guessed: it holds 3 different texts)",
        "rows: 24; 1 missing cells filled with the mean of their column",
        "classes: elm (8), fir (8), oak (8)",
        "features: height, side, weight",
        "left out: column1, note",
        "the same in every row: side",
    ]
    kept = json.loads(json.dumps(understood.settings()))
    assert Understood.from_settings(kept) == understood
    assert load(text, missing="mean", ignore="note").summary()["understood"] == kept
    assert load(text, missing="drop", ignore="note").understood.dropped == 1
    assert datasets.load("xor").understood is None
