"""Rule files: a found b-function as JSON, which `compare --rules backpropagation,./found.json` reads. Never code."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ascribe.checksums import CHECKSUM, intact, sealed
from ascribe.errors import UserError

from .b_function import BFunction
from .meta_network import MetaNetwork

FORMAT = "ascribe b-function 1"


def content(layer: str, meta_network: MetaNetwork, *, about: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a rule file says: g_ω of that layer, and its own checksum. `about`: what else it should tell, as plain JSON
    values."""
    return sealed(
        {
            "format": FORMAT,
            "layer": layer,
            "hidden": meta_network.hidden,
            "activation": meta_network.activation,
            "omega": np.asarray(meta_network.omega, float).tolist(),
            "about": about or {},
        }
    )


def load(path: Path, *, scale: Any = 1.0) -> BFunction:
    """The rule of a file with such a content: `BFunction` with g_ω in place of σ' of its layer. One without a checksum, such as
    a file written by hand, is read too.

    **Raises:** `UserError` where there is no such file, or it is damaged.
    """
    wanted = "name a found.json that `ascribe discover` wrote"
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{str(path)!r} is no regular file: {wanted}.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"there is no rule file {str(path)!r} ({error.strerror}): {wanted}.") from error
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"the rule file {str(path)!r} is no JSON ({error}): {wanted}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"the file {str(path)!r} is no rule file of the format {FORMAT!r}: {wanted}.")
    if not intact(content):
        raise UserError(
            f"the rule file {str(path)!r} is damaged, for its checksum is another: put back a copy, or remove its "
            f"{CHECKSUM!r} if you changed it yourself."
        )
    omega, layer = content.get("omega"), content.get("layer")
    numbers = isinstance(omega, list) and all(map(_is_number, omega))
    if not numbers or not isinstance(layer, str):
        raise UserError(f"the rule file {str(path)!r} is damaged: it wants a layer's name and finite numbers omega.")
    try:
        g = MetaNetwork(omega, hidden=content.get("hidden", 1), activation=content.get("activation", "tanh"))
    except UserError as error:
        raise UserError(f"the rule file {str(path)!r} is damaged: {error}") from error
    return BFunction({layer: g}, scale=scale)


def _is_number(value: Any) -> bool:
    """Whether a JSON value is a finite number; a whole one may be beyond all others."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
