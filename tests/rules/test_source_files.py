"""Files of users with others beside them: each is run once, is known by its source, and is found again in another process."""

import pickle
import sys

import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.networks import registry as layers
from ascribe.rules import source_files
from ascribe.training.identity import fingerprint

RULE = """
import jax
{imports}
from ascribe.rules import AbstractRule, Credit, backward_sweep


class Scaled(AbstractRule):
    def factor(self):
        return {factor}

    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return Credit(credit.loss, jax.tree.map(lambda g: self.factor() * g, credit.gradients), state)
"""


def written(folder, imports="from sizes import size", factor="size", size=3.0):
    folder.mkdir(exist_ok=True)
    (folder / "sizes.py").write_text(f"size = {size}\n")
    (folder / "rule.py").write_text(RULE.format(imports=imports, factor=factor))
    return f"{folder}/rule.py"


@pytest.mark.parametrize(
    ("imports", "factor"),
    [
        ("from sizes import size", "size"),
        ("import sizes", "sizes.size"),
        ("import sizes as other", "other.size"),
        ("from .sizes import size", "size"),
        ("from . import sizes", "sizes.size"),
        ("import os", "__import__('sizes').size if os else 0\n        import sizes"),
    ],
)
def test_a_rule_file_imports_what_lies_beside_it(tmp_path, imports, factor):
    assert rules.get(written(tmp_path, imports, factor)).factor() == 3.0
    assert "sizes" not in sys.modules


def test_two_folders_have_each_its_own_neighbor(tmp_path):
    first, second = (written(tmp_path / name, size=size) for name, size in (("a", 1.0), ("b", 2.0)))
    assert [rules.get(path).factor() for path in (first, second, first)] == [1.0, 2.0, 1.0]


def test_a_neighbor_that_changed_makes_another_rule_and_another_key(tmp_path):
    old = rules.get(written(tmp_path))
    known = fingerprint(old)
    new = rules.get(written(tmp_path, size=4.0))
    assert (old.factor(), new.factor()) == (3.0, 4.0)
    assert fingerprint(old) == known != fingerprint(new)
    (tmp_path / "unused.py").write_text("1 / 0\n")
    assert type(rules.get(f"{tmp_path}/rule.py")) is type(new)


def test_neighbors_of_neighbors_and_circles_are_run_once(tmp_path):
    path = written(tmp_path, "import one\nimport two", "one.value() + two.value()")
    (tmp_path / "one.py").write_text("count = []\nimport two\ndef value(): return 2 * len(two.count)\n")
    (tmp_path / "two.py").write_text("import one\ncount = [1]\none.count.append(1)\ndef value(): return len(one.count)\n")
    rule = rules.get(path)
    assert rule.factor() == 3
    before = fingerprint(rule)
    (tmp_path / "two.py").write_text("import one\ncount = [1, 2]\none.count.append(1)\ndef value(): return 1\n")
    assert rules.get(path).factor() == 5
    assert fingerprint(rules.get(path)) != before == fingerprint(rule)


def test_another_process_needs_no_file(tmp_path):
    rule = rules.get(written(tmp_path))
    pickled, files = pickle.dumps(rule), source_files.files_of(type(rule).__module__)
    assert [file.source for file in files] == [(tmp_path / name).read_bytes() for name in ("rule.py", "sizes.py")]
    for file in files:
        del sys.modules[file.module]
        (tmp_path / file.path).unlink()
    source_files.run_sent([source_files.SourceFile(*file) for file in pickle.loads(pickle.dumps(list(map(tuple, files))))])
    again = pickle.loads(pickled)
    assert again.factor() == 3.0 and type(again) is not type(rule)


def test_settings_keep_the_source_of_all_of_them(tmp_path):
    told = rules.settings(rules.get(written(tmp_path)))
    assert told["class"] == "rule.py:Scaled"
    assert told["source"] == (tmp_path / "rule.py").read_text()
    assert told["neighbors"] == {"sizes.py": "size = 3.0\n"}


def test_a_neighbor_that_fails_is_told_and_one_that_is_not_there(tmp_path):
    path = written(tmp_path)
    (tmp_path / "sizes.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=r"rule\.py' cannot be run: ZeroDivisionError: division by zero \(line 3\)"):
        rules.get(path)
    (tmp_path / "sizes.py").unlink()
    with pytest.raises(UserError, match=r"cannot be run: ModuleNotFoundError: No module named 'sizes'"):
        rules.get(path)


def test_layers_of_a_file_and_its_neighbors_are_registered_when_it_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "_registered", {})
    path = written(tmp_path, "from parts import Inner", "1")
    text = "from ascribe.networks import AbstractLayer\nclass Inner(AbstractLayer):\n    kind = 'inner'\n"
    (tmp_path / "parts.py").write_text(text)
    rules.get(path)
    assert list(layers._registered) == ["Inner"]
    monkeypatch.setattr(layers, "_registered", {})
    assert rules.registry.layers_of_file(tmp_path / "parts.py") == ["Inner"]
    with pytest.raises(UserError, match=r"sizes\.py' defines no layer"):
        rules.registry.layers_of_file(tmp_path / "sizes.py")
    with pytest.raises(UserError, match=r"there is no file of layers '.*none\.py'"):
        rules.registry.layers_of_file(tmp_path / "none.py")
