"""The second process that traces rules: `python -m ascribe.playground.second` reads what it is asked for, pickled, from its
standard input, and writes the programs of these rules to its standard output."""

import json
import pickle
import sys

from ascribe.errors import UserError

from .programs import parts

if __name__ == "__main__":
    try:
        made = parts(*pickle.load(sys.stdin.buffer))
    except UserError as refused:
        made = {"error": str(refused)}
    sys.stdout.write(json.dumps(made))
