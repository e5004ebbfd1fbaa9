"""Data files of the user's own, image files of known formats, and paths that are no files."""

import gzip
import io
import itertools
import os
import pickle
import random
import struct
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import ascribe
from ascribe import datasets, rules, store
from ascribe.datasets.cifar10 import unpack
from ascribe.datasets.cifar_format import parse_binary_batch, parse_python_batch
from ascribe.datasets.idx_format import parse_idx

from .children import Input
from .spoiling import CELLS, flipped, spoiled
from .valid import COMPARE, Maker, table

OPTIONS: dict[str, tuple[Any, ...]] = {
    "target": ("a", "label", "color", 0, -1, 99, "", "nowhere", 1.5, None),
    "task": ("binary", "classification", "regression", "x", 1, None),
    "missing": ("refuse", "drop", "mean", "x", None),
    "header": (True, False, "x", None),
    "standardize": (True, False, "x"),
    "ignore": ((), ("a",), ("a", "b", "color"), ("nowhere",), "a", 5, "1"),
    "classes": ("0,1", ("red", "blue"), "red", 5, (0, 1.5), "nowhere,0", None),
    "seed": (0, 7, -1, 1.5, 10**30, "x"),
}
READING: dict[str, tuple[Any, ...]] = {
    "separator": (",", ";", "tab", "space", " ", "|", "", "xx", "\n", '"', 5),
    "decimal": (".", ",", "", "1", "-", 5),
    "thousands": (",", ".", "'", " ", "", "12", None),
    "encoding": ("utf-8", "cp1252", "utf-16", "utf-7", "idna", "zip", "rot13", "undefined", "", "\0", 5),
    "missing_words": ("0", "red,", -99, 1.5, ("x", 5), (), {}, None),
    "skip": (0, 1, 5, 10**9, -1, "x", 1.5),
    "comment": ("#", "0", "", " ", "a", 5),
    "sheet": (1, 2, "Sheet", "1", "", -1, 10**30, 1.5, True, None),
}
"""Options that say how a file is written."""


def loaded(maker: Maker, path: Path, what: str) -> Input:
    """The file is loaded, sometimes with options, right or wrong."""
    chosen = {name: maker.chance.choice(values) for name, values in OPTIONS.items() if maker.chance.random() < 0.04}
    chosen |= {name: maker.chance.choice(values) for name, values in READING.items() if maker.chance.random() < 0.02}
    return Input(f"{what}, load({path.name!r}, {chosen})", lambda: datasets.load(path, **chosen))


def delimited(maker: Maker) -> Input:
    """CSV, TSV and TXT."""
    chance = maker.chance
    rows = [line.split(",") for line in table().splitlines()]
    for _ in range(chance.choice((0, 1, 1, 2, 5, 200))):
        row = chance.randrange(len(rows))
        if rows[row]:
            rows[row][chance.randrange(len(rows[row]))] = chance.choice(CELLS)
    if chance.random() < 0.1:
        cell = chance.choice(("", *CELLS)) if chance.random() < 0.6 else ""
        rows = [[cell] * len(row) for row in rows]
    if chance.random() < 0.15:
        column = chance.randrange(4)
        for row in rows[chance.randrange(2) :]:
            row[column] = chance.choice(CELLS)
    for _ in range(chance.choice((0, 0, 1, 3))):
        rows = _rows_spoiled(chance, rows)
    separator, end = chance.choice(",,,,;\t |"), chance.choice(("\n", "\n", "\r\n", "\r", "\n\n"))
    text = end.join(separator.join(row) for row in rows) + chance.choice((end, ""))
    encoding = chance.choice(("utf-8",) * 12 + ("utf-16", "utf-8-sig", "utf-32", "utf-7"))
    data = text.encode(encoding, errors="surrogatepass")
    if chance.random() < 0.2:
        data = spoiled(chance, data)
    if chance.random() < 0.05:
        data = gzip.compress(data, mtime=0)
        data = spoiled(chance, data) if chance.random() < 0.3 else data
    path = maker.write("input" + chance.choice((".csv", ".csv", ".tsv", ".txt", ".csv.gz")), data)
    if chance.random() < 0.03:
        command = ["compare", path.name, *COMPARE[4:], "--rules", "bp,fa", "--out", "out"]
        return Input(f"{path.name} on the command line", command)
    return loaded(maker, path, path.suffix)


