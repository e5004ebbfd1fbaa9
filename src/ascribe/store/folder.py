"""Writing a folder whole or not at all."""

import contextlib
import glob
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ascribe.checks import flag
from ascribe.errors import UserError, shown

from .lock import FolderLock

RECORD = "record.json"
"""The record of a comparison, in its folder."""
DISCOVERY = "discovery.json"
"""The record of a discovery, in its folder."""
DATABASE = "ascribe.sqlite"
"""The store of runs, in its folder."""
FOLDS = "folds"
"""The folder in that of a record of cross-validation where every fold has its own."""
REPLACEMENT = "replacement"
"""The folder in that of a record where `--overwrite` works until what it makes is finished and takes the record's place."""
FILES = {
    RECORD: (
        *("runs.csv", "curves", "parameters", FOLDS, "data.npz", "statistics.npz", "landscape.npz"),
        *("index.html", "figures"),
    ),
    DISCOVERY: ("found.json", "table.csv", "curves.npz", "index.html", "figures"),
}
"""What a record may have beside it; records list their files too."""
RECORDS = tuple(FILES)
"""The files without which a folder is unfinished."""
PATIENCE = 30.0
"""Seconds that another process may hold a folder which is to be replaced."""


def check_folder(folder: Path, *, overwrite: bool = False, resume: bool = False, record: str = RECORD) -> None:
    """A `UserError` where results cannot be written to `folder`: asked before hours of work, not after.

    An empty or absent folder is fine, and one with an empty store; one that holds the file `record` needs `overwrite`, or a
    store to `resume` from; one with work in its store and no record is unfinished and needs either; anything else there is
    left alone. Both are for a replacement that was begun and is unfinished.
    """
    folder = _behind(folder)
    try:
        if folder.exists() and not folder.is_dir():
            raise UserError(f"results go into a folder, but {str(folder)!r} is a file: choose another --out.")
        tidy(folder)
        here = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        if here - set(_of_a_store(DATABASE)) or begun(folder):
            unfinished = begun(folder)
            if record not in here and not unfinished:
                raise UserError(
                    f"{str(folder)!r} holds files that are no finished ascribe record: choose an empty or new folder for --out."
                )
            if any(other in here for other in (RECORD, DISCOVERY) if other != record):
                raise UserError(f"{str(folder)!r} holds the record of another command: choose another --out.")
            if record not in here and not (overwrite or resume):
                raise UserError(
                    f"{str(folder)!r} holds unfinished work: add --resume to go on with it, --overwrite to begin "
                    f"anew, or choose another --out."
                )
            if not (overwrite or (resume and unfinished)):
                more = " --resume to add to it," if unfinished else ""
                raise UserError(
                    f"{str(folder)!r} holds an earlier record: choose another --out, or add{more} --overwrite to replace it."
                )
            if overwrite and not resume and begun(folder / REPLACEMENT):
                raise UserError(
                    f"an earlier --overwrite of {str(folder)!r} was not finished: add --resume to go on with it, or remove "
                    f"{str(folder / REPLACEMENT)!r}."
                )
        nearest = next(path for path in folder.absolute().parents if path.exists())
        with tempfile.TemporaryDirectory(dir=nearest, prefix=_prefix(folder, "try")):
            pass
        if folder.is_dir() and not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise UserError(
            f"results cannot be written to {shown(str(folder), 300)} ({error.strerror}): choose a folder that you may write to."
        ) from error


def begun(folder: Path) -> bool:
    """Whether the store in this folder holds an experiment or a run (or cannot be asked, and its own words will tell why)."""
    file = folder / DATABASE
    if not file.is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=PATIENCE)) as asked:
            return any(asked.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in ("experiments", "runs"))
    except sqlite3.Error:
        return True


def working_folder(folder: Path, *, overwrite: bool) -> Path:
    """Where the work for `folder` is kept until it is finished: there, or apart from what is to be replaced."""
    return folder / REPLACEMENT if overwrite and _written(folder) else folder


