"""What holds a folder."""

from ascribe.store import lock


def test_it_lets_go_where_the_modules_are_gone_already(tmp_path, monkeypatch):
    """As at the end of Python, where an exception in `__del__` would be printed."""
    held, other = lock.FolderLock(tmp_path), lock.FolderLock(tmp_path)
    assert not other.alone()
    with monkeypatch.context() as gone:
        gone.setattr(lock, "os", None)
        held.__del__()
    assert other.alone()
    other.close()
