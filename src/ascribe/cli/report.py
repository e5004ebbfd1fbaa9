"""`ascribe report DIR`: the page again, from the record."""

from pathlib import Path


def report(folder: Path, /, *, out: Path | None = None) -> int:
    """Draw the page of a finished comparison again, from its record.

    Parameters
    ----------
    folder
        A folder that `ascribe compare` wrote.
    out
        The file to write. Default: index.html in that folder.
    """
    from rich.console import Console  # noqa: PLC0415 - late, so that --help is instant

    from ascribe import report as library  # noqa: PLC0415
    from ascribe.comparison import load  # noqa: PLC0415
    from ascribe.errors import UserError  # noqa: PLC0415

    comparison = load(folder)
    target = out or folder / "index.html"
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
