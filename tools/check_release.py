"""What must be in the release files, and what must not: `python tools/check_release.py DIST` after a build.

The wheel is the package: every file below src/ascribe, its templates and `py.typed` among them, the license, and nothing
else. The sdist has what it takes to build, test and read it.
"""

import re
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST_BYTES = {"wheel": 2_000_000, "sdist": 5_000_000}
IN_SDIST = {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "pyproject.toml", "mkdocs.yml"}
IN_SDIST |= {"docs/index.md", "tests/conftest.py", "src/ascribe/py.typed", "tools/pages.py"}
NEVER = re.compile(r"__pycache__|\.pyc$|\.sqlite$|\.egg-info|^(\.venv|\.ci|\.git|dist|site|ascribe-runs)(/|$)")


def main(folder: Path) -> None:
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    version = re.search(r'__version__ = "(.*)"', (ROOT / "src/ascribe/__init__.py").read_text(encoding="utf-8"))[1]
    assert wheel.name == f"ascribe_learning-{version}-py3-none-any.whl", wheel.name
    assert sdist.name == f"ascribe_learning-{version}.tar.gz", sdist.name

    names = set(zipfile.ZipFile(wheel).namelist())
    about = {name for name in names if name.startswith(f"ascribe_learning-{version}.dist-info/")}
    expected = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src" / "ascribe").rglob("*")
        if path.is_file() and not NEVER.search(str(path.relative_to(ROOT / "src")))
    }
    same("the wheel", names - about, expected)
    assert any(name.endswith(".jinja") for name in names) and "ascribe/py.typed" in names
    assert f"ascribe_learning-{version}.dist-info/licenses/LICENSE" in about

    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    missing = sorted(IN_SDIST - inside)
    assert not missing, f"the sdist is without {missing}"
    for kind, found in (("wheel", names), ("sdist", inside)):
        unwanted = sorted(name for name in found if NEVER.search(name))
        assert not unwanted, f"the {kind} has {unwanted}"
    for kind, path in (("wheel", wheel), ("sdist", sdist)):
        size = path.stat().st_size
        assert size <= MOST_BYTES[kind], f"the {kind} has {size:,} bytes"
        print(f"{path.name}: {size:,} bytes")


def same(what: str, found: set[str], expected: set[str]) -> None:
    assert found == expected, f"{what} is without {sorted(expected - found)}, and has {sorted(found - expected)} besides"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
