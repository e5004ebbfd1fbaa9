"""`ascribe inspect RULE`: the card of a rule; `ascribe inspect FOLDER`: which claims of a comparison stand."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ascribe.errors import UserError

from . import options
from .console import aside, listing, show
from .options import Data, Json, headed, option
from .sentences import Whole, either


@headed("Card")
@dataclass(frozen=True, kw_only=True)
class Card:
    """What the rule is looked at with."""

    network: str | None = option(
        None,
        f"Hidden layers as 64x64, or {either(options.NETWORKS)}, or a network of your own in a file, as in compare. Default: "
        "64x64, or a smaller one where the rule wants that.",
    )
    data: str | None = option(
        None, "A data set or a file, as in compare. Default: moons, or other data where the rule has another task."
    )
    activation: str = option("relu", f"Of the hidden layers: {', '.join(options.ACTIVATIONS)}.")
    batch_size: Whole = option(32, "Examples in a batch.")
    loss: str | None = option(None, "The loss; default: the task's own.")
    seed: Whole = option(0, "Of the initial weights and the rule's own randomness.")
    sections: str | None = option(
        None, "Parts of the card, with commas between: needs, chain, cost, quality, limit. Default: all."
    )


def inspect(
    subject: str,
    /,
    *,
    card: Card = Card(),
    source: Data = Data(),
    layers: list[Path] | None = None,
    out: Annotated[Path | None, Parameter(help="A folder for card.html, card.svg and card.json (or claims.html).")] = None,
    json_output: Json = False,
) -> int:
    """Show the card of a rule: what it costs, how good its credit is, what it equals in a limit.

    Everything is found from the rule's own program, here and now; nothing is trained.

    Parameters
    ----------
    subject
        A rule: a name (see `ascribe rules`), with options as in fa:scale=0.5, or ./my_rule.py:MyRule for your own. Or a folder
        that `ascribe compare` wrote: then it is told which claims of that comparison stand.
    layers
        For a folder: a Python file of yours, which is run, with layers that networks of the record have; may be repeated.
    """
    if Path(subject).is_dir():
        from ascribe.rules import registry  # noqa: PLC0415 - late, so that --help is instant

        for file in layers or []:
            registry.layers_of_file(file)
        return _claims(Path(subject), card, source, out, as_json=json_output)
    if layers:
        raise UserError("--layers is for the folder of a comparison, whose networks have layers of yours.")
    from ascribe import cards, datasets  # noqa: PLC0415

    of_data = source.options()
    if card.data is None and source != Data():
        raise UserError("options of the data are about data that are named: add --data NAME.")
    asked: dict[str, Any] = dict(vars(card))
    sections = asked.pop("sections")
    if card.data is not None:
        asked["data"] = datasets.load(card.data, **of_data)
    if sections is not None:
        asked["sections"] = [one.strip() for one in sections.split(",")]
    with aside(json_output):
        found = cards.card(subject, **asked)
    if out is not None:
        for kind in ("html", "svg", "json"):
            found.save(_folder(out) / f"card.{kind}")
    if json_output:
        print(json.dumps(found.to_json(), ensure_ascii=False, allow_nan=False))
        return 0
    _print(f"The card of {found.rule}", found.head, found.sections)
    if out is not None:
        show(f"\npage: {out / 'card.html'}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _claims(folder: Path, card: Card, source: Data, out: Path | None, *, as_json: bool) -> int:
    """Which claims of a comparison stand."""
    from ascribe import cards, report  # noqa: PLC0415
    from ascribe.files import write_whole  # noqa: PLC0415

    if card != Card() or source != Data():
        raise UserError(f"{str(folder)!r} is a folder, of a comparison with its own network and data: leave other options out.")
    with aside(as_json):
        found = cards.inspect(folder)
    if out is not None:
        page = report.card_page(found.title, (), "", [vars(one) for one in found.sections])
        write_whole(_folder(out) / "claims.html", page.encode("utf-8"))
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False, allow_nan=False))
        return 0
    plain = {"highlight": False, "markup": False}
    show(found.title, **plain)
    for claim in found.claims:
        show(f"- {claim}", **plain)
    for section in found.sections[1:]:
        show(f"\n{section.title.upper()}", *section.sentences, **plain)
        show(listing(section.columns, section.rows))
    if out is not None:
        show(f"\npage: {out / 'claims.html'}", soft_wrap=True, **plain)
    return 0


def _print(title: str, head: list[str], sections: list[Any]) -> None:
    plain = {"highlight": False, "markup": False}
    show(title, *head, **plain)
    for section in sections:
        show(f"\n{section.title.upper()}", *section.sentences, **plain)
        if section.rows:
            show(listing(section.columns, section.rows))


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out is a folder; {str(out)!r} cannot be one: {error.strerror}.") from error
    return out
