"""Rules by name, by the beginning of a name, from files and from installed packages."""

import dataclasses
import pickle
from importlib.metadata import EntryPoint

import jax
import numpy as np
import pytest

from ascribe import rules
from ascribe.errors import UserError
from ascribe.networks import mlp
from ascribe.rules import registry
from ascribe.training import named_rules
from ascribe.training.identity import fingerprint

from ..training import tiny

RULE = """
from ascribe import rules


class {name}(rules.AbstractRule):
    \"\"\"Backpropagation, at half the size.\"\"\"

    def __call__(self, network, state, batch, *, key=None):
        return rules.backward_sweep(network, state, batch, key=key)
"""


def written(folder, *names, extra=""):
    path = folder / "my_rule.py"
    path.write_text("".join(RULE.format(name=name) for name in names) + extra)
    return str(path)


def test_every_registered_rule_is_described_and_can_be_built():
    assert rules.names()[:3] == ["backpropagation", "feedback-alignment", "direct-feedback-alignment"]
    for name in rules.names():
        assert isinstance(rules.get(name), rules.AbstractRule)
        entry = rules.describe(name)
        assert entry.description
        assert entry.source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backprop", rules.Backpropagation),
        ("backpropagation", rules.Backpropagation),
        ("feed", rules.FeedbackAlignment),
        ("direct-f", rules.DirectFeedbackAlignment),
        ("kolen", rules.KolenPollack),
        ("bp", rules.Backpropagation),
        ("fa", rules.FeedbackAlignment),
        ("dfa", rules.DirectFeedbackAlignment),
        ("kp", rules.KolenPollack),
        ("sign-symmetry", lambda: rules.SignSymmetry("uniform")),
        ("sign-symmetry-b", lambda: rules.SignSymmetry("batch-random")),
        ("sign-symmetry-fixed-random", lambda: rules.SignSymmetry("fixed-random")),
    ],
)
def test_a_name_or_its_beginning_finds_the_rule(text, expected):
    assert jax.tree.structure(rules.get(text)) == jax.tree.structure(expected())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sign", "it could be sign-symmetry or sign-symmetry-batch-random or sign-symmetry-fixed-random"),
        ("sign-symmetry-", "it could be sign-symmetry-batch-random or sign-symmetry-fixed-random"),
        ("backpropagatoin", "unknown rule 'backpropagatoin': did you mean backpropagation?"),
        ("feedbak-alignment", "did you mean feedback-alignment?"),
        ("genetic", "unknown rule 'genetic': list them with `ascribe rules`"),
        ("", "unknown rule ''"),
    ],
)
def test_a_name_that_is_none_or_several_is_refused_with_a_hint(text, sentence):
    with pytest.raises(UserError) as caught:
        rules.get(text)
    assert sentence in str(caught.value)


def test_options_go_to_the_rule():
    assert float(rules.get("feedback-alignment", scale=0.25).scale) == 0.25
    rule = rules.get("kolen", decay=0.5, scale=2.0)
    assert (float(rule.decay), float(rule.scale)) == (0.5, 2.0)
    assert rules.get("sign-symmetry", kind="fixed-random").kind == "fixed-random"


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("backpropagation", {"scale": 1.0}, "the rule backpropagation cannot be built with {'scale': 1.0}"),
        ("feedback-alignment", {"sclae": 1.0}, "cannot be built with {'sclae': 1.0}: .*sclae"),
        ("feedback-alignment", {"scale": "large"}, "cannot be built with {'scale': 'large'}"),
        ("sign-symmetry", {"kind": "none"}, "`kind` of SignSymmetry is one of uniform"),
        ("forward-pass", {"inactive": "some"}, "`inactive` is all or positive or none; got 'some'"),
        ("forward-pass-one-versus-rest", {"input_activation": "on"}, "is always or nonzero; got 'on'"),
        ("finite-differences", {"limit": 0}, "`limit` of FiniteDifferences is a positive integer; got 0"),
        ("perceptron", {"scale": 1.0}, "the rule perceptron cannot be built with {'scale': 1.0}"),
    ],
)
def test_options_that_the_rule_does_not_have_are_refused(name, options, sentence):
    with pytest.raises(UserError, match=sentence):
        rules.get(name, **options)


