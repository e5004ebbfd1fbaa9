"""`ascribe play [DATA]`: learning rules side by side, live, in one page."""

from pathlib import Path

from ascribe.errors import UserError

from .console import show
from .options import Data


def play(
    data: str = "moons",
    /,
    *,
    rules: str | None = None,
    out: Path = Path("play.html"),
    networks: str | None = None,
    activations: str | None = None,
    optimizers: str | None = None,
    overwrite: bool = False,
    source: Data = Data(),
) -> int:
    """Watch learning rules learn side by side: one page that opens from a file and needs no network.

    Every rule learns from the same start and on the same batches, with its decision surface, its network and its curves.

    Parameters
    ----------
    data
        moons, circles, xor, spirals or gaussians, which the page makes; or a CSV file with two columns of numbers and one of
        two classes, whose points go into the page. Or neurons: a page of spiking neurons in place of rules.
    rules
        Rules with commas between, as in compare; ./my_rule.py:MyRule for your own. Default: those of the page's lessons.
    out
        The page to write.
    networks
        The networks that can be chosen, with commas between, as units of every layer: 2-16-1,2-16-16-1.
    activations
        The activations that can be chosen, with commas between. Default: tanh,relu,logistic.
    optimizers
        The optimizers that can be chosen, with commas between. Default: sgd,momentum,adam.
    overwrite
        Replace the page if it is there.
    """
    from ascribe import datasets, playground  # noqa: PLC0415 - late, so that --help is instant
    from ascribe import rules as library  # noqa: PLC0415

    if out.exists() and not overwrite and not out.is_dir():
        raise UserError(f"{str(out)!r} is there already: choose another --out, or add --overwrite to replace it.")
    lists = {"architectures": networks, "activations": activations, "optimizers": optimizers}
    page = playground.play(
        data if source == Data() else datasets.load(data, **source.options()),
        None if rules is None else library.split_names(rules),
        out,
        **{name: [one.strip() for one in text.split(",")] for name, text in lists.items() if text is not None},
        overwrite=overwrite,
    )
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
    return 0
