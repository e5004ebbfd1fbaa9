"""MNIST: 70,000 handwritten digits, read from the four original IDX files."""

from .base import Card
from .downloads import fetch, find, read_bytes, read_checked
from .idx_format import parse_idx
from .images import Images, ImageSet, loader

CARD = Card(
    title="MNIST handwritten digits",
    description=(
        "Gray images of handwritten digits, 28 x 28 pixels: 60,000 to train on, 10 % of them kept for validation, "
        "and 10,000 to test on."
    ),
    source=(
        "LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document recognition, Proceedings of "
        "the IEEE 86, 1998; made by LeCun, Cortes and Burges."
    ),
    license="CC BY-SA 3.0",
    url="http://yann.lecun.com/exdb/mnist/",
    task="classification",
    size="60,000 + 10,000 images of 28 × 28",
)

FOLDER = "mnist"
ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist/"
FILES = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
RAW = "MNIST/raw"
"""Where torchvision keeps the files, packed and unpacked."""
CLASS_NAMES = tuple(str(digit) for digit in range(10))


def read_images(
    folders: tuple[str, ...], files: dict[str, str], address: str, unpacked: dict[str, str]
) -> tuple[Images, Images]:
    """The training and the test images of a data set in the form of MNIST's four IDX files, packed or unpacked.

    **Arguments:**

    - `folders`: where they may lie, the first being that of a download.
    - `files`: the MD5 of each packed file: training images and labels, then test images and labels.
    - `unpacked`: that of unpacked ones, as far as it is known.

    **Returns:** images of shape `(examples, height, width, 1)`, uint8.

    **Raises:** `UserError` if a file cannot be had or is not the published one.
    """
    arrays = []
    for name, md5 in files.items():
        content = _read(folders, name, md5, unpacked)
        content = fetch(folders[0], name, md5, address) if content is None else content
        arrays.append(parse_idx(content, name, axes=3 if "images" in name else 1))
    train_images, train_labels, test_images, test_labels = arrays
    return Images(train_images[..., None], train_labels), Images(test_images[..., None], test_labels)


def _read(folders: tuple[str, ...], name: str, md5: str, unpacked: dict[str, str]) -> bytes | None:
    """The bytes of the first such file, under one of the names that it goes by; None where there is none."""
    plain = name.removesuffix(".gz")
    for known in (name, plain, plain.replace("-idx", ".idx")):
        for folder in folders:
            path = find(folder, known)
            if path is not None:
                wanted = md5 if known == name else unpacked.get(plain)
                return read_bytes(path) if wanted is None else read_checked(path, wanted)
    return None


def read() -> ImageSet:
    """All the images, as they are published."""
    return ImageSet("mnist", CARD, CLASS_NAMES, *read_images((FOLDER, RAW), FILES, ADDRESS, UNPACKED))


@loader
def mnist(_: int) -> ImageSet:
    """Inputs `(examples, 28, 28, 1)`: pixels in [0, 1], then standardized with one mean and scale of the training part.

    `classes=(3, 8)` keeps two digits and makes the task binary; `samples` and `test_samples` keep a random part.

    **Raises:** `UserError` on a bad option or if the files cannot be had.
    """
    return read()
