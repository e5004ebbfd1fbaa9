"""What every test costs, in compiled programs and CPU seconds: a budget for fast tests, and the dearest in the end.

A program is one shape of one function that XLA compiles, whether the disk has it already or not. The number of programs is
what a test costs before anything else, and it is the same on every machine; CPU seconds (user and system, child processes
too) also catch what costs without compiling. A test pays for the fixtures that it is the first to need.
"""

import resource
from typing import NamedTuple

import jax
import pytest

PROGRAMS, SECONDS = 100, 20.0
"""What a test that is not marked `slow` may cost: several times what it should, so that a busy machine fails nothing."""
SHOWN = 20
"""How many of the dearest tests are listed in the end."""
COMPILED = "/jax/core/compile/backend_compile_duration"


class Cost(NamedTuple):
    """Compiled programs and CPU seconds."""

    programs: int
    seconds: float

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.programs - other.programs, self.seconds - other.seconds)

    def __str__(self) -> str:
        return f"{self.programs} programs, {self.seconds:.1f} CPU seconds"


def refusal(cost: Cost) -> str | None:
    """Why a test of this cost is too dear to be a fast one; None where it is not."""
    if cost.programs <= PROGRAMS and cost.seconds <= SECONDS:
        return None
    return (
        f"a test that is not marked slow costs at most {PROGRAMS} programs and {SECONDS:g} CPU seconds; this one took {cost}: "
        f"compile one function with everything in it, ask for shapes by jax.eval_shape, or share a training (CONTRIBUTING.md)."
    )


class Budget:
    """The plugin: measures, refuses and reports."""

    def __init__(self):
        self.programs = 0
        self.began = Cost(0, 0.0)
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration: float, **_):
        self.programs += event == COMPILED

    def spent(self) -> Cost:
        """Since the process began."""
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return Cost(self.programs, sum(one.ru_utime + one.ru_stime for one in used))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self):
        self.began = self.spent()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        if call.when == "call":
            cost = self.spent() - self.began
            report.user_properties.append(("cost", tuple(cost)))
            reason = refusal(cost)
            if reason and report.passed and item.get_closest_marker("slow") is None:
                report.outcome, report.longrepr = "failed", f"{item.nodeid}: {reason}"
        return report

    def pytest_terminal_summary(self, terminalreporter):
        reports = [report for reports in terminalreporter.stats.values() for report in reports]
        costs = {
            report.nodeid: Cost(*cost)
            for report in reports
            for name, cost in getattr(report, "user_properties", ())
            if name == "cost"
        }
        if len(costs) <= SHOWN:
            return
        terminalreporter.section("the dearest tests")
        for name in sorted(costs, key=lambda name: -costs[name].seconds)[:SHOWN]:
            terminalreporter.write_line(f"{costs[name].seconds:7.1f} s {costs[name].programs:4d} programs  {name}")
        total = Cost(*map(sum, zip(*costs.values(), strict=True)))
        terminalreporter.write_line(f"{len(costs)} tests: {total}")
