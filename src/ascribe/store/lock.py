"""Who else uses a folder: an advisory lock on the folder itself, which leaves no file and ends with the process."""

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: nobody is then known to be alone
    fcntl = None


class FolderLock:
    """Held together with others from the beginning to `close()`. Without effect where the system or the file system has no such
    locks, or the folder cannot be opened."""

    def __init__(self, folder: Path):
        self._descriptor: int | None = None
        self._close = os.close  # kept, for at the end of Python modules lose their names before objects go
        self.works = False
        """Whether there are such locks here."""
        if fcntl is not None:
            with contextlib.suppress(OSError):
                self._descriptor = os.open(folder, os.O_RDONLY)
                fcntl.flock(self._descriptor, fcntl.LOCK_SH)  # who is alone is so for a moment
                self.works = True

    def alone(self) -> bool:
        """Whether nobody else holds it, as far as one can know; from then on nobody else can."""
        if fcntl is None or self._descriptor is None or not self.works:
            return False
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            with contextlib.suppress(OSError):  # which the attempt may have given up
                fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False

    def close(self) -> None:
        """Lets go of it."""
        if self._descriptor is not None:
            self._close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
