"""Which epochs get a point, and what is said where an extra is missing."""

import itertools
import sys

import pytest

from ascribe import loggers
from ascribe.errors import UserError
from ascribe.loggers.common import picked
from ascribe.training import Epochs


def chunk(start, stop, total):
    return Epochs("rule", "training", (0,), (0.1,), ({},), start, stop, total, {})


@pytest.mark.parametrize("total", [1, 2, 7, 50, 199, 200, 201, 1000, 12345])
@pytest.mark.parametrize("points", [1, 3, 200])
def test_a_curve_has_at_most_so_many_points_and_ends_with_its_last_epoch(total, points):
    whole = picked(chunk(0, total, total), points)
    assert 1 <= len(whole) <= points
    assert len(whole) == total or len(whole) > points / 2
    assert whole[-1] == total - 1
    assert len({b - a for a, b in itertools.pairwise(whole)}) <= 1
    half = total // 2
    assert picked(chunk(0, half, total), points) + picked(chunk(half, total, total), points) == whole


@pytest.mark.parametrize("points", [0, -1, True])
def test_points_are_a_positive_integer(points, tmp_path):
    for make in (loggers.TensorBoardLogger, loggers.MLflowLogger):
        with pytest.raises(UserError, match="`points` is a positive integer; got"):
            make(str(tmp_path), points=points)


@pytest.mark.parametrize(
    ("make", "package", "extra"),
    [
        (loggers.TensorBoardLogger, "tensorboard", "tensorboard"),
        (lambda folder: loggers.MLflowLogger("moons"), "mlflow", "mlflow"),
    ],
)
def test_a_missing_extra_is_a_sentence_with_its_command(make, package, extra, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(UserError, match=rf"needs {package}.*: pip install 'ascribe-learning\[{extra}\]'\."):
        make(tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
