import ast
from pathlib import Path

import ascribe.report

NEEDED = (
    *(f"ascribe.charts.{name}" for name in ("bands", "contours", "inline", "lines", "maps", "png", "theme")),
    "ascribe.datasets.region",
    "ascribe.datasets.understood",
    "ascribe.diagram",
    "ascribe.errors",
    "ascribe.files",
    "ascribe.measures",
    "ascribe.notebook",
    "ascribe.setup",
    "ascribe.statistics",
    "ascribe.statistics.means",
)


def test_the_report_knows_nothing_of_how_runs_are_made():
    for path in Path(ascribe.report.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                base = node.module or ""
                names = [f"ascribe.{alias.name}" for alias in node.names] if base == "ascribe" else [base]
            # markupsafe is Jinja's dependency, not ours.
            assert "markupsafe" not in names, path
            assert all(name in NEEDED or name.split(".")[0] not in ("ascribe", "jax") for name in names), path
