"""The declared faults of `tools/mutations.toml` fit the source, so that `tools/mutate.py` can put them in."""

import ast
import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def mutate():
    """`tools/mutate.py` as a module."""
    specification = importlib.util.spec_from_file_location("mutate", ROOT / "tools" / "mutate.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules["mutate"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


def test_every_fault_is_there_to_be_put_in_once_and_compiles():
    mutations = mutate().listed()
    assert len({(one.file, one.old, one.new) for one in mutations}) == len(mutations)
    assert len({(one.file, one.why) for one in mutations}) == len(mutations)
    wrong = []
    for one in mutations:
        text = (ROOT / "src" / "ascribe" / one.file).read_text(encoding="utf-8")
        if text.count(one.old) != 1 or one.old == one.new:
            wrong.append(f"{one.file}: {one.why}: {one.old!r} is there {text.count(one.old)} times")
            continue
        place = text.index(one.old)
        changed = one.applied(text)
        assert changed == text[:place] + one.new + text[place + len(one.old) :]
        if not _compiles(changed):
            wrong.append(f"{one.file}: {one.why}: no Python any more")
        wrong += [f"{one.file}: {one.why}: there is no {test}" for test in one.tests if not (ROOT / test).exists()]
    assert not wrong, "\n".join(wrong)


def _compiles(text):
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def test_the_table_says_what_share_is_killed():
    module = mutate()
    one, other, third = module.listed()[:3]
    verdicts = [
        module.Verdict(one, module.KILLED, "", 0.0),
        module.Verdict(other, module.SURVIVED, "", 0.0),
        module.Verdict(third, module.EQUIVALENT, "", 0.0),
    ]
    assert module.table(verdicts).splitlines()[-1].split() == ["all", "3", "1", "1", "1", "0", "50", "%"]


def test_a_sample_is_the_same_for_one_seed():
    module = mutate()
    some = module.chosen(module.listed(), None, 10, 3)
    assert some == module.chosen(module.listed(), None, 10, 3) != module.chosen(module.listed(), None, 10, 4)
    assert all("losses" in one.file for one in module.chosen(module.listed(), "^losses.py", None, 1))