def test_a_file_with_one_rule_is_enough(tmp_path):
    path = written(tmp_path, "Halved")
    for text in (path, f"{path}:Halved"):
        assert type(rules.get(text)).__name__ == "Halved"
    assert registry.full_name(f"{path}:Halved") == "my_rule:Halved"


def test_a_relative_path_is_a_file_too(tmp_path, monkeypatch):
    written(tmp_path, "Halved")
    monkeypatch.chdir(tmp_path)
    for text in ("./my_rule.py:Halved", "my_rule.py"):
        assert isinstance(rules.get(text), rules.AbstractRule)


def test_a_class_is_chosen_from_a_file_with_several(tmp_path):
    path = written(tmp_path, "Halved", "Doubled")
    assert type(rules.get(f"{path}:Doubled")).__name__ == "Doubled"
    with pytest.raises(UserError, match=r"defines 2 rules: name one, as in .*my_rule\.py:MyRule"):
        rules.get(path)


def test_a_rule_that_a_file_only_imports_is_not_its_own(tmp_path):
    path = written(tmp_path, "Halved", extra="from ascribe.rules import FeedbackAlignment\n")
    assert type(rules.get(path)).__name__ == "Halved"


def test_two_rules_of_a_file_are_of_one_module(tmp_path):
    """So both can be pickled, as for workers, and the file's code runs once."""
    path = written(tmp_path, "Halved", extra="\n\nclass Other(Halved): ...\n")
    found = [rules.get(f"{path}:{name}") for name in ("Halved", "Other", "Halved")]
    assert isinstance(found[1], type(found[2]))
    assert type(found[0]) is type(found[2])
    assert [type(pickle.loads(pickle.dumps(rule))) for rule in found] == [type(rule) for rule in found]


def test_a_rule_keeps_the_source_that_it_was_made_of_when_its_file_changes(tmp_path):
    path = written(tmp_path, "Halved")
    old = rules.get(path)
    known, told = fingerprint(old), rules.settings(old)
    new = rules.get(written(tmp_path, "Halved", extra="# changed\n"))
    assert fingerprint(old) == known
    assert rules.settings(old) == told
    assert type(pickle.loads(pickle.dumps(old))) is type(old)
    assert fingerprint(new) != known
    assert rules.settings(new)["source"] == told["source"] + "# changed\n"
    with pytest.raises(UserError, match=r"cannot be run: RuntimeError: not today \(line 10\)"):
        rules.get(written(tmp_path, "Halved", extra="raise RuntimeError('not today')\n"))
    assert type(rules.get(written(tmp_path, "Halved"))) is type(old)


def test_a_rule_file_takes_options_or_refuses_them(tmp_path):
    path = written(tmp_path, "Halved")
    with pytest.raises(UserError, match=r"cannot be built with \{'scale': 2\}"):
        rules.get(path, scale=2)


@pytest.mark.parametrize(
    ("text", "attribute", "sentence"),
    [
        ("def broken(:\n", "", "cannot be run: SyntaxError"),
        ("1 / 0\n", ":Rule", "cannot be run: ZeroDivisionError: division by zero"),
        ("import no_such_module_anywhere\n", "", "cannot be run: ModuleNotFoundError: .*no_such_module_anywhere"),
        ("class Rule: ...\n", ":Rule", "my_rule.py:Rule is no rule: a rule is a class that derives from"),
        ("Rule = 3\n", ":Rule", "is no rule"),
        ("Rule = 3\n", ":Other", "defines no 'Other'"),
        ("class Rule: ...\n", ":rule", "defines no 'rule': did you mean 'Rule'\\?"),
        ("Rule = 3\n", "", "defines 0 rules: name one"),
    ],
)
def test_a_file_without_a_rule_is_refused(text, attribute, sentence, tmp_path):
    path = tmp_path / "my_rule.py"
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        rules.get(f"{path}{attribute}")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"there is no rule file .*none\.py"):
        rules.get(str(tmp_path / "none.py"))


