"""No password of an address is told, however it is written."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from ascribe.addresses import passwords, told
from ascribe.cli import main
from ascribe.store import DATABASE

SECRET = "geheim"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://user:geheim@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:geh@geheim@host:5432/name", "postgresql://user:***@host:5432/name"),
        ("postgresql://user:geheim/geheim@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:geheim?geheim@host/name", "postgresql://user:***@host/name"),
        ("postgresql://user:geheim#geheim@host/name", "postgresql://user:***@host/name"),
        ("postgresql://host/name?password=geheim", "postgresql://host/name?password=***"),
        ("postgresql://host/name?user=me&sslPassword=geheim&x=1", "postgresql://host/name?user=me&sslPassword=***&x=1"),
        ("postgresql://host/name?pass%77ord=geheim", "postgresql://host/name?pass%77ord=***"),
        ("mysql://user:geheim@host", "mysql://user:***@host"),
        ("--store=postgresql://:geheim@host/name", "--store=postgresql://:***@host/name"),
        ("http://user:geheim@host:5000", "http://user:***@host:5000"),
    ],
)
def test_passwords_are_starred(address, expected):
    assert SECRET in address
    assert told(address) == expected


@pytest.mark.parametrize(
    "text",
    ["moons", "a:b@c", "sqlite:///runs.sqlite", "postgresql://host:5432/name?user=me", "postgresql://user@host/name"],
)
def test_what_has_none_is_told_as_it_is(text):
    assert told(text) == text


def test_a_password_is_known_as_it_is_meant_and_as_it_is_written():
    assert passwords("postgresql://user:a%20b@host/name?sslpassword=c+d") == {"a%20b", "a b", "c d", "c%20d"}
    assert passwords("postgresql://[host/name") == passwords("sqlite:///x") == set()


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:notaport/name",
        f"postgresql://user:x@{SECRET}@127.0.0.1:1/name",
        f"mysql://user:{SECRET}@host/name",
        f"postgresql+psycopg2://user:{SECRET}@host/name",
        f"postgresql://[::1/name?password={SECRET}",
    ],
)
def test_no_error_tells_one(address, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ascribe.store.database.WAIT", 0.0)
    compare = ["compare", "moons", "--samples", "60", "--rules", "backprop", "--seeds", "1", "--epochs", "1"]
    assert main([*compare, "--store", address]) == 2
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err and printed.err.startswith("ascribe: ")
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.rglob(DATABASE))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells where the arguments are")
def test_a_running_process_shows_none_in_its_title():
    address = f"postgresql://user:{SECRET}@127.0.0.1:1/name"  # where nobody answers: it waits
    command = [sys.executable, "-m", "ascribe", "compare", "moons", "--store", address, "--seeds", "2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        title, deadline = SECRET.encode(), time.monotonic() + 30
        while SECRET.encode() in title and time.monotonic() < deadline:
            time.sleep(0.05)
            title = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert process.poll() is None
        assert b"\0--store\0postgresql://user:***@127.0.0.1:1/name\0--seeds\0002\0" in title
    finally:
        process.kill()
        process.wait()
