"""Checksums against the values that RFC 3720 gives, and records against TensorBoard's own writer."""

import io

import numpy as np
import pytest

from ascribe.loggers.records import framed, masked_checksums

# RFC 3720, B.4: CRC-32C of 32 bytes; and the check value of the catalogues, of "123456789".
KNOWN = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
    b"123456789": 0xE3069283,
    b"": 0,
}


def test_checksums_of_the_standard():
    """All at once, although their lengths differ, and each alone."""
    found = masked_checksums(list(KNOWN))
    unmasked = [(int(number) - 0xA282EAD8) % 2**32 for number in found]
    assert [((number >> 17) | (number << 15)) % 2**32 for number in unmasked] == list(KNOWN.values())
    assert [int(masked_checksums([message])[0]) for message in KNOWN] == found.tolist()
    assert masked_checksums([]).tolist() == [] and framed([]) == []


def test_records_are_those_of_tensorboards_writer():
    writer = pytest.importorskip("tensorboard.summary.writer.record_writer")
    rng = np.random.default_rng(0)
    messages = [rng.bytes(int(length)) for length in rng.integers(0, 300, 40)]
    file = io.BytesIO()
    for message in messages:
        writer.RecordWriter(file).write(message)
    assert b"".join(framed(messages)) == file.getvalue()
