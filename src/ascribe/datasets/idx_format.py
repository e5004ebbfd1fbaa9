"""The IDX format of the MNIST files: a short header, then the raw bytes of one array.

Layout, big-endian: two zero bytes, one byte for the type (8: unsigned byte), one byte for the number of axes,
one 32-bit length per axis, then the values with the last axis running fastest. Source: the description on the
MNIST page of LeCun, Cortes and Burges.
"""

import gzip
import io
import math
import struct
import zlib

import numpy as np

from ascribe.errors import UserError

UNSIGNED_BYTE = 0x08
LARGEST = 2**31  # bytes; no real file of the kind is larger, so a longer one is damage


def parse_idx(content: bytes, name: str, *, axes: int) -> np.ndarray:
    """The array in the bytes of an IDX file (packed with gzip or not).

    **Arguments:**

    - `name`: what to call the file in an error.
    - `axes`: how many axes the array must have: 3 for images, 1 for labels.

    **Returns:** a uint8 array.

    **Raises:** `UserError` if the bytes are anything but a complete file of that kind.
    """
    advice = "download it again"
    is_packed = content[:2] == b"\x1f\x8b"
    stream = gzip.GzipFile(fileobj=io.BytesIO(content)) if is_packed else io.BytesIO(content)
    try:
        header = stream.read(4)
        if len(header) < 4 or header[:2] != b"\0\0":
            raise UserError(f"{name} begins with the magic number of an IDX file; got none: {advice}.")
        if header[2] != UNSIGNED_BYTE or header[3] != axes:
            raise UserError(
                f"{name} holds unsigned bytes (type 8) on {axes} axes; got type {header[2]} on {header[3]} axes in its "
                f"header: {advice} or look whether images and labels are mixed up."
            )
        lengths = stream.read(4 * axes)
        if len(lengths) < 4 * axes:
            raise UserError(f"{name} ends inside its header: {advice}.")
        shape = struct.unpack(f">{axes}I", lengths)
        size = math.prod(shape)
        if not 0 < size <= LARGEST:
            raise UserError(f"{name} announces an array of the impossible shape {shape}: {advice}.")
        # One byte more than announced, to notice what should not be there.
        values = stream.read(size + 1)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{name} is cut short or damaged, and its gzip packing cannot be opened: {advice}.") from None
    if len(values) != size:
        found = f"only {len(values)}" if len(values) < size else "more"
        raise UserError(f"{name} announces {size} values of the shape {shape}; got {found}: {advice}.")
    return np.frombuffer(values, dtype=np.uint8).reshape(shape)