def _rows_spoiled(chance: random.Random, rows: list[list[str]]) -> list[list[str]]:
    """A row cut, doubled within, or repeated; only a part of the rows, or of the columns."""
    kind, row = chance.randrange(5), chance.randrange(len(rows))
    if kind == 0:
        rows[row] = rows[row][: chance.randrange(4)]
    elif kind == 1:
        rows[row] = rows[row] * chance.choice((2, 1000))
    elif kind == 2:
        rows = rows[:row] or rows[:1]
    elif kind == 3:
        rows.insert(row, rows[0])
    else:
        rows = [row[:1] for row in rows]
    return rows


def npz(maker: Maker) -> Input:
    """NumPy archives: damaged, with forged headers and sizes, with pickles."""
    chance = maker.chance
    kind = chance.randrange(8)
    if kind < 2:
        data = spoiled(chance, (maker.valid / chance.choice(("plain.npz", "split.npz"))).read_bytes())
        return loaded(maker, maker.write("input.npz", data), "spoiled bytes")
    if kind == 2 and chance.random() < 0.2:
        return loaded(maker, maker.write("input.npz", zeros(1_600_000_000, (400_000_000,))), "1.6 GB of zeros")
    inputs, labels = np.ones((20, 3), np.float32), np.arange(20) % 2
    names = chance.choice((("x", "y"), ("x_train", "y_train"), ("X", "labels"), ("x", "z"), ("../../x", "/y"), ("x", "x")))
    parts = [npy(inputs), npy(labels)]
    what = "valid"
    if kind < 5:
        what = "odd array"
        parts[chance.randrange(2)] = npy(chance.choice(_odd_arrays()))
    elif kind < 7:
        what = "forged header"
        parts[chance.randrange(2)] = _forged(maker)
    else:
        what = "entry of no array"
        evil = pickle.dumps(Evil(maker.canary), protocol=chance.randrange(6))
        parts[chance.randrange(2)] = chance.choice((b"", b"x", evil, b"\x93NUMPY", spoiled(chance, parts[0])))
    ending = chance.choice((".npy", ".npy", ".npy", "", ".txt"))
    return loaded(
        maker,
        maker.write("input.npz", zipped({name + ending: part for name, part in zip(names, parts, strict=True)})),
        what,
    )


def _odd_arrays() -> list[np.ndarray]:
    return [
        *(
            np.array(5.0),
            np.zeros((0, 3)),
            np.zeros((20, 0)),
            np.zeros((20, 1, 1, 1, 1, 1)),
            np.zeros((20, 3), complex),
        ),
        *(
            np.full((20, 3), np.nan),
            np.full(20, np.inf),
            np.array(["a", "b"] * 10),
            np.array([b"a"] * 20),
            np.zeros(19),
        ),
        *(
            np.zeros((20, 3), bool),
            np.full((20, 3), 1e308),
            np.arange(20) * 10**17,
            -np.arange(20),
            np.zeros((20, 3), ">f4"),
        ),
        *(np.zeros(20, "datetime64[s]"), np.zeros(20, [("a", float)]), np.full((20, 3), 1e-320), np.arange(20) + 0.5),
        *(
            np.zeros((20, 3), np.float16),
            np.zeros((20, 2, 2)),
            np.zeros((20, 28, 28, 7)),
            np.arange(20, dtype=np.uint64),
        ),
    ]


