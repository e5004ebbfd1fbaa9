"""What holds a folder."""

import subprocess
import sys


def test_it_lets_go_at_the_end_of_a_script_without_a_word(tmp_path):
    """Where Python has taken its modules apart already, and an exception would be printed."""
    program = f"""
import pathlib
from ascribe.store.lock import FolderLock
held, other = (FolderLock(pathlib.Path({str(tmp_path)!r})) for _ in range(2))
print(held.alone(), end=" ")
other.close()
print(held.alone())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout.split(), done.stderr) == ([b"False", b"True"], b"")
