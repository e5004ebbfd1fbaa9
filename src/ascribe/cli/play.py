"""`ascribe play [DATA]`: learning rules side by side, in one page that opens from a file, or live."""

import os
import sys
import webbrowser
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ascribe.errors import Interrupted, UserError

from .console import show
from .options import Data, headed, option
from .sentences import Whole


@headed("Page")
@dataclass(frozen=True, kw_only=True)
class Page:
    """What is in the page, and where it goes."""

    out: Path | None = option(None, "The page to write. Default: play.html, and neurons.html for neurons.")
    overwrite: bool = option(False, "Replace the page if it is there.")
    networks: str | None = option(
        None,
        "The networks that can be chosen, with commas between, as units of every layer: 2-16-1,2-16-16-1. With --live one, and "
        "as in compare too: 64x64, lenet, resnet/8, ./my_network.py:make.",
    )
    activations: str | None = option(
        None, "The activations that can be chosen, with commas between. Default: tanh,relu,logistic; with --live one: relu."
    )
    optimizers: str | None = option(
        None, "The optimizers that can be chosen, with commas between. Default: sgd,momentum,adam; with --live one: adam."
    )


@headed("Live")
@dataclass(frozen=True, kw_only=True)
class Live:
    """A page that this command serves, in place of one that opens from a file."""

    live: bool = option(
        False,
        "Serve the page until Ctrl-C, and train here: for data, networks and rules that are too large for a page, such as "
        "digits, mnist or lenet. Needs the extra play.",
    )
    address: str | None = option(
        None, "Listen at this address. Default: 127.0.0.1, which this machine alone reaches; 0.0.0.0 for every one."
    )
    port: Whole | None = option(None, "Listen at this port. Default: any that is free.")
    batch_size: Whole | None = option(None, "Examples per step. Default: 32.")
    open_page: bool = option(False, "Open the page in the browser too.")


def play(
    data: str = "moons",
    /,
    *,
    rules: str | None = None,
    page: Page = Page(),
    live: Live = Live(),
    source: Data = Data(),
) -> int:
    """Watch learning rules learn side by side: one page that opens from a file and needs no network; or, with --live, a page
    that this command serves, for larger networks.

    Every rule learns from the same start and on the same batches.

    Parameters
    ----------
    data
        moons, circles, xor, spirals or gaussians, which the page makes; or a CSV file with two columns of numbers and one of
        two classes, whose points go into the page. Or neurons: a page of spiking neurons in place of rules. With --live, any
        data set or file, as in compare.
    rules
        Rules with commas between, as in compare; ./my_rule.py:MyRule for your own. Default: those of the page's lessons, or
        with --live bp,fa,dfa.
    """
    if live.live:
        return _serve(data, rules, page, live, source)
    given = [one.name for one in fields(Live) if getattr(live, one.name) != one.default]
    if given:
        raise UserError(f"--{given[0].replace('_', '-')} is about a page that is served: add --live, or leave it out.")
    return _write(data, rules, page, source)


def _write(data: str, rules: str | None, page: Page, source: Data) -> int:
    """The page as a file."""
    from ascribe import datasets, playground  # noqa: PLC0415 - late, so that --help is instant

    out = Path("neurons.html" if data == "neurons" else "play.html") if page.out is None else page.out
    if out.exists() and not page.overwrite and not out.is_dir():
        raise UserError(f"{str(out)!r} is there already: choose another --out, or add --overwrite to replace it.")
    lists = {"architectures": page.networks, "activations": page.activations, "optimizers": page.optimizers}
    path = playground.play(
        data if source == Data() else datasets.load(data, **source.options()),
        _names(rules),
        out,
        **{name: [one.strip() for one in text.split(",")] for name, text in lists.items() if text is not None},
        overwrite=page.overwrite,
    )
    show(f"page: {path}", soft_wrap=True, highlight=False, markup=False)
    return 0


def _serve(data: str, rules: str | None, page: Page, live: Live, source: Data) -> int:
    """The page as long as this command runs."""
    if page.out is not None or page.overwrite:
        raise UserError("--live serves the page and writes none: leave --out and --overwrite out.")
    from ascribe import datasets, playground  # noqa: PLC0415 - late, so that --help is instant

    from .interruption import answering, stop_at_once  # noqa: PLC0415

    playground.live.check_installed()
    address = "127.0.0.1" if live.address is None else live.address

    def told(url: str) -> None:
        if not playground.live.is_loopback(address):
            print(
                f"ascribe: whoever reaches {address} and has the page's address can train here, and what is said can be read "
                f"on the way: leave --address out for this machine alone.",
                file=sys.stderr,
            )
        show(f"page: {url}", soft_wrap=True, highlight=False, markup=False)
        sys.stdout.flush()
        if live.open_page:
            webbrowser.open(url)

    settings: dict[str, Any] = {
        "network": _one("networks", page.networks),
        "activation": _one("activations", page.activations),
        "optimizer": _one("optimizers", page.optimizers),
        "port": live.port,
        "batch_size": live.batch_size,
    }
    with answering(stop_at_once):
        try:
            playground.serve(
                datasets.load(data, **source.options()),
                _names(rules),
                address=address,
                told=told,
                **{name: value for name, value in settings.items() if value is not None},
            )
        except Interrupted as error:
            if playground.live.compiling():  # which cannot be stopped, and Python would wait for
                print(f"\nascribe: {error}.", file=sys.stderr, flush=True)
                os._exit(130)
            raise
    return 0


def _one(name: str, text: str | None) -> str | None:
    """The one name of an option that may have several."""
    if text is not None and "," in text and ".py" not in text:
        raise UserError(f"--live trains one network at a time; --{name} has several, {text!r}: name one.")
    return text


def _names(rules: str | None) -> list[str] | None:
    from ascribe import rules as library  # noqa: PLC0415 - late, so that --help is instant

    return None if rules is None else library.split_names(rules)