def npy(array: np.ndarray) -> bytes:
    """An array as a file of NumPy's."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def _forged(maker: Maker) -> bytes:
    """An NPY header that lies, before few bytes."""
    shape = maker.chance.choice(
        (
            "(20, 3)",
            "(10**12,)",
            "(1000000000000,)",
            "(-1,)",
            "(2**40, 2**40)",
            "(99999999999999999999,)",
            "()",
            "20",
            "(20.5,)",
            "None",
        )
    )
    code = f"__import__('os').system('touch {maker.canary}')"
    kind = maker.chance.choice(
        ("'<f4'", "'|O'", "'<f8'", "'x'", "'<V99999999'", "'|S2000000000'", code, "[('a', '|O')]", "5", "''")
    )
    order = maker.chance.choice(("False", "True", "5", code))
    header = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"
    if maker.chance.random() < 0.2:
        header = maker.chance.choice((code, "{", "{}", header * 3000, "(" * 3000))
    data = (header + "\n").encode()
    evil = pickle.dumps(Evil(maker.canary), protocol=2)
    version = maker.chance.choice((1, 1, 1, 2, 3, 9))
    length = len(data) if maker.chance.random() < 0.8 else maker.chance.choice((0, 1, 65535))
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", length % 2**16) + data + evil


def zipped(parts: dict[str, bytes]) -> bytes:
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


@cache
def zeros(size: int, shape: tuple[int, ...]) -> bytes:
    """An archive of a few megabytes or less whose `x` and `y` are zeros of so many bytes each, made without compressing them:
    a flushed block of zeros can stand there again and again."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    block = bytes(2**24)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packer.compress(header.getvalue()) + packer.flush(zlib.Z_FULL_FLUSH)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    count, rest = divmod(size, len(block))
    checksum = zlib.crc32(header.getvalue())
    for _ in range(count):
        checksum = zlib.crc32(block, checksum)
    data += once * count + packer.compress(bytes(rest)) + packer.flush()
    checksum, length = zlib.crc32(bytes(rest), checksum), len(header.getvalue()) + size
    entries, directory = b"", b""
    for name in (b"x.npy", b"y.npy"):
        sizes = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, checksum, len(data), length, len(name), 0)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + sizes + struct.pack("<HHHII", 0, 0, 0, 0, len(entries)) + name
        entries += b"PK\x03\x04" + sizes + name + data
    return entries + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(directory), len(entries), 0)


