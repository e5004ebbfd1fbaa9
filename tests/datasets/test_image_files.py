"""The readers of IDX and CIFAR files, on files written here: complete, damaged and hostile ones."""

import gzip
import hashlib
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from ascribe import datasets
from ascribe.datasets import cifar10, downloads, fashion_mnist, mnist
from ascribe.datasets.cifar_format import PIXELS, parse_binary_batch, parse_python_batch
from ascribe.datasets.idx_format import parse_idx
from ascribe.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_idx_returns_what_was_written(pack):
    assert np.array_equal(parse_idx(pack(idx(IMAGES)), "the file", axes=3), IMAGES)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "magic number"),
        (b"\0\0", "magic number"),
        (b"P5 28 28 255 ", "magic number"),
        (b"\0\0\x0d\x03" + idx(IMAGES)[4:], "type 13 on 3 axes"),
        (idx(IMAGES[0]), "type 8 on 2 axes"),
        (idx(IMAGES)[:9], "ends inside its header"),
        (idx(IMAGES)[:-1], "announces 120 values of the shape (6, 4, 5); got only 119"),
        (idx(IMAGES) + b"\0", "got more"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "impossible shape"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 28, 28), "impossible shape"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-20], "cut short or damaged"),
        (gzip.compress(idx(IMAGES), mtime=0)[:10] + b"\x07" * 40, "cut short or damaged"),
        (b"\x1f\x8b", "cut short or damaged"),
    ],
)
def test_idx_refuses_anything_but_a_complete_file(content, fragment):
    with pytest.raises(UserError) as caught:
        parse_idx(content, "the file", axes=3)
    assert fragment in str(caught.value)


# --- CIFAR-10 ---------------------------------------------------------------------------------------------------

ROWS = 300
GENERATOR = np.random.default_rng(1)
PLANES = GENERATOR.integers(0, 256, (ROWS, 3, 32, 32), dtype=np.uint8)
LABELS = np.arange(ROWS, dtype=np.uint8) % 10
EXPECTED = np.moveaxis(PLANES, 1, 3)


def short(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def python_batch(planes: np.ndarray = PLANES, labels: np.ndarray = LABELS, array_global: bytes = b"cnumpy\nndarray\n"):
    """The bytes of a batch as Python 2 wrote them, opcode by opcode."""
    half = len(labels) // 2
    numbered = lambda values: b"(" + b"".join(b"K" + bytes([value]) for value in values) + b"e"
    pixels = planes.tobytes()
    return b"".join(
        [
            b"\x80\x02}q\x01(",
            short("batch_label") + b"q\x02" + short("training batch 1 of 5") + b"q\x03",
            short("labels") + b"q\x04]q\x05" + numbered(labels[:half]) + numbered(labels[half:]),
            short("data") + b"cnumpy.core.multiarray\n_reconstruct\nq\x07" + array_global + b"q\x08",
            b"K\x00\x85" + short("b") + b"\x87Rq\x09(K\x01M" + struct.pack("<H", len(planes)) + b"M\x00\x0c\x86",
            b"cnumpy\ndtype\nq\x0a" + short("u1") + b"K\x00K\x01\x87Rq\x0b(K\x03" + short("|"),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T" + struct.pack("<i", len(pixels)) + pixels + b"tb",
            short("filenames") + b"q\x0c]q\x0d(" + short("a.png") + b"r\x00\x01\x00\x00" + short("b.png") + b"e",
            b"u.",
        ]
    )


def test_python_batch_is_read_without_unpickling():
    images, labels = parse_python_batch(python_batch(), "batch")
    assert np.array_equal(images, EXPECTED) and np.array_equal(labels, LABELS)
    assert images.dtype == labels.dtype == np.uint8


def test_hostile_pickle_is_refused_and_nothing_runs(tmp_path):
    marker = tmp_path / "ran"
    call = b"cposix\nsystem\n" + short(f"touch {marker}") + b"\x85R"
    for content in (
        b"\x80\x02" + call + b".",
        python_batch()[:-2] + call + b"u.",
        python_batch().replace(b"K\x00\x85" + short("b"), call[:-2] + b"\x85" + short("b")),
        python_batch(array_global=b"cposix\nsystem\n"),
        b"cos\nsystem\n(" + short(f"touch {marker}") + b"tR.",
    ):
        with pytest.raises(UserError, match="has the layout of the published CIFAR-10 batches; got another"):
            parse_python_batch(content, "batch")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "cannot be read as opcodes"),
        (b"hello", "opcode"),
        (python_batch()[:-1], "cannot be read as opcodes"),
        (python_batch()[:5000], "cannot be read as opcodes"),
        (python_batch() + b"more", "bytes follow its end"),
        (python_batch(labels=LABELS[:-1]), "299 labels"),
        (python_batch().replace(b"M\x2c\x01M", b"M\x2d\x01M"), "pixel bytes"),
        (python_batch().replace(b"batch_label", b"fetch_label"), "unknown key 'fetch_label'"),
        (python_batch(labels=np.full(ROWS, 10)), "labels from 0 to 9; got 10"),
        (b"\x80\x03}q\x01(u.", "PROTO"),
        (b"\x80\x02}(u.", "0 pixel bytes and 0 labels"),
    ],
)
def test_damaged_python_batch_is_one_sentence(content, fragment):
    with pytest.raises(UserError) as caught:
        parse_python_batch(content, "batch")
    assert fragment in str(caught.value)


