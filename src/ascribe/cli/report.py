"""`ascribe report DIR…`: the page again, from the record; of several comparisons, one page."""

from pathlib import Path


def report(*folders: Path, out: Path | None = None) -> int:
    """Draw the page of a finished comparison again, from its record; or one page of several on the same data.

    Parameters
    ----------
    folders
        Folders that `ascribe compare` wrote.
    out
        The file to write. Default for one folder: index.html in it.
    """
    from rich.console import Console  # noqa: PLC0415 - late, so that --help is instant

    from ascribe import report as library  # noqa: PLC0415
    from ascribe.comparison import load  # noqa: PLC0415
    from ascribe.errors import UserError  # noqa: PLC0415
    from ascribe.merging import merge  # noqa: PLC0415

    if not folders:
        raise UserError("report wants a folder that `ascribe compare` wrote, or several.")
    if len(folders) > 1 and out is None:
        raise UserError("one page of several comparisons wants a file: --out page.html.")
    first, *others = map(load, folders)
    comparison = merge(first, *others) if others else first
    target = out or next(iter(folders)) / "index.html"
    if target.is_dir():
        raise UserError(f"--out is a file for the page, but {str(target)!r} is a folder: name a file in it.")
    try:
        page = comparison.report(target)
    except OSError as error:
        raise UserError(f"the page cannot be written to {str(target)!r} ({error.strerror}).") from error
    console = Console()
    console.print(library.to_text(comparison.table(), comparison.reference))
    console.print(f"page: {page}", soft_wrap=True, highlight=False)
    return 0