class Evil:
    """What makes the canary where it is unpickled."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def parquet(maker: Maker) -> Input:
    """Parquet files: damaged, of odd columns, far larger than they look."""
    chance = maker.chance
    if chance.random() < 0.02:
        return loaded(maker, maker.copied("bomb.parquet", "input.parquet"), "30,000,000 rows")
    if chance.random() < 0.6:
        data = (maker.valid / "table.parquet").read_bytes()
        end = len(data) - int.from_bytes(data[-8:-4], "little") - 8
        if chance.random() < 0.5:  # the description of the file is at its end
            data = data[:end] + flipped(chance, data[end:], chance.choice((1, 3, 20)))
        else:
            data = spoiled(chance, data)
        return loaded(maker, maker.write("input.parquet", data), "spoiled bytes")
    import pyarrow as pa  # noqa: PLC0415 - imported by the parent already
    import pyarrow.parquet as pq  # noqa: PLC0415

    odd = [
        *([None] * 20, [[1.0, 2.0]] * 20, [{"a": 1}] * 20, [b"\xff"] * 20, ["a" * 5000] * 20, [True, False] * 10),
        *(
            [float("nan")] * 20,
            [float("inf")] * 20,
            [10**17 + n for n in range(20)],
            [f"{n}" for n in range(20)],
            [""] * 20,
        ),
        *([1, None] * 10, ["a", None] * 10, list(range(20)), [0.5 * n for n in range(20)], [0, 1] * 10),
    ]
    names = ("a", "", "label", "\x00", "é" * 500, "target", "class")
    columns = [pa.array(chance.choice(odd)) for _ in range(chance.randrange(5))]
    file = io.BytesIO()
    pq.write_table(pa.table(columns, names=[chance.choice(names) for _ in columns]), file)
    return loaded(maker, maker.write("input.parquet", file.getvalue()), "odd columns")


def sheets(maker: Maker) -> Input:
    """Excel and Feather files: damaged, of odd cells, packed as no spreadsheet packs; of far more than they look."""
    chance = maker.chance
    rows = [line.split(",") for line in table().splitlines()]
    for _ in range(chance.choice((0, 1, 5, 60))):
        rows[chance.randrange(len(rows))][chance.randrange(4)] = chance.choice(("", *CELLS))
    if chance.random() < 0.5:
        return loaded(maker, maker.write("input.xlsx", _spoiled_archive(chance, _workbook(chance, rows))), "a workbook")
    import pyarrow as pa  # noqa: PLC0415 - imported by the parent already
    import pyarrow.feather  # noqa: PLC0415

    file = io.BytesIO()
    columns = {name: [row[at] for row in rows[1:]] for at, name in enumerate(("a", "b", "color", "label"))}
    whole = {name: [_number(cell) for cell in columns[name]] for name in "ab"}
    packing = chance.choice(("lz4", "zstd", "uncompressed"))
    pyarrow.feather.write_feather(pa.table({**columns, **whole}), file, compression=packing)
    data = spoiled(chance, file.getvalue()) if chance.random() < 0.8 else file.getvalue()
    return loaded(maker, maker.write(f"input{chance.choice(('.feather', '.arrow'))}", data), f"Feather, {packing}")


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _workbook(chance: random.Random, rows: list[list[str]]) -> dict[str, bytes]:
    """The entries of an Excel file, as openpyxl writes them."""
    import openpyxl  # noqa: PLC0415 - an extra

    book = openpyxl.Workbook()
    for row in rows:
        cells = ["".join(letter for letter in cell if letter >= " ") for cell in row]
        book.active.append([cell[:1000] if _number(cell) is None else _number(cell) for cell in cells])
    if chance.random() < 0.1:
        book.create_sheet("more")
    file = io.BytesIO()
    book.save(file)
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _spoiled_archive(chance: random.Random, parts: dict[str, bytes]) -> bytes:
    """The archive of these entries, one of them changed or left out, or the whole damaged."""
    name = chance.choice(list(parts))
    kind = chance.randrange(6)
    if kind == 0:
        parts[name] = spoiled(chance, parts[name])
    elif kind == 1:
        del parts[name]
    elif kind == 2:
        sheet = "xl/worksheets/sheet1.xml"
        cell = chance.choice((b'r="XFD1048576"', b'r="A0"', b'r="-1"', b'r="ZZZZZZ9"', b't="s"', b't="x"'))
        parts[sheet] = parts[sheet].replace(b'r="B5"', cell)
    elif kind == 3:
        bomb = b'<!DOCTYPE a [<!ENTITY a "%s">%s]>' % (
            b"x" * 100,
            b"".join(b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 50 if n else b"&a;" * 50) for n in range(9)),
        )
        parts[name] = bomb + parts[name].partition(b"?>")[2].replace(b">", b">&a8;", 1)
    data = zipped(parts)
    return spoiled(chance, data) if kind == 4 else data


def frames(maker: Maker) -> Input:
    """Data frames and arrays, right and wrong."""
    import pandas  # noqa: PLC0415 - imported by the parent already

    chance = maker.chance
    odd = [*_odd_arrays(), None, "x", [], [[1.0], [1.0, 2.0]], {}, {"a": 1}, 5, [None] * 20, [{}] * 20, ["a", 1] * 10]
    inputs = chance.choice((np.ones((20, 3)), np.arange(60.0).reshape(20, 3), chance.choice(odd)))
    targets = chance.choice((np.arange(20) % 2, ["a", "b"] * 10, np.eye(20)[:, :2], chance.choice(odd)))
    data: Any = chance.choice(((inputs, targets), [inputs, targets], inputs, (inputs, targets, inputs)))
    if chance.random() < 0.5:
        columns = [chance.choice((list(range(20)), ["a", "b"] * 10, *odd[-3:], [float("nan"), 1] * 10)) for _ in range(3)]
        names = chance.sample(("a", "b", 0, 1, "", None, ("a", "b"), "label"), 3)
        data = pandas.DataFrame({name: pandas.Series(column) for name, column in zip(names, columns, strict=True)})
    chosen = {name: chance.choice(values) for name, values in OPTIONS.items() if chance.random() < 0.05}
    return Input(f"load of {type(data).__name__} with {chosen}", lambda: datasets.load(data, **chosen))


WINDOWS: dict[str, tuple[Any, ...]] = {
    "window": (1, 2, 40, 0, -1, 10**9, 10**400, 1.5, "x", None, True),
    "samples": (10, 50, 0, 10**9, 10**400, 1.5, "x", True),
    "encoding": READING["encoding"],
    "seed": OPTIONS["seed"],
    "standardize": (True, False),
}


def texts(maker: Maker) -> Input:
    """Texts whose characters are learned: short, of odd characters, of other encodings, damaged, packed."""
    chance = maker.chance
    letters = chance.choice(("ab", "a", "the cat\n", "\r\n", "é\u0301\u202e\u2028", "".join(map(chr, range(0x4E00, 0x5200)))))
    odd = chance.choice(("", "", "\0", "\ufeff", "\x1b[31m", "<script>", "=1+1", "\U0001f600", "\x7f\x80"))
    text = "".join(chance.choice([*letters, odd]) for _ in range(chance.choice((0, 1, 20, 111, 400, 5000))))
    data = text.encode(chance.choice(("utf-8",) * 8 + ("utf-16", "utf-32", "utf-8-sig", "utf-7")))
    data = spoiled(chance, data) if chance.random() < 0.15 else data
    if chance.random() < 0.2:
        data = gzip.compress(bytes(2**27) if chance.random() < 0.05 else data, mtime=0)
        data = spoiled(chance, data) if chance.random() < 0.3 else data
    path = maker.write(chance.choice(("input.txt", "input", "input.gz", "input.csv", "text:input")), data)
    chosen = {name: chance.choice(values) for name, values in WINDOWS.items() if chance.random() < 0.06}
    return Input(f"a text, load({path.name!r}, {chosen})", lambda: datasets.load(f"text:{path}", **chosen))


def images(maker: Maker) -> Input:
    """IDX files, and CIFAR-10's batches and archive: damaged, forged, or pickles that would run code."""
    chance = maker.chance
    kind = chance.randrange(6)
    if kind < 2:
        axes = chance.choice((1, 3))
        lengths = [chance.choice((0, 1, 2, 3, 2**31, 2**32 - 1)) if chance.random() < 0.2 else 3 for _ in range(axes)]
        data = struct.pack(f">HBB{axes}I", 0, chance.choice((8, 8, 8, 13)), axes, *lengths) + bytes(3**axes)
        data = gzip.compress(data, mtime=0) if chance.random() < 0.5 else data
        data = spoiled(chance, data) if chance.random() < 0.7 else data
        return Input("parse_idx of spoiled bytes", lambda: parse_idx(data, "the file", axes=axes))
    if kind == 2:
        data = spoiled(chance, bytes([3]) * 3073 * 2)
        return Input("parse_binary_batch of spoiled bytes", lambda: parse_binary_batch(data, "the batch"))
    if kind == 3:
        return _archive(maker)
    batch = python_batch()
    if kind == 4:
        protocol = chance.randrange(6)
        batch = pickle.dumps({"data": Evil(maker.canary), "labels": [0]}, protocol=protocol)
        return Input(f"pickle of protocol {protocol} as a batch", lambda: parse_python_batch(batch, "the batch"))
    call = b"cposix\nsystem\n" + _short(f"touch {maker.canary}") + b"\x85R"
    place = chance.randrange(len(batch))
    data = chance.choice((spoiled(chance, batch), batch[:-2] + call + b"u.", batch[:place] + call + batch[place:]))
    return Input("parse_python_batch of spoiled bytes", lambda: parse_python_batch(data, "the batch"))


