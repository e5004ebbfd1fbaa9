"""Data in memory and in the files of other programs: frames, pairs of arrays, Excel, Feather; each as the CSV of the same."""

import io
import struct
import zipfile

import numpy as np
import pytest

from ascribe import datasets, memory
from ascribe.datasets.spreadsheet import CELLS
from ascribe.errors import UserError

GENERATOR = np.random.default_rng(8)
INPUTS = GENERATOR.normal(size=(30, 2)).round(3)
SHADES = ["dark", "light", None] * 10
LABELS = np.array(["u", "v", "w"])[np.arange(30) % 3]
COLUMNS = {"a": INPUTS[:, 0].tolist(), "shade": SHADES, "b": INPUTS[:, 1].tolist(), "kind": LABELS.tolist()}


class Series:
    """A column of another library: all that is asked of it is to become a list."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def to_list(self):
        return list(self.values)


class Named(Series):
    """A column that knows its name."""

    def __init__(self, values, name):
        super().__init__(values)
        self.name = name


class Frame:
    """A data frame of another library: names of columns, and columns by their names."""

    def __init__(self, columns):
        self.data = columns

    @property
    def columns(self):
        return list(self.data)

    def __getitem__(self, name):
        return Series(self.data[name])


@pytest.fixture
def plain(tmp_path):
    """The CSV file of the same table."""
    rows = [",".join("" if cell is None else str(cell) for cell in row) for row in zip(*COLUMNS.values(), strict=True)]
    (tmp_path / "plain.csv").write_text("\n".join([",".join(COLUMNS), *rows]))
    return datasets.load(tmp_path / "plain.csv", missing="mean")


def pandas_frame():
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(COLUMNS, index=range(100, 130)).astype({"shade": "category", "a": "Float64"})


def pyarrow_table():
    return pytest.importorskip("pyarrow").table(COLUMNS)


def polars_frame():
    return pytest.importorskip("polars").DataFrame(COLUMNS)


@pytest.mark.parametrize("make", [lambda: Frame(COLUMNS), pandas_frame, pyarrow_table, polars_frame])
def test_a_frame_is_read_like_the_csv_of_the_same_table(plain, make):
    data = datasets.load(make(), missing="mean")
    assert (data.checksum, data.feature_names) == (plain.checksum, plain.feature_names)
    assert (data.understood.target, data.understood.columns) == ("kind", plain.understood.columns)
    assert data.request == {"data": "in memory", "seed": 0, "missing": "mean"}
    assert data.prepare(np.zeros((2, 4))).shape == (2, 4)


def test_the_numbers_that_name_columns_of_a_frame_are_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.column_stack([INPUTS, np.arange(30) % 2]))
    assert datasets.load(frame, target=1).understood.target == "1"
    assert datasets.load(frame, target=2).checksum == datasets.load((INPUTS, np.arange(30) % 2)).checksum


def test_a_target_that_is_the_index_is_told():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(INPUTS, columns=["a", "b"]).set_index(pandas.Index(LABELS, name="kind"))
    with pytest.raises(UserError, match=r"'kind' is the index .*: make it a column with frame\.reset_index\(\)"):
        datasets.load(frame, target="kind")
    assert datasets.load(frame.reset_index(), target="kind").classes == 3


@pytest.mark.parametrize(
    "pair",
    [
        (INPUTS, LABELS),
        [INPUTS.tolist(), LABELS.tolist()],
        (INPUTS, LABELS.astype(object)),
        (INPUTS, LABELS[:, None]),
        (Frame({"a": INPUTS[:, 0], "b": INPUTS[:, 1]}), LABELS),
        (Frame({"a": INPUTS[:, 0], "b": INPUTS[:, 1]}), Frame({"kind": LABELS})),
    ],
)
def test_a_pair_of_inputs_and_targets(pair):
    wanted = datasets.load(Frame({"a": INPUTS[:, 0], "b": INPUTS[:, 1], "kind": LABELS}))
    data = datasets.load(pair)
    assert (data.checksum, data.class_names, data.task) == (wanted.checksum, ("u", "v", "w"), "classification")
    assert data.understood.target_chosen == "the targets of the pair"


@pytest.mark.parametrize("wrapped", [lambda frame: frame, lambda frame: frame["a"]])
def test_a_pair_whose_rows_have_other_labels_is_refused(wrapped):
    """Joined row by row, such inputs would get the targets of others."""
    pandas = pytest.importorskip("pandas")
    inputs, targets = pandas.DataFrame(INPUTS, columns=["a", "b"]), pandas.Series(LABELS, name="kind")
    for other in (targets.sample(frac=1.0, random_state=0), targets.set_axis(range(1, 31))):
        with pytest.raises(UserError, match=r"got others: give targets\.loc\[inputs\.index\], or targets\.to_numpy\(\)"):
            datasets.load((wrapped(inputs), other))
        kept = datasets.load((wrapped(inputs), other.to_numpy()))
        assert sorted(kept.understood.classes.values()) == [10, 10, 10]
    shuffled = targets.sample(frac=1.0, random_state=0)
    wanted = datasets.load((wrapped(inputs), targets)).checksum
    assert datasets.load((wrapped(inputs), shuffled.loc[inputs.index])).checksum == wanted
    assert datasets.load((wrapped(inputs.set_index(targets)), targets.set_axis(targets))).checksum == wanted


def test_a_pair_may_have_several_targets():
    names, spread = ("u", "v"), np.stack([INPUTS[:, 1] * 2.0, INPUTS[:, 0] - 3.0], axis=1)
    inputs = Frame({"a": INPUTS[:, 0], "b": INPUTS[:, 1]})
    wanted = datasets.load((INPUTS, spread))
    for targets, name in ((Frame(dict(zip(names, spread.T, strict=True))), "u, v"), (spread, "target1, target2")):
        data = datasets.load((inputs, targets))
        assert (data.checksum, data.outputs, data.feature_names) == (wanted.checksum, 2, ("a", "b"))
        assert data.understood.target == name
    assert datasets.load((inputs, spread[:, :1])).understood.target == "target"


def test_targets_among_their_own_inputs_are_refused():
    inputs = {"a": INPUTS[:, 0], "kind": LABELS}
    with pytest.raises(UserError, match=r"got inputs with the targets' own column 'kind': give inputs without it"):
        datasets.load((Frame(inputs), Named(LABELS, "kind")))
    other = datasets.load((Frame(inputs | {"kind": INPUTS[:, 1]}), Named(LABELS, "kind")))  # the name alone is no reason
    assert other.feature_names == ("a", "kind") and other.understood.target == "kind'"


def test_images_and_gaps_of_a_pair():
    images = GENERATOR.integers(0, 9, (30, 4, 4, 1))
    assert datasets.load((images, np.arange(30) % 2)).input_shape == (4, 4, 1)
    holes = np.where(2 * INPUTS.std() < INPUTS, np.nan, INPUTS)
    assert datasets.load((holes, LABELS), missing="mean").understood.filled == np.isnan(holes).sum()
    with pytest.raises(UserError, match=r"the pair \(inputs, targets\) has \d+ missing values?"):
        datasets.load((holes, LABELS))


def test_objects_that_are_numbers_are_numbers():
    """A frame of a column of whole numbers with gaps and one of floats gives such an array."""
    values = np.random.default_rng(0).normal(size=(20, 2))
    objects = values.astype(object)
    objects[:, 1] = [7, *range(19)]
    floats = objects.astype(float)
    labels = np.arange(20) % 2
    assert datasets.load((objects, labels)).checksum == datasets.load((floats, labels)).checksum
    objects[3, 0], floats[3, 0] = None, np.nan
    gaps = [datasets.load((one, labels), missing="mean").checksum for one in (objects, floats)]
    assert gaps[0] == gaps[1]
    objects[3, 0] = "3"
    with pytest.raises(UserError, match="encode texts"):
        datasets.load((objects, labels))


def test_masked_values_are_gaps():
    hidden = INPUTS > 1.0
    masked = np.ma.masked_where(hidden, INPUTS)
    holes = np.where(hidden, np.nan, INPUTS)
    with pytest.raises(UserError, match=rf"the pair \(inputs, targets\) has {hidden.sum()} missing values"):
        datasets.load((masked, LABELS))
    data, wanted = (datasets.load((inputs, LABELS), missing="mean") for inputs in (masked, holes))
    assert data.checksum == wanted.checksum
    assert np.array_equal(data.prepare(masked), wanted.prepare(holes))
    for values in (np.arange(30) % 2, np.array(["oak", "fir"])[np.arange(30) % 2]):
        targets = np.ma.masked_array(values, mask=np.arange(30) < 3)
        assert datasets.load((INPUTS, targets), missing="drop").understood.dropped == 3


class Lazy(Frame):
    """A frame whose values are still to be computed, as polars has them."""

    def lazy(self):
        return self

    collect = lazy


class Sparse:
    """A sparse matrix, as far as it is told by."""

    def __len__(self):
        raise TypeError("sparse array length is ambiguous")

    def toarray(self):
        return INPUTS


BIG = np.arange(3000.0).reshape(1000, 3)
REFUSED = [
    (BIG, {}, "got one array of the shape (1000, 3): give a pair (inputs, targets)"),
    ((BIG, BIG, BIG), {}, "data are a name, a path, a data frame or a pair"),
    ((BIG, BIG[:-1, 0]), {}, "got the shapes (1000, 3) and (999,): match them"),
    ((BIG + 1j, BIG[:, 0]), {}, "has numbers as inputs; got the type complex128"),
    (([["a", "b"]] * 30, LABELS), {}, "has numbers as inputs"),
    ((INPUTS, [{}] * 30), {}, "is all numbers or all texts; got values of type dict"),
    ((INPUTS, np.zeros((30, 2, 2))), {}, "on one axis or two; got the type float64 and the shape (30, 2, 2)"),
    ((INPUTS, LABELS), {"target": "y"}, "a Feather file or a data frame; got a pair of arrays: leave it out"),
    ((np.where(INPUTS > 1, np.inf, INPUTS), LABELS), {}, "an infinite value among its arrays"),
    (Frame({"a": INPUTS[:, 0]}), {}, "has at least two columns"),
    (Frame({"a": [], "b": []}), {}, "has columns but no rows"),
    (Frame({"a": [[1, 2]] * 30, "b": LABELS}), {}, "'a' is all numbers or all texts; got values of type list"),
    (Frame({"a": [1, "x"] * 15, "b": LABELS}), {}, "'a' is all numbers or all texts; got numbers and 'x'"),
    (Lazy(COLUMNS), {}, "values are in memory; got a LazyFrame: give frame.collect()"),
    ((Sparse(), LABELS), {}, "all values are in memory; got a sparse matrix: give its .toarray()"),
    (Frame(COLUMNS), {"separator": ","}, "`separator` is for a text table; got a data frame: leave it out"),
    (Frame(COLUMNS), {"target": "kid"}, "by its number from 1 to 4; got 'kid': did you mean 'kind'"),
    ((Frame({"a": INPUTS[:, 0]}), LABELS[1:]), {}, "has one target per row; got 30 rows and 29 targets"),
    ({"a": 1}, {}, "data are a name, a path, a data frame or a pair"),
    (datasets.load("xor"), {}, "got the data set xor: use it as it is"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "sentence"), REFUSED)
def test_what_is_no_data_is_refused_in_a_sentence_that_does_not_print_it(data, options, sentence):
    with pytest.raises(UserError) as caught:
        datasets.load(data, **options)
    assert sentence in str(caught.value) and len(str(caught.value)) < 320


def test_a_frame_beyond_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**12)
    with pytest.raises(UserError, match="does not hold a data frame of 30 rows and 4 columns"):
        datasets.load(Frame(COLUMNS))


def test_as_dataset_takes_what_load_takes():
    data = datasets.load("xor")
    assert datasets.as_dataset(data) is data
    assert datasets.as_dataset("xor").checksum == data.checksum
    assert datasets.as_dataset((INPUTS, LABELS)).class_names == ("u", "v", "w")


# --- Excel --------------------------------------------------------------------------------------------------------


def sheet(path, rows, *, before=()):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for number, some in enumerate([*before, rows]):
        page = book.active if number == 0 else book.create_sheet(f"Sheet{number + 1}")
        for row in some:
            page.append(row)
    book.save(path)
    return path


ROWS = [list(COLUMNS), *map(list, zip(*COLUMNS.values(), strict=True))]


def test_a_sheet_is_read_like_the_csv_of_the_same_table(tmp_path, plain):
    path = sheet(tmp_path / "x.xlsx", ROWS)
    assert datasets.load(path, missing="mean").checksum == plain.checksum
    margin = [["", "measured by us"], [], *([None, *row] for row in ROWS)]
    path = sheet(tmp_path / "y.xlsx", margin, before=[[["nothing"]]])
    for wanted in (2, "2", "Sheet2"):
        assert datasets.load(path, missing="mean", sheet=wanted, skip=2).checksum == plain.checksum
    for wanted in (3, 0, "Sheet3"):
        with pytest.raises(UserError, match=r"by its number from 1 to 2; got .*: its sheets are Sheet, Sheet2"):
            datasets.load(path, sheet=wanted)


def test_whole_numbers_dates_and_formulas_of_a_sheet(tmp_path):
    import datetime

    days = [datetime.datetime(2024, 1, 1 + i % 4) for i in range(30)]
    rows = [
        ["day", "a", "n"],
        *([day, float(a), i % 2] for i, (day, a) in enumerate(zip(days, INPUTS[:, 0], strict=True))),
    ]
    data = datasets.load(sheet(tmp_path / "x.xlsx", rows))
    assert data.feature_names[:2] == ("day=2024-01-01", "day=2024-01-02") and data.class_names == ("0", "1")
    rows = [["a", "b", "n"], *([float(a), f"=A{i + 2}*2", i % 2] for i, a in enumerate(INPUTS[:, 0]))]
    with pytest.raises(UserError, match=r"values that were computed; got the formula in B2, which was not"):
        datasets.load(sheet(tmp_path / "x.xlsx", rows))


def test_sheets_that_are_damaged_or_too_large_are_refused(tmp_path, monkeypatch):
    path = sheet(tmp_path / "x.xlsx", ROWS)
    whole = path.read_bytes()
    for damaged in (b"no workbook", whole[:-300], whole[:500] + bytes(300) + whole[800:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="is not a readable Excel file"):
            datasets.load(path)
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(path, "w") as packed:
        for name in source.namelist():
            packed.writestr(name, source.read(name), zipfile.ZIP_LZMA)
    with pytest.raises(UserError, match="is not a readable Excel file"):
        datasets.load(path)
    path.write_bytes(whole)
    monkeypatch.setattr("ascribe.datasets.spreadsheet.CELLS", 20)
    with pytest.raises(UserError, match="at most 20 cells"):
        datasets.load(path)
    assert CELLS > 10**6
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2**14)
    with pytest.raises(UserError, match=r"does not hold the table .*x\.xlsx"):
        datasets.load(path)


# --- Feather ------------------------------------------------------------------------------------------------------


@pytest.fixture
def feather():
    pytest.importorskip("pyarrow")
    return pytest.importorskip("pyarrow.feather")


@pytest.mark.parametrize("compression", ["lz4", "zstd", "uncompressed"])
def test_a_feather_file_is_read_like_the_csv_of_the_same_table(tmp_path, plain, feather, compression):
    feather.write_feather(pyarrow_table(), tmp_path / "x.feather", compression=compression)
    assert datasets.load(tmp_path / "x.feather", missing="mean").checksum == plain.checksum
    feather.write_feather(pandas_frame()[4:], str(tmp_path / "x.arrow"), compression=compression)
    assert datasets.load(tmp_path / "x.arrow", missing="mean").understood.target == "kind"


def test_feather_files_that_are_damaged_or_unpack_to_more_than_the_memory_are_refused(tmp_path, feather, monkeypatch):
    path = tmp_path / "x.feather"
    feather.write_feather(pyarrow_table(), path)
    whole = path.read_bytes()
    generator = np.random.default_rng(3)
    for damaged in (b"FEA1" + whole[4:], whole[:200], whole[: len(whole) // 2], whole[:8] + struct.pack("<I", 2**31)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"is not a (readable )?Feather file"):
            datasets.load(path)
    for _ in range(60):
        content = bytearray(whole)
        for place in generator.integers(8, len(content), 4):
            content[place] = generator.integers(256)
        path.write_bytes(content)
        try:
            datasets.load(path, missing="mean")
        except UserError as error:
            assert "\n" not in str(error)
    pyarrow = pytest.importorskip("pyarrow")
    zeros = pyarrow.array(np.zeros(100_000))
    feather.write_feather(pyarrow.table({"a": zeros, "b": zeros}), path, compression="zstd")
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 2**20)
    monkeypatch.setattr("ascribe.datasets.feather.CELL", 0)  # its packed bytes alone are too many
    with pytest.raises(UserError, match=r"does not hold the table .*x\.feather"):
        datasets.load(path)


@pytest.mark.parametrize(("name", "package"), [("x.feather", "pyarrow"), ("x.xlsx", "openpyxl")])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"PK")
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(UserError, match=rf"needs {package}.*pip install 'ascribe-learning\[tables\]'"):
        datasets.load(tmp_path / name)


def test_of_several_sheets_the_one_that_is_read_is_told(tmp_path, plain):
    path = sheet(tmp_path / "two.xlsx", ROWS, before=[ROWS])
    (note,) = datasets.load(path, missing="mean").understood.notes
    assert note == "the sheet Sheet is read, the first of 2; `sheet='Sheet2'` reads another"
    assert datasets.load(path, missing="mean", sheet=1).understood.notes == ()
    with pytest.raises(UserError, match="got 1: choose another sheet with `sheet='Sheet2'`"):
        datasets.load(sheet(tmp_path / "info.xlsx", ROWS, before=[[["made"], ["by"], ["us"]]]))


def test_every_gap_of_arrays_is_counted_and_filled():
    """Two columns of three with gaps in the same rows."""
    holes = np.random.default_rng(0).normal(size=(30, 3))
    holes[:5, 0] = holes[:8, 2] = np.nan
    with pytest.raises(UserError, match=r"13 missing values, 8 of them in column 'x3': try .*or `missing='mean'` to"):
        datasets.load((holes, np.arange(30) % 2))
    assert datasets.load((holes, np.arange(30) % 2), missing="mean").understood.filled == 13
    assert datasets.load((holes, np.arange(30) % 2), missing="drop").understood.dropped == 8
