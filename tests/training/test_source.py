"""A run's key knows the code that decides what becomes of it: this package's, found by what imports what, and that of users."""

import functools
import shutil

import equinox as eqx
import pytest

import ascribe
from ascribe import losses, networks, rules
from ascribe.cluster import work
from ascribe.errors import UserError
from ascribe.training import optimizers, source
from ascribe.training.identity import code_of, fingerprint

RULE = "ascribe.rules.feedback_alignment"
LAYERS = ("ascribe.networks.linear", "ascribe.networks.conv2d")
"""Of a network's own layers a key has the source apart, so that a change of one leaves networks without it alone."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The package's files in another folder."""
    folder = tmp_path_factory.mktemp("copy") / "ascribe"
    shutil.copytree(source.PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def common_and_own(folder, *modules):
    """The hash of what all rules go through, and of what each of these modules is and imports; read anew."""
    for cached in (source.read, source._file, source.common, source.digest):
        cached.cache_clear()
    return [source.common(folder), *(source.digest(module, folder) for module in modules)]


def edited(folder, path, modules):
    """The same with one line more in that file."""
    file = folder / path
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    try:
        return common_and_own(folder, *modules)
    finally:
        file.write_bytes(before)


def test_code_whose_source_is_not_there_is_refused(copy):
    """Not known by its name alone: the runs of every version would be the same."""
    file = copy / "networks" / "linear.py"
    file.rename(copy / "elsewhere.py")
    try:
        with pytest.raises(UserError, match=r"that of ascribe\.networks\.linear is not among the files of .*/ascribe"):
            common_and_own(copy, "ascribe.networks.linear")
    finally:
        (copy / "elsewhere.py").rename(file)


@pytest.mark.parametrize(
    "path",
    [
        "rules/feedback_alignment.py",
        "rules/feedback_matrices.py",  # which the rule imports
        "rules/terms.py",
        "rules/base.py",
        "rules/backpropagation.py",  # whose gradient every rule's is compared with
        "networks/network.py",
        "networks/tape.py",
        "networks/stack.py",
        "networks/linear.py",
        "networks/conv2d.py",
        "networks/activations.py",
        "networks/lif_rate.py",
        "networks/initializers.py",
        "losses.py",
        "metrics/accuracy.py",
        "metrics/alignment.py",
        "datasets/base.py",
        "datasets/transforms.py",
        "setup.py",
        "training/recipe.py",
        "training/experiment.py",
        "training/driver.py",
        "training/results.py",
        "training/devices.py",
        "training/loop.py",
        "training/optimizers.py",
        "training/hypergradient.py",
        "training/batches.py",
        "training/seeds.py",
        "training/evaluate.py",
        "training/augmentations.py",
        "training/pixels.py",
        "training/freezing.py",
    ],
)
def test_what_decides_a_run_makes_another_key(copy, path):
    assert edited(copy, path, [RULE, *LAYERS]) != common_and_own(copy, RULE, *LAYERS)


@pytest.mark.parametrize(
    "path",
    [
        "__init__.py",
        "experiments/comparison.py",
        "experiments/discovery.py",
        "rules/__init__.py",
        "rules/kolen_pollack.py",
        "rules/b_function.py",
        "rules/registry.py",
        "notebook.py",
        "networks/lenet.py",
        "networks/conv2d.py",
        "datasets/digits.py",
        "datasets/understood.py",
        "datasets/table.py",
        "metrics/area.py",
        "training/progress.py",
        "training/train.py",
        "training/runs.py",
        "experiments/landscape.py",
        "search/tune.py",
        "statistics/means.py",
        "report/page.py",
        "store/keeper.py",
        "cluster/work.py",
        "cli/compare.py",
        "neurons/lif.py",
    ],
)
def test_what_does_not_decide_it_leaves_the_key_alone(copy, path):
    assert edited(copy, path, [RULE]) == common_and_own(copy, RULE)


def test_an_import_inside_a_function_counts(copy):
    file = copy / "rules" / "feedback_alignment.py"
    before = file.read_bytes()
    file.write_bytes(before + b"\n\ndef area(curve):\n    from ascribe.metrics.area import area_under_curve\n")
    try:
        assert edited(copy, "metrics/area.py", [RULE]) != common_and_own(copy, RULE)
    finally:
        file.write_bytes(before)


def test_a_changed_rule_leaves_the_others_alone(copy):
    modules = {name: entry.kind.__module__ for name, entry in rules.registry.TABLE.items()}
    before = common_and_own(copy, *modules.values())
    after = edited(copy, "rules/b_function.py", modules.values())
    assert after[0] == before[0]
    changed = {name for name, one, other in zip(modules, before[1:], after[1:], strict=True) if one != other}
    assert changed == {"b-function", "gradient-noise", "gradient-noise-matched"}  # the latter two import it


def test_the_copy_has_the_hash_of_the_original(copy):
    assert common_and_own(copy, RULE) == common_and_own(source.PACKAGE, RULE)


def sources(value):
    """The hash of the source by the name of everything that a key has of the value."""
    return dict(code_of(fingerprint(value)))


@pytest.mark.parametrize(
    ("value", "module"),
    [
        (losses.SQUARED_ERROR, "ascribe.losses"),
        (optimizers.OPTIMIZERS["rprop"], "ascribe.training.optimizers"),
        (networks.lenet, "ascribe.networks.lenet"),
        (functools.partial(networks.lenet, activation="tanh"), "ascribe.networks.lenet"),
        (networks.Dropout, "ascribe.networks.dropout"),
        (networks.activations.get("lif-rate").function, "ascribe.networks.lif_rate"),
        (networks.initializers.draw, "ascribe.networks.initializers"),
        (rules.BFunction("softplus"), "ascribe.rules.b_function"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_ours_is_known_by_the_source_of_its_module(value, module):
    assert source.digest(module) in sources(value).values()


class Mine(rules.FeedbackAlignment):
    """Derived from one of ours, it uses others, by several ways to write it."""

    def __call__(self, *given, **named):
        from ascribe.metrics.regression import rmse

        return ascribe.value_and_credit(rules.DirectFeedbackAlignment(), rmse, *given, **named)


def of_ours(value):
    return {name for name in sources(value) if source.ours(name)}


def test_what_is_foreign_is_known_by_what_it_uses_of_ours():
    found = of_ours(Mine())
    assert {RULE, "ascribe.rules.tools.value_and_credit", "ascribe.rules.direct_feedback_alignment"} <= found
    assert "ascribe.metrics.regression" in found
    assert of_ours(lambda key: networks.mlp([2, 1], key=key)) == {"ascribe.networks.mlp"}
    assert of_ours(lambda key: ascribe.networks.from_config([])) == {"ascribe.networks.registry"}
    assert of_ours(lambda data: ascribe.compare(data, seeds=2)) == set()  # what trains is no part of what is trained


def test_a_rule_of_a_file_knows_its_file_and_those_of_its_bases(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base, own = tmp_path / "foreign_base.py", tmp_path / "own.py"
    base.write_text("from ascribe.rules import SignSymmetry\n\n\nclass Base(SignSymmetry):\n    pass\n")
    own.write_text("from foreign_base import Base\n\n\nclass Own(Base):\n    pass\n")
    rule = rules.get(f"{own}:Own")
    before = sources(rule)
    assert "ascribe.rules.sign_symmetry" in before
    base.write_text(base.read_text() + "    gain: float = 2.0\n")
    assert sources(rule) == before  # what was run stays what it was
    between = sources(rules.get(f"{own}:Own"))
    assert between != before
    own.write_text(own.read_text() + "\n")
    assert sources(rules.get(f"{own}:Own")) != between


def test_a_class_without_a_file_is_known_by_its_methods():
    def made(text):
        namespace = {"__name__": "nowhere", "Module": eqx.Module, "networks": networks}
        exec(f"class Typed(Module):\n    def layers(self, key):\n        return {text}\n", namespace)
        return namespace["Typed"]

    prints = [fingerprint(made(text)) for text in ("networks.mlp([1, 1])", "networks.mlp([1, 1], key=key)", "None")]
    assert len(set(map(str, prints))) == 3


def test_a_worker_with_other_source_is_refused():
    theirs = {"rule": fingerprint(rules.FeedbackAlignment()), "loss": fingerprint(losses.SQUARED_ERROR)}
    work._check_source(theirs, theirs)
    other = {"rule": [{"code": RULE, "source": "another"}], "mine": [{"code": "mine.Rule", "source": "1"}]}
    work._check_source({"mine": [{"code": "mine.Rule", "source": "2"}]}, other)  # a user's file goes along with the work
    jax = lambda version: {"packages": [{"code": "jax", "source": version}]}
    work._check_source(jax("1"), jax("1"))
    for one, two, name in ((theirs, other, r"ascribe\.rules\.feedback_"), (jax("1"), jax("2"), "jax ")):
        with pytest.raises(UserError, match=rf"a worker's code is not the comparison's \({name}"):
            work._check_source(one, two)