def _short(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


@cache
def python_batch(rows: int = 300) -> bytes:
    """A batch as Python 2 pickled it: `rows` black images (their number takes two bytes from 256 on)."""
    pixels = bytes(3072 * rows)
    return b"".join(
        [
            b"\x80\x02}q\x01(" + _short("labels") + b"q\x04]q\x05(" + b"K\x03" * rows + b"e",
            _short("data") + b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08",
            b"K\x00\x85" + _short("b") + b"\x87Rq\x09(K\x01M" + struct.pack("<H", rows) + b"M\x00\x0c\x86",
            b"cnumpy\ndtype\nq\x0a" + _short("u1") + b"K\x00K\x01\x87Rq\x0b(K\x03" + _short("|"),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tbu.",
        ]
    )


def _archive(maker: Maker) -> Input:
    """An archive of CIFAR-10 whose members lead elsewhere, or are no files."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for number in range(1, 7):
            name = f"cifar-10-batches-bin/data_batch_{number}.bin" if number < 6 else "cifar-10-batches-bin/test_batch.bin"
            member = tarfile.TarInfo(maker.chance.choice((name, name, name, f"../../{name}", f"/tmp/{name}")))
            kinds = (
                tarfile.REGTYPE,
                tarfile.REGTYPE,
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.FIFOTYPE,
                tarfile.DIRTYPE,
            )
            member.type = maker.chance.choice(kinds)
            member.linkname = str(maker.chance.choice(("/etc/passwd", maker.folder / "beside" / "table.csv", name)))
            data = b"\x03" * 3073 if member.isreg() else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    data = spoiled(maker.chance, file.getvalue()) if maker.chance.random() < 0.4 else file.getvalue()
    path = maker.write("input.tar.gz", data)
    target = maker.folder / "out"
    return Input("unpack of a forged archive", lambda: unpack(path, target), works_on=("out",))


PATHS = (
    "fifo",
    "/dev/zero",
    "/dev/null",
    "/dev/stdin",
    "/proc/self/mem",
    "folder",
    "dangling",
    "loop",
    "a" * 5000,
    "/".join("a" * 3000),
)
PATHS += ("nowhere", "beside/table.csv/x", "", ".", "..", "/", "~", "\udcff", "a\nb", "\x1b[31m", "secret", "empty")

SHORT = ("--current", "2e-9", "--duration", "0.001")


def paths(maker: Maker) -> Input:
    """Paths that are no such file, wherever a path is taken."""
    chance = maker.chance
    os.mkfifo(maker.folder / "fifo")
    (maker.folder / "folder").mkdir()
    (maker.folder / "dangling").symlink_to("nowhere")
    (maker.folder / "loop").symlink_to("loop")
    (maker.folder / "empty").touch()
    (maker.folder / "secret").mkdir(mode=0)
    ending = chance.choice(("", "", ".csv", ".npz", ".parquet", ".json", ".py:R", ".safetensors", ".sqlite"))
    path = chance.choice(PATHS)
    if ending and path in ("fifo", "folder", "dangling", "loop", "empty"):
        (maker.folder / f"{path}{ending.partition(':')[0]}").symlink_to(path)
    path += ending if path and not path.startswith("/dev") else ""
    text = path if chance.random() < 0.9 else path + "\0"
    text = f"text:{text}" if chance.random() < 0.1 else text
    functions = (
        datasets.load,
        ascribe.load,
        ascribe.load_model,
        lambda text: store.Store(text, create=False),
        rules.get,
    )
    if chance.random() < 0.4 or "\0" in text:
        number = chance.randrange(len(functions))
        names = ("datasets.load", "load", "load_model", "Store", "rules.get")
        return Input(f"{names[number]}({text[:50]!r})", lambda: functions[number](text))
    commands = (
        *(
            ["compare", path, "--learning-rate", "0.1", "--epochs", "1", "--seeds", "1", "--out", "out"],
            ["report", path],
        ),
        *(
            [*COMPARE, "--rules", path, "--out", "out"],
            ["runs", "list", path],
            ["runs", "show", path],
            ["report", path, "--out", "out"],
        ),
        *(
            ["runs", "export", path, "--out", "out"],
            ["compare", "moons", "--resume", "--out", path],
            ["discover", path],
        ),
        *([*COMPARE, "--only", "x", "--out", path], [*COMPARE, "--rules", "x", "--store", path, "--out", "out"]),
        *(
            ["runs", "export", "beside/record", "--out", f"{path}{chance.choice(('.csv', '.json'))}"],
            ["reproduce", "x", "--out", path],
        ),
        *(
            ["report", "beside/record", "--out", path],
            ["neuron", "lif", *SHORT, "--out", f"{path}{chance.choice(('.png', '.svg'))}"],
        ),
    )
    command = chance.choice(commands)
    asked = [word.split("/")[0] for option, word in itertools.pairwise(command) if option in ("--out", "--store")]
    writes = ("out", *(word for word in asked if word not in ("", ".", "..", "beside")))
    return Input(" ".join(command)[:120], command, writes=writes)