def binary_batch() -> bytes:
    return np.concatenate([LABELS[:, None], PLANES.reshape(ROWS, PIXELS)], axis=1).tobytes()


def test_binary_batch_is_the_same_data():
    images, labels = parse_binary_batch(binary_batch(), "batch")
    assert np.array_equal(images, EXPECTED) and np.array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "got 0 bytes"),
        (binary_batch()[:-1], f"got {ROWS * 3073 - 1} bytes"),
        (b"\x0b" + binary_batch()[1:], "labels from 0 to 9; got 11"),
    ],
)
def test_damaged_binary_batch_is_one_sentence(content, fragment):
    with pytest.raises(UserError) as caught:
        parse_binary_batch(content, "batch")
    assert fragment in str(caught.value)


@pytest.mark.data
def test_real_python_batch_in_binary_form_is_the_published_binary_batch():
    folder = os.environ.get("ASCRIBE_DATA")
    path = Path(folder or "") / cifar10.PYTHON_FOLDER / "test_batch"
    if not folder or not path.is_file():
        pytest.skip("ASCRIBE_DATA has no cifar-10-batches-py")
    images, labels = parse_python_batch(path.read_bytes(), "test_batch")
    assert np.bincount(labels).tolist() == [1000] * 10
    records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(-1, PIXELS)], axis=1)
    assert md5(records.tobytes()) == cifar10.BINARY_FILES["test_batch.bin"]


# --- Where files come from ----------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """ASCRIBE_DATA and the cache in a temporary folder, and no download without notice."""
    import pooch

    given, cache = tmp_path / "given", tmp_path / "cache"
    given.mkdir()
    monkeypatch.setenv("ASCRIBE_DATA", str(given))
    monkeypatch.setattr(pooch, "os_cache", lambda project: cache / project)
    monkeypatch.setattr(pooch, "retrieve", lambda *_, **__: pytest.fail("a download was started"))
    return given, cache / "ascribe"


def fashion_files() -> dict[str, bytes]:
    generator = np.random.default_rng(2)
    return {
        name: gzip.compress(
            idx(generator.integers(0, 256, (count, 28, 28)) if "images" in name else np.arange(count, dtype=np.uint8) % 10)
        )
        for name, count in zip(fashion_mnist.FILES, (200, 200, 50, 50), strict=True)
    }


def test_fashion_mnist_from_the_users_folder(folders, monkeypatch):
    given, _ = folders
    (given / "fashion-mnist").mkdir()
    contents = fashion_files()
    for name, content in contents.items():
        (given / "fashion-mnist" / name).write_bytes(content)
    monkeypatch.setattr(fashion_mnist, "FILES", {name: md5(content) for name, content in contents.items()})
    data = datasets.load("fashion-mnist")
    assert [len(split) for _, split in data.splits] == [180, 20, 50]
    assert (data.input_shape, data.class_names[0], data.task) == ((28, 28, 1), "t-shirt", "classification")
    assert data.train.inputs.mean() == pytest.approx(0.0, abs=1e-4)
    pair = datasets.load("fashion-mnist", classes=("coat", 6), standardize=False)
    assert (pair.class_names, pair.task, pair.train.inputs.max()) == (("coat", "shirt"), "binary", 1.0)


def test_files_that_are_not_the_published_ones_are_refused(folders):
    given, _ = folders
    (given / "fashion-mnist").mkdir()
    for name, content in fashion_files().items():
        (given / "fashion-mnist" / name).write_bytes(content)
    with pytest.raises(UserError, match=r"is not the published one.*delete it and download it again"):
        datasets.load("fashion-mnist")


def test_cache_is_used_and_failed_downloads_name_the_way_out(folders, monkeypatch):
    import pooch

    _, cache = folders
    contents = fashion_files()
    monkeypatch.setattr(fashion_mnist, "FILES", {name: md5(content) for name, content in contents.items()})
    asked = []

    def retrieve(url, known_hash, fname, path, downloader):
        asked.append((url, known_hash, downloader.kwargs["timeout"]))
        Path(path).mkdir(parents=True, exist_ok=True)
        (Path(path) / fname).write_bytes(contents[fname])
        return str(Path(path) / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    first = datasets.load("fashion-mnist")
    assert [url for url, _, _ in asked] == [fashion_mnist.ADDRESS + name for name in contents]
    assert all(known == f"md5:{md5(contents[url.rsplit('/', 1)[1]])}" for url, known, _ in asked)
    assert all(timeout <= 30 for _, _, timeout in asked)
    assert datasets.load("fashion-mnist").checksum == first.checksum and len(asked) == 4

    next((cache / "fashion-mnist").iterdir()).unlink()
    for error in (OSError("no route"), ValueError("hash mismatch")):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(pooch, "retrieve", fail)
        with pytest.raises(UserError, match=r"could not be downloaded.*set ASCRIBE_DATA"):
            datasets.load("fashion-mnist")


def test_ascribe_data_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ASCRIBE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="ASCRIBE_DATA is an existing folder"):
        downloads.data_folders()


