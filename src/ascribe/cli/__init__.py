"""The command line: one file a command. Commands import the library late, so that `--help` is instant."""

import errno
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from ascribe import __version__
from ascribe.addresses import told
from ascribe.errors import Interrupted, UserError, shown, spelled

from . import data
from .console import speak_plainly
from .sentences import as_typed, sentence
from .title import hide_passwords

_parsed: list[Any] = []
"""The options of the command that was parsed last, with what was typed of them."""


def _remember(_app: App, _commands: tuple[str, ...], arguments: Sequence[Any]) -> None:
    _parsed[:] = arguments


app = App(
    name="ascribe",
    help="The workbench for credit assignment: compare learning rules for neural networks, fairly and over many seeds.",
    version=__version__,
    help_format="plaintext",
    help_epilogue="Start with: ascribe compare moons",
    suppress_keyboard_interrupt=False,  # `main` answers it
    default_parameter=Parameter(negative=()),
    config=_remember,
)
COMMANDS = {
    "compare": "Compare learning rules on a data set: equal tuning, many seeds, one page.",
    "discover": "Learn a b-function: what stands in place of an activation's derivative.",
    "play": "Watch learning rules learn side by side, in one page that opens from a file, or live.",
    "neuron": "Simulate a neuron, its tuning curve or a network of neurons, and draw it.",
    "inspect": "Show the card of a rule: what it costs, how good its credit is, what it equals in a limit.",
    "rules": "List the learning rules, one line each.",
    "datasets": "List the data sets, one line each.",
    "reproduce": "Redo the source documents' figures and numbers, each with its check.",
    "report": "Draw the page of a finished comparison again, from its record.",
    "runs": "List, show, export and delete what is kept in a store.",
}
for _command, _help in COMMANDS.items():
    app.command(f"ascribe.cli.{_command}:{_command}", name=_command, help=_help)

RESUMABLE = ("compare", "discover")

_arguments: list[str] = []
_whole: list[str] = []
"""The command with all its options, where some of them were not typed but taken from a record or a store."""

OWN_NAMES = {"json_output": "json"}
"""Options that are not called as their argument is."""


def command_line() -> str:
    """The command with all its options, for the record: by it the same can be had again."""
    return shlex.join(["ascribe", *map(told, _whole or _arguments)])


def known_as(command: str, options: Mapping[str, Any]) -> None:
    """From now on the command is known as this one, with these arguments by their names."""
    _whole[:] = [command, *written(options)]


def written(options: Mapping[str, Any]) -> list[str]:
    """The arguments of a command, by their names, as they are typed; `data` has no name there."""
    tokens = []
    for name, value in options.items():
        option = "--" + OWN_NAMES.get(name, name).replace("_", "-")
        if name == "data":
            tokens.insert(0, f"./{value}" if value.startswith("-") else value)
        elif isinstance(value, bool):
            tokens.append(option if value else option.replace("--", "--no-", 1))
        else:
            for one in value if isinstance(value, list) else [value]:
                tokens += [f"{option}={one}"] if str(one).startswith("-") else [option, str(one)]
    return tokens


def given(tokens: Sequence[str]) -> dict[str, Any]:
    """The arguments of a command that these tokens give, and none of those that they leave out."""
    _parsed.clear()
    app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    return {argument.field_info.name: argument.value for argument in _parsed if argument.tokens}


def run_as(command: str, options: Mapping[str, Any]) -> int:
    """Runs a command with these arguments, by their names."""
    return _typed([command, *written(options)])


def arguments_given() -> list[str]:
    """The command as it was given, in parts; without the password of a server's address. Of one that a record has (`--config`),
    all its options."""
    return [told(token) for token in (_whole if _whole and "--resume" not in _arguments else _arguments)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, or 1 where `reproduce` did not reproduce something, another process of a
    run has ended, or nobody reads standard output to its end (`| head`), or 2 for bad input (one sentence on standard error),
    or 130 for an interruption."""
    speak_plainly()
    _arguments[:] = sys.argv[1:] if arguments is None else arguments
    _whole.clear()
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
        result = (_kept(tokens) or _typed)(tokens)
        sys.stdout.flush()
    except UserError as error:
        return _refuse(str(error))
    except CycloptsError as error:
        return _refuse(sentence(error))
    except OSError as error:
        closed = isinstance(error, BrokenPipeError)  # who read it has what it wants, as in `| head`; Rich ends with 1 too
        if not closed and (error.errno != errno.ENOSPC or error.filename is not None):
            raise
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1 if closed else _refuse(f"standard output could not be written ({error.strerror}): send it elsewhere.")
    except Interrupted as error:
        print(f"\nascribe: {error}.", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\nascribe: interrupted; nothing was written.", file=sys.stderr)
        return 130
    return result if isinstance(result, int) else 0


def _kept(tokens: Sequence[str]) -> Callable[[Sequence[str]], int] | None:
    """What answers a command that has options of an earlier one beside those that are typed; None for any other command."""
    command = tokens[0] if tokens else ""
    if command in RESUMABLE and "--resume" in tokens:
        return importlib.import_module(f".{command}", __name__).go_on  # late, so that --help is instant
    if command == "compare" and any(token.partition("=")[0] == "--config" for token in tokens):
        return importlib.import_module(f".{command}", __name__).again
    return None


def _typed(tokens: Sequence[str]) -> Any:
    return app(list(tokens), exit_on_error=False, print_error=False, result_action="return_value")


def _check_text(tokens: Sequence[str]) -> None:
    """Refuse bytes that are no text, and NUL: neither a page nor a record nor a store could name them. And what is empty: as a
    path it would be the folder that this runs in."""
    for place, token in enumerate(tokens):
        if not token or (token.startswith("--") and token.endswith("=")):
            name = token.rstrip("=") or next((one for one in tokens[place - 1 : place] if one.startswith("--")), "an argument")
            raise UserError(f"{name} wants a value; got an empty text: is a variable of the shell without one?")
        try:
            token.encode("utf-8")
            wrong = "\0" in token
        except UnicodeEncodeError:
            wrong = True
        if wrong:
            raise UserError(f"arguments are text in UTF-8; got {shown(token)}: choose another name.")


def _refuse(reason: str) -> int:
    print(f"ascribe: {as_typed(reason)}", file=sys.stderr)
    return 2