@contextmanager
def whole_folder(
    folder: Path, *, overwrite: bool = False, record: str = RECORD, replacing: Path | None = None
) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the block ends well, and vanishes when it does not.

    A store in `folder` stays where it is, and the new files take their places one by one, the record last; `replacing`: the
    folder of another store, which comes to stand in place of everything that an earlier record has. What belongs to no record
    stays in any case.
    """
    folder = _behind(folder)
    check_folder(folder, overwrite=flag("overwrite", overwrite), record=record, resume=replacing is not None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_prefix(folder, "new")))
    try:
        with FolderLock(temporary):
            yield temporary
            os.chmod(temporary, 0o777 & ~_umask())
            if (folder / DATABASE).is_file() and replacing is None:
                _place(temporary, folder, record)
            elif folder.exists() and any(folder.iterdir()):
                _exchange(temporary, folder, replacing)
            else:
                os.replace(temporary, folder)
    except OSError as error:
        raise UserError(f"results cannot be written to {str(folder)!r} ({error.strerror}).") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _behind(folder: Path) -> Path:
    """The folder itself, where its path is a link: the link stays."""
    try:
        return folder.resolve() if folder.is_symlink() else folder
    except (OSError, RuntimeError):  # a name that none can have or a link to itself, of which `check_folder` tells
        return folder


def _place(new: Path, folder: Path, record: str) -> None:
    """Every part of `new` into `folder`, the record last, and what only the earlier record had goes."""
    before = _written(folder) - set(_of_a_store(DATABASE))
    (folder / record).unlink(missing_ok=True)
    for part in sorted(new.iterdir(), key=lambda part: part.name == record):
        place = folder / part.name
        if place.is_dir():
            shutil.rmtree(place)
        os.replace(part, place)
        before.discard(part.name)
    _remove(folder / name for name in before)


def _exchange(new: Path, folder: Path, replacing: Path | None) -> None:
    """`new` for `folder`, at once."""
    lock, deadline = FolderLock(folder), time.monotonic() + PATIENCE
    try:
        while lock.works and not lock.alone():
            if time.monotonic() > deadline:
                raise UserError(
                    f"{str(folder)!r} is in use by another process, so it was not replaced; what was done is kept: "
                    f"add --overwrite --resume to replace it when that has ended."
                )
            time.sleep(0.1)
        old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_prefix(folder, "old")))
        os.replace(folder, old)
        try:
            os.replace(new, folder)
        except BaseException:
            os.replace(old, folder)
            raise
        _inherit(folder, old)
    finally:
        lock.close()


def _inherit(folder: Path, old: Path) -> None:
    """What `folder` takes over from the one that it has replaced: the store of its own work, and what belongs to no record."""
    if not (folder / DATABASE).exists():
        for name in _of_a_store(DATABASE):
            with contextlib.suppress(FileNotFoundError):
                os.replace(old / REPLACEMENT / name, folder / name)
    written = _written(old)
    for part in old.iterdir():
        if part.name not in written and not (folder / part.name).exists():
            os.replace(part, folder / part.name)
    shutil.rmtree(old)


def tidy(folder: Path) -> None:
    """Removes what a killed process left beside `folder` when it wrote there, or brings it to its end; what a living one is
    writing stays."""
    for kind in ("old", "new"):
        for left in sorted(folder.parent.glob(f"{glob.escape(_prefix(folder, kind))}????????")):
            lock = FolderLock(left)
            try:
                if not left.is_dir() or not lock.alone():
                    continue
                if kind == "new":
                    shutil.rmtree(left)
                elif folder.exists():
                    _inherit(folder, left)
                else:  # killed between the two moves
                    os.replace(left, folder)
            finally:
                lock.close()


def _prefix(folder: Path, kind: str) -> str:
    return f".{folder.name}.ascribe-{kind}-"


def _of_a_store(name: str) -> tuple[str, str, str]:
    """An SQLite file, and those that it has beside it while it is open."""
    return name, f"{name}-wal", f"{name}-shm"


def _written(folder: Path) -> set[str]:
    """The names in a folder that ascribe has written: of its records, and of its store."""
    names = {name for name in (*_of_a_store(DATABASE), REPLACEMENT) if (folder / name).exists()}
    for path in folder.glob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            files = [Path(file).parts[0] for file in content.get("files", ())]
        except (OSError, ValueError, RecursionError, AttributeError, TypeError, IndexError):
            files = []
        if files or path.name in FILES:
            names |= {path.name, *files, *FILES.get(path.name, ())}
    return {name for name in names if (folder / name).exists()}


def _remove(paths: Iterator[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def free_folder(parent: Path, name: str) -> Path:
    """The first of `parent/name-001`, `-002`, … that does not exist yet."""
    return next(folder for folder in _numbered(parent, name) if not folder.exists())


def _numbered(parent: Path, name: str) -> Iterator[Path]:
    return (parent / f"{name}-{number:03d}" for number in itertools.count(1))


def fresh_folder(parent: Path, name: str) -> Path:
    """Makes the first of `parent/name-001`, `-002`, … that does not exist yet: it is then nobody else's."""
    for folder in _numbered(parent, name):
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"results cannot be written to {shown(str(folder), 300)} ({error.strerror}): choose another folder with --out."
            ) from error
    raise AssertionError


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