def test_installed_packages_add_rules(tmp_path, monkeypatch):
    written(tmp_path, "Halved")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("halved", "my_rule:Halved", "ascribe.rules"),
        EntryPoint("missing", "no_such_module_anywhere:Rule", "ascribe.rules"),
        EntryPoint("backpropagation", "my_rule:Halved", "ascribe.rules"),
        EntryPoint("number", "math:pi", "ascribe.rules"),
    ]
    monkeypatch.setattr(registry, "_entry_points", lambda: points)
    assert rules.names()[-3:] == ["halved", "missing", "number"]
    assert type(rules.get("halv")).__name__ == "Halved"
    assert rules.describe("halved").description == "Backpropagation, at half the size."
    assert isinstance(rules.get("backpropagation"), rules.Backpropagation)
    with pytest.raises(UserError, match="the rule missing of no_such_module_anywhere:Rule cannot be imported"):
        rules.get("missing")
    with pytest.raises(UserError, match="number is no rule"):
        rules.get("number")


WITH_NUMBERS = """
from ascribe import rules
from ascribe.types import Scalar


class Scaled(rules.Backpropagation):
    gain: Scalar = rules.hyperparameter(1.0, "[0, inf)")
    kind: str = "slow"
    twice: bool = False
"""


def test_options_follow_after_a_colon_and_are_part_of_the_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaled.py").write_text(WITH_NUMBERS)
    for text, name, values in (
        ("fa:scale=0.50", "feedback-alignment:scale=0.5", {"scale": 0.5}),
        ("feedback-al:scale=5e-1;", "feedback-alignment:scale=0.5", {"scale": 0.5}),
        ("kp:decay=0.25 ; scale=2", "kolen-pollack:decay=0.25;scale=2", {"decay": 0.25, "scale": 2.0}),
        ("sign-symmetry:kind=batch-random", "sign-symmetry:kind=batch-random", {"kind": "batch-random", "scale": 1.0}),
        ("b-function:relu1=tanh;scale=3", "b-function:relu1=tanh;scale=3", {"scale": 3.0}),
        ("gradient-noise-matched:tanh;scale=0.5", "gradient-noise-matched:tanh;scale=0.5", {"scale": 0.5}),
        ("./scaled.py:gain=2", "scaled:gain=2", {"gain": 2.0, "kind": "slow", "twice": False}),
        (
            "./scaled.py:Scaled:kind=fast;twice=yes",
            "scaled:Scaled:kind=fast;twice=True",
            {"kind": "fast", "twice": True},
        ),
        ("./scaled.py:Scaled", "scaled:Scaled", {"gain": 1.0}),
    ):
        assert rules.full_name(text) == name
        built = rules.get(text)
        assert {field: getattr(built, field) for field in values} == values
    assert set(rules.get("b-function:relu1=tanh;scale=3").derivative) == {"relu1"}
    assert rules.get("fa:scale=2", scale=3).scale == 3  # what is given in Python wins
    variants = named_rules(["bp", "fa:scale=0.5", "fa:scale=2"], tiny.data())
    assert list(variants) == ["backpropagation", "feedback-alignment:scale=0.5", "feedback-alignment:scale=2"]
    assert [float(one.scale) for one in list(variants.values())[1:]] == [0.5, 2.0]


RELAXED = {
    "relaxes": ("activation", "activation"),
    "layers": ("linear1+linear2", ("linear1", "linear2")),
    "relax_output": ("yes", True),
    "hidden_loss": ("relative", "relative"),
    "layer_weights": ("1+0.5", (1.0, 0.5)),
    "kind": ("persistent", "persistent"),
    "coordinates": ("residual", "residual"),
    "inner_steps": ("depth", "depth"),
    "start": ("label", "label"),
    "period": ("5", 5),
    "consolidate": ("10", 10),
    "hidden_weight": ("3", 3.0),
    "weight_decay": ("1e-3", 1e-3),
    "inner_rate": ("0.5", 0.5),
    "ridge": (".01", 0.01),
}
FORWARD = {
    "input_activation": ("always", "always"),
    "inactive": ("all", "all"),
    "flip_label": ("no", False),
    "adaptive_rate": ("true", True),
    "error_scaled": ("False", False),
    "stabilized": ("Yes", True),
    "natural": ("NO", False),
    "transforms": ("split-signs+constant-one", ("split-signs", "constant-one")),
    "scaling": ("0.5", 0.5),
    "epsilon": ("1e-3", 1e-3),
    "sign_threshold": ("0", 0.0),
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relaxed-identity", RELAXED),
        ("relaxed-identity-as-published", RELAXED),
        ("forward-pass", FORWARD),
        ("forward-pass-as-published", FORWARD),
        ("forward-pass-one-versus-rest", FORWARD),
    ],
)
@pytest.mark.parametrize("between", [";", ",", " , "])
def test_every_option_of_a_rule_can_follow_after_the_colon(name, options, between):
    """Words, yes and no, numbers and lists; one command line of all of them, and beside other rules."""
    text = f"{name}:{between.join(f'{option}={written}' for option, (written, _) in options.items())}"
    assert rules.split_names(f"bp, {text},fa:scale=2") == ["bp", text, "fa:scale=2"]
    rule = rules.get(text)
    assert {field.name for field in dataclasses.fields(rule)} == set(options)
    for option, (_, value) in options.items():
        assert getattr(rule, option) == value
    assert rules.full_name(text).count(";") == len(options) - 1


