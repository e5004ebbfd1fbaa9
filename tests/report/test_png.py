import struct
import zlib

import numpy as np
import pytest

from ascribe.charts.png import encode_png
from ascribe.errors import UserError


def decode_png(data):
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, chunks = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        assert struct.unpack(">I", data[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind], place = body, place + 12 + length
    width, height, depth, color, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    channels = {2: 3, 3: 1, 6: 4}[color]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, 1 + width * channels)
    assert depth == 8 and np.all(lines[:, 0] == 2) and chunks[b"IEND"] == b""
    pixels = np.cumsum(lines[:, 1:], axis=0, dtype=np.uint8).reshape(height, width, channels)
    palette = np.frombuffer(chunks.get(b"PLTE", b""), dtype=np.uint8).reshape(-1, 3)
    return palette[pixels[..., 0]] if color == 3 else pixels


@pytest.mark.parametrize("shape", [(7, 5, 3), (4, 9, 4), (1, 1, 3)])
def test_decodes_to_what_went_in(shape):
    pixels = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    np.testing.assert_array_equal(decode_png(encode_png(pixels)), pixels)


@pytest.mark.parametrize("count", [1, 256, 257])
def test_few_colors_are_a_palette(count):
    numbers = np.arange(40 * 30).reshape(40, 30) * 7 % count
    pixels = np.stack([numbers % 256, 9 * (numbers // 256), 255 - numbers % 256], axis=-1).astype(np.uint8)
    data = encode_png(pixels)
    np.testing.assert_array_equal(decode_png(data), pixels)
    assert data[25] == (3 if count <= 256 else 2)  # the header's kind of color


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((2, 2, 2), np.uint8)])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(UserError, match="uint8 of shape"):
        encode_png(pixels)
