"""Tables of the user's own: what is read, exactly, and what is refused, in one sentence each."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ascribe import datasets, memory
from ascribe.datasets import parquet
from ascribe.errors import UserError

GENERATOR = np.random.default_rng(0)
NUMBERS = GENERATOR.standard_normal((30, 3)).round(3)
LABELS = np.arange(30) % 2


def lines(rows, delimiter=",", header=None) -> str:
    text = [] if header is None else [delimiter.join(header)]
    return "\n".join(text + [delimiter.join(str(cell) for cell in row) for row in rows]) + "\n"


def rows(values=NUMBERS, target=LABELS) -> list[list]:
    return [[*map(float, row), answer] for row, answer in zip(values, target, strict=True)]


def plain(target=LABELS, **options) -> str:
    return lines(rows(target=target), **options)


def replaced(line: int, text: str) -> str:
    every = plain(header=["a", "b", "c", "label"]).splitlines()
    every[line - 1] = text
    return "\n".join(every)


def npz(**arrays) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def flipped(content: bytes) -> bytes:
    """The same zip file with damage inside its first array."""
    return content[:200] + bytes(byte ^ 0xFF for byte in content[200:260]) + content[260:]


def together(data: datasets.Dataset) -> np.ndarray:
    """All examples as rows (inputs, target), sorted, whatever split they are in."""
    every = np.concatenate([np.column_stack([split.inputs.reshape(len(split), -1), split.targets]) for _, split in data.splits])
    return every[np.lexsort(every.T[::-1])]


def expected(values, target) -> np.ndarray:
    every = np.column_stack([values, target]).astype(np.float32)
    return every[np.lexsort(every.T[::-1])]


def object_npz() -> bytes:
    """An NPZ whose array of objects would run code when unpickled: only its header matters, nothing reads further."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (30,)})
    stream = io.BytesIO(npz(x=NUMBERS))
    with zipfile.ZipFile(stream, "a") as packed:
        packed.writestr("y.npy", header.getvalue() + b"cposix\nsystem\n")
    return stream.getvalue()


