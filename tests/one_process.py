"""Runs one script after the other in one process, which imports JAX and the package once.

Every line of its standard input is a script and its options, as a JSON list. It answers with a line: a JSON list of what the
script printed and of how it failed, "" where it did not. What else would reach its output goes to its standard error.
"""

import contextlib
import io
import json
import os
import runpy
import sys
import traceback
from pathlib import Path


def ran(arguments: list[str]) -> tuple[str, str]:
    """What the script printed, and how it failed."""
    printed, failure = io.StringIO(), ""
    sys.argv = arguments
    cores = os.sched_getaffinity(0)
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as ended:
        failure = str(ended.code) if ended.code else ""
    except BaseException:  # whatever a script raises is its answer
        failure = traceback.format_exc()
    finally:
        os.sched_setaffinity(0, cores)
    return printed.getvalue(), failure


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        import ascribe

        ascribe.use_all_cores()  # before the first script may start JAX with one
        for line in sys.stdin:
            arguments = json.loads(line)
            sys.path[0] = str(Path(arguments[0]).parent)
            print(json.dumps(ran(arguments)), file=answers, flush=True)