def test_cifar_archive_is_unpacked_by_known_names_only(folders, monkeypatch, tmp_path):
    import pooch

    _, cache = folders
    batch, archive = tmp_path / "batch", tmp_path / "cifar.tar.gz"
    batch.write_bytes(binary_batch())
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(batch, "../escaped")
        for name in cifar10.BINARY_FILES:
            packed.add(batch, f"{cifar10.BINARY_FOLDER}/{name}")
    monkeypatch.setattr(pooch, "retrieve", lambda *_, **__: str(archive))
    monkeypatch.setattr(cifar10, "BINARY_FILES", dict.fromkeys(cifar10.BINARY_FILES, md5(binary_batch())))
    data = datasets.load("cifar10", samples=200, test_samples=50)
    assert data.input_shape == (32, 32, 3) and len(data.test) == 50
    assert not (cache / "escaped").exists() and not (cache.parent / "escaped").exists()
    assert sorted(path.name for path in (cache / cifar10.BINARY_FOLDER).iterdir()) == sorted(cifar10.BINARY_FILES)
    mean = data.train.inputs.astype(np.float64).mean(axis=(0, 1, 2))
    assert mean == pytest.approx(np.zeros(3), abs=1e-6)

    archive.write_bytes(archive.read_bytes()[:5000])
    with pytest.raises(UserError, match="could not be unpacked"):
        cifar10.unpack(archive, cache / "again")


def test_unpacked_files_and_those_of_torchvision_are_found_and_checked(folders, monkeypatch):
    given, _ = folders
    contents = fashion_files()
    monkeypatch.setattr(fashion_mnist, "FILES", {name: md5(content) for name, content in contents.items()})
    places = ("FashionMNIST/raw/{}", "fashion-mnist/{}", "FashionMNIST/raw/{}.gz", "fashion-mnist/{}")
    for place, (name, content) in zip(places, contents.items(), strict=True):
        plain = name.removesuffix(".gz") if "t10k-labels" not in name else "t10k-labels.idx1-ubyte"
        path = given / place.format(plain)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if place.endswith(".gz") else gzip.decompress(content))
    assert [len(split) for _, split in datasets.load("fashion-mnist").splits] == [180, 20, 50]

    (given / "mnist").mkdir()
    for name, content in contents.items():
        (given / "mnist" / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte is not the published one"):
        datasets.load("mnist")
    monkeypatch.setattr(
        mnist,
        "UNPACKED",
        {name.removesuffix(".gz"): md5(gzip.decompress(content)) for name, content in contents.items()},
    )
    assert [len(split) for _, split in datasets.load("mnist").splits] == [180, 20, 50]


def test_an_archive_of_the_users_own_is_unpacked_and_missing_batches_are_named(folders, monkeypatch, tmp_path):
    import pooch

    given, cache = folders
    batch = tmp_path / "batch"
    batch.write_bytes(binary_batch())
    monkeypatch.setattr(cifar10, "BINARY_FILES", dict.fromkeys(cifar10.BINARY_FILES, md5(binary_batch())))

    def fail(*_, **__):
        raise OSError("no route")

    monkeypatch.setattr(pooch, "retrieve", fail)
    (given / "cifar-10-batches-py").mkdir()
    for name in cifar10.PYTHON_FILES:
        if name not in ("data_batch_2", "test_batch"):
            (given / "cifar-10-batches-py" / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"cifar-10-batches-py/ of CIFAR-10 lacks data_batch_2, test_batch, and the whole"):
        datasets.load("cifar10")
    (given / "archives").mkdir()
    archive = given / "archives" / cifar10.ARCHIVE
    archive.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"archives/cifar-10-binary\.tar\.gz is not the published one"):
        datasets.load("cifar10")
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        for name in cifar10.BINARY_FILES:
            packed.add(batch, f"{cifar10.BINARY_FOLDER}/{name}")
    monkeypatch.setattr(cifar10, "ARCHIVE_MD5", md5(archive.read_bytes()))
    assert datasets.load("cifar10", samples=200, test_samples=50).input_shape == (32, 32, 3)
    assert not (given / "cifar-10-batches-bin").exists() and (cache / "cifar-10-batches-bin").is_dir()
