"""The tutorials' code runs, block by block, in the order of the page.

A block below `<!-- needs: PACKAGE -->` is left out where the package, an extra's, is not installed.
"""

import importlib.util
import re
from pathlib import Path

import jax
import pytest

from ascribe import autodiff

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"(?:<!-- needs: (\w+) -->\n)?```python\n(.*?)```", re.DOTALL)


PAGES = {
    "autodiff.md": 8,
    "neurons.md": 6,
    "store.md": 0,
    "large-runs.md": 1,
    "statistics.md": 12,
    "integrations.md": 5,
    "estimators.md": 8,
}
"""The pages whose code runs, and how many printed results are checked on them at least."""


@pytest.mark.parametrize(("page", "claims"), PAGES.items())
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the extras' packages
def test_a_tutorial_runs_and_prints_what_it_says(page, claims, capsys, monkeypatch, tmp_path):
    """A comment behind a print that begins with the number, name or list that is printed holds what is printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    names, checked = {}, 0
    try:
        for needed, text in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
            if needed and importlib.util.find_spec(needed) is None:
                continue
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as users have it
                exec(compile(text, page, "exec"), names)
            printed = capsys.readouterr().out
            for claim in re.findall(
                r"print\(.*\)  # (True|<[^>]*>|-?[\d.]+(?=…)|[\d.]+$|\[\[.*\]\])", text, re.MULTILINE
            ):
                assert claim in printed, f"{claim} is not in what was printed:\n{printed}"
                checked += 1
    finally:
        autodiff.OPERATORS.pop("cube", None)
        autodiff.DERIVATIVES.pop("cube", None)
    assert checked >= claims
