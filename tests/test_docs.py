"""The documentation's code runs, block by block, in the order of the page.

A block below `<!-- needs: PACKAGE -->` is left out where the package, an extra's, is not installed. A Python block that begins
with `# NAME.py` is that file. On the pages of `COMMANDS`, command lines run too.
"""

import importlib.util
import re
import shlex
import sys
from functools import partial
from pathlib import Path

import jax
import pytest

from ascribe import autodiff
from ascribe.cli import main

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"(?:<!-- needs: (\w+) -->\n)?```(python|bash)\n(.*?)```", re.DOTALL)
CLAIM = re.compile(
    r"print\(.*\)  # (True|False|inf|<[^>]*>|-?[\d.]+(?=…)|[\d.]+(?=$|:)|\[.*\](?=$|:)|\(.*\)(?=$|:))", re.MULTILINE
)

PAGES = {
    "tutorial.md": 15,
    "guide.md": 8,
    "writing-rules.md": 3,
    "cards.md": 1,
    "own-networks.md": 2,
    "autodiff.md": 8,
    "neurons.md": 6,
    "b-functions.md": 0,
    "relaxed-identity.md": 0,
    "store.md": 0,
    "clusters.md": 1,
    "large-runs.md": 1,
    "statistics.md": 13,
    "numbers.md": 1,
    "integrations.md": 5,
    "estimators.md": 8,
    "documents/lecture.md": 3,
    **{f"rules/{path.name}": 1 for path in sorted((DOCS / "rules").glob("*.md")) if path.stem != "index"},
}
"""The pages whose code runs, and how many printed results are checked on them at least."""
COMMANDS = ("guide.md", "own-networks.md")
"""The pages whose command lines run as they stand; README's and others' take minutes, and are run shrunken or by hand."""
SHRUNKEN = {
    "own-networks.md": {"--out first": "--out first --samples 200 --seeds 1 --epochs 1 --tune 0"},
    "relaxed-identity.md": {"[100] * 100": "[10] * 10", '"epochs": 250': '"epochs": 2'},
    "clusters.md": {"workers=2": "workers=1"},
    "integrations.md": {"tune=2,": "tune=2, tune_seeds=1,"},  # as many candidates as seeds: they share a program
}
"""What is put in place of what takes long."""


@pytest.mark.slow
@pytest.mark.parametrize(("page", "claims"), PAGES.items(), ids=PAGES)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the extras' packages
def test_a_page_runs_and_prints_what_it_says(page, claims, monkeypatch, tmp_path, few_figures):
    """A comment behind a print that begins with a number, name or list holds what that line prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    known, names, checked = set(sys.modules), {}, 0
    try:
        for needed, language, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            if needed and importlib.util.find_spec(needed) is None:
                continue
            for long, short in SHRUNKEN.get(page, {}).items():
                text = text.replace(long, short)  # noqa: PLW2901
            if language == "bash":
                commands = [line.split("#")[0] for line in text.splitlines() if line.startswith("ascribe ")]
                for command in commands if page in COMMANDS else ():
                    assert main(shlex.split(command)[1:]) == 0, command
                continue
            if name := re.match(r"# (\w+\.py)\n", text):
                (tmp_path / name[1]).write_text(text, encoding="utf-8")
            printed: dict[int, str] = {}  # by the line of its print
            names["print"] = partial(_noted, page, printed)
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users have it
                exec(compile(text, page, "exec"), names)
            for claim in CLAIM.finditer(text):
                line = text.count("\n", 0, claim.start()) + 1
                assert printed.get(line, "").startswith(claim[1]), f"{claim[0]} printed:\n{printed.get(line)}"
                checked += 1
    finally:
        autodiff.OPERATORS.pop("cube", None)
        autodiff.DERIVATIVES.pop("cube", None)
        for module in set(sys.modules) - known:
            if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
                del sys.modules[module]
    assert checked >= claims


def _noted(page, printed, *values, sep=" ", end="\n", **options):
    """Notes what is printed under the page's line that prints it."""
    frame = sys._getframe(1)
    if frame.f_code.co_filename == page:
        printed[frame.f_lineno] = printed.get(frame.f_lineno, "") + sep.join(map(str, values)) + end
    print(*values, sep=sep, end=end, **options)


def test_every_page_with_code_runs():
    """But for those whose only blocks are commands that take minutes."""
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "```python" in path.read_text(encoding="utf-8")}
    assert pages == {page for page in PAGES if "```python" in (DOCS / page).read_text(encoding="utf-8")}
    assert pages <= set(PAGES)
