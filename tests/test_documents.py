"""The pages of the source documents: what each states is held by an entry of `ascribe reproduce`, by a test, or by a reason.

The last table of a page of docs/documents/ has the header `| where | what is stated | held by |`. Its last column is
`entry NAME` or `test tests/PATH.py::NAME`, several of them with semicolons between, or `because: REASON`.
"""

import ast
import functools
import re
from pathlib import Path

import pytest

from ascribe import papers

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs" / "documents").glob("*.md"))
HEADER = "| where | what is stated | held by |"
PAGE = """# A document

| where | what is stated | held by |
| --- | --- | --- |
| (1) | a < b \\| c | {held} |
"""


def rows(text):
    """The lines of the page's last table, each a list of its cells."""
    _, header, table = text.rpartition(f"\n{HEADER}\n")
    if not header:
        return []
    lines = [line for line in table.strip().splitlines() if line.startswith("|")]
    split = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return split[1:] if split and set("".join(split[0])) <= set("- :") else split


@functools.cache
def known_tests(path):
    """The names of a test file's tests, those of its classes after the class's name."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        inside = node.body if isinstance(node, ast.ClassDef) else ()
        for one, prefix in ((node, ""), *((each, f"{node.name}::") for each in inside)):
            if isinstance(one, ast.FunctionDef) and one.name.startswith("test_"):
                found.add(prefix + one.name)
    return found


def complaint(held):
    """What is wrong with a cell of the last column; None where nothing is."""
    held = held.replace("`", "")
    if held.startswith("because:"):
        return None if held.removeprefix("because:").strip() else "a reason is missing"
    for part in (one.strip() for one in held.split(";")):
        kind, _, name = part.partition(" ")
        path, _, test = name.partition("::")
        if kind == "entry":
            if name not in papers.TABLE:
                return f"there is no entry {name!r}"
        elif kind != "test":
            return f"entry, test or because: is wanted; got {part!r}"
        elif not re.fullmatch(r"tests/[\w/]+\.py", path) or not (ROOT / path).is_file():
            return f"there is no test file {path!r}"
        elif test not in known_tests(path):
            return f"{path} has no test {test!r}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_document_states_is_held_by_what_there_is(page):
    found = rows(page.read_text(encoding="utf-8"))
    assert found, f"the page needs a table with the header {HEADER}"
    for row in found:
        assert len(row) == 3 and all(row), row
        assert complaint(row[2]) is None, row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_named_after_its_document(page):
    titles = {papers.LECTURE, papers.FORWARD_PASS, papers.B_FUNCTIONS, papers.NOTES, papers.RELAXED_IDENTITY}
    assert page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") in titles


def test_a_table_is_read_and_what_is_not_there_is_noticed():
    assert rows(PAGE.format(held="entry perceptron")) == [["(1)", "a < b \\| c", "entry perceptron"]]
    assert rows("# A document\n") == []
    here = "tests/test_documents.py"
    good = f"`entry perceptron`; test {here}::test_a_table_is_read_and_what_is_not_there_is_noticed"
    assert complaint(good) is None
    assert complaint("because: the document leaves it open; so do we") is None
    assert complaint("because: ") == "a reason is missing"
    assert complaint("entry perceptrn") == "there is no entry 'perceptrn'"
    assert complaint(f"{good}; entry none") == "there is no entry 'none'"
    assert complaint(f"test {here}::rows") == f"{here} has no test 'rows'"
    assert complaint("test tests/none.py::test_a") == "there is no test file 'tests/none.py'"
    assert complaint("test tests/../README.md::test_a") == "there is no test file 'tests/../README.md'"
    assert complaint("see the docs") == "entry, test or because: is wanted; got 'see the docs'"
