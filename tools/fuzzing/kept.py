"""What ascribe keeps: records, discoveries, stores and their addresses, models."""

import hashlib
import json
import pickle
import sqlite3
from typing import Any

import numpy as np
import safetensors.numpy as safetensors_numpy

import ascribe
from ascribe import rules
from ascribe.store import DATABASE
from ascribe.store.model import _checksum as checksum

from .children import Input
from .data import Evil, npy, zipped
from .spoiling import TEXTS, WRONG, flipped, spoiled, wrong_json
from .valid import COMPARE, Maker

ODD = (b"", b"\0", b"\x80\x04N.", b"[]", b"{}", b"null", b"\xff\xfe", b"PK\x05\x06" + bytes(18))


def records(maker: Maker) -> Input:
    """A record of a comparison with one file spoiled or lost, loaded or drawn."""
    chance = maker.chance
    folder = maker.copied("record", "input")
    (folder / DATABASE).unlink()
    if chance.random() < 0.6:
        name = "record.json"
        (folder / name).write_bytes(wrong_json(chance, (folder / name).read_text(encoding="utf-8")))
    else:
        arrays = [path for path in sorted(folder.rglob("*")) if path.suffix in (".npz", ".safetensors")]
        path = chance.choice(arrays)
        name = str(path.relative_to(folder))
        path.write_bytes(_spoiled_arrays(maker, path.read_bytes(), path.suffix))
    if chance.random() < 0.05:
        (folder / name).unlink()
    elif name != "record.json" and chance.random() < 0.7:
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        record["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    if chance.random() < 0.6:
        return Input(f"load of a record whose {name} is spoiled", lambda: _used(folder))
    out = chance.choice(([], ["--out", "out"]))
    return Input(f"report of a record whose {name} is spoiled", ["report", "input", *out], writes=("out", "input/index.html"))


def _used(folder: Any) -> None:
    """Loads a comparison and uses what it holds."""
    comparison = ascribe.load(folder)
    comparison.table()
    for runs in comparison.runs.values():
        dict(runs.curves)


def _spoiled_arrays(maker: Maker, data: bytes, ending: str) -> bytes:
    chance = maker.chance
    if chance.random() < 0.5:
        return spoiled(chance, data)
    if ending == ".safetensors":
        return safetensors(maker, data)
    if chance.random() < 0.3:
        return chance.choice(ODD)
    evil = pickle.dumps(Evil(maker.canary))
    return zipped({name: chance.choice((evil, b"x", npy(odd_array(chance)))) for name in ("train_loss.npy", "x.npy")})


def odd_array(chance: Any, *, plain: bool = False) -> Any:
    """An array that no curve or weight is."""
    numbers = (np.zeros((0, 0)), np.zeros(3, np.int8), np.full((2, 2), np.nan), np.zeros((2, 99), np.float32))
    if plain:
        return chance.choice(numbers)
    return chance.choice((*numbers, np.zeros((0, 0)), np.array("x"), np.zeros((2, 1), complex), np.full((2, 99), np.nan)))


def safetensors(maker: Maker, data: bytes) -> bytes:
    """Tensors whose description lies."""
    chance = maker.chance
    length = int.from_bytes(data[:8], "little")
    header = wrong_json(chance, data[8 : 8 + length].decode())
    if chance.random() < 0.5:  # the network's description is a JSON text in the header's text
        document = json.loads(data[8 : 8 + length])
        told = document.get("__metadata__", {})
        name = chance.choice(sorted(told)) if told else None
        if name is not None:
            try:
                told[name] = wrong_json(chance, told[name]).decode(errors="replace")
            except ValueError:
                told[name] = str(chance.choice(WRONG))
        header = json.dumps(document).encode("utf-8", errors="surrogatepass")
    size = len(header) if chance.random() < 0.9 else chance.choice((0, 2**63, 2**64 - 1, 10**6))
    return size.to_bytes(8, "little") + header + data[8 + length :]


def discoveries(maker: Maker) -> Input:
    """A found b-function that is spoiled, as a rule; a spoiled discovery where a command goes on or writes."""
    chance = maker.chance
    folder = maker.copied("found", "input")
    name = chance.choice(("found.json", "found.json", "found.json", "discovery.json", "curves.npz"))
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(_spoiled_arrays(maker, data, ".npz") if name == "curves.npz" else wrong_json(chance, data.decode()))
    if name == "found.json":
        if chance.random() < 0.9:
            return Input("rules.get of a spoiled found.json", lambda: rules.get(str(path)))
        return Input("compare with a spoiled found.json", [*COMPARE, "--rules", "backprop,input/found.json", "--out", "out"])
    command = chance.choice((["report", "input"], ["runs", "list", "input"], [*COMPARE, "--out", "input"]))
    if chance.random() < 0.1:
        command = ["discover", "moons", "--out", "input", "--resume"]
    return Input(f"{command[0]} where {name} is spoiled", command, writes=("input",))


def stores(maker: Maker) -> Input:
    """A damaged store: listed, shown and exported."""
    spoiled_store(maker)
    command = maker.chance.choice(
        (
            ["runs", "list", "input"],
            ["runs", "show", "input"],
            ["runs", "export", "input", "--out", "out.csv"],
            ["runs", "list", "."],
        )
    )
    if maker.chance.random() < 0.4:
        command.append("--json")
    if maker.chance.random() < 0.15:
        command = ["runs", "export", "input", "--out", maker.chance.choice(("out.json", "out.parquet"))]
    return Input(f"{maker_note(maker)}: {' '.join(command)}", command, writes=("out.csv", "out.json", "out.parquet"))


def resumes(maker: Maker) -> Input:
    """A comparison that goes on from a damaged store."""
    spoiled_store(maker)
    maker.copied("record/record.json", "input/record.json")
    command = ["compare", "moons", "--out", "input", "--resume"]
    return Input(f"{maker_note(maker)}: {' '.join(command)}", command, writes=("input",), works_on=("input",))


def maker_note(maker: Maker) -> str:
    """What was done to the store of an input, as `spoiled_store` noted it."""
    return (maker.folder / "note").read_text(encoding="utf-8", errors="replace")


def spoiled_store(maker: Maker) -> None:
    """A store with bits flipped, cut, or with single cells and tables changed by SQL; what was done is noted beside it."""
    chance = maker.chance
    path = maker.copied(f"record/{DATABASE}", f"input/{DATABASE}")
    kind = chance.randrange(10)
    if kind < 3:
        note = "bits flipped"
        path.write_bytes(flipped(chance, path.read_bytes(), chance.choice((1, 2, 8, 100))))
    elif kind == 3:
        data = path.read_bytes()
        cut = chance.choice((0, 1, 15, 16, 99, 100, 4096, len(data) // 2, len(data) - 1))
        note = f"cut to {cut} bytes"
        path.write_bytes(data[:cut])
    elif kind == 4:
        note = "spoiled bytes"
        path.write_bytes(spoiled(chance, path.read_bytes()))
    else:
        note = _changed_by_sql(maker, path)
    maker.write("note", note.encode("utf-8", errors="replace"))


def _changed_by_sql(maker: Maker, path: Any) -> str:
    chance = maker.chance
    connection = sqlite3.connect(path)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    kind = chance.randrange(10)
    table = chance.choice(tables)
    if kind == 0:
        version = chance.choice((0, -1, 2, 3, 99, 2**40, None, "x"))
        connection.execute("DELETE FROM ascribe_schema")
        if version is not None:
            connection.execute("INSERT INTO ascribe_schema VALUES (?)", (version if version != "x" else 0,))
        note = f"schema {version}"
    elif kind == 1:
        statement = chance.choice((f"DROP TABLE {table}", f"DELETE FROM {table}", f"ALTER TABLE {table} RENAME TO other"))
        connection.execute(statement)
        note = statement
    elif kind == 2:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = chance.choice(columns)
        note = f"ALTER TABLE {table} RENAME COLUMN {column} TO other"
        connection.execute(note)
    else:
        filled = [name for name in tables if connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]]
        table = chance.choice([name for name in filled if name != "ascribe_schema"])
        column = chance.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
        row = chance.choice([one for (one,) in connection.execute(f"SELECT rowid FROM {table}")])
        old = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", (row,)).fetchone()[0]
        value = _wrong_cell(maker, old)
        note = f"{table}.{column} = {str(value)[:60]!r}"
        try:
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
            if isinstance(value, bytes) and chance.random() < 0.7:  # a fault that the checksum does not see
                digest = hashlib.sha256(value).hexdigest()
                connection.execute(f"UPDATE {table} SET checksum = ? WHERE rowid = ?", (digest, row))
        except (sqlite3.Error, UnicodeEncodeError, OverflowError):
            note = f"not taken: {note}"
    connection.commit()
    connection.close()
    return note


def _wrong_cell(maker: Maker, old: Any) -> Any:
    """Another value of a cell; a JSON text gets a fault within."""
    chance = maker.chance
    if isinstance(old, bytes):
        if old and chance.random() < 0.3:
            return safetensors(maker, old)
        return flipped(chance, old, 1) if old and chance.random() < 0.5 else chance.choice((b"", old[:10], None, "x"))
    if isinstance(old, str) and old[:1] in ("{", "[") and chance.random() < 0.7:
        return wrong_json(chance, old).decode("utf-8", errors="replace")
    plain = [
        one
        for one in WRONG
        if isinstance(one, str | float | int | type(None)) and not (isinstance(one, int) and abs(one) >= 2**63)
    ]
    return chance.choice(plain)


ADDRESSES = (
    *(
        "postgresql://h:notaport/db",
        "postgresql://[::1",
        "postgresql+psycopg2://h/db",
        "postgresql://",
        "postgresql:///",
        "://",
    ),
    *(
        "postgresql://u:p@ss@h/db",
        "postgresql://127.0.0.1:1/db",
        "postgresql://127.0.0.1:1/db?connect_timeout=x",
        "mysql://u:pw@h/db",
    ),
    *("postgresql://u:pw@127.0.0.1:1/db?sslmode=nonsense", "sqlite://", "sqlite:///", "sqlite:///:memory:", ":memory:"),
    *(
        "sqlite:////",
        "sqlite:///nowhere/x.sqlite",
        "sqlite:///beside/table.csv",
        "sqlite:///x?mode=ro",
        "http://127.0.0.1:9/x",
    ),
    *(
        "file:///etc/passwd",
        "postgres://127.0.0.1:99999/db",
        "postgresql://127.0.0.1:-1/db",
        "postgresql://%00@127.0.0.1:1/db",
    ),
    *(
        "postgresql://127.0.0.1:1/" + "a" * 5000,
        "postgresql://é:é@127.0.0.1:1/é",
        "postgresql://127.0.0.1:1/db?x=1&x=2",
        "oracle://h/x",
    ),
    *(
        "postgresql://127.0.0.1:1,127.0.0.1:2/db",
        "postgresql://127.0.0.1:1/db?host=/nowhere",
        "sqlite:///file:x?mode=memory&uri=true",
    ),
)


def addresses(maker: Maker) -> Input:
    """Addresses of stores, wherever one is taken."""
    chance = maker.chance
    address = chance.choice(ADDRESSES) if chance.random() < 0.6 else chance.choice(TEXTS)
    if chance.random() < 0.3:
        base = chance.choice(("postgresql://u:pw@127.0.0.1:1/db", "sqlite:///beside/record/ascribe.sqlite"))
        place = chance.randrange(len(base))
        address = base[:place] + chance.choice((":", "@", "/", "%", "?", "#", "[", "]", " ", "\n", "%zz", "é")) + base[place:]
    if not address.isprintable() and chance.random() < 0.5:
        address = address.replace("\udcff", "x")
    command = chance.choice(
        (
            *(["runs", "list", address], ["runs", "show", address], ["runs", "export", address, "--out", "out.csv"]),
            [*COMPARE, "--rules", "x", "--store", address, "--out", "out"],
            ["compare", "moons", "--resume", "--out", "out", "--store", address],
        )
    )
    return Input(" ".join(command)[:160], command, writes=("out", "out.csv", "x.sqlite", "nowhere", "ascribe.sqlite"))


def models(maker: Maker) -> Input:
    """A model's file that is spoiled, loaded and used."""
    path = maker.folder / "input.safetensors"
    data = (maker.valid / "model.safetensors").read_bytes()
    if maker.chance.random() < 0.6:
        path.write_bytes(_forged_model(maker, data))
    else:
        path.write_bytes(safetensors(maker, data) if maker.chance.random() < 0.75 else spoiled(maker.chance, data))
    return Input("load_model of a spoiled file", lambda: ascribe.load_model(path))


def _forged_model(maker: Maker, data: bytes) -> bytes:
    """A model with a fault in what it says of itself that its checksum does not see."""
    tensors, length = safetensors_numpy.load(data), int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + length])["__metadata__"]["model"]
    text = wrong_json(maker.chance, text).decode(errors="replace")
    if maker.chance.random() < 0.3:
        name = maker.chance.choice(sorted(tensors))
        tensors[maker.chance.choice((name, name, "x"))] = odd_array(maker.chance, plain=True)
    return safetensors_numpy.save(tensors, {"model": text, "sha256": checksum(text, tensors)})
