"""The card of a rule: what it needs to know, what it costs, how good its credit is, what it equals in a limit."""

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ascribe import report, rules
from ascribe.checks import at_least, flag, listed
from ascribe.datasets import DataLike
from ascribe.errors import UserError, names_in_words, shown
from ascribe.files import path_of, write_whole
from ascribe.losses import Loss
from ascribe.rules import Batch, hooks
from ascribe.training import devices

from .case import Case, case_of
from .chain import chain
from .cost import Cost, costs
from .limits import Limit, limit
from .needs import Needs, needs
from .picture import picture
from .quality import Quality, quality
from .sections import Section, sections_of, text_of

SECTIONS = ("needs", "chain", "cost", "quality", "limit")
"""The parts of a card, in their order."""
DEPTHS, WIDTHS = (2, 4, 8), (0.25, 1, 4)
"""Hidden layers of the networks whose cost is counted, and their width in terms of the card's own network."""
QUALITY_DEPTHS = (2, 4, 8, 16, 32)
DRAWS, BATCHES = 4, 8
"""Draws of a rule's randomness in each of so many batches, for the signal-to-noise ratio and the bias."""
CHAIN_DEPTHS, CHAIN_WIDTH = (4, 8, 16), 4
"""Hidden layers of the networks whose chain of products is counted, and their units where the rule wants it small: they change
nothing of it."""
WIDTH = 64
"""Units of a hidden layer where the card's network is no chain of dense layers."""
LARGEST = 2_000_000
"""Parameters up to which networks of other depths and widths are looked at."""


Chains = dict[tuple[int, int], Case | str]
"""Chains of dense layers by depth and width, each made once; in its place why there is none."""


@dataclasses.dataclass(frozen=True)
class Priced:
    """What a rule's step costs on a network, `ours`, and what backpropagation's costs there, `theirs`; `network` in words, with
    its number of hidden layers and their units where it is a chain of equal ones (else 0)."""

    network: str
    depth: int
    width: int
    ours: Cost
    theirs: Cost

    def ratio(self, name: str) -> float | None:
        """The rule's over backpropagation's, of `operations`, `bytes`, `peak` or `seconds`; None where one is not known."""
        ours, theirs = getattr(self.ours, name), getattr(self.theirs, name)
        return None if not ours or not theirs else ours / theirs


