"""CIFAR-10: 60,000 small color images of ten kinds of things."""

import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ascribe.errors import UserError

from .base import Card
from .cifar_format import parse_binary_batch, parse_python_batch
from .downloads import available, cache_folder, download, find, read_checked
from .images import Images, ImageSet, loader

CARD = Card(
    title="CIFAR-10",
    description=(
        "Color images of ten kinds of animals and vehicles, 32 x 32 pixels: 50,000 to train on, 10 % of them kept "
        "for validation, and 10,000 to test on."
    ),
    source=(
        "Krizhevsky, Learning Multiple Layers of Features from Tiny Images, technical report, University of "
        "Toronto, 2009; collected by Krizhevsky, Nair and Hinton."
    ),
    license="None stated by its makers; cite the technical report and do not redistribute",
    url="https://www.cs.toronto.edu/~kriz/cifar.html",
    task="classification",
    size="50,000 + 10,000 images of 32 × 32 × 3",
)

ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
ADDRESS = "https://www.cs.toronto.edu/~kriz/"
PYTHON_FOLDER = "cifar-10-batches-py"
PYTHON_FILES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
BINARY_FOLDER = "cifar-10-batches-bin"
BINARY_FILES = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def unpack(archive: Path, target: Path) -> None:
    """Write the six batches of the downloaded archive into the folder `target`, and nothing else.

    Only the known names are taken out and each is written under its own base name, so that no path in the
    archive can lead elsewhere.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as packed:
            for name in BINARY_FILES:
                member = packed.extractfile(f"{BINARY_FOLDER}/{name}")
                if member is None:
                    raise KeyError(name)
                part = target / f"{name}.part"
                part.write_bytes(member.read())
                part.replace(target / name)
    except (OSError, EOFError, KeyError, zlib.error, tarfile.TarError) as error:
        raise UserError(
            f"the archive {archive} could not be unpacked into {target} ({error}): delete it and try again."
        ) from None


def read_batches(folder: str, files: dict[str, str], parse: Callable[[bytes, str], Images]) -> tuple[Images, Images]:
    """The training and the test images of the batches in `folder`, the last of `files` being the test batch."""
    batches = []
    for name, md5 in files.items():
        path = find(folder, name)
        if path is None:
            raise UserError(f"the file {folder}/{name} of CIFAR-10 is missing: download the data set again.")
        batches.append(parse(read_checked(path, md5), name))
    train = Images(
        np.concatenate([batch.images for batch in batches[:-1]]),
        np.concatenate([batch.labels for batch in batches[:-1]]),
    )
    return train, batches[-1]


def _archive() -> Path:
    """The archive of the binary version: from a data folder, checked, or else downloaded.

    **Raises:** `UserError`; where some batches are there and others are not, the sentence names those that are missing.
    """
    for folder in ("archives", "."):
        path = find(folder, ARCHIVE)
        if path is not None:
            read_checked(path, ARCHIVE_MD5)
            return path
    try:
        return download(ADDRESS + ARCHIVE, "archives", ARCHIVE, ARCHIVE_MD5)
    except UserError as error:
        for folder, files in ((PYTHON_FOLDER, PYTHON_FILES), (BINARY_FOLDER, BINARY_FILES)):
            missing = [name for name in files if find(folder, name) is None]
            if 0 < len(missing) < len(files):
                raise UserError(
                    f"the folder {folder}/ of CIFAR-10 lacks {', '.join(missing)}, and the whole could not be downloaded: "
                    f"put the missing there, or {ARCHIVE} into a folder archives/ beside it."
                ) from error
        raise


@loader
def cifar10(_: int) -> ImageSet:
    """Inputs `(examples, 32, 32, 3)`: pixels in [0, 1], then standardized per channel on the training part.

    `classes=("cat", "dog")`, or their numbers, keeps two classes and makes the task binary; `samples` and `test_samples`
    keep a random part.

    **Raises:** `UserError` on a bad option or if the files cannot be had.
    """
    if available(PYTHON_FOLDER, PYTHON_FILES):
        images = read_batches(PYTHON_FOLDER, PYTHON_FILES, parse_python_batch)
    else:
        if not available(BINARY_FOLDER, BINARY_FILES):
            unpack(_archive(), cache_folder() / BINARY_FOLDER)
        images = read_batches(BINARY_FOLDER, BINARY_FILES, parse_binary_batch)
    return ImageSet("cifar10", CARD, CLASS_NAMES, *images)
