"""Folders import from those above them in the tree, never back; what needs no JAX does not import it."""

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import ascribe

SOURCE = Path(ascribe.__file__).parent
ORDER = (
    "errors",
    "addresses",
    "checks",
    "checksums",
    "measures",
    "files",
    "memory",
    "setup",
    "statistics",
    "notebook",
    "diagram",
    "autodiff",
    "types",
    "jaxprs",
    "datasets",
    "networks",
    "losses",
    "metrics",
    "rules",
    "training",
    "loggers",
    "estimators",
    "search",
    "charts",
    "report",
    "neurons",
    "store",
    "cluster",
    "experiments",
    "cards",
    "playground",
    "papers",
    "cli",
)
FREE = ("__init__", "__main__")  # the lazy face of the package, and the way into the command line
MODULES = {path: path.relative_to(SOURCE).parts[0].removesuffix(".py") for path in sorted(SOURCE.rglob("*.py"))}
WITHOUT_JAX = (*ORDER[: ORDER.index("autodiff") + 1], "datasets", "charts", "report")
LINES, FUNCTION = 450, 110
MANY, MOST, LONGEST = 8, 13, 24
"""No more than 13 functions take 8 arguments or more, and none more than 24."""
HEAVY = {"jax", "jaxlib", "equinox", "optax", "jaxtyping", "sklearn"}


@functools.cache
def nodes(path):
    return [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def imported(path):
    """Every module that a file imports, anywhere in it, by its absolute name."""
    for module, names in imports(nodes(path), path):
        yield from (f"{module}.{name}" for name in names) if module == "ascribe" else [module]


def imports(some, path):
    """Every module that these nodes of a file import, by its absolute name, and what they take of it."""
    package = ("ascribe", *path.relative_to(SOURCE).parts[:-1])
    for node in some:
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            yield ".".join((*base, *([node.module] if node.module else []))), [alias.name for alias in node.names]


def running(path):
    """The nodes of a file but those that type checkers alone read."""
    checking = [node for node in nodes(path) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    unread = {part for node in checking for line in node.body for part in ast.walk(line)}
    return [node for node in nodes(path) if node not in unread]


def circle(folder):
    """Files of a folder that import each other in a circle, those inside functions too; [] where there is none."""
    files = {f"ascribe.{folder}.{path.stem}".removesuffix(".__init__"): path for path in (SOURCE / folder).glob("*.py")}
    onward = {
        file: {
            f"{module}.{name}" if f"{module}.{name}" in files else module
            for module, names in imports(running(path), path)
            for name in names or [""]
        }
        for file, path in files.items()
    }
    try:
        graphlib.TopologicalSorter(onward).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def breaches():
    """The folders with a circle in them, and what is longer than it may be."""
    for folder in ORDER:
        if ring := circle(folder):
            yield f"{folder}: a circle", " <- ".join(ring)
    for path in MODULES:
        name, lines = path.relative_to(SOURCE).as_posix(), len(path.read_text(encoding="utf-8").splitlines())
        if lines > LINES:
            yield name, f"{lines} lines"
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION:
                    yield f"{name}: {node.name}", f"{lines} lines"


def folder_of(name):
    """The folder (or module) of the package that a name belongs to; None for other packages and for names of its face."""
    parts = name.split(".")
    return parts[1] if parts[0] == "ascribe" and len(parts) > 1 and not parts[1].startswith("__") else None


def test_every_folder_has_its_place_in_the_order():
    assert set(MODULES.values()) == {*ORDER, *FREE}


def test_a_file_imports_only_from_folders_before_its_own():
    for path, own in MODULES.items():
        for name in imported(path) if own not in FREE else ():
            folder = folder_of(name)
            if folder is not None:
                assert folder in ORDER, f"{path.name} imports {name}"
                assert ORDER.index(folder) <= ORDER.index(own), f"{path.name} of {own} imports {name}"


def test_single_modules_are_files():
    leaves = (
        "errors",
        "addresses",
        "checks",
        "checksums",
        "measures",
        "files",
        "memory",
        "setup",
        "notebook",
        "diagram",
        "types",
    )
    for folder in (*leaves, "losses", "estimators"):
        assert (SOURCE / f"{folder}.py").is_file()


def test_data_sets_and_the_report_name_no_jax():
    for path, folder in MODULES.items():
        if folder in WITHOUT_JAX:
            found = {name.split(".")[0] for name in imported(path)} & (HEAVY - {"sklearn"})
            assert not found, f"{path.name} of {folder} imports {', '.join(sorted(found))}"


def test_importing_them_one_after_another_brings_no_jax_along():
    modules = ("", ".errors", ".autodiff", ".datasets", ".statistics", ".notebook", ".report", ".papers", ".cli")
    lines = [f"import ascribe{name}; print('ascribe{name}', *sorted({HEAVY!r} & set(sys.modules)))" for name in modules]
    program = "\n".join(["import sys", *lines])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(SOURCE.parent), "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"ascribe{name}" for name in modules]


def test_imports_between_folders_are_absolute_and_inside_them_relative():
    """So that crossing a layer shows."""
    for path, folder in MODULES.items():
        if (SOURCE / folder).is_dir():
            for node in nodes(path):
                if isinstance(node, ast.ImportFrom) and node.level > 1:
                    raise AssertionError(f"{path.name} reaches out of {folder} with a relative import")


def test_no_folder_has_a_circle_and_nothing_is_too_long():
    found = dict(breaches())
    new = [f"{name} ({why})" for name, why in found.items()]
    assert not new, f"files of {LINES} lines and functions of {FUNCTION} at most, and no circles: {'; '.join(new)}"


PAST = 69
"""So many imports go past a folder's face (`from ascribe.networks.network import listed`): not more of them. Two folders have
none: what is drawn with is taken from its file, and `ascribe.experiments` would import all of JAX for one of its functions."""
WITHOUT_A_FACE = ("charts", "experiments")


def test_few_functions_take_many_arguments():
    many = {}
    for path in MODULES:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                count = sum(one.arg not in ("self", "cls") for one in taken)
                if count >= MANY:
                    many[f"{path.relative_to(SOURCE)}: {node.name}"] = count
    assert len(many) <= MOST and max(many.values()) <= LONGEST, many


def test_no_more_imports_go_past_the_face_of_a_folder():
    found = []
    for path, own in MODULES.items():
        for node in nodes(path):
            parts = (node.module or "").split(".") if isinstance(node, ast.ImportFrom) and not node.level else []
            if parts[:1] == ["ascribe"] and len(parts) > 2 and parts[1] not in (own, *WITHOUT_A_FACE):
                found.append(f"{path.relative_to(SOURCE)}: {node.module}")
    assert len(found) <= PAST, "export what is asked for, or move it: " + "; ".join(found)
    assert len(found) == PAST, f"there are fewer now: let PAST be {len(found)}"
