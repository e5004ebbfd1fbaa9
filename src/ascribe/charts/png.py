"""The smallest PNG writer that compresses smooth pictures well."""

import base64
import struct
import zlib

import numpy as np

from ascribe.errors import UserError


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file from `pixels`: (height, width, 3) for RGB or (height, width, 4) for RGBA, uint8, top row first.

    RGB of 256 colors at most is stored as their numbers in a palette, a third of the size or less.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8:
        raise UserError(f"a picture is uint8 of shape (height, width, 3 or 4); got {pixels.dtype} {pixels.shape}.")
    height, width, channels = pixels.shape
    palette = b""
    if channels == 3:
        whole = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
        colors, places = np.unique(whole, return_inverse=True)
        if len(colors) <= 256:
            palette = colors.astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()
            pixels, channels = places.reshape(height, width, 1).astype(np.uint8), 1
    lines = pixels.reshape(height, width * channels)
    # Filter 2 ("up") stores each line minus the one above, modulo 256: mostly zeros in a smooth field.
    filtered = np.full((height, width * channels + 1), 2, dtype=np.uint8)
    filtered[:, 1:] = np.diff(lines, axis=0, prepend=np.zeros_like(lines[:1]))
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 3, 3: 2, 4: 6}[channels], 0, 0, 0)
    colors_of = [(b"PLTE", palette)] if palette else []
    chunks = [(b"IHDR", header), *colors_of, (b"IDAT", zlib.compress(filtered.tobytes(), 9)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def data_uri(pixels: np.ndarray) -> str:
    """`encode_png(pixels)` as a `data:` address that a page or a chart can show without a file."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode("ascii")
