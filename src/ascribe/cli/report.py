"""`ascribe report DIR…`: the page again, from the record; of several comparisons, one page."""

import sys
import warnings
from pathlib import Path

from .console import show


def report(*folders: Path, out: Path | None = None, layers: list[Path] | None = None) -> int:
    """Draw the page of a finished comparison again, from its record; or one page of several.

    Comparisons on the same data become one; those on other data stand one after the other, below the rules' ranks.

    Parameters
    ----------
    folders
        Folders that `ascribe compare` wrote.
    out
        The file to write. Default for one folder: index.html in it.
    layers
        A Python file of yours, which is run, with layers that networks of the record have; may be repeated. A record itself
        never brings code that is run.
    """
    from ascribe import report as library  # noqa: PLC0415 - late, so that --help is instant
    from ascribe.errors import UserError  # noqa: PLC0415
    from ascribe.experiments.comparison import Comparison, load  # noqa: PLC0415
    from ascribe.experiments.merging import merge  # noqa: PLC0415
    from ascribe.rules import registry  # noqa: PLC0415

    if not folders:
        raise UserError("report wants a folder that `ascribe compare` wrote, or several.")
    if len(folders) > 1 and out is None:
        raise UserError("one page of several comparisons wants a file: --out page.html.")
    for file in layers or []:
        registry.layers_of_file(file)
    by_data: dict[str, list[Comparison]] = {}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded = list(map(load, folders))
    for sentence in dict.fromkeys(str(warning.message) for warning in told):
        print(f"ascribe: {sentence}", file=sys.stderr)
    for one in loaded:
        by_data.setdefault(str((one.configuration.get("data") or {}).get("checksum")), []).append(one)
    comparisons = [merge(*ones) if len(ones) > 1 else ones[0] for ones in by_data.values()]
    target = out or next(iter(folders)) / "index.html"
    if target.is_dir():
        raise UserError(f"--out is a file for the page, but {str(target)!r} is a folder: name a file in it.")
    page = library.write_page(comparisons, target)
    for comparison in comparisons:
        if len(comparisons) > 1:
            show(f"{comparison.data.name}:", markup=False, highlight=False)
        show(library.to_text(comparison.table(), comparison.reference, library.control_rows(comparison)))
    show(f"page: {page}", soft_wrap=True, highlight=False, markup=False)
    return 0
