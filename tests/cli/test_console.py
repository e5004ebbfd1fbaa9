"""What a console, a pipe or a file is given to read: no character that it lacks, and tables of which nothing is cut."""

import io
import json
import re
import subprocess
import sys
import warnings

import pytest
from rich.table import Table
from rich.text import Text

from ascribe.cli import COMMANDS, app, console, main
from ascribe.cli.console import plain, show
from ascribe.cli.sentences import as_typed

from ..store.case import COMMAND_LINE, comparison
from ..store.case import plain as without_pictures


@pytest.mark.parametrize(
    ("text", "ascii_form", "cp1252_form"),
    [
        ("\N{MINUS SIGN}3 ± 1…", "-3 +/- 1...", "-3 ± 1…"),
        ("\N{GREEK SMALL LETTER SIGMA}′(z) → Δ", "sigma'(z) -> Delta", "sigma'(z) -> Delta"),
        ("10⁻⁴ µA/cm²", "10^-4 uA/cm^2", "10^-4 µA/cm²"),
        ("λ ≤ ½, x₁ ‖W‖", "lambda <= 1/2, x1 ||W||", "lambda <= ½, x1 ||W||"),
        ("naïve Ångström", "naive Angstrom", "naïve Ångström"),
        ("日本", "??", "??"),
        ("\udc80", "?", "?"),
    ],
)
def test_a_character_that_the_console_lacks_gets_its_plain_form(text, ascii_form, cp1252_form):
    assert plain(text, "ascii") == ascii_form
    assert plain(text, "cp1252") == cp1252_form
    if "\udc80" not in text:
        assert plain(text, "utf-8") == text


class Terminal(io.TextIOWrapper):
    """Standard output of that encoding, a terminal or not."""

    def __init__(self, encoding, *, terminal=False):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True, newline="\n")
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @property
    def text(self):
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def output(monkeypatch):
    """What stands for standard output and standard error."""

    def replaced(encoding="utf-8", *, columns=None):
        stream = Terminal(encoding, terminal=columns is not None)
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", Terminal(encoding))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        monkeypatch.setenv("COLUMNS", str(columns or 30))
        for kept in ("_fallback_console", "_fallback_error_console"):  # of cyclopts, with the width of their time
            monkeypatch.setattr(app, kept, None)
        return stream

    return replaced


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437"])
def test_no_console_stops_a_command(encoding, output, tmp_path, monkeypatch):
    """Every help, every list, and the tables of results."""
    without_pictures(monkeypatch)
    monkeypatch.chdir(tmp_path)
    comparison().save("done")
    lists = [["rules"], ["datasets"], ["reproduce", "--list"], ["report", "done"], ["runs", "list"]]
    for arguments in [["--help"], *([command, "--help"] for command in COMMANDS), *lists]:
        stream = output(encoding)
        assert main(arguments) == 0
        assert stream.text
    stream = output(encoding)
    assert main(["compare", "\N{GREEK SMALL LETTER SIGMA}.csv"]) == 2
    assert "sigma.csv" in sys.stderr.text or encoding == "cp437"  # which has that letter


def test_columns_stay_in_line_where_plain_forms_are_longer(output):
    stream = output("ascii")
    table = Table(box=None, pad_edge=False)
    table.add_column("σ")
    table.add_column("n")
    table.add_row(Text("1 ± 2", style="bold"), "a")
    table.add_row("3", "b")
    show(table)
    lines = stream.text.splitlines()
    assert [line.rstrip() for line in lines] == ["sigma    n", "1 +/- 2  a", "3        b"]


def wide(count=8):
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for number in range(count):
        table.add_column(f"number{number}", no_wrap=True)
    table.add_row("feedback-alignment", *(f"{number}.123456" for number in range(count)))
    return table


def test_a_pipe_has_no_width(output):
    """Whatever COLUMNS says: who reads it is no terminal."""
    stream = output()
    show(wide())
    assert stream.text.splitlines()[1].split() == ["feedback-alignment", *(f"{i}.123456" for i in range(8))]
    assert len(stream.text.splitlines()) == 2


@pytest.mark.parametrize("columns", [120, 60, 40, 30])
def test_a_terminal_gets_the_columns_in_parts_and_no_cell_is_broken(output, columns):
    stream = output(columns=columns)
    show(wide())
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.text)
    assert all(len(line) <= columns for line in text.splitlines())
    blocks = [line.split() for line in text.splitlines()]
    assert {blocks[i][0] for i in range(0, len(blocks), 2)} == {"name"}
    cells = [cell for line in blocks[1::2] for cell in line[1:]]
    assert cells == [f"{i}.123456" for i in range(8)]
    assert {line[0] for line in blocks[1::2]} == {"feedback-alignment"}


def test_names_are_broken_last(output):
    stream = output(columns=24)
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    table.add_row("feedback-alignment", "transported by randomness")
    show(table)
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.text)
    assert "feedback-alignment" in text
    words = "".join(line[18:].strip() for line in text.splitlines())
    assert words.replace(" ", "") == "whatitistransportedbyrandomness"


def test_a_terminal_that_is_too_narrow_for_a_cell_breaks_it_and_loses_nothing(output):
    stream = output(columns=12)
    show(wide(1))
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.text)
    assert "…" not in text
    assert all(len(line) <= 12 for line in text.splitlines())
    assert sum(text.count(letter) for letter in "fkbg") == sum("feedback-alignment".count(one) for one in "fkbg") + 1


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (repr("C:\\results\\new") + " is a file", r"'C:\results\new' is a file"),
        (repr("\\\\server\\share"), r"'\\server\share'"),
        (repr("a NUL: \0"), r"'a NUL: \x00'"),
        (r"as \d: 'it', " + repr("\\t"), r"as \d: 'it', '\t'"),
    ],
)
def test_a_path_is_told_as_it_is_typed(text, typed):
    assert as_typed(text) == typed


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["cp1252", "ascii:strict"])
def test_a_process_ends_well_whatever_its_console(encoding, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    arguments = ["-m", "ascribe", "compare", *COMMAND_LINE, "--out", "out"]
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"page: out" in done.stdout
    assert b"Traceback" not in done.stderr
    json.loads((tmp_path / "out" / "record.json").read_text(encoding="utf-8"))


def test_the_plain_forms_are_plain():
    assert all(form.isascii() for form in console.FORMS.values())


def test_a_warning_of_ascribe_is_a_sentence_and_one_of_others_keeps_its_line(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    console.speak_plainly()
    assert warnings.formatwarning("the store is old.", UserWarning, console.__file__, 3) == "ascribe: the store is old.\n"
    for category, file in ((UserWarning, "torch.py"), (DeprecationWarning, console.__file__)):
        assert f"{file}:3: {category.__name__}: old" in warnings.formatwarning("old", category, file, 3)
