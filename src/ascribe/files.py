"""Files that are written whole or not at all."""

import secrets
from pathlib import Path

from ascribe.errors import UserError


def write_whole(path: Path, data: bytes) -> None:
    """Writes into a file beside it, which then takes its place.

    **Raises:** `UserError` where it cannot be written; what was there before still is.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
        part.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        part.unlink(missing_ok=True)