def test_a_list_may_be_empty_and_a_hint_may_be_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "late.py").write_text("from __future__ import annotations\n" + WITH_NUMBERS)
    assert rules.get("forward-pass:transforms=none").transforms == ()
    assert rules.get("./late.py:twice=yes").twice is True
    assert rules.get("./late.py:kind=yes").kind == "yes"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("forward-pass:natural=maybe", "the option natural of the rule forward-pass is yes or no; got 'maybe'."),
        ("forward-pass:natural=1", "the option natural of the rule forward-pass is yes or no; got '1'."),
        ("forward-pass:inactive=some", "cannot be built: `inactive` is all or positive or none; got 'some'."),
        (
            "forward-pass:scaling=0.5,epsilon=0",
            "in the rule forward-pass, `epsilon` is a number in (0, inf); got 0.",
        ),
        ("fa:scale=yes", "in the rule fa, `scale` is a number in (0, inf); got 'yes'."),
        ("forward-pass:natural=no,inactive", "natural of the rule forward-pass is yes or no; got 'no,inactive'."),
        ("forward-pass:natural", "are written as forward-pass:NAME=VALUE,NAME=VALUE; got 'natural'."),
        ("forward-pass:transforms=split-sign", "unknown transform 'split-sign': did you mean 'split-signs'"),
        ("relaxed-identity:kind=some", "cannot be built: `kind` is persistent or transient; got 'some'."),
        ("relaxed-identity:period=2.5", "`period` is a number of epochs, 0 or more; got 2.5."),
        ("relaxed-identity:consolidate=yes", "`consolidate` is end, never or a number of epochs; got 'yes'."),
        ("relaxed-identity:layer_weights=1+-2", "`layer_weights` are positive numbers, from the input upwards; got"),
        ("relaxed-identity:hidden_weight=0", "inner steps are divided by `hidden_weight`"),
    ],
)
def test_a_wrong_option_after_the_colon_is_named(text, sentence):
    with pytest.raises(UserError) as caught:
        rules.get(text)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_comparison_that_names_no_rule_leaves_the_documents_own_forms_out():
    left_out = set(rules.names()) - set(rules.default_names())
    assert {"forward-pass-as-published", "relaxed-identity-as-published"} <= left_out
    assert {"backpropagation", "forward-pass", "relaxed-identity"}.isdisjoint(left_out)
    for name in ("forward-pass", "relaxed-identity"):
        assert rules.describe(name).source.startswith("ours, after")
        assert not rules.describe(f"{name}-as-published").source.startswith("ours")


def test_a_truth_value_is_no_number_of_a_rule():
    for value in (True, np.bool_(False)):
        with pytest.raises(UserError, match=r"`\w+` is a number in \(0, inf\); got "):
            rules.get("fa", scale=value)


def test_a_file_whose_path_was_forgotten_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hebb.py").write_text(WITH_NUMBERS)
    for text in ("hebb", "hebb:Scaled", "hebb:Scaled:gain=2"):
        with pytest.raises(UserError, match=rf"unknown rule 'hebb': write \./hebb\.py{text[4:]} for a rule in that file"):
            rules.get(text)


def test_a_rule_tells_the_values_of_its_numbers(tmp_path):
    assert repr(rules.FeedbackAlignment(0.1)) == "FeedbackAlignment(scale=0.1)"
    assert repr(rules.SignSymmetry("uniform")) == "SignSymmetry(kind='uniform', scale=1.0)"
    traced = []
    jax.eval_shape(lambda scale: traced.append(repr(rules.FeedbackAlignment(scale))), 2.0)
    assert "float" in traced[0] or "f" in traced[0]


