"""The one error that a user's input can raise: a sentence that says what was wanted, what came and what to try."""


class UserError(ValueError):
    """Bad input. Its text is one sentence; the command line prints it and exits with code 2."""


class Interrupted(KeyboardInterrupt):
    """The work was stopped on request, and what was done is kept; a sentence that says where."""
