"""Fashion-MNIST: 70,000 small images of clothes, in the files and shapes of MNIST."""

from .base import Card
from .images import ImageSet, loader
from .mnist import read_images

CARD = Card(
    title="Fashion-MNIST",
    description=(
        "Gray images of ten kinds of clothing, 28 x 28 pixels: 60,000 to train on, 10 % of them kept for "
        "validation, and 10,000 to test on."
    ),
    source=(
        "Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning "
        "Algorithms, arXiv:1708.07747, 2017; Zalando SE."
    ),
    license="MIT",
    url="https://github.com/zalandoresearch/fashion-mnist",
    task="classification",
    size="60,000 + 10,000 images of 28 × 28",
)

FOLDER = "fashion-mnist"
# Published without https; the MD5 is checked after the download.
ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FILES = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
RAW = "FashionMNIST/raw"
"""Where torchvision keeps the files, packed and unpacked."""
CLASS_NAMES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@loader
def fashion_mnist(_: int) -> ImageSet:
    """Inputs `(examples, 28, 28, 1)`: pixels in [0, 1], then standardized with one mean and scale of the training part.

    `classes=("coat", "shirt")`, or their numbers, keeps two classes and makes the task binary; `samples` and
    `test_samples` keep a random part.

    **Raises:** `UserError` on a bad option or if the files cannot be had.
    """
    return ImageSet("fashion-mnist", CARD, CLASS_NAMES, *read_images((FOLDER, RAW), FILES, ADDRESS, {}))
