"""New rows in data frames: columns by their names, texts encoded as in training."""

import numpy as np
import pytest

from ascribe import datasets
from ascribe.errors import UserError

pandas = pytest.importorskip("pandas")

EVERY = range(30)
TABLE = pandas.DataFrame(
    {
        "height": [10.0 + i % 7 for i in EVERY],
        "soil": [("clay", "sand", "2")[i % 3] for i in EVERY],
        "depth": [i % 5 + i / 10 for i in EVERY],
        "kind": [("elm", "oak")[i // 3 % 2] for i in EVERY],
    }
)
NEW = TABLE.drop(columns="kind").iloc[:4]


@pytest.fixture(scope="module", params=[True, False])
def data(request):
    return datasets.load(TABLE, standardize=request.param)


def encoded(rows):
    """The raw inputs by hand, in the order of the feature names."""
    return np.column_stack([rows.height, *(rows.soil == text for text in ("2", "clay", "sand")), rows.depth]).astype(float)


def test_columns_are_found_by_their_names_and_texts_are_encoded(data):
    assert data.feature_names == ("height", "soil=2", "soil=clay", "soil=sand", "depth")
    wanted = data.prepare(encoded(NEW))
    for rows in (NEW, NEW[["soil", "depth", "height"]], TABLE.iloc[:4], NEW.assign(note=[[], {}, None, 3])):
        np.testing.assert_array_equal(data.prepare(rows), wanted)
    numbers = NEW.assign(soil=2).drop(columns="kind", errors="ignore")  # a column that is all 2 is read as numbers
    np.testing.assert_array_equal(data.prepare(numbers), data.prepare(encoded(numbers.assign(soil="2"))))


def test_a_file_and_a_record_know_their_columns_too(tmp_path, data):
    TABLE.to_csv(tmp_path / "trees.csv", index=False)
    table = datasets.load(tmp_path / "trees.csv", standardize=data.input_mean is not None, transforms="constant-one")
    wanted = np.column_stack([data.prepare(NEW), np.ones(4)])
    np.testing.assert_array_equal(table.prepare(NEW[["depth", "soil", "height"]]), wanted)


def test_a_frame_without_names_to_find_is_taken_as_it_stands():
    inputs = np.arange(60.0).reshape(30, 2) % 7
    data = datasets.load((inputs, np.arange(30) % 2))
    np.testing.assert_array_equal(data.prepare(pandas.DataFrame(inputs)), data.prepare(inputs))
    moons = datasets.load("moons")
    frame = pandas.DataFrame(inputs, columns=["x1", "x2"])
    np.testing.assert_array_equal(moons.prepare(frame[["x2", "x1"]]), moons.prepare(inputs))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (NEW.drop(columns="depth"), "made of the columns height, soil, depth; the data frame lacks depth: give rows"),
        (NEW.rename(columns={"soil": "Soil"}), "the data frame lacks soil"),
        (NEW.assign(soil="peat"), "that it had in training, 2, clay, sand; got 'peat': choose one"),
        (NEW.assign(depth="deep"), "'depth' holds numbers, as in training; got texts such as 'deep': write numbers"),
        (NEW.assign(depth=np.inf), "column 'depth' holds an infinite value in row 1"),
        (NEW.to_numpy(), "no array of numbers .*: give a data frame, as pandas.read_csv makes one, or encode texts"),
        ("new.csv", "give a data frame, as pandas.read_csv makes one"),
    ],
)
def test_rows_that_do_not_fit_are_refused(data, rows, sentence):
    with pytest.raises(UserError, match=sentence):
        data.prepare(rows)


def test_gaps_are_filled_where_the_training_rows_were():
    table = TABLE.assign(depth=[np.nan if i % 6 == 5 else depth for i, depth in enumerate(TABLE.depth)])
    data = datasets.load(table, missing="mean")
    gap = NEW.assign(depth=np.nan)
    assert np.all(data.prepare(gap)[:, 4] == 0) and np.all(data.prepare(np.full((2, 5), np.nan)) == 0)
    assert np.isnan(datasets.load(TABLE).prepare(gap)[:, 4]).all()
    assert np.isnan(data.prepare(NEW.assign(soil=[None, "clay", "sand", "2"]))[0, 1:4]).sum() == 0


@pytest.mark.parametrize(("true", "false"), [("True", "False"), ("TRUE", "FALSE"), ("true", "false")])
def test_truth_values_of_a_file_are_read_as_pandas_reads_them(tmp_path, true, false):
    rows = TABLE.assign(tall=np.where(TABLE.height > 13, true, false))
    rows[["depth", "tall", "kind"]].to_csv(tmp_path / "trees.csv", index=False)
    data = datasets.load(tmp_path / "trees.csv", missing="mean")
    read = pandas.read_csv(tmp_path / "trees.csv")
    assert read.tall.dtype == bool and data.feature_names == ("depth", f"tall={false}", f"tall={true}")
    tall = (TABLE.height > 13).to_numpy(float)
    wanted = data.prepare(np.column_stack([TABLE.depth, 1 - tall, tall]))
    np.testing.assert_array_equal(data.prepare(read), wanted)
    np.testing.assert_array_equal(data.prepare(rows), wanted)
    gap = read.astype({"tall": object})
    gap.loc[0, "tall"] = None
    np.testing.assert_array_equal(data.prepare(gap)[1:], wanted[1:])
    assert np.all(data.prepare(gap)[0, 1:] == 0)


def test_truth_values_that_were_written_in_two_ways_are_refused(tmp_path):
    rows = TABLE.assign(tall=["true", "True", "False"] * 10)[["depth", "tall", "kind"]]
    rows.to_csv(tmp_path / "trees.csv", index=False)
    with pytest.raises(UserError, match="has one of the texts that it had in training, False, True, true; got '1'"):
        datasets.load(tmp_path / "trees.csv").prepare(rows.assign(tall=True))
