"""`--workers` and `--scheduler`: where the training is done, if not in this process."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from ascribe.errors import UserError


def cluster(
    scheduler: str | None, workers: int | None, certificates: Sequence[Path | None], *, insecure: bool
) -> AbstractContextManager[Any]:
    """The cluster that was asked for; None where none was. `certificates`: the authority's, one's own, and its key."""
    if scheduler is not None and workers is not None:
        raise UserError("--scheduler names workers that run already and --workers starts some: give one of them.")
    names = ("tls_ca", "tls_cert", "tls_key")
    given = {name: str(path) for name, path in zip(names, certificates, strict=True) if path is not None}
    if scheduler is None and (given or insecure):
        raise UserError(
            "--tls-ca, --tls-cert, --tls-key and --insecure are about a scheduler: name it with --scheduler."
        )
    if scheduler is None and workers is None:
        return nullcontext()
    from ascribe.cluster import Cluster  # noqa: PLC0415 - late, so that --help is instant

    return Cluster(scheduler, workers=workers, insecure=insecure, **given)
