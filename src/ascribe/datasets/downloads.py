"""Where the files of the large data sets lie: the user's folder, the cache, or a public address; always checked.

The environment variable `ASCRIBE_DATA` names a folder that holds `mnist/`, `fashion-mnist/`,
`cifar-10-batches-py/` or `cifar-10-batches-bin/`, or what torchvision keeps in such a folder. What is not there is looked for
in the user's cache folder, and what is not there either is downloaded into it.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ascribe.errors import UserError, shown

VARIABLE = "ASCRIBE_DATA"
TIMEOUT = 10.0  # seconds without an answer before a download is given up


def cache_folder() -> Path:
    """The folder in which downloads are kept: `ascribe` in the cache folder of the operating system."""
    import pooch  # noqa: PLC0415  (only the large data sets need it)

    return Path(pooch.os_cache("ascribe"))


def data_folders() -> list[Path]:
    """The folders that may hold data, the first to look in first.

    **Raises:** `UserError` if `ASCRIBE_DATA` is set to something that is not a folder.
    """
    folders = []
    named = os.environ.get(VARIABLE, "")
    if named:
        if not Path(named).is_dir():
            raise UserError(f"{VARIABLE} is an existing folder; got {named!r}: correct it or unset it.")
        folders.append(Path(named))
    folders.append(cache_folder())
    return folders


def find(folder: str, name: str) -> Path | None:
    """The file `folder/name` in the first data folder that has it, or None."""
    for root in data_folders():
        path = root / folder / name
        if path.is_file():
            return path
    return None


def size_of(path: Path) -> int:
    """The bytes that a file has; 0 where it cannot be asked, for reading it will tell why."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def read_bytes(path: Path, *, limit: int | None = None) -> bytes:
    """The bytes of a file (the first `limit` of them); a file that cannot be read is a `UserError`."""
    try:
        with path.open("rb") as stream:
            return stream.read(-1 if limit is None else limit)
    except PermissionError:
        raise UserError(
            f"the file {path} exists but may not be read: give yourself the right to read it and try again."
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"the file {shown(str(path))} could not be read ({reason}): try a copy of it.") from None


@contextmanager
def readable(path: Path, kind: str, advice: str) -> Iterator[None]:
    """What a library raises inside depends on where the damage of a file is; it comes out as one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()).split(". ")[0][:80]
        raise UserError(f"{path} is not a readable {kind} ({reason}): {advice}.") from None


def read_checked(path: Path, md5: str) -> bytes:
    """The bytes of a file whose MD5 is the published one; any other content is a `UserError`.

    MD5 is what the publishers give: it finds damaged and mistaken files, not forged ones.
    """
    content = read_bytes(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise UserError(
            f"the file {path} is not the published one; got the MD5 {found} in place of {md5}: delete it and download it again."
        )
    return content


def download(url: str, folder: str, name: str, md5: str) -> Path:
    """Download one file into the cache folder and check its MD5; every failure is a `UserError`."""
    import pooch  # noqa: PLC0415

    target = cache_folder() / folder
    # Annotated because the protocol that pooch declares for downloaders does not fit its own.
    downloader: Any = pooch.HTTPDownloader(timeout=TIMEOUT)
    try:
        path = pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=target, downloader=downloader)
    except (OSError, ValueError) as error:
        # pooch raises a plain ValueError for a wrong checksum; what requests raises is an OSError.
        reason = type(error).__name__ if isinstance(error, OSError) else "what came has another checksum"
        raise UserError(
            f"the file {name} could not be downloaded from {url} ({reason}): download it by hand into a folder "
            f"{folder}/ and set {VARIABLE} to the folder around it."
        ) from None
    return Path(path)


def fetch(folder: str, name: str, md5: str, address: str) -> bytes:
    """The checked bytes of `folder/name`, from a data folder or, failing that, from `address + name`."""
    path = find(folder, name)
    if path is None:
        path = download(address + name, folder, name, md5)
    return read_checked(path, md5)


def available(folder: str, files: Mapping[str, str]) -> bool:
    """True if all of `files` lie in `folder` of some data folder, so that nothing would be downloaded."""
    return all(find(folder, name) is not None for name in files)
