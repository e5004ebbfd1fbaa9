"""`--workers` and `--scheduler`: where the training is done, if not in this process."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ascribe.errors import UserError


def cluster(scheduler: str | None, workers: int | None) -> AbstractContextManager[Any]:
    """The cluster that was asked for; None where none was."""
    if scheduler is not None and workers is not None:
        raise UserError("--scheduler names workers that run already and --workers starts some: give one of them.")
    if scheduler is None and workers is None:
        return nullcontext()
    from ascribe.cluster import Cluster  # noqa: PLC0415 - late, so that --help is instant

    return Cluster(scheduler, workers=workers)