def other_entries(entries: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return stream.getvalue()


def npz_entry(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def announced(rows: int, size: int, *, lying: bool = False) -> bytes:
    """An NPZ whose array announces so many bytes and has none; with `lying`, its zip entry announces them too."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (rows,)})
    content = other_entries({"x.npy": header.getvalue()})
    at = content.index(b"PK\x01\x02") + 24  # the unpacked size in the central directory
    told = (len(header.getvalue()) + size).to_bytes(4, "little") if lying else content[at : at + 4]
    return content[:at] + told + content[at + 4 :]


# --- Refusals -----------------------------------------------------------------------------------------------------

BAD = [
    ("empty.csv", "", {}, "got no lines"),
    ("blank.csv", "\n  \n\n", {}, "got no lines"),
    ("header_only.csv", "a,b,label\n", {"header": True}, "header but no rows below it"),
    ("garbage.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, "got binary data"),
    ("utf16.csv", plain().encode("utf-16")[:-1], {}, "is utf-16 text; got another encoding on line 30"),
    ("latin.csv", "na\xefve,1\n".encode("latin-1") * 20, {}, "got another encoding on line 1"),
    ("ragged.csv", replaced(7, "1.0,2.0,0"), {}, "has 4 cells on every line; got 3 on line 7"),
    ("ragged.txt", plain(delimiter=" ") + "1 2 3 4 5\n", {}, "has 4 cells on every line; got 5 on line 31"),
    ("open_quote.csv", replaced(7, '"1.0,2.0,3.0,0'), {}, "quotation mark left open"),
    ("one_column.csv", "1\n2\n3\n" * 10, {}, "at least two columns"),
    ("twice.csv", plain(header=["a", "b", "a", "label"]), {}, "got 'a' twice"),
    ("constant_target.csv", plain(target=[7] * 30), {}, "got '7' everywhere"),
    ("one_class.csv", plain(target=["cat"] * 30), {}, "got 'cat' everywhere"),
    ("tiny_class.csv", plain(target=["a"] * 28 + ["b"] * 2), {}, "got 2 of class 'b' in the target 'column4'"),
    ("few.csv", lines(rows()[:9]), {}, "at least 10 examples"),
    ("no_target.csv", plain(header=["a", "b", "c", "label"]), {"target": "lable"}, "did you mean 'label'"),
    ("no_close.csv", plain(header=["a", "b", "c", "label"]), {"target": "zzz"}, "its columns are a, b, c, label"),
    ("position.csv", plain(), {"target": 5}, "by its number from 1 to 4; got 5"),
    ("zeroth.csv", plain(), {"target": "0"}, "got '0': try `target=-1`, the last column"),
    ("target_kind.csv", plain(), {"target": 1.5}, "by its name or by its number from 1 to 4; got 1.5"),
    ("infinite.csv", replaced(5, "1,inf,2,0"), {}, "'b' holds an infinite value on line 5"),
    ("huge.csv", replaced(5, "1,1e300,2,0"), {}, "the value 1e+300, too large for 32-bit numbers, on line 5"),
    ("gaps.csv", replaced(5, "1,,NA,0"), {}, "has 2 missing values, 1 of them in column 'b'"),
    ("no_target.csv", lines([[i % 7, i % 5, *(["", i] if i % 2 else [i, ""])] for i in range(30)]),
     {"missing": "mean", "target": (3, 4), "header": False}, "has no row with a target"),
    ("every_row.csv", lines([[i % 7, "", i % 2] if i % 3 else ["", i, i % 2] for i in range(30)]), {"missing": "drop"},
     "missing value in every row"),
    ("all_nan.csv", lines([[i, "nan", i % 2] for i in range(30)]), {}, "column 'column2' holds no value at all"),
    ("nan_file.csv", "nan,nan\n" * 30, {}, "holds no value at all"),
    ("constant.csv", lines([[1, 2, i % 2] for i in range(30)]), {}, "the same inputs in every row"),
    ("many_texts.csv", lines([[f"w{i}", i, i % 2] for i in range(30)]), {}, "got 30, such as"),
    ("typing_error.csv", replaced(9, "1.0,oops,2,0"), {}, "got numbers and 'oops' on line 9"),
    ("decimal_comma.csv", lines([[f"{i},5", i % 2, i % 2] for i in range(30)], ";"), {}, "give `decimal=','`"),
    ("missing_kind.csv", plain(), {"missing": "zero"}, "`missing` is one of refuse, drop, mean; got 'zero'"),
    ("task_kind.csv", plain(), {"task": "ranking"}, "`task` is one of binary"),
    ("task_text.csv", plain(target=["u", "v"] * 15), {"task": "regression"}, "of regression is numbers"),
    ("task_binary.csv", plain(target=[0, 1, 2] * 10), {"task": "binary"}, "got 3: try `task='classification'`"),
    ("ignored.csv", plain(), {"ignore": "column9"}, "got 'column9': did you mean 'column4'"),
    ("ignored_all.csv", plain(), {"ignore": ("column1", "column2", "column3")}, "no column left beside the target"),
    ("ignored_kind.csv", plain(), {"ignore": 3}, "a name or a list of names; got 3"),
    ("option.csv", plain(), {"samples": 20}, "a table has no option 'samples': it has target, task"),
    ("other_word.csv", plain(), {"sep": ","}, "a table has no option 'sep': did you mean separator? It has target, task"),
    ("task_close.csv", plain(), {"task": "regresion"}, "got 'regresion': did you mean 'regression'"),
    ("header_kind.csv", plain(), {"header": "no"}, "`header` is True or False"),
    ("text.npz", "not a zip file", {}, "is not a readable NPZ file"),
    ("cut.npz", npz(x=NUMBERS, y=LABELS)[:-200], {}, "is not a readable NPZ file"),
    ("flipped.npz", flipped(npz(x=NUMBERS, y=LABELS)), {}, "is not a readable NPZ file"),
    ("objects.npz", object_npz(), {}, "array of Python objects"),
    ("names.npz", npz(a=NUMBERS, b=LABELS), {}, "has arrays x and y, or x_train, y_train, x_test and y_test"),
    ("half.npz", npz(x=NUMBERS), {}, "has both x and y; got x"),
    ("lengths.npz", npz(x=NUMBERS, y=LABELS[:-1]), {}, "got the shapes (30, 3) and (29,)"),
    ("complex.npz", npz(x=NUMBERS + 1j, y=LABELS), {}, "has numbers in x; got the type complex128"),
    ("inf.npz", npz(x=np.where(NUMBERS > 1, np.inf, NUMBERS), y=LABELS), {}, "an infinite value among its arrays"),
    ("nan.npz", npz(x=np.where(NUMBERS > 1, np.nan, NUMBERS), y=LABELS), {}, "missing values"),
    ("no_test.npz", npz(x_train=NUMBERS, y_train=LABELS), {}, "holds x_train but no x_test"),
    ("shapes.npz", npz(x_train=NUMBERS, y_train=LABELS, x_test=NUMBERS[:, :2], y_test=LABELS), {}, "the same shape"),
    ("target.npz", npz(x=NUMBERS, y=LABELS), {"target": "y"}, "`target` is for a text table"),
    ("labels.npz", npz(x=NUMBERS, y=np.eye(30) + 1), {"task": "classification"}, "which is regression"),
    ("no_header.npz", other_entries({"x.npy": b"1 2 3" * 9, "y.npy": b"0 1" * 9}), {}, "is not a readable NPZ file"),
    ("texts.npz", other_entries({"x": b"1 2 3" * 9, "y": b"0 1" * 9}), {}, "got nothing"),
    ("announced.npz", announced(10**13, 10**13), {}, "is not a readable NPZ file"),
    ("bomb.npz", announced(2**32 - 200, 2**32 - 200, lying=True), {}, "GiB are wanted and this machine has"),
    ("commas.csv", ",,,\n" * 30, {}, "got empty cells alone"),
    ("rounded.csv", plain(target=[f"{2**53 + i % 2}.0" for i in range(30)]), {}, "got '9007199254740992' everywhere"),
    ("rounded.npz", npz(x=NUMBERS, y=2.0**53 + 2 * (np.arange(30) % 2)), {}, "name classes are below 2^53"),
    ("text.parquet", "not parquet", {}, "is not a readable Parquet file"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "options", "fragment"), BAD, ids=[case[0] for case in BAD])
def test_bad_file_is_refused_in_one_sentence(tmp_path, name, content, options, fragment):
    path = tmp_path / name
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        datasets.load(path, **options)
    text = str(caught.value)
    assert fragment in text
    assert text.endswith(".") and "\n" not in text and ". " not in text.replace(str(path), "")


@pytest.mark.parametrize("name", ["x.csv", "x.txt", "x.npz"])
def test_random_damage_is_read_or_refused_but_never_a_traceback(tmp_path, name):
    whole = npz(x=NUMBERS, y=LABELS) if name == "x.npz" else plain(delimiter="," if name == "x.csv" else " ").encode()
    generator = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        content = bytearray(whole)
        for place in generator.integers(0, len(content), 3):
            content[place] = generator.integers(256)
        (tmp_path / name).write_bytes(content)
        try:
            datasets.load(tmp_path / name, missing="drop")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 10


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_that_unpack_without_a_bound_are_refused(tmp_path, packing):
    arrays = zipfile.ZipFile(io.BytesIO(npz(x=NUMBERS, y=LABELS)))
    entries = {name: arrays.read(name) for name in arrays.namelist()}
    (tmp_path / "x.npz").write_bytes(other_entries(entries, packing))
    with pytest.raises(UserError, match="not a readable NPZ"):
        datasets.load(tmp_path / "x.npz")


@pytest.fixture
def small_machine(monkeypatch):
    """A machine with 2 MiB."""
    monkeypatch.setattr(memory, "SMALL", 0)
    monkeypatch.setattr(memory, "free_memory", lambda: 2 * 2**20)


WIDE = "\n".join(",".join(["abcdefghij"[(i + j) % 10] for j in range(30)]) for i in range(300))
LARGE = [
    ("x.npz", other_entries({"x.npy": npz_entry(np.zeros((50_000, 10), np.uint8))}, zipfile.ZIP_DEFLATED), "file .*x.npz"),
    ("x.csv", b"1,0\n" * 30_000, "table .*x.csv"),
    ("long.csv", b"a" * 10_000 + b",1,0\n" + b"c,2,1\n" * 100, "column 'column1', with a text of 10000 characters"),
    ("wide.csv", WIDE.encode(), "one-hot encoded texts of the table .*wide.csv"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "what"), LARGE, ids=[case[0] for case in LARGE])
def test_files_that_unpack_to_more_than_the_memory_are_refused(tmp_path, small_machine, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"does not hold the {what}.*: 0\.0 GiB are wanted and this machine has 0\.0"):
        datasets.load(tmp_path / name)


def test_a_parquet_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, small_machine, monkeypatch):
    pyarrow, write = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet").write_table
    column = pyarrow.array(np.zeros(10_000, np.int8))
    write(pyarrow.table({"a": column, "b": column}), tmp_path / "x.parquet")
    text = pyarrow.DictionaryArray.from_arrays(np.zeros(1_000, np.int32), pyarrow.array(["a" * 10_000]))
    write(pyarrow.table({"a": text, "b": np.arange(1_000), "c": np.arange(1_000) % 2}), tmp_path / "long.parquet")
    numbers = pyarrow.array(np.arange(500_000) % 997)
    write(pyarrow.table({"a": numbers, "b": numbers}), tmp_path / "lying.parquet", row_group_size=50_000)
    with pytest.raises(UserError, match=r"hold the table .*x\.parquet"):
        datasets.load(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"'a', with a text of 10000 characters: 0"):
        datasets.load(tmp_path / "long.parquet")
    assert datasets.load(tmp_path / "long.parquet", ignore="a").features == 1
    monkeypatch.setattr(parquet, "_check_announced", lambda *_: None)  # as if it announced less
    with pytest.raises(UserError, match=r"hold the table .*lying\.parquet"):
        datasets.load(tmp_path / "lying.parquet")


def test_more_lines_may_be_skipped_than_there_are(tmp_path):
    """Without a list of their numbers, which no memory holds."""
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="got no lines"):
        datasets.load(tmp_path / "table.csv", skip=10**15)


def test_missing_file_and_folder(tmp_path):
    (tmp_path / "measurements.csv").write_text(plain())
    with pytest.raises(UserError, match=r"there is no file .*did you mean 'measurements\.csv'"):
        datasets.load(str(tmp_path / "measurement.csv"))
    with pytest.raises(UserError, match="there is no file"):
        datasets.load("no/such/folder/x.csv")
    with pytest.raises(UserError, match="there is no file"):
        datasets.load("x\0.csv")
    with pytest.raises(UserError, match="there is no file") as caught:
        datasets.load("x" * 5000 + ".csv")
    assert len(str(caught.value)) < 500
    with pytest.raises(UserError, match="is a folder"):
        datasets.load(tmp_path)


@pytest.mark.parametrize("name", ["secret.csv", "secret.npz"])
def test_file_without_permission(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_text(plain())

    # The superuser may read everything, so the refusal of the system is played.
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="may not be read"):
        datasets.load(path)


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'ascribe-learning\[tables\]'"):
        datasets.load(path)


# --- What is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", plain()),
        ("x.csv", plain(header=["a", "b", "c", "d"])),
        ("x.csv", "\ufeff" + plain(header=["a", "b", "c", "d"])),
        ("x.csv", plain().replace("\n", "\r\n")),
        ("x.csv", plain(delimiter=";")),
        ("x.csv", plain(delimiter=", ")),
        ("x.csv", plain(header=['"a, b"', "b", "c", "d"])),
        ("x.tsv", plain(delimiter="\t")),
        ("x.txt", plain(delimiter=" ")),
        ("x.txt", plain(delimiter=" \t") + "\n\n"),
        ("x.txt", "\n".join("   " + line + "  " for line in plain(delimiter="   ").splitlines())),
    ],
)
def test_delimiters_and_headers(tmp_path, name, text):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    data = datasets.load(tmp_path / name, standardize=False)
    assert np.array_equal(together(data), expected(NUMBERS, LABELS))
    assert (data.name, data.task, data.class_names) == ("x", "binary", ("0", "1"))
    assert [len(split) for _, split in data.splits] == [22, 4, 4]
    named = "a, b" in text
    assert data.feature_names == (("a, b", "b", "c") if named else ("a", "b", "c") if "a" in text else
                                  ("column1", "column2", "column3"))  # fmt: skip


def test_target_by_name_position_and_convention(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(lines([[label, *row] for row, label in zip(NUMBERS, LABELS, strict=True)], header=["Class", *"abc"]))
    for options in ({}, {"target": "Class"}, {"target": 1}, {"target": -4}, {"target": "1"}):
        data = datasets.load(path, standardize=False, **options)
        assert np.array_equal(together(data), expected(NUMBERS, LABELS)), options
    last = datasets.load(path, target=-1)
    assert (last.task, last.feature_names) == ("regression", ("Class", "a", "b"))


@pytest.mark.parametrize(
    ("target", "options", "task", "names"),
    [
        (["yes", "no"] * 15, {}, "binary", ("no", "yes")),
        (["x", "y", "z"] * 10, {}, "classification", ("x", "y", "z")),
        ([5, 3, 4] * 10, {}, "classification", ("3", "4", "5")),
        ([-1, 1] * 15, {}, "binary", ("-1", "1")),
        ([0, 1] * 15, {"task": "classification"}, "classification", ("0", "1")),
        ([5, 3, 4] * 10, {"task": "regression"}, "regression", ()),
        ([0.5, 1.5, 2.5] * 10, {}, "regression", ()),
        ([0.5, 1.5, 2.5] * 10, {"task": "classification"}, "classification", ("0.5", "1.5", "2.5")),
        (list(range(30)), {}, "regression", ()),
    ],
)
def test_task_is_inferred_or_given(tmp_path, target, options, task, names):
    (tmp_path / "x.csv").write_text(plain(target=target))
    data = datasets.load(tmp_path / "x.csv", **options)
    assert (data.task, data.class_names) == (task, names)
    assert data.outputs == (len(names) if task == "classification" else 1)


def test_text_features_are_one_hot_and_regression_targets_keep_their_unit(tmp_path):
    colors = ["red", "green", "blue"] * 10
    target = NUMBERS[:, 0] * 40 + 1000
    (tmp_path / "x.csv").write_text(
        lines(
            [[color, n, y] for color, n, y in zip(colors, NUMBERS[:, 1], target, strict=True)],
            header=["color", "n", "y"],
        )
    )
    data = datasets.load(tmp_path / "x.csv", standardize=False)
    assert data.feature_names == ("color=blue", "color=green", "color=red", "n")
    one_hot = [[color == name for name in ("blue", "green", "red")] for color in colors]
    raw = together(data)
    raw[:, -1] = raw[:, -1] * data.target_scale + data.target_mean
    assert raw == pytest.approx(expected(np.column_stack([one_hot, NUMBERS[:, 1]]), target), abs=1e-3)
    assert data.train.targets.mean() == pytest.approx(0.0, abs=1e-6)
    assert data.train.targets.std() == pytest.approx(1.0, abs=1e-6)


def test_missing_values_are_dropped_or_filled_from_the_training_rows(tmp_path):
    values = np.column_stack([np.arange(40.0), np.tile([2.0, 4.0], 20)])
    cells = [[row[0], "NA" if index in (3, 8) else row[1], index % 2] for index, row in enumerate(values)]
    (tmp_path / "x.csv").write_text(lines(cells, header=["time", "level", "state"]))
    dropped = together(datasets.load(tmp_path / "x.csv", missing="drop", standardize=False))
    kept = np.delete(np.arange(40), [3, 8])
    assert np.array_equal(dropped, expected(values[kept], kept % 2))
    filled = datasets.load(tmp_path / "x.csv", missing="mean", standardize=False)
    train = filled.train.inputs
    present = train[~np.isin(train[:, 0], [3, 8])]
    every = together(filled)
    assert every[[3, 8], 1] == pytest.approx(np.full(2, present[:, 1].mean()), rel=1e-6)


def test_changing_test_rows_leaves_the_training_inputs_bit_identical(tmp_path):
    values = np.column_stack([np.arange(60), GENERATOR.standard_normal((60, 2))])
    path = tmp_path / "x.csv"
    write = lambda: path.write_text(lines(rows(values, np.arange(60) % 3)))
    write()
    tested = datasets.load(path, standardize=False).test.inputs[:, 0].astype(int)
    before = datasets.load(path)
    values[tested, 1:] = 500.0 * values[tested, 1:] + 9.0
    write()
    after = datasets.load(path)
    assert before.train.inputs.tobytes() == after.train.inputs.tobytes()
    assert before.validation.inputs.tobytes() == after.validation.inputs.tobytes()
    assert before.test.inputs.tobytes() != after.test.inputs.tobytes()


def test_ignored_columns_cannot_be_errors(tmp_path):
    (tmp_path / "x.csv").write_text(
        lines([[f"name {i}", *row, "", i % 2] for i, row in enumerate(NUMBERS)], header=["id", *"abc", "void", "y"])
    )
    data = datasets.load(tmp_path / "x.csv", ignore="id, void", standardize=False)
    assert np.array_equal(together(data), expected(NUMBERS, LABELS))


def test_npz_whole_with_images_and_text_labels(tmp_path):
    images = GENERATOR.integers(0, 255, (30, 4, 4, 1), dtype=np.uint8)
    (tmp_path / "x.npz").write_bytes(npz(X=images, labels=np.array(["a", "b", "c"] * 10)))
    data = datasets.load(tmp_path / "x.npz", standardize=False)
    assert (data.input_shape, data.task, data.class_names) == ((4, 4, 1), "classification", ("a", "b", "c"))
    assert np.array_equal(together(data), expected(images.reshape(30, -1), np.arange(30) % 3))


def test_npz_that_is_split_already_stays_so(tmp_path):
    parts = {"x_train": NUMBERS[:20], "y_train": LABELS[:20], "x_test": NUMBERS[20:], "y_test": LABELS[20:]}
    (tmp_path / "x.npz").write_bytes(npz(**parts))
    data = datasets.load(tmp_path / "x.npz", standardize=False)
    assert np.array_equal(data.test.inputs, NUMBERS[20:].astype(np.float32))
    assert (len(data.train), len(data.validation)) == (18, 2)
    parts |= {"x_val": NUMBERS[15:20], "y_val": LABELS[15:20], "x_train": NUMBERS[:15], "y_train": LABELS[:15]}
    (tmp_path / "x.npz").write_bytes(npz(**parts))
    data = datasets.load(tmp_path / "x.npz", standardize=False)
    assert np.array_equal(data.train.inputs, NUMBERS[:15].astype(np.float32))
    assert np.array_equal(data.validation.targets, LABELS[15:20])


def test_npz_labels_as_a_column_or_as_bools_are_labels(tmp_path):
    def loaded(**arrays):
        (tmp_path / "x.npz").write_bytes(npz(**arrays))
        return datasets.load(tmp_path / "x.npz")

    plainly = loaded(x=NUMBERS, y=LABELS)
    for labels in (LABELS[:, None], LABELS.astype(bool), LABELS.astype(bool)[:, None], LABELS.astype(float)[:, None]):
        data = loaded(x=NUMBERS, y=labels)
        assert (data.task, data.train.targets.dtype, data.train.targets.ndim) == ("binary", np.int32, 1)
        assert data.checksum == plainly.checksum
    parts = {"x_train": NUMBERS[:20], "y_train": LABELS[:20], "x_test": NUMBERS[20:], "y_test": LABELS[20:]}
    assert loaded(**parts).checksum == loaded(**parts | {"y_train": LABELS[:20, None]}).checksum


def test_prepare_turns_the_rows_of_the_file_into_the_stored_inputs(tmp_path):
    (tmp_path / "x.csv").write_text(plain(header=["a", "b", "c", "label"]))
    data = datasets.load(tmp_path / "x.csv", seed=3)
    assert data.input_mean.shape == data.input_scale.shape == (3,)
    prepared = data.prepare(NUMBERS)
    assert prepared.dtype == np.float32
    assert np.array_equal(together(data), expected(prepared, LABELS))
    assert data.request == {"data": str(tmp_path / "x.csv"), "seed": 3}
    assert (data.card.task, data.card.size) == ("binary", "30 rows, 3 features")
    as_it_is = datasets.load(tmp_path / "x.csv", standardize=False)
    assert as_it_is.input_mean is None and np.array_equal(as_it_is.prepare(NUMBERS), NUMBERS.astype(np.float32))


def test_prepare_of_images_in_a_file_has_one_mean_and_one_scale(tmp_path):
    images = GENERATOR.normal(3.0, 2.0, (30, 4, 4, 1))
    (tmp_path / "x.npz").write_bytes(npz(x=images, y=LABELS))
    data = datasets.load(tmp_path / "x.npz")
    assert data.input_mean.shape == data.input_scale.shape == data.flat().input_scale.shape == ()
    assert np.array_equal(together(data), expected(data.prepare(images).reshape(30, -1), LABELS))
    assert np.array_equal(data.flat().prepare(images.reshape(30, 16)), data.prepare(images).reshape(30, 16))


def test_npz_with_several_regression_targets(tmp_path):
    (tmp_path / "x.npz").write_bytes(npz(x=NUMBERS, y=NUMBERS[:, :2] * [1.0, 50.0]))
    data = datasets.load(tmp_path / "x.npz")
    assert (data.task, data.outputs, data.target_scale.shape) == ("regression", 2, (2,))
    assert data.train.targets.std(axis=0) == pytest.approx([1.0, 1.0], abs=1e-5)


def test_parquet_is_read_like_the_csv_of_the_same_table(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    colors = ["red", "green", None] * 10
    columns = {"color": colors, "n": NUMBERS[:, 0].tolist(), "flag": [True, False] * 15, "label": ["u", "v"] * 15}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    header = list(columns)
    cells = [[color or "", n, int(flag), label] for color, n, flag, label in zip(*columns.values(), strict=True)]
    (tmp_path / "x.csv").write_text(lines(cells, header=header))
    found, wanted = (datasets.load(tmp_path / name, missing="mean") for name in ("x.parquet", "x.csv"))
    assert found.checksum == wanted.checksum and found.feature_names == wanted.feature_names
    parquet.write_table(pyarrow.table({"a": [[1], [2]] * 10, "y": [0, 1] * 10}), tmp_path / "nested.parquet")
    with pytest.raises(UserError, match="values of type list"):
        datasets.load(tmp_path / "nested.parquet")


# --- Real tables --------------------------------------------------------------------------------------------------

REAL = [
    ("tabular/iris.csv", {}, "classification", 150, 4, 3),
    ("tabular/wine.csv", {}, "classification", 178, 13, 3),
    ("tabular/sonar.csv", {}, "binary", 208, 60, 1),
    ("tabular/ionosphere.csv", {}, "binary", 351, 34, 1),
    ("tabular/banknote_authentication.csv", {}, "binary", 1372, 4, 1),
    ("tabular/wheat-seeds.csv", {}, "classification", 210, 7, 3),
    ("tabular/abalone.csv", {}, "regression", 4177, 10, 1),
    ("tabular/penguins.csv", {"target": "species", "missing": "drop"}, "classification", 333, 10, 3),
    ("tabular/penguins.csv", {"target": "species", "missing": "mean"}, "classification", 344, 10, 3),
    ("tabular/auto-mpg.csv", {"target": "mpg", "missing": "mean", "ignore": "name"}, "regression", 398, 9, 1),
    ("uci-regression/concrete.txt", {}, "regression", 1030, 8, 1),
    ("uci-regression/energy.txt", {}, "regression", 768, 8, 1),
    ("uci-regression/yacht.txt", {}, "regression", 308, 6, 1),
    ("uci-regression/wine-quality-red.txt", {"task": "regression"}, "regression", 1599, 11, 1),
    ("optdigits/optdigits.tes", {}, "classification", 1797, 64, 10),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "options", "expectation"), [(case[0], case[1], case[2:]) for case in REAL])
def test_real_tables(name, options, expectation):
    path = Path(os.environ.get("ASCRIBE_DATA") or "") / "small" / name
    if not os.environ.get("ASCRIBE_DATA") or not path.is_file():
        pytest.skip(f"ASCRIBE_DATA has no small/{name}")
    data = datasets.load(path, **options)
    count = sum(len(split) for _, split in data.splits)
    assert (data.task, count, data.features, data.outputs) == expectation
    assert all(np.isfinite(split.inputs).all() for _, split in data.splits)
