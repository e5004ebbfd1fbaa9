"""The command line: one file a command. Commands import the library late, so that `--help` is instant."""

import importlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from ascribe import __version__
from ascribe.addresses import told
from ascribe.errors import Interrupted, UserError, shown, spelled

from . import data
from .title import hide_passwords

app = App(
    name="ascribe",
    help="The workbench for credit assignment: compare learning rules for neural networks, fairly and over many seeds.",
    version=__version__,
    help_format="plaintext",
    help_epilogue="Start with: ascribe compare moons",
    suppress_keyboard_interrupt=False,  # `main` answers it
)
COMMANDS = {
    "compare": "Compare learning rules on a data set: equal tuning, many seeds, one page.",
    "discover": "Learn a b-function: what stands in place of an activation's derivative.",
    "neuron": "Simulate a neuron, its tuning curve or a network of neurons, and draw it.",
    "rules": "List the learning rules, one line each.",
    "datasets": "List the data sets, one line each.",
    "reproduce": "Redo the source documents' figures and numbers, each with its check.",
    "report": "Draw the page of a finished comparison again, from its record.",
    "runs": "List, show, export and delete what is kept in a store.",
}
for _command, _help in COMMANDS.items():
    app.command(f"ascribe.cli.{_command}:{_command}", name=_command, help=_help)

LONG = 1000
"""Characters of a word from which on it is not repeated whole."""
RESUMABLE = ("compare", "discover")

_arguments: list[str] = []


def command_line() -> str:
    """The command as it was given, for the record."""
    return shlex.join(["ascribe", *arguments_given()])


def given(tokens: Sequence[str]) -> dict[str, Any]:
    """The arguments of a command that these tokens give, and none of those that they leave out."""
    _, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    return dict(bound.arguments)


def arguments_given() -> list[str]:
    """The command as it was given, in parts; without the password of a server's address."""
    return [told(token) for token in _arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or 1 where a check of `reproduce` fails or another process of a run has
    ended, or 2 for bad input (one sentence on standard error), or 130 for an interruption."""
    _arguments[:] = sys.argv[1:] if arguments is None else arguments
    if arguments is None:
        hide_passwords(_arguments)
    with spelled(data.spelled):
        code = _answer()
    processes = sys.modules.get("ascribe.training.processes")
    if code and processes is not None and processes.joined():
        processes.leave(code)  # the others may be waiting for this process
    return code


def _answer() -> int:
    tokens = list(_arguments)
    try:
        _check_text(tokens)
        if tokens and tokens[0] in RESUMABLE and "--resume" in tokens:
            return importlib.import_module(f".{tokens[0]}", __name__).go_on(tokens)  # late, so that --help is instant
        result = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except UserError as error:
        return _refuse(str(error))
    except CycloptsError as error:
        command = f"{tokens[0]} " if tokens and tokens[0] in COMMANDS else ""
        return _refuse(f"{' '.join(map(_cut, str(error).split()))} See `ascribe {command}--help`.")
    except Interrupted as error:
        print(f"\nascribe: {error}.", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\nascribe: interrupted; nothing was written.", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def _check_text(tokens: Sequence[str]) -> None:
    """Refuse bytes that are no text, and NUL: neither a page nor a record nor a store could name them."""
    for token in tokens:
        try:
            token.encode("utf-8")
            wrong = "\0" in token
        except UnicodeEncodeError:
            wrong = True
        if wrong:
            raise UserError(f"arguments are text in UTF-8; got {shown(token)}: choose another name.")


def _cut(word: str) -> str:
    """A word of a sentence, the beginning and the end of a long one."""
    return word if len(word) <= LONG else f"{word[:40]}...{word[-9:]}"


def _refuse(sentence: str) -> int:
    print(f"ascribe: {sentence}", file=sys.stderr)
    return 2
