"""Writing a folder whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ascribe.errors import UserError

RECORD = "record.json"
"""The record of a comparison, in its folder."""
DISCOVERY = "discovery.json"
"""The record of a discovery, in its folder."""
DATABASE = "ascribe.sqlite"
"""The store of runs, in its folder."""


def check_folder(folder: Path, *, overwrite: bool = False, resume: bool = False, record: str = RECORD) -> None:
    """A `UserError` where results cannot be written to `folder`: asked before hours of work, not after.

    An empty or absent folder is fine; one that holds the file `record` needs `overwrite`, or a database to `resume` from; one
    with a database and no record is unfinished and needs either; anything else there is left alone.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"results go into a folder, but {str(folder)!r} is a file: choose another --out.")
        if folder.is_dir() and any(folder.iterdir()):
            unfinished = (folder / DATABASE).is_file()
            if not (folder / record).is_file() and not unfinished:
                raise UserError(
                    f"{str(folder)!r} holds files that are no finished ascribe record: "
                    f"choose an empty or new folder for --out."
                )
            if any((folder / other).is_file() for other in (RECORD, DISCOVERY) if other != record):
                raise UserError(f"{str(folder)!r} holds the record of another command: choose another --out.")
            if not (folder / record).is_file() and not (overwrite or resume):
                raise UserError(
                    f"{str(folder)!r} holds unfinished work: add --resume to go on with it, --overwrite to begin "
                    f"anew, or choose another --out."
                )
            if not (overwrite or (resume and unfinished)):
                more = " --resume to add to it," if unfinished else ""
                raise UserError(
                    f"{str(folder)!r} holds an earlier record: choose another --out, or add{more} --overwrite to replace it."
                )
        nearest = next(path for path in folder.absolute().parents if path.exists())
        with tempfile.TemporaryDirectory(dir=nearest, prefix=".ascribe-"):
            pass
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UserError(
            f"results cannot be written to {str(folder)!r} ({error.strerror}): choose a folder that you may write to."
        ) from error


@contextmanager
def whole_folder(folder: Path, *, overwrite: bool = False, record: str = RECORD) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well, and vanishes when it does not. A
    database in `folder` stays where it is, and the new files take their places one by one, the record last."""
    check_folder(folder, overwrite=overwrite, record=record)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        if (folder / DATABASE).is_file():
            (folder / record).unlink(missing_ok=True)
            for part in sorted(temporary.iterdir(), key=lambda part: part.name == record):
                place = folder / part.name
                if place.is_dir():
                    shutil.rmtree(place)
                os.replace(part, place)
        elif folder.exists() and any(folder.iterdir()):
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-old-"))
            os.replace(folder, old)
            try:
                os.replace(temporary, folder)
            except BaseException:
                os.replace(old, folder)
                raise
            shutil.rmtree(old)
        else:
            os.replace(temporary, folder)
    except OSError as error:
        raise UserError(f"results cannot be written to {str(folder)!r} ({error.strerror}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fresh_folder(parent: Path, name: str) -> Path:
    """Makes the first of `parent/name-001`, `-002`, … that does not exist yet: it is then nobody else's."""
    number = 1
    while True:
        folder = parent / f"{name}-{number:03d}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise UserError(
                f"results cannot be written to {str(folder)!r} ({error.strerror}): choose another folder with --out."
            ) from error


def give_back(folder: Path) -> None:
    """Removes a folder that `fresh_folder` made, if it is still empty, and its parent likewise."""
    for empty in (folder, folder.parent):
        try:
            empty.rmdir()
        except OSError:  # it holds something
            return


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
