"""`--tensorboard` and `--mlflow`: who else hears the numbers while they are computed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ascribe import training


@contextmanager
def heard_by(lines: training.Listener, name: str, tensorboard: Path | None, mlflow: str | None) -> Iterator[training.Listener]:
    """The terminal's listener, and with it the loggers that were asked for; MLflow's has everything when the block ends."""
    listeners = [lines]
    new = tensorboard is not None and not tensorboard.exists()
    if tensorboard is not None:
        from ascribe.loggers import TensorBoardLogger  # noqa: PLC0415 - an extra

        listeners.append(TensorBoardLogger(tensorboard))
    try:
        if mlflow is None:
            yield training.Listeners(*listeners)
            return
        from ascribe.loggers import MLflowLogger  # noqa: PLC0415 - an extra

        with MLflowLogger(name, tracking_uri=mlflow) as logger:
            yield training.Listeners(*listeners, logger)
    finally:
        if tensorboard is not None and new:
            with suppress(OSError):  # it holds what was heard
                tensorboard.rmdir()