@dataclasses.dataclass(frozen=True)
class Estimate:
    """How good the credit is on a chain of `depth` hidden layers at the initial weights, by layer (`"total"` over all
    parameters).

    `angles` to backpropagation's gradient in degrees, and `norm_ratios`, of one batch; `snr`, the signal-to-noise ratio, and
    `bias` over several batches and the rule's randomness (`quality`); what is not measurable is NaN.
    """

    depth: int
    angles: dict[str, float]
    norm_ratios: dict[str, float]
    snr: dict[str, float] = dataclasses.field(default_factory=dict)
    bias: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Card:
    """What `card` found of a rule. It prints as text, is shown in notebooks, and is written as JSON, a page or a picture by
    `save`.

    - `rule`: its name; `about`, `source`: what the registry or its docstring says;
    - `network`, `data`, `batch`: what was looked at: the network in words, the name of the data, examples in a batch;
    - `notes`: what the rule asked for, and what could not be found, and why;
    - `needs`: what the credit of each layer is made of (`Needs`); `chain`: by the number of hidden layers, how many products
      must follow one another once the output is known;
    - `cost`: on the network itself, then over depths and widths; `quality`: over depths; `limit`: see `Limit`.
    """

    rule: str
    about: str
    source: str
    network: str
    data: str
    batch: int
    notes: tuple[str, ...] = ()
    needs: Needs | None = None
    chain: dict[int, int] = dataclasses.field(default_factory=dict)
    cost: tuple[Priced, ...] = ()
    quality: tuple[Estimate, ...] = ()
    limit: Limit | None = None

    @property
    def sections(self) -> list[Section]:
        """What text and page show, section by section."""
        return sections_of(self)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; numbers that are not finite are None."""
        return _plain({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    def __str__(self) -> str:
        return text_of(self)

    def html(self) -> str:
        """The page, which opens from disk and fetches nothing."""
        return report.card_page(f"The card of {self.rule}", self.head, self.svg(), [vars(one) for one in self.sections])

    def svg(self) -> str:
        """The picture."""
        return picture(self)

    @property
    def head(self) -> list[str]:
        """What the card says first."""
        about = f"{self.about[:1].upper()}{self.about[1:]}".rstrip(".")
        told = [f"{about}{f'; {self.source}' if self.source else ''}."] if about else []
        return [*told, f"Looked at on {self.data}, with the network {self.network} and batches of {self.batch}."]

    def save(self, path: str | Path) -> Path:
        """Writes the card, by the path's ending: .html, .svg, .json or .txt; whole or not at all.

        **Raises:** `UserError` for another ending, and where the file cannot be written.
        """
        path = path_of(path, "a card")
        kinds: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".svg": self.svg,
            ".json": lambda: json.dumps(self.to_json(), indent=1, ensure_ascii=False),
            ".txt": lambda: f"{self}\n",
        }
        if path.suffix not in kinds:
            raise UserError(f"a card is saved as {', '.join(kinds)}; got {path.name!r}.")
        write_whole(path, kinds[path.suffix]().encode("utf-8"))
        return path

    def _repr_html_(self) -> str:
        return self.svg()


def card(
    rule: Any,
    network: Any = None,
    data: DataLike | None = None,
    *,
    activation: str = "relu",
    batch_size: int = 32,
    loss: str | Loss | None = None,
    seed: int = 0,
    sections: Sequence[str] = SECTIONS,
    depths: Sequence[int] = QUALITY_DEPTHS,
    timed: bool = True,
) -> Card:
    """The card of a rule, found from the rule's own program; nothing is trained.

    **Arguments:**

    - `rule`: a rule, its class or name, `"./my_rule.py:MyRule"` too;
    - `network`, `data`, `activation`, `loss`: as in `train`. By default 64x64 on moons; where the rule refuses those, smaller
      networks and data of its own task;
    - `batch_size`: examples in a batch; `seed`: of the initial weights and the rule's randomness;
    - `sections`: some of `"needs"`, `"chain"`, `"cost"`, `"quality"`, `"limit"`, for part of the card in part of the time;
    - `depths`: numbers of hidden layers for which credit is judged;
    - `timed`: whether steps are timed, too, on this machine.

    **Returns:** a `Card`. What cannot be found of a rule (it refuses deep networks, it declares no limit) is in its `notes`.

    **Raises:** `UserError` where rule, network, data and settings do not go together.
    """
    at_least(1, "batch_size", batch_size)
    at_least(0, "seed", seed)
    flag("timed", timed)
    wanted = listed(sections) or []
    if not wanted or not all(isinstance(one, str) and one in SECTIONS for one in wanted):
        raise UserError(f"`sections` is a list of some of {', '.join(SECTIONS)}; got {shown(sections)}.")
    deep = [at_least(1, "depths", one) for one in listed(depths) or [depths]]
    devices.use_compilation_cache()
    case = case_of(rule, network, data, activation=activation, batch_size=batch_size, loss=loss, seed=seed)
    notes, found, chains = list(case.recipe.notes), {}, {}
    if "needs" in wanted:
        found["needs"] = _read("what it needs", lambda: needs(case.rule, case.network, _stateless(case)), notes)
    if "chain" in wanted:
        found["chain"] = _read("the chain of products", lambda: _chained(case, chains, notes), notes) or {}
    if "cost" in wanted:
        found["cost"] = _cost(case, chains, notes, timed=timed)
    if "quality" in wanted:
        found["quality"] = _quality(case, deep, chains, notes)
    if "limit" in wanted:
        found["limit"] = limit(case, seed=seed)
        if found["limit"] is None:
            notes.append("the rule declares no limit in which it equals something known (its method limiting_case)")
    about, source = _described(case)
    batch = int(case.batch.inputs.shape[0])
    return Card(case.name, about, source, _words(case), case.data.name, batch, tuple(notes), **found)


def _stateless(case: Case) -> Batch:
    """The batch for networks of any depth."""
    return dataclasses.replace(case.batch, network_state=None)


Read = TypeVar("Read")


def _read(what: str, read: Callable[[], Read], notes: list[str]) -> Read | None:
    """What is read from a rule's program; None where that is one that cannot be read, and `notes` says so: the rest of the card
    is worth having."""
    try:
        return read()
    except Exception as error:
        notes.append(f"{what} could not be read from its program ({hooks.reason(error)})")
        return None


def _chained(case: Case, chains: Chains, notes: list[str]) -> dict[int, int]:
    width = case.width or WIDTH
    swept = _swept(case, chains, [(depth, width) for depth in CHAIN_DEPTHS], [], "")
    if len(swept) < len(CHAIN_DEPTHS):
        swept = _swept(case, chains, [(depth, CHAIN_WIDTH) for depth in CHAIN_DEPTHS], notes, "chain of products")
    made = {depth: one.network for depth, _, one in swept}
    return chain(case.rule, made.__getitem__, _stateless(case), tuple(made))


def _described(case: Case) -> tuple[str, str]:
    """What the rule is, in a sentence, and its source."""
    row = rules.registry.TABLE.get(case.name.partition(":")[0])
    if row is not None:
        return row.description, row.source
    own, kind = type(case.rule).__doc__ or "", type(case.rule).__name__
    written = "" if own.startswith(f"{kind}(") else own  # which Python writes for a class without a docstring
    return " ".join(written.split("\n\n")[0].split()), ""


def _words(case: Case) -> str:
    """The network in words: the hidden layers that were asked for, where it is a chain of dense ones and the rule left that
    many."""
    own, asked = case.sizes, case.asked_sizes
    sizes = asked if own is not None and asked is not None and len(own) == len(asked) else own
    return str(case.network) if sizes is None else "x".join(map(str, sizes)) or "without hidden layers"


def _swept(
    case: Case, chains: Chains, sizes: Sequence[tuple[int, int]], notes: list[str], what: str
) -> list[tuple[int, int, Case]]:
    """Chains of these depths and widths for the rule, without those that it refuses or makes another network of; `notes` gets
    a sentence about them."""
    for size in sizes:
        if size not in chains:
            chains[size] = _chain(case, *size)
    found = [(*size, one) for size in sizes if isinstance(one := chains[size], Case)]
    refused = {f"{depth} x {width}": one for depth, width in sizes if isinstance(one := chains[depth, width], str)}
    if refused:
        notes.append(f"no {what} on {names_in_words(list(refused))}: {next(iter(refused.values())).rstrip('.')}")
    return found


def _chain(case: Case, depth: int, width: int) -> Case | str:
    try:
        one = case.chain_of(depth, width)
    except UserError as error:
        return str(error)
    if one.sizes is None or len(one.sizes) != depth:
        return "the rule has a network of its own"
    return one if one.network.parameters <= LARGEST else f"the rule makes {one.network.parameters:,} parameters of it"


def _cost(case: Case, chains: Chains, notes: list[str], *, timed: bool) -> tuple[Priced, ...]:
    width = case.width or WIDTH
    depth = DEPTHS[0]
    sizes = [(deep, width) for deep in DEPTHS] + [(depth, max(1, int(wide * width))) for wide in WIDTHS if wide != 1]
    own = case.asked_sizes
    cases = [(len(own) if own and len(set(own)) == 1 else 0, own[0] if own else 0, case)]
    cases += [one for one in _swept(case, chains, sizes, notes, "cost") if one[2].asked_sizes != own]
    ours = [one for _, _, one in cases]
    alone = _is_backpropagation(case)
    found = costs([*ours, *([] if alone else [one.backpropagation for one in ours])], timed=timed)
    theirs = found if alone else found[len(ours) :]
    return tuple(Priced(_words(one), deep, wide, found[i], theirs[i]) for i, (deep, wide, one) in enumerate(cases))


def _is_backpropagation(case: Case) -> bool:
    return case.name == "backpropagation" and case.setup.optimizer == "sgd"


def _quality(case: Case, depths: Sequence[int], chains: Chains, notes: list[str]) -> tuple[Estimate, ...]:
    width = case.width or WIDTH
    swept = _swept(case, chains, [(depth, width) for depth in depths], notes, "angles")

    def judged(one: tuple[int, int, Case]) -> Quality:
        own, size = one[2], case.setup.batch_size
        return quality(own.rule, own.drawn, own.data, draws=DRAWS, batches=BATCHES, batch_size=size, loss=own.recipe.loss)

    with ThreadPoolExecutor() as pool:
        found = pool.map(judged, swept)
        by_layer = lambda one, name: {layer: getattr(own, name) for layer, own in one.layers.items()}
        fields = ("angle", "norm_ratio", "snr", "bias")
        return tuple(
            Estimate(depth, *(by_layer(one, field) for field in fields)) for (depth, *_), one in zip(swept, found, strict=True)
        )


def _plain(value: Any) -> Any:
    """As plain JSON values."""
    if hasattr(value, "to_json"):
        return _plain(value.to_json())
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
