"""A network for a data set, from the short text a command line can carry."""

import inspect
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ascribe.checks import explained, unknown
from ascribe.errors import UserError, shown
from ascribe.types import Key

from .activations import get
from .gru import gru
from .lenet import lenet
from .mixer import mixer
from .mlp import mlp
from .network import Network
from .resnet import resnet
from .simplenet import simplenet
from .transformer import transformer
from .vit import vit

SIZE = r"[1-9]\d{0,17}"
"""A layer's size in words; of more digits it is no number of units."""


class _Family(NamedTuple):
    """Networks of one form: what makes them, the options that the numbers behind the slash are, and how many must be there."""

    make: Callable[..., Network]
    numbers: tuple[str, ...]
    least: int
    example: str


FAMILIES = {
    "resnet": _Family(resnet, ("depth", "width"), 1, "resnet/8"),
    "vit": _Family(vit, ("depth", "width"), 2, "vit/4x64"),
    "mixer": _Family(mixer, ("depth", "width"), 2, "mixer/4x64"),
    "transformer": _Family(transformer, ("depth", "width"), 2, "transformer/2x64"),
    "gru": _Family(gru, ("units",), 1, "gru/64"),
}
COMMON = ("input_shape", "outputs", "activation", "bias", "key")
"""Arguments that are told otherwise than behind a colon."""
WORDS = {"yes": True, "no": False}


@explained
def build(
    text: str,
    *,
    input_shape: tuple[int, ...],
    outputs: int,
    activation: str = "relu",
    bias: bool = True,
    key: Key | None = None,
) -> Network:
    """`"64x64"` is an MLP with those hidden layers, `"linear"` one without any, `"lenet"` and `"simplenet"` are the
    convolutional networks of those names, and `"simplenet/8"` is the latter with an eighth of the channels.

    `"resnet/8"` is a residual network of that depth, and `"resnet/8x4"` one with 4 channels in its first stage; `"vit/4x64"`,
    `"mixer/4x64"` and `"transformer/2x64"` have so many blocks, and so many numbers a patch or step inside; `"gru/64"` has so
    many units. Further options of these five follow a colon, by their names in Python: `"vit/4x64:patch=7,heads=2"`,
    `"resnet/8:normalization=no"`. The last two take sequences (time, features), and images row by row.

    **Arguments:** `input_shape`: of one example; `outputs`: units of the last layer; `activation`: of the hidden layers (the
    gates of a GRU have their own); the rest as in `mlp`.

    >>> print(build("8x4", input_shape=(2,), outputs=1, activation="tanh"))
    linear1 8×2 → tanh1 → linear2 4×8 → tanh2 → linear3 1×4
    """
    get(activation)
    name = text.strip().lower()
    if name == "lenet":
        return lenet(input_shape, outputs, activation=activation, bias=bias, key=key)
    thin = re.fullmatch(rf"simplenet(?:/({SIZE}))?", name)
    if thin:
        width = 1 / int(thin[1] or 1)
        return simplenet(input_shape, outputs, activation=activation, bias=bias, width=width, key=key)
    family = FAMILIES.get(re.split("[/:]", name)[0])
    if family is not None:
        options = {"bias": bias, "key": key} | ({} if family.make is gru else {"activation": activation})
        return family.make(input_shape, outputs, **options, **_told(family, text.strip()))
    features = math.prod(input_shape)
    if name == "linear":
        return mlp([features, outputs], activation=activation, bias=bias, key=key)
    if re.fullmatch(rf"{SIZE}(x{SIZE})*", name):
        return mlp([features, *map(int, name.split("x")), outputs], activation=activation, bias=bias, key=key)
    raise UserError(
        f"unknown network {shown(text)}: write the hidden layers' sizes as 64x64, or `linear`, or `lenet`, `simplenet`, "
        f"`simplenet/8`, `resnet/8`, `vit/4x64` or `mixer/4x64` (for images), `transformer/2x64` or `gru/64` (for sequences)."
    )


def _told(family: _Family, text: str) -> dict[str, Any]:
    """The options in a text such as `vit/4x64:patch=7,heads=2`."""
    head, colon, rest = text.partition(":")
    sizes = head.lower().partition("/")[2].split("x")
    if not family.least <= len(sizes) <= len(family.numbers) or not all(re.fullmatch(SIZE, size) for size in sizes):
        must, may = family.numbers[: family.least], family.numbers[family.least :]
        wanted = " x ".join(must) + "".join(f", or {' x '.join((*must, one))}" for one in may)
        raise UserError(f"{shown(text)} is no network: write its {wanted} behind a slash, as in {family.example}.")
    found: dict[str, Any] = dict(zip(family.numbers, map(int, sizes), strict=False))
    known = [name for name in inspect.signature(family.make).parameters if name not in (*COMMON, *family.numbers)]
    for option in rest.split(",") if colon else ():
        name, equals, word = (part.strip() for part in option.partition("="))
        if name not in known:
            raise unknown(f"option of {head}", name, known)
        if not equals or not word:
            raise UserError(f"the option {name} of {head} needs a value, as in {head}:{name}=VALUE; got {shown(text)}.")
        found[name] = int(word) if re.fullmatch(SIZE, word) else WORDS.get(word.lower(), word)
    return found
