"""The tutorials' code runs, block by block, in the order of the page."""

import re
from pathlib import Path

import jax
import pytest

from ascribe import autodiff

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize(("page", "claims"), [("autodiff.md", 8), ("neurons.md", 6), ("estimators.md", 8)])
def test_a_tutorial_runs_and_prints_what_it_says(page, claims, capsys, monkeypatch, tmp_path):
    """A comment behind a print that begins with the number, name or list that is printed holds what is printed."""
    monkeypatch.chdir(tmp_path)
    names, checked = {}, 0
    try:
        for text in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL):
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
