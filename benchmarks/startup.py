"""(e) How long does `ascribe --help` take? Wall time of the whole process, against an interpreter that does nothing.

Run: `python benchmarks/startup.py`
"""

import subprocess
import sys

from measure import alternate, ratio, report


def process(*arguments):
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    times = alternate(
        {"ascribe --help": process("-m", "ascribe", "--help"), "python -c pass": process("-c", "pass")},
        rounds=11,
        seconds=0.01,
    )
    median = sorted(times["ascribe --help"])[len(times["ascribe --help"]) // 2]
    report(
        "start of the command line",
        times,
        steps=1,
        claims={
            "ascribe --help, seconds": (median, "<=", 0.3),
            "ascribe --help / an empty interpreter": (ratio(times, "ascribe --help", "python -c pass"), "<=", 20),
        },
    )