HABITS = """
import numpy as np
from ascribe.rules import AbstractRule, Credit, backward_sweep, hyperparameter


class Assigns(AbstractRule):
    def __init__(self):
        self.momentum = 0.9

    def __call__(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)


class Branches(AbstractRule):
    def __call__(self, network, state, batch, *, key):
        credit = backward_sweep(network, state, batch, key=key)
        return credit if credit.loss > 1 else Credit(credit.loss, credit.gradients, state)


class Counts(Branches):
    def __call__(self, network, state, batch, *, key):
        self.count = 1


class Measures(Branches):
    def __call__(self, network, state, batch, *, key):
        return np.asarray(backward_sweep(network, state, batch, key=key).loss)


class Forgets(Branches):
    def __call__(self, network, state, batch):
        return backward_sweep(network, state, batch)


class Loops(Branches):
    steps: object = hyperparameter(3.0)

    def __call__(self, network, state, batch, *, key):
        for step in range(self.steps):
            pass


class Backs(Branches):
    def __call__(self, network, state, batch, *, key):
        backward_sweep(network, state, batch, key=key).loss.backward()


class Detaches(Branches):
    def __call__(self, network, state, batch, *, key):
        return batch.inputs.detach()


class Forwards(AbstractRule):
    def forward(self, network, state, batch, *, key):
        return backward_sweep(network, state, batch, key=key)
"""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "Assigns",
            r"'momentum' \(line 8\); rules and networks are not changed after they are built: .*hyperparameter\(0\.9\)",
        ),
        (
            "Branches",
            r"habits\.py, line 17: .*; .*: choose with jnp\.where or jax\.lax\.cond in place of a Python `if`",
        ),
        ("Forwards", r"cannot be built .*; write def __call__\(self, network, state, batch, \*, key\) in place"),
        ("Counts", r"line 22: FrozenInstanceError: .*'count'; .* keep what changes from step to step in its state"),
        ("Measures", r"line 27: TracerArrayConversionError: .*; NumPy cannot compute what JAX traces: use jax\.numpy"),
        (
            "Loops",
            r"; the numbers of a rule are arrays, .*: declare one that decides a shape or a Python loop as `steps: int = ",
        ),
        ("Backs", r"backward; JAX differentiates functions: jax\.grad of a function of the network"),
        ("Detaches", r"detach; in JAX that is jax\.lax\.stop_gradient\(x\)"),
        (
            "Forgets",
            r"`__call__` of the rule Forgets is written def __call__\(self, trainables, state, batch, \*, key\)",
        ),
    ],
)
def test_habits_of_other_libraries_are_answered_with_what_to_write(name, sentence, tmp_path):
    path = tmp_path / "habits.py"
    path.write_text(HABITS)
    batch = np.ones((4, 2), np.float32), np.arange(4) % 2
    with pytest.raises(UserError, match=sentence):
        rules.verify(f"{path}:{name}", mlp([2, 1]), batch)


def test_a_line_on_a_rule_is_the_tables_or_the_beginning_of_its_docstring(tmp_path):
    said = rules.about("b-function:relu2=tanh", {})
    assert said.startswith("another function g(z)") and said.endswith(
        "; Function changes in the Backpropagation equation …, (1)–(5)"
    )
    rule = rules.get(f"{written(tmp_path, 'Half', 'Other')}:Half")
    settings = rules.settings(rule)
    assert rules.about("my_rule:Half", settings) == "Backpropagation, at half the size."
    for damaged in (
        {**settings, "source": "class Half(:"},
        {**settings, "class": "my_rule.py:Gone"},
        {},
        {"source": "(" * 10_000},
    ):
        assert rules.about("my_rule:Half", damaged) == ""


def test_the_source_of_a_described_rule_is_not_run(tmp_path):
    there = tmp_path / "there"
    source = f'open({str(there)!r}, "w")\nclass A:\n    """What it is,\n    in a word."""\n'
    assert rules.about("x:A", {"class": "x.py:A", "source": source}) == "What it is, in a word."
    assert not there.exists()
