"""Checksums that are kept with what they belong to, so that no later change of it goes unnoticed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

CHECKSUM = "checksum"
"""The field, or the column, that has it."""

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=repr).encode


def checksum(content: Any) -> str:
    """The SHA-256 of plain JSON values, whatever the order of their names and the spaces between them."""
    return hashlib.sha256(_encode(content).encode()).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with the checksum of all its fields as the last one."""
    kept = json.loads(json.dumps(content))  # as it will be read: lists for tuples, texts for names
    return {**content, CHECKSUM: checksum(kept)}


def intact(content: Mapping[str, Any]) -> bool:
    """Whether it is what was sealed. What has no checksum, as earlier versions wrote it, counts as such."""
    rest = {name: value for name, value in content.items() if name != CHECKSUM}
    return CHECKSUM not in content or content[CHECKSUM] == checksum(rest)
