"""What is done to bytes, texts and JSON: one fault, or a few, by a given source of chance."""

import copy
import json
import random
from typing import Any

DEEP = "[" * 100_000 + "]" * 100_000
WRONG: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 7, 1.5, -0.0, 1e308, -1e308, 5e-324, 2**31, 2**63, 2**64, 10**400, float("nan")),
    *(
        float("inf"),
        float("-inf"),
        "",
        "x",
        "0",
        "-1",
        "\x00",
        "\x1b[31m",
        "a\nb",
        "\ud800",
        "a" * 5000,
        "../../x",
        "/etc",
    ),
    *("'; DROP TABLE runs; --", "<script>alert(1)</script>", "=HYPERLINK(1)", [], [[]], {}, {"a": 1}, [None], [1, "x"]),
    *([[1.0], [2.0, 3.0]], ["x"] * 3, {"": None}, [-1], [0] * 1000, {"layer": "Linear"}),
)
"""Values that JSON can hold and nobody wants."""
CELLS = (
    *(
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "-1e400",
        "9" * 400,
        "1,5",
        "1_000",
        "0x10",
        "١",
        "½",
        "\x00",
        '"',
        '""',
    ),
    *(
        "'",
        "#",
        "\t",
        ";",
        "|",
        "=1+1",
        "true",
        "None",
        "a" * 5000,
        "é",
        "\ufeff",
        "\u202e",
        "\r",
        "1e",
        "--1",
        "1.2.3",
    ),
    *("9007199254740993", "1e308", "-1e308", "5e-324", "2024-01-01", "\x1b[31m", "0", "1", "-1", "x"),
)
"""Cells of a table."""
TEXTS = (
    *(
        "",
        " ",
        "-",
        "--",
        "0",
        "-1",
        "1.5",
        "1e3",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "9" * 20,
        "9" * 400,
        "9" * 5000,
        "x",
        "é",
    ),
    *(
        "\x1b[31m",
        "a\nb",
        "\udcff",
        "../..",
        "/",
        ".",
        "..",
        "~",
        "*",
        "?",
        "[",
        "{",
        "}",
        "%s",
        "{0}",
        "$(id)",
        "`id`",
    ),
    *(
        "'; DROP TABLE runs; --",
        "<b>",
        "None",
        "True",
        "false",
        "1,2",
        ",",
        ":",
        "1:",
        ":1",
        "2:1",
        "0:1",
        "1:nan",
        "=",
        "a=",
    ),
    *(
        "=b",
        "a" * 5000,
        "１",
        "1_0",
        "0x10",
        "+1",
        " 1",
        "1 ",
        "1e-400",
        "-0",
        "00",
        "1/0",
        "http://127.0.0.1:9/",
        "\t",
    ),
)
"""What somebody may give to an option. None has a zero byte, which no command line can hold."""


def spoiled(chance: random.Random, data: bytes) -> bytes:
    """Bytes with bits flipped, cut, doubled, overwritten, swapped or filled in."""
    if not data:
        return chance.randbytes(8)
    one, other = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    short = min(other - one, 64)
    odd = chance.choice((b"\0", b"\xff", b"\xfe\xff", b"\r", chance.randbytes(5)))
    ways = (
        data[: chance.choice((0, 1, 2, 7, len(data) - 1, one))],
        data[:other] + data[one:],  # a part doubled
        data[:one] + data[other:],
        data[:one] + odd + data[one:],
        data[:one] + bytes(short) + data[one + short :],
        data + chance.choice((b"\0", data, chance.randbytes(100))),
        data[one:other] + data[:one] + data[other:],
        chance.randbytes(chance.randrange(1, 200)),
        flipped(chance, data, chance.choice((1, 1, 2, 8, 50))),
    )
    return chance.choice(ways)


def flipped(chance: random.Random, data: bytes, count: int) -> bytes:
    """Bytes with so many bits flipped."""
    changed = bytearray(data)
    for _ in range(count):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [above] if above else []
    for key, one in list(inner)[:40]:
        found += places(one, (*above, key))
    return found


def wrong_json(chance: random.Random, text: str) -> bytes:
    """A JSON document with one fault, or a few: a wrong kind, a value lost, two swapped, nested deep, or spoiled bytes."""
    if chance.random() < 0.15:
        return spoiled(chance, text.encode())
    document = json.loads(text)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        ways = places(document)
        if not ways:
            break
        way = chance.choice(ways)
        holder = at(document, way[:-1])
        kind = chance.randrange(8)
        if kind == 0:
            del holder[way[-1]]
        elif kind == 1:
            other = chance.choice(ways)
            holder[way[-1]] = copy.deepcopy(at(document, other))
        elif kind == 2 and isinstance(holder[way[-1]], int | float) and not isinstance(holder[way[-1]], bool):
            holder[way[-1]] = chance.choice((-1, 10, 1000, 0)) * holder[way[-1]] + chance.choice((0, 1, 0.5))
        elif kind == 3 and isinstance(holder, dict):
            holder[str(chance.choice(WRONG))[:50]] = holder.pop(way[-1])
        else:
            holder[way[-1]] = copy.deepcopy(chance.choice(WRONG))
    found = json.dumps(document)
    if chance.random() < 0.05:
        found = found.replace(json.dumps(chance.choice(("", 1, None))), DEEP, 1) if chance.random() < 0.5 else DEEP
    return found.encode("utf-8", errors="surrogatepass")


def at(document: Any, way: tuple[Any, ...]) -> Any:
    """The value there."""
    for key in way:
        document = document[key]
    return document
